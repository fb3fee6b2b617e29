"""The facade on synthetic sounds: adding, asking, listening, caring."""

from __future__ import annotations

import dataclasses
import os
import shutil
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

import audio_factory as af
import earmark
from earmark.config import Settings
from earmark.errors import (
    FilterSyntaxError,
    LibraryNotFound,
    QueryError,
    SourceError,
    TrackNotFound,
    UnknownField,
    UsageError,
)
from earmark.library.probes import stored_rows
from earmark.moments import Moment
from serving import serving

RATE = 22050
KINDS = ("flute", "organ", "noise", "drum")


def sound(kind: str, number: int, seconds: float = 3.0, *, rate: int = RATE) -> np.ndarray:
    """A sound whose colour is that of its kind: the same short notes, in an order of its own."""
    rng = np.random.default_rng(number)
    if kind == "noise":
        return af.noise(seconds=seconds, seed=number, sample_rate=rate)
    pitches = {"flute": [600, 700, 800], "organ": [250, 300, 350], "drum": [60, 80, 100]}[kind]
    notes = []
    for _ in range(round(seconds / 0.3)):
        for pitch in rng.permutation(pitches):
            note = af.tone(
                float(pitch),
                seconds=0.1,
                sample_rate=rate,
                harmonics=12 if kind == "organ" else 1,
            )
            decay = np.exp(-8 * np.linspace(0, 1, len(note))) if kind == "drum" else 1.0
            notes.append(note * decay)
    return np.concatenate(notes).astype(np.float32)


@pytest.fixture(scope="session")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve sounds of four kinds, a copy of one, and tags for them in a sidecar."""
    folder = tmp_path_factory.mktemp("sounds")
    lines = ["path,genre,year,title"]
    for kind in KINDS:
        for number in range(3):
            name = f"{kind}/{kind}_{number}.wav"
            af.write_wav(folder / name, sound(kind, number), RATE)
            lines.append(f"{name},{kind},{2000 + number},{kind.title()} song {number}")
    (folder / "tags.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="session")
def filled(sounds: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of these sounds, in bits whose distances are exact; tests only read it."""
    home = tmp_path_factory.mktemp("libraries") / "library"
    settings = Settings(cache=str(home.parent / "cache"), timbre_profile="zounds")
    with earmark.open(home, settings=settings) as lib:
        report = lib.add(sounds, metadata=sounds / "tags.csv", executor="serial")
    assert (report.added, report.failed) == (12, ())
    return home


@pytest.fixture(scope="session")
def address(filled: Path):
    """The same library, served."""
    pytest.importorskip("fastapi")
    with serving(filled, settings=Settings(cache=str(filled.parent / "cache"))) as url:
        yield url


@pytest.fixture(params=["local", "remote"])
def lib(request, filled: Path):
    """The library itself, then the same behind a server."""
    settings = Settings(cache=str(filled.parent / "cache"))
    place = filled if request.param == "local" else request.getfixturevalue("address")
    with earmark.open(place, create=False, settings=settings) as library:
        yield library


@pytest.fixture(params=["local", "remote"])
def own(request, filled: Path, tmp_path: Path):
    """A copy of the library that a test may change, itself or behind a server."""
    shutil.copytree(filled, tmp_path / "library")
    with ExitStack() as stack:
        place = tmp_path / "library"
        if request.param == "remote":
            pytest.importorskip("fastapi")
            place = stack.enter_context(serving(place))
        yield stack.enter_context(earmark.open(place, settings=Settings()))


def only_local(fixture: str):
    """For what needs the library itself."""
    return pytest.mark.parametrize(fixture, ["local"], indirect=True)


def names(hits) -> list[str]:
    return [Path(hit.track.path).stem for hit in hits]


# --- opening -----------------------------------------------------------------------------------


def test_open_needs_a_library_unless_it_may_make_one(tmp_path):
    with pytest.raises(LibraryNotFound):
        earmark.open(tmp_path / "none", create=False)
    assert not (tmp_path / "none").exists()


