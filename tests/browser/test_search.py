"""Journeys through the first view: words, examples, links, keys, likes, filters, errors."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import Site, Stand, Tab, earmark, start, until

pytestmark = pytest.mark.browser


def titles(page: Any) -> list[str]:
    page.locator(".rows:not(.loading)").wait_for()
    return [text.strip() for text in page.locator(".row h2").all_inner_texts()]


def sounding(page: Any) -> bool:
    until(page, "document.querySelector('.row.sounding')")
    return True


def test_the_first_page_lists_the_library_and_draws_waveforms(tab: Tab) -> None:
    page = tab.open()
    assert len(titles(page)) == 25
    page.locator(".results-head [role=status]", has_text="58 sounds").wait_for()
    page.locator(".row .wave.there").first.wait_for()
    until(
        page,
        "(c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some(v => v > 0))"
        "(document.querySelector('.row .wave.there canvas'))",
    )
    page.get_by_role("button", name="Show more").click()
    page.locator(".row").nth(49).wait_for(state="attached")
    assert len(titles(page)) == 50


def test_words_find_and_the_address_keeps_them(tab: Tab) -> None:
    page = tab.open()
    page.keyboard.press("/")
    page.keyboard.type("flute")
    page.keyboard.press("Enter")
    page.wait_for_url("**/?q=flute")
    found = titles(page)
    assert found
    assert all("flute" in title for title in found)
    page.get_by_role("searchbox").fill("snare")
    page.get_by_role("button", name="Search", exact=True).click()
    page.locator(".row h2", has_text="snare").first.wait_for()
    page.go_back()
    page.locator(".row h2", has_text="flute").first.wait_for()
    assert page.get_by_role("searchbox").input_value() == "flute"
    page.reload()
    assert titles(page) == found


def test_keys_walk_play_and_ask_for_more(tab: Tab) -> None:
    page = tab.open("/?q=kick")
    first, second = titles(page)[:2]
    page.keyboard.press("j")
    page.keyboard.press("j")
    assert page.locator(".row[aria-current=true] h2").inner_text() == second
    page.keyboard.press("k")
    assert page.locator(".row[aria-current=true] h2").inner_text() == first
    page.keyboard.press("Space")
    page.get_by_role("region", name="Player").get_by_role("heading", name=first).wait_for()
    page.keyboard.press("m")
    page.wait_for_url(re.compile(r"like="))
    assert any("kick" in title for title in titles(page)[:3])
    page.keyboard.press("?")
    page.get_by_role("dialog", name="Keys").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("dialog", name="Keys").wait_for(state="hidden")


def test_after_words_the_keys_mean_the_answers(tab: Tab) -> None:
    page = tab.open()
    titles(page)
    page.keyboard.press("/")
    page.keyboard.type("kick")
    page.keyboard.press("Enter")
    page.locator(".results-head h1", has_text="Answers").wait_for()
    first = titles(page)[0]
    page.keyboard.press("j")
    page.keyboard.press("Space")
    page.get_by_role("region", name="Player").get_by_role("heading", name=first).wait_for()
    assert page.get_by_role("searchbox").input_value() == "kick"


def test_all_sounds_come_in_the_order_that_is_asked_for(tab: Tab) -> None:
    page = tab.open()
    before = titles(page)
    page.get_by_label("Order").select_option(label="longest first")
    page.wait_for_url("**/?sort=-duration")
    until(page, f"document.querySelector('.row h2').textContent !== {before[0]!r}")
    by_length = tab.site.json("/api/v1/tracks?sort=-duration&limit=25")["tracks"]
    assert titles(page) == [t["title"] or Path(t["path"]).stem for t in by_length]
    page.get_by_role("button", name="Show more").click()
    page.locator(".row").nth(49).wait_for(state="attached")
    last = tab.site.json("/api/v1/tracks?sort=-duration&limit=50")["tracks"][-1]
    name = page.locator(".row h2").nth(49).text_content()
    assert name == (last["title"] or Path(last["path"]).stem)


def test_words_of_before_are_offered_and_forgotten(tab: Tab) -> None:
    page = tab.open()
    for words in ("flute", "snare"):
        page.get_by_role("searchbox").fill(words)
        page.keyboard.press("Enter")
        page.wait_for_url(f"**/?q={words}")
    page.get_by_role("link", name="earmark: all sounds").click()
    before = page.get_by_role("group", name="Searched before")
    assert before.locator(".chip").all_inner_texts() == ["snare", "flute"]
    before.get_by_role("button", name="flute").click()
    page.wait_for_url("**/?q=flute")
    page.go_back()
    before.get_by_role("button", name="Forget what was searched").click()
    before.wait_for(state="hidden")
    page.keyboard.press("z")
    before.wait_for()


def test_a_note_of_the_server_is_shown_until_it_is_closed(tab: Tab, answers: Stand) -> None:
    answers(tab, "search?*", {"query": {}, "hits": [], "notes": ["words were looked for in tags"]})
    page = tab.open("/?q=x")
    note = page.locator(".note", has_text="words were looked for in tags")
    note.get_by_role("button", name="Hide this note").click()
    note.wait_for(state="hidden")
    page.reload()
    page.get_by_text("Nothing found").wait_for()
    assert note.count() == 0


def test_answers_are_one_line_each_on_a_laptop(tab: Tab) -> None:
    page = tab.open("/?q=flute")
    titles(page)
    assert page.locator(".row").first.bounding_box()["height"] < 70
    waves = [row.bounding_box() for row in page.locator(".row .wave").all()]
    assert len({(box["x"], box["width"]) for box in waves}) == 1


def test_single_keys_can_be_switched_off(tab: Tab) -> None:
    page = tab.open()
    titles(page)
    page.keyboard.press("?")
    page.get_by_role("switch", name="Single keys are shortcuts").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    assert page.locator(".row[aria-current=true]").count() == 0


def test_a_click_plays_and_time_passes(tab: Tab) -> None:
    page = tab.open("/?q=piece")
    page.locator(".row", has_text="piece").click(position={"x": 120, "y": 20})
    assert sounding(page)
    until(page, "document.querySelector('.dock .time').textContent > '0:00.3'")
    page.keyboard.press("Escape")
    until(page, "!document.querySelector('.row.sounding')")


def test_a_dropped_file_is_an_example_whose_moment_is_marked(tab: Tab) -> None:
    page = tab.open()
    titles(page)
    page.locator("input[type=file]").set_input_files(tab.site.samples / "drums" / "snare_1.wav")
    page.locator(".asked", has_text="snare_1.wav").wait_for()
    page.locator(".results-head h1", has_text="Answers").wait_for()
    page.locator(".row .by").first.wait_for()
    assert "snare" in titles(page)[0]
    label = page.locator(".row canvas").first.get_attribute("aria-label")
    assert "the moment from" in label
    example = page.get_by_role("group", name="The example: snare_1.wav")
    example.locator("canvas").wait_for()
    example.get_by_role("button", name="Play the example").click()
    example.get_by_role("button", name="Pause the example").wait_for()


def test_a_file_that_is_no_sound_is_refused_with_a_reason(tab: Tab, tmp_path: Path) -> None:
    page = tab.open()
    titles(page)
    notes = tmp_path / "notes.txt"
    notes.write_text("not a sound")
    page.locator("input[type=file]").set_input_files(notes)
    page.get_by_role("alert").get_by_text("notes.txt is not audio").wait_for()
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF not really")
    page.locator("input[type=file]").set_input_files(broken)
    page.locator(".notice.bad").wait_for()
    assert len(page.locator(".notice.bad .notice-title").inner_text()) > 10


def test_a_link_to_a_moment_opens_it_and_is_an_example_when_pasted(tab: Tab) -> None:
    page = tab.open("/?q=piece")
    titles(page)
    page.keyboard.press("j")
    page.locator(".row.selected").get_by_role("button", name="Copy the link").click()
    page.get_by_text("Link to this moment copied").wait_for()
    link = page.evaluate("navigator.clipboard.readText()")
    assert "/?moment=" in link
    page.goto(link)
    page.get_by_role("region", name="Player").get_by_role("heading", name="piece").wait_for()
    assert titles(page)[0] == "piece"
    page.goto(tab.site.url)
    page.get_by_role("searchbox").fill(link)
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("moment="))
    page.get_by_role("list", name="The question").get_by_text("piece").wait_for()


def test_a_part_of_a_waveform_is_a_question(tab: Tab) -> None:
    page = tab.open("/?q=piece")
    page.locator(".row", has_text="piece").click(position={"x": 120, "y": 20})
    wave = page.locator(".dock-wave")
    until(page, "document.querySelector('.dock-wave > div')?.shadowRoot")
    page.wait_for_timeout(300)
    box = wave.bounding_box()
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.3, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.4, y, steps=8)
    page.mouse.up()
    start = page.get_by_label("From", exact=True)
    until(page, "Number(document.querySelector('.selection input').value) > 4")
    assert 4 < float(start.input_value()) < 8
    page.keyboard.press("m")
    page.wait_for_url(re.compile(r"like=\d+%23[456]\.?\d*-"))
    assert titles(page)


def test_likes_and_dislikes_make_a_question(tab: Tab) -> None:
    page = tab.open("/?q=flute")
    titles(page)
    page.keyboard.press("j")
    page.keyboard.press("l")
    page.keyboard.press("j")
    page.keyboard.press("u")
    group = page.get_by_role("group", name="Your likes")
    assert "1 liked, 1 not" in group.inner_text()
    group.get_by_role("button", name="Find more like these").click()
    page.wait_for_url(re.compile(r"like=\d+&unlike=\d+"))
    page.locator(".row .by").first.wait_for()
    titles(page)
    question = page.get_by_role("list", name="The question")
    assert question.get_by_role("listitem").count() == 2
    question.get_by_role("button", name=re.compile("Without: Unlike")).click()
    page.wait_for_url(re.compile(r"^((?!unlike).)*$"))


def test_chips_filter_and_stand_in_the_address(tab: Tab) -> None:
    page = tab.open()
    titles(page)
    chip = page.locator(".facet .chip").first
    count = int(chip.locator(".n").inner_text())
    name = chip.inner_text().rsplit(None, 1)[0].strip()
    chip.click()
    page.wait_for_url(re.compile(r"f\."))
    page.locator(".results-head [role=status]", has_text=f"{count} sound").wait_for()
    assert page.get_by_role("button", name=name, pressed=True).count() >= 1
    page.get_by_role("button", name="Without filters").click()
    page.locator(".results-head [role=status]", has_text="58 sounds").wait_for()


def test_what_was_heard_in_the_sounds_is_offered_first(tab: Tab, answers: Stand) -> None:
    heard = {"name": "tag", "type": "text", "distinct": 2}
    heard["values"] = [{"value": "Dog", "count": 3}, {"value": "Rain, on a roof", "count": 2}]
    codec = {"name": "codec", "type": "text", "distinct": 2}
    codec["values"] = [{"value": "flac", "count": 30}, {"value": "mp3", "count": 28}]
    name = {"name": "title", "type": "text", "distinct": 50}
    name["values"] = [{"value": f"Take {i}", "count": 1} for i in range(40)]
    answers(tab, "facets*", {"fields": [codec, heard, name]})
    page = tab.open()
    titles(page)
    assert page.get_by_role("button", name="Take 1", exact=False).count() == 0
    assert page.locator(".facet legend").first.inner_text() == "Heard in it"
    with page.expect_request("**/api/v1/tracks?*") as asked:
        page.get_by_role("button", name="Rain, on a roof").click()
    assert "where=tag+%3D+%27Rain%2C+on+a+roof%27" in asked.value.url
    with page.expect_request("**/api/v1/tracks?*") as asked:
        page.get_by_role("button", name="Dog", exact=False).click()
    assert "tag+in+%28%27Rain%2C+on+a+roof%27%2C+%27Dog%27%29" in asked.value.url
    assert not page.get_by_role("button", name="flac").is_visible()
    page.get_by_text("More filters").click()
    assert page.get_by_role("button", name="flac").is_visible()


def test_sounds_are_narrowed_by_length(tab: Tab) -> None:
    page = tab.open()
    titles(page)
    page.get_by_label("Length (s) to").fill("1")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"f\.duration=\.\.1"))
    short = tab.site.json("/api/v1/tracks?where=duration%3C%3D1&limit=1")["total"]
    page.locator(".results-head [role=status]", has_text=f"{short} sound").wait_for()


def test_sliders_weigh_aspects(tab: Tab, answers: Stand) -> None:
    facts = tab.site.json("/api/v1/library")
    names = facts["aspects"]
    if not names:
        names = ["timbre", "pitch", "brightness"]
        answers(tab, "library", facts | {"aspects": names})
        tab.page.route(
            "**/api/v1/search?*aspect=*", lambda r: r.fulfill(json={"query": {}, "hits": []})
        )
    asked: list[str] = []
    tab.page.on("request", lambda request: asked.append(request.url))
    page = tab.open("/?like=1")
    slider = page.get_by_role("slider", name=re.compile(names[1], re.IGNORECASE))
    slider.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.wait_for_url(re.compile(rf"a\.{names[1]}=0\.2"))
    page.locator(".results-head [role=status]", has_text="answer").wait_for()
    wanted = f"aspect={names[0]}%3D1%2C{names[1]}%3D0.2"
    assert any(wanted in url for url in asked)
    assert page.locator(".notice.bad").count() == 0
    page.get_by_role("button", name="As before").click()
    page.wait_for_url("**/?like=1")


def test_nothing_found_says_what_to_do(tab: Tab) -> None:
    page = tab.open("/?q=zzzzqqqxx&by=metadata")
    page.get_by_text("Nothing found").wait_for()
    page.locator(".notice").get_by_role("button", name="Surprise me").click()
    page.wait_for_url(re.compile("mode=random"))
    assert titles(page)


def test_a_problem_of_the_server_is_shown_with_its_hint(tab: Tab, answers: Stand) -> None:
    problem = {"title": "Bad", "status": 422, "detail": "the rule was broken", "hint": "do so"}
    answers(tab, "search?*", problem)
    page = tab.open("/?q=x")
    alert = page.locator(".notice.bad")
    alert.wait_for()
    shown = alert.inner_text().lower()  # sentences begin with a capital there
    assert "the rule was broken" in shown
    assert "do so" in shown


def test_a_server_that_is_gone_is_named(tab: Tab) -> None:
    page = tab.open()
    titles(page)
    page.route("**/api/v1/search?*", lambda route: route.abort())
    page.get_by_role("searchbox").fill("x")
    page.keyboard.press("Enter")
    page.locator(".notice.bad", has_text="The server cannot be reached").wait_for()


def test_a_server_that_comes_back_is_asked_again(tab: Tab) -> None:
    page = tab.open()
    titles(page)
    page.route("**/api/v1/**", lambda route: route.abort())
    page.get_by_role("searchbox").fill("flute")
    page.keyboard.press("Enter")
    page.locator(".offline").wait_for()
    page.locator(".notice.bad", has_text="The server cannot be reached").wait_for()
    page.unroute("**/api/v1/**")
    page.locator(".offline").wait_for(state="hidden")
    assert "flute" in titles(page)[0]


def test_a_view_that_cannot_be_loaded_offers_to_load_the_page_anew(tab: Tab) -> None:
    page = tab.open()
    titles(page)
    page.route("**/assets/Map-*.js", lambda route: route.abort())
    page.get_by_role("link", name="Map").click()
    page.locator(".notice.bad", has_text="could not be loaded").wait_for()
    page.unroute("**/assets/Map-*.js")
    page.get_by_role("button", name="Reload the page").click()
    page.get_by_role("heading", name="Map").wait_for()


def test_an_empty_library_says_how_to_fill_it(tab: Tab, answers: Stand) -> None:
    facts = tab.site.json("/api/v1/library")
    answers(tab, "library", facts | {"tracks": 0, "seconds": 0})
    answers(tab, "tracks?*", {"total": 0, "limit": 25, "offset": 0, "tracks": []})
    page = tab.open()
    page.get_by_text("This library is empty").wait_for()
    page.get_by_role("button", name="Index a folder").click()
    page.wait_for_url("**/?view=library")


def test_the_clip_of_a_shared_link_is_said_to_be_gone(tab: Tab) -> None:
    page = tab.open("/?clip=clip-elsewhere")
    page.locator(".notice.bad", has_text="The clip of this search is gone").wait_for()


def test_light_and_dark(new_tab: Callable[..., Tab]) -> None:
    back = "getComputedStyle(document.body).backgroundColor"
    light, dark = (new_tab(dark=d).open().evaluate(back) for d in (False, True))
    assert light != dark
    page = new_tab().open()
    titles(page)
    page.keyboard.press("t")
    until(page, f"{back} === '{dark}'")
    page.reload()
    assert page.evaluate(back) == dark


def test_a_phone_shows_it_all_without_sideways_scrolling(new_tab: Callable[..., Tab]) -> None:
    page = new_tab(phone=True).open("/?q=flute")
    titles(page)
    page.locator(".row .play").first.click()
    page.get_by_role("region", name="Player").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_page_asks_this_server_only(tab: Tab, site: Site) -> None:
    asked: list[str] = []
    tab.page.on("request", lambda request: asked.append(request.url))
    page = tab.open("/?q=flute")
    titles(page)
    page.keyboard.press("j")
    page.keyboard.press("Space")
    page.wait_for_timeout(800)
    assert [url for url in asked if not url.startswith((site.url, "blob:", "data:"))] == []


@pytest.mark.data
@pytest.mark.slow
def test_real_recordings_are_searched_heard_and_narrowed(
    new_tab: Callable[..., Tab], data_dir: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "sounds"
    folder.mkdir()
    rows = csv.DictReader((data_dir / "manifest.csv").open(encoding="utf-8"))
    by_label: dict[str, list[Path]] = {}
    for row in rows:
        if row["task"] == "env":
            by_label.setdefault(row["label"], []).append(data_dir / row["path"])
    labels = sorted(by_label)[:5]
    for label in labels:
        for number, one in enumerate(by_label[label][:6]):
            (folder / f"{label} {number}{one.suffix}").symlink_to(one.resolve())
    library = tmp_path / "library"
    earmark(tmp_path, "index", str(folder), "-l", str(library), "--encoders", "timbre")
    site = start(tmp_path, library, folder)
    try:
        page = new_tab(at=site).open()
        page.locator(".results-head", has_text="30 sounds").wait_for()
        page.locator("input[type=file]").set_input_files(by_label[labels[0]][0])
        page.locator(".row .by").first.wait_for(timeout=60_000)
        assert titles(page)[0] == f"{labels[0]} 0"
        page.keyboard.press("j")
        page.keyboard.press("Space")
        until(page, "document.querySelector('.dock .time')?.textContent > '0:00.3'")
        page.keyboard.press("]")
        page.keyboard.press("m")
        page.wait_for_url(re.compile(r"like=\d+%23"))
        page.locator(".results-head [role=status]", has_text="answer").wait_for()
        assert titles(page)
    finally:
        site.stop()
