"""A process that writes to a library until it is killed; run by `test_store_crash`.

    python store_writer.py FOLDER SEED

Says ``ready`` when it has opened the library.  After each commit it writes the numbers and
versions of all tracks that must be there to standard output, one line a commit.
"""

from __future__ import annotations

import sys

import numpy as np

from earmark.stores.local import open_local
from earmark.testing.store_cases import record, segments, spec_of
from earmark.types import Encoded, RowSpec

SPEC = spec_of("enc", ndim=24, refine=RowSpec("float32", 4, "l2"))
CODES = spec_of("code", metric="hamming", dtype="bits", ndim=32)


def content(number: int, version: int) -> dict[str, Encoded]:
    """Return what a track holds: computed from its number, so that a reader can check it."""
    rng = np.random.default_rng([number, version])
    count = number % 9
    rows = rng.standard_normal((count, 24), dtype=np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    refine = rng.standard_normal((count, 4), dtype=np.float32)
    codes = rng.integers(0, 256, (count, 4), dtype=np.uint8)
    return {
        "enc": Encoded(rows, segments(count), refine),
        "code": Encoded(codes, segments(count)),
    }


def main() -> None:
    """Write, replace, remove and compact for ever."""
    folder, seed = sys.argv[1], int(sys.argv[2])
    rng = np.random.default_rng(seed)
    store = open_local(folder, create=True)
    tracks = store.tracks(store.track_ids().tolist())
    present = {int(t.tags["number"]): int(t.tags["version"]) for t in tracks}
    ids = {int(t.tags["number"]): t.id for t in tracks}
    print("ready", flush=True)
    number = max(present, default=0)
    for round_ in range(10**9):
        with store.writer() as writer:
            writer.put_encoder(SPEC, {})
            writer.put_encoder(CODES, {"book": np.arange(9.0)})
            for _ in range(int(rng.integers(1, 30))):
                action = rng.random()
                if action < 0.75 or len(present) < 20:
                    number += 1
                    chosen, version = number, 0
                else:
                    chosen = int(rng.choice(list(present)))
                    if action > 0.9:
                        writer.remove_tracks([ids.pop(chosen)])
                        del present[chosen]
                        continue
                    version = present[chosen] + 1
                name = record(
                    f"/{chosen}.wav", content=f"v{version}", number=chosen, version=version
                )
                ids[chosen] = writer.put_track(name, content(chosen, version))
                present[chosen] = version
            writer.commit()
        print(" ".join(f"{n}:{v}" for n, v in present.items()), flush=True)
        if round_ % 11 == 10:
            store.compact()
        if round_ % 17 == 16:
            store.rebuild(index="ivf")


if __name__ == "__main__":
    main()
