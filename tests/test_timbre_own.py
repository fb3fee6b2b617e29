"""The profile `own`, and how a library gets a profile or goes over to another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import audio_factory
import earmark
from earmark import cli, encoders, framing
from earmark.config import Settings
from earmark.encoders import timbre_fit, timbre_own
from earmark.encoders.timbre_own import Own
from earmark.errors import EncoderError, NotFitted, UsageError
from earmark.features.timbre import SAMPLE_RATE
from earmark.testing import check_encoder
from earmark.types import Clip, FittedEncoder, Float32Array, LabelledEncoder
from test_timbre_descriptors import note

KINDS = {"dull": 2.4, "clear": 1.2, "sharp": 0.3}


def table(classes: int = 5, each: int = 40, dims: int = 853) -> tuple[Float32Array, list[str]]:
    """Rows of classes that differ along a few directions among much noise."""
    rng = np.random.default_rng(0)
    centres = np.zeros((classes, dims))
    centres[:, :6] = 2 * rng.standard_normal((classes, 6))
    index = np.repeat(np.arange(classes), each)
    rows = centres[index] + rng.standard_normal((len(index), dims)) * np.linspace(0.3, 3, dims)
    return rows.astype(np.float32), [f"class {i}" for i in index]


def separation(vectors: Float32Array, labels: list[str]) -> float:
    """Part of the rows whose nearest other row has their label."""
    near = vectors @ vectors.T - 2 * np.eye(len(vectors))
    best = near.argmax(axis=1)
    return float(np.mean([labels[i] == labels[j] for i, j in enumerate(best)]))


# --- learning ----------------------------------------------------------------------------------


def fitted() -> Own:
    return Own().with_state(Own().fit(table()[0], seed=0))


def test_the_profile_keeps_the_contract_of_encoders(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(Own(), FittedEncoder)
    assert isinstance(Own(), LabelledEncoder)
    monkeypatch.setattr(timbre_own, "LEAST_ROWS", 2)
    check_encoder(Own())


def test_nothing_is_encoded_before_learning() -> None:
    with pytest.raises(NotFitted, match="must first learn") as caught:
        Own().encode(np.zeros((1, round(3 * SAMPLE_RATE)), np.float32))
    assert "--fit timbre" in str(caught.value.hint)
    with pytest.raises(NotFitted):
        framing.encode_clip(Own(), Clip(note(220.0), SAMPLE_RATE))


def test_a_small_library_is_told_how_much_is_needed() -> None:
    with pytest.raises(EncoderError, match="at least 128 sounds, got 127"):
        Own().fit(table()[0][:127], seed=0)
    rows, labels = table(classes=3, each=10)
    with pytest.raises(EncoderError, match="2 labels with 4 sounds each and 32 in all, got 3"):
        Own().fit_labelled(rows, labels, seed=0)
    with pytest.raises(EncoderError, match="got 0 such labels with 0 sounds"):
        Own().fit_labelled(rows, [str(i) for i in range(len(rows))], seed=0)


def test_labels_teach_what_belongs_together() -> None:
    rows, labels = table(each=80)
    learn, test = np.arange(len(rows)) % 2 == 0, np.arange(len(rows)) % 2 == 1
    names = [labels[i] for i in np.flatnonzero(test)]
    plain = Own().with_state(Own().fit(rows[learn], seed=0))
    told = Own().with_state(
        Own().fit_labelled(rows[learn], [labels[i] for i in np.flatnonzero(learn)], seed=0)
    )
    better = separation(told._projection.vectors(rows[test]), names)
    assert better > separation(plain._projection.vectors(rows[test]), names) + 0.2


def test_half_whitening_divides_by_the_fourth_root_of_the_variance() -> None:
    rng = np.random.default_rng(0)
    z = rng.standard_normal((4000, 5)) * np.array([16.0, 4, 1, 0.25, 0])
    directions = timbre_fit.principal(z, 5)
    assert np.std(z @ directions, axis=0) == pytest.approx([4, 2, 1, 0.5, 0], abs=0.1)


def test_discriminants_agree_with_the_slow_twin() -> None:
    rng = np.random.default_rng(1)
    index = np.repeat(np.arange(4), [20, 30, 25, 40])
    z = rng.standard_normal((len(index), 6)) + rng.standard_normal((4, 6))[index] * 2
    means = np.array([z[index == c].mean(axis=0) for c in range(4)])
    within = np.mean([np.cov(z[index == c].T, bias=True) for c in range(4)], axis=0)
    within = 0.7 * within + 0.3 * np.trace(within) / 6 * np.eye(6)
    between = np.cov(means.T, bias=True)
    values, vectors = np.linalg.eig(np.linalg.inv(within) @ between)
    best = vectors[:, np.argsort(-values.real)[:3]].real
    found = timbre_fit.discriminants(z, index, 3)
    for a, b in zip(found.T, best.T, strict=True):
        assert abs(a @ b) / np.linalg.norm(a) / np.linalg.norm(b) == pytest.approx(1, abs=1e-6)
    assert found.T @ within @ found == pytest.approx(np.eye(3), abs=1e-6)


def test_state_survives_and_another_version_is_refused() -> None:
    state = fitted_state()
    again = Own.from_state({name: np.array(array) for name, array in state.items()})
    assert again.spec == fitted().spec
    with pytest.raises(EncoderError, match="version 99"):
        Own.from_state({**state, "version": np.array([99])})
    other = Own().with_state(Own().fit(table(classes=7)[0], seed=0))
    assert other.spec.revision != again.spec.revision


def fitted_state() -> dict[str, np.ndarray]:
    return Own().fit(table()[0], seed=0)


# --- in libraries ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three kinds of 12 notes, each in a folder of its own."""
    folder = tmp_path_factory.mktemp("own")
    for kind, tilt in KINDS.items():
        (folder / kind).mkdir()
        for i in range(12):
            hz = 110 * 2 ** (i / 6)
            sound = note(hz, tilt=tilt, seconds=0.6)
            audio_factory.write_wav(folder / kind / f"{kind}_{i}.wav", sound, SAMPLE_RATE)
    return folder


