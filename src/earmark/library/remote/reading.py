"""Values from the server's documents."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from earmark.library.hits import Hits, Renderer
from earmark.types import AudioInfo, Hit, Track

_HIT_FIELDS = frozenset(field.name for field in fields(Hit)) - {"track", "show"}


def track_of(document: Mapping[str, Any]) -> Track:
    """Return a track; what a server does not tell of it is empty or 0.

    Examples
    --------
    >>> track_of({"track": 3, "path": "a.wav", "duration": 1.5, "tags": {}}).duration
    1.5
    """
    return Track(
        id=int(document["track"]),
        path=str(document["path"]),
        content_hash=str(document.get("content_hash", "")),
        size=int(document.get("size", 0)),
        mtime_ns=0,
        info=AudioInfo(
            duration=float(document.get("duration") or 0.0),
            sample_rate=int(document.get("sample_rate", 0)),
            channels=int(document.get("channels", 0)),
            codec=str(document.get("codec", "")),
            container="",
        ),
        title=str(document.get("title", "")),
        artist=str(document.get("artist", "")),
        tags=dict(document.get("tags", {})),
    )


def hits_of(
    answer: Mapping[str, Any],
    *,
    query: Mapping[str, Any] | None = None,
    shift: float = 0.0,
    show: Renderer | None = None,
) -> Hits:
    """Return an answer's hits.

    Parameters
    ----------
    answer : mapping
    query : mapping, optional
        What replaces values of the server's question: it does not know names of uploads.
    shift : float
        Where the uploaded sound begins in its source, in seconds.
    show : callable, optional
        Draws hits.
    """
    asked = {**answer["query"], **(query or {})}
    one = None if show is None else lambda hit: show([hit])
    return Hits(tuple(_hit(document, shift, one) for document in answer["hits"]), asked, show)


def _hit(document: Mapping[str, Any], shift: float, show: Callable[[Hit], str] | None) -> Hit:
    values = {name: document[name] for name in _HIT_FIELDS if name in document}
    hit = Hit(track=track_of(document), show=show, **values)
    if not shift or hit.query_start is None or hit.query_end is None:
        return hit
    return replace(
        hit,
        query_start=round(hit.query_start + shift, 6),
        query_end=round(hit.query_end + shift, 6),
    )


def tracks_of(documents: Sequence[Mapping[str, Any]]) -> tuple[Track, ...]:
    """Return tracks."""
    return tuple(track_of(document) for document in documents)
