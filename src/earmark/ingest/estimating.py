"""How much audio is in files that nobody has opened yet, and how long it will take.

The rates by suffix are typical bit rates; `informed_guess` looks into a few files to
correct them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from earmark.errors import AudioError
from earmark.ingest.plans import Plan
from earmark.sources import Source, is_url

SPEED_PER_WORKER = 400.0
"""Seconds of audio that a worker decodes and encodes per second, where nothing was measured."""

SECONDS_PER_FILE = 0.006
"""What a worker needs for a file of no length."""

START_SECONDS = 1.0
"""Before the first file begins."""

_BYTES_PER_SECOND: Mapping[str, float] = {
    "wav": 150_000,
    "aif": 150_000,
    "aiff": 150_000,
    "flac": 80_000,
    "mp3": 24_000,
    "m4a": 20_000,
    "aac": 16_000,
    "ogg": 14_000,
    "oga": 14_000,
    "opus": 12_000,
    "wma": 16_000,
    "mp4": 150_000,
    "mkv": 250_000,
    "mov": 500_000,
    "webm": 120_000,
}
_USUAL_BYTES_PER_SECOND = 30_000.0
_PROBES_PER_SUFFIX = 12


def suffix(path: str) -> str:
    """Return the lower-case suffix without its dot, empty if there is none."""
    name = path.rsplit("/", 1)[-1]
    return name.rsplit(".", 1)[-1].lower() if "." in name else ""


def guess_seconds(source: Source) -> float:
    """Guess the length of a file in seconds from its size and suffix."""
    return source.size / _BYTES_PER_SECOND.get(suffix(source.path), _USUAL_BYTES_PER_SECOND)


def estimate(
    plan: Plan,
    *,
    workers: int,
    speed: float = SPEED_PER_WORKER,
    seed: int = 0,
) -> float:
    """Estimate how long a plan will take, in seconds.

    A few files of each kind are opened, but not decoded.

    Parameters
    ----------
    plan : Plan
    workers : int
        Number of worker processes.
    speed : float
        Seconds of audio per second that one worker does.
    seed : int
        Of the choice of files to look into.

    Returns
    -------
    float

    Examples
    --------
    >>> estimate(Plan(encoders=("timbre",)), workers=2)
    0.0
    """
    if not plan.encode:
        return 0.0
    sources = [task.source for task in plan.encode]
    guess = informed_guess(sources, seed=seed)
    work = sum(map(guess, sources)) / speed + SECONDS_PER_FILE * len(sources)
    return START_SECONDS + work / max(1, min(workers, len(sources)))


def informed_guess(sources: Sequence[Source], *, seed: int) -> Callable[[Source], float]:
    """Return a function like `guess_seconds` that is right on average for these files.

    Parameters
    ----------
    sources : sequence of Source
        A few of each suffix are opened, but not decoded.
    seed : int
        Of the choice of files to look into.
    """
    groups: dict[str, list[Source]] = defaultdict(list)
    for source in sources:
        groups[suffix(source.path)].append(source)
    random = np.random.default_rng(seed)
    factors: dict[str, float] = {}
    for name, group in sorted(groups.items()):
        ordered = sorted(group, key=lambda source: source.path)
        chosen = random.permutation(len(ordered))[:_PROBES_PER_SUFFIX]
        looked_into = [(_probe(ordered[i]), guess_seconds(ordered[i])) for i in chosen]
        claimed = sum(seconds for seconds, _ in looked_into if seconds is not None)
        guessed = sum(guess for seconds, guess in looked_into if seconds is not None)
        factors[name] = claimed / guessed if claimed and guessed else 1.0
    return lambda source: guess_seconds(source) * factors.get(suffix(source.path), 1.0)


def _probe(source: Source) -> float | None:
    """Return the claimed length in seconds, or None if it cannot be had cheaply."""
    from earmark import audio
    from earmark.sources import open_source

    if is_url(source.path):
        return None
    try:
        with open_source(source.path) as opened:
            return audio.probe(opened, name=source.path).duration
    except AudioError:
        return None
