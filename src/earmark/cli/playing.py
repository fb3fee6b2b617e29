"""``--play``: the moments of hits, one after the other, through a player that is installed."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from earmark.cli import common
from earmark.errors import AudioError
from earmark.types import Hit

PLAYERS: tuple[tuple[str, ...], ...] = (
    ("ffplay", "-nodisp", "-autoexit", "-loglevel", "error"),
    ("mpv", "--no-video", "--really-quiet"),
    ("pw-play",),
    ("paplay",),
    ("aplay", "-q"),
    ("afplay",),
    ("play", "-q"),
)
"""Commands that play a WAV file, in order of preference."""


def find_player() -> tuple[str, ...] | None:
    """Return the first player that is installed."""
    return next((player for player in PLAYERS if shutil.which(player[0])), None)


def play(hits: Sequence[Hit]) -> None:
    """Play the moment of each hit; what cannot be played is said and passed over."""
    from earmark.library import notebook

    player = find_player()
    if player is None:
        common.say(f"no player found: install one of {', '.join(p[0] for p in PLAYERS)}")
        return
    with tempfile.TemporaryDirectory(prefix="earmark-") as folder:
        file = Path(folder) / "moment.wav"
        for rank, hit in enumerate(hits, start=1):
            try:
                file.write_bytes(notebook.wav_bytes(notebook.read_moment(hit)))
            except AudioError as error:
                common.say(f"cannot play {rank}: {error}")
                continue
            common.say(f"playing {rank}: {hit.track.path}")
            done = subprocess.run([*player, str(file)], stdin=subprocess.DEVNULL, check=False)
            if done.returncode:
                common.say(f"{player[0]} failed with exit code {done.returncode}")
                return
