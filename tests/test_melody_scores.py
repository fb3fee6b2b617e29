"""Scores: MIDI, ABC, MusicXML and lists of notes to melodies, and what is wrong with bad ones."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.errors import DecodeError
from earmark.melody import abc, midi, musicxml, note_lists, scores
from earmark.melody.notes import contour_of_notes, shorten_rests, skyline
from melody_factory import midi_file, midi_track, tune

# --- notes -------------------------------------------------------------------------------------


def test_the_skyline_has_the_highest_note_at_each_time():
    notes = np.array([[0, 2, 60], [0, 1, 64], [0.5, 1.5, 72], [1.6, 2.0, 55]], float)
    line = skyline(notes)
    assert line[:, 2].tolist() == [64, 72, 55]
    assert line[0, 1] == 0.5  # cut where the higher one begins
    assert (line[1:, 0] >= line[:-1, 1]).all()


def test_long_rests_are_shortened_and_the_first_removed():
    notes = np.array([[5, 6, 60], [7, 8, 62], [30, 31, 64]], float)
    assert shorten_rests(notes)[:, 0].tolist() == [0, 2, 5]


def test_a_contour_samples_notes_in_the_middle_of_frames():
    contour = contour_of_notes(np.array([[0.0, 0.5, 60], [0.75, 1.0, 64]]))
    assert contour.tolist() == [60] * 10 + [0] * 5 + [64] * 5
    assert len(contour_of_notes(np.zeros((0, 3)))) == 0


# --- MIDI --------------------------------------------------------------------------------------


def test_midi_notes_come_back_in_seconds():
    notes = tune(1)
    score = midi.read_midi(midi_file(midi_track(notes)))
    np.testing.assert_allclose(score.notes, notes, atol=2e-3)
    assert score.certainty == 1.0


def test_midi_tempo_changes_count():
    notes = np.array([[0, 1, 60], [1, 2, 62]], float)
    score = midi.read_midi(midi_file(midi_track(notes, tempo=1_000_000)))
    assert score.duration == pytest.approx(4.0)  # half as fast as the 120 that it was written for


def test_the_melody_of_several_parts_is_found_and_its_certainty_said():
    melody = tune(2)
    melody[:, 2] += 8
    bass = tune(3)
    bass[:, 2] -= 24
    chords = np.array([[t, t + 0.9, p] for t in range(12) for p in (55, 59, 62)], float)
    data = midi_file(
        midi_track(bass, channel=2),
        midi_track(chords, channel=1),
        midi_track(melody, channel=0),
        midi_track(np.array([[t / 2, t / 2 + 0.1, 38] for t in range(30)], float), channel=9),
    )
    score = midi.read_midi(data)
    assert score.notes[:, 2].tolist() == melody[:, 2].tolist()
    assert "one of 3 parts" in score.voice
    assert 0.5 < score.certainty < 1.0


def test_a_name_says_which_of_thirty_tracks_sings():
    tracks = [midi_track(tune(i), channel=i % 9, name=f"part {i}") for i in range(29)]
    melody = tune(99)
    score = midi.read_midi(midi_file(*tracks, midi_track(melody, name="Vocals")))
    assert "Vocals" in score.voice
    assert score.notes[:, 2].tolist() == melody[:, 2].tolist()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"RIFFnonsense", "not a MIDI file"),
        (b"MThd\x00\x00\x00\x06", "cut off"),
        (b"MThd\x00\x00\x00\x06\x00\x01\x00\x01\x00\x00", "header is broken"),
        (b"MThd\x00\x00\x00\x06\x00\x09\x00\x01\x01\xe0", "header is broken"),
        (midi_file(), "must have tracks"),
        (midi_file(midi_track(np.zeros((0, 3)))), "has none"),
        (midi_file(midi_track(tune(1), channel=9)), "only drums"),
        (midi_file(midi_track(tune(1), tempo=1)), "its tempo makes it"),
        (midi_file(midi_track(np.array([[0, 900, 60.0]]), tempo=0xFFFFFF)), "its tempo makes it"),
    ],
)
def test_bad_midi_files_say_why(data, words):
    with pytest.raises(DecodeError, match=words):
        scores.read_score(data, "/x/tune.mid")


def test_a_midi_file_that_is_cut_off_gives_what_came_before():
    whole = midi_file(midi_track(tune(1)))
    score = midi.read_midi(whole[: len(whole) // 2])
    assert len(score.notes) > 5
    assert "damaged" in score.warnings[0]


@given(st.binary(max_size=300))
def test_no_bytes_break_the_midi_reader(junk):
    head = midi_file(midi_track(tune(1, notes=3)))[:40]
    for data in (junk, head + junk, b"MThd\x00\x00\x00\x06\x00\x01\x00\x01\x01\xe0MTrk" + junk):
        try:
            score = midi.read_midi(data)
        except DecodeError:
            continue
        assert np.isfinite(score.notes).all()
        assert (score.notes[:, 1] > score.notes[:, 0]).all()


# --- ABC ---------------------------------------------------------------------------------------


def pitches(body: str, head: str = "X:1\nM:4/4\nL:1/4\nK:C\n") -> list[float]:
    return abc.read_abc(head + body).notes[:, 2].tolist()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("CDEF|c'B,,", [60, 62, 64, 65, 84, 47]),
        ("^F F | F _B =B", [66, 66, 65, 70, 71]),
        ("|:C D:|E", [60, 62, 60, 62, 64]),
        ("|:C|1 D:|2 E||", [60, 62, 60, 64]),
        ('[CEG] {d}A "Am"B !trill!c', [67, 69, 71, 72]),
        ("[K:G] F f", [66, 78]),
        ("C z D x E", [60, 62, 64]),
        ("C-C D", [60, 62]),
    ],
)
def test_abc_pitches(body, expected):
    assert pitches(body) == expected


@pytest.mark.parametrize(
    ("key", "expected"),
    [("G", 66), ("Em", 66), ("D", 66), ("Dmix", 66), ("F", 65), ("Cm", 65), ("Ddor", 65)],
)
def test_abc_keys(key, expected):
    assert abc.read_abc(f"X:1\nL:1/4\nK:{key}\nF").notes[0, 2] == expected


def test_abc_lengths():
    head = "X:1\nM:4/4\nL:1/4\nQ:1/4=60\nK:C\n"
    notes = abc.read_abc(head + "C2 D/ E3/2 (3FGA C>D z c").notes
    lengths = (notes[:, 1] - notes[:, 0]).tolist()
    thirds = [2 / 3] * 3
    assert lengths == pytest.approx([2, 0.5, 1.5, *thirds, 1.5, 0.5, 1])
    assert notes[-1, 0] == pytest.approx(notes[-2, 1] + 1)  # after a rest


def test_a_tune_book_is_one_track_with_rests_between():
    score = abc.read_abc("X:1\nT:One\nL:1/4\nK:C\nCDEF\n\nX:2\nT:Two\nL:1/4\nK:C\nGABc\n")
    assert score.title == "One"
    assert "2 tunes" in score.voice
    assert score.notes[4, 0] == pytest.approx(score.notes[3, 1] + abc.BETWEEN_TUNES)


@pytest.mark.parametrize(("text", "words"), [("hello", "key field"), ("X:1\nK:C\nz4", "notes")])
def test_bad_abc_says_why(text, words):
    with pytest.raises(DecodeError, match=words):
        abc.read_abc(text)


@given(st.text(max_size=200))
def test_no_text_breaks_the_abc_reader(text):
    try:
        score = abc.read_abc("X:1\nK:C\n" + text)
    except DecodeError:
        return
    assert np.isfinite(score.notes).all()


# --- MusicXML ----------------------------------------------------------------------------------


def xml(body: str) -> bytes:
    return (
        '<?xml version="1.0"?><score-partwise><work><work-title>A Tune</work-title></work>'
        '<part-list><score-part id="P1"><part-name>Voice</part-name></score-part></part-list>'
        '<part id="P1"><measure><attributes><divisions>2</divisions></attributes>'
        f"{body}</measure></part></score-partwise>"
    ).encode()


def note(step: str, *, duration: int = 2, more: str = "", before: str = "") -> str:
    return (
        f"<note>{before}<pitch><step>{step}</step><octave>4</octave></pitch>"
        f"<duration>{duration}</duration>{more}</note>"
    )


def test_musicxml_notes_ties_chords_and_rests():
    tied = [note("C", more='<tie type="start"/>'), note("C", more='<tie type="stop"/>')]
    rest = "<note><rest/><duration>2</duration></note>"
    body = "".join([*tied, rest, note("E"), note("G", before="<chord/>")])
    score = musicxml.read_musicxml(xml(body))
    assert score.notes.tolist() == [[0, 1, 60], [1.5, 2, 67]]
    assert (score.title, score.voice) == ("A Tune", "Voice")


def test_packed_musicxml():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("META-INF/container.xml", "<container/>")
        archive.writestr("score.xml", xml(note("A")))
    assert scores.read_score(packed.getvalue(), "a.mxl").notes[0, 2] == 69


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"<html/>", "not MusicXML"),
        (b"<score-partwise", "well-formed"),
        (xml(""), "must have notes"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><score-partwise/>', "entities"),
        (b"PK\x03\x04broken", "damaged"),
    ],
)
def test_bad_musicxml_says_why(data, words):
    with pytest.raises(DecodeError, match=words):
        musicxml.read_musicxml(data)


# --- lists of notes ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "suffix"),
    [
        (b"onset,duration,pitch\n0,1,60\n1,0.5,64\n", "csv"),
        (b"start;end;frequency\n0;1;261.6256\n1;1.5;329.6276\n", "csv"),
        (json.dumps([[0, 1, 60], [1, 0.5, 64]]).encode(), "json"),
        (json.dumps({"notes": [{"time": 0, "duration": 1, "midi": 60},
                               {"time": 1, "end": 1.5, "midi": 64}]}).encode(), "json"),
    ],
)  # fmt: skip
def test_lists_of_notes(data, suffix):
    score = note_lists.read_note_list(data, suffix=suffix)
    np.testing.assert_allclose(score.notes, [[0, 1, 60], [1, 1.5, 64]], atol=1e-4)


@pytest.mark.parametrize(
    ("data", "suffix"),
    [
        (b"a,b\n1,2\n", "csv"),
        (b"onset,duration,pitch\n0,x,60\n", "csv"),
        (b"onset,duration,pitch\n", "csv"),
        (b"onset,duration,pitch\n0,nan,60\n", "csv"),
        (b"{", "json"),
        (b'{"notes": 3}', "json"),
        (b"[[1, 2]]", "json"),
    ],
)
def test_bad_lists_say_why(data, suffix):
    with pytest.raises(DecodeError, match="notes"):
        note_lists.read_note_list(data, suffix=suffix)
