"""Nobody is left out: axe finds no violation, in both themes and at phone width."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import Stand, Tab, until
from .test_views import able, landscape

pytestmark = pytest.mark.browser

LOOKS = [(False, False), (True, False), (False, True), (True, True)]
NAMES = ["light", "dark", "light phone", "dark phone"]


def violations(page: Any) -> list[str]:
    """What axe complains of, one line for each element."""
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe is not installed"
    )
    found = axe.Axe().run(page).response["violations"]
    return [
        f"{rule['id']}: {node['html'][:150]} {node.get('failureSummary', '')[:200]}"
        for rule in found
        for node in rule["nodes"]
    ]


@pytest.mark.parametrize(("dark", "phone"), LOOKS, ids=NAMES)
def test_answers_and_player(new_tab: Callable[..., Tab], dark: bool, phone: bool) -> None:
    page = new_tab(dark=dark, phone=phone).open("/?like=1&a.pitch=0.5")
    page.locator(".row .play").first.click()
    page.get_by_role("region", name="Player").wait_for()
    page.keyboard.press("l")
    if not phone:
        page.get_by_role("button", name="Spectrogram").click()
    page.wait_for_timeout(900)
    assert violations(page) == []


@pytest.mark.parametrize(("dark", "phone"), LOOKS, ids=NAMES)
def test_views(new_tab: Callable[..., Tab], answers: Stand, dark: bool, phone: bool) -> None:
    tab = new_tab(dark=dark, phone=phone)
    answers(tab, "library", able(tab.site, "map", "playlist", "duplicates"))
    answers(tab, "map", landscape(tab.site))
    a, b = tab.site.json("/api/v1/tracks?limit=2")["tracks"]
    times = {"a_start": 0.5, "a_end": 2.5, "b_start": 1.5, "b_end": 3.5}
    evidence = [
        {"a": a["track"], "b": b["track"], "kind": "same audio", "confidence": 0.97, **times}
    ]
    group = {"tracks": [a | {"keep": True}, b | {"keep": False}], "evidence": evidence}
    answers(tab, "duplicates", {"groups": [group]})
    for view in ("map", "playlist", "duplicates", "library"):
        page = tab.open(f"/?view={view}")
        page.locator("h1").wait_for()
        page.wait_for_timeout(500)
        assert violations(page) == [], view


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_dialogs_notices_and_the_collection(new_tab: Callable[..., Tab], dark: bool) -> None:
    page = new_tab(dark=dark).open("/?q=zzzzqqqxx&by=metadata")
    page.get_by_text("Nothing found").wait_for()
    page.keyboard.press("v")
    page.get_by_role("dialog").wait_for()
    assert violations(page) == []
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="hidden")
    page.keyboard.press("?")
    page.get_by_role("dialog").wait_for()
    assert violations(page) == []
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="hidden")
    page.keyboard.press("b")
    page.get_by_role("complementary", name="Collection").wait_for()
    assert violations(page) == []


@pytest.mark.parametrize(("dark", "phone"), LOOKS, ids=NAMES)
def test_an_example_a_tune_and_a_server_that_is_gone(
    new_tab: Callable[..., Tab], answers: Stand, samples: Path, dark: bool, phone: bool
) -> None:
    tab = new_tab(dark=dark, phone=phone)
    answers(tab, "library", able(tab.site, "hum") | {"advice": ["index more"], "failures": 1})
    times = [i / 10 for i in range(50)]
    contour = {"times": times, "target": [60.0] * 50, "query": [None, *([60.3] * 49)]}
    hit = tab.site.json("/api/v1/search?text=piece&k=1")["hits"][0]
    hit |= {"start": 0.0, "end": 5.0, "by": "melody", "contour": contour, "key_shift": 1.0}
    tunes = [hit, hit | {"path": "/tunes/old.mid", "track": 0}]
    answers(tab, "hum?*", {"query": {}, "hits": tunes, "notes": ["only what has a melody"]})
    page = tab.open()
    page.locator("input[type=file]").set_input_files(samples / "piece.wav")
    page.get_by_role("radio", name="Which tune?").check(force=True)
    page.locator("figure.contours").nth(1).wait_for()
    page.locator(".clip-player canvas").wait_for()
    assert violations(page) == []
    page.get_by_role("link", name="Library").click()
    page.get_by_text("What would make it answer more").click()
    assert violations(page) == []
    page.route("**/api/v1/**", lambda route: route.abort())
    page.get_by_role("searchbox").fill("x")
    page.keyboard.press("Enter")
    page.locator(".offline").wait_for()
    assert violations(page) == []


def test_what_happens_is_said(tab: Tab) -> None:
    page = tab.open("/?q=flute")
    status = page.locator(".results-head [role=status]")
    until(page, "/answers/.test(document.querySelector('.results-head [role=status]').textContent)")
    assert status.get_attribute("aria-live") == "polite"
    page.keyboard.press("j")
    page.keyboard.press("c")
    page.locator(".messages [role=status]", has_text="added to the collection").wait_for()


def test_all_is_reached_with_the_tabulator(tab: Tab) -> None:
    page = tab.open("/?q=flute")
    page.locator(".row").first.wait_for()
    reached = set()
    for _ in range(70):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate(
                "(e => e.id || e.getAttribute('aria-label') || e.textContent.trim())"
                "(document.activeElement)"
            )
        )
    assert {"q", "Like", "More like this", "Search", "Light or dark"} <= reached
