"""Rows in memory and in a store say the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from earmark.identify.rows import MemoryRows, Rows, StoredRows, _largest
from earmark.stores import open_store
from earmark.types import AudioInfo, Encoded, EncoderSpec, RowSpec, TrackRecord

VECTORS = EncoderSpec("v", "identify", RowSpec("float16", 16, "inner_product"), 8000, 1.0, 0.5, "1")
CODES = EncoderSpec("c", "identify", RowSpec("bits", 32, "hamming"), 8000, 1.0, 0.5, "1")


def rows_of(spec: EncoderSpec, n: int, rng: np.random.Generator) -> np.ndarray:
    if spec.rows.dtype == "bits":
        return rng.integers(0, 256, (n, spec.rows.width), dtype=np.uint8)
    rows = rng.standard_normal((n, 16)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float16).astype(np.float32)


@pytest.fixture(params=[VECTORS, CODES], ids=["vectors", "codes"])
def both(request, tmp_path: Path) -> tuple[EncoderSpec, MemoryRows, StoredRows, list[int]]:
    """The same five tracks in memory (numbered 0 ...) and in a store, whose ids are returned."""
    spec = request.param
    rng = np.random.default_rng(0)
    store = open_store(str(tmp_path / "library"), create=True)
    tracks, ids = [], []
    with store.writer() as writer:
        writer.put_encoder(spec, {})
        for i in range(5):
            n = 20 + i
            starts = np.arange(n) * 0.5
            rows = rows_of(spec, n, rng)
            encoded = Encoded(rows, np.stack([starts, starts + 1.0], axis=1))
            info = AudioInfo(n / 2 + 0.5, 8000, 1, "flac", "flac")
            record = TrackRecord(f"/music/{i}.flac", f"{i:064x}", 1000, 0, info)
            ids.append(writer.put_track(record, {spec.name: encoded}))
            tracks.append((encoded.segments.mean(axis=1), rows))
        writer.commit()
    return spec, MemoryRows(tracks), StoredRows(store, spec.name), ids


def test_the_number_of_rows(both) -> None:
    _, memory, stored, _ = both
    assert memory.total == stored.total == 110


def test_near_rows_agree(both) -> None:
    spec, memory, stored, ids = both
    asked = rows_of(spec, 7, np.random.default_rng(1))
    for k in (1, 5):
        mine, theirs = _sorted(memory, asked, k), _sorted(stored, asked, k)
        np.testing.assert_allclose(mine[0], theirs[0], atol=2e-3)
        if spec is VECTORS:
            np.testing.assert_array_equal(np.array(ids)[mine[1]], theirs[1])
            np.testing.assert_allclose(mine[2], theirs[2], atol=1e-6)


def _sorted(rows: Rows, asked: np.ndarray, k: int) -> list[np.ndarray]:
    found = rows.near(asked, k)
    order = np.argsort(-found[0], axis=1, kind="stable")
    return [np.take_along_axis(values, order, 1) for values in found]


def test_a_rows_own_similarity_is_one(both) -> None:
    _, memory, stored, ids = both
    for rows, track in ((memory, 3), (stored, ids[3])):
        times, own = rows.stretch(track, 2.0, 4.0)
        found = _sorted(rows, own, 1)
        np.testing.assert_allclose(found[0], 1.0, atol=2e-3)
        assert (found[1][:, 0] == track).all()
        np.testing.assert_allclose(found[2][:, 0], times)


def test_stretches_agree(both) -> None:
    _, memory, stored, ids = both
    for start, end in ((0.0, 3.0), (4.9, 5.1), (-5.0, 100.0), (50.0, 60.0)):
        mine, theirs = memory.stretch(2, start, end), stored.stretch(ids[2], start, end)
        np.testing.assert_allclose(mine[0], theirs[0], atol=1e-6)
        np.testing.assert_allclose(mine[1], theirs[1], atol=2e-3)


def test_fewer_rows_than_asked_for(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "library"), create=True)
    with store.writer() as writer:
        writer.put_encoder(VECTORS, {})
        writer.commit()
    rows = StoredRows(store, "v")
    asked = rows_of(VECTORS, 3, np.random.default_rng(1))
    _, tracks, _ = rows.near(asked, 4)
    assert tracks.shape[0] == 3
    assert (tracks == -1).all()
    assert rows.total == 0


@pytest.mark.parametrize(("total", "k"), [(10, 10), (700, 3), (5003, 20), (40_000, 7)])
def test_the_largest_are_found_block_by_block(total: int, k: int) -> None:
    values = np.random.default_rng(total).standard_normal((6, total)).astype(np.float32)
    found = np.take_along_axis(values, _largest(values, k), 1)
    np.testing.assert_array_equal(np.sort(found, axis=1), np.sort(values, axis=1)[:, -k:])
