"""Journeys through the map, the playlist, duplicates, the library and the collection."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from .conftest import Site, Stand, Tab, earmark, start, until

pytestmark = pytest.mark.browser


def able(site: Site, *what: str) -> dict[str, Any]:
    facts: dict[str, Any] = site.json("/api/v1/library")
    return facts | {"can": facts["can"] | dict.fromkeys(what, True)}


def landscape(site: Site, n: int = 0) -> dict[str, Any]:
    """A map of the site's tracks, or of `n` points that name them over and over."""
    tracks = [t["track"] for t in site.json("/api/v1/tracks?limit=1000")["tracks"]]
    rng = np.random.default_rng(5)
    count = n or len(tracks)
    cluster = rng.integers(0, 6, count)
    angle = cluster * np.pi / 3
    x = np.cos(angle) * 5 + rng.normal(0, 0.7, count)
    y = np.sin(angle) * 5 + rng.normal(0, 0.7, count)
    return {
        "points": {
            "track": [tracks[i % len(tracks)] for i in range(count)],
            "x": np.round(x, 4).tolist(),
            "y": np.round(y, 4).tolist(),
            "cluster": cluster.tolist(),
        },
        "clusters": [
            {
                "id": i,
                "name": f"region {i}",
                "x": 5 * np.cos(i * np.pi / 3),
                "y": 5 * np.sin(i * np.pi / 3),
                "size": int((cluster == i).sum()),
            }
            for i in range(6)
        ],
    }


def drawn(page: Any) -> int:
    return int(page.locator(".landscape").get_attribute("data-frames"))


def on_map(tab: Tab, answers: Stand, n: int = 0) -> Any:
    answers(tab, "library", able(tab.site, "map"))
    answers(tab, "map", landscape(tab.site, n))
    page = tab.open("/?view=map")
    until(page, "document.querySelector('.landscape')?.dataset.frames > 0")
    return page


def test_hover_names_a_sound_and_a_click_plays_it(tab: Tab, answers: Stand) -> None:
    page = on_map(tab, answers)
    points = landscape(tab.site)["points"]
    box = page.locator(".landscape").bounding_box()
    place = page.evaluate(
        "([x, y, w, h]) => { const s = 0.92 * Math.min(w / (Math.max(...x) - Math.min(...x)),"
        " h / (Math.max(...y) - Math.min(...y)));"
        " return [w / 2 + (x[0] - (Math.max(...x) + Math.min(...x)) / 2) * s,"
        " h / 2 - (y[0] - (Math.max(...y) + Math.min(...y)) / 2) * s] }",
        [points["x"], points["y"], box["width"], box["height"]],
    )
    page.mouse.move(box["x"] + place[0] - 40, box["y"] + place[1])
    page.mouse.move(box["x"] + place[0], box["y"] + place[1], steps=4)
    page.locator(".tip").wait_for()
    page.mouse.click(box["x"] + place[0], box["y"] + place[1])
    page.get_by_role("region", name="Player").wait_for()
    assert page.locator(".dock h2").inner_text() == page.locator(".tip").inner_text()


def test_the_map_is_walked_with_keys(tab: Tab, answers: Stand) -> None:
    page = on_map(tab, answers)
    page.get_by_role("application").focus()
    before = drawn(page)
    for key in ("ArrowLeft", "+", "-", "0"):
        page.keyboard.press(key)
        page.wait_for_timeout(60)
    assert drawn(page) > before
    page.keyboard.press("Enter")
    page.get_by_role("region", name="Player").wait_for()


def test_a_lasso_makes_a_playlist(tab: Tab, answers: Stand) -> None:
    page = on_map(tab, answers)
    page.get_by_role("button", name="Lasso").click()
    box = page.locator(".landscape").bounding_box()
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    radius = box["height"] / 2 - 4
    page.mouse.move(middle[0] + radius * 1.6, middle[1])
    page.mouse.down()
    for angle in np.linspace(0, 2 * np.pi, 30):
        page.mouse.move(
            middle[0] + np.cos(angle) * radius * 1.6, middle[1] + np.sin(angle) * radius
        )
    page.mouse.up()
    group = page.get_by_role("group", name="Selected on the map")
    group.wait_for()
    selected = int(re.search(r"\d+", group.inner_text())[0])
    assert selected > 20
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    group.get_by_role("button", name="Collect").click()
    page.get_by_text(f"{selected} sounds added to the collection").wait_for()
    assert len([url for url in asked if "/api/v1/tracks" in url]) == 1
    with page.expect_download() as saved:
        group.get_by_role("button", name="m3u").click()
    text = Path(saved.value.path()).read_text()
    assert text.startswith("#EXTM3U")
    assert text.count(".wav") >= selected
    group.get_by_role("button", name="Play them").click()
    page.get_by_text("to come").wait_for()


