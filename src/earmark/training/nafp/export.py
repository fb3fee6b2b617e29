"""From a checkpoint of a run to the file that ``earmark index`` and ``identify`` use.

The file holds the network as an ONNX graph, and what its features are.  It is believed only after
its vectors have been compared with the checkpoint's own.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from earmark.encoders.fingerprint import Network
from earmark.errors import TrainingError
from earmark.training.fingerprint.graph import Graph, compact, divide_and_encode
from earmark.training.nafp import trained
from earmark.training.nafp.model import Net, PublishedNet, SameConv
from earmark.training.nafp.trained import TrainedEncoder

LEAST_COSINE = 0.9999
"""Between a vector of the file and the same of the checkpoint; rounding is a hundred times less."""


@dataclass(frozen=True)
class Exported:
    """The file that was written, and what it is."""

    path: Path
    encoder: str
    revision: str
    ndim: int
    bytes: int


def export(checkpoint: Path, target: Path) -> Exported:
    """Write a checkpoint's network as ONNX.

    Parameters
    ----------
    checkpoint, target : Path

    Raises
    ------
    TrainingError
        If the checkpoint is none, or the file would give other vectors.
    """
    encoder = trained.load(checkpoint, device="cpu")
    config, net = encoder.config, encoder.net
    graph = Graph()
    write_graph(graph, net)
    front, segment = config.features.front, asdict(config.features.segment)
    del segment["front"]
    facts = {
        "front": json.dumps(asdict(front)),
        "segment": json.dumps(segment),
        "prefixes": json.dumps(config.model.prefixes),
        "card": encoder.name,
    }
    revision = graph.digest(json.dumps([facts["front"], facts["segment"]]))
    target.parent.mkdir(parents=True, exist_ok=True)
    graph.save(target, front, config.model.ndim, facts | {"revision": revision})
    network = Network(target.read_bytes())
    _compare(encoder, network, target)
    return Exported(target, encoder.name, revision, network.ndim, target.stat().st_size)


def write_graph(graph: Graph, net: Net) -> None:
    """Write a network in eval mode, from ``features`` to ``vectors``."""
    if not isinstance(net, PublishedNet):
        compact(graph, net)
        return
    out = graph.op("Unsqueeze", ["features", graph.ints("axes", [1])])
    for i, layer in enumerate(net.body):
        out = _same_conv(graph, layer, out, f"body{i}")
    divide_and_encode(graph, net.head, out)


def _same_conv(graph: Graph, layer: SameConv, out: str, name: str) -> str:
    """A convolution, an ELU, and a layer norm over all but the first axis."""
    left, right, above, below = layer.pad
    weights = {
        "weight": layer.conv.weight,
        "bias": layer.conv.bias,
        "scale": layer.norm.weight,
        "shift": layer.norm.bias,
    }
    kept = {k: graph.floats(f"{name}.{k}", v.detach().numpy()) for k, v in weights.items()}
    out = graph.op(
        "Conv",
        [out, kept["weight"], kept["bias"]],
        strides=list(layer.conv.stride),
        pads=[above, left, below, right],
    )
    out = graph.op("Elu", [out])
    names = [out, kept["scale"], kept["shift"]]
    return graph.op("LayerNormalization", names, axis=1, epsilon=layer.norm.eps)


def _compare(encoder: TrainedEncoder, network: Network, target: Path) -> None:
    """Compare features and vectors of noise, whole vectors, by the checkpoint and by the file."""
    segment = network.segment
    size = (4, segment.samples + segment.front.n_fft)
    samples = np.random.default_rng(0).normal(0.0, 0.1, size).astype(np.float32)
    wanted = encoder.encode(samples)
    found = network.embed(segment.features(samples), wanted.shape[1])
    cosine = float(np.nan_to_num((wanted * found).sum(axis=1), nan=-1.0).min())
    if cosine < LEAST_COSINE:
        target.unlink()
        raise TrainingError(
            f"the file must give the vectors of its checkpoint, and does not: "
            f"the smallest cosine is {cosine:.5f}"
        )
