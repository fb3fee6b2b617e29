"""Recommendations and playlists."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

import earmark
from earmark.errors import QueryError, UsageError
from earmark.library import suggesting
from earmark.library.spaces import TrackVectors, track_vectors
from earmark.stores import open_store
from earmark.types import AudioInfo, Encoded, EncoderSpec, Hit, RowSpec, Track, TrackRecord

INFO = AudioInfo(1.0, 8000, 1, "pcm", "wav")
SPEC = EncoderSpec("toy", "similar", RowSpec("float32", 2, "cosine"), 8000, 1.0, 1.0, "1")


def at_angle(degrees: float) -> Encoded:
    rows = np.array([[np.cos(np.radians(degrees)), np.sin(np.radians(degrees))]], np.float32)
    return Encoded(rows, np.array([[0.0, 1.0]]))


@pytest.fixture
def lib(tmp_path: Path):
    """Twenty tracks around a quarter circle; track 21 is a copy of 2, 22 is silent."""
    store = open_store(str(tmp_path / "library"), create=True)
    with store.writer() as writer:
        writer.put_encoder(SPEC, {})
        for n in range(20):
            record = TrackRecord(
                f"/t/{n}.wav", f"h{n}", 1, 1, INFO, "", f"Artist {n % 5}", {"n": n}
            )
            writer.put_track(record, {"toy": at_angle(4.5 * n)})
        writer.put_track(TrackRecord("/t/copy.wav", "h1", 1, 1, INFO), {"toy": at_angle(4.5)})
        writer.put_track(TrackRecord("/t/still.wav", "hs", 1, 1, INFO), {})
        writer.commit()
    store.close()
    with earmark.open(tmp_path / "library") as library:
        yield library


def ids(hits) -> list[int]:
    return [hit.track.id for hit in hits]


def test_without_diversity_the_likest_come_first(lib):
    assert ids(lib.recommend(10, k=4, diversity=0.0)) == [9, 11, 8, 12]


def test_the_liked_and_copies_of_the_chosen_are_left_out(lib):
    found = ids(lib.recommend(1, k=20, diversity=0.0))
    assert 1 not in found
    assert len({2, 21} & set(found)) == 1
    assert {2, 21} <= set(ids(lib.recommend(1, k=21, diversity=0.0, one_per="none")))
    assert not {2, 21} & set(ids(lib.recommend(2, k=20)))


def test_one_per_artist(lib):
    found = lib.recommend(10, k=20, one_per="artist", diversity=0.0)
    artists = [hit.track.artist for hit in found if hit.track.artist]
    assert len(artists) == len(set(artists)) == 5


def test_diversity_spreads(lib):
    def spread(diversity: float) -> float:
        numbers = [hit.track.tags["n"] for hit in lib.recommend(10, k=5, diversity=diversity)]
        return float(np.std(numbers))

    assert spread(0.9) > 1.5 * spread(0.0)


def test_mmr_agrees_with_its_formula():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(8, 3)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    tracks = [Track(i, f"/{i}", f"h{i}", 1, 1, INFO) for i in range(8)]
    scores = np.sort(rng.random(8))[::-1]
    hits = [
        Hit(t, float(s), None, None, None, None, "x") for t, s in zip(tracks, scores, strict=True)
    ]
    vectors = TrackVectors(np.arange(8), rows, ("x",))
    found = suggesting.diverse(hits, vectors, suggesting.Taste(k=4, diversity=0.5))
    relevance = (scores - scores.min()) / (scores.max() - scores.min())
    chosen: list[int] = []
    for _ in range(4):
        gains = {
            i: 0.5 * relevance[i]
            - 0.5 * max([max(0.0, float(rows[i] @ rows[j])) for j in chosen], default=0.0)
            for i in range(8)
            if i not in chosen
        }
        chosen.append(max(gains, key=lambda i: gains[i]))
    assert [h.track.id for h in found] == chosen


@pytest.mark.parametrize("asked", [{"k": 0}, {"diversity": 1.5}, {"one_per": "album"}])
def test_tastes_that_make_no_sense(lib, asked):
    with pytest.raises(UsageError):
        lib.recommend(1, **asked)


# --- playlists ----------------------------------------------------------------------------------


def test_a_path_goes_from_one_to_the_other_in_even_steps():
    rows = np.concatenate([at_angle(4.5 * n).rows for n in range(20)])
    found = suggesting.path(TrackVectors(np.arange(20), rows, ("toy",)), 0, 19, 5)
    assert (found[0], found[-1], len(found)) == (0, 19, 5)
    steps = np.diff(found)
    assert (steps >= 4).all()
    assert (steps <= 6).all()


def test_a_path_in_a_library_never_turns_back(lib):
    hits = lib.playlist(start=1, end=20, length=6)
    numbers = [hit.track.tags["n"] for hit in hits]
    assert (numbers[0], numbers[-1], len(numbers)) == (0, 19, 6)
    assert (np.diff(numbers) > 0).all()
    assert hits[0].score == 1.0


@pytest.mark.parametrize("seed", range(12))
def test_the_path_is_the_best_that_never_turns_back(seed, monkeypatch):
    monkeypatch.setattr(suggesting, "EVEN", 0.2 * (seed % 3))  # else evenness alone decides
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(9, 3)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    vectors = TrackVectors(np.arange(9), rows, ("x",))
    found = suggesting.path(vectors, 0, 8, 5)

    def away(i: int, j: int) -> float:
        return float(np.sqrt(max(2 - 2 * float(rows[i] @ rows[j]), 0)))

    share = {i: away(0, i) / (away(0, i) + away(i, 8)) for i in range(1, 8)}
    share |= {0: 0.0, 8: 1.0}
    best = min(
        (
            p
            for p in itertools.permutations(range(1, 8), 3)
            if share[p[0]] < share[p[1]] < share[p[2]]
        ),
        key=lambda p: sum(
            away(a, b) ** 2 + suggesting.EVEN * 4 * (share[b] - share[a] - 0.25) ** 2
            for a, b in itertools.pairwise((0, *p, 8))
        ),
    )
    assert found == [0, *best, 8]


def test_a_small_library_gives_a_shorter_path(lib):
    hits = lib.playlist(start=1, end=20, length=20, where="n < 3")
    assert 3 <= len(hits) <= 6
    assert (ids(hits)[0], ids(hits)[-1]) == (1, 20)


def test_a_radio_begins_with_its_seed(lib):
    hits = lib.playlist(like=5, length=6)
    assert ids(hits)[0] == 5
    assert len(set(ids(hits))) == 6


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({}, QueryError),
        ({"start": 1}, QueryError),
        ({"start": 1, "end": 2, "like": 3}, QueryError),
        ({"start": 1, "end": 1}, QueryError),
        ({"start": 1, "end": 22}, QueryError),
        ({"start": 1, "end": 99}, QueryError),
        ({"start": 1, "end": 2, "length": 1}, UsageError),
        ({"start": 1, "end": 2, "by": "clap"}, QueryError),
    ],
)
def test_playlists_that_make_no_sense(lib, asked, error):
    with pytest.raises(error):
        lib.playlist(**asked)


def test_vectors_leave_the_silent_out_and_are_of_unit_length(lib):
    vectors = track_vectors(lib.store)
    assert 22 not in vectors.ids
    assert np.allclose(np.linalg.norm(vectors.rows, axis=1), 1, atol=1e-5)


def test_the_command_line(lib, tmp_path, capsys):
    from earmark import cli

    place = ["-l", str(lib.store.folder)]
    file = tmp_path / "list.m3u"
    assert (
        cli.run(["recommend", "--like", "3", "-k", "2", "--m3u", str(file), "--json", *place]) == 0
    )
    answer = json.loads(capsys.readouterr().out)
    assert [set(hit) >= {"track", "path", "score", "by"} for hit in answer["hits"]] == [True] * 2
    assert file.read_text().startswith("#EXTM3U")
    assert cli.run(["playlist", "--from", "1", "--to", "9", "--length", "4", "--json", *place]) == 0
    assert len(json.loads(capsys.readouterr().out)["hits"]) == 4
    assert cli.run(["playlist", "--from", "1", *place]) == 2
    assert "hint:" in capsys.readouterr().err
