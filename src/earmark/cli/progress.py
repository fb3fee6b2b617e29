"""Progress on standard error: a bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from earmark.moments import format_time

if TYPE_CHECKING:
    from earmark.types import OnProgress, Progress

PLAIN_INTERVAL = 10.0
"""Seconds between two plain lines."""


@contextmanager
def shown() -> Iterator[OnProgress]:
    """Give a callback that shows progress until the context ends."""
    if sys.stderr.isatty():
        with _bar() as on_progress:
            yield on_progress
    else:
        yield plain(time.monotonic)


def plain(clock: Callable[[], float]) -> OnProgress:
    """Return a callback that prints a line when a stage begins, ends, and now and then.

    A line is ``progress: stage=encode files=10/20 hours=0.5/1.0 speed=300x left=0:06``.

    Parameters
    ----------
    clock : callable
        Seconds, monotonic.
    """
    stage = ""
    began = printed = 0.0

    def on_progress(progress: Progress) -> None:
        nonlocal stage, began, printed
        now = clock()
        if progress.stage != stage:
            stage, began, printed = progress.stage, now, now
        elif now - printed < (1 if progress.files == progress.files_total else PLAIN_INTERVAL):
            return
        printed = now
        print(line(progress, now - began), file=sys.stderr, flush=True)

    return on_progress


def line(progress: Progress, elapsed: float) -> str:
    """Return progress as one parseable line; `elapsed` in seconds."""
    words = [f"progress: stage={progress.stage}", f"files={progress.files}"]
    if progress.files_total:
        words[-1] += f"/{progress.files_total}"
    if progress.seconds_total or progress.seconds:
        words.append(f"hours={progress.seconds / 3600:.2f}/{progress.seconds_total / 3600:.2f}")
    if elapsed > 0 and progress.seconds:
        words.append(f"speed={progress.seconds / elapsed:.0f}x")
        words.append(f"left={format_time(left(progress, elapsed))}")
    return " ".join(words)


def left(progress: Progress, elapsed: float) -> float:
    """Return the seconds that the rest will take at the speed so far."""
    done, total = progress.seconds, progress.seconds_total
    return max(total - done, 0.0) * elapsed / done if done else 0.0


@contextmanager
def _bar() -> Iterator[OnProgress]:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    bar = Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[files]}"),
        TextColumn("{task.fields[rest]}"),
        console=Console(stderr=True),
        transient=True,
    )
    task = bar.add_task("scan", total=None, files="", rest="")
    stage = ""
    began = 0.0

    def on_progress(progress: Progress) -> None:
        nonlocal stage, began
        now = time.monotonic()
        if progress.stage != stage:
            stage, began = progress.stage, now
        by_time = progress.seconds_total > 0
        total = progress.seconds_total if by_time else progress.files_total
        bar.update(
            task,
            description=progress.stage,
            total=total or None,
            completed=progress.seconds if by_time else progress.files,
            files=f"{progress.files}/{progress.files_total or '?'} files",
            rest=_rest(progress, now - began),
        )

    with bar:
        yield on_progress


def _rest(progress: Progress, elapsed: float) -> str:
    """Hours of audio, speed and time left, in words."""
    if not (progress.seconds_total and progress.seconds and elapsed > 0):
        return ""
    return (
        f"{progress.seconds / 3600:.2f} of {progress.seconds_total / 3600:.2f} h, "
        f"{progress.seconds / elapsed:.0f}x real time, "
        f"{format_time(left(progress, elapsed))} left"
    )
