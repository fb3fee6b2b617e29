"""How long a step of fingerprint training takes, and where the time goes, in seconds of CPU.

    python benchmarks/fingerprint_training.py [--steps 3] [--threads 1] [--data FOLDER] [RUN...]

RUN is `published` (16.94 M parameters, its own chain, batches of 120), `lamb` (the same in batches
of 240), `compact` (our own network and chain, batches of 120) or `small` (the published shape with
a quarter of the channels).  Music, backgrounds, rooms and voices are synthetic, or FOLDER's in the
published layout.  CPU seconds of the process, median of the steps after the first; `read` runs in
threads beside the rest, the others one after the other.
"""

from __future__ import annotations

import argparse
import runpy
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from earmark.training.nafp import model
from earmark.training.nafp.config import Augment, Config, Folders, Model, Optimizer, Run, preset
from earmark.training.nafp.loop import Trainer
from earmark.training.nafp.music import open_music

ROOT = Path(__file__).resolve().parent.parent
RUNS = ("published", "small", "compact")


def configuration(name: str, data: Path, output: Path) -> Config:
    """What is run under a name."""
    folders, run = Folders(data=str(data), output=str(output)), Run(tensorboard="off")
    run = replace(run, device="cpu", test_tracks=0)
    if name == "compact":
        base = preset("compact")
        config = replace(base, selection=replace(base.selection, one_per_track=False))
    else:
        config = Config()
    if name == "small":
        shape = config.model.published
        quarter = replace(shape, channels=tuple(c // 4 for c in shape.channels))
        config = replace(config, model=Model(published=quarter))
    batch = 240 if name == "lamb" else 120
    optimizer: Optimizer = replace(config.optimizer, batch=batch)
    augment: Augment = config.augment
    return replace(config, folders=folders, run=run, optimizer=optimizer, augment=augment)


def measure(config: Config, steps: int) -> dict[str, float]:
    """Median CPU seconds of the parts of a step."""
    trainer = Trainer(config, "bench", open_music(config))
    times: dict[str, list[float]] = {}

    def timed(name: str, begin: float) -> None:
        times.setdefault(name, []).append(time.process_time() - begin)

    for step in range(steps + 1):
        at = time.process_time()
        drawn = trainer.sampler.draw(0, step % trainer.steps)
        timed("read", at)
        at = time.process_time()
        anchors, positives = trainer.chain.pairs(drawn.sources, np.random.default_rng(step))
        timed("pairs", at)
        at = time.process_time()
        trainer.train_step(drawn)
        timed("step", at)
        at = time.process_time()
        with torch.no_grad():
            model.vectors(trainer.net, torch.cat([anchors, positives]), bfloat16=False)
        timed("forward", at)
    median = {name: float(np.median(values[1:])) for name, values in times.items()}
    median["learn"] = median["step"] - median["pairs"]
    return median | {"parameters": float(sum(p.numel() for p in trainer.net.parameters()))}


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="*", metavar="RUN", default=list(RUNS))
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--data", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print("run        parameters  read   pairs  forward  all of learning  step   s of CPU")
    with tempfile.TemporaryDirectory() as folder:
        data = arguments.data or Path(folder) / "data"
        if arguments.data is None:
            make = runpy.run_path(str(ROOT / "examples" / "make_nafp_dataset.py"))
            make["main"](data, tracks=16, seconds=20.0)
        for name in arguments.runs:
            found = measure(configuration(name, data, Path(folder) / name), arguments.steps)
            print(
                f"{name:<10}{found['parameters'] / 1e6:>8.2f} M{found['read']:>8.3f}"
                f"{found['pairs']:>8.3f}{found['forward']:>9.3f}{found['learn']:>17.3f}"
                f"{found['read'] + found['step']:>6.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
