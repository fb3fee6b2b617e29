"""Hums and other versions against full mixes: rendered songs among plain melodies.

    python benchmarks/hum_songs.py TUNES --soundfont FILE... --work FOLDER
        [--songs 100] [--melodies 2200] [--queries 80] [--covers 30]

TUNES as for benchmarks/hum.py; songs and hums are of tunes that training did not see.  Songs last
15 to 26 seconds.  Hums are contours at normal difficulty (no sound is made), ten seconds from
anywhere.  Another version of a song is rendered anew: in another key, up to a quarter faster or
slower, with other instruments.  The work folder is used again if it is there.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import earmark
from earmark.config import Settings
from earmark.library import humming
from earmark.melody import matching
from earmark.training.melody import singing
from earmark.training.melody.__main__ import all_tunes
from hum import Same, fill
from rendered_songs import render, song


def make(
    folder: Path, parts: list[np.ndarray], chosen: list[int], fonts: list[Path], *, seed: int
) -> None:
    """Render the songs of tunes, named by their numbers; another seed is another version."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in chosen:
        rng = np.random.default_rng((seed, number))
        tempo = float(np.exp(rng.uniform(-0.25, 0.25))) if seed else 1.0
        target = folder / f"{number}.wav"
        if not target.exists():
            file, _ = song(parts[number], rng, tempo=tempo)
            render(file, target, fonts[int(rng.integers(len(fonts)))])


def line_of(name: str, ranks: list[float]) -> str:
    rank = np.array(ranks)
    return (
        f"{name:<28}top-1 {np.mean(rank == 1):.3f}  top-10 {np.mean(rank <= 10):.3f}  "
        f"mrr {np.mean(1 / rank):.3f}  of {len(rank)}"
    )


def place(tracks: list[int], names: dict[int, str], right: set[str]) -> float:
    return next((i for i, t in enumerate(tracks, 1) if names[t] in right), np.inf)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tunes", type=Path)
    parser.add_argument("--soundfont", type=Path, nargs="+", required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--songs", type=int, default=100)
    parser.add_argument("--melodies", type=int, default=2200)
    parser.add_argument("--queries", type=int, default=80)
    parser.add_argument("--covers", type=int, default=30)
    parser.add_argument("--seed", type=int, default=5)
    given = parser.parse_args()
    _, unseen = all_tunes(given.tunes).split()
    parts = unseen.parts()
    order = np.random.default_rng(given.seed).permutation(len(parts)).tolist()
    songs = [i for i in order if 15 < parts[i][-1, 1] < 26][: given.songs]
    others = [i for i in order if i not in set(songs)][: given.melodies]
    make(given.work / "songs", parts, songs, given.soundfont, seed=0)
    make(given.work / "versions", parts, songs[: given.covers], given.soundfont, seed=1)
    same = Same(parts, songs + others)
    with earmark.open(given.work / "library", settings=Settings()) as lib:
        lib.add(given.work / "songs", encoders=["melody"])
        covers(lib, given.work / "versions", f"versions among {len(songs)} songs")
        if len(lib) < len(songs) + len(others):
            fill(lib, parts, others)
        names = {t.id: t.path.rsplit("/", 1)[-1] for t in lib.list()}
        encoder = humming.melody_encoder(lib.store, lib.encoder)
        rng = np.random.default_rng(given.seed)
        ranks = []
        for number in songs[: given.queries]:
            hummed = singing.hum(parts[number], singing.NORMAL, rng, seconds=10.0)
            line, _ = matching.trimmed(hummed)
            found = humming.look(lib.store, encoder, line, None, starts=False).found
            right = {f"{n}{end}" for n in same.of(number) for end in (".wav", ".csv")}
            ranks.append(place([f.track for f in found], names, right))
        print(line_of(f"hums of songs among {len(lib)}", ranks), flush=True)
        covers(lib, given.work / "versions", f"versions among {len(lib)}")


def covers(lib: earmark.library.Library, folder: Path, name: str) -> None:
    """How often the other version of a song finds it."""
    names = {t.id: t.path.rsplit("/", 1)[-1] for t in lib.list()}
    ranks = []
    for file in sorted(folder.glob("*.wav")):
        hits = lib.search(audio=str(file), by="cover", k=100)
        ranks.append(place([hit.track.id for hit in hits], names, {file.name}))
    print(line_of(name, ranks), flush=True)


if __name__ == "__main__":
    main()
