"""Text to audio: do words find the sounds they describe, and name them?

Retrieval (AudioCaps, Clotho).  The database is the sounds of the manifest.  Each caption is a
query, the sound it was written for its one relevant answer; a sound's score is the best of its
windows.  Reported are recall@1, @5 and @10 and mAP@10 (one over the rank, 0 below the tenth).

Zero-shot accuracy (ESC-50).  Each class is a text; a sound is given the class whose text is nearest
to any of its windows.  Equal scores are settled at random by the seed.

Layouts, told apart by their columns: ``path,caption``; AudioCaps ``youtube_id,start_time,caption``;
Clotho ``file_name,caption_1,...,caption_5``; for classes ``path,label`` and ESC-50
``filename,...,category``.  A sound is found by its path (absolute or relative to the manifest),
else by its file name anywhere in the library (AudioCaps: by ``youtube_id`` as the name or the
beginning of it).

Only reads the library.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from earmark.errors import QueryError, UsageError
from earmark.evaluate import manifests, metrics
from earmark.types import AnyArray, Encoder, Float32Array, Int64Array, Store, TextEncoder

CUTS = (1, 5, 10)

VectorOf = Callable[[str], Float32Array]

_AUDIOCAPS, _CLOTHO = "youtube_id", re.compile(r"caption_\d+")


@dataclass(frozen=True)
class Caption:
    """Words, and the names under which the sound they belong to may be found."""

    text: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class TextReport:
    """Figures with what they were measured on."""

    metrics: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]
    task: str
    encoder: str
    revision: str
    library_size: int
    queries: int
    missing: int
    seed: int

    def to_json(self) -> dict[str, Any]:
        """Return the figures as the command line prints them."""
        return dict(self.metrics) | {
            "task": self.task,
            "encoder": self.encoder,
            "revision": self.revision,
            "library_size": self.library_size,
            "queries": self.queries,
            "missing": self.missing,
            "seed": self.seed,
            "interval95": {name: list(ends) for name, ends in self.intervals.items()},
        }


def has_captions(path: str | Path) -> bool:
    """Say whether a manifest has captions, by its columns."""
    columns = manifests.read(path).columns
    return any(name == "caption" or _CLOTHO.fullmatch(name) for name in columns)


def read_captions(path: str | Path) -> list[Caption]:
    """Read captions in any of the layouts.

    Raises
    ------
    UsageError
        If the columns are none of them, or there is no caption.
    """
    manifest = manifests.read(path)
    columns = manifest.columns
    several = sorted(name for name in columns if _CLOTHO.fullmatch(name))
    found: list[Caption] = []
    for line in manifest.lines:
        if "path" in columns and "caption" in columns:
            found.append(Caption(line.get("caption"), _names(manifest.file(line))))
        elif _AUDIOCAPS in columns and "caption" in columns:
            found.append(Caption(line.get("caption"), (f"id:{line.get(_AUDIOCAPS)}",)))
        elif several and "file_name" in columns:
            names = _names(manifest.file(line, "file_name"))
            found += [Caption(line.get(name), names) for name in several]
        else:
            raise UsageError(
                f"{path}: captions need the columns path,caption, or those of AudioCaps "
                f"(youtube_id,caption) or Clotho (file_name,caption_1), got {','.join(columns)}"
            )
    found = [one for one in found if one.text]
    if not found:
        raise UsageError(f"{path}: there is no caption to ask with")
    return found


def read_classes(path: str | Path) -> list[Caption]:
    """Read sounds with the class of each as its text; underscores become spaces.

    Raises
    ------
    UsageError
        If the columns are neither ``path,label`` nor those of ESC-50.
    """
    manifest = manifests.read(path)
    if {"path", "label"} <= set(manifest.columns):
        file, label = "path", "label"
    elif {"filename", "category"} <= set(manifest.columns):
        file, label = "filename", "category"
    else:
        raise UsageError(
            f"{path}: classes need the columns path,label or filename,category (ESC-50), "
            f"got {','.join(manifest.columns)}"
        )
    found = [
        Caption(line.get(label).replace("_", " "), _names(manifest.file(line, file)))
        for line in manifest.lines
        if line.get(label)
    ]
    if len({one.text for one in found}) < 2:
        raise UsageError(f"{path}: to choose between classes there must be at least two")
    return found


def _names(path: str) -> tuple[str, ...]:
    return (path, f"name:{Path(path).name}")


def evaluate_captions(
    store: Store,
    captions: Sequence[Caption],
    encoder: Encoder,
    *,
    vector_of: VectorOf,
    seed: int,
) -> TextReport:
    """Measure how well words find the sounds they were written for.

    Parameters
    ----------
    store : Store
    captions : sequence of Caption
    encoder : Encoder
        One that reads.
    vector_of : callable
        Gives the encoder's vector of a text, shape (1, ndim).
    seed : int
        Settles ties and draws the intervals.

    Raises
    ------
    QueryError
        If the encoder does not read, or no sound is in the library.
    """
    _check(encoder)
    asked, tracks, missing = _found(store, captions)
    order = np.random.default_rng(seed).permutation(len(tracks))
    rows, starts = _rows(store, encoder, tracks)
    place = {track: at for at, track in enumerate(tracks)}
    values: dict[str, list[float]] = defaultdict(list)
    for caption, track in asked:
        scores = _scores(vector_of(caption.text), rows, starts)
        ranking = np.lexsort((order, -scores))
        relevant = ranking == place[track]
        for cut in CUTS:
            values[f"recall@{cut}"].append(metrics.recall_at(relevant, cut, total=1))
        values["map@10"].append(metrics.reciprocal_rank(relevant[:10]))
    return _report("text-to-audio", values, encoder, len(tracks), len(asked), missing, seed)


def evaluate_classes(
    store: Store,
    items: Sequence[Caption],
    encoder: Encoder,
    *,
    vector_of: VectorOf,
    seed: int,
    template: Callable[[str], str] = lambda text: text,
) -> TextReport:
    """Measure how often a sound's own class is the nearest of all classes.

    Parameters and errors are those of `evaluate_captions`; `template` makes the text of a class.
    """
    _check(encoder)
    asked, tracks, missing = _found(store, items)
    classes = sorted({item.text for item in items})
    order = np.random.default_rng(seed).permutation(len(classes))
    rows, starts = _rows(store, encoder, tracks)
    table = np.stack([_scores(vector_of(template(c)), rows, starts) for c in classes])
    place = {track: at for at, track in enumerate(tracks)}
    values: dict[str, list[float]] = defaultdict(list)
    for item, track in asked:
        best = np.lexsort((order, -table[:, place[track]]))
        values["accuracy"].append(float(classes[best[0]] == item.text))
        top = [classes[i] for i in best[:5]]
        values["accuracy@5"].append(float(item.text in top))
    return _report("zero-shot", values, encoder, len(tracks), len(asked), missing, seed)


def _check(encoder: Encoder) -> None:
    if not isinstance(encoder, TextEncoder):
        raise QueryError(
            f"words are understood by encoders that read, {encoder.spec.name!r} does not",
            hint="earmark index PATH --encoders clap, then --encoder clap",
        )


def _found(
    store: Store, captions: Sequence[Caption]
) -> tuple[list[tuple[Caption, int]], list[int], int]:
    """Captions with their tracks, all tracks, and how many captions' sounds are not there."""
    by_name: dict[str, int | None] = {}
    for path, known in store.known().items():
        if known.track is None:
            continue
        name = path.rpartition("/")[2]
        stem = name.rpartition(".")[0] or name
        for key in {path, f"name:{name}", *_ids(stem)}:
            same = by_name.get(key, known.track)
            by_name[key] = known.track if same == known.track else None  # two: neither
    asked = []
    missing: list[str] = []
    for caption in captions:
        track = next((by_name[n] for n in caption.names if by_name.get(n) is not None), None)
        if track is None:
            missing.append(caption.names[0])
        else:
            asked.append((caption, track))
    if not asked:
        raise QueryError(
            f"none of the {len(captions)} sounds of the manifest is in the library, "
            f"the first is {missing[0]}",
            hint="index them first",
        )
    return asked, sorted({track for _, track in asked}), len(missing)


