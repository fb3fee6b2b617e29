"""Where the files of a run lie, how they are read, and how an epoch is dealt."""

from __future__ import annotations

import wave
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from audio_factory import write_wav
from earmark.errors import AudioError, UsageError
from earmark.training.fingerprint.data import Piece
from earmark.training.nafp.config import Config, Features, Folders, Selection
from earmark.training.nafp.data import EpochSampler, open_piece, open_pieces, segment_count
from earmark.training.nafp.layout import (
    Source,
    degradations,
    files_below,
    training_music,
)
from earmark.training.nafp.layout import (
    test_set as list_test_set,
)
from nafp_data import make_dataset

FEATURES = Features()


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("nafp"), tracks=4, seconds=3.0)


def config(dataset: Path, **selection: object) -> Config:
    return Config(
        folders=Folders(data=str(dataset)),
        selection=Selection(**selection),  # type: ignore[arg-type]
    )


# --- layout ------------------------------------------------------------------------------------


def test_the_published_layout_is_taken_as_it_is(dataset: Path) -> None:
    train, validation = training_music(config(dataset))
    assert [s.name for s in train] == [f"fma_000/{i:06d}.wav" for i in range(4)]
    assert {s.path.parent.name for s in validation} == {"db"}
    for part, folder in (("background", "bg"), ("impulse", "ir"), ("speech", "speech")):
        for testing, sub in ((False, "tr"), (True, "ts")):
            found = degradations(config(dataset), part, testing=testing)
            assert found
            assert {s.path.parent for s in found} == {dataset / "aug" / folder / sub}
    given = list_test_set(config(dataset), None, skip_dummy=False)
    assert [s.name for s in given.db] == [s.name for s in given.query or []]
    assert given.dummy
    assert not list_test_set(config(dataset), None, skip_dummy=True).dummy


def test_smaller_releases_with_folders_named_alike_are_taken(tmp_path: Path) -> None:
    make_dataset(tmp_path / "set", tracks=3, seconds=1.0)
    music = tmp_path / "set" / "music"
    for old, new in (
        ("train-10k-30s", "train-1k-30s"),
        ("val-query-db-500-30s", "val-query-db-50-30s"),
        ("test-query-db-500-30s", "test-query-db-50-30s"),
        ("test-dummy-db-100k-full", "test-dummy-db-1k-full"),
    ):
        (music / old).rename(music / new)
    given = config(tmp_path / "set")
    train, validation = training_music(given)
    assert len(train) == 3
    assert validation
    found = list_test_set(given, None, skip_dummy=False)
    assert found.db
    assert found.dummy
    (music / "train-2k-30s").mkdir()  # which one is meant is not known any more
    with pytest.raises(UsageError, match="needs music"):
        training_music(given)
    with pytest.raises(UsageError, match="music or aug") as caught:
        training_music(config(tmp_path))
    assert str(tmp_path / "set") in str(caught.value.hint)


def test_any_folder_will_do(tmp_path: Path) -> None:
    for i in range(5):
        write_wav(tmp_path / "album" / f"{i}.wav", np.zeros(8000, np.float32), 8000)
    (tmp_path / "cover.jpg").write_bytes(b"x")
    given = Config(folders=Folders(music=str(tmp_path)), selection=Selection(validation_share=0.3))
    train, validation = training_music(given)
    assert len(train) == 3
    assert len(validation) == 2
    assert {*train, *validation} == set(files_below(tmp_path))
    assert degradations(given, "background", testing=False) == []
    found = list_test_set(given, tmp_path, skip_dummy=False)
    assert len(found.db) == 5
    assert found.query is None


def test_selection(dataset: Path) -> None:
    assert len(training_music(config(dataset, share=0.5))[0]) == 2
    assert len(training_music(config(dataset, limit=3))[0]) == 3
    left = training_music(config(dataset, exclude=("*/000001.wav",)))[0]
    assert [s.name[-5] for s in left] == ["0", "2", "3"]
    with pytest.raises(UsageError, match="to train on"):
        training_music(config(dataset, exclude=("*",)))


