"""Pitch trackers on hums whose pitch was checked by hand: raw accuracy, voicing, speed.

    python benchmarks/pitch.py HUMS [--limit 40]

HUMS is a folder of recordings with a `.pv` beside each: one MIDI semitone value per 32 ms, 0 where
unvoiced.  Compared are earmark's own tracker and those that are installed of: librosa (yin, pyin),
praat-parselmouth, swift-f0.  Raw pitch accuracy is the part of the voiced frames whose pitch is
right to half a semitone; false alarms are unvoiced frames that were given a pitch.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from earmark import audio
from earmark.melody import pitch
from earmark.melody.tracking import track_clip
from earmark.types import Clip

STEP = 0.032
Track = Callable[[Clip], tuple[np.ndarray, np.ndarray]]
"""Times in seconds, and pitches in semitones, 0 where unvoiced."""


def ours(clip: Clip) -> tuple[np.ndarray, np.ndarray]:
    line = track_clip(clip).contour
    return (np.arange(len(line)) + 0.5) * 0.05, line


def semitones(hz: np.ndarray, voiced: np.ndarray) -> np.ndarray:
    good = voiced & np.isfinite(hz) & (hz > 0)
    return np.where(good, 69 + 12 * np.log2(np.where(good, hz, 440) / 440), 0)


def pyin(clip: Clip) -> tuple[np.ndarray, np.ndarray]:
    import librosa

    hz, voiced, _ = librosa.pyin(
        clip.samples, fmin=62, fmax=1000, sr=clip.sample_rate, frame_length=1024, hop_length=256
    )
    return np.arange(len(hz)) * 256 / clip.sample_rate, semitones(hz, voiced)


def yin(clip: Clip) -> tuple[np.ndarray, np.ndarray]:
    import librosa

    hz = librosa.yin(
        clip.samples, fmin=62, fmax=1000, sr=clip.sample_rate, frame_length=1024, hop_length=256
    )
    return np.arange(len(hz)) * 256 / clip.sample_rate, semitones(hz, hz < 990)


def praat(clip: Clip) -> tuple[np.ndarray, np.ndarray]:
    import parselmouth

    found = parselmouth.Sound(clip.samples.astype(float), clip.sample_rate).to_pitch_ac(
        time_step=0.0125, pitch_floor=62, pitch_ceiling=1000
    )
    hz = found.selected_array["frequency"]
    return found.xs(), semitones(hz, hz > 0)


def swift(clip: Clip) -> tuple[np.ndarray, np.ndarray]:
    from swift_f0 import SwiftF0

    found = SwiftF0().detect(clip.samples, clip.sample_rate, fmin=62, fmax=1000)
    return found.timestamps, semitones(found.pitch_hz, found.confidence >= 0.5)


def measure(track: Track, files: list[Path]) -> tuple[float, float, float, float]:
    """Raw pitch accuracy, the same with octaves forgiven, false alarms, ms of CPU per 10 s."""
    figures, cpu, seconds = [], 0.0, 0.0
    for path in files:
        clip = audio.read(str(path), sample_rate=pitch.SAMPLE_RATE)
        began = time.process_time()
        times, found = track(clip)
        cpu += time.process_time() - began
        seconds += clip.duration
        truth = np.loadtxt(path.with_suffix(".pv")).ravel()
        at = (np.arange(len(truth)) + 0.5) * STEP
        index = np.clip(np.searchsorted(times, at), 1, len(times) - 1)
        index -= np.abs(times[index - 1] - at) < np.abs(times[index] - at)
        heard, voiced = found[index], truth > 0
        off = np.where(heard > 0, heard - truth, 99)
        folded = np.where(heard > 0, (off + 6) % 12 - 6, 99)
        figures.append(
            [
                (np.abs(off[voiced]) < 0.5).mean(),
                (np.abs(folded[voiced]) < 0.5).mean(),
                (heard[~voiced] > 0).mean() if (~voiced).any() else 0.0,
            ]
        )
    return (*np.mean(figures, axis=0).tolist(), 1e3 * cpu / seconds * 10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("hums", type=Path)
    parser.add_argument("--limit", type=int, default=40)
    parser.add_argument("--singers", default="", help="comma-separated; default all")
    given = parser.parse_args()
    files = sorted(given.hums.glob("*.ogg"))
    if given.singers:
        wanted = set(given.singers.split(","))
        files = [f for f in files if f.stem.split("_")[1] in wanted]
    files = files[:: max(1, len(files) // given.limit)][: given.limit]
    trackers: dict[str, Track] = {
        "earmark": ours,
        "praat": praat,
        "swift-f0": swift,
        "pyin": pyin,
        "yin": yin,
    }
    print(f"{len(files)} hums       accuracy  octaves forgiven  false alarms  ms per 10 s")
    for name, track in trackers.items():
        try:
            a, b, c, d = measure(track, files)
        except ImportError:
            continue
        print(f"{name:<16}{a:9.3f}{b:18.3f}{c:14.3f}{d:13.0f}", flush=True)


if __name__ == "__main__":
    main()
