"""What is used for learning and what is kept for measuring, drawn once and written down.

`split.json` beside this module is the record; `draw` is how it was made.  Programs are General
MIDI numbers (0..127) and stand for an instrument in every font and every bank, so that an
instrument kept for measuring is seen in no font.  One font is kept for measuring altogether, and
the drums of the font that it is measured against.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import resources
from typing import Any

import numpy as np

FONTS: Mapping[str, str] = {
    "fluid": "/usr/share/sounds/sf2/FluidR3_GM.sf2",
    "musescore": "/usr/share/sounds/sf2/MuseScore_General_Full.sf2",
    "csound": "/usr/share/sounds/sf2/sf_GMbank.sf2",
    "timgm": "/usr/share/sounds/sf2/TimGM6mb.sf2",
}
"""Where Debian's packages fluid-soundfont-gm, musescore-general-soundfont-lossless,
csound-soundfont and timgm6mb-soundfont put their fonts.  Only fonts under MIT, CC0 or in the
public domain are learned from; timgm (GPL-2) is for measuring alone.  It has samples of csound in
it (most drums, some instruments): what is measured on its drums was partly heard."""

DRUM_KINDS: Mapping[str, tuple[int, ...]] = {
    "kick": (35, 36),
    "rim": (37,),
    "snare": (38, 40),
    "clap": (39,),
    "tom": (41, 43, 45, 47, 48, 50),
    "hihat closed": (42, 44),
    "hihat open": (46,),
    "crash": (49, 52, 55, 57),
    "ride": (51, 53, 59),
    "tambourine": (54,),
    "cowbell": (56,),
    "vibraslap": (58,),
    "bongo": (60, 61),
    "conga": (62, 63, 64),
    "timbale": (65, 66),
    "agogo": (67, 68),
    "shaker": (69, 70),
    "whistle": (71, 72),
    "guiro": (73, 74),
    "claves": (75,),
    "woodblock": (76, 77),
    "cuica": (78, 79),
    "triangle": (80, 81),
}
"""General MIDI percussion keys by kind: 23 kinds."""


@dataclass(frozen=True)
class Split:
    """Programs, keys and fonts by use; see the module."""

    seed: int
    learn_programs: tuple[int, ...]
    tune_programs: tuple[int, ...]
    measure_programs: tuple[int, ...]
    learn_keys: tuple[int, ...]
    measure_keys: tuple[int, ...]
    learn_fonts: tuple[str, ...]
    tune_font: str
    measure_fonts: tuple[str, ...]
    learn_drum_fonts: tuple[str, ...]
    measure_drum_fonts: tuple[str, ...]


def draw(seed: int) -> Split:
    """Draw 3 of each family of 8 programs for measuring; sound effects (120..127) only learn.

    Of the other programs one of each family is for tuning: left out of learning while choices
    are made, and part of it in the end.
    """
    rng = np.random.default_rng(seed)
    measure: list[int] = []
    tune: list[int] = []
    for family in range(15):
        order = 8 * family + rng.permutation(8)
        measure += order[:3].tolist()
        tune += order[3:5].tolist()
    learn = [p for p in range(128) if p not in measure]
    return Split(
        seed=seed,
        learn_programs=tuple(learn),
        tune_programs=tuple(sorted(tune)),
        measure_programs=tuple(sorted(measure)),
        learn_keys=(33, 38, 43, 48, 53, 58, 63, 68, 73, 78, 83),
        measure_keys=(36, 41, 45, 50, 55, 60, 65, 70, 75, 80, 85),
        learn_fonts=("fluid", "musescore", "csound"),
        tune_font="csound",
        measure_fonts=("fluid", "timgm"),
        learn_drum_fonts=("csound",),
        measure_drum_fonts=("fluid", "timgm"),
    )


def load() -> Split:
    """Read the split that the shipped projection was made with."""
    text = resources.files(__package__).joinpath("split.json").read_text(encoding="utf-8")
    stored: dict[str, Any] = json.loads(text)
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in stored.items()}
    return Split(**values)


def to_json(split: Split) -> str:
    """Return the text of `split.json`."""
    return json.dumps(asdict(split), indent=1) + "\n"