def test_open_reads_the_place_from_the_settings(filled, monkeypatch):
    monkeypatch.setenv("EARMARK_LIBRARY", str(filled))
    with earmark.open(create=False) as lib:
        assert len(lib) == 12
        assert "12 tracks" in repr(lib)


def test_the_package_names_what_it_offers():
    assert earmark.TrackNotFound is TrackNotFound
    assert earmark.Track.__name__ == "Track"
    assert set(dir(earmark)) >= {"open", "Library", "Hits", "Clip"}
    with pytest.raises(AttributeError, match="nonsense"):
        _ = earmark.nonsense


# --- searching by example ----------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_recording_of_the_library_finds_itself_first(lib, sounds, kind):
    path = sounds / kind / f"{kind}_1.wav"
    hits = lib.search(audio=path, k=3)
    assert names(hits)[0] == f"{kind}_1"
    assert hits[0].score == 1.0
    assert hits[0].by == "timbre"
    assert 0 <= hits[0].start < hits[0].end <= 3.0 + 1e-6
    assert 0 <= hits[0].query_start < hits[0].query_end


@pytest.mark.parametrize("kind", KINDS)
def test_others_of_its_kind_come_next(lib, sounds, kind):
    hits = lib.search(audio=sounds / kind / f"{kind}_0.wav", k=2, exclude_self=True)
    assert {hit.track.tags["genre"] for hit in hits} == {kind}


def test_a_new_recording_finds_its_kind(lib, tmp_path):
    path = af.write_wav(tmp_path / "new.wav", sound("organ", 7), RATE)
    assert lib.search(audio=path)[0].track.tags["genre"] == "organ"


def test_arrays_clips_and_other_rates(lib):
    samples = sound("noise", 1)
    plain = lib.search(audio=(samples, RATE), k=3)
    clip = lib.search(audio=earmark.Clip(samples, RATE), k=3)
    assert names(plain) == names(clip)
    assert plain[0].track.tags["genre"] == "noise"
    fast = sound("organ", 1, rate=2 * RATE)
    assert lib.search(audio=(fast, 2 * RATE), k=1)[0].track.tags["genre"] == "organ"
    with pytest.raises(QueryError, match="audio must be"):
        lib.search(audio=3.5)


def test_a_moment_of_a_file_is_what_is_searched(lib, tmp_path):
    both = np.concatenate([sound("noise", 8), sound("flute", 8)])
    path = af.write_wav(tmp_path / "both.wav", both, RATE)
    first = lib.search(audio=f"{path}#0-0:03", k=1)[0]
    second = lib.search(audio=Moment(str(path), 3.2), k=1)[0]
    assert first.track.tags["genre"] == "noise"
    assert second.track.tags["genre"] == "flute"
    assert second.query_start >= 3.2
    assert second.query_end <= 6.0 + 1e-6


def test_a_copy_elsewhere_is_the_query_itself(lib, sounds, tmp_path):
    copy = shutil.copy(sounds / "drum" / "drum_2.wav", tmp_path / "copy.wav")
    assert names(lib.search(audio=copy, k=1)) == ["drum_2"]
    assert "drum_2" not in names(lib.search(audio=copy, k=12, exclude_self=True))


def test_equal_scores_put_the_own_file_first(tmp_path):
    # Three files with the same sound but other bytes: nothing but the file tells them apart.
    samples = sound("organ", 3)
    for name, subtype in (("a", "PCM_16"), ("b", "FLOAT"), ("c", "DOUBLE")):
        exact = np.round(samples * 32768) / 32768
        af.write_wav(tmp_path / "sounds" / f"{name}.wav", exact, RATE, subtype=subtype)
    with earmark.open(tmp_path / "library", settings=Settings()) as lib:
        lib.add(tmp_path / "sounds", executor="serial")
        for name in "cab":
            hits = lib.search(audio=tmp_path / "sounds" / f"{name}.wav", k=3)
            assert [h.score for h in hits] == [1.0] * 3
            assert names(hits)[0] == name
            ids = [hit.track.id for hit in hits[1:]]
            assert ids == sorted(ids)


def test_exact_search_agrees(lib, sounds):
    path = sounds / "flute" / "flute_2.wav"
    assert names(lib.search(audio=path)) == names(lib.search(audio=path, exact=True))


