"""The front-end of the fingerprint encoder: segments of a log-mel spectrogram.

One short-time spectrum serves all segments of a file: frame ``i`` is centred on sample
``i * hop`` and segment ``j`` is the frames ``j * step`` to ``j * step + frames - 1``, so that
overlapping segments share their frames.  Each segment is scaled by its own maximum alone: a
segment's features never depend on its neighbours, nor on what else is in a batch.

Conventions: mono float32 at `FrontEnd.sample_rate`, time in seconds unless a name says samples
or frames.  Sources: the mel scale of Slaney's Auditory Toolbox (1998) with area-normalised
triangles; input of Chang et al., "Neural Audio Fingerprint for High-specific Audio Retrieval
based on Contrastive Learning" (2021), with the decibel scaling of later work on music.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from earmark.types import Float32Array, Float64Array


@dataclass(frozen=True)
class FrontEnd:
    """What the features are; saved with each checkpoint and in the exported weights.

    Parameters
    ----------
    sample_rate : int
        In Hz.
    n_fft : int
        Samples of a (periodic) Hann window and of its spectrum.
    hop : int
        Samples between frames; 250 at 8 kHz makes half a second a whole number of frames.
    frames : int
        Frames of a segment.
    bands : int
        Mel bands of equal area.
    fmin, fmax : float
        Edges of the bands, in Hz.
    floor_db : float
        Depth below the segment's maximum at which magnitudes are clipped, in dB (positive).
    """

    sample_rate: int = 8000
    n_fft: int = 1024
    hop: int = 250
    frames: int = 32
    bands: int = 256
    fmin: float = 160.0
    fmax: float = 4000.0
    floor_db: float = 80.0

    @property
    def window(self) -> float:
        """Nominal length of a segment in seconds: its frames times the hop."""
        return self.frames * self.hop / self.sample_rate

    @property
    def reach(self) -> int:
        """Samples that the frames of one segment look at, from ``-n_fft / 2``."""
        return (self.frames - 1) * self.hop + self.n_fft


@dataclass(frozen=True)
class SegmentFront:
    """What the features of segments are that are looked at one by one.

    A network of a user's own may be trained on features that overlapping segments cannot share:
    zeros around each segment, or a hop that does not divide the step between them.

    Parameters
    ----------
    front : FrontEnd
        The spectrum of a segment.
    samples, step : int
        Length of a segment, and from one to the next, in samples.
    scale : str
        ``decibel``: as `scale_segments`; ``log``: log10(magnitude + `offset`) minus the segment's
        maximum (Chang et al. 2021).
    offset : float
    padding : str
        Outside of the segment are ``zeros``, or the ``sound`` that lies there.
    """

    front: FrontEnd
    samples: int = 8000
    step: int = 4000
    scale: str = "decibel"
    offset: float = 0.06
    padding: str = "sound"

    def features(self, samples: Float32Array) -> Float32Array:
        """Return what a network takes of segments.

        Parameters
        ----------
        samples : float32 array, shape (n, samples + n_fft)
            Each segment with half a window around it on both sides.

        Returns
        -------
        float32 array, shape (n, bands, frames)
        """
        front, half = self.front, self.front.n_fft // 2
        if self.padding == "zeros":
            inside = samples[:, half : half + self.samples]
            samples = np.pad(inside, ((0, 0), (half, half)))
        framed = np.lib.stride_tricks.sliding_window_view(samples, front.n_fft, axis=1)
        framed = framed[:, :: front.hop][:, : front.frames]
        mel = mel_magnitudes(framed.reshape(-1, front.n_fft), front)
        mel = mel.reshape(len(samples), front.frames, front.bands)
        if self.scale == "decibel":
            return scale_segments(mel, front)
        logs = np.log10(mel + np.float32(self.offset))
        logs -= logs.max(axis=(1, 2), keepdims=True)
        return np.ascontiguousarray(logs.transpose(0, 2, 1))


def slaney_mel(frequency: Float64Array) -> Float64Array:
    """Convert Hz to Slaney's mel scale (linear below 1 kHz, logarithmic above)."""
    linear = frequency / (200.0 / 3.0)
    step = np.log(6.4) / 27.0
    high = 15.0 + np.log(np.maximum(frequency, 1000.0) / 1000.0) / step
    return np.where(frequency < 1000.0, linear, high)


