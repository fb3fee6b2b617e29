"""Rules of a store about tracks, tags, encoders and what a commit is."""

from __future__ import annotations

import numpy as np

from earmark.errors import (
    EncoderMismatch,
    InvalidVectors,
    TrackNotFound,
    UnknownEncoder,
)
from earmark.testing.store_cases import (
    Case,
    record,
    refuses,
    require,
    spec_of,
)
from earmark.types import (
    AnyArray,
    Encoded,
    Store,
    Writer,
)

_PATHS = ("/a/one.wav", "/a/pack.zip!/kick/01.wav", "https://host/x y.ogg", "/a/na\udce9ve.wav")


def empty(case: Case) -> None:
    store = case.store
    require(store.count() == 0, "a new store has no tracks", store.count())
    require(store.encoders() == {}, "a new store has no encoders", store.encoders())
    require(store.known() == {}, "a new store knows no paths", store.known())
    require(store.verify() == [], "a new store is sound", store.verify())
    refuses(UnknownEncoder, lambda: store.state("none"), "an unknown encoder is an error")


def tracks_round_trip(case: Case) -> Store | None:
    store = case.store
    made = [record(p, title=f"T{i}", artist="Ä", n=i, f=0.5, s="x'y") for i, p in enumerate(_PATHS)]
    with store.writer() as writer:
        ids = [writer.put_track(r, {}) for r in made]
        writer.commit()
    if case.reopen is not None:
        store = case.reopen(store)
    require(sorted(set(ids)) == ids, "ids are new and ascending", ids)
    for r, track in zip(made, store.tracks(ids), strict=True):
        same = all(getattr(track, f) == getattr(r, f) for f in r.__dataclass_fields__)
        require(same, f"a track comes back as it was put: {r}", track)
        found = store.find_path(r.path)
        require(found == track, "find_path gives the track", found)
    require(store.find_path("/a/one") is None, "find_path is exact", store.find_path("/a/one"))
    order = [t.id for t in store.tracks([ids[2], 10**9, ids[0]])]
    require(order == [ids[2], ids[0]], "tracks come in the order asked for", order)
    require(store.track_ids().tolist() == ids, "track_ids gives all", store.track_ids())
    return store


def commit_is_the_only_door(case: Case) -> None:
    store, spec = case.store, spec_of()
    with store.writer() as writer:
        writer.put_encoder(spec, {})
        writer.put_track(record("/a"), {"enc": case.encoded(spec, 3)})
        require(store.count() == 0, "nothing is visible before commit", store.count())
        writer.commit()
        require(store.count() == 1, "all is visible after commit", store.count())
        writer.put_track(record("/b"), {"enc": case.encoded(spec, 3)})
        writer.put_failure("/c", 1, 2, "broken")
        writer.set_tags(1, {"mood": "dark"})
    require(store.count() == 1, "what was not committed is dropped", store.count())
    require(set(store.known()) == {"/a"}, "uncommitted failures too", store.known())
    found = store.search("enc", case.rows(spec.rows, 1), 10)
    require(int((found.keys >= 0).sum()) == 3, "uncommitted rows are not found", found)
    require(store.verify() == [], "a dropped change leaves no damage", store.verify())


def replacing(case: Case) -> None:
    store, spec = case.store, spec_of()
    ids, _ = case.fill(spec, [3, 4])
    fresh = case.encoded(spec, 2)
    with store.writer() as writer:
        same = writer.put_track(record("/t/0.wav", title="new"), {"enc": fresh})
        gone = writer.put_track(record("/t/1.wav", content="other"), {})
        writer.commit()
    require([same, gone] == ids, "the same path keeps its id", (same, gone, ids))
    require(store.tracks([same])[0].title == "new", "metadata is replaced", store.tracks([same]))
    require(len(store.keys("enc", same)) == 2, "rows are replaced", store.keys("enc", same))
    require(not len(store.keys("enc", gone)), "other content drops rows", None)
    found = store.search("enc", fresh.rows, 10)
    require(int((found.keys[0] >= 0).sum()) == 2, "dead rows are never found", found)
    known = store.known()["/t/1.wav"]
    require(known.encoders == frozenset(), "known says what was encoded", known)


def copy_move_remove(case: Case) -> None:
    store, spec = case.store, spec_of()
    ids, made = case.fill(spec, [3, 4])
    with store.writer() as writer:
        copy = writer.copy_track(record("/copy"), ids[0], ["enc"])
        writer.move_track(ids[0], record("/t/1.wav", title="moved"))
        writer.move_track(ids[1], record("/t/0.wav"))  # so the two have swapped
        writer.commit()
    rows = store.vectors("enc", store.keys("enc", copy))
    require(np.allclose(rows, made[0].rows, atol=2e-3), "a copy has the same rows", rows)
    found = store.find_path("/t/1.wav")
    require(found is not None and found.id == ids[0], "a moved track keeps its id", found)
    require(store.count() == 3, "a swap loses nothing", store.count())
    with store.writer() as writer:
        writer.remove_tracks([ids[0]])
        writer.commit()
        refuses(TrackNotFound, lambda: writer.remove_tracks([10**9]), "unknown tracks are errors")
        another = writer.put_track(record("/later"), {})
        writer.commit()
    require(another not in (*ids, copy), "ids are never used twice", another)
    require(not len(store.keys("enc", ids[0])), "a removed track has no rows", None)
    require(len(store.keys("enc", copy)) == 3, "its copy keeps its own", store.keys("enc", copy))
    require(store.verify() == [], "all is sound", store.verify())


