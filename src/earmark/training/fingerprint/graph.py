"""Fingerprint networks as ONNX graphs, written node by node: from features to unit vectors.

Batch norm is folded into the convolutions before it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from earmark.fingerprinting import FrontEnd
from earmark.training.fingerprint.model import DivideAndEncode, FingerprintNet
from earmark.training.whole_file import write_whole
from earmark.types import Float32Array

OPSET = 17


class Graph:
    """Collects nodes and initializers of an ONNX graph."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        self.hash = hashlib.sha256()

    def op(self, kind: str, inputs: Iterable[str], *, output: str = "", **attributes: Any) -> str:
        """Add a node; return its output's name."""
        from onnx import helper

        output = output or f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def floats(self, name: str, value: Float32Array) -> str:
        """Add an array."""
        from onnx import numpy_helper

        stored = np.ascontiguousarray(value, np.float32)
        self.hash.update(name.encode() + stored.tobytes())
        self.initializers.append(numpy_helper.from_array(stored, name))
        return name

    def ints(self, name: str, values: list[int]) -> str:
        """Add a list of integers."""
        from onnx import numpy_helper

        self.initializers.append(numpy_helper.from_array(np.array(values, np.int64), name))
        return name

    def digest(self, text: str) -> str:
        """Digest of all arrays so far and a text."""
        self.hash.update(text.encode())
        return self.hash.hexdigest()[:12]

    def save(self, path: Path, front: FrontEnd, ndim: int, facts: dict[str, str]) -> None:
        """Check the model and write it, complete or not at all."""
        import onnx
        from onnx import TensorProto, helper

        shape: list[str | int] = ["n", front.bands, front.frames]
        features = helper.make_tensor_value_info("features", TensorProto.FLOAT, shape)
        vectors = helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["n", ndim])
        graph = helper.make_graph(
            self.nodes, "fingerprint", [features], [vectors], self.initializers
        )
        opsets = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
        helper.set_model_props(model, facts)
        onnx.checker.check_model(model)
        write_whole(path, model.SerializeToString())


def compact(graph: Graph, net: FingerprintNet) -> None:
    """Write the compact network, in eval mode."""
    out = graph.op("Unsqueeze", ["features", graph.ints("axes", [1])])
    for i, (weight, bias, conv) in enumerate(folded(net)):
        pads = [int(conv.padding[0]), int(conv.padding[1])] * 2
        names = [out, graph.floats(f"conv{i}.weight", weight), graph.floats(f"conv{i}.bias", bias)]
        out = graph.op("Conv", names, strides=list(conv.stride), pads=pads)
        out = graph.op("Relu", [out])
    divide_and_encode(graph, net.head, out)


def divide_and_encode(graph: Graph, head: DivideAndEncode, out: str) -> None:
    """Write the head that makes ``vectors`` of the features `out`: two grouped convolutions."""
    ndim, width, hidden = head.inner.shape
    out = graph.op("Reshape", [out, graph.ints("flat", [0, ndim * width, 1, 1])])
    inner = head.inner.detach().numpy().transpose(0, 2, 1).reshape(ndim * hidden, width, 1, 1)
    outer = head.outer.detach().numpy().reshape(ndim, hidden, 1, 1)
    for name, value, bias in (
        ("inner", inner, head.inner_bias.detach().numpy().reshape(-1)),
        ("outer", outer, head.outer_bias.detach().numpy().reshape(-1)),
    ):
        names = [out, graph.floats(f"{name}.weight", value), graph.floats(f"{name}.bias", bias)]
        out = graph.op("Conv", names, group=ndim)
        out = graph.op("Elu", [out]) if name == "inner" else out
    out = graph.op("Reshape", [out, graph.ints("vector", [0, ndim])])
    graph.op("LpNormalization", [out], output="vectors", axis=1, p=2)


def folded(net: FingerprintNet) -> list[tuple[Float32Array, Float32Array, nn.Conv2d]]:
    """Weights and biases of the convolutions with their batch norms folded in."""
    layers = list(net.body)
    found = []
    for conv, norm in zip(layers[0::3], layers[1::3], strict=True):
        assert isinstance(conv, nn.Conv2d)
        assert isinstance(norm, nn.BatchNorm2d)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        weight = conv.weight * scale[:, None, None, None]
        bias = norm.bias - norm.running_mean * scale
        found.append((weight.detach().numpy(), bias.detach().numpy(), conv))
    return found
