"""Where a match begins and ends, to a hundredth of a second, by comparing the sound itself.

The rows of a fingerprint say within a tenth of a second how a query lies on a track.  With both
sounds at hand, the lag of one against the other is measured in windows all along the query (the
peak of their cross-correlation with the spectra made flat), a line through these lags gives the
exact offset and speed, and the stretch over which the two agree frame by frame is the range.

Conventions: clips at one rate; the line is ``track time = offset + speed * query time``.  Source:
Knapp and Carter, "The generalized correlation method for estimation of time delay" (1976), PHAT
weighting.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from earmark.identify.query_codes import at_speed
from earmark.types import Clip, Float32Array, Float64Array

WINDOW, HOP = 2.0, 0.5
"""Seconds of sound that one lag is measured on, and between windows."""

REACH = 0.3
"""Seconds by which the line to begin with may be wrong."""

TOLERANCES = (0.004, 0.001, 0.0005)
"""Seconds by which lags may be off the line, in each round; the speed is better in the next."""

STEADY = 1e-4
"""A speed so nearly right gave lags as sharp as they can be: they are not measured again."""

TURNS = tuple(sorted(np.arange(-5, 6) * 0.002, key=abs))
"""What the speed to begin with may be off."""

FEW_WINDOWS = 10

STEEPEST, PROPOSERS = 0.015, 60

FRAME = 0.01
"""Seconds of a frame of the range: its resolution."""

SMOOTH = 15
"""Frames over which agreement is averaged before it is compared with `AGREE`."""

AGREE = 0.15


@dataclass(frozen=True)
class ExactRange:
    """A match made exact: the line, and the range in seconds of track and query.

    `agreement` is the mean correlation of the two sounds over the range, 0 to 1.
    """

    offset: float
    speed: float
    start: float
    end: float
    query_start: float
    query_end: float
    agreement: float


def exact_range(query: Clip, track: Clip, *, offset: float, speed: float) -> ExactRange | None:
    """Make a match exact.

    Parameters
    ----------
    query, track : Clip
        At the same rate; times of `track` begin at its `start`, so that a part will do.
    offset, speed : float
        The line as `identify` found it.

    Returns
    -------
    ExactRange or None
        None if the two sounds agree nowhere.

    Raises
    ------
    SampleRateError
        If the clips have different rates.
    """
    track.check_rate(query.sample_rate)
    rate = query.sample_rate
    offset, speed = _tuned(query, track, offset, speed)
    slope = 2.0 * STEADY
    for tolerance in TOLERANCES:
        if abs(slope) > STEADY:
            stretched = at_speed(query.samples, speed)
            times, lags, weights = _lags(stretched, track, offset, rate, HOP)
        if len(times) == 0:
            return None
        slope, shift = _line(times, lags, weights, tolerance)
        lags = lags - shift - slope * times
        offset, speed = offset + shift, speed * (1.0 + slope)
    stretched = at_speed(query.samples, speed)
    return _range(stretched, track, offset, speed, rate)


def _tuned(query: Clip, track: Clip, offset: float, speed: float) -> tuple[float, float]:
    """The line turned about the query's middle to where a few windows correlate best.

    A peak is as sharp as it can be only if the speed is right to about a thousandth.
    """
    rate, best = query.sample_rate, (0.0, offset, speed)
    for turn in TURNS:
        turned = (offset - turn * query.duration / 2, speed + turn)
        stretched = at_speed(query.samples, turned[1])
        hop = max(HOP, len(stretched) / rate / FEW_WINDOWS)
        weight = float(_lags(stretched, track, turned[0], rate, hop)[2].sum())
        if weight > best[0]:
            best = (weight, *turned)
    return best[1:]


def _cut(track: Clip, begin: float, count: int) -> Float32Array:
    """Samples of the track from a time on; zeros outside of the clip."""
    first = round((begin - track.start) * track.sample_rate)
    out = np.zeros(count, np.float32)
    low, high = max(0, first), min(len(track.samples), first + count)
    if low < high:
        out[low - first : high - first] = track.samples[low:high]
    return out


def _lags(
    stretched: Float32Array, track: Clip, offset: float, rate: int, hop: float
) -> tuple[Float64Array, Float64Array, Float64Array]:
    """Time (in the track's seconds from the query's start), lag and weight of each window."""
    size = min(round(WINDOW * rate), len(stretched))
    reach = round(REACH * rate)
    found = []
    for start in range(0, max(1, len(stretched) - size + 1), round(hop * rate)):
        window = stretched[start : start + size]
        other = _cut(track, offset + start / rate - REACH, size + 2 * reach)
        lag, weight = _lag(window, other, reach)
        if weight > 0.0:
            found.append(((start + size / 2) / rate, lag / rate, weight))
    times, lags, weights = np.array(found, np.float64).reshape(-1, 3).T
    return times, lags, weights


def _lag(window: Float32Array, other: Float32Array, reach: int) -> tuple[float, float]:
    """Lag in samples at the peak of the flattened cross-correlation, and how it stands out."""
    # Lags at which the window lies within the other sound need no room for more.
    n = _fast_size(len(other))
    cross = np.conj(np.fft.rfft(window, n)) * np.fft.rfft(other, n)
    size = np.abs(cross)
    if not size.any():
        return 0.0, 0.0
    correlation = np.fft.irfft(cross / np.maximum(size, 1e-3 * size.max()), n)[: 2 * reach + 1]
    peak = int(np.argmax(correlation))
    noise = float(np.sqrt(np.mean(np.square(correlation))))
    stands = float(correlation[peak]) / max(noise, 1e-12)
    return float(peak - reach), max(0.0, stands - 6.0)


def _fast_size(least: int) -> int:
    """The smallest product of 2, 3 and 5 that is no less: quick to transform."""
    odds: list[int] = [3**i * 5**j for i in range(6) for j in range(4)]
    return min(odd << max(0, (-(-least // odd) - 1).bit_length()) for odd in odds)


def _line(
    times: Float64Array, lags: Float64Array, weights: Float64Array, tolerance: float
) -> tuple[float, float]:
    """Slope and intercept of the line that most lags agree with to within the tolerance.

    Every lag proposes a line without slope, and every two that are far enough apart the line
    through both (random sample consensus, with all samples).
    """
    best, slope, shift = -1.0, 0.0, 0.0
    for i in np.argsort(-weights)[:PROPOSERS]:
        apart = times - times[i]
        slopes = (lags - lags[i])[np.abs(apart) >= 2.0] / apart[np.abs(apart) >= 2.0]
        slopes = np.append(0.0, slopes[np.abs(slopes) <= STEEPEST])
        shifts = lags[i] - slopes * times[i]
        off = np.abs(lags[None] - shifts[:, None] - slopes[:, None] * times[None])
        votes = (weights * (off <= tolerance)).sum(axis=1)
        top = int(np.argmax(votes))
        if votes[top] > best:
            best, slope, shift = float(votes[top]), float(slopes[top]), float(shifts[top])
    near = np.abs(lags - shift - slope * times) <= tolerance
    if near.sum() >= 3 and np.ptp(times[near]) >= 2.0:
        fitted = np.polyfit(times[near], lags[near], 1, w=np.sqrt(weights[near]))
        slope, shift = float(fitted[0]), float(fitted[1])
    return slope, shift


def _range(
    stretched: Float32Array, track: Clip, offset: float, speed: float, rate: int
) -> ExactRange | None:
    """The stretch over which the sounds agree: the maximum subarray of agreement."""
    frame = round(FRAME * rate)
    count = len(stretched) // frame
    ours = _flat(stretched[: count * frame])
    theirs = _flat(_cut(track, offset, count * frame))
    products, own, other = (
        x.reshape(count, frame).sum(axis=1) for x in (ours * theirs, ours**2, theirs**2)
    )
    kernel = np.ones(min(SMOOTH, max(1, count)))
    power = np.convolve(own, kernel, "same") * np.convolve(other, kernel, "same")
    agreement = np.convolve(products, kernel, "same") / np.sqrt(np.maximum(power, 1e-20))
    sums = np.concatenate([[0.0], np.cumsum(agreement - AGREE)])
    rises = sums - np.minimum.accumulate(sums)
    last = int(np.argmax(rises))
    if last == 0:
        return None
    first = int(np.argmin(sums[:last]))
    level = float(agreement[first:last].mean())
    each = products / np.sqrt(np.maximum(own * other, 1e-20)) - level / 2
    first = _edge(each, first)
    last = count - _edge(each[::-1], count - last)
    begin, end = first * FRAME, last * FRAME
    return ExactRange(
        offset=offset,
        speed=speed,
        start=offset + begin,
        end=offset + end,
        query_start=begin / speed,
        query_end=end / speed,
        agreement=level,
    )


def _edge(each: Float64Array, near: int) -> int:
    """The frame from which on frames are positive, near one that smoothing has blurred."""
    low, high = max(0, near - SMOOTH), min(len(each), near + SMOOTH + 1)
    # The best place to begin is where the sum of all that comes after is largest.
    after = np.cumsum(each[low:high][::-1])[::-1]
    return low + int(np.argmax(after))


def _flat(samples: Float32Array) -> Float64Array:
    """Flatten the spectrum a little (a first difference): low notes alone must not decide."""
    flat: Float64Array = np.diff(samples.astype(np.float64), prepend=0.0)
    return flat
