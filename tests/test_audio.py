"""Decoding of sound audio: every format, rate, depth and number of channels, whole and in part."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

import audio_factory as factory
from earmark import audio
from earmark.audio.resampling import StreamResampler, resampled_length
from earmark.errors import DecodeError, SourceError, UsageError

RATE = 44100


def stereo(seconds: float = 1.0, rate: int = RATE) -> np.ndarray:
    left = factory.tone(440, seconds=seconds, sample_rate=rate, amplitude=0.6)
    right = factory.noise(seconds=seconds, sample_rate=rate, amplitude=0.2, seed=1)
    return np.stack([left, right])


def likeness(one: np.ndarray, two: np.ndarray) -> float:
    """Correlation of two signals over what they share, best of small shifts (codec delays)."""
    best = -1.0
    for shift in range(0, 3000, 1):
        n = min(len(one) - shift, len(two), 8000)
        if n < 1000:
            break
        a, b = one[shift : shift + n], two[:n]
        value = float(a @ b / np.sqrt((a @ a) * (b @ b) + 1e-12))
        best = max(best, value)
        if best > 0.99:
            break
    return best


LOSSLESS = [".wav", ".flac", ".aiff", ".au", ".caf", ".w64", ".wv", ".tta", ".mka", ".mov", ".avi"]
LOSSY = [".mp3", ".mp2", ".m4a", ".aac", ".ogg", ".opus", ".webm", ".wma", ".ac3", ".ts"]


@pytest.mark.parametrize("suffix", LOSSLESS)
def test_lossless_formats_give_the_mean_of_the_channels(tmp_path: Path, suffix: str) -> None:
    signal = stereo(0.5)
    path = factory.encode(tmp_path / f"a{suffix}", signal, RATE)
    clip = audio.read(str(path))
    assert clip.sample_rate == RATE
    assert clip.samples.dtype == np.float32
    assert len(clip.samples) == signal.shape[1]
    np.testing.assert_allclose(clip.samples, signal.mean(axis=0), atol=2.0**-15)


@pytest.mark.parametrize("suffix", LOSSY)
def test_lossy_formats_sound_like_the_original(tmp_path: Path, suffix: str) -> None:
    rate = 48000 if suffix in (".opus", ".webm") else RATE
    # A tone alone: noise is what codecs change.  Its slow swell fixes the time.
    tone = factory.tone(440, seconds=1.0, sample_rate=rate)
    swell = (tone * np.linspace(0.2, 1.0, len(tone)) ** 2).astype(np.float32)
    path = factory.encode(tmp_path / f"a{suffix}", np.stack([swell, swell]), rate)
    clip = audio.read(str(path))
    assert clip.sample_rate == rate
    assert clip.duration == pytest.approx(1.0, abs=0.1)
    assert likeness(clip.samples, swell) > 0.95


@pytest.mark.parametrize("suffix", [".ogg", ".m4a", ".mp3"])
def test_the_codec_padding_is_not_part_of_the_audio(tmp_path: Path, suffix: str) -> None:
    # MP4 says where its audio ends in milliseconds.
    tolerance = 45 if suffix == ".m4a" else 0
    for n in (10_000, 10_001, 44_100):
        tone = factory.tone(seconds=n / RATE, sample_rate=RATE)
        path = factory.encode(tmp_path / f"{n}{suffix}", tone, RATE)
        assert abs(len(audio.read(str(path)).samples) - n) <= tolerance


@pytest.mark.parametrize(
    ("subtype", "tolerance"),
    [
        ("PCM_U8", 2.0**-7), ("PCM_16", 2.0**-15), ("PCM_24", 2.0**-23), ("PCM_32", 2.0**-23),
        ("FLOAT", 1e-7), ("DOUBLE", 1e-7), ("ULAW", 0.02), ("ALAW", 0.02),
        ("IMA_ADPCM", 0.05), ("MS_ADPCM", 0.05),
    ],
)  # fmt: skip
def test_every_depth_is_scaled_to_one(tmp_path: Path, subtype: str, tolerance: float) -> None:
    signal = factory.tone(440, seconds=0.3, sample_rate=RATE, amplitude=0.9)
    path = factory.write_wav(tmp_path / "a.wav", signal, RATE, subtype=subtype)
    samples = audio.read(str(path)).samples
    assert abs(np.abs(samples).max() - 0.9) < 0.01 + tolerance
    # ADPCM needs some samples to find its step.
    steady = slice(200, len(signal))
    np.testing.assert_allclose(samples[steady], signal[steady], atol=2 * tolerance)


def test_full_scale_is_exact(tmp_path: Path) -> None:
    extremes = np.array([-1.0, 0.0, 0.5, -0.5], np.float32)
    for subtype in ("PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"):
        path = factory.write_wav(tmp_path / f"{subtype}.wav", extremes, 8000, subtype=subtype)
        np.testing.assert_array_equal(audio.read(str(path)).samples, extremes)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 6, 8, 16])
def test_one_to_sixteen_channels(tmp_path: Path, channels: int) -> None:
    signal = np.stack([
        factory.tone(200 + 100 * c, seconds=0.2, sample_rate=16000) for c in range(channels)
    ])  # fmt: skip
    path = factory.write_wav(tmp_path / "a.wav", signal, 16000, subtype="FLOAT")
    assert audio.probe(str(path)).channels == channels
    np.testing.assert_allclose(audio.read(str(path)).samples, signal.mean(axis=0), atol=1e-6)


@pytest.mark.parametrize("rate", [4000, 8000, 11025, 22050, 48000, 96000, 192_000, 384_000])
def test_odd_rates_become_the_wanted_one(tmp_path: Path, rate: int) -> None:
    signal = factory.tone(500, seconds=0.5, sample_rate=rate)
    path = factory.write_wav(tmp_path / "a.wav", signal, rate, subtype="FLOAT")
    assert audio.probe(str(path)).sample_rate == rate
    clip = audio.read(str(path), sample_rate=22050)
    assert len(clip.samples) == resampled_length(len(signal), rate, 22050)
    expected = factory.tone(500, seconds=0.5, sample_rate=22050)[: len(clip.samples)]
    inner = slice(400, len(expected) - 400)
    np.testing.assert_allclose(clip.samples[inner], expected[inner], atol=2e-3)


def test_streaming_resampler_agrees_with_one_shot(tmp_path: Path) -> None:
    soxr = pytest.importorskip("soxr")
    signal = factory.noise(seconds=9.0, sample_rate=RATE)
    path = factory.write_wav(tmp_path / "a.wav", signal, RATE, subtype="FLOAT")
    ours = audio.read(str(path), sample_rate=16000).samples
    theirs = soxr.resample(signal, RATE, 16000)
    np.testing.assert_allclose(ours, theirs[: len(ours)], atol=1e-5)


@pytest.mark.parametrize("rates", [(44100, 22050), (8000, 22050), (48000, 16000), (11025, 48000)])
def test_resampled_lengths_are_exact_whatever_the_blocks(rates: tuple[int, int]) -> None:
    for n in [*range(1, 60), 999, 1000, 1001, 4409, 4410, 4411]:
        for block in (n, 7, 512):
            stream = StreamResampler(*rates)
            parts = [
                stream.push(np.ones(min(block, n - at), np.float32)) for at in range(0, n, block)
            ]
            got = sum(len(part) for part in [*parts, stream.finish()])
            assert got == resampled_length(n, *rates), (n, block)


def test_several_rates_in_one_pass_cover_the_same_time(tmp_path: Path) -> None:
    signal = stereo(11.3)
    path = factory.write_wav(tmp_path / "a.wav", signal, RATE)
    rates = (8000, 22050, RATE, 48000)
    with audio.decode(str(path), sample_rates=rates) as blocks:
        parts = list(blocks)
    assert len(parts) > 2, "a long file must come in several blocks"
    for rate in rates:
        joined = np.concatenate([part[rate] for part in parts])
        assert len(joined) == resampled_length(signal.shape[1], RATE, rate)
        alone = audio.read(str(path), sample_rate=rate).samples
        np.testing.assert_array_equal(joined, alone)
        assert max(len(part[rate]) for part in parts) <= 5 * rate
    assert blocks.info.duration == pytest.approx(11.3, abs=1e-4)


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".mp3", ".ogg", ".m4a", ".opus", ".aac",
                                    ".mka", ".aiff", ".webm", ".wma", ".ts"])  # fmt: skip
def test_a_part_is_that_part_of_the_whole(tmp_path: Path, suffix: str) -> None:
    rate = 48000 if suffix in (".opus", ".webm") else RATE
    # No noise: AAC and Opus put noise of their own in its place, anew each time.
    chirp = factory.chirp(seconds=8.0, sample_rate=rate)
    path = str(factory.encode(tmp_path / f"a{suffix}", np.stack([chirp, chirp / 2]), rate))
    whole = audio.read(path).samples
    for start, end in [(0.0, 0.5), (0.25, 1.0), (3.2, 5.7), (6.0, None)]:
        part = audio.read(path, start=start, end=end)
        stop = len(whole) if end is None else round(end * rate)
        expected = whole[round(start * rate) : stop]
        assert part.start == start
        assert len(part.samples) == len(expected)
        np.testing.assert_allclose(part.samples, expected, atol=0.01)


def test_the_part_outside_is_a_usage_error(tmp_path: Path) -> None:
    path = str(factory.write_wav(tmp_path / "a.wav", factory.tone()))
    for start, end in [(5.0, 6.0), (-1.0, None), (0.5, 0.5), (0.0, float("nan"))]:
        with pytest.raises(UsageError):
            audio.read(path, start=start, end=end)
    for rate in (0, 10, 10_000_000):
        with pytest.raises(UsageError):
            audio.read(path, sample_rate=rate)


def test_cover_art_is_not_a_stream(tmp_path: Path) -> None:
    for suffix in (".mp3", ".m4a", ".flac"):
        path = factory.encode(tmp_path / f"a{suffix}", stereo(0.5), RATE, cover=True)
        info = audio.probe(str(path))
        assert (info.channels, info.sample_rate) == (2, RATE)
        assert audio.read(str(path)).duration == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov", ".avi"])
def test_video_with_sound(tmp_path: Path, suffix: str) -> None:
    path = factory.encode(tmp_path / f"a{suffix}", stereo(1.0), RATE, video=True)
    assert audio.read(str(path)).duration == pytest.approx(1.0, abs=0.05)


def test_several_audio_streams(tmp_path: Path) -> None:
    low, high = (factory.tone(f, seconds=0.5, sample_rate=RATE) for f in (300, 3000))
    path = str(factory.encode(tmp_path / "a.mka", low, RATE, more_streams=(high,)))
    np.testing.assert_allclose(audio.read(path).samples, low, atol=1e-4)
    np.testing.assert_allclose(audio.read(path, stream=1).samples, high, atol=1e-4)
    with pytest.raises(DecodeError, match="audio streams are 0 to 1, not 2"):
        audio.read(path, stream=2)


def test_probe_says_what_is_stored(tmp_path: Path) -> None:
    path = factory.encode(tmp_path / "a.ogg", stereo(1.5, 48000), 48000)
    info = audio.probe(str(path))
    assert (info.codec, info.container, info.sample_rate, info.channels) == (
        "vorbis", "ogg", 48000, 2,
    )  # fmt: skip
    assert info.duration == pytest.approx(1.5, abs=0.01)


def test_binary_files_are_read_like_paths(tmp_path: Path) -> None:
    for suffix in (".wav", ".mp3", ".ogg", ".m4a"):
        path = factory.encode(tmp_path / f"a{suffix}", stereo(3.0), RATE)
        from_path = audio.read(str(path), start=1.5).samples
        from_file = audio.read(io.BytesIO(path.read_bytes()), start=1.5, name="memory").samples
        np.testing.assert_array_equal(from_path, from_file)


def test_vorbis_agrees_with_libsndfile(tmp_path: Path) -> None:
    """The slow twin: the reference decoder.  FFmpeg alone is off by a block at both ends."""
    for rate, seconds in ((8000, 0.4655), (32000, 0.3329), (44100, 1.7)):
        chirp = factory.chirp(seconds=seconds, sample_rate=rate)
        path = factory.encode(tmp_path / f"{rate}.ogg", chirp, rate)
        theirs, _ = soundfile.read(path, dtype="float32")
        np.testing.assert_allclose(audio.read(str(path)).samples, theirs, atol=1e-5)


def test_names_that_look_like_protocols_or_are_not_utf8(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = factory.write_wav(tmp_path / "a.wav", factory.tone()).read_bytes()
    for name in ("concat:a|b.wav", "12:30.wav", "a%03d.wav", "b\udcff.wav", "-i.wav", "?.wav"):
        Path(name).write_bytes(data)
        for path in (name, str(tmp_path / name)):
            assert audio.read(path).duration == pytest.approx(1.0)


def test_missing_files_and_folders_are_source_errors(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such file"):
        audio.read(str(tmp_path / "a.wav"))
    with pytest.raises(SourceError, match="a folder"):
        audio.read(str(tmp_path))
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(SourceError, match="not a regular file"):
        audio.read(str(tmp_path / "pipe.wav"))


def test_a_format_that_changes_on_the_way(tmp_path: Path) -> None:
    """Chained Ogg, as radio stations send it: two streams, one after the other."""
    one = factory.encode(tmp_path / "1.ogg", factory.tone(seconds=1.0, sample_rate=RATE), RATE)
    two = factory.encode(tmp_path / "2.ogg", factory.tone(seconds=1.0, sample_rate=RATE), RATE)
    both = tmp_path / "both.ogg"
    both.write_bytes(one.read_bytes() + two.read_bytes())
    assert audio.read(str(both)).duration == pytest.approx(2.0, abs=0.05)


def test_channels_and_rates_that_change_on_the_way(tmp_path: Path) -> None:
    """FFmpeg's FIFO, fed with frames of another form, would read memory that is not there."""
    parts = b""
    for channels, rate in ((3, 48000), (1, 48000), (2, 32000)):
        signal = np.stack([factory.tone(seconds=1.0, sample_rate=rate)] * channels)
        parts += factory.encode(tmp_path / "a.ac3", signal, rate).read_bytes()
    path = tmp_path / "all.ac3"
    path.write_bytes(parts)
    clip = audio.read(str(path), sample_rate=22050)
    assert clip.duration == pytest.approx(3.0, abs=0.1)
    middle = [clip.samples[round(s * 22050) :][:2000] for s in (0.5, 1.5, 2.5)]
    assert all(np.abs(part).max() > 0.2 for part in middle)


