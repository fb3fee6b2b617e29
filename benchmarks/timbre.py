"""Timbre search, measured: the figures of the timbre card, with intervals over classes.

``python benchmarks/timbre.py --cache FOLDER [--data FOLDER] [--weights mn04_as.onnx] [--only ...]``

Four descriptions side by side: the profile `default` (vectors, and its 256-bit codes), the profile
`zounds` (fitted on the database), mean and deviation of 20 MFCCs by cosine, and, if its weights are
given, the 384-d embedding of EfficientAT mn04.  Parts: `notes` (leave one out, instruments and keys
kept from learning; only other keys count; another sound font; degraded query), `drums` (kinds
across two fonts), `real` (the sets inst, env, events of the project's data), `speed`.  Each figure
is the mean over queries; its interval is the 2.5 to 97.5 % range of 1,000 draws of classes.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from earmark import features, framing
from earmark.encoders.timbre import Zounds
from earmark.encoders.timbre_default import Default
from earmark.encoders.timbre_projection import shipped
from earmark.training.timbre import corpus, split
from earmark.training.timbre.degrade import MEASURED, degrade
from earmark.types import AnyArray, Clip, Encoded

RATE = 22_050
Describer = Callable[[list[AnyArray]], list[AnyArray]]


class Method:
    """A name, a description of sounds (a list of arrays of rows), and a distance."""

    def __init__(self, name: str, describe: Describer, hamming: bool = False) -> None:
        self.name, self.describe, self.hamming = name, describe, hamming

    def distances(self, queries: list[AnyArray], rows: list[AnyArray]) -> AnyArray:
        """Mean over a query's rows of the nearest row of each sound, shape (queries, sounds)."""
        flat = np.concatenate(rows)
        starts = np.concatenate([[0], np.cumsum([len(r) for r in rows])[:-1]])
        out = np.empty((len(queries), len(rows)), np.float32)
        for i, query in enumerate(queries):
            if self.hamming:
                d = np.bitwise_count(query[:, None] ^ flat[None]).sum(axis=2).astype(np.float32)
            else:
                d = 1 - query @ flat.T
            out[i] = np.minimum.reduceat(d, starts, axis=1).mean(axis=0)
        return out


class Rows:
    """Rows of an encoder for lists of sounds; a list that was encoded last is not encoded again."""

    def __init__(self, encoder: Default | Zounds) -> None:
        self.encoder = encoder
        self.kept: dict[int, tuple[list[AnyArray], list[Encoded]]] = {}

    def of(self, sounds: list[AnyArray], form: str) -> list[AnyArray]:
        """Rows or refine rows of each sound; a silent one gets a row of zeros."""
        if id(sounds) not in self.kept:
            clips = [framing.encode_clip(self.encoder, Clip(s, RATE)) for s in sounds]
            self.kept[id(sounds)] = (sounds, clips)  # keeps the list, and so its id, alive
        found = self.kept[id(sounds)][1]
        blank = np.zeros((1, self.encoder.spec.rows.width), np.uint8)
        empty = np.zeros((1, 64), np.float32)
        if form == "rows":
            return [e.rows if len(e.rows) else blank for e in found]
        # The aspects behind the 64 numbers of the vector are left out.
        return [empty if e.refine is None or not len(e.refine) else e.refine[:, :64] for e in found]


def mfcc(sounds: list[AnyArray]) -> list[AnyArray]:
    """Mean and deviation of 20 MFCCs of the whole sound, one row of unit length."""
    out = []
    for sound in sounds:
        frames = features.compute("mfcc", sound, RATE)
        row = np.concatenate([frames.mean(axis=0), frames.std(axis=0)])
        out.append((row / max(np.linalg.norm(row), 1e-9)).astype(np.float32)[None])
    return out


def mn04(path: Path) -> Describer:
    """The embedding of the EfficientAT graph: log-mel of 32 kHz audio in, 384 numbers out."""
    import onnxruntime
    import soxr

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options)

    def describe(sounds: list[AnyArray]) -> list[AnyArray]:
        out = []
        for sound in sounds:
            wave = soxr.resample(sound, RATE, 32_000).astype(np.float32)
            wave = np.pad(wave, (0, max(0, 32_000 - len(wave))))
            row = session.run(["emb"], {"mel": efficientat_mel(wave)})[0]
            out.append(row / max(np.linalg.norm(row), 1e-9))
        return out

    return describe


