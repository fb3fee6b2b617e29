"""The registry finds encoders by name, and the contract test finds each broken rule."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import EntryPoint
from typing import Any

import numpy as np
import pytest

from earmark import encoders, framing
from earmark.errors import NotAvailable, UnknownEncoder
from earmark.testing import check_encoder
from earmark.types import AnyArray, Clip, Encoded, EncoderSpec, EncodeSession, Float32Array, RowSpec

SPEC = EncoderSpec(
    name="plain",
    kind="similar",
    rows=RowSpec("float16", 4, "l2"),
    sample_rate=8000,
    window=0.1,
    hop=0.05,
    revision="1",
)


class Plain:
    """A correct encoder: levels of four quarters."""

    spec = SPEC

    def encode(self, windows: Float32Array) -> AnyArray:
        return np.abs(windows.reshape(-1, 4, windows.shape[1] // 4)).mean(axis=2)

    def encode_query(self, clip: Clip) -> Encoded:
        clip.check_rate(self.spec.sample_rate)
        return framing.encode_clip(self, clip)

    def encode_text(self, texts: Sequence[str]) -> Float32Array:
        return np.array([[len(text)] * 4 for text in texts], np.float32)

    def session(self) -> EncodeSession:
        return framing.WindowSession(self, batch=3)


# --- registry ----------------------------------------------------------------------------------


def make_plain(options: dict[str, Any], state: object) -> Plain:
    encoder = Plain()
    encoder.spec = replace(SPEC, options=options)
    return encoder


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    here = [
        EntryPoint("plain", f"{__name__}:make_plain", encoders.GROUP),
        EntryPoint("broken", "earmark_no_such_package:create", encoders.GROUP),
        EntryPoint("hollow", f"{__name__}:no_such_function", encoders.GROUP),
        EntryPoint("timbre", f"{__name__}:make_plain", encoders.GROUP),
    ]

    def entry_points(*, group: str, name: str | None = None) -> list[EntryPoint]:
        assert group == "earmark.encoders"
        return [point for point in here if name in (None, point.name)]

    monkeypatch.setattr(encoders, "entry_points", entry_points)


@pytest.mark.usefixtures("plugins")
def test_plugins_are_found() -> None:
    found = encoders.names()
    assert found == sorted(set(found))
    assert {"broken", "fingerprint", "hollow", "plain", "spectral", "timbre"} <= set(found)
    assert encoders.create("plain", options={"a": 1}).spec.options == {"a": 1}


@pytest.mark.usefixtures("plugins")
def test_builtin_encoders_cannot_be_replaced() -> None:
    assert encoders.create("timbre").spec.sample_rate == 22_050


@pytest.mark.usefixtures("plugins")
@pytest.mark.parametrize("name", ["broken", "hollow"])
def test_plugins_that_do_not_load_are_named(name: str) -> None:
    with pytest.raises(NotAvailable, match=f"encoder '{name}' is installed but does not load"):
        encoders.create(name)


def test_unknown_encoder_shows_the_nearest() -> None:
    with pytest.raises(UnknownEncoder, match="no encoder 'timber'") as caught:
        encoders.create("timber")
    assert caught.value.hint == "did you mean 'timbre'?"
    with pytest.raises(UnknownEncoder) as caught:
        encoders.create("xyz")
    assert caught.value.hint is not None
    assert caught.value.hint.startswith("installed: ")


def test_making_an_encoder_loads_no_heavy_package() -> None:
    code = (
        "import sys; from earmark import encoders; encoders.create('timbre'); "
        "print(sorted({'faiss', 'av', 'torch', 'soxr', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


# --- contract ----------------------------------------------------------------------------------


def test_timbre_keeps_the_contract() -> None:
    check_encoder(encoders.create("timbre"))


def test_plain_keeps_the_contract() -> None:
    check_encoder(Plain())


def spoil(rows: Callable[[Plain, Float32Array], AnyArray]) -> type[Plain]:
    return type("Spoiled", (Plain,), {"encode": rows})


def with_spec(**changes: Any) -> type[Plain]:
    return type("Spoiled", (Plain,), {"spec": replace(SPEC, **changes)})


def honest(self: Plain, windows: Float32Array) -> AnyArray:
    return Plain.encode(self, windows)


def write_to_input(self: Plain, windows: Float32Array) -> AnyArray:
    windows *= np.float32(0.5)
    return honest(self, windows)


def lean_on_neighbours(self: Plain, windows: Float32Array) -> AnyArray:
    rows = honest(self, windows)
    return rows - rows.mean(axis=0) if len(rows) > 1 else rows


def lean_on_place(self: Plain, windows: Float32Array) -> AnyArray:
    rows = honest(self, windows)
    return (
        rows if len(rows) == 1 else rows * (1 + np.arange(len(rows), dtype=np.float32) % 2)[:, None]
    )


def normalise(self: Plain, windows: Float32Array) -> AnyArray:
    """Divides by a deviation that a constant does not have."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return honest(self, windows) / windows.std(axis=1, keepdims=True)


