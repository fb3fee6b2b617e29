"""How a library is filled and mended: the facade's arguments become plans and executors."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from earmark import executors, ingest
from earmark.config import Settings
from earmark.encoders import (
    affordable_workers,
    fingerprint,
    fingerprint_trained,
    with_companions,
)
from earmark.errors import UsageError
from earmark.library import profiles
from earmark.sources import is_url, split_member
from earmark.types import JSON, Damage, Failure, OnProgress, Store

if TYPE_CHECKING:
    import threading

DEFAULT_ENCODERS = ("timbre",)
"""What a new library is encoded with unless told otherwise."""


Path = str | os.PathLike[str]
Paths = Path | Iterable[Path]


class AddOptions(TypedDict, total=False):
    """The options of `Library.add`."""

    encoders: Sequence[str] | None
    workers: int | None
    executor: str
    prune: bool
    metadata: Path | None
    ignore: Sequence[str]
    salvage: bool | None
    profile: str | None


@dataclass(frozen=True)
class Job:
    """What to add, and how; see `Library.add` for the fields."""

    paths: tuple[str, ...]
    encoders: tuple[str, ...] | None = None
    workers: int = 0
    executor: str = "processes"
    prune: bool = False
    metadata: str | None = None
    ignore: tuple[str, ...] = ()
    salvage: bool = False
    profile: str | None = None


@dataclass(frozen=True)
class Forecast:
    """What adding would do.

    Parameters
    ----------
    counts : mapping
        Number of files that are new, changed, extended (they get rows of another encoder),
        moved, copied, unchanged, vanished, failed.
    failed : tuple of Failure
        Files that cannot be read, or failed before and have not changed.
    vanished : tuple of str
        Paths whose file is gone.
    seconds : float
        How long it would take, about.
    """

    counts: dict[str, int]
    failed: tuple[Failure, ...]
    vanished: tuple[str, ...]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return the forecast as ``earmark index --dry-run --json`` prints it."""
        return {
            "dry_run": True,
            **self.counts,
            "failed": [{"path": f.path, "error": f.error} for f in self.failed],
            "vanished": list(self.vanished),
            "seconds": round(self.seconds, 1),
        }


