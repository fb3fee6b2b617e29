"""Widening, exact rescoring, likes and unlikes, and fusion of encoders, on rows given by hand."""

from __future__ import annotations

import numpy as np
import pytest

from earmark.encoders import FITTED_TRACKS
from earmark.errors import QueryError
from earmark.library import overview, searching
from earmark.library.answers import answer
from earmark.library.probes import encode_audio
from earmark.library.questions import Question
from earmark.library.searching import Options, Weighted, search_probes, search_rows, thin
from earmark.moments import Moment, format_time, parse_moment, parse_time
from earmark.stores import open_store
from earmark.types import AudioInfo, Clip, Encoded, EncoderSpec, RowSpec, TrackRecord

RATE = 1000
INFO = AudioInfo(60.0, RATE, 1, "pcm", "wav")


def make_spec(name: str, rate: int = RATE) -> EncoderSpec:
    return EncoderSpec(name, "toy", RowSpec("float32", 2, "l2"), rate, 1.0, 1.0, "1")


class Words:
    """Encodes a window to its first two samples, a text to the place that it names."""

    def __init__(self, name: str, rate: int = RATE) -> None:
        self.spec = make_spec(name, rate)

    def encode(self, windows):
        return np.ascontiguousarray(windows[:, :2])

    def encode_text(self, texts):
        return np.array([[float(n) for n in text.split()] for text in texts], np.float32)


class Humming(Words):
    """Encodes a query to one row for all of it."""

    def encode_query(self, clip):
        row = clip.samples[None, :2]
        return Encoded(row, np.array([[clip.start, clip.start + clip.duration]]))


class Plain:
    """Without any capability."""

    def __init__(self, name: str) -> None:
        self.spec = make_spec(name)

    def encode(self, windows):
        return np.ascontiguousarray(windows[:, :2])


def rows_at(*points) -> Encoded:
    rows = np.array(points, np.float32).reshape(-1, 2)
    times = np.arange(len(rows))[:, None] + np.array([[0.0, 1.0]])
    return Encoded(rows, times)


def fill(folder, **encoders):
    """A store of tracks 1, 2, ...: for each encoder a list of the rows of each track."""
    store = open_store(str(folder / "library"), create=True)
    with store.writer() as writer:
        for name in encoders:
            writer.put_encoder(make_spec(name), {})
        for number, rows in enumerate(zip(*encoders.values(), strict=True), start=1):
            record = TrackRecord(f"/t/{number}.wav", f"h{number}", 1, 1, INFO, f"title {number}")
            encoded = {n: rows_at(*r) for n, r in zip(encoders, rows, strict=True)}
            assert writer.put_track(record, encoded) == number
        writer.commit()
    return store


@pytest.fixture
def line(tmp_path):
    """Forty tracks on a line, track n at (n, 0)."""
    store = fill(tmp_path, toy=[[(n, 0)] for n in range(1, 41)])
    yield store
    store.close()


def tracks(matches) -> list[int]:
    return [m.track for m in matches]


# --- one probe ---------------------------------------------------------------------------------


def test_nearest_tracks(line):
    found = search_rows(line, make_spec("toy"), rows_at((3.2, 0)), Options(k=3))
    assert tracks(found) == [3, 4, 2]
    assert found[0].distance == pytest.approx(0.2, abs=1e-4)


def test_many_near_rows_in_one_track_do_not_hide_the_others(tmp_path, monkeypatch):
    store = fill(tmp_path, toy=[[(0, i / 1000) for i in range(300)], [(1, 0)], [(2, 0)]])
    asked = []
    real = store.search
    monkeypatch.setattr(
        store, "search", lambda *a, **k: asked.append(a[2]) or real(*a, **k), raising=False
    )
    found = search_rows(store, make_spec("toy"), rows_at((0, 0)), Options(k=3))
    assert tracks(found) == [1, 2, 3]
    assert len(asked) > 1
    store.close()


