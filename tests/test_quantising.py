"""Graphs in 8 bits: what is changed, how near it stays, and when it is taken at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from earmark.encoders import backends, choosing, examples
from earmark.encoders.converting import Recipe
from earmark.encoders.quantising import quantise, rounded_weight

onnx = pytest.importorskip("onnx")

SIZE = 32


def graph(folder: Path, *, scale: float = 1.0) -> Path:
    """A convolution, a rectifier, and two products, one of them by a transposed weight."""
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    weights = {
        "kernel": rng.normal(0, 0.3, (8, 1, 3, 3)),
        "first": rng.normal(0, 0.1 * scale, (8 * SIZE, SIZE)),
        "second": rng.normal(0, 0.1, (16, SIZE)),
        "bias": rng.normal(0, 0.1, (16,)),
        "shape": np.array([0, 8 * SIZE]),
    }
    nodes = [
        helper.make_node("Conv", ["mel", "kernel"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("ReduceMean", ["r"], ["m"], axes=[2], keepdims=0),
        helper.make_node("Reshape", ["m", "shape"], ["f"]),
        helper.make_node("MatMul", ["f", "first"], ["p"]),
        helper.make_node("Tanh", ["p"], ["t"]),
        helper.make_node("Gemm", ["t", "second", "bias"], ["emb"], transB=1),
    ]
    made = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("mel", TensorProto.FLOAT, ["n", 1, 20, SIZE])],
        [helper.make_tensor_value_info("emb", TensorProto.FLOAT, ["n", 16])],
        [
            numpy_helper.from_array(v if k == "shape" else v.astype(np.float32), k)
            for k, v in weights.items()
        ],
    )
    path = folder / "small.onnx"
    onnx.save(
        helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path
    )
    return path


def inputs(seed: int, n: int = 2) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {"mel": rng.normal(0, 2, (n, 1, 20, SIZE)).astype(np.float32)}


def recipe(*, loud: float = 1.0) -> Recipe:
    def sounds(calibrate: bool) -> list[dict[str, Any]]:
        if calibrate:
            return [inputs(seed) for seed in range(4)]
        return [{"mel": loud * inputs(9)["mel"]}]

    return Recipe("1", lambda *_: None, inputs(5), ("emb",), {}, sounds=sounds)


def test_a_weight_is_rounded_to_half_a_step() -> None:
    weight = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32) * [
        [1],
        [9],
        [0],
        [1],
        [1],
    ]
    rounded, scales = rounded_weight(weight.astype(np.float32), 0)
    assert rounded.dtype == np.int8
    assert rounded.shape == weight.shape
    assert scales.shape == (5,)
    assert np.all(np.abs(rounded * scales[:, None] - weight) <= scales[:, None] / 2 + 1e-6)
    assert np.abs(rounded[[0, 1, 3, 4]]).max(axis=1).tolist() == [127] * 4


@pytest.mark.parametrize("backend", backends.available())
def test_rows_stay_near_and_do_not_depend_on_their_company(backend: str, tmp_path: Path) -> None:
    path, small = graph(tmp_path), tmp_path / "small8.onnx"
    assert quantise(path, small, [inputs(seed) for seed in range(4)]) == 3
    given = inputs(9, 6)
    exact = backends.load(path, backend="onnxruntime").run(given)["emb"]
    loaded = backends.load(small, backend=backend)
    found = loaded.run(given)["emb"]
    cosines = (exact * found).sum(1) / np.linalg.norm(exact, axis=1) / np.linalg.norm(found, axis=1)
    assert 0.999 < cosines.min() < 1
    alone = np.concatenate([loaded.run({"mel": row[None]})["emb"] for row in given["mel"]])
    assert np.abs(alone - found).max() < 1e-5


def test_an_8_bit_graph_holds_no_large_floats(tmp_path: Path) -> None:
    small = tmp_path / "small8.onnx"
    quantise(graph(tmp_path), small, [inputs(0)])
    held = onnx.load(small).graph.initializer
    floats = [i for i in held if i.data_type == onnx.TensorProto.FLOAT]
    assert max(np.prod(i.dims) for i in floats) <= SIZE
    zeros = {i.name: i.data_type for i in held if i.name.endswith("_zero")}
    # What a rectifier gives has no sign, and all 8 bits for its size.
    assert zeros == {"mel_zero": 3, "f_zero": 2, "t_zero": 3}


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """The 8-bit form passes for twice as fast, whatever the machine."""
    monkeypatch.setattr(choosing, "_seconds", lambda form, _: 1.0 if form.int8 else 2.0)


@pytest.mark.usefixtures("fast")
def test_the_8_bit_form_is_taken_where_it_is_near_and_fast(tmp_path: Path) -> None:
    small = tmp_path / "made" / "small8.onnx"
    assert choosing.choose(graph(tmp_path), small, recipe())["int8"] is True
    assert [path.name for path in small.parent.iterdir()] == [small.name]


@pytest.mark.usefixtures("fast")
def test_one_that_is_not_near_is_refused(tmp_path: Path) -> None:
    small = tmp_path / "small8.onnx"
    # Much louder than what it was made by: nearly all is clipped.
    assert choosing.choose(graph(tmp_path), small, recipe(loud=30))["int8"] is False
    assert not small.exists()


def test_one_that_is_not_faster_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "_seconds", lambda *_: 1.0)
    small = tmp_path / "small8.onnx"
    assert choosing.choose(graph(tmp_path), small, recipe())["int8"] is False
    assert list(tmp_path.iterdir()) == [tmp_path / "small.onnx"]


def test_without_sounds_or_leave_none_is_made(tmp_path: Path) -> None:
    path, plain = graph(tmp_path), Recipe("1", lambda *_: None, inputs(5), ("emb",), {})
    assert choosing.choose(path, tmp_path / "s.onnx", plain)["int8"] is False
    assert choosing.choose(path, None, recipe())["int8"] is False
    assert list(tmp_path.iterdir()) == [path]


def test_a_note_holds_only_for_what_was_asked(tmp_path: Path) -> None:
    asked = {"backends": ["onnxruntime"], "allow_int8": True}
    small = tmp_path / "s.onnx"
    assert choosing.holds({**asked, "int8": False}, asked, small)
    assert not choosing.holds({**asked, "int8": True}, asked, small)
    small.touch()
    assert choosing.holds({**asked, "int8": True}, asked, small)
    assert not choosing.holds({**asked, "int8": True}, {**asked, "allow_int8": False}, small)
    assert not choosing.holds({"backends": ["onnxruntime"], "bfloat16": True}, asked, small)


def test_logits_are_compared_without_what_all_have_in_common() -> None:
    rng = np.random.default_rng(0)
    logits = {"logits": (rng.normal(size=(3, 50)) - 100).astype(np.float32)}
    others = {"logits": (rng.normal(size=(3, 50)) - 100).astype(np.float32)}
    assert choosing.nearness(logits, others) < 0.5
    assert choosing.nearness({"emb": logits["logits"]}, {"emb": others["logits"]}) > 0.99


@pytest.mark.parametrize("make", [examples.to_calibrate, examples.to_compare])
def test_generated_sounds_are_sound(make: Any) -> None:
    sounds = make(16_000, 4.0)
    assert sounds.dtype == np.float32
    assert sounds.shape == (len(sounds), 64_000)
    peaks = np.abs(sounds).max(axis=1)
    assert np.isfinite(sounds).all()
    assert np.all((peaks > 1e-4) & (peaks < 1))
    assert np.array_equal(sounds, make(16_000, 4.0))
