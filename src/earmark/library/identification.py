"""Which recording is this: from a query and a library to hits, or to none.

Short queries are looked at whole; longer ones in overlapping windows, so that a day of radio gives
one hit for each recording in it, with its range.  A hit's score is the probability that it is
right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from earmark import where
from earmark.encoders import fingerprint, spectral
from earmark.errors import QueryError
from earmark.identify import matching
from earmark.identify.matching import Match
from earmark.identify.monitoring import Monitor, Sighting, Windows, without_repeats
from earmark.identify.query_codes import QueryCodes
from earmark.identify.rows import StoredRows
from earmark.identify.sequence import Line
from earmark.library import exact, probes
from earmark.library.hits import Hits, Renderer
from earmark.library.probes import AudioLike
from earmark.library.questions import name_of
from earmark.spectral_code import load_directions
from earmark.types import (
    Clip,
    Encoded,
    Encoder,
    Float32Array,
    GradualEncoder,
    GradualQuery,
    Hit,
    Store,
)

CONFIDENCE = 0.7
"""Least probability of a hit; at most 2 % of clips of no track get one (see the model card)."""

WHOLE_SECONDS = 30.0
"""Longest query that is looked at in one piece."""

SHORTEST_SECONDS = 0.5

GetEncoder = Callable[[str], Encoder]


def identify(
    store: Store,
    source: AudioLike,
    *,
    get_encoder: GetEncoder,
    k: int = 10,
    every: bool = False,
    confidence: float = CONFIDENCE,
    exact_range: bool = False,
    filter_: str | None = None,
    salvage: bool = False,
    show: Renderer | None = None,
) -> Hits:
    """Tell which tracks a query was taken from; see `Library.identify`."""
    finder = Finder(store, get_encoder, filter_=filter_)
    rate = finder.sample_rate
    monitor = Monitor(finder, rate, Windows(confidence=max(confidence, CONFIDENCE)))
    head: list[Float32Array] = []
    over: list[Sighting] = []
    heard, start = 0, 0.0
    for block in probes.stream(source, rate, salvage=salvage):
        start = start if heard else block.start
        head.append(block.samples)
        heard += len(block.samples)
        if every or heard > WHOLE_SECONDS * rate:
            monitor.push(np.concatenate(head))
            over += monitor.closed()
            head = []
    _check_length(heard / rate, source)
    rest = np.concatenate([np.zeros(0, np.float32), *head])
    found: list[Match | Sighting]
    if every or heard > WHOLE_SECONDS * rate:
        monitor.push(rest)
        seen = without_repeats([*over, *monitor.finish()])
        found = sorted(seen, key=lambda s: (s.query_start, s.track))
    else:
        found = [*finder(Clip(rest, rate))]
    kept = [one for one in found if one.confidence >= confidence]
    if not every:
        kept = sorted(kept, key=lambda one: -one.confidence)[:k]
    query = {"audio": name_of(source), "confidence": confidence} | ({} if every else {"k": k})
    hits = _hits(store, kept, finder.by, (start, heard / rate), show)
    if exact_range:
        hits = exact.refine(hits, source, rate, salvage=salvage)
    return Hits(hits, query, show)


def follow(
    store: Store,
    blocks: Iterable[Clip],
    *,
    get_encoder: GetEncoder,
    confidence: float = CONFIDENCE,
    filter_: str | None = None,
    show: Renderer | None = None,
) -> Iterator[Hit]:
    """Tell what is heard in live sound; see `Library.follow`."""
    finder = Finder(store, get_encoder, filter_=filter_)
    rate = finder.sample_rate
    monitor = Monitor(finder, rate, Windows(hop=2.5, confidence=confidence))
    heard = 0
    for block in blocks:
        block.check_rate(rate)
        heard += len(block.samples)
        new = monitor.push(block.samples)
        for _ in monitor.closed():  # they were told when they became certain
            pass
        yield from _hits(store, new, finder.by, (0.0, heard / rate), show)
    new = monitor.last()
    yield from _hits(store, new, finder.by, (0.0, heard / rate), show)


def _check_length(seconds: float, source: AudioLike) -> None:
    if seconds < SHORTEST_SECONDS:
        raise QueryError(
            f"a query must last at least {SHORTEST_SECONDS} s, "
            f"got {seconds:.2f} s in {name_of(source)}",
            hint="record a second or more; five seconds do well",
        )


class Finder:
    """Identifies clips against a library, with what kinds of rows it has.

    Parameters
    ----------
    store : Store
    get_encoder : callable
        Gives the encoder that made the rows of a name.
    filter_ : str, optional
        Only tracks for which this expression holds.

    Raises
    ------
    QueryError
        If the library has no rows that identify recordings.
    """

    def __init__(
        self, store: Store, get_encoder: GetEncoder, *, filter_: str | None = None
    ) -> None:
        known = store.encoders()
        names = [name for name in (fingerprint.NAME, spectral.NAME) if name in known]
        if not names:
            raise QueryError(
                "this library must have fingerprints to identify recordings, but has none",
                hint="earmark index PATH --encoders fingerprint",
            )
        tracks = None if filter_ is None else store.track_ids(where.parse(filter_))
        self._rows = {name: StoredRows(store, name, tracks=tracks) for name in names}
        self._encoders = {name: get_encoder(name) for name in names}
        self.sample_rate = self._encoders[names[0]].spec.sample_rate
        self.by = "+".join(names)

    def __call__(self, clip: Clip, expected: Sequence[Line] = ()) -> list[Match]:
        """Matches of a clip, best first, in seconds from its first sample.

        `expected` are lines on which the sound before it lay.
        """
        if not np.abs(clip.samples).max(initial=0.0) > 0:
            return []
        from earmark import framing

        encoder = self._encoders.get(fingerprint.NAME) or self._encoders[spectral.NAME]
        asked: Encoded | GradualQuery
        if isinstance(encoder, GradualEncoder):
            asked = encoder.prepare_query(clip)
        else:
            asked = framing.encode_query(encoder, clip)
        codes = QueryCodes(clip, load_directions()) if spectral.NAME in self._rows else None
        vectors = self._rows.get(fingerprint.NAME)
        code_rows = self._rows.get(spectral.NAME)
        return matching.identify(asked, codes, vectors, code_rows, expected=expected)


def _hits(
    store: Store,
    found: Sequence[Match | Sighting],
    by: str,
    query: tuple[float, float],
    show: Renderer | None,
) -> tuple[Hit, ...]:
    """Hits whose ranges lie inside the query (start and length in seconds) and the track."""
    tracks = {track.id: track for track in store.tracks(sorted({f.track for f in found}))}
    hits = []
    for one in found:
        track = tracks.get(one.track)
        if track is None:
            continue
        first = max(0.0, one.query_start, one.query_start - one.start / one.speed)
        room = one.query_start + (track.duration - one.start) / one.speed
        last = max(first, min(query[1], one.query_end, room))
        hits.append(
            Hit(
                track=track,
                score=one.confidence,
                start=round(one.start + one.speed * (first - one.query_start), 3),
                end=round(one.start + one.speed * (last - one.query_start), 3),
                query_start=round(query[0] + first, 3),
                query_end=round(query[0] + last, 3),
                by=by,
                offset=round(one.start - one.speed * (one.query_start + query[0]), 3),
                speed=round(one.speed, 4),
                show=None if show is None else lambda hit: show([hit]),
            )
        )
    return tuple(hits)
