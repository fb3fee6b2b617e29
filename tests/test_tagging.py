"""Tags: in the library, of files, of one's own labels, written into files and taken out again."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

import audio_factory as af
import earmark
import fake_tagger
from earmark import labelling
from earmark.config import Settings
from earmark.errors import AudioError, NotAvailable, QueryError, UsageError
from earmark.library import tagging
from earmark.library.class_names import classes_of
from earmark.tags import writing

RATE = 8000


def tone(hz: float, seconds: float) -> np.ndarray:
    return af.tone(hz, seconds=seconds, sample_rate=RATE)


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    """A bark, a whistle, a hum that turns into a whistle at 3 s, noise, silence."""
    folder = tmp_path / "sounds"
    folder.mkdir()
    af.write_wav(folder / "one.wav", tone(640, 2.0), RATE)
    af.write_wav(folder / "two.wav", tone(2400, 2.0), RATE)
    af.write_wav(folder / "long.wav", np.concatenate([tone(80, 3.0), tone(2400, 2.0)]), RATE)
    af.write_wav(folder / "hiss.wav", af.noise(seconds=2.0, seed=1, sample_rate=RATE), RATE)
    af.write_wav(folder / "still.wav", np.zeros(2 * RATE, np.float32), RATE)
    return folder


@pytest.fixture
def lib(sounds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    fake_tagger.register(monkeypatch)
    settings = Settings(cache=str(tmp_path / "cache"))
    with earmark.open(tmp_path / "library", settings=settings) as library:
        report = library.add(sounds, encoders=["toner"], executor="serial")
        assert (report.added, report.failed) == (5, ())
        yield library


def name_of(path: str) -> str:
    return Path(path).name


# --- picking ------------------------------------------------------------------------------------


def test_few_scores_are_kept_and_the_best_moment_is_the_score():
    scores = np.array([[0.9, 0.2, 0.01], [0.4, 0.3, np.nan]], np.float32)
    found = labelling.pick(
        ("a", "b", "c"), scores, np.array([[0, 1], [1, 2.0]]), least=0.05, most=1
    )
    assert [(label.name, round(label.score, 2)) for label in found] == [("a", 0.9)]
    assert found[0].moments[:, :2].tolist() == [[0, 1], [1, 2]]
    slow = labelling.pick(("a", "b", "c"), scores, np.array([[0, 1], [1, 2.0]]), least=0.05, most=9)
    twin = {
        name: max(float(s[i]) for s in scores if s[i] >= 0.05)
        for i, name in enumerate("abc")
        if any(s[i] >= 0.05 for s in scores)
    }
    assert {label.name: label.score for label in slow} == twin


def test_pick_refuses_scores_of_another_shape():
    with pytest.raises(ValueError, match="shape"):
        labelling.pick(("a",), np.zeros((2, 1), np.float32), np.zeros((1, 2)))


# --- in the library -----------------------------------------------------------------------------


def test_indexing_stores_labels_that_filters_use(lib):
    barks = lib.list(where="tag = 'Bark' and score > .5")
    assert [name_of(t.path) for t in barks] == ["one.wav"]
    assert lib.count(where="tag = 'Dog' and score > .9") == 0
    assert {name_of(t.path) for t in lib.list(where="tag = 'Whistle' and score > .5")} == {
        "two.wav", "long.wav",
    }  # fmt: skip
    assert [name_of(t.path) for t in lib.list(where="not tag")] == ["still.wav"]


def test_words_find_labels_and_their_moment(lib):
    hits = lib.search("somebody whistling far away", by="tags")
    assert [name_of(h.track.path) for h in hits[:2]] == ["long.wav", "two.wav"]
    assert (hits[0].start, hits[0].end, hits[0].by) == (3.0, 4.0, "tags")


def test_readers_metadata_and_labels_are_fused_and_named(lib):
    hits = lib.search("whistle")
    assert {name_of(h.track.path) for h in hits[:2]} == {"two.wav", "long.wav"}
    assert set(hits[0].by.split("+")) == {"tags", "toner"}
    assert (hits[0].query_start, hits[0].query_end) == (None, None)
    named = lib.search("long")
    assert name_of(named[0].track.path) == "long.wav"
    assert "metadata" in named[0].by


def test_words_may_be_liked_and_unliked(lib):
    whistles = [name_of(h.track.path) for h in lib.search(like="whistle", k=2)]
    assert set(whistles) == {"two.wav", "long.wav"}
    steered = lib.search("whistle", unlike="hum^2", by="toner", k=4)
    assert name_of(steered[0].track.path) == "two.wav"
    long = lib.store.find_path(str(Path(steered[0].track.path).with_name("long.wav")))
    away = lib.search(like=long.id, unlike=["whistle"], by="toner", exclude_self=True, k=4)
    assert name_of(away[-1].track.path) == "two.wav"


def test_without_a_reader_words_to_avoid_go_by_labels(lib, monkeypatch):
    monkeypatch.setattr(fake_tagger, "READS", False)
    hits = lib.search("whistle")
    assert {name_of(h.track.path) for h in hits[:2]} == {"two.wav", "long.wav"}
    assert "pip install" in hits.notes[0]
    like = lib.search(like=hits[0].track.id, unlike="hum", k=4)
    assert "tags/unlike" in like.to_json(explain=True)["hits"][-1]["ranks"] or len(like) == 4
    assert all(h.by == "toner" for h in like)


def test_vectors_of_words_are_kept(lib, tmp_path):
    lib.search("whistle")
    lib.search("whistle", k=3)
    encoder = lib.encoder("toner")
    assert encoder.calls == [("whistle",)]
    with earmark.open(lib.store.folder, settings=lib.settings) as again:
        again.search("whistle")
        assert again.encoder("toner").calls == []
    encoder.spec = dataclasses.replace(encoder.spec, revision="2")
    lib.texts.get(encoder, "whistle")
    assert encoder.calls == [("whistle",)] * 2


def test_odd_texts(lib):
    assert len(lib.search("\N{DOG FACE}", by=["metadata", "tags"])) == 0
    with pytest.raises(QueryError, match="makes nothing"):
        lib.texts.get(NothingReader(), "anything")
    with pytest.raises(QueryError, match="300 words"):
        lib.search("dog " * 10_000)
    with pytest.raises(QueryError, match="weight"):
        lib.search(like="1^0")


class NothingReader(fake_tagger.ToneTagger):
    def encode_text(self, texts):
        return np.zeros((len(texts), 8), np.float32)


def test_labels_go_when_the_file_changes(lib, sounds):
    af.write_wav(sounds / "one.wav", tone(80, 2.5), RATE)
    lib.add(sounds, executor="serial")
    assert lib.count(where="tag = 'Bark'") == 0
    assert lib.count(where="tag = 'Low hum' and score > .5") == 2


# --- tag ----------------------------------------------------------------------------------------


def test_a_track_is_answered_from_the_library(lib, sounds, monkeypatch):
    fresh = tagging.without_library(tagging.Asked(moments=True), Settings())
    fresh._chosen = fake_tagger.ToneTagger()
    want = fresh.tag(str(sounds / "long.wav"))
    monkeypatch.setattr(fake_tagger.DeafToWords, "encode_tagged", None)
    (found,) = lib.tag(str(sounds / "long.wav"), moments=True)
    assert found.stored
    assert [t.label for t in found.tags] == [t.label for t in want.tags]
    assert [(m.start, m.end) for m in found.moments] == [(m.start, m.end) for m in want.moments]
    assert found.moments[0].tags[0].label == "Low hum"
    assert found.moments[-1].tags[0].label == "Whistle"


def test_a_moment_and_a_clip_are_tagged_anew(lib, sounds):
    (found,) = lib.tag(f"{sounds / 'long.wav'}#3.5-")
    assert (found.tags[0].label, found.stored) == ("Whistle", False)
    first, second = lib.tag([(tone(640, 1.5), RATE), (np.zeros(RATE, np.float32), RATE)])
    assert first.tags[0].label == "Bark"
    assert second.tags == ()


def test_a_missing_file_is_an_error(lib):
    with pytest.raises(AudioError):
        lib.tag("nowhere.wav")


def test_labels_of_ones_own(lib, sounds):
    (found,) = lib.tag(str(sounds / "one.wav"), labels=["bark", "whistle", "hum"])
    assert found.tags[0].label == "bark"
    assert found.tags[0].score > 0.95
    assert found.tags[0].margin > 1
    (none,) = lib.tag(str(sounds / "hiss.wav"), labels=["bark", "whistle", "hum"])
    assert none.tags == ()  # none of these


@pytest.mark.parametrize(
    "labels", [["a", "a"], [" "], ["x" * 3] * 2, [str(i) for i in range(1001)]]
)
def test_labels_that_make_no_sense(lib, sounds, labels):
    with pytest.raises(UsageError):
        lib.tag(str(sounds / "one.wav"), labels=labels)


# --- writing ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["wav", "flac", "ogg"])
def test_written_labels_can_be_undone(tmp_path, kind):
    file = tmp_path / f"sound.{kind}"
    if kind == "wav":
        af.write_wav(file, tone(640, 1.0), RATE)
    else:
        import soundfile

        soundfile.write(file, tone(640, 1.0), RATE)
    log = tmp_path / "log.jsonl"
    writing.write_labels(file, ["Dog", "Bark; loud"], log=log)
    assert writing.read_labels(file) == "Dog; Bark, loud"
    assert earmark.audio.read(str(file), sample_rate=RATE).duration == pytest.approx(1.0, abs=0.02)
    writing.write_labels(file, ["Rain"], log=log)
    assert len(log.read_text().splitlines()) == 2
    assert [u.reason for u in writing.undo(log)] == ["", ""]
    assert writing.read_labels(file) is None
    assert sorted(p.name for p in tmp_path.iterdir()) == ["log.jsonl", file.name]


def test_undo_leaves_what_changed_since(tmp_path):
    file, log = tmp_path / "a.wav", tmp_path / "log.jsonl"
    af.write_wav(file, tone(640, 1.0), RATE)
    writing.write_labels(file, ["Dog"], log=log)
    writing.write_labels(file, ["Mine"], log=tmp_path / "other.jsonl")
    (undone,) = writing.undo(log)
    assert "changed since" in undone.reason
    assert writing.read_labels(file) == "Mine"


def test_a_file_that_cannot_be_written_stays_as_it_is(tmp_path, monkeypatch):
    file = tmp_path / "a.wav"
    af.write_wav(file, tone(640, 1.0), RATE)
    before = file.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("earmark.tags.writing.os.replace", full)
    with pytest.raises(AudioError, match="No space"):
        writing.write_labels(file, ["Dog"], log=tmp_path / "log.jsonl")
    assert file.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.wav", "log.jsonl"]


def test_what_has_no_tags_is_refused(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("no audio")
    with pytest.raises(AudioError, match="no tags"):
        writing.write_labels(file, ["Dog"], log=tmp_path / "log.jsonl")
    with pytest.raises(UsageError, match="no line of an undo log"):
        list(writing.undo(file))


# --- the command line ---------------------------------------------------------------------------


@pytest.fixture
def run(lib, capsys):
    from earmark import cli

    def call(*args: str) -> tuple[int, str, str]:
        code = cli.run([*args, "-l", str(lib.store.folder)])
        out = capsys.readouterr()
        return code, out.out, out.err

    return call


def test_tag_prints_one_document(run, sounds):
    code, out, err = run("tag", str(sounds / "one.wav"), str(sounds / "gone.wav"), "--json")
    answer = json.loads(out)
    assert code == 1
    assert "gone.wav" in err
    assert set(answer[0]) >= {"path", "tags", "moments"}
    assert answer[0]["tags"][0] == {"label": "Bark", "score": pytest.approx(0.97, abs=0.05)}
    assert answer[1]["error"]


def test_tag_for_people_and_none(run, sounds):
    code, out, _ = run("tag", str(sounds / "hiss.wav"), "--labels", "bark,whistle")
    assert (code, "none of these" in out) == (0, True)
    code, _, err = run("tag", "--labels", ",", str(sounds / "hiss.wav"))
    assert (code, "error:" in err) == (2, True)


def test_write_only_on_request_and_undo(run, sounds, tmp_path):
    file, log = sounds / "one.wav", tmp_path / "undo.jsonl"
    before = file.read_bytes()
    run("tag", str(file))
    assert file.read_bytes() == before
    code, _, err = run("tag", str(file), "--write", "--log", str(log))
    assert (code, "--undo" in err) == (0, True)
    assert (writing.read_labels(file) or "").startswith("Bark")
    code, out, _ = run("tag", "--undo", str(log), "--json")
    assert (code, json.loads(out)[0]["undone"]) == (0, True)
    assert writing.read_labels(file) is None


# --- labels of one's own without a text model ---------------------------------------------------


@pytest.fixture
def no_reader(lib, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The library's tagger does not read, and no text encoder is installed."""
    monkeypatch.setattr(fake_tagger, "READS", False)
    lib.close()
    with earmark.open(tmp_path / "library", settings=lib.settings) as library:
        yield library