def test_silence_cannot_be_searched(lib):
    with pytest.raises(QueryError, match="silence"):
        lib.search(audio=(np.zeros(RATE, np.float32), RATE))


def test_a_missing_file_is_named(lib, tmp_path):
    with pytest.raises(SourceError, match="nothing"):
        lib.search(audio=tmp_path / "nothing.wav")


# --- likes and unlikes -------------------------------------------------------------------------


def by_name(lib) -> dict[str, earmark.Track]:
    return {Path(track.path).stem: track for track in lib.list()}


def test_like_uses_what_is_stored(own, sounds, monkeypatch):
    track = by_name(own)["organ_1"]
    expected = names(own.search(audio=track.path, k=5))
    monkeypatch.setattr("earmark.library.probes.encode_audio", None)  # nothing may be decoded
    for thing in (track.id, str(track.id), track.path, track, Path(track.path)):
        assert names(own.search(like=thing, k=5)) == expected


def test_like_a_moment_uses_its_rows_only(lib):
    track = by_name(lib)["organ_1"]
    hits = lib.search(like=f"{track.id}#1-2", k=1)
    assert hits[0].query_start >= 0.3
    assert hits[0].query_end <= 2.8


def test_like_a_file_outside_the_library(lib, tmp_path):
    path = af.write_wav(tmp_path / "new.wav", sound("drum", 9), RATE)
    assert lib.search(like=path, k=1)[0].track.tags["genre"] == "drum"


def test_several_likes_score_the_mean(lib):
    tracks = by_name(lib)
    both = lib.search(like=[tracks["flute_0"], tracks["noise_0"]], k=12)
    scores = {}
    for name in ("flute_0", "noise_0"):
        for hit in lib.search(like=tracks[name], k=12):
            scores.setdefault(hit.track.id, []).append(hit.score)
    expected = {t: np.mean(s) for t, s in scores.items()}
    assert {h.track.id: h.score for h in both} == pytest.approx(expected)
    assert [h.score for h in both] == sorted((h.score for h in both), reverse=True)


def test_unlike_subtracts(lib):
    tracks = by_name(lib)
    hits = lib.search(like=tracks["flute_0"], unlike=tracks["organ_0"], k=12)
    likes = {h.track.id: h.score for h in lib.search(like=tracks["flute_0"], k=12)}
    bad = {h.track.id: h.score for h in lib.search(like=tracks["organ_0"], k=12)}
    assert {h.track.id: h.score for h in hits} == pytest.approx(
        {t: likes[t] - bad[t] for t in likes}, abs=3e-6
    )
    assert hits[-1].track.tags["genre"] == "organ"


def test_unknown_tracks_are_named(lib, tmp_path):
    with pytest.raises(TrackNotFound, match="999"):
        lib.search(like=999)
    with pytest.raises(SourceError):
        lib.search(like=tmp_path / "none.wav")
    with pytest.raises(TrackNotFound, match=r"none\.wav"):
        lib.track(tmp_path / "none.wav")


# --- words and filters -------------------------------------------------------------------------


def test_words_search_the_metadata(lib):
    hits = lib.search("organ")
    assert {hit.track.tags["genre"] for hit in hits} == {"organ"}
    assert hits[0].by == "metadata"
    assert hits[0].start is None
    assert names(lib.search("organ song 2"))[0] == "organ_2"
    assert len(lib.search("zzzzzz")) == 0


def test_words_and_a_recording_are_fused_by_rank(lib, sounds):
    hits = lib.search("noise", audio=sounds / "flute" / "flute_0.wav", k=12)
    both = [hit for hit in hits if set(hit.ranks) == {"timbre", "metadata"}]
    assert both
    assert hits[0].by == "timbre+metadata"
    for hit in hits:
        assert hit.score == pytest.approx(
            sum(1 / (20 + rank) for rank in hit.ranks.values()), abs=1e-6
        )
        assert (hit.start is None) == ("timbre" not in hit.ranks)


