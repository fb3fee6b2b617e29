"""Encode tracks anew from their sources: with a new state, or to mend damaged rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace

from earmark import encoders as encoders_
from earmark import sources
from earmark.config import Settings
from earmark.encoders import for_source, with_fit_note
from earmark.errors import AudioError, EncoderError, InvalidVectors, UsageError, nearest
from earmark.executors.tasks import EncodeJob, EncoderRef, EncodeTask, Executor, FileFailure
from earmark.ingest.committing import Committer, put
from earmark.ingest.estimating import guess_seconds
from earmark.ingest.fitting import fit
from earmark.ingest.interrupts import Interrupts
from earmark.ingest.plans import IngestReport
from earmark.ingest.resolving import resolve
from earmark.ingest.running import build_indexes
from earmark.ingest.tracking import Tally
from earmark.melody.scores import is_score
from earmark.sources import Source, is_url
from earmark.types import (
    JSON,
    Encoder,
    EncoderSpec,
    Failure,
    FittedEncoder,
    OnProgress,
    Scalar,
    Store,
    Track,
    Writer,
)

_IDLE_SECONDS = 1.0
_CHANGED = "the file has changed since it was indexed; index it again"


def refit(
    store: Store,
    name: str,
    executor: Executor,
    *,
    seed: int = 0,
    options: Mapping[str, JSON] | None = None,
    labels: str | None = None,
    force: bool = False,
    on_progress: OnProgress | None = None,
) -> IngestReport:
    """Learn an encoder's state anew on the whole library, and encode all tracks with it.

    Old rows and new ones cannot be compared, so the new ones replace the old in one commit at
    the end: until then searches see the old ones, and a run that is cut off changes nothing.

    Parameters
    ----------
    store : Store
    name : str
        Of an encoder that the library has and that learns.
    executor : Executor
    seed : int
    options : mapping, optional
        Go over to these options of the encoder; default: those of the library.
    labels : str, optional
        The tag whose values say which tracks belong together, for an encoder that learns from
        labels.
    force : bool
        Go on although most sources cannot be read: their tracks lose their rows.
    on_progress : callable, optional

    Returns
    -------
    IngestReport
        `updated` tracks have new rows; `failed` ones keep only their metadata.

    Raises
    ------
    UsageError
        If the library does not have the encoder; if most sources cannot be read and `force` is
        false.
    NotFitted
        If it does not learn.
    """
    encoder = _installed(store, name, options)
    present, failed = _tasks(store, (name,), None)
    _check_enough(len(present), len(failed), force=force)
    fitted = fit(
        encoder,
        [t.source for t in present],
        executor,
        seed=seed,
        labels=None if labels is None else _labels(store, labels),
        on_progress=on_progress,
    )
    if fitted is None:
        raise UsageError(f"encoder {name!r} must learn from sound, got none in this library")
    new, ref = fitted

    def begin(writer: Writer) -> None:
        writer.replace_encoder(new.spec, with_fit_note(ref.state, len(present)))

    return _encode_anew(
        store, present, failed, (ref,), executor, on_progress, begin=begin, force=force
    )


def renew(
    store: Store,
    name: str,
    executor: Executor,
    *,
    seed: int = 0,
    options: Mapping[str, JSON] | None = None,
    force: bool = False,
    settings: Settings | None = None,
    on_progress: OnProgress | None = None,
) -> IngestReport:
    """Encode all tracks with an encoder as it is installed now.

    If the installed one is the one that made the stored rows, they are encoded anew one by one.
    If it is another (a new release, other weights), its rows replace the old in one commit at
    the end; an encoder that learns then learns anew.

    Parameters, returned value and errors are those of `refit`; an encoder that does not learn
    is no error.  `settings` says where model files lie.
    """
    if _unchanged(store, name, options, settings):
        return reencode(
            store, executor, encoders=(name,), settings=settings, on_progress=on_progress
        )
    encoder = _installed(store, name, options, settings)
    if isinstance(encoder, FittedEncoder):
        return refit(
            store,
            name,
            executor,
            seed=seed,
            options=options,
            force=force,
            on_progress=on_progress,
        )
    present, failed = _tasks(store, (name,), None)
    _check_enough(len(present), len(failed), force=force)
    ref = EncoderRef(name, dict(encoder.spec.options), settings=settings)

    def begin(writer: Writer) -> None:
        writer.replace_encoder(encoder.spec, {})

    return _encode_anew(
        store, present, failed, (ref,), executor, on_progress, begin=begin, force=force
    )


def reencode(
    store: Store,
    executor: Executor,
    *,
    encoders: Sequence[str] | None = None,
    tracks: Sequence[int] | None = None,
    settings: Settings | None = None,
    on_progress: OnProgress | None = None,
) -> IngestReport:
    """Encode tracks anew with the encoders as they are, to mend rows that were damaged.

    Parameters
    ----------
    store : Store
    executor : Executor
    encoders : sequence of str, optional
        Default: all that the library has.
    tracks : sequence of int, optional
        Default: all tracks.
    settings : Settings, optional
        Where model files lie; by default as the environment says.
    on_progress : callable, optional

    Returns
    -------
    IngestReport
        Tracks whose source is gone or has changed are among `failed` and left as they are.
    """
    names = tuple(store.encoders()) if encoders is None else tuple(encoders)
    refs = tuple(_stored(store, name, settings)[1] for name in names)
    present, failed = _tasks(store, names, tracks)
    return _encode_anew(store, present, failed, refs, executor, on_progress)


def _stored(
    store: Store, name: str, settings: Settings | None = None
) -> tuple[Encoder, EncoderRef]:
    _spec(store, name)
    return resolve(store, name, settings=settings)


def _unchanged(
    store: Store, name: str, options: Mapping[str, JSON] | None, settings: Settings | None
) -> bool:
    """Whether the encoder as installed, with these options, is the one that made the rows."""
    if options is not None and dict(options) != dict(_spec(store, name).options):
        return False
    try:
        _stored(store, name, settings)
    except EncoderError:
        return False
    return True


def _installed(
    store: Store,
    name: str,
    options: Mapping[str, JSON] | None = None,
    settings: Settings | None = None,
) -> Encoder:
    """Make a stored encoder as it is installed now, without its state."""
    stored = _spec(store, name).options
    return encoders_.create(name, options=stored if options is None else options, settings=settings)


def _labels(store: Store, field: str) -> dict[str, str]:
    """The value of a tag by path, of the tracks that have it."""
    found = store.tracks(store.track_ids().tolist())
    labels = {t.path: _label(t, field) for t in found}
    known = {path: str(value) for path, value in labels.items() if value not in (None, "")}
    if not known:
        names = sorted({name for t in found for name in t.tags})
        raise UsageError(
            f"the labels must be in a field of the tracks, but none has a field {field!r}",
            hint=nearest(field, names) or f"there are: {', '.join(['folder', *names])}",
        )
    return known


def _label(track: Track, field: str) -> Scalar | None:
    """A tag, the artist, or the name of the folder that the file lies in."""
    if field in track.tags:
        return track.tags[field]
    if field == "folder":
        return track.path.replace("\\", "/").rpartition("/")[0].rpartition("/")[2]
    return track.artist if field == "artist" else None


def _spec(store: Store, name: str) -> EncoderSpec:
    known = store.encoders()
    if name not in known:
        raise UsageError(
            f"the encoder must be one that the library has, got {name!r}",
            hint=f"it has: {', '.join(sorted(known)) or 'none'}",
        )
    return known[name]


def _tasks(
    store: Store, encoders: tuple[str, ...], tracks: Sequence[int] | None
) -> tuple[list[EncodeTask], list[Failure]]:
    """Return a task for each track whose source is as it was, longest first; the others fail."""
    ids = store.track_ids().tolist() if tracks is None else list(tracks)
    present: list[EncodeTask] = []
    failed: list[Failure] = []
    for track in store.tracks(ids):
        # With the size and time of the catalog: what differs is for the next index run to see.
        source = Source(track.path, track.size, track.mtime_ns)
        reason = _trouble(source)
        if reason:
            failed.append(Failure(track.path, reason))
        else:
            names = for_source(encoders, score=is_score(track.path))
            if names:
                present.append(EncodeTask(source, names, track.content_hash, salvage=True))
    return sorted(present, key=lambda task: -guess_seconds(task.source)), failed


def _trouble(source: Source) -> str:
    if is_url(source.path):
        return ""
    try:
        now = sources.stat(source.path)
    except AudioError as error:
        return error.reason
    return "" if (now.size, now.mtime_ns) == (source.size, source.mtime_ns) else _CHANGED


def _check_enough(present: int, failed: int, *, force: bool) -> None:
    if failed > present and not force:
        raise UsageError(
            f"most tracks must have their source: {failed} of {failed + present} cannot be read",
            hint="is a disk not mounted? Nothing was changed",
        )


def _encode_anew(
    store: Store,
    present: Sequence[EncodeTask],
    failed: Sequence[Failure],
    refs: tuple[EncoderRef, ...],
    executor: Executor,
    on_progress: OnProgress | None,
    *,
    begin: Callable[[Writer], None] | None = None,
    force: bool = False,
) -> IngestReport:
    """Encode and store; in one commit if `begin` dropped the old rows first."""
    tally = Tally(present, on_progress)
    for failure in failed:
        tally.fail(failure.path, failure.error)
    with ExitStack() as stack:
        interrupts = stack.enter_context(Interrupts())
        writer = stack.enter_context(store.writer())
        committer = Committer(writer, interrupts, automatic=begin is None)
        if begin is not None:
            committer.change(begin)
        try:
            _encode(store, committer, present, refs, executor, tally)
        except KeyboardInterrupt:
            executor.close()
            if begin is None:
                committer.commit()
            raise
        if begin is not None:
            _check_enough(tally.updated, len(tally.failed), force=force)
        committer.commit()
    build_indexes(store, [ref.name for ref in refs])
    return tally.report(unchanged=0, vanished=(), failed=())


def _encode(
    store: Store,
    committer: Committer,
    tasks: Sequence[EncodeTask],
    refs: tuple[EncoderRef, ...],
    executor: Executor,
    tally: Tally,
) -> None:
    with closing(executor.run(EncodeJob(refs), tasks, idle=_IDLE_SECONDS)) as results:
        for result in results:
            if result is None:
                committer.tick()
                tally.show()
                continue
            if isinstance(result, FileFailure):
                tally.fail(result.path, result.error)
                continue
            path = result.record.path
            known = store.find_path(path)
            record = result.record
            if known is not None:  # its metadata, the user's own tags included, stay as they are
                tags = {**known.tags, **record.tags}  # what the encoders heard is new
                record = replace(record, title=known.title, artist=known.artist, tags=tags)
            try:
                committer.change(put(replace(result, record=record)), nbytes=result.nbytes)
            except InvalidVectors as error:
                tally.fail(path, error.message)
                continue
            tally.encoded(result, known=True)
