"""From a checkpoint to the file that searches use: an ONNX graph without PyTorch.

Batch norm is folded into the convolutions, and all that the front-end needs to know is written
into the file's metadata, so that an encoder can be built from the file alone.  `quantize` makes
the convolutions 8-bit: a quarter of the size, about three times as fast, and vectors whose cosine
with the exact ones is above 0.998.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from earmark.training.fingerprint.config import TrainConfig
from earmark.training.fingerprint.graph import Graph, compact
from earmark.training.fingerprint.model import FingerprintNet
from earmark.training.fingerprint.train import load_checkpoint
from earmark.types import Float32Array


def load_net(checkpoint: Path) -> tuple[FingerprintNet, TrainConfig, int]:
    """Return the network of a checkpoint in eval mode, its configuration and its step."""
    state = load_checkpoint(checkpoint)
    config = TrainConfig.from_json(json.loads(state["config"]))
    net = FingerprintNet(config.model, config.front)
    net.load_state_dict(state["net"])
    return net.eval(), config, int(state["step"])


def export_onnx(checkpoint: Path, path: Path, *, card: str = "") -> str:
    """Write a checkpoint's network as ONNX; return the revision that is written into it.

    Parameters
    ----------
    checkpoint, path : Path
    card : str
        What to call the training run in the file.

    Returns
    -------
    str
        The first 12 hexadecimal digits of the SHA-256 of weights and front-end.
    """
    net, config, step = load_net(checkpoint)
    graph = Graph()
    compact(graph, net)
    revision = graph.digest(json.dumps(asdict(config.front), sort_keys=True))
    facts = {"front": json.dumps(asdict(config.front)), "revision": revision}
    facts |= {"prefixes": json.dumps(config.model.prefixes), "step": str(step), "card": card}
    graph.save(path, config.front, config.model.ndim, facts)
    return revision


def quantize(source: Path, target: Path, features: Float32Array) -> str:
    """Write a copy of an exported graph whose convolutions are 8-bit; return its revision.

    Parameters
    ----------
    source, target : Path
    features : float32 array, shape (n, bands, frames)
        Segments of music and of degraded music, some hundred: ranges of activations are taken
        from them.

    Returns
    -------
    str
        The first 12 hexadecimal digits of the SHA-256 of the graph.
    """
    import onnx
    from onnxruntime import quantization

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._batches = iter(np.array_split(features, max(1, len(features) // 20)))

        def get_next(self) -> dict[str, Float32Array] | None:
            batch = next(self._batches, None)
            return None if batch is None else {"features": batch}

    # 7-bit weights: with 8 bits, sums overflow on processors without VNNI instructions.
    quantization.quantize_static(
        source,
        target,
        Reader(),
        quant_format=quantization.QuantFormat.QDQ,
        per_channel=True,
        reduce_range=True,
        activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType.QInt8,
        op_types_to_quantize=["Conv", "Relu"],
    )
    model = onnx.load(target)
    facts = {p.key: p.value for p in onnx.load(source).metadata_props}
    del model.metadata_props[:]
    revision = hashlib.sha256(model.SerializeToString()).hexdigest()[:12]
    facts["revision"] = revision
    onnx.helper.set_model_props(model, facts)
    target.write_bytes(model.SerializeToString())
    return revision
