"""Checkpoints become ONNX graphs, once: converted, compared with PyTorch, kept in the cache.

How a graph is then run here (`earmark.encoders.choosing`) is found once as well.

A converted file is named by the content it came from and by the recipe, so that neither can
change unnoticed.  Beside it lies a JSON file of what the comparison found.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from earmark.encoders import backends
from earmark.errors import EncoderError, NotAvailable
from earmark.types import AnyArray, Float32Array
from earmark.weights import Located, Places
from earmark.weights.locating import digest
from earmark.weights.tensors import read_checkpoint

LEAST_COSINE = 0.999
"""Between outputs of PyTorch and of a converted graph."""

_OPSET = 17
_DIGESTS = "digests.json"


@dataclass(frozen=True)
class Recipe:
    """How a checkpoint becomes a graph.

    Parameters
    ----------
    name : str
        Part of the file's name; another one whenever the graph changes.
    build : callable
        Makes the network, a ``torch.nn.Module`` ready to infer, of the checkpoint's tensors and
        the file's name.
    inputs : mapping of str to array
        Two examples of each input, along axis 0.
    outputs : tuple of str
        Names for the network's outputs, in order.
    axes : mapping of str to tuple of int
        The axes of each input, besides 0, that may have any length.
    key : str
        The checkpoint keeps its tensors under this key.
    sounds : callable, optional
        Makes features of generated sounds: with true those that an 8-bit graph is made by, with
        false those that it is compared on.  Without, no 8-bit graph is tried.
    """

    name: str
    build: Callable[[Mapping[str, AnyArray], str], Any]
    inputs: Mapping[str, AnyArray]
    outputs: tuple[str, ...]
    axes: Mapping[str, tuple[int, ...]]
    key: str = ""
    sounds: Callable[[bool], Sequence[Mapping[str, AnyArray]]] | None = None


@dataclass(frozen=True)
class Prepared:
    """A graph that can be loaded.

    Parameters
    ----------
    path : Path
        An ONNX file.
    content : str
        Names the weights: the model's revision if they are the published ones, else the beginning
        of the file's checksum.
    backend : str
        What runs it.
    bfloat16 : bool
        Whether its outputs in bfloat16 are near enough.
    int8 : bool
        Whether it is the 8-bit form of the graph.
    """

    path: Path
    content: str
    backend: str
    bfloat16: bool
    int8: bool = False


def content_name(located: Located, places: Places, path: Path) -> str:
    """Name the content of a file of weights; see `Prepared`."""
    found = known_digest(path, places)
    for file in located.model.files:
        if file.sha256 and found.startswith(file.sha256):
            return located.model.revision
    return found[:12]


def known_digest(path: Path, places: Places) -> str:
    """Return the SHA-256 of a file, from a note in the cache if the file has not changed."""
    stat = path.stat()
    key = f"{path.resolve()}:{stat.st_size}:{stat.st_mtime_ns}"
    notes = _read_json(places.derived / _DIGESTS)
    if isinstance(notes.get(key), str):
        return str(notes[key])
    found = digest(path)
    _write_json(places.derived / _DIGESTS, {**notes, key: found})
    return found


def prepare(
    located: Located, places: Places, recipe: Recipe, *, allow_int8: bool = True
) -> Prepared:
    """Return the graph of a model, converted now if it is not yet.

    Raises
    ------
    NotAvailable
        If the conversion needs PyTorch and it is not installed.
    EncoderError
        If the checkpoint does not fit its network, or its conversion computes something else.
    """
    from earmark.encoders import choosing

    source = located.weights
    content = content_name(located, places, source)
    stem = f"{located.model.name}-{recipe.name}-{known_digest(source, places)[:16]}"
    target = source if source.suffix == ".onnx" else places.derived / f"{stem}.onnx"
    if target is not source and not target.is_file():
        _need_torch(located, source)
        _convert(source, recipe, target)
    small = places.derived / f"{stem}-int8.onnx"
    asked = {"backends": list(backends.available()), "allow_int8": allow_int8}
    notes = places.derived / f"{stem}.json"
    found = _read_json(notes)
    if not choosing.holds(found, asked, small):
        found = {**asked, **choosing.choose(target, small if allow_int8 else None, recipe)}
        _write_json(notes, found)
    int8 = bool(found["int8"])
    path = small if int8 else target
    return Prepared(path, content, str(found["backend"]), bool(found["bfloat16"]), int8)


def _need_torch(located: Located, source: Path) -> None:
    missing = [name for name in ("torch", "onnx") if find_spec(name) is None]
    if missing:
        encoder = located.model.encoder
        raise NotAvailable(
            f"encoder {encoder!r} needs {' and '.join(missing)} to convert {source.name} once",
            hint=f"pip install 'earmark[{encoder}]'",
        )


def _convert(source: Path, recipe: Recipe, target: Path) -> None:
    """Export the network, compare, and only then give the file its name.

    What is not needed any more is let go first: a large network exists several times over.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".converting-") as folder:
        made = Path(folder) / target.name
        network = recipe.build(read_checkpoint(source, key=recipe.key), source.name)
        expected = reference(network, recipe)
        export(network, recipe, made)
        del network
        compare(expected, recipe, made)
        made.replace(target)