def open_library(home: Path, profile: str = "default") -> earmark.Library:
    return earmark.open(home, settings=Settings(timbre_profile=profile, workers=1))


def profile_of(lib: earmark.Library) -> object:
    return lib.info()["encoders"][0]["options"]["profile"]


def test_a_new_library_takes_the_profile_asked_for(folder: Path, tmp_path: Path) -> None:
    with open_library(tmp_path / "a") as lib:
        lib.add(folder, executor="serial", profile="zounds")
        assert profile_of(lib) == "zounds"
        lib.add(folder, executor="serial")  # the setting is for new libraries only
        assert profile_of(lib) == "zounds"
        with pytest.raises(UsageError, match="one profile") as caught:
            lib.add(folder, executor="serial", profile="default")
        assert caught.value.hint == (
            "earmark rebuild --encoder timbre --profile default goes over to it"
        )
        with pytest.raises(UsageError, match="no profile 'zounts'") as caught:
            lib.add(folder, executor="serial", profile="zounts")
        assert caught.value.hint == "did you mean 'zounds'?"
        with pytest.raises(UsageError, match="is of the encoder"):
            lib.add(folder, executor="serial", profile="zounds", encoders=["spectral"])


def test_going_over_replaces_rows_and_brings_the_facts(folder: Path, tmp_path: Path) -> None:
    with open_library(tmp_path / "a", "zounds") as lib:
        lib.add(folder, executor="serial")
        lib.set_tags(1, {"mood": "calm"})
        assert "pitch" not in lib.store.fields()
        lib.rebuild(encoder="timbre", profile="default")
        assert profile_of(lib) == "default"
        assert lib.list(where="one_shot and pitch = 'A2'")
        assert lib.track(1).tags["mood"] == "calm"
        lib.rebuild(encoder="timbre", profile="zounds")
        assert profile_of(lib) == "zounds"
        assert lib.search(audio=folder / "dull" / "dull_3.wav")


def test_fitting_with_labels_goes_over_to_own(folder: Path, tmp_path: Path) -> None:
    with open_library(tmp_path / "a") as lib:
        lib.add(folder, executor="serial")
        with pytest.raises(EncoderError, match="at least 128 sounds, got 36"):
            lib.rebuild(fit="timbre")
        assert profile_of(lib) == "default"
        with pytest.raises(UsageError, match="none has a field 'flder'") as caught:
            lib.rebuild(fit="timbre", labels="flder")
        assert "folder" in str(caught.value.hint)
        lib.rebuild(fit="timbre", labels="folder")
        assert profile_of(lib) == "own"
        hits = lib.search(like=folder / "clear" / "clear_2.wav", k=12)
        assert {Path(h.track.path).parent.name for h in hits} == {"clear"}
        assert lib.search(like=folder / "clear" / "clear_2.wav", aspect="brighter=.5", k=3)
    with open_library(tmp_path / "a") as lib:  # the projection is stored with the library
        assert lib.search(audio=folder / "dull" / "dull_1.wav", k=1)[0].score > 0.99


def test_own_needs_enough_when_a_library_is_made(folder: Path, tmp_path: Path) -> None:
    with open_library(tmp_path / "a", "own") as lib:
        with pytest.raises(EncoderError, match="at least 128 sounds, got 36"):
            lib.add(folder, executor="serial")
        assert len(lib) == 0


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        (["--labels", "genre"], "'labels' is for fitting"),
        (["--fit", "timbre", "--labels", "genre", "--profile", "zounds"], "only the profile 'own'"),
        (["--profile", "own"], "a profile is of the encoder"),
        (["--encoder", "timbre", "--profile", "onw"], "no profile 'onw'"),
    ],
)
def test_wishes_that_do_not_fit_are_refused(
    arguments: list[str],
    rule: str,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with open_library(tmp_path / "a") as lib:
        lib.add(folder / "dull", executor="serial")
    assert cli.run(["rebuild", "-l", str(tmp_path / "a"), *arguments]) == 2
    err = capsys.readouterr().err
    assert rule in err
    assert "hint: " in err


def test_a_spec_that_differs_offers_the_way_out(folder: Path, tmp_path: Path) -> None:
    with open_library(tmp_path / "a") as lib:
        lib.add(folder / "dull", executor="serial")
        stored = lib.store.encoders()["timbre"]
    with pytest.raises(earmark.errors.EncoderMismatch) as caught:
        stored.check_same(encoders.create("timbre", options={"profile": "zounds"}).spec)
    assert "earmark rebuild --encoder timbre" in str(caught.value.hint)