def test_missing_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="needs music"):
        training_music(Config())
    with pytest.raises(UsageError, match=r"folders\.music.*nowhere"):
        training_music(Config(folders=Folders(music="/nowhere")))
    with pytest.raises(UsageError, match=r"folders\.data"):
        training_music(Config(folders=Folders(data="/nowhere")))
    with pytest.raises(UsageError, match="found none"):
        list_test_set(Config(), tmp_path, skip_dummy=True)
    with pytest.raises(UsageError, match="test set"):
        list_test_set(Config(), None, skip_dummy=True)


# --- files -------------------------------------------------------------------------------------


def source(path: Path) -> Source:
    return Source(path.name, path)


def test_plain_wave_files_are_mapped_and_others_decoded(tmp_path: Path) -> None:
    samples = np.sin(np.arange(16_000) / 9).astype(np.float32) * 0.5
    cache = tmp_path / "cache"
    plain = open_piece(
        source(write_wav(tmp_path / "a.wav", samples, 8000)), sample_rate=8000, cache=cache
    )
    assert plain.path == tmp_path / "a.wav"
    assert not cache.exists()
    np.testing.assert_allclose(plain.read(100, 50), samples[100:150], atol=1e-4)
    stereo = np.stack([samples, samples])
    for name, content, rate, kind in (
        ("float.wav", samples, 8000, "FLOAT"),
        ("stereo.wav", stereo, 8000, "PCM_16"),
        ("fast.wav", np.repeat(samples, 2), 16000, "PCM_16"),
    ):
        path = write_wav(tmp_path / name, content, rate, subtype=kind)
        piece = open_piece(source(path), sample_rate=8000, cache=cache)
        assert piece.path.parent == cache
        assert piece.samples == 16_000
        np.testing.assert_allclose(piece.read(4000, 50), samples[4000:4050], atol=0.05)


def test_corrupt_files_are_named_and_left_out(tmp_path: Path) -> None:
    good = write_wav(tmp_path / "good.wav", np.ones(8000, np.float32) * 0.1, 8000)
    cut = tmp_path / "cut.wav"
    cut.write_bytes(good.read_bytes()[:9000])
    (tmp_path / "text.wav").write_text("no sound")
    (tmp_path / "empty.mp3").write_bytes(b"")
    sources = [*files_below(tmp_path), Source("gone.wav", tmp_path / "gone.wav")]
    pieces, failed = open_pieces(sources, sample_rate=8000, cache=tmp_path / "cache")
    assert [p.path for p in pieces] == [good]
    assert {Path(f.path).name for f in failed} == {"cut.wav", "text.wav", "empty.mp3", "gone.wav"}
    assert all(f.error for f in failed)
    with pytest.raises(AudioError, match="gone"):
        open_piece(sources[-1], sample_rate=8000, cache=tmp_path)


def test_a_wave_file_without_samples_is_no_audio(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "none.wav"), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
    with pytest.raises(AudioError):
        open_piece(source(tmp_path / "none.wav"), sample_rate=8000, cache=tmp_path / "cache")


@pytest.mark.parametrize(("samples", "count"), [(240_000, 59), (8000, 1), (11_999, 1), (3, 1)])
def test_segments_of_a_recording(samples: int, count: int) -> None:
    assert segment_count(samples, FEATURES) == count


# --- an epoch ----------------------------------------------------------------------------------


