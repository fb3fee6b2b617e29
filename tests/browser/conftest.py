"""A real browser, and a real `earmark serve` on generated recordings.

What a library cannot answer yet (no hums indexed, no map made) is answered by `answers`, a fixture
that stands in for single addresses; everything else is the server's.
"""

from __future__ import annotations

import json
import os
import runpy
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
MICROPHONE = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")


def chromium() -> str | None:
    """Return the browser to drive: Debian's, or whatever is called so."""
    names = ("/usr/bin/chromium", "chromium", "chromium-browser", "google-chrome")
    return next((found for name in names if (found := shutil.which(name))), None)


@pytest.fixture(scope="package")
def driver() -> Iterator[Any]:
    """Playwright, or a skip that says what is missing."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if chromium() is None:
        pytest.skip("no Chromium was found")
    with sync_api.sync_playwright() as started:
        yield started


@dataclass
class Site:
    """A server that runs: its address, and the sounds that it serves."""

    url: str
    samples: Path
    library: Path
    process: subprocess.Popen[bytes] = field(repr=False)

    def json(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path, timeout=30) as answer:
            return json.load(answer)

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()


def environment(folder: Path) -> dict[str, str]:
    own = {"EARMARK_CACHE": str(folder / "cache"), "EARMARK_TIMBRE_PROFILE": "default"}
    kept = {k: v for k, v in os.environ.items() if not k.startswith("EARMARK_")}
    return kept | own | {"PYTHONPATH": str(ROOT / "src")}


def earmark(folder: Path, *arguments: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "earmark", *arguments],
        cwd=folder,
        env=environment(folder),
        check=True,
        capture_output=True,
        timeout=300,
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(folder: Path, library: Path, samples: Path, *options: str, token: str = "") -> Site:
    """Start `earmark serve` and wait until it answers."""
    port = free_port()
    extra = {"EARMARK_TOKEN_READ": token} if token else {}
    log = (folder / "serve.log").open("wb")
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "earmark",
            "serve",
            "-l",
            str(library),
            "--port",
            str(port),
            *options,
        ],
        cwd=folder,
        env=environment(folder) | extra,
        stdout=log,
        stderr=log,
    )
    site = Site(f"http://127.0.0.1:{port}", samples, library, process)
    for _ in range(300):
        if process.poll() is not None:
            said = (folder / "serve.log").read_text()
            if "earmark[server]" in said:
                pytest.skip("the packages of the extra `server` are not installed")
            raise RuntimeError(f"earmark serve ended: {said}")
        try:
            site.json("/api/v1/health")
        except OSError:
            time.sleep(0.1)
        else:
            return site
    raise RuntimeError("earmark serve does not answer")


def song(path: Path, *, seconds: float = 40.0, rate: int = 22050) -> None:
    """Write chords that never come back: music that can be told from all other."""
    rng = np.random.default_rng(7)
    parts, step = [], int(0.35 * rate)
    t = np.arange(step) / rate
    for _ in range(int(seconds * rate) // step):
        pitches = rng.choice(np.arange(45, 82), 3, replace=False)
        tones = [
            np.sin(2 * np.pi * 440 * 2 ** ((p - 69) / 12) * h * t) / h
            for p in pitches
            for h in (1, 2, 3, 4)
        ]
        strike = rng.normal(0, 0.25, step) * np.exp(-t / 0.02)
        parts.append(sum(tones) * np.exp(-t / 0.3) / 6 + strike)
    sound = np.clip(np.concatenate(parts), -1, 1)
    with wave.open(str(path), "wb") as out:
        out.setparams((1, 2, rate, 0, "NONE", ""))
        out.writeframes((sound * 30000).astype(np.int16).tobytes())


@pytest.fixture(scope="package")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page") / "samples"
    runpy.run_path(str(ROOT / "examples" / "make_samples.py"))["main"](folder)
    song(folder / "song.wav")
    return folder


@pytest.fixture(scope="package")
def site(driver: Any, samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The generated sounds, indexed by timbre and fingerprint, served."""
    folder = tmp_path_factory.mktemp("site")
    library = folder / "library"
    earmark(folder, "index", str(samples), "-l", str(library), "--encoders", "timbre,fingerprint")
    running = start(folder, library, samples, "--root", f"drums={samples / 'drums'}")
    yield running
    running.stop()


@dataclass
class Tab:
    """A page of the browser, what it complained of, and the site under it."""

    page: Any
    site: Site
    errors: list[str]

    def open(self, path: str = "/") -> Any:
        self.page.goto(self.site.url + path)
        return self.page


def watched(context: Any, site: Site) -> Tab:
    tab = Tab(context.new_page(), site, [])

    def heard(message: Any) -> None:
        refused = "Failed to load resource" in message.text
        if message.type == "error" and not refused:
            tab.errors.append(message.text)

    tab.page.on("console", heard)
    tab.page.on("pageerror", lambda error: tab.errors.append(str(error)))
    tab.page.set_default_timeout(40_000)
    return tab


@pytest.fixture(scope="package")
def browser(driver: Any) -> Iterator[Any]:
    opened = driver.chromium.launch(executable_path=chromium(), args=list(FLAGS))
    yield opened
    opened.close()


@pytest.fixture
def new_tab(browser: Any, site: Site) -> Iterator[Callable[..., Tab]]:
    """Open tabs: `dark=True`, `phone=True`; whatever the console says at the end is a failure."""
    contexts, tabs = [], []

    def make(*, dark: bool = False, phone: bool = False, at: Site | None = None) -> Tab:
        context = browser.new_context(
            viewport={"width": 390, "height": 844} if phone else {"width": 1280, "height": 860},
            has_touch=phone,
            color_scheme="dark" if dark else "light",
            accept_downloads=True,
        )
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        contexts.append(context)
        tabs.append(watched(context, at or site))
        return tabs[-1]

    yield make
    said = [error for tab in tabs for error in tab.errors]
    for context in contexts:
        context.close()
    assert said == []


@pytest.fixture
def tab(new_tab: Callable[..., Tab]) -> Tab:
    return new_tab()


def until(page: Any, expression: str, seconds: float = 45) -> None:
    """Wait until it holds; from out here, since the page's policy refuses evaluated strings."""
    ends = time.monotonic() + seconds
    while not page.evaluate(expression):
        if time.monotonic() > ends:
            raise TimeoutError(f"never came true: {expression}")
        page.wait_for_timeout(50)


Listening = Callable[..., Tab]


@pytest.fixture
def microphone(driver: Any, request: pytest.FixtureRequest) -> Iterator[Listening]:
    """A tab whose microphone hears a wav file, over and over."""
    opened = []

    def make(wav: Path, at: Site | None = None) -> Tab:
        heard = f"--use-file-for-fake-audio-capture={wav}"
        flags = [*FLAGS, *MICROPHONE, heard]
        opened.append(driver.chromium.launch(executable_path=chromium(), args=flags))
        context = opened[-1].new_context(permissions=["microphone"])
        return watched(context, at or request.getfixturevalue("site"))

    yield make
    for one in opened:
        one.close()


Stand = Callable[[Tab, str, Any], None]


@pytest.fixture
def answers() -> Stand:
    """Let an address of the API answer with this document (or this problem, with its status)."""

    def stand(tab: Tab, path: str, document: Any) -> None:
        status = document["status"] if "title" in document and "status" in document else 200
        tab.page.route(
            f"**/api/v1/{path}",
            lambda route: route.fulfill(status=status, json=document),
        )

    return stand
