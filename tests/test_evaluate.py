"""Metrics (each: empty, malformed, perfect, golden) and the retrieval protocol."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from earmark.errors import QueryError, UnknownField, UsageError
from earmark.evaluate import metrics as m
from earmark.evaluate import retrieval
from earmark.evaluate.retrieval import evaluate, read_manifest
from earmark.stores import open_store
from earmark.types import AudioInfo, Encoded, EncoderSpec, RowSpec, TrackRecord

GOLDEN = [True, False, True, False, False, True]
ALL = {
    "precision": lambda r, **kw: m.precision_at(r, kw.get("k", 3)),
    "recall": lambda r, **kw: m.recall_at(r, kw.get("k", 3), total=kw.get("total", 3)),
    "map": lambda r, **kw: m.average_precision(r, total=kw.get("total", 3)),
    "ndcg": lambda r, **kw: m.ndcg_at(r, kw.get("k", 3), total=kw.get("total", 3)),
    "mrr": lambda r, **kw: m.reciprocal_rank(r),
}


@pytest.mark.parametrize("metric", ALL.values(), ids=ALL)
def test_empty_is_zero(metric):
    assert metric([]) == 0.0
    assert metric([], total=0) == 0.0


@pytest.mark.parametrize("metric", ALL.values(), ids=ALL)
def test_malformed_is_refused(metric):
    with pytest.raises(ValueError, match="boolean"):
        metric([0.2, 0.4])
    with pytest.raises(ValueError, match="one dimension"):
        metric(np.ones((2, 2), bool))


@pytest.mark.parametrize("name", ["precision", "recall", "ndcg"])
def test_cut_off_must_be_positive(name):
    with pytest.raises(ValueError, match="k must be at least 1"):
        ALL[name](GOLDEN, k=0)


@pytest.mark.parametrize("name", ["recall", "map", "ndcg"])
def test_total_must_count_all(name):
    with pytest.raises(ValueError, match="total must count all"):
        ALL[name](GOLDEN, total=2)


@pytest.mark.parametrize("metric", ALL.values(), ids=ALL)
def test_perfect_is_one(metric):
    assert metric([True, True, True, False]) == 1.0
    assert metric(np.array([True, True, True])) == 1.0


def test_golden():
    # By hand, from the definitions.
    assert m.precision_at(GOLDEN, 4) == 0.5
    assert m.precision_at(GOLDEN, 10) == 0.3
    assert m.recall_at(GOLDEN, 3, total=4) == 0.5
    assert m.average_precision(GOLDEN, total=4) == pytest.approx((1 + 2 / 3 + 3 / 6) / 4)
    ideal = 1 + 1 / math.log2(3) + 1 / 2 + 1 / math.log2(5)
    gain = 1 + 1 / 2 + 1 / math.log2(7)
    assert m.ndcg_at(GOLDEN, 10, total=4) == pytest.approx(gain / ideal)
    assert m.reciprocal_rank([False, False, True]) == pytest.approx(1 / 3)


def test_bootstrap():
    assert m.bootstrap_interval([], seed=1) == (0.0, 0.0)
    assert m.bootstrap_interval([0.5] * 9, seed=1) == (0.5, 0.5)
    values = np.random.default_rng(0).random(400)
    low, high = m.bootstrap_interval(values, seed=1)
    # The normal approximation holds for 400 values.
    half = 1.96 * values.std() / 20
    assert low == pytest.approx(values.mean() - half, abs=0.01)
    assert high == pytest.approx(values.mean() + half, abs=0.01)
    assert (low, high) == m.bootstrap_interval(values, seed=1)
    with pytest.raises(ValueError, match="level"):
        m.bootstrap_interval([1.0], seed=0, level=1.0)


# --- retrieval ---------------------------------------------------------------------------------


SPEC = EncoderSpec(
    name="toy",
    kind="similar",
    rows=RowSpec("float32", 2, "l2"),
    sample_rate=8000,
    window=1.0,
    hop=1.0,
    revision="1",
)


def make_library(folder, tracks):
    """A store with rows given by hand: {file name: rows}; and a manifest's folder."""
    store = open_store(str(folder / "library"), create=True)
    info = AudioInfo(1.0, 8000, 1, "pcm", "wav")
    with store.writer() as writer:
        writer.put_encoder(SPEC, {})
        for name, rows in tracks.items():
            rows = np.asarray(rows, np.float32).reshape(-1, 2)
            times = np.arange(2.0 * len(rows)).reshape(-1, 2)
            record = TrackRecord(str(folder / name), name, 1, 1, info)
            writer.put_track(record, {"toy": Encoded(rows, times)})
        writer.commit()
    return store


