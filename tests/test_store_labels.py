"""Labels and derived arrays in the local store: migration, checks, mending, slow twins."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from earmark import where
from earmark.errors import DamagedLibrary, InvalidVectors
from earmark.stores.local import labels as module
from earmark.stores.local import open_local, schema
from earmark.types import AudioInfo, Encoded, EncoderSpec, Label, RowSpec, TrackRecord

INFO = AudioInfo(1.0, 8000, 1, "pcm", "wav")
SPEC = EncoderSpec("toy", "similar", RowSpec("float32", 4, "l2"), 8000, 1.0, 1.0, "1")
NAMES = ("Dog", "Bark", "Rain on surface", "White noise", "Dog growl")


SCORES = st.integers(1, 20).map(lambda n: n / 20)


def label(name: str, *moments: tuple[float, float, float]) -> Label:
    return Label(name, max(m[2] for m in moments), np.array(moments, np.float64))


def put(store, given: list[tuple[Label, ...]]) -> list[int]:
    with store.writer() as writer:
        writer.put_encoder(SPEC, {})
        ids = []
        for n, labels in enumerate(given):
            encoded = Encoded(np.ones((1, 4), np.float32), np.array([[0.0, 1.0]]), labels=labels)
            record = TrackRecord(f"/t/{n}.wav", f"h{n}", 1, 1, INFO)
            ids.append(writer.put_track(record, {"toy": encoded}))
        writer.commit()
    return ids


@pytest.fixture
def store(tmp_path: Path):
    made = open_local(tmp_path / "library", create=True)
    yield made
    made.close()


def catalog(store) -> sqlite3.Connection:
    return sqlite3.connect(store.folder / schema.CATALOG, isolation_level=None)


def test_a_library_of_format_2_gets_the_new_tables(tmp_path):
    store = open_local(tmp_path / "library", create=True)
    ids = put(store, [()])
    store.close()
    con = sqlite3.connect(tmp_path / "library" / schema.CATALOG, isolation_level=None)
    for table in ("labels", "label_words", "marks", "derived"):
        con.execute(f"drop table {table}")
    con.execute("pragma user_version = 2")
    con.close()
    with open_local(tmp_path / "library") as again:
        assert again.stats().format == 3
        assert again.track_ids().tolist() == ids
        assert again.verify() == []
        put(again, [(label("Dog", (0, 1, 0.5)),)])
        assert again.count(where.parse("tag = 'Dog'")) == 1


@pytest.mark.parametrize(
    "bad",
    [
        Label("", 0.5, np.array([[0.0, 1.0, 0.5]])),
        Label("Dog", 0.5, np.zeros((0, 3))),
        Label("Dog", float("nan"), np.array([[0.0, 1.0, 0.5]])),
        Label("Dog", 0.5, np.array([[0.0, 1.0]])),
        Label("Dog", 0.5, np.array([[0.0, 1.0, np.inf]])),
    ],
)
def test_odd_labels_are_refused_at_the_door(store, bad):
    with pytest.raises(InvalidVectors):
        put(store, [(bad,)])
    assert store.count() == 0
    with pytest.raises(InvalidVectors):
        put(store, [(label("Dog", (0, 1, 0.5)), label("Dog", (0, 1, 0.6)))])


def test_damage_is_found_and_words_are_mended(store):
    put(store, [(label("Dog", (0, 1, 0.5)),), (label("Rain on surface", (0, 1, 0.9)),)])
    con = catalog(store)
    con.execute("delete from label_words where rowid = 1")
    assert [d.name for d in store.verify()] == ["label words"]
    assert store.find_labels("dog", 5) == []
    assert any("labels" in line for line in store.rebuild())
    assert store.verify() == []
    assert len(store.find_labels("dogs", 5)) == 1
    con.execute("update marks set score = 0.99 where label = 1")
    assert [d.name for d in store.verify()] == ["marks"]
    con.execute("update marks set moments = x'00' where label = 1")
    with pytest.raises(DamagedLibrary):
        store.labels([1])
    con.close()


def test_a_damaged_array_is_told(store):
    with store.writer() as writer:
        writer.put_arrays("map", {"x": np.arange(5)})
        writer.commit()
    con = catalog(store)
    con.execute("update derived set data = x'0000000000000000'")
    con.close()
    assert [d.name for d in store.verify()] == ["derived"]
    with pytest.raises(DamagedLibrary, match="map"):
        store.arrays("map")


def test_labels_go_with_their_encoder(store):
    ids = put(store, [(label("Dog", (0, 1, 0.5)),)])
    with store.writer() as writer:
        writer.drop_encoder("toy")
        writer.commit()
    assert store.labels(ids) == {}
    assert store.verify() == []


def test_packed_moments_come_back():
    moments = np.array([[0.0, 10.0, 0.25], [36_000.5, 36_010.5, 1.0]])
    assert np.allclose(module.unpack(module.pack(moments)), moments, atol=1e-2)


def slow_find(given: dict[int, dict[str, list[tuple[float, float, float]]]], text: str):
    """The score of each track, from the definition, for words that are their own stems."""
    words = [w for w in dict.fromkeys(text.lower().split()) if w not in module._STOP_WORDS]
    known = {name for labels in given.values() for name in labels}
    having = {w: [n for n in known if w in n.lower().split()] for w in words}
    idf = {w: np.log(1 + len(known) / len(n)) for w, n in having.items() if n}
    scores = {}
    for track, labels in given.items():
        total = sum(
            weight
            * max((max(m[2] for m in labels[n]) for n in having[w] if n in labels), default=0)
            for w, weight in idf.items()
        )
        if total:
            scores[track] = total / sum(idf.values())
    return scores


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    data=st.lists(
        st.dictionaries(
            st.sampled_from(NAMES), st.integers(1, 20).map(lambda n: n / 20), max_size=4
        ),
        min_size=1,
        max_size=5,
    ),
    text=st.lists(st.sampled_from(["dog", "bark", "rain", "white", "growl", "xyz"]), max_size=4),
)
def test_words_in_labels_agree_with_the_definition(tmp_path_factory, data, text):
    store = open_local(tmp_path_factory.mktemp("s") / "library", create=True)
    given_ = [tuple(label(n, (0.0, 1.0, s)) for n, s in one.items()) for one in data]
    ids = put(store, given_)
    by_track = {
        track: {n: [(0.0, 1.0, s)] for n, s in one.items()}
        for track, one in zip(ids, data, strict=True)
    }
    want = slow_find(by_track, " ".join(text))
    found = {m.track: m.score for m in store.find_labels(" ".join(text), 10)}
    store.close()
    assert found == pytest.approx(want, abs=1e-6)
