"""The map as one HTML file that needs nothing else: zoom, hover, click to hear.

The page's program is `page.html` beside this module, with the data put in as JSON.  Sounds are
links to the files, or short previews inside the page (8-bit mono WAV of the middle of a track),
which go where the page goes.
"""

from __future__ import annotations

import base64
import io
import json
import os
import wave
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any
from urllib.parse import quote

import numpy as np

from earmark.errors import AudioError
from earmark.library.maps.charting import Map
from earmark.library.maps.drawing import colour, title
from earmark.types import Clip, Track

PREVIEW_SECONDS = 2.0
PREVIEW_RATE = 11_025
_MARK = "/*EARMARK-DATA*/"


def html(
    made: Map,
    tracks: Mapping[int, Track],
    *,
    previews: bool = False,
    on_preview: Callable[[int, int], None] | None = None,
) -> str:
    """Return the page.

    Parameters
    ----------
    made : Map
    tracks : mapping of int to Track
        Those of the map.
    previews : bool
        Put a short sound of each track into the page (about 30 kB each), instead of linking to
        the files; a track that cannot be decoded has none.
    on_preview : callable, optional
        Told of how many of how many are done.
    """
    numbers = made.tracks.tolist()
    sounds = []
    for done, number in enumerate(numbers, start=1):
        track = tracks.get(number)
        sounds.append("" if track is None else preview(track) if previews else link(track))
        if previews and on_preview is not None:
            on_preview(done, len(numbers))
    data: dict[str, Any] = {
        "x": [round(float(v), 4) for v in made.places[:, 0]],
        "y": [round(float(v), 4) for v in made.places[:, 1]],
        "group": made.groups.tolist(),
        "name": [title(tracks[n]) if n in tracks else str(n) for n in numbers],
        "sound": sounds,
        "colours": {str(g): colour(g) for g in sorted({-1, *made.groups.tolist()})},
        "clusters": [
            {"name": c.name, "x": round(c.x, 4), "y": round(c.y, 4), "size": c.size, "id": c.id}
            for c in made.clusters
        ],
    }
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=True)
    # Nothing in the data may end the script that holds it.
    text = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    template = files("earmark.library.maps").joinpath("page.html").read_text(encoding="utf-8")
    return template.replace(_MARK, text, 1)


def link(track: Track) -> str:
    """Return where a browser on this machine finds a track; members of archives have no address.

    Examples
    --------
    >>> from earmark.types import AudioInfo
    >>> link(Track(1, "/a b.wav", "", 0, 0, AudioInfo(1, 8000, 1, "pcm", "wav")))
    'file:///a%20b.wav'
    """
    if track.path.startswith(("http://", "https://")):
        return track.path
    if "!/" in track.path or "://" in track.path:
        return ""
    return "file://" + quote(os.fsencode(track.path))


def preview(track: Track) -> str:
    """Return a short sound of the middle of a track as a data URI; empty if there is none."""
    from earmark import audio, sources

    start = max(0.0, (track.duration - PREVIEW_SECONDS) / 2)
    try:
        with sources.open_source(track.path) as opened:
            clip = audio.read(
                opened,
                sample_rate=PREVIEW_RATE,
                start=start,
                end=start + PREVIEW_SECONDS,
                name=track.path,
                salvage=True,
            )
    except (AudioError, OSError):
        return ""
    return "data:audio/wav;base64," + base64.b64encode(small_wav(clip)).decode("ascii")


def small_wav(clip: Clip) -> bytes:
    """Return a clip as an 8-bit mono WAV, as loud as it goes, with soft ends."""
    samples = clip.samples / max(float(np.abs(clip.samples).max(initial=0.0)), 1e-6)
    fade = min(len(samples) // 2, clip.sample_rate // 100)
    if fade:
        ramp = np.linspace(0, 1, fade, dtype=np.float32)
        samples = samples.copy()
        samples[:fade] *= ramp
        samples[-fade:] *= ramp[::-1]
    sink = io.BytesIO()
    with wave.open(sink, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(1)
        out.setframerate(clip.sample_rate)
        out.writeframes(np.rint(samples * 120 + 128).astype(np.uint8).tobytes())
    return sink.getvalue()
