"""Adding files to a library, and following folders."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from earmark.library.facade.core import Core
from earmark.types import OnProgress

if TYPE_CHECKING:
    import threading
    from typing import Unpack

    from earmark.ingest import IngestReport
    from earmark.library.filling import AddOptions, Forecast, Paths


class Filling(Core):
    """The part that adds."""

    def add(
        self,
        paths: Paths,
        *,
        encoders: Sequence[str] | None = None,
        workers: int | None = None,
        executor: str = "processes",
        prune: bool = False,
        metadata: str | os.PathLike[str] | None = None,
        ignore: Sequence[str] = (),
        salvage: bool | None = None,
        profile: str | None = None,
        on_progress: OnProgress | None = None,
    ) -> IngestReport:
        """Add files, folders, zip archives or URLs; what is known and unchanged costs nothing.

        Parameters
        ----------
        paths : path or iterable of paths
        encoders : sequence of str, optional
            Default: those that the library has, else ``timbre``.
        workers : int, optional
            Processes, 0 for one per core.  Default: the setting.
        executor : {'processes', 'serial', 'ray'}
            How the work is spread.
        prune : bool
            Remove tracks under `paths` whose file is gone.
        metadata : path, optional
            A CSV or JSON file with a column `path` and tags.
        ignore : sequence of str
            Patterns as in a ``.gitignore``.
        salvage : bool, optional
            Keep what can be decoded of damaged files.  Default: the setting.
        profile : {'default', 'zounds', 'own'}, optional
            Of the encoder `timbre`, for a library that has none yet.  Default: the setting.
        on_progress : callable, optional
            Called with `Progress` now and then.

        Returns
        -------
        IngestReport
            Files that failed are named in it with their reasons; they stop nothing.

        Raises
        ------
        UnknownEncoder
            If an encoder is not installed.
        LibraryLocked
            If another process is writing.
        UsageError
            If there is no such profile, or the library has another one.
        """
        from earmark.library import filling

        job = filling.make_job(
            paths,
            self.settings,
            encoders=encoders,
            workers=workers,
            executor=executor,
            prune=prune,
            metadata=metadata,
            ignore=ignore,
            salvage=salvage,
            profile=profile,
        )
        return filling.add(self.store, job, self.settings, on_progress=on_progress)

    def forecast(
        self, paths: Paths, *, on_progress: OnProgress | None = None, **options: Unpack[AddOptions]
    ) -> Forecast:
        """Say what `add` with the same options would do, and about how long it would take."""
        from earmark.library import filling

        job = filling.make_job(paths, self.settings, **options)
        return filling.forecast(self.store, job, self.settings, on_progress=on_progress)

    def watch(
        self,
        paths: Paths,
        *,
        stop: threading.Event,
        on_report: Callable[[IngestReport], None],
        debounce: float = 2.0,
        on_progress: OnProgress | None = None,
        **options: Unpack[AddOptions],
    ) -> None:
        """Add what lies at `paths`, then whatever changes there, until `stop` is set.

        Parameters
        ----------
        paths : path or iterable of paths
        stop : threading.Event
        on_report : callable
            Called with the `IngestReport` of every round.
        debounce : float
            Seconds of quiet before changes are taken.
        on_progress : callable, optional
            Called with `Progress` now and then.
        options
            Those of `add`.
        """
        from earmark.library import filling

        job = filling.make_job(paths, self.settings, **options)
        filling.follow(
            self.store,
            job,
            self.settings,
            stop=stop,
            debounce=debounce,
            on_report=on_report,
            on_progress=on_progress,
        )
