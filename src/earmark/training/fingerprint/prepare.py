"""From folders of music, speech, scenes and impulse responses to what training reads.

Everything is decoded once to mono int16 at the front-end's rate.  A file that cannot be decoded
is named and left out; it never stops the rest.
"""

from __future__ import annotations

import csv
import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from earmark import audio
from earmark.errors import AudioError
from earmark.training.degrade import NoiseBank
from earmark.types import Failure, Float32Array

log = logging.getLogger(__name__)

SPEECH_RMS = 0.05


@dataclass(frozen=True)
class Prepared:
    """What became of the files: pieces by split, and what failed."""

    pieces: dict[str, int]
    seconds: dict[str, float]
    failed: tuple[Failure, ...]


def prepare_music(
    folders: Iterable[Path],
    target: Path,
    *,
    sample_rate: int = 8000,
    shortest: float = 20.0,
    longest: float = 900.0,
    split_of: Callable[[Path], str] | None = None,
    group_of: Callable[[Path], str] | None = None,
) -> Prepared:
    """Decode all music of some folders into a prepared folder (see `data`).

    Files of the same bytes are taken once; files already decoded are not decoded again.

    Parameters
    ----------
    folders : iterable of Path
        Searched with their subfolders.
    target : Path
        Made if it is not there.
    sample_rate : int
        In Hz.
    shortest, longest : float
        Seconds: shorter files are left out, longer ones cut.
    split_of : callable, optional
        Path to 'train', 'val', 'noise' or 'skip'; by default one group of twenty is 'val'.
    group_of : callable, optional
        Path to the name of its album; by default the name of its folder.

    Returns
    -------
    Prepared
    """
    group_of = group_of or (lambda path: path.parent.name)
    split_of = split_of or (lambda path: _default_split(group_of(path)))
    target.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, str]] = []
    failed: list[Failure] = []
    seen: set[str] = set()
    for path in _audio_files(folders):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:24]
        split = split_of(path)
        if digest in seen or split == "skip":
            continue
        seen.add(digest)
        try:
            seconds = decode_to(
                path, target / f"{digest}.s16", sample_rate=sample_rate, longest=longest
            )
        except AudioError as error:
            log.warning("%s", error)
            failed.append(Failure(str(path), str(error)))
            continue
        if seconds >= shortest:
            facts = (f"{digest}.s16", group_of(path), split, f"{seconds:.2f}", path.name)
            names = ("file", "group", "split", "seconds", "name")
            rows.append(dict(zip(names, facts, strict=True)))
    with open(target / "manifest.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ("file", "group", "split", "seconds", "name"))
        writer.writeheader()
        writer.writerows(rows)
    splits = sorted({row["split"] for row in rows})
    counts = {s: sum(row["split"] == s for row in rows) for s in splits}
    lengths = {s: sum(float(r["seconds"]) for r in rows if r["split"] == s) for s in splits}
    return Prepared(counts, lengths, tuple(failed))


def _default_split(group: str) -> str:
    return "val" if hashlib.sha256(group.encode()).digest()[0] < 13 else "train"


def _audio_files(folders: Iterable[Path]) -> Iterator[Path]:
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() in audio.AUDIO_SUFFIXES and path.is_file():
                yield path


def decode_to(path: Path, target: Path, *, sample_rate: int, longest: float | None = None) -> float:
    """Write a file's samples as int16, complete or not at all; return its length in seconds.

    Raises
    ------
    AudioError
        If it is no sound audio.
    """
    if not target.exists():
        clip = audio.read(str(path), sample_rate=sample_rate, end=longest)
        pcm = (np.clip(clip.samples, -1.0, 1.0) * 32767.0).astype("<i2")
        part = target.with_suffix(".part")
        pcm.tofile(part)
        part.replace(target)
    return target.stat().st_size / 2 / sample_rate


def load_recordings(folder: Path, *, sample_rate: int = 8000) -> list[Float32Array]:
    """Decode all audio files of a folder; files that fail are named in the log and left out."""
    found = []
    for path in _audio_files([folder]):
        try:
            found.append(audio.read(str(path), sample_rate=sample_rate).samples)
        except AudioError as error:
            log.warning("%s", error)
    return found


def noise_bank(speech: list[Float32Array], scenes: list[Float32Array]) -> NoiseBank:
    """Join recordings of equal loudness to the two long ones that noise is cut from.

    Raises
    ------
    ValueError
        If there is no speech, or no scenes.
    """
    if not speech or not scenes:
        raise ValueError(
            f"noise needs speech and scenes, got {len(speech)} and {len(scenes)} recordings"
        )
    return NoiseBank(_joined(speech), _joined(scenes))


def _joined(recordings: list[Float32Array]) -> Float32Array:
    parts = []
    for samples in recordings:
        level = float(np.sqrt(np.mean(np.square(samples)))) if len(samples) else 0.0
        if level > 0.0:
            parts.append(samples * np.float32(SPEECH_RMS / level))
    return np.concatenate(parts).astype(np.float32)
