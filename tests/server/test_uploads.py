"""Uploads of every bad kind: a reason, never a fault, and nothing left on disk."""

from __future__ import annotations

import io
import os
import signal
import socket
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from test_api import API, problem, wav

import audio_factory as af
from earmark.errors import DecodeError, WorkerLost
from earmark.server.media.pool import MediaPool
from earmark.server.media.tasks import DecodeUpload, TooLong
from earmark.server.protocol import PatientProtocol
from serving import serving

WAYS = ("search", "identify")


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """A folder for temporary files that must be empty again afterwards."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield folder
    assert [p for p in folder.rglob("*") if p.is_file()] == []
    monkeypatch.setattr(tempfile, "tempdir", None)


@pytest.fixture
def small(asks, library, cache, temporary):
    """A server that takes little."""
    return asks(library, cache, max_upload=300_000, max_seconds=5.0, decode_seconds=5.0)


# --- refused -----------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_an_empty_upload(small, way):
    problem(small.post(f"{API}/{way}", content=b""), 422, "0 bytes")
    problem(small.post(f"{API}/{way}", files={"file": b""}), 422, "0 bytes")
    problem(small.post(f"{API}/{way}"), 422, "0 bytes")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "data",
    [
        b"not audio at all",
        b"\0" * 5000,
        b"RIFF\xff\xff\xff\xffWAVEfmt ",
        b"#EXTM3U\nhttp://127.0.0.1:1/a.wav\n",
        b"<?xml version='1.0'?><MPD></MPD>",
        b"file '/etc/passwd'\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b"PK\x03\x04" + b"\0" * 100,
        b"\x1f\x8b" + b"\0" * 100,
    ],
)
def test_what_is_no_sound(small, way, data):
    problem(small.post(f"{API}/{way}", content=data), 422)
    problem(small.post(f"{API}/{way}", files={"file": data}), 422)


def test_too_many_bytes(small):
    problem(small.post(f"{API}/search", content=b"a" * 300_001), 413, "300000 bytes")
    problem(small.post(f"{API}/search", files={"file": b"a" * 300_001}), 413)
    chunks = iter([b"a" * 100_000] * 4)  # no length is stated
    answer = small.post(f"{API}/search", content=chunks)
    problem(answer, 413)
    assert answer.headers["connection"] == "close"


def test_too_many_seconds(small, asks, library, cache, tmp_path):
    problem(small.post(f"{API}/search", content=wav(af.tone(seconds=6))), 413, "at most 5 s")
    # Two hours of nothing in a few kilobytes.
    path = af.encode(tmp_path / "long.flac", np.zeros(1000 * 7200, np.float32), 1000)
    large = asks(library, cache, max_upload=2_000_000, max_seconds=5.0)
    problem(large.post(f"{API}/search", content=path.read_bytes()), 413, "at most 5 s")
    problem(large.post(f"{API}/identify", content=path.read_bytes()), 413)


def test_silence_and_next_to_nothing(small):
    problem(small.post(f"{API}/search", content=wav(np.zeros(22050))), 422, "silence")
    problem(small.post(f"{API}/identify", content=wav(af.tone(seconds=0.1))), 422, "0.5 s")


def test_parts_that_are_wrong(small):
    problem(small.post(f"{API}/search", files={"other": b"abc"}), 422, "'file'")
    problem(small.post(f"{API}/search", files={"x": (None, "text")}), 422, "'file'")
    problem(small.post(f"{API}/search", files={"file": (None, "text")}), 422, "must be a file")
    both = [("file", ("a", b"abc")), ("file", ("b", b"abc"))]
    problem(small.post(f"{API}/search", files=both), 400)
    kind = {"content-type": "multipart/form-data"}
    problem(small.post(f"{API}/search", content=b"abc", headers=kind), 400)
    kind = {"content-type": "multipart/form-data; boundary=x"}
    problem(small.post(f"{API}/search", content=b"abc", headers=kind), 400)
    many = {f"x{n}": "1" for n in range(300)}
    problem(small.post(f"{API}/search", files={"file": b"abc"}, data=many), 400)
    for kind in ("text/html", "application/json", "application/x-www-form-urlencoded"):
        problem(small.post(f"{API}/search", content=b"a", headers={"content-type": kind}), 415)


@pytest.mark.parametrize(
    "values",
    [
        {"k": "0"},
        {"k": "many"},
        {"k": ["1", "2"]},
        {"like": "/etc/passwd"},
        {"oops": "1"},
        {"where": "a ="},
        {"explain": "perhaps"},
    ],
)
def test_values_beside_a_sound(small, values):
    clip = wav(af.tone(seconds=1))
    problem(small.post(f"{API}/search", files={"file": clip}, data=values), 422)


def test_names_in_a_form_open_nothing(small, tmp_path):
    secret = af.write_wav(tmp_path / "secret.wav", af.tone(seconds=1))
    upload = {"file": (str(secret), b"", "audio/wav")}
    problem(small.post(f"{API}/search", files=upload), 422, "0 bytes")
    problem(small.post(f"{API}/search", data={"audio": str(secret)}), 415)
    problem(small.get(f"{API}/search", params={"audio": str(secret)}), 422)
    for name in ("like_words", "unlike_words"):
        asked = {name: str(secret)} | ({"text": "ada"} if name == "unlike_words" else {})
        answer = small.get(f"{API}/search", params=asked)
        assert answer.status_code in (200, 422)
        assert all(hit["by"] == "metadata" for hit in answer.json().get("hits", []))


# --- decoders that fail ------------------------------------------------------------------------


class Fault(DecodeUpload):
    """Does to the worker what its bytes say."""

    def run(self):
        if self.data == b"crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        if self.data == b"spin":
            while True:
                pass
        if self.data == b"deaf":  # to the alarm that the worker has set for itself
            signal.signal(signal.SIGALRM, signal.SIG_IGN)
        if self.data in (b"sleep", b"deaf"):
            time.sleep(60)
        if self.data == b"eat":
            return bytearray(64 << 30)
        return super().run()


@pytest.fixture
def pool():
    made = MediaPool(1)
    yield made
    made.close()
    assert made.pids() == []


@pytest.mark.parametrize("deed", [b"crash", b"spin", b"sleep", b"deaf"])
def test_a_worker_that_is_lost_costs_its_own_question(pool, deed):
    with pytest.raises(WorkerLost, match=r"crashed|longer than"):
        pool.run(Fault(deed, 5.0), 0.5)
    sound = pool.run(DecodeUpload(wav(af.tone(seconds=1)), 5.0), 5.0)
    assert len(sound.samples) == 22050
    assert pool.lost == 1


def test_a_worker_that_wants_all_memory(pool):
    with pytest.raises(DecodeError, match="memory"):
        pool.run(Fault(b"eat", 5.0), 5.0)


def test_a_worker_killed_from_outside(pool):
    pool.run(DecodeUpload(wav(af.tone(seconds=1)), 5.0), 5.0)
    os.kill(pool.pids()[0], signal.SIGKILL)
    deadline = time.monotonic() + 5
    while pool.pids() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert pool.run(DecodeUpload(wav(af.tone(seconds=1)), 5.0), 5.0).sample_rate == 22050


def test_decoding_stops_at_the_limit(pool):
    assert isinstance(pool.run(DecodeUpload(wav(af.tone(seconds=9)), 5.0), 5.0), TooLong)


def test_high_rates_come_down(pool):
    sound = pool.run(DecodeUpload(wav(af.tone(seconds=1, sample_rate=96000), 96000), 5.0), 5.0)
    assert sound.sample_rate == 48000
    assert abs(len(sound.samples) - 48000) < 10


# --- fuzz --------------------------------------------------------------------------------------


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """A file with bytes changed, cut, doubled or moved."""
    array = np.frombuffer(data, np.uint8).copy()
    for _ in range(int(rng.integers(1, 8))):
        at, size = int(rng.integers(len(array))), int(rng.integers(1, 200))
        deed = rng.integers(4)
        if deed == 0:
            array[at : at + size] = rng.integers(0, 256, len(array[at : at + size]))
        elif deed == 1:
            array = np.delete(array, slice(at, min(at + size, at + len(array) - 1)))
        elif deed == 2:
            array = np.insert(array, at, array[at : at + size])
        else:
            array = array[: max(16, at)]
    return array.tobytes()


SUFFIXES = (".wav", ".mp3", ".ogg", ".flac", ".m4a", ".webm", ".opus", ".aiff", ".wma")


def fuzz(client, tmp_path: Path, rounds: int) -> None:
    rng = np.random.default_rng(7)
    sound = np.concatenate([af.tone(seconds=1), af.noise(seconds=1)])
    for suffix in SUFFIXES:
        path = af.encode(tmp_path / f"x{suffix}", sound, 48000)
        data = path.read_bytes()
        for _ in range(rounds):
            answer = client.post(f"{API}/search?k=1", content=damaged(data, rng))
            assert answer.status_code in (200, 413, 422), answer.text
            assert answer.json()


def test_damaged_uploads_get_an_answer(small, tmp_path):
    fuzz(small, tmp_path, 2)


@pytest.mark.slow
def test_many_damaged_uploads_get_an_answer(small, tmp_path):
    fuzz(small, tmp_path, 60)


# --- on the wire -------------------------------------------------------------------------------


@pytest.fixture
def wire(library, cache, temporary, monkeypatch):
    """The host and port of a server without patience."""
    monkeypatch.setattr(PatientProtocol, "head_seconds", 0.5)
    with serving(library, settings=cache, patience=0.5, max_upload=1_000_000) as url:
        parts = urlsplit(url)
        yield parts.hostname, parts.port


def say(wire, data: bytes, *, wait: float = 5.0) -> bytes:
    """What the server answers to bytes, until it hangs up."""
    with socket.create_connection(wire, timeout=wait) as link:
        link.sendall(data)
        answer = b""
        while chunk := link.recv(65536):
            answer += chunk
    return answer


def alive(wire) -> bool:
    request = b"GET /api/v1/random?k=1 HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    return say(wire, request).startswith(b"HTTP/1.1 200")


def head(length: int, kind: str = "audio/wav") -> bytes:
    return (
        f"POST /api/v1/search HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {length}\r\n\r\n"
    ).encode()


def test_a_client_that_says_nothing_is_hung_up_on(wire):
    assert say(wire, b"") == b""
    assert say(wire, b"GET / HTTP/1.1\r\nHost:") == b""
    assert alive(wire)


def test_headers_without_end(wire):
    with socket.create_connection(wire, timeout=5) as link:
        link.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        with pytest.raises(OSError):  # noqa: PT012 - it may take some lines
            for number in range(10_000):
                link.sendall(b"X-%d: %s\r\n" % (number, b"a" * 200))
    assert alive(wire)


def test_a_body_that_does_not_come(wire):
    answer = say(wire, head(1000) + b"RIFF")
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"took too long" in answer
    form = say(wire, head(1000, "multipart/form-data; boundary=x") + b"--x\r\n")
    assert form.startswith(b"HTTP/1.1 408")
    assert alive(wire)


def test_a_body_that_is_said_to_be_too_long_is_not_waited_for(wire):
    for length in (1_000_001, 10**15):
        answer = say(wire, head(length))
        assert answer.startswith(b"HTTP/1.1 413"), answer
    assert alive(wire)


def test_uploads_that_are_given_up(wire):
    body = b"--x\r\nContent-Disposition: form-data; name=file; filename=a\r\n\r\n" + b"a" * 50_000
    for kind in ("audio/wav", "multipart/form-data; boundary=x"):
        for _ in range(5):
            with socket.create_connection(wire, timeout=5) as link:
                link.sendall(head(900_000, kind) + body)
    assert alive(wire)


def test_a_hundred_slow_clients_stop_nobody(wire):
    links = [socket.create_connection(wire, timeout=5) for _ in range(100)]
    try:
        for link in links[::2]:
            link.sendall(b"POST /api/v1/search HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        for link in links[1::2]:
            link.sendall(head(1000) + b"R")
        assert alive(wire)
        deadline = time.monotonic() + 10
        gone = 0
        for link in links:
            link.settimeout(max(0.1, deadline - time.monotonic()))
            data = b""
            while chunk := link.recv(4096):
                data += chunk
            gone += data == b"" or data.startswith(b"HTTP/1.1 408")
        assert gone == 100
    finally:
        for link in links:
            link.close()
    assert alive(wire)


def test_bytes_that_are_no_request(wire):
    for data in (b"\x16\x03\x01\x02\0", b"HELO\r\n\r\n", b"GET\r\n\r\n", os.urandom(500)):
        assert not say(wire, data + b"\r\n\r\n").startswith(b"HTTP/1.1 200")
    assert alive(wire)


def test_many_at_once(wire, music):
    clip = (music / "Ada" / "First" / "1.flac").read_bytes()
    request = head(len(clip), "audio/flac").replace(
        b"HTTP/1.1\r\n", b"HTTP/1.1\r\nConnection: close\r\n"
    )
    answers: list[bytes] = []

    def ask() -> None:
        answers.append(say(wire, request + clip, wait=30).split(b"\r\n")[0])

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [b"HTTP/1.1 200 OK"] * 20


def test_a_multipart_body_may_be_large_without_a_file_on_disk(small):
    sound = wav(af.tone(seconds=4))
    answer = small.post(f"{API}/search", files={"file": io.BytesIO(sound)})
    assert answer.status_code == 200
