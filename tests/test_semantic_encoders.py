"""CLAP, PANNs and VGGish with random weights in the published formats."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from earmark import encoders, framing
from earmark.config import Settings
from earmark.encoders import backends, converting
from earmark.encoders import clap as clap_module
from earmark.encoders.vggish import PostProcess, quantised, read_post_process
from earmark.errors import Doubtful, EncoderError, NotAvailable, QueryError, UsageError
from earmark.testing import check_encoder
from earmark.types import Clip, Tagger, TextEncoder
from earmark.weights.tensors import read_checkpoint

torch = pytest.importorskip("torch")

TINY_AUDIO = {
    "depths": [1, 1, 1, 1],
    "num_attention_heads": [1, 1, 2, 2],
    "patch_embeds_hidden_size": 8,
    "hidden_size": 64,
    "projection_dim": 24,
    "num_mel_bins": 64,
    "enable_fusion": False,
}
TINY_TEXT = {
    "vocab_size": 400,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 90,
    "projection_dim": 24,
    "initializer_factor": 1.0,
}
NAME = "larger_clap_music_and_speech"


def write_tokenizer(folder: Path) -> None:
    """A byte-level vocabulary of the kind that the checkpoints have, made small."""
    tokenizers = pytest.importorskip("tokenizers")
    made = tokenizers.ByteLevelBPETokenizer()
    made.train_from_iterator(
        ["this is the sound of a dog barking", "rain on a tin roof"] * 5,
        vocab_size=400,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
        show_progress=False,
    )
    made.save_model(str(folder))
    made._tokenizer.post_processor = tokenizers.processors.RobertaProcessing(
        ("</s>", 2), ("<s>", 0)
    )
    made.save(str(folder / "tokenizer.json"))


def write_clap(folder: Path, **audio: Any) -> Path:
    """A checkpoint of CLAP, tiny and random, as the hub has them."""
    transformers = pytest.importorskip("transformers")
    folder.mkdir(parents=True)
    config = transformers.ClapConfig(
        text_config=TINY_TEXT, audio_config={**TINY_AUDIO, **audio}, projection_dim=24
    )
    torch.manual_seed(0)
    network = transformers.ClapModel(config).eval()
    with torch.no_grad():
        for name, value in network.named_parameters():
            if "weight" in name and value.ndim > 1:
                value.normal_(0, 0.3)
    config.save_pretrained(folder)
    torch.save(network.state_dict(), folder / "pytorch_model.bin")
    write_tokenizer(folder)
    return folder


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clap(tmp_path_factory.mktemp("models") / NAME)


@pytest.fixture(scope="module")
def settings(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(models=str(checkpoint.parent), cache=str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="module")
def clap(settings: Settings) -> clap_module.Clap:
    made = encoders.create("clap", settings=settings)
    assert isinstance(made, clap_module.Clap)
    return made


def copy_of(checkpoint: Path, folder: Path, *, without: str = "") -> Path:
    """A copy of a checkpoint's folder under the same name."""
    target = folder / NAME
    target.mkdir(parents=True)
    for path in checkpoint.iterdir():
        if path.name != without:
            (target / path.name).write_bytes(path.read_bytes())
    return target


def changed(folder: Path, change: Any) -> Settings:
    """Settings of a copied checkpoint whose tensors were changed."""
    state = torch.load(folder / "pytorch_model.bin", weights_only=True)
    change(state)
    torch.save(state, folder / "pytorch_model.bin")
    return Settings(models=str(folder.parent), cache=str(folder.parent / "cache"))


# --- CLAP --------------------------------------------------------------------------------------


@pytest.mark.slow
def test_clap_keeps_the_contract(clap: clap_module.Clap) -> None:
    assert isinstance(clap, TextEncoder)
    assert not isinstance(clap, Tagger)
    check_encoder(clap)


def test_clap_is_what_transformers_computes(clap: clap_module.Clap, checkpoint: Path) -> None:
    transformers = pytest.importorskip("transformers")
    network = transformers.ClapModel.from_pretrained(checkpoint).eval()
    windows = np.random.default_rng(1).uniform(-0.5, 0.5, (2, 480_000)).astype(np.float32)
    rows = clap.encode(windows)
    with torch.inference_mode():
        mel = torch.from_numpy(clap_module.features(windows))
        audio = network.get_audio_features(input_features=mel)
        tokens = torch.from_numpy(clap_module.Tokenizer(checkpoint)("this is the sound of rain"))
        text = network.get_text_features(input_ids=tokens, attention_mask=torch.ones_like(tokens))
    for found, given in ((rows, audio), (clap.encode_text(["rain"]), text)):
        vectors = given if isinstance(given, torch.Tensor) else given.pooler_output
        vectors = vectors / vectors.norm(dim=-1, keepdim=True)
        assert (found * vectors.numpy()).sum(axis=1).min() > 0.999


