"""From trained weights to the ONNX file that the encoder runs."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch

from earmark.melody.windows import POINTS
from earmark.training.melody.model import ContourNet


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
    entry = graph.metadata_props.add()
    entry.key, entry.value = "revision", revision
    graph.doc_string = ""
    onnx.save(graph, str(path))
    return revision
