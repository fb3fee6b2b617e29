"""Timbre: sounds of the same colour, as bits that are compared by Hamming distance.

A profile is one class; `PROFILES` lists them.  `default` stands in `timbre_default`.

`zounds` is a bag of spectral envelopes.  Frames of 1,024 samples (hop 512, 22,050 Hz) become 13
Bark-frequency cepstral coefficients, scaled to length 1; k-means learns 128 typical ones on the
user's own library; a segment of 30 frames sets the bit of each one that occurs in it.  Only frames
with signal count, so padding and pauses set none.

Source: John Vinyard, "Building a Timbre-Based Similarity Search", of the zounds library.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping

import numpy as np

from earmark import features
from earmark.errors import EncoderError, NotFitted, UsageError, nearest
from earmark.framing import frame
from earmark.types import (
    JSON,
    AnyArray,
    Encoder,
    EncoderSpec,
    Float32Array,
    RowSpec,
    State,
    UInt8Array,
)

NAME = "timbre"
DEFAULT_PROFILE = "default"

FRAMES = 30
CENTROIDS = 128
COEFFICIENTS = 13

SILENT_BAND = 3e-5
"""A frame none of whose Bark bands reaches this (white noise at about -90 dB) has no colour of
its own: it sets a bit only if its segment has nothing louder."""

_ALGORITHM = "1"
"""Raised whenever the same audio and codebook would give other bits."""

_BLOCK_WINDOWS = 8
"""Windows whose spectra are computed at once; more do not fit the processor's cache."""

_TRAINING_PER_CENTROID = 2048
"""Rows that k-means looks at, per centroid; it draws them itself from what it is given."""

_FAR = 10.0
"""Where unused centroids go: no row of length 1 is nearest to them."""


