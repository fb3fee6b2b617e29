"""The outline of a sound: its least and greatest samples over even steps."""

from __future__ import annotations

import numpy as np

from earmark import audio
from earmark.audio.media import Input
from earmark.types import AnyArray, Float32Array


def extremes(
    source: Input, per_second: float, *, name: str, start: float = 0.0, end: float | None = None
) -> Float32Array:
    """Decode a source and measure it in steps.

    Parameters
    ----------
    source : str or binary file
    per_second : float
        Steps a second; a step is never less than one sample.
    name : str
        What to call the source in messages.
    start, end : float
        In seconds.

    Returns
    -------
    float32 array, shape (n, 2)
        Least and greatest sample of each step.
    """
    with audio.decode(source, start=start, end=end, name=name, salvage=True) as blocks:
        rate = blocks.sample_rates[0]
        step = max(1, round(rate / per_second))
        found, rest = [], np.zeros(0, np.float32)
        for block in blocks:
            samples = np.concatenate([rest, block[rate]])
            whole = len(samples) // step * step
            table = samples[:whole].reshape(-1, step)
            found.append(np.stack([table.min(axis=1), table.max(axis=1)], axis=1))
            rest = samples[whole:]
    if len(rest):
        found.append(np.array([[rest.min(), rest.max()]], np.float32))
    return np.concatenate(found) if found else np.zeros((0, 2), np.float32)


def condense(outline: AnyArray, points: int) -> AnyArray:
    """Return an outline in (at most) so many points.

    Examples
    --------
    >>> condense(np.array([[-1, 2], [-3, 1], [0, 5]]), 2).tolist()
    [[-3, 2], [0, 5]]
    """
    if len(outline) <= points:
        return outline
    edges = np.linspace(0, len(outline), points, endpoint=False)
    first = np.unique(np.ceil(edges).astype(np.int64))
    return np.stack(
        [np.minimum.reduceat(outline[:, 0], first), np.maximum.reduceat(outline[:, 1], first)],
        axis=1,
    )


def to_bytes(outline: Float32Array) -> bytes:
    """Return an outline as int8, small enough to keep for every track."""
    return bytes(np.clip(np.rint(outline * 127.0), -127, 127).astype(np.int8))


def from_bytes(data: bytes) -> Float32Array:
    """Read what `to_bytes` wrote."""
    values: Float32Array = np.frombuffer(data, np.int8).reshape(-1, 2).astype(np.float32) / 127.0
    return values
