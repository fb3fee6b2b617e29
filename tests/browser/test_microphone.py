"""The microphone: Chromium's fake device is fed with a wav file."""

from __future__ import annotations

import re
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from .conftest import Listening, Site, Stand, Tab, earmark, start, until

pytestmark = pytest.mark.browser


def part(source: Path, target: Path, begin: float, end: float) -> Path:
    """Cut a wav file at 48 kHz, which is what the fake device plays."""
    with wave.open(str(source)) as sound:
        rate = sound.getframerate()
        sound.setpos(int(begin * rate))
        data = np.frombuffer(sound.readframes(int((end - begin) * rate)), np.int16)
    times = np.arange(int((end - begin) * 48000)) / 48000
    heard = np.interp(times, np.arange(len(data)) / rate, data.astype(float))
    with wave.open(str(target), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(48000)
        out.writeframes(heard.astype(np.int16).tobytes())
    return target


def recorded(page: Any, purpose: str, seconds: float) -> Any:
    """Record for a while, having looked at the level."""
    page.keyboard.press("v")
    dialog = page.get_by_role("dialog", name="Record")
    dialog.get_by_role("radio", name=purpose).check(force=True)
    dialog.get_by_role("button", name="Record").click()
    until(
        page, "Number(document.querySelector('[role=meter]').getAttribute('aria-valuenow')) > -50"
    )
    page.wait_for_timeout(int(seconds * 1000))
    dialog.get_by_role("button", name="Stop").click()
    dialog.get_by_label("What was recorded").wait_for()
    return dialog


def test_a_recording_is_an_example(microphone: Listening, site: Site, tmp_path: Path) -> None:
    tab = microphone(part(site.samples / "piece.wav", tmp_path / "heard.wav", 3, 8))
    page = tab.open()
    page.locator(".row").first.wait_for()
    dialog = recorded(page, "Sounds like it", 1.5)
    dialog.get_by_role("button", name="Retry").click()
    page.wait_for_timeout(1500)
    dialog.get_by_role("button", name="Stop").click()
    with page.expect_request("**/api/v1/search*") as asked:
        dialog.get_by_role("button", name="Use it").click()
    assert asked.value.headers["content-type"] == "audio/webm"
    page.locator(".row .by").first.wait_for()
    assert page.get_by_text("Example").count() >= 1
    assert tab.errors == []


def test_a_recording_is_identified_with_its_place(
    microphone: Listening, site: Site, tmp_path: Path
) -> None:
    tab = microphone(part(site.samples / "song.wav", tmp_path / "heard.wav", 12, 32))
    page = tab.open()
    page.locator(".row").first.wait_for()
    dialog = recorded(page, "Which recording?", 6)
    dialog.get_by_role("button", name="Use it").click()
    answer = page.get_by_role("article", name="The recording")
    answer.get_by_role("heading", name="song").wait_for()
    place = re.search(r"0:(\d\d\.\d)", answer.locator("dd").first.inner_text())
    assert 11 <= float(place[1]) <= 33  # somewhere in what the microphone heard
    assert "%" in answer.inner_text()
    assert tab.errors == []


def test_a_hum_shows_both_contours(
    microphone: Listening, site: Site, tmp_path: Path, answers: Stand
) -> None:
    tab = microphone(part(site.samples / "piece.wav", tmp_path / "heard.wav", 0, 6))
    facts = site.json("/api/v1/library")
    answers(tab, "library", facts | {"can": facts["can"] | {"hum": True}})
    times = [i * 0.1 for i in range(60)]
    tune = [float(round(3 * np.sin(t))) for t in times]
    contour = {"times": times, "target": tune, "query": [None, *(x + 0.2 for x in tune[1:])]}
    hit = site.json("/api/v1/search?text=piece&k=1")["hits"][0]
    more = {"key_shift": 3.0, "tempo_ratio": 0.9, "confidence": 0.8, "contour": contour}
    hit |= more | {"start": 2.0, "end": 8.0, "by": "melody"}
    answers(tab, "hum?*", {"query": {}, "hits": [hit]})
    page = tab.open()
    page.locator(".row").first.wait_for()
    with page.expect_request("**/api/v1/hum*") as asked:
        recorded(page, "Which tune?", 2).get_by_role("button", name="Use it").click()
    assert asked.value.method == "POST"
    figure = page.locator("figure.contours")
    figure.wait_for()
    lines = figure.locator(".lines path")
    assert lines.count() == 2
    assert all(len(lines.nth(i).get_attribute("d")) > 100 for i in (0, 1))
    assert "3.0 semitones higher" in figure.text_content()
    tune = figure.get_by_role("button", name="the tune")
    tune.click()
    figure.get_by_role("button", name="the tune", pressed=True).wait_for()
    tune.click()
    figure.get_by_role("button", name="the tune", pressed=False).wait_for()
    assert tab.errors == []


def test_no_microphone_is_said_with_what_to_do(tab: Tab) -> None:
    tab.page.add_init_script(
        "navigator.mediaDevices.getUserMedia = () =>"
        " Promise.reject(new DOMException('none', 'NotFoundError'))"
    )
    page = tab.open()
    page.locator(".row").first.wait_for()
    page.keyboard.press("v")
    page.get_by_role("dialog").get_by_role("button", name="Record").click()
    alert = page.get_by_role("dialog").get_by_role("alert")
    alert.wait_for()
    assert "No microphone was found" in alert.inner_text()
    assert "drop a file" in alert.inner_text()


@pytest.mark.data
@pytest.mark.slow
def test_music_heard_by_the_microphone_is_identified(
    microphone: Listening, data_dir: Path, tmp_path: Path
) -> None:
    music = sorted((data_dir / "music").rglob("*.ogg"))[:6]
    folder = tmp_path / "music"
    folder.mkdir()
    for one in music:
        (folder / one.name).symlink_to(one.resolve())
    earmark(
        tmp_path, "index", str(folder), "-l", str(tmp_path / "lib"), "--encoders", "fingerprint"
    )
    heard = tmp_path / "heard.wav"
    import librosa
    import soundfile

    samples, _ = librosa.load(str(music[2]), sr=48000, offset=8, duration=14)
    soundfile.write(heard, samples, 48000, subtype="PCM_16")
    site = start(tmp_path, tmp_path / "lib", folder)
    try:
        tab = microphone(heard, site)
        page = tab.open()
        page.locator(".row").first.wait_for()
        recorded(page, "Which recording?", 8).get_by_role("button", name="Use it").click()
        page.get_by_role("article", name="The recording").wait_for()
        name = page.request.get(f"{site.url}/api/v1/tracks").json()["tracks"]
        paths = {Path(t["path"]).name: t["title"] or Path(t["path"]).stem for t in name}
        assert page.locator(".identified h2").inner_text() == paths[music[2].name]
        assert tab.errors == []
    finally:
        site.stop()


@pytest.mark.data
@pytest.mark.slow
def test_a_hum_finds_its_tune_and_shows_both_contours(
    microphone: Listening, data_dir: Path, tmp_path: Path
) -> None:
    import librosa
    import soundfile

    tunes = tmp_path / "tunes"
    tunes.mkdir()
    for one in sorted((data_dir / "melodies_midi").glob("*.mid")):
        (tunes / one.name).symlink_to(one.resolve())
    earmark(tmp_path, "index", str(tunes), "-l", str(tmp_path / "lib"), "--encoders", "melody")
    heard = tmp_path / "heard.wav"
    samples, _ = librosa.load(str(data_dir / "hums" / "q_08d21d_00013.ogg"), sr=48000)
    soundfile.write(heard, samples, 48000, subtype="PCM_16")
    site = start(tmp_path, tmp_path / "lib", tunes)
    try:
        tab = microphone(heard, site)
        page = tab.open()
        page.locator(".row").first.wait_for()
        recorded(page, "Which tune?", 8).get_by_role("button", name="Use it").click()
        page.locator("figure.contours").first.wait_for(timeout=60_000)
        assert "00013" in page.locator(".row h2").all_inner_texts()[:3]
        assert page.locator("figure.contours").first.locator(".lines path").count() == 2
        assert tab.errors == []
    finally:
        site.stop()
