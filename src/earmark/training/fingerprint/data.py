"""Training music on disk, and how a batch is drawn from it.

A prepared folder holds one raw file (mono little-endian int16 at the front-end's rate) per piece
and a ``manifest.csv`` with the columns ``file``, ``group`` (album or package), ``split``
(``train``, ``val`` or ``noise``) and ``seconds``.  Files are memory-mapped: a batch reads what it
needs.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from earmark.types import Float32Array

Int16Array = npt.NDArray[np.int16]


@dataclass(frozen=True)
class Piece:
    """One recording: where its samples lie (from byte `begin` on), and what album it is from."""

    path: Path
    group: str
    samples: int
    begin: int = 0

    def read(self, start: int, length: int) -> Float32Array:
        """Read samples in [-1, 1], shape (length,); zeros outside of the recording."""
        out = np.zeros(length, np.float32)
        first, last = max(0, start), min(self.samples, start + length)
        if first < last:
            data: Int16Array = np.memmap(
                self.path, np.dtype("<i2"), "r", offset=self.begin, shape=(self.samples,)
            )
            out[first - start : last - start] = data[first:last]
            out /= np.float32(32768.0)
        return out


def read_manifest(folder: Path, *, split: str) -> list[Piece]:
    """List the pieces of one split of a prepared folder.

    Raises
    ------
    FileNotFoundError
        The folder has no manifest, or a file in it is missing.
    ValueError
        The split has no pieces.
    """
    with open(folder / "manifest.csv", newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == split]
    paths = [folder / row["file"] for row in rows]
    pieces = [
        Piece(path, row["group"], path.stat().st_size // 2)
        for path, row in zip(paths, rows, strict=True)
    ]
    if not pieces:
        raise ValueError(f"{folder} must hold pieces of split {split!r}, found none")
    return pieces


class Sampler:
    """Draws segments, each of another piece, longer pieces somewhat more often.

    Parameters
    ----------
    pieces : list of Piece
    length, begin : int
        Samples of a source, and where in it the segment begins.
    quietest : float
        Sources whose middle has a smaller root mean square are drawn again (silence cannot be
        told from silence).
    """

    def __init__(
        self, pieces: list[Piece], *, length: int, begin: int, quietest: float = 2e-3
    ) -> None:
        self.pieces, self.length, self.begin, self.quietest = pieces, length, begin, quietest
        weights = np.sqrt([min(piece.samples, 2_400_000) for piece in pieces])
        self.weights = weights / weights.sum()

    def draw(self, n: int, rng: np.random.Generator) -> Float32Array:
        """Return sources, shape (n, length), of n different pieces."""
        if n > len(self.pieces):
            raise ValueError(f"a batch of {n} pairs needs {n} pieces, found {len(self.pieces)}")
        chosen = rng.choice(len(self.pieces), n, replace=False, p=self.weights)
        return np.stack([self._draw_one(self.pieces[i], rng) for i in chosen])

    def _draw_one(self, piece: Piece, rng: np.random.Generator) -> Float32Array:
        for _ in range(8):
            at = int(rng.integers(0, max(1, piece.samples - self.length)))
            source = piece.read(at, self.length)
            middle = source[self.begin : self.begin + self.length // 3]
            if np.sqrt(np.mean(np.square(middle))) > self.quietest:
                break
        return source
