"""The typed configuration of a training run, saved as JSON with each checkpoint.

Two checkpoints are comparable if and only if their configurations are equal; `differences` names
each field in which they are not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from typing import Any

from earmark.fingerprinting import FrontEnd


@dataclass(frozen=True)
class ModelConfig:
    """The compact patch network.

    `stem` and `widths` are the channels of the five convolutions, `ndim` the numbers of a
    vector, `head` the hidden units of each of its slices, `prefixes` the shorter lengths at
    which a vector cut off and normalised anew has been trained to work as well.
    """

    stem: int = 48
    widths: tuple[int, ...] = (96, 160, 224, 256)
    ndim: int = 128
    head: int = 16
    prefixes: tuple[int, ...] = (64,)


@dataclass(frozen=True)
class AugmentConfig:
    """How a positive is made from its anchor.  Probabilities per sample, levels in dB.

    Parameters
    ----------
    offset : float
        The positive begins within +- this many seconds of the anchor.
    speed, pitch : float
        Largest relative change of tempo and pitch together, and of pitch alone.
    snr_db : tuple of two floats
        Range of music over noise.
    rooms : int
        Impulse responses to draw from, `measured_room_p` of them measured.
    """

    offset: float = 0.15
    speed: float = 0.055
    speed_p: float = 0.6
    pitch: float = 0.065
    pitch_p: float = 0.25
    room_p: float = 0.6
    measured_room_p: float = 0.35
    noise_p: float = 0.85
    snr_db: tuple[float, float] = (-4.0, 12.0)
    lowpass_p: float = 0.35
    lowpass_hz: tuple[float, float] = (1300.0, 3900.0)
    highpass_p: float = 0.4
    highpass_hz: tuple[float, float] = (40.0, 500.0)
    tilt_db: float = 6.0
    clip_p: float = 0.1
    codec_p: float = 0.15
    cutout_p: float = 0.3
    anchor_filter_p: float = 0.15
    rooms: int = 600


@dataclass(frozen=True)
class OptimizerConfig:
    """Adam with a cosine over the whole run, after a short linear warm-up.

    `pairs` anchors and as many positives make a batch, each pair of another track.
    """

    pairs: int = 128
    steps: int = 20_000
    rate: float = 1e-3
    final_rate: float = 1e-5
    warmup: int = 100
    temperature: float = 0.05
    weight_decay: float = 1e-6
    bfloat16: bool = False
    seed: int = 0


@dataclass(frozen=True)
class TrainConfig:
    """All that decides what a training run learns."""

    front: FrontEnd = field(default_factory=FrontEnd)
    model: ModelConfig = field(default_factory=ModelConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)

    def to_json(self) -> dict[str, Any]:
        """Return a dict of JSON values; `from_json` is its inverse."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TrainConfig:
        """Build a configuration from what `to_json` gave.  Unknown keys are a TypeError."""
        parts = {
            "front": FrontEnd,
            "model": ModelConfig,
            "augment": AugmentConfig,
            "optimizer": OptimizerConfig,
        }
        values = {name: _build(parts[name], value) for name, value in data.items()}
        return cls(**values)

    def differences(self, other: TrainConfig) -> list[str]:
        """Say in words each field in which `other` differs."""
        return _differences("", self, other)


def _build(kind: type[Any], data: Mapping[str, Any]) -> Any:
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in data.items()})


def _differences(prefix: str, mine: Any, theirs: Any) -> list[str]:
    found: list[str] = []
    for f in fields(mine):
        a, b = getattr(mine, f.name), getattr(theirs, f.name)
        if is_dataclass(a):
            found += _differences(f"{prefix}{f.name}.", a, b)
        elif a != b:
            found.append(f"{prefix}{f.name}: {a!r} against {b!r}")
    return found
