"""The timbre profile `default`: its contract, its segments, its facts."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

import audio_factory
import earmark
from earmark import encoders, framing
from earmark.config import Settings
from earmark.encoders import timbre_facts
from earmark.encoders.timbre_default import HOP, WHOLE, WINDOW, Default
from earmark.encoders.timbre_projection import Projection, shipped
from earmark.errors import EncoderError
from earmark.evaluate.retrieval import evaluate, read_manifest
from earmark.features.timbre import SAMPLE_RATE
from earmark.library import Library
from earmark.stores import open_store
from earmark.testing import check_encoder
from earmark.types import Clip, Encoded, Float32Array, Track
from test_timbre_descriptors import note


def encode(samples: Float32Array) -> Encoded:
    return framing.encode_clip(Default(), Clip(samples.astype(np.float32), SAMPLE_RATE))


def clicks(bpm: float, beats: int) -> Float32Array:
    rng = np.random.default_rng(1)
    x = np.zeros(int(SAMPLE_RATE * 60 / bpm * beats), np.float32)
    for b in range(beats):
        at = int(b * SAMPLE_RATE * 60 / bpm)
        n = min(3000, len(x) - at)
        x[at : at + n] += rng.standard_normal(n) * np.exp(-np.arange(n) / 600) * 0.3
    return x


def test_the_profile_keeps_the_contract_of_encoders() -> None:
    check_encoder(Default())


def test_the_same_colour_at_another_pitch_is_nearer_than_another_colour() -> None:
    refine = [encode(x).refine for x in (note(220.0), note(311.1), note(220.0, tilt=3.0, fall=0.5))]
    base, same, other = (r[0] for r in refine if r is not None)
    assert float(base @ same) > float(base @ other) + 0.1


def test_vectors_and_codes_agree_on_what_is_near() -> None:
    encoded = [encode(note(hz)) for hz in (220.0, 247.0)] + [encode(clicks(120, 4))]
    near, far = (int(np.bitwise_count(encoded[0].rows ^ encoded[i].rows).sum()) for i in (1, 2))
    assert near < far


def test_level_and_silence_around_do_not_change_the_row() -> None:
    x = note(330.0)
    moved = np.concatenate([np.zeros(5000), 0.05 * x, np.zeros(7000)])
    a, b = encode(x), encode(moved)
    assert a.refine is not None
    assert b.refine is not None
    assert float(a.refine[0] @ b.refine[0]) > 0.98
    assert b.segments[0, 0] == pytest.approx(5000 / SAMPLE_RATE, abs=0.02)


def test_a_short_sound_is_one_row_and_a_long_one_windows_to_its_end() -> None:
    rng = np.random.default_rng(0)
    assert len(encode(rng.standard_normal(WHOLE)).rows) == 1
    long = encode(rng.standard_normal(WHOLE + 1))
    steps = -(-(WHOLE + 1 - WINDOW) // HOP) + 1
    assert len(long.rows) == steps
    assert long.segments[-1, 1] == pytest.approx((WHOLE + 1) / SAMPLE_RATE)


@pytest.mark.parametrize("value", [0.0, 0.3])
@pytest.mark.parametrize("seconds", [1, 10])
def test_silence_and_constants_give_no_row(value: float, seconds: int) -> None:
    encoded = encode(np.full(seconds * SAMPLE_RATE, value))
    assert len(encoded.rows) == 0
    assert encoded.skipped > 0
    assert dict(encoded.facts) == {}


def test_memory_does_not_grow_with_length() -> None:
    block = (0.1 * np.random.default_rng(0).standard_normal(5 * SAMPLE_RATE)).astype(np.float32)

    def most(blocks: int) -> int:
        session = Default().session()
        tracemalloc.start()
        for _ in range(blocks):
            session.push(block)
        session.finish()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    most(8)
    assert most(24) < most(8) + 2_000_000


def test_a_session_refuses_what_it_cannot_take() -> None:
    session = Default().session()
    with pytest.raises(ValueError, match="float32"):
        session.push(np.zeros(3))  # type: ignore[arg-type]
    session.finish()
    with pytest.raises(ValueError, match="once"):
        session.finish()
    with pytest.raises(ValueError, match="after finish"):
        session.push(np.zeros(3, np.float32))


def test_foreign_state_and_projections_are_refused_by_name() -> None:
    with pytest.raises(EncoderError, match="codebook"):
        Default.from_state({"codebook": np.zeros((128, 13), np.float32)})
    mine = shipped()
    arrays = {n: getattr(mine, n) for n in vars(mine) if n != "digest"}
    with pytest.raises(EncoderError, match="version 99"):
        Projection.from_arrays(arrays | {"version": np.array(99)})
    with pytest.raises(EncoderError, match="directions"):
        Projection.from_arrays({"version": np.array(1)})


def test_the_revision_names_the_projection() -> None:
    assert shipped().digest in Default().spec.revision


@pytest.mark.parametrize(("hz", "name"), [(220.0, "A3"), (130.81, "C3"), (698.46, "F5")])
def test_one_shots_have_a_pitch(hz: float, name: str) -> None:
    facts = encode(note(hz)).facts
    assert facts["pitch"] == name
    assert facts["one_shot"] == 1
    assert facts["loop"] == 0
    assert "bpm" not in facts


def test_noise_has_no_pitch() -> None:
    facts = encode(0.1 * np.random.default_rng(0).standard_normal(SAMPLE_RATE)).facts
    assert "pitch" not in facts


@pytest.mark.parametrize("bpm", [90.0, 120.0, 128.0])
def test_loops_have_a_tempo(bpm: float) -> None:
    facts = encode(clicks(bpm, 8)).facts
    assert facts["loop"] == 1
    assert facts["one_shot"] == 0
    ratio = float(facts["bpm"]) / bpm
    assert min(abs(ratio - r) for r in (0.5, 1.0, 2.0)) < 0.01


def test_brightness_follows_the_spectrum() -> None:
    dark, bright = (encode(note(220.0, tilt=t)).facts["brightness_hz"] for t in (2.0, 0.2))
    assert float(bright) > 1.5 * float(dark)


def test_note_names() -> None:
    assert [timbre_facts.note_name(m) for m in (60, 69, 21, 61.4)] == ["C4", "A4", "A0", "C#4"]


# --- in a library ------------------------------------------------------------------------------


COLOURS = {"dark": {"tilt": 2.2, "fall": 6.0}, "bright": {"tilt": 0.3, "fall": 1.5}}
PITCHES = {"A3": 220.0, "D4": 293.66, "G4": 392.0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Notes of two colours at three pitches, and two loops."""
    folder = tmp_path_factory.mktemp("sounds")
    for colour, how in COLOURS.items():
        for name, hz in PITCHES.items():
            audio_factory.write_wav(folder / f"{colour}_{name}.wav", note(hz, **how), SAMPLE_RATE)
    for bpm in (90.0, 128.0):
        audio_factory.write_wav(folder / f"loop_{bpm:.0f}.wav", clicks(bpm, 8), SAMPLE_RATE)
    return folder


