"""Ingest with a store in memory: what is done, what is left alone, and what is told."""

from __future__ import annotations

import os
import shutil
import signal
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import fakes
from earmark import encoders, ingest
from earmark.encoders import FITTED_TRACKS
from earmark.errors import EncoderMismatch, InvalidVectors, StorageFull, UsageError
from earmark.executors import FileFailure, SerialExecutor
from earmark.types import Failure, Progress
from ingest_helpers import Bench, counts, silence, touch


@pytest.fixture(autouse=True)
def _fake_encoders(monkeypatch):
    monkeypatch.setattr(encoders, "create", fakes.create_encoder)


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


# --- new and unchanged -------------------------------------------------------------------------


def test_new_files_are_added_with_rows_and_facts(bench):
    bench.add("a.wav", 1, seconds=2.0)
    bench.add("deep/er/b.wav", 2)
    report = bench.index()
    assert counts(report) == (2, 0, 0, 0, 0)
    assert report.audio_seconds == pytest.approx(3.5)
    track = bench.store.find_path(bench.path("a.wav"))
    assert track.duration == pytest.approx(2.0)
    assert track.size == (bench.folder / "a.wav").stat().st_size
    np.testing.assert_allclose(bench.store.rows(track.path, "level")[:, 1], 0.5 / np.sqrt(2), 1e-2)


def test_a_second_run_does_nothing(bench):
    bench.add("a.wav", 1)
    bench.add("b.wav", 2)
    bench.index()
    commits = bench.store.commits
    plan = bench.plan()
    assert not plan.writes
    report = ingest.run(bench.store, plan, SerialExecutor())
    assert counts(report) == (0, 0, 2, 0, 0)
    assert bench.store.commits == commits


def test_an_unchanged_file_is_not_opened(bench):
    path = bench.add("a.wav", 1)
    bench.index()
    stat = path.stat()
    path.write_bytes(b"x" * stat.st_size)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert counts(bench.index()) == (0, 0, 1, 0, 0)


def test_report_as_json(bench):
    bench.add("a.wav", 1)
    (bench.folder / "bad.wav").write_bytes(b"no sound")
    document = bench.index().to_json()
    assert list(document) == [
        "added",
        "updated",
        "unchanged",
        "removed",
        "failed",
        "seconds",
        "audio_seconds",
    ]
    (failed,) = document["failed"]
    assert failed["path"] == bench.path("bad.wav")
    assert failed["error"]
    assert bench.path("bad.wav") not in failed["error"]


# --- changed, touched, moved, copied -----------------------------------------------------------


def test_a_changed_file_is_done_again(bench):
    bench.add("a.wav", 1)
    bench.index()
    before = bench.tracks()
    bench.add("a.wav", 2, seconds=3.0)
    assert counts(bench.index()) == (0, 1, 0, 0, 0)
    assert bench.tracks() == before
    assert len(bench.store.rows(bench.path("a.wav"), "level")) == 3


def test_the_same_size_with_other_content_is_done_again(bench):
    path = bench.add("a.wav", 1)
    bench.index()
    size = path.stat().st_size
    bench.add("a.wav", 2)
    touch(path)
    assert path.stat().st_size == size
    assert counts(bench.index()) == (0, 1, 0, 0, 0)


def test_a_touched_file_keeps_its_rows(bench):
    path = bench.add("a.wav", 1)
    bench.index()
    puts = bench.store.puts
    touch(path)
    assert counts(bench.index()) == (0, 0, 1, 0, 0)
    assert bench.store.puts == puts
    assert not bench.plan().writes


def test_a_moved_file_keeps_its_track(bench):
    path = bench.add("a.wav", 1)
    bench.index()
    before = bench.tracks()
    path.rename(bench.folder / "z.wav")
    assert counts(bench.index()) == (0, 1, 0, 0, 0)
    assert bench.tracks() == {"z.wav": before["a.wav"]}
    assert bench.store.puts == 1
    assert not bench.plan().writes


