"""The contract of an encoder, as a test that any plug-in can run on its own.

Each rule is a function of its own; a broken one raises AssertionError with the rule, then what
came.  The sounds are synthetic and made from a seed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np

from earmark import framing
from earmark.errors import NotFitted, SampleRateError
from earmark.types import (
    AnyArray,
    Clip,
    Encoded,
    Encoder,
    EncoderSpec,
    FittedEncoder,
    Float32Array,
    QueryEncoder,
    RowSpec,
    TextEncoder,
)

_WINDOWS = 7
_METRICS = {"bits": {"hamming"}}
_FLOAT_METRICS = {"cosine", "inner_product", "l2"}
_MATCHERS = {"best_segment", "sequence", "align"}


def check_encoder(encoder: Encoder, *, seed: int = 0, tolerance: float = 1e-4) -> None:
    """Check that an encoder keeps its contract (`earmark.types.Encoder` and capabilities).

    Parameters
    ----------
    encoder : Encoder
        One that must be fitted, and is not, is fitted on synthetic sound first.
    seed : int
        Of the synthetic sounds.
    tolerance : float
        How far rows of the same window may lie apart when it is encoded in other company: a part
        of the largest number of the rows, or of the bits.

    Raises
    ------
    AssertionError
        Naming the rule that was broken.
    """
    _require(isinstance(encoder, Encoder), "an encoder must have `spec` and `encode`", encoder)
    _check_spec(encoder.spec)
    windows = _windows(encoder.spec, seed)
    if isinstance(encoder, FittedEncoder):
        encoder = _check_fitting(encoder, encoder.spec, windows, seed)
    _check_rows(encoder, windows)
    _check_purity(encoder, windows, tolerance)
    _check_odd_sounds(encoder)
    _check_session(encoder, seed, tolerance)
    _check_short_clips(encoder, seed)
    _check_rate(encoder)
    if isinstance(encoder, QueryEncoder):
        clip = _clip(encoder.spec, seconds=2 * encoder.spec.window + 1, seed=seed)
        _check_encoded(encoder.spec, encoder.encode_query(clip), clip.duration)
    if isinstance(encoder, TextEncoder):
        _check_text(encoder, encoder.spec, tolerance)


def _require(holds: bool, rule: str, got: object = None) -> None:
    if not holds:
        raise AssertionError(f"{rule}; got {got!r}" if got is not None else rule)


# --- sounds ------------------------------------------------------------------------------------


def _noise(n: int, rng: np.random.Generator) -> Float32Array:
    return rng.uniform(-0.5, 0.5, n).astype(np.float32)


def _tone(n: int, sample_rate: int, hz: float) -> Float32Array:
    """A tone with four overtones."""
    phase = 2 * np.pi * hz * np.arange(n) / sample_rate
    partials = sum(np.sin(k * phase) / k for k in range(1, 6))
    return (0.3 * np.asarray(partials)).astype(np.float32)


def _windows(spec: EncoderSpec, seed: int) -> Float32Array:
    """Windows that differ: noises of several levels, tones of several pitches."""
    rng = np.random.default_rng(seed)
    n, _ = framing.window_samples(spec)
    noises = [_noise(n, rng) * np.float32(0.1 + 0.1 * i) for i in range(_WINDOWS // 2)]
    tones = [_tone(n, spec.sample_rate, 110 * 2**i) for i in range(_WINDOWS - len(noises))]
    return np.stack([*noises, *tones])


def _clip(spec: EncoderSpec, *, seconds: float, seed: int) -> Clip:
    """Noise, then a tone."""
    n = max(1, round(seconds * spec.sample_rate))
    samples = _tone(n, spec.sample_rate, 220)
    samples[: n // 2] = _noise(n // 2, np.random.default_rng(seed))
    return Clip(samples, spec.sample_rate)


# --- rules -------------------------------------------------------------------------------------


def _check_spec(spec: EncoderSpec) -> None:
    _require(bool(spec.name) and bool(spec.revision), "a spec must have name and revision", spec)
    _require(
        spec.name.replace("-", "").replace("_", "").isalnum(),
        "a name must be letters, digits, '-' and '_': folders are called by it",
        spec.name,
    )
    _require(spec.sample_rate > 0, "sample_rate must be more than 0 Hz", spec.sample_rate)
    _require(spec.window > 0 and spec.hop > 0, "window and hop must be more than 0 s", spec)
    _require(spec.matcher in _MATCHERS, f"matcher must be one of {_MATCHERS}", spec.matcher)
    for form in (spec.rows, *([spec.refine] if spec.refine else [])):
        _check_form(form)
    data = json.loads(json.dumps(spec.to_json()))
    _require(EncoderSpec.from_json(data) == spec, "a spec must survive JSON", data)


def _check_form(form: RowSpec) -> None:
    _require(form.ndim > 0, "rows must have at least one dimension", form)
    allowed = _METRICS.get(form.dtype, _FLOAT_METRICS)
    _require(form.metric in allowed, f"rows of {form.dtype} must have one of {allowed}", form)
    _require(form.dtype != "bits" or form.ndim % 8 == 0, "bits must come in whole bytes", form)


def _check_fitting(
    encoder: FittedEncoder, spec: EncoderSpec, windows: Float32Array, seed: int
) -> Encoder:
    """Check all of `FittedEncoder`; return the encoder with state."""
    rows = encoder.training_rows(windows)
    _require(
        rows.ndim == 2 and rows.dtype == np.float32 and len(rows) > 0,
        "training rows of sound must be float32 of shape (m, d), m > 0",
        (rows.dtype, rows.shape),
    )
    _require(bool(np.isfinite(rows).all()), "training rows must be finite")
    states = [encoder.fit(rows, seed=seed) for _ in range(2)]
    for name, array in states[0].items():
        _require(array.dtype != np.dtype(object), "state must be arrays of numbers", name)
        same = np.array_equal(array, states[1][name])
        _require(same, "the same rows and seed must give the same state", name)
    fitted = encoder.with_state(states[0])
    _require(
        isinstance(fitted, FittedEncoder) and fitted.fitted,
        "with_state must give an encoder that is fitted",
        fitted,
    )
    _check_spec(fitted.spec)
    again = encoder.with_state(states[1]).spec
    _require(again == fitted.spec, "the same state must give the same spec", again)
    other = encoder.with_state(encoder.fit(rows[: max(1, len(rows) // 2)], seed=seed)).spec
    _require(other.revision != fitted.spec.revision, "another state must give another revision")
    if not encoder.fitted:
        _check_refuses(encoder, windows)
        _require(spec.revision != fitted.spec.revision, "a state must change the revision")
    return fitted


def _check_refuses(encoder: FittedEncoder, windows: Float32Array) -> None:
    if not isinstance(encoder, Encoder):
        raise AssertionError("an encoder must have `spec` and `encode`")
    try:
        encoder.encode(windows)
    except NotFitted:
        return
    raise AssertionError("encode without state must raise NotFitted")


def _check_form_of(form: RowSpec, rows: AnyArray, n: int) -> None:
    dtype = np.dtype(np.uint8 if form.dtype == "bits" else np.float32)
    _require(
        rows.shape == (n, form.width) and rows.dtype == dtype,
        f"rows must be {dtype} of shape ({n}, {form.width})",
        (rows.dtype, rows.shape),
    )
    if form.dtype != "bits":
        _require(bool(np.isfinite(rows).all()), "rows must be finite")
    if form.metric == "cosine":
        _require(bool((rows != 0).any(axis=1).all()), "rows under cosine must not be zero")


def _check_rows(encoder: Encoder, windows: Float32Array) -> None:
    rows = encoder.encode(windows.copy())
    _check_form_of(encoder.spec.rows, rows, len(windows))
    _require(len(np.unique(rows, axis=0)) > 1, "noises and tones must not all give the same row")
    _check_form_of(encoder.spec.rows, encoder.encode(windows[:0]), 0)


def _near(form: RowSpec, a: AnyArray, b: AnyArray, tolerance: float) -> bool:
    if a.shape != b.shape:
        return False
    if form.dtype == "bits":
        return int(np.bitwise_count(a ^ b).sum()) <= tolerance * 8 * max(1, a.size)
    scale = float(np.abs(a).max(initial=1e-12))
    return bool(np.abs(a - b).max(initial=0) <= tolerance * scale)


def _check_purity(encoder: Encoder, windows: Float32Array, tolerance: float) -> None:
    form, given = encoder.spec.rows, windows.copy()
    rows = encoder.encode(given)
    _require(np.array_equal(given, windows), "windows must not be written to")
    # Sessions pass views of their buffer, which are read-only.
    given.flags.writeable = False
    again = encoder.encode(given)
    _require(_near(form, again, rows, tolerance), "the same windows must give the same rows twice")
    alone = np.concatenate([encoder.encode(windows[i : i + 1]) for i in range(len(windows))])
    _require(_near(form, alone, rows, tolerance), "a row must not depend on its batch-mates")
    turned = encoder.encode(windows[::-1])
    _require(_near(form, turned[::-1], rows, tolerance), "a row must not depend on its place")


def _check_odd_sounds(encoder: Encoder) -> None:
    spec = encoder.spec
    n, _ = framing.window_samples(spec)
    click = np.zeros(n, np.float32)
    click[n // 2 : n // 2 + 3] = 1
    odd: Mapping[str, Float32Array] = {
        "a constant": np.full(n, 0.25, np.float32),
        "a click": click,
        "a click at the edge": np.eye(1, n, dtype=np.float32)[0],
        "a faint tone": _tone(n, spec.sample_rate, 440) * np.float32(1e-3),
        "a clipped tone": np.sign(_tone(n, spec.sample_rate, 440)),
        "full-scale noise": 2 * _noise(n, np.random.default_rng(0)),
        **({} if spec.silence_peak > 0 else {"silence": np.zeros(n, np.float32)}),
    }
    for name, window in odd.items():
        try:
            _check_form_of(spec.rows, encoder.encode(window[None]), 1)
        except AssertionError as error:
            raise AssertionError(f"{error} (for {name})") from None


def _check_encoded(spec: EncoderSpec, encoded: Encoded, duration: float) -> None:
    n = len(encoded.rows)
    _check_form_of(spec.rows, encoded.rows, n)
    if spec.refine:
        _require(encoded.refine is not None, "a spec with `refine` must come with refine rows")
        if encoded.refine is not None:
            _check_form_of(spec.refine, encoded.refine, n)
    segments = encoded.segments
    _require(
        segments.shape == (n, 2) and segments.dtype == np.float64,
        f"segments must be float64 of shape ({n}, 2)",
        (segments.dtype, segments.shape),
    )
    inside = (segments >= 0).all() and (segments <= duration + 1e-6).all()
    _require(bool(inside), f"segments must lie in 0 ... {duration} s", segments)
    _require(bool((segments[:, 1] > segments[:, 0]).all()), "segments must end after they start")
    _require(bool((np.diff(segments[:, 0]) >= 0).all()), "segments must come in order of time")


def _check_session(encoder: Encoder, seed: int, tolerance: float) -> None:
    spec = encoder.spec
    clip = _clip(spec, seconds=3.3 * spec.window + 2.2 * spec.hop, seed=seed)
    whole = framing.encode_clip(encoder, clip)
    _check_encoded(spec, whole, clip.duration)
    _require(len(whole.rows) > 0, "a clip of sound must give rows")
    end = float(whole.segments[:, 1].max())
    _require(end >= clip.duration - spec.hop, "segments must reach the end of the clip", end)
    session = framing.open_session(encoder)
    rng, at = np.random.default_rng(seed), 0
    while at < len(clip.samples):
        step = int(rng.integers(1, 2 * framing.window_samples(spec)[0]))
        session.push(clip.samples[at : at + step])
        at += step
    pieces = session.finish()
    same = pieces.segments.shape == whole.segments.shape and np.allclose(
        pieces.segments, whole.segments
    )
    _require(bool(same), "segments must not depend on how the audio came in pieces")
    _require(
        _near(spec.rows, pieces.rows, whole.rows, tolerance),
        "rows must not depend on how the audio came in pieces",
    )


def _check_short_clips(encoder: Encoder, seed: int) -> None:
    spec = encoder.spec
    empty = framing.encode_clip(encoder, Clip(np.empty(0, np.float32), spec.sample_rate))
    _check_encoded(spec, empty, 0.0)
    _require(len(empty.rows) == 0, "no audio must give no rows", len(empty.rows))
    for seconds in (10 / spec.sample_rate, spec.window / 3):
        clip = _clip(spec, seconds=seconds, seed=seed)
        _check_encoded(spec, framing.encode_clip(encoder, clip), clip.duration)


def _check_rate(encoder: Encoder) -> None:
    clip = Clip(np.ones(100, np.float32), encoder.spec.sample_rate + 1)
    try:
        framing.encode_query(encoder, clip)
    except SampleRateError:
        return
    raise AssertionError("audio at another rate must raise SampleRateError")


def _check_text(encoder: TextEncoder, spec: EncoderSpec, tolerance: float) -> None:
    texts = ["a dog barks", "rain on a tin roof", "piano"]
    rows = encoder.encode_text(texts)
    _require(
        rows.shape == (len(texts), spec.rows.ndim) and rows.dtype == np.float32,
        f"rows of text must be float32 of shape ({len(texts)}, {spec.rows.ndim})",
        (rows.dtype, rows.shape),
    )
    _require(bool(np.isfinite(rows).all()), "rows of text must be finite")
    alone = np.concatenate([encoder.encode_text([text]) for text in texts])
    _require(
        bool(np.abs(alone - rows).max() <= tolerance * np.abs(rows).max()),
        "a row of text must not depend on its batch-mates",
    )