def test_distances_of_several_rows_are_exact(tmp_path):
    # Track 1 is near to both rows, but so many others are nearer to each one of them that only
    # its exact distance tells.
    near_first = [[(0.0, i / 10_000), (0, 500)] for i in range(100)]
    near_second = [[(100.0, i / 10_000), (0, 900)] for i in range(100)]
    store = fill(tmp_path, toy=[[(0, 1), (100, 1)], *near_first, *near_second])
    probe = rows_at((0, 0), (100, 0))
    found = search_rows(store, make_spec("toy"), probe, Options(k=1, prefer=frozenset({1})))
    assert tracks(found) == [1]
    assert found[0].distance == pytest.approx(1.0)
    store.close()


def test_the_limit_of_rescoring_loses_no_track(line, monkeypatch):
    monkeypatch.setattr(searching, "MAX_RESCORED_ROWS", 2)
    probe = rows_at((5, 0), (5, 0.5))
    found = search_rows(line, make_spec("toy"), probe, Options(k=6))
    assert sorted(tracks(found)) == [3, 4, 5, 6, 7, 8] or len(set(tracks(found))) == 6
    assert tracks(found)[0] == 5


def test_filters_and_exclusions(line):
    few = np.array([1, 5, 9], np.int64)
    options = Options(k=2, tracks=few, exclude=frozenset({5}), prefer=frozenset({5, 7}))
    assert tracks(search_rows(line, make_spec("toy"), rows_at((5, 0)), options)) == [1, 9]
    none = Options(k=2, tracks=np.zeros(0, np.int64))
    assert search_rows(line, make_spec("toy"), rows_at((5, 0)), none) == []
    assert search_rows(line, make_spec("toy"), rows_at(), Options(k=2)) == []


def test_thin_keeps_the_ends():
    encoded = rows_at(*[(i, 0) for i in range(1000)])
    few = thin(encoded, 10)
    assert len(few.rows) == len(few.segments) == 10
    assert (few.rows[0, 0], few.rows[-1, 0]) == (0, 999)
    assert few.segments[-1, 0] == 999
    assert thin(encoded, 1000) is encoded


# --- several probes ----------------------------------------------------------------------------


def test_likes_meet_in_the_middle(line):
    liked = [rows_at((10, 0)), rows_at((14, 0))]
    found = search_probes(line, make_spec("toy"), [Weighted(p) for p in liked], [], Options(k=40))
    # 1 / (1 + d) is convex: the ends themselves score best, then what lies between.
    assert set(tracks(found)[:2]) == {10, 14}
    for match in found:
        expected = np.mean([1 / (1 + abs(match.track - x)) for x in (10, 14)])
        assert match.score == pytest.approx(expected)


def test_unlikes_push_away(line):
    spec = make_spec("toy")
    found = search_probes(
        line, spec, [Weighted(rows_at((10, 0)))], [Weighted(rows_at((11, 0)))], Options(k=40)
    )
    for match in found:
        expected = 1 / (1 + abs(match.track - 10)) - 1 / (1 + abs(match.track - 11))
        assert match.score == pytest.approx(expected)
    assert tracks(found)[:2] == [10, 9]
    assert tracks(found)[-1] == 11


# --- a second form to rank by ------------------------------------------------------------------


TWO_FORMS = EncoderSpec(
    name="both",
    kind="toy",
    rows=RowSpec("bits", 8, "hamming"),
    sample_rate=RATE,
    window=1.0,
    hop=1.0,
    revision="1",
    refine=RowSpec("float32", 2, "cosine"),
)


def at_angles(*degrees: float, code: int = 0) -> Encoded:
    """Rows that all have one code, and directions of the plane."""
    angles = np.radians(degrees)
    refine = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    times = np.arange(len(refine))[:, None] + np.array([[0.0, 1.0]])
    return Encoded(np.full((len(refine), 1), code, np.uint8), times, refine)


@pytest.fixture
def turned(tmp_path):
    """Ten tracks; the code of track n is far from 0 if it is near in angle, 10 n degrees."""
    store = open_store(str(tmp_path / "library"), create=True)
    with store.writer() as writer:
        writer.put_encoder(TWO_FORMS, {})
        for n in range(1, 11):
            record = TrackRecord(f"/t/{n}.wav", f"h{n}", 1, 1, INFO)
            encoded = at_angles(10.0 * n, 10.0 * n, code=(1 << max(0, 8 - n)) - 1)
            assert writer.put_track(record, {"both": encoded}) == n
        writer.commit()
    yield store
    store.close()


