"""Training of the contour embedding: tunes, pairs, a few steps, and the file that comes of it."""

from __future__ import annotations

import numpy as np
import pytest

from earmark.encoders.melody import ContourNetwork
from earmark.errors import UsageError
from earmark.melody import windows
from earmark.training.melody import singing, tunes
from earmark.training.melody.hums import PairMaker, Spoiling
from earmark.training.melody.tunes import Tunes

BOOK = "".join(
    f"X:{i}\nT:Tune {chr(97 + i // 2)}\nL:1/8\nQ:1/4=90\nK:G\n"
    + "GABc d2B2|" * 3
    + f"{chr(65 + i % 4)}8|\n\n"
    for i in range(40)
)


@pytest.fixture(scope="module")
def read(tmp_path_factory) -> Tunes:
    folder = tmp_path_factory.mktemp("abc")
    (folder / "book.abc").write_text(BOOK)
    return tunes.read_folder(folder)


def test_tunes_are_read_kept_and_split_by_title(read, tmp_path):
    assert len(read) == 40
    read.save(tmp_path / "t.npz")
    again = Tunes.load(tmp_path / "t.npz")
    np.testing.assert_array_equal(again[7], read[7])
    train, test = again.split()
    assert len(train) + len(test) == 40
    assert len(test) > 2
    assert not set(train.titles) & set(test.titles)  # variants stay on one side


def test_a_folder_without_tunes_is_refused(tmp_path):
    with pytest.raises(UsageError, match="ABC"):
        tunes.read_folder(tmp_path)


def test_made_up_tunes_come_from_their_seed():
    a, b, c = (tunes.make_up(5, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(a.notes, b.notes)
    assert not np.array_equal(a.notes[:20], c.notes[:20])
    assert (a.notes[:, 1] > a.notes[:, 0]).all()


def test_pairs_come_from_their_seed_and_belong_together():
    made = tunes.make_up(80, seed=0)
    target, hum = PairMaker(made, seed=3).batch(64)
    again = PairMaker(made, seed=3).batch(64)
    np.testing.assert_array_equal(hum, again[1])
    assert target.shape == hum.shape == (64, 2, windows.POINTS)
    assert np.isfinite(hum).all()
    own = np.abs(target[:, 0] - hum[:, 0]).mean(axis=1)
    other = np.abs(target[:, 0] - np.roll(hum[:, 0], 1, axis=0)).mean(axis=1)
    assert (own < other).mean() > 0.8


def test_without_spoiling_a_pair_is_the_same_window():
    nothing = Spoiling(1.0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    maker = PairMaker(tunes.make_up(40, seed=0), seed=1, spoiling=nothing)
    target, hum = maker.batch(32)
    assert np.median(np.abs(target[:, 0] - hum[:, 0])) < 0.05


SINGERS = [singing.EASY, singing.NORMAL, singing.HARD, singing.VERY_HARD]


@pytest.mark.parametrize("singer", SINGERS)
def test_whole_hums(singer):
    notes = tunes.make_up(1, seed=4)[0]
    line = singing.hum(notes, singer, np.random.default_rng(0), seconds=8.0)
    assert 60 < len(line) <= 160
    assert (line > 0).mean() > 0.6
    same = singing.hum(notes, singer, np.random.default_rng(0), seconds=8.0)
    np.testing.assert_array_equal(line, same)


@pytest.mark.slow
def test_a_few_steps_and_the_file_of_the_network(tmp_path):
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    from earmark.training.melody import export, train

    said: list[str] = []
    recipe = train.Recipe(steps=30, batch=32, seconds=60)
    net = train.train(tunes.make_up(60, seed=0), recipe, tmp_path, say=said.append)
    points = np.random.default_rng(0).uniform(50, 70, (5, windows.POINTS)).astype(np.float32)
    with torch.no_grad():
        expected = train.load(tmp_path)(torch.from_numpy(windows.features(points))).numpy()
    np.testing.assert_allclose(np.linalg.norm(expected, axis=1), 1, atol=1e-5)
    revision = export.export_onnx(net, tmp_path / "m.onnx")
    network = ContourNetwork((tmp_path / "m.onnx").read_bytes())
    assert network.revision == revision
    np.testing.assert_allclose(network.embed(points), expected, atol=1e-4)