def slaney_hz(mel: Float64Array) -> Float64Array:
    """Convert Slaney's mel scale to Hz; the inverse of `slaney_mel`."""
    step = np.log(6.4) / 27.0
    high = 1000.0 * np.exp(step * (np.maximum(mel, 15.0) - 15.0))
    return np.where(mel < 15.0, mel * (200.0 / 3.0), high)


def mel_filters(front: FrontEnd, *, pitch: float = 1.0) -> Float32Array:
    """Triangular filters over the bins of the spectrum.

    Parameters
    ----------
    front : FrontEnd
        Its bands.
    pitch : float
        All frequencies are divided by this: the filters of a signal that is to look as if its
        pitch had been multiplied by it.  1 outside training.

    Returns
    -------
    float32 array, shape (n_fft // 2 + 1, bands)
    """
    low, high = slaney_mel(np.array([front.fmin, front.fmax]))
    edges = slaney_hz(np.linspace(low, high, front.bands + 2))
    bins = np.arange(front.n_fft // 2 + 1)[:, None] * front.sample_rate / front.n_fft * pitch
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    area = 2.0 / (edges[2:] - edges[:-2])
    return (np.maximum(0.0, np.minimum(rising, falling)) * area).astype(np.float32)


@lru_cache(maxsize=4)
def _filters(front: FrontEnd) -> Float32Array:
    filters = mel_filters(front)
    filters.flags.writeable = False
    return filters


def hann(n: int) -> Float32Array:
    """Periodic Hann window, shape (n,), float32."""
    return (0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(n) / n)).astype(np.float32)


def mel_magnitudes(frames: Float32Array, front: FrontEnd) -> Float32Array:
    """Mel magnitudes of frames of samples.

    Parameters
    ----------
    frames : float32 array, shape (n, n_fft)
        Not yet windowed.

    Returns
    -------
    float32 array, shape (n, bands)
        Linear magnitudes.
    """
    spectrum = np.abs(np.fft.rfft(frames * hann(front.n_fft), axis=1))
    return spectrum.astype(np.float32, copy=False) @ _filters(front)


def scale_segments(segments: Float32Array, front: FrontEnd) -> Float32Array:
    """Scale linear mel magnitudes to what the network takes.

    Each segment: decibels relative to its own maximum, clipped at ``-floor_db``, mapped to
    [-1, 1].  A segment of zeros gives -1 everywhere.

    Parameters
    ----------
    segments : float32 array, shape (n, frames, bands)

    Returns
    -------
    float32 array, shape (n, bands, frames)
    """
    peak = segments.max(axis=(1, 2), keepdims=True)
    floor = np.float32(10.0 ** (-front.floor_db / 20.0))
    relative = segments / np.maximum(peak, np.float32(1e-12))
    decibels = np.float32(20.0) * np.log10(np.maximum(relative, floor))
    scaled = np.float32(1.0) + decibels * np.float32(2.0 / front.floor_db)
    return np.ascontiguousarray(scaled.transpose(0, 2, 1))


def segment_features(samples: Float32Array, front: FrontEnd, *, step: int) -> Float32Array:
    """Features of all segments that lie wholly within the samples.

    Parameters
    ----------
    samples : float32 array, shape (n,)
        At ``front.sample_rate``; zeros are assumed outside.
    front : FrontEnd
        What the features are.
    step : int
        Frames between segments (16 = half a second at the default hop).

    Returns
    -------
    float32 array, shape (m, bands, frames)
        ``m`` is 0 for samples shorter than one segment.

    Examples
    --------
    >>> segment_features(np.zeros(16000, np.float32), FrontEnd(), step=16).shape
    (3, 256, 32)
    """
    total = len(samples) // front.hop
    count = (total - front.frames) // step + 1 if total >= front.frames else 0
    if count <= 0:
        return np.zeros((0, front.bands, front.frames), np.float32)
    n_frames = (count - 1) * step + front.frames
    half = front.n_fft // 2
    padded = np.zeros((n_frames - 1) * front.hop + front.n_fft, np.float32)
    body = samples[: len(padded) - half]
    padded[half : half + len(body)] = body
    framed = np.lib.stride_tricks.sliding_window_view(padded, front.n_fft)[:: front.hop]
    mel = mel_magnitudes(framed, front)
    windows = np.lib.stride_tricks.sliding_window_view(mel, front.frames, axis=0)[::step]
    return scale_segments(windows.transpose(0, 2, 1), front)