def _ids(stem: str) -> set[str]:
    """Names under which AudioCaps clips are saved: ID, Y + ID, either followed by _start."""
    forms = {stem, stem[1:] if stem.startswith("Y") and len(stem) > 11 else stem}
    # YouTube's ids have 11 characters, '_' and '-' among them.
    forms |= {form[:11] for form in set(forms) if len(form) > 11 and form[11] in "_."}
    return {f"id:{form}" for form in forms}


def _rows(store: Store, encoder: Encoder, tracks: Sequence[int]) -> tuple[Float32Array, Int64Array]:
    """All rows of the tracks, of unit length, and where each track's begin; silent ones have one
    row of zeros."""
    name, width = encoder.spec.name, encoder.spec.rows.width
    parts: list[AnyArray] = []
    for track in tracks:
        keys = store.keys(name, track)
        parts.append(store.vectors(name, keys) if len(keys) else np.zeros((1, width), np.float32))
    starts = np.cumsum([0, *(len(part) for part in parts[:-1])]).astype(np.int64)
    return np.concatenate(parts).astype(np.float32), starts


def _scores(query: Float32Array, rows: Float32Array, starts: Int64Array) -> AnyArray:
    """The cosine of a text with the best row of each track, rounded lest dust decide."""
    unit = query[0] / max(float(np.linalg.norm(query[0])), 1e-12)
    norms = np.linalg.norm(rows, axis=1)
    cosines = np.where(norms > 0, rows @ unit / np.where(norms > 0, norms, 1), -1.0)
    return np.round(np.maximum.reduceat(cosines, starts), 6)


def _report(
    task: str,
    values: Mapping[str, Sequence[float]],
    encoder: Encoder,
    size: int,
    queries: int,
    missing: int,
    seed: int,
) -> TextReport:
    return TextReport(
        metrics={name: float(np.mean(v)) for name, v in values.items()},
        intervals={n: metrics.bootstrap_interval(list(v), seed=seed) for n, v in values.items()},
        task=task,
        encoder=encoder.spec.name,
        revision=encoder.spec.revision,
        library_size=size,
        queries=queries,
        missing=missing,
        seed=seed,
    )
