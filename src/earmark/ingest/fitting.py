"""Learn what a `FittedEncoder` needs from a sample of the user's own files.

A seeded choice of files, a part of each, a reservoir of their training rows (Vitter's algorithm
R).  Results arrive in any order but are taken in that of the choice, so the same files and seed
give the same state whatever the number of workers.

The audio is limited besides the rows: at the usual 43 frames a second two hours give 310,000
rows, and more would only be decoded twice in small libraries.  The more files there are the less
is taken of each, down to ten seconds: many files tell more than much of each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing

import numpy as np

from earmark.errors import NotFitted
from earmark.executors.tasks import (
    EncoderRef,
    Executor,
    FileFailure,
    SampleJob,
    SampleTask,
    empty_rows,
)
from earmark.ingest.estimating import guess_seconds, informed_guess
from earmark.sources import Source
from earmark.types import (
    Encoder,
    FittedEncoder,
    Float32Array,
    LabelledEncoder,
    OnProgress,
    Progress,
)

MOST_ROWS = 1_000_000
MOST_SECONDS = 2 * 3600.0
MOST_SECONDS_PER_FILE = 60.0
LEAST_SECONDS_PER_FILE = 10.0


class Reservoir:
    """A uniform sample of at most `capacity` rows out of a stream of unknown length.

    Parameters
    ----------
    capacity : int
    seed : int
    """

    def __init__(self, capacity: int, *, seed: int) -> None:
        self._capacity = capacity
        self._random = np.random.default_rng(seed)
        self._blocks: list[Float32Array] = []
        self._sample: Float32Array | None = None
        self.seen = 0

    def add(self, rows: Float32Array) -> None:
        """Take the next rows, shape (m, d)."""
        room = max(0, self._capacity - self.seen)
        if room and len(rows):
            self._blocks.append(rows[:room])
        rest = rows[room:]
        self.seen += min(room, len(rows))
        if not len(rest):
            return
        sample = self._full()
        # Row number n (counting from 1) replaces a random one with probability capacity / n.
        numbers = self.seen + 1 + np.arange(len(rest))
        places = (self._random.random(len(rest)) * numbers).astype(np.int64)
        kept = np.flatnonzero(places < self._capacity)
        sample[places[kept]] = rest[kept]
        self.seen += len(rest)

    def _full(self) -> Float32Array:
        if self._sample is None:
            self._sample = np.concatenate(self._blocks)
            self._blocks = []
        return self._sample

    def rows(self) -> Float32Array:
        """The sample, shape (min(capacity, seen), d)."""
        if self._sample is not None:
            return self._sample
        return np.concatenate(self._blocks) if self._blocks else empty_rows()


def choose(
    sources: Sequence[Source],
    *,
    seed: int,
    most_seconds: float = MOST_SECONDS,
    guess: Callable[[Source], float] = guess_seconds,
) -> list[SampleTask]:
    """Choose which files to learn from, and how much of each.

    Parameters
    ----------
    sources : sequence of Source
        In any order.
    seed : int
    most_seconds : float
        Of audio.
    guess : callable
        Tells about how long a file is, in seconds.

    Returns
    -------
    list of SampleTask
        In the order of the choice.
    """
    each = most_seconds / max(1, len(sources))
    each = min(max(each, LEAST_SECONDS_PER_FILE), MOST_SECONDS_PER_FILE)
    ordered = sorted(sources, key=lambda source: source.path)
    random = np.random.default_rng(seed)
    tasks: list[SampleTask] = []
    total = 0.0
    for index in random.permutation(len(ordered)):
        source = ordered[index]
        length = guess(source)
        # Short files are read from their start: to know a file's length costs opening it twice.
        position = float(random.random()) if length > 2 * each else 0.0
        tasks.append(SampleTask(source, each, position))
        total += min(length, each)
        if total >= most_seconds:
            break
    return tasks


def sample(
    encoder: EncoderRef,
    sources: Sequence[Source],
    executor: Executor,
    *,
    seed: int,
    most_rows: int = MOST_ROWS,
    most_seconds: float = MOST_SECONDS,
    on_progress: OnProgress | None = None,
) -> Float32Array:
    """Collect training rows from a sample of files; those that fail are passed over.

    Parameters
    ----------
    encoder : EncoderRef
        Of a `FittedEncoder`.
    sources : sequence of Source
    executor : Executor
    seed : int
    most_rows : int
    most_seconds : float
        Of audio to decode, about.
    on_progress : callable, optional
        Told of the sample, stage 'fit'.

    Returns
    -------
    float32 array, shape (m, d)
        (0, 0) if no file could be read.
    """
    guess = informed_guess(sources, seed=seed)
    tasks = choose(sources, seed=seed, most_seconds=most_seconds, guess=guess)
    wanted = sum(min(guess(t.source), t.seconds) for t in tasks)
    places = {task.source.path: place for place, task in enumerate(tasks)}
    waiting: dict[int, Float32Array] = {}
    reservoir = Reservoir(most_rows, seed=seed)
    done, seconds, turn = 0, 0.0, 0
    with closing(executor.run(SampleJob(encoder), tasks)) as results:
        for result in results:
            if result is None:
                continue
            if isinstance(result, FileFailure):
                waiting[places[result.path]] = empty_rows()
            else:
                waiting[places[result.path]] = result.rows
                seconds += result.seconds
            done += 1
            while turn in waiting:
                reservoir.add(waiting.pop(turn))
                turn += 1
            if on_progress is not None:
                total = max(wanted, seconds)
                on_progress(Progress("fit", done, len(tasks), seconds, total, result.path))
    return reservoir.rows()


def sample_by_file(
    encoder: EncoderRef,
    sources: Sequence[Source],
    executor: Executor,
    *,
    seed: int,
    on_progress: OnProgress | None = None,
) -> tuple[Float32Array, list[str]]:
    """Collect training rows and the path that each came from; see `sample` for the rest.

    All rows of the files chosen are kept: a choice of files bounds their number.
    """
    tasks = choose(sources, seed=seed, guess=informed_guess(sources, seed=seed))
    found: dict[str, Float32Array] = {}
    seconds = 0.0
    with closing(executor.run(SampleJob(encoder), tasks)) as results:
        for done, result in enumerate((r for r in results if r is not None), start=1):
            if not isinstance(result, FileFailure):
                found[result.path] = result.rows
                seconds += result.seconds
            if on_progress is not None:
                on_progress(Progress("fit", done, len(tasks), seconds, seconds, result.path))
    kept = [task.source.path for task in tasks if len(found.get(task.source.path, ()))]
    rows = np.concatenate([found[path] for path in kept]) if kept else empty_rows()
    return rows, [path for path in kept for _ in range(len(found[path]))]


def fit(
    encoder: Encoder,
    sources: Sequence[Source],
    executor: Executor,
    *,
    seed: int,
    labels: Mapping[str, str] | None = None,
    on_progress: OnProgress | None = None,
) -> tuple[Encoder, EncoderRef] | None:
    """Fit an encoder on a sample of files.

    Parameters
    ----------
    encoder : Encoder
        That is also a `FittedEncoder`; a state that it has is not used.
    sources : sequence of Source
    executor : Executor
    seed : int
    labels : mapping of str to str, optional
        Which files belong together, by path; those that are not in it are left out.
    on_progress : callable, optional

    Returns
    -------
    tuple of Encoder and EncoderRef, or None
        The fitted encoder; None if no file had anything to learn from.

    Raises
    ------
    NotFitted
        If the encoder does not learn, or not from labels.
    """
    if not isinstance(encoder, FittedEncoder):
        raise NotFitted(
            f"only an encoder that learns can be fitted; {encoder.spec.name!r} does not"
        )
    spec = encoder.spec
    blank = EncoderRef(spec.name, dict(spec.options))
    if labels is None:
        rows = sample(blank, sources, executor, seed=seed, on_progress=on_progress)
        state = encoder.fit(rows, seed=seed) if len(rows) else None
    elif isinstance(encoder, LabelledEncoder):
        known = [source for source in sources if source.path in labels]
        rows, owners = sample_by_file(blank, known, executor, seed=seed, on_progress=on_progress)
        names = [labels[path] for path in owners]
        state = encoder.fit_labelled(rows, names, seed=seed) if len(rows) else None
    else:
        raise NotFitted(f"encoder {spec.name!r} does not learn from labels")
    if state is None:
        return None
    return encoder.with_state(state), EncoderRef(spec.name, dict(spec.options), state)
