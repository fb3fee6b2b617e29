"""A query's spectral code: as dense as need be, and at any speed.

A track has a code every eighth of a second (`earmark.spectral_code`); a query has four times as
many, so that some of them fall in step with the track's.  A query that was played faster or slower
is looked at as if it had been brought back to the track's speed, for codes do not follow changes
of speed.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from earmark import spectral_code
from earmark.spectral_code import Directions
from earmark.types import Clip, Float32Array, Float64Array, UInt8Array


class QueryCodes:
    """The spectral code of a query at any speed, four times as dense as a track's.

    The spectrum of the query is computed once.  At another speed the bands are read from it at
    frequencies scaled by the speed, and the frames of a patch at times scaled likewise (between
    frames, which are a 32nd of a second apart, levels are interpolated): within a few percent of
    speed that is what stretching the sound would give, at a tenth of the cost.

    Parameters
    ----------
    clip : Clip
        At the code's sample rate.
    directions : Directions
    """

    PHASES = 4

    def __init__(self, clip: Clip, directions: Directions) -> None:
        self._clip, self._directions = clip, directions
        self._known: dict[float, tuple[Float64Array, Float32Array]] = {}
        self._power: Float32Array | None = None

    @property
    def duration(self) -> float:
        """Length of the query in seconds."""
        return self._clip.duration

    def at(self, speed: float) -> tuple[Float64Array, Float32Array]:
        """Middles in seconds of the clip (unstretched) and projections, (n,) and (n, 32)."""
        speed = round(speed * 400.0) / 400.0
        if speed not in self._known:
            self._known[speed] = self._project(speed)
        return self._known[speed]

    def rows(self, speed: float, codes: int, step: int) -> tuple[Float64Array, UInt8Array]:
        """Rows of `codes` consecutive codes each, as tracks have them, every `step` phases."""
        times, projections = self.at(speed)
        span = (codes - 1) * self.PHASES
        starts = np.arange(0, max(0, len(times) - span), step)
        picked = projections[starts[:, None] + np.arange(codes) * self.PHASES]
        middle = (times[starts] + times[starts + span]) / 2 if len(starts) else times[:0]
        return middle, spectral_code.pack(picked).reshape(len(starts), codes * 4)

    def _project(self, speed: float) -> tuple[Float64Array, Float32Array]:
        front = self._directions.front
        if self._power is None:
            fine = replace(front, hop=front.hop // self.PHASES)
            self._power = spectral_code.power_spectra(self._clip.samples, fine)
        levels = spectral_code.levels_of(self._power, front, speed=speed)
        ahead = np.arange(front.patch) * (self.PHASES / speed)
        count = max(0, len(levels) - int(np.ceil(ahead[-1])))
        parts = self._directions.matrix.reshape(front.patch, front.bands, spectral_code.BITS)
        projected = np.zeros((count, spectral_code.BITS), np.float32) - self._directions.threshold
        for frame, part in zip(ahead, parts, strict=True):
            if not count:
                break
            low = int(frame)
            between = np.float32(frame - low)
            picked = levels[low : low + count]
            if between > 1e-6:
                picked = picked + between * (levels[low + 1 : low + 1 + count] - picked)
            projected += picked @ part
        middle = ((front.patch - 1) * front.hop / speed + front.n_fft) / 2
        at = np.arange(count) * (front.hop // self.PHASES) + middle
        return at / front.sample_rate, projected


def at_speed(samples: Float32Array, speed: float) -> Float32Array:
    """Stretch by `speed`: what was played too fast becomes as long as it was."""
    if abs(speed - 1.0) < 1e-5 or not len(samples):
        return samples
    import soxr

    stretched: Float32Array = soxr.resample(samples, 1e6, 1e6 * speed)
    return stretched.astype(np.float32, copy=False)


def split_codes(times: Float64Array, rows: UInt8Array) -> tuple[Float64Array, UInt8Array]:
    """Take rows of four codes apart: middles (4 n,) and codes (4 n, 4)."""
    codes = np.asarray(rows, np.uint8).reshape(-1, 4)
    apart = times[:, None] + (np.arange(4) - 1.5) * 0.125
    return apart.ravel(), codes
