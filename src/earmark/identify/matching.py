"""Which recording a query is, and where in it: candidates, evidence, confidence.

Rows of the fingerprint (and of the spectral code, where a library has it) that are near the
query's vote for lines (`sequence.vote`); every line that gets enough votes is looked at exactly,
with both kinds of rows, and its evidence becomes the probability that it is right.  Where the
line says that the query was played at another speed, the query is brought back to the track's
speed before codes are compared, for codes do not follow changes of speed.

Conventions: those of `earmark.identify.sequence`.  Evidence is a sum over matched rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from earmark import spectral_code
from earmark.identify import sequence
from earmark.identify.query_codes import QueryCodes, split_codes
from earmark.identify.rows import Rows
from earmark.identify.sequence import Fine, Line
from earmark.types import (
    Encoded,
    Float32Array,
    Float64Array,
)


@dataclass(frozen=True)
class Evidence:
    """What speaks for a line: sums over matched rows (see `sequence.Alignment`).

    `codes` are in units of half a second, as vectors are.
    """

    vectors: float = 0.0
    codes: float = 0.0
    distinct_vectors: float = 0.0
    distinct_codes: float = 0.0


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


@dataclass(frozen=True)
class Calibration:
    """Logistic regression of being right on evidence.

    Fitted on 2,700 queries of 2, 5 and 10 s, clean, in noise, in a room with noise, at another
    speed and through a codec, 1,620 of them of pieces that were in no track, in a library of 14
    hours (``benchmarks/identify.py --evidence``, 2026-11-21).  Evidence is a sum over rows, and
    chance has more rows to add up in a longer query: `seconds` weighs the logarithm of its
    length.  The evidence of chance grows with the library too, as the logarithm of its rows
    against those it was fitted on; that weight is an extrapolation, not a fit.
    """

    vectors: float = 2.673
    codes: float = 0.0
    distinct_vectors: float = 0.567
    distinct_codes: float = 0.363
    seconds: float = -6.983
    bias: float = 0.673
    rows: float = -0.35
    fitted_rows: int = 115_118

    def confidence(self, evidence: Evidence, *, rows: int, seconds: float) -> float:
        """Probability that a match of this evidence is right.

        Parameters
        ----------
        evidence : Evidence
        rows : int
            That were searched.
        seconds : float
            Length of the query.
        """
        logit = self.logit(evidence, rows=rows, seconds=seconds)
        return float(1.0 / (1.0 + np.exp(-np.clip(logit, -50.0, 50.0))))

    def logit(self, evidence: Evidence, *, rows: int, seconds: float) -> float:
        """The same as the logarithm of odds."""
        size = max(0.0, float(np.log10(max(rows, 1) / self.fitted_rows)))
        return (
            self.bias
            + self.vectors * evidence.vectors
            + self.codes * evidence.codes
            + self.distinct_vectors * evidence.distinct_vectors
            + self.distinct_codes * evidence.distinct_codes
            + self.seconds * float(np.log(max(seconds, 1.0)))
            + self.rows * size
        )


TRUSTED, UNCONFIRMED = 1.0, 0.4
"""Evidence of vectors from which a line is worth trying other speeds, if the codes' evidence is
less than this share of it."""

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

    `near` rows are asked for each row of the query, `lines` looked at exactly, `matches`
    returned at most, the speed of the `polished` best made exact; codes are asked every
    `code_step` phases (1/32 s).
    """

    near: int = 20
    lines: int = 40
    matches: int = 10
    polished: int = 2
    code_step: int = 4


