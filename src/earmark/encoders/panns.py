"""PANNs: Cnn14, 2,048 numbers and the probabilities of 527 classes for windows of 10 s.

Source: Kong et al., "PANNs: Large-Scale Pretrained Audio Neural Networks for Audio Pattern
Recognition" (2020); weights CC BY 4.0, Zenodo record 3987831.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from earmark.config import Settings
from earmark.encoders.converting import Recipe
from earmark.encoders.examples import featured
from earmark.encoders.graph_encoder import Design, files_of, take_options
from earmark.encoders.labels import audioset_labels
from earmark.encoders.tagging import TaggingEncoder
from earmark.features.reference_mel import MelFront, log_mel
from earmark.types import JSON, AnyArray, Encoder, Float32Array, State

NAME = "panns"
MODELS = ("cnn14",)
NDIM = 2048

FRONT = MelFront(
    sample_rate=32_000,
    length=1024,
    hop=320,
    n_fft=1024,
    bands=64,
    fmin_hz=50.0,
    fmax_hz=14_000.0,
)

_ALGORITHM = "1"
"""Raised whenever the same audio and weights would give other rows."""


def features(windows: Float32Array) -> Float32Array:
    """Return what the network takes, shape (n, 1, frames, 64), of windows at 32 kHz."""
    return log_mel(windows, FRONT)[:, None]


class Panns(TaggingEncoder):
    """Implements `Encoder`, `StreamEncoder` and `Tagger`."""

    def encode_tagged(self, windows: Float32Array) -> tuple[Float32Array, Float32Array]:
        """Encode windows, shape (n, 320000), and tag them in one pass; see `Tagger`."""
        return self.tagged(windows, features)


def _build(tensors: Mapping[str, AnyArray], source: str) -> Any:
    from earmark.encoders.networks.cnn14 import IGNORED, Cnn14
    from earmark.encoders.networks.loading import fill

    return fill(Cnn14(), tensors, source=source, ignored=IGNORED)


def recipe() -> Recipe:
    """How the checkpoint becomes a graph."""
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 64_000)).astype(np.float32)
    return Recipe(
        name="1",
        build=_build,
        inputs={"mel": features(noise)},
        outputs=("logits", "emb"),
        axes={"mel": (2,)},
        key="model",
        sounds=featured("mel", features, sample_rate=FRONT.sample_rate, seconds=10.0),
    )


def create(
    options: Mapping[str, JSON], state: State | None, *, settings: Settings | None = None
) -> Encoder:
    """Make the encoder; see `earmark.encoders.create`.

    Options: ``model`` ('cnn14') and ``hop`` (seconds between windows, 10 by default).
    """
    chosen = take_options(NAME, options, models=MODELS, hop=10.0)
    design = Design(
        name=NAME,
        kind="similar",
        ndim=NDIM,
        window=10.0,
        sample_rate=FRONT.sample_rate,
        algorithm=_ALGORITHM,
        outputs={"emb": NDIM, "logits": len(audioset_labels())},
    )
    return Panns(design, chosen, files_of(chosen.model, settings), recipe())
