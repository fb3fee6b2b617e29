"""The error tree: everything that earmark raises on purpose derives from `EarmarkError`.

A message states the rule, then what came; the optional hint says what to do next.  The command
line prints both on one line each and exits with 2; nothing below it prints.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class EarmarkError(Exception):
    """Base of all errors of this package.

    Parameters
    ----------
    message : str
        The rule, then what came instead.
    hint : str, optional
        What the reader can do about it.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[object, ...]:
        """Errors cross process borders: rebuild them without calling `__init__` again."""
        return (_rebuild, (type(self), dict(self.__dict__), self.args))


def _rebuild(
    cls: type[EarmarkError], state: dict[str, object], args: tuple[object, ...]
) -> EarmarkError:
    error = cls.__new__(cls)
    error.args = args
    error.__dict__.update(state)
    return error


class Doubtful(UserWarning):
    """Something can be used, but its answers are likely poor."""


class UsageError(EarmarkError):
    """An argument is wrong, or two of them contradict each other."""


class NotAvailable(EarmarkError):
    """The feature exists in earmark but not in this installation or this version."""


class SettingError(UsageError):
    """A setting or an `EARMARK_...` variable has a value outside its rule."""


# --- sound -------------------------------------------------------------------------------------


class AudioError(EarmarkError):
    """A source of audio cannot be used.

    Parameters
    ----------
    source : str
        The file, archive member or URL.
    reason : str
        Why, without the name of the file.
    """

    def __init__(self, source: str, reason: str, *, hint: str | None = None) -> None:
        super().__init__(f"{source}: {reason}", hint=hint)
        self.source = source
        self.reason = reason


class SourceError(AudioError):
    """The bytes cannot be had: missing, unreadable, encrypted, a refused archive member."""


class DecodeError(AudioError):
    """The bytes are there but are not sound audio: empty, cut off, damaged, not audio at all."""


class WorkerLost(AudioError):
    """The process that decoded this source crashed or ran out of time."""


class SampleRateError(EarmarkError):
    """Samples came at another rate than the encoder works at."""


# --- encoders ----------------------------------------------------------------------------------


class EncoderError(EarmarkError):
    """Base of the errors about encoders."""


class UnknownEncoder(EncoderError):
    """No encoder of this name is installed."""


class EncoderMismatch(EncoderError):
    """Stored vectors were made by another encoder, revision or options than the ones at hand."""


class NotFitted(EncoderError):
    """The encoder must first be fitted on the library."""


class TrainingError(EarmarkError):
    """Training cannot go on: no such checkpoint, or a loss that is no number."""


class CheckpointMismatch(TrainingError):
    """A checkpoint was made with another configuration; the message names each difference."""


# --- stores ------------------------------------------------------------------------------------


class StoreError(EarmarkError):
    """Base of the errors about stored libraries."""


class LibraryNotFound(StoreError):
    """There is no library at this place."""


class LibraryLocked(StoreError):
    """Another process is writing to this library."""


class ForeignFormat(StoreError):
    """What lies there is no earmark library, or one of a format this version cannot read."""


class DamagedLibrary(StoreError):
    """A stored file does not have the content that the catalog vouches for."""


class InvalidVectors(StoreError):
    """Vectors of a wrong shape or type, with NaN or infinity, or of length zero."""


class StorageFull(StoreError):
    """The disk took no more bytes; what was committed before stands."""


# --- queries -----------------------------------------------------------------------------------


class QueryError(UsageError):
    """A query cannot be understood or answered."""


class FilterSyntaxError(QueryError):
    """A `--where` expression is malformed."""


class UnknownField(QueryError):
    """A `--where` expression names a field that no track has."""


class TrackNotFound(QueryError):
    """No track of this id or path is in the library."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return a hint that names the known word closest to `name`, or None.

    Examples
    --------
    >>> nearest("timber", ["timbre", "melody"])
    "did you mean 'timbre'?"
    """
    match = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"did you mean {match[0]!r}?" if match else None