def measure(folder, tracks, lines, **options):
    manifest = folder / "manifest.csv"
    manifest.write_text("\n".join(lines) + "\n")
    where = options.pop("where", None)
    store = make_library(folder, tracks)
    try:
        return evaluate(store, read_manifest(manifest, where=where), seed=0, **options)
    finally:
        store.close()


CLUSTERS = {"a1": [0, 0], "a2": [0, 1], "b1": [9, 9], "b2": [9, 8]}
LINES = ["path,label", "a1,a", "a2,a", "b1,b", "b2,b"]


def test_perfect_clusters_score_one(tmp_path):
    report = measure(tmp_path, CLUSTERS, LINES)
    document = report.to_json()
    for name in ("precision@1", "recall@10", "map", "ndcg@10"):
        assert document[name] == 1.0
    # One relevant track, ten ranks.
    assert document["precision@10"] == pytest.approx(0.1)
    assert document["encoder"] == "toy"
    assert (document["library_size"], document["queries"], document["seed"]) == (4, 4, 0)
    assert document["interval95"]["map"] == [1.0, 1.0]


def test_other_labels_in_between_cost(tmp_path):
    # By hand: a1 finds b1 first, then a2; a2 finds b1 first, then a1; b1 has no other.
    tracks = {"a1": [0, 0], "b1": [0, 5], "a2": [0, 10]}
    report = measure(tmp_path, tracks, ["path,label", "a1,a", "b1,b", "a2,a"])
    assert report.queries == 2
    assert report.metrics["precision@1"] == 0.0
    assert report.metrics["map"] == 0.5
    assert report.metrics["mrr"] == 0.5


def test_members_of_a_group_do_not_count(tmp_path):
    # a1 and a1x are cuts of one recording: a1x next to a1 must neither help nor hurt.
    tracks = {"a1": [0, 0], "a1x": [0, 0.1], "a2": [0, 3], "b1": [0, 2], "b2": [0, 2.5]}
    lines = ["path,label,group", "a1,a,g", "a1x,a,g", "a2,a,", "b1,b,", "b2,b,"]
    report = measure(tmp_path, tracks, lines)
    # a1: b1, b2, a2 -> 1/3; a1x the same; a2: b2, b1, a1x, a1 -> (1/3 + 2/4) / 2;
    # b1: b2 -> 1; b2: b1 and a2 at .5 each -> 1 or 1/2 by the seed's order of ties.
    tie = report.metrics["map"] * 5 - (1 / 3 + 1 / 3 + (1 / 3 + 1 / 2) / 2 + 1)
    assert tie == pytest.approx(1.0) or tie == pytest.approx(0.5)


def test_groups_that_repeat_the_labels_are_passed_over(tmp_path):
    tracks = {"a1": [0, 0], "a2": [0, 1], "b1": [5, 0], "b2": [5, 1]}
    plain = ["path,label", "a1,a", "a2,a", "b1,b", "b2,b"]
    repeated = ["path,label,group", "a1,a,a", "a2,a,a", "b1,b,b", "b2,b,b"]
    (tmp_path / "plain").mkdir()
    (tmp_path / "repeated").mkdir()
    expected = measure(tmp_path / "plain", tracks, plain)
    assert measure(tmp_path / "repeated", tracks, repeated).metrics == expected.metrics


def test_several_rows_are_merged_as_search_does(tmp_path):
    # Mean over the query's rows of the best distance: a2 has both rows of a1, b1 one of them.
    tracks = {"a1": [[0, 0], [9, 9]], "a2": [[9, 9], [0, 1]], "b1": [[0, 0]], "b2": [[50, 50]]}
    report = measure(tmp_path, tracks, LINES)
    assert report.queries == 4
    # a1 -> a2 (0.5) before b1 (6.4); a2 -> a1 (0.5) before b1 (6.9); b1 -> a1 (0), a2 (1), b2;
    # b2 -> a1 and a2 (58.0 both), then b1 (70.7).
    assert report.metrics["map"] == pytest.approx((1 + 1 + 1 / 3 + 1 / 3) / 4)


def test_the_second_form_decides(tmp_path):
    # The codes of a1 and b1 are equal, and those of a2 and b2; the angles tell a from b.
    spec = replace(SPEC, rows=RowSpec("bits", 8, "hamming"), refine=RowSpec("float32", 2, "cosine"))
    store = open_store(str(tmp_path / "library"), create=True)
    info = AudioInfo(1.0, 8000, 1, "pcm", "wav")
    angles = {"a1": (0, [1, 0]), "a2": (255, [1, 0.1]), "b1": (0, [0, 1]), "b2": (255, [0.1, 1])}
    with store.writer() as writer:
        writer.put_encoder(spec, {})
        for name, (code, vector) in angles.items():
            rows, refine = np.array([[code]], np.uint8), np.array([vector], np.float32)
            record = TrackRecord(str(tmp_path / name), name, 1, 1, info)
            writer.put_track(record, {"toy": Encoded(rows, np.array([[0.0, 1.0]]), refine)})
        writer.commit()
    (tmp_path / "manifest.csv").write_text("\n".join(LINES) + "\n")
    report = evaluate(store, read_manifest(tmp_path / "manifest.csv"), seed=0)
    store.close()
    assert report.metrics["precision@1"] == 1.0


