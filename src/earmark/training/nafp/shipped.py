"""The network that comes with the package as a `SegmentEncoder`: ONNX Runtime, no PyTorch."""

from __future__ import annotations

from earmark.encoders.fingerprint import NDIM, shipped_network
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
        return self._network.embed(self._network.segment.features(samples), NDIM)
