"""Tunes, MIDI files and hums made from nothing, for the tests of melodies."""

from __future__ import annotations

import struct

import numpy as np

RATE = 11_025


def tune(seed: int, *, notes: int = 40, seconds: float = 0.4) -> np.ndarray:
    """A walk over a scale: notes of shape (n, 3)."""
    rng = np.random.default_rng(seed)
    scale = np.array([0, 2, 4, 5, 7, 9, 11])
    walk = np.cumsum(rng.integers(-3, 4, notes)) + 7
    steps = np.abs(walk % 28 - 14) - 3  # reflected at both ends
    pitches = 60 + 12 * (steps // 7) + scale[steps % 7]
    lengths = seconds * rng.choice([0.5, 1.0, 1.0, 1.5, 2.0], notes)
    ends = np.cumsum(lengths)
    return np.stack([ends - lengths, ends, pitches.astype(float)], axis=1)


def sing(
    notes: np.ndarray,
    *,
    key: float = 0.0,
    tempo: float = 1.0,
    rate: int = RATE,
    vibrato: float = 0.2,
    noise: float = 0.003,
    seed: int = 0,
) -> np.ndarray:
    """A voice-like tone that follows notes: float32 samples."""
    rng = np.random.default_rng(seed)
    times = np.arange(int(notes[-1, 1] / tempo * rate)) / rate
    index = np.clip(np.searchsorted(notes[:, 0], times * tempo, side="right") - 1, 0, None)
    pitch = notes[index, 2] + key + vibrato * np.sin(2 * np.pi * 5.5 * times)
    width = int(0.05 * rate)
    pitch = np.convolve(np.pad(pitch, width // 2, mode="edge"), np.ones(width) / width, "same")
    pitch = pitch[width // 2 : width // 2 + len(times)]
    phase = 2 * np.pi * np.cumsum(440 * 2 ** ((pitch - 69) / 12)) / rate
    voice = sum(np.sin(k * phase) / k for k in range(1, 6))
    gaps = (times * tempo - notes[index, 0]) > 0.03
    samples = 0.2 * voice * gaps + noise * rng.standard_normal(len(times))
    return samples.astype(np.float32)


def number(value: int) -> bytes:
    """A MIDI number of variable length."""
    out = [value & 0x7F]
    while value := value >> 7:
        out.append(value & 0x7F | 0x80)
    return bytes(reversed(out))


def midi_track(
    notes: np.ndarray, *, channel: int = 0, name: str = "", tempo: int | None = None
) -> bytes:
    """One track at 480 ticks a quarter and 120 quarters a minute (960 ticks a second)."""
    events = [(round(on * 960), 1, int(p)) for on, _, p in notes]
    events += [(round(off * 960), 0, int(p)) for _, off, p in notes]
    body = b""
    if name:
        body += b"\x00\xff\x03" + number(len(name)) + name.encode()
    if tempo is not None:
        body += b"\x00\xff\x51\x03" + tempo.to_bytes(3, "big")
    at = 0
    for tick, on, pitch in sorted(events):
        body += number(tick - at) + bytes([(0x90 if on else 0x80) | channel, pitch, 80])
        at = tick
    body += b"\x00\xff\x2f\x00"
    return b"MTrk" + struct.pack(">I", len(body)) + body


def midi_file(*tracks: bytes, division: int = 480) -> bytes:
    """A MIDI file of tracks."""
    return b"MThd" + struct.pack(">IHHH", 6, 1, len(tracks), division) + b"".join(tracks)
