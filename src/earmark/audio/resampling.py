"""Change of sample rate, block by block, by soxr in its HQ quality (what librosa uses).

A stream that ends after n samples at rate a gives round(n * b / a) samples at rate b, halves
rounded up, whatever the blocks were; rates that are equal pass through untouched.
"""

from __future__ import annotations

import numpy as np

from earmark.types import Float32Array

QUALITY = "HQ"


def resampled_length(samples: int, source_rate: int, target_rate: int) -> int:
    """Samples that `samples` at `source_rate` Hz become at `target_rate` Hz.

    Examples
    --------
    >>> resampled_length(44101, 44100, 22050)
    22051
    """
    return (2 * samples * target_rate + source_rate) // (2 * source_rate)


class StreamResampler:
    """Resample one mono stream.

    Parameters
    ----------
    source_rate, target_rate : int
        In Hz.
    """

    def __init__(self, source_rate: int, target_rate: int) -> None:
        self._rates = (source_rate, target_rate)
        self._taken = 0
        self._given = 0
        self._stream = None
        if source_rate != target_rate:
            import soxr

            self._stream = soxr.ResampleStream(
                source_rate, target_rate, 1, dtype="float32", quality=QUALITY
            )

    def push(self, samples: Float32Array) -> Float32Array:
        """Take the next samples, shape (n,); give what is ready, shape (m,), m from 0."""
        if self._stream is None:
            return samples
        out: Float32Array = self._stream.resample_chunk(samples)
        self._taken += len(samples)
        self._given += len(out)
        return out

    def finish(self) -> Float32Array:
        """Give the rest of the stream, shape (m,)."""
        if self._stream is None:
            return np.zeros(0, np.float32)
        rest: Float32Array = self._stream.resample_chunk(np.zeros(0, np.float32), last=True)
        missing = resampled_length(self._taken, *self._rates) - self._given
        # soxr's own count differs from the exact one by a sample now and then.
        if missing > len(rest):
            return np.pad(rest, (0, missing - len(rest)))
        return rest[: max(missing, 0)]
