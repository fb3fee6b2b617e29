"""Odd sounds: each gives a defined vector, or none and a clear word; and sounds of a mouth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import audio_factory
import earmark
from earmark import framing
from earmark.config import Settings
from earmark.encoders.timbre_default import Default
from earmark.errors import QueryError
from earmark.features.timbre import SAMPLE_RATE
from earmark.training.timbre.degrade import Conditions, degrade
from earmark.types import Clip, Encoded, Float32Array
from test_timbre_descriptors import note

RNG = np.random.default_rng(7)
NOISE = (0.2 * RNG.standard_normal(SAMPLE_RATE)).astype(np.float32)


def encode(samples: Float32Array) -> Encoded:
    return framing.encode_clip(Default(), Clip(np.asarray(samples, np.float32), SAMPLE_RATE))


def tone(hz: float, seconds: float = 1.0) -> Float32Array:
    t = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (0.4 * np.sin(2 * np.pi * hz * t)).astype(np.float32)


def cosine(a: Encoded, b: Encoded) -> float:
    assert a.refine is not None
    assert b.refine is not None
    return float(a.refine[0, :64] @ b.refine[0, :64])


ODD = {
    "click of three samples": np.array([0.5, -0.5, 0.25]),
    "click in silence": np.pad(np.array([0.5, -0.5, 0.25]), (4000, 9000)),
    "one sample": np.array([0.7, 0.1]),
    "low tone": tone(30.0),
    "tone": tone(1000.0),
    "tone at the top": tone(10_900.0),
    "white noise": NOISE,
    "clipped": np.clip(20 * note(220.0), -1, 1),
    "square wave": np.sign(tone(200.0)),
    "reversed": note(220.0)[::-1],
    "very quiet": 1e-3 * note(220.0),
    "with an offset": note(220.0) + 0.5,
    "beyond full scale": 50 * note(220.0),
    "long, one click": np.pad(np.array([0.5, -0.5]), (30_000, 200_000)),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_sounds_have_a_defined_row(name: str) -> None:
    encoded = encode(ODD[name])
    assert len(encoded.rows) >= 1
    assert encoded.refine is not None
    assert np.isfinite(encoded.refine).all()
    assert np.linalg.norm(encoded.refine[:, :64], axis=1) == pytest.approx(1, abs=1e-3)
    assert np.isfinite(encoded.segments).all()
    for fact, value in encoded.facts.items():
        assert isinstance(value, str) or np.isfinite(value), fact
    assert cosine(encoded, encode(ODD[name])) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("samples", [np.zeros(3), np.zeros(SAMPLE_RATE), np.full(9000, 0.4)])
def test_silence_has_nothing_to_compare(samples: Float32Array, tmp_path: Path) -> None:
    encoded = encode(samples)
    assert len(encoded.rows) == 0
    assert dict(encoded.facts) == {}
    audio_factory.write_wav(tmp_path / "a.wav", note(220.0), SAMPLE_RATE)
    with earmark.open(tmp_path / "library", settings=Settings()) as lib:
        lib.add(tmp_path / "a.wav", executor="serial")
        for aspect in (None, "pitch=1"):
            with pytest.raises(QueryError, match="only silence"):
                lib.search(audio=(samples.astype(np.float32), SAMPLE_RATE), aspect=aspect)


def test_level_offset_and_hard_limits_hardly_count() -> None:
    base = encode(note(220.0))
    assert cosine(base, encode(2e-3 * note(220.0))) > 0.97
    assert cosine(base, encode(note(220.0) + 0.5)) > 0.97
    assert cosine(base, encode(50 * note(220.0))) > 0.97


def test_order_in_time_counts() -> None:
    assert cosine(encode(note(220.0)), encode(note(220.0)[::-1])) < 0.8


# --- sounds of a mouth -------------------------------------------------------------------------


def drum(kind: str, rng: np.random.Generator) -> Float32Array:
    """A plain drum machine: a falling sine, noise with a tone, high noise."""
    t = np.arange(int(0.5 * SAMPLE_RATE)) / SAMPLE_RATE
    noise = rng.standard_normal(len(t))
    high = np.diff(np.diff(noise, prepend=0), prepend=0)
    if kind == "kick":
        fall = rng.uniform(45, 60) * (1 + rng.uniform(2, 4) * np.exp(-t * 40))
        out = np.sin(2 * np.pi * np.cumsum(fall) / SAMPLE_RATE) * np.exp(-t * rng.uniform(8, 14))
    elif kind == "snare":
        out = 0.6 * noise * np.exp(-t * rng.uniform(14, 22))
        out += np.sin(2 * np.pi * rng.uniform(170, 210) * t) * np.exp(-t * 25)
    else:
        out = high * np.exp(-t * rng.uniform(50, 90))
    return (0.5 * out / np.abs(out).max()).astype(np.float32)


def mouth(kind: str, rng: np.random.Generator) -> Float32Array:
    """A mouth that imitates it: a hummed thump with lips, 'pf' and 'ts', slower and softer."""
    t = np.arange(int(0.45 * SAMPLE_RATE)) / SAMPLE_RATE
    noise = rng.standard_normal(len(t))
    low = np.convolve(noise, np.ones(30) / 30, "same")
    rise = np.clip(t / rng.uniform(0.003, 0.006), 0, 1)
    if kind == "kick":
        course = rng.uniform(70, 95) * np.exp(-t * 3)
        voice = sum(np.sin(h * 2 * np.pi * np.cumsum(course) / SAMPLE_RATE) / h**2 for h in (1, 2))
        out = voice * np.exp(-t * rng.uniform(14, 22)) + low * np.exp(-t * 60)
    elif kind == "snare":
        band = noise - np.convolve(noise, np.ones(12) / 12, "same")
        out = band * np.exp(-t * rng.uniform(16, 26)) + 3 * low * np.exp(-t * 50)
    else:
        high = np.diff(noise, prepend=0)
        out = np.diff(high, prepend=0) * np.exp(-t * rng.uniform(40, 70))
    out = out * rise + 0.002 * rng.standard_normal(len(t))
    return (0.4 * out / np.abs(out).max()).astype(np.float32)


KINDS = ("kick", "snare", "hat")
PHONE = Conditions((18.0, 30.0), (0.1, 0.3), (3400.0, 6000.0), chance=1.0, other=0.0)


@pytest.fixture(scope="module")
def kit() -> tuple[np.ndarray, np.ndarray]:
    """Vectors of 30 drums and 12 notes, and what they are."""
    rng = np.random.default_rng(1)
    sounds = [(k, drum(k, rng)) for k in KINDS for _ in range(10)]
    sounds += [("note", note(110 * 2 ** (i / 4), tilt=rng.uniform(0.5, 2))) for i in range(12)]
    rows = [encode(samples).refine for _, samples in sounds]
    return np.concatenate([r[:, :64] for r in rows if r is not None]), np.array(
        [kind for kind, _ in sounds]
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("phone", [False, True])
def test_a_mouth_finds_the_drum_that_it_imitates(
    kit: tuple[np.ndarray, np.ndarray], kind: str, phone: bool
) -> None:
    vectors, kinds = kit
    rng = np.random.default_rng(2)
    right = 0
    for _ in range(8):
        samples = mouth(kind, rng)
        if phone:
            samples = degrade(samples[None], SAMPLE_RATE, rng, PHONE)[0]
        refine = encode(samples).refine
        assert refine is not None
        near = np.argsort(-(vectors @ refine[0, :64]))[:5]
        right += int((kinds[near] == kind).sum() >= 3)
    assert right >= 6, f"{right} of 8"
