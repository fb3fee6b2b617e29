"""Melody: vectors of windows of a pitch contour, whatever the key and nearly whatever the tempo.

A track is followed by its pitch (`earmark.melody.tracking`), a score is read as it stands; both
become a contour, 20 pitches a second.  Each half second of it gives a row: the vector of the four
seconds that begin there, by a network that learned which windows of tunes and of synthetic hums
belong together (`earmark.training.melody`, see ``docs/models/melody.md``), and as a second form the
half second of contour itself, so that a hum can be laid over a track without its file.

A query is cut into windows of several lengths: a hum at half the tempo matches with windows twice
as long.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np

from earmark.errors import EncoderError, UsageError
from earmark.framing import SessionDoor
from earmark.melody import pitch, windows
from earmark.melody.notes import HOP, contour_of_notes, shorten_rests
from earmark.melody.scores import read_score
from earmark.melody.tracking import Tracker, track_clip
from earmark.types import (
    JSON,
    AudioInfo,
    Clip,
    Encoded,
    EncodedScore,
    Encoder,
    EncoderSpec,
    EncodeSession,
    Float32Array,
    Float64Array,
    RowSpec,
    Scalar,
    State,
)

NAME = "melody"

NDIM = 64

PIECE = round(windows.STEP / HOP)
"""Frames of contour that a row keeps."""

RATIOS = (0.5, 0.63, 0.8, 1.0, 1.26, 1.6, 2.0)
"""Lengths of a query's windows, in lengths of a track's."""

QUERY_STEP = 0.4
"""Seconds between a query's windows, in lengths as above."""

_BATCH = 1024

_ALGORITHM = "1"
"""Raised whenever the same audio and weights would give other rows."""


class ContourNetwork:
    """The trained network, run by ONNX Runtime on one thread.

    Parameters
    ----------
    content : bytes
        An ONNX file written by `earmark.training.melody.export`.
    """

    def __init__(self, content: bytes) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            content, options, providers=["CPUExecutionProvider"]
        )
        facts = self._session.get_modelmeta().custom_metadata_map
        if "revision" not in facts:
            raise EncoderError("the file must be a melody network written by earmark")
        self.revision: str = facts["revision"]

    def embed(self, points: Float32Array) -> Float32Array:
        """Vectors of windows of a contour, shape (n, `windows.POINTS`): length 1."""
        vectors = [np.zeros((0, NDIM), np.float32)]
        for i in range(0, len(points), _BATCH):
            some = windows.features(points[i : i + _BATCH])
            vectors.append(self._session.run(None, {"windows": some})[0])
        return np.concatenate(vectors)


@lru_cache(maxsize=1)
def shipped_network() -> ContourNetwork:
    """Return the network that comes with the package, loaded once in a process."""
    path = resources.files("earmark.encoders") / "weights" / "melody.onnx"
    return ContourNetwork(path.read_bytes())


