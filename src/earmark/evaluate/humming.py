"""How well hums find their tunes, and how often a hum of no tune is given one.

A manifest is CSV with the columns ``path,label`` and, if wanted, ``group`` (the singer).  A label
is the tune's title, path, or file name with or without its suffix, as the library knows it; an
empty one means that the tune is not there: any answer to it is a false accept.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Protocol

from earmark.errors import AudioError, QueryError
from earmark.evaluate import manifests
from earmark.melody.confidence import ACCEPTED
from earmark.types import Track

DEPTH = 100
"""How deep a hum's answers are read for the mean reciprocal rank."""


@dataclass(frozen=True)
class Item:
    """A hum, its tune ('' for none of the library) and its singer."""

    path: str
    label: str
    group: str = ""


@dataclass(frozen=True)
class Answer:
    """What one hum found: the rank of its tune (None: not found), whether it was accepted, and what
    kept it from being asked."""

    item: Item
    rank: int | None
    accepted: bool
    error: str = ""


class Hummable(Protocol):
    """What is measured: a library."""

    def hum(
        self, audio: str, *, k: int = 10, starts: bool = False, confidence: float | None = None
    ) -> Any:
        """Hits of a hum, best first."""

    def list(self) -> tuple[Track, ...]:
        """All tracks."""

    def __len__(self) -> int:
        """Tracks."""


def read_manifest(path: str | os.PathLike[str]) -> list[Item]:
    """Read a manifest; paths are absolute or relative to its folder.

    Raises
    ------
    UsageError
        If it cannot be read, lacks a column, or is empty.
    """
    manifest = manifests.read(path, ("path", "label"), example="path,label,group")
    items = []
    for line in manifest.lines:
        if not (file := manifest.file(line)):
            raise manifest.error(line, "path is empty")
        items.append(Item(file, line.get("label"), line.get("group")))
    return items


def names_of(track: Track) -> frozenset[str]:
    """Return what a label may call a track.

    Examples
    --------
    >>> from earmark.types import AudioInfo
    >>> track = Track(1, "/a/Tune.mid", "", 0, 0, AudioInfo(1.0, 0, 0, "", ""), title="A Tune")
    >>> sorted(names_of(track))
    ['/a/Tune.mid', 'A Tune', 'Tune', 'Tune.mid']
    """
    path = PurePath(track.path.split("!/")[-1])
    label = str(track.tags.get("label", ""))
    return frozenset({track.path, path.name, path.stem, track.title, label} - {""})


def evaluate(
    library: Hummable,
    items: Sequence[Item],
    *,
    starts: bool = False,
    confidence: float | None = None,
    depth: int = DEPTH,
) -> dict[str, Any]:
    """Measure search by humming.

    Parameters
    ----------
    library : Library
    items : sequence of Item
    starts : bool
        Tell the library that the hums begin where the tunes do.
    confidence : float, optional
        From which on a hit is an answer; default the library's own.
    depth : int
        Answers of a hum that are looked at.

    Returns
    -------
    dict
        ``top1``, ``top10``, ``mrr``: of the hums whose tune the library has, where it ranks,
        whatever its confidence; ``accepted``: it is first, and the library would say so;
        ``false_accepts``: share of the other hums that are given a tune; ``by_group`` with the
        first three and the number of each singer; how many hums and tracks there were; and
        ``failed``, path and error of the hums that could not be read: they found nothing.

    Raises
    ------
    QueryError
        If there is nothing to measure, or a label names no track.
    """
    if not items:
        raise QueryError("there must be hums to measure, got none")
    known: dict[str, set[int]] = defaultdict(set)
    for track in library.list():
        for name in names_of(track):
            known[name].add(track.id)
    answers = [
        _ask(library, item, known, starts=starts, confidence=confidence, depth=depth)
        for item in items
    ]
    right = [a for a in answers if a.item.label]
    wrong = [a for a in answers if not a.item.label]
    groups = sorted({a.item.group for a in right} - {""})
    report: dict[str, Any] = {
        **summary(right),
        "accepted": _share([a.rank == 1 and a.accepted for a in right]),
        "false_accepts": _share([a.accepted for a in wrong]),
        "queries": len(right),
        "negatives": len(wrong),
        "starts": starts,
        "encoder": "melody",
        "library_size": len(library),
        "seed": 0,
        "failed": [{"path": a.item.path, "error": a.error} for a in answers if a.error],
    }
    if groups:
        report["by_group"] = {g: summary([a for a in right if a.item.group == g]) for g in groups}
    return report


def summary(answers: Sequence[Answer]) -> dict[str, Any]:
    """Return top1, top10 and mrr of answers, and how many there are."""
    ranks = [a.rank for a in answers]
    return {
        "top1": _share([r == 1 for r in ranks]),
        "top10": _share([r is not None and r <= 10 for r in ranks]),
        "mrr": sum(1.0 / r for r in ranks if r) / max(1, len(ranks)),
        "count": len(ranks),
    }


def _share(values: Sequence[bool]) -> float:
    return sum(values) / max(1, len(values))


def _ask(
    library: Hummable,
    item: Item,
    known: dict[str, set[int]],
    *,
    starts: bool,
    confidence: float | None,
    depth: int,
) -> Answer:
    label = next((n for n in (item.label, PurePath(item.label).name) if n in known), "")
    if item.label and not label:
        raise QueryError(
            f"a label must be a track's title, path or file name, got {item.label!r}",
            hint="earmark list shows the tracks; an empty label is a tune that is not there",
        )
    try:
        hits = list(library.hum(item.path, k=depth, starts=starts, confidence=0.0))
    except AudioError as error:
        return Answer(item, None, False, str(error))
    least = ACCEPTED if confidence is None else confidence
    accepted = bool(hits) and hits[0].score >= least
    wanted = known.get(label, set())
    rank = next((r for r, hit in enumerate(hits, 1) if hit.track.id in wanted), None)
    return Answer(item, rank if item.label else None, accepted)
