"""Training: the same run however often it is stopped; checkpoints; what is refused; journals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from earmark.errors import CheckpointMismatch, NotAvailable, TrainingError, UsageError  # noqa: E402
from earmark.training.nafp import checkpoint, loop  # noqa: E402
from earmark.training.nafp.checkpoint import Place  # noqa: E402
from earmark.training.nafp.config import Config, Folders, Model, Optimizer, Run  # noqa: E402
from earmark.training.nafp.loop import Trainer, build_optimizer, learning_rate  # noqa: E402
from earmark.training.nafp.minisearch import _starts, mini_search  # noqa: E402
from earmark.training.nafp.music import Music, open_music  # noqa: E402
from earmark.training.nafp.picture import similarity_picture, write_png  # noqa: E402
from earmark.training.nafp.trained import load  # noqa: E402
from nafp_data import make_dataset, strong, tiny  # noqa: E402


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("nafp"))


@pytest.fixture(scope="module")
def music(dataset: Path) -> Music:
    return open_music(tiny(dataset, dataset / "runs"))


def weights(trainer: Trainer) -> list[torch.Tensor]:
    return list(trainer.net.state_dict().values())


def same(a: Trainer, b: Trainer) -> bool:
    return all(torch.equal(x, y) for x, y in zip(weights(a), weights(b), strict=True))


def test_training_lowers_the_loss(dataset: Path, tmp_path: Path, music: Music) -> None:
    config = tiny(dataset, tmp_path, rate=3e-3, epochs=20)
    trainer = Trainer(config, "a", music)
    losses = [trainer.train_step(trainer.sampler.draw(0, 0)) for _ in range(12)]
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("kind", ["adam", "lamb"])
def test_a_stopped_run_goes_on_as_if_it_had_not(
    dataset: Path, tmp_path: Path, music: Music, kind: str
) -> None:
    config = tiny(dataset, tmp_path, kind=kind)
    config = replace(config, run=replace(config.run, checkpoint_steps=2))
    whole = Trainer(config, "whole", music)
    whole.run()
    parts = Trainer(config, "parts", music)
    for _ in range(2):
        parts.train_step(parts.sampler.draw(*vars(parts.place).values()))
    parts._save_within()
    assert list(checkpoint.checkpoints(parts.folder)) == [Place(0, 2)]
    resumed = Trainer(config, "parts", music)
    assert resumed.place == Place(0, 2)
    resumed.run(epochs=1)
    assert list(checkpoint.checkpoints(parts.folder)) == [Place(1, 0)]
    again = Trainer(config, "parts", music)
    assert again.run() == Place(2, 0)
    assert same(whole, again)
    other = Trainer(tiny(dataset, tmp_path, kind=kind, seed=5), "other", music)
    other.run(epochs=1)
    assert not same(whole, other)


def test_a_run_resumes_from_the_checkpoint_that_is_named(
    dataset: Path, tmp_path: Path, music: Music
) -> None:
    config = tiny(dataset, tmp_path, steps_per_epoch=1, epochs=3)
    Trainer(config, "a", music).run()
    earlier = Trainer(config, "a", music, resume="1")
    assert earlier.place == Place(1, 0)
    earlier.run(epochs=1)
    assert list(checkpoint.checkpoints(earlier.folder)) == [Place(1, 0), Place(2, 0)]
    assert (earlier.folder / "ckpt-0003.pt.aside").exists()
    with pytest.raises(UsageError) as caught:
        Trainer(config, "a", music, resume="7")
    assert "0001, 0002" in str(caught.value.hint)


def test_another_configuration_is_refused_with_the_difference(
    dataset: Path, tmp_path: Path, music: Music
) -> None:
    Trainer(tiny(dataset, tmp_path), "a", music).save()
    with pytest.raises(CheckpointMismatch, match=r"optimizer\.rate: 0\.001 against 0\.01"):
        Trainer(tiny(dataset, tmp_path, rate=1e-2), "a", music)
    with pytest.raises(CheckpointMismatch, match=r"augment\.chain: 'published' against 'strong'"):
        Trainer(strong(tiny(dataset, tmp_path)), "a", music)
    moved = replace(tiny(dataset, tmp_path), run=Run(device="cpu", tensorboard="off", threads=4))
    assert Trainer(moved, "a", music).place == Place(0, 0)


def test_checkpoints_are_kept_as_said(dataset: Path, tmp_path: Path, music: Music) -> None:
    config = tiny(dataset, tmp_path, steps_per_epoch=1, epochs=4)
    trainer = Trainer(replace(config, run=replace(config.run, keep=2)), "a", music)
    trainer.run()
    assert [p.epoch for p in checkpoint.checkpoints(trainer.folder)] == [3, 4]


def test_ctrl_c_saves_what_was_learned(dataset: Path, tmp_path: Path, music: Music) -> None:
    trainer = Trainer(tiny(dataset, tmp_path), "a", music)

    def stop(step: loop.Step) -> None:
        if step.step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trainer.run(on_step=stop)
    assert list(checkpoint.checkpoints(trainer.folder)) == [Place(0, 2)]


class Code:
    def __reduce__(self) -> tuple[object, ...]:
        return (os.mkdir, ("ran",))


def test_code_and_damage_in_checkpoints_are_refused(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"format": 1, "net": Code()}, tmp_path / "ckpt-0001.pt")
    with pytest.raises(TrainingError, match="no checkpoint"):
        checkpoint.read(tmp_path / "ckpt-0001.pt")
    assert not (tmp_path / "ran").exists()
    for content in (b"", b"PK\x03\x04nonsense"):
        (tmp_path / "ckpt-0002.pt").write_bytes(content)
        with pytest.raises(TrainingError, match="ckpt-0002"):
            checkpoint.read(tmp_path / "ckpt-0002.pt")
    torch.save({"net": 1}, tmp_path / "ckpt-0003.pt")
    with pytest.raises(TrainingError, match="this program"):
        checkpoint.read(tmp_path / "ckpt-0003.pt")


WRITER = """
import sys
from pathlib import Path
import torch
from earmark.training.nafp.checkpoint import Place, write
torch.manual_seed(0)
state = {"net": {"w": torch.rand(200_000)}}
for number in range(1, 100_000):
    write(Path(sys.argv[1]), Place(number // 5, number % 5), state | {"number": number})
    print(number, flush=True)
"""


@pytest.mark.parametrize("delay", [0.0, 0.013])
def test_a_kill_while_a_checkpoint_is_written_loses_nothing(tmp_path: Path, delay: float) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    for _ in range(8):
        told = int(child.stdout.readline())
    time.sleep(delay)
    child.send_signal(signal.SIGKILL)
    told = max([told, *(int(line) for line in child.stdout if line.endswith("\n"))])
    child.wait()
    latest = checkpoint.read(checkpoint.find(tmp_path))
    assert latest["number"] >= told
    assert latest["net"]["w"].shape == (200_000,)


def test_a_checkpoint_that_is_not_written_to_its_end_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint.write(tmp_path, Place(1, 0), {"number": 1})

    def cut_off(state: object, file) -> None:
        file.write(b"PK half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", cut_off)
    with pytest.raises(TrainingError, match="No space") as caught:
        checkpoint.write(tmp_path, Place(2, 0), {"number": 2})
    assert "ckpt-0001.pt" in str(caught.value.hint)
    assert checkpoint.read(checkpoint.find(tmp_path))["number"] == 1
    assert [p.name for p in tmp_path.iterdir()] == ["ckpt-0001.pt"]


FULL = """
import resource, signal, sys
from pathlib import Path
import torch
from earmark.training.nafp.checkpoint import Place, write
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
write(Path(sys.argv[1]), Place(1, 0), {"w": torch.rand(10)})
write(Path(sys.argv[1]), Place(2, 0), {"w": torch.rand(200_000)})
"""


def test_a_disk_that_is_full_says_so(tmp_path: Path) -> None:
    """With torch's own writer, which wraps what the disk says in errors of its own."""
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert "TrainingError: the checkpoint" in done.stderr, done.stderr
    assert "File too large" in done.stderr.splitlines()[-1]
    assert [p.name for p in tmp_path.iterdir()] == ["ckpt-0001.pt"]
    assert checkpoint.read(checkpoint.find(tmp_path))["epoch"] == 1


def test_an_unknown_run_shows_the_nearest(dataset: Path, tmp_path: Path, music: Music) -> None:
    Trainer(tiny(dataset, tmp_path), "guitars", music).save()
    with pytest.raises(UsageError) as caught:
        checkpoint.find(tmp_path / "guitar")
    assert "'guitars'" in str(caught.value.hint)


def test_too_little_music_is_refused(dataset: Path, tmp_path: Path, music: Music) -> None:
    with pytest.raises(UsageError, match="needs 500 segments"):
        Trainer(tiny(dataset, tmp_path, batch=1000), "a", music)


def test_nothing_random_comes_again_in_another_epoch(
    dataset: Path, tmp_path: Path, music: Music, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = Trainer(tiny(dataset, tmp_path, epochs=3), "a", music)
    pairs, drawn, given = trainer.chain.pairs, [], []

    def watched(sources: np.ndarray, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        drawn.append(str(rng.bit_generator.state))
        given.append(sources)
        return pairs(sources, rng)

    monkeypatch.setattr(trainer.chain, "pairs", watched)
    trainer.run()
    assert len(set(drawn)) == len(drawn) == 9
    rows = {row.tobytes() for sources in given for row in sources}
    # Of 28 segments; the first and the last of a track are not moved beyond its ends.
    assert len(rows) > 29, "a segment must not come at the same offset in every epoch"


def test_a_loss_that_is_no_number_stops_the_run(
    dataset: Path, tmp_path: Path, music: Music
) -> None:
    trainer = Trainer(tiny(dataset, tmp_path), "a", music)
    with torch.no_grad():
        trainer.net.head.outer.fill_(float("nan"))
    with pytest.raises(TrainingError, match="finite"):
        trainer.run()
    assert not checkpoint.checkpoints(trainer.folder)


@pytest.mark.parametrize("model", ["published", "compact"])
def test_our_own_chain_and_network_train_too(
    dataset: Path, tmp_path: Path, music: Music, model: str
) -> None:
    config = strong(tiny(dataset, tmp_path, epochs=1))
    compact = replace(
        config.model.compact, stem=4, widths=(8, 8, 8, 16), ndim=16, head=4, prefixes=(8,)
    )
    config = replace(config, model=Model(model, config.model.published, compact))
    trainer = Trainer(config, "a", music)
    trainer.run()
    assert np.isfinite(trainer.loss)
    encoder = load(checkpoint.find(trainer.folder), device="cpu")
    assert encoder.ndim == 16


def test_a_checkpoint_gives_the_vectors_of_its_run(
    dataset: Path, tmp_path: Path, music: Music
) -> None:
    config = tiny(dataset, tmp_path, epochs=1)
    trainer = Trainer(config, "a", music)
    trainer.run()
    encoder = load(checkpoint.find(trainer.folder), wanted=config, device="cpu")
    segments = np.random.default_rng(0).normal(0, 0.1, (3, 9024)).astype(np.float32)
    np.testing.assert_allclose(encoder.encode(segments), trainer.encoder.encode(segments))
    assert encoder.identity["encoder"] == "a/0001"
    with pytest.raises(CheckpointMismatch):
        load(checkpoint.find(trainer.folder), wanted=Config(), device="cpu")


def test_a_device_that_is_not_there_is_refused(dataset: Path, tmp_path: Path, music: Music) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one")
    config = replace(tiny(dataset, tmp_path), run=Run(device="cuda"))
    with pytest.raises(NotAvailable, match="cuda"):
        Trainer(config, "a", music)


# --- what a run writes down --------------------------------------------------------------------


def test_the_journal_and_the_picture(dataset: Path, tmp_path: Path, music: Music) -> None:
    trainer = Trainer(tiny(dataset, tmp_path, epochs=1), "a", music)
    trainer.run()
    lines = [json.loads(line) for line in (trainer.folder / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == [1, 2, 3]
    assert 0.0 <= lines[-1]["top1/1"] <= 1.0
    assert json.loads((trainer.folder / "config.json").read_text())["optimizer"]["batch"] == 8
    assert (trainer.folder / "similarity-0001.png").stat().st_size > 100


def board(folder: Path):
    """What TensorBoard would show of a run."""
    reading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    found = reading.EventAccumulator(str(folder / "tensorboard"), {"scalars": 0, "images": 0})
    return found.Reload()


def test_tensorboard_has_loss_rate_search_test_and_picture(
    dataset: Path, tmp_path: Path, music: Music
) -> None:
    config = tiny(dataset, tmp_path)
    config = replace(config, run=replace(config.run, tensorboard="on"))
    trainer = Trainer(config, "a", music)
    trainer.run()
    trainer.journal.close()
    shown = board(trainer.folder)
    names = {"loss", "rate", "top1/1", "top1_near/1", "top1/5", "top1_near/5"}
    assert names <= set(shown.Tags()["scalars"])
    assert [e.step for e in shown.Scalars("loss")] == [1, 2, 3, 4, 5, 6]
    lines = [json.loads(line) for line in (trainer.folder / "log.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if "loss" in line]
    assert [e.value for e in shown.Scalars("loss")] == pytest.approx(losses, abs=1e-5)
    rates = [learning_rate(config.optimizer, step, 3) for step in range(6)]
    assert [e.value for e in shown.Scalars("rate")] == pytest.approx(rates)
    assert [e.step for e in shown.Scalars("top1/1")] == [3, 6]
    pictures = shown.Images("similarity")
    assert [p.step for p in pictures] == [3, 6]
    assert pictures[0].encoded_image_string[:4] == b"\x89PNG"
    assert min(pictures[0].width, pictures[0].height) >= 14


def test_what_a_killed_run_wrote_of_lost_steps_is_dropped(
    dataset: Path, tmp_path: Path, music: Music
) -> None:
    config = tiny(dataset, tmp_path)
    config = replace(config, run=replace(config.run, tensorboard="on"))
    whole = Trainer(replace(config, run=replace(config.run, tensorboard="off")), "whole", music)
    whole.run()
    killed = Trainer(config, "killed", music)
    killed.run(epochs=1)
    for batch in range(2):  # steps that no checkpoint has
        killed.train_step(killed.sampler.draw(1, batch))
    with (killed.folder / "log.jsonl").open("a") as file:
        file.write('{"step": 6, "lo')
    killed.journal.close()
    again = Trainer(config, "killed", music)
    assert again.place == Place(1, 0)
    again.run()
    again.journal.close()
    logs = [(t.folder / "log.jsonl").read_text() for t in (whole, again)]
    assert logs[0] == logs[1]
    shown = board(again.folder)
    assert [e.step for e in shown.Scalars("loss")] == [1, 2, 3, 4, 5, 6]
    assert [e.step for e in shown.Scalars("top1/1")] == [3, 6]


def test_a_kill_between_an_epoch_and_its_test_loses_no_test(
    dataset: Path, tmp_path: Path, music: Music, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny(dataset, tmp_path)
    whole = Trainer(config, "whole", music)
    whole.run()

    def killed(*_: object) -> None:
        raise SystemExit

    cut = Trainer(config, "cut", music)
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "test", killed)
        with pytest.raises(SystemExit):
            cut.run()
    again = Trainer(config, "cut", music)
    again.run()
    assert (cut.folder / "log.jsonl").read_text() == (whole.folder / "log.jsonl").read_text()


class NoDoubles(torch.utils._python_dispatch.TorchDispatchMode):
    """Refuses what MPS does not have: numbers of 64 bits with a fraction, on its device."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        for one in made if isinstance(made, tuple | list) else [made]:
            if isinstance(one, torch.Tensor):
                assert one.dtype not in (torch.float64, torch.complex128), function
        return made


def test_a_step_takes_no_doubles_which_mps_does_not_have(
    dataset: Path, tmp_path: Path, music: Music
) -> None:
    trainer = Trainer(tiny(dataset, tmp_path, kind="lamb"), "a", music)
    with NoDoubles():
        trainer.train_step(trainer.sampler.draw(0, 0))
        trainer.test()


def test_a_picture_is_png_that_others_read(tmp_path: Path) -> None:
    import av

    matrix = np.full((5, 7), -1.0, np.float32)
    np.fill_diagonal(matrix, 1.0)
    pixels = similarity_picture(matrix)
    write_png(tmp_path / "a.png", pixels)
    with av.open(str(tmp_path / "a.png")) as file:
        read = next(file.decode(video=0)).to_ndarray(format="rgb24")
    np.testing.assert_array_equal(read, pixels)
    size = pixels.shape[1] // 7
    assert pixels.shape == (5 * size, 7 * size, 3)
    assert tuple(pixels[0, 0]) == (253, 231, 37)
    assert tuple(pixels[0, -1]) == (13, 8, 60)


def test_learning_rate_is_a_cosine() -> None:
    settings = Optimizer(rate=0.1, epochs=10, final_share=0.01)
    rates = [learning_rate(settings, step, 20) for step in range(201)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[100] == pytest.approx(0.1 * (0.01 + 0.99 / 2))
    assert rates[200] == pytest.approx(0.001)
    assert rates == sorted(rates, reverse=True)
    assert learning_rate(settings, 999, 20) == pytest.approx(0.001)


def test_the_optimizer_is_as_configured() -> None:
    net = torch.nn.Linear(2, 2)
    assert isinstance(build_optimizer(Optimizer(batch=120), net), torch.optim.Adam)
    assert type(build_optimizer(Optimizer(batch=640), net)).__name__ == "Lamb"


# --- the search test ---------------------------------------------------------------------------


def test_the_search_test_finds_what_is_not_degraded(
    dataset: Path, tmp_path: Path, music: Music
) -> None:
    config = tiny(dataset, tmp_path)
    trainer = Trainer(config, "a", music)
    tester = trainer.tester
    tester.chain = replace(tester.chain, background_p=0.0, room_p=0.0, gain=(0.5, 0.5))
    found = mini_search(trainer.encoder, tester, music.validation, seed=0, lengths=(1, 3, 99))
    assert set(found.top1) == {1, 3}
    assert min(found.top1.values()) >= 0.5
    again = mini_search(trainer.encoder, tester, music.validation, seed=0, lengths=(1, 3))
    assert again.top1 == found.top1
    n = len(found.similarity)
    assert found.similarity.shape == (n, n)


def test_candidates_of_the_search_test_stay_in_their_track() -> None:
    assert _starts(np.array([4, 6, 9]), 3).tolist() == [0, 1, 6]
    assert _starts(np.array([2]), 3).tolist() == []


# --- the published system, whole ---------------------------------------------------------------


@pytest.mark.slow
def test_the_published_architecture_trains(dataset: Path, tmp_path: Path) -> None:
    config = Config(
        folders=Folders(data=str(dataset), output=str(tmp_path)),
        optimizer=Optimizer(batch=8, epochs=1, steps_per_epoch=2),
        run=Run(device="cpu", tensorboard="off", test_tracks=1),
    )
    trainer = Trainer(config, "published", open_music(config))
    trainer.run()
    assert np.isfinite(trainer.loss)
    state = checkpoint.read(checkpoint.find(trainer.folder))
    assert sum(v.numel() for v in state["net"].values()) == 16_939_008
