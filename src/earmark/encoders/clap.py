"""CLAP: words and sounds in one space.

Windows of 10 s, and texts, become unit vectors; the nearer two of them, the better the words
describe the sound.  Checkpoints of `laion`; the audio tower takes a log-mel spectrogram that is
made here, the text tower tokens.  ``fusion`` checkpoints are refused: what they do with a sound
is drawn at random.  A checkpoint whose vectors are all alike is refused as well.

Sources: Wu, Chen, Zhang et al., "Large-scale Contrastive Language-Audio Pretraining with Feature
Fusion and Keyword-to-Caption Augmentation" (2023); weights Apache-2.0, huggingface.co/laion.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from earmark.config import Settings
from earmark.encoders.clap_text import Tokenizer
from earmark.encoders.converting import Recipe
from earmark.encoders.examples import featured
from earmark.encoders.graph_encoder import (
    Design,
    Files,
    GraphEncoder,
    Options,
    files_of,
    take_options,
)
from earmark.errors import Doubtful, EncoderError, QueryError, UsageError
from earmark.features.reference_mel import MelFront, log_mel
from earmark.types import JSON, AnyArray, Encoder, Float32Array, State
from earmark.weights import Located

NAME = "clap"
MODELS = (
    "larger_clap_music_and_speech",
    "larger_clap_general",
    "clap-htsat-unfused",
    "larger_clap_music",
)

FRONT = MelFront(
    sample_rate=48_000,
    length=1024,
    hop=480,
    n_fft=1024,
    bands=64,
    fmin_hz=50.0,
    fmax_hz=14_000.0,
)

MOST_ALIKE = 0.99
"""Mean cosine of vectors of unrelated texts from which on a checkpoint is warned of."""

CONSTANT = 0.9999
"""Mean cosine from which on it is refused: nothing is left to tell texts apart by."""

UNRELATED = (
    "a dog barks",
    "a string quartet plays",
    "heavy rain falls",
    "a man is talking",
)

_ALGORITHM = "1"
"""Raised whenever the same audio and weights would give other rows."""

_KEPT_TEXTS = 1024


def features(windows: Float32Array) -> Float32Array:
    """Return what the audio tower takes, shape (n, 1, frames, 64), of windows at 48 kHz."""
    return log_mel(windows, FRONT)[:, None]


class Clap(GraphEncoder):
    """Implements `Encoder`, `StreamEncoder` and `TextEncoder`.

    Parameters
    ----------
    design : Design
    options : Options
    files : Files
    template : str
        What a text is put into, with ``{q}`` for the text; empty for the model's own.
    """

    def __init__(
        self, design: Design, options: Options, files: Files, *, template: str = ""
    ) -> None:
        located = files.located
        super().__init__(design, options, files, recipe(located, "audio"))
        self._text = self.prepare(recipe(located, "text"))
        self._template = template or located.model.facts.get("template", "{q}")
        if "{q}" not in self._template:
            raise UsageError(
                f"a template must contain {{q}} in the place of the text, got {self._template!r}"
            )
        # Bound to this encoder: vectors of another model must not answer.
        self._text_vector = lru_cache(maxsize=_KEPT_TEXTS)(self._encode_one)
        self._tokenizer: Tokenizer | None = None

    @property
    def template(self) -> str:
        """What a text is put into: part of what a kept vector of a text was made by."""
        return self._template

    def encode(self, windows: Float32Array) -> Float32Array:
        """Encode windows, shape (n, 480000); see `Encoder`."""
        return self.outputs(windows, features)["vectors"]

    def encode_text(self, texts: Sequence[str]) -> Float32Array:
        """Encode texts to unit vectors, shape (len(texts), 512); see `TextEncoder`.

        Raises
        ------
        QueryError
            If a text has no words.
        EncoderError
            If the checkpoint gives unrelated texts the same vectors.
        """
        for text in texts:
            if not text.strip():
                raise QueryError("a text must have at least one word")
        rows = [self._text_vector(self._template.replace("{q}", text.strip())) for text in texts]
        return np.stack(rows) if rows else np.empty((0, self._design.ndim), np.float32)

    def _encode_one(self, text: str) -> Float32Array:
        if self._tokenizer is None:
            self._tokenizer = Tokenizer(folder_of(self._files.located))
            self._check_collapse()
        return self._vector(text)

    def _vector(self, text: str) -> Float32Array:
        if self._tokenizer is None:
            raise EncoderError("the tokenizer must be loaded before texts are encoded")
        graph = self.graph(self._text)
        vector: Float32Array = graph.run({"tokens": self._tokenizer(text)})["vectors"][0]
        return vector / np.float32(max(float(np.linalg.norm(vector)), 1e-12))

    def _check_collapse(self) -> None:
        """Warn of a checkpoint whose vectors are nearly alike; refuse one that says the same of
        everything."""
        alike = collapse(np.stack([self._vector(text) for text in UNRELATED]))
        if alike < MOST_ALIKE:
            return
        found = (
            "vectors of unrelated texts must differ; those of "
            f"{self._files.located.model.name!r} have a mean cosine of {alike:.5f}"
        )
        hint = f"use another checkpoint: EARMARK_CLAP_MODEL={MODELS[0]}"
        if not alike < CONSTANT:
            raise EncoderError(found, hint=hint)
        warnings.warn(f"{found}: searches by words will be poor; {hint}", Doubtful, stacklevel=2)


def collapse(vectors: Float32Array) -> float:
    """Return the mean cosine between different unit vectors, shape (n, ndim), n > 1."""
    n = len(vectors)
    cosines = np.asarray(vectors, np.float64) @ np.asarray(vectors, np.float64).T
    return float((cosines.sum() - np.trace(cosines)) / (n * (n - 1)))


def folder_of(located: Located) -> Path:
    """The folder of a checkpoint's configuration."""
    return located.files["config.json"].parent


