"""How long jobs tell how far they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class Failure:
    """A source that failed, with its reason (without the path)."""

    path: str
    error: str


@dataclass(frozen=True)
class Progress:
    """How far a long job is; handed to the caller's `on_progress`.

    `stage` is 'scan', 'fit' or 'encode'; seconds are of audio.
    """

    stage: str
    files: int
    files_total: int
    seconds: float
    seconds_total: float
    current: str = ""


OnProgress: TypeAlias = Callable[[Progress], None]
