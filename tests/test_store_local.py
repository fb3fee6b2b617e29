"""The local store's own promises: opening, formats, locks, snapshots, details of rows and tags."""

from __future__ import annotations

import errno
import os
import sqlite3
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest

from earmark import where
from earmark.errors import (
    DamagedLibrary,
    EarmarkError,
    ForeignFormat,
    LibraryLocked,
    LibraryNotFound,
    NotAvailable,
    StorageFull,
    TrackNotFound,
)
from earmark.stores import open_store
from earmark.stores.local import LocalStore, open_local, schema
from earmark.stores.local.files import FileLayer
from earmark.testing.store_cases import record, segments, spec_of
from earmark.types import Encoded
from fixtures.make_library_format_1 import rows as rows_of_format_1

SPEC = spec_of(ndim=16)


def encoded(seed: int, count: int = 4) -> Encoded:
    rows = np.random.default_rng(seed).standard_normal((count, 16), dtype=np.float32)
    return Encoded(rows, segments(count))


def fill(store: LocalStore, tracks: int, start: int = 0) -> list[int]:
    with store.writer() as writer:
        writer.put_encoder(SPEC, {"book": np.arange(5.0)})
        ids = [
            writer.put_track(record(f"/{i}.wav", title=f"take {i}", n=i), {"enc": encoded(i)})
            for i in range(start, start + tracks)
        ]
        writer.commit()
    return ids


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return open_local(tmp_path / "lib", create=True)


# --- opening -----------------------------------------------------------------------------------


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(LibraryNotFound):
        open_local(tmp_path / "lib")
    assert not (tmp_path / "lib").exists()


def test_a_folder_of_audio_is_not_made_a_library(tmp_path: Path) -> None:
    (tmp_path / "song.mp3").write_bytes(b"x")
    for create in (False, True):
        with pytest.raises(ForeignFormat, match=r"song\.mp3|other files"):
            open_local(tmp_path, create=create)
    assert not (tmp_path / schema.CATALOG).exists()


def test_creation_that_was_interrupted_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "catalog.sqlite.new-abc").write_bytes(b"half")
    (tmp_path / "lock").touch()
    with open_local(tmp_path, create=True) as store:
        assert store.count() == 0
    assert not list(tmp_path.glob("*.new-*"))


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / schema.CATALOG).write_bytes(b"something else")
    with pytest.raises(ForeignFormat, match="SQLite"):
        open_local(tmp_path, create=True)


def test_a_database_of_another_program(tmp_path: Path) -> None:
    con = sqlite3.connect(tmp_path / schema.CATALOG)
    con.execute("create table t (x)")
    con.close()
    with pytest.raises(ForeignFormat, match="another program"):
        open_local(tmp_path)


def test_a_newer_format_is_refused_with_a_way_out(store: LocalStore) -> None:
    store.close()
    con = sqlite3.connect(store.folder / schema.CATALOG)
    con.execute(f"pragma user_version = {schema.FORMAT + 1}")
    con.close()
    with pytest.raises(ForeignFormat, match=f"format {schema.FORMAT + 1}") as caught:
        open_local(store.folder)
    assert "upgrade" in str(caught.value.hint)


def test_a_malformed_catalog(store: LocalStore) -> None:
    store.close()
    path = store.folder / schema.CATALOG
    data = bytearray(path.read_bytes())
    data[100:4000] = b"\xa5" * 3900
    path.write_bytes(data)
    with pytest.raises(DamagedLibrary):
        open_local(store.folder)


def test_urls(tmp_path: Path) -> None:
    with_scheme = open_store(f"local://{tmp_path / 'lib'}", create=True)
    assert with_scheme.url == str(tmp_path / "lib")
    with pytest.raises(NotAvailable):
        open_store("milvus://host")
    with pytest.raises(NotAvailable, match="mivlus"):
        open_store("mivlus://host")


def test_closed(store: LocalStore) -> None:
    store.close()
    with pytest.raises(EarmarkError, match="closed"):
        store.count()


# --- older formats -----------------------------------------------------------------------------


@pytest.fixture
def format_1(tmp_path: Path) -> Path:
    archive = Path(__file__).parent / "fixtures" / "library-format-1.zip"
    with zipfile.ZipFile(archive) as file:
        file.extractall(tmp_path / "old")
    return tmp_path / "old"


