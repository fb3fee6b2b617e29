"""Weights by the kind of sound, the correction of hubs, and both in searches and evaluations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import earmark
from earmark import fusing
from earmark.errors import QueryError
from earmark.evaluate import retrieval
from earmark.library.hubs import Hubs
from earmark.match import TrackMatch
from earmark.stores import open_store
from earmark.types import AudioInfo, Encoded, EncoderSpec, Label, RowSpec, TrackRecord

INFO = AudioInfo(1.0, 8000, 1, "pcm", "wav")
MEANS = EncoderSpec("means", "similar", RowSpec("float32", 8, "cosine"), 8000, 1.0, 1.0, "1")
COLOUR = EncoderSpec("colour", "timbre", RowSpec("float32", 8, "cosine"), 8000, 1.0, 1.0, "1")


def encoded(row: np.ndarray, *, music: float = 0.0) -> Encoded:
    labels = (Label("Music", music, np.array([[0.0, 1.0, music]])),) if music else ()
    return Encoded(row[None].astype(np.float32), np.array([[0.0, 1.0]]), labels=labels)


@pytest.fixture
def store(tmp_path: Path):
    """Meaning goes by pairs (0 and 1, 2 and 3, ...), colour by halves; evens are musical."""
    rng = np.random.default_rng(0)
    made = open_store(str(tmp_path / "library"), create=True)
    pairs = rng.normal(size=(10, 8))
    halves = rng.normal(size=(2, 8))
    with made.writer() as writer:
        writer.put_encoder(MEANS, {})
        writer.put_encoder(COLOUR, {})
        for n in range(20):
            rows = {
                "means": encoded(
                    pairs[n // 2] + 0.05 * rng.normal(size=8), music=0.8 if n // 10 else 0.0
                ),
                "colour": encoded(halves[n % 2] + 0.05 * rng.normal(size=8)),
            }
            writer.put_track(TrackRecord(f"/t/{n}.wav", f"h{n}", 1, 1, INFO), rows)
        writer.commit()
    yield made
    made.close()


def test_the_kind_of_query_is_told_by_its_labels():
    assert fusing.task_of(None, 1.0) == "unknown"
    assert fusing.task_of({}, 1.0) == "sounds"
    assert fusing.task_of({"Musical instrument": 0.4}, 1.0) == "notes"
    assert fusing.task_of({"Music": 0.4}, 60.0) == "music"


def test_weights_are_those_of_kinds_and_one_alone_counts_whole():
    both = {"means": MEANS, "colour": COLOUR}
    sounds = fusing.weights_for(both, "sounds")
    assert sounds["means"] == 1.0
    assert sounds["colour"] == fusing.WEIGHTS["sounds"]["timbre"] < 0.5
    assert fusing.weights_for({"colour": COLOUR}, "sounds") == {"colour": 1.0}
    assert fusing.weights_for({}, "sounds") == {}


def test_noises_are_found_by_meaning_notes_by_both(store):
    with earmark.open(store.folder) as lib:
        noise = lib.search(like=1, exclude_self=True, k=5)
        assert noise[0].track.id == 2  # its pair, though of the other colour
        weights = {
            task: [hit.ranks for hit in lib.search(like=track, exclude_self=True, k=5)]
            for task, track in (("sounds", 1), ("notes", 15))
        }
        assert all(set(ranks) == {"means", "colour"} for ranks in weights["sounds"])
        note = lib.search(like=15, exclude_self=True, k=5)
        by_colour = [hit for hit in note if hit.track.id % 2 == 1]
        assert len(by_colour) > len([hit for hit in noise if hit.track.id % 2 == 1])


def test_one_encoder_alone_keeps_its_scores(store):
    with earmark.open(store.folder) as lib:
        hits = lib.search(like=1, by="means", k=3)
        assert hits[0].score == pytest.approx(1.0, abs=1e-3)
        assert [hit.by for hit in hits] == ["means"] * 3


# --- hubs ---------------------------------------------------------------------------------------


def test_unknown_hubs_count_as_the_mean():
    away = fusing.without_hubs(np.array([0.5, 0.5, 0.5]), np.array([0.2, np.nan, 0.4]))
    share = fusing.HUB_SHARE
    assert away.tolist() == pytest.approx([0.5 - 0.2 * share, 0.5 - 0.3 * share, 0.5 - 0.4 * share])


def test_near_is_the_mean_score_of_the_nearest_other_tracks(store):
    near = Hubs().near(store, MEANS, [1, 2])
    rows = np.concatenate([store.vectors("means", store.keys("means", t)) for t in range(1, 21)])
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    for place, value in enumerate(near):
        cosines = np.sort(np.delete(rows @ rows[place], place))[::-1]
        assert value == pytest.approx(cosines[: fusing.HUB_NEAREST].mean(), abs=2e-3)


def test_a_hub_gives_way_to_what_is_near_to_little(store):
    class Known(Hubs):
        def near(self, store, spec, tracks):
            return np.array([0.9, 0.1])

    matches = [TrackMatch(t, 1 - s, s, 0, 1, 0, 1) for t, s in ((1, 0.8), (2, 0.75))]
    assert [m.track for m in Known().corrected(store, MEANS, matches)] == [2, 1]
    assert [m.score for m in Known().corrected(store, MEANS, matches)] == [0.75, 0.8]


# --- evaluation ---------------------------------------------------------------------------------


def items_of(label) -> list[retrieval.Item]:
    return [retrieval.Item(f"/t/{n}.wav", label(n)) for n in range(20)]


def test_evaluation_fuses_what_is_named(store):
    pairs = items_of(lambda n: str(n // 2))
    alone = retrieval.evaluate(store, pairs, encoder="means", seed=0)
    other = retrieval.evaluate(store, pairs, encoder="colour", seed=0)
    both = retrieval.evaluate(store, pairs, encoder="means,colour", seed=0)
    named = retrieval.evaluate(store, pairs, encoder="fused", seed=0)
    assert alone.metrics["precision@1"] == 1.0
    assert other.metrics["precision@1"] < 0.5
    assert both.metrics["precision@1"] >= 0.5  # the noises by meaning alone, the notes by both
    assert named.metrics == both.metrics or set(named.encoder.split(",")) == {"means", "colour"}
    assert both.encoder == "means,colour"


def test_evaluation_refuses_encoders_that_are_not_there(store):
    with pytest.raises(QueryError, match="clap"):
        retrieval.evaluate(store, items_of(str), encoder="means,clap", seed=0)


def test_a_silent_query_finds_nothing_and_is_found_last(store):
    with store.writer() as writer:
        writer.put_track(TrackRecord("/t/still.wav", "hs", 1, 1, INFO), {})
        writer.commit()
    items = [*items_of(lambda n: str(n // 2)), retrieval.Item("/t/still.wav", "0")]
    report = retrieval.evaluate(store, items, encoder="fused", seed=0)
    assert report.silent == 1
    assert report.metrics["map"] < 1.0
