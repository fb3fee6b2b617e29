"""From rows to answers: the right track and place, other speeds, and no match."""

from __future__ import annotations

import numpy as np
import pytest

from earmark import framing
from earmark.encoders.spectral import Spectral
from earmark.identify.confidence import BOTH, Evidence, features
from earmark.identify.matching import identify
from earmark.identify.query_codes import QueryCodes, at_speed, split_codes
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
    little, much = Evidence(1.0, 0.0, 1.0, 0.0), Evidence(4.0, 2.0, 4.0, 2.0)

    def sure(evidence: Evidence, rows: int, seconds: float) -> float:
        return calibration.confidence(evidence, rows=rows, seconds=seconds)

    assert sure(little, 10_000, 5.0) < sure(much, 10_000, 5.0)
    assert sure(much, 10**7, 5.0) < sure(much, 10**4, 5.0)
    assert sure(much, 10_000, 10.0) < sure(much, 10_000, 5.0)


def test_a_drone_is_no_proof_and_codes_above_chance_are() -> None:
    def sure(*evidence: float, seconds: float = 10.0) -> float:
        return BOTH.confidence(Evidence(*evidence), rows=100_000, seconds=seconds)

    everywhere_alike, only_here = sure(10.0, 5.0, 0.4, 0.4), sure(10.0, 5.0, 9.0, 4.5)
    assert everywhere_alike < 0.1 < 0.9 < only_here
    drowned_vectors = sure(2.0, 8.0, 2.0, 8.0)
    assert drowned_vectors > 0.7
    # The same for each second of a short query is what chance reaches.
    assert sure(0.4, 1.6, 0.4, 1.6, seconds=2.0) < 0.3


def test_what_the_regression_sees() -> None:
    seen = features(np.array([[6.0, 8.0, 2.0, 8.0]]), np.array([20.0]))
    np.testing.assert_allclose(seen, [[0.15, 0.4, 10.0, 0.0]])
    seen = features(np.array([[6.0, 8.0, 6.0, 8.0]]), np.array([10.0]))
    np.testing.assert_allclose(seen, [[0.6, 0.8, 10.0, 0.3]])


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
