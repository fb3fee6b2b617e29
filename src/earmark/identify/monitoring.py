"""Finding every recording in hours of sound: radio, mixes, a microphone.

The sound is looked at in windows that overlap by half; matches of consecutive windows on the same
line (the same track, the same difference of time, the same speed) are one sighting.  Music that
repeats itself lies on several lines, so that each window is asked for those of the windows before
it too.  A sighting is confirmed as soon as one window is sure of it, and closed when it has not
been seen for a while; its range is then made exact along its line.  Memory is bounded by the
windows, whatever the length of the sound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from earmark.identify.matching import Match
from earmark.identify.sequence import Line
from earmark.types import Clip, Float32Array

MOST = 0.6
"""Share of a sighting that must lie under another one for that to explain it."""


@dataclass(frozen=True)
class Windows:
    """How a long recording is cut, in seconds, and when a match counts.

    A window's match is taken at `confidence`; one of at least `weak` still goes on with a
    sighting that there is already.  A sighting ends when it has not been seen for `patience`.
    """

    length: float = 10.0
    hop: float = 5.0
    confidence: float = 0.9
    weak: float = 0.3
    patience: float = 12.0
    drift: float = 1.0


@dataclass(frozen=True)
class Sighting:
    """A stretch of the sound that is a stretch of a track.  Times are in seconds.

    `seen` counts the windows that agree; `confidence` is the highest of theirs.
    """

    track: int
    confidence: float
    start: float
    end: float
    query_start: float
    query_end: float
    speed: float
    seen: int = 1


Identify = Callable[[Clip, Sequence[Line]], list[Match]]


@dataclass
class Monitor:
    """Push sound, get sightings.

    Parameters
    ----------
    identify : callable
        Gives the matches of a clip, best first, with times relative to the clip's first sample;
        its second argument is the lines on which the sound before the clip lay.
    sample_rate : int
        Of the sound, in Hz.
    windows : Windows
    """

    identify: Identify
    sample_rate: int
    windows: Windows = field(default_factory=Windows)

    def __post_init__(self) -> None:
        self._samples = np.zeros(0, np.float32)
        self._begin = 0
        self._open: list[Sighting] = []

    def push(self, samples: Float32Array) -> list[Sighting]:
        """Take the next samples, shape (n,); return sightings that became certain, each once.

        Their end is that of what has been heard so far; `finish` and `closed` give whole ranges.
        """
        self._samples = np.concatenate([self._samples, samples])
        new: list[Sighting] = []
        length = round(self.windows.length * self.sample_rate)
        hop = round(self.windows.hop * self.sample_rate)
        while len(self._samples) >= length:
            new += self._look(self._samples[:length])
            self._samples = self._samples[hop:]
            self._begin += hop
        return new

    def closed(self) -> Iterator[Sighting]:
        """Take the sightings that are over."""
        heard = self._begin / self.sample_rate
        over = [s for s in self._open if s.query_end + self.windows.patience < heard]
        self._open = [s for s in self._open if s not in over]
        yield from sorted(over, key=lambda s: (s.query_start, s.track))

    def last(self) -> list[Sighting]:
        """Say that the sound has ended; return sightings that only now became certain."""
        new: list[Sighting] = []
        if len(self._samples) > self.sample_rate // 2:
            new = self._look(self._samples)
        self._samples = self._samples[:0]
        return new

    def finish(self) -> list[Sighting]:
        """Say that the sound has ended; return all sightings that were not taken by `closed`."""
        self.last()
        rest, self._open = self._open, []
        return sorted(rest, key=lambda s: (s.query_start, s.track))

    def _look(self, samples: Float32Array) -> list[Sighting]:
        """Identify one window; return the sightings that are new."""
        at = self._begin / self.sample_rate
        new = []
        for match in self.identify(Clip(samples, self.sample_rate), self._lines(at)):
            if match.confidence < self.windows.weak:
                continue
            seen = Sighting(
                match.track,
                match.confidence,
                match.start,
                match.end,
                match.query_start + at,
                match.query_end + at,
                match.speed,
            )
            known = next((s for s in self._open if self._continues(s, seen)), None)
            if known is not None:
                self._open[self._open.index(known)] = _joined(known, seen)
            elif match.confidence >= self.windows.confidence and not self._hidden(seen):
                # A better place of a track that was told already takes the place of the first.
                mended = [s for s in self._open if s.track == seen.track and _covers(seen, s)]
                self._open = [s for s in self._open if s not in mended]
                self._open.append(seen)
                if not mended:
                    new.append(seen)
        return new

    def _lines(self, at: float) -> list[Line]:
        """The lines of what was heard until now, for a window that begins `at` this time."""
        return [
            Line(s.track, s.start + s.speed * (at - s.query_start), s.speed, 0.0)
            for s in self._open
            if s.query_end + self.windows.patience >= at
        ]

    def _continues(self, known: Sighting, seen: Sighting) -> bool:
        """Whether a window's match lies on the line of a sighting."""
        if known.track != seen.track:
            return False
        expected = known.end + known.speed * (seen.query_start - known.query_end)
        return abs(expected - seen.start) < self.windows.drift

    def _hidden(self, seen: Sighting) -> bool:
        """Whether a better sighting covers most of the same sound (a repeat in one piece, or the
        same recording twice in the library)."""
        return any(
            other.confidence >= seen.confidence and _covers(other, seen) for other in self._open
        )


def without_repeats(sightings: Sequence[Sighting]) -> list[Sighting]:
    """Leave out sightings of a track within a longer one of the same track.

    Where a recording repeats itself, a part of it is found at both places; the longer line
    explains the shorter one.

    Parameters
    ----------
    sightings : sequence of Sighting

    Returns
    -------
    list of Sighting
        In the same order.
    """
    return [s for s in sightings if not any(_explains(other, s) for other in sightings)]


def _explains(long: Sighting, short: Sighting) -> bool:
    shorter = short.query_end - short.query_start < long.query_end - long.query_start
    return long.track == short.track and shorter and _covers(long, short)


def _covers(one: Sighting, other: Sighting) -> bool:
    """Whether a sighting is of most of the sound that another one is of."""
    both = min(one.query_end, other.query_end) - max(one.query_start, other.query_start)
    return both > MOST * (other.query_end - other.query_start)


def _joined(known: Sighting, seen: Sighting) -> Sighting:
    """One sighting of two; the speed is that of the line through both ends."""
    start, query_start = min((known.start, known.query_start), (seen.start, seen.query_start))
    end, query_end = max((known.end, known.query_end), (seen.end, seen.query_end))
    whole = query_end - query_start
    speed = (end - start) / whole if whole > 20.0 else known.speed
    return Sighting(
        known.track,
        max(known.confidence, seen.confidence),
        start,
        end,
        query_start,
        query_end,
        speed,
        known.seen + 1,
    )