@dataclass(frozen=True)
class RebuildReport:
    """What a rebuild did, in words, and the files that could not be encoded anew."""

    done: tuple[str, ...]
    failed: tuple[Failure, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the report as ``earmark rebuild --json`` prints it."""
        return {
            "done": list(self.done),
            "failed": [{"path": f.path, "error": f.error} for f in self.failed],
        }


def make_job(paths: Paths, settings: Settings, **options: Unpack[AddOptions]) -> Job:
    """Make a job of the options of `Library.add`; None means the setting.

    Examples
    --------
    >>> make_job("music", Settings(), encoders=["timbre"]).paths
    ('music',)
    """
    several = [paths] if isinstance(paths, (str, os.PathLike)) else paths
    encoders, metadata = options.get("encoders"), options.get("metadata")
    workers, salvage = options.get("workers"), options.get("salvage")
    return Job(
        paths=tuple(os.fspath(path) for path in several),
        encoders=None if encoders is None else tuple(encoders),
        workers=settings.workers if workers is None else workers,
        executor=options.get("executor", "processes"),
        prune=options.get("prune", False),
        metadata=None if metadata is None else os.fspath(metadata),
        ignore=tuple(options.get("ignore", ())),
        salvage=settings.salvage if salvage is None else salvage,
        profile=options.get("profile"),
    )


def add(
    store: Store, job: Job, settings: Settings, *, on_progress: OnProgress | None = None
) -> ingest.IngestReport:
    """Plan and carry out a job; see `Library.add`."""
    began = time.monotonic()
    profiles.check(store, job.profile, encoders=job.encoders)
    workers = _workers(_encoders(store, job), job.workers, settings)
    with closing(_executor(job.executor, workers, settings)) as executor:
        report = ingest.run(
            store,
            plan(store, job, on_progress=on_progress),
            executor,
            options=_options(settings, job.profile),
            seed=settings.seed,
            settings=settings,
            on_progress=on_progress,
        )
    return replace(report, seconds=time.monotonic() - began)


def check_paths(paths: Sequence[str]) -> None:
    """Raise `UsageError` if nothing is at any of the paths; URLs are taken at their word.

    One path that is missing among others is a failure of the run, not a reason to refuse it.
    """
    missing = [
        path for path in paths if not (is_url(path) or os.path.lexists(split_member(path)[0]))
    ]
    if paths and len(missing) == len(paths):
        raise UsageError(
            f"there must be a file or folder to index, but nothing is at {missing[0]}",
            hint="check the path; relative paths start at the current folder",
        )


def plan(store: Store, job: Job, *, on_progress: OnProgress | None = None) -> ingest.Plan:
    """Plan a job without changing anything."""
    profiles.check(store, job.profile, encoders=job.encoders)
    lookup = None
    if job.metadata is not None:
        from earmark import tags

        lookup = tags.read_sidecar(job.metadata).lookup
    return ingest.plan(
        store,
        job.paths,
        encoders=_encoders(store, job),
        ignore=job.ignore,
        metadata=lookup,
        prune=job.prune,
        salvage=job.salvage,
        on_progress=on_progress,
    )


def forecast(
    store: Store, job: Job, settings: Settings, *, on_progress: OnProgress | None = None
) -> Forecast:
    """Say what a job would do, and about how long it would take."""
    planned = plan(store, job, on_progress=on_progress)
    workers = _workers(_encoders(store, job), job.workers, settings)
    return Forecast(
        counts=planned.counts,
        failed=planned.failed,
        vanished=tuple(planned.vanished),
        seconds=ingest.estimate(planned, workers=workers, seed=settings.seed),
    )


def follow(
    store: Store,
    job: Job,
    settings: Settings,
    *,
    stop: threading.Event,
    debounce: float,
    on_report: Callable[[ingest.IngestReport], None],
    on_progress: OnProgress | None = None,
) -> None:
    """Add what is there, then what changes, until `stop` is set; see `Library.watch`."""
    from earmark import watch

    def again(paths: Sequence[str]) -> None:
        part = replace(job, paths=tuple(paths))
        on_report(add(store, part, settings, on_progress=on_progress))

    watch.watch(again, job.paths, stop, debounce=debounce)


def rebuild(
    store: Store,
    settings: Settings,
    *,
    encoder: str | None = None,
    fit: str | None = None,
    index: str | None = None,
    profile: str | None = None,
    labels: str | None = None,
    on_progress: OnProgress | None = None,
) -> RebuildReport:
    """Derive anew what is asked for; by default mend, and derive all indexes.  See `Library`."""
    done: list[str] = []
    failed: list[Failure] = []
    given = profiles.for_rebuild(store, profile, encoder=encoder, fit=fit, labels=labels)
    if encoder == fingerprint.NAME and settings.fingerprint_model:
        given = dict(fingerprint_trained.options(settings.fingerprint_model))
    with closing(_executor("processes", settings.workers, settings)) as executor:
        if fit is not None:
            report = ingest.refit(
                store,
                fit,
                executor,
                seed=settings.seed,
                options=given,
                labels=labels,
                on_progress=on_progress,
            )
            done.append(f"fitted {fit} anew and encoded {report.updated} tracks with it")
            failed += report.failed
        if encoder is not None and encoder != fit:
            report = ingest.renew(
                store,
                encoder,
                executor,
                seed=settings.seed,
                settings=settings,
                options=given,
                on_progress=on_progress,
            )
            done.append(f"encoded {report.updated} tracks with {encoder} anew")
            failed += report.failed
        if encoder is None and fit is None and index is None:
            damages = store.verify()
            done += store.rebuild()
            mended, unmended = _mend(store, damages, executor, settings, on_progress)
            return RebuildReport((*done, *mended), tuple(unmended))
    if index is not None:
        done += store.rebuild(encoder=encoder or fit, index=index)
    return RebuildReport(tuple(done), tuple(failed))


def _mend(
    store: Store,
    damages: Sequence[Damage],
    executor: executors.Executor,
    settings: Settings,
    on_progress: OnProgress | None,
) -> tuple[list[str], list[Failure]]:
    """Encode the tracks whose rows are damaged anew from their sources."""
    tracks = sorted({track for damage in damages for track in damage.tracks})
    if not tracks:
        return [], []
    report = ingest.reencode(
        store, executor, tracks=tracks, settings=settings, on_progress=on_progress
    )
    done = [f"encoded {report.updated} of {len(tracks)} damaged tracks anew"]
    if not report.failed:
        store.compact()  # drops the shards that hold the damaged rows
        done.append("dropped the damaged rows")
    return done, list(report.failed)


def _encoders(store: Store, job: Job) -> tuple[str, ...]:
    """Names of the encoders that a job encodes with."""
    return with_companions(job.encoders or tuple(store.encoders()) or DEFAULT_ENCODERS)


def _workers(names: Sequence[str], wanted: int, settings: Settings) -> int:
    """As many workers as were asked for; else one per core, if their networks fit into memory."""
    return wanted or affordable_workers(
        names, executors.cores(), megabytes=settings.model_memory_mb
    )


def _executor(name: str, workers: int, settings: Settings) -> Any:
    return executors.create(name, workers=workers, time_limit=settings.file_time_limit)


def _options(settings: Settings, profile: str | None) -> dict[str, dict[str, JSON]]:
    """Options of encoders that are new to the library."""
    return {
        fingerprint.NAME: dict(fingerprint_trained.options(settings.fingerprint_model)),
        **profiles.options(profile or settings.timbre_profile),
        "efficientat": {"model": settings.efficientat_model},
        "clap": {"model": settings.clap_model, "hop": settings.clap_hop},
        "vggish": {"profile": settings.vggish_profile},
    }
