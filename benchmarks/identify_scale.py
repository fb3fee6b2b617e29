"""How fast `earmark identify` answers in a library of a thousand hours, and what that takes.

    python benchmarks/identify_scale.py FOLDER MUSIC... --hours 1000 [--queries 30] [--cache C]

The library is simulated with realistic rows.  Real music is encoded; a simulated track is two real
stretches of it laid over each other: vectors are added and normalised anew, bits are taken from
one or the other.  So rows keep their spread, and change over time as those of music do.  The real
tracks themselves are in the library as well, and excerpts of them in noise are the queries.

Built once in FOLDER (minutes), asked as often as the script is run.  Times are of one thread and
of a warm library; private memory is what a fresh process has after all queries (`RssAnon`), and
what it had before it opened the library.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from pathlib import Path

import numpy as np

from degradations import Babble
from earmark.encoders import fingerprint, spectral
from earmark.encoders.fingerprint import Fingerprint
from earmark.encoders.spectral import Spectral
from earmark.stores.local import LocalStore, open_local
from earmark.testing.store_cases import record
from earmark.types import Encoded
from identify import encode, find_tracks, make_query

TRACK_SECONDS = (90.0, 330.0)
COMMIT_EVERY = 1000


def simulated(
    pool: np.ndarray, bits: np.ndarray, seconds: float, rng: np.random.Generator
) -> tuple[Encoded, Encoded]:
    """Rows of one simulated track of so many seconds: of vectors, and of codes."""
    n = int(seconds * 2) - 1
    a, b = rng.integers(0, len(pool) - n, 2)
    rows = pool[a : a + n] + pool[b : b + n]
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    starts = np.arange(n) * 0.5
    vectors = Encoded(rows, np.stack([starts, starts + 1.0], axis=1))
    n = min(n - 1, len(bits) - 1)
    a, b = rng.integers(0, len(bits) - n, 2)
    mask = np.tile(rng.integers(0, 256, 4, dtype=np.uint8), 4)
    mixed = (bits[a : a + n] & mask) | (bits[b : b + n] & ~mask)
    starts = np.arange(n) * 0.5
    return vectors, Encoded(mixed, np.stack([starts, starts + 1.506], axis=1))


def build(folder: Path, paths: list[Path], hours: float, cache: Path | None) -> None:
    """Make the library: real tracks first, then simulated ones, then its indexes."""
    vectors, codes = Fingerprint(), Spectral()
    real = [(encode(vectors, p, cache), encode(codes, p, cache)) for p in paths]
    pool = np.concatenate([v.rows for v, _ in real]).astype(np.float32)
    bits = np.concatenate([c.rows for _, c in real])
    rng = np.random.default_rng(0)
    store = open_local(folder, create=True)
    done, number = 0.0, 0
    with store.writer() as writer:
        writer.put_encoder(vectors.spec, {})
        writer.put_encoder(codes.spec, {})
        for path, (v, c) in zip(paths, real, strict=True):
            seconds = float(v.segments[-1, 1])
            v = Encoded(v.rows.astype(np.float32), v.segments)
            one = record(str(path), duration=seconds)
            writer.put_track(one, {fingerprint.NAME: v, spectral.NAME: c})
            done += seconds
        while done < hours * 3600.0:
            seconds = float(rng.uniform(*TRACK_SECONDS))
            v, c = simulated(pool, bits, seconds, rng)
            one = record(f"/simulated/{number}.ogg", duration=seconds)
            writer.put_track(one, {fingerprint.NAME: v, spectral.NAME: c})
            done, number = done + seconds, number + 1
            if number % COMMIT_EVERY == 0:
                writer.commit()
        writer.commit()
    began = time.monotonic()
    store.rebuild()
    print(f"{number + len(paths)} tracks; indexes in {time.monotonic() - began:.0f} s", flush=True)
    store.close()


def private() -> int:
    """Bytes of this process that no file backs."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def ask(store: LocalStore, paths: list[Path], args: argparse.Namespace) -> dict[str, float]:
    """Ask excerpts; return times in ms, how many were right, and memory in MB."""
    import faiss

    from earmark import encoders
    from earmark.library.identification import Finder

    faiss.omp_set_num_threads(1)
    rng = np.random.default_rng(1)
    babble = Babble(None, rng)
    ids = {t.path: t.id for t in store.tracks(store.track_ids().tolist()) if t.path[:5] != "/simu"}
    queries = []
    for i in range(args.queries):
        path = paths[int(rng.integers(len(paths)))]
        queries.append(make_query(path, ids[str(path)], args.condition, 10.0, babble, [i]))
    del babble
    before = private()
    finder = Finder(store, encoders.create)
    times, right, sure = [], 0, 0
    for query in [queries[0], *queries]:
        began = time.process_time()
        found = finder(query.clip)
        times.append(time.process_time() - began)
        right += bool(found) and found[0].track == query.track
        sure += bool(found) and found[0].track == query.track and found[0].confidence >= 0.7
    first, rest = times[0], np.array(times[1:]) * 1000
    size = store.stats()
    return {
        "ms_median": float(np.median(rest)),
        "ms_p90": float(np.quantile(rest, 0.9)),
        "ms_first": first * 1000,
        "top1": (right - 1) / args.queries,
        "accepted": (sure - 1) / args.queries,
        "private_mb": private() / 1e6,
        "private_mb_before": before / 1e6,
        "mb_per_hour": size.bytes / 1e6 / (size.seconds / 3600.0),
    }


def main() -> None:
    """Build if need be, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("music", nargs="+", type=Path)
    parser.add_argument("--hours", type=float, default=1000.0)
    parser.add_argument("--queries", type=int, default=30)
    parser.add_argument("--condition", default="noise 5 dB")
    parser.add_argument("--cache", type=Path)
    args = parser.parse_args()
    paths = find_tracks(args.music, 1e9, set())
    if not (args.folder / "catalog.sqlite").exists():
        build(args.folder, paths, args.hours, args.cache)
    with open_local(args.folder) as store:
        print(json.dumps(ask(store, paths, args), indent=2))


if __name__ == "__main__":
    main()
