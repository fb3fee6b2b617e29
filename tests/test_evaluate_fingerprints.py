"""Runs of fingerprints against their place: slow twin, boundaries, golden values, bad files."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from earmark.errors import UsageError
from earmark.evaluate import fingerprint_index
from earmark.evaluate import fingerprints as module
from earmark.evaluate.fingerprint_files import read_bench
from earmark.evaluate.fingerprint_index import KINDS, build_index
from earmark.evaluate.fingerprints import Ranked, choose_ids, evaluate, to_json

COUNTS = (40, 25, 60)


def unit(n: int, ndim: int = 16, seed: int = 0) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((n, ndim)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def store(folder: Path, name: str, rows: np.ndarray, counts: tuple[int, ...] = ()) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rows.astype("<f4").tofile(folder / f"{name}.mm")
    np.save(folder / f"{name}_shape.npy", rows.shape)
    if counts:
        firsts = np.cumsum([0, *counts])
        with (folder / f"{name}_tracks.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["name", "first", "rows"])
            writer.writerows([f"{i}.wav", firsts[i], c] for i, c in enumerate(counts))


def noisy(rows: np.ndarray, level: float, seed: int = 9) -> np.ndarray:
    moved = rows + level * unit(len(rows), rows.shape[1], seed)
    return moved / np.linalg.norm(moved, axis=1, keepdims=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = unit(sum(COUNTS))
    store(tmp_path, "db", rows, COUNTS)
    store(tmp_path, "query", noisy(rows, 1.2), COUNTS)
    store(tmp_path, "dummy_db", unit(300, seed=5), (100, 200))
    return tmp_path


def run(folder: Path, kind: str = "l2", ids: str = "all", **options) -> dict:
    bench = read_bench(folder)
    index = build_index(kind, [p.values for p in bench.parts])
    chosen = choose_ids(bench, ids, seed=0)
    report = evaluate(bench, index, chosen, **options)
    document = to_json(report, bench, index, seed=0, k_probe=options.get("k_probe", 20))
    found = {name: value for name, value in document.items() if "@" not in name}
    for name in ("threshold", "queries"):
        found[name] = {}
    for full in document.keys() - found.keys():
        name, length = full.split("@")
        found.setdefault(name, {})[length] = document[full]
    return found


def slow(folder: Path, length: int) -> dict[str, float]:
    """Every place of every track, scored in full, by loops."""
    db, query, dummy = (
        np.fromfile(folder / f"{n}.mm", np.float32).reshape(-1, 16)
        for n in ("db", "query", "dummy_db")
    )
    rows = np.concatenate([dummy, db])
    places, asked, at = [], [], 0
    for count in (100, 200, *COUNTS):
        places += range(at, at + count - length + 1)
        asked += range(at - 300, at - 300 + count - length + 1) if at >= 300 else []
        at += count
    hits: dict[str, list[bool]] = {}
    for q in asked[::5]:
        scores = [np.vdot(rows[p : p + length], query[q : q + length]) for p in places]
        best = np.array(places)[np.argsort(-np.array(scores), kind="stable")]
        for top in (1, 3, 10):
            for near, how in ((0, "exact"), (1, "near")):
                hit = bool((np.abs(best[:top] - (300 + q)) <= near).any())
                hits.setdefault(f"top{top}_{how}", []).append(hit)
    return {name: float(np.mean(found)) for name, found in hits.items()}


def slow_ids(folder: Path, length: int) -> str:
    ids, at = [], 0
    for count in COUNTS:
        ids += range(at, at + count - length + 1)
        at += count
    np.save(folder / "some.npy", ids[::5])
    return str(folder / "some.npy")


@pytest.mark.parametrize("length", [1, 3, 5])
def test_agrees_with_the_slow_twin(folder: Path, length: int) -> None:
    found = run(folder, ids=slow_ids(folder, length), lengths=(length,), k_probe=425)
    expected = slow(folder, length)
    assert {name: found[name][str(length)] for name in expected} == pytest.approx(expected)
    assert expected["top1_exact"] > 0.1


def test_longer_queries_find_more(folder: Path) -> None:
    found = run(folder, lengths=(1, 3, 5))
    assert found["top1_exact"]["1"] < found["top1_exact"]["5"]
    assert found["queries"] == {"1": 125, "3": 119, "5": 113}


@pytest.mark.parametrize("kind", KINDS)
def test_perfect_rows_are_all_found(folder: Path, kind: str) -> None:
    rows = np.fromfile(folder / "db.mm", np.float32).reshape(-1, 16)
    store(folder, "query", rows, COUNTS)
    found = run(folder, kind)
    least = 1.0 if kind in ("l2", "hnsw") else 0.95
    for name in ("top1_exact", "top1_near", "top10_exact", "top1_track"):
        assert min(found[name][n] for n in ("3", "5", "9", "11", "19")) >= least
    assert found["index"] == kind
    assert found["library_size"] == 425


def test_the_document_has_a_number_for_each_metric_and_length(folder: Path) -> None:
    bench = read_bench(folder)
    index = build_index("l2", [p.values for p in bench.parts])
    report = evaluate(bench, index, choose_ids(bench, "all", seed=3), lengths=(1, 5, 90))
    document = to_json(report, bench, index, seed=3, k_probe=20)
    numbers = {name: value for name, value in document.items() if "@" in name}
    assert all(isinstance(value, int | float) for value in numbers.values())
    shares = {f"top{k}_{how}@{n}" for k in (1, 3, 10) for how in ("exact", "near") for n in (1, 5)}
    assert shares <= set(numbers)
    assert all(0.0 <= numbers[name] <= 1.0 for name in shares)
    assert {name: document[name] for name in ("queries@1", "queries@5", "queries@90")} == {
        "queries@1": 125,
        "queries@5": 113,
        "queries@90": 0,
    }
    assert document["lengths"] == [1, 5, 90]
    assert (document["encoder"], document["library_size"], document["seed"]) == ("unknown", 425, 3)
    json.dumps(document, allow_nan=False)


def test_few_rows_make_a_smaller_index_that_says_so(folder: Path) -> None:
    assert run(folder, "ivfpq")["index_parameters"] == {
        "lists": 10,
        "nprobe": 10,
        "code_bytes": 16,
        "code_bits": 8,
    }
    assert run(folder, "ivf")["index_parameters"] == {"lists": 10, "nprobe": 10}
    assert fingerprint_index._empty("ivf", 128, 10**6, 40)[1] == {"lists": 400, "nprobe": 40}
    index, graph = fingerprint_index._empty("hnsw", 128, 10**6, 40)
    assert (graph["neighbors"], graph["build"]) == (16, index.hnsw.efConstruction) == (16, 80)
    small = build_index("ivfpq", [unit(425)])
    assert small.smaller == {"lists": (10, 256), "code_bytes": (16, 64)}
    assert build_index("hnsw", [unit(3)]).smaller == build_index("l2", [unit(3)]).smaller == {}
    many = fingerprint_index._empty("ivfpq-rr", 128, 1_000_000, 7)[1]
    assert many == {
        "lists": 256,
        "nprobe": 7,
        "code_bytes": 64,
        "code_bits": 8,
        "refine_bytes": 4,
        "refine_bits": 4,
    }


def test_candidates_never_run_from_one_track_into_the_next(tmp_path: Path) -> None:
    # The query's rows lie at the end of one track and the start of the next; a track with
    # moderately similar rows in one piece is the right answer.
    rows = unit(30)
    query = np.concatenate([rows[8:10], rows[10:12]])
    right = noisy(query, 1.0)
    db = np.concatenate([rows, right])
    store(tmp_path, "db", db, (10, 20, 4))
    whole = np.concatenate([unit(30, seed=3), query])
    store(tmp_path, "query", whole, (10, 20, 4))
    (tmp_path / "ids.txt").write_text("30\n")
    found = run(tmp_path, ids=str(tmp_path / "ids.txt"), lengths=(4,))
    assert found["top1_exact"] == {"4": 1.0}
    (tmp_path / "db_tracks.csv").unlink()
    crossing = run(tmp_path, ids=str(tmp_path / "ids.txt"), lengths=(4,))
    assert crossing["top1_exact"] == {"4": 0.0}
    assert "top1_track" not in crossing
    assert crossing["threshold"] == {}


def test_a_later_row_leads_to_where_the_query_begins(folder: Path) -> None:
    rows = np.fromfile(folder / "db.mm", np.float32).reshape(-1, 16)
    query = rows.copy()
    query[50] = unit(1, seed=77)[0]  # its first row leads nowhere near
    store(folder, "query", query, COUNTS)
    (folder / "ids.txt").write_text("50\n")
    found = run(folder, ids=str(folder / "ids.txt"), lengths=(3,), k_probe=1)
    assert found["top1_exact"] == {"3": 1.0}


def test_queries_find_their_track_by_name(folder: Path) -> None:
    rows = np.fromfile(folder / "db.mm", np.float32).reshape(-1, 16)
    store(folder, "query", rows[40:65], (25,))
    path = folder / "query_tracks.csv"
    path.write_text(path.read_text().replace("0.wav", "1.wav"))
    assert run(folder)["top1_exact"]["3"] == 1.0
    path.write_text(path.read_text().replace("1.wav", "another.wav"))
    with pytest.raises(UsageError, match="no query is left"):
        run(folder)


def test_queries_of_another_format_or_other_names_find_their_track(folder: Path) -> None:
    rows = np.fromfile(folder / "db.mm", np.float32).reshape(-1, 16)
    store(folder, "query", np.concatenate([rows[65:], rows[:40], rows[40:65]]), (60, 40, 25))
    table = "name,first,rows\n{}0,0,60\n{}1,60,40\n{}2,100,25\n"
    path = folder / "query_tracks.csv"
    path.write_text("name,first,rows\n2.mp3,0,60\n0.mp3,60,40\n1.mp3,100,25\n")
    assert run(folder)["top1_exact"]["3"] == 1.0
    path.write_text(table.format("q", "q", "q"))  # by their place, which is another here
    assert run(folder)["top1_exact"]["3"] < 0.1
    store(folder, "query", rows, COUNTS)
    path.write_text("name,first,rows\nq0,0,40\nq1,40,25\nq2,65,60\n")
    assert run(folder)["top1_exact"]["3"] == 1.0


def test_golden_shares() -> None:
    right = np.array([10, 20, 30])
    ranked = [np.array([10]), np.array([5, 21]), np.array([], np.int64)]
    shares = module._shares(ranked, right, None)
    assert shares["top1_exact"] == pytest.approx(1 / 3)
    assert shares["top1_near"] == pytest.approx(1 / 3)
    assert shares["top3_near"] == pytest.approx(2 / 3)
    assert shares["top3_exact"] == pytest.approx(1 / 3)


def test_golden_threshold() -> None:
    ends = np.repeat([50, 100], 50)
    ranked = [
        Ranked(np.array([10, 60]), np.array([0.9, 0.5], np.float32)),  # right, and sure
        Ranked(np.array([11, 70]), np.array([0.55, 0.4], np.float32)),  # near, not sure enough
        Ranked(np.array([60, 12]), np.array([0.6, 0.5], np.float32)),  # wrong
        Ranked(np.array([], np.int64), np.array([], np.float32)),
    ]
    threshold, recall = module._believed(ranked, np.array([10, 12, 12, 13]), ends)
    assert threshold == pytest.approx(0.6)
    assert recall == 0.25


def test_strangers_are_told_from_friends(folder: Path) -> None:
    rows = np.fromfile(folder / "db.mm", np.float32).reshape(-1, 16)
    store(folder, "query", noisy(rows, 0.2), COUNTS)
    found = run(folder)
    assert found["recall_2fa"]["19"] == 1.0
    assert 0.0 < found["threshold"]["19"] < found["threshold"]["3"] < 1.0
    store(folder, "query", unit(sum(COUNTS), seed=123), COUNTS)
    assert max(run(folder)["recall_2fa"].values()) < 0.05


def test_evaluation_only_reads(folder: Path) -> None:
    before = {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.iterdir()}
    run(folder, "ivfpq-rr")
    assert {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.iterdir()} == before


def test_ids(folder: Path) -> None:
    bench = read_bench(folder)
    assert len(choose_ids(bench, "all", seed=0)) == 125
    drawn = choose_ids(bench, "30", seed=0)
    assert len(drawn) == 30
    ends = bench.query.ends
    assert (ends[drawn] - drawn >= 19).all()
    np.testing.assert_array_equal(drawn, choose_ids(bench, "30", seed=0))
    assert not np.array_equal(drawn, choose_ids(bench, "30", seed=1))
    assert len(choose_ids(bench, "5000", seed=0)) == 125
    np.save(folder / "ids.npy", np.array([3, 1]))
    assert choose_ids(bench, str(folder / "ids.npy"), seed=0).tolist() == [3, 1]
    for wrong in ("0", "-3", "some", str(folder / "none.npy")):
        with pytest.raises(UsageError, match="test-ids"):
            choose_ids(bench, wrong, seed=0)
    for content, numbers in (("5\n7\n", [5, 7]), ("5, 7, 9\n", [5, 7, 9]), ("4 2\n", [4, 2])):
        (folder / "ids.txt").write_text(content)
        assert choose_ids(bench, str(folder / "ids.txt"), seed=0).tolist() == numbers
    (folder / "ids.csv").write_text("8\n")
    assert choose_ids(bench, str(folder / "ids.csv"), seed=0).tolist() == [8]
    for wrong_ids in ([125], [-1, 3], [1.5], [np.nan], []):
        np.save(folder / "ids.npy", np.array(wrong_ids))
        with pytest.raises(UsageError, match="0 to 124") as caught:
            choose_ids(bench, str(folder / "ids.npy"), seed=0)
        assert "--test-ids 2000" in str(caught.value.hint)
    for content in ("one\n", "\x00"):
        (folder / "ids.txt").write_text(content)
        with pytest.raises(UsageError, match="test-ids"):
            choose_ids(bench, str(folder / "ids.txt"), seed=0)
    np.save(folder / "ids.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(UsageError, match="test-ids"):
        choose_ids(bench, str(folder / "ids.npy"), seed=0)


def test_files_of_the_published_program_alone_will_do(folder: Path) -> None:
    for path in folder.glob("*_tracks.csv"):
        path.unlink()
    found = run(folder, lengths=(1, 19))
    assert found["encoder"] == "unknown"
    assert found["queries"] == {"1": 125, "19": 107}


# --- what is refused ---------------------------------------------------------------------------


def test_missing_and_malformed_files(folder: Path) -> None:
    with pytest.raises(UsageError) as caught:
        read_bench(folder / "nowhere")
    assert "generate" in str(caught.value.hint)
    np.save(folder / "db_shape.npy", (126, 16))
    with pytest.raises(UsageError, match="shape"):
        read_bench(folder)
    np.save(folder / "db_shape.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(UsageError, match=r"db\.mm"):
        read_bench(folder)


def test_numbers_that_are_none(folder: Path) -> None:
    rows = unit(sum(COUNTS))
    rows[3, 2] = np.nan
    store(folder, "db", rows)
    with pytest.raises(UsageError, match="finite"):
        read_bench(folder)


def test_rows_of_different_widths(folder: Path) -> None:
    store(folder, "query", unit(125, 8), COUNTS)
    with pytest.raises(UsageError, match="one width"):
        read_bench(folder)


def test_tables_that_do_not_fit(folder: Path) -> None:
    (folder / "db_tracks.csv").write_text("name,first,rows\na,0,126\n")
    with pytest.raises(UsageError, match="beyond"):
        read_bench(folder)
    (folder / "db_tracks.csv").write_text("name,first\na,0\n")
    with pytest.raises(UsageError, match="columns"):
        read_bench(folder)


def test_parts_of_different_networks_are_refused(folder: Path) -> None:
    def made(revision: str) -> dict:
        return {"identity": {"encoder": "a", "revision": revision}}

    facts = {"db": made("1"), "query": made("1"), "dummy_db": made("2")}
    (folder / "made_by.json").write_text(json.dumps(facts))
    with pytest.raises(UsageError, match=r"dummy_db by a \(2\)"):
        read_bench(folder)
    assert read_bench(folder, skip_dummy=True).encoder == "a (1)"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows", [1, 2, 5, 80])
def test_the_smallest_indexes_find_their_rows(kind: str, rows: int) -> None:
    values = unit(rows, 128)
    found = build_index(kind, [values]).search(values, 20)
    assert found.shape == (rows, 20)
    assert np.mean(found[:, 0] == np.arange(rows)) > 0.9


def test_empty_and_unknown_indexes() -> None:
    with pytest.raises(UsageError, match="needs rows"):
        build_index("l2", [np.zeros((0, 16), np.float32)])
    with pytest.raises(UsageError) as caught:
        build_index("ivpq", [unit(3)])
    assert "'ivfpq'" in str(caught.value.hint)


def test_an_empty_test_set_has_no_queries(tmp_path: Path) -> None:
    store(tmp_path, "db", unit(30))
    store(tmp_path, "query", np.zeros((0, 16), np.float32))
    with pytest.raises(UsageError, match="no query"):
        run(tmp_path)
