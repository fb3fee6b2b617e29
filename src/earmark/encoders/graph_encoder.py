"""What the encoders of published networks share: options, files, the graph, sessions.

The files are looked for, and converted if need be, when the encoder is made; the graph itself is
loaded on first use, so that a process that only plans does not hold it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from earmark.config import Settings
from earmark.encoders import backends
from earmark.encoders.converting import Prepared, Recipe, prepare
from earmark.errors import EncoderError, UsageError, nearest
from earmark.framing import TilingSession
from earmark.types import JSON, EncoderSpec, EncodeSession, Float32Array, RowSpec
from earmark.weights import Places, model, require

_BATCH = 4
"""Windows at once: more gains nothing on a CPU, and holds more memory."""


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
    algorithm : str
        Raised whenever the same audio and weights would give other rows.
    """

    name: str
    kind: str
    ndim: int
    window: float
    sample_rate: int
    algorithm: str
    outputs: Mapping[str, int] = field(default_factory=dict)


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


class GraphEncoder:
    """Base of encoders that are one published network.  Implements `StreamEncoder`.

    Parameters
    ----------
    design : Design
    options : Options
    recipe : Recipe
    settings : Settings, optional
        Where files lie; by default those of the environment.

    Raises
    ------
    NotAvailable
        If the model's files, or a package that they need, are not here.
    """

    def __init__(
        self, design: Design, options: Options, recipe: Recipe, *, settings: Settings | None = None
    ) -> None:
        places = Places.of(settings or Settings.from_env(os.environ))
        self.located = require(model(options.model), places)
        self._design = design
        self._options = options
        self._prepared: Prepared = prepare(self.located, places, recipe)
        self._graph: backends.Graph | None = None

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
            options={"model": self._options.model, "hop": self._options.hop},
        )

    def session(self) -> EncodeSession:
        """Begin a new track; what is shorter than a window is repeated to fill it."""
        return TilingSession(self, batch=_BATCH)  # type: ignore[arg-type]

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
        parts: list[dict[str, Float32Array]] = []
        for i in range(0, len(windows), _BATCH):
            parts.append(self._run(features(windows[i : i + _BATCH])))
        return {
            name: np.concatenate([np.empty((0, ndim), np.float32), *(p[name] for p in parts)])
            for name, ndim in self._design.outputs.items()
        }

    def _run(self, inputs: Float32Array) -> dict[str, Float32Array]:
        if self._graph is None:
            ready = self._prepared
            self._graph = backends.load(ready.path, backend=ready.backend, bfloat16=ready.bfloat16)
        found = self._graph.run({self._input: inputs})
        for name, ndim in self._design.outputs.items():
            if name not in found or found[name].shape != (len(inputs), ndim):
                shapes = {key: value.shape for key, value in found.items()}
                raise EncoderError(
                    f"{self._prepared.path.name} must give {name!r} of {ndim} numbers, got {shapes}"
                )
        return found

    _input = "mel"