def efficientat_mel(wave: AnyArray) -> AnyArray:
    """128 log-mel bands of pre-emphasised audio (window 800, hop 320), shape (1, 1, 128, t)."""
    emphasised = np.pad(wave[1:] - 0.97 * wave[:-1], 512, mode="reflect")
    window = np.pad(np.hanning(800), 112)
    frames = np.lib.stride_tricks.sliding_window_view(emphasised, 1024)[::320]
    power = np.abs(np.fft.rfft(frames * window, axis=1)).T ** 2
    low, high = (1127 * np.log1p(f / 700) for f in (0.0, 15_000.0))
    edges = np.linspace(low, high, 130)
    bins = 1127 * np.log1p(np.arange(513) * 32_000 / 1024 / 700)
    rise = (bins[None] - edges[:-2, None]) / np.diff(edges)[:-1, None]
    fall = (edges[2:, None] - bins[None]) / np.diff(edges)[1:, None]
    mel = np.maximum(0, np.minimum(rise, fall)) @ power
    return (((np.log(mel + 1e-5) + 4.5) / 5)[None, None]).astype(np.float32)


def scores(d: AnyArray, query: AnyArray, base: AnyArray, allowed: AnyArray) -> AnyArray:
    """Precision@1, precision@10 and average precision of each query, shape (n, 3); NaN where
    nothing is relevant.  Ties count as their expectation would: they are ordered at random."""
    rng = np.random.default_rng(0)
    out = np.full((len(query), 3), np.nan)
    for i in range(len(query)):
        keep = np.flatnonzero(allowed[i])
        keep = keep[np.lexsort((rng.random(len(keep)), d[i, keep]))]
        hit = base[keep] == query[i]
        if hit.any():
            precision = np.cumsum(hit) / (1 + np.arange(len(hit)))
            out[i] = hit[0], hit[:10].mean(), precision[hit].mean()
    return out


def line(name: str, method: str, found: AnyArray, labels: AnyArray) -> None:
    """Print means with intervals over classes."""
    ok = np.isfinite(found[:, 0])
    found, labels = found[ok], labels[ok]
    classes, index = np.unique(labels, return_inverse=True)
    sums = np.stack([np.bincount(index, found[:, j]) for j in range(3)], axis=1)
    counts = np.bincount(index)
    draws = np.random.default_rng(0).integers(0, len(classes), (1000, len(classes)))
    means = sums[draws].sum(axis=1) / counts[draws].sum(axis=1)[:, None]
    low, high = np.quantile(means, [0.025, 0.975], axis=0)
    cells = [
        f"{m:.3f} [{a:.2f} {b:.2f}]" for m, a, b in zip(found.mean(axis=0), low, high, strict=True)
    ]
    print(f"{name:28s} {method:16s} {'  '.join(cells)}  n={len(found)}", flush=True)


def gather(sounds: Iterable[corpus.Sound]) -> tuple[list[AnyArray], AnyArray, AnyArray]:
    """Samples, labels and keys of sounds that are not silent."""
    kept = [s for s in sounds if np.abs(s.samples).max() >= 1e-3]
    return (
        [s.samples for s in kept],
        np.array([s.coarse for s in kept]),
        np.array([s.key for s in kept]),
    )


def with_zounds(methods: list[Method], database: list[AnyArray]) -> list[Method]:
    """Add `zounds`, its codebook fitted on the database, where others are compared too."""
    if not any(m.name.startswith("MFCC") for m in methods):
        return methods
    blank = Zounds()
    rows = [
        blank.training_rows(np.pad(s, (0, max(0, blank.window - len(s))))[None, : blank.window])
        for s in database
    ]
    fitted = Zounds.from_state(blank.fit(np.concatenate(rows), seed=0))
    rows_of = Rows(fitted)
    return [*methods, Method("zounds", lambda sounds: rows_of.of(sounds, "rows"), True)]


def notes(methods: list[Method], cache: Path) -> None:
    """Rendered notes of the instruments and keys kept for measuring."""
    parts = split.load()
    first, second = parts.measure_fonts
    base, label, key = gather(corpus.notes_to_measure(parts, first, cache))
    other, other_label, _ = gather(corpus.notes_to_measure(parts, second, cache))
    rng = np.random.default_rng(77)
    bad = [degrade(s[None], RATE, rng, MEASURED)[0] for s in base]
    another_key = key[:, None] != key[None]
    everything = np.ones((len(other), len(base)), bool)
    for m in with_zounds(methods, base):
        rows, queries, dirty = m.describe(base), m.describe(other), m.describe(bad)
        d = m.distances(rows, rows)
        line("notes, other pitches", m.name, scores(d, label, label, another_key), label)
        d = m.distances(queries, rows)
        found = scores(d, other_label, label, everything)
        line("notes, other sound font", m.name, found, other_label)
        d = m.distances(dirty, rows)
        line("notes, degraded query", m.name, scores(d, label, label, another_key), label)


