"""Features: sound as numbers per frame, from one short-time Fourier transform.

Pure functions on float32 arrays; `FEATURES` names those that can be asked for by track, and
`compute` makes one of them from samples.

Examples
--------
>>> import numpy as np
>>> compute("bark", np.zeros(22_050, np.float32), 22_050).shape
(43, 100)
"""

from earmark.features.bands import (
    bark_bands,
    bark_filters,
    chroma,
    chroma_filters,
    log_mel,
    mel_filterbank,
)
from earmark.features.cepstral import bfcc, dct_matrix, delta, mfcc, unit
from earmark.features.named import FEATURES, FeatureSpec, compute, feature
from earmark.features.spectral import (
    HOP,
    LENGTH,
    SAMPLE_RATE,
    bandwidth,
    centroid,
    flatness,
    frames_of,
    magnitude,
    rms,
    rolloff,
    spectral_contrast,
    stft_magnitude,
    vorbis_window,
)

__all__ = [
    "FEATURES",
    "HOP",
    "LENGTH",
    "SAMPLE_RATE",
    "FeatureSpec",
    "bandwidth",
    "bark_bands",
    "bark_filters",
    "bfcc",
    "centroid",
    "chroma",
    "chroma_filters",
    "compute",
    "dct_matrix",
    "delta",
    "feature",
    "flatness",
    "frames_of",
    "log_mel",
    "magnitude",
    "mel_filterbank",
    "mfcc",
    "rms",
    "rolloff",
    "spectral_contrast",
    "stft_magnitude",
    "unit",
    "vorbis_window",
]
