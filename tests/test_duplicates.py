"""Duplicates from end to end: copies, levels, speeds, cuts, a mix, strangers, no fingerprints."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import earmark
from audio_factory import write_wav
from earmark import cli
from earmark.config import Settings
from earmark.errors import UsageError
from earmark.identify.overlap import overlap, through_votes
from earmark.library.duplicates import Duplicates, Group, rank
from earmark.types import AudioInfo, Track
from test_identification import RATE, tune


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import soxr

    folder = tmp_path_factory.mktemp("copies")
    for seed in range(6):
        write_wav(folder / f"tune_{seed}.wav", tune(seed, 40.0), RATE)
    shutil.copy(folder / "tune_0.wav", folder / "tune_0_copy.wav")
    write_wav(folder / "tune_1_quiet.wav", 0.3 * tune(1, 40.0), RATE)
    fast = soxr.resample(tune(2, 40.0), 1.03, 1.0).astype(np.float32)
    write_wav(folder / "tune_2_fast.wav", fast, RATE)
    cut = tune(3, 40.0)[int(10.2 * RATE) : int(35.7 * RATE)]
    write_wav(folder / "tune_3_cut.wav", cut, RATE)
    mix = [tune(20), tune(4, 40.0)[: 30 * RATE], tune(21), tune(22)]
    write_wav(folder / "mix.wav", np.concatenate(mix), RATE)
    return folder


@pytest.fixture(scope="module")
def library(folder: Path) -> earmark.Library:
    lib = earmark.open(folder / "library", settings=Settings())
    lib.add([str(folder)], encoders=["fingerprint"], executor="serial")
    return lib


@pytest.fixture(scope="module")
def found(library: earmark.Library) -> Duplicates:
    return library.duplicates()


def group_of(found: Duplicates, name: str) -> Group:
    (group,) = [g for g in found if any(Path(t.path).name == name for t in g.tracks)]
    return group


def names(group: Group) -> set[str]:
    return {Path(t.path).name for t in group.tracks}


def test_all_and_only_the_duplicates_are_found(found):
    assert found.by_sound
    assert sorted(map(sorted, map(names, found))) == [
        ["mix.wav", "tune_4.wav"],
        ["tune_0.wav", "tune_0_copy.wav"],
        ["tune_1.wav", "tune_1_quiet.wav"],
        ["tune_2.wav", "tune_2_fast.wav"],
        ["tune_3.wav", "tune_3_cut.wav"],
    ]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("tune_0_copy.wav", "copy"),
        ("tune_1_quiet.wav", "same"),
        ("tune_2_fast.wav", "speed"),
        ("tune_3_cut.wav", "cut"),
        ("mix.wav", "inside"),
    ],
)
def test_the_evidence_says_why(found, name, kind):
    (evidence,) = group_of(found, name).evidence
    assert evidence.kind == kind
    assert evidence.confidence > 0.9


def test_a_cut_has_its_range(found):
    group = group_of(found, "tune_3_cut.wav")
    (one,) = group.evidence
    by_name = {Path(t.path).name: t.id for t in group.tracks}
    ranges = {one.a: (one.a_start, one.a_end), one.b: (one.b_start, one.b_end)}
    assert ranges[by_name["tune_3.wav"]] == pytest.approx((10.2, 35.7), abs=0.8)
    assert ranges[by_name["tune_3_cut.wav"]] == pytest.approx((0.0, 25.5), abs=0.8)
    assert abs(one.offset) == pytest.approx(10.2, abs=0.15)


def test_a_faster_copy_has_its_speed(found):
    group = group_of(found, "tune_2_fast.wav")
    (one,) = group.evidence
    assert max(one.speed, 1 / one.speed) == pytest.approx(1.03, abs=0.003)


def test_one_copy_is_kept_but_all_of_a_mix(found):
    for group in found:
        mix = "mix.wav" in names(group)
        assert len(group.keep) == (len(group.tracks) if mix else 1)
    (kept,) = group_of(found, "tune_3_cut.wav").keep
    assert kept == next(
        t.id for t in group_of(found, "tune_3.wav").tracks if t.path.endswith("tune_3.wav")
    )


def test_a_filter_and_a_least_overlap(library):
    assert len(library.duplicates(where="path like '%tune_1%'")) == 1
    assert len(library.duplicates(where="path like '%tune_5%'")) == 0
    strict = library.duplicates(min_overlap=0.9)
    assert "mix.wav" not in set().union(*map(names, strict))
    with pytest.raises(UsageError, match=r"within \(0, 1\]"):
        library.duplicates(min_overlap=0.0)


def test_without_fingerprints_only_bytes_are_compared(folder, tmp_path):
    with earmark.open(tmp_path / "library", settings=Settings()) as lib:
        paths = [str(folder / n) for n in ("tune_0.wav", "tune_0_copy.wav", "tune_1.wav")]
        lib.add(paths, encoders=["timbre"], executor="serial")
        found = lib.duplicates()
    assert not found.by_sound
    assert [g.evidence[0].kind for g in found] == ["copy"]


def test_an_empty_library_has_none(tmp_path):
    with earmark.open(tmp_path / "library", settings=Settings()) as lib:
        assert len(lib.duplicates()) == 0


def test_command_line(library, folder, capsys):
    where = ["-l", str(folder / "library")]
    assert cli.run(["duplicates", "--json", *where]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert len(answer["groups"]) == 5
    first = answer["groups"][0]
    assert {"keep", "track", "path"} <= set(first["tracks"][0])
    assert {"a", "b", "kind", "confidence", "a_start", "b_end", "offset", "speed"} <= set(
        first["evidence"][0]
    )
    assert cli.run(["duplicates", *where]) == 0
    assert "tune_2_fast.wav" in capsys.readouterr().out
    assert cli.run(["duplicates", "--where", "path like '%tune_5%'", "--json", *where]) == 0
    assert json.loads(capsys.readouterr().out) == {"groups": []}


def track(number: int, codec: str, bit_rate: int, duration: float = 100.0) -> Track:
    info = AudioInfo(duration, 44_100, 2, codec, "x", bit_rate)
    return Track(number, f"{number}.x", "h", 1000, 0, info)


def test_the_best_copy_is_lossless_then_of_high_rate_then_long():
    flac, wav = track(5, "flac", 700_000), track(6, "pcm_s16le", 1_411_000)
    high, low = track(1, "mp3", 320_000), track(2, "mp3", 128_000)
    long_low = track(3, "mp3", 128_000, 120.0)
    ordered = sorted([low, high, wav, long_low, flac], key=rank)
    assert [t.id for t in ordered] == [5, 6, 1, 3, 2]


def rows(n: int, seed: int) -> np.ndarray:
    out = np.random.default_rng(seed).standard_normal((n, 64)).astype(np.float32)
    return out / np.linalg.norm(out, axis=1, keepdims=True)


def test_an_overlap_ends_where_the_sameness_ends():
    a, b = rows(200, 0), rows(120, 1)
    b[20:90] = a[60:130]
    a_times, b_times = np.arange(200) * 0.5 + 0.5, np.arange(120) * 0.5 + 0.5
    found = overlap((a_times, a), (b_times, b), offset=-20.3, speed=1.006)
    assert found is not None
    assert (found.a_start, found.a_end) == pytest.approx((30.0, 65.5))
    assert found.offset == pytest.approx(-20.0, abs=0.05)
    assert found.speed == 1.0
    assert found.confidence > 0.99
    assert overlap((a_times, a), (b_times, rows(120, 3)), offset=-20.0, speed=1.0) is None


def test_a_line_through_votes_leaves_out_those_of_chance():
    rng = np.random.default_rng(0)
    a = rng.uniform(0, 200, 60)
    b = 12.0 + 1.02 * a
    b[::3] = rng.uniform(0, 200, 20)
    offset, speed, votes = through_votes(a, b, np.ones(60))
    assert offset + speed * 100 == pytest.approx(114.0, abs=0.5)
    assert speed == pytest.approx(1.02, abs=0.005)
    assert 40 <= votes <= 45


def test_sound_that_hardly_changes_is_no_proof():
    still = rows(1, 5) + 0.05 * rows(60, 6)
    still /= np.linalg.norm(still, axis=1, keepdims=True)
    times = np.arange(30) * 0.5 + 0.5
    found = overlap((times, still[:30]), (times, still[30:]), offset=0.0, speed=1.0)
    assert found is not None
    assert found.similarity > 0.8
    assert found.confidence < 0.1
