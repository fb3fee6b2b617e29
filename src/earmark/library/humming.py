"""Which tune is this: from a hum and a library to tunes, where in them it lies, and how sure it is.

The hum's pitch is followed, its windows look for near rows, and the tunes that these agree on are
aligned with it (`earmark.melody.matching`).  A hum that is longer than `PIECE_SECONDS` is looked at
in pieces, the best of which answers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from earmark import where
from earmark.encoders import melody
from earmark.encoders.melody import Melody
from earmark.errors import QueryError
from earmark.library import probes
from earmark.library.hits import Hits, Renderer
from earmark.library.probes import AudioLike
from earmark.library.questions import name_of
from earmark.melody import agreement, matching, votes, windows
from earmark.melody.agreement import Rows
from earmark.melody.align import Path
from earmark.melody.confidence import ACCEPTED, confidence_of
from earmark.melody.matching import Aligned, Found
from earmark.melody.notes import HOP, contour_of_notes, shorten_rests
from earmark.melody.scores import MOST_BYTES, is_score, read_score
from earmark.melody.tracking import Tracker
from earmark.types import Encoder, Float32Array, Hit, Int64Array, Neighbors, RoughStore, Store

PIECE_SECONDS = 20.0
"""Longest hum that is looked at in one piece."""

MOST_PIECES = 8
"""Pieces of a long hum that are looked at, evenly spread over it."""

MOST_SECONDS = 3600.0

DRAWN = 10
"""Hits whose contours are given: each costs a few milliseconds."""

NEIGHBORS = 400
"""Rows that each window of a hum looks at."""

PROBES = 24
"""Lists of an index that are looked at for them."""

ASKED = 3
"""Of so many windows of a hum, which overlap, one looks for near rows."""

VOTED = 800
"""Tracks that these bring up, all rows of which are looked at."""

GetEncoder = Callable[[str], Encoder]


@dataclass(frozen=True)
class _Piece:
    """A part of a hum, where it begins in seconds, and its alignment."""

    begin: float
    line: Float32Array
    aligned: Aligned

    def confidence(self, found: Found) -> float:
        """How sure it is that this is the tune."""
        others = [f.cost for f in self.aligned.found if f.track != found.track]
        return confidence_of(found.cost, others, self.line)


def hum(
    store: Store,
    source: AudioLike,
    *,
    get_encoder: GetEncoder,
    k: int = 10,
    starts: bool = False,
    confidence: float = ACCEPTED,
    filter_: str | None = None,
    salvage: bool = False,
    show: Renderer | None = None,
) -> Hits:
    """Tell which tunes a hum may be; see `Library.hum`."""
    encoder = melody_encoder(store, get_encoder)
    tracks = None if filter_ is None else store.track_ids(where.parse(filter_))
    query = {"audio": name_of(source), "k": k, "confidence": confidence}
    if starts:
        query["starts"] = True
    line, offset = contour_of(source, salvage=salvage)
    trimmed, before = matching.trimmed(line)
    if reason := matching.has_tune(trimmed):
        return Hits((), query | {"reason": reason}, show)
    pieces = [
        _Piece(
            offset + (before + at) * HOP, part, look(store, encoder, part, tracks, starts=starts)
        )
        for at, part in _cut(trimmed)
    ]
    ranked = _best_of(pieces)
    if not ranked or ranked[0][0] < confidence:
        return Hits((), query | {"reason": "no tune of the library is near enough"}, show)
    return Hits(_hits(store, ranked[:k], show), query, show)


def contour_of(
    source: AudioLike, *, salvage: bool = False, mixtures: bool = False
) -> tuple[Float32Array, float]:
    """Return the contour of a hum (sound, or a score), and where it begins in its source."""
    moment = probes.as_moment(source)
    if moment is not None and is_score(moment.source):
        from earmark import sources

        data = sources.read_bytes(sources.canonical(moment.source), MOST_BYTES + 1)
        line = contour_of_notes(shorten_rests(read_score(data, moment.source).notes))
        last = None if moment.end is None else round(moment.end / HOP)
        return line[round(moment.start / HOP) : last], moment.start
    tracker = Tracker(mixtures=mixtures)
    from earmark.melody import pitch

    start, heard = 0.0, 0
    for block in probes.stream(source, pitch.SAMPLE_RATE, salvage=salvage):
        start = start if heard else block.start
        heard += len(block.samples)
        if heard > MOST_SECONDS * pitch.SAMPLE_RATE:
            raise QueryError(
                f"a hum must last at most {MOST_SECONDS:.0f} s, {name_of(source)} is longer",
                hint="name a moment of it: FILE#0:10-0:20",
            )
        tracker.push(block.samples)
    return tracker.finish().contour, start


def melody_encoder(store: Store, get_encoder: GetEncoder) -> Melody:
    """Return the encoder of a library's melodies.  Raises `QueryError` if it has none."""
    if melody.NAME not in store.encoders():
        raise QueryError(
            "this library must have melodies to be hummed at, but has none",
            hint="earmark index PATH --encoders melody",
        )
    encoder = get_encoder(melody.NAME)
    if not isinstance(encoder, Melody):
        raise QueryError(f"encoder {melody.NAME!r} must be the one of this package")
    return encoder


