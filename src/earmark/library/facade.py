"""The facade: a library of tracks that can be filled, searched, listened to and cared for.

A library is safe to read from several threads; one process at a time writes to it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from earmark.config import Settings
from earmark.errors import QueryError, UsageError
from earmark.library import answers, exporting, overview, probes
from earmark.library.hits import Hits
from earmark.library.probes import AudioLike, TrackLike
from earmark.library.questions import Question, several
from earmark.types import (
    Damage,
    Encoder,
    Expr,
    Float32Array,
    Hit,
    OnProgress,
    Scalar,
    Store,
    Track,
)

if TYPE_CHECKING:
    import threading
    from typing import Unpack

    from earmark.ingest import IngestReport
    from earmark.library.filling import AddOptions, Forecast, Paths, RebuildReport


class Library:
    """Tracks, and all that can be asked about them; `open` makes one.

    Parameters
    ----------
    store : Store
    settings : Settings
    """

    def __init__(self, store: Store, settings: Settings) -> None:
        self.store = store
        self.settings = settings
        self._encoders: dict[str, Encoder] = {}

    @property
    def url(self) -> str:
        """What opens this library again."""
        return self.store.url

    def close(self) -> None:
        """Release files and connections."""
        self.store.close()

    def __enter__(self) -> Library:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __len__(self) -> int:
        return self.store.count()

    def __repr__(self) -> str:
        return f"<earmark.Library {self.url!r}: {len(self)} tracks>"

    # --- filling ---------------------------------------------------------------------------

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

    # --- asking ----------------------------------------------------------------------------

    def search(
        self,
        text: str | None = None,
        *,
        audio: AudioLike | None = None,
        like: TrackLike | Sequence[TrackLike] = (),
        unlike: TrackLike | Sequence[TrackLike] = (),
        by: str | Sequence[str] = (),
        where: str | None = None,
        k: int = 10,
        exclude_self: bool = False,
        exact: bool = False,
    ) -> Hits:
        """Find tracks, and the moment in each that matches.

        Parameters
        ----------
        text : str, optional
            Words: in the metadata, and in what encoders understand.
        audio : path, Moment, Clip or (samples, sample_rate), optional
            A recording to resemble; ``file.wav#0:30-0:45`` is a moment of it.
        like, unlike : track, or sequence of them
            Tracks to resemble, or not: by id, path (with ``#start-end``) or `Track`.  Stored
            rows are used; a file that the library does not have is decoded.  With several, a
            track scores the mean over the liked ones minus the mean over the unliked.
        by : str or sequence of str
            Encoders or kinds that may answer, or ``metadata``.  Default: all.
        where : str, optional
            A filter over fields, e.g. ``"genre = 'jazz' and duration < 10"``.
        k : int
            How many tracks at most.
        exclude_self : bool
            Leave out the tracks that are the query itself (same path or same content).
        exact : bool
            Look at every row, whatever the indexes say.

        Returns
        -------
        Hits
            Best first; scores of different `by` cannot be compared.

        Raises
        ------
        QueryError
            If the question makes no sense, or nothing here can answer it.
        AudioError
            If the recording cannot be decoded.
        """
        question = Question(
            text=text,
            audio=audio,
            like=several(like),
            unlike=several(unlike),
            by=(by,) if isinstance(by, str) else tuple(by),
            where=where,
            k=k,
            exclude_self=exclude_self,
            exact=exact,
        )
        return answers.answer(
            self.store,
            question,
            get_encoder=self.encoder,
            salvage=self.settings.salvage,
            show=_show,
        )

    def identify(
        self,
        audio: AudioLike,
        *,
        k: int = 10,
        every: bool = False,
        confidence: float | None = None,
        where: str | None = None,
    ) -> Hits:
        """Tell which recordings a clip was taken from, and where in them; none is an answer.

        Parameters
        ----------
        audio : file, moment, clip, or (samples, sample_rate)
            Of any length; more than half a minute is looked at in overlapping windows.
        k : int
            Most hits.
        every : bool
            Find every recording in a long clip: hits in order of time, as many as there are.
        confidence : float, optional
            Least probability of being right; each hit's is its `score`.
        where : str, optional
            Only among tracks for which this expression holds.

        Raises
        ------
        QueryError
            If the library has no fingerprints, or the clip is shorter than half a second.
        """
        from earmark.library import identification

        return identification.identify(
            self.store,
            audio,
            get_encoder=self.encoder,
            k=k,
            every=every,
            confidence=identification.CONFIDENCE if confidence is None else confidence,
            filter_=where,
            salvage=self.settings.salvage,
            show=_show,
        )

    def random(self, k: int = 10, *, seed: int | None = None, where: str | None = None) -> Hits:
        """Draw tracks at random, without repetition.

        Parameters
        ----------
        k : int
            How many at most.
        seed : int, optional
            Default: the setting; the same seed draws the same tracks.
        where : str, optional
            A filter.
        """
        seed = self.settings.seed if seed is None else seed
        return answers.draw(self.store, k, seed=seed, where=where, show=_show)

    def features(self, track: TrackLike, name: str) -> Float32Array:
        """Return a feature of a track over time; computed when first asked for, then kept.

        Parameters
        ----------
        track : id, path or Track
        name : str
            For example ``bark``, ``bfcc``, ``chroma``, ``mfcc``, ``log_mel``.

        Returns
        -------
        float32 array, shape (frames, dims)

        Raises
        ------
        UsageError
            If there is no feature of this name.
        AudioError
            If the track's file is gone or no longer sound.
        """
        from earmark.library import listening

        return listening.features(self.track(track), name, self.settings)

    def list(
        self, *, where: str | None = None, limit: int | None = None, offset: int = 0
    ) -> tuple[Track, ...]:
        """Return tracks by ascending id.

        Parameters
        ----------
        where : str, optional
            A filter.
        limit : int, optional
            How many at most.
        offset : int
            How many to pass over.
        """
        if offset < 0 or (limit is not None and limit < 0):
            raise UsageError(f"limit and offset must not be negative, got {limit} and {offset}")
        ids = self.store.track_ids(_expr(where))
        stop = None if limit is None else offset + limit
        return tuple(self.store.tracks(ids[offset:stop].tolist()))

    def count(self, *, where: str | None = None) -> int:
        """Return the number of tracks that a filter lets through."""
        return self.store.count(_expr(where))

    def track(self, track: TrackLike) -> Track:
        """Return a track by its id or path.

        Raises
        ------
        TrackNotFound
            If there is none.
        """
        return probes.find_track(self.store, track)

    def encoder(self, name: str) -> Encoder:
        """Return the encoder that made the rows of this name, ready to encode queries.

        Raises
        ------
        UnknownEncoder
            If it is not installed.
        EncoderMismatch
            If the one that is installed would make other rows.
        """
        if name not in self._encoders:
            from earmark import encoders

            spec = self.store.encoders().get(name)
            if spec is None:
                raise QueryError(
                    f"this library has no rows of an encoder {name!r}",
                    hint=f"earmark index PATH --encoders {name}",
                )
            self._encoders[name] = encoders.restore(spec, self.store.state(name))
        return self._encoders[name]

    # --- caring ----------------------------------------------------------------------------

    def set_tags(self, track: TrackLike, tags: Mapping[str, Scalar | None]) -> None:
        """Set tags of the user's own on a track; None removes one."""
        found = self.track(track)
        with self.store.writer() as writer:
            writer.set_tags(found.id, tags)
            writer.commit()

    def remove(self, tracks: TrackLike | Sequence[TrackLike]) -> int:
        """Remove tracks (their files stay); return how many.

        Raises
        ------
        TrackNotFound
            If one is not there; nothing is removed then.
        """
        ids = sorted({self.track(track).id for track in several(tracks)})
        if ids:
            with self.store.writer() as writer:
                writer.remove_tracks(ids)
                writer.commit()
        return len(ids)

    def info(self) -> dict[str, Any]:
        """Return what is in the library, sizes, encoders and health, as JSON."""
        return overview.info(self.store)

    def verify(self) -> tuple[Damage, ...]:
        """Check all that is stored against its checksums; empty is good news."""
        return tuple(self.store.verify())

    def rebuild(
        self,
        *,
        encoder: str | None = None,
        fit: str | None = None,
        index: str | None = None,
        on_progress: OnProgress | None = None,
    ) -> RebuildReport:
        """Derive anew what can be derived, and mend what is damaged; say what was done.

        Parameters
        ----------
        encoder : str, optional
            Encode all tracks anew with this encoder.
        fit : str, optional
            Fit this encoder anew on the library as it is now, then encode all tracks.
        index : str, optional
            Kind of the search indexes: auto, flat, ivf, ivfpq, ivfpq-rr, hnsw.
        on_progress : callable, optional
            Called with `Progress` now and then.
        """
        from earmark.library import filling

        self._encoders.clear()
        return filling.rebuild(
            self.store,
            self.settings,
            encoder=encoder,
            fit=fit,
            index=index,
            on_progress=on_progress,
        )

    def compact(self) -> int:
        """Drop dead rows and unreferenced files; return the bytes won."""
        return self.store.compact()

    def export(self, form: str, *, where: str | None = None) -> bytes:
        """Return the tracks as the bytes of a file: m3u, csv, json or parquet."""
        return exporting.export(self.list(where=where), form)


def _expr(where: str | None) -> Expr | None:
    from earmark import where as filters

    return None if where is None else filters.parse(where)


def _show(hits: Sequence[Hit]) -> str:
    from earmark.library import notebook

    return notebook.render(hits)