def test_both_answers_of_transformers_are_taken() -> None:
    from types import SimpleNamespace

    from earmark.encoders.networks.clap import pooled

    vectors = torch.ones(1, 2)
    assert pooled(vectors, "audio_embeds") is vectors
    assert pooled(SimpleNamespace(pooler_output=vectors), "audio_embeds") is vectors
    assert pooled(SimpleNamespace(audio_embeds=vectors), "audio_embeds") is vectors


def test_a_template_can_be_chosen_and_switched_off(settings: Settings) -> None:
    from dataclasses import replace

    def vector(template: str, text: str) -> Any:
        made = encoders.create("clap", settings=replace(settings, clap_template=template))
        assert isinstance(made, TextEncoder)
        return made.encode_text([text])[0]

    own = vector("", "rain")
    assert np.array_equal(own, vector("{q}", "this is the sound of rain"))
    assert not np.allclose(own, vector("{q}", "rain"))
    with pytest.raises(UsageError, match="must contain"):
        vector("a sound", "rain")


@pytest.mark.parametrize("text", ["🐕 🌧️", "собака лает", "雨の音", "\udcff", "a " * 10_000])
def test_any_text_has_a_vector(clap: clap_module.Clap, text: str) -> None:
    row = clap.encode_text([text])
    assert row.shape == (1, 24)
    assert abs(float(np.linalg.norm(row)) - 1) < 1e-5


@pytest.mark.parametrize("text", ["", "  \n"])
def test_no_text_is_refused(clap: clap_module.Clap, text: str) -> None:
    with pytest.raises(QueryError, match="at least one word"):
        clap.encode_text([text])
    assert clap.encode_text([]).shape == (0, 24)


def test_the_vocabulary_may_come_in_two_files(checkpoint: Path, tmp_path: Path) -> None:
    folder = copy_of(checkpoint, tmp_path, without="tokenizer.json")
    text = "this is the sound of a dog 🐕"
    assert np.array_equal(
        clap_module.Tokenizer(folder)(text), clap_module.Tokenizer(checkpoint)(text)
    )


def test_fusion_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    folder = copy_of(checkpoint, tmp_path)
    config = json.loads((folder / "config.json").read_text())
    config["audio_config"]["enable_fusion"] = True
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(EncoderError, match="fusion"):
        encoders.create("clap", settings=changed(folder, lambda state: None))


def test_a_configuration_of_something_else_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    folder = copy_of(checkpoint, tmp_path)
    for content in ("{}", "[]", "not json"):
        (folder / "config.json").write_text(content)
        with pytest.raises(EncoderError, match="configuration of CLAP"):
            encoders.create("clap", settings=changed(folder, lambda state: None))


def test_keys_that_do_not_fit_are_named(checkpoint: Path, tmp_path: Path) -> None:
    key = "audio_projection.linear1.weight"

    def drop(state: dict[str, Any]) -> None:
        del state[key]

    def add(state: dict[str, Any]) -> None:
        state["audio_model.extra"] = torch.zeros(1)

    def grow(state: dict[str, Any]) -> None:
        state[key] = torch.zeros(3, 3)

    faults = [(drop, f"missing: {key}"), (add, "unknown: audio_model.extra")]
    faults.append((grow, rf"wrong shape: {key} \[3, 3\] instead of"))
    for i, (change, message) in enumerate(faults):
        folder = copy_of(checkpoint, tmp_path / str(i))
        with pytest.raises(EncoderError, match=message):
            encoders.create("clap", settings=changed(folder, change))


def test_a_collapsed_checkpoint_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    def collapse(state: dict[str, Any]) -> None:
        for name, value in state.items():
            if name.startswith("text_projection") and name.endswith("weight"):
                value.zero_()
        state["text_projection.linear2.bias"].fill_(1)

    folder = copy_of(checkpoint, tmp_path)
    made = encoders.create("clap", settings=changed(folder, collapse))
    assert isinstance(made, TextEncoder)
    with pytest.raises(EncoderError, match="unrelated texts must differ"):
        made.encode_text(["rain"])