def test_filters_hold_for_every_kind_of_search(lib, sounds):
    where = "genre = 'noise' and year in (2000, 2001)"
    path = sounds / "organ" / "organ_0.wav"
    expected = {"noise_0", "noise_1"}
    assert set(names(lib.search(audio=path, where=where))) == expected
    assert set(names(lib.search("song", where=where))) == expected
    assert set(names(lib.random(10, where=where, seed=1))) == expected
    assert {Path(t.path).stem for t in lib.list(where=where)} == expected
    assert lib.count(where=where) == 2


def test_filters_are_checked(lib):
    with pytest.raises(UnknownField, match="gendre") as error:
        lib.search("song", where="gendre = 'noise'")
    assert "genre" in error.value.hint
    with pytest.raises(FilterSyntaxError):
        lib.search("song", where="genre = ")


def test_by_chooses_who_answers(lib, sounds):
    path = sounds / "flute" / "flute_0.wav"
    assert names(lib.search(audio=path, by="timbre")) == names(lib.search(audio=path))
    assert {h.by for h in lib.search("flute", audio=path, by=["timbre", "metadata"])} >= {
        "timbre+metadata"
    }
    with pytest.raises(QueryError, match="timber") as error:
        lib.search(audio=path, by="timber")
    assert "timbre" in error.value.hint
    with pytest.raises(QueryError, match="can compare recordings"):
        lib.search(audio=path, by="metadata")
    with pytest.raises(QueryError, match="understands words"):
        lib.search("flute", by="timbre")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({}, "needs words"),
        ({"text": "  "}, "empty"),
        ({"text": "a", "k": 0}, "k must be"),
        ({"unlike": 1}, "needs words"),
    ],
)
def test_questions_that_make_no_sense(lib, asked, message):
    with pytest.raises(QueryError, match=message):
        lib.search(**asked)


def test_an_empty_library_answers_with_a_reason(tmp_path):
    with earmark.open(tmp_path / "library", settings=Settings()) as lib:
        assert len(lib.search("anything")) == 0
        assert len(lib.random(3)) == 0
        with pytest.raises(QueryError, match="empty"):
            lib.search(audio=(sound("noise", 1), RATE))


# --- hits --------------------------------------------------------------------------------------


def test_hits_are_a_sequence_and_json(lib):
    hits = lib.search("song", k=4)
    assert len(hits) == 4
    assert hits[1:3].items == hits.items[1:3]
    document = hits.to_json()
    assert document["query"] == {"text": "song", "k": 4}
    assert set(document["hits"][0]) == {
        *("track", "path", "score", "start", "end", "query_start", "query_end", "by"),
        *("title", "artist", "duration", "tags"),
    }
    assert hits.to_json(explain=True)["hits"][0]["ranks"] == {"metadata": 1}


def test_hits_show_themselves(lib):
    hits = lib.search(like=1, k=2)
    assert hits._repr_html_().count("<audio") == 2
    assert hits[0]._repr_html_().count("<audio") == 1


# --- the rest ----------------------------------------------------------------------------------


def test_random_is_repeatable(lib):
    first = names(lib.random(5, seed=3))
    assert first == names(lib.random(5, seed=3))
    assert len(set(first)) == 5
    assert any(names(lib.random(5, seed=s)) != first for s in range(4, 8))
    assert len(lib.random(100)) == 12
    assert lib.random(2).query["seed"] == 0


def test_list_pages(lib):
    every = [t.id for t in lib.list()]
    assert every == sorted(every)
    assert [t.id for t in lib.list(limit=3, offset=2)] == every[2:5]
    assert lib.list(limit=0) == ()
    with pytest.raises(UsageError, match="negative"):
        lib.list(offset=-1)


def test_features_are_computed_and_kept(lib, monkeypatch):
    track = by_name(lib)["organ_0"]
    bark = lib.features(track, "bark")
    assert bark.dtype == np.float32
    assert bark.shape[1] == 100
    monkeypatch.setattr("earmark.audio.read", None)  # the second time nothing is decoded
    np.testing.assert_array_equal(lib.features(track.path, "bark"), bark)
    with pytest.raises(UsageError, match="barc") as error:
        lib.features(track, "barc")
    assert "bark" in error.value.hint


