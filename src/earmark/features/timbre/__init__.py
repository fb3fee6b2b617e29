"""Descriptors of timbre: everything the `default` profile of the `timbre` encoder listens to.

`describe` gives one long vector per segment, made of the groups that `GROUPS` names; `spectra`
holds what they share.  Pure functions on float32; slow twins of all of them are in the tests.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from earmark.features.spectral import LENGTH
from earmark.features.timbre import cepstra, envelope, harmonic
from earmark.features.timbre.harmonic import Pitch
from earmark.features.timbre.spectra import SAMPLE_RATE, Spectra, analyse
from earmark.types import Float32Array, Int64Array

__all__ = [
    "GROUPS",
    "SAMPLE_RATE",
    "SPECTRAL_GROUPS",
    "Pitch",
    "Spectra",
    "aspects",
    "describe",
    "groups",
]

GROUPS = (
    "mfcc",
    "loud",
    "bfcc",
    "shape",
    "contrast",
    "mean",
    "patch",
    "modulation",
    "cqhc",
    "harmonic",
    "envelope",
)
SPECTRAL_GROUPS = ("mfcc", "loud", "bfcc", "shape", "contrast", "mean", "cqhc", "harmonic")
"""Groups that hardly depend on the course of time."""


def groups(
    samples: Float32Array, lengths: Int64Array
) -> tuple[dict[str, Float32Array], Pitch, Spectra]:
    """Compute all groups of descriptors for a batch of segments.

    Parameters
    ----------
    samples : float32 array, shape (n, m)
        Segments at SAMPLE_RATE (22,050 Hz), each with zeros after its length.
    lengths : int64 array, shape (n,)
        Valid samples of each segment, at least 1.

    Returns
    -------
    groups : dict of float32 arrays, shape (n, d)
        Keys are GROUPS, in that order.
    pitch : Pitch
    spectra : Spectra
    """
    s = analyse(samples, lengths)
    pitch = harmonic.find_pitch(s)
    found = {
        "mfcc": cepstra.mfcc_stats(s),
        "loud": cepstra.loud_stats(s),
        "bfcc": cepstra.bfcc_stats(s),
        "shape": cepstra.shape_stats(s),
        "contrast": cepstra.contrast_stats(s),
        "mean": cepstra.mean_spectrum(s),
        "patch": cepstra.mel_patch(s),
        "modulation": cepstra.modulation(s),
        "cqhc": harmonic.cqhc_stats(s),
        "harmonic": harmonic.harmonic_stats(s, pitch),
        "envelope": envelope.envelope_stats(samples, lengths),
    }
    return found, pitch, s


def describe(samples: Float32Array, lengths: Int64Array) -> Float32Array:
    """All descriptors of a batch of segments side by side, float32, shape (n, d).

    Parameters as `groups`.

    Examples
    --------
    >>> tone = np.sin(np.arange(22050, dtype=np.float32) * 0.1)[None]
    >>> bool(np.isfinite(describe(tone, np.array([22050]))).all())
    True
    """
    found: Mapping[str, Float32Array] = groups(samples, lengths)[0]
    return np.concatenate([found[name] for name in GROUPS], axis=1).astype(np.float32)


def aspects(found: Mapping[str, Float32Array], spectra: Spectra) -> dict[str, Float32Array]:
    """What a musician would say of each segment, from what `groups` gave; float32, shape (n,).

    ``brightness_hz`` (centre of gravity of the spectrum, on a log axis), ``noisiness`` (0 tonal to
    1 flat, of the loudest quarter of the spectrum), ``attack`` (until within 3 dB of the loudest),
    ``decay`` (20 dB or less below it) and ``sounding`` (45 dB or less), in seconds.
    """
    block = envelope.BLOCK / SAMPLE_RATE
    course = found["envelope"]
    at = envelope.N_COURSE
    seconds = (2 ** course[:, at : at + envelope.N_LENGTHS] - 1) * np.float32(block)
    peaked = cepstra.peakedness(spectra)
    hz = 2 ** found["shape"][:, 0] * np.float32(SAMPLE_RATE / LENGTH)
    return {
        "brightness_hz": hz.astype(np.float32),
        "noisiness": peaked,
        "attack": np.maximum(seconds[:, 0] - np.float32(envelope.PRE_ROLL / SAMPLE_RATE), 0),
        "decay": seconds[:, 6],
        "sounding": seconds[:, 8],
    }