def test_a_nearly_collapsed_checkpoint_is_warned_of(checkpoint: Path, tmp_path: Path) -> None:
    def press(state: dict[str, Any]) -> None:
        state["text_projection.linear2.bias"] += 4.0

    folder = copy_of(checkpoint, tmp_path)
    made = encoders.create("clap", settings=changed(folder, press))
    assert isinstance(made, TextEncoder)
    try:
        with pytest.warns(Doubtful, match="searches by words will be poor"):
            made.encode_text(["rain"])
    except EncoderError:
        pytest.fail("a checkpoint that still tells texts apart is not refused")


def test_collapse_is_the_mean_of_what_differs() -> None:
    assert clap_module.collapse(np.eye(4, dtype=np.float32)) == 0
    assert clap_module.collapse(np.ones((3, 1), np.float32)) == 1


def test_a_torchaudio_that_does_not_fit_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    transformers = pytest.importorskip("transformers")
    from earmark.encoders.networks import clap as networks

    class Broken:
        def __getattr__(self, name: str) -> Any:
            raise OSError("libtorchaudio.so: undefined symbol (torchaudio)")

    monkeypatch.setitem(__import__("sys").modules, "transformers", Broken())
    with pytest.raises(NotAvailable, match="torchaudio") as caught:
        networks._library()
    assert "pip uninstall torchaudio" in str(caught.value.hint)
    assert transformers is not None


# --- conversion --------------------------------------------------------------------------------


def test_a_conversion_is_kept(
    settings: Settings, clap: clap_module.Clap, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any) -> None:
        raise AssertionError("converted twice")

    monkeypatch.setattr(converting, "_convert", never)
    assert encoders.create("clap", settings=settings).spec == clap.spec


def test_a_wrong_conversion_is_refused(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other(network: Any, recipe: Any) -> dict[str, Any]:
        return {"vectors": np.random.default_rng(0).normal(size=(2, 24)).astype(np.float32)}

    monkeypatch.setattr(converting, "reference", other)
    cache = tmp_path / "cache"
    with pytest.raises(EncoderError, match=r"cosine at least 0\.999"):
        encoders.create("clap", settings=Settings(models=str(checkpoint.parent), cache=str(cache)))
    assert not list(cache.rglob("*.onnx"))


def test_without_torch_the_hint_says_what_to_install(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(converting, "find_spec", lambda name: None)
    with pytest.raises(NotAvailable, match="torch and onnx") as caught:
        encoders.create(
            "clap", settings=Settings(models=str(checkpoint.parent), cache=str(tmp_path))
        )
    assert caught.value.hint == "pip install 'earmark[clap]'"


def test_a_file_that_is_no_graph_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"nothing")
    for backend in backends.available():
        with pytest.raises(EncoderError, match="must be an ONNX graph"):
            backends.load(tmp_path / "x.onnx", backend=backend)


@pytest.mark.parametrize("backend", backends.NAMES)
def test_backends_agree(clap: clap_module.Clap, backend: str) -> None:
    if backend not in backends.available():
        pytest.skip(f"{backend} is not installed")
    mel = np.random.default_rng(0).normal(-40, 10, (2, 1, 1001, 64)).astype(np.float32)
    path = clap._prepared.path
    exact = backends.load(path, backend="onnxruntime").run({"mel": mel})
    found = backends.load(path, backend=backend).run({"mel": mel})
    assert converting.least_cosine(exact, found) > 0.99999


def test_workers_are_as_many_as_fit_into_memory() -> None:
    affordable = encoders.affordable_workers
    assert affordable(("timbre",), 16, megabytes=100) == 16
    assert affordable(("clap", "timbre"), 16, megabytes=2400) == 2
    assert affordable(("clap", "panns"), 16, megabytes=2400) == 1
    assert affordable(("clap",), 16, megabytes=0) == 1


# --- PANNs and VGGish --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Random weights of the real size in the formats of the releases."""
    from earmark.encoders.networks.cnn14 import Cnn14
    from earmark.encoders.networks.vggish import Vggish

    folder = tmp_path_factory.mktemp("large")
    torch.manual_seed(0)
    tables = {"logmel_extractor.melW": torch.zeros(513, 64)}
    old = {"_use_new_zipfile_serialization": False}
    state = {**Cnn14().state_dict(), **tables}
    torch.save({"iteration": 1, "model": state}, folder / "Cnn14_mAP=0.431.pth", **old)
    torch.save(Vggish().state_dict(), folder / "vggish-10086976.pth", **old)
    pca = {"pca_eigen_vectors": np.eye(128), "pca_means": np.zeros((128, 1))}
    torch.save(pca, folder / "vggish_pca_params-970ea276.pth", **old)
    return Settings(models=str(folder), cache=str(folder / "cache"))


@pytest.mark.slow
def test_panns(large: Settings) -> None:
    made = encoders.create("panns", settings=large)
    assert isinstance(made, Tagger)
    assert made.spec.rows.ndim == 2048
    windows = np.random.default_rng(0).uniform(-0.5, 0.5, (1, 320_000)).astype(np.float32)
    rows, scores = made.encode_tagged(windows)
    assert rows.shape == (1, 2048)
    assert scores.shape == (1, 527) == (1, len(made.labels))
    assert ((scores >= 0) & (scores <= 1)).all()
    short = framing.encode_clip(made, Clip(windows[0, :640], 32_000))
    assert short.rows.shape == (1, 2048)


@pytest.mark.slow
def test_vggish(large: Settings) -> None:
    windows = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 64_000)).astype(np.float32)
    concat = encoders.create("vggish", settings=large)
    mean = encoders.create("vggish", options={"profile": "mean"}, settings=large)
    turned = encoders.create("vggish", options={"pca": True}, settings=large)
    assert not isinstance(concat, Tagger)
    assert (concat.spec.window, concat.spec.hop, concat.spec.rows.ndim) == (4.0, 2.0, 512)
    rows = concat.encode(windows)
    averaged = np.asarray(rows).reshape(2, 4, 128).mean(axis=1)
    assert np.abs(mean.encode(windows) - averaged).max() < 1e-5
    post = np.clip(rows, -2, 2)
    assert np.abs(turned.encode(windows) - post).max() <= 2 / 255 + 1e-6
    assert len({made.spec.to_json()["options"].__repr__() for made in (concat, mean, turned)}) == 3


