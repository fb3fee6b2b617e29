"""The features that a track can be asked for by name, each a recipe over the shared frames."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from earmark.errors import SampleRateError, UsageError, nearest
from earmark.features import bands, cepstral, spectral
from earmark.types import Float32Array

_BLOCK_FRAMES = 256
"""Frames computed at once: spectra of a block stay in the processor's cache, and the memory of
a long sound's features is that of the result."""


@dataclass(frozen=True)
class FeatureSpec:
    """A named feature.

    Parameters
    ----------
    name : str
    dims : int
        Numbers per frame.
    description : str
        What the numbers are, with their unit.
    from_spectra : callable
        From magnitudes, shape (n, length // 2 + 1), to float32, shape (n, dims).
    length, hop : int
        Frame length and hop in samples at `sample_rate`; frame t begins at ``t * hop``.
    sample_rate : int
        In Hz.
    version : int
        Raised whenever the numbers change, so that kept ones are computed anew.
    """

    name: str
    dims: int
    description: str
    from_spectra: Callable[[Float32Array], Float32Array]
    length: int = spectral.LENGTH
    hop: int = spectral.HOP
    sample_rate: int = spectral.SAMPLE_RATE
    version: int = 1

    @property
    def params(self) -> str:
        """What a kept feature must have been made with, as a short text."""
        return f"v{self.version}-{self.sample_rate}-{self.length}-{self.hop}-{self.dims}"


def _bfcc(spectra: Float32Array) -> Float32Array:
    return cepstral.bfcc(bands.bark_bands(spectra))


def _mfcc(spectra: Float32Array) -> Float32Array:
    return cepstral.mfcc(bands.log_mel(spectra))


_ALL = (
    FeatureSpec("bark", bands.BARK_BANDS, "mean magnitude in Bark bands", bands.bark_bands),
    FeatureSpec(
        "bfcc", cepstral.BFCC_COEFFICIENTS, "Bark-frequency cepstral coefficients 1-13", _bfcc
    ),
    FeatureSpec("log_mel", bands.MEL_BANDS, "power in mel bands, in dB", bands.log_mel),
    FeatureSpec(
        "mfcc", cepstral.MFCC_COEFFICIENTS, "mel-frequency cepstral coefficients 0-19", _mfcc
    ),
    FeatureSpec(
        "chroma",
        12,
        "power in the 12 pitch classes from C, largest = 1",
        bands.chroma,
        length=bands.CHROMA_LENGTH,
    ),
    FeatureSpec(
        "spectral_contrast",
        len(spectral.CONTRAST_EDGES),
        "peaks over valleys in octave bands, in dB",
        spectral.spectral_contrast,
    ),
    FeatureSpec("centroid", 1, "mean frequency, in Hz", spectral.centroid),
    FeatureSpec("bandwidth", 1, "standard deviation of frequency, in Hz", spectral.bandwidth),
    FeatureSpec("rolloff", 1, "frequency that 85 % of magnitude lies below", spectral.rolloff),
    FeatureSpec("flatness", 1, "geometric over arithmetic mean of power", spectral.flatness),
    FeatureSpec("rms", 1, "root mean square level, 1 = full scale", spectral.rms),
)

FEATURES: Mapping[str, FeatureSpec] = MappingProxyType({spec.name: spec for spec in _ALL})
"""The features by name."""


def feature(name: str) -> FeatureSpec:
    """Look up a feature.

    Raises
    ------
    UsageError
        If there is none of this name; the hint shows the nearest.
    """
    if name not in FEATURES:
        hint = nearest(name, FEATURES) or f"known: {', '.join(FEATURES)}"
        raise UsageError(f"there is no feature {name!r}", hint=hint)
    return FEATURES[name]


def compute(name: str, samples: Float32Array, sample_rate: int) -> Float32Array:
    """Compute a named feature of a whole sound.

    Parameters
    ----------
    name : str
        One of `FEATURES`.
    samples : float32 array, shape (n,)
    sample_rate : int
        In Hz; must be that of the feature.

    Returns
    -------
    float32 array, shape (frames, dims)
        Frames cover the sound, the last one filled up with zeros; none of no sound.

    Raises
    ------
    UsageError
        If there is no such feature.
    SampleRateError
        If the samples are at another rate.
    ValueError
        If the samples are not one row of float32.

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * 1000 * np.arange(22_050) / 22_050).astype(np.float32)
    >>> round(float(np.median(compute("centroid", tone, 22_050))), -1)
    1000.0
    """
    spec = feature(name)
    if sample_rate != spec.sample_rate:
        raise SampleRateError(
            f"feature {name!r} is of samples at {spec.sample_rate} Hz, got {sample_rate} Hz",
            hint=f"decode with earmark.audio.read(source, sample_rate={spec.sample_rate})",
        )
    if samples.ndim != 1 or samples.dtype != np.float32:
        raise ValueError(
            "samples must be a float32 array of one dimension, "
            f"got {samples.dtype} of shape {samples.shape}"
        )
    count = spectral.frame_count(len(samples), length=spec.length, hop=spec.hop)
    result = np.empty((count, spec.dims), np.float32)
    for i in range(0, count, _BLOCK_FRAMES):
        # Cut per block: only the last one is copied, to be filled up with zeros.
        end = (i + _BLOCK_FRAMES - 1) * spec.hop + spec.length
        block = spectral.frames_of(samples[i * spec.hop : end], length=spec.length, hop=spec.hop)
        result[i : i + len(block)] = spec.from_spectra(spectral.magnitude(block))
    return result
