"""Which recording a query is, and where in it: candidates, evidence, confidence.

Rows of the fingerprint that are near the query's vote for lines (`sequence.vote`); the lines with
the most votes are looked at exactly, with both kinds of rows, and their evidence becomes the
probability that they are right.  At first only every other row of the query is made, and half of
these are asked; only if that gives no certain answer are all of them, and the rows of the spectral
code too.  Where a line says
that the query was played at another speed, codes are compared at the track's speed, for codes do
not follow changes of speed.

Conventions: those of `earmark.identify.sequence`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from earmark import spectral_code
from earmark.identify import confidence, sequence
from earmark.identify.confidence import LONG, Calibration, Evidence
from earmark.identify.query_codes import QueryCodes, split_codes
from earmark.identify.rivals import Place, rival_weights, same_sound
from earmark.identify.rows import Rows
from earmark.identify.sequence import Fine, Line
from earmark.types import Encoded, Float32Array, Float64Array, GradualQuery


@dataclass(frozen=True)
class Match:
    """A track that a query was found in.

    Times are in seconds; `speed` is seconds of track per second of query; `confidence` is the
    probability that this is right.
    """

    track: int
    confidence: float
    start: float
    end: float
    query_start: float
    query_end: float
    speed: float
    evidence: Evidence

    @property
    def offset(self) -> float:
        """The track's time at the query's beginning, in seconds."""
        return self.start - self.speed * self.query_start


TRUSTED, UNCONFIRMED = 1.0, 0.4
"""Evidence of vectors from which a line is worth trying other speeds, if the codes' evidence is
less than this share of it."""

NEARLY = 0.012
"""Speeds this near to 1 are looked at as 1 too."""

EXPECTED = 1.15
"""Evidence of a line that goes on with what was heard before counts so many times: where music
repeats itself, several lines are equally good."""

NOTHING = Evidence()

SPEED_TURNS = (-0.03, -0.02, -0.01, 0.01, 0.02, 0.03)
CODE_GRID = Fine(
    offset_reach=0.1875,
    offset_step=0.03125,
    speed_reach=0.0,
    speed_step=0.005,
    threshold=0.2,
    speed_cost=0.0,
)


@dataclass(frozen=True)
class Search:
    """How thoroughly to look.

    `near` rows are asked for `every` so manyth row of the query, in so many `probes` of an index.
    Of `lines` that get votes the best `coded` are looked at with codes, the best `turned` at
    other speeds if need be, and the speed of the `polished` best is made exact; `matches` are
    returned at most.  Codes are asked every `code_step` phases (1/32 s), more sparsely where
    codes times rows exceed `code_work`.
    """

    near: int = 20
    every: int = 1
    probes: int = 24
    lines: int = 40
    coded: int = 16
    turned: int = 5
    polished: int = 2
    matches: int = 10
    code_step: int = 4
    code_work: float = 1e8


AT_FIRST = Search(every=2, probes=8, lines=12, coded=5, turned=2, polished=1)
MADE_AT_FIRST = 2
"""Every so manyth row of a query is made for the first look."""

CERTAIN = 0.98
"""A first look is enough if its best match is right with this probability."""


def identify(
    asked: Encoded | GradualQuery,
    codes: QueryCodes | None,
    vectors: Rows | None,
    code_rows: Rows | None,
    *,
    calibration: Calibration | None = None,
    certain: float = CERTAIN,
    expected: Sequence[Line] = (),
) -> list[Match]:
    """Find the tracks that a query was taken from.

    Parameters
    ----------
    asked : Encoded or GradualQuery
        The query's fingerprint rows, evenly spaced.
    codes : QueryCodes, optional
        Its spectral code.
    vectors, code_rows : Rows, optional
        What to search; at least one.
    calibration : Calibration, optional
    certain : float
        Probability of the first look's best match from which on it is the answer; above 1 all
        is always looked at.
    expected : sequence of Line
        Lines to look at whatever votes they get, and to prefer to others of the same track that
        are hardly better: those on which the sound before this query lay.

    Returns
    -------
    list of Match
        Best first, one of each track; empty if nothing speaks for any track.
    """
    if calibration is None:
        if vectors is None:
            calibration = confidence.CODES_ALONE
        else:
            both = code_rows is not None and codes is not None
            calibration = confidence.BOTH if both else confidence.VECTORS_ALONE
    first = asked if isinstance(asked, Encoded) else asked.encode(every=MADE_AT_FIRST)
    query = _Query.of(first, codes)
    quick = _Hunt(query, vectors, code_rows, calibration, AT_FIRST, tuple(expected))
    if isinstance(asked, Encoded):
        quick = replace(quick, search=replace(AT_FIRST, every=AT_FIRST.every * MADE_AT_FIRST))
    if vectors is not None and len(query.times) >= 2 * quick.search.every:
        found = quick.best(quick.vector_lines(), [])
        if found and quick.sure(found[0]) >= certain:
            return quick.matches(found)
    if not isinstance(asked, Encoded):
        query = _Query.of(asked.encode(), codes)
    whole = replace(quick, query=query, search=Search())
    lines = whole.vector_lines()
    return whole.matches(whole.best(lines, whole.code_lines(lines)))


@dataclass(frozen=True)
class _Query:
    """A query in both forms; `times` are the middles of its fingerprint rows."""

    rows: Float32Array
    times: Float64Array
    half: float
    codes: QueryCodes | None
    seconds: float
    variety: tuple[float, float] = (1.0, 1.0)
    """Of how many different vectors and codes it consists."""

    @classmethod
    def of(cls, encoded: Encoded, codes: QueryCodes | None) -> _Query:
        segments = encoded.segments
        half = float(np.ptp(segments[0])) / 2 if len(segments) else 0.5
        seconds = float(np.ptp(segments)) if len(segments) else 0.0
        if codes is not None:
            seconds = max(seconds, codes.duration)
        return cls(
            encoded.rows, segments.mean(axis=1), half, codes, seconds, _variety(encoded, codes)
        )

    def asked(self, span: tuple[float, float]) -> float:
        """Seconds that a match is judged by: all of a short query, of a long one what matched."""
        return min(self.seconds, max(LONG, span[1] - span[0]))


def _variety(encoded: Encoded, codes: QueryCodes | None) -> tuple[float, float]:
    """Of rows half a second apart, and of codes an eighth apart, as tracks have them."""
    starts = encoded.segments[:, 0]
    step = max(1, round(0.5 / max(float(np.diff(starts).min(initial=0.5)), 1e-3)))
    vectors = confidence.variety(encoded.rows[::step].astype(np.float32, copy=False))
    if codes is None:
        return vectors, 1.0
    projections = codes.at(1.0)[1][:: codes.PHASES]
    return vectors, confidence.variety(spectral_code.soft(projections))


@dataclass(frozen=True)
class _Found:
    """What is known of a line so far."""

    track: int
    offset: float
    speed: float
    evidence: Evidence = NOTHING
    span: tuple[float, float] = (0.0, 0.0)
    favour: float = 1.0

    @property
    def place(self) -> Place:
        """Where the query lies in the track."""
        return Place(self.track, self.offset, self.speed, self.span)

    @property
    def rank(self) -> tuple[float, int]:
        """Best first when sorted."""
        return -self.evidence.weight * self.favour, self.track


@dataclass(frozen=True)
class _Hunt:
    """One query on its way through a library."""

    query: _Query
    vectors: Rows | None
    code_rows: Rows | None
    calibration: Calibration
    search: Search
    expected: tuple[Line, ...] = ()

    def sure(self, found: _Found) -> float:
        """Probability that a line is right."""
        kinds = (self.vectors, self.code_rows)
        total = max(rows.total for rows in kinds if rows is not None)
        seconds = self.query.asked(found.span)
        return self.calibration.confidence(
            found.evidence, rows=total, seconds=seconds, speed=found.speed
        )

    def rated(self, order: Sequence[_Found]) -> list[_Found]:
        """The best lines with what their evidence is worth: variety, and how far rivals are."""
        vectors, codes = self.query.variety
        weights = [one.evidence.weight for one in order]
        compared = self._compared()
        least = [confidence.usual(self.query.asked(one.span), *compared) for one in order]
        rivals = rival_weights(weights, partial(self._is_copy, order), least=least)
        rated = []
        for one, rival in zip(order[: self.search.matches], rivals, strict=False):
            evidence = replace(
                one.evidence,
                variety_vectors=vectors,
                variety_codes=codes,
                margin=confidence.margin(one.evidence.weight, rival),
            )
            rated.append(replace(one, evidence=evidence))
        return rated

    def _is_copy(self, order: Sequence[_Found], place: int) -> bool:
        """Whether the match at a place is the same sound as the first."""
        if self.vectors is None:
            return False
        return same_sound(self.vectors, order[0].place, order[place].place)

    def _compared(self) -> tuple[float, float]:
        """The variety of vectors and codes that library and query have; a second has no codes."""
        vectors, codes = self.query.variety
        coded = self.query.codes is not None and len(self.query.codes.at(1.0)[0]) > 0
        return (
            vectors * (self.vectors is not None and len(self.query.times) > 0),
            codes * (self.code_rows is not None and coded),
        )

    def matches(self, found: Sequence[_Found]) -> list[Match]:
        """What is known of lines, best first, as matches."""
        matches: list[Match] = []
        for one in found:
            start, end = one.span
            matches.append(
                Match(
                    track=one.track,
                    # What ranks lower is not more likely to be right than what ranks higher.
                    confidence=min([self.sure(one), *(m.confidence for m in matches[-1:])]),
                    start=start,
                    end=end,
                    query_start=(start - one.offset) / one.speed,
                    query_end=(end - one.offset) / one.speed,
                    speed=one.speed,
                    evidence=one.evidence,
                )
            )
        return matches

    # --- lines ---------------------------------------------------------------------------------

    def vector_lines(self) -> list[Line]:
        """Lines that vectors vote for."""
        if self.vectors is None or not len(self.query.times):
            return []
        rows, times = self.query.rows[:: self.search.every], self.query.times[:: self.search.every]
        similarity, tracks, at = self.vectors.near(
            rows, self.search.near, probes=self.search.probes
        )
        return sequence.vote(similarity, tracks, at, times, keep=self.search.lines)

    def code_lines(self, known: Sequence[Line]) -> list[Line]:
        """Lines that codes vote for, without those known."""
        if self.code_rows is None or self.query.codes is None:
            return []
        middles, asked = self.query.codes.rows(1.0, 4, self.search.code_step)
        if not len(asked):
            return []
        work = len(asked) * self.code_rows.total / self.search.code_work
        step = min(max(1, int(np.ceil(work))), max(1, len(asked) // 8))
        # An odd step does not fall in with the half seconds between a track's rows.
        step += step % 2 == 0
        middles, asked = middles[::step], asked[::step]
        similarity, tracks, times = self.code_rows.near(asked, self.search.near)
        lines = sequence.vote(
            similarity, tracks, times, middles, speeds=(1.0,), keep=self.search.coded
        )
        return [line for line in lines if not sequence.known(line, known, self.query.times)]

    # --- evidence ------------------------------------------------------------------------------

    def best(self, by_vectors: Iterable[Line], by_codes: Iterable[Line]) -> list[_Found]:
        """The tracks of lines, best first, with all evidence."""
        first = sorted((self._of_vectors(line) for line in by_vectors), key=lambda f: f.rank)
        first = first[: self.search.coded] + [self._of_vectors(line) for line in by_codes]
        order = _one_a_track(
            [replace(self._of_codes(self._of_vectors(x)), favour=EXPECTED) for x in self.expected]
            + [self._of_codes(found) for found in first]
        )
        if self.code_rows is not None and self.query.codes is not None:
            turned = self.search.turned
            order[:turned] = [self._confirmed(found) for found in order[:turned]]
            order.sort(key=lambda f: f.rank)
            polished = self.search.polished
            order[:polished] = [self._polished(found) for found in order[:polished]]
            order.sort(key=lambda f: f.rank)
        return self.rated(order)

    def _of_vectors(self, line: Line) -> _Found:
        found = _Found(line.track, line.offset, line.speed)
        query = self.query
        if self.vectors is None or not len(query.times):
            return found
        plain = found.offset + (found.speed - 1.0) * float(query.times.mean())
        ends = (*_reach(found.offset, found.speed, query.times), *_reach(plain, 1.0, query.times))
        times, rows = self.vectors.stretch(found.track, min(ends), max(ends))
        similarity = query.rows @ np.asarray(rows, np.float32).T
        best = sequence.align(
            similarity, query.times, times, offset=found.offset, speed=found.speed
        )
        if abs(found.speed - 1.0) > Fine.speed_reach:
            # Votes tell speed badly where the sound changes slowly: the plain line may be better.
            other = sequence.align(similarity, query.times, times, offset=plain, speed=1.0)
            best = max(best, other, key=lambda a: a.evidence)
        if best.first < 0:
            return found
        span = (float(times[best.first]) - query.half, float(times[best.last]) + query.half)
        evidence = Evidence(vectors=best.evidence, distinct_vectors=best.distinct)
        return replace(found, offset=best.offset, speed=best.speed, evidence=evidence, span=span)

    def _of_codes(self, found: _Found) -> _Found:
        """Add the evidence of codes at the nearest whole percent of speed."""
        if self.code_rows is None or self.query.codes is None:
            return found
        return self._turned(found, round(found.speed, 2) - found.speed)

    def _confirmed(self, found: _Found) -> _Found:
        """Try other speeds for a line whose codes do not bear out its vectors.

        Vectors hardly change with speed, so that they tell it badly; codes tell it well.
        """
        best, trusted = found, found.evidence.vectors
        if trusted >= TRUSTED and found.evidence.codes < UNCONFIRMED * trusted:
            for turn in SPEED_TURNS:
                best = max(best, self._turned(found, turn), key=lambda f: f.evidence.codes)
        return best

    def _polished(self, found: _Found) -> _Found:
        """Climb to the speed at which the codes agree best, to a quarter of a percent.

        The recording's own speed needs no better evidence, only nearly as good.
        """
        for step in (0.01, 0.005, 0.0025):
            for turn in (-step, step):
                for _ in range(3):
                    other = self._turned(found, turn)
                    if other.evidence.codes <= found.evidence.codes:
                        break
                    found = other
        if 0.0 < abs(found.speed - 1.0) < NEARLY:
            plain = self._turned(found, 1.0 - found.speed)
            if plain.evidence.codes >= 0.97 * found.evidence.codes:
                return plain
        return found

    def _turned(self, found: _Found, turn: float) -> _Found:
        """Codes along a line turned about the query's middle."""
        codes, rows = self.query.codes, self.code_rows
        if codes is None or rows is None:
            return found
        middle = float(self.query.times.mean()) if len(self.query.times) else 0.0
        speed, offset = found.speed + turn, found.offset - turn * middle
        at, projections = codes.at(speed)
        if not len(at) or abs(speed - 1.0) > CODE_GRID.fastest:
            return found
        low, high = _reach(offset, speed, at)
        times, packed = split_codes(*rows.stretch(found.track, low, high))
        similarity = spectral_code.similarity(spectral_code.soft(projections), packed)
        best = sequence.align(similarity, at, times, offset=offset, speed=speed, fine=CODE_GRID)
        evidence = replace(
            found.evidence, codes=best.evidence / 4.0, distinct_codes=best.distinct / 4.0
        )
        if best.first < 0:
            return replace(found, evidence=evidence)
        span = found.span
        if span == (0.0, 0.0):
            span = (float(times[best.first]) - 0.5, float(times[best.last]) + 0.5)
        return replace(found, offset=best.offset, speed=speed, evidence=evidence, span=span)


def _one_a_track(found: Iterable[_Found]) -> list[_Found]:
    """The best line of each track that anything speaks for, best first."""
    best: dict[int, _Found] = {}
    for one in found:
        known = best.get(one.track)
        if one.evidence.vectors + one.evidence.codes > 0 and (
            known is None or one.rank < known.rank
        ):
            best[one.track] = one
    return sorted(best.values(), key=lambda f: f.rank)


def _reach(offset: float, speed: float, times: Float64Array) -> tuple[float, float]:
    return offset + speed * float(times[0]) - 1.5, offset + speed * float(times[-1]) + 1.5
