"""Aspects: stored with each row, weighed at query time, and searches within former answers."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import audio_factory
import earmark
from earmark import cli, framing
from earmark.config import Settings
from earmark.encoders import timbre_aspects
from earmark.encoders.timbre_default import Default
from earmark.errors import QueryError, TrackNotFound
from earmark.features.timbre import SAMPLE_RATE
from earmark.library import Library, aspects, narrowing
from earmark.types import AspectEncoder, Clip, Float32Array
from test_timbre_descriptors import note


def row(samples: Float32Array) -> Float32Array:
    refine = framing.encode_clip(
        Default(), Clip(np.asarray(samples, np.float32), SAMPLE_RATE)
    ).refine
    assert refine is not None
    return np.asarray(refine[0], np.float32)


def compared(query: Float32Array, other: Float32Array) -> dict[str, float]:
    return {n: float(v[0]) for n, v in timbre_aspects.compare(row(query), row(other)[None]).items()}


# --- what the encoder tells --------------------------------------------------------------------


def test_a_sound_is_like_itself_in_every_aspect() -> None:
    found = compared(note(220.0), note(220.0))
    for name in timbre_aspects.ASPECTS:
        assert found[name] == pytest.approx(1, abs=1e-3), name
    for name in timbre_aspects.NUDGES:
        assert found[name] == pytest.approx(0, abs=1e-3), name


def test_scaling_a_stored_row_changes_nothing() -> None:
    query, other = row(note(220.0)), row(note(300.0, tilt=2.5))
    stored = np.float32(other / np.linalg.norm(other)).astype(np.float16)
    plain = timbre_aspects.compare(query, other[None])
    kept = timbre_aspects.compare(query, stored[None])
    for name, values in plain.items():
        assert float(kept[name][0]) == pytest.approx(float(values[0]), abs=4e-3), name


def test_the_block_hardly_changes_the_cosine() -> None:
    a, b = row(note(220.0)), row(note(700.0, tilt=0.2))
    whole = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    assert float(whole) == pytest.approx(float(a[:64] @ b[:64]), abs=3e-4)


def test_each_aspect_hears_what_it_is_named_for() -> None:
    base = note(220.0)
    assert compared(base, note(440.0))["pitch"] < 0.1
    assert compared(base, note(222.0))["pitch"] > 0.9
    assert compared(base, 0.1 * base)["loudness"] < 0.1
    assert compared(base, 0.1 * base)["spectrum"] > 0.95
    assert compared(base, note(220.0, tilt=3.0))["spectrum"] < 0.7
    assert compared(base, note(220.0, fall=20.0))["envelope"] < 0.7
    assert compared(base, note(220.0, tilt=3.0))["envelope"] > 0.7


def test_nudges_have_the_sign_that_musicians_mean() -> None:
    rng = np.random.default_rng(0)
    base = note(220.0, tilt=1.5, fall=4.0)
    slow = base * np.minimum(1, np.arange(len(base)) / (0.2 * SAMPLE_RATE))
    hiss = base + 0.1 * rng.standard_normal(len(base))
    assert compared(base, note(220.0, tilt=0.3, fall=4.0))["brightness"] > 0.2
    assert compared(base, note(220.0, tilt=3.0, fall=4.0))["brightness"] < -0.2
    assert compared(base, base[: len(base) // 4])["length"] < -0.3
    assert compared(base, slow)["attack"] < -0.3
    assert compared(base, hiss)["noisiness"] > 0.2


def test_unpitched_sounds_are_alike_in_having_no_pitch() -> None:
    rng = np.random.default_rng(0)
    one, other = (0.1 * rng.standard_normal(SAMPLE_RATE) for _ in range(2))
    assert compared(one, other)["pitch"] > compared(one, note(220.0))["pitch"]


def test_level_is_that_of_the_loudest_moment() -> None:
    square = np.full((1, SAMPLE_RATE), 0.0, np.float32)
    square[0, 5000:9000] = 0.1 * np.sign(np.sin(np.arange(4000)))
    assert float(timbre_aspects.level_db(square)[0]) == pytest.approx(-20, abs=0.1)


# --- reading weights ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("timbre=1,pitch=.3", {"timbre": 1, "pitch": 0.3}),
        ("overall=2, level=0", {"timbre": 2, "loudness": 0}),
        ("brightness=+0.2", {"brightness": 0.2}),
        ("darker=.4,longer", {"brightness": -0.4, "length": 0.3}),
        ("softer", {"attack": -0.3}),
    ],
)
def test_weights_are_read(text: str, expected: dict[str, float]) -> None:
    assert aspects.parse(text) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("pitch=high", "from -100 to 100"),
        ("pitch=nan", "from -100 to 100"),
        ("pitch=1e9", "from -100 to 100"),
        ("pitch=1,pitch=2", "twice"),
        ("brighter,darker", "twice"),
        ("", "empty name"),
        ("timbre=1,,pitch=2", "empty name"),
    ],
)
def test_wrong_weights_are_refused(text: str, rule: str) -> None:
    with pytest.raises(QueryError, match=rule):
        aspects.parse(text)


def test_unknown_aspects_show_the_nearest_and_nudges_keep_the_timbre() -> None:
    assert isinstance(Default(), AspectEncoder)
    with pytest.raises(QueryError, match="no aspect 'pich'") as caught:
        aspects.checked({"pich": 1}, Default())
    assert caught.value.hint == "did you mean 'pitch'?"
    assert aspects.checked({"brightness": 0.2}, Default()) == {"timbre": 1, "brightness": 0.2}
    with pytest.raises(QueryError, match="other than 0"):
        aspects.checked({"pitch": 0}, Default())


# --- in a library ------------------------------------------------------------------------------

COLOURS = {
    "dull": {"tilt": 2.4, "fall": 3.0},
    "clear": {"tilt": 1.2, "fall": 3.0},
    "sharp": {"tilt": 0.2, "fall": 3.0},
    "plucked": {"tilt": 1.2, "fall": 14.0},
}
PITCHES = {"A3": 220.0, "C4": 261.63, "A4": 440.0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("aspects")
    for colour, how in COLOURS.items():
        for name, hz in PITCHES.items():
            audio_factory.write_wav(folder / f"{colour}_{name}.wav", note(hz, **how), SAMPLE_RATE)
    long = np.concatenate([note(220.0, tilt=2.4), note(220.0, tilt=0.2), note(440.0)] * 4)
    audio_factory.write_wav(folder / "long.wav", long, SAMPLE_RATE)
    return folder


@pytest.fixture(scope="module")
def library(folder: Path) -> Iterator[Library]:
    with earmark.open(folder / "library", settings=Settings(cache=str(folder / "cache"))) as lib:
        lib.add(folder, executor="serial")
        yield lib


def stems(hits: object) -> list[str]:
    return [Path(hit.track.path).stem for hit in hits]  # type: ignore[attr-defined]


def test_timbre_alone_ranks_as_a_plain_search(library: Library, folder: Path) -> None:
    query = folder / "clear_C4.wav"
    plain = library.search(audio=query, k=13, exact=True)
    weighed = library.search(audio=query, k=13, aspect="timbre=1")
    assert [h.score for h in weighed] == pytest.approx([h.score for h in plain], abs=5e-4)
    assert set(weighed[0].aspects) == {*timbre_aspects.ASPECTS, *timbre_aspects.NUDGES}


def test_pitch_finds_the_same_note_of_other_colours(library: Library, folder: Path) -> None:
    hits = library.search(audio=folder / "clear_A4.wav", aspect={"pitch": 1}, k=4)
    assert {name.rpartition("_")[2] for name in stems(hits)} == {"A4"}


def test_a_nudge_moves_the_answer_its_way(library: Library, folder: Path) -> None:
    query = {"like": folder / "clear_A3.wav", "exclude_self": True, "k": 12}
    plain = stems(library.search(**query))
    brighter = stems(library.search(**query, aspect="brighter=1"))
    darker = stems(library.search(**query, aspect="brightness=-1"))
    assert brighter.index("sharp_A3") < plain.index("sharp_A3")
    assert darker.index("dull_A3") < plain.index("dull_A3")
    assert brighter.index("sharp_A3") < brighter.index("dull_A3")


def test_the_score_is_the_weighted_mean_of_the_aspects(library: Library, folder: Path) -> None:
    weights = {"timbre": 1.0, "pitch": 0.5, "brightness": -0.5}
    for hit in library.search(audio=folder / "clear_A3.wav", aspect=weights, k=12):
        if Path(hit.track.path).stem == "long":
            continue
        mean = sum(w * hit.aspects[n] for n, w in weights.items()) / 2
        assert hit.score == pytest.approx(mean, abs=2e-3)


def test_the_moment_of_a_long_track_is_the_best_row(library: Library, folder: Path) -> None:
    hits = library.search(audio=folder / "dull_A3.wav", aspect="timbre=1,pitch=.5", k=13)
    (long,) = [h for h in hits if Path(h.track.path).stem == "long"]
    assert long.start is not None
    assert long.end is not None
    assert long.end - long.start <= 3.001


def test_likes_unlikes_filters_and_other_encoders(library: Library, folder: Path) -> None:
    like = [folder / "clear_A3.wav", folder / "clear_A4.wav"]
    hits = library.search(like=like, unlike=folder / "sharp_A3.wav", aspect="timbre", k=3)
    assert "sharp" not in " ".join(stems(hits))
    hits = library.search(like=like, aspect="timbre=1", where="pitch = 'C4'", k=9)
    assert {name.rpartition("_")[2] for name in stems(hits)} == {"C4"}
    with pytest.raises(QueryError, match="recording"):
        library.search("clear", aspect="pitch=1")


def test_exact_and_candidates_agree(
    library: Library, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"audio": folder / "clear_A3.wav", "aspect": "timbre=1,darker=.2", "k": 13}
    exact = library.search(**asked)
    monkeypatch.setattr(aspects, "EXACT_ROWS", 0)
    assert stems(library.search(**asked)) == stems(exact)


def test_a_library_without_aspects_says_how_to_get_them(folder: Path, tmp_path: Path) -> None:
    settings = Settings(timbre_profile="zounds")
    with earmark.open(tmp_path / "old", settings=settings) as lib:
        lib.add(folder, executor="serial")
        with pytest.raises(QueryError, match="knows them") as caught:
            lib.search(audio=folder / "clear_A3.wav", aspect="pitch=1")
        assert "--profile default" in str(caught.value.hint)


# --- within a former answer --------------------------------------------------------------------


def test_within_hits_ids_and_paths(library: Library, folder: Path) -> None:
    former = library.search(audio=folder / "sharp_A3.wav", k=3)
    inside = library.search(audio=folder / "dull_A3.wav", within=former, k=13)
    assert sorted(stems(inside)) == sorted(stems(former))
    ids = [h.track.id for h in former[:2]]
    assert len(library.search(audio=folder / "dull_A3.wav", within=ids, k=13)) == 2
    one = library.search(like=folder / "dull_A3.wav", within=str(folder / "long.wav"))
    assert stems(one) == ["long"]
    assert len(library.search("wav", within=ids, k=13)) == 2
    assert not library.search(like=folder / "dull_A3.wav", within=[])
    with pytest.raises(TrackNotFound):
        library.search(like=folder / "dull_A3.wav", within=[10**6])
    both = library.search(like=ids, within=former, where="pitch = 'C4'", k=13)
    assert {n.rpartition("_")[2] for n in stems(both)} <= {"C4"}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('{"hits": [{"track": 3, "path": "x"}, {"track": 5, "path": "y"}]}', [3, 5]),
        ('[{"query": {}, "hits": [{"track": 2}]}]', [2]),
        ('[1, "a.wav"]', [1, "a.wav"]),
        ("7\n\n b c.wav \n", [7, "b c.wav"]),
        ('{"hits": []}', []),
    ],
)
def test_former_answers_are_read(text: str, names: list[int | str]) -> None:
    assert narrowing.read(text) == names


@pytest.mark.parametrize("text", ["", "  \n", "{", '{"tracks": 3}', "[true]", "[[1]]", "[1.5]"])
def test_what_is_no_answer_is_refused(text: str) -> None:
    with pytest.raises(QueryError, match="former answer"):
        narrowing.read(text)


def test_the_command_line_weighs_explains_and_narrows(
    library: Library,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ask = ["search", "-l", library.url, "--audio", str(folder / "clear_A4.wav")]
    assert cli.run([*ask, "--aspect", "timbre=1,pitch=.3", "--explain", "--json"]) == 0
    out = capsys.readouterr().out
    answer = json.loads(out)
    assert answer["query"]["aspect"] == {"timbre": 1.0, "pitch": 0.3}
    assert answer["hits"][0]["aspects"]["pitch"] > 0.9
    former = tmp_path / "former.json"
    assert cli.run([*ask, "-k", "2", "--json"]) == 0
    former.write_text(capsys.readouterr().out)
    assert cli.run([*ask, "--within", str(former), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["hits"]) == 2
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(former.read_bytes())))
    assert cli.run([*ask, "--within", "-", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["hits"]) == 2
    assert cli.run([*ask, "--aspect", "brigter=1"]) == 2
    assert "did you mean 'brighter'?" in capsys.readouterr().err
    assert cli.run([*ask, "--within", str(tmp_path / "none.json")]) == 2
    assert "cannot be read" in capsys.readouterr().err