def test_remove_and_set_tags(own):
    tracks = by_name(own)
    own.set_tags(tracks["organ_0"], {"mood": "calm", "genre": None})
    assert own.track(tracks["organ_0"].id).tags["mood"] == "calm"
    assert "genre" not in own.track(tracks["organ_0"].id).tags
    with pytest.raises(TrackNotFound):
        own.remove([tracks["organ_0"].id, 999])
    assert len(own) == 12
    assert own.remove([tracks["organ_0"], tracks["organ_1"].path]) == 2
    assert len(own) == 10
    assert "organ_0" not in names(own.search(audio=tracks["organ_0"].path))


@only_local("own")
def test_add_reports_and_forecasts(own, sounds, tmp_path):
    extra = tmp_path / "extra"
    af.write_wav(extra / "new.wav", sound("drum", 5), RATE)
    (extra / "bad.wav").write_bytes(b"not audio at all")
    forecast = own.forecast([sounds, extra])
    assert forecast.counts["new"] == 2
    assert forecast.counts["unchanged"] == 12
    assert len(own) == 12
    report = own.add([sounds, extra], executor="serial")
    assert (report.added, report.unchanged) == (1, 12)
    assert [Path(f.path).name for f in report.failed] == ["bad.wav"]
    assert report.seconds > 0


@only_local("lib")
def test_info_names_encoders_and_advice(lib):
    info = lib.info()
    assert info["tracks"] == 12
    assert info["seconds"] == pytest.approx(36, abs=0.1)
    (encoder,) = info["encoders"]
    assert encoder["name"] == encoder["kind"] == "timbre"
    assert encoder["tracks"] == 12
    assert encoder["options"] == {"profile": "zounds"}
    assert info["advice"] == []


@only_local("own")
def test_verify_rebuild_and_compact(own, sounds):
    assert own.verify() == ()
    (shard,) = Path(own.url).rglob("*.rows")
    content = bytearray(shard.read_bytes())
    content[100] ^= 0xFF
    shard.write_bytes(content)
    own.close()
    with earmark.open(shard.parents[2], settings=Settings()) as again:
        assert again.verify()
        report = again.rebuild()
        assert report.failed == ()
        assert again.verify() == ()
        hits = again.search(audio=sounds / "drum" / "drum_1.wav", k=1)
        assert names(hits) == ["drum_1"]
        again.remove(1)
        assert again.compact() >= 0
        assert len(again) == 11


@only_local("own")
def test_refit_replaces_the_codebook(own):
    before = own.info()["encoders"][0]["revision"]
    assert names(own.search(like=1, k=1))
    changed = dataclasses.replace(own.settings, seed=5)
    with earmark.open(own.url, settings=changed) as other:
        report = other.rebuild(fit="timbre")
        assert other.info()["encoders"][0]["revision"] != before
        assert "12 tracks" in report.done[0]
        assert other.search(audio=other.track(3).path, k=1)[0].track.id == 3


def test_export_goes_through_filters(lib):
    assert lib.export("m3u", where="genre = 'drum'").count(b"\n/") == 3
    assert lib.export("csv").count(b"\n") == 13


@only_local("lib")
def test_stored_rows_of_a_moment(lib):
    every = stored_rows(lib.store, "timbre", 1)
    part = stored_rows(lib.store, "timbre", 1, start=1.0, end=1.5)
    assert 0 < len(part.rows) < len(every.rows)
    assert (part.segments[:, 1] > 1.0).all()
    assert (part.segments[:, 0] < 1.5).all()
    assert stored_rows(lib.store, "timbre", 999) is None


def test_names_that_are_not_utf8(tmp_path):
    folder = os.fsencode(tmp_path / "odd")
    os.mkdir(folder)  # noqa: PTH102
    name = os.fsdecode(folder + b"/caf\xe9.wav")
    af.write_wav(name, sound("organ", 1), RATE)
    with earmark.open(tmp_path / "library", settings=Settings()) as lib:
        lib.add(os.fsdecode(folder), executor="serial")
        hits = lib.search(audio=name, k=1)
        assert hits[0].track.path == name
        assert b"caf\xe9.wav" in lib.export("m3u")
        assert hits._repr_html_().encode("utf-8")
