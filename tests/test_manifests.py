"""Manifests: what they name, by whatever way, and what is wrong with them."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from earmark.errors import DecodeError, QueryError, UsageError
from earmark.evaluate import identification, manifests
from earmark.evaluate.identification import Item
from earmark.types import AudioInfo, Hit, Track


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "manifest.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_files_are_relative_to_the_manifest_absolute_or_urls(tmp_path):
    lines = ["path,label", "../a/./b.wav,x", "/c/d.wav,y", "s3://e/f.wav,z", " ,w"]
    manifest = manifests.read(write(tmp_path, "\n".join(lines)), ("path",))
    files = [manifest.file(line) for line in manifest.lines]
    assert files == [str(tmp_path.parent / "a" / "b.wav"), "/c/d.wav", "s3://e/f.wav", ""]
    assert [line.number for line in manifest.lines] == [2, 3, 4, 5]


def test_links_are_kept_as_the_catalog_keeps_them(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    write(tmp_path / "real", "path\na.wav\n")
    manifest = manifests.read(tmp_path / "link" / "manifest.csv")
    assert manifest.file(manifest.lines[0]) == str(tmp_path / "link" / "a.wav")


def test_names_that_are_no_utf8_survive_and_a_mark_of_byte_order_does_not(tmp_path):
    manifest = manifests.read(write(tmp_path, b"\xef\xbb\xbfpath,label\nt\xfcr.wav, Horn \n"))
    assert manifest.columns == ("path", "label")
    assert os.fsencode(manifest.file(manifest.lines[0])).endswith(b"/t\xfcr.wav")
    assert manifest.lines[0].get("label") == "Horn"
    assert manifest.lines[0].get("group") == ""


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("file,label\na.wav,x\n", "path is missing"),
        ("", "path and label are missing"),
        ("path,label\n", "must have lines"),
        ('path,label\n"' + "a" * 200_000, "readable CSV"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, text, says):
    path = write(tmp_path, text)
    with pytest.raises(UsageError, match=says) as error:
        manifests.read(path, ("path", "label"), example="path,label,group")
    assert str(path) in str(error.value)
    with pytest.raises(UsageError, match="none at"):
        manifests.read(tmp_path / "nowhere.csv")


def track(number: int, path: str) -> Track:
    return Track(number, path, "", 0, 0, AudioInfo(1.0, 0, 0, "", ""))


class Fake:
    """A library that answers every clip with its second track, or cannot read it."""

    def __init__(self, *paths: str) -> None:
        self.tracks = [track(n, path) for n, path in enumerate(paths, 1)]

    def __len__(self) -> int:
        return len(self.tracks)

    def list(self) -> list[Track]:
        return self.tracks

    def identify(self, audio: str, *, k: int = 10, confidence: float | None = None) -> list[Hit]:
        if "broken" in audio:
            raise DecodeError(audio, "no sound in it")
        if "short" in audio:
            raise QueryError("a query must last at least 0.5 s")
        hit = SimpleNamespace(track=self.tracks[1], score=0.9, start=1.0, query_start=0.0)
        return [hit]  # type: ignore[list-item]


def test_a_reference_is_a_path_a_link_or_the_name_of_one_track(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    library = Fake("/m/a.wav", str(tmp_path / "real" / "b.wav"), "/n/a.wav")
    ways = [str(tmp_path / "real" / "b.wav"), str(tmp_path / "link" / "b.wav"), "/elsewhere/b.wav"]
    report = identification.evaluate(library, [Item("q.wav", way, 1.0) for way in ways])
    assert report["top1"] == report["top1_near"] == 1.0
    for name in ("/elsewhere/a.wav", "/m/c.wav"):  # two have the first name, none the second
        with pytest.raises(QueryError, match="must be a track"):
            identification.evaluate(library, [Item("q.wav", name, None)])


def test_clips_that_cannot_be_asked_are_named_and_count_as_missed():
    library = Fake("/m/a.wav", "/m/b.wav")
    items = [Item(name, "/m/b.wav", None) for name in ("q.wav", "broken.wav", "short.wav")]
    report = identification.evaluate(library, items)
    assert report["top1"] == pytest.approx(1 / 3)
    assert [one["path"] for one in report["failed"]] == ["broken.wav", "short.wav"]
    assert "no sound" in report["failed"][0]["error"]
    with pytest.raises(DecodeError):
        identification.evaluate(library, items[1:2])