@pytest.fixture(scope="module")
def library(folder: Path) -> Iterator[Library]:
    settings = Settings.from_env({"EARMARK_TIMBRE_PROFILE": "default"})
    settings = settings.with_changes(cache=str(folder / "cache"))
    with earmark.open(folder / "library", settings=settings) as lib:
        report = lib.add([str(p) for p in sorted(folder.glob("*.wav"))], executor="serial")
        assert (report.added, report.failed) == (8, ())
        yield lib


def names(tracks: Iterable[Track]) -> list[str]:
    return sorted(Path(t.path).stem for t in tracks)


def test_the_setting_chooses_the_profile_of_a_new_library(library: Library) -> None:
    (encoder,) = library.info()["encoders"]
    assert encoder["options"] == {"profile": "default"}
    assert isinstance(encoders.create("timbre", options={"profile": "default"}), Default)


def test_a_recording_finds_its_colour_and_scores_by_the_vectors(
    library: Library, folder: Path
) -> None:
    hits = library.search(audio=folder / "dark_D4.wav", k=8)
    assert names(h.track for h in hits[:3]) == ["dark_A3", "dark_D4", "dark_G4"]
    assert hits[0].score == pytest.approx(1, abs=2e-3)
    query, other = (encode(note(PITCHES[p], **COLOURS["dark"])).refine for p in ("D4", "A3"))
    assert query is not None
    assert other is not None
    got = {Path(h.track.path).stem: h.score for h in hits}
    assert got["dark_A3"] == pytest.approx(float(query[0] @ other[0]), abs=5e-3)


def test_likes_and_unlikes_of_colours(library: Library, folder: Path) -> None:
    liked, unliked = str(folder / "bright_A3.wav"), str(folder / "loop_90.wav")
    hits = library.search(like=[liked], unlike=[unliked], k=3)
    assert names(h.track for h in hits) == ["bright_A3", "bright_D4", "bright_G4"]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("pitch = 'A3'", ["bright_A3", "dark_A3"]),
        ("one_shot and pitch in ('D4', 'G4')", ["bright_D4", "bright_G4", "dark_D4", "dark_G4"]),
        ("bpm > 120", ["loop_128"]),
        ("loop and not one_shot", ["loop_128", "loop_90"]),
        ("one_shot and brightness_hz > 1500 and pitch = 'G4'", ["bright_G4"]),
    ],
)
def test_facts_are_filters(library: Library, where: str, expected: list[str]) -> None:
    assert names(library.list(where=where)) == expected


def test_filters_narrow_a_search(library: Library, folder: Path) -> None:
    hits = library.search(audio=folder / "loop_90.wav", where="one_shot and pitch = 'A3'")
    assert names(h.track for h in hits) == ["bright_A3", "dark_A3"]


def test_retrieval_is_measured_by_the_vectors(library: Library, folder: Path) -> None:
    manifest = folder / "manifest.csv"
    lines = [f"{c}_{p}.wav,{c}" for c in COLOURS for p in PITCHES]
    manifest.write_text("\n".join(["path,label", *lines]) + "\n")
    with open_store(library.url) as store:
        report = evaluate(store, read_manifest(manifest), seed=0)
    assert report.queries == 6
    assert report.metrics["precision@1"] == 1.0
