"""One vector a track: where tracks lie to each other as wholes.

A track's vector in one space (encoder) is the mean of its rows, of unit length; bits count as -1
and 1.  The vectors of several spaces are centred on their common mean (else one direction that all
sounds share would make everything alike), brought to unit length, and put side by side, so that
the product of two vectors is the mean of their cosines over the spaces.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from earmark.errors import QueryError, nearest
from earmark.types import AnyArray, EncoderSpec, Float32Array, Int64Array, Store

_KINDS = frozenset({"semantic", "similar", "timbre"})
_BLOCK = 65_536


@dataclass(frozen=True)
class TrackVectors:
    """Tracks and their vectors: ids int64, shape (n,), ascending; rows float32, shape (n, d).

    All rows are of unit length; `spaces` names the encoders.
    """

    ids: Int64Array
    rows: Float32Array
    spaces: tuple[str, ...]

    def at(self, track: int) -> int:
        """Return the position of a track, or -1."""
        place = int(np.searchsorted(self.ids, track))
        return place if place < len(self.ids) and self.ids[place] == track else -1


def choose(store: Store, by: Sequence[str] = ()) -> dict[str, EncoderSpec]:
    """Return the encoders that say what resembles what, or those named by `by`.

    Raises
    ------
    QueryError
        If `by` names one that is not there, or there is none.
    """
    specs = store.encoders()
    for name in by:
        if name not in specs and name not in {spec.kind for spec in specs.values()}:
            known = sorted({*specs, *(spec.kind for spec in specs.values())})
            hint = nearest(name, known) or f"this library knows {', '.join(known) or 'none'}"
            raise QueryError(
                f"'by' must be an encoder or kind of this library, got {name!r}", hint=hint
            )
    chosen = {
        name: spec
        for name, spec in sorted(specs.items())
        if (name in by or spec.kind in by if by else spec.kind in _KINDS)
    }
    if not chosen:
        raise QueryError(
            "the library must have rows of an encoder that compares sounds, it has none",
            hint="earmark index PATH --encoders timbre",
        )
    return chosen


def track_vectors(
    store: Store, *, by: Sequence[str] = (), tracks: Int64Array | None = None
) -> TrackVectors:
    """Return a vector per track; tracks without rows in any of the spaces (silent) are left out.

    Parameters
    ----------
    store : Store
    by : sequence of str
        Encoders or kinds.  Default: all that say what resembles what.
    tracks : int64 array, optional
        Only these, ascending.
    """
    ids = store.track_ids() if tracks is None else tracks
    specs = choose(store, by)
    means = {name: _means(store, spec, ids) for name, spec in specs.items()}
    present = np.logical_and.reduce([np.isfinite(rows[:, 0]) for rows in means.values()])
    if not present.any():
        width = sum(rows.shape[1] for rows in means.values())
        return TrackVectors(ids[:0], np.zeros((0, width), np.float32), tuple(specs))
    return TrackVectors(ids[present], joined(means, present), tuple(specs))


def joined(means: Mapping[str, Float32Array], present: AnyArray) -> Float32Array:
    """Centre each space, bring it to unit length, and put all side by side."""
    parts = []
    for rows in means.values():
        kept = rows[present]
        if len(kept) > 2:
            kept = kept - kept.mean(axis=0)
        parts.append(_unit(kept) / np.float32(np.sqrt(len(means))))
    return np.concatenate(parts, axis=1).astype(np.float32)


def _means(store: Store, spec: EncoderSpec, ids: Int64Array) -> Float32Array:
    """Mean row of each track, shape (n, d), of unit length; NaN where there is none."""
    width = spec.rows.ndim
    result = np.full((len(ids), width), np.nan, np.float32)
    pending: list[Int64Array] = []
    places: list[int] = []
    count = 0
    for place, track in enumerate(ids.tolist()):
        keys = store.keys(spec.name, track)
        if not len(keys):
            continue
        pending.append(keys)
        places.append(place)
        count += len(keys)
        if count >= _BLOCK:
            result[places] = _block(store, spec, pending)
            pending, places, count = [], [], 0
    if places:
        result[places] = _block(store, spec, pending)
    return result


def _block(store: Store, spec: EncoderSpec, keys: Sequence[Int64Array]) -> Float32Array:
    rows = store.vectors(spec.name, np.concatenate(keys))
    if spec.rows.dtype == "bits":
        rows = np.unpackbits(rows, axis=1).astype(np.float32) * 2 - 1
    else:
        rows = _unit(rows) if spec.rows.metric == "cosine" else rows
    starts = np.cumsum([0, *(len(own) for own in keys[:-1])])
    return _unit(np.add.reduceat(rows, starts, axis=0))


def _unit(rows: AnyArray) -> Float32Array:
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(norms > 0, norms, 1), np.float32)
