"""The network that comes with the package as a `SegmentEncoder`: ONNX Runtime, no PyTorch."""

from __future__ import annotations

import numpy as np

from earmark.encoders.fingerprint import NDIM, shipped_network
from earmark.fingerprinting import mel_magnitudes, scale_segments
from earmark.training.nafp.config import Features, preset
from earmark.types import Float32Array

NAME = "shipped"


class ShippedEncoder:
    """Implements `SegmentEncoder`; rows are those that `earmark index` stores, in float32."""

    def __init__(self) -> None:
        self._network = shipped_network()

    @property
    def features(self) -> Features:
        """Rate, window and hop."""
        return preset("compact").features

    @property
    def ndim(self) -> int:
        """Numbers of a vector."""
        return NDIM

    @property
    def identity(self) -> dict[str, str]:
        """The network's revision."""
        return {"encoder": NAME, "revision": self._network.revision}

    def encode(self, samples: Float32Array) -> Float32Array:
        """See `SegmentEncoder`."""
        front = self._network.front
        framed = np.lib.stride_tricks.sliding_window_view(samples, front.n_fft, axis=1)
        framed = framed[:, :: front.hop][:, : front.frames]
        mel = mel_magnitudes(framed.reshape(-1, front.n_fft), front)
        shaped = mel.reshape(len(samples), front.frames, front.bands)
        return self._network.embed(scale_segments(shaped, front), NDIM)
