"""From trained weights to the ONNX file that the encoder runs."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from earmark.melody.windows import POINTS
from earmark.training.melody.model import ContourNet

if TYPE_CHECKING:
    import onnx


def export_onnx(net: ContourNet, path: Path) -> str:
    """Write the network; return its revision, the first digits of the hash of its weights.

    Parameters
    ----------
    net : ContourNet
    path : Path
    """
    import onnx

    net.eval()
    torch.onnx.export(
        net,
        (torch.zeros(2, 2, POINTS),),
        str(path),
        input_names=["windows"],
        output_names=["vectors"],
        dynamic_shapes={"x": {0: torch.export.Dim("n")}},
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    digest = hashlib.sha256()
    for name, tensor in sorted(net.state_dict().items()):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(tensor.numpy()).tobytes())
    revision = digest.hexdigest()[:12]
    graph = onnx.load(str(path))
    without_traces(graph)
    entry = graph.metadata_props.add()
    entry.key, entry.value = "revision", revision
    onnx.save(graph, str(path))
    return revision


def without_traces(model: onnx.ModelProto) -> None:
    """Drop what the exporter notes of the source that made each part, with paths of its machine."""
    model.doc_string = model.graph.doc_string = ""
    del model.graph.metadata_props[:]
    for parts in (model.graph.node, model.graph.value_info, model.graph.initializer):
        for part in parts:
            part.doc_string = ""
            del part.metadata_props[:]
    for value in (*model.graph.input, *model.graph.output):
        value.doc_string = ""
        del value.metadata_props[:]
