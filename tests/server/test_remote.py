"""The library behind a server against the library itself: the same questions, the same answers.

`tests/test_library.py` runs the facade's own tests over both; here is what it does not ask.
"""

from __future__ import annotations

import dataclasses
import shutil
import socket

import pytest

import audio_factory as af
import earmark
from earmark.errors import (
    DecodeError,
    LibraryLocked,
    NotAvailable,
    QueryError,
    SourceError,
    StoreError,
    TrackNotFound,
    UsageError,
)
from earmark.library import Library
from earmark.library.remote.client import Client, error_of
from earmark.moments import Moment
from serving import READ, WRITE, serving


@pytest.fixture(scope="module")
def address(library, cache):
    with serving(library, settings=cache) as url:
        yield url


@pytest.fixture
def both(library, cache, address):
    with (
        earmark.open(library, settings=cache) as local,
        earmark.open(address, settings=cache) as remote,
    ):
        yield local, remote


def plain(hits) -> list[dict]:
    """Hits without what rounding changes."""
    found = []
    for hit in hits.to_json()["hits"]:
        found.append({n: round(v, 4) if isinstance(v, float) else v for n, v in hit.items()})
    return found


def same(both, ask) -> None:
    local, remote = (plain(ask(lib)) for lib in both)
    assert local
    assert remote == local


def test_the_same_answers(both, music):
    clip = music / "Ada" / "First" / "2.flac"
    same(both, lambda lib: lib.search("ada", k=5))
    same(both, lambda lib: lib.search(like=[1, "2#0.5-2"], unlike=5, k=4))
    same(both, lambda lib: lib.search(audio=clip, where="duration > 1", k=3))
    same(both, lambda lib: lib.search(audio=Moment(str(clip), 1.0, 2.5), k=3))
    same(both, lambda lib: lib.search(audio=f"{clip}#1-2.5", k=3, exact=True))
    same(both, lambda lib: lib.random(4, seed=3))
    same(both, lambda lib: lib.recommend([1, 2], unlike=5, k=3, diversity=0.5))
    same(both, lambda lib: lib.playlist(start=1, end=6, length=4))
    same(both, lambda lib: lib.playlist(like=[1], length=4))
    same(both, lambda lib: lib.identify(clip))
    same(both, lambda lib: lib.identify(f"{clip}#0.5-3", exact_range=True))


def test_words_are_liked_and_disliked(both):
    same(both, lambda lib: lib.search(like="ada", k=5))
    same(both, lambda lib: lib.search(like=[1, "ada^2"], k=5))
    same(both, lambda lib: lib.search("ada", unlike=["first^0.5"], k=5))
    same(both, lambda lib: lib.recommend(1, unlike="ada", k=3))
    same(both, lambda lib: lib.recommend([1, "ada"], k=3))
    for lib in both:
        with pytest.raises((TrackNotFound, SourceError)):
            lib.search(like=[1, "no/such.wav"])
        with pytest.raises(QueryError, match="more than 0"):
            lib.search(like="ada^0")


def test_words_never_name_a_file_of_the_server(library, cache, monkeypatch, music, tmp_path):
    folder = tmp_path / "here"
    folder.mkdir()
    shutil.copy(music / "Ada" / "First" / "1.flac", folder / "ada")
    monkeypatch.chdir(folder)  # the server's: it runs in this process
    with serving(library, settings=cache) as url:
        answer = Client(url).get("/search", {"like_words": "ada", "k": 5})
        assert {hit["by"] for hit in answer["hits"]} == {"metadata"}
        assert answer["query"]["like"] == ["ada"]


def test_hits_know_what_was_asked(both, music):
    clip = str(music / "Ada" / "First" / "2.flac")
    local, remote = (lib.search(audio=f"{clip}#1-", k=1) for lib in both)
    assert remote.query == local.query
    assert remote[0].query_start >= 1.0
    assert remote[0].track.tags == local[0].track.tags
    assert "<table>" in remote._repr_html_()


def test_groups_of_duplicates(asks, music, tmp_path):
    folder = tmp_path / "sounds"
    folder.mkdir()
    for name in ("a", "b"):
        shutil.copy(music / "Ada" / "First" / "1.flac", folder / f"{name}.flac")
    with earmark.open(tmp_path / "library") as local:
        local.add(folder, executor="serial")
        expected = local.duplicates()
    assert len(expected) == 1
    with serving(tmp_path / "library") as url, earmark.open(url) as remote:
        assert remote.duplicates().to_json() == expected.to_json()


def test_the_map_is_the_one_that_is_kept(own_library, cache):
    pytest.importorskip("sklearn")
    with serving(own_library, settings=cache) as url, earmark.open(url) as remote:
        with pytest.raises(TrackNotFound, match="no map"):
            remote.map()
        with earmark.open(own_library, settings=cache) as local:
            try:
                made = local.map()
            except NotAvailable as error:
                pytest.skip(str(error))
        got = remote.map()
        assert got.tracks.tolist() == made.tracks.tolist()
        assert got.to_json()["points"] == made.to_json()["points"]
        remote.remove(1)
        assert 1 not in remote.map().tracks
        assert 1 not in remote.map(fresh=True).tracks
        with pytest.raises(QueryError, match="nobody"):
            remote.map(by="nobody")


