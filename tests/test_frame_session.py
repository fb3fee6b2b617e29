"""Sessions whose segments share frames: any split of the audio, the end, silence."""

from __future__ import annotations

import numpy as np
import pytest

from earmark.fingerprinting import FrontEnd, mel_magnitudes, scale_segments, segment_features
from earmark.frame_session import FrameGrid, FrameSession
from earmark.types import Encoded

FRONT = FrontEnd()
CENTRED = FrameGrid(8000, 1024, 250, 512, 32, 16)
PLAIN = FrameGrid(8000, 400, 100, 0, 5, 2)


def noise(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(n).astype(np.float32) * np.float32(0.1)


def centred(silence_peak: float = 0.0) -> FrameSession:
    return FrameSession(
        CENTRED,
        lambda frames: mel_magnitudes(frames, FRONT),
        lambda mel: scale_segments(mel, FRONT).reshape(len(mel), -1),
        empty=np.zeros((0, 256 * 32), np.float32),
        silence_peak=silence_peak,
    )


def plain(silence_peak: float = 0.0) -> FrameSession:
    """Features are a frame's sum, rows the features of a segment: easy to compute by hand."""
    return FrameSession(
        PLAIN,
        lambda frames: frames.sum(axis=1, keepdims=True),
        lambda sums: sums.reshape(len(sums), -1),
        empty=np.zeros((0, 5), np.float32),
        silence_peak=silence_peak,
    )


def run(session: FrameSession, samples: np.ndarray, pieces: list[int]) -> Encoded:
    start = 0
    for size in pieces:
        session.push(samples[start : start + size])
        start += size
    session.push(samples[start:])
    return session.finish()


def slow_plain(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    count = max(PLAIN.frames, (len(samples) - PLAIN.n_fft) // PLAIN.hop + 1)
    padded = np.pad(samples, (0, PLAIN.n_fft + PLAIN.frames * PLAIN.hop))
    sums = [padded[i * 100 : i * 100 + 400].sum() for i in range(count)]
    starts = list(range(0, count - PLAIN.frames + 1, PLAIN.step))
    if starts[-1] + PLAIN.frames < count:
        starts.append(count - PLAIN.frames)
    return np.array([sums[s : s + 5] for s in starts]), np.array(starts) * 100 / 8000


@pytest.mark.parametrize("n", [1, 399, 799, 800, 801, 900, 1000, 1099, 1100, 5000, 5050])
def test_agrees_with_the_slow_twin(n: int) -> None:
    samples = noise(n)
    rows, starts = slow_plain(samples)
    encoded = run(plain(), samples, [])
    np.testing.assert_allclose(encoded.rows, rows, atol=1e-4)
    np.testing.assert_allclose(encoded.segments[:, 0], starts)
    assert (encoded.segments[:, 1] <= n / 8000).all()


def test_agrees_with_the_features_of_a_whole_file() -> None:
    samples = noise(60_000)
    encoded = run(centred(), samples, [])
    whole = segment_features(samples, FRONT, step=16)
    np.testing.assert_allclose(encoded.rows[: len(whole)], whole.reshape(len(whole), -1), atol=1e-5)
    assert encoded.segments[-1, 1] == pytest.approx(7.5)


@pytest.mark.parametrize("seed", range(5))
def test_any_split_gives_the_same_rows(seed: int) -> None:
    rng = np.random.default_rng(seed)
    samples = noise(int(rng.integers(300_000, 400_000)))
    pieces = [int(p) for p in rng.integers(0, 60_000, 12)]
    whole, split = run(centred(), samples, []), run(centred(), samples, pieces)
    np.testing.assert_allclose(whole.rows, split.rows, atol=1e-5)
    np.testing.assert_array_equal(whole.segments, split.segments)


def test_the_end_is_covered() -> None:
    segments = run(centred(), noise(8000 * 3 + 3000), []).segments
    assert segments[-1, 1] > 27_000 / 8000 - 250 / 8000
    assert (np.diff(segments[:, 0]) > 0).all()


def test_silence_is_left_out_and_counted() -> None:
    samples = noise(8000 * 12)
    samples[8000 * 4 : 8000 * 8] = 0.0
    encoded = run(centred(1e-4), samples, [1000, 30_000])
    assert encoded.skipped == 7
    assert len(encoded.rows) == len(encoded.segments) == 23 - 7
    inside = (encoded.segments[:, 0] >= 4.0) & (encoded.segments[:, 1] <= 8.0)
    assert not inside.any()


def test_no_audio_gives_no_rows() -> None:
    encoded = centred().finish()
    assert encoded.rows.shape == (0, 256 * 32)
    assert encoded.segments.shape == (0, 2)


def test_short_audio_gives_one_padded_row() -> None:
    encoded = run(centred(), noise(2400), [])
    assert len(encoded.rows) == 1
    np.testing.assert_allclose(encoded.segments, [[0.0, 0.3]])


def test_memory_is_bounded() -> None:
    session = plain()
    for _ in range(50):
        session.push(noise(100_000))
    assert len(session._samples) < 200_000
    assert session._kept is not None
    assert len(session._kept) < 2000


def test_misuse_is_refused() -> None:
    session = plain()
    with pytest.raises(ValueError, match="float32"):
        session.push(np.zeros(10))
    session.finish()
    with pytest.raises(ValueError, match="finish"):
        session.push(noise(10))
    with pytest.raises(ValueError, match="once"):
        session.finish()