def pieces_of(folder: Path, seconds: list[float]) -> list[Piece]:
    """Recordings whose samples say which one they are, and where."""
    found = []
    for number, length in enumerate(seconds):
        samples = (number * 3000 + np.arange(round(length * 8000)) // 40 + 1).astype("<i2")
        path = folder / f"{number}.s16"
        samples.tofile(path)
        found.append(Piece(path, str(number), len(samples)))
    return found


def sampler(
    pieces: list[Piece], seed: int = 0, jitter: float = 0.2, **selection: object
) -> EpochSampler:
    return EpochSampler(
        pieces,
        FEATURES,
        Selection(**selection),  # type: ignore[arg-type]
        pairs=4,
        length=9000,
        begin=500,
        jitter=jitter,
        seed=seed,
    )


def test_each_segment_is_dealt_once_an_epoch(tmp_path: Path) -> None:
    dealer = sampler(pieces_of(tmp_path, [3.0, 2.0, 4.0, 1.0]))
    assert dealer.steps == (5 + 3 + 7 + 1) // 4
    for epoch in range(2):
        dealt = [tuple(w) for b in range(dealer.steps) for w in dealer.draw(epoch, b).which]
        assert Counter(dealt).most_common(1)[0][1] == 1
        assert len(dealt) == 16
    assert not np.array_equal(dealer.order(0), dealer.order(1))


def test_offsets_differ_by_epoch_and_are_the_same_at_each_call(tmp_path: Path) -> None:
    pieces = pieces_of(tmp_path, [20.0])
    dealer = sampler(pieces)
    starts: dict[int, dict[int, float]] = {}
    for epoch in (0, 1):
        for batch in range(dealer.steps):
            drawn = dealer.draw(epoch, batch)
            for row, (_, number) in zip(drawn.sources, drawn.which, strict=True):
                starts.setdefault(epoch, {})[int(number)] = float(row[500])
    offsets = {
        epoch: np.array([(by[n] * 32768 - 1) * 40 - n * 4000 for n in sorted(by) if 0 < n < 30])
        for epoch, by in starts.items()
    }
    for found in offsets.values():
        assert np.abs(found).max() <= 1600 + 40
        assert found.std() > 500
    shared = sorted((set(starts[0]) & set(starts[1])) - {0, 38})
    assert len(shared) > 25
    moved = np.array([starts[0][n] - starts[1][n] for n in shared])
    assert np.mean(moved != 0) > 0.9, "offsets must not be those of the segment in every epoch"
    again = sampler(pieces)
    again.draw(1, 3)
    np.testing.assert_array_equal(again.draw(0, 2).sources, dealer.draw(0, 2).sources)
    other = sampler(pieces, seed=1)
    assert not np.array_equal(other.draw(0, 2).sources, dealer.draw(0, 2).sources)


def test_the_last_segment_is_not_moved_beyond_the_end(tmp_path: Path) -> None:
    pieces = pieces_of(tmp_path, [2.0])
    for epoch in range(20):
        drawn = EpochSampler(
            pieces, FEATURES, Selection(), pairs=3, length=8000, begin=0, jitter=0.2, seed=0
        ).draw(epoch, 0)
        assert (drawn.sources > 0).all()


def test_one_segment_per_track_per_batch(tmp_path: Path) -> None:
    dealer = sampler(pieces_of(tmp_path, [3.0] * 6), one_per_track=True)
    assert dealer.steps == 5
    for batch in range(dealer.steps):
        assert len({w[0] for w in dealer.draw(0, batch).which}) == 4


def test_a_file_that_vanishes_is_named_and_replaced(tmp_path: Path) -> None:
    pieces = pieces_of(tmp_path, [3.0, 3.0])
    dealer = sampler(pieces)
    pieces[1].path.unlink()
    drawn = [dealer.draw(0, b) for b in range(dealer.steps)]
    assert all((d.which[:, 0] == 0).all() for d in drawn)
    assert [f.path for f in dealer.failed.values()] == [str(pieces[1].path)]


def test_quiet_segments_give_their_place_to_others(tmp_path: Path) -> None:
    samples = np.zeros(80_000, "<i2")
    samples[40_000:] = 3000
    samples.tofile(tmp_path / "half.s16")
    piece = Piece(tmp_path / "half.s16", "half", 80_000)
    drawn = sampler([piece], jitter=0.0, quietest=0.01).draw(0, 0)
    assert (drawn.which[:, 1] >= 9).all()


def test_a_wave_file_that_is_read_from_its_samples_on(tmp_path: Path) -> None:
    samples = (np.arange(9000) % 1000).astype(np.float32) / 2000
    path = write_wav(tmp_path / "a.wav", samples, 8000)
    piece = open_piece(source(path), sample_rate=8000, cache=tmp_path)
    assert piece.begin >= 44
    assert piece.samples == 9000
    np.testing.assert_allclose(piece.read(-5, 10)[5:], samples[:5], atol=1e-4)
    np.testing.assert_allclose(piece.read(8995, 10)[:5], samples[-5:], atol=1e-4)
    assert replace(piece, samples=0).read(0, 4).tolist() == [0, 0, 0, 0]
