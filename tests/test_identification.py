"""Identifying from end to end: a library of tunes, clips of them, and clips of nothing in it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import earmark
from audio_factory import write_wav
from earmark import cli
from earmark.config import Settings
from earmark.errors import QueryError
from earmark.evaluate.identification import evaluate, read_manifest

RATE = 16_000


def tune(seed: int, seconds: float = 24.0) -> np.ndarray:
    """Chords and beats that no other seed has."""
    rng = np.random.default_rng(seed)
    out = np.zeros(int(seconds * RATE), np.float32)
    at = 0
    while at < len(out):
        length = int(RATE * rng.choice([0.18, 0.27, 0.36]))
        t = np.arange(min(length, len(out) - at)) / RATE
        for midi in rng.choice(np.arange(45, 90), 3, replace=False):
            f = 440 * 2 ** ((midi - 69) / 12)
            for h in (1, 2, 3):
                out[at : at + len(t)] += 0.2 / h * np.sin(2 * np.pi * f * h * t) * np.exp(-5 * t)
        hit = rng.normal(0, 0.3, len(t)) * np.exp(-60 * t)
        out[at : at + len(t)] += hit.astype(np.float32)
        at += length
    return (out / np.abs(out).max() * 0.7).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tunes")
    for seed in range(8):
        write_wav(folder / f"tune_{seed}.wav", tune(seed), RATE)
    return folder


@pytest.fixture(scope="module")
def library(folder: Path) -> earmark.Library:
    lib = earmark.open(folder / "library", settings=Settings())
    lib.add([str(folder)], encoders=["fingerprint"], executor="serial")
    return lib


def noisy(samples: np.ndarray, snr_db: float, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 1, len(samples))
    level = np.sqrt(np.mean(samples**2) / np.mean(noise**2) / 10 ** (snr_db / 10))
    return (samples + level * noise).astype(np.float32)


def test_the_fingerprint_brings_its_code_along(library):
    assert set(library.store.encoders()) == {"fingerprint", "spectral"}


@pytest.mark.parametrize("seed", [0, 3, 7])
def test_a_noisy_clip_names_track_and_place(library, seed):
    clip = noisy(tune(seed)[int(6.3 * RATE) : int(11.3 * RATE)], 5)
    hits = library.identify((clip, RATE))
    assert Path(hits[0].track.path).name == f"tune_{seed}.wav"
    assert hits[0].start - hits[0].query_start == pytest.approx(6.3, abs=0.15)
    assert 0 <= hits[0].query_start < hits[0].query_end <= 5.0
    assert hits[0].end <= hits[0].track.duration
    assert hits[0].by == "fingerprint+spectral"


def test_a_clip_that_was_played_faster(library):
    import soxr

    clip = soxr.resample(tune(2)[8 * RATE : 14 * RATE], 1.03, 1.0).astype(np.float32)
    hits = library.identify((clip, RATE), confidence=0.1)
    assert Path(hits[0].track.path).name == "tune_2.wav"
    span = (hits[0].end - hits[0].start) / (hits[0].query_end - hits[0].query_start)
    assert span == pytest.approx(1.03, abs=0.01)


@pytest.mark.parametrize("kind", ["silence", "tone", "noise", "other"])
def test_what_is_in_no_track_is_no_match(library, kind):
    n = 8 * RATE
    rng = np.random.default_rng(5)
    clip = {
        "silence": np.zeros(n),
        "tone": 0.5 * np.sin(2 * np.pi * 440 * np.arange(n) / RATE),
        "noise": rng.normal(0, 0.1, n),
        "other": tune(99)[:n],
    }[kind].astype(np.float32)
    assert len(library.identify((clip, RATE))) == 0


def test_all_recordings_of_a_long_clip_in_order(library, folder, tmp_path):
    pause = np.zeros(6 * RATE, np.float32)
    parts = [tune(4)[: 15 * RATE], pause, tune(50)[: 12 * RATE], tune(1)[5 * RATE : 20 * RATE]]
    write_wav(tmp_path / "mix.wav", np.concatenate(parts), RATE)
    hits = library.identify(tmp_path / "mix.wav", every=True)
    assert [Path(h.track.path).name for h in hits] == ["tune_4.wav", "tune_1.wav"]
    assert hits[0].query_start == pytest.approx(0, abs=1.5)
    assert hits[0].query_end == pytest.approx(15, abs=1.5)
    assert hits[1].query_start == pytest.approx(33, abs=1.5)
    assert hits[1].start == pytest.approx(5, abs=1.5)


def test_too_short_and_no_fingerprints(library, tmp_path):
    with pytest.raises(QueryError, match=r"at least 0\.5 s, got 0\.30 s"):
        library.identify((tune(0)[: int(0.3 * RATE)], RATE))
    with (
        earmark.open(tmp_path / "empty", settings=Settings()) as empty,
        pytest.raises(QueryError, match="must have fingerprints"),
    ):
        empty.identify((tune(0)[:RATE], RATE))


def test_filters_narrow_what_can_match(library):
    clip = tune(6)[3 * RATE : 9 * RATE]
    assert len(library.identify((clip, RATE), where="path like '%tune_6%'")) == 1
    found = library.identify((clip, RATE), where="path like '%tune_5%'")
    assert all(h.track.path.endswith("tune_5.wav") for h in found)
    assert not found


def test_fingerprints_answer_a_search_only_if_asked(library):
    with pytest.raises(QueryError, match="no encoder"):
        library.search(audio=(tune(0)[: 3 * RATE], RATE))


def test_command_line(library, folder, tmp_path, capsys):
    write_wav(tmp_path / "clip.wav", noisy(tune(3)[4 * RATE : 9 * RATE], 10), RATE)
    write_wav(tmp_path / "other.wav", tune(77)[: 5 * RATE], RATE)
    where = ["-l", str(folder / "library")]
    assert cli.run(["identify", str(tmp_path / "clip.wav"), "--json", *where]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert Path(answer["hits"][0]["path"]).name == "tune_3.wav"
    files = [str(tmp_path / "clip.wav"), str(tmp_path / "other.wav")]
    assert cli.run(["identify", *files, "--json", *where]) == 1
    answers = json.loads(capsys.readouterr().out)
    assert [len(a["hits"]) > 0 for a in answers] == [True, False]
    assert cli.run(["identify", str(tmp_path / "clip.wav"), *where]) == 0
    assert "tune_3.wav" in capsys.readouterr().out


def test_evaluate(library, folder, tmp_path):
    lines = ["path,reference,offset"]
    for seed in (1, 5):
        write_wav(tmp_path / f"{seed}.wav", noisy(tune(seed)[5 * RATE : 10 * RATE], 5), RATE)
        lines.append(f"{seed}.wav,{folder / f'tune_{seed}.wav'},5.0")
    write_wav(tmp_path / "wrong.wav", tune(2)[: 5 * RATE], RATE)
    lines.append(f"wrong.wav,{folder / 'tune_1.wav'},0.0")
    write_wav(tmp_path / "none.wav", tune(60)[: 5 * RATE], RATE)
    lines.append("none.wav,,")
    (tmp_path / "m.csv").write_text("\n".join(lines))
    report = evaluate(library, read_manifest(tmp_path / "m.csv"))
    assert report["top1"] == report["top1_near"] == report["recall"] == pytest.approx(2 / 3)
    assert report["false_accepts"] == 0
    assert (report["queries"], report["negatives"], report["library_size"]) == (3, 1, 8)
