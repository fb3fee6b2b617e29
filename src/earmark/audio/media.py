"""Open a source with FFmpeg, by PyAV: its container, its audio stream, and what they claim.

Decoders run on one thread: parallelism is over files.
"""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from earmark.audio import integrity
from earmark.errors import DecodeError, SourceError
from earmark.types import AudioInfo

Input: TypeAlias = "str | BinaryIO"

MIN_RATE, MAX_RATE = 1_000, 1_536_000
MAX_CHANNELS = 64

# Decoders that can check their frames against checksums.
_CHECKED_CODECS = frozenset({"flac", "wavpack", "tta", "tak"})


@dataclass
class Media:
    """An opened source with its chosen audio stream.  `close` it, or use it as a context.

    Parameters
    ----------
    name : str
        What to call it in messages.
    info : AudioInfo
        As the container claims.
    promise : float or None
        Seconds that the file itself says it holds, None if it does not say.
    """

    name: str
    source: Input
    container: Any
    stream: Any
    info: AudioInfo
    promise: float | None

    def __enter__(self) -> Media:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the decoder."""
        self.container.close()


def open_media(source: Input, *, name: str | None, stream: int | None) -> Media:
    """Open a local path or a seekable binary file and choose an audio stream.

    Raises
    ------
    SourceError
        If the file is missing or cannot be read.
    DecodeError
        If it holds no audio that can be decoded.
    """
    name = name or (source if isinstance(source, str) else getattr(source, "name", "file"))
    name = str(name)
    head = _head(source, name)
    if not head:
        raise DecodeError(name, "the file is empty (0 bytes)")
    if reason := integrity.refusal(head):
        raise DecodeError(name, reason)
    container = _open_container(source, name, head)
    try:
        chosen = _choose_stream(container, name, stream)
        info = _claimed(container, chosen, name)
        promise = _promise(source, container, chosen, info)
    except BaseException:
        container.close()
        raise
    return Media(name, source, container, chosen, info, promise)


def container_tags(source: Input) -> dict[str, str]:
    """Tags of the container and of its audio stream, as FFmpeg names them.

    Raises
    ------
    SourceError, DecodeError
        As `open_media`.
    """
    with open_media(source, name=None, stream=None) as media:
        return {**media.stream.metadata, **media.container.metadata}


def _head(source: Input, name: str) -> bytes:
    try:
        if isinstance(source, str):
            kind = Path(source).stat().st_mode
            # A pipe or a device would be read for ever.
            if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
                raise SourceError(name, "not a regular file")
            with open(source, "rb") as file:
                return file.read(integrity.HEAD_BYTES)
        source.seek(0)
        return source.read(integrity.HEAD_BYTES)
    except FileNotFoundError:
        raise SourceError(name, "there is no such file") from None
    except IsADirectoryError:
        raise SourceError(name, "a folder, not a file") from None
    except OSError as error:
        raise SourceError(name, f"cannot be read: {error.strerror or error}") from error


def _open_container(source: Input, name: str, head: bytes) -> Any:
    import av

    # A local playlist must not send FFmpeg to the network.
    options = {"protocol_whitelist": "file"}
    if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
        # FFmpeg looks for DTS inside 16-bit PCM, which takes ten times as long as opening.
        options["probesize"] = "8192"
    if not isinstance(source, str):
        source.seek(0)
    # An absolute path cannot be mistaken for a protocol ("concat:a|b").
    target = str(Path(source).absolute()) if isinstance(source, str) else source
    try:
        return av.open(target, "r", options=options, metadata_errors="replace")
    except av.error.FFmpegError as error:
        raise DecodeError(name, _open_reason(source, head, error)) from error
    except OSError as error:
        raise SourceError(name, f"cannot be read: {error.strerror or error}") from error


def _open_reason(source: Input, head: bytes, error: Any) -> str:
    import av

    if with_file(source, integrity.mp4_has_index) is False:
        return "cut off: an MP4 without its index (moov)"
    if missing := with_file(source, integrity.missing_bytes):
        return f"cut off: the last {missing} bytes that its header promises are missing"
    known = head.startswith((b"OggS", b"fLaC", b"RIFF", b"FORM", b"ID3"))
    if isinstance(error, av.error.EOFError) and known:
        return "cut off or damaged: it ends before its audio begins"
    if isinstance(error, (av.error.InvalidDataError, av.error.EOFError)):
        return "not audio, or damaged at its start: FFmpeg knows no such format"
    return f"cannot be opened: {plain_reason(error)}"


def with_file(source: Input, look: Any) -> Any:
    """Apply a function of `integrity` to the bytes of a source."""
    if isinstance(source, str):
        with open(source, "rb") as file:
            return look(file)
    # FFmpeg reads on from where it left the file.
    position = source.tell()
    try:
        return look(source)
    finally:
        source.seek(position)


def plain_reason(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text)[:1].lower() + str(text)[1:]


def _choose_stream(container: Any, name: str, index: int | None) -> Any:
    import av

    streams = list(container.streams.audio)
    if not streams:
        raise DecodeError(name, f"no audio stream in this {container.format.name} file")
    if index is not None:
        if not 0 <= index < len(streams):
            raise DecodeError(name, f"audio streams are 0 to {len(streams) - 1}, not {index}")
        candidates = [streams[index]]
    else:
        default = int(av.stream.Disposition.default)
        # Stable: the first default stream, else the first.
        candidates = sorted(streams, key=lambda s: not int(s.disposition) & default)
    for chosen in candidates:
        if chosen.codec_context is not None:
            for other in container.streams:
                if other is not chosen:
                    other.discard = av.stream.Discard.all
            _prepare(container, chosen.codec_context)
            return chosen
    raise DecodeError(name, "no decoder for its audio: encrypted, or an unknown codec")


def is_ogg_vorbis(container: Any, context: Any) -> bool:
    """Whether the ends of the stream are trimmed by us."""
    return bool(container.format.name == "ogg" and context.name == "vorbis")


def _prepare(container: Any, context: Any) -> None:
    context.thread_count = 1
    if is_ogg_vorbis(container, context):
        # FFmpeg trims the end by timestamps that are off by a block: up to 30 ms are lost or
        # too much.  `MonoStream` drops the first frame and trims the end by the count.
        context.options = {"flags2": "+skip_manual"}
    if context.name in _CHECKED_CODECS:
        context.options = {"err_detect": "crccheck+explode"}


def _claimed(container: Any, stream: Any, name: str) -> AudioInfo:
    context = stream.codec_context
    rate, channels = int(context.sample_rate or 0), int(context.channels or 0)
    # Some formats (raw AAC, MPEG-TS) tell these only with the first frame.
    if rate and not MIN_RATE <= rate <= MAX_RATE:
        raise DecodeError(
            name, f"sample rate must be {MIN_RATE} to {MAX_RATE} Hz, the header says {rate}"
        )
    if channels > MAX_CHANNELS:
        raise DecodeError(name, f"channels must be 1 to {MAX_CHANNELS}, the header says {channels}")
    if not rate or not channels:
        raise DecodeError(name, "not audio, or an absurd header: no sample rate or no channels")
    seconds = 0.0
    if stream.duration and stream.duration > 0:
        seconds = float(stream.duration * stream.time_base)
    elif container.duration and container.duration > 0:
        seconds = container.duration / 1e6
    return AudioInfo(
        duration=seconds,
        sample_rate=rate,
        channels=channels,
        codec=_codec_name(context),
        container=_container_name(container),
        bit_rate=int(stream.codec_context.bit_rate or container.bit_rate or 0),
    )


def _codec_name(context: Any) -> str:
    canonical = getattr(context.codec, "canonical_name", None) or context.name
    return str(canonical)


def _container_name(container: Any) -> str:
    name: str = container.format.name
    if name.startswith("mov,"):
        return "mp4"
    return "matroska" if name.startswith("matroska") else name


def _promise(source: Input, container: Any, stream: Any, info: AudioInfo) -> float | None:
    kind = container.format.name
    if kind == "wav":
        frames = with_file(source, integrity.wav_frames)
        return None if frames is None else frames / info.sample_rate
    if kind == "mp3":
        seconds: float | None = with_file(source, integrity.mp3_seconds)
        return seconds
    if not integrity.states_length(kind):
        return None
    if stream.duration and stream.duration > 0:
        return info.duration
    if written := stream.metadata.get("DURATION"):
        return _clock(written)
    # The whole container's length is that of its longest stream.
    return info.duration if len(container.streams) == 1 and info.duration > 0 else None


def _clock(text: str) -> float | None:
    """Seconds of Matroska's ``00:01:02.500000000``."""
    try:
        hours, minutes, seconds = text.split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except ValueError:
        return None