def export(network: Any, recipe: Recipe, path: Path) -> None:
    """Write a network as an ONNX file."""
    import warnings

    import torch

    axes = {
        name: {0: "batch", **{axis: f"{name}_{axis}" for axis in recipe.axes.get(name, ())}}
        for name in recipe.inputs
    }
    axes |= {name: {0: "batch"} for name in recipe.outputs}
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # the older exporter is deprecated, and the one that works
        torch.onnx.export(
            network,
            tuple(torch.from_numpy(np.asarray(value)) for value in recipe.inputs.values()),
            str(path),
            input_names=list(recipe.inputs),
            output_names=list(recipe.outputs),
            dynamic_axes=axes,
            opset_version=_OPSET,
            dynamo=False,
        )


def reference(network: Any, recipe: Recipe) -> dict[str, Float32Array]:
    """Outputs of PyTorch for a recipe's examples."""
    import torch

    with torch.inference_mode():
        values = network(*(torch.from_numpy(np.asarray(v)) for v in recipe.inputs.values()))
    values = values if isinstance(values, tuple) else (values,)
    return {name: value.numpy() for name, value in zip(recipe.outputs, values, strict=True)}


def compare(expected: Mapping[str, Float32Array], recipe: Recipe, path: Path) -> float:
    """Return the least cosine between what PyTorch gave and what the file gives.

    Raises
    ------
    EncoderError
        If it is below `LEAST_COSINE`.
    """
    found = backends.load(path, backend="onnxruntime").run(dict(recipe.inputs))
    cosine = least_cosine(expected, found)
    if not cosine >= LEAST_COSINE:
        raise EncoderError(
            f"a converted network must give the vectors that PyTorch gives, cosine at least "
            f"{LEAST_COSINE}; {path.name} gives {cosine:.4f}",
            hint="another version of torch or onnxruntime may convert it",
        )
    return cosine


def least_cosine(a: Mapping[str, Float32Array], b: Mapping[str, Float32Array]) -> float:
    """The least cosine between rows of outputs of the same name; 0 for what is not finite."""
    least = 1.0
    for name, rows in a.items():
        x = rows.astype(np.float64).reshape(len(rows), -1)
        y = b[name].astype(np.float64).reshape(len(rows), -1)
        norms = np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1)
        cosines = (x * y).sum(axis=1) / np.maximum(norms, 1e-12)
        least = min(least, float(np.nan_to_num(cosines).min()))
    return least


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(
        "w", dir=path.parent, prefix=".", suffix=".json", delete=False, encoding="utf-8"
    ) as file:
        json.dump(values, file)
    Path(file.name).replace(path)
