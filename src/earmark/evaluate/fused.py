"""Several encoders fused as a search fuses them, over a whole manifest.

Every encoder compares all items with all; each distance is corrected for hubs and each query's
ranks are weighed by what kind of sound it is (`earmark.fusing`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from earmark import fusing
from earmark.evaluate import retrieval
from earmark.types import EncoderSpec, Float64Array, Int64Array, Store


class FusedRanking:
    """Ranks all items for each query.

    Parameters
    ----------
    store : Store
    specs : mapping of str to EncoderSpec
    tracks : sequence of int
        The items.
    tie : int64 array, shape (n,)
        Orders equal items.
    """

    def __init__(
        self,
        store: Store,
        specs: Mapping[str, EncoderSpec],
        tracks: Sequence[int],
        tie: Int64Array,
    ) -> None:
        self._specs = specs
        self._tie = tie
        self._tables = {name: _table(store, spec, tracks) for name, spec in specs.items()}
        self._tasks = _tasks(store, tracks)

    @property
    def present(self) -> int:
        """How many items have rows of any of the encoders."""
        seen = [np.isfinite(table).any(axis=0) for table in self._tables.values()]
        return int(np.logical_or.reduce(seen).sum())

    def rank(self, query: int) -> Int64Array:
        """Return items, best first; none if no encoder heard the query."""
        weights = fusing.weights_for(self._specs, self._tasks[query])
        score: Float64Array = np.zeros(len(self._tie))
        heard = False
        for name, table in self._tables.items():
            away = table[query].copy()
            if not np.isfinite(away).any():
                continue
            heard = True
            away[query] = -np.inf  # a search finds the query itself first
            order = np.lexsort((self._tie, away))
            score[order] += weights[name] / (fusing.RANK_DAMPING + 1 + np.arange(len(order)))
        if not heard:
            return np.zeros(0, np.int64)
        return np.lexsort((self._tie, -np.round(score, 12)))


def _table(store: Store, spec: EncoderSpec, tracks: Sequence[int]) -> Float64Array:
    """Distances of all items to all, shape (queries, items), corrected for hubs."""
    rows, owners = retrieval.load(store, spec, tracks)
    present = np.unique(owners)
    count = len(tracks)
    table = np.stack(
        [retrieval.distances_of(spec, rows, owners, q, present, count) for q in range(count)]
    )
    others = np.where(np.isfinite(table), table, np.nan)
    np.fill_diagonal(others, np.nan)
    nearest = np.sort(others, axis=0)[: fusing.HUB_NEAREST]  # NaN sorts last
    known = np.isfinite(nearest)
    sums = np.where(known, nearest, 0.0).sum(axis=0)
    near = np.where(known.any(axis=0), sums / np.maximum(known.sum(axis=0), 1), np.nan)
    return fusing.without_hubs(table, near)


def _tasks(store: Store, tracks: Sequence[int]) -> list[str]:
    """What kind of sound each item is, by its stored labels."""
    labels = store.labels(tracks)
    seconds = {track.id: track.duration for track in store.tracks(tracks)}
    tasks = []
    for track in tracks:
        own = labels.get(track)
        scores = (
            {label.name: label.score for given in own.values() for label in given} if own else None
        )
        if own is None and labels:
            scores = {}  # the tagger heard nothing of note
        tasks.append(fusing.task_of(scores, seconds.get(track, 0.0)))
    return tasks
