"""Tracks that are the same recording: candidates, proof, groups, and which copy to keep.

A few rows of each track are looked up among all rows (`pairs`), so that the work grows with the
library and not with its square; pairs whose resembling moments lie on one line are compared row
by row (`earmark.identify.overlap`).  Nothing is ever deleted: a group names the copy that seems
best, and the user decides.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from earmark import where
from earmark.encoders import fingerprint
from earmark.errors import UsageError
from earmark.identify.overlap import Overlap
from earmark.library import pairs, short_proof
from earmark.types import Store, Track

LOSSLESS = ("flac", "alac", "wavpack", "tta", "tak", "ape", "mlp", "truehd", "pcm_", "wmalossless")
WHOLE = 0.9
"""Share of a track that makes it the whole of it, beginnings and ends being cut differently."""

SAME_SPEED = 0.003
CONTAINER = 2.0
"""A track that holds another and is so many times as long is a mix or a log, not a copy."""

Compared = Callable[[int, int, "Overlap"], None]


@dataclass(frozen=True)
class Likeness:
    """Why two tracks are in one group; times in seconds, speed is of `b` against `a`.

    `kind` is 'copy' (the same bytes), 'same' (another bit rate, level or master), 'speed', 'cut'
    (each lacks something of the other, or the shorter is much of the longer), or 'inside' (the
    whole of one is a small part of the other).
    """

    a: int
    b: int
    kind: str
    confidence: float
    a_start: float
    a_end: float
    b_start: float
    b_end: float
    offset: float
    speed: float

    def to_json(self) -> dict[str, Any]:
        """Return it as the command line prints it."""
        return {
            "a": self.a,
            "b": self.b,
            "kind": self.kind,
            "confidence": round(self.confidence, 6),
            "a_start": round(self.a_start, 3),
            "a_end": round(self.a_end, 3),
            "b_start": round(self.b_start, 3),
            "b_end": round(self.b_end, 3),
            "offset": round(self.offset, 3),
            "speed": round(self.speed, 5),
        }


@dataclass(frozen=True)
class Group:
    """Tracks of one recording, best copy first, which of them to keep, and the evidence."""

    tracks: tuple[Track, ...]
    keep: frozenset[int]
    evidence: tuple[Likeness, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as the command line prints it."""
        from earmark.library.exporting import track_json

        return {
            "tracks": [track_json(t) | {"keep": t.id in self.keep} for t in self.tracks],
            "evidence": [one.to_json() for one in self.evidence],
        }


@dataclass(frozen=True)
class Duplicates(Sequence[Group]):
    """Groups, the largest first; `by_sound` tells whether rows were compared, or only bytes."""

    groups: tuple[Group, ...]
    by_sound: bool

    def __len__(self) -> int:
        return len(self.groups)

    def __getitem__(self, index: Any) -> Any:
        return self.groups[index]

    def to_json(self) -> dict[str, Any]:
        """Return the answer as the command line prints it."""
        return {"groups": [group.to_json() for group in self.groups]}


def find(store: Store, *, filter_: str | None = None, min_overlap: float = 0.5) -> Duplicates:
    """Find duplicates; see `Library.duplicates`."""
    if not 0.0 < min_overlap <= 1.0:
        raise UsageError(f"min_overlap must be a share within (0, 1], got {min_overlap}")
    expression = None if filter_ is None else where.parse(filter_)
    ids = store.track_ids(expression)
    by_sound = fingerprint.NAME in store.encoders()
    likenesses: list[Likeness] = []
    by_content = copies(store.tracks(ids.tolist()))
    for same in by_content:
        likenesses += [_copy(same[0], other) for other in same[1:]]
    if by_sound:
        left_out = {other.id for same in by_content for other in same[1:]}
        chosen = [i for i in ids.tolist() if i not in left_out]
        for a, b, found in pairs.compare(store, chosen):
            first, second = store.tracks([a, b])
            proof = short_proof.prove(first, second, found)
            likeness = None if proof is None else _likeness(first, second, *proof, min_overlap)
            if likeness is not None:
                likenesses.append(likeness)
    return Duplicates(tuple(_groups(store, likenesses)), by_sound)