def encoders_and_state(case: Case) -> Store | None:
    store, spec = case.store, spec_of()
    state: dict[str, AnyArray] = {
        "a": np.arange(6, dtype=np.float32).reshape(2, 3),
        "b": np.arange(3),
    }
    with store.writer() as writer:
        writer.put_encoder(spec, state)
        writer.put_encoder(spec, state)
        other = spec_of(revision="2")
        refuses(EncoderMismatch, lambda: writer.put_encoder(other, {}), "another spec is an error")
        writer.commit()
    if case.reopen is not None:
        store = case.reopen(store)
    require(store.encoders() == {"enc": spec}, "specs come back", store.encoders())
    back = store.state("enc")
    same = set(back) == {"a", "b"} and all(
        np.array_equal(back[n], state[n]) and back[n].dtype == state[n].dtype for n in state
    )
    require(same, "state comes back as it was", back)
    with store.writer() as writer:
        track = writer.put_track(record("/a"), {"enc": case.encoded(spec, 3)})
        writer.commit()
        writer.replace_encoder(other, {})
        writer.put_track(record("/a"), {"enc": case.encoded(other, 2)})
        require(len(store.keys("enc", track)) == 3, "old rows answer until commit", None)
        writer.commit()
    require(store.encoders() == {"enc": other}, "an encoder is replaced", store.encoders())
    require(len(store.keys("enc", track)) == 2, "its old rows are gone", store.keys("enc", track))
    with store.writer() as writer:
        writer.drop_encoder("enc")
        writer.commit()
    require(store.encoders() == {}, "an encoder is dropped", store.encoders())
    return store


def door(case: Case) -> None:
    store, spec, bits = case.store, spec_of(), spec_of("bit", metric="hamming", dtype="bits")
    good = case.encoded(spec, 3)

    def put(writer: Writer, rows: AnyArray, segments_: AnyArray | None = None) -> None:
        name = "bit" if rows.dtype == np.uint8 else "enc"
        times = good.segments if segments_ is None else segments_
        writer.put_track(record("/bad"), {name: Encoded(rows, times)})

    bad = {value: good.rows.copy() for value in (np.nan, np.inf, 1e30)}
    for value, rows in bad.items():
        rows[1, 0] = value
    zero = good.rows.copy()
    zero[2] = 0
    with store.writer() as writer:
        writer.put_encoder(spec, {})
        writer.put_encoder(bits, {})
        for rows in (bad[np.nan], bad[np.inf], zero, good.rows[:, :-1], good.rows[0]):
            refuses(InvalidVectors, lambda r=rows: put(writer, r), "bad rows are refused")  # type: ignore[misc]
        refuses(
            InvalidVectors, lambda: put(writer, np.zeros((3, 3), np.uint8)), "widths are checked"
        )
        refuses(
            InvalidVectors, lambda: put(writer, good.rows, good.segments[:2]), "a segment a row"
        )
        refuses(InvalidVectors, lambda: put(writer, good.rows, good.segments[::-1]), "in order")
        stranger = {"stranger": good}
        refuses(UnknownEncoder, lambda: writer.put_track(record("/bad"), stranger), "declare first")
        writer.put_track(record("/good"), {"enc": good})
        writer.commit()
    require(set(store.known()) == {"/good"}, "a refused track leaves nothing", store.known())
    refuses(InvalidVectors, lambda: store.search("enc", zero[2:], 1), "zero queries are refused")
    refuses(InvalidVectors, lambda: store.search("enc", good.rows[:, 1:], 1), "widths are checked")


def tags(case: Case) -> None:
    store = case.store
    with store.writer() as writer:
        track = writer.put_track(record("/a", genre="rock", year=1), {})
        writer.set_tags(track, {"mood": "dark", "genre": "doom", "year": None})
        writer.commit()
        writer.put_track(record("/a", genre="rock", year=2), {})
        writer.commit()
    tags = dict(store.tracks([track])[0].tags)
    want = {"mood": "dark", "genre": "doom", "year": 2}
    require(tags == want, "the user's own tags win over the file's, and stay", tags)


def derived_arrays(case: Case) -> Store | None:
    store = case.store
    require(store.arrays("map") == {}, "there are no arrays before they are put", None)
    arrays: dict[str, AnyArray] = {"x": np.arange(4, dtype=np.float32), "n": np.arange(3)}
    with store.writer() as writer:
        writer.put_arrays("map", {"old": np.arange(2)})
        writer.put_arrays("map", arrays)
        writer.commit()
        writer.put_arrays("map", {})
    if case.reopen is not None:
        store = case.reopen(store)
    back = store.arrays("map")
    same = set(back) == set(arrays) and all(
        np.array_equal(back[n], arrays[n]) and back[n].dtype == arrays[n].dtype for n in arrays
    )
    require(same, "derived arrays come back as they were, whole", back)
    with store.writer() as writer:
        writer.put_arrays("map", {})
        writer.commit()
    require(store.arrays("map") == {}, "an empty mapping drops them", store.arrays("map"))
    return store


def failures(case: Case) -> None:
    store = case.store
    with store.writer() as writer:
        writer.put_failure("/x\udcff", 5, 6, "cut off")
        writer.put_failure("/y", 5, 6, "empty")
        writer.put_failure("/z", 5, 6, "empty")
        writer.put_track(record("/y"), {})
        writer.clear_failures(["/z"])
        writer.commit()
    known = store.known()
    require(set(known) == {"/x\udcff", "/y"}, "failures are known until cleared", known)
    failed, good = known["/x\udcff"], known["/y"]
    require((failed.track, failed.error) == (None, "cut off"), "with their reason", failed)
    require(good.error == "" and good.track is not None, "success clears a failure", good)
    require(store.stats().failures == 1, "they are counted", store.stats())
