"""The registry: encoders by name.

An encoder is made by a function ``create(options, state)``; those of other packages are found by
the entry-point group `earmark.encoders`.  The built-in ones are also listed here, so that they
work from a source tree and cost no scan of installed packages; a plug-in cannot replace them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points

import numpy as np

from earmark.config import Settings
from earmark.errors import NotAvailable, UnknownEncoder, nearest
from earmark.types import JSON, AnyArray, Encoder, EncoderSpec, State

GROUP = "earmark.encoders"

FITTED_TRACKS = "fit.tracks"
"""A stored array that is no part of an encoder's state: of how many tracks it learned."""

_BUILTIN: Mapping[str, str] = {
    "clap": "earmark.encoders.clap",
    "efficientat": "earmark.encoders.efficientat",
    "fingerprint": "earmark.encoders.fingerprint",
    "melody": "earmark.encoders.melody",
    "panns": "earmark.encoders.panns",
    "spectral": "earmark.encoders.spectral",
    "timbre": "earmark.encoders.timbre",
    "vggish": "earmark.encoders.vggish",
}

_NEEDS_FILES = frozenset({"clap", "efficientat", "fingerprint", "panns", "vggish"})
"""Encoders that may need files of networks: their makers also take the settings."""

_MEGABYTES: Mapping[str, int] = {"clap": 850, "panns": 800, "vggish": 700, "efficientat": 150}
"""Memory of a process that encodes with a network, measured (``benchmarks/semantic.py``)."""

_COMPANIONS: Mapping[str, tuple[str, ...]] = {"fingerprint": ("spectral",)}
"""Encoders that are always used with another: together they settle what neither does alone."""


_SCORE_READERS = frozenset({"melody"})
"""Encoders that are also a `ScoreEncoder`."""


def for_source(chosen: Iterable[str], *, score: bool) -> tuple[str, ...]:
    """Return those of some encoders that can read a source: of a score, only those that read notes.

    Examples
    --------
    >>> for_source(("timbre", "melody"), score=True)
    ('melody',)
    """
    return tuple(name for name in chosen if not score or name in _SCORE_READERS)


def names() -> list[str]:
    """Names of all encoders that are installed, sorted.

    Examples
    --------
    >>> "timbre" in names()
    True
    """
    return sorted({*_BUILTIN, *(point.name for point in entry_points(group=GROUP))})


def create(
    name: str,
    *,
    options: Mapping[str, JSON] | None = None,
    state: State | None = None,
    settings: Settings | None = None,
) -> Encoder:
    """Make an encoder.

    Parameters
    ----------
    name : str
    options : mapping, optional
        As in its spec; what is left out has the encoder's default.
    state : mapping, optional
        Fitted arrays, as the store kept them.
    settings : Settings, optional
        Where model files lie; by default as the environment says.

    Returns
    -------
    Encoder

    Raises
    ------
    UnknownEncoder
        If none of this name is installed; the hint shows the nearest.
    NotAvailable
        If it is installed but cannot be loaded.

    Examples
    --------
    >>> create("timbre", options={"profile": "zounds"}).spec.sample_rate
    22050
    """
    make = _maker(name)
    if name in _NEEDS_FILES:
        return make(dict(options or {}), state, settings=settings)
    return make(dict(options or {}), state)


def with_companions(chosen: Iterable[str]) -> tuple[str, ...]:
    """Return names of encoders with those that go with them.

    Examples
    --------
    >>> with_companions(("timbre", "fingerprint"))
    ('timbre', 'fingerprint', 'spectral')
    """
    wanted = [name for one in chosen for name in (one, *_COMPANIONS.get(one, ()))]
    return tuple(dict.fromkeys(wanted))


def affordable_workers(chosen: Iterable[str], workers: int, *, megabytes: int) -> int:
    """Return how many worker processes may hold these encoders at once: at least one.

    Parameters
    ----------
    chosen : iterable of str
        Names of encoders.
    workers : int
        The most that are wanted.
    megabytes : int
        The most that the networks of all workers may take.

    Examples
    --------
    >>> affordable_workers(("clap", "timbre"), 16, megabytes=2500)
    2
    """
    each = sum(_MEGABYTES.get(name, 0) for name in set(chosen))
    return max(1, min(workers, megabytes // each)) if each else workers


def with_fit_note(state: State, tracks: int) -> dict[str, AnyArray]:
    """Return a fitted state as it is stored: with the number of tracks that it was learned on.

    Examples
    --------
    >>> own_state(with_fit_note({}, 7))
    {}
    """
    return {**state, FITTED_TRACKS: np.array([tracks], dtype=np.int64)}


def own_state(stored: State) -> dict[str, AnyArray]:
    """Return a stored state without the note about its fit, as `create` takes it."""
    return {name: array for name, array in stored.items() if name != FITTED_TRACKS}


def restore(spec: EncoderSpec, stored: State, *, settings: Settings | None = None) -> Encoder:
    """Make the encoder that a library's rows were made by.

    Parameters
    ----------
    spec : EncoderSpec
        As stored.
    stored : mapping
        Its state as stored.
    settings : Settings, optional
        As for `create`.

    Raises
    ------
    UnknownEncoder
        If it is not installed.
    EncoderMismatch
        If the installed one would make other rows.
    """
    made = create(
        spec.name, options=spec.options, state=own_state(stored) or None, settings=settings
    )
    spec.check_same(made.spec)
    return made


def _maker(name: str) -> Callable[..., Encoder]:
    if name in _BUILTIN:
        make: Callable[..., Encoder] = import_module(_BUILTIN[name]).create
        return make
    return _load(name, _plugin(name))


def _plugin(name: str) -> EntryPoint:
    for point in entry_points(group=GROUP, name=name):
        return point
    known = names()
    hint = nearest(name, known) or f"installed: {', '.join(known)}"
    raise UnknownEncoder(f"there is no encoder {name!r}", hint=hint)


def _load(name: str, point: EntryPoint) -> Callable[..., Encoder]:
    try:
        make: Callable[..., Encoder] = point.load()
    except (ImportError, AttributeError) as error:
        raise NotAvailable(
            f"encoder {name!r} is installed but does not load: {error}",
            hint=f"look at the package that provides {point.value}",
        ) from error
    return make
