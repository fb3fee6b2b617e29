"""Make the contour embedding: ``python -m earmark.training.melody``.

Reads every ABC file under a folder, trains on two thirds of the tunes and on made-up ones, and
writes an ONNX file.  Needs PyTorch and onnx; about half an hour on one core.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from earmark.training.melody import tunes
from earmark.training.melody.tunes import Tunes, gather


def main() -> None:
    """Read the command line, and do one step or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tunes", type=Path, required=True, help="folder of ABC files, or .npz")
    parser.add_argument("--work", type=Path, required=True, help="folder for checkpoints")
    parser.add_argument("--out", type=Path, help="the ONNX file to write")
    parser.add_argument("--seconds", type=float, default=1500.0, help="how long to train")
    parser.add_argument("--made-up", type=int, default=4000, help="tunes to make up")
    parser.add_argument("--resume", type=Path, help="folder of checkpoints to go on from")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    from earmark.training.melody import export, train

    given.work.mkdir(parents=True, exist_ok=True)
    if given.seconds > 0:
        learned = all_tunes(given.tunes).split()[0]
        made = tunes.make_up(given.made_up, seed=given.seed)
        both = gather([*learned.parts(), *made.parts()], [*learned.titles, *made.titles])
        start = train.load(given.resume) if given.resume else None
        recipe = train.Recipe(seed=given.seed, seconds=given.seconds, steps=10**6)
        train.train(both, recipe, given.work, say=_say, start=start)
    if given.out is not None:
        revision = export.export_onnx(train.load(given.work), given.out)
        sys.stdout.write(f"revision {revision}\n")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def all_tunes(source: Path) -> Tunes:
    """Tunes of a folder of ABC files, or of an npz file that `Tunes.save` wrote."""
    return Tunes.load(source) if source.suffix == ".npz" else tunes.read_folder(source)


if __name__ == "__main__":
    main()