class Melody:
    """Implements `Encoder`, `StreamEncoder`, `QueryEncoder` and `ScoreEncoder`.

    Parameters
    ----------
    network : ContourNetwork, optional
        By default the one that comes with the package.
    """

    def __init__(self, network: ContourNetwork | None = None) -> None:
        self._network = network or shipped_network()

    def __reduce__(self) -> tuple[Any, ...]:
        return Melody, ()

    @property
    def spec(self) -> EncoderSpec:
        """What this encoder is."""
        return EncoderSpec(
            name=NAME,
            kind="hum",
            rows=RowSpec("float16", NDIM, "inner_product"),
            sample_rate=pitch.SAMPLE_RATE,
            window=windows.SECONDS,
            hop=windows.STEP,
            revision=f"{_ALGORITHM}-{self._network.revision}",
            refine=RowSpec("float16", PIECE, "l2"),
            matcher="align",
        )

    def encode(self, windows_: Float32Array) -> Float32Array:
        """Encode windows on their own, shape (n, samples); see `Encoder`."""
        size = round(windows.SECONDS * pitch.SAMPLE_RATE)
        if windows_.ndim != 2 or windows_.shape[1] != size:
            raise EncoderError(f"windows must have shape (n, {size}), got {windows_.shape}")
        clips = [Clip(np.array(window), pitch.SAMPLE_RATE) for window in windows_]
        lines = [track_clip(clip, mixtures=True).contour for clip in clips]
        points = [windows.sample(line, np.zeros(1), windows.SECONDS) for line in lines]
        return self.embed(np.concatenate([np.zeros((0, windows.POINTS), np.float32), *points]))

    def embed(self, points: Float32Array) -> Float32Array:
        """Vectors of windows of a contour, shape (n, `windows.POINTS`)."""
        return self._network.embed(points)

    def session(self) -> EncodeSession:
        """Begin a new track."""
        return _Session(self)

    def encode_score(self, data: bytes, name: str) -> EncodedScore:
        """Encode the notes of a file as a track; see `ScoreEncoder`."""
        score = read_score(data, name)
        line = contour_of_notes(shorten_rests(score.notes))
        facts: dict[str, Scalar] = {
            "melody_source": score.form,
            "melody_voice": score.voice,
            "melody_certainty": round(score.certainty, 2),
        }
        encoded = self.encode_contour(line, len(line) * HOP, facts)
        info = AudioInfo(len(line) * HOP, 0, 0, score.form, score.form)
        return EncodedScore(encoded, info, score.title, score.warnings)

    def encode_contour(
        self, line: Float32Array, duration: float, facts: Mapping[str, Scalar]
    ) -> Encoded:
        """Encode a contour, shape (frames,), of so many seconds as a track."""
        count = int(np.ceil(round(duration / windows.STEP, 6)))
        starts = np.arange(count, dtype=np.float64) * windows.STEP
        pieces = np.pad(line, (0, max(0, count * PIECE - len(line))))[: count * PIECE]
        pieces = pieces.reshape(count, PIECE)
        points = windows.sample(line, starts, windows.SECONDS)
        keep = (points > 0).mean(axis=1) >= windows.LEAST_VOICED
        keep |= (pieces > 0).any(axis=1)
        starts, points, pieces = starts[keep], points[keep], pieces[keep]
        ends = np.minimum(starts + windows.SECONDS, duration)
        return Encoded(
            rows=self.embed(points),
            segments=np.stack([starts, ends], axis=1),
            refine=pieces,
            skipped=int(count - keep.sum()),
            facts=facts if len(starts) else {},
        )

    def encode_query(self, clip: Clip) -> Encoded:
        """Encode a query: windows of several lengths."""
        line = track_clip(clip).contour
        found = self.query_windows(line, clip.duration)
        return Encoded(
            found.rows,
            np.minimum(found.segments, clip.duration) + clip.start,
            refine=found.refine,
        )

    def query_windows(self, line: Float32Array, duration: float) -> Encoded:
        """Encode the windows of a query's contour, shape (frames,).

        Returns
        -------
        Encoded
            Ordered by start; `refine` is the beginning of each window.
        """
        starts, points = [np.zeros((0, 2))], [np.zeros((0, windows.POINTS), np.float32)]
        for ratio in RATIOS:
            seconds = ratio * windows.SECONDS
            if seconds > duration + 0.25 * seconds and ratio != RATIOS[0]:
                break
            spare = max(0.0, duration - seconds)
            begin = _steps(spare, QUERY_STEP * max(1.0, ratio))
            starts.append(np.stack([begin, begin + seconds], axis=1))
            points.append(windows.sample(line, begin, seconds))
        segments, cut = np.concatenate(starts), np.concatenate(points)
        keep = windows.has_melody(cut) & (segments[:, 0] < duration)
        segments, cut = segments[keep], cut[keep]
        order = np.argsort(segments[:, 0], kind="stable")
        segments, cut = segments[order], cut[order]
        frames = np.round(segments[:, 0] / HOP).astype(np.int64)[:, None] + np.arange(PIECE)
        pieces = np.pad(line, (0, PIECE + 1))[np.minimum(frames, len(line) + PIECE)]
        return Encoded(self.embed(cut), segments, refine=pieces.astype(np.float32))


def _steps(spare: float, step: float) -> Float64Array:
    """Starts from 0 to `spare`, evenly spaced by about `step`."""
    count = 1 + int(np.ceil(round(spare / step, 6)))
    return np.linspace(0.0, spare, count)


class _Session:
    """Follows one track and encodes its contour at the end.  Implements `EncodeSession`."""

    def __init__(self, encoder: Melody) -> None:
        self._encoder = encoder
        self._tracker = Tracker(mixtures=True)
        self._door = SessionDoor()

    def push(self, samples: Float32Array) -> None:
        """Take the next samples, shape (n,), float32, any n.

        Raises
        ------
        ValueError
            If the samples are not one row of float32, or after `finish`.
        """
        self._door.check(samples)
        self._tracker.push(samples)

    def finish(self) -> Encoded:
        """Say that the audio has ended, and get all rows."""
        self._door.close()
        found = self._tracker.finish()
        facts: dict[str, Scalar] = {
            "melody_source": "mixture" if found.mixture else "sound",
            "melody_certainty": round(found.certainty, 2),
        }
        duration = self._tracker.length / pitch.SAMPLE_RATE
        return self._encoder.encode_contour(found.contour, duration, facts)


def create(options: Mapping[str, JSON], state: State | None) -> Encoder:
    """Make the encoder; see `earmark.encoders.create`.  It takes no options."""
    if options:
        raise UsageError(f"encoder {NAME!r} takes no options, got {', '.join(options)}")
    return Melody()