def test_what_only_the_library_itself_can_do(both):
    _, remote = both
    for call in (
        remote.verify,
        remote.compact,
        lambda: remote.add("."),
        lambda: remote.encoder("timbre"),
        lambda: remote.store,
        lambda: remote.rebuild(index="flat"),
    ):
        with pytest.raises(NotAvailable, match="not a server"):
            call()
    with pytest.raises(AttributeError):
        _ = remote.nonsense


def test_it_has_every_method_of_a_library():
    from earmark.library.remote import RemoteLibrary

    assert issubclass(RemoteLibrary, Library)
    public = {n for n in dir(Library) if not n.startswith("_") and callable(getattr(Library, n))}
    needs_itself = {
        *("add", "forecast", "watch", "verify", "rebuild", "compact", "features", "follow"),
        "tagger",
    }
    inherited = {n for n in public if getattr(RemoteLibrary, n) is getattr(Library, n)}
    assert inherited <= needs_itself


# --- errors ------------------------------------------------------------------------------------


def test_errors_are_those_of_the_library(both, tmp_path):
    _, remote = both
    (tmp_path / "bad.wav").write_bytes(b"nothing")
    with pytest.raises(DecodeError) as bad:
        remote.search(audio=tmp_path / "bad.wav")
    assert bad.value.reason
    with pytest.raises(TrackNotFound, match="999"):
        remote.track(999)
    with pytest.raises(QueryError) as wrong:
        remote.search("a", by="timber")
    assert "timbre" in wrong.value.hint
    assert isinstance(error_of(409, {"detail": "x", "error": "LibraryLocked"}), LibraryLocked)
    assert isinstance(error_of(418, {"detail": "x", "error": "SystemExit"}), QueryError)
    assert isinstance(error_of(503, {"detail": "x", "error": "__doc__"}), StoreError)


def test_a_server_that_is_not_there():
    with pytest.raises(StoreError, match="must answer") as gone:
        earmark.open("http://127.0.0.1:9").count()
    assert "earmark serve" in gone.value.hint


@pytest.mark.parametrize(
    "url", ["http://", "http://host:port", "http://u:p@host", "http://host?x=1", "ftp://host"]
)
def test_addresses_that_are_none(url):
    with pytest.raises(UsageError):
        Client(url)


def test_something_else_answers():
    import http.server
    import threading

    class Other(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>hello</html>")

        def log_message(self, *_: object) -> None: ...

    with http.server.HTTPServer(("127.0.0.1", 0), Other) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            with pytest.raises(StoreError, match="must be an earmark server"):
                earmark.open(f"http://127.0.0.1:{server.server_port}").count()
        finally:
            server.shutdown()
            thread.join()


def test_a_connection_that_was_closed_is_made_anew(library, cache):
    with serving(library, settings=cache) as url, earmark.open(url) as remote:
        assert remote.count() == 6
        remote.client._local.connection.sock.shutdown(socket.SHUT_RDWR)
        assert remote.count() == 6


# --- tokens and jobs ---------------------------------------------------------------------------


def test_tokens(own_library, cache, monkeypatch):
    monkeypatch.delenv("EARMARK_TOKEN_READ", raising=False)
    monkeypatch.delenv("EARMARK_TOKEN_WRITE", raising=False)
    with serving(own_library, settings=cache, token_read=READ, token_write=WRITE) as url:
        with pytest.raises(UsageError, match="needs a token"):
            earmark.open(url).count()
        reader = earmark.open(url, token=READ)
        assert reader.count() == 6
        assert not reader.track(1).path.startswith("/")
        with pytest.raises(UsageError, match="token to write"):
            reader.remove(1)
        monkeypatch.setenv("EARMARK_TOKEN_WRITE", WRITE)
        writer = earmark.open(url)
        writer.set_tags(1, {"mood": "calm"})
        assert writer.remove(1) == 1
        assert reader.count() == 5


def test_the_server_indexes_its_folders(own_library, cache, tmp_path):
    folder = tmp_path / "more"
    for number in range(3):
        af.write_wav(folder / f"{number}.wav", af.tone(300.0 + 50 * number, seconds=1))
    (folder / "bad.wav").write_bytes(b"nothing")
    with (
        serving(own_library, settings=cache, roots=(f"more={folder}",)) as url,
        earmark.open(url) as remote,
    ):
        assert remote.info()["roots"] == ["more"]
        seen = []
        report = remote.index("more", on_progress=seen.append)
        assert report["added"] == 3
        assert [failure["path"] for failure in report["failed"]] == ["bad.wav"]
        assert remote.count() == 9
        assert seen[-1]["state"] == "done"
        assert remote.index("more")["unchanged"] == 3
        with pytest.raises(UsageError, match="root must be"):
            remote.index("/etc")


def test_tracks_survive_the_way(both):
    local, remote = both
    ours, theirs = local.track(1), remote.track(1)
    known = {f.name for f in dataclasses.fields(ours)} - {"mtime_ns", "info"}
    for name in known:
        assert getattr(theirs, name) == getattr(ours, name)
    assert theirs.info.sample_rate == ours.info.sample_rate
