"""Tags inside files of every kind, and the user's own beside them."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import mutagen
import mutagen.id3
import mutagen.mp4
import numpy as np
import pytest

import audio_factory as factory
from earmark.errors import UsageError
from earmark.tags import FileTags, read_sidecar, read_tags
from earmark.tags.values import as_number, field_name

TONE = factory.tone(seconds=0.2, sample_rate=44100)


def test_id3(tmp_path: Path) -> None:
    path = factory.encode(tmp_path / "a.mp3", TONE, 44100, cover=True)
    tags = mutagen.id3.ID3(path)
    tags.add(mutagen.id3.TIT2(text=["Blue in Green"]))
    tags.add(mutagen.id3.TPE1(text=["Miles", "Bill"]))
    tags.add(mutagen.id3.TCON(text=["(8)"]))
    tags.add(mutagen.id3.TDRC(text=["1959-08-17"]))
    tags.add(mutagen.id3.TRCK(text=["03/5"]))
    tags.add(mutagen.id3.TBPM(text=["58"]))
    tags.add(mutagen.id3.COMM(lang="eng", desc="", text=["late night"]))
    tags.add(mutagen.id3.COMM(lang="eng", desc="iTunNORM", text=["00000"]))
    tags.add(mutagen.id3.TXXX(desc="Micro Phone", text=["U47"]))
    tags.save(path)
    assert read_tags(str(path)) == FileTags(
        "Blue in Green",
        "Miles; Bill",
        {
            "genre": "Jazz", "date": "1959-08-17", "year": 1959, "track": 3, "tracktotal": 5,
            "bpm": 58, "comment": "late night", "micro_phone": "U47",
        },
    )  # fmt: skip


@pytest.mark.parametrize("suffix", [".flac", ".ogg", ".opus"])
def test_vorbis_comments(tmp_path: Path, suffix: str) -> None:
    rate = 48000 if suffix == ".opus" else 44100
    path = factory.encode(tmp_path / f"a{suffix}", factory.tone(sample_rate=rate), rate)
    file = mutagen.File(path)
    if file.tags is None:
        file.add_tags()
    file.tags.update({
        "TITLE": "Å", "ARTIST": ["A", "B"], "TRACKNUMBER": "7", "GENRE": ["x", "y"],
        "DATE": "2001", "DESCRIPTION": "words", "Initial Key": "F#m", "ALBUM ARTIST": "Z",
    })  # fmt: skip
    file.save()
    tags = read_tags(str(path))
    assert (tags.title, tags.artist) == ("Å", "A; B")
    assert tags.tags.items() >= {
        "track": 7, "genre": "x; y", "year": 2001, "comment": "words", "initial_key": "F#m",
    }.items()  # fmt: skip


def test_mp4(tmp_path: Path) -> None:
    path = factory.encode(tmp_path / "a.m4a", TONE, 44100, cover=True)
    file = mutagen.mp4.MP4(path)
    file["\xa9nam"], file["\xa9ART"], file["trkn"], file["tmpo"] = "T", "A", [(2, 9)], [120]
    file["\xa9day"] = "1999-01-01T00:00:00Z"
    file["----:com.apple.iTunes:MOOD"] = [b"calm"]
    file.save()
    tags = read_tags(str(path))
    assert (tags.title, tags.artist) == ("T", "A")
    assert tags.tags.items() >= {
        "track": 2, "tracktotal": 9, "bpm": 120, "year": 1999, "mood": "calm",
    }.items()  # fmt: skip
    assert "covr" not in tags.tags


def test_what_mutagen_does_not_know_comes_from_ffmpeg(tmp_path: Path) -> None:
    tags = {"title": "T", "artist": "A", "album": "B", "genre": "G"}
    for suffix in (".wav", ".mka"):
        found = read_tags(str(factory.encode(tmp_path / f"a{suffix}", TONE, 44100, tags=tags)))
        assert (found.title, found.artist, found.tags["genre"]) == ("T", "A", "G"), suffix


def test_tags_in_archives(tmp_path: Path) -> None:
    path = factory.encode(tmp_path / "a.flac", TONE, 44100, tags={"title": "T"})
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        archive.write(path, "k/a.flac")
    assert read_tags(f"{tmp_path}/p.zip!/k/a.flac").title == "T"


@pytest.mark.parametrize(
    "content", [b"", b"no audio", b"ID3\4\0\0\x7f\x7f\x7f\x7f", b"fLaC" + bytes(50)]
)
def test_odd_files_have_no_tags_and_no_errors(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.mp3").write_bytes(content)
    assert read_tags(str(tmp_path / "a.mp3")) == FileTags()
    assert read_tags(str(tmp_path / "missing.mp3")) == FileTags()


def test_mutated_tags_never_raise(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for suffix in (".mp3", ".flac", ".m4a", ".ogg"):
        path = factory.encode(tmp_path / f"a{suffix}", TONE, 44100, cover=suffix != ".ogg")
        data = np.frombuffer(path.read_bytes()[:4000], np.uint8)
        for _ in range(50):
            copy = data.copy()
            copy[rng.integers(0, min(len(copy), 400), 5)] = rng.integers(0, 256, 5)
            other = tmp_path / f"x{suffix}"
            other.write_bytes(copy.tobytes())
            read_tags(str(other))


def test_long_values_are_bounded(tmp_path: Path) -> None:
    path = factory.encode(tmp_path / "a.flac", TONE, 44100)
    file = mutagen.File(path)
    file.tags["NOTES"] = "x" * 100_000
    file.save()
    assert len(str(read_tags(str(path)).tags["notes"])) == 4096


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0), ("12", 12), ("-3", -3), ("1.5", 1.5), ("-0.25", -0.25), ("2.50", 2.5),
        ("007", None), ("1e5", None), ("nan", None), ("inf", None), ("", None), ("1_000", None),
        ("+1", None), ("0x10", None), ("99999999999999999999", None), (".5", None), ("1.", None),
        (" 1", None), ("-0", None),
    ],
)  # fmt: skip
def test_numbers_are_numbers_only_if_nothing_is_lost(text: str, value: float | None) -> None:
    assert as_number(text) == value
    assert type(as_number(text)) is type(value)


def test_field_names() -> None:
    assert field_name(" Größe (cm) ") == "größe_cm"


def write(path: Path, text: str, encoding: str = "utf-8") -> str:
    path.write_text(text, encoding=encoding)
    return str(path)


def test_csv(tmp_path: Path) -> None:
    file = write(
        tmp_path / "m.csv",
        'path,Mood,Year,Code,Empty\nsub/a.wav,"calm, slow",1999,007,\n\n'
        f"{tmp_path}/b.wav,,2001,8,\npack.zip!/c.wav,x,2002.5,9,\nhttp://h/d.wav,y,,10,\n",
        "utf-8-sig",
    )
    sidecar = read_sidecar(file)
    assert sidecar.lookup(f"{tmp_path}/sub/a.wav") == {
        "mood": "calm, slow", "year": 1999, "code": "007",
    }  # fmt: skip
    assert sidecar.lookup(f"{tmp_path}/x/../b.wav") == {"year": 2001, "code": "8"}
    assert sidecar.lookup(f"{tmp_path}/pack.zip!/c.wav")["year"] == 2002.5
    assert sidecar.lookup("http://h/d.wav") == {"mood": "y", "code": "10"}
    assert sidecar.lookup("/other.wav") == {}


def test_the_folder_of_the_sidecar_counts_not_the_current_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").mkdir()
    write(tmp_path / "a/m.csv", "path,x\nb.wav,1\n")
    monkeypatch.chdir(tmp_path)
    assert read_sidecar("a/m.csv").lookup("a/b.wav") == {"x": 1}


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_separators(tmp_path: Path, separator: str) -> None:
    text = f"path{separator}n\r\na.wav{separator}0\r\nb.wav{separator}3\r\n"
    sidecar = read_sidecar(write(tmp_path / "m.csv", text))
    assert sidecar.lookup(f"{tmp_path}/a.wav") == {"n": 0}
    assert sidecar.lookup(f"{tmp_path}/b.wav") == {"n": 3}


@pytest.mark.parametrize("form", ["list", "mapping"])
def test_json(tmp_path: Path, form: str) -> None:
    tags = {"mood": "calm", "n": 3, "x": 0.5, "none": None, "many": ["a", "b"], "yes": True}
    data = [{"path": "a.wav", **tags}] if form == "list" else {"a.wav": tags}
    sidecar = read_sidecar(write(tmp_path / "m.json", json.dumps(data)))
    assert sidecar.lookup(f"{tmp_path}/a.wav") == {
        "mood": "calm", "n": 3, "x": 0.5, "many": "a; b", "yes": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("m.csv", "", "line 1: a column must be named path, got nothing"),
        ("m.csv", "file,x\na.wav,1\n", "line 1: a column must be named path, got file, x"),
        ("m.csv", "path,x\na.wav,1\nb.wav\n", "line 3: expected 2 cells, got 1"),
        ("m.csv", "path,x\n,1\n", "line 2: the path is empty"),
        ("m.csv", "path,x\na.wav,1\na.wav,2\n", "line 3: 'a.wav' was already described in line 2"),
        ("m.csv", "path,x,X\na.wav,1,2\n", "line 1: columns must have names of their own"),
        ("m.csv", 'path,x\na.wav,"1\n', "line 2:"),
        ("m.json", '[{"path": "a.wav",}]', "line 1:"),
        ("m.json", "3", "must be a list of objects"),
        ("m.json", '[{"x": 1}]', "entry 1: must be an object with a text named path"),
        ("m.json", '[{"path": "a", "x": {"y": 1}}]', "entry 1: x must be a text or a finite"),
        ("m.json", '[{"path": "a", "x": NaN}]', "x must be a text or a finite number, got nan"),
        ("m.json", "[" * 100_000, "nested too deeply|line 1"),
        ("m.txt", "path\n", "must be a .csv, .tsv or .json file"),
    ],
)
def test_malformed_sidecars_say_where(tmp_path: Path, name: str, text: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        read_sidecar(write(tmp_path / name, text))


def test_sidecars_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        read_sidecar(str(tmp_path / "m.csv"))
    (tmp_path / "m.csv").write_bytes(b"path,x\na.wav,caf\xe9\n")
    with pytest.raises(UsageError, match="must be UTF-8, byte 16 is not"):
        read_sidecar(str(tmp_path / "m.csv"))
