"""How sure a match is: what speaks for it, and the probability that it is right.

Conventions: evidence is a sum over matched rows of similarity minus a threshold
(`earmark.identify.sequence.Alignment`); chance has more rows to add up in a longer query, so it is
judged for each second of the query.  Fitted by ``benchmarks/calibrate_identify.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from earmark.types import Float32Array, Float64Array

LONG = 10.0
"""Seconds of a query from which on a part of it may match without the rest speaking against."""

LONGEST = 30.0
"""Seconds up to which a longer query makes the same evidence for each second more telling."""


@dataclass(frozen=True)
class Evidence:
    """What speaks for a line: sums over matched rows (see `sequence.Alignment`).

    `codes` are in units of half a second, as vectors are.  `variety_vectors` and `variety_codes`
    say of how many different rows the query consists (`variety`), `margin` what share of the
    evidence the rivals lack, 1 at most (`margin`).
    """

    vectors: float = 0.0
    codes: float = 0.0
    distinct_vectors: float = 0.0
    distinct_codes: float = 0.0
    variety_vectors: float = 1.0
    variety_codes: float = 1.0
    margin: float = 0.0

    @property
    def weight(self) -> float:
        """What orders lines: what only this place explains, and what it explains at all."""
        distinct = self.distinct_vectors + self.distinct_codes
        return 0.5 * (distinct + self.vectors + self.codes)


def variety(rows: Float32Array) -> float:
    """Of how many different rows a query consists, were they alike or unlike: 1 to n.

    The participation ratio of the rows' inner products: a tone, a hum or the clicks of a metronome
    say the same again and again, and however many rows of them match, they are worth few.

    Parameters
    ----------
    rows : float32 array, shape (n, d)

    Returns
    -------
    float
        1 if there are no rows.
    """
    if not len(rows):
        return 1.0
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    unit = rows / np.maximum(length, np.float32(1e-9))
    alike = float(np.sum(np.square(unit @ unit.T)))
    return max(1.0, float(len(rows)) ** 2 / max(alike, 1e-9))


def usual(seconds: float, vectors: float, codes: float) -> float:
    """The weight that the third best of wrong tracks usually has, in a library of hours.

    A library of few tracks has no third, or a poor one: rivals count as no worse than this.
    Chance has the freer hand, the less variety a query has.

    Parameters
    ----------
    seconds : float
        Length of the query.
    vectors, codes : float
        Variety of both kinds of rows; 0 for a kind that is not compared.
    """
    of_vectors = 0.7 / vectors**0.5 if vectors else 0.0
    of_codes = 1.0 / codes**0.5 if codes else 0.0
    return 0.5 * (of_vectors + of_codes) * max(seconds, 1.0)


def margin(weight: float, rival: float) -> float:
    """What share of a match's weight its rivals lack, from -1 to 1."""
    if weight <= 0.0:
        return 0.0
    return max(-1.0, 1.0 - rival / weight)


@dataclass(frozen=True)
class Calibration:
    """Logistic regressions of being right, one for each of some lengths of a query.

    For a length between two of `seconds` the weights lie between theirs, evenly in the logarithm of
    the length.  A row of `weights` is of vectors and codes for each second, of both once more
    times the logarithm of their variety, of the margin, and the bias.

    Evidence counts up to `BELIEVED` times what only this place explains, so that of a drone or a
    hum, where any place is as good, little is left.  The evidence of chance grows with the library
    too, as the logarithm of its rows against those it was fitted on (`rows`): that weight is an
    extrapolation, not a fit.
    """

    seconds: tuple[float, ...]
    weights: tuple[tuple[float, ...], ...]
    rows: float = -0.4
    fitted_rows: int = 110_013

    def confidence(
        self, evidence: Evidence, *, rows: int, seconds: float, speed: float = 1.0
    ) -> float:
        """Probability that a match of this evidence is right.

        Parameters
        ----------
        evidence : Evidence
        rows : int
            That were searched.
        seconds : float
            Length of the query.
        speed : float
            At which it matches.
        """
        logit = self.logit(evidence, rows=rows, seconds=seconds, speed=speed)
        return float(1.0 / (1.0 + np.exp(-np.clip(logit, -50.0, 50.0))))

    def logit(self, evidence: Evidence, *, rows: int, seconds: float, speed: float = 1.0) -> float:
        """The same as the logarithm of odds."""
        one = np.array([[getattr(evidence, name) for name in NAMES]])
        size = max(0.0, float(np.log10(max(rows, 1) / self.fitted_rows)))
        known = features(one, np.array([seconds]))[0]
        logit = float(np.append(known, 1.0) @ self.weights_of(seconds)) + self.rows * size
        return logit - float(haste(np.array([speed]), np.array([seconds]))[0])

    def weights_of(self, seconds: float) -> Float64Array:
        """Weights for a length, shape (6,)."""
        at = np.log(np.clip(seconds, self.seconds[0], self.seconds[-1]))
        table = np.asarray(self.weights, np.float64)
        marks = np.log(self.seconds)
        return np.array([np.interp(at, marks, column) for column in table.T])


