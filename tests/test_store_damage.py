"""Flipped bytes in shards, indexes and catalog are found by verify and mended where possible."""

from __future__ import annotations

import random
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from earmark.errors import DamagedLibrary
from earmark.stores.local import LocalStore, open_local, schema
from earmark.testing.store_cases import record, segments, spec_of
from earmark.types import Encoded, RowSpec

SPEC = spec_of(ndim=16, refine=RowSpec("float32", 4, "l2"))
TRACKS = 60


def encoded(seed: int) -> Encoded:
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((5, 16), dtype=np.float32)
    return Encoded(rows, segments(5), rng.standard_normal((5, 4), dtype=np.float32))


def put(store: LocalStore, numbers: range | list[int]) -> None:
    with store.writer() as writer:
        writer.put_encoder(SPEC, {"book": np.arange(40.0)})
        for i in numbers:
            name = record(f"/{i}.wav", title=f"take {i}", genre="jazz", n=i)
            writer.put_track(name, {"enc": encoded(i)})
        writer.put_failure("/bad", 1, 2, "cut off")
        writer.commit()


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    store = open_local(tmp_path / "lib", create=True)
    put(store, range(TRACKS))
    with store.writer() as writer:
        writer.remove_tracks([3, 4])
        writer.commit()
    store.rebuild(index="ivf")
    assert store.verify() == []
    return store


def flip(path: Path, offset: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 0x10]))


def shard(store: LocalStore, form: str) -> Path:
    (path,) = (store.folder / "vectors" / "enc").glob(f"*.{form}")
    return path


def change(store: LocalStore, *statements: str) -> LocalStore:
    """Change the catalog behind the store's back, and open it again."""
    store.close()
    con = sqlite3.connect(store.folder / schema.CATALOG)
    for statement in statements:
        con.execute(statement)
    con.commit()
    con.close()
    return open_local(store.folder)


@pytest.mark.parametrize(("form", "nbytes"), [("rows", 32), ("refine", 16)])
def test_a_flipped_byte_in_a_shard_names_the_track_and_is_mended(
    store: LocalStore, form: str, nbytes: int
) -> None:
    track = 10
    key = int(store.keys("enc", track)[2])
    flip(shard(store, form), key * nbytes + 5)
    (damage,) = store.verify()
    assert (damage.what, damage.tracks) == ("shard", (track,))
    with store.writer() as writer:
        writer.remove_tracks([20])
        writer.commit()
    with pytest.raises(DamagedLibrary, match=f"track {track}"):
        store.compact()  # would hide it
    assert any("index them again" in line for line in store.rebuild())
    with store.writer() as writer, pytest.raises(DamagedLibrary):
        writer.copy_track(record("/copy"), track, ["enc"])
    put(store, [track - 1])  # the source, encoded anew
    (damage,) = store.verify()
    assert damage.tracks == ()  # what is left lies in dead rows
    store.rebuild()
    assert store.verify() == []
    rows = store.vectors("enc", store.keys("enc", track), form="refine")
    assert np.array_equal(rows, encoded(track - 1).refine)


def test_damage_in_dead_rows_affects_no_track(store: LocalStore) -> None:
    flip(shard(store, "rows"), 2 * 5 * 32 + 3)  # track 3 is removed
    (damage,) = store.verify()
    assert damage.tracks == ()
    store.rebuild()
    assert store.verify() == []


def test_a_shard_that_is_cut_off(store: LocalStore) -> None:
    path = shard(store, "rows")
    path.write_bytes(path.read_bytes()[:-40])
    fresh = open_local(store.folder)
    (damage,) = fresh.verify()
    assert "cut off" in damage.reason
    with pytest.raises(DamagedLibrary, match="must have"):
        fresh.search("enc", encoded(1).rows[:1], 3, exact=True)
    put(fresh, [100])  # new rows go to a shard of their own
    assert len(fresh.vectors("enc", fresh.keys("enc", TRACKS + 1))) == 5
    assert len(fresh.verify()) == 1


def test_a_shard_that_is_missing(store: LocalStore) -> None:
    shard(store, "rows").unlink()
    fresh = open_local(store.folder)
    (damage,) = fresh.verify()
    assert damage.reason == "the file is missing"
    assert len(damage.tracks) == TRACKS - 2
    with pytest.raises(DamagedLibrary, match="no such file"):
        fresh.search("enc", encoded(1).rows[:1], 3, exact=True)


