"""Hits as HTML: the sound inside, the text escaped, a reason where nothing can be played."""

from __future__ import annotations

import base64
import io
import re
import wave

import numpy as np
import pytest

import audio_factory as af
from earmark.library import notebook
from earmark.types import AudioInfo, Clip, Hit, Track


def make_hit(path, *, start=0.5, end=1.25, title="", artist="", duration=3.0) -> Hit:
    info = AudioInfo(duration, 22050, 1, "pcm_s16le", "wav")
    track = Track(1, str(path), "00", 1, 0, info, title, artist)
    return Hit(track, 0.875, start, end, 0.0, 0.75, "timbre", {"timbre": 1})


@pytest.fixture
def file(tmp_path):
    return af.write_wav(tmp_path / "a.wav", af.tone(500, seconds=3.0), 22050)


def played(html: str) -> tuple[np.ndarray, int]:
    """The sound inside a page."""
    data = base64.b64decode(re.search(r"base64,([^\"]+)", html)[1])
    with wave.open(io.BytesIO(data)) as sound:
        assert (sound.getnchannels(), sound.getsampwidth()) == (1, 2)
        return np.frombuffer(sound.readframes(10**9), "<i2"), sound.getframerate()


def test_the_moment_is_inside(file):
    samples, rate = played(notebook.player(make_hit(file)))
    assert len(samples) == pytest.approx(0.75 * rate, abs=2)
    expected = af.tone(500, seconds=3.0)[round(0.5 * 22050) :][: len(samples)]
    assert np.abs(samples / 32767 - expected).max() < 0.01


def test_without_a_moment_the_beginning_is_played(file, tmp_path):
    assert notebook.moment_of(make_hit(file, start=None, end=None)) == (0.0, 3.0)
    long = make_hit(file, start=None, end=None, duration=500.0)
    assert notebook.moment_of(long) == (0.0, notebook.MAX_SECONDS)
    assert notebook.moment_of(make_hit(file, start=5.0, end=90.0)) == (5.0, 15.0)


def test_loud_samples_are_clipped_not_wrapped():
    clip = Clip(np.array([2.0, -2.0, 0.5], np.float32), 8000)
    data = np.frombuffer(notebook.wav_bytes(clip)[-6:], "<i2")
    assert data.tolist() == [32767, -32768, 16384]


def test_text_is_escaped(file):
    hit = make_hit(file, title="<script>alert(1)</script>", artist='"A" & B')
    html = notebook.render([hit])
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert "&quot;A&quot; &amp; B" in html
    assert "0:00–0:02" in html
    assert "0.875" in html


def test_a_file_that_is_gone_says_why(tmp_path):
    html = notebook.render([make_hit(tmp_path / "<gone>.wav")])
    assert "cannot be played" in html
    assert "<gone>" not in html
    assert "<audio" not in html


def test_a_page_with_odd_names_can_be_saved(tmp_path):
    html = notebook.render([make_hit(tmp_path / "caf\udce9.wav")])
    assert b"caf" in html.encode("utf-8")


def test_no_hits():
    assert notebook.render([]) == "<p>no hits</p>"
