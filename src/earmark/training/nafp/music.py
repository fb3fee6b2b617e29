"""All the sound of a run, opened: music, what degrades it, and what could not be used."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import torch

from earmark.errors import Doubtful, UsageError
from earmark.training.fingerprint.data import Piece
from earmark.training.nafp.augment import Chain, PublishedChain, Recordings
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
    """Recordings that degrade, and files that could not be used.

    `missing` are parts of the configuration that the chain draws from and that have none.
    """

    recordings: Recordings
    failed: list[Failure]
    missing: tuple[str, ...]

    def warn(self, *, known: tuple[str, ...] = ()) -> None:
        """Warn (`Doubtful`) of what is made in place of missing recordings that are not `known`."""
        for part in self.missing:
            if part not in known:
                warnings.warn(
                    f"there are no recordings of folders.{part}: {_INSTEAD[part]} their place",
                    Doubtful,
                    stacklevel=2,
                )


_INSTEAD = {"background": "coloured noise takes", "impulse": "synthetic rooms take"}


def open_degradations(config: Config, *, testing: bool) -> Degradations:
    """Read backgrounds, voices and impulse responses into memory, those that the chain uses."""
    rate, cache = config.features.sample_rate, cache_of(config)
    used = _used(config, testing=testing)
    found: dict[str, list[Float32Array]] = {}
    failed: list[Failure] = []
    for part in ("background", "speech", "impulse"):
        sources = degradations(config, part, testing=testing) if used[part] else []
        found[part], more = read_all(sources, sample_rate=rate, cache=cache)
        failed += more
    missing = tuple(part for part in _INSTEAD if used[part] and not found[part])
    recordings = Recordings(found["background"], found["speech"], found["impulse"])
    return Degradations(recordings, failed, missing)


def _used(config: Config, *, testing: bool) -> dict[str, bool]:
    """Which recordings the chain draws from; the search test is by the published chain."""
    chain = config.augment.published
    ours = not testing and config.augment.chain == "strong"
    return {
        "background": ours or chain.background_p > 0,
        "speech": ours or chain.speech_p > 0,
        "impulse": ours or chain.room_p > 0,
    }


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
        kind = PublishedChain if config.augment.chain == "published" else StrongChain
        seed = config.optimizer.seed
        training, testing = self.training.recordings, self.testing.recordings
        return (
            kind(config, training, device=device, seed=seed),
            PublishedChain(config, testing, device=device, seed=seed),
        )


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
    if not pieces:
        raise UsageError(
            f"there must be music that can be used, and no file can be: "
            f"{failed[0].path}: {failed[0].error}"
        )
    held_out, failed_too = open_pieces(validation, sample_rate=rate, cache=cache)
    training = open_degradations(config, testing=False)
    testing = open_degradations(config, testing=True)
    training.warn()
    testing.warn(known=training.missing)
    every = {f.path: f for f in (*failed, *failed_too, *training.failed, *testing.failed)}
    return Music(pieces, held_out, list(every.values()), training, testing)
