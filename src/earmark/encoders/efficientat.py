"""EfficientAT: what a sound is, by a small convolutional network trained on AudioSet.

Windows of 10 s become a vector (384 numbers for mn04, 960 for mn10) and the probabilities of 527
classes.  Two things are done to a sound that the published front-end leaves open, both because
they find like sounds better (measured; see ``docs/models/semantic.md``): a clip shorter than a
window is repeated until it fills it, with no silence left at the end; and nothing above 11 kHz is
heard, since whether a recording has anything there tells of its codec and recorder rather than
of what sounds.

Source: Schmid, Koutini and Widmer, "Efficient Large-Scale Audio Tagging via Transformer-to-CNN
Knowledge Distillation" (2023); weights MIT, github.com/fschmid56/EfficientAT.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
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
HEARD_HZ = 11_000.0
"""Bands whose middle is above this are given as silent."""

_ALGORITHM = "2"
"""Raised whenever the same audio and weights would give other rows."""


@lru_cache(maxsize=1)
def heard_bands() -> int:
    """How many of the bands lie below `HEARD_HZ`."""
    mel = np.linspace(0.0, np.log1p(FRONT.fmax_hz / 700), FRONT.bands + 2)[1:-1]
    return int(np.count_nonzero(700 * np.expm1(mel) <= HEARD_HZ))


def features(windows: Float32Array) -> Float32Array:
    """Return what the network takes, shape (n, 1, 128, frames), of windows at 32 kHz."""
    levels = log_mel(windows, FRONT)
    levels[:, :, heard_bands() :] = np.log(FRONT.floor)
    levels = (levels + np.float32(4.5)) / np.float32(5)
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
        repeat="fill",
    )
    return EfficientAT(design, chosen, files_of(chosen.model, settings), recipe(chosen.model))