def identify(
    encoded: Encoded,
    codes: QueryCodes | None,
    vectors: Rows | None,
    code_rows: Rows | None,
    *,
    calibration: Calibration | None = None,
    search: Search | None = None,
) -> list[Match]:
    """Find the tracks that a query was taken from.

    Parameters
    ----------
    encoded : Encoded
        The query's fingerprint rows, evenly spaced.
    codes : QueryCodes, optional
        Its spectral code.
    vectors, code_rows : Rows, optional
        What to search; at least one.
    calibration : Calibration, optional
    search : Search, optional

    Returns
    -------
    list of Match
        Best first, one of each track; empty if nothing speaks for any track.
    """
    calibration, search = calibration or Calibration(), search or Search()
    times = encoded.segments.mean(axis=1)
    half = float(np.ptp(encoded.segments[0])) / 2 if len(times) else 0.5
    query = _Query(encoded.rows, times, half, codes)
    lines: list[Line] = []
    if vectors is not None and len(times):
        similarity, tracks, at = vectors.near(encoded.rows, search.near)
        lines += sequence.vote(similarity, tracks, at, times, keep=search.lines)
    if code_rows is not None and codes is not None:
        lines += [
            line
            for line in _code_lines(codes, code_rows, search)
            if not sequence.known(line, lines, times)
        ]
    total = max(rows.total for rows in (vectors, code_rows) if rows is not None)
    best: dict[int, _Found] = {}
    for line in lines:
        found = _look(line, query, vectors, code_rows)
        known = best.get(line.track)
        if found.evidence.vectors + found.evidence.codes > 0 and (
            known is None or _weight(found) > _weight(known)
        ):
            best[line.track] = found
    order = sorted(best.values(), key=lambda f: (-_weight(f), f.track))
    order = order[: search.matches]
    if code_rows is not None and codes is not None:
        order[: search.polished] = [
            _polish(found, query, codes, code_rows) for found in order[: search.polished]
        ]
    order.sort(key=lambda f: (-_weight(f), f.track))
    seconds = float(encoded.segments[-1, 1] - encoded.segments[0, 0]) if len(times) else 0.0
    if codes is not None:
        seconds = max(seconds, codes.duration)
    evidence = [
        found.evidence if vectors is not None else _codes_alone(found.evidence) for found in order
    ]
    sure = [calibration.confidence(one, rows=total, seconds=seconds) for one in evidence]
    # What ranks lower is not more likely to be right than what ranks higher.
    sure = np.minimum.accumulate(np.array(sure)).tolist()
    return [_match(found, one) for found, one in zip(order, sure, strict=True)]


def _codes_alone(evidence: Evidence) -> Evidence:
    """Evidence of a library without vectors: codes, whose scale is about the same, stand in.

    The calibration was fitted on both kinds together; with codes alone it is an extrapolation.
    """
    return replace(evidence, vectors=evidence.codes, distinct_vectors=evidence.distinct_codes)


def _weight(found: _Found) -> float:
    """What orders the lines: what only this place explains counts most, of both kinds alike."""
    evidence = found.evidence
    return (
        evidence.distinct_vectors
        + evidence.distinct_codes
        + 0.25 * (evidence.vectors + evidence.codes)
    )


def _match(found: _Found, sure: float) -> Match:
    start, end = found.span
    return Match(
        track=found.track,
        confidence=sure,
        start=start,
        end=end,
        query_start=(start - found.offset) / found.speed,
        query_end=(end - found.offset) / found.speed,
        speed=found.speed,
        evidence=found.evidence,
    )


def _code_lines(codes: QueryCodes, rows: Rows, search: Search) -> list[Line]:
    middles, asked = codes.rows(1.0, 4, search.code_step)
    if not len(asked):
        return []
    similarity, tracks, times = rows.near(asked, search.near)
    return sequence.vote(similarity, tracks, times, middles, speeds=(1.0,), keep=search.lines)


def _look(line: Line, query: _Query, vectors: Rows | None, code_rows: Rows | None) -> _Found:
    """Collect the evidence for a line: first of vectors, then of codes on the line they say."""
    found = _Found(line.track, line.offset, line.speed)
    if vectors is not None and len(query.times):
        found = _look_at_vectors(found, query, vectors)
    if code_rows is not None and query.codes is not None:
        found = _look_at_codes(found, query, query.codes, code_rows)
    return found