def test_labels_that_name_classes_need_no_text_model(no_reader, sounds):
    asked = ["barking", "whistles", "a dog bark", "low hum"]
    session = no_reader.tagger(labels=asked, moments=True)
    one, two, long = (session.tag(str(sounds / f"{name}.wav")) for name in ("one", "two", "long"))
    assert [tag.label for tag in one.tags] == ["barking", "a dog bark"]
    assert one.tags[1].score < one.tags[0].score  # as little of a dog as of a barking dog
    assert [tag.label for tag in two.tags] == ["whistles"]
    assert {moment.start: moment.tags[0].label for moment in long.moments} == {
        0.0: "low hum", 1.0: "low hum", 2.0: "low hum", 3.0: "whistles", 4.0: "whistles",
    }  # fmt: skip
    assert session.tag(str(sounds / "still.wav")).tags == ()
    assert one.by == "toner"


def test_a_label_that_names_no_class_is_refused_with_the_nearest(no_reader, sounds):
    session = no_reader.tagger(labels=["dog", "whissle"])
    with pytest.raises(NotAvailable, match="'whissle'") as error:
        session.tag(str(sounds / "one.wav"))
    assert "Whistle" in error.value.hint
    assert "clap" in error.value.hint


@pytest.mark.parametrize(
    ("label", "classes"),
    [
        ("Rain", [["Rain"]]),
        ("rain on a surface", [["Rain on surface"]]),
        ("raindrops", [["Raindrop"]]),
        ("crying babies", [["Baby cry, infant cry"]]),
        ("infant cry", [["Baby cry, infant cry"]]),
        ("running", [["Run"]]),
        ("glasses", [["Glass"]]),
        ("sneezing", [["Sneeze"]]),
        ("dog in the rain", [["Dog"], ["Rain"]]),
        ("dog on the moon", []),
        ("  ", []),
        ("犬", []),
    ],
)
def test_the_classes_that_a_label_names(label, classes):
    names = ["Dog", "Rain", "Rain on surface", "Raindrop", "Baby cry, infant cry"]
    names += ["Run", "Glass", "Sneeze"]
    assert [[names[i] for i in group] for group in classes_of(label, names)] == classes
