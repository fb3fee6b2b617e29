"""From a clean piece of music to an anchor and its degraded twin, a batch at a time.

The chain of a positive: speed (resampled in the frequency domain) and shift against the anchor;
a room (overlap-save with the impulse response's full length, so that the tail of what sounded
before the segment is in it); noise or babble at a level against the music; the microphone's band
limits and tilt; clipping; the holes that a low bit rate leaves; a change of pitch alone, by
shifted mel filters; a cut-out.  Everything is seeded by the caller's generator.

Sources: Chang et al. 2021 for the idea and the order; Akesbi et al. 2023 ("Music Augmentation and
Denoising for Peak-based Audio Fingerprinting") for band limits and rooms with noise.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from earmark.fingerprinting import FrontEnd, hann, mel_filters
from earmark.training.degrade import Generator, NoiseBank, measured_room, synthetic_room
from earmark.training.fingerprint.config import AugmentConfig
from earmark.types import Float32Array

BLOCK = 16_384
"""Samples of a positive before features: the segment at the end, what sounded before it first."""


class Augmenter:
    """Makes the network's input of anchors and positives.

    Parameters
    ----------
    config : AugmentConfig
    front : FrontEnd
    noise : NoiseBank
    rooms : list of float32 arrays
        Measured impulse responses at the front-end's rate.
    rng : numpy.random.Generator
    """

    def __init__(
        self,
        config: AugmentConfig,
        front: FrontEnd,
        noise: NoiseBank,
        rooms: list[Float32Array],
        *,
        rng: Generator,
    ) -> None:
        self.config, self.front, self.noise, self.rng = config, front, noise, rng
        half = front.n_fft // 2
        self.tail = front.reach - half
        """Samples that a segment looks at from its start on."""
        self.begin = BLOCK - self.tail
        length = self.begin - half
        made = [synthetic_room(length, front.sample_rate, rng) for _ in range(config.rooms)]
        real = [measured_room(r, length) for r in rooms]
        if real:
            n_real = int(config.rooms * config.measured_room_p)
            made[:n_real] = [real[i % len(real)] for i in range(n_real)]
        self.rooms = torch.fft.rfft(torch.from_numpy(np.stack(made)), n=BLOCK)
        self.pitches = np.linspace(1.0 - config.pitch, 1.0 + config.pitch, 27)
        filters = [mel_filters(front, pitch=1.0 / p) for p in self.pitches]
        self.filters = torch.from_numpy(np.stack([f.T for f in filters]))
        self.plain = torch.from_numpy(np.ascontiguousarray(mel_filters(front).T))
        self.window = torch.from_numpy(hann(front.n_fft))
        self.sizes = _smooth_sizes(config.speed)

    @property
    def source_length(self) -> int:
        """Samples of music that one pair is made from; the anchor begins at `source_begin`."""
        return SOURCE

    @property
    def source_begin(self) -> int:
        """Where the anchor's segment begins in the source."""
        return SOURCE // 2 + 150

    def pairs(self, sources: Float32Array) -> tuple[Tensor, Tensor]:
        """Make anchors and positives.

        Parameters
        ----------
        sources : float32 array, shape (n, source_length)
            Each around another piece's segment.

        Returns
        -------
        anchors, positives : Tensor, shape (n, bands, frames), float32
        """
        half = self.front.n_fft // 2
        begin = self.source_begin
        clean = torch.from_numpy(sources[:, begin - half : begin + self.tail].copy())
        filtered = self.rng.random(len(sources)) < self.config.anchor_filter_p
        if filtered.any():
            clean[filtered] = self._filter_only(clean[filtered])
        anchors = self._features(clean, np.ones(len(sources)))
        blocks = torch.from_numpy(np.stack([self._moved(s) for s in sources]))
        blocks = self._room_noise_filter(blocks)[:, self.begin - half :]
        blocks = self._clip(blocks)
        pitch = np.where(
            self.rng.random(len(sources)) < self.config.pitch_p,
            self.rng.uniform(-1.0, 1.0, len(sources)) * self.config.pitch + 1.0,
            1.0,
        )
        positives = self._cut_out(self._features(blocks, pitch, holes=True))
        return anchors, positives

    def _moved(self, source: Float32Array) -> Float32Array:
        """Speed and shift: the middle of the segment stays where the shift puts it."""
        config, rng = self.config, self.rng
        shift = rng.uniform(-config.offset, config.offset) * self.front.sample_rate
        centre = self.source_begin + self.front.window * self.front.sample_rate / 2 + shift
        if rng.random() < config.speed_p:
            size = int(rng.choice(self.sizes))
            spectrum = np.fft.rfft(source)
            bins = np.zeros(size // 2 + 1, np.complex64)
            n = min(len(bins), len(spectrum))
            bins[:n] = spectrum[:n]
            source = np.fft.irfft(bins, size).astype(np.float32) * np.float32(size / SOURCE)
            centre *= size / SOURCE
        start = round(centre - self.front.window * self.front.sample_rate / 2) - self.begin
        return source[start : start + BLOCK]

    def _room_noise_filter(self, blocks: Tensor) -> Tensor:
        config, rng, n = self.config, self.rng, len(blocks)
        spectrum = torch.fft.rfft(blocks)
        inside = np.flatnonzero(rng.random(n) < config.room_p)
        chosen = rng.integers(0, len(self.rooms), len(inside))
        spectrum[inside] = spectrum[inside] * self.rooms[chosen]
        noisy = np.flatnonzero(rng.random(n) < config.noise_p)
        if len(noisy):
            noise = torch.fft.rfft(torch.from_numpy(self.noise.draw(len(noisy), BLOCK, rng)))
            snr = torch.from_numpy(rng.uniform(*config.snr_db, len(noisy)).astype(np.float32))
            music = spectrum[noisy]
            loud = noise.abs().square().sum(1).sqrt().clamp_min(1e-3)
            level = music.abs().square().sum(1).sqrt() / loud
            spectrum[noisy] = music + noise * (level * 10.0 ** (-snr / 20.0))[:, None]
        response = torch.from_numpy(self._responses(n, BLOCK // 2 + 1))
        out: Tensor = torch.fft.irfft(spectrum * response, n=BLOCK)
        return out

    def _filter_only(self, clean: Tensor) -> Tensor:
        length = clean.shape[1]
        response = torch.from_numpy(self._responses(len(clean), length // 2 + 1))
        out: Tensor = torch.fft.irfft(torch.fft.rfft(clean) * response, n=length)
        return out

    def _responses(self, n: int, bins: int) -> Float32Array:
        """Zero-phase magnitudes of low-pass, high-pass and tilt, shape (n, bins)."""
        config, rng = self.config, self.rng
        frequency = np.linspace(1.0, self.front.sample_rate / 2, bins, dtype=np.float32)[None]
        low = np.where(rng.random(n) < config.lowpass_p, rng.uniform(*config.lowpass_hz, n), 1e6)
        high = np.where(rng.random(n) < config.highpass_p, rng.uniform(*config.highpass_hz, n), 1.0)
        order = rng.integers(1, 6, (2, n)).astype(np.float32)
        tilt = rng.uniform(-config.tilt_db, config.tilt_db, n)  # per decade around 1 kHz
        log_f = np.log(frequency)
        out = tilt[:, None] / 20.0 * (log_f - np.log(1000.0))
        ups = 2.0 * order[0][:, None] * (log_f - np.log(low)[:, None])
        downs = 2.0 * order[1][:, None] * (np.log(high)[:, None] - log_f)
        loss = np.logaddexp(0.0, ups) + np.logaddexp(0.0, downs)
        response: Float32Array = np.exp(out - 0.5 * loss).astype(np.float32)
        return response

    def _clip(self, blocks: Tensor) -> Tensor:
        rows = np.flatnonzero(self.rng.random(len(blocks)) < self.config.clip_p)
        if len(rows):
            drive = torch.from_numpy(self.rng.uniform(1.0, 6.0, (len(rows), 1)).astype(np.float32))
            chosen = blocks[rows]
            blocks[rows] = torch.tanh(drive * chosen / (3.0 * chosen.std(1, keepdim=True) + 1e-9))
        return blocks

    def _features(
        self, samples: Tensor, pitch: npt.NDArray[np.float64], *, holes: bool = False
    ) -> Tensor:
        front = self.front
        framed = samples.unfold(1, front.n_fft, front.hop) * self.window
        spectrum = torch.fft.rfft(framed).abs().transpose(1, 2)
        if holes:
            spectrum = self._holes(spectrum)
        mel = torch.matmul(self.plain, spectrum)
        for i in np.flatnonzero(pitch != 1.0):
            nearest = int(np.argmin(np.abs(self.pitches - pitch[i])))
            mel[i] = self.filters[nearest] @ spectrum[i]
        return self.scaled(mel)

    def scaled(self, mel: Tensor) -> Tensor:
        """From linear mel magnitudes, shape (n, bands, frames), to what the network takes."""
        return scale(mel, self.front)

    def _holes(self, spectrum: Tensor) -> Tensor:
        rows = np.flatnonzero(self.rng.random(len(spectrum)) < self.config.codec_p)
        if len(rows):
            depth = 10.0 ** (-self.rng.uniform(15.0, 45.0, (len(rows), 1, 1)) / 20.0)
            chosen = spectrum[rows]
            limit = chosen.amax(1, keepdim=True) * torch.from_numpy(depth.astype(np.float32))
            spectrum[rows] = torch.where(chosen < limit, chosen * 0.02, chosen)
        return spectrum

    def _cut_out(self, features: Tensor) -> Tensor:
        rng, front = self.rng, self.front
        for row in np.flatnonzero(rng.random(len(features)) < self.config.cutout_p):
            fill = float(rng.choice((-1.0, rng.uniform(-1.0, 1.0))))
            if rng.random() < 0.5:
                height, width = rng.integers(front.bands // 12, front.bands // 3), front.frames // 3
                width = int(rng.integers(3, max(4, width)))
            else:
                height, width = rng.integers(5, front.bands // 8), front.frames
            top = int(rng.integers(0, front.bands - height + 1))
            left = int(rng.integers(0, front.frames - width + 1))
            features[row, top : top + int(height), left : left + width] = fill
        return features


SOURCE = 20_000
"""Samples around an anchor from which a positive is made; 2^5 5^4, fast to transform."""


def _smooth_sizes(speed: float) -> npt.NDArray[np.int64]:
    """Even lengths near `SOURCE` without prime factors above 7, for fast resampling."""
    sizes = []
    for size in range(int(SOURCE / (1.0 + speed)), int(SOURCE / (1.0 - speed)) + 1):
        rest = size
        for prime in (2, 3, 5, 7):
            while rest % prime == 0:
                rest //= prime
        if rest == 1 and size % 2 == 0:
            sizes.append(size)
    return np.array(sizes)


def scale(mel: Tensor, front: FrontEnd) -> Tensor:
    """`earmark.fingerprinting.scale_segments` in PyTorch, on (n, bands, frames)."""
    peak = mel.amax((1, 2), keepdim=True).clamp_min(1e-12)
    decibels = 20.0 * torch.log10((mel / peak).clamp_min(10.0 ** (-front.floor_db / 20.0)))
    return 1.0 + decibels * (2.0 / front.floor_db)
