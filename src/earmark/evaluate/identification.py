"""How well clips find the recording they were taken from, and how often a stranger is let in.

A manifest is CSV with the columns ``path,reference,offset``: a clip, the track of the library that
it is a part of (empty: of none), and where in that track it begins, in seconds.  A track is named
by its path, or by its file name where only one track has it.  Near is within half a second (Chang
et al. 2021 count a neighbouring half-second segment).
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Protocol

from earmark.errors import AudioError, QueryError
from earmark.evaluate import manifests
from earmark.types import Hit, Track

NEAR_SECONDS = 0.5
ACCEPTED = 0.7


@dataclass(frozen=True)
class Item:
    """A clip, the path of its track ('' for none) and its offset there in seconds."""

    path: str
    reference: str
    offset: float | None


class Identifier(Protocol):
    """What is measured: a library."""

    def identify(self, audio: str, *, k: int = 10, confidence: float | None = None) -> Any:
        """Hits of a clip, best first."""

    def list(self) -> Sequence[Track]:
        """All tracks."""

    def __len__(self) -> int:
        """Tracks."""


def read_manifest(path: str | os.PathLike[str]) -> list[Item]:
    """Read a manifest; paths are absolute or relative to its folder.

    Raises
    ------
    UsageError
        If it cannot be read, lacks a column, is empty, or an offset is no number.
    """
    manifest = manifests.read(path, ("path", "reference"), example="path,reference,offset")
    items = []
    for line in manifest.lines:
        if not (file := manifest.file(line)):
            raise manifest.error(line, "path is empty")
        text = line.get("offset")
        try:
            offset = float(text) if text else None
        except ValueError:
            raise manifest.error(line, f"an offset must be in seconds, got {text!r}") from None
        items.append(Item(file, manifest.file(line, "reference"), offset))
    return items


def evaluate(
    library: Identifier, items: list[Item], *, confidence: float | None = None
) -> dict[str, Any]:
    """Measure identification.

    Parameters
    ----------
    library : Library
    items : list of Item
    confidence : float, optional
        From which on a hit is an answer.

    Returns
    -------
    dict
        ``top1``, ``top10``, ``mrr``: of the clips that have a track, where it ranks, whatever
        its confidence; ``top1_near``: it is first and the place is right; ``recall``: it is first
        and accepted; ``false_accepts``: share of the clips of no track that are given one; with
        the numbers of clips and tracks; ``failed``: path and error of the clips that could not be
        asked, which count as having found nothing.

    Raises
    ------
    QueryError
        If there is nothing to measure, a reference is no track, or no clip can be asked.
    """
    if not items:
        raise QueryError("there must be clips to identify, got none")
    accepted = ACCEPTED if confidence is None else confidence
    wanted = _references(library, items)
    ranks: list[int | None] = []
    near = recalled = false = negatives = 0
    failed: list[dict[str, str]] = []
    for item, track in zip(items, wanted, strict=True):
        hits: list[Hit] = []
        try:
            hits = list(library.identify(item.path, k=10, confidence=0.0))
        except (AudioError, QueryError) as error:
            failed.append({"path": item.path, "error": str(error)})
            if len(failed) == len(items):
                raise
        sure = bool(hits) and hits[0].score >= accepted
        if not item.reference:
            negatives += 1
            false += sure
            continue
        rank = next((r for r, hit in enumerate(hits, 1) if hit.track.id == track), None)
        ranks.append(rank)
        near += rank == 1 and _near(hits[0], item)
        recalled += rank == 1 and sure
    count = max(1, len(ranks))
    return {
        "top1": sum(r == 1 for r in ranks) / count,
        "top1_near": near / count,
        "top10": sum(r is not None for r in ranks) / count,
        "mrr": sum(1.0 / r for r in ranks if r) / count,
        "recall": recalled / count,
        "false_accepts": false / max(1, negatives),
        "queries": len(ranks),
        "negatives": negatives,
        "confidence": accepted,
        "encoder": "fingerprint",
        "library_size": len(library),
        "seed": 0,
        "failed": failed,
    }


def _references(library: Identifier, items: Sequence[Item]) -> list[int | None]:
    """The track that each item is a part of, None for those that are of none."""
    tracks = library.list()
    names = Counter(PurePath(track.path).name for track in tracks)
    ids = {track.path: track.id for track in tracks}
    for track in tracks:
        # The same file by another way (links), or by a name that no other has.
        ids.setdefault(os.path.realpath(track.path), track.id)
        if names[name := PurePath(track.path).name] == 1:
            ids.setdefault(name, track.id)
    found: list[int | None] = []
    for item in items:
        ways = (item.reference, os.path.realpath(item.reference), PurePath(item.reference).name)
        track_id = next((ids[way] for way in ways if way in ids), None)
        if item.reference and track_id is None:
            raise QueryError(
                f"a reference must be a track of the library, got {item.reference}",
                hint="earmark list shows the tracks; an empty reference is a clip of none of them",
            )
        found.append(track_id if item.reference else None)
    return found


def _near(hit: Hit, item: Item) -> bool:
    """Whether the hit's line goes through the true place."""
    if item.offset is None or hit.start is None or hit.query_start is None:
        return item.offset is None
    return abs((hit.start - hit.query_start) - item.offset) <= NEAR_SECONDS
