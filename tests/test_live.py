"""Sound from pipes: containers and bare PCM, rates, damage, and what is no sound."""

from __future__ import annotations

import io

import numpy as np
import pytest

from audio_factory import write_wav
from earmark import audio
from earmark.audio import live
from earmark.errors import DecodeError, NotAvailable, UsageError

RATE = 16_000


class Pipe(io.RawIOBase):
    """Bytes that come a few at a time and cannot be read again."""

    def __init__(self, data: bytes, step: int = 1000) -> None:
        self._data, self._step, self.largest = io.BytesIO(data), step, 0

    def read(self, size: int = -1) -> bytes:
        self.largest = max(self.largest, size)
        return self._data.read(min(size, self._step) if size >= 0 else self._step)

    def seek(self, *_: int) -> int:
        raise OSError("a pipe cannot seek")


def sound(seconds: float = 3.0) -> np.ndarray:
    t = np.arange(int(seconds * RATE)) / RATE
    return (0.4 * np.sin(2 * np.pi * (300 + 100 * t) * t)).astype(np.float32)


def heard(blocks) -> np.ndarray:
    return np.concatenate([block.samples for block in blocks])


def test_a_container_from_a_pipe_is_what_the_file_is(tmp_path):
    write_wav(tmp_path / "a.wav", sound(), RATE)
    data = (tmp_path / "a.wav").read_bytes()
    blocks = list(live.pipe_blocks(Pipe(data), 8000))
    whole = audio.read(str(tmp_path / "a.wav"), sample_rate=8000).samples
    np.testing.assert_allclose(heard(blocks), whole, atol=1e-6)
    assert [round(b.start, 6) for b in blocks] == pytest.approx(
        np.cumsum([0.0, *(b.duration for b in blocks[:-1])])
    )


def test_bare_pcm_is_mixed_to_mono_and_cut_frames_are_joined():
    mono = (sound() * 32767).astype("<i2")
    stereo = np.stack([mono, np.zeros_like(mono)], axis=1)
    got = heard(live.pipe_blocks(Pipe(stereo.tobytes(), 333), RATE, pcm=live.Pcm(RATE, 2)))
    np.testing.assert_allclose(got, mono / 65536.0, atol=1e-6)


def test_a_stream_is_read_in_small_pieces():
    pipe = Pipe((sound(20.0) * 32767).astype("<i2").tobytes(), 1 << 20)
    heard(live.pipe_blocks(pipe, 8000, pcm=live.Pcm(RATE)))
    assert 0 < pipe.largest <= 1 << 16


@pytest.mark.parametrize("data", [b"", b"no sound at all" * 1000])
def test_what_is_no_sound_says_so(data):
    with pytest.raises(DecodeError, match="standard input"):
        list(live.pipe_blocks(Pipe(data), 8000))


@pytest.mark.parametrize("text", ["", "fast", "44100:0", "10", "44100:x"])
def test_pcm_must_be_a_rate(text):
    with pytest.raises(UsageError, match="RATE"):
        live.Pcm.parse(text)


def test_pcm_of_rate_and_channels():
    assert live.Pcm.parse("48000:2") == live.Pcm(48_000, 2)
    assert live.Pcm.parse("8000") == live.Pcm(8000, 1)


def test_without_its_package_the_microphone_says_what_to_do(monkeypatch):
    monkeypatch.setattr(live.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(NotAvailable, match="sounddevice"):
        next(live.microphone_blocks(8000))
