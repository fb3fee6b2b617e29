"""Fingerprint files: their layout, rows that depend on nothing else, and going on after a stop."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from audio_factory import write_wav
from earmark.errors import AudioError
from earmark.training.fingerprint.data import Piece
from earmark.training.nafp import generate as writing
from earmark.training.nafp.config import Config, Features, Folders
from earmark.training.nafp.data import open_piece
from earmark.training.nafp.encoding import rows
from earmark.training.nafp.generate import Generated, generate, read_made_by
from earmark.training.nafp.layout import Source
from earmark.training.nafp.layout import TestSet as Given
from earmark.training.nafp.layout import test_set as list_test_set
from nafp_data import make_dataset


class Counting:
    """A `SegmentEncoder` without a network: the levels of four stretches of a segment."""

    features = Features()
    ndim = 4

    def __init__(self, revision: str = "1") -> None:
        self.identity = {"encoder": "counting", "revision": revision}
        self.batches: list[int] = []

    def encode(self, samples: np.ndarray) -> np.ndarray:
        self.batches.append(len(samples))
        parts = np.square(samples[:, 512:-512]).reshape(len(samples), 4, -1).mean(axis=2)
        return (parts + 1e-6).astype(np.float32)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("nafp"), tracks=6, seconds=4.0)


def given(dataset: Path, **options: bool) -> Given:
    config = Config(folders=Folders(data=str(dataset)))
    return list_test_set(config, None, **({"skip_dummy": False} | options))


def run(encoder: Counting, what: Given, folder: Path, **options: object) -> Generated:
    return generate(encoder, what, folder, cache=folder / "cache", **({"seed": 0} | options))  # type: ignore[arg-type]


def read(folder: Path, name: str) -> np.ndarray:
    shape = np.load(folder / f"{name}_shape.npy")
    return np.memmap(folder / f"{name}.mm", "float32", "r", shape=(shape[0], shape[1]))


def test_files_are_those_of_the_published_program(dataset: Path, tmp_path: Path) -> None:
    made = run(Counting(), given(dataset), tmp_path)
    assert [(p.name, p.tracks, p.rows) for p in made.parts] == [
        ("db", 2, 14),
        ("query", 2, 14),
        ("dummy_db", 2, 14),
    ]
    for name in ("db", "query", "dummy_db"):
        assert (tmp_path / f"{name}.mm").stat().st_size == 14 * 4 * 4
        assert read(tmp_path, name).shape == (14, 4)
    with (tmp_path / "db_tracks.csv").open() as file:
        assert list(csv.reader(file)) == [
            ["name", "first", "rows"],
            ["000000.wav", "0", "7"],
            ["000001.wav", "7", "7"],
        ]
    assert not list(tmp_path.glob("*.part"))


def test_rows_are_those_of_each_segment_alone(dataset: Path, tmp_path: Path) -> None:
    run(Counting(), given(dataset), tmp_path)
    stored = read(tmp_path, "db")
    source = given(dataset).db[1]
    piece = open_piece(source, sample_rate=8000, cache=tmp_path)
    for i in range(7):
        segment = piece.read(i * 4000 - 512, 9024)[None]
        np.testing.assert_array_equal(stored[7 + i], Counting().encode(segment)[0])


def test_dummies_may_be_left_out_and_are_kept_if_they_are_there(
    dataset: Path, tmp_path: Path
) -> None:
    run(Counting(), given(dataset, skip_dummy=True), tmp_path)
    assert not (tmp_path / "dummy_db.mm").exists()
    run(Counting(), given(dataset), tmp_path)
    again = run(Counting(), given(dataset, skip_dummy=True), tmp_path)
    assert (tmp_path / "dummy_db.mm").exists()
    assert [p.name for p in again.parts] == ["db", "query"]


def test_what_is_finished_is_not_made_again(dataset: Path, tmp_path: Path) -> None:
    run(Counting(), given(dataset), tmp_path)
    lazy = Counting()
    assert [p.rows for p in run(lazy, given(dataset), tmp_path).parts] == [14, 14, 14]
    assert lazy.batches == []
    other = Counting("2")
    run(other, given(dataset), tmp_path)
    assert sum(other.batches) == 42
    assert {p["identity"]["revision"] for p in read_made_by(tmp_path).values()} == {"2"}


class Stopped(Exception):
    pass


@pytest.mark.parametrize("commit", [1, 1 << 20])
def test_a_stopped_run_goes_on(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, commit: int
) -> None:
    monkeypatch.setattr(writing, "COMMIT_BYTES", commit)
    what = Given(files(dataset), None, [])
    whole = run(Counting(), what, tmp_path / "whole")

    def stop(progress: writing.Progress) -> None:
        if progress.tracks == 4:
            raise Stopped

    with pytest.raises(Stopped):
        run(Counting(), what, tmp_path / "parts", on_track=stop)
    assert not (tmp_path / "parts" / "db.mm").exists()
    # What a kill leaves behind: half a row, half a line of the journal.
    with (tmp_path / "parts" / "db.mm.part").open("ab") as file:
        file.write(b"\x01" * 7)
    with (tmp_path / "parts" / "db.journal.part").open("a") as journal:
        journal.write('{"name": "half')
    rest = Counting()
    again = run(rest, what, tmp_path / "parts")
    assert again.parts == whole.parts
    assert len(rest.batches) == (2 if commit == 1 else 6)
    for name in ("db.mm", "db_shape.npy", "db_tracks.csv"):
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def files(dataset: Path) -> list[Source]:
    folder = dataset / "music" / "train-10k-30s"
    return [Source(p.name, p) for p in sorted(folder.rglob("*.wav"))]


def test_what_another_encoder_began_is_begun_anew(dataset: Path, tmp_path: Path) -> None:
    what = Given(files(dataset), None, [])

    def stop(_: writing.Progress) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        run(Counting(), what, tmp_path, on_track=stop)
    fresh = Counting("2")
    run(fresh, what, tmp_path)
    assert len(fresh.batches) == 6


def test_a_corrupt_file_is_named_and_the_rest_is_made(dataset: Path, tmp_path: Path) -> None:
    folder = tmp_path / "music"
    for i in range(2):
        write_wav(folder / f"{i}.wav", np.full(16_000, 0.1 * (i + 1), np.float32), 8000)
    (folder / "0b.wav").write_bytes(b"RIFF nothing")
    made = run(Counting(), list_test_set(Config(), folder, skip_dummy=True), tmp_path / "out")
    assert [Path(f.path).name for f in made.failed] == ["0b.wav"]
    assert [(p.tracks, p.rows) for p in made.parts] == [(2, 6)]
    again = run(Counting(), list_test_set(Config(), folder, skip_dummy=True), tmp_path / "out")
    assert again.failed == made.failed


def test_a_folder_without_queries_may_have_them_made(dataset: Path, tmp_path: Path) -> None:
    encoder = Counting()

    def degrade(piece: Piece, number: int) -> np.ndarray:
        return rows(encoder, piece) * (number + 2)

    what = Given(files(dataset)[:2], None, [])
    run(encoder, what, tmp_path, degrade=degrade)
    db, query = read(tmp_path, "db"), read(tmp_path, "query")
    np.testing.assert_allclose(query[:7], 2 * db[:7])
    np.testing.assert_allclose(query[7:], 3 * db[7:])


def test_no_usable_file_gives_no_rows(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"x")
    what = Given([Source("a.wav", tmp_path / "a.wav")], None, [])
    made = run(Counting(), what, tmp_path / "out")
    assert made.parts[0].rows == 0
    assert np.load(tmp_path / "out" / "db_shape.npy").tolist() == [0, 4]


def test_short_recordings_have_one_row_filled_up_with_silence(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", np.full(3000, 0.5, np.float32), 8000)
    piece = open_piece(Source("a.wav", path), sample_rate=8000, cache=tmp_path)
    made = rows(Counting(), piece)
    assert made.shape == (1, 4)
    assert made[0, 3] == pytest.approx(1e-6)


def test_made_by_that_is_damaged_is_not_believed(dataset: Path, tmp_path: Path) -> None:
    run(Counting(), given(dataset), tmp_path)
    (tmp_path / "made_by.json").write_text("{")
    again = Counting()
    run(again, given(dataset), tmp_path)
    assert sum(again.batches) == 42
    assert set(json.loads((tmp_path / "made_by.json").read_text())) == {"db", "query", "dummy_db"}


def test_the_shipped_network_gives_what_the_index_stores(tmp_path: Path) -> None:
    from earmark.encoders.fingerprint import Fingerprint
    from earmark.training.nafp.shipped import ShippedEncoder

    rng = np.random.default_rng(0)
    t = np.arange(40_000) / 8000
    samples = np.sin(2 * np.pi * (300 + 100 * np.floor(4 * t)) * t) * 0.3
    samples = (samples + rng.normal(0, 0.02, len(t))).astype(np.float32)
    path = write_wav(tmp_path / "a.wav", samples, 8000)
    piece = open_piece(Source("a.wav", path), sample_rate=8000, cache=tmp_path)
    encoder = ShippedEncoder()
    made = rows(encoder, piece)
    session = Fingerprint().session()
    session.push(piece.read(0, piece.samples))
    stored = np.asarray(session.finish().rows, np.float32)
    assert made.shape == (9, encoder.ndim)
    np.testing.assert_allclose(np.linalg.norm(made, axis=1), 1.0, atol=1e-5)
    cosines = (made * stored[: len(made)]).sum(axis=1)
    assert cosines.min() > 0.999


def test_an_error_of_a_reader_is_a_failure_of_the_file(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", np.full(9000, 0.5, np.float32), 8000)

    class Refusing(Counting):
        def encode(self, samples: np.ndarray) -> np.ndarray:
            raise AudioError("a.wav", "went away")

    made = run(Refusing(), Given([Source("a.wav", path)], None, []), tmp_path / "out")
    assert [f.error for f in made.failed] == ["went away"]
