"""Compare what lies at the given places with what the catalog knows, and say what is to do.

One walk over the places (each file's size and time) is held against one query of the catalog.
Only where sizes agree is content looked at: a new file of the size of a known one may be that
one, moved or copied; a file of the same size but another time may only have been touched.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from earmark import sources
from earmark.encoders import for_source
from earmark.errors import AudioError
from earmark.executors.tasks import EncodeTask
from earmark.ingest.estimating import guess_seconds
from earmark.ingest.plans import Copy, Move, Plan
from earmark.melody.scores import is_score
from earmark.sources import Source, is_url
from earmark.types import Failure, Known, OnProgress, Progress, Scalar, Store

Lookup = Callable[[str], Mapping[str, Scalar]]
"""Gives the user's own tags of a path (`earmark.tags.Sidecar.lookup`)."""

_REPORT_EVERY = 200


def plan(
    store: Store,
    paths: Sequence[str],
    *,
    encoders: Sequence[str],
    ignore: Sequence[str] = (),
    metadata: Lookup | None = None,
    prune: bool = False,
    salvage: bool = False,
    retry_failed: bool = False,
    on_progress: OnProgress | None = None,
) -> Plan:
    """Plan what to do so that the library holds what lies at `paths`.

    Parameters
    ----------
    store : Store
        Only read.
    paths : sequence of str
        Files, folders, archives, URLs.
    encoders : sequence of str
        Each track shall have rows of all of these.
    ignore : sequence of str
        Patterns as in a ``.gitignore``.
    metadata : callable, optional
        Gives the user's own tags of a path.
    prune : bool
        Remove tracks under `paths` whose file is gone.  Under a place that cannot be listed
        nothing counts as gone.
    salvage : bool
        Keep what can be decoded of damaged files; those that failed are tried again.
    retry_failed : bool
        Try files again that failed before, although they have not changed.
    on_progress : callable, optional
        Told of the walk, stage 'scan'.

    Returns
    -------
    Plan
    """
    known = store.known()
    unreadable: list[Failure] = []
    scores = bool(for_source(encoders, score=True))
    found = _scan(paths, ignore, unreadable.append, on_progress, scores=scores)
    sorter = _Sorter(known, found, tuple(encoders), salvage)
    for source in found.values():
        sorter.sort(source, retry=retry_failed or salvage)
    sorter.settle()
    vanished, forget = _vanished(known, found, sorter.moved_away(), paths, unreadable)
    return Plan(
        encoders=tuple(encoders),
        encode=tuple(sorted(sorter.encode, key=lambda task: -guess_seconds(task.source))),
        tracks=sorter.tracks,
        extended=frozenset(sorter.extended),
        moves=tuple(sorter.moves),
        copies=tuple(sorter.copies),
        retag=_retag(store, metadata, sorter.kept),
        metadata=_own_tags(metadata, sorter),
        unchanged=sorter.unchanged,
        vanished=vanished,
        prune=prune,
        failed=(*unreadable, *sorter.failed),
        forget=tuple(forget),
    )


def _scan(
    paths: Sequence[str],
    ignore: Sequence[str],
    on_failure: Callable[[Failure], None],
    on_progress: OnProgress | None,
    *,
    scores: bool,
) -> dict[str, Source]:
    found: dict[str, Source] = {}
    for source in sources.expand(paths, ignore=ignore, on_failure=on_failure, scores=scores):
        found[source.path] = source
        if on_progress is not None and len(found) % _REPORT_EVERY == 0:
            on_progress(Progress("scan", len(found), 0, 0.0, 0.0, source.path))
    return found