def drums(methods: list[Method], cache: Path) -> None:
    """Kinds of drums across two sound fonts: all of the second, then those of its drums that are
    in no font learned from (it shares samples with one)."""
    parts = split.load()
    first, second = parts.measure_drum_fonts
    base, label, _ = gather(corpus.drums(first, cache))
    other, other_label, _ = gather(corpus.drums(second, cache))
    new = ~heard(other, [s for font in parts.learn_drum_fonts for s in corpus.drums(font, cache)])
    for m in with_zounds(methods, base):
        d = m.distances(m.describe(other), m.describe(base))
        found = scores(d, other_label, label, np.ones(d.shape, bool))
        line("drums, across sound fonts", m.name, found, other_label)
        line("drums, of them never heard", m.name, found[new], other_label[new])


def heard(sounds: list[AnyArray], learned: list[corpus.Sound]) -> AnyArray:
    """Whether each sound, or nearly it, is among those learned from: by cosine of standardised
    descriptors, 0.9 or more."""
    learned = [s for s in learned if np.abs(s.samples).max() >= 1e-3]
    table = corpus.tabulate(learned).x
    own = corpus.tabulate(corpus.Sound(s, "", "", -1, "") for s in sounds).x
    mean, scale = shipped().mean, shipped().scale
    a, b = (np.clip((x - mean) / scale, -4, 4) for x in (own, table))
    a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (a, b))
    return np.asarray((a @ b.T).max(axis=1) >= 0.9)


def real(methods: list[Method], data: Path, tasks: list[str]) -> None:
    """Recordings, leave one out; hits of the query's group do not count."""
    import soundfile
    import soxr

    with (data / "manifest.csv").open(newline="", encoding="utf-8") as file:
        entries = list(csv.DictReader(file))
    for task in tasks:
        chosen = [e for e in entries if e["task"] == task]
        sounds = []
        for entry in chosen:
            samples, rate = soundfile.read(data / entry["path"], dtype="float32", always_2d=True)
            sounds.append(soxr.resample(samples.mean(axis=1), rate, RATE).astype(np.float32))
        label = np.array([e["label"] for e in chosen])
        # The set's own rule: only `env` leaves out what was cut from the query's recording.
        apart = [e["group"] if task == "env" else "" for e in chosen]
        group = np.array([g or str(i) for i, g in enumerate(apart)])
        allowed = group[:, None] != group[None]
        for m in with_zounds(methods, sounds):
            rows = m.describe(sounds)
            line(
                f"real, {task}",
                m.name,
                scores(m.distances(rows, rows), label, label, allowed),
                label,
            )


def speed() -> None:
    """Times real time of one core, of processor time: a minute in one piece, short sounds."""
    encoder = Default()
    rng = np.random.default_rng(0)
    for name, seconds, count in (("long", 60.0, 1), ("2 s sounds", 2.0, 30)):
        clips = [
            Clip((0.1 * rng.standard_normal(int(seconds * RATE))).astype(np.float32), RATE)
            for _ in range(count)
        ]
        framing.encode_clip(encoder, clips[0])
        start = time.process_time()
        for clip in clips:
            framing.encode_clip(encoder, clip)
        spent = time.process_time() - start
        print(f"speed, {name:20s} default          {seconds * count / spent:.0f} x real time")


def main() -> None:
    """Run the parts asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=Path("/tmp/earmark-timbre"))
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--default-only", action="store_true", help="nothing to compare with")
    parser.add_argument("--only", nargs="*", default=["notes", "drums", "real", "speed"])
    parser.add_argument("--tasks", nargs="*", default=["inst", "env", "events"])
    given = parser.parse_args()
    rows = Rows(Default())
    methods = [
        Method("default", lambda sounds: rows.of(sounds, "refine")),
        Method("default 256 bit", lambda sounds: rows.of(sounds, "rows"), True),
    ]
    if not given.default_only:
        methods.append(Method("MFCC mean+std", mfcc))
    if given.weights:
        methods.append(Method("mn04 384-d", mn04(given.weights)))
    print(f"load {os.getloadavg()[0]:.1f}, python {sys.version.split()[0]}, numpy {np.__version__}")
    print(f"{'':45s} precision@1 [95 %]  precision@10 [95 %]  mAP [95 %]")
    if "notes" in given.only:
        notes(methods, given.cache / "render")
    if "drums" in given.only:
        drums(methods, given.cache / "render")
    if "real" in given.only:
        real(methods, given.data, given.tasks)
    if "speed" in given.only:
        speed()


if __name__ == "__main__":
    main()
