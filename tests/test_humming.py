"""Hum it, end to end: scores and sound in one library, hums that find their tune or say why not."""

from __future__ import annotations

import csv
import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

import audio_factory as af
import earmark
from earmark import cli
from earmark.config import Settings
from earmark.errors import QueryError, UsageError
from earmark.evaluate import humming
from earmark.library import drawing
from melody_factory import RATE, midi_file, midi_track, sing, tune

TUNES = 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tunes")
    for i in range(TUNES):
        (folder / f"tune{i:02d}.mid").write_bytes(midi_file(midi_track(tune(i))))
    af.write_wav(folder / "sung.wav", sing(tune(50), noise=0.01), RATE)
    (folder / "book.abc").write_text("X:1\nT:In ABC\nL:1/4\nK:G\nGABc dBGA|Bcde f2d2|gfed cBAG|")
    (folder / "list.csv").write_text(
        "onset,end,pitch\n" + "\n".join(f"{a},{b},{p}" for a, b, p in tune(60))
    )
    (folder / "manifest.csv").write_text("path,label\ntune00.mid,tune00\n")
    (folder / "settings.json").write_text('{"note": "not music"}')
    return folder


@pytest.fixture(scope="module")
def library(folder, tmp_path_factory) -> Path:
    home = tmp_path_factory.mktemp("hum") / "library"
    with earmark.open(home, settings=Settings()) as lib:
        report = lib.add(folder, encoders=["melody"], executor="serial")
        assert report.failed == ()
        assert report.added == TUNES + 3
    return home


@pytest.fixture
def lib(library):
    with earmark.open(library, settings=Settings()) as lib:
        yield lib


def hum_of(i: int, *, first: int = 8, last: int = 28, **how: float) -> tuple[np.ndarray, int]:
    notes = tune(i)[first:last].copy()
    notes[:, :2] -= notes[0, 0]
    return sing(notes, **how), RATE


@pytest.mark.parametrize(
    ("key", "tempo"), [(0.0, 1.0), (-6.5, 1.0), (4.0, 1.4), (0.3, 0.7), (12.0, 1.1)]
)
def test_a_hum_from_the_middle_finds_tune_place_key_and_tempo(lib, key, tempo):
    hits = lib.hum(hum_of(7, key=key, tempo=tempo, noise=0.01))
    best = hits[0]
    assert Path(best.track.path).stem == "tune07"
    assert best.score == pytest.approx(best.details["confidence"], abs=1e-3)
    assert best.score > 0.5
    assert best.details["key_shift"] == pytest.approx(key, abs=0.5)
    assert best.details["tempo_ratio"] == pytest.approx(tempo, rel=0.1)
    assert best.start == pytest.approx(tune(7)[8, 0], abs=0.6)
    assert best.end == pytest.approx(tune(7)[27, 1], abs=0.6)
    contour = best.details["contour"]
    assert len(contour["times"]) == len(contour["query"]) == len(contour["target"])
    assert np.median(np.abs(np.subtract(contour["query"], contour["target"]))) < 0.4


def test_sound_and_scores_are_in_one_library(lib):
    assert Path(lib.hum(hum_of(50, key=3))[0].track.path).name == "sung.wav"
    assert Path(lib.hum(hum_of(60, key=3))[0].track.path).name == "list.csv"
    sources = {track.tags["melody_source"] for track in lib.list()}
    assert sources == {"midi", "abc", "notes", "sound"}
    assert lib.list(where="title = 'In ABC'")


def test_a_score_can_be_the_question(lib, folder):
    assert Path(lib.hum(str(folder / "tune03.mid"))[0].track.path).stem == "tune03"


def test_starts_restricts_to_beginnings(lib):
    hits = lib.hum(hum_of(4, first=0, last=18), starts=True)
    assert Path(hits[0].track.path).stem == "tune04"
    assert all(hit.start < 2.5 for hit in hits)


def test_where_restricts_to_tracks(lib):
    hits = lib.hum(hum_of(4), where="melody_source = 'abc'", confidence=0.0)
    assert [Path(h.track.path).suffix for h in hits] == [".abc"]


