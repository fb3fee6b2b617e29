"""Model files: looked up, read without running them, fetched and checked."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from earmark import weights
from earmark.cli import run
from earmark.config import Settings
from earmark.errors import EncoderError, NotAvailable, UsageError
from earmark.weights import Model, ModelFile, Places, pulling, registry
from earmark.weights.pulling import DownloadError, Wanted
from earmark.weights.tensors import read_checkpoint

CONTENT = bytes(range(256)) * 4096


# --- looking up --------------------------------------------------------------------------------


def test_registry_is_whole() -> None:
    for name, model in registry.MODELS.items():
        assert name == model.name
        assert model.licence
        assert model.revision
        assert model.files
        for file in model.files:
            assert file.url.startswith("https://") or file.instead
            assert not file.instead or file.instead in {other.name for other in model.files}


def test_a_misspelt_model_shows_the_nearest() -> None:
    with pytest.raises(UsageError, match="no model 'cnn41'") as caught:
        weights.model("cnn41")
    assert "cnn14" in str(caught.value.hint)


def test_own_folder_comes_before_the_cache(tmp_path: Path) -> None:
    places = Places(tmp_path / "own", tmp_path / "cache")
    model = weights.model("cnn14")
    assert weights.locate(model, places) is None
    for folder in (places.fetched, tmp_path / "own"):
        folder.mkdir(parents=True)
        (folder / "Cnn14_mAP=0.431.pth").write_bytes(b"x")
        located = weights.locate(model, places)
        assert located is not None
        assert located.weights.parent == folder


def test_a_folder_of_the_hub_is_found(tmp_path: Path) -> None:
    model = weights.model("clap")
    folder = tmp_path / f"models--laion--{model.folder}" / "snapshots" / "abc"
    folder.mkdir(parents=True)
    for name in ("config.json", "tokenizer.json"):
        (folder / name).write_text("{}")
    places = Places(tmp_path, tmp_path / "cache")
    assert weights.locate(model, places) is None
    (folder / "model.safetensors").write_bytes(b"")
    located = weights.locate(model, places)
    assert located is not None
    assert located.weights.name == "model.safetensors"


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotAvailable, match="Cnn14_mAP=0") as caught:
        weights.require(weights.model("panns"), Places(None, tmp_path))
    assert "earmark models pull cnn14" in str(caught.value.hint)


def test_places_follow_the_settings(tmp_path: Path) -> None:
    places = Places.of(Settings(models=str(tmp_path / "m"), cache=str(tmp_path / "c")))
    assert places.models == tmp_path / "m"
    assert places.fetched == tmp_path / "c" / "models"


# --- reading -----------------------------------------------------------------------------------


@pytest.mark.parametrize("archive", [True, False])
def test_tensors_are_those_that_torch_saved(tmp_path: Path, archive: bool) -> None:
    torch = pytest.importorskip("torch")
    saved = {
        "matrix": torch.randn(3, 4),
        "turned": torch.randn(4, 3).t(),
        "part": torch.arange(10)[3:7],
        "whole": torch.tensor(7),
        "half": torch.randn(5).half(),
        "brain": torch.randn(5).bfloat16(),
        "parameter": torch.nn.Parameter(torch.randn(2)),
        "none": torch.empty(0, 3),
    }
    path = tmp_path / "x.pt"
    torch.save({"model": saved}, path, _use_new_zipfile_serialization=archive)
    found = read_checkpoint(path, key="model")
    assert list(found) == list(saved)
    for name, tensor in saved.items():
        assert found[name].shape == tuple(tensor.shape)
        assert np.array_equal(found[name].astype(np.float64), tensor.detach().double().numpy())


@pytest.mark.parametrize("archive", [True, False])
def test_arrays_of_numpy_in_a_checkpoint(tmp_path: Path, archive: bool) -> None:
    torch = pytest.importorskip("torch")
    path = tmp_path / "x.pt"
    saved = {"matrix": np.eye(3, dtype=np.float32), "means": np.arange(3.0)}
    torch.save(saved, path, _use_new_zipfile_serialization=archive)
    found = read_checkpoint(path)
    assert all(np.array_equal(found[name], value) for name, value in saved.items())


class Bomb:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def archive_of(program: bytes, path: Path) -> Path:
    """A zip archive as torch.save writes them, with this program."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", program)
        archive.writestr("archive/version", "3")
    return path


