"""How fast and how small the local store is, against a flat scan and LanceDB if it is installed.

    python benchmarks/store.py [floats|codes|filters|all] [--rows N] [--seed 0]

Every figure is of one run on this machine, whose state is printed; compare ratios.  Private memory
is what querying adds in a fresh process (`RssAnon`), without pages mapped from files.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from earmark.stores.local import LocalStore, open_local
from earmark.testing.store_cases import record, spec_of
from earmark.types import Encoded

_TRACK_ROWS = 100
_QUERIES = 200
_K = 10


def clustered(rng: np.random.Generator, rows: int, ndim: int) -> np.ndarray:
    """Unit vectors of 48 intrinsic dimensions in 2,000 clusters; neighbours in order are alike.

    The order goes along the first intrinsic dimension, so that tenths of it are genres that go
    along with the vectors.
    """
    centres = rng.standard_normal((2000, 48), dtype=np.float32)
    centres = centres[np.argsort(centres[:, 0])]
    spread = rng.standard_normal((48, ndim), dtype=np.float32) / np.float32(np.sqrt(48))
    of = np.sort(rng.integers(0, len(centres), rows))
    out = np.empty((rows, ndim), np.float32)
    for start in range(0, rows, 65_536):
        some = centres[of[start : start + 65_536]]
        some = some + 0.5 * rng.standard_normal(some.shape, dtype=np.float32)
        noise = rng.standard_normal((len(some), ndim), dtype=np.float32)
        out[start : start + len(some)] = some @ spread + 0.2 * noise
    out /= np.linalg.norm(out, axis=1, keepdims=True)
    return out


def codes(rng: np.random.Generator, rows: int) -> np.ndarray:
    """128-bit codes: 20,000 centres with about a tenth of the bits flipped."""
    centres = rng.integers(0, 256, (20_000, 16), dtype=np.uint8)
    out = np.empty((rows, 16), np.uint8)
    for start in range(0, rows, 1_000_000):
        n = min(1_000_000, rows - start)
        noise = np.full((n, 16), 255, np.uint8)
        for _ in range(3):  # each bit stays set with 1/8
            noise &= rng.integers(0, 256, (n, 16), dtype=np.uint8)
        out[start : start + n] = centres[rng.integers(0, len(centres), n)] ^ noise
    return out


def fill(store: LocalStore, spec: Any, rows: np.ndarray) -> float:
    """Put rows as tracks of a hundred; return seconds."""
    began = time.perf_counter()
    starts = np.arange(_TRACK_ROWS) * 0.5
    times = np.stack([starts, starts + 1], axis=1)
    with store.writer() as writer:
        writer.put_encoder(spec, {})
        for start in range(0, len(rows), _TRACK_ROWS):
            some = rows[start : start + _TRACK_ROWS]
            genre = f"g{start * 10 // len(rows)}"  # goes along with the vectors
            writer.put_track(
                record(f"/{start}.wav", genre=genre), {spec.name: Encoded(some, times[: len(some)])}
            )
            if start // _TRACK_ROWS % 256 == 255:
                writer.commit()
        writer.commit()
    return time.perf_counter() - began


def timed(call: Callable[[np.ndarray], Any], queries: np.ndarray) -> tuple[float, float, list[Any]]:
    """Return p50 and p95 in ms over single queries, and the answers."""
    for query in queries[:20]:
        call(query[None])
    took, answers = [], []
    for query in queries:
        began = time.perf_counter()
        answers.append(call(query[None]))
        took.append(time.perf_counter() - began)
    return float(np.percentile(took, 50) * 1e3), float(np.percentile(took, 95) * 1e3), answers


def recall(found: np.ndarray, truth: np.ndarray) -> float:
    """Share of found rows no farther than the farthest true one: ties are no misses."""
    return float((found <= truth[:, -1:] + 1e-4).mean())


def _private(folder: str, queries: np.ndarray, out: Any) -> None:
    store = open_local(folder)
    import faiss

    faiss.omp_set_num_threads(2)
    before = _anon()
    for query in queries:
        store.search("enc", query[None], _K)
    out.send(_anon() - before)


def _anon() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) / 1024
    return float("nan")


def private_mb(folder: str, queries: np.ndarray) -> float:
    """Return the private memory that querying adds in a fresh process, in MB."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_private, args=(folder, queries, sender))
    process.start()
    result = float(receiver.recv())
    process.join()
    return result


def floats(folder: Path, rng: np.random.Generator, rows: int) -> None:
    """Vectors of 512 numbers: build, query, recall, memory; then correlated filters."""
    data = clustered(rng, rows, 512)
    # Questions lie near stored rows without being any of them.
    queries = data[rng.integers(0, rows, _QUERIES)] + 0.02 * rng.standard_normal(
        (_QUERIES, 512), dtype=np.float32
    )
    store = open_local(folder / "floats", create=True)
    wrote = fill(store, spec_of(ndim=512), data)
    began = time.perf_counter()
    said = store.rebuild(encoder="enc")
    built = time.perf_counter() - began
    print(f"earmark: wrote {rows} x 512 in {wrote:.1f} s; {said} in {built:.1f} s")
    truth = store.search("enc", queries, _K, exact=True).distances
    p50, p95, answers = timed(lambda q: store.search("enc", q, _K), queries)
    reached = recall(np.concatenate([a.distances for a in answers]), truth)
    private = private_mb(store.url, queries)
    print(f"earmark: p50 {p50:.2f} p95 {p95:.2f} ms, recall@10 {reached:.4f}, {private:.0f} MB")
    f50, f95, _ = timed(lambda q: store.search("enc", q, _K, exact=True), queries[:40])
    print(f"earmark exact: p50 {f50:.1f} p95 {f95:.1f} ms; flat/index {f50 / p50:.0f}")
    n50, n95, _ = timed(lambda q: np.argpartition(-(q @ data.T), _K)[:, :_K], queries[:40])
    print(f"numpy flat scan, float32 in memory: p50 {n50:.1f} p95 {n95:.1f} ms; {n50 / p50:.0f}")
    filters(store, queries, _K)
    store.close()
    lance(folder, data, queries, truth, p50)


