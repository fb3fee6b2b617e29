"""Synthetic hums against a library of melodies: how often the tune is found, and how fast.

    python benchmarks/hum.py TUNES --library FOLDER [--melodies 2000] [--queries 100]

TUNES is a folder of tunes in ABC notation (for instance the corpus of music21), or the .npz file
that `earmark.training.melody.tunes.Tunes.save` wrote.  Only tunes that training did not see are
used.  The library is made if it is not there: one list of notes for each tune.  Hums are contours
made by `earmark.training.melody.singing` (no sound is made, so pitch tracking is not part of the
time), ten seconds from anywhere in the tune.  For real hums: earmark evaluate hum.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

import earmark
from earmark.config import Settings
from earmark.library import humming
from earmark.melody import matching
from earmark.training.melody import singing
from earmark.training.melody.__main__ import all_tunes

LEVELS = {"easy": singing.EASY, "normal": singing.NORMAL, "hard": singing.HARD}


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
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    parts = all_tunes(given.tunes).split()[1].parts()
    order = np.random.default_rng(given.seed).permutation(len(parts)).tolist()
    with earmark.open(given.library, settings=Settings()) as lib:
        if not len(lib):
            fill(lib, parts, order[: given.melodies])
        encoder = humming.melody_encoder(lib.store, lib.encoder)
        numbers = {t.id: t.path.rsplit("/", 1)[-1] for t in lib.list()}
        for name, singer in LEVELS.items():
            rng = np.random.default_rng(given.seed)
            ranks: list[float] = []
            cpu = 0.0
            for _ in range(given.queries):
                number = order[int(rng.integers(min(given.melodies, len(order))))]
                hummed = singing.hum(parts[number], singer, rng, seconds=given.seconds)
                line, _ = matching.trimmed(hummed)
                began = time.process_time()
                found = humming.look(lib.store, encoder, line, None, starts=False).found
                cpu += time.process_time() - began
                names = [numbers[f.track] for f in found]
                right = f"{number}.csv"
                ranks.append(names.index(right) + 1 if right in names else np.inf)
            rank = np.array(ranks)
            print(
                f"{name:<8}top-1 {np.mean(rank == 1):.3f}  top-10 {np.mean(rank <= 10):.3f}  "
                f"mrr {np.mean(1 / rank):.3f}  {1e3 * cpu / given.queries:.0f} ms of CPU a query",
                flush=True,
            )
        print(f"{len(lib)} melodies, {given.queries} hums each, seed {given.seed}")


if __name__ == "__main__":
    main()