def test_a_file_moved_to_a_place_that_is_not_scanned_is_vanished_then_found(bench, tmp_path):
    path = bench.add("a.wav", 1)
    bench.index()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.move(path, elsewhere / "a.wav")
    assert bench.index().vanished == (str(path),)
    assert counts(bench.index(elsewhere)) == (0, 1, 0, 0, 0)
    assert bench.store.puts == 1


def test_a_file_moved_over_another_replaces_it(bench):
    a = bench.add("a.wav", 1)
    b = bench.add("b.wav", 2, seconds=2.5)
    bench.index()
    before = bench.tracks()
    a.replace(b)
    assert counts(bench.index()) == (0, 1, 0, 0, 0)
    assert bench.tracks() == {"b.wav": before["a.wav"]}
    assert bench.store.puts == 2


def test_two_files_that_swap_their_names_end_right(bench):
    a, b = bench.add("a.wav", 1), bench.add("b.wav", 2, seconds=2.5)
    bench.index()
    a.rename(bench.folder / "t")
    b.rename(a)
    (bench.folder / "t").rename(b)
    assert counts(bench.index()) == (0, 2, 0, 0, 0)
    assert len(bench.store.rows(bench.path("a.wav"), "level")) == 3
    assert len(bench.store.rows(bench.path("b.wav"), "level")) == 2


def test_the_same_content_twice_is_encoded_once(bench):
    path = bench.add("a.wav", 1)
    shutil.copy(path, bench.folder / "b.wav")
    shutil.copy(path, bench.folder / "c.wav")
    assert counts(bench.index()) == (3, 0, 0, 0, 0)
    assert bench.store.puts == 1
    rows = [bench.store.rows(bench.path(name), "level") for name in ("a.wav", "b.wav", "c.wav")]
    np.testing.assert_array_equal(rows[0], rows[1])
    np.testing.assert_array_equal(rows[0], rows[2])


def test_a_copy_of_a_known_file_is_not_encoded(bench):
    path = bench.add("a.wav", 1)
    bench.index()
    shutil.copy(path, bench.folder / "b.wav")
    assert counts(bench.index()) == (1, 0, 1, 0, 0)
    assert bench.store.puts == 1
    assert len(set(bench.tracks().values())) == 2


def test_files_of_one_size_are_not_confused(bench):
    for n in range(5):
        bench.add(f"{n}.wav", n)
    assert counts(bench.index()) == (5, 0, 0, 0, 0)
    assert bench.store.puts == 5


def test_copies_of_a_broken_file_fail_like_it(bench):
    for name in ("a.wav", "b.wav"):
        (bench.folder / name).write_bytes(b"RIFF but not really")
    report = bench.index()
    assert [Path(f.path).name for f in report.failed] == ["a.wav", "b.wav"]
    assert len({f.error for f in report.failed}) == 1


def test_one_of_two_moved_copies_moves_the_other_copies(bench):
    path = bench.add("a.wav", 1)
    bench.index()
    shutil.copy(path, bench.folder / "x.wav")
    path.rename(bench.folder / "y.wav")
    assert counts(bench.index()) == (1, 1, 0, 0, 0)
    assert bench.store.puts == 1
    assert sorted(bench.tracks()) == ["x.wav", "y.wav"]


# --- vanished ----------------------------------------------------------------------------------


def test_vanished_files_are_reported_and_removed_on_demand(bench):
    bench.add("a.wav", 1)
    gone = bench.add("b.wav", 2)
    bench.index()
    gone.unlink()
    report = bench.index()
    assert (counts(report), report.vanished) == ((0, 0, 1, 0, 0), (str(gone),))
    assert len(bench.tracks()) == 2
    report = bench.index(prune=True)
    assert (counts(report), report.vanished) == ((0, 0, 1, 1, 0), ())
    assert list(bench.tracks()) == ["a.wav"]


