"""How long the uses of meaning take: words against many windows, the map of many tracks.

    python benchmarks/meaning.py text   [--windows 200000] [--dims 512]
    python benchmarks/meaning.py map    [--tracks 100000] [--dims 384]

Vectors are those of ``benchmarks/store.py``.  Reported are wall and processor seconds: on a busy
machine only the second says something.  `map` does what ``earmark map`` does, on a library of so
many tracks with labels: it reads their vectors, lays them out, groups and names them, and keeps
the map; then once more with a thousand new tracks.  The aim is 5 minutes by the clock on 2 cores.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from earmark.library.maps import chart, clusters, layout
from earmark.library.searching import Options, Weighted, search_probes
from earmark.library.wording import TextVectors, as_probe
from earmark.stores import open_store
from earmark.types import AudioInfo, Encoded, EncoderSpec, Label, RowSpec, TrackRecord
from store import clustered

INFO = AudioInfo(10.0, 48_000, 1, "pcm", "wav")


@contextmanager
def timed(name: str) -> Iterator[None]:
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    spent, used = time.perf_counter() - wall, time.process_time() - cpu
    print(f"{name:<42} {spent:8.3f} s wall {used:8.3f} s cpu", flush=True)


def vectors(count: int, dims: int, *, seed: int = 0) -> np.ndarray:
    rows = clustered(np.random.default_rng(seed), count, dims)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


class Reader:
    """Reads any text as a random vector, slowly."""

    def __init__(self, dims: int) -> None:
        rows = RowSpec("float16", dims, "cosine")
        self.spec = EncoderSpec("reader", "semantic", rows, 48_000, 10.0, 10.0, "1")

    def encode_text(self, texts: list[str]) -> np.ndarray:
        return vectors(len(texts), self.spec.rows.ndim, seed=7)


def text(windows: int, dims: int) -> None:
    reader = Reader(dims)
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(str(Path(folder) / "library"), create=True)
        rows, per = vectors(windows, dims), 20
        times = np.stack([np.arange(per), np.arange(per) + 1], axis=1) * 10.0
        with timed(f"store {windows} windows"), store.writer() as writer:
            writer.put_encoder(reader.spec, {})
            for n in range(windows // per):
                record = TrackRecord(f"/t/{n}.wav", f"h{n}", 1, 1, INFO)
                encoded = Encoded(rows[n * per : (n + 1) * per], times)
                writer.put_track(record, {"reader": encoded})
            writer.commit()
        with timed("index"):
            store.rebuild(encoder="reader")
        texts = TextVectors(Path(folder) / "texts")
        options = Options(k=10)

        def ask() -> None:
            probe = as_probe(texts.get(reader, "rain on a tin roof"))  # type: ignore[arg-type]
            search_probes(store, reader.spec, [Weighted(probe)], [], options)

        ask()
        spent = []
        for _ in range(200):
            began = time.process_time()
            ask()
            spent.append(1e3 * (time.process_time() - began))
        print(f"a text with a kept vector: median {np.median(spent):.2f} ms, "
              f"least {min(spent):.2f} ms of one processor")  # fmt: skip
        store.close()


def fill_map(store: Any, rows: np.ndarray, *, first: int) -> None:
    """Tracks of one row each, with two labels out of fifty."""
    spec = EncoderSpec(
        "toy", "similar", RowSpec("float16", rows.shape[1], "cosine"), 8000, 1.0, 1.0, "1"
    )
    times = np.array([[0.0, 1.0]])
    with store.writer() as writer:
        writer.put_encoder(spec, {})
        for n, row in enumerate(rows, start=first):
            labels = tuple(
                Label(f"label {m}", 0.5, np.array([[0.0, 1.0, 0.5]])) for m in {n % 50, n % 7}
            )
            record = TrackRecord(f"/t/{n}.wav", f"h{n}", 1, 1, INFO)
            writer.put_track(record, {"toy": Encoded(row[None], times, labels=labels)})
        writer.commit()


def map_(tracks: int, dims: int) -> None:
    layout.lay_out(vectors(500, dims), seed=0)  # compiles
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(str(Path(folder) / "library"), create=True)
        with timed(f"a library of {tracks} tracks (not counted)"):
            fill_map(store, vectors(tracks, dims), first=0)
        with timed("its map, from the library to the library"):
            made = chart(store, seed=0)
        fill_map(store, vectors(1000, dims, seed=1), first=tracks)
        with timed("1000 new tracks placed"):
            grown = chart(store, seed=0)
        store.close()
    print(
        f"{len(made.clusters)} groups, {(made.groups < 0).mean():.1%} in none, {grown.added} placed"
    )
    with timed("layout alone"):
        places = layout.lay_out(vectors(tracks, dims), seed=0)
    with timed("groups alone"):
        clusters.group(places, seed=0)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["text", "map"])
    parser.add_argument("--windows", type=int, default=200_000)
    parser.add_argument("--tracks", type=int, default=100_000)
    parser.add_argument("--dims", type=int)
    args = parser.parse_args()
    if args.what == "text":
        text(args.windows, args.dims or 512)
    else:
        map_(args.tracks, args.dims or 384)


if __name__ == "__main__":
    main()
