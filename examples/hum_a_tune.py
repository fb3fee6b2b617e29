"""Hum a tune in ABC notation, a little out of tune: ``hum_a_tune.py TUNE.abc OUT.wav``.

For trying `earmark hum` without a microphone: another key, another tempo, vibrato, slides.
"""

from __future__ import annotations

import sys
import wave
from pathlib import Path

import numpy as np

from earmark.melody.abc import read_abc

RATE = 22_050


def main(source: str, target: str, *, key: float = -5.0, tempo: float = 1.2) -> None:
    """Hum the notes from the fourth to the twentieth."""
    notes = read_abc(Path(source).read_text(encoding="utf-8")).notes[3:20]
    rng = np.random.default_rng(0)
    times = np.arange(round((notes[-1, 1] - notes[0, 0]) / tempo * RATE)) / RATE
    at = np.searchsorted(notes[:, 0] - notes[0, 0], times * tempo, side="right") - 1
    out_of_tune = 0.2 * rng.standard_normal(len(notes))
    pitch = notes[at, 2] + out_of_tune[at] + key + 0.3 * np.sin(2 * np.pi * 5 * times)
    pitch = np.convolve(np.pad(pitch, 600, mode="edge"), np.ones(1200) / 1200, "same")[600:-600]
    phase = 2 * np.pi * np.cumsum(440 * 2 ** ((pitch - 69) / 12)) / RATE
    voice = sum(np.sin(k * phase) / k**1.5 for k in range(1, 7))
    samples = 0.25 * voice + 0.003 * rng.standard_normal(len(times))
    with wave.open(target, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((samples * 32767).astype("<i2").tobytes())


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
