"""What is no sound audio is named with its reason; what is odd but sound is decoded."""

from __future__ import annotations

import os
import struct
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import audio_factory as factory
from earmark import audio
from earmark.errors import DecodeError

RATE = 44100


def make(folder: Path, suffix: str, seconds: float = 5.0) -> Path:
    rate = 48000 if suffix in (".opus", ".webm") else RATE
    noise = factory.noise(seconds=seconds, sample_rate=rate)
    return factory.encode(folder / f"a{suffix}", np.stack([noise, -noise / 2]), rate)


def wav_with(path: Path, **changes: int) -> Path:
    """A WAV of 0.5 s whose header fields are overwritten."""
    factory.write_wav(path, factory.tone(seconds=0.5, sample_rate=8000), 8000)
    data = bytearray(path.read_bytes())
    places = {
        "tag": (20, "<H"), "channels": (22, "<H"), "rate": (24, "<I"), "align": (32, "<H"),
        "bits": (34, "<H"), "size": (40, "<I"),
    }  # fmt: skip
    for name, value in changes.items():
        at, form = places[name]
        data[at : at + struct.calcsize(form)] = struct.pack(form, value)
    path.write_bytes(data)
    return path


def reason_of(path: Path) -> str:
    with pytest.raises(DecodeError) as caught:
        audio.read(str(path), sample_rate=22050)
    assert caught.value.source == str(path)
    return caught.value.reason


CONTENTS: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "empty"),
    "text": (b"hello, this is no audio at all\n" * 500, "not audio"),
    "zeros": (bytes(100_000), "only zero bytes"),
    "random": (np.random.default_rng(0).bytes(50_000), "not audio|damaged"),
    "picture": (factory.picture(), "a picture"),
    "midi": (b"MThd\0\0\0\6\0\1\0\1\0\x60MTrk", "MIDI"),
    "zip": (b"PK\3\4" + bytes(100), "zip archive"),
    "html": (b"<!DOCTYPE html><html><body>404</body></html>", "HTML"),
    "playlist": (b"#EXTM3U\n#EXTINF:3,\nhttp://127.0.0.1:9/a.ts\n", "a playlist"),
    "byte": (b"R", "not audio"),
    "riff": (b"RIFF\0\0\0\0WAVE", "not audio|damaged|cut"),
}


@pytest.mark.parametrize("kind", CONTENTS)
@pytest.mark.parametrize("suffix", [".wav", ".mp3", ".flac", ".ogg", ".m4a"])
def test_what_is_no_audio_says_so(tmp_path: Path, kind: str, suffix: str) -> None:
    content, reason = CONTENTS[kind]
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    with pytest.raises(DecodeError, match=reason):
        audio.read(str(path), sample_rate=22050)


@pytest.mark.parametrize(
    "suffix",
    [".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a", ".aiff", ".au", ".caf", ".w64", ".wv",
     ".tta", ".mka", ".webm", ".wma", ".avi", ".mov", ".aac", ".mp2"],
)  # fmt: skip
@pytest.mark.parametrize("kept", [0.3, 0.61, 0.95])
def test_a_cut_file_is_refused_or_salvaged(tmp_path: Path, suffix: str, kept: float) -> None:
    path = make(tmp_path, suffix)
    whole = audio.read(str(path)).duration
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    reason = reason_of(path)
    assert "cut" in reason or "damaged" in reason
    if "index" in reason:
        return  # an MP4 that lost its index has nothing to be salvaged
    with audio.decode(str(path), sample_rates=[22050], salvage=True) as blocks:
        seconds = sum(len(block[22050]) for block in blocks) / 22050
    assert 0.5 * kept * whole < seconds < whole
    assert blocks.warnings == [reason]


@pytest.mark.parametrize("suffix", [".flac", ".mp3", ".ogg", ".opus", ".m4a", ".wv", ".mka"])
def test_damage_in_the_middle_is_noticed(tmp_path: Path, suffix: str) -> None:
    """Zeros over a tenth of a file, as a bad download leaves them."""
    path = make(tmp_path, suffix)
    data = bytearray(path.read_bytes())
    start, length = len(data) // 2, len(data) // 10
    data[start : start + length] = bytes(length)
    path.write_bytes(data)
    if suffix in (".mka",):
        pytest.skip("Matroska has no checksums: PCM of zeros is silence")
    assert "damaged" in reason_of(path)


@pytest.mark.parametrize("suffix", [".flac", ".wv", ".tta", ".ogg"])
def test_one_flipped_bit_is_noticed_where_there_are_checksums(tmp_path: Path, suffix: str) -> None:
    path = make(tmp_path, suffix, 1.0)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(data)
    assert "damaged" in reason_of(path)