def test_a_map_of_100000_points_is_drawn(tab: Tab, answers: Stand) -> None:
    page = on_map(tab, answers, 100_000)
    assert "100,000 points" in page.locator(".map-tools").inner_text()
    lit = page.locator(".landscape canvas").first.evaluate(
        "c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data"
        ".reduce((n, v, i) => n + (i % 4 === 3 && v > 0), 0)"
    )
    assert lit > 20_000


def test_a_library_without_a_map_says_how_to_make_one(tab: Tab, answers: Stand) -> None:
    problem = {"title": "No map", "status": 404, "detail": "there is no map", "hint": "earmark map"}
    answers(tab, "map", problem)
    page = tab.open("/?view=map")
    page.get_by_text("there is no map").wait_for()
    page.get_by_text("earmark map", exact=True).wait_for()


@pytest.mark.slow
def test_the_map_is_made_shown_and_brought_up_to_date(
    new_tab: Callable[..., Tab], samples: Path, tmp_path: Path
) -> None:
    library = tmp_path / "library"
    earmark(tmp_path, "index", str(samples / "notes"), "-l", str(library), "--encoders", "timbre")
    site = start(tmp_path, library, samples, "--root", f"drums={samples / 'drums'}")
    try:
        page = new_tab(at=site).open("/?view=map")
        page.get_by_role("button", name="Make the map").click()
        page.locator(".landscape").wait_for(timeout=120_000)
        until(page, "document.querySelector('.landscape')?.dataset.frames > 0")
        assert "40 points" in page.locator(".map-tools").inner_text()
        page.get_by_role("application").press("Enter")
        page.get_by_role("region", name="Player").wait_for()
        if page.locator(".clusters button").count():
            page.locator(".clusters button").first.click()
        page.get_by_role("link", name="Library").click()
        page.get_by_role("button", name="Index it").click()
        job = page.locator(".job", has_text="drums")
        job.locator(".badge.done").wait_for(timeout=90_000)
        page.get_by_role("link", name="Map").click()
        page.get_by_text("sounds came later").wait_for()
        page.get_by_role("button", name="Place them").click()
        page.get_by_text("sounds came later").wait_for(state="hidden", timeout=90_000)
    finally:
        site.stop()


