"""Are scores of tags the share that is right?  On real recordings whose kind is known.

    python benchmarks/tags.py LIBRARY MANIFEST

For each label that says the same as a label of the manifest (`SAME`) and that the library's tagger
gave a recording of the same task, with the score that is kept (.05 or more): was it right?  Printed
are, for each task and for all, the mean score, the share that was right, and the expected
calibration error (ten equal steps of the score): of the scores as they are, and after a curve
``sigmoid(a logit(score) + b)`` (Platt, 1999) that was fitted on the other half of the recordings.
Recordings are halved by group, or by path where they have none.  What a recording is not called in
the manifest counts as wrong, though it may be heard in it.
"""

from __future__ import annotations

import argparse
import csv
import os
import zlib
from pathlib import Path

import numpy as np

import earmark
from earmark.types import Float64Array

SAME = {
    "env": {
        "Bark": "Dog bark", "Dog": "Dog bark", "Rain": "Rain", "Ocean": "Sea waves",
        "Waves, surf": "Sea waves", "Baby cry, infant cry": "Baby cry", "Tick-tock": "Clock tick",
        "Sneeze": "Person sneeze", "Helicopter": "Helicopter", "Chainsaw": "Chainsaw",
        "Crowing, cock-a-doodle-doo": "Rooster", "Crackle": "Fire crackling",
        "Fire": "Fire crackling",
    },
    "inst": {
        "Piano": "piano,grand-piano-splendid,grand-piano-salamander", "Sitar": "sitar",
        "Steelpan": "steel-drums", "Saxophone": "alto-sax,alto-sax-weresax", "Tabla": "tabla",
        "Bass guitar": "finger-bass", "Vibraphone": "vibraphone",
        "Hi-hat": "hihat,acoustic-hihat-closed,acoustic-hihat-open,drummachine-hihat",
        "Acoustic guitar": "acoustic-guitar", "Hammond organ": "hammond-organ",
        "Bass drum": "kick,acoustic-kick,808-kick", "Snare drum": "snare,brushes-snare",
        "Cymbal": "ride,acoustic-ride,drummachine-ride,drummachine-cymbal,drummachine-cymball",
        "Finger snapping": "body-percussion-snap,body-percussion-pinkysnap",
        "Clapping": "body-percussion-fingerclap,808-clap,drummachine-clap",
        "Cowbell": "drummachine-cowb,drummachine-cowbell",
    },
    "events": {
        "Camera": "camera", "Bell": "bell,tinybell", "Crowd": "crowd", "Drill": "drill",
        "Sitar": "sitar", "Guitar": "guitar chord,guitar riff cutup", "Slam": "doorslam",
        "Water": "water,water hit,water bubbles,swimming", "Clapping": "clap,reverb clap",
        "Maraca": "shaker",
    },
}  # fmt: skip

Pairs = tuple[Float64Array, Float64Array]
"""Scores, and whether each was right."""


def pairs_of(
    lib: earmark.Library, rows: list[dict[str, str]], root: Path
) -> dict[str, list[Pairs]]:
    """For each task the pairs of both halves of its recordings."""
    found: dict[str, list[list[tuple[float, float]]]] = {task: [[], []] for task in SAME}
    for row in rows:
        task = row["task"]
        track = (
            lib.store.find_path(os.path.normpath((root / row["path"]).absolute()))
            if task in SAME
            else None
        )
        if track is None:
            continue
        half = zlib.crc32((row["group"] or row["path"]).encode()) % 2
        for labels in lib.store.labels([track.id]).get(track.id, {}).values():
            for label in labels:
                if label.name in SAME[task]:
                    right = row["label"] in SAME[task][label.name].split(",")
                    found[task][half].append((label.score, float(right)))
    return {
        task: [(np.array(half).reshape(-1, 2)[:, 0], np.array(half).reshape(-1, 2)[:, 1])
               for half in halves]
        for task, halves in found.items()
    }  # fmt: skip


def curve(score: Float64Array, a: float, b: float) -> Float64Array:
    clipped = np.clip(score, 1e-6, 1 - 1e-6)
    return 1 / (1 + np.exp(-np.clip(a * np.log(clipped / (1 - clipped)) + b, -50, 50)))


def loss(score: Float64Array, right: Float64Array) -> float:
    p = np.clip(score, 1e-6, 1 - 1e-6)
    return -float((right * np.log(p) + (1 - right) * np.log(1 - p)).mean())


def fit(score: Float64Array, right: Float64Array) -> tuple[float, float]:
    from scipy.optimize import minimize

    found = minimize(lambda ab: loss(curve(score, *ab), right), [1.0, 0.0], method="Nelder-Mead")
    return float(found.x[0]), float(found.x[1])


def error(score: Float64Array, right: Float64Array) -> float:
    """Expected calibration error."""
    step = np.minimum((score * 10).astype(int), 9)
    parts = [step == i for i in range(10)]
    return float(sum(abs(score[i].mean() - right[i].mean()) * i.mean() for i in parts if i.any()))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("library")
    parser.add_argument("manifest", type=Path)
    args = parser.parse_args()
    with args.manifest.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    with earmark.open(args.library, create=False) as lib:
        tasks = pairs_of(lib, rows, args.manifest.parent)
    halves = [
        tuple(np.concatenate([tasks[t][h][i] for t in tasks]) for i in range(2)) for h in range(2)
    ]
    curves = [fit(*halves[1]), fit(*halves[0])]  # for each half that of the other
    print(f"curves: {curves}")
    for name, both in (*tasks.items(), ("all", halves)):
        score, right = (np.concatenate([half[i] for half in both]) for i in range(2))
        bent = np.concatenate([curve(both[h][0], *curves[h]) for h in range(2)])
        own = np.concatenate([curve(both[h][0], *fit(*both[1 - h])) for h in range(2)])
        print(
            f"{name:8} {len(score):4} labels, mean score {score.mean():.2f}, "
            f"right {right.mean():.2f}, error {error(score, right):.3f}, "
            f"by one curve for all {error(bent, right):.3f}, "
            f"by its own {error(own, right):.3f}"
        )  # fmt: skip


if __name__ == "__main__":
    main()