@dataclass
class _Sorter:
    """Sorts each file found into what is to do with it."""

    known: Mapping[str, Known]
    found: Mapping[str, Source]
    encoders: tuple[str, ...]
    salvage: bool
    encode: list[EncodeTask] = field(default_factory=list)
    tracks: dict[str, int] = field(default_factory=dict)
    extended: set[str] = field(default_factory=set)
    moves: list[Move] = field(default_factory=list)
    copies: list[Copy] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)
    unchanged: int = 0
    kept: dict[str, int] = field(default_factory=dict)
    _touched: list[Source] = field(default_factory=list)
    _other: list[Source] = field(default_factory=list)
    _here: set[str] = field(default_factory=set)

    def sort(self, source: Source, *, retry: bool) -> None:
        """Decide by size and time alone, or put the file aside for `settle`."""
        before = self.known.get(source.path)
        if before is None:
            self._other.append(source)
            return
        same = (before.size, before.mtime_ns) == (source.size, source.mtime_ns)
        if before.track is None:
            if same and not retry:
                self.failed.append(Failure(source.path, before.error))
            else:
                self._other.append(source)
        elif same:
            self._here.add(source.path)
            self.kept[source.path] = before.track
            self.unchanged += not self._extend(source, before)
        elif before.size == source.size:
            self._touched.append(source)
        else:
            self._other.append(source)

    def settle(self) -> None:
        """Decide about files whose content may be known already."""
        undecided = [*self._touched, *self._other]
        sizes = Counter(source.size for source in undecided)
        by_hash: dict[str, list[Known]] = defaultdict(list)
        known_sizes = set()
        for before in self.known.values():
            if before.track is not None and before.size in sizes:
                known_sizes.add(before.size)
                by_hash[before.content_hash].append(before)
        first: dict[str, str] = {}
        for source in undecided:
            shared = sizes[source.size] > 1 or source.size in known_sizes
            content_hash = _hash(source) if shared else ""
            if not (content_hash and self._same_content(source, content_hash, by_hash, first)):
                self._encode(source, content_hash)
                first.setdefault(content_hash, source.path)

    def _same_content(
        self,
        source: Source,
        content_hash: str,
        by_hash: Mapping[str, list[Known]],
        first: Mapping[str, str],
    ) -> bool:
        """Move or copy a track to `source` if one has its content; whether that was so."""
        before = self.known.get(source.path)
        track = before.track if before is not None else None
        if before is not None and track is not None and before.content_hash == content_hash:
            self._move(before, source, replaces=None)
            return True
        twins = by_hash.get(content_hash, [])
        for twin in twins:
            if twin.path not in self.found and twin.path not in self._here and _gone(twin):
                self._move(twin, source, replaces=track)
                return True
        for twin in twins:
            if twin.path in self._here or _unchanged(twin, self.found):
                self.copies.append(
                    Copy(source, content_hash, twin.path, twin.track, twin.encoders, track)
                )
                return True
        if content_hash in first:
            self.copies.append(Copy(source, content_hash, first[content_hash], replaces=track))
            return True
        return False

    def _move(self, twin: Known, source: Source, *, replaces: int | None) -> None:
        track = _track(twin)
        self.moves.append(Move(track, source, twin.path, twin.content_hash, replaces))
        self._here.add(twin.path)
        self.kept[source.path] = track
        self._extend(source, twin)

    def _extend(self, source: Source, before: Known) -> bool:
        """Encode what a track lacks; return whether that was anything."""
        missing = tuple(name for name in self._encoders(source) if name not in before.encoders)
        if missing:
            self.encode.append(EncodeTask(source, missing, before.content_hash, self.salvage))
            self.extended.add(source.path)
            self.tracks[source.path] = _track(before)
        return bool(missing)

    def _encode(self, source: Source, content_hash: str) -> None:
        self.encode.append(EncodeTask(source, self._encoders(source), content_hash, self.salvage))
        before = self.known.get(source.path)
        if before is not None and before.track is not None:
            self.tracks[source.path] = before.track

    def _encoders(self, source: Source) -> tuple[str, ...]:
        """The encoders that can read a source: a score has no sound."""
        return for_source(self.encoders, score=is_score(source.path))

    def moved_away(self) -> set[str]:
        """Paths that tracks have left."""
        return {move.old_path for move in self.moves}


def _track(known: Known) -> int:
    if known.track is None:
        raise ValueError(f"{known.path!r} has no track")
    return known.track


def _hash(source: Source) -> str:
    """Return the content hash, empty where it is not to be had (cheaply)."""
    if source.size == 0 or is_url(source.path):
        return ""
    try:
        return sources.content_hash(source.path)
    except AudioError:
        return ""  # the worker will meet the same trouble and report it


def _gone(known: Known) -> bool:
    if is_url(known.path):
        return False
    try:
        sources.stat(known.path)
    except AudioError:
        return not os.path.lexists(known.path)
    return False


def _unchanged(known: Known, found: Mapping[str, Source]) -> bool:
    """Whether a known file that was not sorted as unchanged still has its content."""
    if known.path in found:
        return False
    if is_url(known.path):
        return True
    try:
        now = sources.stat(known.path)
    except AudioError:
        return False
    return (now.size, now.mtime_ns) == (known.size, known.mtime_ns)


def _vanished(
    known: Mapping[str, Known],
    found: Mapping[str, Source],
    moved: set[str],
    paths: Sequence[str],
    unreadable: Iterable[Failure],
) -> tuple[dict[str, int], list[str]]:
    """Return tracks whose file is gone, and paths of failures to forget."""
    places = [sources.canonical(path).rstrip("/") for path in paths]
    unsure = [failure.path for failure in unreadable]
    vanished: dict[str, int] = {}
    forget: list[str] = []
    for path, before in known.items():
        if path in found or path in moved or not _under(path, places) or _under(path, unsure):
            continue
        if not _gone(before):
            continue
        if before.track is None:
            forget.append(path)
        else:
            vanished[path] = before.track
    return vanished, forget


def _under(path: str, places: Iterable[str]) -> bool:
    """Whether `path` is one of the places, or lies in one (a folder or an archive)."""
    return any(path == place or path.startswith((place + "/", place + "!/")) for place in places)


def _retag(
    store: Store, metadata: Lookup | None, kept: Mapping[str, int]
) -> dict[int, Mapping[str, Scalar]]:
    """Return the user's own tags that differ from those stored, by track."""
    if metadata is None:
        return {}
    wanted = {track: dict(metadata(path)) for path, track in kept.items()}
    stored = store.tracks([track for track, tags in wanted.items() if tags])
    changes: dict[int, Mapping[str, Scalar]] = {}
    for track in stored:
        present = {**track.tags, "title": track.title, "artist": track.artist}
        tags = wanted[track.id]
        if any(present.get(name) != value for name, value in tags.items()):
            changes[track.id] = tags
    return changes


def _own_tags(metadata: Lookup | None, sorter: _Sorter) -> dict[str, Mapping[str, Scalar]]:
    if metadata is None:
        return {}
    paths = [task.source.path for task in sorter.encode]
    paths += [copy.source.path for copy in sorter.copies]
    tagged = ((path, dict(metadata(path))) for path in paths)
    return {path: tags for path, tags in tagged if tags}