def read_config(path: Path) -> dict[str, Any]:
    """Read a checkpoint's configuration and check that this encoder can run it.

    Raises
    ------
    EncoderError
        If it is no configuration of CLAP, or one with ``fusion``.
    """
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        audio = config["audio_config"]
        fusion = bool(audio.get("enable_fusion"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise EncoderError(f"{path.name} must be a configuration of CLAP: {error!r}") from error
    if fusion:
        raise EncoderError(
            "a CLAP checkpoint must not use fusion, which draws parts of a sound at random; "
            f"{path.parent.name} does",
            hint=f"use one that does not: EARMARK_CLAP_MODEL={MODELS[0]}",
        )
    return dict(config)


def recipe(located: Located, tower: str) -> Recipe:
    """How one tower of a checkpoint becomes a graph."""
    path = located.files["config.json"]
    config = read_config(path)

    def build(tensors: Mapping[str, AnyArray], source: str) -> Any:
        from earmark.encoders.networks import clap

        return clap.build(tower, tensors, source, path)

    random = np.random.default_rng(0)
    if tower == "text":
        words = int(config.get("text_config", {}).get("vocab_size", 50_265))
        inputs: Mapping[str, AnyArray] = {
            "tokens": random.integers(4, words, (2, 9), dtype=np.int64)
        }
        return Recipe("text-1", build, inputs, ("vectors",), {"tokens": (1,)})
    noise = random.uniform(-0.5, 0.5, (2, 480_000)).astype(np.float32)
    noise[1] *= np.linspace(0, 1, 480_000, dtype=np.float32) ** 4
    inputs = {"mel": features(noise)}
    sounds = featured("mel", features, sample_rate=FRONT.sample_rate, seconds=10.0)
    return Recipe("audio-1", build, inputs, ("vectors",), {}, sounds=sounds)


def create(
    options: Mapping[str, JSON], state: State | None, *, settings: Settings | None = None
) -> Encoder:
    """Make the encoder; see `earmark.encoders.create`.

    Options: ``model`` (a checkpoint's name) and ``hop`` (seconds between windows, 10 by default).
    """
    chosen = take_options(NAME, options, models=MODELS, hop=10.0)
    settings = settings or Settings.from_env(os.environ)
    files = files_of(chosen.model, settings)
    ndim = int(read_config(files.located.files["config.json"]).get("projection_dim", 512))
    design = Design(
        name=NAME,
        kind="semantic",
        ndim=ndim,
        window=10.0,
        sample_rate=FRONT.sample_rate,
        algorithm=_ALGORITHM,
        outputs={"vectors": ndim},
    )
    return Clap(design, chosen, files, template=settings.clap_template)
