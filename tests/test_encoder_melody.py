"""The melody encoder: its contract, scores and sound alike, key and tempo do not matter."""

from __future__ import annotations

from importlib import resources

import numpy as np
import pytest

from earmark import encoders, framing
from earmark.encoders import melody
from earmark.errors import DecodeError, EncoderError, UsageError
from earmark.melody.notes import HOP, contour_of_notes
from earmark.testing import check_encoder
from earmark.types import Clip, QueryEncoder, ScoreEncoder, StreamEncoder
from melody_factory import RATE, midi_file, midi_track, sing, tune


@pytest.fixture(scope="module")
def encoder() -> melody.Melody:
    made = encoders.create("melody")
    assert isinstance(made, melody.Melody)
    return made


def test_it_keeps_the_contract_of_encoders(encoder):
    check_encoder(encoder)
    for capability in (StreamEncoder, QueryEncoder, ScoreEncoder):
        assert isinstance(encoder, capability)


def test_a_sung_tune_has_nearly_the_rows_of_its_score(encoder):
    notes = tune(1)
    score = encoder.encode_score(midi_file(midi_track(notes)), "a.mid").encoded
    sung = framing.encode_clip(encoder, Clip(sing(notes, key=-5), RATE))
    n = min(len(score.rows), len(sung.rows)) - 4
    same = (score.rows[:n] * sung.rows[:n]).sum(axis=1)
    other = (score.rows[:n] * np.roll(sung.rows[:n], n // 2, axis=0)).sum(axis=1)
    assert np.median(same) > 0.8
    assert np.median(same) > np.median(other) + 0.4


def test_rows_keep_the_contour(encoder):
    notes = tune(2)
    encoded = encoder.encode_score(midi_file(midi_track(notes)), "a.mid").encoded
    line = contour_of_notes(notes)
    kept = encoded.refine.ravel()[: len(line)]
    assert (np.abs(kept - line) < 0.01).mean() > 0.97
    assert encoded.segments[-1, 1] == pytest.approx(len(line) * HOP)


def test_facts_say_what_was_found(encoder):
    facts = encoder.encode_score(
        midi_file(midi_track(tune(2), name="Flute")), "a.mid"
    ).encoded.facts
    assert facts["melody_source"] == "midi"
    assert "Flute" in str(facts["melody_voice"])
    assert facts["melody_certainty"] == 1.0


def test_query_windows_have_several_lengths(encoder):
    found = encoder.encode_query(Clip(sing(tune(3, notes=24)), RATE))
    lengths = np.unique(np.round(found.segments[:, 1] - found.segments[:, 0], 1))
    assert len(lengths) >= 5


def test_wrong_input_is_refused(encoder):
    with pytest.raises(UsageError, match="takes no options"):
        encoders.create("melody", options={"a": 1})
    with pytest.raises(EncoderError, match="shape"):
        encoder.encode(np.zeros((1, 5), np.float32))
    with pytest.raises(DecodeError, match="empty"):
        encoder.encode_score(b"", "a.mid")


@pytest.mark.parametrize("name", ["melody.onnx", "fingerprint.onnx"])
def test_shipped_networks_hold_no_paths_of_the_machine_that_made_them(name):
    content = (resources.files("earmark.encoders") / "weights" / name).read_bytes()
    assert b'File "' not in content
    assert b"site-packages" not in content
