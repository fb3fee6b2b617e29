"""EfficientAT: what a sound is, by a small convolutional network trained on AudioSet.

Windows of 10 s become a vector (384 numbers for mn04, 960 for mn10) and the probabilities of 527
classes.  A clip shorter than a window is repeated to fill it, which finds like sounds better than
silence around it does (measured; see ``docs/models/semantic.md``).

Source: Schmid, Koutini and Widmer, "Efficient Large-Scale Audio Tagging via Transformer-to-CNN
Knowledge Distillation" (2023); weights MIT, github.com/fschmid56/EfficientAT.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from earmark.config import Settings
from earmark.encoders.converting import Recipe
from earmark.encoders.graph_encoder import Design, files_of, take_options
from earmark.encoders.labels import audioset_labels
from earmark.encoders.tagging import TaggingEncoder
from earmark.features.reference_mel import MelFront, log_mel
from earmark.types import JSON, AnyArray, Encoder, Float32Array, State
from earmark.weights import model

NAME = "efficientat"
MODELS = ("mn04", "mn10")

FRONT = MelFront(
    sample_rate=32_000,
    length=800,
    hop=320,
    n_fft=1024,
    bands=128,
    fmin_hz=0.0,
    fmax_hz=15_000.0,
    scale="mel",
    area=False,
    periodic=False,
    preemphasis=0.97,
    log="ln",
    floor=1e-5,
)

_NDIM = {"mn04": 384, "mn10": 960}
_ALGORITHM = "1"
"""Raised whenever the same audio and weights would give other rows."""


def features(windows: Float32Array) -> Float32Array:
    """Return what the network takes, shape (n, 1, 128, frames), of windows at 32 kHz."""
    levels = (log_mel(windows, FRONT) + np.float32(4.5)) / np.float32(5)
    return np.ascontiguousarray(levels.transpose(0, 2, 1)[:, None])


class EfficientAT(TaggingEncoder):
    """Implements `Encoder`, `StreamEncoder` and `Tagger`."""

    def encode_tagged(self, windows: Float32Array) -> tuple[Float32Array, Float32Array]:
        """Encode windows, shape (n, 320000), and tag them in one pass; see `Tagger`."""
        return self.tagged(windows, features)


def _build(name: str) -> Any:
    def build(tensors: Mapping[str, AnyArray], source: str) -> Any:
        from earmark.encoders.networks.loading import fill
        from earmark.encoders.networks.mobilenet import MobileNet

        return fill(MobileNet(float(model(name).facts["width"])), tensors, source=source)

    return build


def recipe(name: str) -> Recipe:
    """How a checkpoint of mn04 or mn10 becomes a graph."""
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 64_000)).astype(np.float32)
    return Recipe(
        name="1",
        build=_build(name),
        inputs={"mel": features(noise)},
        outputs=("logits", "emb"),
        axes={"mel": (3,)},
    )


def create(
    options: Mapping[str, JSON], state: State | None, *, settings: Settings | None = None
) -> Encoder:
    """Make the encoder; see `earmark.encoders.create`.

    Options: ``model`` ('mn04' or 'mn10') and ``hop`` (seconds between windows, 5 by default).
    """
    chosen = take_options(NAME, options, models=MODELS, hop=5.0)
    design = Design(
        name=NAME,
        kind="similar",
        ndim=_NDIM[chosen.model],
        window=10.0,
        sample_rate=FRONT.sample_rate,
        algorithm=_ALGORITHM,
        outputs={"emb": _NDIM[chosen.model], "logits": len(audioset_labels())},
    )
    return EfficientAT(design, chosen, files_of(chosen.model, settings), recipe(chosen.model))
