"""All the sound of a run, opened: music, what degrades it, and what could not be used."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from earmark.training.fingerprint.data import Piece
from earmark.training.nafp.augment import Chain, PublishedChain
from earmark.training.nafp.config import Config
from earmark.training.nafp.data import open_pieces, read_all
from earmark.training.nafp.layout import degradations, training_music
from earmark.training.nafp.strong import StrongChain
from earmark.types import Failure, Float32Array


def cache_of(config: Config) -> Path:
    """Where decoded music is kept."""
    return Path(config.folders.cache or Path(config.folders.output) / "cache")


@dataclass(frozen=True)
class Degradations:
    """Recordings that degrade, at the rate of the features."""

    backgrounds: list[Float32Array]
    voices: list[Float32Array]
    rooms: list[Float32Array]


def open_degradations(config: Config, *, testing: bool) -> Degradations:
    """Read backgrounds, voices and impulse responses into memory."""
    rate, cache = config.features.sample_rate, cache_of(config)
    backgrounds, voices, rooms = (
        read_all(degradations(config, part, testing=testing), sample_rate=rate, cache=cache)
        for part in ("background", "speech", "impulse")
    )
    return Degradations(backgrounds, voices, rooms)


def published_chain(config: Config, given: Degradations, device: torch.device) -> PublishedChain:
    """Make the published chain from what was read."""
    return PublishedChain(
        config,
        backgrounds=given.backgrounds,
        voices=given.voices,
        rooms=given.rooms,
        device=device,
        seed=config.optimizer.seed,
    )


@dataclass(frozen=True)
class Music:
    """What a run learns from and is tested on."""

    train: list[Piece]
    validation: list[Piece]
    failed: list[Failure]
    training: Degradations
    testing: Degradations

    def chains(self, config: Config, device: torch.device) -> tuple[Chain, PublishedChain]:
        """Return what makes pairs, and what degrades the queries of the search test."""
        tester = published_chain(config, self.testing, device)
        if config.augment.chain == "published":
            return published_chain(config, self.training, device), tester
        given = self.training
        strong = StrongChain(
            config,
            backgrounds=given.backgrounds,
            voices=given.voices,
            rooms=given.rooms,
            device=device,
            seed=config.optimizer.seed,
        )
        return strong, tester


def open_music(config: Config) -> Music:
    """Open all that a run reads.

    Raises
    ------
    UsageError
        If there is no music that can be used.
    """
    train, validation = training_music(config)
    rate, cache = config.features.sample_rate, cache_of(config)
    pieces, failed = open_pieces(train, sample_rate=rate, cache=cache)
    held_out, failed_too = open_pieces(validation, sample_rate=rate, cache=cache)
    return Music(
        pieces,
        held_out,
        failed + failed_too,
        open_degradations(config, testing=False),
        open_degradations(config, testing=True),
    )