@dataclass(frozen=True)
class _Query:
    """A query in both forms; `times` are the middles of its fingerprint rows."""

    rows: Float32Array
    times: Float64Array
    half: float
    codes: QueryCodes | None


@dataclass(frozen=True)
class _Found:
    """What is known of a line so far."""

    track: int
    offset: float
    speed: float
    evidence: Evidence = Evidence()
    span: tuple[float, float] = (0.0, 0.0)


def _look_at_vectors(found: _Found, query: _Query, vectors: Rows) -> _Found:
    low, high = _reach(found.offset, found.speed, query.times)
    times, rows = vectors.stretch(found.track, low, high)
    similarity = query.rows @ np.asarray(rows, np.float32).T
    best = sequence.align(similarity, query.times, times, offset=found.offset, speed=found.speed)
    if best.first < 0:
        return found
    span = (float(times[best.first]) - query.half, float(times[best.last]) + query.half)
    evidence = Evidence(vectors=best.evidence, distinct_vectors=best.distinct)
    return replace(found, offset=best.offset, speed=best.speed, evidence=evidence, span=span)


def _look_at_codes(found: _Found, query: _Query, codes: QueryCodes, code_rows: Rows) -> _Found:
    """Codes at the line's speed, and at others around it if they do not bear out the vectors.

    Vectors hardly change with speed, so that they tell it badly; codes tell it well.
    """
    best = _codes_at(found, found.speed, codes, code_rows)
    trusted = found.evidence.vectors
    if trusted >= TRUSTED and best.evidence.codes < UNCONFIRMED * trusted:
        for turn in SPEED_TURNS:
            other = _turned(found, turn, query, codes, code_rows)
            best = max(best, other, key=lambda f: f.evidence.codes)
    return best


def _polish(found: _Found, query: _Query, codes: QueryCodes, code_rows: Rows) -> _Found:
    """Climb to the speed at which the codes agree best, to a quarter of a percent."""
    for step in (0.01, 0.005, 0.0025):
        for turn in (-step, step):
            for _ in range(3):
                other = _turned(found, turn, query, codes, code_rows)
                if other.evidence.codes <= found.evidence.codes:
                    break
                found = other
    return found


def _turned(
    found: _Found, turn: float, query: _Query, codes: QueryCodes, code_rows: Rows
) -> _Found:
    """Codes along a line turned about the query's middle."""
    middle = float(query.times.mean()) if len(query.times) else 0.0
    turned = replace(found, offset=found.offset - turn * middle, speed=found.speed + turn)
    return _codes_at(turned, turned.speed, codes, code_rows)


def _codes_at(found: _Found, speed: float, codes: QueryCodes, code_rows: Rows) -> _Found:
    at, projections = codes.at(speed)
    if not len(at):
        return found
    low, high = _reach(found.offset, speed, at)
    times, packed = split_codes(*code_rows.stretch(found.track, low, high))
    similarity = spectral_code.similarity(spectral_code.soft(projections), packed)
    best = sequence.align(similarity, at, times, offset=found.offset, speed=speed, fine=CODE_GRID)
    if best.first < 0:
        evidence = replace(found.evidence, codes=0.0, distinct_codes=0.0)
        return replace(found, evidence=evidence)
    span = found.span
    if span == (0.0, 0.0):
        span = (float(times[best.first]) - 0.5, float(times[best.last]) + 0.5)
    evidence = replace(
        found.evidence, codes=best.evidence / 4.0, distinct_codes=best.distinct / 4.0
    )
    return replace(found, offset=best.offset, speed=speed, evidence=evidence, span=span)


def _reach(offset: float, speed: float, times: Float64Array) -> tuple[float, float]:
    return offset + speed * float(times[0]) - 1.5, offset + speed * float(times[-1]) + 1.5
