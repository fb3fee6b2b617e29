"""Encoders whose network also gives the logits of the 527 classes of AudioSet."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from earmark.encoders.graph_encoder import GraphEncoder
from earmark.encoders.labels import audioset_labels
from earmark.types import Float32Array


class TaggingEncoder(GraphEncoder):
    """Base of encoders whose graph gives ``emb`` and ``logits``.  Part of `Tagger`."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes of AudioSet."""
        return audioset_labels()

    def encode(self, windows: Float32Array) -> Float32Array:
        """Encode windows; see `Encoder`."""
        return self.encode_tagged(windows)[0]

    def encode_tagged(self, windows: Float32Array) -> tuple[Float32Array, Float32Array]:
        """Encode windows and tag them in one pass; see `Tagger`."""
        raise TypeError(f"{type(self).__name__} must say what its features are")

    def tagged(
        self, windows: Float32Array, features: Callable[[Float32Array], Float32Array]
    ) -> tuple[Float32Array, Float32Array]:
        """Return vectors and the probabilities of the classes."""
        found = self.outputs(windows, features)
        # Written so that no exponential overflows.
        scores = 0.5 * (1 + np.tanh(0.5 * found["logits"]))
        return found["emb"], scores.astype(np.float32)