class Zounds:
    """The profile `zounds`: 128 bits a segment, by a codebook fitted on the library.

    Implements `Encoder` and `FittedEncoder`.

    Parameters
    ----------
    codebook : float32 array, shape (128, 13), optional
        Without it, `encode` raises `NotFitted`.
    """

    profile = "zounds"
    window = (FRAMES - 1) * features.HOP + features.LENGTH
    hop = FRAMES * features.HOP

    def __init__(self, codebook: Float32Array | None = None) -> None:
        self._codebook = codebook
        revision = f"{self.profile}-{_ALGORITHM}"
        if codebook is not None:
            digest = hashlib.sha256(codebook.astype("<f4").tobytes()).hexdigest()
            revision = f"{revision}-{digest[:16]}"
            # The nearest centroid has the largest <x, c> - |c|^2 / 2.
            self._directions = np.ascontiguousarray(codebook.T)
            self._biases = np.float32(0.5) * np.square(codebook).sum(axis=1)
        self._spec = EncoderSpec(
            name=NAME,
            kind="timbre",
            rows=RowSpec("bits", CENTROIDS, "hamming"),
            sample_rate=features.SAMPLE_RATE,
            window=self.window / features.SAMPLE_RATE,
            hop=self.hop / features.SAMPLE_RATE,
            revision=revision,
            options={"profile": self.profile},
        )

    @classmethod
    def from_state(cls, state: State | None) -> Zounds:
        """Make the profile's encoder with the arrays that `fit` gave.

        Raises
        ------
        EncoderError
            If the state is not one finite float32 array `codebook` of shape (128, 13).
        """
        if not state:
            return cls()
        codebook = state.get("codebook")
        if (
            codebook is None
            or len(state) != 1
            or codebook.shape != (CENTROIDS, COEFFICIENTS)
            or codebook.dtype != np.float32
            or not np.isfinite(codebook).all()
        ):
            found = ", ".join(f"{k}: {v.dtype} {v.shape}" for k, v in state.items())
            raise EncoderError(
                f"the state of {NAME} ({cls.profile}) must be a finite float32 array codebook of "
                f"shape ({CENTROIDS}, {COEFFICIENTS}), got {found}",
                hint="learn it anew: earmark rebuild --fit timbre",
            )
        return cls(codebook.copy())

    @property
    def spec(self) -> EncoderSpec:
        """What this encoder is; the revision names algorithm and codebook."""
        return self._spec

    @property
    def fitted(self) -> bool:
        """Whether there is a codebook."""
        return self._codebook is not None

    def encode(self, windows: Float32Array) -> UInt8Array:
        """Encode windows, float32 of shape (n, 15872), to packed bits of shape (n, 16).

        A window without any sound gives zeros.

        Raises
        ------
        NotFitted
            Without a codebook.
        ValueError
            If the windows have another shape or type.
        """
        if self._codebook is None:
            raise NotFitted(
                f"encoder {NAME!r} ({self.profile}) must first learn its codebook on the library",
                hint="earmark rebuild --fit timbre",
            )
        self._check(windows)
        codes = np.zeros((len(windows), CENTROIDS // 8), np.uint8)
        for i in range(0, len(windows), _BLOCK_WINDOWS):
            colours, counts = _colours(windows[i : i + _BLOCK_WINDOWS])
            nearest_one = np.argmax(colours @ self._directions - self._biases, axis=-1)
            bits = np.zeros((len(colours), CENTROIDS), np.uint8)
            window, position = np.nonzero(counts)
            bits[window, nearest_one[window, position]] = 1
            codes[i : i + len(bits)] = np.packbits(bits, axis=1)
        return codes

    def training_rows(self, windows: Float32Array) -> Float32Array:
        """Return the unit-length BFCC of the frames with signal, shape (m, 13)."""
        self._check(windows)
        rows = [np.empty((0, COEFFICIENTS), np.float32)]
        for i in range(0, len(windows), _BLOCK_WINDOWS):
            colours, counts = _colours(windows[i : i + _BLOCK_WINDOWS])
            rows.append(colours[counts])
        return np.concatenate(rows)

    def fit(self, rows: Float32Array, *, seed: int) -> dict[str, AnyArray]:
        """Learn the codebook by k-means.

        Fewer than 128 different rows are their own codebook, the rest of which is never used.

        Parameters
        ----------
        rows : float32 array, shape (m, 13)
            A sample of training rows.
        seed : int
            The same rows and seed give the same codebook.

        Returns
        -------
        dict
            ``codebook``: float32, shape (128, 13).

        Raises
        ------
        EncoderError
            If there are no rows.
        """
        if rows.ndim != 2 or rows.shape[1] != COEFFICIENTS or rows.dtype != np.float32:
            raise ValueError(
                f"rows must be float32 of shape (m, {COEFFICIENTS}), "
                f"got {rows.dtype} of shape {rows.shape}"
            )
        if not len(rows):
            raise EncoderError(
                f"encoder {NAME!r} ({self.profile}) must learn from sound, got only silence",
                hint="add a file that is not silent",
            )
        return {"codebook": _kmeans(rows, seed)}

    def with_state(self, state: State) -> Zounds:
        """Return the encoder with a codebook."""
        return self.from_state(state)

    def _check(self, windows: Float32Array) -> None:
        if windows.ndim != 2 or windows.shape[1] != self.window or windows.dtype != np.float32:
            raise ValueError(
                f"windows must be float32 of shape (n, {self.window}), "
                f"got {windows.dtype} of shape {windows.shape}"
            )


def _colours(
    windows: Float32Array,
) -> tuple[Float32Array, np.ndarray[tuple[int, int], np.dtype[np.bool_]]]:
    """Unit-length BFCC of each frame, shape (n, 30, 13), and which frames count, (n, 30).

    Three dimensions all the way: a window's 30 frames are then multiplied as a matrix of always
    the same shape, so that its bits do not depend on how many windows share the call.
    """
    bark = features.bark_bands(features.magnitude(frame(windows, features.LENGTH, features.HOP)))
    loudest = bark.max(axis=-1)
    counts = (loudest >= SILENT_BAND) | (loudest == loudest.max(axis=1, keepdims=True))
    return features.unit(features.bfcc(bark)), counts & (loudest > 0)


def _kmeans(rows: Float32Array, seed: int) -> Float32Array:
    """Centroids by FAISS, shape (128, 13)."""
    few = np.unique(rows[: 64 * CENTROIDS], axis=0)
    if len(rows) <= 64 * CENTROIDS and len(few) <= CENTROIDS:
        codebook = np.full((CENTROIDS, COEFFICIENTS), _FAR, np.float32)
        codebook[: len(few)] = few
        return codebook
    import faiss

    kmeans = faiss.Kmeans(
        COEFFICIENTS,
        CENTROIDS,
        seed=seed,
        niter=25,
        min_points_per_centroid=1,
        max_points_per_centroid=_TRAINING_PER_CENTROID,
    )
    kmeans.train(np.ascontiguousarray(rows))
    return np.array(kmeans.centroids, np.float32).reshape(CENTROIDS, COEFFICIENTS)


def _default(state: State | None) -> Encoder:
    from earmark.encoders.timbre_default import Default  # `zounds` alone does not pay for it

    return Default.from_state(state)


def _own(state: State | None) -> Encoder:
    from earmark.encoders.timbre_own import Own

    return Own.from_state(state)


PROFILES: Mapping[str, Callable[[State | None], Encoder]] = {
    Zounds.profile: Zounds.from_state,
    DEFAULT_PROFILE: _default,
    "own": _own,
}


def create(options: Mapping[str, JSON], state: State | None) -> Encoder:
    """Make the encoder of a profile (entry point of the registry).

    Parameters
    ----------
    options : mapping
        ``profile``: a name in `PROFILES`, 'default' if left out.
    state : mapping, optional
        The profile's fitted arrays.

    Raises
    ------
    UsageError
        For an unknown option or profile.
    EncoderError
        If the state is not the profile's.
    """
    for option in options:
        if option != "profile":
            hint = nearest(option, ["profile"]) or "known: profile"
            raise UsageError(f"encoder {NAME!r} has no option {option!r}", hint=hint)
    profile = options.get("profile", DEFAULT_PROFILE)
    if not isinstance(profile, str) or profile not in PROFILES:
        hint = nearest(str(profile), PROFILES) or f"known: {', '.join(PROFILES)}"
        raise UsageError(f"encoder {NAME!r} has no profile {profile!r}", hint=hint)
    return PROFILES[profile](state)