@pytest.mark.parametrize("angles", [(31.0,), (31.0, 31.0)], ids=["one row", "two rows"])
def test_the_second_form_ranks_and_scores(turned, angles):
    found = search_rows(turned, TWO_FORMS, at_angles(*angles), Options(k=4))
    assert tracks(found) == [3, 4, 2, 5]
    for match in found:
        expected = np.cos(np.radians(10 * match.track - 31))
        assert match.score == pytest.approx(expected, abs=1e-5)
        assert match.distance == pytest.approx(1 - expected, abs=1e-5)


def test_likes_and_unlikes_go_by_the_second_form(turned):
    liked, unliked = at_angles(50.0), at_angles(60.0)
    found = search_probes(turned, TWO_FORMS, [Weighted(liked)], [Weighted(unliked)], Options(k=10))
    cosine = {n: [np.cos(np.radians(10 * n - a)) for a in (50, 60)] for n in range(1, 11)}
    assert {m.track: m.score for m in found} == pytest.approx(
        {n: like - unlike for n, (like, unlike) in cosine.items()}, abs=1e-5
    )
    assert tracks(found)[0] == 1


def test_stored_tracks_are_asked_with_both_forms(turned):
    hits = answer(turned, Question(like=(7,), k=3, exclude_self=True), get_encoder={}.get)
    assert [h.track.id for h in hits] == [6, 8, 5]
    assert hits[0].score == pytest.approx(np.cos(np.radians(10)), abs=1e-5)


# --- questions ---------------------------------------------------------------------------------


def ask(store, encoders, **asked):
    return answer(store, Question(**asked), get_encoder=lambda name: encoders[name])


def test_two_encoders_are_fused_by_rank(tmp_path):
    store = fill(tmp_path, one=[[(1, 0)], [(2, 0)], [(3, 0)]], two=[[(9, 0)], [(1, 0)], [(2, 0)]])
    encoders = {"one": Plain("one"), "two": Plain("two")}
    samples = np.zeros(RATE, np.float32)
    samples[0] = 1.0
    hits = ask(store, encoders, audio=(samples, RATE))
    assert [(h.track.id, dict(h.ranks)) for h in hits] == [
        (2, {"one": 2, "two": 1}),
        (1, {"one": 1, "two": 3}),
        (3, {"one": 3, "two": 2}),
    ]
    assert hits[0].by == "one+two"
    only = ask(store, encoders, audio=(samples, RATE), by=("two",))
    assert [h.track.id for h in only] == [2, 3, 1]
    assert only[0].score == 1.0
    store.close()


def test_encoders_that_understand_text(tmp_path):
    store = fill(tmp_path, words=[[(1, 1)], [(5, 5)], [(9, 9)]])
    encoders = {"words": Words("words")}
    hits = ask(store, encoders, text="5 6", by=("toy",))
    assert [h.track.id for h in hits] == [2, 3, 1]
    assert hits[0].by == "words"
    assert (hits[0].start, hits[0].query_start) == (0.0, None)
    # Words of the metadata besides: rank 1 for track 3 there.
    fused = ask(store, encoders, text="9 9")
    assert {h.by for h in fused} <= {"words", "words+metadata", "metadata+words", "metadata"}
    with pytest.raises(QueryError, match="understands words"):
        ask(store, {"words": Plain("words")}, text="5 6", by=("words",))
    store.close()


def test_text_and_recording_with_one_encoder_are_two_rankings(tmp_path):
    store = fill(tmp_path, words=[[(1, 1)], [(5, 5)]])
    samples = np.ones(RATE, np.float32)
    hits = ask(store, {"words": Words("words")}, text="5 5", audio=(samples, RATE), by=("words",))
    assert {tuple(sorted(h.ranks)) for h in hits} == {("words", "words/text")}
    store.close()


