"""What can be said of a sound besides its timbre: pitch, tempo, one-shot or loop, aspects.

Everything works on mono float32 at 22,050 Hz and returns plain numbers for tags.  Sources: de
Cheveigne & Kawahara 2002 (YIN); Ellis 2007 (tempo by autocorrelation of an onset envelope).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from earmark.features.timbre import SAMPLE_RATE
from earmark.features.timbre.envelope import BLOCK, block_rms
from earmark.types import Float32Array, Scalar

_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
_FRAME, _MAX_FRAMES = 4096, 6
_LOWEST_HZ, _HIGHEST_HZ = 32.0, 2500.0
_DIP = 0.15
_PITCHED = 0.6
_AGREE = 0.7
"""Semitones within which two estimators agree."""
_STEP = 2
"""Blocks per step of the onset envelope: 11.6 ms."""
_TEMPO_RANGE = (50.0, 210.0)
_LOOP_SECONDS = (1.0, 30.0)


@dataclass(frozen=True)
class Tempo:
    """Beats per minute, and how periodic the sound is at it (0 to 1)."""

    bpm: float
    confidence: float


def note_name(midi: float) -> str:
    """Name of the nearest note, middle C being C4.

    Examples
    --------
    >>> note_name(57.2)
    'A3'
    """
    nearest = round(midi)
    return f"{_NAMES[nearest % 12]}{nearest // 12 - 1}"


def pitch(samples: Float32Array) -> tuple[float, float]:
    """The one pitch of a sound, as a MIDI number, and the confidence in it, 0 to 1.

    YIN on up to six frames spread over the loud part after the attack; the median, and as
    confidence how periodic the frames are times how many agree with it.

    Parameters
    ----------
    samples : float32 array, shape (m,)
    """
    frames = _loud_frames(samples)
    lags, dips = _yin(frames)
    good = lags > 0
    if not good.any():
        return 0.0, 0.0
    midi = 69 + 12 * np.log2(SAMPLE_RATE / lags[good] / 440)
    middle = float(np.median(midi))
    agree = np.abs(midi - middle) < 0.5
    steady = agree.sum() / len(lags)
    clear = float(np.clip(1 - dips[good][agree].mean() / 0.5, 0, 1)) if agree.any() else 0.0
    return float(midi[agree].mean()) if agree.any() else middle, float(steady) * clear


def tempo(samples: Float32Array) -> Tempo:
    """Tempo of a sound of at least two seconds, by the periodicity of its onsets.

    Candidates are weighted by how usual they are (a log-normal around 120 per minute).
    """
    flux = onset_envelope(samples)
    rate = SAMPLE_RATE / BLOCK / _STEP
    if len(flux) < 2 * rate or not flux.max(initial=0) > 0:
        return Tempo(0.0, 0.0)
    wave = flux - flux.mean()
    size = 1 << (2 * len(wave) - 1).bit_length()
    both = np.fft.irfft(np.abs(np.fft.rfft(wave, size)) ** 2, size)[: len(wave)]
    unbiased = both / both[0] * len(wave) / np.maximum(len(wave) - np.arange(len(wave)), 1)
    lags = np.arange(int(rate * 60 / _TEMPO_RANGE[1]), int(rate * 60 / _TEMPO_RANGE[0]))
    lags = lags[(lags > 0) & (lags < 0.75 * len(wave))]
    if not len(lags):
        return Tempo(0.0, 0.0)
    usual = np.exp(-0.5 * (np.log2(60 * rate / lags / 120) / 0.8) ** 2)
    double = np.where(2 * lags < len(wave) * 0.75, unbiased[np.minimum(2 * lags, len(wave) - 1)], 0)
    score = usual * (unbiased[lags] + 0.5 * double)
    best = int(lags[score.argmax()])
    left, middle, right = unbiased[best - 1], unbiased[best], unbiased[min(best + 1, len(wave) - 1)]
    bend = left - 2 * middle + right
    exact = best + (0.5 * (left - right) / bend if bend < 0 else 0.0)
    return Tempo(float(60 * rate / exact), float(np.clip(middle, 0, 1)))


def onset_envelope(samples: Float32Array) -> Float32Array:
    """Rise of the level in dB per step of 11.6 ms, not negative, shape (steps,)."""
    rms = block_rms(samples[None])[0]
    rms = rms[: len(rms) // _STEP * _STEP].reshape(-1, _STEP).max(axis=1, initial=0)
    floor = float(rms.max(initial=0)) * 10 ** (-40 / 20) + 1e-9
    level = 20 * np.log10(np.maximum(rms, floor))
    return np.asarray(np.maximum(np.diff(level, prepend=level[:1]), 0), np.float32)


def count_onsets(samples: Float32Array) -> int:
    """How many times the level rises by 8 dB or more within 50 ms; at least 1."""
    flux = onset_envelope(samples)
    if not len(flux):
        return 1
    rise = np.convolve(flux, np.ones(4), mode="same")
    above = rise >= 8.0
    starts = np.flatnonzero(above & ~np.concatenate([[False], above[:-1]]))
    apart = np.diff(starts, prepend=-100) > 8
    first_is_sound = not above[:6].any()
    return max(1, int(apart.sum()) + int(first_is_sound))


def facts(
    samples: Float32Array, sounding: Float32Array, *, second_midi: float | None = None
) -> dict[str, Scalar]:
    """Facts of a sound of at most 30 s.

    Parameters
    ----------
    samples : float32 array, shape (m,)
        The whole file.
    sounding : float32 array, shape (k,)
        The same without silence before and after.
    second_midi : float, optional
        The pitch by another estimator (subharmonic summation): where the two disagree the
        confidence is halved, and so no pitch is told.

    Returns
    -------
    dict
        ``one_shot`` and ``loop`` (1 or 0), ``level_db`` (of the loudest 50 ms, dB under full
        scale); for one-shots with a pitch ``pitch`` ('A3'), ``pitch_midi``, ``pitch_confidence``;
        for loops ``bpm`` and ``bpm_confidence``.
    """
    found: dict[str, Scalar] = {}
    seconds = len(samples) / SAMPLE_RATE
    beat = tempo(sounding)
    onsets = count_onsets(sounding)
    found["loop"] = int(_is_loop(seconds, beat, onsets))
    found["one_shot"] = int(not found["loop"] and seconds <= 10 and onsets <= 2)
    if found["loop"]:
        found["bpm"] = round(_whole_beats(seconds, beat.bpm), 1)
        found["bpm_confidence"] = round(beat.confidence, 3)
    if not found["loop"]:
        midi, confidence = pitch(sounding)
        if second_midi is not None and abs(midi - second_midi) > _AGREE:
            confidence /= 2
        if confidence >= _PITCHED:
            found["pitch"] = note_name(midi)
            found["pitch_midi"] = round(midi, 2)
            found["pitch_confidence"] = round(confidence, 3)
    found["level_db"] = round(_level_db(samples), 1)
    return found


def _is_loop(seconds: float, beat: Tempo, onsets: int) -> bool:
    """Several onsets, and clearly periodic, or periodic and an even number of beats long."""
    if not _LOOP_SECONDS[0] <= seconds <= _LOOP_SECONDS[1] or onsets < 4 or beat.bpm <= 0:
        return False
    beats = seconds * beat.bpm / 60
    off = abs(beats - round(beats))
    return beat.confidence >= 0.6 or (
        beat.confidence >= 0.3 and off < 0.12 and round(beats) % 2 == 0
    )


def _whole_beats(seconds: float, bpm: float) -> float:
    """A loop's tempo is exact if it is cut to a whole number of beats: then use that."""
    beats = round(seconds * bpm / 60)
    exact = 60 * beats / seconds
    return exact if beats >= 2 and abs(exact / bpm - 1) < 0.03 else bpm


