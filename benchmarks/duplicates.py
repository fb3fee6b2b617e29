"""How long `earmark duplicates` takes in a large library, and what of planted copies it finds.

    python benchmarks/duplicates.py FOLDER [--tracks 2000] [--rows 200] [--copies 0.05]

The tracks are simulated: rows that change over time as those of music do (neighbours are half
alike, strangers are not), with copies of some of them: noisy, cut, or a quarter of a second out of
step.  The library is built in FOLDER if it is not there.  Times are of the process, on one thread;
the peak of memory is the process's, index and pages of mapped files included.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from pathlib import Path

import numpy as np

import earmark
from earmark.encoders import fingerprint
from earmark.encoders.fingerprint import Fingerprint
from earmark.stores.local import open_local
from earmark.testing.store_cases import record
from earmark.types import Encoded

COMMIT_EVERY = 2000


def unit(x: np.ndarray) -> np.ndarray:
    """Rows of length 1."""
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def track(rows: int, rng: np.random.Generator) -> np.ndarray:
    """Rows of a track twice as dense as they are stored, each half like the next but one."""
    steps = rng.standard_normal((2 * rows + 3, fingerprint.NDIM))
    return unit(steps[:-3] + steps[1:-2] + steps[2:-1] + steps[3:])


def copy(dense: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A copy of a dense track: out of step, cut at the beginning, and noisy."""
    cut = int(rng.integers(0, len(dense) // 3))
    rows = dense[cut:][::2]
    return unit(rows + rng.uniform(0.02, 0.08) * rng.standard_normal(rows.shape))


def build(folder: Path, args: argparse.Namespace) -> None:
    """Make the library; the name of a copy tells its original."""
    rng = np.random.default_rng(0)
    store = open_local(folder, create=True)

    def put(name: str, rows: np.ndarray) -> None:
        starts = np.arange(len(rows)) * 0.5
        encoded = Encoded(rows, np.stack([starts, starts + 1.0], axis=1))
        writer.put_track(record(name, duration=len(rows) / 2), {fingerprint.NAME: encoded})

    with store.writer() as writer:
        writer.put_encoder(Fingerprint().spec, {})
        for number in range(args.tracks):
            dense = track(args.rows, rng)
            put(f"/{number}.ogg", dense[::2])
            if rng.random() < args.copies:
                put(f"/{number}-copy.ogg", copy(dense, rng))
            if number % COMMIT_EVERY == 0:
                writer.commit()
        writer.commit()
    began = time.process_time()
    store.rebuild()
    print(f"index built in {time.process_time() - began:.0f} s")
    store.close()


def main() -> None:
    """Build if need be, find duplicates, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tracks", type=int, default=2000)
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--copies", type=float, default=0.05)
    args = parser.parse_args()
    if not (args.folder / "catalog.sqlite").exists():
        build(args.folder, args)
    with earmark.open(args.folder) as lib:
        began = time.process_time()
        groups = lib.duplicates()
        spent = time.process_time() - began
        planted = {t.path[1:-9] for t in lib.list() if t.path.endswith("-copy.ogg")}
        pairs = {frozenset(Path(t.path).stem.split("-")[0] for t in g.tracks) for g in groups}
        found = {next(iter(pair)) for pair in pairs if len(pair) == 1}
        result = {
            "tracks": len(lib),
            "rows": lib.store.stats().spaces[0].rows,
            "seconds": round(spent, 1),
            "ms_a_track": round(1000 * spent / len(lib), 2),
            "planted": len(planted),
            "found": len(found & planted),
            "wrong_groups": sum(len(pair) > 1 for pair in pairs),
            "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
