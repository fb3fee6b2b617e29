"""The library for assistants, asked by the official client: in process, over a pipe, over HTTP."""

from __future__ import annotations

import base64
import io
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("mcp")
pytest.importorskip("fastapi")

import anyio
import httpx
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.shared.exceptions import MCPError

import audio_factory as af
import earmark
from earmark.config import Settings
from earmark.errors import QueryError
from earmark.server.assistant.questions import Assistant, audio_uri
from earmark.server.assistant.serving import build

Talk = Callable[[Client], Awaitable[Any]]
TOKEN = "a-token-to-read-with"


def melody(seed: int, seconds: float = 12.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    parts = [
        af.tone(220.0 * 2 ** (rng.integers(0, 30) / 12), seconds=0.25, harmonics=5)
        for _ in range(round(4 * seconds))
    ]
    return np.concatenate(parts)


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("assistant") / "sounds"
    for i in range(3):
        af.write_wav(folder / f"song_{i}.wav", melody(i))
    return folder


@pytest.fixture(scope="module")
def home(sounds: Path) -> Path:
    home = sounds.parent / "library"
    with earmark.open(home, settings=Settings()) as lib:
        lib.add(sounds, encoders=["timbre", "fingerprint", "spectral"], executor="serial")
    return home


@pytest.fixture(scope="module")
def ids(home: Path) -> dict[str, int]:
    with earmark.open(home, settings=Settings()) as lib:
        return {Path(t.path).stem: t.id for t in lib.list()}


@pytest.fixture
def assistant(home: Path, request: pytest.FixtureRequest) -> Iterator[Assistant]:
    with earmark.open(home, settings=Settings()) as lib:
        made = Assistant(lib, local_files=getattr(request, "param", False))
        yield made
        made.close()


def talk(server: Any, conversation: Talk) -> Any:
    async def run() -> Any:
        async with Client(server) as client:
            return await conversation(client)

    return anyio.run(run)


def call(server: Any, name: str, **arguments: Any) -> Any:
    """What a tool answers, as a dict; its complaint as a string."""

    async def conversation(client: Client) -> Any:
        result = await client.call_tool(name, arguments)
        return result.content[0].text if result.is_error else result.structured_content

    return talk(server, conversation)


def read(server: Any, uri: str) -> Any:
    """A resource; the server's complaint as a string."""

    async def conversation(client: Client) -> Any:
        try:
            return (await client.read_resource(uri)).contents[0]
        except MCPError as error:
            return str(error)

    return talk(server, conversation)


# --- in process --------------------------------------------------------------------------------


def test_tools_say_what_they_are(assistant: Assistant) -> None:
    async def conversation(client: Client) -> Any:
        return (await client.list_tools()).tools, client.instructions

    tools, instructions = talk(build(assistant), conversation)
    names = {tool.name for tool in tools}
    assert names == {"library", "tracks", "search", "recommend", "identify", "hum", "tag"}
    for tool in tools:
        assert tool.description
        assert tool.annotations.read_only_hint
    schema = next(t for t in tools if t.name == "identify").input_schema
    assert "id" in schema["properties"]["recording"]["description"]
    assert "path" not in schema["properties"]["recording"]["description"]
    assert "moment" in instructions


def test_facts_and_tracks(assistant: Assistant, ids: dict[str, int]) -> None:
    facts = call(build(assistant), "library")
    assert facts["tracks"] == 3
    assert facts["library"] == ""  # where it lies is nobody's business
    assert {e["name"] for e in facts["encoders"]} == {"timbre", "fingerprint", "spectral"}
    listed = call(build(assistant), "tracks", k=2)
    assert listed["total"] == 3
    assert len(listed["tracks"]) == 2
    rest = call(build(assistant), "tracks", first=2)
    assert {t["track"] for t in [*listed["tracks"], *rest["tracks"]]} == set(ids.values())
    assert call(build(assistant), "tracks", where="duration < 1")["total"] == 0


def test_search_by_words_and_by_moments(assistant: Assistant, ids: dict[str, int]) -> None:
    found = call(build(assistant), "search", text="song_1", k=1)
    assert found["hits"][0]["track"] == ids["song_1"]
    like = call(build(assistant), "search", like=[f"{ids['song_2']}#3-5"], k=3)
    assert like["hits"]
    assert all(h["audio"].startswith("earmark://audio/") for h in like["hits"])
    suggested = call(build(assistant), "recommend", like=[str(ids["song_0"])], k=2)
    assert ids["song_0"] not in [h["track"] for h in suggested["hits"]]


def test_identify_a_moment_of_a_track(assistant: Assistant, ids: dict[str, int]) -> None:
    found = call(build(assistant), "identify", recording=f"{ids['song_1']}#4-10")
    best = found["hits"][0]
    assert best["track"] == ids["song_1"]
    assert best["start"] == pytest.approx(4.0, abs=0.6)
    assert best["audio"] == audio_uri(ids["song_1"], best["start"], best["end"])


def test_sound_as_a_resource(assistant: Assistant, ids: dict[str, int]) -> None:
    from earmark import audio

    server = build(assistant)
    content = read(server, audio_uri(ids["song_0"], 2.0, 4.5))
    data = base64.b64decode(content.blob)
    assert content.mime_type in ("audio/mpeg", "audio/wav")
    assert audio.read(io.BytesIO(data)).duration == pytest.approx(2.5, abs=0.1)
    about = json.loads(read(server, f"earmark://track/{ids['song_0']}").text)
    assert about["duration"] == pytest.approx(12.0, abs=0.01)
    assert json.loads(read(server, "earmark://library").text)["tracks"] == 3


@pytest.mark.parametrize("end", ["2", "nan", "x", "-1"])
def test_sounds_that_are_none(assistant: Assistant, ids: dict[str, int], end: str) -> None:
    complaint = read(build(assistant), f"earmark://audio/{ids['song_0']}/3/{end}")
    assert "moment must" in complaint or "must be seconds" in complaint


@pytest.mark.parametrize("track", ["999", "-1", "x", "1e3", "%2Fetc%2Fpasswd"])
def test_tracks_that_are_none(assistant: Assistant, track: str) -> None:
    complaint = read(build(assistant), f"earmark://audio/{track}/0/1")
    assert isinstance(complaint, str)
    assert "track" in complaint or "resource" in complaint


def test_without_local_files_no_path_is_ever_opened(
    assistant: Assistant, sounds: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a path was looked at")

    server = build(assistant)
    monkeypatch.setattr("earmark.library.probes.sources.stat", refuse)
    monkeypatch.setattr("earmark.library.probes.sources.open_source", refuse)
    for path in (str(sounds / "song_0.wav"), "/etc/passwd", "http://127.0.0.1/x", "../x", ""):
        for name in ("identify", "hum", "tag"):
            assert "must be a track's id" in call(server, name, recording=path)
        assert "must be a track's id" in call(server, "search", like=[path])
        assert "must be a track's id" in call(server, "search", text="x", unlike=[path])
        assert "must be a track's id" in call(server, "recommend", like=[path])


@pytest.mark.parametrize("assistant", [True], indirect=True)
def test_with_local_files_a_clip_of_this_computer_will_do(
    assistant: Assistant, sounds: Path, ids: dict[str, int]
) -> None:
    server = build(assistant)
    found = call(server, "identify", recording=f"{sounds / 'song_2.wav'}#3-9")
    assert found["hits"][0]["track"] == ids["song_2"]
    assert found["hits"][0]["path"] == str(sounds / "song_2.wav")
    assert "no such file" in call(server, "identify", recording="/nowhere.wav")


def test_mistakes_are_explained(assistant: Assistant, ids: dict[str, int]) -> None:
    server = build(assistant)
    assert "no track has the id 999" in call(server, "search", like=["999"])
    assert "melod" in call(server, "hum", recording=str(ids["song_0"]))
    assert isinstance(call(server, "tracks", where="duration <"), str)
    for arguments in ({"k": 0}, {"k": 10_000}, {"k": "many"}, {"like": "x"}):
        complaint = call(server, "search", **({"text": "x"} | arguments))
        assert isinstance(complaint, str), arguments


def test_answers_are_never_long(assistant: Assistant) -> None:
    assert len(assistant.tracks(k=10**9)["tracks"]) == 3
    track = assistant.library.list()[0]
    track = replace(track, info=replace(track.info, duration=1000.0))
    assistant._moment = lambda _: (track, 0.0, None)  # type: ignore[method-assign]
    with pytest.raises(QueryError, match="60 s at most"):
        assistant.sound("1", 0.0, 61.0, "wav")


# --- over a pipe -------------------------------------------------------------------------------


def command(home: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "earmark", "-l", str(home), "mcp", *options]


def environment() -> dict[str, str]:
    return {n: v for n, v in os.environ.items() if not n.startswith("EARMARK_")}


def test_over_standard_input_and_output(home: Path, sounds: Path, ids: dict[str, int]) -> None:
    program, *arguments = command(home)
    server = StdioServerParameters(command=program, args=arguments, env=environment())

    async def conversation(client: Client) -> None:
        assert client.server_info is not None
        assert client.server_info.name == "earmark"
        found = await client.call_tool("search", {"text": "song_2", "k": 1})
        assert found.structured_content is not None
        hit = found.structured_content["hits"][0]
        assert hit["track"] == ids["song_2"]
        clip = {"recording": f"{sounds / 'song_1.wav'}#2-8"}
        named = await client.call_tool("identify", clip)
        assert named.structured_content is not None
        assert named.structured_content["hits"][0]["track"] == ids["song_1"]
        heard = await client.read_resource(hit["audio"])
        assert len(heard.contents[0].blob) > 1000  # type: ignore[union-attr]

    talk(server, conversation)


def test_a_library_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    done = subprocess.run(
        command(tmp_path / "none"), capture_output=True, text=True, check=False, input=""
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")


# --- over HTTP ---------------------------------------------------------------------------------


@pytest.fixture
def url(home: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = getattr(request, "param", "")
    process = subprocess.Popen(
        command(home, "--http", "--port", str(port)),
        env=environment() | ({"EARMARK_TOKEN_READ": token} if token else {}),
        stderr=subprocess.PIPE,
    )
    address = f"http://127.0.0.1:{port}/mcp"
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
            break
        except OSError:
            assert process.poll() is None, process.stderr.read() if process.stderr else ""
            time.sleep(0.1)
    yield address
    process.terminate()
    process.wait(20)
    if process.stderr is not None:
        process.stderr.close()


def post(url: str, **headers: str) -> httpx.Response:
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    accept = {"accept": "application/json, text/event-stream"}
    return httpx.post(url, json=body, headers=accept | headers, timeout=20)


def test_over_http(url: str, sounds: Path, ids: dict[str, int]) -> None:
    found = call(url, "search", text="song_0", k=1)
    assert found["hits"][0]["track"] == ids["song_0"]
    refused = call(url, "identify", recording=str(sounds / "song_0.wav"))
    assert "must be a track's id" in refused
    assert post(url, host="evil.example").status_code == 421
    assert post(url, origin="http://evil.example").status_code == 403
    assert "content-security-policy" in post(url).headers


@pytest.mark.parametrize("url", [TOKEN], indirect=True)
def test_over_http_with_a_token(url: str) -> None:
    assert post(url).status_code == 401
    assert post(url, authorization="Bearer something-else").status_code == 401
    assert post(url, authorization=f"Bearer {TOKEN}").status_code != 401


def test_over_http_questions_are_short(url: str, ids: dict[str, int]) -> None:
    accept = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
    long = b'{"jsonrpc": "2.0", "id": 1, "method": "' + b"x" * 1_100_000 + b'"}'
    refused = httpx.post(url, content=long, headers=accept, timeout=20)
    assert refused.status_code == 413
    assert "at most 1000000 bytes" in refused.json()["detail"]
    pieces = (long[at : at + 100_000] for at in range(0, len(long), 100_000))
    assert httpx.post(url, content=pieces, headers=accept, timeout=20).status_code == 413
    for bad in (b"", b"{", b"[1]", b"\xff", b'{"jsonrpc": "2.0", "method": 3}'):
        assert 400 <= httpx.post(url, content=bad, headers=accept, timeout=20).status_code < 500
    assert call(url, "search", text="song_0", k=1)["hits"]


def test_beyond_this_machine_a_token_is_needed(home: Path) -> None:
    done = subprocess.run(
        command(home, "--http", "--host", "0.0.0.0"),
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
    )
    assert done.returncode == 2
    assert "token" in done.stderr
