"""Descriptors of the course of level in time, and where a sound begins and ends.

Levels are in dB relative to the loudest block; blocks are 128 samples (5.8 ms).  Sources: Peeters
2004 (log attack time, temporal centroid).
"""

from __future__ import annotations

import itertools

import numpy as np

from earmark.features.timbre.spectra import SAMPLE_RATE
from earmark.types import Float32Array, Int64Array

BLOCK = 128
PRE_ROLL = 284
_GRID = np.concatenate([np.arange(0, 16, 2), np.geomspace(16, 340, 20)]).astype(np.int64)
_FLOOR_DB = -60.0
N_COURSE = len(_GRID) - 1
"""Leading columns of `envelope_stats`: the course of level."""
N_LENGTHS = 10
"""Columns after them: log2(1 + blocks) of attack, peak, centroid, spread, five lengths, all."""


def block_rms(samples: Float32Array) -> Float32Array:
    """Root mean square of blocks of 128 samples, shape (n, blocks) for (n, m); m padded."""
    rest = -samples.shape[1] % BLOCK
    blocks = np.pad(samples, ((0, 0), (0, rest))).reshape(len(samples), -1, BLOCK)
    power = np.einsum("nbi,nbi->nb", blocks, blocks) / np.float32(BLOCK)
    return np.asarray(np.sqrt(power), np.float32)


def bounds(samples: Float32Array) -> tuple[int, int]:
    """Where the sound in a clip, shape (m,), begins and ends, in samples.

    It begins where the level first comes within 40 dB of the loudest (and clearly above the
    background), and ends where it stays 50 dB below for good.
    """
    rms = block_rms(samples[None])[0]
    top = float(rms.max(initial=0))
    if not top > 0:
        return 0, len(samples)
    background = float(np.quantile(rms, 0.1))
    threshold = min(max(top * 0.01, 2.5 * background), top * 0.18)
    block = int(np.flatnonzero(rms >= threshold)[0]) * BLOCK
    # Some sample of the block reaches its root mean square.
    begin = block + int(np.argmax(np.abs(samples[block : block + BLOCK]) >= threshold))
    last = int(np.flatnonzero(rms >= top * 10 ** (-50 / 20))[-1])
    return begin, min(len(samples), (last + 1) * BLOCK)


def aligned(samples: Float32Array, begin: int, end: int) -> Float32Array:
    """The sound with 13 ms of what is before it, or of silence where there is nothing, so that
    its beginning lies at the same place of the first frame in every clip."""
    before = min(begin, PRE_ROLL)
    return np.pad(samples[begin - before : end], (PRE_ROLL - before, 0))


def envelope_stats(samples: Float32Array, lengths: Int64Array) -> Float32Array:
    """Form of the level in time: its course on a log grid, attack, decay, centroid, length,
    steadiness and tremor, shape (n, 46)."""
    rms = block_rms(samples)
    blocks = rms.shape[1]
    used = np.clip(-(-lengths // BLOCK), 1, blocks)
    inside = np.arange(blocks)[None] < used[:, None]
    rms = np.where(inside, rms, 0)
    top = np.maximum(rms.max(axis=1, keepdims=True), np.float32(1e-12))
    db = np.maximum(20 * np.log10(np.maximum(rms / top, np.float32(1e-6))), _FLOOR_DB)
    smooth = np.where(inside, _smooth(db, 5), np.float32(_FLOOR_DB))
    need = max(0, int(_GRID[-1]) - blocks)
    long = np.pad(smooth, ((0, 0), (0, need)), constant_values=_FLOOR_DB)
    steps = [long[:, a:b].mean(axis=1) for a, b in itertools.pairwise(_GRID)]
    course = np.stack(steps, axis=1)
    return np.concatenate([course, _scalars(db, smooth, rms, used)], axis=1).astype(np.float32)


def _scalars(
    db: Float32Array, smooth: Float32Array, rms: Float32Array, used: Int64Array
) -> Float32Array:
    n, blocks = db.shape
    at = np.arange(blocks, dtype=np.float32)[None]
    peak = rms.argmax(axis=1)
    near = (db >= -3).argmax(axis=1)
    power = rms**2
    total = np.maximum(power.sum(axis=1), np.float32(1e-20))
    centroid = (power * at).sum(axis=1) / total
    spread = np.sqrt(np.maximum((power * at**2).sum(axis=1) / total - centroid**2, 0))
    above = [(db >= q).sum(axis=1) for q in (-6, -12, -20, -30, -45)]
    columns = [np.log2(np.float32(1) + x) for x in (near, peak, centroid, spread, *above)]
    columns.append(np.log2(np.float32(1) + used))
    columns += [_slope(smooth, peak, used, span) for span in (12, 40, 120)]
    inside = at < used[:, None]
    loud = inside & (db > -30)
    rough = np.abs(np.diff(db, axis=1, prepend=db[:, :1])) * loud
    columns.append(rough.sum(axis=1) / np.maximum(loud.sum(axis=1), 1))
    tremor = np.abs(np.diff(smooth, axis=1, prepend=smooth[:, :1])) * loud
    columns.append(tremor.sum(axis=1) / np.maximum(loud.sum(axis=1), 1) * 4)
    columns += _beats(smooth, loud)
    return np.stack(columns, axis=1).astype(np.float32).reshape(n, -1)


def _slope(db: Float32Array, peak: Int64Array, used: Int64Array, span: int) -> Float32Array:
    """Fall of the level from the loudest block to `span` blocks after it, in dB."""
    last = np.minimum(peak + span, db.shape[1] - 1)
    rows = np.arange(len(db))
    return np.asarray(np.where(peak + span < used, db[rows, last], _FLOOR_DB), np.float32)


def _beats(smooth: Float32Array, loud: np.ndarray) -> list[Float32Array]:
    """How much the level goes up and down at 2-5, 5-10 and 10-25 Hz, log-compressed."""
    size = 256
    mean = (smooth * loud).sum(axis=1, keepdims=True) / np.maximum(
        loud.sum(axis=1, keepdims=True), 1
    )
    wave = np.where(loud, smooth - mean, 0)[:, :size]
    magnitude = np.abs(np.fft.rfft(wave, n=size, axis=1))
    rate = SAMPLE_RATE / BLOCK / size
    edges = [round(f / rate) for f in (2, 5, 10, 25)]
    return [np.log1p(magnitude[:, a:b].mean(axis=1)) for a, b in itertools.pairwise(edges)]


def _smooth(values: Float32Array, width: int) -> Float32Array:
    padded = np.pad(values, ((0, 0), (width // 2, 0)), mode="edge")
    padded = np.pad(padded, ((0, 0), (0, width // 2)), constant_values=_FLOOR_DB)
    running = np.cumsum(np.pad(padded, ((0, 0), (1, 0))), axis=1, dtype=np.float64)
    return ((running[:, width:] - running[:, :-width]) / width).astype(np.float32)
