"""Where the files of a run lie: the published layout, any folders, or a mixture.

The published layout below `Folders.data` is ``music/train-10k-30s``, ``music/val-query-db-500-30s``
and ``music/test-query-db-500-30s`` (each of the two with ``db`` and ``query``),
``music/test-dummy-db-100k-full`` and ``aug/{bg,ir,speech}``, whose parts for training and testing
lie in subfolders.  Smaller releases of it, whose folders are named alike (``music/train-*``), are
taken too.  Nothing has to be there but what a command needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import numpy as np

from earmark import audio
from earmark.errors import UsageError
from earmark.training.nafp.config import Config, Folders

_PARTS = {
    "music": "music/train-10k-30s",
    "validation": "music/val-query-db-500-30s",
    "test": "music/test-query-db-500-30s",
    "dummy": "music/test-dummy-db-100k-full",
    "background": "aug/bg",
    "impulse": "aug/ir",
    "speech": "aug/speech",
}
_ALIKE = {
    "music": "music/train-*",
    "validation": "music/val-query-db-*",
    "test": "music/test-query-db-*",
    "dummy": "music/test-dummy-db-*",
}
_TRAINING, _TESTING = ("tr", "train"), ("ts", "test")


@dataclass(frozen=True)
class Source:
    """A file, and its name below its folder (with ``/``), by which a query finds its track."""

    name: str
    path: Path


def files_below(folder: Path) -> list[Source]:
    """List the audio files of a folder and its subfolders, in order of their names."""
    found = [
        Source(path.relative_to(folder).as_posix(), path)
        for path in folder.rglob("*")
        if path.suffix.lower() in audio.AUDIO_SUFFIXES and path.is_file()
    ]
    return sorted(found, key=lambda source: source.name)


def folder_of(folders: Folders, part: str) -> Path | None:
    """Return the folder of a part (a name of `Folders`), None where there is none.

    Raises
    ------
    UsageError
        If it was named in the configuration and is not there.
    """
    if named := getattr(folders, part):
        path = Path(named)
        if not path.is_dir():
            raise UsageError(f"folders.{part} must be a folder, and is none: {path}")
        return path
    return _of_layout(Path(folders.data), part) if folders.data else None


def _of_layout(data: Path, part: str) -> Path | None:
    """The folder of a part in the published layout, or the only one that is named alike."""
    if not data.is_dir():
        raise UsageError(f"folders.data must be a folder, and is none: {data}")
    if not any((data / name).is_dir() for name in ("music", "aug")):
        inside = [p for p in sorted(data.iterdir()) if (p / "music").is_dir()]
        raise UsageError(
            f"folders.data must have the folders music or aug of the published layout: {data}",
            hint=f"--set folders.data={inside[0]}"
            if inside
            else "--set folders.music=FOLDER takes any folder of music",
        )
    path = data / _PARTS[part]
    if not path.is_dir() and part in _ALIKE:
        alike = [p for p in data.glob(_ALIKE[part]) if p.is_dir()]
        path = alike[0] if len(alike) == 1 else path
    return path if path.is_dir() else None


def training_music(config: Config) -> tuple[list[Source], list[Source]]:
    """List the files to train on and those of the search test.

    Raises
    ------
    UsageError
        If there is no folder of music, or nothing in it.
    """
    folder = folder_of(config.folders, "music")
    if folder is None:
        raise UsageError(
            "training needs music: neither folders.music nor folders.data has any",
            hint="--set folders.music=FOLDER",
        )
    selection = config.selection
    rng = np.random.default_rng((config.optimizer.seed, 11))
    found = files_below(folder)
    chosen = [s for s in found if not any(fnmatch(s.name, p) for p in selection.exclude)]
    order = rng.permutation(len(chosen))
    count = int(np.ceil(len(chosen) * selection.share))
    count = min(count, selection.limit) if selection.limit else count
    held_out = folder_of(config.folders, "validation")
    if held_out is not None:
        validation = files_below(_sub(held_out, ("db",)))
    else:
        few = min(len(order) // 2, int(np.ceil(len(order) * selection.validation_share)))
        validation = [chosen[i] for i in sorted(order[len(order) - few :])]
        count = min(count, len(order) - few)
    train = [chosen[i] for i in sorted(order[:count])]
    if not train:
        raise UsageError(f"there must be audio files to train on, found {len(found)} in {folder}")
    return train, validation


def degradations(config: Config, part: str, *, testing: bool) -> list[Source]:
    """List backgrounds, impulse responses or voices, those for training or for testing."""
    folder = folder_of(config.folders, part)
    return [] if folder is None else files_below(_sub(folder, _TESTING if testing else _TRAINING))


@dataclass(frozen=True)
class TestSet:
    """Tracks, the degraded ones of the same names if there are any, and others."""

    db: list[Source]
    query: list[Source] | None
    dummy: list[Source]


def test_set(config: Config, source: Path | None, *, skip_dummy: bool) -> TestSet:
    """List what `generate` makes fingerprints of.

    Parameters
    ----------
    config : Config
    source : Path, optional
        Any folder, in place of the configuration's test set.
    skip_dummy : bool
        Leave the others out.

    Raises
    ------
    UsageError
        If a folder is missing or holds no audio.
    """
    folder = source if source is not None else folder_of(config.folders, "test")
    if folder is None:
        raise UsageError(
            "there must be a test set: neither folders.test nor folders.data has any",
            hint="--source FOLDER takes any folder of recordings",
        )
    if not folder.is_dir():
        raise UsageError(f"the source must be a folder, and is none: {folder}")
    db = files_below(_sub(folder, ("db",)))
    if not db:
        raise UsageError(f"there must be audio files in {_sub(folder, ('db',))}, found none")
    query = files_below(folder / "query") if (folder / "query").is_dir() else None
    others = None if skip_dummy or source is not None else folder_of(config.folders, "dummy")
    return TestSet(db, query, [] if others is None else files_below(others))


def _sub(folder: Path, names: tuple[str, ...]) -> Path:
    """The first of some subfolders that is there, else the folder itself."""
    return next((folder / name for name in names if (folder / name).is_dir()), folder)