def test_queries_that_are_encoded_differently(tmp_path):
    import audio_factory as af

    samples = np.full(8000 * 3, 0.25, np.float32)
    path = str(af.write_wav(tmp_path / "a.wav", samples, 8000, subtype="FLOAT"))
    encoders = {"hum": Humming("hum", 8000), "win": Words("win", 8000)}
    both = encode_audio(Moment(path, 1.0), encoders)
    assert both["hum"].segments.tolist() == [[1.0, 3.0]]
    assert both["win"].segments.tolist() == [[1.0, 2.0], [2.0, 3.0]]
    clip = encode_audio(Clip(samples, 8000, start=4.0), encoders)
    assert clip["hum"].segments.tolist() == [[4.0, 7.0]]
    assert clip["win"].segments[0].tolist() == [4.0, 5.0]


def test_a_file_is_decoded_once(tmp_path, monkeypatch):
    import audio_factory as af
    from earmark import audio

    path = str(af.write_wav(tmp_path / "a.wav", af.tone(seconds=2.0)))
    opened = []
    real = audio.decode
    monkeypatch.setattr(audio, "decode", lambda *a, **k: opened.append(k) or real(*a, **k))
    encode_audio(path, {"a": Words("a", 8000), "b": Words("b", 16000), "c": Humming("c", 8000)})
    assert [call["sample_rates"] for call in opened] == [[8000, 16000]]


# --- advice, times -----------------------------------------------------------------------------


def test_info_says_what_has_outgrown_its_fit(line, monkeypatch):
    assert overview.info(line)["advice"] == []
    for fitted, advised in ((9, True), (10, False)):
        state = {FITTED_TRACKS: np.array([fitted])}
        monkeypatch.setattr(type(line), "state", lambda *_, s=state: s)
        advice = overview.info(line)["advice"]
        assert any("rebuild --fit toy" in text for text in advice) == advised


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90.0), ("1:30", 90.0), ("1:00:01.5", 3601.5), (".5", 0.5), ("7.", 7.0)],
)
def test_times(text, seconds):
    assert parse_time(text) == seconds


@pytest.mark.parametrize("text", ["", "a", "1:", ":5", "1:2:3:4", "-3", "1e3", "1:-2"])
def test_times_that_are_none(text):
    with pytest.raises(QueryError, match="a time must be"):
        parse_time(text)


def test_moments():
    assert parse_moment("a.wav") == Moment("a.wav")
    assert parse_moment("a.wav#5-") == Moment("a.wav", 5.0)
    assert parse_moment("a.wav#-1:05") == Moment("a.wav", 0.0, 65.0)
    assert parse_moment("p.zip!/a#1.wav#2-3") == Moment("p.zip!/a#1.wav", 2.0, 3.0)
    assert parse_moment("take #3-final.wav") == Moment("take #3-final.wav")
    assert parse_moment("a#-") == Moment("a#-")
    with pytest.raises(QueryError, match="end after its start"):
        parse_moment("a.wav#3-3")


def test_a_file_whose_name_ends_like_a_moment(tmp_path):
    from earmark.library.probes import as_moment

    odd = tmp_path / "take#1-2"
    assert as_moment(str(odd)) == Moment(str(tmp_path / "take"), 1.0, 2.0)
    odd.write_bytes(b"")
    assert as_moment(str(odd)) == Moment(str(odd))


def test_formatted_times():
    assert [format_time(s) for s in (0, 59.99, 60, 3599, 3600)] == [
        "0:00",
        "0:59",
        "1:00",
        "59:59",
        "1:00:00",
    ]


def test_short_tracks_are_read_together_and_long_ones_in_parts(tmp_path, monkeypatch):
    rng = np.random.default_rng(4)
    store = open_store(str(tmp_path / "lib"), create=True)
    spec = make_spec("near")
    with store.writer() as writer:
        writer.put_encoder(spec, {})
        for number in range(12):
            points = rows_at(*rng.normal(size=(int(rng.integers(1, 9)), 2)))
            name = f"/{number}.wav"
            writer.put_track(TrackRecord(name, f"{number:040x}", 1, 1, INFO), {"near": points})
        writer.commit()
    probe = rows_at(*rng.normal(size=(3, 2)))

    def matches(at_once: int):
        monkeypatch.setattr(searching, "_ROWS_AT_ONCE", at_once)
        return [
            (m.track, m.score, m.start, m.end)
            for m in search_rows(store, spec, probe, Options(k=12))
        ]

    slow = matches(1)
    assert len(slow) == 12
    assert matches(5) == slow
    assert matches(4096) == slow
