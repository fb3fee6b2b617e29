"""Make test audio: signals, and media files of any format without the ffmpeg program.

Signals are float32 of shape (n,) or (channels, n) in [-1, 1].  WAV, FLAC and Ogg Vorbis go through
soundfile, everything else through PyAV's encoders.
"""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import soundfile

Array = npt.NDArray[Any]

# suffix -> (FFmpeg container, encoder, sample format)
_CODECS = {
    ".mp3": ("mp3", "libmp3lame", "fltp"),
    ".mp2": ("mp2", "mp2", "s16"),
    ".m4a": ("ipod", "aac", "fltp"),
    ".mp4": ("mp4", "aac", "fltp"),
    ".aac": ("adts", "aac", "fltp"),
    ".opus": ("ogg", "libopus", "s16"),
    ".webm": ("webm", "libopus", "s16"),
    ".mkv": ("matroska", "flac", "s16"),
    ".mka": ("matroska", "pcm_s16le", "s16"),
    ".flac": ("flac", "flac", "s16"),
    ".aiff": ("aiff", "pcm_s16be", "s16"),
    ".au": ("au", "pcm_s16be", "s16"),
    ".caf": ("caf", "pcm_s16le", "s16"),
    ".w64": ("w64", "pcm_s16le", "s16"),
    ".wav": ("wav", "pcm_s16le", "s16"),
    ".wv": ("wv", "wavpack", "s16p"),
    ".tta": ("tta", "tta", "s16"),
    ".wma": ("asf", "wmav2", "fltp"),
    ".ac3": ("ac3", "ac3", "fltp"),
    ".avi": ("avi", "pcm_s16le", "s16"),
    ".mov": ("mov", "pcm_s16le", "s16"),
    ".ts": ("mpegts", "aac", "fltp"),
}
_SAMPLE_TYPES = {"u8": "u1", "s16": "i2", "s32": "i4", "flt": "f4", "dbl": "f8"}


def tone(
    frequency: float = 440.0,
    *,
    seconds: float = 1.0,
    sample_rate: int = 22050,
    amplitude: float = 0.5,
    harmonics: int = 1,
) -> Array:
    """A sine, or a sum of harmonics falling as 1/n, shape (n,)."""
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    numbers = [n for n in range(1, harmonics + 1) if n * frequency < sample_rate / 2]
    wave = sum(np.sin(2 * np.pi * n * frequency * time) / n for n in numbers)
    total = sum(1 / n for n in numbers)
    return np.asarray(amplitude * wave / total, np.float32)


def chirp(
    *, seconds: float = 1.0, sample_rate: int = 22050, low: float = 200.0, high: float = 2000.0
) -> Array:
    """A sine that glides from `low` to `high` Hz: no two moments are alike, shape (n,)."""
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    phase = 2 * np.pi * (low * time + (high - low) * time**2 / (2 * seconds))
    return (0.5 * np.sin(phase)).astype(np.float32)


def noise(
    *, seconds: float = 1.0, sample_rate: int = 22050, amplitude: float = 0.3, seed: int = 0
) -> Array:
    """White noise, uniform in [-amplitude, amplitude], shape (n,)."""
    rng = np.random.default_rng(seed)
    return rng.uniform(-amplitude, amplitude, round(seconds * sample_rate)).astype(np.float32)


def noise_burst(
    *, seconds: float = 1.0, sample_rate: int = 22050, amplitude: float = 0.5, seed: int = 0
) -> Array:
    """Noise that decays by 60 dB over its length, like a drum, shape (n,)."""
    burst = noise(seconds=seconds, sample_rate=sample_rate, amplitude=amplitude, seed=seed)
    return (burst * 10.0 ** np.linspace(0, -3, len(burst))).astype(np.float32)


def click(*, at: float, seconds: float, sample_rate: int = 22050) -> Array:
    """Silence with one sample of 1.0 at `at` seconds, shape (n,)."""
    samples = np.zeros(round(seconds * sample_rate), np.float32)
    samples[round(at * sample_rate)] = 1.0
    return samples


