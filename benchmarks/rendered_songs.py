"""Songs to search in: a tune with chords, bass and drums, rendered with a sound font.

Needs FluidSynth's command and a General MIDI sound font (Debian: fluidsynth, fluid-soundfont-gm).
The melody is a little louder than each other voice and about level with all of them together.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import mido
import numpy as np

LEADS = (73, 40, 65, 56, 52, 53, 0, 24, 71, 22, 68, 54)
CHORDS = (0, 4, 24, 48, 16, 88)
BASSES = (32, 33, 35)
MAJOR, MINOR = (0, 4, 7), (0, 3, 7)
DRUMS = (36, 42, 38, 42)
MELODY, ACCOMPANIMENT, BASS, DRUM = 0, 1, 2, 9
TICKS = 480
LEVELS = {MELODY: 115, ACCOMPANIMENT: 100, BASS: 100, DRUM: 100}

Event = tuple[float, int, str, int, int, int]


def song(
    notes: np.ndarray, rng: np.random.Generator, *, tempo: float = 1.0
) -> tuple[mido.MidiFile, np.ndarray]:
    """A song of a tune, shape (n, 3) of onset, end and pitch: the file, and the tune as played."""
    played = notes.copy()
    played[:, :2] *= tempo
    played[:, 2] += rng.integers(-5, 6)
    played[:, 2] -= 12 * np.ceil(max(0.0, float(np.median(played[:, 2])) - 76) / 12)
    played[:, 2] += 12 * np.ceil(max(0.0, 60 - float(np.median(played[:, 2]))) / 12)
    events: list[Event] = []
    for start, end, pitch in played:
        _add(events, MELODY, start, end - 0.01, pitch, 105)
    bar = 2.0 * rng.uniform(0.8, 1.2)
    for start in np.arange(played[0, 0], played[-1, 1], bar):
        root, chord = _harmony(played, start, start + bar, rng)
        for beat in range(4):
            at, length = start + beat * bar / 4, bar / 4
            if at >= played[-1, 1]:
                break
            for step in chord:
                _add(events, ACCOMPANIMENT, at, at + 0.9 * length, 54 + (root + step - 54) % 12, 70)
            if beat % 2 == 0:
                _add(events, BASS, at, at + 1.8 * length, 36 + root, 90)
            _add(events, DRUM, at, at + 0.1, DRUMS[beat], 80)
    return _file(events, rng), played


def _add(
    events: list[Event], channel: int, on: float, off: float, pitch: float, velocity: int
) -> None:
    events.append((on, 1, "note_on", channel, int(pitch), velocity))
    events.append((off, 0, "note_off", channel, int(pitch), 0))


def _harmony(
    notes: np.ndarray, start: float, end: float, rng: np.random.Generator
) -> tuple[int, Sequence[int]]:
    """The triad that most of a bar's melody belongs to; equals are settled by chance."""
    inside = notes[(notes[:, 0] < end) & (notes[:, 1] > start)]
    weight = np.zeros(12)
    np.add.at(weight, inside[:, 2].astype(int) % 12, inside[:, 1] - inside[:, 0])
    choices = [(root, chord) for root in range(12) for chord in (MAJOR, MINOR)]
    worth = [sum(weight[(r + s) % 12] for s in c) + 0.1 * rng.random() for r, c in choices]
    return choices[int(np.argmax(worth))]


def _file(events: list[Event], rng: np.random.Generator) -> mido.MidiFile:
    file = mido.MidiFile(ticks_per_beat=TICKS)
    track = mido.MidiTrack()
    file.tracks.append(track)
    for channel, programs in ((MELODY, LEADS), (ACCOMPANIMENT, CHORDS), (BASS, BASSES)):
        program = int(rng.choice(programs))
        track.append(mido.Message("program_change", channel=channel, program=program))
    for channel, value in LEVELS.items():
        track.append(mido.Message("control_change", channel=channel, control=7, value=value))
    last = 0
    for at, _, kind, channel, pitch, velocity in sorted(events):
        tick = round(at * 2 * TICKS)  # 120 beats a minute
        track.append(
            mido.Message(
                kind, channel=channel, note=pitch, velocity=velocity, time=max(0, tick - last)
            )
        )
        last = max(last, tick)
    return file


def render(file: mido.MidiFile, target: Path, font: Path) -> None:
    """Write a song as a wav file of 22,050 Hz.  Raises CalledProcessError if FluidSynth does."""
    score = target.with_suffix(".mid")
    file.save(score)
    command = ["fluidsynth", "-ni", "-q", "-g", "0.6", "-r", "22050", "-F", target, font, score]
    subprocess.run(command, check=True, capture_output=True)
    score.unlink()
