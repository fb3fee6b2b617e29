"""Graphs in 8 bits: convolutions and matrix products of integers, the rest in floats.

Weights are kept as 8-bit integers with one scale for each output channel; what they are
multiplied with is rounded to 8 bits by one fixed scale for each tensor, found by running the
graph on examples (the largest magnitude that came; without a sign where none was negative, which
is twice as fine).  Fixed scales make a row independent of its batch-mates.  Written as pairs of
QuantizeLinear and DequantizeLinear, which backends fuse into integer arithmetic.

Source: Jacob et al., "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference" (2018).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from earmark.types import AnyArray, Float32Array

_LARGEST = 127
_OUTPUT_AXIS: Mapping[str, int] = {"Conv": 0, "Gemm": 0, "MatMul": 1}
"""Axis of a weight that is the output channel; of Gemm with its weight transposed."""


def rounded_weight(weight: Float32Array, axis: int) -> tuple[AnyArray, Float32Array]:
    """Round a weight to 8 bits, one scale for each index along an axis.

    Parameters
    ----------
    weight : float32 array
    axis : int

    Returns
    -------
    rounded : int8 array, shape of `weight`
    scales : float32 array, shape (weight.shape[axis],)
        ``rounded * scales`` is the weight, to half a scale.

    Examples
    --------
    >>> rounded, scales = rounded_weight(np.array([[1.0, 0.5], [0.0, 4.0]], np.float32), 0)
    >>> rounded.tolist()
    [[127, 64], [0, 127]]
    """
    others = tuple(i for i in range(weight.ndim) if i != axis)
    largest = np.abs(weight).max(axis=others, keepdims=True)
    scales = np.maximum(largest, 1e-12) / np.float32(_LARGEST)
    return np.round(weight / scales).astype(np.int8), scales.reshape(-1).astype(np.float32)


def quantise(source: Path, target: Path, examples: Sequence[Mapping[str, AnyArray]]) -> int:
    """Write a graph whose large products are of 8-bit integers.

    Parameters
    ----------
    source, target : Path
        ONNX files.
    examples : sequence of mappings
        Inputs such as the graph will get: what is much louder than any of them is clipped.

    Returns
    -------
    int
        How many convolutions and products were changed.
    """
    import onnx

    graph = onnx.load(str(source))
    weights = {item.name: item for item in graph.graph.initializer}
    chosen = [node for node in graph.graph.node if _is_product(node, weights)]
    ranges = _ranges(source, {node.input[0] for node in chosen}, examples)
    added: list[Any] = []
    before = {name: _rounding(graph.graph, name, ranges[name]) for name in ranges}
    made: dict[str, str] = {}
    for node in chosen:
        name = node.input[1]
        if name not in made:
            added.append(_stored(graph.graph, weights[name], _OUTPUT_AXIS[node.op_type]))
            made[name] = added[-1].output[0]
        node.input[0], node.input[1] = before[node.input[0]][1].output[0], made[name]
    _replace(graph.graph, set(made), added, before)
    onnx.save(graph, str(target))
    return len(chosen)


def _is_product(node: Any, weights: Mapping[str, Any]) -> bool:
    """Whether a node multiplies by a weight of the file, laid out as `_OUTPUT_AXIS` says."""
    if node.op_type not in _OUTPUT_AXIS or node.input[1] not in weights:
        return False
    if node.op_type == "Gemm":
        return any(a.name == "transB" and a.i == 1 for a in node.attribute)
    return node.op_type == "Conv" or len(weights[node.input[1]].dims) == 2


def _ranges(
    source: Path, names: Iterable[str], examples: Sequence[Mapping[str, AnyArray]]
) -> dict[str, tuple[float, float]]:
    """The least and the largest number of each named tensor over the examples."""
    import onnx
    import onnxruntime

    graph = onnx.load(str(source))
    wanted = sorted(names)
    inputs = {item.name for item in graph.graph.input}
    inner = [name for name in wanted if name not in inputs]
    graph.graph.output.extend(onnx.ValueInfoProto(name=name) for name in inner)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    found = dict.fromkeys(wanted, (0.0, 0.0))
    for example in examples:
        seen = {**example, **dict(zip(inner, session.run(inner, dict(example)), strict=True))}
        for name in wanted:
            least, largest = found[name]
            found[name] = min(least, float(seen[name].min())), max(largest, float(seen[name].max()))
    return found


def _rounding(graph: Any, name: str, ends: tuple[float, float]) -> tuple[Any, Any]:
    """The two nodes that round a tensor, with their scale added to the graph."""
    from onnx import helper, numpy_helper

    scale, zero = f"{name}_scale", f"{name}_zero"
    signed = ends[0] < 0
    steps = np.iinfo(np.int8 if signed else np.uint8).max
    value = np.array(max(-ends[0], ends[1], 1e-6) / steps, np.float32)
    graph.initializer.append(numpy_helper.from_array(value, scale))
    nothing = np.array(0, np.int8 if signed else np.uint8)
    graph.initializer.append(numpy_helper.from_array(nothing, zero))
    return (
        helper.make_node("QuantizeLinear", [name, scale, zero], [f"{name}_rounded"]),
        helper.make_node("DequantizeLinear", [f"{name}_rounded", scale, zero], [f"{name}_near"]),
    )


def _stored(graph: Any, weight: Any, axis: int) -> Any:
    """Add a rounded weight to the graph; return the node that makes it a float."""
    from onnx import helper, numpy_helper

    rounded, scales = rounded_weight(numpy_helper.to_array(weight), axis)
    parts = {"rounded": rounded, "scales": scales, "zeros": np.zeros(scales.shape, np.int8)}
    names = [f"{weight.name}_{part}" for part in parts]
    for name, value in zip(names, parts.values(), strict=True):
        graph.initializer.append(numpy_helper.from_array(value, name))
    return helper.make_node("DequantizeLinear", names, [f"{weight.name}_near"], axis=axis)


def _replace(graph: Any, gone: set[str], added: list[Any], before: Mapping[str, Any]) -> None:
    """Put the new nodes in, each after what it takes, and drop weights nobody takes any more."""
    nodes = list(added)
    for name in [item.name for item in graph.input]:
        nodes.extend(before.get(name, ()))
    for node in graph.node:
        nodes.append(node)
        for name in node.output:
            nodes.extend(before.get(name, ()))
    del graph.node[:]
    graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input}
    kept = [item for item in graph.initializer if item.name in used or item.name not in gone]
    del graph.initializer[:]
    graph.initializer.extend(kept)
