"""From sound to a contour, block by block.

A `Tracker` takes audio as it comes and keeps only what each frame may be; at the end one path is
laid through all of it, and a contour frame takes the middle of the voiced pitches in it.  Blocks
that are no single voice may be followed by what leads in them (`earmark.melody.predominant`).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from earmark.melody import pitch, predominant
from earmark.melody.notes import HOP
from earmark.melody.pitch import Candidates, PitchTrack
from earmark.types import Clip, Float32Array

_BLOCK = 512
"""Frames computed at once."""

_ISLAND = 0.06
"""Seconds below which a voiced stretch between silences is no note."""


_PERIODIC = 0.91
"""Mean strength of the best lag in loud frames, below which a block is taken for a mixture."""

_LOUD = 0.1
"""Part of a block's loudest level above which a frame is loud."""


@dataclass(frozen=True)
class Followed:
    """What was followed in a recording.

    Parameters
    ----------
    contour : float32 array, shape (frames,)
    certainty : float
        How sure it is that this is the melody, 0 to 1.
    mixture : bool
        Whether several things sounded at once, and the leading one was followed.
    """

    contour: Float32Array
    certainty: float
    mixture: bool


class Tracker:
    """Follows the pitch of one recording.

    Times: frame i lies around sample ``i * STEP``; the audio is taken to begin with silence.

    Parameters
    ----------
    mixtures : bool
        Look for the leading pitch where several things sound at once.  Without, such a recording
        is taken for one voice in noise, as a hum is.
    """

    def __init__(self, *, mixtures: bool = False) -> None:
        self._mixtures = mixtures
        self._samples = np.zeros(pitch.FRAME // 2, np.float32)
        self._found: list[Candidates] = []
        self._leading: list[Candidates | None] = []
        """Candidates of a mixture for each block that looks like one."""
        self.length = 0

    def push(self, samples: Float32Array) -> None:
        """Take the next samples, shape (n,), at `pitch.SAMPLE_RATE`."""
        self.length += len(samples)
        self._samples = np.concatenate([self._samples, samples])
        block = _BLOCK * pitch.STEP
        while len(self._samples) >= block + pitch.FRAME:
            self._take(self._samples[: block - pitch.STEP + pitch.FRAME])
            self._samples = self._samples[block:]

    def finish(self) -> Followed:
        """Say that the audio has ended, and get what was followed."""
        done = sum(len(part) for part in self._found)
        missing = -(-self.length // pitch.STEP) - done
        if missing > 0:
            needed = (missing - 1) * pitch.STEP + pitch.FRAME
            self._take(np.pad(self._samples, (0, max(0, needed - len(self._samples))))[:needed])
        mixed = sum(len(part) for part in self._leading if part is not None)
        mixture = 2 * mixed > sum(len(part) for part in self._found)
        if mixture:
            pairs = zip(self._leading, self._found, strict=True)
            chosen = [leading or found for leading, found in pairs]
            track = pitch.best_path(_joined(chosen), predominant.COSTS)
        else:
            track = pitch.best_path(_joined(self._found))
        sure = certainty(track) * (_MIXTURE_CERTAINTY if mixture else 1.0)
        return Followed(contour(without_strays(without_islands(track))), sure, mixture)

    def _take(self, samples: Float32Array) -> None:
        frames = np.lib.stride_tricks.sliding_window_view(samples, pitch.FRAME)[:: pitch.STEP]
        found = pitch.frame_candidates(frames)
        self._found.append(found)
        leading = None
        if self._mixtures and _looks_mixed(found):
            leading = predominant.mixture_candidates(samples, len(found))
        self._leading.append(leading)


def _looks_mixed(found: Candidates) -> bool:
    """Whether the loud frames of a block hardly resemble themselves at any lag."""
    loud = found.levels > _LOUD * max(float(found.levels.max(initial=0.0)), 1e-4)
    if not loud.any():
        return False
    return float(found.strengths.max(axis=1)[loud].mean()) < _PERIODIC


_LEAP = 3.0
_STRAYS = ((0.2, 11.0), (0.5, 17.0))

_MIXTURE_CERTAINTY = 0.6
"""How sure the leading pitch of a mixture is, against that of one voice."""


def track_clip(clip: Clip, *, mixtures: bool = False) -> Followed:
    """Follow the pitch of a whole clip; see `Tracker`."""
    clip.check_rate(pitch.SAMPLE_RATE)
    tracker = Tracker(mixtures=mixtures)
    tracker.push(clip.samples)
    return tracker.finish()


def _joined(parts: list[Candidates]) -> Candidates:
    none = np.zeros((0, pitch.CANDIDATES), np.float32)
    return Candidates(
        np.concatenate([none, *(p.pitches for p in parts)]),
        np.concatenate([none, *(p.strengths for p in parts)]),
        np.concatenate([none[:, 0], *(p.levels for p in parts)]),
    )


def without_islands(track: PitchTrack, *, seconds: float = _ISLAND) -> PitchTrack:
    """Return the track without voiced stretches that are too short to be notes."""
    voiced = np.concatenate([[False], track.pitches > 0, [False]])
    edges = np.flatnonzero(voiced[1:] != voiced[:-1]).reshape(-1, 2)
    shortest = seconds * pitch.SAMPLE_RATE / pitch.STEP
    pitches = track.pitches.copy()
    for begin, end in edges[(edges[:, 1] - edges[:, 0]) < shortest]:
        pitches[begin:end] = 0
    return PitchTrack(pitches, np.where(pitches > 0, track.confidence, 0).astype(np.float32))


def without_strays(track: PitchTrack) -> PitchTrack:
    """Return the track without short stretches far from all the rest: breath, clicks, consonants.

    A stretch is voiced frames without a leap; those of `_STRAYS` (seconds, semitones) that are
    shorter and farther from the median pitch than that are dropped.
    """
    pitches = track.pitches.copy()
    if not pitches.any():
        return track
    edges = np.flatnonzero(np.abs(np.diff(pitches, prepend=0, append=0)) > _LEAP)
    middle = float(np.median(pitches[pitches > 0]))
    rate = pitch.SAMPLE_RATE / pitch.STEP
    for begin, end in pairwise(edges.tolist()):
        if pitches[begin] > 0:
            away = abs(float(np.median(pitches[begin:end])) - middle)
            if any(end - begin < s * rate and away > far for s, far in _STRAYS):
                pitches[begin:end] = 0
    return PitchTrack(pitches, np.where(pitches > 0, track.confidence, 0).astype(np.float32))


def contour(track: PitchTrack) -> Float32Array:
    """Return a pitch track as a contour: the median of the voiced pitches of each frame of `HOP`.

    A frame of which less than half is voiced is a rest.
    """
    per = HOP * pitch.SAMPLE_RATE / pitch.STEP
    frames = int(np.ceil(len(track.pitches) / per))
    width = int(np.ceil(per))
    first = np.floor(np.arange(frames) * per + 0.5).astype(np.int64)
    index = first[:, None] + np.arange(width)
    values = np.pad(track.pitches, (0, width + 1))[np.minimum(index, len(track.pitches))]
    voiced = values > 0
    count = voiced.sum(axis=1)
    ordered = np.sort(np.where(voiced, values, np.inf), axis=1)
    middle = np.take_along_axis(ordered, np.maximum(0, (count - 1) // 2)[:, None], axis=1)[:, 0]
    return np.where(2 * count >= width, middle, 0).astype(np.float32)


def certainty(track: PitchTrack) -> float:
    """How sure it is that a track is one melody: the mean strength of what is voiced."""
    voiced = track.pitches > 0
    return float(np.clip(track.confidence[voiced].mean(), 0, 1)) if voiced.any() else 0.0