@pytest.mark.parametrize("harm", ["flip", "cut", "remove"])
def test_a_damaged_index_is_not_used_and_made_anew(store: LocalStore, harm: str) -> None:
    query = encoded(30).rows[:1]
    truth = store.search("enc", query, 5, exact=True)
    (path,) = (store.folder / "indexes").iterdir()
    if harm == "flip":
        flip(path, path.stat().st_size // 2)
    elif harm == "cut":
        path.write_bytes(path.read_bytes()[:100])
    else:
        path.unlink()
    fresh = open_local(store.folder)
    assert [d.what for d in fresh.verify()] == ["index"]
    found = fresh.search("enc", query, 5)
    assert found.exact
    assert np.array_equal(found.keys, truth.keys)
    fresh.rebuild()
    assert fresh.verify() == []
    assert not fresh.search("enc", query, 5).exact


def test_the_index_before_is_used_while_the_newest_is_damaged(store: LocalStore) -> None:
    put(store, range(100, 160))
    store.rebuild(index="ivf")
    rows = store._on_snapshot("enc", lambda view, space: space.indexes)
    assert len(rows) == 2
    flip(store.folder / rows[0].file, 200)
    fresh = open_local(store.folder)
    found = fresh.search("enc", encoded(130).rows[:1], 1)
    assert not found.exact
    assert fresh.locate("enc", found.keys[0]).tracks[0] == TRACKS + 31


@pytest.mark.parametrize(
    ("statement", "what", "name"),
    [
        ("update tracks set title = 'taken' where id = 9", "catalog", "track 9"),
        ("update tracks set size = size + 1 where id = 9", "catalog", "track 9"),
        ("update tags set value = 'rock' where track = 9 and name = 'genre'", "catalog", "track 9"),
        ("delete from tags where track = 9", "catalog", "track 9"),
        ("delete from tracks where id = 9", "catalog", "tags"),
        ("update spans set rows = rows - 1 where track = 9", "catalog", "segments of track 9"),
        ("update spans set times = zeroblob(3) where track = 9", "catalog", "segments of track 9"),
        ("delete from spans where track = 9", "catalog", "keys of enc"),
        ("delete from dead", "catalog", "keys of enc"),
        ("update encoders set next_key = next_key - 1", "catalog", "keys of enc"),
        ("update shards set crc = crc + 1", "catalog", "shards"),
        ("update failures set error = 'x'", "catalog", "failures"),
        ("update states set data = zeroblob(320)", "state", "enc"),
        ("update indexes set params = '{}'", "index", "indexes"),
        ("update words set title = 'x' where rowid = 9", "catalog", "words"),
        ("update encoders set spec = replace(spec, '0.5', '0.7')", "catalog", "encoder enc"),
        ("update encoders set spec = '{'", "catalog", "encoder enc"),
        ("update meta set value = 'x' where name = 'commit'", "catalog", "meta"),
    ],
)
def test_changed_catalog_rows_are_found(
    store: LocalStore, statement: str, what: str, name: str
) -> None:
    found = change(store, statement).verify()
    assert (what, name) in {(d.what, d.name) for d in found}, found


def test_words_and_metadata_are_mended(store: LocalStore) -> None:
    again = change(
        store,
        "update words set title = 'x' where rowid = 9",
        "delete from words where rowid = 10",
        "update tracks set title = 'forged' where id = 20",
    )
    assert {d.tracks for d in again.verify() if d.name != "words"} == {(20,)}
    put(again, [19])  # its file, indexed again
    again.rebuild()
    assert again.verify() == []
    assert [m.track for m in again.find_text("take 8", 1)] == [9]


def test_a_damaged_catalog_row_of_an_index_is_mended(store: LocalStore) -> None:
    again = change(store, "update indexes set params = '{}'")
    again.rebuild()
    assert again.verify() == []


def test_a_damaged_state_is_not_handed_out(store: LocalStore) -> None:
    again = change(store, "update states set data = zeroblob(320)")
    with pytest.raises(DamagedLibrary, match="book"):
        again.state("enc")


def test_values_that_no_writer_wrote_are_damage_and_no_crash(store: LocalStore) -> None:
    again = change(store, "update encoders set spec = '{\"name\": 1}'")
    with pytest.raises(DamagedLibrary):
        again.encoders()
    assert again.verify() != []


def _reading(store: LocalStore) -> object:
    """Return all that a library says of itself."""
    ids = store.track_ids().tolist()
    keys = [store.keys("enc", i) for i in ids]
    where = store.locate("enc", np.concatenate(keys))
    return (
        store.tracks(ids), sorted(store.known().items()), store.encoders(),
        store.state("enc")["book"].tolist(), [k.tolist() for k in keys],
        where.tracks.tolist(), where.starts.tolist(), where.ends.tolist(),
        store.vectors("enc", np.concatenate(keys)).tolist(),
        [m.track for m in store.find_text("take", 100)],
    )  # fmt: skip


@pytest.mark.slow
def test_any_flipped_byte_of_the_catalog_is_found_or_harmless(
    store: LocalStore, tmp_path: Path
) -> None:
    store.compact()
    truth = _reading(store)
    store.close()
    rng = random.Random(0)
    size = (store.folder / schema.CATALOG).stat().st_size
    found = 0
    for trial in range(250):
        copy = tmp_path / f"copy {trial}"
        shutil.copytree(store.folder, copy)
        flip(copy / schema.CATALOG, rng.randrange(100, size))
        found += _found_or_harmless(copy, truth)
        shutil.rmtree(copy)
    assert found > 20


def _found_or_harmless(folder: Path, truth: object) -> bool:
    try:
        damaged = open_local(folder)
    except DamagedLibrary:
        return True
    try:
        if damaged.verify():
            return True
        assert _reading(damaged) == truth, "a flipped byte went unseen"
        return False
    finally:
        damaged.close()


def test_without_checksums_damage_would_pass(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The protection taken out: without CRCs of shards, wrong rows pass for right ones."""
    flip(shard(store, "rows"), 1000)
    with monkeypatch.context() as patch:
        patch.setattr("earmark.stores.local.verify.shard_fault", lambda *args: "")
        assert store.verify() == []
    assert store.verify() != []
