"""Windows cover the audio, in bounded memory, however it comes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import twins
from earmark import framing
from earmark.errors import EncoderError, SampleRateError
from earmark.types import AnyArray, Clip, Encoded, EncoderSpec, EncodeSession, RowSpec

RATE = 1000


class Edges:
    """Rows are the first and the last sample of each window, so that they tell where it lay."""

    def __init__(self, window: int = 10, hop: int = 4, silence_peak: float = 0.0) -> None:
        self.spec = EncoderSpec(
            name="edges",
            kind="similar",
            rows=RowSpec("float32", 2, "l2"),
            sample_rate=RATE,
            window=window / RATE,
            hop=hop / RATE,
            revision="1",
            silence_peak=silence_peak,
        )
        self.batches: list[int] = []

    def encode(self, windows: AnyArray) -> AnyArray:
        self.batches.append(len(windows))
        return windows[:, [0, -1]].copy()


def ramp(n: int) -> AnyArray:
    return np.arange(1, n + 1, dtype=np.float32)


def test_frames_are_views() -> None:
    samples = ramp(7)
    frames = framing.frame(samples, 3, 2)
    assert frames.tolist() == [[1, 2, 3], [3, 4, 5], [5, 6, 7]]
    assert np.shares_memory(frames, samples)


def test_frames_of_several_rows_and_of_too_little() -> None:
    assert framing.frame(np.zeros((4, 7), np.float32), 3, 2).shape == (4, 3, 3)
    assert framing.frame(ramp(2), 3, 1).shape == (0, 3)


@pytest.mark.parametrize(("length", "hop"), [(0, 1), (1, 0), (-1, 1)])
def test_frames_of_no_length_are_refused(length: int, hop: int) -> None:
    with pytest.raises(ValueError, match="at least 1 sample"):
        framing.frame(ramp(5), length, hop)


@pytest.mark.parametrize(
    ("n", "starts"),
    [(0, []), (1, [0]), (9, [0]), (10, [0]), (11, [0, 1]), (14, [0, 4]), (15, [0, 4, 5])],
)
def test_window_starts(n: int, starts: list[int]) -> None:
    assert framing.window_starts(n, 10, 4).tolist() == starts


@given(n=st.integers(0, 300), window=st.integers(1, 40), hop=st.integers(1, 60))
def test_window_starts_agree_with_twin_and_cover(n: int, window: int, hop: int) -> None:
    starts = framing.window_starts(n, window, hop)
    assert starts.tolist() == twins.window_starts(n, window, hop)
    if n >= window:
        assert starts[-1] + window == n
    if hop <= window:
        covered = {i for s in starts for i in range(s, s + window)}
        assert covered >= set(range(n))


@pytest.mark.parametrize(("n", "window", "hop"), [(5, 0, 1), (5, 1, 0), (-1, 1, 1)])
def test_window_starts_refuses(n: int, window: int, hop: int) -> None:
    with pytest.raises(ValueError, match="must be at least"):
        framing.window_starts(n, window, hop)


@settings(max_examples=200, deadline=None)
@given(
    n=st.integers(0, 200),
    window=st.integers(1, 30),
    hop=st.integers(1, 45),
    batch=st.integers(1, 5),
    pieces=st.lists(st.integers(0, 60), max_size=8),
)
def test_session_gives_every_window_once(
    n: int, window: int, hop: int, batch: int, pieces: list[int]
) -> None:
    encoder = Edges(window, hop)
    session = framing.WindowSession(encoder, batch=batch)
    samples, at = ramp(n), 0
    for piece in [*pieces, n]:
        session.push(samples[at : at + piece])
        at += piece
    encoded = session.finish()
    starts = np.array(twins.window_starts(n, window, hop), np.int64)
    ends = np.minimum(starts + window, n)
    np.testing.assert_allclose(encoded.segments, np.stack([starts, ends], axis=1) / RATE)
    padded = np.pad(samples, (0, window))
    assert encoded.rows[:, 0].tolist() == padded[starts].tolist()
    assert encoded.rows[:, 1].tolist() == padded[starts + window - 1].tolist()
    assert max(encoder.batches, default=0) <= batch


def test_session_memory_does_not_grow() -> None:
    session = framing.WindowSession(Edges(1000, 1000), batch=4)
    held = session._buffer._samples.nbytes
    for _ in range(500):
        session.push(np.ones(777, np.float32))
    assert session._buffer._samples.nbytes == held <= 4 * 5 * 1000
    assert len(session.finish().rows) == 500 * 777 // 1000 + 1


def test_session_fills_batches() -> None:
    encoder = Edges(10, 10)
    session = framing.WindowSession(encoder, batch=8)
    session.push(ramp(10 * 80))
    session.finish()
    assert len(encoder.batches) <= 12


def test_silent_windows_are_skipped_and_counted() -> None:
    samples = np.zeros(50, np.float32)
    samples[12] = -0.5
    samples[45] = 1e-5
    session = framing.WindowSession(Edges(10, 10, silence_peak=1e-4))
    session.push(samples)
    encoded = session.finish()
    assert encoded.segments.tolist() == [[0.01, 0.02]]
    assert encoded.skipped == 4


def test_silence_gives_no_rows_of_the_right_shape() -> None:
    encoded = framing.encode_clip(Edges(silence_peak=1e-4), Clip(np.zeros(99, np.float32), RATE))
    assert encoded.rows.shape == (0, 2)
    assert encoded.rows.dtype == np.float32
    assert encoded.segments.shape == (0, 2)


def test_peaks_see_both_signs() -> None:
    windows = np.array([[0.5, -1.0], [0.25, 0.125]], np.float32)
    assert framing.peaks(windows).tolist() == [1.0, 0.25]


@pytest.mark.parametrize("bad", [np.zeros((2, 2), np.float32), np.zeros(4), np.zeros(4, np.int16)])
def test_session_refuses_other_arrays(bad: AnyArray) -> None:
    with pytest.raises(ValueError, match="float32 array of one dimension"):
        framing.WindowSession(Edges()).push(bad)


def test_session_ends_once() -> None:
    session = framing.WindowSession(Edges())
    session.finish()
    with pytest.raises(ValueError, match="only once"):
        session.finish()
    with pytest.raises(ValueError, match="after finish"):
        session.push(ramp(3))


@pytest.mark.parametrize(
    "rows", [np.zeros((1, 3), np.float32), np.zeros((2, 2), np.float32), np.zeros((1, 2))]
)
def test_rows_that_break_the_spec_are_refused(rows: AnyArray) -> None:
    encoder = Edges()
    encoder.encode = lambda windows: rows  # type: ignore[method-assign]
    with pytest.raises(EncoderError, match="'edges' must return float32 rows"):
        framing.encode_clip(encoder, Clip(ramp(10), RATE))


def test_clip_keeps_its_place_in_the_source() -> None:
    encoded = framing.encode_clip(Edges(), Clip(ramp(10), RATE, start=2.5))
    assert encoded.segments.tolist() == [[2.5, 2.51]]


def test_rate_is_checked_at_the_door() -> None:
    with pytest.raises(SampleRateError, match="at 1000 Hz, got 8000 Hz"):
        framing.encode_clip(Edges(), Clip(ramp(10), 8000))
    with pytest.raises(SampleRateError):
        framing.encode_query(Prepared(), Clip(ramp(10), 8000))


class Prepared(Edges):
    """Encodes queries, and tracks, in its own way."""

    def encode_query(self, clip: Clip) -> Encoded:
        return Encoded(np.full((1, 2), 7, np.float32), np.array([[0.0, 1.0]]))

    def session(self) -> EncodeSession:
        return framing.WindowSession(self, batch=1)


def test_capabilities_are_preferred() -> None:
    clip = Clip(ramp(10), RATE)
    assert framing.encode_query(Prepared(), clip).rows.tolist() == [[7, 7]]
    assert framing.encode_clip(Prepared(), clip).rows.tolist() == [[1, 10]]
    assert framing.encode_query(Edges(), clip).rows.tolist() == [[1, 10]]
    session = framing.open_session(Prepared())
    assert isinstance(session, framing.WindowSession)
    assert session._batch == 1


def test_a_tagger_gives_rows_and_scores_in_one_pass() -> None:
    spec = EncoderSpec(
        name="tagger",
        kind="similar",
        rows=RowSpec(ndim=1, dtype="float32", metric="l2"),
        sample_rate=100,
        window=1.0,
        hop=1.0,
        revision="1",
    )

    class Loudness:
        labels = ("quiet", "loud")

        def __init__(self) -> None:
            self.spec = spec

        def encode(self, windows: np.ndarray) -> np.ndarray:
            raise AssertionError("a tagger is asked once for both")

        def encode_tagged(self, windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            loud = np.abs(windows).max(axis=1)
            return loud[:, None], np.stack([1 - loud, loud], axis=1)

    samples = np.repeat(np.float32([0.25, 0.0, 0.75]), 100)
    encoded = framing.encode_clip(Loudness(), Clip(samples, 100, 10.0))
    assert encoded.skipped == 1
    assert encoded.rows.ravel().tolist() == [0.25, 0.75]
    assert encoded.label_scores is not None
    assert encoded.label_scores.tolist() == [[0.75, 0.25], [0.25, 0.75]]
    assert encoded.segments.tolist() == [[10.0, 11.0], [12.0, 13.0]]
