"""`earmark serve` for real: several processes, one killed, indexing meanwhile, an orderly end."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import audio_factory as af

RUNNING = "earmark-serve-"


def ask(port: int, method: str, path: str, body: bytes | None = None) -> tuple[int, dict]:
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    kind = {"Content-Type": "application/json"} if body else {}
    link.request(method, path, body, kind)
    answer = link.getresponse()
    data = answer.read()
    link.close()
    return answer.status, json.loads(data) if data.startswith(b"{") else {"text": data.decode()}


@contextlib.contextmanager
def started(
    library: Path, temporary: Path, *options: str
) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    temporary.mkdir(exist_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "earmark", "-l", str(library), "serve", "--port", str(port)]
    environment = {n: v for n, v in os.environ.items() if not n.startswith("EARMARK_")}
    environment |= {"TMPDIR": str(temporary), "EARMARK_CACHE": str(temporary.parent / "cache")}
    process = subprocess.Popen([*command, *options], env=environment)
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                if ask(port, "GET", "/api/v1/health")[0] == 200:
                    break
            except OSError:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.1)
        yield port, process
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            raise


def children(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        found += [int(child) for child in task.read_text().split()]
    return found


def below(pid: int) -> list[int]:
    return [p for child in children(pid) for p in (child, *below(child))]


def server_processes(pid: int) -> list[int]:
    """The processes that uvicorn started, without the helper of multiprocessing."""
    return [p for p in children(pid) if b"spawn_main" in Path(f"/proc/{p}/cmdline").read_bytes()]


def gone(pids: list[int], seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while any(Path(f"/proc/{pid}").exists() and not zombie(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def zombie(pid: int) -> bool:
    try:
        return ") Z " in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True


@pytest.fixture
def place(library, tmp_path):
    shutil.copytree(library, tmp_path / "library")
    for number in range(6):
        af.write_wav(tmp_path / "more" / f"{number}.wav", af.tone(200.0 + 40 * number, seconds=2))
    return tmp_path


def test_one_process_ends_in_order_and_leaves_nothing(place):
    temporary = place / "temporary"
    with started(place / "library", temporary) as (port, process):
        assert ask(port, "GET", "/api/v1/search?like=1")[0] == 200
        assert ask(port, "GET", "/api/v1/tracks/1/peaks")[0] == 200
        assert list(temporary.glob(f"{RUNNING}*"))
        running = below(process.pid)
        assert running
    assert process.returncode == 0
    assert gone(running)
    assert [p for p in temporary.rglob("*") if p.is_file()] == []
    assert not list(temporary.glob(f"{RUNNING}*"))


@pytest.mark.slow
def test_several_processes(place):
    temporary = place / "temporary"
    options = ("--workers", "2", "--root", f"more={place / 'more'}")
    with started(place / "library", temporary, *options) as (port, process):
        deadline = time.monotonic() + 60
        while len(server_processes(process.pid)) < 2 and time.monotonic() < deadline:
            time.sleep(0.1)
        statuses: list[int] = []
        lost: list[BaseException] = []
        stop = threading.Event()

        def keep_asking() -> None:
            while not stop.is_set():
                try:
                    statuses.append(ask(port, "GET", "/api/v1/search?like=1&k=3")[0])
                except (OSError, http.client.HTTPException) as error:
                    lost.append(error)

        threads = [threading.Thread(target=keep_asking) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            # Indexing is seen by every process, and drops no request.
            status, job = ask(port, "POST", "/api/v1/jobs", b'{"root": "more"}')
            assert status == 202
            assert ask(port, "POST", "/api/v1/jobs", b'{"root": "more"}')[0] in (202, 409)
            while job["state"] not in ("done", "failed"):
                time.sleep(0.1)
                job = ask(port, "GET", f"/api/v1/jobs/{job['id']}")[1]
            assert job["state"] == "done", job
            assert {ask(port, "GET", "/api/v1/tracks")[1]["total"] for _ in range(20)} == {12}
            assert lost == []
            assert set(statuses) == {200}
            # A process that is killed costs what it had in hand, and is replaced.
            victim = server_processes(process.pid)[0]
            os.kill(victim, signal.SIGKILL)
            deadline = time.monotonic() + 60
            while (
                victim in (now := server_processes(process.pid)) or len(now) < 2
            ) and time.monotonic() < deadline:
                time.sleep(0.1)
            assert len(server_processes(process.pid)) == 2
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert len(lost) <= 8  # four clients; the one connection and its retry
        assert set(statuses) == {200}
        text = ask(port, "GET", "/metrics")[1]["text"]
        assert "earmark_requests_total" in text
        running = below(process.pid)
    assert gone(running)
    assert not list(temporary.glob(f"{RUNNING}*"))


@pytest.mark.slow
def test_processes_end_when_their_parent_is_killed(place):
    temporary = place / "temporary"
    with started(place / "library", temporary, "--workers", "2") as (port, process):
        assert ask(port, "GET", "/api/v1/tracks/1/peaks")[0] == 200
        running = below(process.pid)
        process.kill()
        assert gone(running, 30)
    # What it left is removed by the next one.
    assert list(temporary.glob(f"{RUNNING}*"))
    with started(place / "library", temporary):
        assert len(list(temporary.glob(f"{RUNNING}*"))) == 1
    assert not list(temporary.glob(f"{RUNNING}*"))


def test_numerical_libraries_are_told_of_one_thread_before_they_are_loaded(library, monkeypatch):
    from earmark import cli
    from earmark.cli import common

    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    for name in names:
        monkeypatch.delenv(name, raising=False)
    seen = []

    def stop(*_args: object, **_options: object) -> None:
        seen.extend(os.environ.get(name) for name in names)
        raise KeyboardInterrupt

    monkeypatch.setattr(common, "open_library", stop)
    cli.run(["-l", str(library), "serve"])
    assert seen == ["1", "1", "1"]
    for name in names:
        monkeypatch.delenv(name)
    code = "import sys; import earmark.cli.serve, earmark.server.running as r; r.one_thread(); "
    subprocess.run([sys.executable, "-c", code + "assert 'numpy' not in sys.modules"], check=True)


def test_the_command_refuses(library, tmp_path, monkeypatch, capsys):
    from earmark import cli

    monkeypatch.delenv("EARMARK_TOKEN_READ", raising=False)
    monkeypatch.delenv("EARMARK_TOKEN_WRITE", raising=False)

    def refused(*args: str) -> str:
        assert cli.run([*args]) == 2
        text = capsys.readouterr().err
        assert text.startswith("error: ")
        return text

    here = ("-l", str(library), "serve")
    assert "hint: set EARMARK_TOKEN_READ" in refused(*here, "--host", "0.0.0.0")
    assert "12 or more" in refused(*here, "--token-read", "short")
    assert "must be a folder" in refused(*here, "--root", str(tmp_path / "none"))
    assert "must be a folder" in refused(*here, "--root", f"x={tmp_path / 'none'}")
    assert "there is no library" in refused("-l", str(tmp_path / "none"), "serve")
    assert "port" in refused(*here, "--port", "99999")
