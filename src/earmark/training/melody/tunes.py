"""Tunes to train and measure on: read from folders of scores, or made up.

A collection keeps the notes of all its tunes in one array.  Tunes of the same title go to the
same side of the split between training and measuring, so that variants do not leak.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from earmark.errors import DecodeError, UsageError
from earmark.melody import abc, notes
from earmark.types import Float64Array, Int64Array

LEAST_NOTES = 12
LEAST_SECONDS = 6.0
MOST_NOTES = 600

HELD_OUT = 1 / 3
"""Part of the tunes that training does not see."""


@dataclass(frozen=True)
class Tunes:
    """Tunes, one after the other.

    Parameters
    ----------
    notes : float64 array, shape (n, 3)
        Onset and end in seconds of the tune, pitch in semitones.
    counts : int64 array, shape (tunes,)
        Notes of each.
    titles : tuple of str
    """

    notes: Float64Array
    counts: Int64Array
    titles: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.counts)

    def __getitem__(self, index: int) -> Float64Array:
        """Notes of one tune, shape (m, 3)."""
        end = int(self.counts[: index + 1].sum())
        return self.notes[end - int(self.counts[index]) : end]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write an npz file."""
        np.savez_compressed(
            path, notes=self.notes, counts=self.counts, titles=np.array(self.titles)
        )

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Tunes:
        """Read what `save` wrote."""
        with np.load(path) as data:
            return cls(data["notes"], data["counts"], tuple(data["titles"].tolist()))

    def select(self, keep: list[int]) -> Tunes:
        """Return some of the tunes."""
        parts = self.parts()
        chosen = [parts[i] for i in keep]
        return gather(chosen, [self.titles[i] for i in keep])

    def parts(self) -> list[Float64Array]:
        """Notes of each tune."""
        return np.split(self.notes, np.cumsum(self.counts)[:-1])

    def split(self) -> tuple[Tunes, Tunes]:
        """Return the tunes to train on, and those to measure on."""
        held = [_is_held_out(title, i) for i, title in enumerate(self.titles)]
        train = [i for i, out in enumerate(held) if not out]
        test = [i for i, out in enumerate(held) if out]
        return self.select(train), self.select(test)


def gather(parts: list[Float64Array], titles: list[str]) -> Tunes:
    """Put tunes together."""
    counts = np.array([len(part) for part in parts], np.int64)
    return Tunes(np.concatenate([np.zeros((0, 3)), *parts]), counts, tuple(titles))


def _is_held_out(title: str, index: int) -> bool:
    plain = re.sub(r"[^a-z]", "", title.lower()) or str(index)
    digest = hashlib.blake2b(plain.encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") / 2**32 < HELD_OUT


def read_folder(folder: str | os.PathLike[str]) -> Tunes:
    """Read every tune of every ABC file under a folder.

    Raises
    ------
    UsageError
        If there is none.
    """
    parts: list[Float64Array] = []
    titles: list[str] = []
    for path in sorted(Path(folder).rglob("*.abc")):
        text = path.read_text(encoding="utf-8", errors="replace")
        for piece in abc.split_tunes(text):
            try:
                score = abc.read_abc(piece, name=str(path))
            except DecodeError:
                continue
            tune = notes.shorten_rests(score.notes)[:MOST_NOTES]
            if len(tune) >= LEAST_NOTES and tune[-1, 1] >= LEAST_SECONDS:
                parts.append(tune)
                titles.append(score.title)
    if not parts:
        raise UsageError(f"there must be tunes in ABC notation under {folder}, found none")
    return gather(parts, titles)


_DEGREES = np.array([0, 2, 4, 5, 7, 9, 11])
_LENGTHS = np.array([0.125, 0.25, 0.375, 0.5, 0.75, 1.0, 2.0])
_LENGTH_ODDS = np.array([0.05, 0.35, 0.05, 0.3, 0.08, 0.13, 0.04])


def make_up(count: int, *, seed: int) -> Tunes:
    """Make up tunes: walks over a scale that repeat and vary their phrases.

    Parameters
    ----------
    count : int
    seed : int
    """
    rng = np.random.default_rng(seed)
    parts = []
    for _ in range(count):
        phrases = [_phrase(rng) for _ in range(int(rng.integers(2, 6)))]
        order = rng.integers(0, len(phrases), int(rng.integers(4, 10)))
        steps = np.concatenate([phrases[i][0] for i in order])
        lengths = np.concatenate([phrases[i][1] for i in order]) * rng.uniform(0.6, 1.6)
        scale = _DEGREES if rng.random() < 0.7 else np.arange(7) * 12 / 7
        if rng.random() < 0.2:
            scale = np.array([0, 2, 4, 7, 9, 12, 14])
        pitch = 60 + 12 * (steps // 7) + scale[steps % 7]
        ends = np.cumsum(lengths)
        parts.append(np.stack([ends - lengths, ends, pitch], axis=1))
    return gather(parts, [""] * count)


def _phrase(rng: np.random.Generator) -> tuple[Int64Array, Float64Array]:
    size = int(rng.integers(5, 14))
    moves = rng.choice(
        [-5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5],
        size,
        p=[0.01, 0.02, 0.04, 0.12, 0.25, 0.12, 0.25, 0.12, 0.04, 0.02, 0.01],
    )
    steps = np.clip(int(rng.integers(-2, 5)) + np.cumsum(moves), -7, 12)
    return steps, rng.choice(_LENGTHS, size, p=_LENGTH_ODDS)
