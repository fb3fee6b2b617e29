"""From rows to answers: the right track and place, other speeds, and no match."""

from __future__ import annotations

import numpy as np
import pytest

from earmark import framing
from earmark.encoders.spectral import Spectral
from earmark.identify import matching
from earmark.identify.confidence import (
    BOTH,
    Calibration,
    Evidence,
    features,
    margin,
    usual,
    variety,
)
from earmark.identify.matching import identify
from earmark.identify.query_codes import QueryCodes, at_speed, split_codes
from earmark.identify.rivals import rival_weights
from earmark.identify.rows import MemoryRows
from earmark.spectral_code import band_levels, load_directions, pack, project
from earmark.types import Clip, Encoded

RATE = 8000
NO_ROWS = Encoded(np.zeros((0, 1), np.float32), np.zeros((0, 2)))


def music(seconds: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    out = np.zeros(int(seconds * RATE))
    for start in range(0, len(out), 2000):
        t = np.arange(min(6000, len(out) - start)) / RATE
        for _ in range(2):
            f = 196.0 * 2.0 ** (rng.integers(0, 30) / 12)
            for h in range(1, 6):
                wave = np.sin(2 * np.pi * f * h * t) / h * np.exp(-3 * t)
                out[start : start + len(t)] += wave
    return (out * 0.05).astype(np.float32)


@pytest.fixture(scope="module")
def songs() -> list[np.ndarray]:
    return [music(40.0, seed) for seed in range(8)]


@pytest.fixture(scope="module")
def code_rows(songs) -> MemoryRows:
    encoded = [framing.encode_clip(Spectral(), Clip(song, RATE)) for song in songs]
    return MemoryRows([(e.segments.mean(axis=1), e.rows) for e in encoded])


def vectors_of(songs: list[np.ndarray]) -> tuple[MemoryRows, object]:
    pytest.importorskip("onnxruntime")
    from earmark.encoders.fingerprint import Fingerprint

    encoder = Fingerprint()
    encoded = [framing.encode_clip(encoder, Clip(song, RATE)) for song in songs]
    return MemoryRows([(e.segments.mean(axis=1), e.rows) for e in encoded]), encoder


def noisy(samples: np.ndarray, snr_db: float) -> np.ndarray:
    noise = np.random.default_rng(9).standard_normal(len(samples))
    return (samples + samples.std() * 10 ** (-snr_db / 20) * noise).astype(np.float32)


def test_codes_alone_find_track_and_place(songs, code_rows) -> None:
    query = noisy(songs[5][100_000:140_000], 3.0)
    codes = QueryCodes(Clip(query, RATE), load_directions())
    best = identify(NO_ROWS, codes, None, code_rows)[0]
    assert best.track == 5
    assert best.start - best.speed * best.query_start == pytest.approx(12.5, abs=0.1)
    assert best.query_end <= 5.6


def test_vectors_and_codes_find_track_and_place(songs, code_rows) -> None:
    vectors, encoder = vectors_of(songs)
    query = Clip(noisy(songs[2][60_000:100_000], 3.0), RATE)
    encoded = framing.encode_query(encoder, query)
    codes = QueryCodes(query, load_directions())
    best = identify(encoded, codes, vectors, code_rows)[0]
    assert best.track == 2
    assert best.evidence.vectors > 0
    assert best.evidence.codes > 0
    assert best.start - best.speed * best.query_start == pytest.approx(7.5, abs=0.15)


@pytest.mark.parametrize("speed", [0.96, 1.04])
def test_another_speed_is_found_and_named(songs, code_rows, speed: float) -> None:
    soxr = pytest.importorskip("soxr")
    vectors, encoder = vectors_of(songs)
    part = songs[3][80_000:144_000]
    query = Clip(soxr.resample(part, 1000 * speed, 1000).astype(np.float32), RATE)
    found = identify(
        framing.encode_query(encoder, query),
        QueryCodes(query, load_directions()),
        vectors,
        code_rows,
    )
    assert found[0].track == 3
    assert found[0].speed == pytest.approx(speed, abs=0.0101)


def test_codes_of_a_query_at_another_speed_are_the_tracks_codes(songs) -> None:
    soxr = pytest.importorskip("soxr")
    directions = load_directions()
    part = songs[0][:64_000]
    fast = soxr.resample(part, 1050, 1000).astype(np.float32)
    times, projections = QueryCodes(Clip(fast, RATE), directions).at(1.05)
    own = project(band_levels(part, directions.front), directions)
    own_times = (np.arange(len(own)) * 1000 + directions.front.reach / 2) / RATE
    nearest = np.abs(own_times[:, None] - times[None] * 1.05).argmin(axis=1)
    inside = np.abs(own_times - times[nearest] * 1.05) < 0.02
    assert inside.mean() > 0.9
    agree = np.mean((projections[nearest] > 0)[inside] == (own > 0)[inside])
    assert agree > 0.9


def test_rows_of_a_query_are_made_like_a_tracks(songs) -> None:
    directions = load_directions()
    codes = QueryCodes(Clip(songs[0][:64_000], RATE), directions)
    times, rows = codes.rows(1.0, 4, 16)
    track = framing.encode_clip(Spectral(), Clip(songs[0][:64_000], RATE))
    np.testing.assert_array_equal(rows, track.rows[: len(rows)])
    np.testing.assert_allclose(times, track.segments.mean(axis=1)[: len(rows)])


def test_codes_taken_apart_have_their_times(songs) -> None:
    directions = load_directions()
    samples = songs[0][:64_000]
    track = framing.encode_clip(Spectral(), Clip(samples, RATE))
    times, codes = split_codes(track.segments[:3].mean(axis=1), track.rows[:3])
    whole = pack(project(band_levels(samples, directions.front), directions))
    np.testing.assert_array_equal(codes, whole[:12])
    np.testing.assert_allclose(times, np.arange(12) * 0.125 + directions.front.reach / RATE / 2)


def test_what_is_in_no_track_has_little_confidence(songs, code_rows) -> None:
    for seed in range(20, 26):
        query = QueryCodes(Clip(music(5.0, seed), RATE), load_directions())
        found = identify(NO_ROWS, query, None, code_rows)
        assert all(match.confidence < 0.5 for match in found)


@pytest.mark.parametrize("samples", [0, 2400])
def test_too_little_sound_is_no_match(code_rows, samples: int) -> None:
    query = QueryCodes(Clip(music(1.0, 1)[:samples], RATE), load_directions())
    assert identify(NO_ROWS, query, None, code_rows) == []


def test_one_match_of_each_track_best_first(songs, code_rows) -> None:
    query = QueryCodes(Clip(songs[1][:48_000], RATE), load_directions())
    found = identify(NO_ROWS, query, None, code_rows)
    assert len({match.track for match in found}) == len(found)
    assert found == sorted(found, key=lambda match: -match.confidence)


def test_more_evidence_means_more_confidence_and_more_rows_less() -> None:
    calibration = BOTH
    little, much = (
        Evidence(e, e / 2, e, e / 2, 4.0, 8.0, margin(1.5 * e, usual(5.0, 4.0, 8.0)))
        for e in (1.0, 4.0)
    )

    def sure(evidence: Evidence, rows: int, seconds: float) -> float:
        return calibration.confidence(evidence, rows=rows, seconds=seconds)

    assert sure(little, 10_000, 5.0) < sure(much, 10_000, 5.0)
    assert sure(much, 10**7, 5.0) < sure(much, 10**4, 5.0)


def test_a_drone_is_no_proof_and_neither_is_what_rivals_have() -> None:
    def sure(*evidence: float, seconds: float = 10.0) -> float:
        return BOTH.confidence(Evidence(*evidence), rows=100_000, seconds=seconds)

    everywhere_alike = sure(10.0, 5.0, 0.4, 0.4, 1.5, 2.0, 0.2)
    only_here = sure(10.0, 5.0, 9.0, 4.5, 6.0, 9.0, 0.7)
    assert everywhere_alike < 0.1 < 0.9 < only_here
    assert sure(2.0, 8.0, 2.0, 8.0, 6.0, 9.0, 0.7) > 0.7, "vectors drowned, codes clear"
    assert sure(10.0, 5.0, 9.0, 4.5, 1.2, 1.5, 0.1) < 0.1, "the same click again and again"
    rivals, alone = (sure(3.0, 2.0, 3.0, 2.0, 4.0, 7.0, m, seconds=5.0) for m in (0.1, 0.7))
    assert rivals < 0.1 < 0.9 < alone


def test_chance_has_a_freer_hand_with_the_same_again_and_again() -> None:
    assert usual(5.0, 4.0, 8.0) < usual(5.0, 1.2, 2.0) < usual(10.0, 1.2, 2.0)
    assert usual(5.0, 4.0, 0.0) + usual(5.0, 0.0, 8.0) == pytest.approx(usual(5.0, 4.0, 8.0))
    # What a tone has in common with a tone, everywhere, is no more than usual.
    drone = Evidence(10.0, 5.0, 0.4, 0.4)
    assert margin(drone.weight, usual(10.0, 1.0, 1.0)) < 0.0


def test_weights_lie_between_those_of_the_lengths_beside() -> None:
    ends = Calibration(
        (1.0, 4.0), ((1.0, 0.0, 0.0, 0.0, 2.0, -4.0), (3.0, 0.0, 0.0, 0.0, 0.0, 0.0))
    )
    np.testing.assert_allclose(ends.weights_of(2.0), [2.0, 0.0, 0.0, 0.0, 1.0, -2.0])
    np.testing.assert_allclose(ends.weights_of(0.5), ends.weights[0])
    np.testing.assert_allclose(ends.weights_of(9.0), ends.weights[1])


def test_what_the_regression_sees() -> None:
    e = np.e
    seen = features(np.array([[6.0, 8.0, 2.0, 8.0, 1.0, e, 0.4]]), np.array([10.0]))
    np.testing.assert_allclose(seen, [[0.3, 0.8, 0.0, 0.8, 0.4]])
    seen = features(np.array([[6.0, 8.0, 6.0, 8.0, e, 1.0, 0.4]]), np.array([5.0]))
    np.testing.assert_allclose(seen, [[1.2, 1.6, 1.2, 0.0, 0.4]])
    # A query of 40 s counts as one of 30: half as much each second weighs 0.87.
    seen = features(np.array([[20.0, 0.0, 20.0, 0.0, 1.0, 1.0, 0.0]]), np.array([40.0]))
    np.testing.assert_allclose(seen[0, 0], 0.5 * np.sqrt(3.0))


def test_variety_counts_rows_that_differ() -> None:
    assert variety(np.zeros((0, 4), np.float32)) == 1.0
    assert variety(np.ones((7, 4), np.float32)) == pytest.approx(1.0)
    assert variety(np.eye(5, dtype=np.float32) * 3.0) == pytest.approx(5.0)
    pairs = np.repeat(np.eye(3, dtype=np.float32), 4, axis=0)
    assert variety(pairs) == pytest.approx(3.0)


def test_the_third_rival_counts_and_copies_do_not() -> None:
    def rivals(weights: list[float], copies: tuple[int, ...] = (), least: float = 1.0):
        return rival_weights(weights, lambda p: p in copies, least=[least] * len(weights))

    weights = [10.0, 9.0, 8.5, 8.0, 7.0, 2.0]
    assert rivals(weights) == [8.0, 7.0, 2.0, 1.0, 1.0, 1.0]
    # A copy has the rivals of the first: those that are no copies.
    assert rivals(weights, (1, 2)) == [2.0, 2.0, 2.0, 1.0, 1.0, 1.0]
    assert rivals(weights, least=9.5)[0] == 9.5
    assert rivals([10.0]) == [1.0]
    assert rivals([]) == []
    asked: list[int] = []
    rival_weights([1.2, 1.1], lambda p: bool(asked.append(p)), least=[1.0, 1.0])
    assert asked == [], "no better than chance: nothing is compared"
    assert margin(10.0, 8.0) == pytest.approx(0.2)
    assert margin(0.0, 1.0) == 0.0
    assert margin(1.0, 5.0) == -1.0


def test_many_copies_of_a_track_are_no_rivals(songs, monkeypatch) -> None:
    """A jingle in six days of radio is certain, in which of them is not."""
    copies = [noisy(np.roll(songs[5], 777 * n), 20.0) for n in range(6)]
    rows, encoder = vectors_of([*songs[:5], *copies, *songs[6:]])
    encoded = [framing.encode_clip(Spectral(), Clip(s, RATE)) for s in (*songs[:5], *copies)]
    encoded += [framing.encode_clip(Spectral(), Clip(s, RATE)) for s in songs[6:]]
    code_rows = MemoryRows([(e.segments.mean(axis=1), e.rows) for e in encoded])
    clip = Clip(noisy(songs[5][100_000:140_000], 10.0), RATE)
    codes = QueryCodes(clip, load_directions())
    found = identify(encoder.prepare_query(clip), codes, rows, code_rows)
    assert {match.track for match in found[:4]} <= set(range(5, 11))
    assert found[0].confidence > 0.7
    # Were copies rivals, there would be no margin.
    monkeypatch.setattr(matching, "same_sound", lambda *places: False)
    found = identify(encoder.prepare_query(clip), codes, rows, code_rows, certain=2.0)
    assert found[0].evidence.margin < 0.3


@pytest.mark.parametrize("bpm", [97.0, 163.0])
def test_a_metronome_is_in_no_drum_loop(bpm) -> None:
    rng = np.random.default_rng(3)
    loops = [drums(40.0, tempo, rng) for tempo in (60, 80, 90, 100, 110, 120, 128, 140, 160, 174)]
    rows, encoder = vectors_of(loops)
    encoded = [framing.encode_clip(Spectral(), Clip(loop, RATE)) for loop in loops]
    code_rows = MemoryRows([(e.segments.mean(axis=1), e.rows) for e in encoded])
    for seconds in (5, 10):
        clicks = drums(float(seconds), bpm, rng, hits=(4,))
        clip = Clip(clicks, RATE)
        codes = QueryCodes(clip, load_directions())
        found = identify(encoder.prepare_query(clip), codes, rows, code_rows)
        assert not found or found[0].confidence < 0.7


def drums(
    seconds: float, bpm: float, rng: np.random.Generator, hits: tuple[int, ...] = (4, 8, 2)
) -> np.ndarray:
    """Bursts of noise on every so manyth sixteenth."""
    out = np.zeros(int(seconds * RATE) + RATE)
    for each in hits:
        decay = rng.uniform(15.0, 80.0)
        burst = rng.standard_normal(RATE // 4) * np.exp(-np.arange(RATE // 4) / RATE * decay)
        for number in range(0, int(seconds * bpm / 15.0), each):
            at = int(number * 15.0 / bpm * RATE)
            out[at : at + len(burst)] += burst
    return (0.2 * out[: int(seconds * RATE)]).astype(np.float32)


def test_codes_at_another_speed_are_those_of_the_stretched_sound(songs) -> None:
    """The slow twin: resample first, then the spectrum."""
    directions = load_directions()
    fast = songs[0][:80_000]
    for speed in (0.96, 1.03):
        times, ours = QueryCodes(Clip(fast, RATE), directions).at(speed)
        stretched = at_speed(fast, speed)
        twin = project(band_levels(stretched, directions.front), directions)
        middles = (np.arange(len(twin)) * 1000 + directions.front.reach / 2) / RATE / speed
        nearest = np.abs(middles[:, None] - times[None]).argmin(axis=1)
        near = np.abs(middles - times[nearest]) < 0.01
        same = (ours[nearest][near] > 0) == (twin[near] > 0)
        assert near.sum() > 20
        assert same.mean() > 0.93
