"""From a checkpoint to an encoder of libraries: the same vectors, an identity, what is refused."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

import earmark  # noqa: E402
from audio_factory import write_wav  # noqa: E402
from earmark import cli, encoders, framing  # noqa: E402
from earmark.config import Settings  # noqa: E402
from earmark.encoders import fingerprint_trained  # noqa: E402
from earmark.errors import (  # noqa: E402
    EncoderError,
    EncoderMismatch,
    NotAvailable,
    TrainingError,
    UsageError,
)
from earmark.testing import check_encoder  # noqa: E402
from earmark.training.nafp import checkpoint, export, model, trained  # noqa: E402
from earmark.training.nafp.checkpoint import Place  # noqa: E402
from earmark.training.nafp.config import Config, Features, Model  # noqa: E402
from earmark.training.nafp.config_file import to_json  # noqa: E402
from earmark.training.nafp.data import open_piece  # noqa: E402
from earmark.training.nafp.encoding import rows  # noqa: E402
from earmark.training.nafp.layout import Source  # noqa: E402
from earmark.types import Clip, QueryEncoder, StreamEncoder  # noqa: E402
from nafp_data import TINY_NET  # noqa: E402
from test_encoder_fingerprint import music  # noqa: E402

PUBLISHED = Config(model=Model(published=TINY_NET))
DECIBEL = replace(PUBLISHED, features=Features(fmin=160.0, scale="decibel"))
SOUND = replace(PUBLISHED, features=Features(padding="sound"))
COMPACT = Config(
    features=Features(stft_hop=250, fmin=160.0, scale="decibel", padding="sound"),
    model=Model(
        "compact",
        compact=replace(
            Model().compact, stem=4, widths=(8, 8, 8, 16), ndim=16, head=4, prefixes=(8,)
        ),
    ),
)


def saved(folder: Path, config: Config, *, seed: int = 0) -> Path:
    """A checkpoint of a network whose numbers are all random, also those that begin as 0 or 1."""
    torch.manual_seed(seed)
    net = model.build(config)
    with torch.no_grad():
        for value in net.state_dict().values():
            if value.is_floating_point():
                value.add_(0.1 * torch.rand_like(value))
    folder.mkdir(parents=True, exist_ok=True)
    state = {"config": to_json(config), "net": net.state_dict(), "seconds": 0.0}
    return checkpoint.write(folder, Place(1, 0), state)


def encoder_of(path: Path):
    settings = Settings(models=str(path.parent))
    return encoders.create("fingerprint", options={"model": path.name}, settings=settings)


@pytest.mark.parametrize("config", [PUBLISHED, DECIBEL, SOUND, COMPACT])
def test_an_exported_network_gives_the_rows_of_its_checkpoint(
    tmp_path: Path, config: Config
) -> None:
    source = saved(tmp_path / "run", config)
    made = export.export(source, tmp_path / "net.onnx")
    encoder = encoder_of(made.path)
    assert encoder.spec.rows.ndim == made.ndim == (16 if config is not COMPACT else 8)
    assert encoder.spec.options == {"model": "net.onnx"}
    assert encoder.spec.revision.endswith(made.revision)
    samples = np.round(music(7.3) * 32767).astype(np.float32) / 32768
    path = write_wav(tmp_path / "a.wav", samples, 8000)
    piece = open_piece(Source("a.wav", path), sample_rate=8000, cache=tmp_path)
    theirs = rows(trained.load(source, device="cpu"), piece)[:, : made.ndim]
    theirs /= np.linalg.norm(theirs, axis=1, keepdims=True)
    ours = framing.encode_clip(encoder, Clip(piece.read(0, piece.samples), 8000))
    assert len(ours.rows) == len(theirs) + 1  # and one that ends where the recording does
    np.testing.assert_allclose(ours.rows[:-1], theirs, atol=2e-4)
    np.testing.assert_allclose(ours.segments[:3], [[0, 1], [0.5, 1.5], [1, 2]])
    np.testing.assert_allclose(ours.segments[-1], [6.3, 7.3])


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export")
    return export.export(saved(folder / "run", PUBLISHED), folder / "mine.onnx").path


def test_it_keeps_the_contract(exported: Path) -> None:
    encoder = encoder_of(exported)
    check_encoder(encoder, tolerance=1e-3)
    assert isinstance(encoder, StreamEncoder)
    assert isinstance(encoder, QueryEncoder)
    again = pickle.loads(pickle.dumps(encoder))  # noqa: S301
    assert again.spec == encoder.spec


def test_a_query_is_four_times_as_dense(exported: Path) -> None:
    encoder = encoder_of(exported)
    clip = Clip(music(5.0), 8000, start=2.0)
    track, query = framing.encode_clip(encoder, clip), framing.encode_query(encoder, clip)
    assert query.segments[0, 0] == track.segments[0, 0] == 2.0
    np.testing.assert_allclose(query.rows[::4][:8], track.rows[:8], atol=1e-4)
    np.testing.assert_allclose(np.diff(query.segments[:, 0]), 0.125)


def test_the_rows_do_not_depend_on_how_sound_arrives(exported: Path) -> None:
    encoder = encoder_of(exported)
    samples = music(24.0)
    whole = framing.encode_clip(encoder, Clip(samples, 8000))
    session = encoder.session()
    for start in range(0, len(samples), 777):
        session.push(samples[start : start + 777])
    parts = session.finish()
    np.testing.assert_allclose(parts.rows, whole.rows, atol=1e-4)
    np.testing.assert_array_equal(parts.segments, whole.segments)
    assert len(encoder.session().finish().rows) == 0


# --- in a library ------------------------------------------------------------------------------


@pytest.fixture
def songs(tmp_path: Path) -> Path:
    for seed in range(3):
        write_wav(tmp_path / "songs" / f"{seed}.wav", music(12.0, seed), 8000)
    return tmp_path / "songs"


def test_a_library_of_ones_own_network(songs: Path, tmp_path: Path, exported: Path) -> None:
    settings = Settings(models=str(exported.parent), fingerprint_model="mine", workers=1)
    with earmark.open(tmp_path / "lib", settings=settings) as lib:
        lib.add([str(songs)], encoders=["fingerprint"])
        spec = lib.store.encoders()["fingerprint"]
        assert spec.options == {"model": "mine.onnx"}
        assert spec.rows.ndim == 16
    # Later, only the folder of model files has to be known.
    later = Settings(models=str(exported.parent))
    clip = Clip(music(12.0, 1)[30_000:70_000], 8000)
    with earmark.open(tmp_path / "lib", settings=later) as lib:
        hits = lib.identify(clip)
        assert Path(hits[0].track.path).name == "1.wav"
        assert hits[0].by == "fingerprint+spectral"
        assert hits[0].offset == pytest.approx(3.75, abs=0.3)
    without = Settings(cache=str(tmp_path / "cache"))
    with (
        earmark.open(tmp_path / "lib", settings=without) as lib,
        pytest.raises(NotAvailable, match=r"mine\.onnx") as caught,
    ):
        lib.identify(clip)
    assert "EARMARK_MODELS" in str(caught.value.hint)


def test_rows_of_another_network_are_refused_with_the_difference(
    songs: Path, tmp_path: Path
) -> None:
    path = tmp_path / "mine.onnx"
    export.export(saved(tmp_path / "run", PUBLISHED), path)
    settings = Settings(fingerprint_model=str(path), workers=1, cache=str(tmp_path / "cache"))
    with earmark.open(tmp_path / "lib", settings=settings) as lib:
        lib.add([str(songs)], encoders=["fingerprint"])
        old = lib.store.encoders()["fingerprint"].revision
    new = export.export(saved(tmp_path / "run", PUBLISHED, seed=5), path).revision
    assert not old.endswith(new)
    clip = Clip(music(12.0, 1)[30_000:70_000], 8000)
    with earmark.open(tmp_path / "lib", settings=settings) as lib:
        with pytest.raises(EncoderMismatch, match=f"revision: '{old}' against '1-{new}'") as caught:
            lib.identify(clip)
        assert "rebuild --encoder fingerprint" in str(caught.value.hint)
        write_wav(songs / "new.wav", music(6.0, 9), 8000)
        with pytest.raises(EncoderMismatch):
            lib.add([str(songs)])
        lib.rebuild(encoder="fingerprint")
        assert lib.identify(clip)[0].track.path.endswith("1.wav")
    # Over to the package's own network, and back.
    shipped = replace(settings, fingerprint_model="shipped")
    for wanted, options in ((shipped, {}), (settings, {"model": "mine.onnx"})):
        with earmark.open(tmp_path / "lib", settings=wanted) as lib:
            lib.rebuild(encoder="fingerprint")
            assert lib.store.encoders()["fingerprint"].options == options
            assert lib.identify(clip)[0].track.path.endswith("1.wav")


# --- what is refused ---------------------------------------------------------------------------


def test_files_that_are_no_networks(tmp_path: Path, exported: Path) -> None:
    for content in (b"", b"no network", exported.read_bytes()[:5000]):
        (tmp_path / "bad.onnx").write_bytes(content)
        with pytest.raises(EncoderError, match=r"bad\.onnx.*damaged") as caught:
            encoder_of(tmp_path / "bad.onnx")
        assert "fingerprint export" in str(caught.value.hint)
    with pytest.raises(UsageError, match="'model' alone, got profile"):
        encoders.create("fingerprint", options={"profile": "x"})


def test_a_network_at_another_rate_cannot_identify(tmp_path: Path) -> None:
    config = replace(PUBLISHED, features=Features(sample_rate=16_000, window=0.5, fmax=8000.0))
    made = export.export(saved(tmp_path / "run", config), tmp_path / "fast.onnx")
    with pytest.raises(EncoderError, match=r"8000 Hz.*16000 Hz"):
        encoder_of(made.path)


def test_a_file_that_gives_other_vectors_is_not_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode = trained.TrainedEncoder.encode
    monkeypatch.setattr(
        trained.TrainedEncoder, "encode", lambda *given: np.roll(encode(*given), 1, axis=1)
    )
    with pytest.raises(TrainingError, match="cosine"):
        export.export(saved(tmp_path / "run", PUBLISHED), tmp_path / "bad.onnx")
    assert not (tmp_path / "bad.onnx").exists()


def test_names_of_files() -> None:
    assert fingerprint_trained.options("shipped") == {}
    assert fingerprint_trained.options("a/b/mine.onnx") == {"model": "mine.onnx"}


# --- the command -------------------------------------------------------------------------------


def test_the_command(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    saved(tmp_path / "fingerprints" / "demo", PUBLISHED)

    def call(*args: str) -> tuple[int, str, str]:
        code = cli.run(["fingerprint", "export", *args])
        out, err = capfd.readouterr()
        return code, out, err

    code, out, err = call("demo", "--json")
    assert code == 0, err
    made = json.loads(out)
    assert Path(made["path"]).name == "demo-0001.onnx"
    assert made["encoder"] == "demo/0001"
    assert made["ndim"] == 16
    code, out, err = call("demo", "1", "--to", "x/net.onnx")
    assert (code, out) == (0, "x/net.onnx\n")
    assert "EARMARK_FINGERPRINT_MODEL=x/net.onnx" in err
    assert call("fingerprints/demo/ckpt-0001.pt", "mine.onnx")[1] == "mine.onnx\n"
    assert Path("mine.onnx").read_bytes() == Path("x/net.onnx").read_bytes()
    code, out, err = call("demo", "7")
    assert (code, out) == (2, "")
    assert "there are 0001" in err
    (tmp_path / "some.pt").write_bytes(b"x")
    code, _, err = call("some.pt")
    assert code == 2
    assert "no checkpoint" in err