def test_prune_only_touches_the_given_places(bench):
    one, two = bench.add("one/a.wav", 1), bench.add("two/a.wav", 2)
    beside = bench.add("one-more/a.wav", 3)
    bench.index()
    for path in (one, two, beside):
        path.unlink()
    assert counts(bench.index(bench.folder / "one", prune=True))[3] == 1
    assert sorted(bench.tracks()) == ["one-more/a.wav", "two/a.wav"]


def test_a_place_that_is_missing_is_not_pruned(bench):
    bench.add("a.wav", 1)
    bench.index()
    bench.folder.rename(bench.folder.parent / "unmounted")
    report = bench.index(prune=True)
    assert [f.path for f in report.failed] == [str(bench.folder)]
    assert (report.removed, report.vanished) == (0, ())


def test_a_file_that_is_ignored_now_has_not_vanished(bench):
    bench.add("a.wav", 1)
    bench.index()
    report = bench.index(ignore=["a.wav"], prune=True)
    assert (report.removed, report.vanished) == (0, ())


def test_a_damaged_archive_is_not_pruned(bench):
    source = bench.add("a.wav", 1)
    pack = bench.folder / "pack.zip"
    with zipfile.ZipFile(pack, "w") as archive:
        archive.write(source, "kick/a.wav")
        archive.write(bench.add("b.wav", 2), "kick/b.wav")
    source.unlink()
    assert counts(bench.index()) == (3, 0, 0, 0, 0)
    assert "pack.zip!/kick/a.wav" in bench.tracks()
    content = pack.read_bytes()
    pack.write_bytes(content[:100])
    report = bench.index(prune=True)
    assert report.removed == 0
    assert [f.path for f in report.failed] == [str(pack)]
    with zipfile.ZipFile(pack, "w") as archive:
        archive.write(bench.folder / "b.wav", "kick/b.wav")
    assert bench.index(prune=True).removed == 1


# --- failures ----------------------------------------------------------------------------------


def test_failures_are_remembered_and_not_tried_again(bench, monkeypatch):
    bad = bench.folder / "bad.wav"
    bad.write_bytes(b"no sound")
    bench.add("a.wav", 1)
    first = bench.index()
    assert counts(first) == (1, 0, 0, 0, 1)
    plan = bench.plan()
    assert plan.encode == ()
    again = bench.index()
    assert counts(again) == (0, 0, 1, 0, 1)
    assert again.failed == first.failed
    assert [t.source.path for t in bench.plan(retry_failed=True).encode] == [str(bad)]
    assert bench.plan(salvage=True).encode[0].salvage


def test_a_mended_file_is_taken_and_its_failure_forgotten(bench):
    bad = bench.folder / "a.wav"
    bad.write_bytes(b"no sound")
    bench.index()
    bench.add("a.wav", 1)
    assert counts(bench.index()) == (1, 0, 0, 0, 0)
    assert bench.store.content.failures == {}


def test_a_failed_file_that_vanished_is_forgotten(bench):
    bad = bench.folder / "a.wav"
    bad.write_bytes(b"no sound")
    bench.index()
    bad.unlink()
    assert counts(bench.index()) == (0, 0, 0, 0, 0)
    assert bench.store.content.failures == {}


def test_a_file_that_was_sound_and_is_broken_now_loses_its_track(bench):
    path = bench.add("a.wav", 1)
    bench.index()
    path.write_bytes(b"no sound any more")
    report = bench.index()
    assert counts(report) == (0, 0, 0, 1, 1)
    assert bench.tracks() == {}
    assert counts(bench.index()) == (0, 0, 0, 0, 1)


class _Refusing(SerialExecutor):
    """Everything fails for a while."""

    def run(self, job, tasks, *, idle=None):
        for task in tasks:
            yield FileFailure(task.source.path, "the net is down", lasting=False)


