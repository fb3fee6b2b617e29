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


def long_mix() -> np.ndarray:
    """Noise, 15 s of tune 1 from 2.5 s on at 12.34 s, noise, tune 4 played 2 % faster."""
    import soxr

    rng = np.random.default_rng(0)
    fast = soxr.resample(tune(4)[3 * RATE : 21 * RATE], 1.02, 1.0)
    parts = [np.zeros(int(12.34 * RATE)), tune(1)[int(2.5 * RATE) : int(17.5 * RATE)]]
    parts += [np.zeros(9 * RATE), fast, np.zeros(7 * RATE)]
    mix = np.concatenate(parts)
    return (mix + 0.02 * rng.standard_normal(len(mix))).astype(np.float32)


def test_exact_ranges_are_right_to_hundredths(library, tmp_path):
    write_wav(tmp_path / "mix.wav", long_mix(), RATE)
    hits = library.identify(tmp_path / "mix.wav", every=True, exact_range=True)
    assert [h.exact for h in hits] == [True, True]
    first, second = hits
    assert first.offset == pytest.approx(2.5 - 12.34, abs=0.01)
    assert first.speed == pytest.approx(1.0, abs=0.0005)
    # The tunes fade in and out of the noise: their ends are heard to a few hundredths.
    assert (first.query_start, first.query_end) == pytest.approx((12.34, 27.34), abs=0.08)
    assert second.speed == pytest.approx(1.02, abs=0.0005)
    assert second.query_start == pytest.approx(36.34, abs=0.08)
    assert second.start == pytest.approx(3.0, abs=0.08)
    part = library.identify(f"{tmp_path / 'mix.wav'}#14-20", exact_range=True)[0]
    assert (part.query_start, part.query_end) == pytest.approx((14.0, 20.0), abs=0.02)
    assert part.start == pytest.approx(14.0 + 2.5 - 12.34, abs=0.02)


def test_a_range_stays_as_it_is_where_the_track_is_gone(tmp_path):
    write_wav(tmp_path / "tune.wav", tune(1), RATE)
    with earmark.open(tmp_path / "library", settings=Settings()) as lib:
        lib.add([str(tmp_path / "tune.wav")], encoders=["fingerprint"], executor="serial")
        (tmp_path / "tune.wav").unlink()
        hits = lib.identify((tune(1)[4 * RATE : 12 * RATE], RATE), exact_range=True)
    assert hits[0].exact is False
    assert hits[0].start == pytest.approx(4.0, abs=0.6)


def test_live_sound_names_each_recording_once(library):
    from earmark.audio import read_array

    clip = read_array(long_mix(), RATE, target_rate=library.identify_rate)
    blocks = [
        type(clip)(clip.samples[i : i + 3000], clip.sample_rate)
        for i in range(0, len(clip.samples), 3000)
    ]
    hits = list(library.follow(blocks))
    assert [Path(h.track.path).name for h in hits] == ["tune_1.wav", "tune_4.wav"]
    assert hits[0].query_start == pytest.approx(12.34, abs=1.0)


def test_live_sound_is_told_as_soon_as_it_is_certain(library):
    from earmark.audio import read_array

    clip = read_array(long_mix(), RATE, target_rate=library.identify_rate)
    given = 0

    def blocks():
        nonlocal given
        for i in range(0, len(clip.samples), 4000):
            given = i / clip.sample_rate
            yield type(clip)(clip.samples[i : i + 4000], clip.sample_rate)

    next(library.follow(blocks()))
    assert given < 25.0


def test_streaming_on_the_command_line(library, folder, tmp_path, capsys, monkeypatch):
    import io
    import sys
    from types import SimpleNamespace

    where = ["-l", str(folder / "library")]
    write_wav(tmp_path / "mix.wav", long_mix(), RATE)
    data = (tmp_path / "mix.wav").read_bytes()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))
    assert cli.run(["identify", "--stream", "-", "--json", *where]) == 0
    answers = json.loads(capsys.readouterr().out)
    assert [Path(a["hits"][0]["path"]).name for a in answers] == ["tune_1.wav", "tune_4.wav"]
    silence = np.zeros(5 * RATE, "<i2").tobytes()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(silence)))
    assert cli.run(["identify", "--stream", "-", "--pcm", str(RATE), "--json", *where]) == 1
    assert json.loads(capsys.readouterr().out) == []
    assert cli.run(["identify", "--stream", "-", "--all", *where]) == 2
    assert "hint:" in capsys.readouterr().err


def test_a_cue_sheet(library, folder, tmp_path, capsys):
    where = ["-l", str(folder / "library")]
    write_wav(tmp_path / "mix.wav", long_mix(), RATE)
    command = ["identify", str(tmp_path / "mix.wav"), "--exact-range"]
    assert cli.run([*command, "--cue", "-", *where]) == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert lines[:4] == ['TITLE "mix.wav"', 'FILE "mix.wav" WAVE', "TRACK 01 AUDIO", lines[3]]
    assert cli.run([*command, *where, "--all"]) == 0
    assert "0:12.3" in capsys.readouterr().out
    starts = [line for line in lines if line.startswith("INDEX 01")]
    assert [s[9:14] for s in starts] == ["00:12", "00:36"]
    cue = tmp_path / "mix.cue"
    assert cli.run([*command, "--cue", str(cue), "--json", *where]) == 0
    assert len(json.loads(capsys.readouterr().out)["hits"]) == 2
    assert [line.strip() for line in cue.read_text().splitlines()][-1] == lines[-1]