def noises() -> dict[str, tuple[np.ndarray, str]]:
    rng = np.random.default_rng(0)
    second = np.arange(RATE) / RATE
    one = np.sin(2 * np.pi * 220 * np.arange(6 * RATE) / RATE)
    chord = sum(np.sin(2 * np.pi * f * np.arange(6 * RATE) / RATE) for f in (220, 277, 330))
    hit = np.exp(-30 * second) * rng.standard_normal(RATE)
    return {
        "silence": (np.zeros(5 * RATE), "no pitch"),
        "noise": (0.1 * rng.standard_normal(5 * RATE), ""),
        "one note": (0.3 * one, "one note"),
        "a chord": (0.2 * chord, ""),
        "drums": (np.tile(0.5 * hit, 6), ""),
        "half a second": (hum_of(4)[0][: RATE // 2], "too little"),
        "nothing": (np.zeros(10), "no pitch"),
    }


@pytest.mark.parametrize("name", sorted(noises()))
def test_what_is_no_hum_finds_nothing_and_says_why(lib, name):
    samples, words = noises()[name]
    hits = lib.hum((samples.astype(np.float32), RATE))
    assert not hits
    assert words in hits.query["reason"]


def test_a_tune_that_is_not_there_is_no_match(lib):
    found = [bool(lib.hum(hum_of(200 + i))) for i in range(6)]
    assert sum(found) <= 1


def test_a_short_hum_and_one_that_jumps_octaves_are_answered(lib):
    lib.hum(hum_of(4, last=12))  # about two seconds: any answer is fine, an error is not
    notes = tune(9)[5:25].copy()
    notes[:, :2] -= notes[0, 0]
    notes[::5, 2] += 12
    hits = lib.hum((sing(notes), RATE), confidence=0.0)
    assert Path(hits[0].track.path).stem == "tune09"


def test_a_long_hum_is_looked_at_in_pieces(lib):
    notes = tune(6)
    silence = np.zeros(20 * RATE, np.float32)
    samples = np.concatenate([silence, *[sing(notes, key=2)] * 4, silence])
    best = lib.hum((samples, RATE))[0]
    assert Path(best.track.path).stem == "tune06"
    assert best.query_start >= 19


def test_a_library_without_melodies_says_so(tmp_path):
    with earmark.open(tmp_path / "empty") as lib, pytest.raises(QueryError, match="melodies"):
        lib.hum((np.zeros(RATE, np.float32), RATE))


def test_scores_are_left_to_encoders_that_read_them(folder, tmp_path):
    with earmark.open(tmp_path / "both") as lib:
        report = lib.add(folder / "tune00.mid", encoders=["timbre"], executor="serial")
        assert "notes and no sound" in report.failed[0].error
        report = lib.add(folder, encoders=["spectral", "melody"], executor="serial")
        assert report.added == TUNES + 3
        assert lib.add(folder, executor="serial").unchanged == TUNES + 3


def test_broken_scores_are_named_and_stop_nothing(folder, tmp_path):
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "a.mid").write_bytes(b"MThd")
    (bad / "b.abc").write_text("nothing")
    (bad / "c.mid").write_bytes((folder / "tune00.mid").read_bytes())
    with earmark.open(tmp_path / "lib") as lib:
        report = lib.add(bad, encoders=["melody"], executor="serial")
    assert report.added == 1
    assert sorted(Path(f.path).name for f in report.failed) == ["a.mid", "b.abc"]


# --- pictures ----------------------------------------------------------------------------------


def test_pictures_are_whole_and_small(lib):
    hits = lib.hum(hum_of(7))
    picture = drawing.png(hits[0])
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    assert len(picture) < 100_000
    at, body = 8, b""
    while at < len(picture):
        size = struct.unpack(">I", picture[at : at + 4])[0]
        chunk = picture[at + 4 : at + 8 + size]
        assert zlib.crc32(chunk) == struct.unpack(">I", picture[at + 8 + size : at + 12 + size])[0]
        body += chunk[4:] if chunk[:4] == b"IDAT" else b""
        at += 12 + size
    pixels = np.frombuffer(zlib.decompress(body), np.uint8).reshape(drawing.HEIGHT, -1)[:, 1:]
    colours = {tuple(c) for c in np.unique(pixels.reshape(-1, 3), axis=0).tolist()}
    assert {drawing._TUNE, drawing._HUM} <= colours
    assert "<svg" in hits._repr_html_()


def test_only_hums_can_be_drawn(lib):
    with pytest.raises(QueryError, match="contours"):
        drawing.png(lib.random(1)[0])


# --- the command line --------------------------------------------------------------------------


@pytest.fixture
def hummed(tmp_path) -> Path:
    samples, rate = hum_of(7, key=2)
    af.write_wav(tmp_path / "hum.wav", samples, rate)
    af.write_wav(tmp_path / "silence.wav", np.zeros(3 * rate, np.float32), rate)
    return tmp_path / "hum.wav"


def test_the_command_answers(hummed, library, tmp_path, capsys):
    picture = tmp_path / "plot.png"
    code = cli.run(["hum", str(hummed), "-l", str(library), "--json", "--plot", str(picture)])
    document = json.loads(capsys.readouterr().out)
    assert code == 0
    assert document["hits"][0]["path"].endswith("tune07.mid")
    assert {"key_shift", "tempo_ratio", "confidence", "contour", "query_start"} <= set(
        document["hits"][0]
    )
    assert picture.read_bytes()[:4] == b"\x89PNG"
    silence = str(hummed.parent / "silence.wav")
    assert cli.run(["hum", silence, "-l", str(library), "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["hits"] == []
    assert document["query"]["reason"] == "no pitch was heard"
    assert cli.run(["hum", "-l", str(library)]) == 2


# --- evaluation --------------------------------------------------------------------------------


def manifest(folder: Path, rows: list[tuple[str, str, str]]) -> Path:
    path = folder / "m.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label", "group"), *rows])
    return path


