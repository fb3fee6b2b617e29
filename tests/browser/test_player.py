"""The player: one answer after another, parts of a sound, how loud, and what is taken along."""

from __future__ import annotations

import io
import re
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import Stand, Tab, until
from .test_search import titles

pytestmark = pytest.mark.browser


def track_of(tab: Tab, name: str) -> dict[str, Any]:
    tracks = tab.site.json("/api/v1/tracks?limit=1000")["tracks"]
    found: dict[str, Any] = next(t for t in tracks if Path(t["path"]).name == name)
    return found


def playing(page: Any, title: str) -> None:
    page.get_by_role("region", name="Player").get_by_role("heading", name=title).wait_for()


def seconds_of(data: bytes) -> float:
    with wave.open(io.BytesIO(data)) as sound:
        return sound.getnframes() / sound.getframerate()


def select(page: Any, start: str, end: str) -> None:
    fields = page.get_by_role("group", name="Selected part").get_by_role("spinbutton")
    for field, value in ((fields.nth(1), end), (fields.first, start)):
        field.fill(value)
        page.keyboard.press("Enter")
    page.locator("#main").focus()  # keys are the player's again


def test_next_and_previous_follow_the_list(tab: Tab) -> None:
    page = tab.open("/?q=kick")
    first, second, third = titles(page)[:3]
    page.keyboard.press("j")
    page.keyboard.press("Space")
    playing(page, first)
    page.keyboard.press("n")
    playing(page, second)
    page.get_by_role("button", name="Next answer").click()
    playing(page, third)
    assert page.locator(".row[aria-current=true] h2").inner_text() == third
    page.keyboard.press("p")
    playing(page, second)


def test_the_next_answer_plays_by_itself_where_that_is_wanted(tab: Tab) -> None:
    page = tab.open("/?q=kick")
    first, second = titles(page)[:2]
    third = titles(page)[2]
    asked: list[str] = []
    page.on("request", lambda r: asked.append(r.url) if "/audio" in r.url else None)
    page.keyboard.press("a")
    page.keyboard.press("j")
    page.keyboard.press("Space")
    playing(page, second)
    playing(page, third)
    tracks = [re.search(r"tracks/(\d+)/", url)[1] for url in asked]
    assert list(dict.fromkeys(tracks))[:3] == [
        str(hit["track"]) for hit in tab.site.json("/api/v1/search?text=kick&k=3")["hits"]
    ]
    page.reload()
    titles(page)
    page.keyboard.press("j")
    page.keyboard.press("Space")
    page.get_by_role("button", name="Play on after each answer", pressed=True).wait_for()
    playing(page, first)


def test_a_search_does_not_stop_what_plays(tab: Tab) -> None:
    page = tab.open("/?q=song")
    page.locator(".row .play").first.click()
    until(page, "document.querySelector('.dock .time')?.textContent > '0:00.2'")
    page.get_by_role("searchbox").fill("flute")
    page.keyboard.press("Enter")
    page.locator(".row h2", has_text="flute").first.wait_for()
    playing(page, "song")
    page.get_by_role("region", name="Player").get_by_role("button", name="Pause").wait_for()


def test_how_loud_is_kept(tab: Tab) -> None:
    page = tab.open("/?q=song")
    page.locator(".row .play").first.click()
    volume = page.get_by_role("slider", name="Volume")
    volume.wait_for()
    page.keyboard.press("-")
    page.keyboard.press("-")
    assert volume.input_value() == "0.8"
    page.reload()
    page.locator(".row .play").first.click()
    assert volume.input_value() == "0.8"
    page.get_by_role("button", name="Mute").click()
    assert volume.input_value() == "0"


def test_a_selected_part_is_played_over_and_over(tab: Tab) -> None:
    page = tab.open("/?q=song")
    page.locator(".row .play").first.click()
    playing(page, "song")
    select(page, "5.0", "5.5")
    page.locator(".dock .selection").get_by_role("button", name="Play the selection").click()
    page.get_by_role("button", name="Repeat").click()
    seen = set()
    for _ in range(60):
        seen.add(page.locator(".dock .time").inner_text().split()[0])
        page.wait_for_timeout(40)
    assert min(seen) >= "0:05.0"
    assert max(seen) <= "0:06.5"
    page.get_by_role("button", name="Repeat").click()
    page.get_by_role("region", name="Player").get_by_role(
        "button", name="Play", exact=True
    ).wait_for()


