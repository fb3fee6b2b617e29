"""The timbre profile `own`: the descriptors of `default`, projected by what the library itself is.

Without labels: principal components of the standardised descriptors, half whitened (each divided
by the fourth root of its variance), so that what varies most counts more but does not drown the
rest.  With labels (a tag that names kinds): linear discriminants of the kinds, within-class
scatter shrunk towards its mean; directions that are left over are principal components that count
a quarter.  The code is the signs of drawn rotations, as in `default`.

Sources: Fisher 1936; Friedman 1989 (regularised discriminant analysis).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from earmark.encoders import timbre_fit
from earmark.encoders.timbre_default import WINDOW, Default, Described, sounding
from earmark.encoders.timbre_projection import VECTOR, Projection, shipped
from earmark.errors import EncoderError, NotFitted
from earmark.features.timbre import describe
from earmark.types import AnyArray, Float32Array, State, UInt8Array

LEAST_ROWS = 128
"""Segments that a projection without labels needs: twice its dimensions."""
LEAST_LABELS, LEAST_PER_LABEL, LEAST_LABELLED = 2, 4, 32
_REST = 0.25
_BATCH = 8


class Own(Default):
    """The profile `own`.  Implements also `FittedEncoder` and `LabelledEncoder`.

    Parameters
    ----------
    projection : Projection, optional
        Without it, encoding raises `NotFitted`.
    """

    profile = "own"

    def __init__(self, projection: Projection | None = None) -> None:
        self._fitted = projection is not None
        super().__init__(projection or _blank())

    @classmethod
    def from_state(cls, state: State | None) -> Own:
        """Make the profile's encoder with the arrays that `fit` gave.

        Raises
        ------
        EncoderError
            If they are no projection, or of another release's descriptors.
        """
        return cls(Projection.from_arrays(state)) if state else cls()

    @property
    def fitted(self) -> bool:
        """Whether there is a projection."""
        return self._fitted

    def encode(self, windows: Float32Array) -> UInt8Array:
        """Encode windows; see `Default.encode`.  Raises `NotFitted` without a projection."""
        self._check()
        return super().encode(windows)

    def describe(self, segments: Float32Array) -> Described:
        """Describe segments; see `Default.describe`.  Raises `NotFitted` likewise."""
        self._check()
        return super().describe(segments)

    def training_rows(self, windows: Float32Array) -> Float32Array:
        """Descriptors of windows, float32 of shape (n, 66150): float32, shape (n, d)."""
        if windows.ndim != 2 or windows.shape[1] != WINDOW or windows.dtype != np.float32:
            raise ValueError(
                f"windows must be float32 of shape (n, {WINDOW}), "
                f"got {windows.dtype} of shape {windows.shape}"
            )
        parts = [np.empty((0, len(_blank().mean)), np.float32)]
        for at in range(0, len(windows), _BATCH):
            batch, lengths, _ = sounding(windows[at : at + _BATCH])
            parts.append(describe(batch, lengths))
        return np.concatenate(parts)

    def fit(self, rows: Float32Array, *, seed: int) -> dict[str, AnyArray]:
        """Learn a projection without labels from descriptors, shape (m, d).

        Raises
        ------
        EncoderError
            If there are fewer than 128 rows.
        """
        if len(rows) < LEAST_ROWS:
            raise EncoderError(
                f"the profile 'own' must learn from at least {LEAST_ROWS} sounds, "
                f"got {len(rows)} in this library",
                hint="add more, or stay with --profile default until there are",
            )
        z, mean, scale = timbre_fit.standardised(rows)
        return timbre_fit.arrays(z, mean, scale, timbre_fit.principal(z, VECTOR), seed=seed)

    def fit_labelled(
        self, rows: Float32Array, labels: Sequence[str], *, seed: int
    ) -> dict[str, AnyArray]:
        """Learn a projection that keeps apart what the labels keep apart.

        Raises
        ------
        EncoderError
            If fewer than 2 labels have at least 4 rows each, or all together fewer than 32.
        """
        names, index, counts = np.unique(
            np.asarray(labels, dtype=str), return_inverse=True, return_counts=True
        )
        enough = counts >= LEAST_PER_LABEL
        keep = enough[index]
        if enough.sum() < LEAST_LABELS or keep.sum() < LEAST_LABELLED:
            raise EncoderError(
                f"the profile 'own' must learn from at least {LEAST_LABELS} labels with "
                f"{LEAST_PER_LABEL} sounds each and {LEAST_LABELLED} in all, got "
                f"{int(enough.sum())} such labels with {int(keep.sum())} sounds "
                f"among {len(names)} labels with {len(rows)}",
                hint="label more sounds, or fit without --labels",
            )
        z, mean, scale = timbre_fit.standardised(rows[keep])
        classes = np.unique(index[keep], return_inverse=True)[1]
        linear = timbre_fit.discriminants(z, classes, min(VECTOR, int(enough.sum()) - 1))
        left = VECTOR - linear.shape[1]
        if left:
            rest = timbre_fit.beside(z, linear, left, _REST)
            linear = np.concatenate([linear, rest], axis=1)
        return timbre_fit.arrays(z, mean, scale, linear, seed=seed)

    def with_state(self, state: State) -> Own:
        """Return the encoder with a projection."""
        return self.from_state(state)

    def _check(self) -> None:
        if not self._fitted:
            raise NotFitted(
                "encoder 'timbre' (own) must first learn its projection on the library",
                hint="earmark rebuild --fit timbre",
            )


def _blank() -> Projection:
    """What stands in until something was learned: the same descriptors, never used to encode."""
    return shipped()
