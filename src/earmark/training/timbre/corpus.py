"""The sounds to learn from and to measure with, as descriptors with labels.

Each sound goes the way of the encoder: silence before and after it is cut off (`bounds`), then
`describe`.  Two labels: `fine`, one per sound of one font (this alto sax), and `coarse`, the kind
across fonts (any alto sax; any snare drum).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from earmark.features.timbre import SAMPLE_RATE, describe
from earmark.features.timbre.envelope import aligned, bounds
from earmark.training.timbre import synth
from earmark.training.timbre.degrade import Conditions, degrade
from earmark.training.timbre.render import DRUM_BANK, Note, Preset, Rendered, presets, render
from earmark.training.timbre.split import DRUM_KINDS, FONTS, Split
from earmark.types import AnyArray, Float32Array

SLOT, DRUM_SLOT = 2.0, 1.5
_KITS = (0, 8, 16, 24, 25, 32, 40)
_BATCH = 48


@dataclass(frozen=True)
class Sound:
    """One sound: samples (m,) at SAMPLE_RATE, its labels, its key (-1: none) and its source."""

    samples: Float32Array
    fine: str
    coarse: str
    key: int
    font: str


@dataclass(frozen=True)
class Table:
    """Descriptors of many sounds: x float32 (n, d); the labels are arrays of n entries."""

    x: Float32Array
    fine: AnyArray
    coarse: AnyArray
    key: AnyArray
    font: AnyArray

    def take(self, index: AnyArray) -> Table:
        """The rows of an index or mask."""
        return Table(*(getattr(self, f)[index] for f in ("x", "fine", "coarse", "key", "font")))

    def save(self, path: Path) -> None:
        """Write as ``.npz``."""
        np.savez(path, x=self.x, fine=self.fine, coarse=self.coarse, key=self.key, font=self.font)

    @classmethod
    def load(cls, path: Path) -> Table:
        """Read what `save` wrote."""
        with np.load(path) as data:
            return cls(*(data[f] for f in ("x", "fine", "coarse", "key", "font")))


def notes_to_learn(split: Split, cache: Path) -> Iterator[Sound]:
    """Notes of all presets that stand for a program to learn from, in all banks."""
    notes = [
        Note(key, velocity, hold)
        for key in split.learn_keys
        for velocity, hold in ((50, 1.6), (85, 0.35), (115, 1.0))
    ]
    for font in split.learn_fonts:
        path = Path(FONTS[font])
        wanted = [
            Preset(font, bank, program)
            for bank, program, _ in presets(path)
            if bank < 127 and program in split.learn_programs
        ]
        for r in render(path, wanted, notes, slot=SLOT, sample_rate=SAMPLE_RATE, cache=cache):
            yield from _notes(r)


def notes_to_measure(split: Split, font: str, cache: Path) -> Iterator[Sound]:
    """Notes of the programs kept for measuring, at keys that were not learned from."""
    notes = [Note(key, velocity, 1.2) for key in split.measure_keys for velocity in (60, 105)]
    wanted = [Preset(font, 0, program) for program in split.measure_programs]
    path = Path(FONTS[font])
    for r in render(path, wanted, notes, slot=SLOT, sample_rate=SAMPLE_RATE, cache=cache):
        yield from _notes(r)


def drums(font: str, cache: Path) -> Iterator[Sound]:
    """Each different drum sound of a font's kits, at two strengths."""
    kinds = {key: kind for kind, keys in DRUM_KINDS.items() for key in keys}
    notes = [Note(key, velocity, 1.2) for key in sorted(kinds) for velocity in (70, 115)]
    path = Path(FONTS[font])
    there = {program for bank, program, _ in presets(path) if bank == DRUM_BANK}
    wanted = [Preset(font, DRUM_BANK, program) for program in _KITS if program in there]
    seen: set[str] = set()
    for r in render(path, wanted, notes, slot=DRUM_SLOT, sample_rate=SAMPLE_RATE, cache=cache):
        for note, samples in zip(r.notes, r.samples, strict=True):
            digest = hashlib.sha256(np.round(samples * 2000).astype(np.int16).tobytes()).hexdigest()
            if digest in seen or np.abs(samples).max() < 1e-3:
                continue
            seen.add(digest)
            kit = f"{font}/kit{r.preset.program}/{note.key}"
            yield Sound(samples, kit, f"drum/{kinds[note.key]}", -1, font)


def synthetic(seed: int, count: int, *, sounds: int) -> Iterator[Sound]:
    """`count` drawn classes of each of instruments, hits and textures."""
    makers = (("tone", synth.instrument), ("hit", synth.hit), ("texture", synth.texture))
    for m, (kind, maker) in enumerate(makers):
        for c in range(count):
            play = maker(np.random.default_rng([seed, m, c]), SAMPLE_RATE, 1.8)
            jitter = np.random.default_rng([seed, m, c, 1])
            for _ in range(sounds):  # each its own key and strength
                key = int(jitter.integers(33, 86))
                name = f"synth/{kind}{c}"
                samples = play(key, jitter.uniform(0.2, 1), jitter)
                yield Sound(samples, name, name, key if kind == "tone" else -1, "synth")


def tabulate(
    sounds: Iterable[Sound],
    *,
    seed: int | None = None,
    conditions: Conditions = Conditions(),  # noqa: B008
) -> Table:
    """Describe sounds, clean, or with a seed degraded; silent ones are left out."""
    rng = np.random.default_rng(seed)
    rows: list[Float32Array] = []
    kept: list[Sound] = []
    batch: list[Float32Array] = []
    for sound in sounds:
        samples = sound.samples
        if np.abs(samples).max() < 1e-3:
            continue
        if seed is not None:
            samples = degrade(samples[None], SAMPLE_RATE, rng, conditions)[0]
        begin, end = bounds(samples)
        batch.append(aligned(samples, begin, end))
        kept.append(sound)
        if len(batch) == _BATCH:
            rows.append(_describe(batch))
            batch = []
    if batch:
        rows.append(_describe(batch))
    return Table(
        np.concatenate(rows),
        np.array([s.fine for s in kept]),
        np.array([s.coarse for s in kept]),
        np.array([s.key for s in kept]),
        np.array([s.font for s in kept]),
    )


def _describe(batch: list[Float32Array]) -> Float32Array:
    lengths = np.array([len(b) for b in batch])
    samples = np.zeros((len(batch), lengths.max()), np.float32)
    for row, b in zip(samples, batch, strict=True):
        row[: len(b)] = b
    return describe(samples, lengths)


def _notes(r: Rendered) -> Iterator[Sound]:
    p = r.preset
    for note, samples in zip(r.notes, r.samples, strict=True):
        name = f"{p.font}/{p.bank}/{p.program}"
        yield Sound(samples, name, f"gm/{p.program}", note.key, p.font)
