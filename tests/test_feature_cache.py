"""Kept features come back as they were, or not at all; the folder stays within its limit."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from earmark.feature_cache import FeatureCache
from earmark.types import Float32Array


def rows(seed: int = 0, n: int = 250) -> Float32Array:
    return np.random.default_rng(seed).normal(size=(n, 4)).astype(np.float32)


ENTRY = rows().nbytes + 128 + 4
"""Bytes of the file of `rows()`."""


def keep(cache: FeatureCache, seed: int, *, age: float = 0) -> Path:
    """Put rows(seed) under the key of its seed, last used `age` seconds ago."""
    assert cache.put(f"{seed:04d}", "bark", "v1", rows(seed))
    path = cache._path(f"{seed:04d}", "bark", "v1")
    if age:
        then = path.stat().st_mtime - age
        os.utime(path, (then, then))
    return path


def has(cache: FeatureCache, seed: int) -> bool:
    return cache._path(f"{seed:04d}", "bark", "v1").exists()


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, 10 * ENTRY)
    assert cache.get("ab12", "bark", "v1") is None
    assert cache.put("ab12", "bark", "v1", rows())
    for reader in (cache, FeatureCache(tmp_path, 0)):
        kept = reader.get("ab12", "bark", "v1")
        assert kept is not None
        assert kept.dtype == np.float32
        assert np.array_equal(kept, rows())
    assert cache.size() == ENTRY


@pytest.mark.parametrize(
    "key", [("ab13", "bark", "v1"), ("ab12", "bfcc", "v1"), ("ab12", "bark", "v2")]
)
def test_each_part_of_the_key_counts(tmp_path: Path, key: tuple[str, str, str]) -> None:
    cache = FeatureCache(tmp_path, 10 * ENTRY)
    cache.put("ab12", "bark", "v1", rows())
    assert cache.get(*key) is None


def test_computed_once(tmp_path: Path) -> None:
    cache, calls = FeatureCache(tmp_path, 10 * ENTRY), []

    def make() -> Float32Array:
        calls.append(1)
        return rows(7)

    for _ in range(3):
        assert np.array_equal(cache.get_or_compute("ab", "bark", "v1", make), rows(7))
    assert calls == [1]


def test_empty_features_are_kept(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, 10 * ENTRY)
    cache.put("ab", "bark", "v1", np.empty((0, 100), np.float32))
    kept = cache.get("ab", "bark", "v1")
    assert kept is not None
    assert kept.shape == (0, 100)


@pytest.mark.parametrize("at", [0, 7, 60, 128, 1000, -1])
def test_a_flipped_bit_is_found_and_dropped(tmp_path: Path, at: int) -> None:
    cache = FeatureCache(tmp_path, 10 * ENTRY)
    path = keep(cache, 1)
    data = bytearray(path.read_bytes())
    data[at] ^= 4
    path.write_bytes(data)
    assert cache.get("0001", "bark", "v1") is None
    assert not path.exists()
    assert np.array_equal(cache.get_or_compute("0001", "bark", "v1", rows), rows())


@pytest.mark.parametrize("size", [0, 3, 100, ENTRY - 1])
def test_a_cut_off_file_is_found(tmp_path: Path, size: int) -> None:
    cache = FeatureCache(tmp_path, 10 * ENTRY)
    path = keep(cache, 1)
    os.truncate(path, size)
    assert cache.get("0001", "bark", "v1") is None


def test_the_least_recently_used_go_first(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, 3 * ENTRY + 10)
    for seed in (1, 2, 3):
        keep(cache, seed, age=100 - seed)
    assert cache.get("0001", "bark", "v1") is not None
    keep(cache, 4)
    assert [has(cache, seed) for seed in (1, 2, 3, 4)] == [True, False, False, True]
    assert cache.size() <= 3 * ENTRY + 10


def test_the_limit_holds_over_many_and_over_processes(tmp_path: Path) -> None:
    limit = 5 * ENTRY
    for seed in range(20):
        keep(FeatureCache(tmp_path, limit), seed, age=1000 - seed)
        assert FeatureCache(tmp_path, limit).size() <= limit
    cache = FeatureCache(tmp_path, limit)
    for seed in range(20, 60):
        keep(cache, seed, age=500 - seed)
        assert cache.size() <= limit
    assert has(cache, 59)


def test_replacing_does_not_count_twice(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, 3 * ENTRY)
    keep(cache, 1)
    for _ in range(10):
        keep(cache, 2)
    assert has(cache, 1)


def test_what_is_larger_than_the_limit_is_not_kept(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, 2 * ENTRY)
    keep(cache, 1)
    assert not cache.put("big", "bark", "v1", rows(n=1000))
    assert has(cache, 1)


def test_a_limit_of_nothing_keeps_nothing(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path / "cache", 0)
    assert not cache.put("ab", "bark", "v1", rows())
    assert not (tmp_path / "cache").exists()
    with pytest.raises(ValueError, match="0 or more"):
        FeatureCache(tmp_path, -1)


def test_a_folder_that_cannot_be_written_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    cache = FeatureCache(tmp_path / "file", 10 * ENTRY)
    assert np.array_equal(cache.get_or_compute("ab", "bark", "v1", rows), rows())
    assert not cache.put("ab", "bark", "v1", rows())


def test_a_full_disk_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = FeatureCache(tmp_path, 10 * ENTRY)
    write = Path.write_bytes

    def full(self: Path, data: bytes) -> int:
        write(self, data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    assert not cache.put("ab", "bark", "v1", rows())
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_left_over_temporary_files_are_evicted(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, 2 * ENTRY)
    path = keep(cache, 1, age=50)
    left = path.with_name(path.name + ".0a1b2c3d.tmp")
    left.write_bytes(path.read_bytes())
    os.utime(left, (1, 1))
    keep(FeatureCache(tmp_path, 2 * ENTRY), 2)
    assert not left.exists()
    assert has(cache, 2)


def test_clear(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, 10 * ENTRY)
    keep(cache, 1)
    cache.clear()
    assert cache.size() == 0
    assert not has(cache, 1)


@pytest.mark.parametrize("part", ["", "../x", "a/b", "a~b", ".hidden", "a b"])
def test_keys_cannot_leave_the_folder(tmp_path: Path, part: str) -> None:
    cache = FeatureCache(tmp_path, 10 * ENTRY)
    for key in [(part, "bark", "v1"), ("ab", part, "v1"), ("ab", "bark", part)]:
        with pytest.raises(ValueError, match="parts of a cache key"):
            cache.get(*key)


def test_files_hold_no_pickles(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, 10 * ENTRY)
    path = keep(cache, 1)
    assert np.array_equal(np.load(path, allow_pickle=False), rows(1))
