"""What a media file promises, read from its own headers, so that a cut can be told from an end.

FFmpeg plays what there is and says little of what is missing: a WAV or MP3 that lost its second
half decodes without a complaint.  Here the few containers that announce their length are asked
for it, and `earmark.audio` holds the count of decoded samples against the answer.  All functions
work on seekable binary files and leave their position anywhere.

Sources: Microsoft RIFF and EBU Tech 3306 (RF64); RFC 3533 (Ogg); the Xing / Info and VBRI
headers as LAME and Fraunhofer write them; ISO/IEC 11172-3 for the MPEG audio frame header.
"""

from __future__ import annotations

import os
import struct
from typing import BinaryIO

HEAD_BYTES = 4096
"""How much of a file `refusal` wants to see."""

_MAX_OGG_PAGE = 27 + 255 + 255 * 255
_STREAMING_SIZES = frozenset({0, 0x7FFFF000, 0x7FFFFFFF, 0xFFFFFFFF})
_MAX_CHUNKS = 256
_MP4_BOXES = frozenset(
    {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"moof", b"mfra", b"sidx", b"styp",
     b"udta", b"uuid", b"meta", b"pdin"}
)  # fmt: skip
_ASF_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
# Bit rates of MPEG audio by index: MPEG-1 layers II and III, and both layers of MPEG-2.
_KBITS = {
    "II": (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    "III": (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    "low": (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}

# Containers whose stated length is a promise, not FFmpeg's estimate from the bit rate.
_STATED_LENGTH = frozenset(
    [
        "aiff",
        "ape",
        "asf",
        "au",
        "avi",
        "caf",
        "dsf",
        "flac",
        "iff",
        "matroska,webm",
        "mov,mp4,m4a,3gp,3g2,mj2",
        "mpc",
        "mpc8",
        "ogg",
        "tak",
        "tta",
        "voc",
        "w64",
        "wv",
    ]
)
_EXACT = frozenset({"aiff", "au", "ape", "flac", "tak", "tta", "w64", "wav", "wv"})

_REFUSED = (
    (b"MThd", "a MIDI file: it holds notes, not sound"),
    (b"#EXTM3U", "a playlist, not audio"),
    (b"ffconcat", "a playlist, not audio"),
    (b"[playlist]", "a playlist, not audio"),
    (b"<?xml", "an XML document, not audio"),
    (b"<!DOCTYPE", "an HTML document, not audio"),
    (b"<html", "an HTML document, not audio"),
    (b"PK\x03\x04", "a zip archive, not audio"),
    (b"PK\x05\x06", "an empty zip archive, not audio"),
    (b"%PDF-", "a PDF document, not audio"),
    (b"\x89PNG", "a picture, not audio"),
    (b"\xff\xd8\xff", "a picture, not audio"),
    (b"GIF8", "a picture, not audio"),
    (b"\x7fELF", "a program, not audio"),
    (b"v=0\r\n", "a session description, not audio"),
    (b"v=0\n", "a session description, not audio"),
)


def refusal(head: bytes) -> str | None:
    """Say why a file that begins with `head` must not be given to FFmpeg, or None.

    Playlists and session descriptions make FFmpeg open other files and hosts; the rest merely
    gets a better reason here than FFmpeg has.

    Examples
    --------
    >>> refusal(b"#EXTM3U\\n#EXTINF:3,\\nhttp://example.org/a.ts")
    'a playlist, not audio'
    """
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:16].lower()
    for magic, reason in _REFUSED:
        if head.startswith(magic) or text.startswith(magic.lower()):
            return reason
    if head and not head.strip(b"\0") and len(head) >= min(HEAD_BYTES, 64):
        return "only zero bytes, not audio"
    return None


def is_exact(container: str) -> bool:
    """Whether the container counts its samples to the last one."""
    return container in _EXACT


def states_length(container: str) -> bool:
    """Whether FFmpeg's duration for this container is what the file itself says."""
    return container in _STATED_LENGTH


def file_size(file: BinaryIO) -> int:
    """Length in bytes."""
    return file.seek(0, os.SEEK_END)


def wav_frames(file: BinaryIO) -> int | None:
    """Sample frames that the header of a PCM WAV promises.

    Returns
    -------
    int or None
        None if the header does not say: a codec other than PCM or float, a streaming size
        (0, 0x7FFFF000, 0x7FFFFFFF, 0xFFFFFFFF), or no ``data`` chunk.
    """
    file.seek(0)
    riff = file.read(12)
    if riff[:4] not in (b"RIFF", b"RF64", b"BW64") or riff[8:12] != b"WAVE":
        return None
    frame_bytes = 0
    large: int | None = None
    for _ in range(_MAX_CHUNKS):
        header = file.read(8)
        if len(header) < 8:
            return None
        kind, size = header[:4], int.from_bytes(header[4:], "little")
        if kind == b"data":
            if large is not None and size == 0xFFFFFFFF:
                size = large
            elif size in _STREAMING_SIZES:
                return None
            return size // frame_bytes if frame_bytes else None
        body = file.read(min(size, 64))
        if kind == b"ds64" and len(body) >= 16:
            large = int.from_bytes(body[8:16], "little") or None
        elif kind == b"fmt " and len(body) >= 16:
            frame_bytes = _pcm_frame_bytes(body)
        file.seek(size - len(body) + (size & 1), os.SEEK_CUR)
    return None


def _pcm_frame_bytes(fmt: bytes) -> int:
    tag, channels, _, _, _, bits = struct.unpack("<HHIIHH", fmt[:16])
    if tag == 0xFFFE and len(fmt) >= 26:
        tag = int.from_bytes(fmt[24:26], "little")
    return int(channels * ((bits + 7) // 8)) if tag in (1, 3, 6, 7) else 0


def mp3_seconds(file: BinaryIO) -> float | None:
    """Seconds that the Xing, Info or VBRI header of an MP3 promises, its encoder's padding taken
    off; None if it has no such header."""
    frame = _first_mp3_frame(file)
    if frame is None:
        return None
    data, samples, sample_rate = frame
    vbri = data.find(b"VBRI", 0, 64)
    if vbri >= 0 and len(data) >= vbri + 18:
        return int.from_bytes(data[vbri + 14 : vbri + 18], "big") * samples / sample_rate
    at = max(data.find(b"Xing", 0, 64), data.find(b"Info", 0, 64))
    if at < 0 or len(data) < at + 12 or not data[at + 7] & 1:
        return None
    flags = data[at + 7]
    total = int.from_bytes(data[at + 8 : at + 12], "big") * samples
    lame = at + 8 + 4 * bool(flags & 1) + 4 * bool(flags & 2) + 100 * bool(flags & 4)
    lame += 4 * bool(flags & 8)
    delays = data[lame + 21 : lame + 24]
    if len(delays) == 3 and data[lame : lame + 1].isalpha():
        packed = int.from_bytes(delays, "big")
        total -= (packed >> 12) + (packed & 0xFFF)
    return max(total, 0) / sample_rate


def _first_mp3_frame(file: BinaryIO) -> tuple[bytes, int, int] | None:
    """The first 512 bytes of the first frame, its samples, and its sample rate."""
    start = 0
    while (end := _id3_end(file, start)) > start:
        start = end
    file.seek(start)
    data = file.read(HEAD_BYTES)
    at = data.find(b"\xff")
    while 0 <= at <= len(data) - 4:
        if header := _mpeg_header(data, at):
            return data[at : at + 512], header[0], header[1]
        at = data.find(b"\xff", at + 1)
    return None


def _id3_end(file: BinaryIO, start: int) -> int:
    """Where the ID3v2 tag at `start` ends; `start` if there is none."""
    file.seek(start)
    head = file.read(10)
    if head[:3] != b"ID3" or len(head) < 10:
        return start
    size = 0
    for byte in head[6:10]:
        size = size << 7 | byte & 0x7F
    return start + 10 + size + (10 if head[5] & 0x10 else 0)


def ogg_is_complete(file: BinaryIO) -> bool:
    """Whether the last page of an Ogg file is whole and marked as the end of its stream."""
    size = file_size(file)
    file.seek(max(0, size - 2 * _MAX_OGG_PAGE))
    tail = file.read()
    at = tail.rfind(b"OggS\0")
    if at < 0 or len(tail) < at + 27:
        return False
    segments = tail[at + 26]
    table = tail[at + 27 : at + 27 + segments]
    whole = len(table) == segments and len(tail) >= at + 27 + segments + sum(table)
    return whole and bool(tail[at + 5] & 4)


def mp4_has_index(file: BinaryIO) -> bool | None:
    """Whether an MP4 has its ``moov`` or ``moof`` box; None if the file is no MP4."""
    size = file_size(file)
    at = 0
    for number in range(_MAX_CHUNKS):
        file.seek(at)
        header = file.read(16)
        length, kind = int.from_bytes(header[:4], "big"), header[4:8]
        if number == 0 and kind != b"ftyp":
            return None
        if len(header) < 8:
            break
        if kind in (b"moov", b"moof"):
            return True
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        if length < 8 or at + length >= size:
            break
        at += length
    return False


def missing_bytes(file: BinaryIO) -> int:
    """Bytes by which a file ends before its own header says; 0 if it is whole or does not say.

    Looks at the boxes of MP4, the sizes in AVI, W64, CAF and ASF, and the tag before an MP3.
    """
    size = file_size(file)
    file.seek(0)
    head = file.read(64)
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        due = 8 + int.from_bytes(head[4:8], "little")
        return 0 if due - 8 in _STREAMING_SIZES else max(0, due - size)
    if head[:4] == b"riff" and head[24:28] == b"wave":
        due = int.from_bytes(head[16:24], "little")
        return 0 if due >= 1 << 62 else max(0, due - size)
    if head[4:8] == b"ftyp":
        return max(0, _box_end(file, size) - size)
    if head[:4] == b"caff":
        return max(0, _caf_end(file, size) - size)
    if head[:3] == b"ID3":
        return max(0, _id3_end(file, 0) - size)
    if head[:4] == b"\x30\x26\xb2\x75":
        return max(0, _asf_size(file) - size)
    return 0


def _box_end(file: BinaryIO, size: int) -> int:
    at = 0
    for _ in range(_MAX_CHUNKS):
        file.seek(at)
        header = file.read(16)
        length, kind = int.from_bytes(header[:4], "big"), header[4:8]
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        if at >= size or length < 8 or kind not in _MP4_BOXES:
            break
        at += length
        if at > size:
            break
    return at


def _asf_size(file: BinaryIO) -> int:
    """The size in the file properties object, 0 if there is none."""
    file.seek(0)
    head = file.read(HEAD_BYTES)
    at = head.find(_ASF_FILE_PROPERTIES)
    return int.from_bytes(head[at + 40 : at + 48], "little") if at >= 0 else 0


def _caf_end(file: BinaryIO, size: int) -> int:
    at = 8
    for _ in range(_MAX_CHUNKS):
        file.seek(at)
        header = file.read(12)
        if len(header) < 12:
            break
        length = int.from_bytes(header[4:12], "big", signed=True)
        if length < 0:
            break
        at += 12 + length
        if at > size:
            break
    return at


def frame_is_whole(packet: bytes) -> bool:
    """Whether the last packet of an ADTS or MPEG audio stream is as long as its header says; a
    packet without such a header counts as whole."""
    if len(packet) < 7 or packet[0] != 0xFF or packet[1] < 0xE0:
        return True
    if packet[1] & 0xF6 == 0xF0:
        return len(packet) >= (packet[3] & 3) << 11 | packet[4] << 3 | packet[5] >> 5
    header = _mpeg_header(packet, 0)
    return header is None or len(packet) >= header[2]


def _mpeg_header(data: bytes, at: int) -> tuple[int, int, int] | None:
    """Samples, sample rate in Hz and bytes (0 if free) of the layer II or III frame at `at`."""
    version, layer = data[at + 1] >> 3 & 3, data[at + 1] >> 1 & 3
    rate_index, bit_index = data[at + 2] >> 2 & 3, data[at + 2] >> 4
    if data[at + 1] < 0xE0 or version == 1 or layer not in (1, 2) or rate_index == 3:
        return None
    if bit_index == 15:
        return None
    rate = (44100, 48000, 32000)[rate_index] >> {3: 0, 2: 1, 0: 2}[version]
    samples = 1152 if version == 3 or layer == 2 else 576
    table = _KBITS["II" if layer == 2 else "III"] if version == 3 else _KBITS["low"]
    padding = data[at + 2] >> 1 & 1
    return samples, rate, samples // 8 * table[bit_index] * 1000 // rate + padding