def test_real_copies_are_found_and_listed(
    new_tab: Callable[..., Tab], samples: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "sounds"
    folder.mkdir()
    for name in ("song.wav", "again.wav"):
        shutil.copy(samples / "song.wav", folder / name)
    shutil.copy(samples / "piece.wav", folder)
    library = tmp_path / "library"
    earmark(tmp_path, "index", str(folder), "-l", str(library), "--encoders", "fingerprint")
    site = start(tmp_path, library, folder)
    try:
        page = new_tab(at=site).open("/?view=duplicates")
        page.locator(".twin").nth(1).wait_for(timeout=60_000)
        names = page.locator(".twin h3").all_inner_texts()
        assert sorted(name.split()[0] for name in names) == ["again.wav", "song.wav"]
        assert page.locator(".twin .badge").count() == 1
    finally:
        site.stop()


def test_a_playlist_from_one_sound_to_another(tab: Tab, answers: Stand) -> None:
    answers(tab, "library", able(tab.site, "playlist"))
    if not tab.site.json("/api/v1/library")["can"].get("playlist"):
        answers(tab, "playlist?*", tab.site.json("/api/v1/random?k=5&seed=1"))
    page = tab.open()
    page.get_by_role("link", name="Playlist").click()
    for label, text in (("From", "flute"), ("To", "snare")):
        field = page.get_by_role("combobox", name=label)
        field.fill(text)
        page.get_by_role("listbox", name=label).get_by_role("option").first.wait_for()
        field.press("Enter")
    page.wait_for_url(re.compile(r"from=\d+&to=\d+"))
    page.locator(".row").first.wait_for()
    with page.expect_download() as saved:
        page.get_by_role("button", name="csv").click()
    assert "path" in Path(saved.value.path()).read_text().splitlines()[0]


def test_duplicates_stand_side_by_side(tab: Tab, answers: Stand) -> None:
    answers(tab, "library", able(tab.site, "duplicates"))
    a, b = tab.site.json("/api/v1/tracks?limit=2")["tracks"]
    times = {"a_start": 0.5, "a_end": 2.5, "b_start": 1.5, "b_end": 3.5}
    evidence = [
        {"a": a["track"], "b": b["track"], "kind": "same audio", "confidence": 0.97, **times}
    ]
    group = {"tracks": [a | {"keep": True}, b | {"keep": False}], "evidence": evidence}
    answers(tab, "duplicates", {"groups": [group]})
    page = tab.open("/?view=duplicates")
    twins = page.locator(".twin")
    twins.nth(1).wait_for()
    assert twins.first.get_by_text("keep", exact=True).is_visible()
    first, second = (twins.nth(i).bounding_box() for i in (0, 1))
    assert abs(first["y"] - second["y"]) < 5
    twins.first.get_by_role("button", name=re.compile("^Play")).click()
    twins.nth(1).get_by_role("button", name="Switch here").click()
    page.locator(".dock h2", has_text=Path(b["path"]).stem).wait_for()


def test_the_collection_is_kept_exported_and_dragged_out(tab: Tab) -> None:
    page = tab.open("/?q=kick")
    page.locator(".row .play").first.wait_for()
    page.keyboard.press("j")
    page.keyboard.press("c")
    page.keyboard.press("j")
    page.keyboard.press("c")
    page.reload()
    page.keyboard.press("b")
    crate = page.get_by_role("complementary", name="Collection")
    assert crate.get_by_role("listitem").count() == 2
    for name, begin in (("m3u", "#EXTM3U"), ("csv", "")):
        with page.expect_download() as saved:
            crate.get_by_role("button", name=name).click()
        text = Path(saved.value.path()).read_text()
        assert text.startswith(begin)
        assert text.count("kick_") >= 2
    dragged = crate.get_by_role("link").first.evaluate(
        "link => { const data = new DataTransfer();"
        " link.dispatchEvent(new DragEvent('dragstart', { dataTransfer: data, bubbles: true }));"
        " return data.getData('DownloadURL') }"
    )
    kind, name, url = dragged.split(":", 2)
    assert "/" in kind
    assert name.endswith(".wav")
    answer = page.request.get(url)
    assert answer.ok
    assert answer.body()[:4] == b"RIFF"


def test_indexing_shows_progress_and_its_end(tab: Tab) -> None:
    page = tab.open("/?view=library")
    page.get_by_role("rowheader", name="timbre").first.wait_for()
    page.get_by_role("button", name="Index it").click()
    job = page.get_by_role("list", name="Index jobs").get_by_role("listitem").first
    job.locator(".badge.done").wait_for(timeout=60_000)
    until(page, "document.querySelector('.job p').textContent.includes('added')")


def test_a_read_only_library_offers_no_indexing(tab: Tab, answers: Stand) -> None:
    answers(tab, "library", able(tab.site) | {"read_only": True})
    page = tab.open("/?view=library")
    page.get_by_text("This library is read only").wait_for()
    assert page.get_by_role("button", name="Index it").count() == 0


def test_identify_without_an_answer_says_so(tab: Tab, answers: Stand, samples: Path) -> None:
    answers(tab, "identify?*", {"query": {}, "hits": []})
    page = tab.open()
    page.locator("input[type=file]").set_input_files(samples / "drums" / "kick_1.wav")
    page.get_by_role("radio", name="Which recording?").check(force=True)
    page.get_by_text("No recording matches").wait_for()


def test_tags_of_a_clip_are_listed(tab: Tab, answers: Stand, samples: Path) -> None:
    answers(tab, "library", able(tab.site, "tag"))
    moments = [
        {"start": i * 5, "end": i * 5 + 5, "tags": [{"label": "rain", "score": 0.8}]}
        for i in (0, 1)
    ]
    tags = [{"label": "rain", "score": 0.83}, {"label": "wind", "score": 0.2}]
    answers(tab, "tag", {"tags": tags, "moments": moments})
    page = tab.open()
    page.locator("input[type=file]").set_input_files(samples / "textures" / "rain_1.wav")
    page.get_by_role("radio", name="What is it?").check(force=True)
    page.get_by_text("83 %").wait_for()
    assert page.get_by_role("table").get_by_role("row").count() == 3


def test_a_server_with_a_token_is_used_and_played_from(
    new_tab: Callable[..., Tab], site: Site, tmp_path: Path
) -> None:
    guarded = start(tmp_path, site.library, site.samples, token="open-sesame-to-the-library")
    try:
        page = new_tab(at=guarded).open()
        dialog = page.get_by_role("dialog", name="A token, please")
        dialog.get_by_label("Token").fill("open-sesame-to-the-library")
        dialog.get_by_role("button", name="Continue").click()
        page.locator(".row", has_text="bell_52").get_by_role("button", name="Play bell_52").click()
        until(page, "document.querySelector('.dock .time')?.textContent > '0:00.2'")
        drag = page.get_by_role("region", name="Player").get_by_role("link")
        drag.hover()
        until(page, "document.querySelector('.dock .drag').href.includes('ticket=')")
        assert page.request.get(drag.evaluate("link => link.href")).ok
    finally:
        guarded.stop()


def test_a_token_is_asked_for_and_used(tab: Tab, answers: Stand) -> None:
    def guarded(route: Any) -> None:
        if route.request.headers.get("authorization") == "Bearer open sesame":
            route.continue_()
        else:
            problem = {"title": "Unauthorized", "status": 401, "detail": "a token is needed"}
            route.fulfill(status=401, body=json.dumps(problem))

    tab.page.route(re.compile("/api/v1/(library|tracks|facets)"), guarded)
    page = tab.open()
    dialog = page.get_by_role("dialog", name="A token, please")
    dialog.get_by_label("Token").fill("open sesame")
    dialog.get_by_role("button", name="Continue").click()
    page.locator(".row").first.wait_for()
    page.locator(".results-head", has_text="58 sounds").wait_for()