def test_a_library_of_format_1_is_migrated(format_1: Path) -> None:
    store = open_local(format_1)
    assert store.verify() == []
    assert store.stats().format == schema.FORMAT
    first, third = store.tracks([1, 3])
    assert (first.path, first.title, dict(first.tags)) == (
        "/music/café.mp3", "Title 1", {"genre": "jazz", "year": 1999})  # fmt: skip
    assert third.path == "/music/\udcff.mp3"
    assert store.known()["/music/bad.mp3"].error == "cut off"
    assert store.state("enc")["book"].tolist() == [0, 1, 2]
    assert store.keys("enc", 3).tolist() == [8, 9, 10, 11]
    assert store.locate("enc", np.array([4, 9])).tracks.tolist() == [-1, 3]
    assert store.locate("enc", np.array([9])).starts.tolist() == [0.5]
    found = store.search("enc", rows_of_format_1().astype(np.float32)[[5, 9]], 8)
    assert found.keys[1, 0] == 9
    assert 5 not in found.keys
    assert [m.track for m in store.find_text("jazz", 5)] == [1]
    with store.writer() as writer:
        assert writer.put_track(record("/new"), {}) == 5  # 4 was used once
        writer.commit()
    store.close()
    open_local(format_1).close()


def test_a_migrated_catalog_has_the_tables_of_a_new_one(format_1: Path, store: LocalStore) -> None:
    open_local(format_1).close()

    def tables(folder: Path) -> dict[str, str]:
        con = sqlite3.connect(folder / schema.CATALOG)
        rows = con.execute("select name, sql from sqlite_master").fetchall()
        con.close()
        return dict(rows)

    assert tables(format_1) == tables(store.folder)


