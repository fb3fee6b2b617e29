"""Searches that weigh aspects: ``timbre=1,pitch=.3,brightness=+0.2``.

Names of an encoder's `aspects` weigh a similarity to the example; those of its `nudges` pull away
from it, in a direction: brightness=+0.2 prefers what is brighter than the example, and the weight
says how much that counts beside the rest.  Words do the same: brighter, darker=.4.

A row scores the weighted mean of similarities and differences.  Candidates are all rows of a
library up to `EXACT_ROWS`; above that the rows nearest in timbre, unless something else is asked
for above all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from earmark.errors import QueryError, nearest
from earmark.library.searching import Options, Weighted, thin
from earmark.match import TrackMatch
from earmark.types import (
    AnyArray,
    AspectEncoder,
    Encoded,
    EncoderSpec,
    Float64Array,
    Int64Array,
    Segments,
    Store,
)

WORDS: Mapping[str, tuple[str, float]] = {
    "overall": ("timbre", 1.0),
    "level": ("loudness", 1.0),
    "amplitude": ("loudness", 1.0),
    "brighter": ("brightness", 1.0),
    "darker": ("brightness", -1.0),
    "longer": ("length", 1.0),
    "shorter": ("length", -1.0),
    "harder": ("attack", 1.0),
    "softer": ("attack", -1.0),
    "noisier": ("noisiness", 1.0),
    "tonal": ("noisiness", -1.0),
}
"""Other names: what they stand for, and the sign."""

_NUDGE = 0.3
"""What a nudge weighs that is named without a number."""
_NUDGES = ("brightness", "length", "attack", "noisiness")

EXACT_ROWS = 50_000
_CANDIDATES = 16_384
_MAIN_SHARE = 0.3
_MAX_ROWS = 64
"""A longer query is thinned to this many rows."""


def parse(text: str) -> dict[str, float]:
    """Read weights: ``NAME=W,...``; a name alone counts 1, a nudge alone 0.3.

    Raises
    ------
    QueryError
        If it is not of this form.

    Examples
    --------
    >>> parse("timbre=1, pitch=.3,darker")
    {'timbre': 1.0, 'pitch': 0.3, 'brightness': -0.3}
    """
    weights: dict[str, float] = {}
    for part in text.split(","):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        stands, sign = WORDS.get(name, (name, 1.0))
        number = _number(name, value) if equals else _NUDGE if stands in _NUDGES else 1.0
        if not name or stands in weights:
            what = f"{stands!r} twice" if name else "an empty name"
            raise QueryError(
                f"aspects must be NAME=WEIGHT with commas between, each once, got {what}",
                hint="for example timbre=1,pitch=.3,brightness=+0.2",
            )
        weights[stands] = sign * number
    return weights


def _number(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or abs(value) > 100:
        raise QueryError(
            f"the weight of an aspect must be a number from -100 to 100, got {name}={text}",
            hint="for example timbre=1,pitch=.3,brightness=+0.2",
        )
    return value


def normal(given: str | Mapping[str, float] | None) -> dict[str, float]:
    """Return weights however they were given; empty if they were not."""
    if given is None:
        return {}
    if isinstance(given, str):
        return parse(given)
    return parse(",".join(f"{name}={value!r}" for name, value in given.items())) if given else {}


def checked(weights: Mapping[str, float], encoder: AspectEncoder) -> dict[str, float]:
    """Check names against an encoder's; nudges alone are beside the timbre as a whole.

    Raises
    ------
    QueryError
        For an unknown name (the hint shows the nearest), or if nothing weighs anything.
    """
    known = (*encoder.aspects, *encoder.nudges)
    for name in weights:
        if name not in known:
            near = nearest(name, (*known, *WORDS))
            raise QueryError(
                f"there is no aspect {name!r}", hint=near or f"known: {', '.join(known)}"
            )
    found = dict(weights)
    if not any(name in encoder.aspects for name in found):
        found = {encoder.aspects[0]: 1.0} | found
    if not any(found.values()):
        raise QueryError("at least one aspect must have a weight other than 0, got none")
    return found


def search(
    store: Store,
    spec: EncoderSpec,
    encoder: AspectEncoder,
    liked: Sequence[Weighted],
    unliked: Sequence[Weighted],
    weights: Mapping[str, float],
    options: Options,
) -> list[TrackMatch]:
    """Return the `options.k` tracks that score best by weighed aspects.

    Parameters
    ----------
    weights : mapping
        As `checked` gives them.

    Returns
    -------
    list of TrackMatch
        Best first; `score` is the weighted mean over the aspects, `aspects` holds the parts.
        With several liked probes their mean, minus that of the unliked ones, as
        `searching.search_probes` weighs them.
    """
    probes = [thin(one.probe, _MAX_ROWS) for one in liked]
    keys = _candidates(store, spec, probes, weights, encoder, options)
    segments = store.locate(spec.name, keys)
    there = segments.tracks >= 0
    if options.exclude:
        there &= ~np.isin(segments.tracks, np.fromiter(options.exclude, np.int64))
    keys = keys[there]
    if not len(keys):
        return []
    segments = Segments(segments.tracks[there], segments.starts[there], segments.ends[there])
    rows = store.vectors(spec.name, keys, form="refine")
    tracks, owner = np.unique(segments.tracks, return_inverse=True)
    table = _Table(encoder, rows, owner, len(tracks), weights)
    good = [table.scores(probe) for probe in probes]
    shares = [one.weight for one in liked]
    total = np.average([score for score, _, _ in good], axis=0, weights=shares)
    if unliked:
        bad = [table.scores(thin(one.probe, _MAX_ROWS))[0] for one in unliked]
        worst = [one.weight for one in unliked]
        total = total - max(worst) / max(shares) * np.average(bad, axis=0, weights=worst)
    preferred = np.isin(tracks, np.fromiter(options.prefer, np.int64))
    order = np.lexsort((tracks, ~preferred, -np.round(total, 9)))[: options.k]
    found = []
    for i in order:
        # The moment is that of the liked probe which the track resembles most.
        probe = int(np.argmax([score[i] for score, _, _ in good]))
        row, query = int(good[probe][1][i]), int(good[probe][2][i])
        times = probes[probe].segments[query]
        parts = encoder.compare(_refine(probes[probe])[query], rows[row : row + 1])
        match = TrackMatch(
            track=int(tracks[i]),
            distance=float(1 - total[i]),
            score=float(total[i]),
            start=float(segments.starts[row]),
            end=float(segments.ends[row]),
            query_start=float(times[0]),
            query_end=float(times[1]),
        )
        chosen = {name: round(float(values[0]), 4) for name, values in parts.items()}
        found.append(replace(match, aspects=chosen))
    return found


class _Table:
    """Candidate rows with their tracks, and what they score for a probe."""

    def __init__(
        self,
        encoder: AspectEncoder,
        rows: AnyArray,
        owner: Int64Array,
        tracks: int,
        weights: Mapping[str, float],
    ) -> None:
        self._encoder, self._rows, self._weights = encoder, rows, weights
        self._order = np.argsort(owner, kind="stable")
        counts = np.bincount(owner, minlength=tracks)
        self._starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
        self._counts = counts

    def scores(self, probe: Encoded) -> tuple[Float64Array, Int64Array, Int64Array]:
        """Score of each track, the best row of it, and the query's row that it answers.

        The score is the mean over the query's rows of the track's best row, all shape (tracks,).
        """
        size = sum(abs(w) for w in self._weights.values())
        best = np.full(len(self._counts), -np.inf)
        row, asked = (np.zeros(len(self._counts), np.int64) for _ in range(2))
        total = np.zeros(len(self._counts))
        queries = _refine(probe)
        for number, query in enumerate(queries):
            parts = self._encoder.compare(query, self._rows)
            value = np.zeros(len(self._rows))
            for name, weight in self._weights.items():
                value += weight * parts[name]
            value = value[self._order] / size
            top = np.maximum.reduceat(value, self._starts)
            total += top
            at = np.flatnonzero(value >= np.repeat(top, self._counts))
            first = at[np.searchsorted(at, self._starts)]
            better = top > best
            row[better], asked[better] = self._order[first[better]], number
            best = np.maximum(best, top)
        return total / len(queries), row, asked


def _refine(probe: Encoded) -> AnyArray:
    if probe.refine is None:
        raise QueryError("this query has no aspects", hint="index the library anew")
    return probe.refine


def _candidates(
    store: Store,
    spec: EncoderSpec,
    liked: Sequence[Encoded],
    weights: Mapping[str, float],
    encoder: AspectEncoder,
    options: Options,
) -> Int64Array:
    """Keys of the rows to look at, ascending."""
    rows = next((s.rows - s.dead_rows for s in store.stats().spaces if s.encoder == spec.name), 0)
    share = abs(weights.get(encoder.aspects[0], 0.0)) / sum(abs(w) for w in weights.values())
    everything = options.exact or rows <= EXACT_ROWS or share < _MAIN_SHARE
    probes = liked[:1] if everything else liked
    found = []
    for probe in probes:
        queries = probe.rows[:1] if everything else probe.rows
        k = max(1, rows) if everything else _CANDIDATES
        found.append(store.search(spec.name, queries, k, tracks=options.tracks).keys.ravel())
    keys = np.unique(np.concatenate(found))
    return np.asarray(keys[keys >= 0])