@pytest.mark.slow
def test_memory_is_bounded_however_long_the_file(tmp_path: Path) -> None:
    """Four minutes of 16 channels of float64: 1.5 GB, of which the disk has next to nothing."""
    head = factory.write_wav(
        tmp_path / "a.wav", np.zeros((16, 10)), 48000, subtype="DOUBLE"
    ).read_bytes()
    size = 48000 * 60 * 4 * 16 * 8
    path = tmp_path / "long.wav"
    at = head.index(b"data")
    sizes = [(at + size).to_bytes(4, "little"), size.to_bytes(4, "little")]
    path.write_bytes(head[:4] + sizes[0] + head[8 : at + 4] + sizes[1])
    os.truncate(path, at + 8 + size)
    program = (
        "import re, sys; from earmark import audio\n"
        "with audio.decode(sys.argv[1], sample_rates=[22050, 48000]) as blocks:\n"
        "    seconds = sum(len(block[22050]) for block in blocks) / 22050\n"
        "status = open('/proc/self/status').read()\n"  # rusage would begin with the parent's
        "print(seconds, int(re.search(r'VmHWM:\\s*(\\d+)', status)[1]) / 1024)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True
    )
    seconds, megabytes = map(float, done.stdout.split())
    assert seconds == 60 * 4
    assert megabytes < 200


