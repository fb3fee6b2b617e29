"""A network of a checkpoint as a `SegmentEncoder`, and the devices that it may run on."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import torch

from earmark.errors import NotAvailable
from earmark.training.nafp import checkpoint
from earmark.training.nafp.config import Config, Features
from earmark.training.nafp.features import FeatureExtractor
from earmark.training.nafp.model import Net, build
from earmark.types import Float32Array


def device_of(name: str) -> torch.device:
    """Return a device; ``auto`` is CUDA, else MPS, else the processor.

    Raises
    ------
    NotAvailable
        If torch cannot use it here.
    """
    have = {"cpu": True, "cuda": torch.cuda.is_available()}
    have["mps"] = torch.backends.mps.is_available()
    if name == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if have[kind]))
    if not have[name.split(":")[0]]:
        raise NotAvailable(
            f"run.device must be one that torch can use here, got {name!r}",
            hint=f"there are {', '.join(kind for kind, there in have.items() if there)}",
        )
    return torch.device(name)


class TrainedEncoder:
    """Implements `SegmentEncoder`.

    Parameters
    ----------
    net : Net
        On `device`.
    config : Config
    device : torch.device
    name : str
        What to call it.
    """

    def __init__(self, net: Net, config: Config, device: torch.device, *, name: str) -> None:
        self.net, self.config, self.device, self.name = net, config, device, name
        self.extract = FeatureExtractor(config.features, device)

    @property
    def features(self) -> Features:
        """Rate, window and hop."""
        return self.config.features

    @property
    def ndim(self) -> int:
        """Numbers of a vector."""
        return self.config.model.ndim

    @property
    def identity(self) -> dict[str, str]:
        """Digest of weights and features."""
        digest = hashlib.sha256(json.dumps(asdict(self.config.features)).encode())
        for name, value in sorted(self.net.state_dict().items()):
            digest.update(name.encode() + value.cpu().numpy().tobytes())
        return {"encoder": self.name, "revision": digest.hexdigest()[:12]}

    def encode(self, samples: Float32Array) -> Float32Array:
        """See `SegmentEncoder`; always in float32."""
        training = self.net.training
        self.net.eval()
        with torch.inference_mode():
            given = torch.from_numpy(samples).to(self.device)
            vectors: Float32Array = self.net(self.extract(given)).cpu().numpy()
        self.net.train(training)
        return vectors


def load(path: Path, *, wanted: Config | None = None, device: str = "auto") -> TrainedEncoder:
    """Read a checkpoint's network.

    Parameters
    ----------
    path : Path
    wanted : Config, optional
        Refuse the checkpoint unless it was made with this.
    device : str
        As `Run.device`.

    Raises
    ------
    TrainingError, CheckpointMismatch, NotAvailable
    """
    state = checkpoint.read(path)
    config = checkpoint.config_of(state)
    if wanted is not None:
        checkpoint.check_same(path, config, wanted)
    on = device_of(device)
    net = build(config)
    net.load_state_dict(state["net"])
    place = checkpoint.Place(state["epoch"], state["step"])
    return TrainedEncoder(net.to(on).eval(), config, on, name=f"{path.parent.name}/{place.label}")
