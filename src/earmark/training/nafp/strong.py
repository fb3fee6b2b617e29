"""Our own chain (see `earmark.training.fingerprint.augment`) as a `Chain` of this trainer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from earmark.errors import UsageError
from earmark.training.degrade import Generator, NoiseBank, coloured
from earmark.training.fingerprint.augment import Augmenter
from earmark.training.fingerprint.prepare import noise_bank
from earmark.training.nafp.augment import Recordings
from earmark.training.nafp.config import Config, Features
from earmark.training.nafp.features import scaled, silenced
from earmark.types import Float32Array, Float64Array


class StrongChain:
    """Implements `Chain`; works on the processor, and hands its features to the device.

    Parameters
    ----------
    config : Config
    given : Recordings
        Without voices, too, coloured noise takes their place.
    device : torch.device
    seed : int
        Of the rooms and the coloured noise.
    """

    def __init__(
        self, config: Config, given: Recordings, *, device: torch.device, seed: int
    ) -> None:
        features = config.features
        if features.sample_rate != 8000 or not 7000 <= features.samples <= 8192:
            raise UsageError(
                "the chain 'strong' takes segments of about a second at 8 kHz, got "
                f"{features.window:g} s at {features.sample_rate} Hz"
            )
        self.device, self.hop = device, features.hop
        rng = np.random.default_rng((seed, 32))
        bank = _bank(given.backgrounds, given.voices, features.sample_rate, rng)
        self.augmenter = _Augmenter(
            config.augment.strong, features.front, bank, list(given.rooms), rng=rng
        )
        self.augmenter.features = features

    @property
    def length(self) -> int:
        """Samples of a source."""
        return self.augmenter.source_length

    @property
    def begin(self) -> int:
        """Where in a source the anchor's segment begins."""
        return self.augmenter.source_begin

    @property
    def jitter(self) -> float:
        """Anchors lie anywhere between two segments of the grid."""
        return self.hop / 2

    def pairs(self, sources: Float32Array, rng: Generator) -> tuple[Tensor, Tensor]:
        """See `Chain`."""
        self.augmenter.rng = rng
        anchors, positives = self.augmenter.pairs(sources)
        return anchors.to(self.device), positives.to(self.device)


class _Augmenter(Augmenter):
    """Ours, with features as the configuration says."""

    features: Features

    def _features(self, samples: Tensor, pitch: Float64Array, *, holes: bool = False) -> Tensor:
        if self.features.padding == "zeros":
            samples = silenced(samples, self.features)
        return super()._features(samples, pitch, holes=holes)

    def scaled(self, mel: Tensor) -> Tensor:
        """From linear mel magnitudes to what the network takes."""
        return scaled(mel, self.features)


def _bank(
    backgrounds: Sequence[Float32Array], voices: Sequence[Float32Array], rate: int, rng: Generator
) -> NoiseBank:
    def given(recordings: Sequence[Float32Array]) -> list[Float32Array]:
        parts = [r for r in recordings if len(r)]
        if sum(map(len, parts)) < 60 * rate:  # too short to cut from: repeat, or make
            parts = parts * max(1, 60 * rate // max(1, sum(map(len, parts)))) if parts else []
        return parts or [coloured(60 * rate, rng)]

    return noise_bank(given(voices), given(backgrounds))
