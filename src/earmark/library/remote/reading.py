"""Values from the server's documents."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from earmark.library.hits import Hits, Renderer
from earmark.types import AudioInfo, Hit, Track

if TYPE_CHECKING:
    from earmark.library.duplicates import Duplicates
    from earmark.library.maps import Map
    from earmark.library.tagging import TaggedFile

_HIT_FIELDS = frozenset(field.name for field in fields(Hit)) - {"track", "show", "details"}
_TRACK_FIELDS = frozenset({"track", "path", "title", "artist", "duration", "tags"})


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
    return Hits(
        tuple(_hit(document, shift, one) for document in answer["hits"]),
        asked,
        show,
        tuple(answer.get("notes", ())),
    )


def _hit(document: Mapping[str, Any], shift: float, show: Callable[[Hit], str] | None) -> Hit:
    values = {name: document[name] for name in _HIT_FIELDS if name in document}
    details = {n: v for n, v in document.items() if n not in _HIT_FIELDS | _TRACK_FIELDS}
    hit = Hit(track=track_of(document), show=show, details=details, **values)
    if not shift or hit.query_start is None or hit.query_end is None:
        return hit
    before = shift * (hit.speed or 1.0)
    return replace(
        hit,
        offset=None if hit.offset is None else hit.offset - before,
        query_start=round(hit.query_start + shift, 6),
        query_end=round(hit.query_end + shift, 6),
    )


def tracks_of(documents: Sequence[Mapping[str, Any]]) -> tuple[Track, ...]:
    """Return tracks."""
    return tuple(track_of(document) for document in documents)


def tagged(answer: Mapping[str, Any], path: str, *, moments: bool) -> TaggedFile:
    """Return the labels of a sound."""
    from earmark.library.tagging import Tag, TaggedFile, TaggedMoment

    def tags(documents: Sequence[Mapping[str, Any]]) -> tuple[Tag, ...]:
        return tuple(Tag(**document) for document in documents)

    parts = answer["moments"] if moments else ()
    return TaggedFile(
        path=path,
        tags=tags(answer["tags"]),
        moments=tuple(TaggedMoment(m["start"], m["end"], tags(m["tags"])) for m in parts),
        by=str(answer.get("by", "")),
    )


def duplicates_of(answer: Mapping[str, Any], *, by_sound: bool) -> Duplicates:
    """Return groups of duplicates."""
    from earmark.library.duplicates import Duplicates, Group, Likeness

    groups = [
        Group(
            tracks=tracks_of(group["tracks"]),
            keep=frozenset(int(t["track"]) for t in group["tracks"] if t["keep"]),
            evidence=tuple(Likeness(**one) for one in group["evidence"]),
        )
        for group in answer["groups"]
    ]
    return Duplicates(tuple(groups), by_sound)


def map_of(answer: Mapping[str, Any]) -> Map:
    """Return a map."""
    import numpy as np

    from earmark.library.maps import Map
    from earmark.library.maps.clusters import Cluster

    points = answer["points"]
    places = np.array([points["x"], points["y"]], np.float32).reshape(2, -1).T
    return Map(
        tracks=np.array(points["track"], np.int64),
        places=np.ascontiguousarray(places),
        groups=np.array(points["cluster"], np.int64),
        clusters=tuple(Cluster(**one) for one in answer["clusters"]),
        made_from=dict(answer.get("encoders", {})),
        laid_out=len(points["track"]),
    )
