"""Ten thousand mutated media files through the decoder, in a process that may not die.

A decoder's crash would take the test run with it, so a worker does the decoding and says which
file it is at: a death is a failing test that names the mutation.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import audio_factory as factory
from earmark.errors import AudioError, UsageError

SEED = 20251121
SUFFIXES = (
    *(".wav", ".mp3", ".flac", ".ogg", ".opus", ".m4a", ".aac", ".aiff", ".wv", ".wma"),
    *(".mka", ".webm", ".ac3", ".caf", ".avi", ".ts", ".mp2", ".tta", ".au", ".w64"),
)


def originals(folder: Path) -> dict[str, bytes]:
    made = {}
    for suffix in SUFFIXES:
        rate = 48000 if suffix in (".opus", ".webm") else 44100
        left = factory.noise(seconds=0.3, sample_rate=rate)
        path = factory.encode(
            folder / f"a{suffix}", np.stack([left, left / 2]), rate, tags={"title": "T"}
        )
        made[suffix] = path.read_bytes()
    return made


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """Flip, overwrite, cut, repeat, insert or zero some bytes, more often near the header."""
    array = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        n = max(1, len(array))
        at = int(rng.integers(0, min(n, 300))) if rng.random() < 0.5 else int(rng.integers(0, n))
        length = int(rng.integers(1, 64))
        match rng.integers(0, 6):
            case 0:
                for k in range(at, min(at + 4, len(array))):
                    array[k] ^= 1 << int(rng.integers(0, 8))
            case 1:
                array[at : at + length] = rng.bytes(min(length, max(0, n - at)))
            case 2:
                del array[at : at + length]
            case 3:
                array[at:at] = array[at : at + length]
            case 4:
                array[at : at + length] = bytes(min(length, max(0, n - at)))
            case _:
                del array[max(at, 16) :]
    return bytes(array)


def decode_all(folder: Path, start: int, count: int) -> Iterator[tuple[int, str, str]]:
    """Yield (number, suffix, outcome) of each mutation."""
    from earmark import audio
    from earmark.tags import read_tags

    made = originals(folder)
    for number in range(start, start + count):
        rng = np.random.default_rng([SEED, number])
        suffix = SUFFIXES[number % len(SUFFIXES)]
        path = folder / f"x{suffix}"
        path.write_bytes(mutated(made[suffix], rng))
        print(number, suffix, "begin", flush=True)
        outcome = "decoded"
        part = {"start": 0.1, "end": 0.2} if number % 7 == 0 else {}
        try:
            with audio.decode(
                str(path), sample_rates=[22050], salvage=number % 3 == 0, **part
            ) as blocks:
                for block in blocks:
                    assert np.isfinite(block[22050]).all()
        except (AudioError, UsageError):
            # UsageError: what is left is shorter than the part that was asked for.
            outcome = "refused"
        read_tags(str(path))
        yield number, suffix, outcome


def run(folder: Path, start: int, count: int) -> dict[str, int]:
    done = subprocess.run(
        [sys.executable, __file__, str(folder), str(start), str(count)],
        capture_output=True,
        text=True,
        timeout=550,
        check=False,
    )
    lines = done.stdout.splitlines()
    assert done.returncode == 0, f"died at {lines[-1:]}: {done.stderr[-2000:]}"
    outcomes = [line.split()[2] for line in lines]
    return {kind: outcomes.count(kind) for kind in ("decoded", "refused")}


def test_mutated_files_are_decoded_or_refused(tmp_path: Path) -> None:
    counts = run(tmp_path, 0, 300)
    assert sum(counts.values()) == 300
    assert min(counts.values()) > 30, "the mutations must neither spare nor spoil everything"


@pytest.mark.slow
@pytest.mark.parametrize("start", [0, 2500, 5000, 7500])
def test_ten_thousand_mutated_files(tmp_path: Path, start: int) -> None:
    assert sum(run(tmp_path, start, 2500).values()) == 2500


if __name__ == "__main__":
    for result in decode_all(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])):
        print(*result, flush=True)
