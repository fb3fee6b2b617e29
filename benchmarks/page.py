"""The page: what it weighs, how soon it can be used, how smoothly a large map moves.

    python benchmarks/page.py [--points 100000]

Drives Chromium without a graphics card (software rendering), against `earmark serve` on the
generated sounds.  Prints one JSON document:

- `kilobytes`: what came over the wire until the first answers were drawn, by kind;
- `interactive_ms`: from the request to a search box that takes a key (median of `--rounds`, each
  with an empty cache), and `answers_ms` until the first answers are drawn;
- `map`: frames a second while the map of `--points` points is dragged and zoomed, and the median
  cost of drawing one picture.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import runpy
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
INTERACTIVE = """new Promise(done => {
  const look = () => document.getElementById('q') ? done(performance.now())
                                                   : requestAnimationFrame(look);
  look(); })"""
FRAMES = """(seconds) => new Promise(done => {
  const times = []; const ends = performance.now() + seconds * 1000;
  const next = now => { times.push(now);
    if (now < ends) requestAnimationFrame(next); else done(times); };
  requestAnimationFrame(next); })"""


def serve(folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    """Index the generated sounds and serve them."""
    samples, library = folder / "samples", folder / "library"
    runpy.run_path(str(ROOT / "examples" / "make_samples.py"))["main"](samples)
    command = [sys.executable, "-m", "earmark"]
    env = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    index = [*command, "index", str(samples), "-l", str(library)]
    subprocess.run(index, env=env, check=True, capture_output=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [*command, "serve", "-l", str(library), "--port", str(port)],
        env=env,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    for _ in range(300):
        try:
            urllib.request.urlopen(f"{url}/api/v1/health").close()
            return process, url
        except OSError:
            time.sleep(0.1)
    raise SystemExit("the server does not answer")


def landscape(points: int, tracks: list[int]) -> dict[str, Any]:
    """A map of this many points in twelve regions."""
    draw = random.Random(3)
    centres = [(draw.uniform(-10, 10), draw.uniform(-6, 6)) for _ in range(12)]
    cluster = [draw.randrange(12) for _ in range(points)]
    return {
        "points": {
            "track": [tracks[i % len(tracks)] for i in range(points)],
            "x": [round(draw.gauss(centres[c][0], 1.2), 4) for c in cluster],
            "y": [round(draw.gauss(centres[c][1], 1.2), 4) for c in cluster],
            "cluster": cluster,
        },
        "clusters": [
            {"id": i, "name": f"region {i}", "x": x, "y": y, "size": cluster.count(i)}
            for i, (x, y) in enumerate(centres)
        ],
    }


def first_page(browser: Any, url: str, rounds: int) -> dict[str, Any]:
    """Weight and speed of the first page, each time with an empty cache."""
    soon, drawn, weights = [], [], {}
    for _ in range(rounds):
        context = browser.new_context(viewport={"width": 1280, "height": 860})
        page = context.new_page()
        page.goto(url, wait_until="commit")
        soon.append(page.evaluate(INTERACTIVE))
        page.locator(".wave.there").first.wait_for()
        drawn.append(page.evaluate("performance.now()"))
        entries = page.evaluate(
            "[...performance.getEntriesByType('navigation'),"
            " ...performance.getEntriesByType('resource')]"
            ".map(e => [e.name, e.transferSize])"
        )
        weights = {"page": 0.0, "data": 0.0}
        for name, size in entries:
            weights["data" if "/api/" in name else "page"] += size / 1000
        context.close()
    return {
        "kilobytes": {kind: round(size, 1) for kind, size in weights.items()},
        "interactive_ms": round(statistics.median(soon)),
        "answers_ms": round(statistics.median(drawn)),
    }


def map_speed(browser: Any, url: str, points: int) -> dict[str, Any]:
    """Drag and zoom a large map for a few seconds."""
    with urllib.request.urlopen(f"{url}/api/v1/tracks?limit=100") as answer:
        tracks = [track["track"] for track in json.load(answer)["tracks"]]
    document = landscape(points, tracks)
    page = browser.new_context(viewport={"width": 1280, "height": 860}).new_page()
    page.route("**/api/v1/map", lambda route: route.fulfill(json=document))
    page.goto(f"{url}/?view=map")
    box = page.locator(".landscape")
    box.wait_for()
    page.wait_for_timeout(1500)
    drawn = int(box.get_attribute("data-frames"))
    # The pointer is moved by the page itself, once a frame: the driver's own speed stays out of it.
    page.evaluate(MOVE)
    times = page.evaluate(FRAMES, 5)
    page.evaluate("window.stopMoving()")
    pictures = int(box.get_attribute("data-frames")) - drawn
    costs = page.evaluate("window.costs")
    seconds = (times[-1] - times[0]) / 1000
    return {
        "points": points,
        "frames_per_second": round((len(times) - 1) / seconds, 1),
        "pictures_per_second": round(pictures / seconds, 1),
        "picture_ms": round(statistics.median(costs), 1),
    }


MOVE = """() => {
  const box = document.querySelector('.landscape'); const at = box.getBoundingClientRect();
  let moving = true, n = 0; window.costs = []; window.stopMoving = () => { moving = false; };
  const send = (kind, x, y) => box.dispatchEvent(new PointerEvent(kind, { pointerId: 1,
    clientX: at.left + x, clientY: at.top + y, button: 0, bubbles: true, isPrimary: true }));
  box.setPointerCapture = () => {};
  send('pointerdown', 300, 200);
  const step = () => { if (!moving) return; n += 1;
    send('pointermove', 300 + 200 * Math.sin(n / 20), 200 + 80 * Math.cos(n / 20));
    if (n % 3 === 0) box.dispatchEvent(new WheelEvent('wheel', { deltaY: n % 120 < 60 ? -30 : 30,
      clientX: at.left + 300, clientY: at.top + 200, bubbles: true, cancelable: true }));
    window.costs.push(Number(box.dataset.cost)); requestAnimationFrame(step); };
  requestAnimationFrame(step); }"""


def main() -> None:
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        process, url = serve(Path(folder))
        browser = driver.chromium.launch(executable_path=chromium, args=FLAGS)
        try:
            result = first_page(browser, url, asked.rounds)
            result["map"] = map_speed(browser, url, asked.points)
            result["load"] = round(os.getloadavg()[0], 1)
        finally:
            browser.close()
            process.terminate()
            process.wait(20)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