NAMES = (
    "vectors",
    "codes",
    "distinct_vectors",
    "distinct_codes",
    "variety_vectors",
    "variety_codes",
    "margin",
)
BELIEVED = 1.5
HASTE = 2.0


def haste(speed: Float64Array, seconds: Float64Array) -> Float64Array:
    """What is taken from the odds' logarithm where another speed makes the match: (n,) of (n,).

    Most recordings are played as they are, while beats match other beats at any speed.  Short
    queries tell their speed badly.
    """
    away = np.minimum(np.abs(speed - 1.0) / 0.02, 1.0)
    cost: Float64Array = HASTE * away * np.minimum(seconds, LONG) / LONG
    return cost


def features(evidence: Float64Array, seconds: Float64Array) -> Float64Array:
    """What the regression sees of matches.

    Parameters
    ----------
    evidence : float64 array, shape (n, 7)
        In the order of `NAMES`.
    seconds : float64 array, shape (n,)

    Returns
    -------
    float64 array, shape (n, 5)
        Vectors and codes for each second, both times the logarithm of their variety, the margin.
    """
    each = evidence[:, :4] / np.maximum(seconds, 1.0)[:, None]
    # Chance falls with the root of the length.
    each = each * np.sqrt(np.clip(seconds, LONG, LONGEST) / LONG)[:, None]
    vectors = np.minimum(each[:, 0], BELIEVED * each[:, 2])
    codes = np.minimum(each[:, 1], BELIEVED * each[:, 3])
    varied = np.log(np.maximum(evidence[:, 4:6], 1.0))
    return np.column_stack(
        [vectors, codes, vectors * varied[:, 0], codes * varied[:, 1], evidence[:, 6]]
    )


# Fitted on 1,500 queries of 1, 2, 3, 5 and 10 s (2026-11-21): clean and in noise at 5 and 0 dB; 290
# of music in no track, 550 of noises, tones, beats and the like, 140 of speech, 250 of scenes; in a
# library of 15 hours.
LENGTHS = (1.0, 2.0, 3.0, 5.0, 10.0)
BOTH = Calibration(
    LENGTHS,
    (
        (0.0, 0.0, 0.0, 0.0, 12.39, -4.83),
        (0.0, 0.0, 0.0, 0.0, 14.5, -5.25),
        (0.0, 0.0, 0.02, 0.0, 15.86, -5.47),
        (0.0, 0.0, 0.0, 0.02, 14.12, -5.75),
        (0.0, 0.0, 1.71, 1.86, 8.66, -5.99),
    ),
)
VECTORS_ALONE = Calibration(
    LENGTHS,
    (
        (0.0, 0.0, 0.0, 0.0, 12.85, -4.78),
        (0.0, 0.0, 2.08, 0.0, 12.0, -6.95),
        (0.0, 0.0, 1.86, 0.0, 12.7, -5.89),
        (0.0, 0.0, 0.42, 0.0, 13.09, -5.63),
        (0.0, 0.0, 2.2, 0.0, 8.26, -5.54),
    ),
)
CODES_ALONE = Calibration(
    LENGTHS,
    (
        (0.0, 0.0, 0.0, 0.0, 11.85, -4.53),
        (0.0, 0.0, 0.0, 0.0, 11.85, -4.53),
        (0.0, 0.0, 0.0, 1.52, 10.26, -5.91),
        (0.0, 0.0, 0.0, 1.97, 9.71, -7.13),
        (0.0, 0.0, 0.0, 3.48, 6.13, -5.56),
    ),
)
