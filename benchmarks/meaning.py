"""How long the uses of meaning take: words against many windows, the map of many tracks.

    python benchmarks/meaning.py text   [--windows 200000] [--dims 512]
    python benchmarks/meaning.py map    [--tracks 100000] [--dims 384]

Vectors are those of ``benchmarks/store.py``.  Reported are wall and processor seconds: on a busy
machine only the second says something.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from earmark.library.maps import clusters, layout
from earmark.library.searching import Options, Weighted, search_probes
from earmark.library.wording import TextVectors, as_probe
from earmark.stores import open_store
from earmark.types import AudioInfo, Encoded, EncoderSpec, RowSpec, TrackRecord
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


def map_(tracks: int, dims: int) -> None:
    rows = vectors(tracks, dims)
    layout.lay_out(rows[:500], seed=0)  # compiles
    with timed(f"layout of {tracks}"):
        places = layout.lay_out(rows, seed=0)
    with timed("groups"):
        groups = clusters.group(places, seed=0)
    print(f"{groups.max() + 1} groups, {(groups < 0).mean():.1%} in none")
    with timed("1000 new tracks placed"):
        layout.place(rows, places, vectors(1000, dims, seed=1), seed=0)


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