def test_code_is_refused_and_never_run(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    program = pickle.dumps({"weight": Bomb(mark)}, protocol=2)
    path = archive_of(program, tmp_path / "bad.pt")
    with pytest.raises(EncoderError, match="contains code"):
        read_checkpoint(path)
    assert not mark.exists()
    pickle.loads(program)  # noqa: S301 - shows that the program would have run
    assert mark.exists()


@pytest.mark.parametrize(
    "program",
    [
        b"cbuiltins\neval\n(S'1'\ntR.",
        b"cnumpy\nload\n(S'x'\ntR.",
        b"ctorch.hub\nload\n.",
        b"ctorch\nload\n(S'x'\ntR.",
        b"cos\nsystem\n(S'true'\ntR.",
        b"ccollections\nOrderedDict\n(tR}(S'a'\ncbuiltins\nexec\nu.",
        b"\x80\x02}(X\x01\x00\x00\x00aK\x07u.",
        b"\x80\x02]K\x01a.",
        b"not a pickle",
        b"",
    ],
)
def test_other_programs_are_refused(tmp_path: Path, program: bytes) -> None:
    with pytest.raises(EncoderError, match="must be a checkpoint of tensors"):
        read_checkpoint(archive_of(program, tmp_path / "bad.pt"))


def test_a_tensor_outside_its_numbers_is_refused(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    path = tmp_path / "x.pt"
    torch.save({"a": torch.arange(4, dtype=torch.uint8)}, path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    (data,) = [name for name in members if name.endswith("data/0")]
    members[data] = members[data][:2]
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(EncoderError, match=r"cut off|outside"):
        read_checkpoint(path)


@pytest.mark.parametrize("archive", [True, False])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.99])
def test_a_file_that_is_cut_off_is_refused(tmp_path: Path, archive: bool, part: float) -> None:
    torch = pytest.importorskip("torch")
    path = tmp_path / "x.pt"
    torch.save({"a": torch.randn(1000)}, path, _use_new_zipfile_serialization=archive)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(EncoderError, match="must be a checkpoint of tensors"):
        read_checkpoint(path)


def write_safetensors(path: Path, header: dict[str, Any], numbers: bytes) -> Path:
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + numbers)
    return path


def test_safetensors(tmp_path: Path) -> None:
    header = {
        "__metadata__": {"format": "pt"},
        "a": {"dtype": "F32", "shape": [2, 1], "data_offsets": [0, 8]},
        "b": {"dtype": "BF16", "shape": [1], "data_offsets": [8, 10]},
    }
    numbers = np.array([1, 2], "<f4").tobytes() + b"\x80\x3f"
    found = read_checkpoint(write_safetensors(tmp_path / "x.safetensors", header, numbers))
    assert found["a"].tolist() == [[1.0], [2.0]]
    assert found["b"].tolist() == [1.0]
    with pytest.raises(EncoderError, match="cut off"):
        read_checkpoint(write_safetensors(tmp_path / "y.safetensors", header, numbers[:-1]))
    (tmp_path / "z.safetensors").write_bytes(b"\xff" * 20)
    with pytest.raises(EncoderError, match="cut off"):
        read_checkpoint(tmp_path / "z.safetensors")


# --- fetching ----------------------------------------------------------------------------------


class Server(ThreadingHTTPServer):
    """Serves `files`; can break off, and can refuse to go on."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.break_after: list[int] = []
        self.ranges = True
        self.etag = '"1"'
        self.requests: list[tuple[str, str, str]] = []

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{name}"


class Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD with ranges."""

    server: Server

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        wanted = self.headers.get("Range", "")
        self.server.requests.append((self.command, self.path, wanted))
        content = self.server.files.get(self.path.lstrip("/"))
        if content is None:
            self.send_error(404)
            return
        start = 0
        if self.server.ranges and wanted and self.headers.get("If-Range") == self.server.etag:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.send_header("ETag", self.server.etag)
        self.end_headers()
        if not body:
            return
        rest = content[start:]
        if self.server.break_after:
            rest = rest[: self.server.break_after.pop(0)]
        self.wfile.write(rest)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as found:
        thread = threading.Thread(target=found.serve_forever, daemon=True)
        thread.start()
        yield found
        found.shutdown()


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(None, tmp_path / "cache")


def published(server: Server, **changes: Any) -> ModelFile:
    """A file of the server as its publisher describes it."""
    server.files["w.bin"] = CONTENT
    file = ModelFile(
        "w.bin",
        server.url("w.bin"),
        size=len(CONTENT),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        md5=hashlib.md5(CONTENT, usedforsecurity=False).hexdigest(),
    )
    return replace(file, **changes)


def model_of(*files: ModelFile) -> Model:
    return Model("toy", "toy", files, "CC0", "1", "a toy")


def pulled(file: ModelFile, places: Places) -> Path:
    return pulling.fetch(Wanted(file, file.size), model_of(file), places)


def test_a_file_is_fetched_and_checked(server: Server, places: Places) -> None:
    seen: list[tuple[str, int, int]] = []
    file = published(server)
    model = model_of(file)
    (wanted,) = pulling.missing(model, places)
    path = pulling.fetch(wanted, model, places, on_bytes=lambda *numbers: seen.append(numbers))
    assert path.read_bytes() == CONTENT
    assert [p.name for p in path.parent.iterdir()] == ["w.bin"]
    assert seen[-1] == ("w.bin", len(CONTENT), len(CONTENT))
    assert pulling.missing(model, places) == ()