class BadSession(framing.WindowSession):
    """Forgets what came before the last piece."""

    def push(self, samples: Float32Array) -> None:
        self.__init__(self._encoder, batch=3)  # type: ignore[misc]
        super().push(samples)


class LateSegments(framing.WindowSession):
    def finish(self) -> Encoded:
        encoded = super().finish()
        return replace(encoded, segments=encoded.segments + 1000)


def session_of(kind: type[framing.WindowSession]) -> type[Plain]:
    return type("Spoiled", (Plain,), {"session": lambda self: kind(self, batch=3)})


BROKEN: dict[str, tuple[type[Plain], str]] = {
    "nan": (spoil(normalise), "rows must be finite"),
    "dtype": (spoil(lambda s, w: honest(s, w).astype(np.float64)), "rows must be float32"),
    "width": (spoil(lambda s, w: honest(s, w)[:, :3]), "rows must be float32 of shape"),
    "always the same": (
        spoil(lambda s, w: np.ones((len(w), 4), np.float32)),
        "must not all give the same row",
    ),
    "writes": (spoil(write_to_input), "must not be written to"),
    "neighbours": (spoil(lean_on_neighbours), "batch-mates"),
    "place": (spoil(lean_on_place), "batch-mates|its place"),
    "cosine of zero": (
        type(
            "Spoiled",
            (Plain,),
            {
                "spec": replace(SPEC, rows=RowSpec("float32", 4, "cosine")),
                "encode": lambda s, w: np.maximum(honest(s, w) - np.float32(0.1), 0),
            },
        ),
        "under cosine must not be zero",
    ),
    "name": (with_spec(name="a/b"), "a name must be letters"),
    "no revision": (with_spec(revision=""), "name and revision"),
    "bits metric": (with_spec(rows=RowSpec("bits", 8, "l2")), "rows of bits must have"),
    "half bytes": (with_spec(rows=RowSpec("bits", 12, "hamming")), "whole bytes"),
    "float hamming": (with_spec(rows=RowSpec("float32", 4, "hamming")), "rows of float32 must"),
    "options": (with_spec(options={"a": (1, 2)}), "must survive JSON"),
    "matcher": (with_spec(matcher="guess"), "matcher must be one of"),
    "refine": (with_spec(refine=RowSpec("float32", 2, "l2")), "must come with refine rows"),
    "text": (
        type("Spoiled", (Plain,), {"encode_text": lambda s, t: np.full((len(t), 4), len(t), "f4")}),
        "row of text must not depend",
    ),
    "session": (session_of(BadSession), "came in pieces"),
    "segments": (session_of(LateSegments), "segments must lie in"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_each_broken_rule_is_found(fault: str) -> None:
    encoder, message = BROKEN[fault]
    with pytest.raises(AssertionError, match=message):
        check_encoder(encoder())


class Fitted(Plain):
    """A correct fitted encoder: levels divided by the mean level."""

    def __init__(self, mean: AnyArray | None = None) -> None:
        self.mean = mean
        self.spec = replace(SPEC, revision=f"1-{'' if mean is None else mean.tobytes().hex()}")

    @property
    def fitted(self) -> bool:
        return self.mean is not None

    def encode(self, windows: Float32Array) -> AnyArray:
        if self.mean is None:
            from earmark.errors import NotFitted

            raise NotFitted("plain must first be fitted")
        return super().encode(windows) / self.mean

    def training_rows(self, windows: Float32Array) -> Float32Array:
        rows: Float32Array = super().encode(windows)
        return rows

    def fit(self, rows: Float32Array, *, seed: int) -> dict[str, AnyArray]:
        return {"mean": rows.mean(axis=0)}

    def with_state(self, state: Any) -> Fitted:
        return type(self)(state["mean"])


def test_fitted_keeps_the_contract() -> None:
    check_encoder(Fitted())


class Restless(Fitted):
    draws = 0

    def fit(self, rows: Float32Array, *, seed: int) -> dict[str, AnyArray]:
        Restless.draws += 1
        return {"mean": rows.mean(axis=0) + np.float32(Restless.draws)}


class Nameless(Fitted):
    def __init__(self, mean: AnyArray | None = None) -> None:
        super().__init__(mean)
        self.spec = replace(SPEC, revision="unfitted" if mean is None else "1")


class Careless(Fitted):
    def encode(self, windows: Float32Array) -> AnyArray:
        return Plain.encode(self, windows)


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        (Restless, "same rows and seed must give the same state"),
        (Nameless, "another state must give another revision"),
        (Careless, "encode without state must raise NotFitted"),
    ],
)
def test_broken_rules_of_fitting_are_found(encoder: type[Fitted], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_encoder(encoder())