def copies(tracks: Iterable[Track]) -> list[list[Track]]:
    """Tracks whose files have the same bytes, two and more together, best name first."""
    by_hash: dict[str, list[Track]] = defaultdict(list)
    for track in tracks:
        by_hash[track.content_hash].append(track)
    return [sorted(same, key=rank) for same in by_hash.values() if len(same) > 1]


def rank(track: Track) -> tuple[Any, ...]:
    """What sorts the best copy first: lossless, bit rate, length, then tags and the older id."""
    info = track.info
    lossless = info.codec.startswith(LOSSLESS)
    rate = info.bit_rate or track.size * 8 / max(track.duration, 1.0)
    return (
        not lossless,
        0 if lossless else -round(rate / 8000),
        -round(track.duration),
        -info.sample_rate,
        not (track.title and track.artist),
        track.id,
    )


def _copy(a: Track, b: Track) -> Likeness:
    return Likeness(a.id, b.id, "copy", 1.0, 0.0, a.duration, 0.0, b.duration, 0.0, 1.0)


def _likeness(
    a: Track, b: Track, found: Overlap, confidence: float, min_overlap: float
) -> Likeness | None:
    """Say what an overlap means; None if it is too short to count."""
    a_share = (min(found.a_end, a.duration) - found.a_start) / max(a.duration, 0.1)
    b_share = (min(found.b_end, b.duration) - found.b_start) / max(b.duration, 0.1)
    if max(a_share, b_share) < min_overlap:
        return None
    longer, shorter = max(a.duration, b.duration), min(a.duration, b.duration)
    if longer > CONTAINER * shorter:
        kind = "inside"
    elif min(a_share, b_share) < WHOLE:
        kind = "cut"
    else:
        kind = "same" if abs(found.speed - 1.0) < SAME_SPEED else "speed"
    return Likeness(
        a.id,
        b.id,
        kind,
        confidence,
        found.a_start,
        min(found.a_end, a.duration),
        found.b_start,
        min(found.b_end, b.duration),
        found.offset,
        found.speed,
    )


def _groups(store: Store, likenesses: Sequence[Likeness]) -> Iterator[Group]:
    """Tracks that are one recording together; what holds many recordings with its parts."""
    together: dict[int, int] = {}
    joined = [one for one in likenesses if one.kind != "inside"]
    for one in joined:
        first, second = _root(together, one.a), _root(together, one.b)
        together[max(first, second)] = min(first, second)
    by_root: dict[int, list[Likeness]] = defaultdict(list)
    for one in joined:
        by_root[_root(together, one.a)].append(one)
    groups = [_group(store, evidence) for evidence in by_root.values()]
    by_holder: dict[int, list[Likeness]] = defaultdict(list)
    for one in likenesses:
        if one.kind == "inside":
            a, b = store.tracks([one.a, one.b])
            by_holder[one.a if a.duration >= b.duration else one.b].append(one)
    groups += [_group(store, evidence, holder) for holder, evidence in by_holder.items()]
    yield from sorted(groups, key=lambda g: (-len(g.tracks), g.tracks[0].id))


def _root(together: dict[int, int], track: int) -> int:
    while together.setdefault(track, track) != track:
        track = together[track]
    return track


def _group(store: Store, evidence: Sequence[Likeness], holder: int | None = None) -> Group:
    ids = sorted({one.a for one in evidence} | {one.b for one in evidence})
    tracks = sorted(store.tracks(ids), key=rank)
    if holder is None:
        keep = frozenset({tracks[0].id})
    else:  # a mix and what is in it: neither replaces the other
        tracks.sort(key=lambda track: track.id != holder)
        keep = frozenset(ids)
    return Group(tuple(tracks), keep, tuple(sorted(evidence, key=lambda e: (e.a, e.b))))
