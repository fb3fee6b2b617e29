"""Fingerprint: vectors that tell one recording's moment from all others, however it was recorded.

A segment of one second, every half second, becomes a unit vector whose inner product with the
vector of the same moment is near 1 through noise, rooms, codecs and small changes of speed and
pitch.  A query is encoded more densely than a track, so that some of its segments fall in step
with the track's.  The network was trained by `earmark.training.fingerprint` and comes with the
package as an ONNX graph; see ``docs/models/fingerprint.md``.

Source: Chang et al., "Neural Audio Fingerprint for High-specific Audio Retrieval based on
Contrastive Learning" (2021).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np

from earmark.config import Settings
from earmark.errors import EncoderError, UsageError
from earmark.fingerprinting import FrontEnd, SegmentFront, mel_magnitudes, scale_segments
from earmark.frame_session import FrameGrid, FrameSession
from earmark.types import (
    JSON,
    Clip,
    Encoded,
    Encoder,
    EncoderSpec,
    EncodeSession,
    Float32Array,
    Float64Array,
    GradualQuery,
    RowSpec,
    State,
)

NAME = "fingerprint"

STEP = 16
"""Frames between the segments of a track: half a second."""

QUERY_STEP = 4
"""Frames between the segments of a query: an eighth of a second."""

NDIM = 64
"""Numbers kept of a vector; the network was trained so that its first 64 do the work of all."""

_ALGORITHM = "1"
"""Raised whenever the same audio and weights would give other rows."""


class Network:
    """The trained network, run by ONNX Runtime on one thread.

    Parameters
    ----------
    content : bytes
        An ONNX file written by `earmark.training.fingerprint.export` or `.nafp.export`.

    Raises
    ------
    EncoderError
        If it is none.
    """

    def __init__(self, content: bytes) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"]
            )
            facts = self._session.get_modelmeta().custom_metadata_map
            self.front = FrontEnd(**json.loads(facts["front"]))
            self.revision: str = facts["revision"]
            self.segment = _segment(self.front, json.loads(facts.get("segment", "{}")))
            prefixes = json.loads(facts.get("prefixes", "[]"))
        except Exception as error:  # ONNX Runtime has a dozen kinds
            raise EncoderError(
                "the file must be a fingerprint network written by earmark, and is none or damaged",
                hint="earmark fingerprint export NAME writes one",
            ) from error
        self.ndim: int = min([*prefixes, int(self._session.get_outputs()[0].shape[1])])
        """Numbers of a vector that do the work of all."""

    def embed(self, features: Float32Array, ndim: int) -> Float32Array:
        """Vectors of features, shape (n, bands, frames): the first `ndim` numbers, length 1."""
        if not len(features):
            return np.zeros((0, ndim), np.float32)
        vectors: Float32Array = self._session.run(None, {"features": features})[0][:, :ndim]
        length = np.linalg.norm(vectors, axis=1, keepdims=True).astype(np.float32)
        scaled: Float32Array = vectors / np.maximum(length, np.float32(1e-9))
        return scaled


def _segment(front: FrontEnd, facts: Mapping[str, Any]) -> SegmentFront:
    """How segments are cut: as the file says, else on the grid of frames."""
    shared = {"samples": front.frames * front.hop, "step": STEP * front.hop}
    return SegmentFront(front, **{**shared, **facts})


@lru_cache(maxsize=1)
def shipped_network() -> Network:
    """Return the network that comes with the package, loaded once in a process."""
    path = resources.files("earmark.encoders") / "weights" / "fingerprint.onnx"
    return Network(path.read_bytes())


class Fingerprint:
    """Implements `Encoder`, `StreamEncoder`, `QueryEncoder` and `GradualEncoder`.

    Parameters
    ----------
    network : Network, optional
        By default the one that comes with the package.
    """

    def __init__(self, network: Network | None = None) -> None:
        self._network = network or shipped_network()

    def __reduce__(self) -> tuple[Any, ...]:
        return Fingerprint, ()

    @property
    def spec(self) -> EncoderSpec:
        """What this encoder is."""
        front = self._network.front
        return EncoderSpec(
            name=NAME,
            kind="identify",
            rows=RowSpec("int8", NDIM, "inner_product"),
            sample_rate=front.sample_rate,
            window=front.window,
            hop=STEP * front.hop / front.sample_rate,
            revision=f"{_ALGORITHM}-{self._network.revision}",
            matcher="sequence",
        )

    def encode(self, windows: Float32Array) -> Float32Array:
        """Encode windows on their own, shape (n, samples); see `Encoder`.

        What lies beside a window is taken for silence, so that rows differ a little from those
        of a session.
        """
        front = self._network.front
        size = front.frames * front.hop
        if windows.ndim != 2 or windows.shape[1] != size:
            raise EncoderError(f"windows must have shape (n, {size}), got {windows.shape}")
        half = front.n_fft // 2
        padded = np.pad(windows, ((0, 0), (half, half))).astype(np.float32, copy=False)
        framed = np.lib.stride_tricks.sliding_window_view(padded, front.n_fft, axis=1)
        framed = framed[:, :: front.hop][:, : front.frames]
        mel = mel_magnitudes(framed.reshape(-1, front.n_fft), front)
        return self._vectors(mel.reshape(len(windows), front.frames, front.bands))

    def session(self) -> EncodeSession:
        """Begin a new track."""
        return self._session(STEP, self.spec.silence_peak)

    def encode_query(self, clip: Clip) -> Encoded:
        """Encode a query: a row every eighth of a second."""
        clip.check_rate(self._network.front.sample_rate)
        session = self._session(QUERY_STEP, self.spec.silence_peak)
        session.push(clip.samples)
        encoded = session.finish()
        return Encoded(encoded.rows, encoded.segments + clip.start, skipped=encoded.skipped)

    def prepare_query(self, clip: Clip) -> GradualQuery:
        """Take a query whose rows, those of `encode_query`, are made as they are asked for."""
        front = self._network.front
        clip.check_rate(front.sample_rate)
        session = self._session(QUERY_STEP, self.spec.silence_peak, keep=True)
        session.push(clip.samples)
        kept = session.finish()
        features = kept.rows.reshape(len(kept.rows), front.bands, front.frames)
        segments = kept.segments + clip.start
        return _Prepared(self._network, features, segments, kept.skipped)

    def _session(self, step: int, silence_peak: float, *, keep: bool = False) -> FrameSession:
        """A session that gives vectors, or, to keep, what the network makes them of."""
        front = self._network.front
        size = front.bands * front.frames
        grid = FrameGrid(
            front.sample_rate, front.n_fft, front.hop, front.n_fft // 2, front.frames, step
        )
        return FrameSession(
            grid,
            lambda frames: mel_magnitudes(frames, front),
            self._features if keep else self._vectors,
            empty=np.zeros((0, size if keep else NDIM), np.float32),
            silence_peak=silence_peak,
        )

    def _features(self, mel: Float32Array) -> Float32Array:
        features = scale_segments(np.ascontiguousarray(mel), self._network.front)
        return features.reshape(len(features), -1)

    def _vectors(self, mel: Float32Array) -> Float32Array:
        features = scale_segments(np.ascontiguousarray(mel), self._network.front)
        return self._network.embed(features, NDIM)


class _Prepared:
    """Implements `GradualQuery`: features of all segments, and vectors of those asked for."""

    def __init__(
        self, network: Network, features: Float32Array, segments: Float64Array, skipped: int
    ) -> None:
        self._network, self._features = network, features
        self._segments, self._skipped = segments, skipped
        self._rows = np.zeros((len(features), NDIM), np.float32)
        self._known = np.zeros(len(features), np.bool_)

    def encode(self, *, every: int = 1) -> Encoded:
        """See `GradualQuery.encode`."""
        at = np.arange(0, len(self._features), every)
        new = at[~self._known[at]]
        self._rows[new] = self._network.embed(self._features[new], NDIM)
        self._known[new] = True
        return Encoded(self._rows[at], self._segments[at], skipped=self._skipped)


def create(
    options: Mapping[str, JSON], state: State | None, *, settings: Settings | None = None
) -> Encoder:
    """Make the encoder; see `earmark.encoders.create`.

    Option: ``model``, the name of a file that ``earmark fingerprint export`` has written; without
    it, the network that comes with the package.
    """
    if unknown := set(options) - {"model"}:
        raise UsageError(
            f"encoder {NAME!r} has the option 'model' alone, got {', '.join(sorted(unknown))}"
        )
    if not options.get("model"):
        return Fingerprint()
    from earmark.encoders import fingerprint_trained

    given = settings or Settings.from_env(os.environ)
    return fingerprint_trained.find(str(options["model"]), given)
