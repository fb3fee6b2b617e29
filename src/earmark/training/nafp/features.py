"""What the network sees, in PyTorch, on any device: the log-mel spectrum of each segment alone.

Each segment is scaled by its own maximum: a vector never depends on its batch-mates (the published
program takes the maximum of the whole batch).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from earmark.fingerprinting import hann, mel_filters
from earmark.training.fingerprint.augment import scale
from earmark.training.nafp.config import Features


class FeatureExtractor:
    """Segments of sound to features.

    Parameters
    ----------
    features : Features
    device : torch.device
    """

    def __init__(self, features: Features, device: torch.device) -> None:
        self.features = features
        self.margin = features.n_fft // 2
        self.length = features.samples + 2 * self.margin
        """Samples of a segment with what lies within half a window of it, on both sides."""
        self.window = torch.from_numpy(hann(features.n_fft)).to(device)
        filters = np.ascontiguousarray(mel_filters(features.front).T)
        self.filters = torch.from_numpy(filters).to(device)

    def __call__(self, samples: Tensor) -> Tensor:
        """Features of segments.

        Parameters
        ----------
        samples : Tensor, shape (n, length), float32
            Each segment in the middle of what lies around it; with ``features.padding`` zeros,
            that is not looked at.

        Returns
        -------
        Tensor, shape (n, bands, frames), float32
        """
        if self.features.padding == "zeros":
            samples = silenced(samples, self.features)
        framed = samples.unfold(1, self.features.n_fft, self.features.stft_hop)
        framed = framed[:, : self.features.frames] * self.window
        spectrum = torch.fft.rfft(framed).abs().transpose(1, 2)
        return scaled(torch.matmul(self.filters, spectrum), self.features)


def silenced(samples: Tensor, features: Features) -> Tensor:
    """Set all but the segment to zero; it begins half a window after the first sample."""
    margin = features.n_fft // 2
    out = torch.zeros_like(samples)
    inside = slice(margin, margin + features.samples)
    out[:, inside] = samples[:, inside]
    return out


def scaled(mel: Tensor, features: Features) -> Tensor:
    """From linear mel magnitudes, shape (n, bands, frames), to what the network takes."""
    if features.scale == "decibel":
        return scale(mel, features.front)
    logs = torch.log10(mel + features.offset)
    return logs - logs.amax((1, 2), keepdim=True)
