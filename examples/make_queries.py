"""Make things to ask with: ``make_queries.py SAMPLES FOLDER``.

`FOLDER/tunes` gets three tunes to index; `FOLDER/clip.wav` is six seconds of the samples' piece as
a telephone in a noisy room hears it; `FOLDER/hum.wav` is one of the tunes, hummed.
"""

from __future__ import annotations

import sys
import wave
from pathlib import Path

import numpy as np
from hum_a_tune import main as hum

TUNES = {
    "joy": "T:Ode to Joy\nM:4/4\nL:1/4\nQ:1/4=120\nK:C\n"
    "EEFG|GFED|CCDE|E3/2D/2D2|EEFG|GFED|CCDE|D3/2C/2C2|\n",
    "jacques": "T:Frere Jacques\nM:4/4\nL:1/4\nQ:1/4=120\nK:F\n"
    "FGAF|FGAF|ABc2|ABc2|c/2d/2c/2B/2AF|c/2d/2c/2B/2AF|FCF2|FCF2|\n",
    "twinkle": "T:Twinkle, Twinkle, Little Star\nM:4/4\nL:1/4\nQ:1/4=110\nK:D\n"
    "DDAA|BBA2|GGFF|EED2|AAGG|FFE2|AAGG|FFE2|DDAA|BBA2|GGFF|EED2|\n",
}


def clip(source: Path, target: Path, *, start: float = 7.3, seconds: float = 6.0) -> None:
    """Cut a clip: 5 dB of noise below it, nothing under 300 Hz or over 3400 Hz."""
    with wave.open(str(source), "rb") as file:
        rate = file.getframerate()
        data = file.readframes(file.getnframes())
    samples = np.frombuffer(data, "<i2").astype(np.float64) / 32768
    samples = samples[round(start * rate) : round((start + seconds) * rate)]
    noise = np.random.default_rng(0).standard_normal(len(samples))
    noise *= np.sqrt(np.mean(samples**2) / np.mean(noise**2)) * 10 ** (-5 / 20)
    spectrum = np.fft.rfft(samples + noise)
    hertz = np.fft.rfftfreq(len(samples), 1 / rate)
    spectrum[(hertz < 300) | (hertz > 3400)] = 0
    heard = np.fft.irfft(spectrum, len(samples))
    with wave.open(str(target), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((heard / np.abs(heard).max() * 32000).astype("<i2").tobytes())


def main(samples: Path, folder: Path) -> None:
    """Write everything."""
    (folder / "tunes").mkdir(parents=True, exist_ok=True)
    for name, text in TUNES.items():
        (folder / "tunes" / f"{name}.abc").write_text(f"X:1\n{text}", encoding="utf-8")
    clip(samples / "piece.wav", folder / "clip.wav")
    hum(str(folder / "tunes" / "joy.abc"), str(folder / "hum.wav"))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