def test_the_selected_part_is_saved_and_dragged_as_a_file(tab: Tab) -> None:
    page = tab.open("/?q=song")
    page.locator(".row .play").first.click()
    playing(page, "song")
    select(page, "5.0", "7.5")
    with page.expect_download() as saved:
        page.keyboard.press("s")
    assert saved.value.suggested_filename == "song 5.00-7.50.wav"
    assert abs(seconds_of(Path(saved.value.path()).read_bytes()) - 2.5) < 0.01
    dragged = page.locator(".dock .drag").evaluate(
        "link => { const data = new DataTransfer();"
        " link.dispatchEvent(new DragEvent('dragstart', { dataTransfer: data, bubbles: true }));"
        " return data.getData('DownloadURL') }"
    )
    kind, name, url = dragged.split(":", 2)
    assert (kind, name) == ("audio/wav", "song 5.00-7.50.wav")
    assert abs(seconds_of(page.request.get(url).body()) - 2.5) < 0.01


def test_a_waveform_is_looked_at_from_near(tab: Tab) -> None:
    page = tab.open("/?q=song")
    page.locator(".row .play").first.click()
    zoom = page.get_by_role("group", name="What the waveform shows")
    zoom.wait_for(state="attached")
    assert page.locator(".overview").count() == 0
    with page.expect_request(re.compile(r"/peaks\?.*start=.*end=")):
        zoom.get_by_role("button", name="Closer").click()
    page.locator(".overview .window").wait_for()
    until(page, "document.querySelector('.dock-wave > div')?.shadowRoot")
    box = page.locator(".dock-wave").bounding_box()
    page.mouse.move(box["x"] + 300, box["y"] + 20)
    with page.expect_request(re.compile(r"/peaks\?.*start=.*end=")):
        page.mouse.wheel(0, -400)
    zoom.get_by_role("button", name="The whole sound").click()
    page.locator(".overview").wait_for(state="detached")


def test_a_small_moment_of_a_long_sound_is_shown_from_near(tab: Tab) -> None:
    track = track_of(tab, "song.wav")["track"]
    page = tab.open(f"/?moment={track}%2330-30.4")
    page.locator(".overview .window").wait_for()
    shown = page.locator(".zoom .muted").inner_text()
    assert shown == "0:20.2 – 0:40.2" or shown.endswith(("0:39.9", "0:40.0"))
    until(page, "document.querySelector('.dock-wave > div')?.shadowRoot")


def test_what_was_taken_away_comes_back(tab: Tab) -> None:
    page = tab.open("/?q=kick")
    titles(page)
    page.get_by_role("button", name="Collect", exact=True).click()
    page.keyboard.press("b")
    crate = page.get_by_role("complementary", name="Collection")
    gathered = crate.get_by_role("listitem").count()
    assert gathered > 1
    crate.get_by_role("button", name="Empty").click()
    crate.get_by_text("Nothing yet").wait_for()
    page.get_by_role("button", name="Undo").click()
    crate.get_by_role("listitem").first.wait_for()
    assert crate.get_by_role("listitem").count() == gathered


def test_notes_without_a_sound_are_said_to_be_such(tab: Tab, answers: Stand) -> None:
    sound = track_of(tab, "song.wav") | {"path": "/tunes/old.mid", "title": ""}
    hit = sound | {"score": 0.9, "start": 0.0, "end": 8.0, "by": "melody"}
    answers(tab, "search?*", {"query": {}, "hits": [hit]})
    tab.page.route("**/audio*", lambda route: route.fulfill(status=422, json={}))
    page = tab.open("/?q=old")
    page.locator(".row", has_text="notes, no sound").wait_for()
    page.locator(".row .play").first.click()
    page.get_by_role("alert").get_by_text("old cannot be played").wait_for()


def test_a_phone_has_room_for_player_and_answers(new_tab: Callable[..., Tab]) -> None:
    page = new_tab(phone=True).open("/?q=flute")
    titles(page)
    page.locator(".row .play").first.click()
    dock = page.get_by_role("region", name="Player")
    dock.wait_for()
    assert dock.bounding_box()["height"] < 844 * 0.25
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_part_is_selected_with_a_finger(new_tab: Callable[..., Tab]) -> None:
    page = new_tab(phone=True).open("/?q=song")
    page.locator(".row .what").first.tap()
    playing(page, "song")
    until(page, "document.querySelector('.dock-wave > div')?.shadowRoot?.querySelector('canvas')")
    box = page.locator(".dock-wave").bounding_box()
    hand = page.context.new_cdp_session(page)

    def touch(kind: str, *at: float) -> None:
        points = [{"x": box["x"] + x, "y": box["y"] + 20} for x in at]
        hand.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        page.wait_for_timeout(25)

    touch("touchStart", 80)
    page.wait_for_timeout(500)  # a finger that rests selects, one that passes does not
    for x in range(85, 200, 5):
        touch("touchMove", x)
    touch("touchEnd")
    page.get_by_role("button", name="More like this moment").tap()
    page.wait_for_url(re.compile(r"like=\d+%23\d"))
