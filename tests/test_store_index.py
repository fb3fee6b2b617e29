"""Indexes: what the policy builds, what it finds, and what an exact scan finds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from earmark.errors import UsageError
from earmark.stores.local import LocalStore, flat, open_local
from earmark.stores.local.indexes import recall_by_distance
from earmark.testing.store_cases import distances, record, segments, spec_of
from earmark.types import AnyArray, Encoded, EncoderSpec, Metric, RoughStore, RowSpec, RowType

ROWS = 12_000
PER_TRACK = 40
FLOAT = spec_of(ndim=32)
BITS = spec_of(metric="hamming", dtype="bits", ndim=64)


@pytest.fixture(autouse=True)
def small_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the policy build indexes at sizes that tests can afford."""
    for module in ("search", "care"):
        monkeypatch.setattr(f"earmark.stores.local.{module}.FLAT_ROWS", 2000)
        monkeypatch.setattr(f"earmark.stores.local.{module}.FLAT_CODES", 5000)


def vectors(count: int, *, seed: int = 0, metric: Metric = "cosine") -> AnyArray:
    """Clustered rows, in order of cluster."""
    rng = np.random.default_rng(seed)
    if metric == "hamming":
        codes = np.random.default_rng(9).integers(0, 256, (100, 8), dtype=np.uint8)
        flips = np.packbits(rng.random((count, 64)) < 0.08, axis=1)
        return codes[np.sort(rng.integers(0, 100, count))] ^ flips
    centres = np.random.default_rng(9).standard_normal((100, 32))
    rows = centres[np.sort(rng.integers(0, 100, count))] + 0.4 * rng.standard_normal((count, 32))
    if metric != "l2":
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float32)


def fill(store: LocalStore, spec: EncoderSpec, rows: AnyArray, name: str = "t") -> list[int]:
    with store.writer() as writer:
        writer.put_encoder(spec, {})
        ids = []
        for at in range(0, len(rows), PER_TRACK):
            some = rows[at : at + PER_TRACK]
            track = record(f"/{name}/{at}", content=f"{name}{at}")
            ids.append(writer.put_track(track, {"enc": Encoded(some, segments(len(some)))}))
        writer.commit()
    return ids


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LocalStore]:
    with open_local(tmp_path / "lib", create=True) as store:
        yield store


def recall(store: LocalStore, queries: AnyArray, *, tracks: AnyArray | None = None) -> float:
    found = store.search("enc", queries, 10, tracks=tracks)
    truth = store.search("enc", queries, 10, tracks=tracks, exact=True)
    assert truth.exact
    assert not found.exact
    return recall_by_distance(found.distances, truth.distances)


def test_policy_small_is_flat(store: LocalStore) -> None:
    fill(store, FLOAT, vectors(1900))
    assert not store.needs_index("enc")
    assert store.rebuild() == []
    assert store.search("enc", vectors(3), 5).exact


@pytest.mark.parametrize(
    ("metric", "dtype"),
    [("cosine", "float16"), ("inner_product", "float16"), ("cosine", "int8"), ("l2", "float32")],
)
def test_policy_builds_an_index_that_finds(
    store: LocalStore, metric: Metric, dtype: RowType
) -> None:
    rows = vectors(ROWS, metric=metric)
    fill(store, spec_of(metric=metric, dtype=dtype, ndim=32), rows)
    assert store.needs_index("enc")
    (line,) = store.rebuild(encoder="enc")
    assert "rabitq" in line
    assert not store.needs_index("enc")
    assert recall(store, vectors(50, seed=1, metric=metric)) >= 0.99
    found = store.search("enc", rows[100:103], 1)
    truth = distances(metric, rows[100:103], rows).min(axis=1)
    assert np.allclose(found.distances[:, 0], truth, atol=1e-2 if dtype == "int8" else 2e-3)
    assert store.verify() == []
    stats = store.stats().spaces[0]
    assert (stats.index, stats.index_rows) == ("rabitq", ROWS)


def test_a_rough_search_with_all_probes_is_a_search(store: LocalStore) -> None:
    assert isinstance(store, RoughStore)
    fill(store, FLOAT, vectors(ROWS))
    queries = vectors(20, seed=3)
    flat = store.search_roughly("enc", queries, 5, probes=1)
    assert flat.keys.tolist() == store.search("enc", queries, 5, exact=True).keys.tolist()
    store.rebuild(encoder="enc")
    truth = store.search("enc", queries, 5, exact=True).keys
    shares = []
    for probes in (1, 8, 10_000):
        found = store.search_roughly("enc", queries, 5, probes=probes).keys
        shares.append(np.mean([len({*a} & {*b}) / 5 for a, b in zip(found, truth, strict=True)]))
    assert shares[0] < shares[1] <= shares[2]
    assert shares[2] >= 0.8


