"""What the encoders of published networks share: options, files, the graph, sessions.

The files are looked for, and converted if need be, when the encoder is made; the graph itself is
loaded on first use, so that a process that only plans does not hold it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from earmark.config import Settings
from earmark.encoders import backends
from earmark.encoders.converting import Prepared, Recipe, prepare
from earmark.errors import EncoderError, UsageError, nearest
from earmark.framing import TilingSession
from earmark.types import JSON, EncoderSpec, EncodeSession, Float32Array, RowSpec
from earmark.weights import Located, Places, model, require

_BATCH = 1
"""Windows at once: more gains little on a CPU, and in bfloat16 rows would depend on others."""


@dataclass(frozen=True)
class Options:
    """What a user can choose.

    Parameters
    ----------
    model : str
        Name of the model.
    hop : float
        Seconds between windows.
    """

    model: str
    hop: float


@dataclass(frozen=True)
class Design:
    """What is fixed for an encoder; names as in `EncoderSpec`.

    Parameters
    ----------
    outputs : mapping of str to int
        Names and lengths of the graph's outputs.
    options : mapping
        What the spec says besides the model and the hop.
    algorithm : str
        Raised whenever the same audio and weights would give other rows.
    batch : int
        Windows at once in 8 bits, where a row does not depend on its batch-mates.
    repeat : {'whole', 'fill'}
        How a clip shorter than a window is repeated; see `earmark.framing.TilingSession`.
    """

    name: str
    kind: str
    ndim: int
    window: float
    sample_rate: int
    algorithm: str
    outputs: Mapping[str, int]
    options: Mapping[str, JSON] = field(default_factory=dict)
    batch: int = _BATCH
    repeat: Literal["whole", "fill"] = "whole"


def take_options(
    name: str, options: Mapping[str, JSON], *, models: Sequence[str], hop: float
) -> Options:
    """Check the options of an encoder; the first model is the default.

    Raises
    ------
    UsageError
        For an unknown option or model, or a hop that is not positive.
    """
    known = {"model", "hop"}
    for option in options:
        if option not in known:
            raise UsageError(
                f"encoder {name!r} takes the options model and hop, got {option!r}",
                hint=nearest(option, known),
            )
    chosen, seconds = options.get("model", models[0]), options.get("hop", hop)
    if chosen not in models:
        raise UsageError(
            f"the model of encoder {name!r} must be one of {', '.join(models)}, got {chosen!r}",
            hint=nearest(str(chosen), models),
        )
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not seconds > 0:
        raise UsageError(f"the hop of encoder {name!r} must be more than 0 s, got {seconds!r}")
    return Options(str(chosen), float(seconds))


@dataclass(frozen=True)
class Files:
    """A model's files, the folders that they and their conversions lie in, and whether graphs of
    8 bits may be made of them."""

    located: Located
    places: Places
    int8: bool = True


def files_of(name: str, settings: Settings | None) -> Files:
    """Find the files of a model; without settings, where the environment says.

    Raises
    ------
    NotAvailable
        If they are not here; the hint says how to get them.
    """
    settings = settings or Settings.from_env(os.environ)
    places = Places.of(settings)
    return Files(require(model(name), places), places, settings.model_int8)


class GraphEncoder:
    """Base of encoders that are one published network.  Implements `StreamEncoder`.

    Parameters
    ----------
    design : Design
    options : Options
    files : Files
    recipe : Recipe
        Of the graph that takes windows; its only input is features of them.

    Raises
    ------
    NotAvailable
        If a package that the conversion needs is not here.
    EncoderError
        If the files are not those of the model.
    """

    def __init__(self, design: Design, options: Options, files: Files, recipe: Recipe) -> None:
        self._design = design
        self._options = options
        self._files = files
        (self._input,) = recipe.inputs
        self._prepared = self.prepare(recipe)
        self._graphs: dict[Path, backends.Graph] = {}

    def prepare(self, recipe: Recipe) -> Prepared:
        """Return a graph of this model, converted now if it is not yet."""
        files = self._files
        return prepare(files.located, files.places, recipe, allow_int8=files.int8)

    def graph(self, prepared: Prepared) -> backends.Graph:
        """Return a graph, loaded on first use."""
        if prepared.path not in self._graphs:
            self._graphs[prepared.path] = backends.load(
                prepared.path, backend=prepared.backend, bfloat16=prepared.bfloat16
            )
        return self._graphs[prepared.path]

    @property
    def spec(self) -> EncoderSpec:
        """What this encoder is: the weights and the front-end, not what computes them."""
        design = self._design
        return EncoderSpec(
            name=design.name,
            kind=design.kind,
            rows=RowSpec("float16", design.ndim, "cosine"),
            sample_rate=design.sample_rate,
            window=design.window,
            hop=self._options.hop,
            revision=f"{design.algorithm}-{self._prepared.content}",
            options={
                "model": self._options.model,
                "hop": self._options.hop,
                **self._design.options,
            },
        )

    def session(self) -> EncodeSession:
        """Begin a new track; what is shorter than a window is repeated to fill it."""
        design, batch = self._design, self._batch()
        return TilingSession(self, batch=batch, repeat=design.repeat)  # type: ignore[arg-type]

    def outputs(
        self, windows: Float32Array, features: Callable[[Float32Array], Float32Array]
    ) -> dict[str, Float32Array]:
        """Run the graph on windows, shape (n, samples).

        Raises
        ------
        EncoderError
            If the windows are of another length, or the graph's outputs of other shapes than
            the design's.
        """
        size = round(self._design.window * self._design.sample_rate)
        if windows.ndim != 2 or windows.shape[1] != size:
            raise EncoderError(f"windows must have shape (n, {size}), got {windows.shape}")
        batch = self._batch()
        parts = [self._run(features(windows[i : i + batch])) for i in range(0, len(windows), batch)]
        return {
            name: np.concatenate([np.empty((0, ndim), np.float32), *(p[name] for p in parts)])
            for name, ndim in self._design.outputs.items()
        }

    def _batch(self) -> int:
        return self._design.batch if self._prepared.int8 else _BATCH

    def _run(self, inputs: Float32Array) -> dict[str, Float32Array]:
        found = self.graph(self._prepared).run({self._input: inputs})
        for name, ndim in self._design.outputs.items():
            if name not in found or found[name].shape != (len(inputs), ndim):
                shapes = {key: value.shape for key, value in found.items()}
                raise EncoderError(
                    f"{self._prepared.path.name} must give {name!r} of {ndim} numbers, got {shapes}"
                )
        return found