def _cut(line: Float32Array) -> list[tuple[int, Float32Array]]:
    """Cut a long contour into pieces; return where each begins, in frames."""
    size = round(PIECE_SECONDS * 0.6 / HOP)
    if len(line) * HOP <= PIECE_SECONDS:
        return [(0, line)]
    starts = np.linspace(0, len(line) - size, min(MOST_PIECES, int(np.ceil(len(line) / size))))
    pieces = []
    for start in starts.astype(int).tolist():
        part, before = matching.trimmed(line[start : start + size])
        if not matching.has_tune(part):
            pieces.append((start + before, part))
    return pieces


def look(
    store: Store,
    encoder: Melody,
    line: Float32Array,
    tracks: Int64Array | None,
    *,
    starts: bool,
) -> Aligned:
    """Find and align the candidates of one piece."""
    windows_ = encoder.query_windows(line, len(line) * HOP)
    asked = slice(None, None, ASKED)
    near = _near(store, windows_.rows[asked], tracks)
    where_ = store.locate(melody.NAME, near.keys.ravel())
    voted = votes.lines(
        windows_.segments[asked],
        windows.SECONDS,
        where_.tracks.reshape(near.keys.shape),
        where_.starts.reshape(near.keys.shape),
        -near.distances,
        most_tracks=VOTED,
    )
    lines = agreement.lines(
        windows_.segments,
        windows_.rows,
        _rows_of(store, np.unique(voted.tracks)),
        window=windows.SECONDS,
        step=windows.STEP,
        most_tracks=VOTED if starts else matching.CANDIDATES,  # beginnings are few
        starts_only=starts,
    )
    return matching.match(line, lines, lambda ids: stored_contours(store, ids), starts=starts)


def _near(store: Store, rows: Float32Array, tracks: Int64Array | None) -> Neighbors:
    """Most of the rows near to windows: a few that are missed do no harm."""
    if isinstance(store, RoughStore):
        return store.search_roughly(melody.NAME, rows, NEIGHBORS, tracks=tracks, probes=PROBES)
    return store.search(melody.NAME, rows, NEIGHBORS, tracks=tracks)


def _rows_of(store: Store, tracks: Int64Array) -> Rows:
    """All rows of some tracks."""
    keys = [store.keys(melody.NAME, track) for track in tracks.tolist()]
    every = np.concatenate([np.zeros(0, np.int64), *keys])
    if not len(every):
        return Rows(every, np.zeros(0), np.zeros((0, melody.NDIM), np.float32))
    return Rows(
        np.repeat(tracks, [len(own) for own in keys]),
        store.locate(melody.NAME, every).starts,
        store.vectors(melody.NAME, every).astype(np.float32, copy=False),
    )


def stored_contour(store: Store, track: int) -> Float32Array:
    """Return the contour that a track's rows keep, shape (frames,)."""
    return stored_contours(store, [track])[0]


