"""Seeded degradations of clips for `benchmarks/identify.py`: noise, rooms, codecs, speed, pitch.

All take and return mono float32 at 44,100 Hz.  Noise is babble of eight voices with pink noise
6 dB below it; rooms are exponentially decaying noise with a reverberation time of 0.3 to 1.0 s,
applied to the excerpt and the second before it, so that the tail of what sounded before is heard.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]
RATE = 44_100
LEAD = RATE
"""Samples before the excerpt that a degradation gets, and drops."""


def unit(x: Samples) -> Samples:
    """Scale to root mean square 1."""
    return x / np.float32(np.sqrt(np.mean(np.square(x))) + 1e-9)


def pink(n: int, rng: np.random.Generator) -> Samples:
    """Pink noise of root mean square 1."""
    spectrum = rng.standard_normal(n // 2 + 1) + 1j * rng.standard_normal(n // 2 + 1)
    return unit(np.fft.irfft(spectrum / np.sqrt(np.arange(1, n // 2 + 2)), n).astype(np.float32))


class Babble:
    """Eight voices at once, from a folder of recorded or synthetic speech.

    Without a folder, voices are noise with the spectrum and the syllables' rhythm of speech.
    """

    def __init__(self, folder: Path | None, rng: np.random.Generator) -> None:
        if folder is None:
            parts = [_speechlike(20 * RATE, rng) for _ in range(4)]
        else:
            from earmark import audio

            paths = sorted(p for p in folder.rglob("*") if p.suffix in audio.AUDIO_SUFFIXES)
            rng.shuffle(paths)  # type: ignore[arg-type]
            parts = [audio.read(str(p), sample_rate=RATE).samples for p in paths]
        self.voice = np.concatenate([unit(part) for part in parts])

    def draw(self, n: int, rng: np.random.Generator) -> Samples:
        """Eight voices, root mean square 1, shape (n,)."""
        starts = rng.integers(0, len(self.voice) - n, 8)
        return unit(np.sum([self.voice[s : s + n] for s in starts], axis=0, dtype=np.float32))


def _speechlike(n: int, rng: np.random.Generator) -> Samples:
    frequency = np.fft.rfftfreq(n, 1.0 / RATE)
    shape = 1.0 / (1.0 + (frequency / 500.0) ** 2) * (frequency > 100.0)
    noise = np.fft.irfft(np.fft.rfft(rng.standard_normal(n)) * shape, n)
    envelope = np.abs(
        np.interp(
            np.arange(n),
            np.arange(0, n + RATE, RATE // 8),
            rng.standard_normal(len(np.arange(0, n + RATE, RATE // 8))),
        )
    )
    return (noise * envelope).astype(np.float32)


def add_noise(x: Samples, babble: Babble, snr_db: float, rng: np.random.Generator) -> Samples:
    """Babble and pink noise at a level against the excerpt (not its lead)."""
    noise = unit(babble.draw(len(x), rng) + np.float32(0.5) * pink(len(x), rng))
    level = np.sqrt(np.mean(np.square(x[LEAD:]))) * 10.0 ** (-snr_db / 20.0)
    return x + np.float32(level) * noise


def add_room(x: Samples, rng: np.random.Generator) -> Samples:
    """A synthetic room, RT60 0.3 to 1.0 s."""
    rt60 = rng.uniform(0.3, 1.0)
    n = int(rt60 * RATE)
    tail = rng.standard_normal(n) * 10.0 ** (-3.0 * np.arange(n) / n)
    tail[: int(0.005 * RATE)] = 0.0
    room = tail / np.sqrt(np.sum(tail**2))
    room[0] = 1.0
    size = len(x) + n
    return np.fft.irfft(np.fft.rfft(x, size) * np.fft.rfft(room, size), size)[: len(x)].astype(
        np.float32
    )


def codec(x: Samples, container: str, name: str, rate: int, bit_rate: int) -> Samples:
    """Encode, decode, and align: the delay of the codec is taken out by correlation."""
    import av
    import soxr

    source = soxr.resample(x, RATE, rate) if rate != RATE else x
    file = io.BytesIO()
    with av.open(file, "w", format=container) as out:
        stream = out.add_stream(name, rate=rate, layout="mono")
        stream.bit_rate = bit_rate
        pcm = (np.clip(source, -1, 1) * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(pcm[None], format="s16", layout="mono")
        frame.sample_rate = rate
        resampler = av.AudioResampler(
            format=stream.format,
            layout="mono",
            rate=rate,
            frame_size=stream.codec_context.frame_size or 960,
        )
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            out.mux(stream.encode(piece))
        out.mux(stream.encode(None))
    file.seek(0)
    parts = []
    with av.open(file) as back:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
        for frame in back.decode(audio=0):
            parts += [f.to_ndarray()[0] for f in resampler.resample(frame)]
        parts += [f.to_ndarray()[0] for f in resampler.resample(None)]
    decoded = np.concatenate(parts).astype(np.float32)
    return np.pad(decoded, (0, max(0, len(x) - len(decoded))))[: len(x)]


def speed(x: Samples, percent: float) -> Samples:
    """Play faster (positive) or slower: tempo and pitch change together."""
    import soxr

    return soxr.resample(x, 1000.0 * (1.0 + percent / 100.0), 1000.0).astype(np.float32)


def pitch(x: Samples, semitones: float) -> Samples:
    """Raise the pitch and keep the tempo: a phase vocoder, then resampling."""
    factor = 2.0 ** (semitones / 12.0)
    stretched = stretch(x, factor)
    import soxr

    y = soxr.resample(stretched, 1000.0 * factor, 1000.0).astype(np.float32)
    return np.pad(y, (0, max(0, len(x) - len(y))))[: len(x)]


def stretch(x: Samples, factor: float, n_fft: int = 2048, hop: int = 512) -> Samples:
    """Make a clip `factor` times as long at the same pitch (phase vocoder)."""
    window = np.hanning(n_fft + 1)[:-1]
    padded = np.pad(x, n_fft)
    framed = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::hop]
    spectra = np.fft.rfft(framed * window, axis=1)
    advance = 2.0 * np.pi * hop * np.arange(n_fft // 2 + 1) / n_fft
    steps = np.arange(0, len(spectra) - 1, 1.0 / factor)
    out = np.zeros(int(len(steps) * hop + n_fft))
    phase = np.angle(spectra[0])
    for i, step in enumerate(steps):
        k = int(step)
        part = step - k
        size = (1 - part) * np.abs(spectra[k]) + part * np.abs(spectra[k + 1])
        out[i * hop : i * hop + n_fft] += window * np.fft.irfft(size * np.exp(1j * phase), n_fft)
        turn = np.angle(spectra[k + 1]) - np.angle(spectra[k]) - advance
        phase += advance + turn - 2.0 * np.pi * np.round(turn / (2.0 * np.pi))
    begin = int(n_fft * factor)
    return (out[begin : begin + int(len(x) * factor)] / 1.5).astype(np.float32)


Degradation = Callable[[Samples, Babble, np.random.Generator], Samples]

CONDITIONS: dict[str, Degradation] = {
    "clean": lambda x, b, r: x,
    "noise 10 dB": lambda x, b, r: add_noise(x, b, 10.0, r),
    "noise 5 dB": lambda x, b, r: add_noise(x, b, 5.0, r),
    "noise 0 dB": lambda x, b, r: add_noise(x, b, 0.0, r),
    "reverb": lambda x, b, r: add_room(x, r),
    "reverb + 5 dB": lambda x, b, r: add_noise(add_room(x, r), b, 5.0, r),
    "mp3 32 k": lambda x, b, r: codec(x, "mp3", "libmp3lame", RATE, 32_000),
    "opus 12 k": lambda x, b, r: codec(x, "ogg", "libopus", 48_000, 12_000),
    "speed -4 %": lambda x, b, r: speed(x, -4.0),
    "speed -2 %": lambda x, b, r: speed(x, -2.0),
    "speed +2 %": lambda x, b, r: speed(x, 2.0),
    "speed +4 %": lambda x, b, r: speed(x, 4.0),
    "pitch +1": lambda x, b, r: pitch(x, 1.0),
}
