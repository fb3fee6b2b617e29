"""Notes and drums rendered from sound fonts by FluidSynth, one array per preset.

One MIDI file per few presets is rendered by FluidSynth as a subprocess (44.1 kHz, no reverb, no
chorus) and cut at the times that were written into it; the stereo sum is resampled to the rate
asked for.  Slots are independent: all sound is switched off at the end of each.  Arrays are kept
in a cache folder as int16, keyed by everything that shapes them.

Sources: Standard MIDI Files 1.0; FluidSynth 2 (`-T raw`, bank selection mode 'gs': controller 0
chooses the bank, channel 10 the drum kits).
"""

from __future__ import annotations

import hashlib
import json
import struct
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from earmark.errors import NotAvailable
from earmark.types import AnyArray, Float32Array

RENDER_RATE = 44_100
DRUM_BANK = 128
_DRUM_CHANNEL = 9
_PRESETS_PER_RUN = 24


@dataclass(frozen=True)
class Preset:
    """One sound of a font: `bank` 128 means a drum kit, `program` 0..127."""

    font: str
    bank: int
    program: int


@dataclass(frozen=True)
class Note:
    """One slot: `key` 0..127, `velocity` 1..127, `hold` seconds until the key is let go."""

    key: int
    velocity: int
    hold: float


@dataclass(frozen=True)
class Rendered:
    """A preset's slots: samples float32, shape (len(notes), slot_samples), at `sample_rate` Hz."""

    preset: Preset
    notes: tuple[Note, ...]
    samples: Float32Array
    sample_rate: int


def presets(path: Path) -> list[tuple[int, int, str]]:
    """List (bank, program, name) of a SoundFont 2 file, from its ``phdr`` chunk."""
    data: list[tuple[int, int, str]] = []
    with path.open("rb") as file:
        file.seek(12)
        while len(header := file.read(8)) == 8:
            size = struct.unpack("<I", header[4:])[0]
            after = file.tell() + size + (size & 1)
            if header[:4] == b"LIST" and file.read(4) == b"pdta":
                while file.tell() < after:
                    name, length = struct.unpack("<4sI", file.read(8))
                    chunk = file.read(length)
                    if name == b"phdr":
                        data += [_preset_header(chunk[at:]) for at in range(0, length - 38, 38)]
            file.seek(after)
    return sorted(data)


def _preset_header(chunk: bytes) -> tuple[int, int, str]:
    program, bank = struct.unpack("<HH", chunk[20:24])
    return bank, program, chunk[:20].split(b"\0")[0].decode("latin-1")


def render(
    font: Path,
    wanted: Sequence[Preset],
    notes: Sequence[Note],
    *,
    slot: float,
    sample_rate: int,
    cache: Path,
) -> Iterator[Rendered]:
    """Render the same notes with each preset of one font.

    Parameters
    ----------
    font : Path
        A ``.sf2`` file.
    wanted : sequence of Preset
    notes : sequence of Note
    slot : float
        Seconds per note, tail included; what sounds longer is cut.
    sample_rate : int
        Of the result, in Hz.
    cache : Path
        A folder for what was rendered before.

    Raises
    ------
    NotAvailable
        If ``fluidsynth`` is not installed or fails.
    """
    cache.mkdir(parents=True, exist_ok=True)
    paths = {p: cache / f"{_key(p, notes, slot, sample_rate)}.npy" for p in wanted}
    missing = [p for p in wanted if not paths[p].exists()]
    for at in range(0, len(missing), _PRESETS_PER_RUN):
        batch = missing[at : at + _PRESETS_PER_RUN]
        rendered = _run(font, _midi(batch, notes, slot), len(batch) * len(notes) * slot)
        for preset, block in zip(batch, np.array_split(rendered, len(batch)), strict=True):
            slots = _cut(block, len(notes), sample_rate)
            np.save(paths[preset], np.round(slots * 32767).astype(np.int16))
    for preset in wanted:
        samples = np.load(paths[preset]).astype(np.float32) / 32767
        yield Rendered(preset, tuple(notes), samples, sample_rate)