def test_a_migration_that_fails_changes_nothing(
    format_1: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(con: sqlite3.Connection, folder: Path) -> None:
        con.execute("drop table segments")
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patch:
        patch.setattr(schema, "_MIGRATIONS", {1: fail})
        with pytest.raises(StorageFull):
            open_local(format_1)
    with open_local(format_1) as store:
        assert store.count() == 2


# --- one writer, many readers ------------------------------------------------------------------


def test_the_second_writer_is_told_who_the_first_is(store: LocalStore) -> None:
    other = open_local(store.folder)
    with store.writer() as writer:
        writer.put_track(record("/a"), {})
        for attempt in (other.writer, store.writer):
            with pytest.raises(LibraryLocked, match=f"process {os.getpid()} on"), attempt():
                pass
        with pytest.raises(LibraryLocked):
            other.compact()
        assert other.count() == 0
        writer.commit()
        assert other.count() == 1
    with other.writer():
        pass


def test_the_second_writer_in_another_process(store: LocalStore) -> None:
    code = (
        "import sys; from earmark.stores.local import open_local\n"
        "with open_local(sys.argv[1]).writer(): print('writing', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(store.folder)], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        assert process.stdout.readline() == "writing\n"
        with pytest.raises(LibraryLocked, match=f"process {process.pid} "), store.writer():
            pass
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()
    with store.writer():  # the lock dies with its process
        pass


def test_readers_see_whole_commits_while_one_writes(store: LocalStore) -> None:
    fill(store, 1)
    done = threading.Event()
    wrong: list[object] = []
    reads = [0]

    def read() -> None:
        seen = 0
        query = encoded(0).rows[:1]
        while not done.is_set():
            count = store.count()
            keys = store.search("enc", query, 1000).keys
            rows = int((keys >= 0).sum())
            if count < seen or rows % 4 or rows < 4 * count:
                wrong.append((count, seen, rows))
            seen = count
            reads[0] += 1

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for i in range(1, 40):
        fill(store, 3, start=3 * i)
        if i % 10 == 0:
            store.compact()
    done.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert reads[0] > 5


def test_a_snapshot_survives_compaction(store: LocalStore) -> None:
    ids = fill(store, 40)
    reader = open_local(store.folder)
    query = encoded(7).rows[:2]
    before = reader.search("enc", query, 5)
    found = reader.locate("enc", before.keys[0])
    gone = [ids[0], ids[3], ids[20]]
    with store.writer() as writer:
        writer.remove_tracks(gone)
        writer.commit()
    files = {p.name for p in (store.folder / "vectors" / "enc").iterdir()}
    store.compact()
    assert files.isdisjoint(p.name for p in (store.folder / "vectors" / "enc").iterdir())
    again = reader.locate("enc", before.keys[0])  # keys handed out before
    assert np.array_equal(np.isin(found.tracks, gone), again.tracks == -1)
    alive = again.tracks != -1
    assert alive.any()
    assert np.array_equal(found.tracks[alive], again.tracks[alive])
    assert np.array_equal(found.starts[alive], again.starts[alive])
    rows = reader.vectors("enc", before.keys[0][alive])
    assert np.array_equal(rows, store.vectors("enc", before.keys[0][alive]))


def test_a_reader_that_comes_too_late_for_a_shard_begins_anew(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = fill(store, 10)
    reader = open_local(store.folder)
    blocks = reader._searcher.maps.blocks
    calls = []

    def compacted_meanwhile(*args: object) -> object:
        if not calls:
            with store.writer() as writer:
                writer.remove_tracks(ids[:1])
                writer.commit()
            store.compact()
        calls.append(1)
        return blocks(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(reader._searcher.maps, "blocks", compacted_meanwhile)
    found = reader.search("enc", encoded(5).rows[:1], 100)
    assert len(calls) == 2
    assert int((found.keys >= 0).sum()) == 36


def test_one_snapshot_for_many_reads_goes_on_when_its_files_are_replaced(
    store: LocalStore,
) -> None:
    ids = fill(store, 10)
    reader = open_local(store.folder)
    with reader.reading():
        assert reader.count() == 10
        with store.writer() as writer:
            writer.remove_tracks(ids[:1])
            writer.commit()
        assert reader.count() == 10  # still the same
        store.compact()
        found = reader.search("enc", encoded(5).rows[:1], 100)
        assert int((found.keys >= 0).sum()) == 36
        assert reader.count() == 9  # and from here on the one that followed
    assert reader.count() == 9


def test_keys_of_many_tracks_are_those_of_each(store: LocalStore) -> None:
    ids = fill(store, 600)
    with store.writer() as writer:
        writer.remove_tracks(ids[5:9])
        writer.commit()
    asked = [ids[7], ids[3], ids[599], 10**9, ids[0]]
    found = store.key_ranges("enc", asked)
    slow = [store.keys("enc", track) for track in asked]
    assert [len(keys) for keys in slow] == [0, 4, 4, 0, 4]
    assert [list(range(first, first + rows)) for first, rows in found.tolist()] == [
        keys.tolist() for keys in slow
    ]
    assert store.key_ranges("enc", ids).shape == (600, 2)
    assert store.key_ranges("enc", []).shape == (0, 2)


def test_words_are_found_alike_with_and_without_a_filter(store: LocalStore) -> None:
    fill(store, 30)
    for words in ("take", "take 1", "2", "tkae 3", "nothing"):
        assert store.find_text(words, 10) == store.find_text(
            words, 10, where=where.parse("size >= 0")
        )


def test_a_thread_that_ends_leaves_no_connection(store: LocalStore) -> None:
    fill(store, 2)

    def opened() -> int:
        links = (os.path.realpath(fd) for fd in Path("/proc/self/fd").iterdir())
        return sum(link == str(store.folder / schema.CATALOG) for link in links)

    store.count()
    before = opened()
    for _ in range(5):
        thread = threading.Thread(target=store.count)
        thread.start()
        thread.join()
    assert opened() <= before + 1  # SQLite keeps one for the next, while another is locked
    assert store.count() == 2
    store.close()
    with pytest.raises(EarmarkError, match="closed"):
        store.count()


def test_compaction_gives_back_bytes(store: LocalStore) -> None:
    ids = fill(store, 300)
    with store.writer() as writer:
        writer.remove_tracks(ids[10:])
        writer.commit()
    assert store.compact() > 290 * 4 * 32
    assert store.stats().spaces[0].rows == 40
    assert store.verify() == []
    assert store.compact() == 0


def test_compaction_is_not_visible_if_it_dies(store: LocalStore) -> None:
    class Dies(FileLayer):
        def reached(self, point: str) -> None:
            if point == "compacted":
                raise KeyboardInterrupt

    ids = fill(store, 20)
    with store.writer() as writer:
        writer.remove_tracks(ids[:5])
        writer.commit()
    with pytest.raises(KeyboardInterrupt):
        open_local(store.folder, files=Dies()).compact()
    assert store.stats().spaces[0].dead_rows == 20
    assert store.verify() == []
    with store.writer():
        pass
    assert len(list((store.folder / "vectors" / "enc").iterdir())) == 1


# --- read-only ---------------------------------------------------------------------------------


@pytest.mark.skipif(os.geteuid() != 0, reason="changing the user needs root")
def test_a_library_that_may_only_be_read(store: LocalStore, tmp_path: Path) -> None:
    fill(store, 5)
    store.close()
    code = (
        "import os, sys; import numpy as np; from earmark.stores.local import open_local\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "store = open_local(sys.argv[1])\n"
        "assert not os.access(sys.argv[1], os.W_OK)\n"
        "q = np.ones((1, 16), np.float32)\n"
        "print(store.count(), int((store.search('enc', q, 100).keys >= 0).sum()),"
        " store.verify(), [m.track for m in store.find_text('take 3', 1)])\n"
        "try:\n"
        "    with store.writer(): print('wrote')\n"
        "except Exception as error: print(type(error).__name__)\n"
    )
    for folder in [tmp_path, *tmp_path.parents]:
        folder.chmod(0o755)
        if folder.name.startswith("pytest-of-"):  # above it is what the machine has made
            break
    for path in [store.folder, *store.folder.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    result = subprocess.run(
        [sys.executable, "-c", code, str(store.folder)], capture_output=True, text=True, check=False
    )
    assert result.stdout.splitlines()[0] == "5 20 [] [4]", result.stderr
    assert result.stdout.splitlines()[1] == "StoreError", result.stderr


# --- details -----------------------------------------------------------------------------------


def test_shards_are_cut_and_strays_removed_by_the_writer_only(store: LocalStore) -> None:
    fill(store, 5)
    (shard,) = (store.folder / "vectors" / "enc").iterdir()
    size = shard.stat().st_size
    with shard.open("ab") as file:
        file.write(b"tail of a commit that never was")
    stray = shard.with_name("stray.rows")
    stray.write_bytes(b"x")
    reader = open_local(store.folder)
    assert reader.verify() == []
    assert int((reader.search("enc", encoded(1).rows, 100).keys[0] >= 0).sum()) == 20
    assert shard.stat().st_size > size
    assert stray.exists()
    with store.writer():
        pass
    assert shard.stat().st_size == size
    assert not stray.exists()


def test_rows_go_over_the_end_of_a_shard(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("earmark.stores.local.append.SHARD_ROWS", 7)
    ids = fill(store, 10)
    fill(store, 3, start=10)
    assert len(list((store.folder / "vectors" / "enc").iterdir())) == 8
    for i, track in enumerate(ids):
        rows = store.vectors("enc", store.keys("enc", track))
        unit = encoded(i).rows / np.linalg.norm(encoded(i).rows, axis=1, keepdims=True)
        assert np.allclose(rows, unit, atol=1e-3)
    assert store.search("enc", encoded(4).rows[:1], 1).keys[0, 0] == store.keys("enc", ids[4])[0]
    with store.writer() as writer:
        writer.remove_tracks([ids[2], ids[5]])
        writer.commit()
    store.compact()
    assert store.verify() == []
    assert store.vectors("enc", store.keys("enc", ids[9])).shape == (4, 16)


def test_an_interrupt_within_a_change_drops_all_since_the_commit(store: LocalStore) -> None:
    fill(store, 2)
    with store.writer() as writer:
        writer.put_track(record("/x"), {"enc": encoded(9)})
        put_span = writer._put_span

        def interrupted(*args: object) -> None:
            put_span(*args)  # type: ignore[arg-type]
            raise KeyboardInterrupt

        writer._put_span = interrupted  # type: ignore[method-assign]
        with pytest.raises(KeyboardInterrupt):
            writer.put_track(record("/y"), {"enc": encoded(10)})
        writer.commit()
    assert store.find_path("/y") is None
    assert store.verify() == []


def test_unknown_tracks(store: LocalStore) -> None:
    with store.writer() as writer:
        for change in (
            lambda: writer.move_track(1, record("/a")),
            lambda: writer.copy_track(record("/a"), 1, []),
            lambda: writer.set_tags(1, {}),
        ):
            with pytest.raises(TrackNotFound):
                change()


def test_filters_bind_values_and_names(store: LocalStore) -> None:
    with store.writer() as writer:
        odd = "x') or 1=1 --"
        writer.put_track(record("/a", **{odd: "y') or 1=1 --"}), {})  # type: ignore[arg-type]
        writer.put_track(record("/b"), {})
        writer.commit()
    quoted = where.parse(f"`{odd}` = 'y'') or 1=1 --'")
    assert store.count(quoted) == 1
    assert store.count(where.parse(f"`{odd}` = 'z'")) == 0
    assert store.count(where.parse("id > 99999999999999999999999")) == 0


def test_odd_tag_values(store: LocalStore) -> None:
    with store.writer() as writer:
        track = writer.put_track(
            record("/a", big=2**80, nan=float("nan"), text="\udcff", flag=True), {}
        )
        writer.commit()
    tags = dict(store.tracks([track])[0].tags)
    assert tags == {"big": str(2**80), "nan": "nan", "text": "?", "flag": 1}
    assert store.verify() == []


def test_a_failure_of_a_known_track_keeps_the_track(store: LocalStore) -> None:
    (track,) = fill(store, 1)
    with store.writer() as writer:
        writer.put_failure("/0.wav", 9, 9, "cut off")
        writer.commit()
    known = store.known()["/0.wav"]
    assert (known.track, known.error, known.size) == (track, "cut off", 9)
    assert known.encoders == {"enc"}


def test_all_ids_are_those_of_the_last_commit(store):
    ids = fill(store, 3)
    for _ in range(2):
        found = store.track_ids()
        assert found.tolist() == ids
        found[0] = 99  # the caller's own
    with store.reading():
        more = fill(store, 2, start=5)
        assert store.track_ids().tolist() == ids
        assert store.count() == 3
    assert store.track_ids().tolist() == [*ids, *more]


# --- times at hand -----------------------------------------------------------------------------


def test_times_at_hand_agree_with_those_looked_up_one_by_one(store, monkeypatch):
    from earmark.stores.local import spans

    ids = fill(store, 9)

    def located():
        keys = np.random.default_rng(0).permutation(np.arange(-2, 60))
        found = store.locate("enc", keys)
        return np.stack([found.tracks, found.starts, found.ends])

    def agree() -> None:
        monkeypatch.setattr(spans, "_MANY_LOOKUPS", 10**9)
        slow = located()
        monkeypatch.setattr(spans, "_MANY_LOOKUPS", 0)
        np.testing.assert_array_equal(located(), slow)
        assert (slow[0] > 0).any()

    agree()
    with store.writer() as writer:
        writer.remove_tracks(ids[2:4])
        writer.commit()
    agree()
    fill(store, 5, start=20)
    agree()
    store.compact()
    agree()
    monkeypatch.setattr(spans, "_MOST_UNPACKED_ROWS", 3)
    assert located().shape == (3, 62)


def test_a_table_of_spans_grows_and_loses_what_is_gone(store):
    def tracks() -> list[int]:
        with store._catalog.read() as (con, snapshot):
            space = snapshot.space("enc")
            table = store._searcher.spans.table(con, snapshot, space)
            fresh = spans_.Spans().table(con, snapshot, space)
        for mine, theirs in zip(
            (table.first, table.rows, table.track), (fresh.first, fresh.rows, fresh.track),
            strict=True,
        ):  # fmt: skip
            np.testing.assert_array_equal(mine, theirs)
        return table.track.tolist()

    from earmark.stores.local import spans as spans_

    ids = fill(store, 4)
    assert tracks() == ids
    ids += fill(store, 2, start=10)
    assert tracks() == ids
    with store.writer() as writer:
        writer.remove_tracks([ids.pop(1)])
        writer.commit()
    assert tracks() == ids
    with store.writer() as writer:
        writer.remove_tracks([ids.pop(0)])
        writer.commit()
    ids += fill(store, 1, start=20)
    assert tracks() == ids
    store.compact()
    assert tracks() == ids


def test_while_one_thread_brings_times_up_to_date_the_others_do_not_wait(store, monkeypatch):
    from earmark.stores.local import spans

    monkeypatch.setattr(spans, "_MANY_LOOKUPS", 0)
    fill(store, 9)
    keys = np.arange(0, 40)
    store.locate("enc", keys)
    fill(store, 5, start=20)
    expected = store.locate("enc", keys)
    fill(store, 2, start=40)
    monkeypatch.setattr(spans, "_FEW", 3)  # so many lookups would else make a table
    monkeypatch.setattr(spans, "_unpack_all", lambda *_: pytest.fail("made by two threads"))
    with store._searcher.spans._making:  # as if another thread were at it
        found = store.locate("enc", keys)
    np.testing.assert_array_equal(found.tracks, expected.tracks)
    np.testing.assert_array_equal(found.starts, expected.starts)
    np.testing.assert_array_equal(found.ends, expected.ends)