def filters(store: LocalStore, queries: np.ndarray, k: int) -> None:
    """Filters that go along with the vectors: one genre, not the query's own."""
    from earmark.where import parse

    for text in ("genre = 'g7'", "genre in ('g1','g3','g5','g7')"):
        began = time.perf_counter()
        tracks = store.track_ids(parse(text))
        asked = (time.perf_counter() - began) * 1e3
        truth = store.search("enc", queries, k, tracks=tracks, exact=True).distances
        p50, p95, answers = timed(lambda q, t=tracks: store.search("enc", q, k, tracks=t), queries)
        reached = recall(np.concatenate([a.distances for a in answers]), truth)
        print(f"filter {text}: {len(tracks)} tracks (SQL {asked:.1f} ms), p50 {p50:.2f} p95 "
              f"{p95:.2f} ms, recall {reached:.4f}, exact {answers[0].exact}")  # fmt: skip


def lance(
    folder: Path, data: np.ndarray, queries: np.ndarray, truth: np.ndarray, ours: float
) -> None:
    """The same work with LanceDB (IVF_RQ, refined), if it is installed."""
    try:
        import lancedb
        import pyarrow as pa
    except ImportError:
        print("LanceDB is not installed: not compared")
        return
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(data.ravel()), 512)
    began = time.perf_counter()
    table = lancedb.connect(str(folder / "lance")).create_table("t", pa.table({"vector": vectors}))
    table.create_index(metric="cosine", index_type="IVF_RQ", num_partitions=1024)
    built = time.perf_counter() - began

    def ask(query: np.ndarray) -> Any:
        found = table.search(query[0]).metric("cosine").nprobes(32).refine_factor(16).limit(_K)
        return found.to_arrow()["_distance"].to_numpy()[None]

    p50, p95, answers = timed(ask, queries)
    reached = recall(np.concatenate(answers), truth)
    print(f"LanceDB IVF_RQ: built in {built:.1f} s, p50 {p50:.2f} p95 {p95:.2f} ms, "
          f"recall@10 {reached:.4f}; {p50 / ours:.1f} times ours")  # fmt: skip


def bits(folder: Path, rng: np.random.Generator, rows: int) -> None:
    """Codes of 128 bits: flat, and IVF on demand."""
    data = codes(rng, rows)
    flips = np.packbits(rng.random((_QUERIES, 128)) < 0.05, axis=1)
    queries = data[rng.integers(0, rows, _QUERIES)] ^ flips
    store = open_local(folder / "codes", create=True)
    wrote = fill(store, spec_of(metric="hamming", dtype="bits", ndim=128), data)
    p50, p95, answers = timed(lambda q: store.search("enc", q, _K), queries[:50])
    print(f"codes: wrote {rows} x 128 bits in {wrote:.1f} s; flat p50 {p50:.1f} p95 {p95:.1f} ms")
    n50, _, _ = timed(lambda q: numpy_hamming(q, data), queries[:5])
    print(f"numpy bitwise_count: p50 {n50:.1f} ms; {n50 / p50:.1f} times ours")
    truth = store.search("enc", queries, _K, exact=True).distances
    began = time.perf_counter()
    said = store.rebuild(encoder="enc", index="ivf")
    built = time.perf_counter() - began
    i50, i95, answers = timed(lambda q: store.search("enc", q, _K), queries)
    reached = recall(np.concatenate([a.distances for a in answers]), truth)
    print(f"{said} in {built:.1f} s; p50 {i50:.2f} p95 {i95:.2f} ms, recall {reached:.4f}")
    store.close()


def numpy_hamming(query: np.ndarray, data: np.ndarray) -> np.ndarray:
    """Return the nearest rows the way one would write it with NumPy."""
    words = data.view(np.uint64)
    distances = np.bitwise_count(words ^ query.view(np.uint64)).sum(axis=1, dtype=np.uint16)
    return np.argpartition(distances, _K)[:_K]


def machine() -> str:
    """Return the machine's state in one line."""
    load = " ".join(f"{x:.1f}" for x in os.getloadavg())
    free = shutil.disk_usage(tempfile.gettempdir()).free >> 30
    return f"{os.cpu_count()} cores, load {load}, {free} GB free"


def main() -> None:
    """Run the chosen parts."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("part", nargs="?", default="all", choices=["floats", "codes", "all"])
    parser.add_argument("--rows", type=int, help="default: 200,000 vectors, 10,000,000 codes")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        rng = np.random.default_rng(options.seed)
        if options.part in ("floats", "all"):
            floats(Path(folder), rng, options.rows or 200_000)
        if options.part in ("codes", "all"):
            bits(Path(folder), rng, options.rows or 10_000_000)
    print(machine())


if __name__ == "__main__":
    main()
