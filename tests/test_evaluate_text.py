"""Text to audio and zero-shot accuracy, with a reader of tones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import audio_factory as af
import earmark
import fake_tagger
from earmark.config import Settings
from earmark.errors import QueryError, UsageError
from earmark.evaluate import text

RATE = 8000
SOUNDS = {"Yabcdefghij1_30.wav": 640, "two words.wav": 2400, "3-1-A-0.wav": 80}


@pytest.fixture
def lib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A bark, a whistle, a hum, and silence."""
    fake_tagger.register(monkeypatch)
    folder = tmp_path / "audio"
    folder.mkdir()
    for name, hz in SOUNDS.items():
        af.write_wav(folder / name, af.tone(hz, seconds=3.0, sample_rate=RATE), RATE)
    af.write_wav(folder / "still.wav", np.zeros(RATE, np.float32), RATE)
    with earmark.open(tmp_path / "library", settings=Settings(cache=str(tmp_path / "c"))) as lib:
        lib.add(folder, encoders=["toner"], executor="serial")
        yield lib


def write(folder: Path, lines: str) -> Path:
    file = folder / "manifest.csv"
    file.write_text(lines)
    return file


def measure(lib, captions, how=text.evaluate_captions):
    reader = lib.encoder("toner")
    return how(
        lib.store, captions, reader, vector_of=lambda words: lib.texts.get(reader, words), seed=0
    )


AUDIOCAPS = "audiocap_id,youtube_id,start_time,caption\n7,abcdefghij1,30,a dog barks\n"
CLOTHO = "file_name,caption_1,caption_2\ntwo words.wav,somebody whistles a whistle,a loud whistle\n"
PLAIN = "path,caption\naudio/3-1-A-0.wav,a low hum\naudio/gone.wav,rain\n"


@pytest.mark.parametrize(
    ("lines", "queries", "missing"),
    [(AUDIOCAPS, 1, 0), (CLOTHO, 2, 0), (PLAIN, 1, 1)],
    ids=["AudioCaps", "Clotho", "plain"],
)
def test_each_published_layout_is_read(lib, tmp_path, lines, queries, missing):
    file = write(tmp_path, lines)
    assert text.has_captions(file)
    report = measure(lib, text.read_captions(file))
    assert (report.queries, report.missing) == (queries, missing)
    assert report.metrics == {"recall@1": 1.0, "recall@5": 1.0, "recall@10": 1.0, "map@10": 1.0}


def test_a_wrong_first_answer_counts_by_its_rank(lib, tmp_path):
    """The caption of one sound describes another one: rank 2 or 3 of the three."""
    lines = (
        "path,caption\naudio/3-1-A-0.wav,a whistle\naudio/two words.wav,a whistle\n"
        "audio/Yabcdefghij1_30.wav,bark\n"
    )
    report = measure(lib, text.read_captions(write(tmp_path, lines)))
    assert report.library_size == 3
    assert report.metrics["recall@1"] == pytest.approx(2 / 3)
    assert report.metrics["recall@5"] == 1.0
    assert report.metrics["map@10"] in (pytest.approx(5 / 6), pytest.approx(7 / 9))


def test_scores_are_those_of_the_best_window(lib):
    reader = lib.encoder("toner")
    tracks = lib.store.track_ids().tolist()
    rows, starts = text._rows(lib.store, reader, tracks)
    query = lib.texts.get(reader, "whistle")
    fast = text._scores(query, rows, starts)
    for track, score in zip(tracks, fast, strict=True):
        keys = lib.store.keys("toner", track)
        own = lib.store.vectors("toner", keys) if len(keys) else np.zeros((0, 8))
        cosines = [float(r @ query[0] / np.linalg.norm(r) / np.linalg.norm(query[0])) for r in own]
        assert score == pytest.approx(max(cosines, default=-1.0), abs=1e-5)


def test_zero_shot_in_the_layout_of_esc50(lib, tmp_path):
    lines = (
        "filename,fold,target,category,esc10,src_file,take\n"
        "3-1-A-0.wav,1,0,low_hum,False,1,A\ntwo words.wav,1,1,whistle,False,2,A\n"
        "Yabcdefghij1_30.wav,1,2,white_noise,False,3,A\n"
    )
    found = text.read_classes(write(tmp_path, lines))
    assert found[0].text == "low hum"
    report = measure(lib, found, text.evaluate_classes)
    assert report.metrics["accuracy"] == pytest.approx(2 / 3)
    assert report.metrics["accuracy@5"] == 1.0


@pytest.mark.parametrize(
    ("lines", "reader"),
    [
        ("a,b\n1,2\n", text.read_captions),
        ("path,caption\nx.wav,\n", text.read_captions),
        ("a,b\n1,2\n", text.read_classes),
        ("path,label\nx.wav,one\n", text.read_classes),
    ],
)
def test_manifests_that_make_no_sense(tmp_path, lines, reader):
    with pytest.raises(UsageError):
        reader(write(tmp_path, lines))


def test_encoders_that_do_not_read_and_missing_sounds(lib, tmp_path):
    with pytest.raises(QueryError, match="does not"):
        text.evaluate_captions(
            lib.store, [], fake_tagger.DeafToWords(), vector_of=lambda _: np.zeros(1), seed=0
        )
    with pytest.raises(QueryError, match="none of the 1"):
        measure(lib, [text.Caption("rain", ("/nowhere.wav",))])


def test_the_command_line(lib, tmp_path, capsys):
    from earmark import cli

    place = ["-l", str(lib.store.folder), "--json"]
    file = write(tmp_path, AUDIOCAPS)
    assert cli.run(["evaluate", "retrieval", "--manifest", str(file), *place]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["recall@1"], answer["map@10"], answer["encoder"]) == (1.0, 1.0, "toner")
    file = write(tmp_path, "path,label\naudio/3-1-A-0.wav,hum\naudio/two words.wav,whistle\n")
    asked = ["evaluate", "retrieval", "--zero-shot", "--manifest", str(file)]
    assert cli.run([*asked, *place]) == 0
    assert json.loads(capsys.readouterr().out)["accuracy"] == 1.0