def _key(preset: Preset, notes: Sequence[Note], slot: float, sample_rate: int) -> str:
    what = [asdict(preset), [asdict(n) for n in notes], slot, sample_rate]
    digest = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]
    return f"{preset.font}-{preset.bank:03d}-{preset.program:03d}-{digest}"


def _midi(batch: Sequence[Preset], notes: Sequence[Note], slot: float) -> bytes:
    """A type 0 MIDI file in which one tick is one millisecond."""
    events: list[tuple[int, bytes]] = [(0, b"\xff\x51\x03\x0f\x42\x40")]  # 1,000,000 us a beat
    at = 0
    for preset in batch:
        channel = _DRUM_CHANNEL if preset.bank == DRUM_BANK else 0
        if preset.bank != DRUM_BANK:
            events.append((at, bytes([0xB0 | channel, 0, preset.bank])))
        events.append((at, bytes([0xC0 | channel, preset.program])))
        for note in notes:
            on, off = at + 10, at + 10 + round(1000 * note.hold)
            end = at + round(1000 * slot)
            events.append((on, bytes([0x90 | channel, note.key, note.velocity])))
            events.append((min(off, end - 2), bytes([0x80 | channel, note.key, 0])))
            events.append((end - 1, bytes([0xB0 | channel, 120, 0])))  # all sound off
            at = end
    events.append((at + 100, b"\xff\x2f\x00"))
    track = bytearray()
    now = 0
    for time, message in events:
        track += _variable_length(time - now) + message
        now = time
    header = struct.pack(">4sIHHH", b"MThd", 6, 0, 1, 1000)
    return header + struct.pack(">4sI", b"MTrk", len(track)) + bytes(track)


def _variable_length(value: int) -> bytes:
    parts = [value & 0x7F]
    while value := value >> 7:
        parts.append(0x80 | (value & 0x7F))
    return bytes(reversed(parts))


def _run(font: Path, midi: bytes, seconds: float) -> Float32Array:
    """Render to mono float32 at RENDER_RATE, exactly `seconds` long."""
    with tempfile.TemporaryDirectory(prefix="earmark-render-") as folder:
        song, raw = Path(folder) / "song.mid", Path(folder) / "song.raw"
        song.write_bytes(midi)
        command = _fluidsynth(font, song, raw)
        try:
            done = subprocess.run(command, capture_output=True, check=False)
        except FileNotFoundError:
            raise NotAvailable(
                f"rendering needs the program {command[0]}", hint=f"apt-get install {command[0]}"
            ) from None
        if done.returncode or not raw.exists():
            reason = done.stderr.decode(errors="replace").strip()[-300:]
            raise NotAvailable(f"{command[0]} failed on {font.name}: {reason}")
        data = np.fromfile(raw, dtype="<f4")
    mono = data.astype(np.float32).reshape(-1, 2).mean(axis=1)
    wanted = round(seconds * RENDER_RATE)
    return np.pad(mono[:wanted], (0, max(0, wanted - len(mono)))).astype(np.float32)


def _fluidsynth(font: Path, song: Path, raw: Path) -> list[str]:
    command = ["fluidsynth", "-ni", "-q", "-R", "0", "-C", "0", "-g", "0.5"]
    command += ["-r", str(RENDER_RATE), "-T", "raw", "-O", "float"]
    return [*command, "-o", "synth.dynamic-sample-loading=1", "-F", str(raw), str(font), str(song)]


def _cut(block: AnyArray, n_notes: int, sample_rate: int) -> Float32Array:
    import soxr

    slots = block[: len(block) // n_notes * n_notes].reshape(n_notes, -1)
    peak = max(1.0, float(np.abs(slots).max()))
    low = [soxr.resample(row / peak, RENDER_RATE, sample_rate, quality="HQ") for row in slots]
    return np.asarray(np.clip(np.stack(low), -1, 1), np.float32)