def test_silent_tracks_rank_last(tmp_path):
    tracks = CLUSTERS | {"a3": np.zeros((0, 2))}
    report = measure(tmp_path, tracks, [*LINES, "a3,a"])
    assert report.silent == 1
    # a1 and a2 find each other, then b1 and b2, then a3, which itself finds nothing.
    assert report.metrics["recall@10"] == pytest.approx(4 / 5)
    assert report.metrics["map"] == pytest.approx((0.75 + 0.75 + 1 + 1 + 0) / 5)


def test_blocks_agree_with_one_block(tmp_path, monkeypatch):
    rng = np.random.default_rng(1)
    tracks = {f"t{i}": rng.normal(i % 3, 1.0, (rng.integers(1, 6), 2)) for i in range(24)}
    lines = ["path,label", *(f"t{i},{i % 3}" for i in range(24))]
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    whole = measure(tmp_path / "one", tracks, lines)
    monkeypatch.setattr(retrieval, "BLOCK_ROWS", 4)
    assert measure(tmp_path / "two", tracks, lines) == whole
    assert 0.3 < whole.metrics["map"] < 1.0


def test_the_database_is_the_manifest_only(tmp_path):
    tracks = CLUSTERS | {"other": [0, 0.5]}
    assert measure(tmp_path, tracks, LINES).metrics["precision@1"] == 1.0


def test_where_is_on_the_columns_of_the_manifest(tmp_path):
    lines = ["path,label,task,year", "a1,a,x,1", "a2,a,x,2", "b1,b,x,3", "b2,b,y,4", "no,b,y,5"]
    report = measure(tmp_path, CLUSTERS, lines, where="task = 'x' and year < 3")
    assert report.library_size == 2
    with pytest.raises(UnknownField, match="tusk") as error:
        read_manifest(tmp_path / "manifest.csv", where="tusk = 'x'")
    assert "task" in error.value.hint
    with pytest.raises(UsageError, match="no line is left"):
        read_manifest(tmp_path / "manifest.csv", where="task = 'z'")


def test_faults_of_a_manifest_are_named(tmp_path):
    with pytest.raises(UsageError, match="none at"):
        read_manifest(tmp_path / "none.csv")
    bad = tmp_path / "bad.csv"
    bad.write_text("file,label\nx,y\n")
    with pytest.raises(UsageError, match="path is missing"):
        read_manifest(bad)
    bad.write_text("path,label\nx,\n")
    with pytest.raises(UsageError, match="line 2"):
        read_manifest(bad)


def test_missing_tracks_and_encoders_are_named(tmp_path):
    with pytest.raises(QueryError, match="1 of 5 tracks"):
        measure(tmp_path, CLUSTERS, [*LINES, "b3,b"])
    store = open_store(str(tmp_path / "library"))
    items = read_manifest(tmp_path / "manifest.csv")
    with pytest.raises(QueryError, match="'tory'") as error:
        evaluate(store, items, encoder="tory", seed=0)
    assert "toy" in error.value.hint
    with pytest.raises(QueryError, match="each track once"):
        evaluate(store, [items[0], items[0]], seed=0)
    with pytest.raises(QueryError, match="no label"):
        evaluate(store, [items[0], items[2]], seed=0)
    store.close()


def test_paths_of_a_manifest(tmp_path):
    file = tmp_path / "manifest.csv"
    file.write_text("path,label\nsub/../a.wav,x\n/abs/b.wav,x\nhttps://host/c.wav,x\n")
    paths = [item.path for item in read_manifest(file)]
    assert paths == [str(tmp_path / "a.wav"), "/abs/b.wav", "https://host/c.wav"]


def test_ties_are_ordered_by_the_seed(tmp_path):
    tracks = {f"t{i:02}": [0, 0] for i in range(20)}
    lines = ["path,label", *(f"{name},{int(name[1:]) // 10}" for name in tracks)]
    first = measure(tmp_path, tracks, lines)
    store = open_store(str(tmp_path / "library"))
    items = read_manifest(tmp_path / "manifest.csv")
    assert evaluate(store, items, seed=0) == first
    others = {evaluate(store, items, seed=seed).metrics["map"] for seed in range(1, 6)}
    assert len(others) > 1
    store.close()
