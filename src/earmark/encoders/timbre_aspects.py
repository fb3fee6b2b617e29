"""Aspects of a sound besides its timbre as a whole: what `--aspect` weighs, stored with each row.

The second form of a row is one vector: the timbre (64 numbers of unit length), then a block of 28
in units that compare well, divided by `SCALE`.  So small a block changes the cosine of two rows by
less than 1e-4: searches without aspects do not notice it.  Stores may scale rows to unit length;
the length of the timbre tells by how much.

Block: spectrum (12 cepstral coefficients of the loud part, 10 dB), envelope (8 levels along the
course, 10 dB; log2 of attack, decay and sounding time in units of 10 ms), pitch (octaves above
55 Hz; confidence), level (10 dB), brightness (octaves above 55 Hz), noisiness (0 to 1).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from earmark.features.timbre.envelope import N_COURSE, block_rms
from earmark.types import AnyArray, Float32Array

ASPECTS = ("timbre", "spectrum", "envelope", "pitch", "loudness")
NUDGES = ("brightness", "length", "attack", "noisiness")

VECTOR = 64
SCALE = np.float32(1024)
_SPECTRUM, _COURSE = 12, 8
_S = slice(0, _SPECTRUM)
_E = slice(_SPECTRUM, _SPECTRUM + _COURSE + 3)
_ATTACK, _LENGTH = _SPECTRUM + _COURSE, _SPECTRUM + _COURSE + 2
_PITCH, _CONFIDENCE, _LEVEL, _BRIGHTNESS, _NOISINESS = range(_E.stop, _E.stop + 5)
WIDTH = _NOISINESS + 1
"""Numbers of the block."""

_LOWEST_HZ = 55.0
_LOUDEST = 9
"""Blocks of 128 samples over which the level is taken: 52 ms."""

# Distances at which a similarity has fallen to 1/e: about half that of two unlike sounds.
_SPECTRUM_SPAN, _ENVELOPE_SPAN, _PITCH_SPAN, _LEVEL_SPAN = 0.6, 0.8, 0.25, 0.6
# Differences at which a nudge is fully granted: an octave, twice as long, 8 times, 0.3.
_FULL = {"brightness": 1.0, "length": 1.0, "attack": 3.0, "noisiness": 0.3}


def block(
    found: Mapping[str, Float32Array],
    said: Mapping[str, Float32Array],
    pitch_hz: Float32Array,
    confidence: Float32Array,
    level_db: Float32Array,
) -> Float32Array:
    """The block of aspects of n segments, float32, shape (n, 28).

    Parameters
    ----------
    found : mapping
        Groups of descriptors, as `earmark.features.timbre.groups` gives them.
    said : mapping
        As `earmark.features.timbre.aspects`.
    pitch_hz, confidence, level_db : float32 arrays, shape (n,)
    """
    out = np.zeros((len(pitch_hz), WIDTH), np.float32)
    out[:, _S] = found["loud"][:, :_SPECTRUM] / 10
    course = found["envelope"][:, :N_COURSE]
    edges = np.linspace(0, N_COURSE, _COURSE + 1).round().astype(np.int64)
    for i in range(_COURSE):
        out[:, _SPECTRUM + i] = course[:, edges[i] : edges[i + 1]].mean(axis=1) / 10
    for i, name in enumerate(("attack", "decay", "sounding")):
        out[:, _ATTACK + i] = np.log2(1 + said[name] / 0.01)
    out[:, _PITCH] = np.log2(np.maximum(pitch_hz, 8) / _LOWEST_HZ)
    out[:, _CONFIDENCE] = confidence
    out[:, _LEVEL] = level_db / 10
    out[:, _BRIGHTNESS] = np.log2(np.maximum(said["brightness_hz"], 8) / _LOWEST_HZ)
    out[:, _NOISINESS] = said["noisiness"]
    return out


def level_db(segments: Float32Array) -> Float32Array:
    """Level of the loudest 52 ms of each segment, shape (n, m): dB under full scale, (n,)."""
    power = np.square(block_rms(segments), dtype=np.float64)
    width = min(_LOUDEST, power.shape[1])
    running = np.cumsum(np.pad(power, ((0, 0), (1, 0))), axis=1)
    loudest = ((running[:, width:] - running[:, :-width]) / width).max(axis=1)
    return np.asarray(10 * np.log10(np.maximum(loudest, 1e-12)), np.float32)


def joined(vectors: Float32Array, aspects: Float32Array) -> Float32Array:
    """Rows of the second form, shape (n, 92), of timbre (n, 64) and block (n, 28)."""
    return np.concatenate([vectors, aspects / SCALE], axis=1)


def compare(query: AnyArray, rows: AnyArray) -> dict[str, Float32Array]:
    """Similarity of one row to others in each aspect, and their differences from it.

    Parameters
    ----------
    query : float array, shape (92,)
    rows : float array, shape (n, 92)

    Returns
    -------
    dict of float32 arrays, shape (n,)
        Under ASPECTS similarities, at most 1 (`timbre`: the cosine; others from 0), under NUDGES
        from -1 (fully the other way) through 0 (as the query) to 1 (fully so): brighter,
        longer, of harder attack, noisier.

    Examples
    --------
    >>> rows = np.ones((1, VECTOR + WIDTH))
    >>> compare(rows[0], rows)["timbre"].round(3).tolist()
    [1.0]
    """
    q, x = np.asarray(query, np.float32), np.asarray(rows, np.float32)
    length = np.maximum(np.sqrt(np.square(x[:, :VECTOR]).sum(axis=1)), np.float32(1e-9))
    own = np.maximum(np.sqrt(np.square(q[:VECTOR]).sum()), np.float32(1e-9))
    cosine = x[:, :VECTOR] @ q[:VECTOR] / (length * own)
    a, b = x[:, VECTOR:] * (SCALE / length)[:, None], q[VECTOR:] * (SCALE / own)
    apart = a - b
    found = {
        "timbre": cosine,
        "spectrum": _near(_rms(apart[:, _S]), _SPECTRUM_SPAN),
        "envelope": _near(_rms(apart[:, _E]), _ENVELOPE_SPAN),
        "pitch": _pitch(a, b),
        "loudness": _near(np.abs(apart[:, _LEVEL]), _LEVEL_SPAN),
        "brightness": apart[:, _BRIGHTNESS] / _FULL["brightness"],
        "length": apart[:, _LENGTH] / _FULL["length"],
        "attack": -apart[:, _ATTACK] / _FULL["attack"],
        "noisiness": apart[:, _NOISINESS] / _FULL["noisiness"],
    }
    for name in NUDGES:
        found[name] = np.clip(found[name], -1, 1)
    return {name: np.asarray(values, np.float32) for name, values in found.items()}


def _pitch(rows: Float32Array, query: Float32Array) -> Float32Array:
    """Nearness in pitch as far as both have one; two sounds without any are alike in that."""
    mine, theirs = query[_CONFIDENCE], rows[:, _CONFIDENCE]
    both, neither = theirs * mine, (1 - theirs) * (1 - mine)
    near = _near(np.abs(rows[:, _PITCH] - query[_PITCH]), _PITCH_SPAN)
    whole = np.maximum(both + neither + np.abs(theirs - mine), np.float32(1e-6))
    return np.asarray((both * near + neither) / whole, np.float32)


def _rms(values: Float32Array) -> Float32Array:
    return np.asarray(np.sqrt(np.square(values).mean(axis=1)), np.float32)


def _near(distance: Float32Array, span: float) -> Float32Array:
    return np.asarray(np.exp(-distance / np.float32(span)), np.float32)
