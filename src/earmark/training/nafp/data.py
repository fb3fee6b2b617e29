"""Reading music a segment at a time, in any order, without loading it.

Wave files that are already as training needs them (mono, 16 bits, the right rate) are mapped as
they are; all others are decoded once into a cache.  A file that cannot be used is named and left
out, whenever it is found out.
"""

from __future__ import annotations

import hashlib
import logging
import struct
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from earmark.errors import AudioError
from earmark.training.fingerprint.data import Piece
from earmark.training.fingerprint.prepare import decode_to
from earmark.training.nafp.config import Features, Selection
from earmark.training.nafp.layout import Source
from earmark.types import Failure, Float32Array, Int64Array

log = logging.getLogger(__name__)


def open_piece(source: Source, *, sample_rate: int, cache: Path) -> Piece:
    """Make a file readable a segment at a time.

    Parameters
    ----------
    source : Source
    sample_rate : int
        In Hz.
    cache : Path
        Takes decoded samples of files that cannot be mapped.

    Raises
    ------
    AudioError
        If it is no sound audio.
    """
    try:
        mapped = _plain_wave(source.path, sample_rate)
        if mapped is not None:
            return Piece(source.path, source.name, mapped[1], begin=mapped[0])
        facts = source.path.stat()
        key = f"{source.path.resolve()}|{facts.st_size}|{facts.st_mtime_ns}|{sample_rate}"
        target = cache / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.s16"
        cache.mkdir(parents=True, exist_ok=True)
        decode_to(source.path, target, sample_rate=sample_rate)
        return Piece(target, source.name, target.stat().st_size // 2)
    except OSError as error:
        raise AudioError(str(source.path), error.strerror or str(error)) from error


def open_pieces(
    sources: Iterable[Source], *, sample_rate: int, cache: Path
) -> tuple[list[Piece], list[Failure]]:
    """Make files readable; return those that are, and what failed with its reason."""
    pieces, failed = [], []
    for source in sources:
        try:
            pieces.append(open_piece(source, sample_rate=sample_rate, cache=cache))
        except AudioError as error:
            log.info("%s", error)
            failed.append(Failure(str(source.path), error.reason))
    return pieces, failed


def read_all(
    sources: Iterable[Source], *, sample_rate: int, cache: Path
) -> tuple[list[Float32Array], list[Failure]]:
    """Read files into memory; return what they hold, and what failed with its reason.

    Silence degrades nothing, and counts as a failure.
    """
    given = list(sources)
    pieces, failed = open_pieces(given, sample_rate=sample_rate, cache=cache)
    paths = {source.name: str(source.path) for source in given}
    read = []
    for piece in pieces:
        samples = piece.read(0, piece.samples)
        if np.abs(samples).max(initial=0.0) > 0:
            read.append(samples)
        else:
            log.info("%s: silent", paths[piece.group])
            failed.append(Failure(paths[piece.group], "silent"))
    return read, failed


def segment_count(samples: int, features: Features) -> int:
    """Segments on the grid of a recording; one, filled up with silence, of a shorter one."""
    return max(0, samples - features.samples) // features.step + 1


@dataclass(frozen=True)
class Drawn:
    """Sound around some segments, shape (n, length), and which segments they are, (n, 2): the
    number of the piece and of the segment."""

    sources: Float32Array
    which: Int64Array


class EpochSampler:
    """Deals the segments of all pieces, each once an epoch, in an order set by seed and epoch.

    Parameters
    ----------
    pieces : sequence of Piece
    features : Features
    selection : Selection
    pairs : int
        Segments of a batch.
    length, begin : int
        Samples of a source, and where in it the segment begins.
    jitter : float
        A source is moved by up to this many seconds, drawn anew in each epoch.
    seed : int
    """

    def __init__(
        self,
        pieces: Sequence[Piece],
        features: Features,
        selection: Selection,
        *,
        pairs: int,
        length: int,
        begin: int,
        jitter: float,
        seed: int,
    ) -> None:
        self.pieces, self.features, self.selection = list(pieces), features, selection
        self.pairs, self.length, self.begin, self.seed = pairs, length, begin, seed
        self.jitter = round(jitter * features.sample_rate)
        counts = [segment_count(piece.samples, features) for piece in self.pieces]
        owners = np.repeat(np.arange(len(counts)), counts)
        numbers = np.concatenate([np.arange(c) for c in counts]) if counts else np.zeros(0)
        self.segments: Int64Array = np.stack([owners, numbers], axis=1).astype(np.int64)
        self.failed: dict[int, Failure] = {}
        self._lock = threading.Lock()
        self._epoch: tuple[int, Int64Array] = (-1, self.segments[:0])

    @property
    def steps(self) -> int:
        """Batches of an epoch."""
        return len(self.order(0)) // self.pairs

    def order(self, epoch: int) -> Int64Array:
        """All segments of an epoch as they are dealt, shape (n, 2)."""
        with self._lock:
            if self._epoch[0] != epoch:
                rng = np.random.default_rng((self.seed, 21, epoch))
                shuffled = self.segments[rng.permutation(len(self.segments))]
                if self.selection.one_per_track:
                    shuffled = _rounds(shuffled, self.pairs)
                self._epoch = (epoch, shuffled)
            return self._epoch[1]

    def draw(self, epoch: int, batch: int) -> Drawn:
        """Read a batch: a pure function of seed, epoch and number, whatever was drawn before.

        A segment that is too quiet, or of a file that has become unreadable, gives its place to
        another one of the epoch.
        """
        rng = np.random.default_rng((self.seed, 22, epoch, batch))
        order = self.order(epoch)
        chosen = order[batch * self.pairs : (batch + 1) * self.pairs]
        moves = rng.integers(-self.jitter, self.jitter + 1, len(chosen))
        rows, which = [], []
        for segment, move in zip(chosen, moves, strict=True):
            row = self._read(segment, int(move))
            for _ in range(50):
                if row is not None:
                    break
                segment = order[int(rng.integers(len(order)))]
                row = self._read(segment, int(move))
            rows.append(np.zeros(self.length, np.float32) if row is None else row)
            which.append(segment)
        return Drawn(np.stack(rows), np.stack(which))

    def _read(self, segment: Int64Array, move: int) -> Float32Array | None:
        number = int(segment[0])
        if number in self.failed:
            return None
        piece = self.pieces[number]
        last = max(0, piece.samples - self.features.samples)
        at = min(max(0, int(segment[1]) * self.features.step + move), last)
        try:
            row = piece.read(at - self.begin, self.length)
        except (OSError, ValueError) as error:  # gone, or cut off, since it was opened
            log.warning("%s: %s", piece.path, error)
            with self._lock:
                self.failed[number] = Failure(str(piece.path), str(error))
            return None
        middle = row[self.begin : self.begin + self.features.samples]
        quiet = np.sqrt(np.mean(np.square(middle))) < self.selection.quietest
        return None if quiet else row


def _rounds(shuffled: Int64Array, pairs: int) -> Int64Array:
    """Deal segments in rounds of one per piece, so that no batch has two of one piece.

    A round takes another segment of each piece that still has one; what does not fill a batch
    at the end of a round is left out.
    """
    by_piece = np.argsort(shuffled[:, 0], kind="stable")
    owners = shuffled[by_piece, 0]
    first = np.searchsorted(owners, owners)
    turn = np.empty(len(owners), np.int64)
    turn[by_piece] = np.arange(len(owners)) - first
    rounds = [shuffled[turn == t] for t in range(int(turn.max(initial=-1)) + 1)]
    full = [r[: len(r) // pairs * pairs] for r in rounds]
    return np.concatenate(full) if full else shuffled[:0]


def _plain_wave(path: Path, sample_rate: int) -> tuple[int, int] | None:
    """Byte at which the samples of a mono 16-bit wave file begin, and how many there are.

    None if it is anything else, or shorter than it says: the decoder then tells why.
    """
    if path.suffix.lower() != ".wav":
        return None
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        if len(head) < 12 or head[:4] != b"RIFF" or head[8:] != b"WAVE":
            return None
        right = False
        while len(chunk := file.read(8)) == 8:
            name, length = struct.unpack("<4sI", chunk)
            if name == b"data":
                at = file.tell()
                return (at, length // 2) if right and length and at + length <= size else None
            body = file.read(length + length % 2)
            if name == b"fmt " and len(body) >= 16:
                right = struct.unpack("<HHIIHH", body[:16]) == (
                    *(1, 1, sample_rate, 2 * sample_rate),
                    *(2, 16),
                )
    return None
