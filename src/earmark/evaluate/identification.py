"""How well clips find the recording they were taken from, and how often a stranger is let in.

A manifest is CSV with the columns ``path,reference,offset``: a clip, the track of the library that
it is a part of (empty: of none), and where in that track it begins, in seconds.  Near is within
half a second (Chang et al. 2021 count a neighbouring half-second segment).
"""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from earmark import sources
from earmark.errors import QueryError, UsageError
from earmark.types import Hit

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

    def __len__(self) -> int:
        """Tracks."""


def read_manifest(path: str | os.PathLike[str]) -> list[Item]:
    """Read a manifest; paths are absolute or relative to its folder.

    Raises
    ------
    UsageError
        If it cannot be read, lacks a column, is empty, or an offset is no number.
    """
    folder = Path(path).resolve().parent
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"the manifest must be a readable CSV file; {path}: {error}") from error
    if not rows:
        raise UsageError(f"the manifest must have rows, but {path} has none")
    for column in ("path", "reference"):
        if column not in rows[0]:
            raise UsageError(
                f"the manifest must have columns path,reference,offset; {path} has no {column!r}"
            )
    return [_item(row, number, folder) for number, row in enumerate(rows, start=2)]


def _item(row: dict[str, Any], number: int, folder: Path) -> Item:
    reference = (row.get("reference") or "").strip()
    text = (row.get("offset") or "").strip()
    try:
        offset = float(text) if text else None
    except ValueError:
        raise UsageError(f"line {number}: an offset must be in seconds, got {text!r}") from None
    return Item(_path(row["path"], folder), _path(reference, folder) if reference else "", offset)


def _path(text: str, folder: Path) -> str:
    return text if sources.is_url(text) else sources.canonical(str(folder / text))


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
        the numbers of clips and tracks.

    Raises
    ------
    QueryError
        If there is nothing to measure.
    """
    if not items:
        raise QueryError("there must be clips to identify, got none")
    accepted = ACCEPTED if confidence is None else confidence
    ranks: list[int | None] = []
    near = recalled = false = negatives = 0
    for item in items:
        hits = list(library.identify(item.path, k=10, confidence=0.0))
        sure = bool(hits) and hits[0].score >= accepted
        if not item.reference:
            negatives += 1
            false += sure
            continue
        rank = next((r for r, h in enumerate(hits, 1) if h.track.path == item.reference), None)
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
    }


def _near(hit: Hit, item: Item) -> bool:
    """Whether the hit's line goes through the true place."""
    if item.offset is None or hit.start is None or hit.query_start is None:
        return item.offset is None
    return abs((hit.start - hit.query_start) - item.offset) <= NEAR_SECONDS
