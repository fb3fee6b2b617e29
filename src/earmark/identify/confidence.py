"""How sure a match is: what speaks for it, and the probability that it is right.

Conventions: evidence is a sum over matched rows of similarity minus a threshold
(`earmark.identify.sequence.Alignment`); chance has more rows to add up in a longer query, so it is
judged for each second of the query.  Fitted by ``benchmarks/calibrate_identify.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

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

    `seconds` weighs the query's length up to `LONG`.  The evidence of chance grows with the
    library too, as the logarithm of its rows against those it was fitted on (`rows`): that
    weight is an extrapolation, not a fit.
    """

    vectors: float
    codes: float
    distinct_vectors: float
    distinct_codes: float
    seconds: float
    bias: float
    rows: float = -0.4
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
        each = 1.0 / max(seconds, 1.0)
        size = max(0.0, float(np.log10(max(rows, 1) / self.fitted_rows)))
        return (
            self.bias
            + self.vectors * evidence.vectors * each
            + self.codes * evidence.codes * each
            + self.distinct_vectors * evidence.distinct_vectors * each
            + self.distinct_codes * evidence.distinct_codes * each
            + self.seconds * min(seconds, LONG)
            + self.rows * size
        )


BOTH = Calibration(16.1, 0.0, 0.0, 5.8, seconds=0.12, bias=-11.3)
VECTORS_ALONE = Calibration(18.0, 0.0, 0.0, 0.0, seconds=0.12, bias=-10.5)
CODES_ALONE = Calibration(0.0, 0.0, 0.0, 14.0, seconds=0.12, bias=-7.0)
