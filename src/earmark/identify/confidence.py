"""How sure a match is: what speaks for it, and the probability that it is right.

Conventions: evidence is a sum over matched rows of similarity minus a threshold
(`earmark.identify.sequence.Alignment`); chance has more rows to add up in a longer query, so it is
judged for each second of the query.  Fitted by ``benchmarks/calibrate_identify.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from earmark.types import Float64Array

LONG = 10.0
"""Seconds of a query from which on a part of it may match without the rest speaking against."""


@dataclass(frozen=True)
class Evidence:
    """What speaks for a line: sums over matched rows (see `sequence.Alignment`).

    `codes` are in units of half a second, as vectors are.
    """

    vectors: float = 0.0
    codes: float = 0.0
    distinct_vectors: float = 0.0
    distinct_codes: float = 0.0

    @property
    def weight(self) -> float:
        """What orders lines: what only this place explains counts most, of both kinds alike."""
        return self.distinct_vectors + self.distinct_codes + 0.25 * (self.vectors + self.codes)


@dataclass(frozen=True)
class Calibration:
    """Logistic regression of being right on evidence for each second of the query.

    Evidence counts up to `BELIEVED` times what only this place explains, so that of a drone or a
    hum, where any place is as good, little is left.  `seconds` weighs the query's length up to
    `LONG`; `alone` the codes' evidence above `CHANCE`, which no stranger's codes reached (chance
    falls with the root of the length): they are proof also where the vectors are drowned.  The
    evidence of chance grows with the library too, as the logarithm of its rows against those it
    was fitted on (`rows`): that weight is an extrapolation, not a fit.
    """

    vectors: float
    codes: float
    seconds: float
    bias: float
    alone: float = 20.0
    rows: float = -0.4
    fitted_rows: int = 198_239

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
        one = np.array([[getattr(evidence, name) for name in NAMES]])
        size = max(0.0, float(np.log10(max(rows, 1) / self.fitted_rows)))
        weights = np.array([self.vectors, self.codes, self.seconds, self.alone])
        known = features(one, np.array([seconds]))[0]
        return float(known @ weights) + self.bias + self.rows * size


NAMES = ("vectors", "codes", "distinct_vectors", "distinct_codes")
BELIEVED = 1.5
CHANCE = 0.5


def features(evidence: Float64Array, seconds: Float64Array) -> Float64Array:
    """What the regression sees of matches.

    Parameters
    ----------
    evidence : float64 array, shape (n, 4)
        In the order of `NAMES`.
    seconds : float64 array, shape (n,)

    Returns
    -------
    float64 array, shape (n, 4)
        Vectors and codes for each second, the length, and the codes above chance.
    """
    each = evidence / np.maximum(seconds, 1.0)[:, None]
    length = np.clip(seconds, 1.0, LONG)
    vectors = np.minimum(each[:, 0], BELIEVED * each[:, 2])
    codes = np.minimum(each[:, 1], BELIEVED * each[:, 3])
    # Chance falls with the root of the length, so that a short query needs more.
    above = np.maximum(0.0, codes * np.sqrt(length / LONG) - CHANCE)
    return np.column_stack([vectors, codes, length, above])


# Fitted on 3,420 queries of 2, 5 and 10 s (2026-11-21): clean, in noise, in a room with noise,
# faster, through a codec; 1,740 of music in no track, 120 of noise and tones, 120 of speech; in
# libraries of 14 and 27 hours.
BOTH = Calibration(10.98, 5.98, 0.06, -9.23)
VECTORS_ALONE = Calibration(13.54, 0.0, 0.06, -8.36, alone=0.0)
CODES_ALONE = Calibration(0.0, 11.38, -0.06, -5.95)
