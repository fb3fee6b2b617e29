"""Chromaprint's ``fpcalc`` with an exhaustive match, to stand beside ours in `identify.py`.

Each query is compared at every offset with every track; the share of bits that agree ranks the
tracks and is the confidence.  Needs ``fpcalc`` (Debian: libchromaprint-tools).
"""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SECONDS = 0.1238
"""Between two codes."""


def fpcalc(path: Path) -> np.ndarray:
    """Codes of a file, uint32."""
    command = ["fpcalc", "-raw", "-length", "100000", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [x for x in done.stdout.splitlines() if x.startswith("FINGERPRINT=")]
    if not lines or lines[0] == "FINGERPRINT=":
        return np.zeros(0, np.uint32)
    return np.array(lines[0].removeprefix("FINGERPRINT=").split(","), np.int64).astype(np.uint32)


@dataclass(frozen=True)
class Chromaprint:
    """All codes of the indexed tracks, one after the other, and whose they are."""

    codes: np.ndarray
    owners: np.ndarray
    firsts: np.ndarray

    @classmethod
    def build(cls, paths: list[Path], cache: Path | None) -> Chromaprint:
        """Index files; codes are kept in the cache folder."""
        each = []
        for path in paths:
            name = hashlib.sha256(f"fpcalc|{path.resolve()}".encode()).hexdigest()[:24]
            kept = cache / f"{name}.npy" if cache is not None else None
            if kept is not None and kept.exists():
                each.append(np.load(kept))
                continue
            each.append(fpcalc(path))
            if kept is not None:
                np.save(kept, each[-1])
        lengths = [len(codes) for codes in each]
        owners = np.repeat(np.arange(len(each)), lengths)
        return cls(np.concatenate(each), owners, np.cumsum([0, *lengths[:-1]]))

    def ask(self, samples: np.ndarray, rate: int) -> tuple[int, float, float]:
        """The best track, where in it the query begins, and the share of bits that agree."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "query.wav"
            with wave.open(str(path), "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(rate)
                file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
            query = fpcalc(path)
        count = len(self.codes) - len(query) + 1
        if not len(query) or count < 1:
            return -1, 0.0, 0.0
        wrong = np.zeros(count, np.uint16)
        for i, code in enumerate(query):
            wrong += np.bitwise_count(self.codes[i : i + count] ^ code)
        inside = self.owners[:count] == self.owners[len(query) - 1 :]
        best = int(np.argmin(np.where(inside, wrong, 60_000)))
        track = int(self.owners[best])
        agree = 1.0 - float(wrong[best]) / (32.0 * len(query))
        return track, float(best - self.firsts[track]) * SECONDS, agree
