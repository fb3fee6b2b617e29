"""Which form of a graph is run here: the fastest one that still gives the same vectors.

Forms are the graph in float32, in bfloat16, and rounded to 8 bits (`earmark.encoders.quantising`),
by each backend that is installed.  Each is compared with ONNX Runtime's float32 and timed, once;
one of 8 bits is compared on sounds of other kinds than those that it was made by, and must be a
good deal faster to be taken.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from earmark.encoders import backends
from earmark.encoders.converting import LEAST_COSINE, Recipe, least_cosine
from earmark.encoders.quantising import quantise
from earmark.errors import EncoderError
from earmark.types import AnyArray, Float32Array

LEAST_GAIN = 1.15
"""How many times as fast as the exact forms one of 8 bits must be."""

_TIMED = 3


@dataclass(frozen=True)
class _Form:
    path: Path
    backend: str
    bfloat16: bool = False
    int8: bool = False

    def to_json(self) -> dict[str, Any]:
        return {"backend": self.backend, "bfloat16": self.bfloat16, "int8": self.int8}


def holds(found: Mapping[str, Any], asked: Mapping[str, Any], small: Path) -> bool:
    """Whether what was noted answers what is asked, and the files are still there."""
    if any(found.get(key) != value for key, value in asked.items()):
        return False
    return "int8" in found and (not found["int8"] or small.is_file())


def choose(path: Path, small: Path | None, recipe: Recipe) -> dict[str, Any]:
    """Return the fastest form of a graph that is near enough, as JSON values.

    Parameters
    ----------
    path : Path
        The graph in float32.
    small : Path, optional
        Where its 8-bit form goes; without, none is tried.
    recipe : Recipe
    """
    slow = _Form(path, "onnxruntime")
    exact = _run(slow, [recipe.inputs])
    best = slow
    for form in _exact_forms(path):
        try:
            if least_cosine(exact[0], _run(form, [recipe.inputs])[0]) < LEAST_COSINE:
                continue
        except EncoderError:  # not every graph that one runs the other does
            continue
        best = form
        break
    if small is not None and recipe.sounds is not None and find_spec("onnx") is not None:
        best = _smaller(small, recipe, best, path)
    return best.to_json()


def _exact_forms(path: Path) -> Iterator[_Form]:
    """The forms in floats, the fastest first."""
    if "openvino" in backends.available():
        from earmark.encoders.backends.openvino import has_bfloat16

        for bfloat16 in (True, False) if has_bfloat16() else (False,):
            yield _Form(path, "openvino", bfloat16)
    yield _Form(path, "onnxruntime")


def _smaller(small: Path, recipe: Recipe, best: _Form, path: Path) -> _Form:
    """The 8-bit form, kept as `small`, if it is near enough and a good deal faster; else `best`."""
    if recipe.sounds is None:
        return best
    small.parent.mkdir(parents=True, exist_ok=True)
    made = small.with_suffix(".part")
    quantise(path, made, recipe.sounds(True))
    sounds = recipe.sounds(False)
    form = _Form(made, best.backend, best.bfloat16, int8=True)
    try:
        pairs = zip(_run(_Form(path, "onnxruntime"), sounds), _run(form, sounds), strict=True)
        near = min(nearness(exact, found) for exact, found in pairs)
        gain = _seconds(best, sounds[0]) / _seconds(form, sounds[0])
    except EncoderError:  # not every backend runs such graphs
        near = gain = 0.0
    if near >= LEAST_COSINE and gain >= LEAST_GAIN:
        made.replace(small)
        return form
    made.unlink()
    return best


def nearness(exact: Mapping[str, Float32Array], found: Mapping[str, Float32Array]) -> float:
    """The least cosine between rows; of logits, without what all classes have in common.

    Logits are mostly far below 0, so that any two rows of them are alike.
    """
    centred = [
        {
            name: rows - rows.mean(axis=1, keepdims=True) if name == "logits" else rows
            for name, rows in outputs.items()
        }
        for outputs in (exact, found)
    ]
    return least_cosine(*centred)


def _run(form: _Form, inputs: Sequence[Mapping[str, AnyArray]]) -> list[dict[str, Float32Array]]:
    graph = backends.load(form.path, backend=form.backend, bfloat16=form.bfloat16)
    return [graph.run(dict(one)) for one in inputs]


def _seconds(form: _Form, inputs: Mapping[str, AnyArray]) -> float:
    """Processor time of a run, the median of a few after the first."""
    graph = backends.load(form.path, backend=form.backend, bfloat16=form.bfloat16)
    graph.run(dict(inputs))
    taken = []
    for _ in range(_TIMED):
        began = time.process_time()
        graph.run(dict(inputs))
        taken.append(time.process_time() - began)
    return float(np.median(taken))
