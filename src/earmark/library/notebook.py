"""Hits as HTML: a table with a player for each moment, for Jupyter and the like.

The page must show without a server and survive being saved, so the sound travels inside: a mono
16-bit WAV of the moment (at most `MAX_SECONDS`), as base64.  All text is escaped; what cannot be
decoded any more shows its reason in place of the player.
"""

from __future__ import annotations

import base64
import io
import wave
from collections.abc import Sequence
from html import escape

import numpy as np

from earmark.errors import EarmarkError
from earmark.moments import format_range
from earmark.types import Clip, Hit

MAX_SECONDS = 10.0
"""Longest moment that is embedded, in seconds."""

PLAYER_RATE = 22_050
"""Sample rate of the embedded sound in Hz: small pages matter more here than treble."""

_HEAD = (
    "<tr><th>#</th><th>score</th><th>moment</th><th>by</th>"
    "<th style='text-align:left'>track</th><th></th></tr>"
)


def wav_bytes(clip: Clip) -> bytes:
    """Return a clip as a mono 16-bit WAV file; samples beyond [-1, 1] are clipped.

    Examples
    --------
    >>> wav_bytes(Clip(np.zeros(8, np.float32), 8000))[:4]
    b'RIFF'
    """
    samples = np.clip(np.rint(clip.samples * 32767.0), -32768, 32767).astype("<i2")
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(clip.sample_rate)
        file.writeframes(samples.tobytes())
    return buffer.getvalue()


def moment_of(hit: Hit) -> tuple[float, float]:
    """Return what to play of a hit, in seconds: its moment, or the beginning of the track."""
    start = hit.start or 0.0
    end = hit.end if hit.end is not None else min(hit.track.duration, MAX_SECONDS)
    return start, min(end, start + MAX_SECONDS)


def read_moment(hit: Hit) -> Clip:
    """Decode the moment of a hit.

    Raises
    ------
    AudioError
        If its file is gone or no longer sound.
    """
    from earmark import audio, sources

    start, end = moment_of(hit)
    with sources.open_source(hit.track.path) as opened:
        return audio.read(
            opened,
            sample_rate=PLAYER_RATE,
            start=start,
            end=end,
            name=hit.track.path,
            salvage=True,
        )


def player(hit: Hit) -> str:
    """Return an HTML player of the hit's moment, or why there is none."""
    try:
        sound = base64.b64encode(wav_bytes(read_moment(hit))).decode("ascii")
    except (EarmarkError, OSError) as error:
        return f"<em>cannot be played: {_text(str(error))}</em>"
    return f'<audio controls preload="none" src="data:audio/wav;base64,{sound}"></audio>'


def render(hits: Sequence[Hit]) -> str:
    """Return hits as an HTML table with players, best first."""
    if not hits:
        return "<p>no hits</p>"
    rows = "".join(_row(rank, hit) for rank, hit in enumerate(hits, start=1))
    return f"<table>{_HEAD}{rows}</table>{_picture(hits[0])}"


def _picture(hit: Hit) -> str:
    """The contours of a hum's best hit; nothing for others."""
    if not hit.details.get("contour"):
        return ""
    from earmark.library import drawing

    return drawing.svg(hit)


def _row(rank: int, hit: Hit) -> str:
    track = hit.track
    title = " – ".join(part for part in (track.artist, track.title) if part)
    moment = ""
    if hit.start is not None and hit.end is not None:
        moment = format_range(hit.start, hit.end, dash="–")
    name = f"{_text(title)}<br>" if title else ""
    return (
        f"<tr><td>{rank}</td><td>{hit.score:.3f}</td><td>{moment}</td><td>{_text(hit.by)}</td>"
        f"<td style='text-align:left'>{name}<code>{_text(track.path)}</code></td>"
        f"<td>{player(hit)}</td></tr>"
    )


def _text(text: str) -> str:
    """Escaped, and without lone surrogates, which no page can be saved with."""
    return escape(text.encode("utf-8", "backslashreplace").decode("utf-8"))
