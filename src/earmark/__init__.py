"""earmark: a search engine for sound.

``earmark.open(path)`` gives a `Library`; see there.  Importing this module loads nothing heavy:
its names come from their modules when they are first used.

Examples
--------
Two sounds, and a question that neither has heard before:

>>> import tempfile
>>> from pathlib import Path
>>> import numpy as np
>>> import earmark
>>> from earmark.library.notebook import wav_bytes
>>> folder, time = Path(tempfile.mkdtemp()), np.arange(44_100, dtype=np.float32) / 22_050
>>> tone, noise = np.sin(6.28 * 440 * time), np.random.default_rng(0).normal(0, 0.1, 44_100)
>>> for name, samples in {"tone": tone, "noise": noise}.items():
...     clip = earmark.Clip(samples.astype(np.float32), 22_050)
...     _ = (folder / f"{name}.wav").write_bytes(wav_bytes(clip))
>>> with earmark.open(folder / "library") as lib:
...     report = lib.add(folder, executor="serial")
...     hits = lib.search(audio=(np.sin(6.28 * 450 * time), 22_050), k=1)
>>> report.added, Path(hits[0].track.path).name, hits[0].by
(2, 'tone.wav', 'timbre')
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from earmark.config import Settings as Settings
    from earmark.errors import EarmarkError as EarmarkError
    from earmark.library import Library as Library
    from earmark.library import open as open  # noqa: A004
    from earmark.library.hits import Hits as Hits
    from earmark.moments import Moment as Moment
    from earmark.types import AudioInfo as AudioInfo
    from earmark.types import Clip as Clip
    from earmark.types import Hit as Hit
    from earmark.types import Track as Track

__version__ = "0.1.0.dev0"

_NAMES: Mapping[str, str] = {
    "open": "library",
    "Library": "library",
    "Hits": "library",
    "Moment": "moments",
    "Settings": "config",
    "AudioInfo": "types",
    "Clip": "types",
    "Hit": "types",
    "Track": "types",
    "EarmarkError": "errors",
}

__all__ = [*_NAMES, "__version__"]  # noqa: PLE0604


if not TYPE_CHECKING:  # else a type checker would believe in every name

    def __getattr__(name: str) -> Any:
        """Load a public name, or any error by its name, on first use."""
        module = _NAMES.get(name)
        if module is None and name[:1].isupper():
            errors = importlib.import_module("earmark.errors")
            if hasattr(errors, name):
                return getattr(errors, name)
        if module is None:
            raise AttributeError(f"module 'earmark' has no attribute {name!r}")
        value = getattr(importlib.import_module(f"earmark.{module}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