def test_passing_trouble_is_not_remembered_and_costs_no_track(bench):
    path = bench.add("a.wav", 1)
    bench.index()
    bench.add("a.wav", 2, seconds=3.0)
    report = ingest.run(bench.store, bench.plan(), _Refusing())
    assert report.failed == (Failure(str(path), "the net is down"),)
    assert list(bench.tracks()) == ["a.wav"]
    assert counts(bench.index()) == (0, 1, 0, 0, 0)


def test_rows_that_the_store_refuses_fail_their_file_only(bench, monkeypatch):
    bench.add("a.wav", 1)
    bench.add("b.wav", 2)
    put = fakes.MemoryWriter.put_track

    def refuse(self, record, encoded):
        if record.path.endswith("a.wav"):
            raise InvalidVectors("rows must be finite, got NaN")
        return put(self, record, encoded)

    monkeypatch.setattr(fakes.MemoryWriter, "put_track", refuse)
    report = bench.index()
    assert counts(report) == (1, 0, 0, 0, 1)
    assert report.failed[0].error == "rows must be finite, got NaN"


def test_a_full_disk_ends_the_run_and_keeps_what_was_committed(bench, monkeypatch):
    for n in range(10):
        bench.add(f"{n}.wav", n)
    monkeypatch.setattr("earmark.ingest.committing.COMMIT_FILES", 3)
    put = fakes.MemoryWriter.put_track

    def full(self, record, encoded):
        if len(self._content.tracks) == 7:
            raise StorageFull("the disk is full")
        return put(self, record, encoded)

    monkeypatch.setattr(fakes.MemoryWriter, "put_track", full)
    with pytest.raises(StorageFull):
        bench.index()
    assert len(bench.tracks()) == 6
    monkeypatch.setattr(fakes.MemoryWriter, "put_track", put)
    assert counts(bench.index()) == (4, 0, 6, 0, 0)


def test_a_file_that_changes_while_it_is_read_is_seen_by_the_next_run(bench, monkeypatch):
    path = bench.add("a.wav", 1)
    plan = bench.plan()
    bench.add("a.wav", 2, seconds=3.0)
    report = ingest.run(bench.store, plan, SerialExecutor())
    assert counts(report) == (1, 0, 0, 0, 0)
    assert report.warnings == (
        f"{path}: changed while it was being read; the next run reads it again",
    )
    assert counts(bench.index())[1] == 1
    assert not bench.plan().writes


# --- several encoders, fitting -----------------------------------------------------------------


def test_a_new_encoder_is_added_to_unchanged_tracks(bench):
    bench.add("a.wav", 1)
    bench.index()
    bench.encoders = ("level", "other")
    bench.add("b.wav", 2)
    plan = bench.plan()
    assert {t.source.path: t.encoders for t in plan.encode} == {
        bench.path("a.wav"): ("other",),
        bench.path("b.wav"): ("level", "other"),
    }
    assert counts(bench.index()) == (1, 1, 0, 0, 0)
    rows = {name: bench.store.rows(bench.path("a.wav"), name) for name in bench.encoders}
    np.testing.assert_array_equal(rows["level"], rows["other"])
    assert not bench.plan().writes


def test_an_unfitted_encoder_is_fitted_once(bench):
    bench.encoders = ("learning",)
    bench.add("a.wav", 1)
    bench.index()
    state = bench.store.state("learning")
    np.testing.assert_allclose(state["unit"], 0.5 / np.sqrt(2), rtol=1e-2)
    np.testing.assert_allclose(bench.store.rows(bench.path("a.wav"), "learning")[:, 1], 1, 1e-2)
    bench.add("b.wav", 2)
    bench.index()
    assert bench.store.state("learning") == state


def test_silence_alone_teaches_nothing_but_the_files_are_there(bench):
    bench.encoders = ("learning",)
    silence(bench.folder / "a.wav")
    assert counts(bench.index()) == (1, 0, 0, 0, 0)
    assert bench.store.encoders() == {}
    bench.add("b.wav", 1)
    assert counts(bench.index()) == (1, 1, 0, 0, 0)
    assert not bench.plan().writes