def test_evaluation_counts_ranks_and_false_accepts(lib, tmp_path):
    rows = []
    for i in (3, 7):
        af.write_wav(tmp_path / f"h{i}.wav", *hum_of(i))
        rows.append((f"h{i}.wav", f"tune{i:02d}", "anna"))
    af.write_wav(tmp_path / "other.wav", np.zeros(RATE, np.float32), RATE)
    rows.append(("other.wav", "", "ben"))
    (tmp_path / "broken.wav").write_bytes(b"RIFF no sound")
    rows.append(("broken.wav", "melodies/tune03.mid", "carl"))
    report = humming.evaluate(lib, humming.read_manifest(manifest(tmp_path, rows)))
    figures = {report[name] for name in ("top1", "top10", "mrr", "accepted")}
    assert figures == {2 / 3}  # of the broken one nothing can be found
    assert [Path(one["path"]).name for one in report["failed"]] == ["broken.wav"]
    assert report["false_accepts"] == 0.0
    assert (report["queries"], report["negatives"]) == (3, 1)
    assert report["by_group"]["anna"]["count"] == 2


def test_evaluation_refuses_what_makes_no_sense(lib, tmp_path):
    with pytest.raises(QueryError, match="got none"):
        humming.evaluate(lib, [])
    with pytest.raises(QueryError, match="label"):
        humming.evaluate(lib, [humming.Item("x.wav", "no such tune")])
    (tmp_path / "bad.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UsageError, match="path and label are missing"):
        humming.read_manifest(tmp_path / "bad.csv")


def test_summary_golden():
    item = humming.Item("x", "y")
    answers = [humming.Answer(item, rank, True) for rank in (1, 4, 20, None)]
    found = humming.summary(answers)
    assert found == {"top1": 0.25, "top10": 0.5, "mrr": (1 + 0.25 + 0.05) / 4, "count": 4}
    assert humming.summary([])["top1"] == 0.0


@pytest.mark.data
@pytest.mark.slow
def test_real_hums_find_their_tunes(data_dir, tmp_path):
    with earmark.open(tmp_path / "real") as lib:
        lib.add(data_dir / "melodies_midi", encoders=["melody"])
        files = sorted((data_dir / "hums").glob("*.ogg"))[::25]
        items = [humming.Item(str(f), f.stem.split("_")[2], f.stem.split("_")[1]) for f in files]
        report = humming.evaluate(lib, items)
    assert report["top1"] >= 0.8


# --- covers ------------------------------------------------------------------------------------


def test_another_version_of_a_song_is_found(lib, tmp_path):
    other = tune(8)
    other[:, :2] *= 1.15
    af.write_wav(tmp_path / "version.wav", sing(other, key=3), RATE)
    hits = lib.search(audio=str(tmp_path / "version.wav"), by="cover", k=3)
    assert Path(hits[0].track.path).stem == "tune08"
    assert hits[0].score > hits[1].score
    track = hits[0].track.id
    assert lib.search(like=track, by="cover", k=1)[0].track.id == track
    assert track not in [h.track.id for h in lib.search(like=track, by="cover", exclude_self=True)]
    with pytest.raises(QueryError, match="one recording"):
        lib.search(like=[1, 2], by="cover")
