"""The map: layout, placing without moving, groups and names, pictures, the page."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import audio_factory as af
import earmark
from earmark.errors import QueryError
from earmark.library.maps import charting, clusters, drawing, layout, page
from earmark.stores import open_store
from earmark.types import AudioInfo, Encoded, EncoderSpec, Label, RowSpec, TrackRecord

INFO = AudioInfo(1.0, 8000, 1, "pcm", "wav")
SPEC = EncoderSpec("toy", "similar", RowSpec("float32", 16, "cosine"), 8000, 1.0, 1.0, "1")
NAMES = ("Dog", "Rain", "Guitar")


def blobs(count: int, *, seed: int = 0, spread: float = 0.15) -> tuple[np.ndarray, np.ndarray]:
    """Unit rows around three far points, and which point each is of."""
    rng = np.random.default_rng(seed)
    kinds = np.arange(count) % 3
    rows = np.eye(3, 16, dtype=np.float32)[kinds]
    rows = rows + rng.normal(0, spread, (count, 16)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True), kinds


def fill(store, rows, kinds, *, first: int = 0, labelled: bool = True) -> None:
    with store.writer() as writer:
        writer.put_encoder(SPEC, {})
        for number, (row, kind) in enumerate(zip(rows, kinds, strict=True), start=first):
            labels = (Label(NAMES[kind], 0.8, np.array([[0.0, 1.0, 0.8]])),) if labelled else ()
            encoded = Encoded(row[None], np.array([[0.0, 1.0]]), labels=labels)
            name = f"{NAMES[kind].lower()} <{number}> & co.wav"
            record = TrackRecord(f"/t/{name}", f"h{number}", 1, 1, INFO)
            writer.put_track(record, {"toy": encoded})
        writer.commit()


@pytest.fixture
def lib(tmp_path: Path):
    """Ninety sounds of three kinds, and a silent one."""
    store = open_store(str(tmp_path / "library"), create=True)
    fill(store, *blobs(90))
    with store.writer() as writer:
        writer.put_track(TrackRecord("/t/still.wav", "hs", 1, 1, INFO), {})
        writer.commit()
    store.close()
    with earmark.open(tmp_path / "library") as library:
        yield library


def tracks_of(lib, made):
    return {t.id: t for t in lib.store.tracks(made.tracks.tolist())}


# --- layout -------------------------------------------------------------------------------------


def test_few_tracks_are_laid_out_without_a_package():
    rows, _ = blobs(12)
    places = layout.lay_out(rows, seed=0)
    assert places.shape == (12, 2)
    assert np.abs(places).max() <= 1
    assert layout.lay_out(rows[:1], seed=0).tolist() == [[0.0, 0.0]]


def test_components_are_those_of_the_covariance():
    rng = np.random.default_rng(0)
    rows = (rng.normal(size=(200, 5)) * [5, 3, 1, 0.5, 0.1]).astype(np.float32)
    found = layout.components(rows, 2)
    left, values, _ = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)
    assert np.allclose(np.abs(found), np.abs(left[:, :2] * values[:2]), atol=1e-2)


def test_nearest_agrees_with_looking_at_all():
    rows, _ = blobs(60)
    found, away = layout.nearest(rows, rows[:7], 4)
    table = np.linalg.norm(rows[:7, None] - rows[None], axis=2)
    assert np.allclose(away, np.sort(table, axis=1)[:, :4], atol=1e-3)
    assert found[:, 0].tolist() == list(range(7))


def test_new_tracks_lie_by_their_like():
    rows, kinds = blobs(60)
    places = np.array([[-1, -1], [1, -1], [0, 1]], np.float32)[kinds]
    more, more_kinds = blobs(9, seed=1)
    placed, near = layout.place(rows, places, more, seed=0)
    assert (kinds[near[:, 0]] == more_kinds).all()
    wanted = np.array([[-1, -1], [1, -1], [0, 1]], np.float32)[more_kinds]
    assert np.abs(placed - wanted).max() < 0.1


# --- the map in the library ---------------------------------------------------------------------


@pytest.mark.slow
def test_like_sounds_form_named_groups(lib):
    made = lib.map()
    assert len(made) == 90  # the silent one has no place
    assert {c.name for c in made.clusters} == set(NAMES)
    kinds = np.arange(90) % 3
    for cluster in made.clusters:
        members = made.groups == cluster.id
        assert len(set(kinds[members])) == 1
        assert cluster.size == int(members.sum())


@pytest.mark.slow
def test_the_map_is_kept_and_later_sounds_move_nothing(lib):
    first = lib.map()
    again = lib.map()
    assert again.added == 0
    assert np.array_equal(again.places, first.places)
    fill(lib.store, *blobs(9, seed=5), first=100)
    lib.remove([3])
    grown = lib.map()
    assert (len(grown), grown.added) == (98, 9)
    stayed = np.isin(first.tracks, grown.tracks)
    at = np.searchsorted(grown.tracks, first.tracks[stayed])
    assert np.array_equal(grown.places[at], first.places[stayed])
    assert np.array_equal(charting.load(lib.store).places, grown.places)
    assert lib.store.verify() == []
    fresh = lib.map(fresh=True)
    assert not np.array_equal(fresh.places[at], first.places[stayed])


def test_names_are_never_drawn_over_one_another():
    rng = np.random.default_rng(0)
    groups = tuple(
        clusters.Cluster(n, f"Group number {n}", *rng.normal(0, 0.2, 2).tolist(), 40 - n)
        for n in range(30)
    )
    none = np.zeros(0, np.int64)
    made = charting.Map(none, np.zeros((0, 2), np.float32), none, groups, {}, 0)
    drawn = drawing.names_of(made)
    assert drawn[0] == (groups[0].x, groups[0].y, groups[0].name)  # the largest where it is
    assert 5 < len(drawn) < 30
    for i, (x, y, name) in enumerate(drawn):
        for x_of, y_of, other in drawn[:i]:
            wide = 0.0185 * (len(name) + len(other)) / 2
            assert abs(x - x_of) >= wide or abs(y - y_of) > 0.04
        home = next(c for c in groups if c.name == name)
        assert x == home.x
        assert abs(y - home.y) < 0.1


def test_a_file_that_changed_is_placed_anew_and_moves_nothing(tmp_path):
    store = open_store(str(tmp_path / "library"), create=True)
    rows, kinds = blobs(15)
    fill(store, rows, kinds)
    store.close()
    with earmark.open(tmp_path / "library") as lib:
        first = lib.map()
        track = lib.store.find_path("/t/dog <3> & co.wav").id
        with lib.store.writer() as writer:  # what the file holds now sounds like rain
            record = TrackRecord("/t/dog <3> & co.wav", "another", 2, 2, INFO)
            encoded = Encoded(rows[1][None], np.array([[0.0, 1.0]]))
            assert writer.put_track(record, {"toy": encoded}) == track
            writer.commit()
        second = lib.map()
        assert second.added == 1
        stayed = first.tracks != track
        assert np.array_equal(second.tracks, first.tracks)
        assert np.array_equal(second.places[stayed], first.places[stayed])
        moved, rain = second.places[~stayed][0], second.places[1]
        assert np.linalg.norm(moved - rain) < 0.3 < np.linalg.norm(moved - first.places[~stayed][0])
        again = lib.map()
        assert again.added == 0
        assert np.array_equal(again.places, second.places)


def test_a_map_of_before_contents_were_noted_is_kept(tmp_path):
    store = open_store(str(tmp_path / "library"), create=True)
    fill(store, *blobs(15))
    made = charting.chart(store, seed=0)
    arrays = {n: a for n, a in store.arrays("map").items() if n != "contents"}
    with store.writer() as writer:
        writer.put_arrays("map", arrays)
        writer.commit()
    old = charting.chart(store, seed=1)
    assert old.added == 0
    assert np.array_equal(old.places, made.places)
    store.close()


@pytest.mark.slow
def test_the_same_seed_gives_the_same_map(lib):
    first = lib.map()
    assert np.array_equal(lib.map(fresh=True).places, first.places)


def test_a_map_without_sound_is_refused(tmp_path):
    with earmark.open(tmp_path / "library") as empty, pytest.raises(QueryError):
        empty.map()


def test_a_small_library_has_one_group_named_by_its_files(tmp_path):
    store = open_store(str(tmp_path / "library"), create=True)
    fill(store, *blobs(6), labelled=False)
    made = charting.chart(store, seed=0)
    assert [c.size for c in made.clusters] == [6]
    assert made.clusters[0].name
    store.close()


def test_a_damaged_map_is_none(lib):
    with lib.store.writer() as writer:
        writer.put_arrays("map", {"about": np.frombuffer(b"{nonsense", np.uint8)})
        writer.commit()
    assert charting.load(lib.store) is None


def test_groups_of_many_come_from_a_sample(monkeypatch):
    rng = np.random.default_rng(0)
    kinds = np.arange(600) % 3
    places = np.array([[-1, -1], [1, -1], [0, 1]])[kinds] * 0.8 + rng.normal(0, 0.03, (600, 2))
    monkeypatch.setattr(clusters, "MOST", 150)
    groups = clusters.group(places.astype(np.float32), seed=0)
    assert [len(set(groups[kinds == kind]) - {-1}) for kind in range(3)] == [1, 1, 1]
    assert (groups >= 0).mean() > 0.9


# --- pictures and the page ----------------------------------------------------------------------


@pytest.fixture
def made(lib):
    """A map without a layout, for drawing."""
    tracks = lib.store.track_ids()[:12]
    places = np.random.default_rng(0).uniform(-1, 1, (12, 2)).astype(np.float32)
    groups = np.arange(12) % 3 - 1
    named = clusters.name_groups(lib.store, tracks, places, groups, seed=0)
    return charting.Map(tracks, places, groups, named, {"toy": "1"}, 12)


def test_the_picture_has_all_points_and_escapes_names(lib, made):
    root = ElementTree.fromstring(drawing.svg(made, tracks_of(lib, made)))
    space = "{http://www.w3.org/2000/svg}"
    points = root.findall(f"{space}circle")
    assert len(points) == 12
    assert "<0> & co" in points[0].find(f"{space}title").text
    assert len(root.findall(f"{space}text")) == 2


def test_png_and_parquet(lib, made):
    pytest.importorskip("matplotlib")
    assert drawing.png(made).startswith(b"\x89PNG")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(io.BytesIO(drawing.parquet(made, tracks_of(lib, made))))
    assert table.column("track").to_pylist() == made.tracks.tolist()
    assert np.allclose(table.column("x").to_numpy(), made.places[:, 0])


def test_the_page_needs_nothing_else_and_its_data_cannot_break_out(lib, made):
    text = page.html(made, tracks_of(lib, made))
    data = re.search(r'<script id="data" type="application/json">(.*?)</script>', text, re.S)[1]
    assert "<" not in data
    parsed = json.loads(data)
    assert "<0> & co.wav" in parsed["name"][0]
    assert parsed["sound"][0].startswith("file:///t/dog%20%3C0%3E")
    assert not re.findall(r'(?:src|href)="(?!data:)', text)
    assert "http://" not in text.replace("http://www.w3.org", "")


def test_previews_are_sounds_in_the_page(tmp_path):
    af.write_wav(tmp_path / "a.wav", af.tone(440, seconds=5.0, sample_rate=8000), 8000)
    with earmark.open(tmp_path / "library") as lib:
        lib.add(tmp_path / "a.wav", executor="serial")
        track = lib.list()[0]
        sound = page.preview(track)
        assert sound.startswith("data:audio/wav;base64,")
        assert 20_000 < len(sound) < 40_000
        (tmp_path / "a.wav").unlink()
        assert page.preview(track) == ""


@pytest.mark.browser
def test_a_click_plays_and_names_the_sound(lib, made, tmp_path):
    sync = pytest.importorskip("playwright.sync_api")
    file = tmp_path / "map.html"
    file.write_text(page.html(made, tracks_of(lib, made)), encoding="utf-8")
    with sync.sync_playwright() as tool:
        browser = tool.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        view = browser.new_page(viewport={"width": 900, "height": 700})
        errors: list[str] = []
        view.on("pageerror", lambda error: errors.append(str(error)))
        view.goto(file.as_uri())
        assert view.evaluate("[sy(1), sy(-1)]") == pytest.approx([58 + 12, 700 - 70 - 12], abs=12)
        x, y = view.evaluate("[sx(D.x[4]), sy(D.y[4])]")
        view.mouse.move(x, y)
        assert "co.wav" in view.inner_text("#tip")
        view.mouse.click(x, y)
        assert "<4> & co.wav" in view.inner_text("#name")
        assert view.evaluate("player.src").startswith("file:///t/")
        before = view.evaluate("view.zoom")
        view.mouse.wheel(0, -400)
        view.wait_for_function(f"view.zoom > {before}")
        view.fill("#find", "rain")
        assert "of 12" in view.inner_text("#count")
        browser.close()
    assert errors == []