def write_wav(
    path: Path | str, samples: Array, sample_rate: int = 22050, *, subtype: str = "PCM_16"
) -> Path:
    """Write a WAV; subtype as soundfile names them (PCM_U8, PCM_16, PCM_24, FLOAT, DOUBLE)."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file:
        soundfile.write(file, samples.T, sample_rate, subtype=subtype, format="WAV")
    return path


def write_float_wav(path: Path | str, samples: Array, sample_rate: int = 22050) -> Path:
    """Write 32-bit floats bit by bit, NaN and infinity included; shape (n,)."""
    data = samples.astype("<f4").tobytes()
    header = struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(b"RIFF", 36 + len(data), b"WAVE", b"fmt ", 16, 3, 1),
        *(sample_rate, 4 * sample_rate, 4, 32, b"data", len(data)),
    )
    Path(path).write_bytes(header + data)
    return Path(path)


def encode(
    path: Path | str,
    samples: Array,
    sample_rate: int = 44100,
    *,
    codec: str | None = None,
    container: str | None = None,
    sample_format: str | None = None,
    bit_rate: int = 128_000,
    options: dict[str, str] | None = None,
    tags: dict[str, str] | None = None,
    cover: bool = False,
    video: bool = False,
    more_streams: tuple[Array, ...] = (),
) -> Path:
    """Encode a file, its form taken from the suffix unless given.

    Parameters
    ----------
    samples : float array, shape (n,) or (channels, n)
    cover : bool
        Add a picture as ID3 (mp3), MP4 or FLAC files carry it.
    video : bool
        Add a second of moving picture before the audio stream.
    more_streams : tuple of arrays
        Further audio streams, same codec.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".ogg" and codec is None:
        _write_vorbis(path, samples, sample_rate)
        return path
    kind, encoder, form = _CODECS[path.suffix]
    form = sample_format or form
    with av.open(str(path), "w", format=container or kind, options=options or {}) as out:
        out.metadata.update(tags or {})
        moving = _video_stream(out) if video else None
        tracks = []
        for signal in (samples, *more_streams):
            stream = out.add_stream(
                codec or encoder,
                rate=sample_rate,
                layout=_layout(signal),
                format=form,
                options={"strict": "experimental"},
            )
            stream.bit_rate = bit_rate
            tracks.append((stream, signal))
        # Every stream must exist before the first packet is written.
        if moving is not None:
            _encode_video(out, moving)
        for stream, signal in tracks:
            _encode_audio(out, stream, signal, sample_rate, form)
    if cover:
        _add_cover(path)
    return path


def _layout(samples: Array) -> str:
    channels = 1 if samples.ndim == 1 else samples.shape[0]
    names = {1: "mono", 2: "stereo", 3: "2.1", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
    return names.get(channels, "hexadecagonal" if channels == 16 else f"{channels} channels")


def _encode_audio(out: Any, stream: Any, samples: Array, sample_rate: int, form: str) -> None:
    signal = np.atleast_2d(samples)
    kind = _SAMPLE_TYPES[form.removesuffix("p")]
    if kind == "u1":
        values = np.round(signal * 127.0 + 128.0).astype("u1")
    elif kind[0] == "i":
        top = 2 ** (8 * int(kind[1]) - 1)
        values = np.clip(np.round(signal * float(top)), -top, top - 1).astype(kind)
    else:
        values = signal.astype(kind)
    step = 1024 if stream.codec_context.frame_size == 0 else stream.codec_context.frame_size
    for start in range(0, values.shape[1], step):
        part = values[:, start : start + step]
        if not form.endswith("p"):
            part = part.T.reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(part), format=form, layout=stream.codec_context.layout.name
        )
        frame.sample_rate = sample_rate
        frame.pts = start
        out.mux(stream.encode(frame))
    out.mux(stream.encode(None))


def _write_vorbis(path: Path, samples: Array, sample_rate: int) -> None:
    data = np.atleast_2d(samples).T
    with (
        open(path, "wb") as raw,
        soundfile.SoundFile(
            raw, "w", sample_rate, data.shape[1], format="OGG", subtype="VORBIS"
        ) as file,
    ):
        # libsndfile's stack does not bear long blocks here.
        for start in range(0, len(data), 4096):
            file.write(data[start : start + 4096])


def _video_stream(out: Any) -> Any:
    stream = out.add_stream("mpeg4", rate=25)
    stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
    return stream


def _encode_video(out: Any, stream: Any) -> None:
    for number in range(25):
        picture = np.full((48, 64, 3), number * 10, np.uint8)
        out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
    out.mux(stream.encode(None))


def picture() -> bytes:
    """A PNG of noise, as a cover."""
    context = av.CodecContext.create("png", "w")
    context.width, context.height, context.pix_fmt = 128, 128, "rgb24"
    context.time_base = Fraction(1, 25)
    pixels = np.random.default_rng(0).integers(0, 255, (128, 128, 3), dtype=np.uint8)
    packets = context.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24"))
    return b"".join(bytes(p) for p in [*packets, *context.encode(None)])


def _add_cover(path: Path) -> None:
    import mutagen.flac
    import mutagen.id3
    import mutagen.mp4

    if path.suffix == ".mp3":
        tags = mutagen.id3.ID3()
        tags.add(mutagen.id3.APIC(mime="image/png", type=3, data=picture()))
        tags.save(path)
    elif path.suffix == ".flac":
        file = mutagen.flac.FLAC(path)
        cover = mutagen.flac.Picture()
        cover.data, cover.mime, cover.type = picture(), "image/png", 3
        file.add_picture(cover)
        file.save()
    else:
        file = mutagen.mp4.MP4(path)
        file["covr"] = [mutagen.mp4.MP4Cover(picture(), mutagen.mp4.MP4Cover.FORMAT_PNG)]
        file.save()
