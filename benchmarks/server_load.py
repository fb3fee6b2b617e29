"""Clients of a server, light enough to share a machine with it: bytes over bare connections.

One event loop holds all clients.  A client sends prepared bytes over a connection of its own that
stays open, waits for the whole answer, and looks at no more of it than status and length.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

WORDS = 5000
_SYLLABLES = [a + b for a in "bdkmr" for b in "aeiou"]
_PATIENCE = 60.0


def word(rng: np.random.Generator) -> str:
    """One of some thousand words, a few of them in many titles and most in few (Zipf)."""
    number = int(min(rng.zipf(1.3), WORDS))
    return "".join(_SYLLABLES[number // 25**i % 25] for i in range(3))


@dataclass(frozen=True)
class Kind:
    """A kind of question: its share of all, and how the bytes of one are made."""

    name: str
    share: float
    make: Callable[[np.random.Generator], bytes]


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".encode()


def post(path: str, sound: bytes) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: audio/wav\r\n"
    return f"{head}content-length: {len(sound)}\r\n\r\n".encode() + sound


def kinds(clip: bytes, tracks: int, sounds: int) -> list[Kind]:
    """The mixture: what people do on the page, most of it searching."""

    def track(rng: np.random.Generator) -> int:
        return int(rng.integers(1, tracks))

    upload = post("/api/v1/search?k=10", clip)
    return [
        Kind("track", 0.40, lambda rng: get(f"/api/v1/search?like={track(rng)}&k=10")),
        Kind("upload", 0.20, lambda rng: upload),
        Kind("words", 0.15, lambda rng: get(f"/api/v1/search?text={word(rng)}+{word(rng)}&k=10")),
        Kind("list", 0.10, lambda rng: get(f"/api/v1/tracks?limit=50&offset={track(rng)}")),
        Kind("random", 0.10, lambda rng: get("/api/v1/random?k=10")),
        Kind("peaks", 0.05, lambda rng: get(f"/api/v1/tracks/{1 + track(rng) % sounds}/peaks")),
    ]


class _Connection(asyncio.Protocol):
    """Collects one answer at a time."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._need = -1
        self._status = 0
        self._answer: asyncio.Future[int] | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        if self._need < 0:
            end = self._data.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(self._data[:end]).lower()
            self._status = int(head[9:12])
            at = head.find(b"content-length:")
            size = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            self._need = end + 4 + size
        if len(self._data) >= self._need and self._answer is not None:
            self._answer.set_result(self._status)
            self._answer = None

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(OSError("the connection was closed"))
        self._answer = None

    def ask(self, request: bytes) -> asyncio.Future[int]:
        assert self.transport is not None
        self._data.clear()
        self._need = -1
        self._answer = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return self._answer


@dataclass
class Load:
    """Clients that ask one question after the other, and how long the answers took.

    Parameters
    ----------
    port : int
    kinds : list of Kind
    pause : float
        Mean seconds that a client waits before its next question (exponential); 0 for none.
    """

    port: int
    kinds: list[Kind]
    pause: float = 0.0
    times: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    errors: list[str] = field(default_factory=list)
    seconds: float = 0.0
    own_cpu: float = 0.0

    @property
    def asked(self) -> int:
        return sum(map(len, self.times.values()))

    def run(self, clients: int, seconds: float, *, most: float = float("inf")) -> None:
        """Ask from so many clients for so long, or until so many questions were answered."""
        began, cpu = time.monotonic(), time.process_time()
        asyncio.run(self._all(clients, seconds, most))
        self.seconds += time.monotonic() - began
        self.own_cpu += time.process_time() - cpu

    async def _all(self, clients: int, seconds: float, most: float) -> None:
        end = time.monotonic() + seconds
        before = self.asked

        def more() -> bool:
            return time.monotonic() < end and self.asked - before < most

        await asyncio.gather(*(self._client(number, more) for number in range(clients)))

    async def _client(self, seed: int, more: Callable[[], bool]) -> None:
        rng = np.random.default_rng(seed)
        shares = np.cumsum([kind.share for kind in self.kinds])
        loop = asyncio.get_running_loop()
        link: _Connection | None = None
        await asyncio.sleep(float(rng.random()) * (self.pause or 0.1))
        while more():
            kind = self.kinds[int(np.searchsorted(shares, rng.random() * shares[-1]))]
            request = kind.make(rng)
            began = time.perf_counter()
            try:
                if link is None or link.transport is None:
                    _, link = await loop.create_connection(_Connection, "127.0.0.1", self.port)
                status = await asyncio.wait_for(link.ask(request), _PATIENCE)
            except OSError as error:  # a time-out is one, too
                self.errors.append(f"{kind.name}: {error or type(error).__name__}")
                link = None
                continue
            if status != 200:
                self.errors.append(f"{kind.name}: {status}")
                continue
            self.times[kind.name].append(time.perf_counter() - began)
            if self.pause:
                await asyncio.sleep(float(rng.exponential(self.pause)))
        if link is not None and link.transport is not None:
            link.transport.close()

    def p95(self, name: str) -> float:
        """In milliseconds."""
        return 1000 * float(np.percentile(self.times[name], 95)) if self.times[name] else 0.0

    def report(self, name: str) -> None:
        """Print the figures."""
        own = self.own_cpu / max(self.seconds, 1e-9)
        print(
            f"{name}: {self.asked / max(self.seconds, 1e-9):.0f} questions a second, "
            f"{len(self.errors)} errors (the clients took {100 * own:.0f} % of a core)"
        )
        for kind, values in sorted(self.times.items()):
            ms = 1000 * np.array(values)
            p50, p95 = np.percentile(ms, [50, 95])
            print(f"  {kind:8} {len(ms):6} questions, p50 {p50:6.1f} ms, p95 {p95:6.1f} ms")
        for error in self.errors[:3]:
            print("  error:", error)
