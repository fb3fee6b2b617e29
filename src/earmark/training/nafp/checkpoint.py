"""Checkpoints: named by their run, numbered by epochs, data and never code.

``NAME/ckpt-0007.pt`` is the state after seven epochs, ``ckpt-0007+000250.pt`` that after 250 more
steps, which the next one replaces.  A file appears complete or not at all: it is written beside,
synced, and renamed.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from earmark.errors import CheckpointMismatch, TrainingError, UsageError, nearest
from earmark.training.nafp.config import Config
from earmark.training.nafp.config_file import differences, from_dict

_NAME = re.compile(r"ckpt-(\d+)(?:\+(\d+))?\.pt")
FORMAT = 1
LATEST = "latest"


@dataclass(frozen=True, order=True)
class Place:
    """How far a run is: whole epochs, and steps of the next one."""

    epoch: int
    step: int

    @property
    def label(self) -> str:
        """Return ``0007`` or ``0007+000250``."""
        return f"{self.epoch:04d}" + (f"+{self.step:06d}" if self.step else "")


def checkpoints(folder: Path) -> dict[Place, Path]:
    """List the checkpoints of a run, oldest first."""
    found = {}
    for path in folder.glob("ckpt-*.pt"):
        if match := _NAME.fullmatch(path.name):
            found[Place(int(match[1]), int(match[2] or 0))] = path
    return dict(sorted(found.items()))


def find(folder: Path, which: str = LATEST) -> Path:
    """Return a checkpoint of a run.

    Parameters
    ----------
    folder : Path
        Of the run.
    which : str
        ``latest``, the number of an epoch, or what stands in a file's name after ``ckpt-``.

    Raises
    ------
    UsageError
        If the run or the checkpoint is not there.
    """
    found = checkpoints(folder)
    if not found:
        runs = [p.parent.name for p in folder.parent.glob("*/ckpt-*.pt")]
        raise UsageError(
            f"there is no checkpoint of {folder.name!r} in {folder.parent}",
            hint=nearest(folder.name, runs) or "earmark fingerprint train NAME makes one",
        )
    if which == LATEST:
        return found[max(found)]
    labels = {place.label: path for place, path in found.items()}
    wanted = f"{int(which):04d}" if which.isascii() and which.isdigit() else which
    if wanted not in labels:
        raise UsageError(
            f"{folder.name!r} has no checkpoint {which!r}", hint=f"there are {', '.join(labels)}"
        )
    return labels[wanted]


def write(folder: Path, place: Place, state: dict[str, Any]) -> Path:
    """Write a checkpoint, complete or not at all, and remove unfinished epochs before it.

    Raises
    ------
    TrainingError
        If it cannot be written; what is there stays, and what was begun goes.
    """
    path = folder / f"ckpt-{place.label}.pt"
    part = path.with_suffix(".part")
    try:
        with part.open("wb") as file:
            torch.save(state | {"format": FORMAT, "epoch": place.epoch, "step": place.step}, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except (OSError, RuntimeError) as error:  # torch makes its own of what the disk says
        part.unlink(missing_ok=True)
        known = [p.name for p in checkpoints(folder).values()]
        raise TrainingError(
            f"the checkpoint {path} cannot be written: {_reason(error)}",
            hint="free some space; the same command then goes on from "
            + (known[-1] if known else "the beginning"),
        ) from error
    sync_folder(folder)
    for earlier, old in checkpoints(folder).items():
        if earlier < place and earlier.step:
            old.unlink(missing_ok=True)
    return path


def _reason(error: BaseException) -> str:
    """What the operating system said, wherever in a chain of errors, else the error itself."""
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, OSError) and inner.strerror:
            return inner.strerror
        inner = inner.__cause__ or inner.__context__
    return str(error).splitlines()[0] if str(error) else repr(error)


def thin(folder: Path, keep: int) -> None:
    """Remove all but the newest `keep` epochs; 0 keeps all."""
    whole = [path for place, path in checkpoints(folder).items() if not place.step]
    for path in whole[:-keep] if keep else []:
        path.unlink(missing_ok=True)


def set_aside(folder: Path, place: Place) -> None:
    """Rename checkpoints later than a place that a run goes on from (``.pt.aside``)."""
    for later, path in checkpoints(folder).items():
        if later > place:
            path.replace(path.with_name(path.name + ".aside"))


def read(path: Path) -> dict[str, Any]:
    """Read a checkpoint.

    Raises
    ------
    TrainingError
        If it is none, or damaged.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises half a dozen kinds
        reason = (str(error) or repr(error)).splitlines()[0]
        raise TrainingError(
            f"{path} is no checkpoint, or a damaged one: {reason}",
            hint="name an earlier one by its number",
        ) from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise TrainingError(f"{path} is no checkpoint of this program")
    return state


def config_of(state: dict[str, Any]) -> Config:
    """Return the configuration that a checkpoint was made with."""
    return from_dict(json.loads(state["config"]))


def check_same(path: Path, stored: Config, wanted: Config) -> None:
    """Refuse a checkpoint of another configuration.

    Raises
    ------
    CheckpointMismatch
        Naming each difference.
    """
    if found := differences(stored, wanted):
        raise CheckpointMismatch(
            f"{path} was made with another configuration (checkpoint against wanted): "
            + "; ".join(found),
            hint="take its own configuration (name no other), or train under another name",
        )


def sync_folder(folder: Path) -> None:
    """Make renames in a folder last through a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
