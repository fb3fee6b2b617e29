"""Make the timbre projection: ``python -m earmark.training.timbre --cache FOLDER --out FILE``.

Renders (FluidSynth), describes, degrades, learns: a net first, then discriminants of descriptors
and net together on more sounds.  One process, about an hour the first time.
Needs PyTorch, soundfile, and Debian's fluidsynth, fluid-soundfont-gm, csound-soundfont and
musescore-general-soundfont-lossless.  The fonts and instruments of `split.json` only.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np

from earmark.encoders.timbre_projection import VERSION
from earmark.features.timbre import GROUPS, SAMPLE_RATE, groups
from earmark.training.timbre import corpus, learn, split, varied
from earmark.training.timbre.corpus import Sound, Table
from earmark.training.timbre.degrade import MILD, Conditions
from earmark.types import Float32Array

_HARSH = Conditions(
    snr_db=(8.0, 35.0), room_seconds=(0.2, 1.0), low_pass_hz=(2500.0, 8000.0), chance=0.9
)
_SYNTHETIC_CLASSES, _SYNTHETIC_SOUNDS = 100, 5
_MIXTURES, _MOUTHS, _DRAWN_WEIGHT = 300, 40, 1.0
_MILD, _DEGRADED = 0.3, 0.1
"""How much degraded rows count in the second stage, a clean one being 1."""
_RECIPE = learn.Recipe(steps=2000, kinds_per_batch=40, rows_per_sound=8)


def main() -> None:
    """Run all steps; tables already in the cache are used again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True, help="folder for renders and tables")
    parser.add_argument("--out", type=Path, required=True, help="the .npz file to write")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    table = learning_table(given.cache, seed=given.seed)
    mean, scale = learn.standard(table)
    z = learn.standardised(table.x, mean, scale)
    recipe = learn.Recipe(**{**vars(_RECIPE), "seed": given.seed})
    start = learn.discriminants(z, table, recipe)
    net = learn.as_stored(learn.refine(z, table, start, group_slices(), recipe))
    more, share = combining_table(given.cache, seed=given.seed)
    z = learn.standardised(more.x, mean, scale)
    first = learn.vectors(z, net)
    recipe = replace(recipe, drawn_weight=_DRAWN_WEIGHT)
    again = learn.combine(z, first, more, share, recipe)
    final = learn.vectors_again(z[::4], first[::4], again)
    code = learn.directions(final, seed=given.seed)
    np.savez_compressed(
        given.out,
        allow_pickle=False,
        **learn.package(mean, scale, net, code, again, version=VERSION),
    )


def learning_table(cache: Path, *, seed: int) -> Table:
    """Descriptors of all that the net is learned from, clean and degraded."""
    parts = split.load()
    renders, tables = cache / "render", cache / "tables"
    tables.mkdir(parents=True, exist_ok=True)

    def kits() -> Iterable[Sound]:
        for font in parts.learn_drum_fonts:
            yield from corpus.drums(font, renders)

    def every_second_note() -> Iterable[Sound]:
        return islice(corpus.notes_to_learn(parts, renders), 0, None, 2)

    def drawn() -> Iterable[Sound]:
        return corpus.synthetic(seed + 5, _SYNTHETIC_CLASSES, sounds=_SYNTHETIC_SOUNDS)

    sources: tuple[tuple[str, Callable[[], Iterable[Sound]], Conditions | None], ...] = (
        ("notes", lambda: corpus.notes_to_learn(parts, renders), None),
        ("notes-degraded", lambda: corpus.notes_to_learn(parts, renders), Conditions()),
        ("notes-harsh", every_second_note, _HARSH),
        ("drums", kits, None),
        ("drums-degraded", kits, Conditions()),
        ("drawn", drawn, None),
        ("drawn-degraded", drawn, Conditions()),
    )
    found = [
        _table(tables / f"{name}-{seed}.npz", sounds, conditions, seed + 120 + number)
        for number, (name, sounds, conditions) in enumerate(sources)
    ]
    return _together(found)


def combining_table(cache: Path, *, seed: int) -> tuple[Table, Float32Array]:
    """Descriptors of all that the second stage learns from, and how much each row counts.

    Notes and drums of the first stage are among it, the most degraded ones and drawn sounds not.
    """
    parts = split.load()
    renders, tables = cache / "render", cache / "tables"
    kept = {"notes": 1.0, "notes-degraded": _DEGRADED, "drums": 1.0, "drums-degraded": _DEGRADED}
    found = [(Table.load(tables / f"{name}-{seed}.npz"), share) for name, share in kept.items()]

    def notes() -> Iterable[Sound]:
        return corpus.notes_to_learn(parts, renders)

    def mixtures(drawn: int) -> Iterable[Sound]:
        return varied.mixtures(parts, renders, seed=seed + drawn, count=_MIXTURES)

    def drums(times: int) -> Iterable[Sound]:
        return varied.drums(parts, renders, seed=seed + 5, times=times)

    def mouths() -> Iterable[Sound]:
        return varied.mouths(seed=seed + 9, count=_MOUTHS)

    sources: tuple[tuple[str, Callable[[], Iterable[Sound]], int | None], ...] = (
        ("notes-mild", notes, 902),
        ("mixtures-1", lambda: mixtures(1), None),
        ("mixtures-1-mild", lambda: mixtures(1), 901),
        ("mixtures-2", lambda: mixtures(2), None),
        ("mixtures-2-mild", lambda: mixtures(2), 904),
        ("drums-varied", lambda: drums(3), None),
        ("drums-varied-mild", lambda: drums(2), 911),
        ("mouths", mouths, None),
        ("mouths-mild", mouths, 912),
    )
    for name, sounds, number in sources:
        conditions, share = (None, 1.0) if number is None else (MILD, _MILD)
        path = tables / f"{name}-{seed}.npz"
        found.append((_table(path, sounds, conditions, seed + (number or 0)), share))
    shares = np.concatenate([np.full(len(table.x), share, np.float32) for table, share in found])
    return _together([table for table, _ in found]), shares


def _table(
    path: Path, sounds: Callable[[], Iterable[Sound]], conditions: Conditions | None, seed: int
) -> Table:
    if not path.exists():
        _make(sounds(), conditions, seed).save(path)
    return Table.load(path)


def _together(tables: Iterable[Table]) -> Table:
    found = list(tables)
    names = ("x", "fine", "coarse", "key", "font")
    return Table(*(np.concatenate([getattr(t, n) for t in found]) for n in names))


def group_slices() -> list[slice]:
    """Where each group of descriptors stands among the columns."""
    one = groups(np.ones((1, SAMPLE_RATE // 10), np.float32), np.array([SAMPLE_RATE // 10]))[0]
    ends = np.cumsum([one[name].shape[1] for name in GROUPS])
    return [slice(int(e - one[n].shape[1]), int(e)) for e, n in zip(ends, GROUPS, strict=True)]


def _make(sounds: Iterable[Sound], conditions: Conditions | None, seed: int) -> Table:
    if conditions is None:
        return corpus.tabulate(sounds)
    return corpus.tabulate(sounds, seed=seed, conditions=conditions)


if __name__ == "__main__":
    main()