def _level_db(samples: Float32Array) -> float:
    rms = block_rms(samples[None])[0].astype(np.float64)
    width = min(9, len(rms))
    power = np.convolve(rms**2, np.ones(width) / width, mode="valid").max(initial=0)
    return float(10 * np.log10(max(power, 1e-12)))


def _loud_frames(samples: Float32Array) -> Float32Array:
    """Frames after the attack within 25 dB of the loudest, shape (k, 4096), at least one."""
    padded = np.pad(samples, (0, max(0, _FRAME - len(samples))))
    hop = 1024
    starts = np.arange(0, len(padded) - _FRAME + 1, hop)
    power = np.array([float(np.square(padded[s : s + _FRAME]).mean()) for s in starts[:400]])
    keep = starts[:400][power >= power.max() * 10 ** (-25 / 10)]
    if len(keep) > 2:
        keep = keep[1:]  # the attack has no pitch of its own
    keep = keep[np.linspace(0, len(keep) - 1, min(_MAX_FRAMES, len(keep))).astype(np.int64)]
    return np.stack([padded[s : s + _FRAME] for s in keep])


def _yin(frames: Float32Array) -> tuple[Float32Array, Float32Array]:
    """Lag in samples (0: none) and depth of the dip of each frame, float32, shape (k,)."""
    half = _FRAME // 2
    longest = min(half, int(SAMPLE_RATE / _LOWEST_HZ))
    shortest = int(SAMPLE_RATE / _HIGHEST_HZ)
    x = frames.astype(np.float64)
    spectrum = np.fft.rfft(x, 2 * _FRAME, axis=1)
    first = np.fft.rfft(x[:, :half], 2 * _FRAME, axis=1)
    cross = np.fft.irfft(spectrum * np.conj(first), axis=1)[:, :longest]
    square = np.cumsum(np.pad(x**2, ((0, 0), (1, 0))), axis=1)
    energy = square[:, half : half + longest] - square[:, :longest]
    difference = np.maximum(energy[:, :1] + energy - 2 * cross, 0)
    mean = np.cumsum(difference, axis=1) / np.maximum(np.arange(longest), 1)
    normal = difference / np.maximum(mean, 1e-12)
    normal[:, :shortest] = 2.0
    lags = np.zeros(len(x), np.float32)
    dips = np.ones(len(x), np.float32)
    for i, row in enumerate(normal):
        inner = (row[1:-1] <= row[:-2]) & (row[1:-1] < row[2:])
        valleys = np.flatnonzero(inner) + 1
        if not len(valleys):
            continue
        limit = max(_DIP, float(row[valleys].min()) + 0.08)
        at = int(valleys[row[valleys] <= limit][0])
        bend = row[at - 1] - 2 * row[at] + row[at + 1]
        shift = 0.5 * (row[at - 1] - row[at + 1]) / bend if bend > 0 else 0.0
        if row[at] < 0.5:
            lags[i], dips[i] = at + shift, row[at]
    return lags, dips