def test_broken_connections_are_gone_on_with(server: Server, places: Places) -> None:
    file = published(server)
    server.break_after = [300_000, 200_000]
    assert pulled(file, places).read_bytes() == CONTENT
    assert [wanted for _, _, wanted in server.requests] == [
        "",
        "bytes=300000-",
        "bytes=500000-",
    ]


def test_a_later_pull_goes_on(server: Server, places: Places) -> None:
    file = published(server)
    server.break_after = [300_000, 0, 0, 0, 0, 0]
    with pytest.raises(DownloadError, match="300,000 bytes came") as caught:
        pulled(file, places)
    assert "goes on" in str(caught.value.hint)
    assert not (places.fetched / "w.bin").exists()
    server.requests.clear()
    assert pulled(file, places).read_bytes() == CONTENT
    assert server.requests[0][2] == "bytes=300000-"


@pytest.mark.parametrize("change", ["ranges", "etag"])
def test_a_server_that_cannot_go_on_begins_anew(
    server: Server, places: Places, change: str
) -> None:
    file = published(server)
    server.break_after = [300_000, 0, 0, 0, 0, 0]
    with pytest.raises(DownloadError):
        pulled(file, places)
    if change == "ranges":
        server.ranges = False
    else:
        server.etag = '"2"'
    assert pulled(file, places).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"sha256": "0" * 64}, "SHA-256"),
        ({"sha256": "", "md5": "0" * 32}, "MD5"),
        ({"size": len(CONTENT) - 1}, "bytes"),
    ],
)
def test_another_content_is_thrown_away(
    server: Server, places: Places, changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(DownloadError, match=reason):
        pulled(published(server, **changes), places)
    assert list(places.fetched.iterdir()) == []


def test_a_file_shorter_than_published_never_gets_its_name(server: Server, places: Places) -> None:
    file = published(server)
    server.files["w.bin"] = CONTENT[:-1]
    with pytest.raises(DownloadError, match="bytes"):
        pulled(file, places)
    assert not (places.fetched / "w.bin").exists()


def test_a_file_that_is_not_there(server: Server, places: Places) -> None:
    file = published(server, url=server.url("gone"), size=0)
    with pytest.raises(DownloadError, match="404"):
        pulling.missing(model_of(file), places)
    with pytest.raises(DownloadError, match="404"):
        pulled(file, places)
    assert pulling.missing(model_of(replace(file, optional=True)), places) == ()


def test_the_fallback_is_taken(server: Server, places: Places) -> None:
    good = published(server)
    file = replace(good, url=server.url("gone"), fallback_url=good.url)
    assert pulled(file, places).read_bytes() == CONTENT
    (wanted,) = pulling.missing(model_of(replace(file, name="v.bin", size=0)), places)
    assert wanted.file.url == good.url
    assert wanted.size == len(CONTENT)


def test_a_file_that_stands_in_is_enough(server: Server, places: Places) -> None:
    good = published(server)
    first = replace(good, name="first.bin", url=server.url("gone"), size=0)
    second = replace(good, name="second.bin", instead="first.bin", size=0)
    (wanted,) = pulling.missing(model_of(first, second), places)
    assert wanted.file.name == "second.bin"


def test_no_server_at_all(places: Places) -> None:
    file = ModelFile("w.bin", "http://127.0.0.1:9/w.bin")
    with pytest.raises(DownloadError, match="reachable"):
        pulling.missing(model_of(file), places)
    with pytest.raises(DownloadError, match="http or https"):
        pulled(ModelFile("w.bin", "file:///etc/passwd"), places)


# --- the command -------------------------------------------------------------------------------


@pytest.fixture
def toy(server: Server, places: Places, monkeypatch: pytest.MonkeyPatch) -> Model:
    model = model_of(published(server))
    monkeypatch.setattr(registry, "MODELS", {"toy": model})
    monkeypatch.setattr(weights, "MODELS", {"toy": model})
    monkeypatch.setenv("EARMARK_CACHE", str(places.cache))
    monkeypatch.delenv("EARMARK_MODELS", raising=False)
    return model


@pytest.mark.usefixtures("toy")
def test_pull_asks_first(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "pull", "toy"]) == 2
    shown = capsys.readouterr().err
    assert "1.0 MB" in shown
    assert "CC0" in shown
    assert "--yes" in shown
    assert not [request for request in server.requests if request[0] == "GET"]


@pytest.mark.usefixtures("toy")
def test_pull_and_list(places: Places, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "list", "--json"]) == 0
    assert not json.loads(capsys.readouterr().out)["models"][0]["here"]
    assert run(["models", "pull", "toy", "--yes", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer == {
        "model": "toy",
        "fetched": [str(places.fetched / "w.bin")],
        "bytes": len(CONTENT),
    }
    assert run(["models", "list"]) == 0
    assert "yes" in capsys.readouterr().out
    assert run(["models", "pull", "toy", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["fetched"] == []


@pytest.mark.usefixtures("toy")
def test_pull_of_an_unknown_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "pull", "toi"]) == 2
    assert "toy" in capsys.readouterr().err
