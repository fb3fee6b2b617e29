"""More sounds out of those that there are: mixtures of instruments, drums made otherwise, mouths.

A mixture of two instruments, note by note, is an instrument that no font has; a drum played
faster, filtered, shortened and driven is another drum of the same kind.  Both widen what the
projection has heard at no cost in licences.  Mouth sounds imitate a kick, a snare and hi-hats: they
have the label of what they imitate.  Everything is drawn from the seed handed in.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from earmark.features.timbre import SAMPLE_RATE
from earmark.training.timbre import corpus
from earmark.training.timbre.corpus import Sound
from earmark.training.timbre.split import Split
from earmark.training.timbre.synth import band_noise
from earmark.types import AnyArray, Float32Array, Float64Array

_FIRST_EFFECT = 120
"""Programs from here on are sound effects."""


def mixtures(split: Split, cache: Path, *, seed: int, count: int) -> Iterator[Sound]:
    """`count` drawn mixtures of two presets each, one note a key.

    Programs for measuring, for tuning, and sound effects take no part.
    """
    apart = set(split.tune_programs)
    sounds: dict[str, dict[int, list[Float32Array]]] = {}
    for s in corpus.notes_to_learn(split, cache):
        program = int(s.coarse.split("/")[1])
        if program in apart or program >= _FIRST_EFFECT or np.abs(s.samples).max() < 1e-3:
            continue
        sounds.setdefault(s.fine, {}).setdefault(s.key, []).append(s.samples)
    names = sorted(sounds)
    rng = np.random.default_rng(seed)
    for number in range(count):
        first, second = rng.choice(len(names), 2, replace=False)
        share = rng.uniform(0.25, 0.75)
        delay = int(rng.choice([0, 0, int(rng.uniform(0, 1500))]))
        tilt = rng.uniform(-0.5, 0.5)
        name = f"synth/mix{seed}_{number}"
        for key in split.learn_keys:
            one, other = sounds[names[first]].get(key), sounds[names[second]].get(key)
            if not one or not other:
                continue
            which = int(rng.integers(0, min(len(one), len(other))))
            mixed = _mixed(one[which], other[which], share, delay, tilt)
            yield Sound(mixed, name, name, key, "mix")


def _mixed(
    one: Float32Array, other: Float32Array, share: float, delay: int, tilt: float
) -> Float32Array:
    n = min(len(one), len(other))
    one, other = one[:n] / np.abs(one[:n]).max(), other[:n] / np.abs(other[:n]).max()
    if delay:
        other = np.concatenate([np.zeros(delay, np.float32), other[:-delay]])
    mixed = (share * one + (1 - share) * other).astype(np.float32)
    hz = np.fft.rfftfreq(n, 1 / SAMPLE_RATE)
    tilted = np.fft.irfft(np.fft.rfft(mixed) * np.maximum(hz, 40) ** tilt, n).astype(np.float32)
    return np.asarray(tilted * (0.5 / np.abs(tilted).max()), np.float32)


def drums(split: Split, cache: Path, *, seed: int, times: int) -> Iterator[Sound]:
    """Each drum to learn from, `times` times otherwise: speed, decay, filter, overdrive."""
    rng = np.random.default_rng(seed)
    for font in split.learn_drum_fonts:
        for s in corpus.drums(font, cache):
            for turn in range(times):
                samples = _otherwise(s.samples, rng)
                yield Sound(samples, f"{s.fine}#{turn}", s.coarse, -1, f"{font}aug")


def _otherwise(sound: Float32Array, rng: np.random.Generator) -> Float32Array:
    import soxr

    n = len(sound)
    x: AnyArray = sound / max(float(np.abs(sound).max()), 1e-9)
    speed = 2 ** rng.uniform(-0.45, 0.45)
    x = soxr.resample(x, SAMPLE_RATE * speed, SAMPLE_RATE, quality="MQ").astype(np.float32)
    x = np.pad(x, (0, max(0, n - len(x))))[:n]
    if rng.random() < 0.5:
        x = x * np.exp(-np.arange(n) / SAMPLE_RATE * rng.uniform(0, 12))
    hz = np.fft.rfftfreq(n, 1 / SAMPLE_RATE)
    gain = np.maximum(hz, 40) ** rng.uniform(-0.45, 0.45)
    height, centre, width = rng.uniform(-8, 8), rng.uniform(80, 6000), rng.uniform(0.4, 1.2)
    bump = np.exp(-((np.log2(np.maximum(hz, 1) / centre) / width) ** 2))
    x = np.fft.irfft(np.fft.rfft(x) * gain * 10 ** (height * bump / 20), n)
    x /= max(float(np.abs(x).max()), 1e-9)
    if rng.random() < 0.4:
        x = np.tanh(x * rng.uniform(1, 5))
    return (x * 0.5 / max(float(np.abs(x).max()), 1e-9)).astype(np.float32)


def mouths(*, seed: int, count: int) -> Iterator[Sound]:
    """`count` drawn mouths that imitate a kick, a snare, a closed and an open hi-hat each."""
    m = int(SAMPLE_RATE * 0.9)
    for number in range(count):
        for kind in ("kick", "snare", "hihat closed", "hihat open"):
            rng = np.random.default_rng([seed, number, len(kind), ord(kind[-1])])
            out = _imitated(kind, m, rng)
            out *= np.clip(np.arange(m) / SAMPLE_RATE / rng.uniform(0.0005, 0.008), 0, 1)
            breath = np.random.default_rng([seed, number]).standard_normal(m)
            out += rng.uniform(0, 0.004) * breath
            samples = (0.5 * out / np.abs(out).max()).astype(np.float32)
            yield Sound(samples, f"mouth/{kind}{number}", f"drum/{kind}", -1, "mouth")


def _imitated(kind: str, m: int, rng: np.random.Generator) -> Float64Array:
    t = np.arange(m) / SAMPLE_RATE
    if kind == "kick":
        course = rng.uniform(50, 130) * (1 + rng.uniform(0, 2) * np.exp(-t * rng.uniform(20, 80)))
        phase = 2 * np.pi * np.cumsum(course) / SAMPLE_RATE
        out = np.sin(phase) * np.exp(-t * rng.uniform(12, 40))
        out += rng.uniform(0, 0.4) * np.sin(2 * phase) * np.exp(-t * rng.uniform(15, 50))
        lips = rng.uniform(0.02, 0.4) * band_noise(m, SAMPLE_RATE, rng.uniform(200, 1500), 2, rng)
        return np.asarray(out + lips * np.exp(-t * rng.uniform(40, 150)))
    if kind == "snare":
        centre, width = rng.uniform(900, 3500), rng.uniform(1.5, 3)
        out = band_noise(m, SAMPLE_RATE, centre, width, rng) * np.exp(-t * rng.uniform(15, 50))
        tone = rng.uniform(0, 0.5) * np.sin(2 * np.pi * rng.uniform(150, 280) * t)
        out = out + tone * np.exp(-t * rng.uniform(20, 60))
        burst = rng.uniform(0, 0.6) * band_noise(m, SAMPLE_RATE, rng.uniform(300, 900), 1, rng)
        return np.asarray(out + burst * np.exp(-t * rng.uniform(60, 150)))
    fall = rng.uniform(30, 110) if kind.endswith("closed") else rng.uniform(4, 12)
    centre, width = rng.uniform(5000, 8500), rng.uniform(0.5, 1.3)
    out = band_noise(m, SAMPLE_RATE, centre, width, rng) * np.exp(-t * fall)
    teeth = rng.uniform(0, 0.3) * band_noise(m, SAMPLE_RATE, rng.uniform(2500, 4500), 0.6, rng)
    return np.asarray(out + teeth * np.exp(-t * fall * 1.5))
