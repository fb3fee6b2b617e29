"""``earmark fingerprint`` from the layout of the published data set to a table, end to end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from audio_factory import write_wav
from earmark import cli
from nafp_data import TINY_NET, make_dataset

Answer = tuple[int, str, str]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("fingerprint")
    make_dataset(work / "data", tracks=4, seconds=4.0)
    (work / "run.toml").write_text(
        f"""
        [folders]
        data = "{work / "data"}"
        [model.published]
        channels = {list(TINY_NET.channels)}
        ndim = 16
        hidden = 4
        [optimizer]
        batch = 8
        epochs = 2
        steps_per_epoch = 2
        [run]
        device = "cpu"
        test_tracks = 2
        """
    )
    return work


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], work: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(work)

    def call(*args: object) -> Answer:
        code = cli.run(["fingerprint", *map(str, args)])
        out, err = capfd.readouterr()
        return code, out, err

    return call


def refused(answer: Answer, *words: str) -> None:
    code, out, err = answer
    assert (code, out) == (2, ""), err
    error, *rest = err.strip().splitlines()
    assert error.startswith("error: ")
    assert all(line.startswith("hint: ") for line in rest)
    for word in words:
        assert word in err


@pytest.fixture(scope="module")
def trained(work: Path, request: pytest.FixtureRequest) -> Path:
    pytest.importorskip("torch")
    config = str(work / "run.toml")
    runs = str(work / "fingerprints")
    assert cli.run(["fingerprint", "train", "demo", "--config", config, "--runs", runs]) == 0
    return work / "fingerprints" / "demo"


def test_train_generate_evaluate(run, trained: Path) -> None:
    code, out, err = run("train", "demo", "--json")  # nothing left to do: its own configuration
    assert code == 0, err
    answer = json.loads(out)
    assert answer["epoch"] == 2
    assert answer["checkpoint"].endswith("ckpt-0002.pt")
    code, out, err = run("generate", "demo", "--json")
    assert code == 0, err
    made = json.loads(out)
    assert made["parts"]["db"] == made["parts"]["query"] == {"tracks": 2, "rows": 14}
    assert made["ndim"] == 16
    assert made["encoder"] == "demo/0002"
    code, out, err = run("evaluate", "demo", "--index", "l2", "--json", "--lengths", "1,3")
    assert code == 0, err
    report = json.loads(out)
    assert 0.0 <= report["top1_exact@1"] <= report["top10_near@3"] <= 1.0
    assert report["lengths"] == [1, 3]
    assert (report["index"], report["seed"], report["library_size"]) == ("l2", 0, 28)
    assert report["encoder"].startswith("demo/0002 (")
    code, table, _ = run("evaluate", made["folder"], "--test-ids", "all", "--skip-dummy")
    assert code == 0
    assert "top-1 exact" in table
    assert "14 rows" in table
    code, _, err = run("evaluate", "demo", "--index", "ivfpq-rr", "--json")
    assert code == 0
    assert "smaller than as published, for 28 rows: lists 1 of 256" in err


def test_another_checkpoint_has_a_folder_of_its_own(run, trained: Path) -> None:
    code, out, err = run("generate", "demo", "1", "--skip-dummy", "--json")
    assert code == 0, err
    assert Path(json.loads(out)["folder"]).name == "0001"
    refused(run("generate", "demo", "9"), "no checkpoint '9'", "0001, 0002")
    refused(run("evaluate", "demo", "9"), "no fingerprints")


def test_another_configuration_is_refused_with_the_difference(run, trained: Path) -> None:
    change = ("--set", "model.published.hidden=8", "--set", "augment.published.gain=[0.5, 1]")
    for command in ("train", "generate"):
        refused(
            run(command, "demo", *change),
            "model.published.hidden: 4 against 8",
            "augment.published.gain: (0.1, 1.0) against (0.5, 1.0)",
        )
    refused(run("generate", "demo", "--config", "run.toml", *change[:2]), "hidden: 4 against 8")
    moved = run(
        "generate", "demo", "--config", "run.toml", "--skip-dummy", "--set", "run.threads=1"
    )
    assert moved[0] == 0, moved[2]


def test_corrupt_music_is_named_and_training_goes_on(run, work: Path) -> None:
    pytest.importorskip("torch")
    folder = work / "mixed"
    for path in (work / "data" / "music" / "train-10k-30s").rglob("*.wav"):
        folder.mkdir(exist_ok=True)
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "broken.mp3").write_bytes(b"no music")
    options = ("--set", f"folders.music={folder}", "--epochs", "1")
    code, out, err = run("train", "mixed", "--config", "run.toml", *options, "--json")
    assert code == 1
    assert [Path(f["path"]).name for f in json.loads(out)["failed"]] == ["broken.mp3"]
    assert "broken.mp3" in err


FOLDERS = ("aug/bg/tr", "aug/bg/ts", "aug/ir/tr", "aug/speech/tr", "music/train-10k-30s/fma_000")
TEST_FOLDERS = (
    "music/test-query-db-500-30s/db",
    "music/test-query-db-500-30s/query",
    "music/test-dummy-db-100k-full/fma_full",
)


def test_odd_and_broken_files_in_each_folder_of_the_layout(run, tmp_path: Path) -> None:
    """Other rates, channels and sample types are taken; what cannot be used is named, once."""
    pytest.importorskip("torch")
    data = make_dataset(tmp_path / "data", tracks=4, seconds=3.0)
    tone = np.sin(np.arange(3 * 44_100) / 20).astype(np.float32) * 0.3
    broken = set()
    for folder in (*FOLDERS, "music/val-query-db-500-30s/db", *TEST_FOLDERS):
        here = data / folder
        write_wav(here / "stereo44.wav", np.stack([tone, -0.5 * tone]), 44_100)
        write_wav(here / "float.wav", tone[:24_000], 8000, subtype="FLOAT")
        write_wav(here / "short.wav", tone[:40], 8000)
        whole = (here / "stereo44.wav").read_bytes()
        (here / "cut.wav").write_bytes(whole[: len(whole) // 2])
        (here / "text.wav").write_text("no sound")
        broken |= {str(here / name) for name in ("cut.wav", "text.wav")}
    for folder in ("aug/bg/tr", "aug/ir/tr"):
        write_wav(data / folder / "silent.wav", np.zeros(9000, np.float32), 8000)
        broken.add(str(data / folder / "silent.wav"))
    settings = ("--config", "run.toml", "--set", f"folders.data={data}", "--runs", tmp_path)
    speech = ("--set", "augment.published.speech_p=0.5", "--set", "optimizer.epochs=1")
    code, out, err = run("train", "odd", *settings, *speech, "--json")
    assert code == 1, err
    failed = [f["path"] for f in json.loads(out)["failed"]]
    tests = {path for path in broken if "/test-" in path}
    assert sorted(failed) == sorted(broken - tests)
    assert err.count("aug/speech/tr/text.wav") == 1
    code, out, err = run("generate", "odd", "--runs", tmp_path, "--json")
    assert code == 1, err
    made = json.loads(out)
    assert sorted(f["path"] for f in made["failed"]) == sorted(tests)
    assert {name: part["tracks"] for name, part in made["parts"].items()} == {
        "db": 5,
        "query": 5,
        "dummy_db": 5,
    }
    unused = run("train", "calm", *settings, "--set", "optimizer.epochs=1", "--json")
    named = {Path(f["path"]).parts[-3] for f in json.loads(unused[1])["failed"]}
    assert "speech" not in named  # the published chain draws no voices by default


def test_what_takes_the_place_of_missing_folders_is_said(run, work: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    (tmp_path / "empty").mkdir()
    music = work / "data" / "music" / "train-10k-30s"
    options = ("--set", f"folders.music={music}", "--set", "folders.data=", "--epochs", "1")
    bare = ("--config", "run.toml", "--runs", tmp_path, *options)
    code, _, err = run("train", "bare", *bare, "--set", f"folders.impulse={tmp_path / 'empty'}")
    assert code == 0, err
    assert err.count("no recordings of folders.background: coloured noise takes") == 1
    assert err.count("no recordings of folders.impulse: synthetic rooms take") == 1
    code, _, err = run("train", "quiet", *bare, "--set", "augment.published.room_p=0")
    assert "folders.impulse" not in err


def test_music_that_cannot_be_used_at_all(run, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    for name in ("a.mp3", "b.ogg", "c.flac"):
        (tmp_path / name).write_bytes(b"no music")
    refused(run("train", "x", "--set", f"folders.music={tmp_path}"), "no file can be", "a.mp3")


def test_a_run_is_trained_by_one_process_at_a_time(run, work: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    import fcntl

    (tmp_path / "busy").mkdir()
    with (tmp_path / "busy" / "lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        answer = run("train", "busy", "--config", "run.toml", "--runs", tmp_path)
        refused(answer, "one process at a time", "another name")
    assert run("train", "busy", "--config", "run.toml", "--runs", tmp_path)[0] == 0


FULL = """
import resource, signal, sys
from earmark import cli
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
sys.exit(cli.run(["fingerprint", *sys.argv[2:]]))
"""


@pytest.mark.parametrize(
    ("room", "named"), [(300, "config.json"), (4000, "ckpt-0001.pt"), (9_000_000, None)]
)
def test_a_disk_that_is_full_while_training(
    run, work: Path, tmp_path: Path, room: int, named: str | None
) -> None:
    pytest.importorskip("torch")
    quick = ("--set", "optimizer.steps_per_epoch=1", "--set", "run.tensorboard=off")
    options = ["--config", "run.toml", "--runs", str(tmp_path), *quick]
    command = [sys.executable, "-c", FULL, str(room), "train", "full", *options]
    done = subprocess.run(
        command,
        cwd=work,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    if named is None:
        assert done.returncode == 0, done.stderr
        return
    assert done.returncode == 2, done.stderr
    assert named in done.stderr
    assert "free some space" in done.stderr
    assert not list((tmp_path / "full").glob("*.part"))
    assert run("train", "full", *options)[0] == 0


def test_a_damaged_configuration_of_a_run_is_said(run, tmp_path: Path) -> None:
    (tmp_path / "hurt").mkdir()
    (tmp_path / "hurt" / "config.json").write_text('{"optimizer": ')
    refused(run("train", "hurt", "--runs", tmp_path), "must be JSON", "config.json")


@pytest.mark.slow
@pytest.mark.parametrize("after", [2, 5])
def test_a_killed_training_goes_on_with_the_losses_that_it_would_have_had(
    run, work: Path, tmp_path: Path, after: int
) -> None:
    pytest.importorskip("torch")
    steps = ("--set", "optimizer.steps_per_epoch=4", "--set", "run.checkpoint_steps=3")
    options = ("--config", "run.toml", "--runs", str(tmp_path), *steps)
    assert run("train", "whole", *options)[0] == 0
    log = tmp_path / "cut" / "log.jsonl"
    command = [sys.executable, "-m", "earmark", "fingerprint", "train", "cut", *options]
    child = subprocess.Popen(command, cwd=work, env=os.environ | {"OMP_NUM_THREADS": "1"})
    while f'"step": {after},' not in (log.read_text() if log.exists() else ""):
        assert child.poll() is None
        time.sleep(0.01)
    child.kill()
    child.wait()
    assert run("train", "cut", "--runs", tmp_path)[0] == 0
    assert log.read_text() == (tmp_path / "whole" / "log.jsonl").read_text()


def test_any_folder_by_the_shipped_network(run, work: Path) -> None:
    source = work / "data" / "music" / "test-query-db-500-30s"
    code, out, err = run("generate", "shipped", "--source", source, "--json")
    assert code == 0, err
    made = json.loads(out)
    assert made["parts"]["query"]["rows"] == 14
    shape = np.load(Path(made["folder"]) / "db_shape.npy")
    rows = np.memmap(Path(made["folder"]) / "db.mm", "float32", "r", shape=tuple(shape))
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-5)
    code, out, _ = run("evaluate", "shipped", "--index", "l2", "--lengths", "5", "--json")
    assert code == 0
    assert json.loads(out)["top1_near@5"] >= 0.5
    only = run("generate", "shipped", "--source", source / "db", "--no-queries", "--to", "rows")
    assert only[0] == 0
    assert sorted(p.name for p in Path("rows").iterdir()) == [
        *("db.mm", "db_shape.npy", "db_tracks.csv", "made_by.json")
    ]


def test_without_a_name(run, work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    source = work / "data" / "music" / "test-query-db-500-30s"
    made = run("generate", "--source", source, "--json")
    assert json.loads(made[1])["encoder"] == "shipped"
    assert json.loads(run("evaluate", "--lengths", "1", "--json")[1])["encoder"][:7] == "shipped"
    trained = run("train", "--config", work / "run.toml", "--epochs", "1", "--json")
    assert json.loads(trained[1])["name"] == "default", trained[2]
    made = run("generate", "--skip-dummy", "--output", "here", "--json")
    assert json.loads(made[1])["encoder"] == "default/0001"
    assert Path("here/db.mm").is_file()


def test_queries_are_made_where_a_folder_has_none(run, work: Path) -> None:
    pytest.importorskip("torch")
    source = work / "data" / "music" / "test-query-db-500-30s" / "db"
    first = run("generate", "shipped", "--source", source, "--to", "a", "--json")
    again = run("generate", "shipped", "--source", source, "--to", "b", "--json")
    other = run("generate", "shipped", "--source", source, "--to", "c", "--seed", "1", "--json")
    assert [a[0] for a in (first, again, other)] == [0, 0, 0], first[2]
    a, b, c = (Path(f"{name}/query.mm").read_bytes() for name in "abc")
    assert a == b
    assert a != c
    assert a != Path("a/db.mm").read_bytes()
    options = ("--source", source.parent, "--to", "d")
    assert run("generate", "shipped", *options, "--json")[0] == 0
    given = Path("d/query.mm").read_bytes()
    assert run("generate", "shipped", *options, "--fresh-queries", "--json")[0] == 0
    assert Path("d/query.mm").read_bytes() == a != given


def test_the_configuration_is_printed(run, tmp_path: Path) -> None:
    import tomllib

    code, out, _ = run("train", "--print-config", "--preset", "compact", "--set", "run.threads=3")
    assert code == 0
    read = tomllib.loads(out)
    assert read["model"]["kind"] == "compact"
    assert read["run"]["threads"] == 3
    (tmp_path / "all.toml").write_text(out)
    assert run("train", "--print-config", "--config", tmp_path / "all.toml")[1] == out


def test_wrong_usage(run, work: Path) -> None:
    refused(run("train", "../x"), "name")
    refused(run("train", "x", "--set", "optimizer.bach=3"), "bach", "'batch'")
    refused(run("train", "x", "--config", "none.toml"), "none.toml")
    refused(run("train", "x"), "needs music", "folders.music")
    refused(run("generate", "nobody", "--source", work / "data"), "no checkpoint")
    refused(run("generate", "shipped"), "test set", "--source")
    refused(run("evaluate", "nobody"), "no fingerprints", "generate nobody")
    refused(run("evaluate", "x", "--lengths", "0"), "--lengths")
    refused(run("evaluate", "x", "--lengths", "a"), "lengths")


def test_without_torch_it_says_what_to_install(run, work: Path, monkeypatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "torch", None)
    refused(run("train", "x", "--config", "run.toml"), "PyTorch", "earmark[train]")
