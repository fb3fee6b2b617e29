"""Fingerprints by a network of the user's own, as ``earmark fingerprint export`` writes it.

The file says what its features are; segments are looked at one by one, since those of the
published system (zeros around each) cannot share frames.  Rows carry the file's name and the
digest of its weights: a library of another network, or of the same name trained further, is
refused with the difference.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from earmark.config import Settings
from earmark.encoders.fingerprint import NAME, Network
from earmark.errors import EncoderError, NotAvailable
from earmark.framing import SessionDoor, WindowBuffer, peaks
from earmark.types import (
    JSON,
    Clip,
    Encoded,
    EncoderSpec,
    EncodeSession,
    Float32Array,
    Int64Array,
    RowSpec,
)
from earmark.weights import Places

SUFFIX = ".onnx"
SHIPPED = "shipped"

DENSER = 4
"""A query has so many times the rows of a track, so that some fall in step with the track's."""

SAMPLE_RATE = 8000
"""The rate of the spectral code, which is searched together with the rows."""

_ALGORITHM = "1"
"""Raised whenever the same audio and weights would give other rows."""

_BATCH = 32


def options(wanted: str) -> Mapping[str, JSON]:
    """Options of the encoder for the setting `fingerprint_model`; none for the package's network.

    Examples
    --------
    >>> options("runs/mine.onnx"), options("mine"), options("")
    ({'model': 'mine.onnx'}, {'model': 'mine.onnx'}, {})
    """
    return {} if wanted in ("", SHIPPED) else {"model": _file_name(wanted)}


def find(model: str, settings: Settings) -> TrainedFingerprint:
    """Open a network by the name of its file.

    Parameters
    ----------
    model : str
    settings : Settings
        Its `fingerprint_model` is taken if it is a path to a file of this name; else the file is
        looked for in the folder `models`, then among fetched models.

    Raises
    ------
    NotAvailable
        If there is no such file.
    EncoderError
        If it is no network of this kind.
    """
    name = _file_name(model)
    places = Places.of(settings)
    named = Path(settings.fingerprint_model).expanduser()
    folders = [f for f in (places.models, places.fetched) if f is not None]
    candidates = [named.with_name(name)] if _file_name(named.name) == name else []
    candidates += [folder / name for folder in folders]
    for path in candidates:
        if path.is_file():
            return _open(str(path))
    raise NotAvailable(
        f"the fingerprint network {name!r} must be among the model files, and is not in "
        f"{' or '.join(str(path.parent) for path in candidates)}",
        hint="set EARMARK_MODELS to the folder that has it, or EARMARK_FINGERPRINT_MODEL to its "
        "path",
    )


def _file_name(wanted: str) -> str:
    name = Path(wanted).name
    return name if name.endswith(SUFFIX) else name + SUFFIX


def _open(path: str) -> TrainedFingerprint:
    try:
        network = Network(Path(path).read_bytes())
    except EncoderError as error:
        raise EncoderError(f"{path}: {error}", hint=error.hint) from error
    if network.front.sample_rate != SAMPLE_RATE:
        raise EncoderError(
            f"{path}: a network that identifies must take sound at {SAMPLE_RATE} Hz, "
            f"this one takes {network.front.sample_rate} Hz"
        )
    return TrainedFingerprint(network, Path(path))


class TrainedFingerprint:
    """Implements `Encoder`, `StreamEncoder` and `QueryEncoder`.

    Parameters
    ----------
    network : Network
    path : Path
        Of its file.
    """

    def __init__(self, network: Network, path: Path) -> None:
        self._network, self._path = network, path

    def __reduce__(self) -> tuple[Any, ...]:
        return _open, (str(self._path),)

    @property
    def spec(self) -> EncoderSpec:
        """What this encoder is."""
        segment = self._network.segment
        rate = segment.front.sample_rate
        return EncoderSpec(
            name=NAME,
            kind="identify",
            rows=RowSpec("int8", self._network.ndim, "inner_product"),
            sample_rate=rate,
            window=segment.samples / rate,
            hop=segment.step / rate,
            revision=f"{_ALGORITHM}-{self._network.revision}",
            options={"model": self._path.name},
            matcher="sequence",
        )

    def encode(self, windows: Float32Array) -> Float32Array:
        """Encode windows, shape (n, samples), with silence around them; see `Encoder`."""
        segment = self._network.segment
        if windows.ndim != 2 or windows.shape[1] != segment.samples:
            raise EncoderError(
                f"windows must have shape (n, {segment.samples}), got {windows.shape}"
            )
        half = segment.front.n_fft // 2
        return self.encode_segments(np.pad(windows, ((0, 0), (half, half))))

    def encode_segments(self, samples: Float32Array) -> Float32Array:
        """Encode segments, shape (n, samples + n_fft), with what lies around them."""
        features = self._network.segment.features(samples.astype(np.float32, copy=False))
        return self._network.embed(features, self._network.ndim)

    def session(self) -> EncodeSession:
        """Begin a new track."""
        return _SegmentSession(self, self._network, self._network.segment.step)

    def encode_query(self, clip: Clip) -> Encoded:
        """Encode a query: rows four times as dense as a track's."""
        clip.check_rate(self.spec.sample_rate)
        step = max(1, self._network.segment.step // DENSER)
        session = _SegmentSession(self, self._network, step)
        session.push(clip.samples)
        encoded = session.finish()
        return Encoded(encoded.rows, encoded.segments + clip.start, skipped=encoded.skipped)


class _SegmentSession:
    """Segments of contiguous audio, each with the sound around it.  Implements `EncodeSession`."""

    def __init__(self, encoder: TrainedFingerprint, network: Network, step: int) -> None:
        self._encoder, self._segment = encoder, network.segment
        self._silence_peak = encoder.spec.silence_peak
        self._half = network.front.n_fft // 2
        self._buffer = WindowBuffer(self._segment.samples + 2 * self._half, step, batch=_BATCH)
        self._length, self._skipped = 0, 0
        self._rows: list[Float32Array] = [np.zeros((0, network.ndim), np.float32)]
        self._starts: list[Int64Array] = [np.zeros(0, np.int64)]
        self._door = SessionDoor()

    def push(self, samples: Float32Array) -> None:
        """Take the next samples, shape (n,), float32, any n."""
        self._door.check(samples)
        if len(samples) and not self._length:
            self._take(np.zeros(self._half, np.float32))
        self._length += len(samples)
        self._take(samples)

    def finish(self) -> Encoded:
        """Say that the audio has ended, and get all rows."""
        self._door.close()
        if self._length:
            self._take(np.zeros(self._half, np.float32))
            for starts, windows in self._buffer.finish():
                self._encode(starts, windows)
        starts = np.concatenate(self._starts)
        ends = np.minimum(starts + self._segment.samples, self._length)
        segments = np.stack([starts, ends], axis=1) / float(self._segment.front.sample_rate)
        return Encoded(np.concatenate(self._rows), segments, skipped=self._skipped)

    def _take(self, samples: Float32Array) -> None:
        for starts, windows in self._buffer.push(samples):
            self._encode(starts, windows)

    def _encode(self, starts: Int64Array, windows: Float32Array) -> None:
        inside = windows[:, self._half : self._half + self._segment.samples]
        loud = ~(peaks(inside) < self._silence_peak)
        self._skipped += int(np.count_nonzero(~loud))
        at = np.flatnonzero(loud)
        for i in range(0, len(at), _BATCH):
            chosen = at[i : i + _BATCH]
            self._rows.append(self._encoder.encode_segments(windows[chosen]))
            self._starts.append(starts[chosen])
