"""The published chain: from a piece of music to an anchor and its degraded twin, a batch at a time.

In this order: a background at a level, the gain, a room, features, and on anchors and positives
alike a rectangle and a band set to the quietest value.  What differs from the published program:
each sample of a batch has holes of its own, and holes are quiet (there, "zero" is the loudest
value); a room is convolved in full with the sound before the segment too; each epoch draws anew.

Source: Chang et al. 2021; holes after Park et al., "SpecAugment" (2019).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from earmark.training.degrade import Generator, coloured, measured_room, synthetic_room
from earmark.training.nafp.config import Config
from earmark.training.nafp.features import FeatureExtractor
from earmark.types import Float32Array

SYNTHETIC_ROOMS = 64
"""Made where no impulse responses are given."""

_TINY = 1e-9

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Recordings:
    """What degrades: float32 arrays at the rate of the features.

    Without backgrounds coloured noise is taken, without rooms synthetic ones; without voices none.
    """

    backgrounds: Sequence[Float32Array] = ()
    voices: Sequence[Float32Array] = ()
    rooms: Sequence[Float32Array] = ()


class Chain(Protocol):
    """What makes pairs."""

    @property
    def length(self) -> int:
        """Samples of a source."""

    @property
    def begin(self) -> int:
        """Where in a source the anchor's segment begins."""

    @property
    def jitter(self) -> float:
        """Sources are to be moved by up to this many seconds."""

    def pairs(self, sources: Float32Array, rng: Generator) -> tuple[Tensor, Tensor]:
        """Features of anchors and positives, each (n, bands, frames), of sources (n, length)."""


class PublishedChain:
    """Implements `Chain`.

    Parameters
    ----------
    config : Config
    given : Recordings
    device : torch.device
    seed : int
        Of the synthetic rooms.
    """

    def __init__(
        self, config: Config, given: Recordings, *, device: torch.device, seed: int
    ) -> None:
        self.chain, self.features = config.augment.published, config.features
        self.given, self.device = given, device
        self.extract = FeatureExtractor(config.features, device)
        rate = config.features.sample_rate
        self.tail = round(self.chain.room_seconds * rate)
        self.moves = round(self.chain.positive_offset * rate)
        self.block = self.tail + self.extract.length
        """Samples of a positive before its room: what sounded before comes first."""
        rng = np.random.default_rng((seed, 31))
        responses = [measured_room(r, self.tail) for r in given.rooms] or [
            synthetic_room(self.tail, rate, rng) for _ in range(SYNTHETIC_ROOMS)
        ]
        # Overlap-save: what goes round falls on the sound before the segment, which is cut off.
        self.size = self.block
        stacked = torch.from_numpy(np.stack(responses)).to(device)
        self.rooms = torch.fft.rfft(stacked, n=self.size)

    @property
    def begin(self) -> int:
        """Where in a source the anchor's segment begins."""
        return self.moves + self.tail + self.extract.margin

    @property
    def length(self) -> int:
        """Samples of a source."""
        return self.block + 2 * self.moves

    @property
    def jitter(self) -> float:
        """Seconds by which anchors are moved against the grid."""
        return self.chain.anchor_offset

    def pairs(self, sources: Float32Array, rng: Generator) -> tuple[Tensor, Tensor]:
        """See `Chain`."""
        given = torch.from_numpy(sources).to(self.device)
        first = self.begin - self.extract.margin
        anchors = self.extract(given[:, first : first + self.extract.length])
        starts = rng.integers(0, 2 * self.moves + 1, len(sources))
        blocks = torch.stack(
            [row[s : s + self.block] for row, s in zip(given, starts, strict=True)]
        )
        positives = self.extract(self.degraded(blocks, rng))
        return self.holes(anchors, rng), self.holes(positives, rng)

    def degraded(self, blocks: Tensor, rng: Generator) -> Tensor:
        """Degrade segments with what sounded before them.

        Parameters
        ----------
        blocks : Tensor, shape (n, block)
        rng : numpy.random.Generator

        Returns
        -------
        Tensor, shape (n, length of the extractor)
        """
        chain, n = self.chain, len(blocks)
        blocks = self._mixed(blocks, self.given.backgrounds, chain.background_p, chain.snr_db, rng)
        if voices := self.given.voices:
            blocks = self._mixed(blocks, voices, chain.speech_p, chain.speech_snr_db, rng)
        low, high = np.log(chain.gain)
        gain = np.exp(rng.uniform(low, high, (n, 1))).astype(np.float32)
        peak = blocks.abs().amax(1, keepdim=True)
        blocks = blocks / (peak + _TINY) * torch.from_numpy(gain).to(self.device)
        inside = rng.random(n) < chain.room_p
        which = torch.from_numpy(rng.integers(0, len(self.rooms), n)).to(self.device)
        spectrum = torch.fft.rfft(blocks, n=self.size) * self.rooms[which]
        wet = torch.fft.irfft(spectrum, n=self.size)[:, : self.block]
        chosen = torch.from_numpy(inside[:, None]).to(self.device)
        return torch.where(chosen, wet, blocks)[:, self.tail :]

    def _mixed(
        self,
        blocks: Tensor,
        recordings: Sequence[Float32Array],
        share: float,
        snr_db: tuple[float, float],
        rng: Generator,
    ) -> Tensor:
        """Add recordings, each at a level against the music that it is added to."""
        if share == 0.0:
            return blocks
        n = len(blocks)
        noise = np.stack([_cut(recordings, self.block, rng) for _ in range(n)])
        snr = rng.uniform(*snr_db, (n, 1)).astype(np.float32)
        chosen = (rng.random((n, 1)) < share).astype(np.float32)
        over, level = (
            torch.from_numpy(a).to(self.device) for a in (noise, chosen * 10 ** (-snr / 20))
        )
        music = blocks.square().mean(1, keepdim=True).sqrt()
        loud = over.square().mean(1, keepdim=True).sqrt() + _TINY
        return blocks + over * (level * music / loud)

    def holes(self, features: Tensor, rng: Generator) -> Tensor:
        """Set a rectangle and a horizontal band of each sample to its quietest value."""
        chain = self.chain
        n, bands, frames = features.shape
        rectangle = (
            _spans(n, frames, chain.hole_frames, rng)[:, None, :]
            & (_spans(n, bands, chain.hole_bands, rng)[:, :, None])
        )
        band = np.repeat(_spans(n, bands, chain.band_bands, rng)[:, :, None], frames, axis=2)
        chosen = rng.random((n, 1, 1)) < chain.holes_p
        where = torch.from_numpy((rectangle | band) & chosen).to(features.device)
        return torch.where(where, features.amin((1, 2), keepdim=True), features)


def _spans(n: int, size: int, lengths: tuple[int, int], rng: Generator) -> BoolArray:
    """Boolean (n, size): in each row a run of a length from `lengths` (both included)."""
    length = np.minimum(rng.integers(lengths[0], lengths[1] + 1, (n, 1)), size)
    start = np.floor(rng.random((n, 1)) * (size - length + 1))
    at = np.arange(size)[None]
    inside: BoolArray = (at >= start) & (at < start + length)
    return inside


def _cut(recordings: Sequence[Float32Array], length: int, rng: Generator) -> Float32Array:
    """A stretch of a recording, repeated if it is shorter; coloured noise without recordings."""
    if not recordings:
        return coloured(length, rng)
    chosen = recordings[int(rng.integers(len(recordings)))]
    start = int(rng.integers(0, max(1, len(chosen) - length + 1)))
    part = chosen[start : start + length]
    return part if len(part) == length else np.resize(part, length)
