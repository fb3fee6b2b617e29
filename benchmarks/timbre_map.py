"""A picture of the space of timbre: the recordings of `inst`, a colour an instrument.

``python benchmarks/timbre_map.py --data FOLDER [--out docs/images/timbre-map.png]``

Indexes the recordings with the profile `default` into a library of its own, lays them out as
``earmark map`` does, and draws them with Matplotlib (``pip install earmark[map]``).  Instruments
take no part in the layout: where points of one colour lie together, the vectors put them there.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from pathlib import Path

import numpy as np

import earmark
from earmark.config import Settings


def labels(data: Path, task: str) -> dict[str, str]:
    """Label of each file of a task, by absolute path."""
    with (data / "manifest.csv").open(newline="", encoding="utf-8") as file:
        entries = [e for e in csv.DictReader(file) if e["task"] == task]
    return {str((data / e["path"]).resolve()): e["label"] for e in entries}


def draw(places: np.ndarray, names: np.ndarray, out: Path, title: str) -> None:
    """Write a PNG of points, shape (n, 2), each in the colour and mark of its name, (n,)."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 6), dpi=110)
    colours = pyplot.get_cmap("tab20").colors
    for i, name in enumerate(sorted(set(names.tolist()))):
        some = places[names == name]
        mark = "os^Dv"[i // 20 % 5]
        axes.scatter(*some.T, s=16, color=colours[i % 20], marker=mark, label=name, linewidths=0)
    axes.set_axis_off()
    axes.set_title(title, fontsize=10)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=5.5, frameon=False, ncols=2)
    figure.savefig(out, bbox_inches="tight", pil_kwargs={"optimize": True})


def main() -> None:
    """Index, lay out, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, default=Path("docs/images/timbre-map.png"))
    parser.add_argument("--library", type=Path, help="keep the library here")
    given = parser.parse_args()
    wanted = labels(given.data, "inst")
    with tempfile.TemporaryDirectory() as folder:
        place = given.library or Path(folder) / "library"
        with earmark.open(place, settings=Settings(timbre_profile="default", workers=1)) as lib:
            lib.add(sorted(wanted), encoders=["timbre"])
            chart = lib.map(by="timbre")
            found = {t.id: wanted[t.path] for t in lib.list()}
    names = np.array([found[track] for track in chart.tracks.tolist()])
    given.out.parent.mkdir(parents=True, exist_ok=True)
    title = f"{len(names)} recordings of {len(set(names.tolist()))} instruments, by timbre"
    draw(np.asarray(chart.places), names, given.out, title)
    print(f"{given.out}: {len(names)} points, {given.out.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
