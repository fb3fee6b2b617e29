"""Hours of sound: windows become sightings, each told once, with exact ranges."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from earmark.identify.matching import Evidence, Match
from earmark.identify.monitoring import Monitor, Sighting, Windows, without_repeats
from earmark.identify.sequence import Line
from earmark.types import Clip

RATE = 100


class Schedule:
    """A fake `identify`: sound holds the track's number, its place in the track is the time
    since it began on air plus 7 s."""

    def __init__(self, confidence: float = 0.99) -> None:
        self.confidence = confidence
        self.longest = 0

    def __call__(self, clip: Clip, expected: Sequence[Line]) -> list[Match]:
        self.expected = list(expected)
        self.longest = max(self.longest, len(clip.samples))
        tracks = np.round(clip.samples).astype(int)
        found = []
        for track in np.unique(tracks[tracks > 0]):
            at = np.flatnonzero(tracks == track)
            if len(at) < 2 * RATE:
                continue
            first, last = at[0], at[-1] + 1
            # The fraction says where in the track a sample is.
            start = float(clip.samples[first] - track) * 10_000
            span = (last - first) / RATE
            found.append(
                Match(
                    int(track),
                    self.confidence,
                    start,
                    start + span,
                    first / RATE,
                    last / RATE,
                    1.0,
                    Evidence(),
                )
            )
        return found


def broadcast(plan: list[tuple[int, float]]) -> np.ndarray:
    """Silence (track 0) and tracks, each from its 7th second on."""
    parts = []
    for track, seconds in plan:
        place = (7.0 + np.arange(int(seconds * RATE)) / RATE) / 10_000
        parts.append(track + place if track else np.zeros(int(seconds * RATE)))
    return np.concatenate(parts)


def run(monitor: Monitor, sound: np.ndarray, piece: int) -> tuple[list[Sighting], list[Sighting]]:
    told, closed = [], []
    for start in range(0, len(sound), piece):
        told += monitor.push(sound[start : start + piece])
        closed += list(monitor.closed())
    return told, closed + monitor.finish()


PLAN = [(0, 20.0), (3, 60.0), (5, 30.0), (0, 45.0), (3, 25.0), (0, 10.0)]


@pytest.mark.parametrize("piece", [37, 500, 100_000])
def test_every_track_is_seen_with_its_range(piece: int) -> None:
    told, seen = run(Monitor(Schedule(), RATE), broadcast(PLAN), piece)
    assert [s.track for s in seen] == [3, 5, 3]
    assert [s.track for s in told] == [3, 5, 3]
    expected = [(20.0, 80.0, 60.0), (80.0, 110.0, 30.0), (155.0, 180.0, 25.0)]
    for sighting, (start, end, length) in zip(seen, expected, strict=True):
        assert sighting.query_start == pytest.approx(start, abs=0.1)
        assert sighting.query_end == pytest.approx(end, abs=0.1)
        assert sighting.start == pytest.approx(7.0, abs=0.5)
        assert sighting.end == pytest.approx(7.0 + length, abs=0.5)


def test_pieces_do_not_matter() -> None:
    sound = broadcast(PLAN)
    assert (
        run(Monitor(Schedule(), RATE), sound, 51)[1]
        == run(Monitor(Schedule(), RATE), sound, 4000)[1]
    )


def test_memory_is_bounded_by_the_windows() -> None:
    identify = Schedule()
    monitor = Monitor(identify, RATE)
    for _ in range(300):
        monitor.push(np.zeros(1000))
    assert identify.longest == 10 * RATE
    assert len(monitor._samples) < 20 * RATE


def test_doubtful_windows_go_on_but_do_not_begin() -> None:
    assert run(Monitor(Schedule(0.5), RATE), broadcast(PLAN), 500) == ([], [])


def test_the_same_track_at_another_place_is_another_sighting() -> None:
    sound = broadcast([(3, 40.0), (3, 40.0)])
    seen = run(Monitor(Schedule(), RATE, Windows(hop=10.0)), sound, 500)[1]
    assert len(seen) == 2


def test_a_short_end_is_looked_at() -> None:
    seen = run(Monitor(Schedule(), RATE), broadcast([(4, 5.0)]), 100)[1]
    assert [s.track for s in seen] == [4]


def test_a_second_copy_of_the_same_sound_is_hidden() -> None:
    def twice(clip: Clip, expected: Sequence[Line]) -> list[Match]:
        best = Match(1, 0.99, 0.0, 10.0, 0.0, 10.0, 1.0, Evidence())
        return [best, Match(2, 0.95, 30.0, 40.0, 0.0, 10.0, 1.0, Evidence())]

    assert [s.track for s in Monitor(twice, RATE).push(np.zeros(10 * RATE))] == [1]


def test_a_window_is_asked_for_the_lines_of_those_before_it() -> None:
    identify = Schedule()
    monitor = Monitor(identify, RATE)
    monitor.push(broadcast([(0, 3.0), (3, 12.0)]))
    (line,) = identify.expected  # the second window begins at 5 s, 9 s into the track
    assert (line.track, line.speed) == (3, 1.0)
    assert line.offset == pytest.approx(9.0, abs=0.1)
    monitor.push(broadcast([(0, 40.0)]))
    assert identify.expected == []


def test_a_repeat_within_a_longer_sighting_is_left_out() -> None:
    def sighting(track: int, start: float, end: float, at: float) -> Sighting:
        return Sighting(track, 1.0, at, at + end - start, start, end, 1.0)

    whole, repeat = sighting(1, 0.0, 60.0, 0.0), sighting(1, 10.0, 25.0, 40.0)
    apart, other = sighting(1, 55.0, 75.0, 10.0), sighting(2, 10.0, 25.0, 0.0)
    assert without_repeats([whole, repeat, apart, other]) == [whole, apart, other]


def test_a_track_whose_place_was_told_wrongly_at_first_is_told_once() -> None:
    answers = [
        Match(1, 0.92, 5.0, 9.0, 6.0, 10.0, 1.0, Evidence()),
        Match(1, 0.99, 9.0, 18.0, 1.0, 10.0, 1.0, Evidence()),
    ]
    monitor = Monitor(lambda clip, expected: answers[:1] and [answers.pop(0)], RATE)
    told = monitor.push(np.zeros(15 * RATE))
    assert [s.start for s in told] == [5.0]
    assert [(s.start, s.end) for s in monitor.finish()] == [(9.0, 18.0)]