def test_vggish_options_are_checked(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="concat, mean"):
        encoders.create("vggish", options={"profile": "median"})
    with pytest.raises(UsageError, match="true or false"):
        encoders.create("vggish", options={"pca": 1})


def test_layout_of_the_networks_is_the_published_one() -> None:
    from earmark.encoders.networks.cnn14 import Cnn14
    from earmark.encoders.networks.mobilenet import MobileNet
    from earmark.encoders.networks.vggish import Vggish

    with torch.device("meta"):
        cnn14, vggish, mn10 = Cnn14(), Vggish(), MobileNet(1.0)
    assert sum(p.numel() for p in cnn14.parameters()) == 80_753_615
    assert sum(p.numel() for p in vggish.parameters()) == 72_141_184
    assert "conv_block6.bn2.running_var" in cnn14.state_dict()
    assert tuple(vggish.state_dict()["embeddings.0.weight"].shape) == (4096, 12_288)
    assert [name for name in vggish.state_dict() if name.endswith("bias")] == [
        *(f"features.{i}.bias" for i in (0, 3, 6, 8, 11, 13)),
        *(f"embeddings.{i}.bias" for i in (0, 2, 4)),
    ]
    assert mn10.ndim == 960
    assert 4_800_000 < sum(p.numel() for p in mn10.parameters()) < 4_960_000


@pytest.mark.data
def test_mn04_has_exactly_the_published_keys(weights_dir: Path) -> None:
    from earmark.encoders.networks.mobilenet import MobileNet

    given = read_checkpoint(weights_dir / "mn04_as_mAP_432.pt")
    with torch.device("meta"):
        wanted = MobileNet(0.4).state_dict()
    assert {n: tuple(v.shape) for n, v in wanted.items()} == {n: v.shape for n, v in given.items()}


def test_post_processing() -> None:
    turn = np.roll(np.eye(128, dtype=np.float32), 1, axis=0)
    process = PostProcess(turn, np.full(128, 0.5, np.float32))
    row = np.linspace(-3, 3, 128, dtype=np.float32)[None]
    slow = [min(2.0, max(-2.0, float(row[0, i - 1]) - 0.5)) for i in range(128)]
    assert np.abs(process(row)[0] - slow).max() <= 2 / 255 + 1e-6
    ends = np.array([[-9.0, -2.0, 0.0, 2.0, 9.0]], np.float32)
    assert quantised(ends).tolist() == [[0, 0, 128, 255, 255]]


def test_post_processing_of_other_shapes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pca.pth"
    torch.save({"pca_eigen_vectors": np.eye(3), "pca_means": np.zeros(3)}, path)
    with pytest.raises(EncoderError, match="pca_eigen_vectors"):
        read_post_process(path)
