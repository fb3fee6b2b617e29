"""Choosing the directions of the spectral code: a minute on one core, NumPy alone.

Pairs of patches, clean and degraded, give two covariances: of the patches, and between a patch
and its degraded twin.  The directions that maximise their ratio (the correlation that survives)
are what Fisher's discriminant analysis would take; a rotation found by iterative quantisation
(Gong and Lazebnik 2011) then makes their signs balanced and independent.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from earmark.spectral_code import BITS, Directions, SpectralFront, band_levels
from earmark.training.degrade import Generator, NoiseBank, add_noise, convolve, synthetic_room
from earmark.training.fingerprint.data import Piece, Sampler
from earmark.types import Float32Array, Float64Array


@dataclass(frozen=True)
class SpectralTraining:
    """How pairs are made; levels in dB, `shift` in seconds."""

    pairs: int = 4000
    seed: int = 0
    snr_db: tuple[float, float] = (-3.0, 10.0)
    room_p: float = 0.5
    noise_p: float = 0.9
    shift: float = 0.0125
    ridge: float = 1e-3


def fit(
    pieces: list[Piece],
    noise: NoiseBank,
    *,
    front: SpectralFront | None = None,
    config: SpectralTraining | None = None,
) -> Directions:
    """Choose directions on music and noise.

    Parameters
    ----------
    pieces : list of Piece
        At ``front.sample_rate``.
    noise : NoiseBank
    front : SpectralFront, optional
    config : SpectralTraining, optional

    Returns
    -------
    Directions
    """
    front, config = front or SpectralFront(), config or SpectralTraining()
    rng = np.random.default_rng(config.seed)
    clean, rough = _pairs(pieces, noise, front, config, rng)
    mean = clean.mean(axis=0)
    clean, rough = clean - mean, rough - rough.mean(axis=0)
    within: Float64Array = (clean.T @ clean + rough.T @ rough) / (2 * len(clean))
    across = clean.T @ rough / len(clean)
    within += np.eye(len(mean)) * config.ridge * np.trace(within) / len(mean)
    # Generalised symmetric eigenproblem by whitening.
    root = np.linalg.inv(np.linalg.cholesky(within))
    _, vectors = np.linalg.eigh(root @ (across + across.T) @ root.T)
    directions = root.T @ vectors[:, ::-1][:, :BITS]
    spread = (clean @ directions).std(axis=0)
    matrix = directions / spread
    matrix = matrix @ _rotation(clean @ matrix, rng)
    matrix -= matrix.mean(axis=0)
    threshold = np.median(clean @ matrix, axis=0) + mean @ matrix
    return Directions(front, matrix.astype(np.float32), threshold.astype(np.float32))


def save(directions: Directions, path: Path) -> None:
    """Write directions as `earmark.spectral_code.load_directions` reads them."""
    front = vars(directions.front)
    np.savez(path, matrix=directions.matrix, threshold=directions.threshold, **front)


def _rotation(projected: Float64Array, rng: Generator, *, rounds: int = 50) -> Float64Array:
    """Turn the axes so that the signs quantise the points best (iterative quantisation)."""
    size = projected.shape[1]
    rotation = np.linalg.qr(rng.standard_normal((size, size)))[0]
    for _ in range(rounds):
        left, _, right = np.linalg.svd(np.sign(projected @ rotation).T @ projected)
        rotation = (left @ right).T
    return rotation


def _pairs(
    pieces: list[Piece],
    noise: NoiseBank,
    front: SpectralFront,
    config: SpectralTraining,
    rng: Generator,
) -> tuple[Float64Array, Float64Array]:
    """Patches of clean music and of the same degraded, each (n, patch * bands)."""
    length = front.reach + 3 * front.hop
    margin = round(config.shift * front.sample_rate)
    sampler = Sampler(pieces, length=length + 2 * margin, begin=0)
    clean, rough = [], []
    batch = min(100, len(pieces))
    for _ in range(-(-config.pairs // batch)):
        for source in sampler.draw(batch, rng):
            twin = _degraded(source, noise, front, config, rng)
            shift = int(rng.integers(0, 2 * margin + 1))
            clean.append(_patches(source[margin : margin + length], front))
            rough.append(_patches(twin[shift : shift + length], front))
    return np.concatenate(clean), np.concatenate(rough)


def _patches(samples: Float32Array, front: SpectralFront) -> Float64Array:
    levels = band_levels(samples, front)
    windows = np.lib.stride_tricks.sliding_window_view(levels, front.patch, axis=0)
    flat: Float64Array = windows.transpose(0, 2, 1).reshape(len(windows), -1).astype(np.float64)
    # The level of the whole must not matter.
    flat -= flat.mean(axis=1, keepdims=True)
    return flat


def _degraded(
    clip: Float32Array,
    noise: NoiseBank,
    front: SpectralFront,
    config: SpectralTraining,
    rng: Generator,
) -> Float32Array:
    if rng.random() < config.room_p:
        clip = convolve(clip, synthetic_room(front.sample_rate, front.sample_rate, rng))
    if rng.random() < config.noise_p:
        over = noise.draw(1, len(clip), rng)[0]
        clip = add_noise(clip, over, snr_db=rng.uniform(*config.snr_db))
    return _microphone(clip, front, rng)


def _microphone(clip: Float32Array, front: SpectralFront, rng: Generator) -> Float32Array:
    """Tilt of up to 6 dB per decade; low-pass and high-pass, each on 40 %."""
    frequency = np.maximum(np.fft.rfftfreq(len(clip), 1.0 / front.sample_rate), 20.0)
    gain = (frequency / 1000.0) ** (rng.uniform(-6.0, 6.0) / 20.0)
    if rng.random() < 0.4:
        gain = gain / np.sqrt(1.0 + (frequency / rng.uniform(1500.0, 3900.0)) ** 6)
    if rng.random() < 0.4:
        gain = gain / np.sqrt(1.0 + (rng.uniform(60.0, 500.0) / frequency) ** 4)
    return np.fft.irfft(np.fft.rfft(clip) * gain, len(clip)).astype(np.float32)