@pytest.mark.parametrize("suffix", [".mp3", ".aac"])
def test_tags_around_the_frames_are_no_damage(tmp_path: Path, suffix: str) -> None:
    path = make(tmp_path, suffix, 2.0)
    sound = audio.read(str(path)).duration
    junk = b"APETAGEX" + bytes(range(1, 200)) * 5 + b"TAG" + b"x" * 125
    path.write_bytes(path.read_bytes() + junk)
    assert audio.read(str(path)).duration == pytest.approx(sound, abs=0.06)


def test_zero_length_audio(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
    assert "zero" in reason_of(tmp_path / "a.wav") or "cut" in reason_of(tmp_path / "a.wav")


@pytest.mark.parametrize(
    "changes",
    [
        {"rate": 0}, {"rate": 5}, {"rate": 2**32 - 1}, {"channels": 0}, {"channels": 65535},
        {"bits": 0}, {"tag": 0x7777}, {"size": 2**31 - 8}, {"channels": 0, "align": 0},
        {"channels": 65},
    ],
)  # fmt: skip
def test_a_lying_header_is_refused(tmp_path: Path, changes: dict[str, int]) -> None:
    assert reason_of(wav_with(tmp_path / "a.wav", **changes))


@pytest.mark.parametrize("size", [0, 0x7FFFF000, 0xFFFFFFFF])
def test_the_sizes_of_streamed_wav_are_no_promise(tmp_path: Path, size: int) -> None:
    clip = audio.read(str(wav_with(tmp_path / "a.wav", size=size)))
    assert clip.duration == pytest.approx(0.5)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_finite_are_found(tmp_path: Path, value: float) -> None:
    samples = factory.tone(seconds=10.0, sample_rate=8000)
    samples[60_000] = value
    path = factory.write_float_wav(tmp_path / "a.wav", samples, 8000)
    assert "at 7.500 s" in reason_of(path)
    with audio.decode(str(path), salvage=True) as blocks:
        kept = np.concatenate([block[8000] for block in blocks])
    assert np.isfinite(kept).all()
    np.testing.assert_array_equal(np.flatnonzero(kept != samples), [60_000])
    assert "NaN" in blocks.warnings[0]


def test_float64_beyond_float32_is_not_finite(tmp_path: Path) -> None:
    path = factory.write_wav(tmp_path / "a.wav", np.array([0.0, 1e300]), 8000, subtype="DOUBLE")
    assert "NaN or infinity" in reason_of(path)


def test_loud_floats_are_taken_as_they_are(tmp_path: Path) -> None:
    samples = np.full(1000, 1e20, np.float32)
    path = factory.write_float_wav(tmp_path / "a.wav", samples, 8000)
    assert audio.read(str(path)).samples[0] == np.float32(1e20)


def test_encrypted_mp4(tmp_path: Path) -> None:
    key = "000102030405060708090a0b0c0d0e0f"
    path = factory.encode(
        tmp_path / "a.mp4",
        factory.noise(seconds=2.0, sample_rate=RATE),
        RATE,
        options={
            "encryption_scheme": "cenc-aes-ctr",
            "encryption_key": key,
            "encryption_kid": key,
        },
    )
    assert reason_of(path) == "encrypted"


def test_a_container_without_sound(tmp_path: Path) -> None:
    import av

    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        out.mux(
            stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), "u1"), format="rgb24"))
        )
        out.mux(stream.encode(None))
    assert "no audio stream" in reason_of(path)


def test_a_part_of_a_cut_file_is_judged_by_that_part(tmp_path: Path) -> None:
    path = make(tmp_path, ".wav")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    assert audio.read(str(path), start=0.5, end=1.5).duration == 1.0
    with pytest.raises(DecodeError, match="cut off"):
        audio.read(str(path), start=1.0, end=4.0)


def test_files_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from earmark.errors import SourceError

    path = make(tmp_path, ".wav", 0.1)
    if os.geteuid() == 0:
        # Root reads everything: have the system refuse instead.
        import builtins

        real: Callable[..., object] = builtins.open

        def refuse(file: object, *args: object, **kwargs: object) -> object:
            if str(file) == str(path):
                raise PermissionError(13, "Permission denied")
            return real(file, *args, **kwargs)

        monkeypatch.setattr(builtins, "open", refuse)
    else:
        path.chmod(0)
    with pytest.raises(SourceError, match="Permission denied"):
        audio.read(str(path))