def test_filters_that_go_along_with_the_vectors(store: LocalStore) -> None:
    ids = fill(store, FLOAT, vectors(ROWS))
    store.rebuild()
    queries = vectors(ROWS, seed=1)[: ROWS // 10 : 30]  # near the first tracks
    far = np.array(ids[len(ids) // 2 :])
    assert recall(store, queries, tracks=far) >= 0.99
    found = store.search("enc", queries, 10, tracks=far)
    assert np.isin(store.locate("enc", found.keys.ravel()).tracks, far).all()
    few = store.search("enc", queries, 10, tracks=far[:20])
    assert few.exact


def test_dead_rows_and_the_tail(store: LocalStore) -> None:
    rows = vectors(ROWS)
    ids = fill(store, FLOAT, rows)
    store.rebuild()
    late = vectors(200, seed=5)
    late_ids = fill(store, FLOAT, late, "late")
    with store.writer() as writer:
        writer.remove_tracks(ids[::2])
        writer.remove_tracks(late_ids[:1])
        writer.commit()
    kept = rows.reshape(-1, PER_TRACK, 32)[1::2].reshape(-1, 32)
    live = np.concatenate([kept, late[PER_TRACK:]])
    queries = np.concatenate([vectors(20, seed=1), late[PER_TRACK : PER_TRACK + 20]])
    found = store.search("enc", queries, 10)
    truth = np.sort(distances("cosine", queries, live), axis=1)[:, :10]
    assert recall_by_distance(found.distances, truth + 1e-3) >= 0.99
    assert not np.isin(store.locate("enc", found.keys.ravel()).tracks, [-1, *ids[::2]]).any()
    assert store.search("enc", queries, 7000).keys.shape == (40, 7000)


def test_an_index_is_extended_and_at_four_times_its_size_trained_anew(store: LocalStore) -> None:
    fill(store, FLOAT, vectors(3000))
    assert "built" in store.rebuild()[0]
    fill(store, FLOAT, vectors(4000, seed=2), "more")
    assert store.needs_index("enc")
    assert "extended" in store.rebuild()[0]
    assert store.rebuild() == []
    assert recall(store, vectors(30, seed=3)) >= 0.99
    fill(store, FLOAT, vectors(8000, seed=4), "most")
    assert "built" in store.rebuild()[0]
    assert recall(store, vectors(30, seed=3)) >= 0.99
    assert len(list((store.folder / "indexes").iterdir())) == 2  # the last and the one before


@pytest.mark.parametrize(
    ("kind", "least"),
    [
        ("ivf", 0.99),
        pytest.param("ivfpq", 0.3, marks=pytest.mark.slow),  # training takes half a minute
        pytest.param("ivfpq-rr", 0.99, marks=pytest.mark.slow),
        ("hnsw", 0.95),
    ],
)
def test_kinds_by_name(store: LocalStore, kind: str, least: float) -> None:
    ids = fill(store, FLOAT, vectors(ROWS))
    assert kind in store.rebuild(index=kind)[0]
    queries = vectors(50, seed=1)
    assert recall(store, queries) >= least
    some = store.search("enc", queries, 5, tracks=np.array(ids[::2]))
    assert np.isin(store.locate("enc", some.keys.ravel()).tracks, ids[::2]).all()
    with store.writer() as writer:
        writer.remove_tracks(ids[::2])
        writer.commit()
    found = store.search("enc", queries, 5)
    assert np.isin(store.locate("enc", found.keys.ravel()).tracks, ids[1::2]).all()
    fill(store, FLOAT, vectors(400, seed=8), "late")
    assert store.rebuild(index="flat") != []
    assert store.search("enc", queries, 5).exact
    assert not store.needs_index("enc")
    assert list((store.folder / "indexes").iterdir()) == []


@pytest.mark.parametrize("kind", ["ivf", "hnsw"])
def test_kinds_of_bit_rows(store: LocalStore, kind: str) -> None:
    ids = fill(store, BITS, vectors(ROWS, metric="hamming"))
    assert kind in store.rebuild(index=kind)[0]
    queries = vectors(50, seed=1, metric="hamming")
    assert recall(store, queries) >= (0.99 if kind == "ivf" else 0.6)
    with store.writer() as writer:
        writer.remove_tracks(ids[:3])
        writer.commit()
    found = store.search("enc", vectors(ROWS, metric="hamming")[:5], 5)
    assert not np.isin(store.locate("enc", found.keys.ravel()).tracks, [-1, *ids[:3]]).any()
    assert store.search("enc", queries, 5, tracks=np.array(ids[50:60])).exact


def test_codes_get_an_index_only_if_it_finds(store: LocalStore, tmp_path: Path) -> None:
    fill(store, BITS, vectors(ROWS, metric="hamming"))
    assert store.needs_index("enc")
    assert "ivf" in store.rebuild()[0]
    assert not store.search("enc", vectors(1, metric="hamming"), 5).exact
    with open_local(tmp_path / "noise", create=True) as noise:
        rows = np.random.default_rng(0).integers(0, 256, (6000, 8), dtype=np.uint8)
        fill(noise, BITS, rows)
        assert "would find too little" in noise.rebuild()[0]
        assert noise.search("enc", rows[:1], 5).exact


def test_unknown_kinds(store: LocalStore) -> None:
    fill(store, BITS, vectors(100, metric="hamming"))
    with pytest.raises(UsageError, match="hsnw") as caught:
        store.rebuild(index="hsnw")
    assert "hnsw" in str(caught.value.hint)
    with pytest.raises(UsageError):
        store.rebuild(index="ivfpq")


def test_compaction_makes_the_index_anew(store: LocalStore) -> None:
    ids = fill(store, FLOAT, vectors(ROWS))
    store.rebuild()
    with store.writer() as writer:
        writer.remove_tracks(ids[::3])
        writer.commit()
    store.compact()
    assert store.stats().spaces[0].index_rows == ROWS - 100 * PER_TRACK
    assert recall(store, vectors(50, seed=1)) >= 0.99
    assert store.verify() == []


def test_codes_first_then_the_second_form(store: LocalStore) -> None:
    second = RowSpec("float16", 32, "cosine")
    spec = spec_of(metric="hamming", dtype="bits", ndim=64, refine=second)
    values = vectors(ROWS)
    signs = np.packbits(values @ np.random.default_rng(3).standard_normal((32, 64)) > 0, axis=1)
    with store.writer() as writer:
        writer.put_encoder(spec, {})
        for at in range(0, ROWS, PER_TRACK):
            some = slice(at, at + PER_TRACK)
            encoded = Encoded(signs[some], segments(PER_TRACK), values[some])
            writer.put_track(record(f"/{at}"), {"enc": encoded})
        writer.commit()
    picked = [5, 700, 9000]
    found = store.search("enc", signs[picked], 3, refine=values[picked])
    exact = store.search("enc", signs[picked], 3, refine=values[picked], exact=True)
    assert not found.exact
    assert exact.exact
    assert found.keys[:, 0].tolist() == picked
    assert np.allclose(found.distances[:, 0], exact.distances[:, 0], atol=1e-5)
    truth = np.sort(distances("cosine", values[picked], values), axis=1)[:, :3]
    assert np.allclose(exact.distances, truth, atol=2e-3)


# --- the exact scan and its slow twin ----------------------------------------------------------


@pytest.mark.parametrize("metric", ["cosine", "inner_product", "l2", "hamming"])
@pytest.mark.parametrize("queries", [1, 9])
@pytest.mark.parametrize("block", [100, 5000, 20_000, 40_000])
@pytest.mark.parametrize("k", [10, 700])
def test_scan_agrees_with_its_slow_twin(
    metric: Metric, queries: int, block: int, k: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flat, "_COUNTERS", 400_000)  # 700 of 128 bits: four queries at a time
    rows = vectors(40_000, metric=metric)
    if metric != "hamming":
        rows = rows.astype(np.float16)
    asked = vectors(2 * queries, seed=2, metric=metric)[::2]  # with strides
    keys = np.arange(len(rows), dtype=np.int64) * 3
    blocks = ((keys[at : at + block], rows[at : at + block]) for at in range(0, 40_000, block))
    found, near = flat.scan(metric, asked, blocks, k)
    slow: Metric = "inner_product" if metric == "cosine" else metric
    wanted = distances(slow, asked, rows) + (metric == "cosine")
    assert np.allclose(near, np.sort(wanted, axis=1)[:, :k], atol=1e-4)
    assert np.allclose(np.take_along_axis(wanted, found // 3, axis=1), near, atol=1e-4)
    if metric == "hamming":  # ties: lower keys first, and lower keys at the k-th place
        order = np.lexsort((np.arange(len(rows))[None].repeat(queries, 0), wanted), axis=1)
        assert np.array_equal(found, order[:, :k] * 3)


def test_many_halves_become_floats_as_numpy_makes_them() -> None:
    every = np.arange(1 << 16, dtype=np.uint16).view(np.float16).reshape(4, -1, 64)
    assert every.size >= flat._MANY_HALVES
    found = flat.floats(every)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, every.astype(np.float32))
    apart = np.concatenate([every, every])[::2]  # with strides
    np.testing.assert_array_equal(flat.floats(apart), apart.astype(np.float32))


def test_scan_of_nothing() -> None:
    keys, near = flat.scan("l2", np.zeros((2, 3), np.float32), [], 4)
    assert (keys == -1).all()
    assert np.isinf(near).all()
    assert flat.scan("l2", np.zeros((0, 3), np.float32), [], 4)[0].shape == (0, 4)


def test_l2_of_nearly_equal_rows_does_not_cancel() -> None:
    rows = np.full((3, 4), 1000.0, np.float32)
    rows[:, 0] += np.array([0.001, 0.01, 0.1], np.float32)
    near = flat.pairwise("l2", np.full((1, 4), 1000.0, np.float32), rows)
    assert np.allclose(near, rows[:, 0] - np.float32(1000), rtol=1e-3)