def test_silent_tracks_are_counted(bench):
    silence(bench.folder / "a.wav")
    bench.add("b.wav", 1)
    report = bench.index()
    assert (report.added, report.silent) == (2, 1)
    assert not bench.plan().writes


def test_another_revision_of_an_encoder_is_refused(bench, monkeypatch):
    bench.add("a.wav", 1)
    bench.index()
    bench.add("b.wav", 2)

    def newer(name, **options):
        encoder = fakes.create_encoder(name, **options)
        encoder.spec = replace(encoder.spec, revision="2")
        return encoder

    monkeypatch.setattr(encoders, "create", newer)
    with pytest.raises(EncoderMismatch, match="revision: '1' against '2'"):
        bench.index()


def test_an_index_is_built_after_the_last_commit(bench):
    bench.add("a.wav", 1)
    bench.index()
    assert bench.store.indexed == ["level"]
    bench.index()
    assert bench.store.indexed == ["level"]


# --- tags of the user's own --------------------------------------------------------------------


def test_own_tags_are_kept_over_changes_and_moves(bench):
    tags = {bench.path("a.wav"): {"mood": "calm", "title": "One"}}
    path = bench.add("a.wav", 1)
    bench.index(metadata=lambda p: tags.get(p, {}))
    track = bench.store.find_path(str(path))
    assert (track.tags, track.title) == ({"mood": "calm"}, "One")
    bench.add("a.wav", 2, seconds=3.0)
    bench.index()
    assert bench.store.find_path(str(path)).tags["mood"] == "calm"
    path.rename(bench.folder / "b.wav")
    bench.index()
    assert bench.store.find_path(bench.path("b.wav")).tags["mood"] == "calm"


def test_new_tags_reach_unchanged_tracks_without_encoding(bench):
    path = bench.add("a.wav", 1)
    bench.add("b.wav", 2)
    bench.index()
    tags = {str(path): {"mood": "calm", "year": 1999, "artist": "Me"}}
    assert counts(bench.index(metadata=lambda p: tags.get(p, {}))) == (0, 1, 1, 0, 0)
    track = bench.store.find_path(str(path))
    assert (track.tags, track.artist) == ({"mood": "calm", "year": 1999}, "Me")
    assert bench.store.puts == 2
    assert not bench.plan(metadata=lambda p: tags.get(p, {})).writes


def test_copies_have_their_own_tags(bench):
    path = bench.add("a.wav", 1)
    shutil.copy(path, bench.folder / "b.wav")
    tags = {bench.path("b.wav"): {"mood": "wild"}}
    bench.index(metadata=lambda p: tags.get(p, {}))
    assert bench.store.find_path(bench.path("a.wav")).tags == {}
    assert bench.store.find_path(bench.path("b.wav")).tags == {"mood": "wild"}


# --- commits, interrupts, progress -------------------------------------------------------------


def test_commits_come_now_and_then(bench, monkeypatch):
    for n in range(10):
        bench.add(f"{n}.wav", n)
    monkeypatch.setattr("earmark.ingest.committing.COMMIT_FILES", 4)
    bench.index()
    assert bench.store.commits >= 3


def test_waiting_for_a_long_file_does_not_hold_a_commit_back(bench, monkeypatch):
    bench.add("a.wav", 1)
    bench.add("b.wav", 2)
    monkeypatch.setattr("earmark.ingest.committing.COMMIT_SECONDS", 0.3)
    seen = []

    class Slow(SerialExecutor):
        def run(self, job, tasks, *, idle=None):
            assert idle is not None
            for result in super().run(job, tasks):
                yield result
                time.sleep(0.4)
                yield None
                seen.append(len(bench.store.content.tracks))

    ingest.run(bench.store, bench.plan(), Slow())
    assert seen == [1, 2]


