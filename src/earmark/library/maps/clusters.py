"""Groups on the map, and names for them.

Groups are dense places of the layout, by HDBSCAN (Campello, Moulavi and Sander, 2013).  Of more
than `MOST` tracks a seeded sample is grouped, and each other track joins the group of the sampled
track nearest to it.  A group is called by the labels that its tracks have more of than the rest,
without any by the words in the names of its files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from earmark.errors import NotAvailable
from earmark.library.maps.layout import nearest
from earmark.types import Float32Array, Int64Array, Store, Track

MOST = 20_000
_Terms = dict[str, float]

_SAMPLE = 60
_WORDS = 2


@dataclass(frozen=True)
class Cluster:
    """A named group: its number, name, middle, and how many tracks it has."""

    id: int
    name: str
    x: float
    y: float
    size: int


def group(places: Float32Array, *, seed: int) -> Int64Array:
    """Return the group of each place, shape (n,), numbered by size from 0; -1 belongs to none.

    Raises
    ------
    NotAvailable
        If scikit-learn is not installed.
    """
    if len(places) < 10:
        return np.zeros(len(places), np.int64)
    try:
        from sklearn.cluster import HDBSCAN
    except ImportError:
        raise NotAvailable(
            "groups on a map need the package scikit-learn", hint="pip install 'earmark[map]'"
        ) from None
    chosen = np.arange(len(places))
    if len(places) > MOST:
        chosen = np.sort(np.random.default_rng(seed).choice(len(places), MOST, replace=False))
    least = max(5, len(chosen) // 120)
    found = HDBSCAN(min_cluster_size=least, min_samples=5, copy=True).fit(places[chosen])
    labels = np.asarray(found.labels_, np.int64)
    if len(chosen) < len(places):
        near, _ = nearest(places[chosen], places, 1)
        labels = labels[near[:, 0]]
    return _by_size(labels)


def _by_size(labels: Int64Array) -> Int64Array:
    numbers, counts = np.unique(labels[labels >= 0], return_counts=True)
    order = numbers[np.argsort(-counts, kind="stable")]
    renumbered = np.full(len(labels), -1, np.int64)
    for new, old in enumerate(order):
        renumbered[labels == old] = new
    return renumbered


def name_groups(
    store: Store, tracks: Int64Array, places: Float32Array, groups: Int64Array, *, seed: int
) -> tuple[Cluster, ...]:
    """Name all groups and find their middles."""
    rng = np.random.default_rng(seed)
    numbers = [int(n) for n in np.unique(groups) if n >= 0]
    members = {n: np.flatnonzero(groups == n) for n in numbers}
    sample = {n: rng.permutation(m)[:_SAMPLE] for n, m in members.items()}
    everywhere = rng.permutation(len(tracks))[: 20 * _SAMPLE]
    asked = np.unique(np.concatenate([everywhere, *sample.values()])) if numbers else everywhere
    heard, called = _terms(store, tracks[asked].tolist())
    whole = tracks[everywhere].tolist()
    common = [_mean(whole, terms) for terms in (heard, called)]
    used: set[str] = set()
    clusters = []
    for n in numbers:
        own = [_mean(tracks[sample[n]].tolist(), terms) for terms in (heard, called)]
        names = (_name(mine, all_, used) for mine, all_ in zip(own, common, strict=True))
        name = next(filter(None, names), f"group {n + 1}")
        used.add(name)
        middle = np.median(places[members[n]], axis=0)
        clusters.append(Cluster(n, name, float(middle[0]), float(middle[1]), len(members[n])))
    return tuple(clusters)


def _terms(store: Store, tracks: Sequence[int]) -> tuple[dict[int, _Terms], dict[int, _Terms]]:
    """What each track is about: its labels with their scores, and the words of its name."""
    labels = store.labels(tracks)
    heard = {
        track: {label.name: label.score for given in own.values() for label in given}
        for track, own in labels.items()
    }
    called = {track.id: dict.fromkeys(_words(track), 1.0) for track in store.tracks(tracks)}
    return heard, called


def _words(track: Track) -> list[str]:
    name = track.title or track.path.rpartition("/")[2].rpartition(".")[0]
    folder = track.path.rpartition("/")[0].rpartition("/")[2]
    text = f"{folder} {name}".encode("utf-8", "replace").decode("utf-8")
    return [w.lower() for w in re.findall(r"[^\W\d_]{3,}", text)]


def _mean(tracks: Sequence[int], terms: Mapping[int, _Terms]) -> dict[str, float]:
    total: dict[str, float] = {}
    for track in tracks:
        for name, score in terms.get(track, {}).items():
            total[name] = total.get(name, 0.0) + score / len(tracks)
    return total


def _name(own: Mapping[str, float], common: Mapping[str, float], used: set[str]) -> str:
    """The terms that stand out most; more of them if the name is taken."""
    gain = {name: score * score / (common.get(name, 0.0) + 0.02) for name, score in own.items()}
    ranked = sorted(gain, key=lambda name: (-gain[name], name))
    ranked = [name for name in ranked if own[name] >= 0.05]
    for count in range(1, len(ranked) + 1):
        best = gain[ranked[0]]
        chosen = [n for n in ranked[: max(count, _WORDS)] if gain[n] > 0.3 * best or count > _WORDS]
        name = ", ".join(chosen)
        if name not in used:
            return name
    return ""