def stored_contours(store: Store, tracks: Sequence[int]) -> list[Float32Array]:
    """Return the contours of tracks, each of shape (frames,)."""
    keys = [store.keys(melody.NAME, track) for track in tracks]
    every = np.concatenate([np.zeros(0, np.int64), *keys])
    if not len(every):
        return [np.zeros(0, np.float32) for _ in tracks]
    pieces = store.vectors(melody.NAME, every, form="refine").astype(np.float32)
    begin = np.round(store.locate(melody.NAME, every).starts / windows.STEP).astype(np.int64)
    lines, at = [], 0
    for own in keys:
        places = begin[at : at + len(own)]
        line = np.zeros((int(places.max(initial=-1)) + 1, melody.PIECE), np.float32)
        line[places] = pieces[at : at + len(own)]
        lines.append(line.ravel())
        at += len(own)
    return lines


def _best_of(pieces: Sequence[_Piece]) -> list[tuple[float, Found, _Piece]]:
    """Each tune once, where it lies best: nearest first, with confidences that do not rise."""
    found: dict[int, tuple[Found, _Piece]] = {}
    for piece in pieces:
        for one in piece.aligned.found:
            if one.track not in found or one.cost < found[one.track][0].cost:
                found[one.track] = (one, piece)
    ranked: list[tuple[float, Found, _Piece]] = []
    most = 1.0
    for one, piece in sorted(found.values(), key=lambda pair: pair[0].cost):
        most = min(most, piece.confidence(one))
        ranked.append((most, one, piece))
    return ranked


def _hits(
    store: Store, ranked: Sequence[tuple[float, Found, _Piece]], show: Renderer | None
) -> tuple[Hit, ...]:
    tracks = {t.id: t for t in store.tracks([found.track for _, found, _ in ranked])}
    paths = _paths(ranked[:DRAWN])
    hits = []
    for sure, found, piece in ranked:
        track = tracks.get(found.track)
        if track is None:
            continue
        details: dict[str, Any] = {
            "confidence": round(sure, 4),
            "key_shift": round(found.key, 2),
            "tempo_ratio": round(1 / found.ratio, 3),
            "distance": round(found.distance, 3),
        }
        seconds = len(piece.line) * HOP
        place = (found.start, found.end, 0.0, seconds)
        path = paths.get(found.track)
        if path is not None:
            details["contour"] = _contours(piece, found, path)
            place = _ends(path, track.duration)
        start, end, first, last = place
        hits.append(
            Hit(
                track=track,
                score=sure,
                start=round(min(max(0.0, start), track.duration), 3),
                end=round(max(0.0, min(track.duration, end)), 3),
                query_start=round(piece.begin + first, 3),
                query_end=round(piece.begin + last, 3),
                by=melody.NAME,
                details=details,
                show=None if show is None else lambda hit: show([hit]),
            )
        )
    return tuple(hits)


def _paths(ranked: Sequence[tuple[float, Found, _Piece]]) -> dict[int, Path]:
    """The paths of hits by track, those of one piece at once."""
    paths: dict[int, Path] = {}
    for piece in {id(p): p for _, _, p in ranked}.values():
        own = [found for _, found, p in ranked if p is piece]
        laid = piece.aligned.paths(own)
        paths.update({found.track: path for found, path in zip(own, laid, strict=True)})
    return paths


def _contours(piece: _Piece, found: Found, path: Path) -> dict[str, list[float]]:
    """The hum in the tune's key, and the tune, over the seconds of the hum."""
    query = (piece.aligned.query.pitches - found.key).astype(np.float64)
    return {
        "times": np.round(piece.begin + path.query_times, 2).tolist(),
        "query": np.round(query, 2).tolist(),
        "target": np.round(query - path.residuals, 2).tolist(),
    }


def _ends(path: Path, duration: float) -> tuple[float, float, float, float]:
    """Start and end in the tune and in the hum, in seconds, of the part inside the tune."""
    inside = (path.target_times >= 0) & (path.target_times <= duration)
    if not inside.any():
        return 0.0, 0.0, 0.0, 0.0
    times, heard = path.target_times[inside], path.query_times[inside]
    return float(times[0]), float(times[-1]) + HOP, float(heard[0]), float(heard[-1]) + HOP
