"""Windows over a contour, in the form that the embedding takes.

A window is `POINTS` points of a contour, evenly spaced over it, whatever its length in seconds:
that is what makes a slow hum and a fast tune comparable.  The key goes by subtracting the median;
rests hold the pitch before them, and a second channel says where something sounds.
"""

from __future__ import annotations

import numpy as np

from earmark.melody.notes import HOP
from earmark.types import Float32Array, Float64Array

POINTS = 64
"""Points of a window."""

SECONDS = 4.0
"""Length of a target's window."""

STEP = 0.5
"""Seconds between a target's windows."""

LEAST_VOICED = 0.2
"""Part of a window in which something must sound."""

LEAST_CHANGE = 0.5
"""Semitones between the highest and the lowest pitch of a window that is a melody at all."""

LEAST_SECONDS = 1.0
"""Seconds that must sound in a query."""

LEAST_RANGE = 0.9
"""Semitones that a query must move: less is one note."""

_REACH = 18.0
_SCALE = 5.0


def sample(contour: Float32Array, starts: Float64Array, seconds: float) -> Float32Array:
    """Return the points of windows.

    Parameters
    ----------
    contour : float32 array, shape (frames,)
    starts : float64 array, shape (n,)
        Where the windows begin, in seconds; what lies outside of the contour is rest.
    seconds : float
        Their length.

    Returns
    -------
    float32 array, shape (n, POINTS)
        Pitches, 0 for rests.
    """
    times = starts[:, None] + (np.arange(POINTS) + 0.5) * (seconds / POINTS)
    index = np.floor(times / HOP).astype(np.int64)
    inside = (index >= 0) & (index < len(contour))
    if not len(contour):
        return np.zeros(index.shape, np.float32)
    return np.where(inside, contour[np.clip(index, 0, len(contour) - 1)], 0).astype(np.float32)


def hold(points: Float32Array) -> Float32Array:
    """Return pitches whose rests take the pitch before them, or at the beginning the one after.

    Parameters
    ----------
    points : float32 array, shape (n, m)
        Pitches, 0 for rests.

    Examples
    --------
    >>> hold(np.array([[0, 60, 0, 62, 0]], np.float32))
    array([[60., 60., 60., 62., 62.]], dtype=float32)
    """
    columns = np.arange(points.shape[1])
    last = np.maximum.accumulate(np.where(points > 0, columns, -1), axis=1)
    first = np.argmax(points > 0, axis=1)
    source = np.where(last >= 0, last, first[:, None])
    return np.take_along_axis(points, source, axis=1)


def features(points: Float32Array) -> Float32Array:
    """Return what the embedding takes.

    Parameters
    ----------
    points : float32 array, shape (n, POINTS)
        Pitches, 0 for rests.

    Returns
    -------
    float32 array, shape (n, 2, POINTS)
        Pitch less the median of the window, a fifth of it; and 1 where it sounds.
    """
    held = hold(points)
    centred = held - np.median(held, axis=1, keepdims=True)
    pitch = np.clip(centred, -_REACH, _REACH) / _SCALE
    return np.stack([pitch, points > 0], axis=1).astype(np.float32)


def has_melody(points: Float32Array) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Whether each window, shape (n, POINTS), has enough sound and more than one pitch."""
    voiced = points > 0
    highest = np.max(points, axis=1, initial=0)
    lowest = np.min(np.where(voiced, points, np.inf), axis=1, initial=np.inf)
    enough: np.ndarray[tuple[int], np.dtype[np.bool_]] = (voiced.mean(axis=1) >= LEAST_VOICED) & (
        highest - lowest >= LEAST_CHANGE
    )
    return enough
