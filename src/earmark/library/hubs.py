"""How near tracks are to everything: what `earmark.fusing` takes off before ranks are fused.

For a track some of its own rows are asked with; the mean score of its nearest other tracks says
how much of a hub it is.  What was found is kept as long as the library is open: as tracks come and
go it drifts, which costs a little of the gain and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from earmark import distance as distances
from earmark import fusing
from earmark.match import TrackMatch
from earmark.types import EncoderSpec, Float64Array, Int64Array, Store

CANDIDATES = 50
"""The first of each ranking are corrected; what is behind them stays behind."""

_ROWS = 2
_NEIGHBORS = 4 * fusing.HUB_NEAREST
_MOST_KEPT = 1_000_000


class Hubs:
    """Mean scores of tracks' nearest others, found when first asked for."""

    def __init__(self) -> None:
        self._near: dict[tuple[str, str, int], float] = {}

    def corrected(
        self, store: Store, spec: EncoderSpec, matches: Sequence[TrackMatch]
    ) -> list[TrackMatch]:
        """Return matches, best first, ordered without the advantage of hubs; scores stay."""
        some, rest = list(matches[:CANDIDATES]), list(matches[CANDIDATES:])
        if len(some) < 2:
            return [*some, *rest]
        near = self.near(store, spec, [match.track for match in some])
        scores = np.array([match.score for match in some])
        away = fusing.without_hubs(-scores, -near)
        order = np.lexsort((np.arange(len(some)), np.round(away, 9)))
        return [*(some[i] for i in order), *rest]

    def near(self, store: Store, spec: EncoderSpec, tracks: Sequence[int]) -> Float64Array:
        """Return the mean score of each track's nearest others, shape (n,); NaN without any."""
        key = (spec.name, spec.revision)
        missing = [track for track in tracks if (*key, track) not in self._near]
        if missing:
            if len(self._near) > _MOST_KEPT:
                self._near.clear()
            for track, value in zip(missing, _measure(store, spec, missing), strict=True):
                self._near[(*key, track)] = float(value)
        return np.array([self._near[(*key, track)] for track in tracks])


def _measure(store: Store, spec: EncoderSpec, tracks: Sequence[int]) -> Float64Array:
    keys: list[Int64Array] = []
    owners: list[int] = []
    for place, track in enumerate(tracks):
        own = store.keys(spec.name, track)
        if len(own):
            some = np.unique(own[np.round(np.linspace(0, len(own) - 1, _ROWS)).astype(np.int64)])
            keys.append(some)
            owners += [place] * len(some)
    result = np.full(len(tracks), np.nan)
    if not keys:
        return result
    chosen = np.concatenate(keys)
    rows = store.vectors(spec.name, chosen)
    second = None
    if spec.refine is not None:
        second = store.vectors(spec.name, chosen, form="refine")
    found = store.search(spec.name, rows, _NEIGHBORS, refine=second)
    segments = store.locate(spec.name, found.keys.ravel())
    near = _means(
        found.distances.astype(np.float64),
        segments.tracks.reshape(found.keys.shape),
        np.array(tracks)[owners],
    )
    form = spec.refine or spec.rows
    for place in range(len(tracks)):
        mine = near[np.array(owners) == place]
        mine = mine[np.isfinite(mine)]
        if len(mine):
            result[place] = distances.score(form.metric, form.ndim, float(mine.mean()))
    return result


def _means(away: Float64Array, found: Int64Array, own: Int64Array) -> Float64Array:
    """Mean distance of the nearest other tracks of each row, shape (rows,)."""
    means = np.full(len(away), np.nan)
    for row in range(len(away)):
        others = (found[row] >= 0) & (found[row] != own[row]) & np.isfinite(away[row])
        _, first = np.unique(found[row][others], return_index=True)
        nearest = np.sort(away[row][others][first])[: fusing.HUB_NEAREST]
        if len(nearest):
            means[row] = nearest.mean()
    return means
