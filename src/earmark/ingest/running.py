"""Carry out a plan: move, fit, encode, copy, remove; commit as it goes.

What a commit returned from stays, whatever happens next; a run that was cut off goes on where it
stopped, because the next plan no longer lists what is done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import Protocol, runtime_checkable

from earmark import tags
from earmark.config import Settings
from earmark.encoders import with_fit_note
from earmark.errors import InvalidVectors
from earmark.executors.tasks import (
    EncodedTrack,
    EncodeJob,
    EncoderRef,
    EncodeTask,
    Executor,
    FileFailure,
)
from earmark.ingest.committing import Committer, put, put_copy, retag
from earmark.ingest.fitting import fit
from earmark.ingest.interrupts import Interrupts
from earmark.ingest.plans import Copy, IngestReport, Move, Plan
from earmark.ingest.resolving import resolve
from earmark.ingest.tracking import Tally
from earmark.types import (
    JSON,
    AudioInfo,
    Encoder,
    FittedEncoder,
    OnProgress,
    Scalar,
    Store,
    Track,
    TrackRecord,
)

_IDLE_SECONDS = 1.0


@runtime_checkable
class SelfIndexing(Protocol):
    """Capability of a store: says when an index is worth building."""

    def needs_index(self, encoder: str) -> bool:
        """Whether searches among the rows of an encoder would gain from an index."""


def run(
    store: Store,
    plan: Plan,
    executor: Executor,
    *,
    options: Mapping[str, Mapping[str, JSON]] | None = None,
    seed: int = 0,
    settings: Settings | None = None,
    on_progress: OnProgress | None = None,
) -> IngestReport:
    """Carry out a plan.

    Parameters
    ----------
    store : Store
    plan : Plan
    executor : Executor
        Its workers are ended when the run is cut off, else left to the caller to close.
    options : mapping of str to mapping, optional
        Options of encoders that are new to the library.
    seed : int
        Of everything random in fitting.
    settings : Settings, optional
        Where model files lie; by default as the environment says.
    on_progress : callable, optional
        Told of stages 'fit' and 'encode'.

    Returns
    -------
    IngestReport

    Raises
    ------
    KeyboardInterrupt
        After what is done was committed and the workers were ended.
    LibraryLocked
        If another process is writing.
    EncoderMismatch, UnknownEncoder
        If an encoder is not the one that made the library's rows.
    StorageFull
        What was committed before stands.
    """
    tally = Tally(plan.encode, on_progress)
    if plan.writes:
        _Run(store, plan, executor, tally, seed).carry_out(options or {}, on_progress, settings)
        build_indexes(store, plan.encoders)
    kept = plan.counts["unchanged"] - len(plan.retag)
    return tally.report(
        unchanged=max(0, kept),
        vanished=() if plan.prune else plan.vanished,
        failed=plan.failed,
    )


def build_indexes(store: Store, encoders: Sequence[str]) -> None:
    """Let the store build what indexes it wants."""
    if isinstance(store, SelfIndexing):
        for name in encoders:
            if name in store.encoders() and store.needs_index(name):
                store.rebuild(encoder=name)


class _Run:
    """One run: a plan, and what has become of it so far."""

    def __init__(
        self, store: Store, plan: Plan, executor: Executor, tally: Tally, seed: int
    ) -> None:
        self.store, self.plan, self.executor = store, plan, executor
        self.tally, self.seed = tally, seed
        self.ids: dict[str, int] = {}
        self.originals: dict[str, EncodedTrack | None] = {
            copy.original: None for copy in plan.copies
        }

    def carry_out(
        self,
        options: Mapping[str, Mapping[str, JSON]],
        on_progress: OnProgress | None,
        settings: Settings | None,
    ) -> None:
        """Do all of the plan."""
        # Before the lock: a wrong name or a mismatch should not need it.
        encoders = {
            name: resolve(self.store, name, options=options.get(name), settings=settings)
            for name in self.plan.encoders
        }
        with ExitStack() as stack:
            interrupts = stack.enter_context(Interrupts())
            writer = stack.enter_context(self.store.writer())
            committer = Committer(writer, interrupts)
            try:
                self._arrange(committer)
                self._encode(committer, self._fitted(committer, encoders, on_progress))
                self._copy(committer)
                committer.commit()
            except KeyboardInterrupt:
                self.executor.close()
                committer.commit()
                raise

    # --- before encoding -------------------------------------------------------------------

    def _arrange(self, committer: Committer) -> None:
        """Do what needs no decoding."""
        plan = self.plan
        if plan.prune and plan.vanished:
            gone = list(plan.vanished.values())
            committer.change(lambda writer: writer.remove_tracks(gone))
            self.tally.removed += len(gone)
        if plan.forget:
            committer.change(lambda writer: writer.clear_failures(plan.forget))
        for move in plan.moves:
            self._move(committer, move)
        committer.commit()  # the store reads only what is committed
        for track, own in plan.retag.items():
            self._retag(committer, track, own)
        committer.commit()

    def _retag(self, committer: Committer, track: int, own: Mapping[str, Scalar]) -> None:
        found = self.store.tracks([track])
        if found:
            record = _record(found[0])
            committer.change(lambda writer: retag(writer, track, record, own))
            self.tally.updated += 1

    def _move(self, committer: Committer, move: Move) -> None:
        found = self.store.tracks([move.track])
        if not found:
            return  # removed since the plan was made; the next run takes the file as new
        source = move.source
        record = replace(
            _record(found[0]), path=source.path, size=source.size, mtime_ns=source.mtime_ns
        )
        if move.replaces is not None:
            committer.change(lambda writer: writer.remove_tracks([move.replaces or 0]))
        committer.change(lambda writer: writer.move_track(move.track, record))
        self.tally.updated += source.path != move.old_path

    def _fitted(
        self,
        committer: Committer,
        encoders: Mapping[str, tuple[Encoder, EncoderRef]],
        on_progress: OnProgress | None,
    ) -> tuple[EncoderRef, ...]:
        """Fit what is not fitted, declare all to the store, and return what workers need."""
        ready: list[EncoderRef] = []
        for name, (encoder, ref) in encoders.items():
            sources = [task.source for task in self.plan.encode if name in task.encoders]
            if not sources:
                continue
            if isinstance(encoder, FittedEncoder) and not encoder.fitted:
                fitted = fit(
                    encoder, sources, self.executor, seed=self.seed, on_progress=on_progress
                )
                if fitted is None:
                    continue  # nothing to learn from: the files are read for their metadata only
                encoder, ref = fitted
                state = with_fit_note(ref.state, len(sources))
            else:
                state = dict(ref.state)
            spec = encoder.spec
            committer.change(lambda writer, s=spec, a=state: writer.put_encoder(s, a))  # type: ignore[misc]
            ready.append(ref)
        committer.commit()
        return tuple(ready)

    # --- encoding --------------------------------------------------------------------------

    def _encode(self, committer: Committer, refs: tuple[EncoderRef, ...]) -> None:
        usable = {ref.name for ref in refs}
        tasks = {
            task.source.path: replace(
                task, encoders=tuple(name for name in task.encoders if name in usable)
            )
            for task in self.plan.encode
        }
        self.tally.show()
        job = EncodeJob(refs)
        with closing(self.executor.run(job, tasks.values(), idle=_IDLE_SECONDS)) as results:
            for result in results:
                if result is None:
                    committer.tick()
                    self.tally.show()
                elif isinstance(result, FileFailure):
                    self._fail(committer, tasks[result.path], result)
                else:
                    self._store(committer, tasks[result.record.path], result)

    def _store(self, committer: Committer, task: EncodeTask, track: EncodedTrack) -> None:
        path = task.source.path
        try:
            self.ids[path] = committer.change(
                put(track, self.plan.metadata.get(path, {})), nbytes=track.nbytes
            )
        except InvalidVectors as error:
            self._fail(committer, task, FileFailure(path, error.message, lasting=False))
            return
        if path in self.originals:
            self.originals[path] = track
        self.tally.encoded(track, known=path in self.plan.tracks)

    def _fail(self, committer: Committer, task: EncodeTask, failure: FileFailure) -> None:
        source = task.source
        self.tally.fail(source.path, failure.error)
        if not failure.lasting or source.path in self.plan.extended:
            return
        track = self.plan.tracks.get(source.path)
        if track is not None:  # what its rows were made of is no longer there
            committer.change(lambda writer: writer.remove_tracks([track]))
            self.tally.removed += 1
        committer.change(
            lambda writer: writer.put_failure(
                source.path, source.size, source.mtime_ns, failure.error
            )
        )

    # --- after encoding --------------------------------------------------------------------

    def _copy(self, committer: Committer) -> None:
        """Add files whose content another track has."""
        for copy in self.plan.copies:
            encoded = self.originals.get(copy.original)
            if copy.track is not None:
                known = self.store.tracks([copy.track])
                info = known[0].info if known else None
            else:
                info = encoded.record.info if encoded is not None else None
            track = copy.track if copy.track is not None else self.ids.get(copy.original)
            if track is None or info is None:
                reason = self.tally.failed.get(copy.original, "the file with its content failed")
                task = EncodeTask(copy.source, self.plan.encoders, copy.content_hash)
                self._fail(committer, task, FileFailure(copy.source.path, reason, lasting=False))
                continue
            names = copy.encoders | frozenset(encoded.encoded if encoded is not None else ())
            self._copy_one(committer, copy, track, info, names)

    def _copy_one(
        self,
        committer: Committer,
        copy: Copy,
        track: int,
        info: AudioInfo,
        encoders: frozenset[str],
    ) -> None:
        source = copy.source
        found = tags.read_tags(source.path)
        record = TrackRecord(
            path=source.path,
            content_hash=copy.content_hash,
            size=source.size,
            mtime_ns=source.mtime_ns,
            info=info,
            title=found.title,
            artist=found.artist,
            tags=found.tags,
        )
        if copy.replaces is not None:
            committer.change(lambda writer: writer.remove_tracks([copy.replaces or 0]))
        own = self.plan.metadata.get(source.path, {})
        committer.change(lambda writer: put_copy(writer, record, track, sorted(encoders), own))
        self.tally.updated += copy.replaces is not None
        self.tally.added += copy.replaces is None


def _record(track: Track) -> TrackRecord:
    return TrackRecord(
        path=track.path,
        content_hash=track.content_hash,
        size=track.size,
        mtime_ns=track.mtime_ns,
        info=track.info,
        title=track.title,
        artist=track.artist,
        tags=dict(track.tags),
    )
