"""Audio that is in memory already."""

from __future__ import annotations

import numpy as np

from earmark.audio.media import MAX_CHANNELS
from earmark.audio.resampling import StreamResampler
from earmark.audio.streaming import check_rate
from earmark.errors import DecodeError
from earmark.types import AnyArray, Clip, Float32Array


def read_array(
    samples: AnyArray, sample_rate: int, *, target_rate: int | None = None, name: str = "array"
) -> Clip:
    """Make a clip of samples in memory.

    Parameters
    ----------
    samples : array, shape (n,) or (channels, n)
        Floats are taken as they are, integers scaled by their type's range to [-1, 1).
    sample_rate : int
        In Hz.
    target_rate : int, optional
        In Hz; default `sample_rate`.

    Returns
    -------
    Clip
        Mono (the mean of the channels), float32.

    Raises
    ------
    DecodeError
        For no samples, NaN or infinity, or an array of another shape or type.
    UsageError
        For a sample rate out of range.

    Examples
    --------
    >>> read_array(np.zeros((2, 44100)), 44100, target_rate=22050).duration
    1.0
    """
    check_rate(sample_rate)
    target = sample_rate if target_rate is None else target_rate
    check_rate(target)
    array = np.asarray(samples)
    if array.ndim not in (1, 2) or array.dtype.kind not in "fiu":
        raise DecodeError(
            name,
            "samples must be real numbers of shape (n,) or (channels, n), "
            f"got {array.dtype} of shape {array.shape}",
        )
    if array.ndim == 2 and array.shape[0] > MAX_CHANNELS:
        raise DecodeError(
            name,
            f"samples must be (channels, n) with at most {MAX_CHANNELS} channels, "
            f"got shape {array.shape}",
            hint="transpose the array",
        )
    if not array.size:
        raise DecodeError(name, "holds no audio: its length is zero")
    mono = _scaled(array)
    if not np.isfinite(mono).all():
        first = int(np.argmin(np.isfinite(mono))) / sample_rate
        raise DecodeError(name, f"samples must be finite, NaN or infinity at {first:.3f} s")
    converter = StreamResampler(sample_rate, target)
    return Clip(np.concatenate([converter.push(mono), converter.finish()]), target, 0.0, name)


def _scaled(array: AnyArray) -> Float32Array:
    """Mono float32 of samples of any real type."""
    floats = array.astype(np.float64)
    if array.dtype.kind in "iu":
        info = np.iinfo(array.dtype)
        half = (float(info.max) - float(info.min) + 1.0) / 2.0
        floats = (floats - (float(info.min) + half)) / half
    mono = floats.mean(axis=0) if floats.ndim == 2 else floats
    with np.errstate(over="ignore"):
        return mono.astype(np.float32)
