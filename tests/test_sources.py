"""From names to sources: folders, links, ignore files, archives, URLs."""

from __future__ import annotations

import os
import pickle
import shutil
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path

import fsspec
import numpy as np
import pytest

import audio_factory as factory
from earmark import audio, sources
from earmark.errors import SourceError
from earmark.sources.ignoring import Ignore
from earmark.types import Failure


@pytest.fixture(scope="module")
def wav(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("wav") / "a.wav"
    return factory.write_wav(path, factory.tone(seconds=0.2)).read_bytes()


def put(folder: Path, data: bytes, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def found(*paths: object, ignore: tuple[str, ...] = ()) -> tuple[list[str], dict[str, str]]:
    failures: list[Failure] = []
    names = [
        s.path
        for s in sources.expand([str(p) for p in paths], ignore=ignore, on_failure=failures.append)
    ]
    return names, {f.path: f.error for f in failures}


def below(folder: Path, *paths: object, ignore: tuple[str, ...] = ()) -> list[str]:
    names, failures = found(*(paths or (folder,)), ignore=ignore)
    assert not failures
    return [os.path.relpath(name, folder) for name in names]


def pack(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


# --- folders -------------------------------------------------------------------------------------


def test_folders_are_walked_in_order_and_only_audio_is_taken(tmp_path: Path, wav: bytes) -> None:
    put(tmp_path, wav, "b.wav", "a/2.WAV", "a/1.flac", "c/d/e.Mp3", "z.mp4")
    put(tmp_path, wav, "notes.txt", "cover.jpg", "a/.hidden.wav", ".git/x.wav", "README")
    assert below(tmp_path) == ["b.wav", "z.mp4", "a/1.flac", "a/2.WAV", "c/d/e.Mp3"]


def test_what_is_named_is_taken_whatever_its_suffix(tmp_path: Path, wav: bytes) -> None:
    put(tmp_path, wav, "sound.bin", ".hidden")
    assert below(tmp_path, tmp_path / "sound.bin", tmp_path / ".hidden") == ["sound.bin", ".hidden"]


def test_a_source_comes_once(tmp_path: Path, wav: bytes) -> None:
    put(tmp_path, wav, "a/1.wav")
    paths = (tmp_path, tmp_path / "a", tmp_path / "a" / ".." / "a" / "1.wav")
    assert below(tmp_path, *paths) == ["a/1.wav"]


def test_relative_paths_become_absolute(
    tmp_path: Path, wav: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, wav, "a.wav")
    monkeypatch.chdir(tmp_path)
    assert found(".")[0] == [str(tmp_path / "a.wav")]


def test_links_are_followed_and_loops_survived(tmp_path: Path, wav: bytes) -> None:
    put(tmp_path / "in", wav, "a.wav", "deep/b.wav")
    put(tmp_path / "out", wav, "c.wav")
    (tmp_path / "in/deep/loop").symlink_to(tmp_path / "in")
    (tmp_path / "in/0-same").symlink_to(tmp_path / "in/deep")
    (tmp_path / "in/out").symlink_to(tmp_path / "out")
    (tmp_path / "in/link.wav").symlink_to(tmp_path / "out/c.wav")
    (tmp_path / "out/back").symlink_to(tmp_path / "in")
    assert below(tmp_path, tmp_path / "in") == [
        "in/a.wav", "in/link.wav", "in/deep/b.wav", "in/out/c.wav",
    ]  # fmt: skip


def test_broken_links_and_pipes_are_named(tmp_path: Path) -> None:
    (tmp_path / "gone.wav").symlink_to(tmp_path / "nothing.wav")
    (tmp_path / "self.wav").symlink_to(tmp_path / "self.wav")
    os.mkfifo(tmp_path / "pipe.wav")
    names, failures = found(tmp_path)
    assert names == []
    assert "not there" in failures[str(tmp_path / "gone.wav")]
    assert "not a regular file" in failures[str(tmp_path / "pipe.wav")]
    assert str(tmp_path / "self.wav") in failures


def test_names_that_are_no_utf8_survive(tmp_path: Path, wav: bytes) -> None:
    raw = os.fsencode(tmp_path) + b"/caf\xe9.wav"
    Path(os.fsdecode(raw)).write_bytes(wav)
    (source,) = sources.expand([str(tmp_path)], on_failure=pytest.fail)
    assert os.fsencode(source.path) == raw
    with sources.open_source(source.path) as opened:
        assert audio.read(opened).duration == pytest.approx(0.2)
    assert sources.display_name(source.path) == "caf\ufffd.wav"
    assert pickle.loads(pickle.dumps(source)) == source  # noqa: S301 - our own bytes


def test_missing_paths_are_failures(tmp_path: Path) -> None:
    names, failures = found(tmp_path / "no.wav")
    assert names == []
    assert failures == {str(tmp_path / "no.wav"): "there is no such file"}


def test_sources_say_when_they_change(tmp_path: Path, wav: bytes) -> None:
    put(tmp_path, wav, "a.wav")
    before = sources.stat(str(tmp_path / "a.wav"))
    assert before.size == len(wav)
    put(tmp_path, wav + b"x", "a.wav")
    assert sources.stat(str(tmp_path / "a.wav")) != before


def test_file_urls_are_paths(tmp_path: Path) -> None:
    assert sources.canonical(f"file://{tmp_path}/a%20b.wav") == f"{tmp_path}/a b.wav"


# --- ignore patterns -----------------------------------------------------------------------------

PATTERNS = [
    ("*.tmp.wav", "a/b/x.tmp.wav", True), ("*.tmp.wav", "a/x.wav", False),
    ("takes", "a/takes", True), ("/takes", "a/takes", False), ("/takes", "takes", True),
    ("a/*.wav", "a/x.wav", True), ("a/*.wav", "b/a/x.wav", False), ("a/*.wav", "a/b/x.wav", False),
    ("a/**/x.wav", "a/x.wav", True), ("a/**/x.wav", "a/b/c/x.wav", True),
    ("**/x.wav", "q/x.wav", True), ("a/**", "a/b/c.wav", True), ("a/**", "ab/c.wav", False),
    ("[ab].wav", "a.wav", True), ("[!ab].wav", "a.wav", False), ("[!ab].wav", "c.wav", True),
    ("?.wav", "a.wav", True), ("?.wav", "ab.wav", False), ("# a", "# a", False),
    (r"\#a", "#a", True), (r"a\*", "a*", True), (r"a\*", "ab", False), ("", "a", False),
    ("a.wav  ", "a.wav", True), ("(x", "(x", True), ("[x", "[x", False), ("[]", "[]", False),
]  # fmt: skip


@pytest.mark.parametrize(("pattern", "path", "expected"), PATTERNS)
def test_patterns_mean_what_git_means(pattern: str, path: str, expected: bool) -> None:
    assert Ignore().extended([pattern]).matches(path, folder=False) is expected


@pytest.mark.parametrize(("pattern", "path", "expected"), PATTERNS)
def test_patterns_agree_with_git_itself(
    pattern: str, path: str, expected: bool, tmp_path: Path
) -> None:
    """The slow twin: git's own verdict on the same patterns."""
    import subprocess

    if shutil.which("git") is None:
        pytest.skip("no git")
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / ".gitignore").write_text(pattern + "\n")
    done = subprocess.run(["git", "-C", str(tmp_path), "check-ignore", "-q", path], check=False)
    assert (done.returncode == 0) is expected


def test_the_last_pattern_decides_and_folders_are_pruned(tmp_path: Path, wav: bytes) -> None:
    put(tmp_path, wav, "a.wav", "keep.wav", "old/x.wav", "old/keep.wav", "new/old.wav")
    assert below(tmp_path, ignore=("*.wav", "!keep.wav", "old/")) == ["keep.wav"]


def test_ignore_files_hold_below_their_folder(tmp_path: Path, wav: bytes) -> None:
    put(tmp_path, wav, "a/x.wav", "a/y.wav", "a/deep/x.wav", "b/x.wav", "a/deep/z.wav")
    put(tmp_path / "a", b"# takes\nx.wav\n/deep/z.wav\n", ".earmarkignore")
    assert below(tmp_path) == ["a/y.wav", "b/x.wav"]


# --- archives ------------------------------------------------------------------------------------


def test_archives_in_folders_are_opened(tmp_path: Path, wav: bytes) -> None:
    members = {"kick/02.wav": wav, "kick/01.wav": wav, "readme.txt": b"x", "__MACOSX/._a.wav": b"x",
               ".x/a.wav": wav}  # fmt: skip
    put(tmp_path, wav, "a.wav")
    path = pack(tmp_path / "pack.ZIP", members)
    names, failures = found(tmp_path)
    assert not failures
    assert names == [str(tmp_path / "a.wav"), f"{path}!/kick/01.wav", f"{path}!/kick/02.wav"]
    assert found(path)[0] == names[1:]
    assert found(f"{path}!/kick")[0] == names[1:]
    assert found(f"{path}!/readme.txt")[0] == [f"{path}!/readme.txt"]
    assert found(path, ignore=("kick/01*",))[0] == names[2:]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
def test_members_are_decoded_where_they_lie(tmp_path: Path, wav: bytes, method: int) -> None:
    ogg = factory.encode(tmp_path / "a.ogg", factory.tone(seconds=2.0), 22050).read_bytes()
    path = pack(tmp_path / "p.zip", {"a.wav": wav, "a.ogg": ogg}, method)
    for name, seconds in (("a.wav", 0.2), ("a.ogg", 2.0)):
        with sources.open_source(f"{path}!/{name}") as opened:
            assert audio.read(opened, name=name).duration == pytest.approx(seconds)


def test_large_members_are_streamed_not_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("earmark.sources.archives.IN_MEMORY_BYTES", 1000)
    signal = factory.noise(seconds=3.0)
    data = factory.write_wav(tmp_path / "a.wav", signal).read_bytes()
    path = pack(tmp_path / "p.zip", {"a.wav": data})
    with sources.open_source(f"{path}!/a.wav") as opened:
        part = audio.read(opened, start=1.0, end=2.0)
    np.testing.assert_allclose(part.samples, signal[22050:44100], atol=1e-4)
    assert sources.content_hash(f"{path}!/a.wav") == sources.content_hash(str(tmp_path / "a.wav"))


def test_the_hash_is_that_of_the_content(tmp_path: Path, wav: bytes) -> None:
    put(tmp_path, wav, "a.wav", "b.wav")
    put(tmp_path, wav + b"x", "c.wav")
    path = pack(tmp_path / "p.zip", {"a.wav": wav})
    names = [str(tmp_path / "a.wav"), str(tmp_path / "b.wav"), f"{path}!/a.wav"]
    hashes = {sources.content_hash(name) for name in names}
    assert len(hashes) == 1
    assert sources.content_hash(str(tmp_path / "c.wav")) not in hashes


def test_a_changed_member_of_the_same_size_and_time_is_noticed(tmp_path: Path, wav: bytes) -> None:
    path = pack(tmp_path / "p.zip", {"a.wav": wav})
    before = sources.stat(f"{path}!/a.wav")
    info = zipfile.ZipInfo("a.wav", zipfile.ZipFile(path).infolist()[0].date_time)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(info, wav[:-1] + b"\x7f")
    after = sources.stat(f"{path}!/a.wav")
    assert after.size == before.size
    assert after.mtime_ns != before.mtime_ns


@pytest.mark.parametrize(
    "name", ["../evil.wav", "/etc/evil.wav", "a/../../evil.wav", "C:\\evil.wav", "..\\evil.wav"]
)
def test_names_that_leave_the_archive_are_refused(tmp_path: Path, wav: bytes, name: str) -> None:
    path = pack(tmp_path / "p.zip", {name: wav, "good.wav": wav})
    names, failures = found(path)
    assert names == [f"{path}!/good.wav"]
    assert list(failures.values()) == ["refused: its name points outside of the archive"]
    with pytest.raises(SourceError), sources.open_source(f"{path}!/{name}"):
        pass


def test_a_bomb_of_one_member_is_refused(tmp_path: Path, wav: bytes) -> None:
    path = tmp_path / "p.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("good.wav", wav)
        with archive.open("bomb.wav", "w") as member:
            for _ in range(300):
                member.write(bytes(1 << 20))
    names, failures = found(path)
    assert names == [f"{path}!/good.wav"]
    assert "zip bomb" in failures[f"{path}!/bomb.wav"]


def test_silence_is_no_bomb(tmp_path: Path) -> None:
    data = factory.write_wav(tmp_path / "a.wav", np.zeros(2_000_000)).read_bytes()
    path = pack(tmp_path / "p.zip", {"a.wav": data})
    assert found(path) == ([f"{path}!/a.wav"], {})


def test_members_that_overlap_are_a_bomb(tmp_path: Path, wav: bytes) -> None:
    """One run of compressed bytes, listed fifty times (Fifield's better zip bomb)."""
    path = pack(tmp_path / "p.zip", {"0.wav": wav}, zipfile.ZIP_STORED)
    data = path.read_bytes()
    at = data.index(b"PK\1\2")
    end = data.index(b"PK\5\6")
    entry = data[at:end]
    entries = b"".join(entry.replace(b"0.wav", f"{n:05d}".encode()[:5]) for n in range(50))
    tail = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 50, 50, len(entries), at, 0)
    path.write_bytes(data[:at] + entries + tail)
    names, failures = found(path)
    assert names == []
    assert "zip bomb" in failures[str(path)]


def test_encrypted_and_damaged_members_are_named(tmp_path: Path, wav: bytes) -> None:
    path = pack(tmp_path / "p.zip", {"a.wav": wav, "b.wav": wav}, zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    entry = data.index(b"PK\1\2")
    data[entry + 8] |= 1
    second = data.index(b"PK\3\4", 10)
    data[second + 60] ^= 0xFF
    path.write_bytes(data)
    names, failures = found(path)
    assert failures == {f"{path}!/a.wav": "encrypted"}
    assert names == [f"{path}!/b.wav"]
    with (
        pytest.raises(SourceError, match="damaged in its archive"),
        sources.open_source(names[0]),
    ):
        pass
    assert found(f"{path}!/a.wav")[1] == {f"{path}!/a.wav": "encrypted"}


@pytest.mark.parametrize("content", [b"", b"no zip at all", None])
def test_broken_archives_do_not_stop_the_walk(
    tmp_path: Path, wav: bytes, content: bytes | None
) -> None:
    put(tmp_path, wav, "z.wav")
    if content is None:
        whole = pack(tmp_path / "p.zip", {"a.wav": wav}).read_bytes()
        content = whole[: len(whole) // 2]
    (tmp_path / "p.zip").write_bytes(content)
    names, failures = found(tmp_path)
    assert names == [str(tmp_path / "z.wav")]
    assert "not a zip archive, or cut off" in failures[str(tmp_path / "p.zip")]


def test_members_that_are_not_there(tmp_path: Path, wav: bytes) -> None:
    path = pack(tmp_path / "p.zip", {"a.wav": wav})
    assert found(f"{path}!/b.wav")[1] == {
        f"{path}!/b.wav": "there is no such member in the archive"
    }
    with pytest.raises(SourceError, match="no such file"):
        sources.stat(str(tmp_path / "q.zip") + "!/a.wav")


def test_a_folder_may_be_called_like_an_archive(tmp_path: Path, wav: bytes) -> None:
    put(tmp_path, wav, "wow!/a.wav", "dir.zip/b.wav")
    assert below(tmp_path) == ["dir.zip/b.wav", "wow!/a.wav"]
    assert sources.split_member(str(tmp_path / "wow!/a.wav"))[1] is None


# --- URLs ----------------------------------------------------------------------------------------


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    fs = fsspec.filesystem("memory")
    yield fs
    fs.store.clear()


def test_memory_urls(memory: fsspec.AbstractFileSystem, wav: bytes) -> None:
    memory.pipe({"/s/b.wav": wav, "/s/a/1.ogg": wav, "/s/x.txt": b"x", "/s/.h/2.wav": wav})
    names, failures = found("memory://s")
    assert names == ["memory://s/a/1.ogg", "memory://s/b.wav"] or names == [
        "memory:///s/a/1.ogg", "memory:///s/b.wav",
    ]  # fmt: skip
    assert not failures
    with sources.open_source(names[0]) as opened:
        assert audio.read(opened).duration == pytest.approx(0.2)
    assert sources.stat(names[0]).size == len(wav)
    assert found("memory://s/none.wav")[1]


def test_a_zip_behind_a_url(memory: fsspec.AbstractFileSystem, tmp_path: Path, wav: bytes) -> None:
    memory.pipe("/s/p.zip", pack(tmp_path / "p.zip", {"k/1.wav": wav, "2.wav": wav}).read_bytes())
    names, failures = found("memory://s/p.zip")
    assert not failures
    assert names == ["memory://s/p.zip!/2.wav", "memory://s/p.zip!/k/1.wav"]
    with sources.open_source(names[1]) as opened:
        assert audio.read(opened).duration == pytest.approx(0.2)
    assert found(names[1])[0] == [names[1]]
    assert len(found("memory://s")[0]) == 2


def test_http(tmp_path: Path, wav: bytes) -> None:
    """A server that knows no ranges, on this machine."""
    import functools
    import http.server
    import threading

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    put(tmp_path, wav, "a.wav")
    pack(tmp_path / "p.zip", {"1.wav": wav})
    handler = functools.partial(Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{server.server_address[1]}"
        with sources.open_source(f"{base}/a.wav") as opened:
            assert audio.read(opened).duration == pytest.approx(0.2)
        assert found(f"{base}/a.wav")[0] == [f"{base}/a.wav"]
        assert found(f"{base}/p.zip")[0] == [f"{base}/p.zip!/1.wav"]
        with sources.open_source(f"{base}/p.zip!/1.wav") as opened:
            assert audio.read(opened).duration == pytest.approx(0.2)
        assert "no such file" in found(f"{base}/none.wav")[1][f"{base}/none.wav"]
        server.shutdown()
    assert found(f"{base}/a.wav")[1], "a server that is gone is a failure, not a crash"


def test_an_unknown_protocol_is_a_source_error() -> None:
    for url in ("gopherx://a/b.wav", "s3x://a.wav"):
        with pytest.raises(SourceError):
            sources.stat(url)
