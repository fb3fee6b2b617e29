"""Cue sheets: what is played when in a long recording, as players and burners read it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from earmark.types import Hit

_TYPES = {".mp3": "MP3", ".aif": "AIFF", ".aiff": "AIFF"}


def cue_sheet(source: str, hits: Sequence[Hit]) -> str:
    """Return the cue sheet of a recording.

    Times are minutes, seconds and frames of a 75th of a second; where a track ends, of which cue
    sheets know nothing, stands in a remark.

    Parameters
    ----------
    source : str
        The recording's path.
    hits : sequence of Hit
        In order of time.
    """
    name = PurePath(source).name or source
    kind = _TYPES.get(PurePath(source).suffix.lower(), "WAVE")
    lines = [f"TITLE {_quoted(name)}", f"FILE {_quoted(name)} {kind}"]
    for number, hit in enumerate(hits, start=1):
        title = hit.track.title or PurePath(hit.track.path).stem
        lines += [f"  TRACK {number:02d} AUDIO", f"    TITLE {_quoted(title)}"]
        if hit.track.artist:
            lines.append(f"    PERFORMER {_quoted(hit.track.artist)}")
        lines += [
            f"    REM END {_frames(hit.query_end or 0.0)}",
            f"    REM SOURCE {_quoted(hit.track.path)}",
            f"    INDEX 01 {_frames(hit.query_start or 0.0)}",
        ]
    return "\n".join(lines)


def _frames(seconds: float) -> str:
    frames = round(max(0.0, seconds) * 75)
    return f"{frames // 4500:02d}:{frames // 75 % 60:02d}:{frames % 75:02d}"


def _quoted(text: str) -> str:
    """A cue sheet knows no escapes: quotation marks and line ends become others."""
    plain = " ".join(text.replace('"', "'").split())
    return '"' + plain.encode("utf-8", "replace").decode("utf-8") + '"'