def test_a_query_longer_than_the_library(tmp_path):
    write_wav(tmp_path / "tune.wav", tune(1)[: 6 * RATE], RATE)
    with earmark.open(tmp_path / "library", settings=Settings()) as lib:
        lib.add([str(tmp_path / "tune.wav")], encoders=["fingerprint"], executor="serial")
        clip = np.concatenate([tune(30)[: 12 * RATE], tune(1)[: 6 * RATE], tune(31)[: 9 * RATE]])
        hits = lib.identify((clip, RATE), every=True)
        assert [round(h.query_start) for h in hits] == [12]
        assert not lib.identify((tune(30, 60.0), RATE), every=True)


def test_a_clip_at_4_khz_is_found_or_not_but_never_wrong(library):
    import soxr

    for seed in (0, 3, 5):
        clip = soxr.resample(tune(seed)[5 * RATE : 13 * RATE], RATE, 4000).astype(np.float32)
        hits = library.identify((clip, 4000))
        assert [Path(h.track.path).name for h in hits] in ([], [f"tune_{seed}.wav"])


def test_an_emptied_library_has_no_match(tmp_path):
    write_wav(tmp_path / "tune.wav", tune(1)[: 6 * RATE], RATE)
    with earmark.open(tmp_path / "library", settings=Settings()) as lib:
        lib.add([str(tmp_path / "tune.wav")], encoders=["fingerprint"], executor="serial")
        lib.remove([str(tmp_path / "tune.wav")])
        assert not lib.identify((tune(1)[: 5 * RATE], RATE))


def test_another_models_rows_are_refused(tmp_path):
    from dataclasses import replace

    from earmark.encoders.fingerprint import Fingerprint
    from earmark.errors import EncoderMismatch

    with earmark.open(tmp_path / "library", settings=Settings()) as lib:
        with lib.store.writer() as writer:
            writer.put_encoder(replace(Fingerprint().spec, revision="another"), {})
            writer.commit()
        with pytest.raises(EncoderMismatch, match="revision"):
            lib.identify((tune(1)[: 5 * RATE], RATE))


@pytest.mark.data
def test_speech_is_no_match(library, data_dir):
    from earmark import audio

    paths = sorted((data_dir / "speech").glob("*.ogg"))[:40]
    talk = np.concatenate([audio.read(str(p), sample_rate=RATE).samples for p in paths])
    assert not library.identify((talk, RATE))
    assert not library.identify((talk[: 6 * RATE], RATE))


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


@pytest.fixture(scope="module")
def loops(tmp_path_factory: pytest.TempPathFactory) -> tuple[earmark.Library, np.ndarray]:
    """A piece that repeats its first twelve seconds with another tune softly above them, twice."""
    folder = tmp_path_factory.mktemp("loops")
    theme = tune(50, 12.0)
    parts = [theme, *(0.8 * theme + 0.2 * tune(60 + i, 12.0) for i in range(2)), tune(70, 12.0)]
    piece = np.concatenate(parts).astype(np.float32)
    write_wav(folder / "piece.wav", piece, RATE)
    lib = earmark.open(folder / "library", settings=Settings())
    lib.add([str(folder)], encoders=["fingerprint"], executor="serial")
    return lib, piece


@pytest.mark.parametrize("start", [0.0, 12.0, 24.0])
def test_of_repeats_the_exact_one_is_named(loops, start):
    library, piece = loops
    clip = piece[int(start * RATE) : int((start + 10.0) * RATE)]
    (hit,) = library.identify((clip, RATE))
    assert hit.offset == pytest.approx(start, abs=0.05)
    assert hit.speed == pytest.approx(1.0, abs=0.003)


def test_a_whole_recording_is_one_hit_from_end_to_end(loops):
    library, piece = loops
    (hit,) = library.identify((piece, RATE))
    assert (hit.query_start, hit.query_end) == pytest.approx((0.0, 48.0), abs=0.6)
    assert hit.offset == pytest.approx(0.0, abs=0.05)


def test_a_line_at_a_wrong_speed_is_held_against_the_plain_one():
    """Rows that change slowly are alike along many lines; the plain one explains them best."""
    from earmark.identify import confidence
    from earmark.identify.matching import AT_FIRST, _Found, _Hunt, _Query

    slow = np.cumsum(np.random.default_rng(3).normal(size=(60, 16)), axis=0)
    rows = (slow / np.linalg.norm(slow, axis=1, keepdims=True)).astype(np.float32)
    times = 0.5 + 0.5 * np.arange(60)

    class Track:
        total = 60

        def stretch(self, track, low, high):
            inside = (times >= low) & (times <= high)
            return times[inside], rows[inside]

    query = _Query(rows[10:30], times[:20], 0.5, None, 10.5)
    hunt = _Hunt(query, Track(), None, confidence.VECTORS_ALONE, AT_FIRST)
    middle = float(query.times.mean())
    found = hunt._of_vectors(_Found(1, 5.0 + (1.0 - 0.94) * middle, 0.94))
    assert found.speed == 1.0
    assert found.offset == pytest.approx(5.0)