def test_an_interrupt_keeps_what_is_done_and_ends_the_workers(bench):
    for n in range(6):
        bench.add(f"{n}.wav", n)
    closed = []

    class Interrupted(SerialExecutor):
        def run(self, job, tasks, *, idle=None):
            for done, result in enumerate(super().run(job, tasks)):
                if done == 3:
                    raise KeyboardInterrupt
                yield result

        def close(self):
            closed.append(True)

    with pytest.raises(KeyboardInterrupt):
        ingest.run(bench.store, bench.plan(), Interrupted())
    assert closed
    assert len(bench.tracks()) == 3
    assert counts(bench.index()) == (3, 0, 3, 0, 0)


@pytest.fixture
def interruptible():
    """SIGINT as Python handles it, also where the tests run as a shell's background job."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_inside_a_change_waits_for_its_end(bench, monkeypatch, interruptible):
    bench.add("a.wav", 1)
    bench.add("b.wav", 2)
    put = fakes.MemoryWriter.put_track
    finished = []

    def interrupted(self, record, encoded):
        signal.raise_signal(signal.SIGINT)
        finished.append(put(self, record, encoded))
        return finished[-1]

    monkeypatch.setattr(fakes.MemoryWriter, "put_track", interrupted)
    with pytest.raises(KeyboardInterrupt):
        bench.index()
    assert len(finished) == 1
    assert len(bench.tracks()) == 1
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_progress_tells_files_and_seconds(bench):
    bench.encoders = ("learning",)
    for n in range(4):
        bench.add(f"{n}.wav", n, seconds=2.0)
    (bench.folder / "bad.wav").write_bytes(b"no sound")
    seen: list[Progress] = []
    plan = bench.plan()
    ingest.run(bench.store, plan, SerialExecutor(), on_progress=seen.append)
    assert [p.stage for p in seen] == sorted((p.stage for p in seen), reverse=True)
    last = seen[-1]
    assert (last.files, last.files_total) == (5, 5)
    assert last.seconds == last.seconds_total == pytest.approx(8.0)
    assert all(p.seconds <= p.seconds_total for p in seen)


# --- anew --------------------------------------------------------------------------------------


def test_refit_replaces_state_and_rows(bench):
    bench.encoders = ("learning",)
    bench.add("a.wav", 1)
    bench.index()
    old = bench.store.encoders()["learning"]
    report = ingest.refit(bench.store, "learning", SerialExecutor(), seed=1)
    assert counts(report) == (0, 1, 0, 0, 0)
    assert bench.store.encoders()["learning"].revision != old.revision
    unit = float(bench.store.state("learning")["unit"][0])
    assert unit == pytest.approx(1 + 0.5 / np.sqrt(2), rel=1e-2)
    rows = bench.store.rows(bench.path("a.wav"), "learning")
    np.testing.assert_allclose(rows[:, 2], 1 / unit, rtol=1e-5)
    assert not bench.plan().writes


def test_refit_changes_nothing_when_most_sources_are_away(bench):
    bench.encoders = ("learning",)
    for n in range(3):
        bench.add(f"{n}.wav", n)
    bench.index()
    content = bench.store.content
    for n in (0, 1):
        (bench.folder / f"{n}.wav").unlink()
    with pytest.raises(UsageError, match="2 of 3 cannot be read"):
        ingest.refit(bench.store, "learning", SerialExecutor(), seed=1)
    assert bench.store.content is content
    report = ingest.refit(bench.store, "learning", SerialExecutor(), seed=1, force=True)
    assert counts(report) == (0, 1, 0, 0, 2)


def test_refit_is_all_or_nothing(bench, monkeypatch):
    bench.encoders = ("learning",)
    for n in range(4):
        bench.add(f"{n}.wav", n)
    bench.index()
    content = bench.store.content
    monkeypatch.setattr("earmark.ingest.committing.COMMIT_FILES", 1)

    class Interrupted(SerialExecutor):
        def run(self, job, tasks, *, idle=None):
            for done, result in enumerate(super().run(job, tasks)):
                if done == 2 and hasattr(result, "encoded"):
                    raise KeyboardInterrupt
                yield result

    with pytest.raises(KeyboardInterrupt):
        ingest.refit(bench.store, "learning", Interrupted(), seed=1)
    assert bench.store.content is content


def test_reencode_mends_rows_and_leaves_metadata(bench):
    path = bench.add("a.wav", 1)
    bench.add("b.wav", 2)
    bench.index(metadata=lambda p: {"mood": "calm", "title": "One"} if p == str(path) else {})
    track = bench.tracks()["a.wav"]
    sound = bench.store.rows(str(path), "level")
    damaged = bench.store.content.rows[track, "level"]
    damaged.rows[:] = 0
    report = ingest.reencode(bench.store, SerialExecutor(), tracks=[track])
    assert counts(report) == (0, 1, 0, 0, 0)
    mended = bench.store.rows(str(path), "level")
    assert mended[0, 2] == 1
    assert sound.shape == mended.shape
    found = bench.store.find_path(str(path))
    assert (found.title, found.tags) == ("One", {"mood": "calm"})


def test_reencode_leaves_changed_files_alone(bench):
    path = bench.add("a.wav", 1)
    bench.index()
    bench.add("a.wav", 2, seconds=3)
    report = ingest.reencode(bench.store, SerialExecutor())
    assert counts(report) == (0, 0, 0, 0, 1)
    assert "has changed" in report.failed[0].error
    assert len(bench.store.rows(str(path), "level")) == 2
    with pytest.raises(UsageError, match="other"):
        ingest.reencode(bench.store, SerialExecutor(), encoders=["other"])


def test_fitting_notes_of_how_many_tracks(bench):
    bench.encoders = ("learning",)
    bench.add("a.wav", 1)
    bench.add("b.wav", 2)
    bench.index()
    assert bench.store.state("learning")[FITTED_TRACKS].tolist() == [2]
    bench.add("c.wav", 3)
    bench.index()
    assert bench.store.state("learning")[FITTED_TRACKS].tolist() == [2]
    ingest.refit(bench.store, "learning", SerialExecutor())
    assert bench.store.state("learning")[FITTED_TRACKS].tolist() == [3]


@pytest.mark.parametrize("name", ["level", "learning"])
def test_renew_replaces_the_rows_of_an_older_encoder(bench, name):
    bench.encoders = (name,)
    path = bench.add("a.wav", 1)
    bench.index()
    stored = bench.store.encoders()[name]
    bench.store.content.specs[name] = replace(stored, revision="of an older release")
    bench.store.content.rows[bench.tracks()["a.wav"], name].rows[:] = 0
    bench.add("b.wav", 2)
    with pytest.raises(EncoderMismatch, match="older release") as caught:
        bench.index()
    assert caught.value.hint is not None
    assert f"earmark rebuild --encoder {name}" in caught.value.hint
    report = ingest.renew(bench.store, name, SerialExecutor())
    assert counts(report) == (0, 1, 0, 0, 0)
    assert bench.store.encoders()[name] == stored
    assert bench.store.rows(str(path), name).any()
    assert counts(bench.index()) == (1, 0, 1, 0, 0)


def test_renew_of_the_same_encoder_keeps_it(bench):
    bench.encoders = ("level",)
    bench.add("a.wav", 1)
    bench.index()
    stored = bench.store.encoders()["level"]
    assert counts(ingest.renew(bench.store, "level", SerialExecutor())) == (0, 1, 0, 0, 0)
    assert bench.store.encoders()["level"] == stored
    with pytest.raises(UsageError, match="must be one that the library has"):
        ingest.renew(bench.store, "learning", SerialExecutor())