@pytest.mark.parametrize("kind", ["u1", "i2", "i4", "f4", "f8"])
def test_arrays_of_every_type(kind: str) -> None:
    tone = factory.tone(440, seconds=0.5, sample_rate=RATE, amplitude=0.8)
    if kind == "u1":
        array = np.round(tone * 127 + 128).astype("u1")
    elif kind[0] == "i":
        array = np.round(tone * (2.0 ** (8 * int(kind[1]) - 1) - 1)).astype(kind)
    else:
        array = tone.astype(kind)
    clip = audio.read_array(np.stack([array, array]), RATE)
    np.testing.assert_allclose(clip.samples, tone, atol=0.02 if kind == "u1" else 1e-4)
    half = audio.read_array(array, RATE, target_rate=22050)
    assert len(half.samples) == resampled_length(len(tone), RATE, 22050)


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros(0), "length is zero"),
        (np.array([0.0, np.nan]), "NaN or infinity at 0.000 s"),
        (np.full(3, 1e300), "NaN or infinity"),
        (np.zeros((3, 3, 3)), "real numbers of shape"),
        (np.zeros(3, complex), "real numbers of shape"),
        (np.zeros((44100, 2)), "at most 64 channels"),
    ],
)
def test_arrays_that_are_no_audio(array: np.ndarray, reason: str) -> None:
    with pytest.raises(DecodeError, match=reason):
        audio.read_array(array, RATE)


@pytest.mark.data
def test_real_recordings_agree_with_libsndfile(data_dir: Path) -> None:
    """The slow twin: another decoder of Vorbis gives the same samples."""
    files = sorted(data_dir.glob("*/*.ogg"))[::150]
    assert files
    for path in files:
        theirs, rate = soundfile.read(path, dtype="float32", always_2d=True)
        clip = audio.read(str(path))
        assert clip.sample_rate == rate
        assert len(clip.samples) == len(theirs)
        np.testing.assert_allclose(clip.samples, theirs.mean(axis=1), atol=1e-5)
