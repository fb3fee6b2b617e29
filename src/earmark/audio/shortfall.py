"""Judge a stream that has been decoded to its end: what is missing, and why."""

from __future__ import annotations

from earmark.audio import integrity
from earmark.audio.decoding import Damage, MonoStream
from earmark.audio.media import with_file

_EDGE_ERRORS = 16
# Streams that find their own frames: junk before the first and after the last one is usual.
_SELF_SYNCHRONISING = frozenset({"aac", "ac3", "dts", "eac3", "loas", "mp3", "mpegts"})
# Streams of bare frames, which promise nothing but the frame that they are in.
_FRAMED = frozenset({"aac", "mp3"})


def nothing_reason(audio: MonoStream) -> str:
    """Why not one sample came out of a stream."""
    if audio.encrypted:
        return "encrypted"
    if audio.damage.count:
        return f"not audio, or damaged throughout: {audio.damage.message}"
    return "holds no audio: its length is zero"


def shortfall(audio: MonoStream) -> str | None:
    """Say what a stream, now exhausted, lacks of what its file promised; None if nothing."""
    if audio.encrypted:
        return "encrypted"
    damage, media = audio.damage, audio.media
    kind = media.container.format.name
    if damage.count and kind in _SELF_SYNCHRONISING:
        damage = _without_edges(damage, audio)
    cut = _cut_reason(audio, kind)
    at_end = damage.first >= audio.seconds - 0.5
    if damage.count and not (cut and at_end):
        plural = "packet" if damage.count == 1 else "packets"
        return (
            f"damaged: {damage.count} {plural} cannot be decoded, "
            f"the first at {damage.first:.2f} s ({damage.message})"
        )
    return cut


def _without_edges(damage: Damage, audio: MonoStream) -> Damage:
    count = damage.count
    inside = count > damage.before_first
    if damage.before_first <= _EDGE_ERRORS and (
        not inside or (damage.last >= audio.seconds - 0.1 and count <= 2 * _EDGE_ERRORS)
    ):
        return Damage()
    return damage


def _cut_reason(audio: MonoStream, kind: str) -> str | None:
    media, rate = audio.media, audio.rate
    due = media.promise if media.promise is not None else 0.0
    if audio.end is not None:
        due = min(due, audio.end)
    slack = 0.01 if integrity.is_exact(kind) else 8192 / rate + 0.005 * due
    if audio.seconds < due - slack:
        return (
            f"cut off or damaged: {audio.seconds:.2f} s could be decoded of the {due:.2f} s "
            "that its header promises"
        )
    if not audio.reached_end:
        return None
    if kind == "ogg" and not with_file(media.source, integrity.ogg_is_complete):
        return "cut off: its last Ogg page is missing or incomplete"
    if missing := with_file(media.source, integrity.missing_bytes):
        return f"cut off: the last {missing} bytes that its header promises are missing"
    if kind in _FRAMED and not integrity.frame_is_whole(audio.last_packet):
        return "cut off: its last frame is incomplete"
    return None
