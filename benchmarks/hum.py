"""Synthetic hums against a library of melodies: how often the tune is found, and how fast.

    python benchmarks/hum.py TUNES --library FOLDER [--melodies 2000] [--queries 100]

TUNES is a folder of tunes in ABC notation (for instance the corpus of music21), or the .npz file
that `earmark.training.melody.tunes.Tunes.save` wrote.  Only tunes that training did not see are
hummed; if more melodies are wanted than there are of them, tunes that it did see are added, which
nobody hums.  The library is made if it is not there: one list of notes for each tune.  Collections
of folk songs hold many tunes twice, under two titles: any tune that shares half of the runs of ten
notes with the one hummed counts as it.  Hums are contours made by
`earmark.training.melody.singing` (no sound is made, so pitch tracking is not part of the time), ten
seconds from anywhere in the tune.  For real hums: earmark evaluate hum.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

import earmark
from earmark.config import Settings
from earmark.library import humming
from earmark.melody import matching
from earmark.training.melody import singing
from earmark.training.melody.__main__ import all_tunes

LEVELS = {
    "easy": singing.EASY,
    "normal": singing.NORMAL,
    "hard": singing.HARD,
    "very hard": singing.VERY_HARD,
}


RUN = 10


def runs(notes: np.ndarray) -> set[bytes]:
    """Runs of ten notes of a tune: intervals, and lengths in fourths of the run's mean."""
    steps = np.diff(notes[:, 2]).round().astype(np.int8)
    lengths = np.diff(notes[:, 0])
    found = set()
    for i in range(len(steps) - RUN + 2):
        own = lengths[i : i + RUN - 1]
        found.add(
            steps[i : i + RUN - 1].tobytes()
            + np.round(4 * own / own.mean()).astype(np.int8).tobytes()
        )
    return found


class Same:
    """Which tunes are one and the same."""

    def __init__(self, parts: list[np.ndarray], numbers: list[int]) -> None:
        self._runs = {number: runs(parts[number]) for number in numbers}
        self._having: dict[bytes, list[int]] = {}
        for number, own in self._runs.items():
            for run in own:
                self._having.setdefault(run, []).append(number)

    def of(self, number: int) -> set[int]:
        """The tune itself, and those that share half of the runs of the shorter of both."""
        own = self._runs[number]
        shared = Counter(other for run in own for other in self._having[run])
        return {number} | {
            other
            for other, count in shared.items()
            if count >= 0.5 * min(len(own), len(self._runs[other]))
        }


def fill(lib: earmark.library.Library, parts: list[np.ndarray], chosen: list[int]) -> None:
    """Index tunes as lists of notes named by their numbers."""
    with tempfile.TemporaryDirectory() as folder:
        for number in chosen:
            rows = "".join(f"{a:.4f},{b:.4f},{p:g}\n" for a, b, p in parts[number])
            Path(folder, f"{number}.csv").write_text("onset,end,pitch\n" + rows)
        lib.add(folder, encoders=["melody"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tunes", type=Path)
    parser.add_argument("--library", type=Path, required=True)
    parser.add_argument("--melodies", type=int, default=2000)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--levels", default=",".join(LEVELS))
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    seen, unseen = all_tunes(given.tunes).split()
    parts = unseen.parts()
    order = np.random.default_rng(given.seed).permutation(len(parts)).tolist()
    order += range(len(parts), len(parts) + len(seen))
    hummed_from = min(given.melodies, len(parts))
    parts += seen.parts()
    with earmark.open(given.library, settings=Settings()) as lib:
        if not len(lib):
            fill(lib, parts, order[: given.melodies])
        encoder = humming.melody_encoder(lib.store, lib.encoder)
        numbers = {t.id: t.path.rsplit("/", 1)[-1] for t in lib.list()}
        same = Same(parts, order[: given.melodies])
        for name in given.levels.split(","):
            singer = LEVELS[name]
            rng = np.random.default_rng(given.seed)
            ranks: list[float] = []
            cpu = 0.0
            for _ in range(given.queries):
                number = order[int(rng.integers(hummed_from))]
                hummed = singing.hum(parts[number], singer, rng, seconds=given.seconds)
                line, _ = matching.trimmed(hummed)
                began = time.process_time()
                found = humming.look(lib.store, encoder, line, None, starts=False).found
                cpu += time.process_time() - began
                right = {f"{other}.csv" for other in same.of(number)}
                places = (i for i, f in enumerate(found, 1) if numbers[f.track] in right)
                ranks.append(next(places, np.inf))
            rank = np.array(ranks)
            print(
                f"{name:<10}top-1 {np.mean(rank == 1):.3f}  top-10 {np.mean(rank <= 10):.3f}  "
                f"mrr {np.mean(1 / rank):.3f}  {1e3 * cpu / given.queries:.0f} ms of CPU a query",
                flush=True,
            )
        print(f"{len(lib)} melodies, {given.queries} hums each, seed {given.seed}")


if __name__ == "__main__":
    main()
