"""The contract of a store, as a test that any plug-in can run on its own.

Each rule is a function of its own that gets a fresh, empty store; a broken one raises
AssertionError with the rule, then what came.  Rows are synthetic and made from a seed; what a
search must find is computed here, slowly.  Recall is counted by distance, so ties are no misses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from earmark import where
from earmark.errors import (
    EarmarkError,
    EncoderMismatch,
    InvalidVectors,
    TrackNotFound,
    UnknownEncoder,
    UnknownField,
)
from earmark.types import (
    AnyArray,
    AudioInfo,
    Encoded,
    EncoderSpec,
    Float32Array,
    Float64Array,
    Metric,
    RowSpec,
    RowType,
    Scalar,
    Store,
    TrackRecord,
    Writer,
)

OpenStore = Callable[[], Store]
_METRICS: tuple[tuple[Metric, RowType], ...] = (
    ("cosine", "float16"),
    ("cosine", "float32"),
    ("inner_product", "float16"),
    ("l2", "float32"),
    ("hamming", "bits"),
)
_PATHS = ("/a/one.wav", "/a/pack.zip!/kick/01.wav", "https://host/x y.ogg", "/a/na\udce9ve.wav")


def check_store(
    open_store: OpenStore,
    *,
    reopen: Callable[[Store], Store] | None = None,
    seed: int = 0,
    tolerance: float = 2e-3,
    skip: Sequence[str] = (),
) -> list[str]:
    """Check that a store keeps its contract (`earmark.types.Store` and `Writer`).

    Parameters
    ----------
    open_store : callable
        Returns a new, empty store at every call.
    reopen : callable, optional
        Takes a store, closes it and opens it again; checks that commits last.
    seed : int
        Of the synthetic rows.
    tolerance : float
        How far a distance may be from the one computed in float64, relative to 1.
    skip : sequence of str
        Names of rules that the store is known not to keep (see what is returned).

    Returns
    -------
    list of str
        Names of the rules that were checked.

    Raises
    ------
    AssertionError
        Naming the rule that was broken.
    """
    checked = []
    for name, rule in _RULES.items():
        if name in skip:
            continue
        store = open_store()
        try:
            store = rule(_Case(store, reopen, np.random.default_rng(seed), tolerance)) or store
        finally:
            store.close()
        checked.append(name)
    return checked


class _Case:
    """A store under test with makers of synthetic content."""

    def __init__(
        self,
        store: Store,
        reopen: Callable[[Store], Store] | None,
        rng: np.random.Generator,
        tolerance: float,
    ) -> None:
        self.store = store
        self.reopen = reopen
        self.rng = rng
        self.tolerance = tolerance

    def rows(self, spec: RowSpec, count: int) -> AnyArray:
        if spec.dtype == "bits":
            return self.rng.integers(0, 256, (count, spec.width), dtype=np.uint8)
        rows: Float32Array = self.rng.standard_normal((count, spec.width), dtype=np.float32)
        if spec.metric == "cosine":
            rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return rows

    def encoded(self, spec: EncoderSpec, count: int) -> Encoded:
        refine = None if spec.refine is None else self.rows(spec.refine, count)
        return Encoded(self.rows(spec.rows, count), segments(count), refine)

    def fill(self, spec: EncoderSpec, counts: Sequence[int]) -> tuple[list[int], list[Encoded]]:
        """Commit one track per count; return ids and what was put."""
        made = [self.encoded(spec, count) for count in counts]
        with self.store.writer() as writer:
            writer.put_encoder(spec, {})
            ids = [
                writer.put_track(record(f"/t/{i}.wav"), {spec.name: m}) for i, m in enumerate(made)
            ]
            writer.commit()
        return ids, made


def segments(count: int) -> Float64Array:
    """Return windows of one second, half a second apart, shape (count, 2)."""
    starts = np.arange(count) * 0.5
    return np.stack([starts, starts + 1.0], axis=1)


def spec_of(
    name: str = "enc",
    *,
    metric: Metric = "cosine",
    dtype: RowType = "float16",
    ndim: int = 32,
    revision: str = "1",
    refine: RowSpec | None = None,
) -> EncoderSpec:
    """Return a spec for tests."""
    rows = RowSpec(dtype, ndim, metric)
    return EncoderSpec(name, "similar", rows, 16_000, 1.0, 0.5, revision, refine=refine)


def record(
    path: str,
    *,
    content: str = "",
    duration: float = 3.0,
    title: str = "",
    artist: str = "",
    **tags: Scalar,
) -> TrackRecord:
    """Return a record for tests."""
    info = AudioInfo(duration, 44_100, 2, "pcm_s16le", "wav", 1_411_200)
    return TrackRecord(path, content or f"hash of {path!r}", 1000, 7, info, title, artist, tags)


def distances(metric: Metric, queries: AnyArray, rows: AnyArray) -> Float64Array:
    """Return distances, shape (q, n): the slow twin of every store's search."""
    if metric == "hamming":
        return np.array([[_bits(q, x) for x in rows] for q in queries], np.float64)
    q, x = queries.astype(np.float64), rows.astype(np.float64)
    if metric == "l2":
        squares: Float64Array = np.square(q[:, None, :] - x[None, :, :]).sum(axis=2)
        return np.sqrt(squares)
    if metric == "cosine":
        q = q / np.linalg.norm(q, axis=1, keepdims=True)
        x = x / np.linalg.norm(x, axis=1, keepdims=True)
    products: Float64Array = q @ x.T
    return 1 - products if metric == "cosine" else -products


def _bits(a: AnyArray, b: AnyArray) -> int:
    return (int.from_bytes(a.tobytes(), "big") ^ int.from_bytes(b.tobytes(), "big")).bit_count()


def _require(holds: bool, rule: str, came: object) -> None:
    if not holds:
        raise AssertionError(f"{rule}; got {came!r}")


def _refuses(kind: type[EarmarkError], call: Callable[[], object], rule: str) -> None:
    try:
        came = call()
    except kind:
        return
    raise AssertionError(f"{rule} ({kind.__name__}); got {came!r}")


# --- the rules ---------------------------------------------------------------------------------


def _empty(case: _Case) -> None:
    store = case.store
    _require(store.count() == 0, "a new store has no tracks", store.count())
    _require(store.encoders() == {}, "a new store has no encoders", store.encoders())
    _require(store.known() == {}, "a new store knows no paths", store.known())
    _require(store.verify() == [], "a new store is sound", store.verify())
    _refuses(UnknownEncoder, lambda: store.state("none"), "an unknown encoder is an error")


def _tracks_round_trip(case: _Case) -> Store | None:
    store = case.store
    made = [record(p, title=f"T{i}", artist="Ä", n=i, f=0.5, s="x'y") for i, p in enumerate(_PATHS)]
    with store.writer() as writer:
        ids = [writer.put_track(r, {}) for r in made]
        writer.commit()
    if case.reopen is not None:
        store = case.reopen(store)
    _require(sorted(set(ids)) == ids, "ids are new and ascending", ids)
    for r, track in zip(made, store.tracks(ids), strict=True):
        same = all(getattr(track, f) == getattr(r, f) for f in r.__dataclass_fields__)
        _require(same, f"a track comes back as it was put: {r}", track)
        found = store.find_path(r.path)
        _require(found == track, "find_path gives the track", found)
    _require(store.find_path("/a/one") is None, "find_path is exact", store.find_path("/a/one"))
    order = [t.id for t in store.tracks([ids[2], 10**9, ids[0]])]
    _require(order == [ids[2], ids[0]], "tracks come in the order asked for", order)
    _require(store.track_ids().tolist() == ids, "track_ids gives all", store.track_ids())
    return store


def _commit_is_the_only_door(case: _Case) -> None:
    store, spec = case.store, spec_of()
    with store.writer() as writer:
        writer.put_encoder(spec, {})
        writer.put_track(record("/a"), {"enc": case.encoded(spec, 3)})
        _require(store.count() == 0, "nothing is visible before commit", store.count())
        writer.commit()
        _require(store.count() == 1, "all is visible after commit", store.count())
        writer.put_track(record("/b"), {"enc": case.encoded(spec, 3)})
        writer.put_failure("/c", 1, 2, "broken")
        writer.set_tags(1, {"mood": "dark"})
    _require(store.count() == 1, "what was not committed is dropped", store.count())
    _require(set(store.known()) == {"/a"}, "uncommitted failures too", store.known())
    found = store.search("enc", case.rows(spec.rows, 1), 10)
    _require(int((found.keys >= 0).sum()) == 3, "uncommitted rows are not found", found)
    _require(store.verify() == [], "a dropped change leaves no damage", store.verify())


def _search(case: _Case, metric: Metric, dtype: RowType) -> None:
    store = case.store
    spec = spec_of(metric=metric, dtype=dtype)
    ids, made = case.fill(spec, [3, 0, 7, 1, 40])
    rows = np.concatenate([m.rows for m in made])
    queries = case.rows(spec.rows, 4)
    _compare(case, spec, queries, rows, 5, None)
    _compare(case, spec, queries, rows, 100, None)
    chosen = np.concatenate([made[2].rows, made[3].rows])
    _compare(case, spec, queries, chosen, 5, np.array([ids[2], ids[3]]))
    nothing = store.search("enc", queries, 2, tracks=np.zeros(0, np.int64))
    _require(bool((nothing.keys == -1).all()), "no tracks allowed, none found", nothing)
    back = store.vectors("enc", store.keys("enc", ids[2]))
    near = np.allclose(back.astype(np.float64), made[2].rows.astype(np.float64), rtol=1e-3)
    _require(near, "stored rows come back", back - made[2].rows)


def _compare(
    case: _Case,
    spec: EncoderSpec,
    queries: AnyArray,
    rows: AnyArray,
    k: int,
    tracks: AnyArray | None,
) -> None:
    truth = np.sort(distances(spec.rows.metric, queries, rows), axis=1)[:, :k]
    for exact in (True, False):
        found = case.store.search(spec.name, queries, k, tracks=tracks, exact=exact)
        shape = (len(queries), k)
        _require(found.keys.shape == shape, f"keys have the shape {shape}", found.keys.shape)
        _require(found.exact or not exact, "exact search says that it is exact", found.exact)
        n = truth.shape[1]
        _require(bool((found.keys[:, n:] == -1).all()), "missing rows are -1", found.keys)
        rest = found.distances[:, n:]
        _require(bool(np.isinf(rest).all()), "missing rows are infinitely far", rest)
        close = np.allclose(found.distances[:, :n], truth, atol=case.tolerance, rtol=case.tolerance)
        _require(close, f"the {k} nearest are found, nearest first", (found.distances, truth))


def _segments_and_keys(case: _Case) -> None:
    store, spec = case.store, spec_of()
    ids, made = case.fill(spec, [3, 5])
    keys = store.keys("enc", ids[1])
    _require(keys.tolist() == list(range(keys[0], keys[0] + 5)), "keys are consecutive", keys)
    where_ = store.locate("enc", np.append(keys[::-1], [-1, 10**12]))
    _require(where_.tracks.tolist() == [ids[1]] * 5 + [-1, -1], "keys belong to tracks", where_)
    near = np.allclose(where_.starts[:5], made[1].segments[::-1, 0], atol=1e-6)
    near = near and np.allclose(where_.ends[:5], made[1].segments[::-1, 1], atol=1e-6)
    _require(near, "segments come back to the microsecond", where_)
    _require(not len(store.keys("enc", 10**9)), "an unknown track has no keys", None)
    try:
        store.vectors("enc", np.array([10**12]))
    except KeyError:
        return
    raise AssertionError("vectors of a key that is not live raise KeyError; got rows")


def _replacing(case: _Case) -> None:
    store, spec = case.store, spec_of()
    ids, _ = case.fill(spec, [3, 4])
    fresh = case.encoded(spec, 2)
    with store.writer() as writer:
        same = writer.put_track(record("/t/0.wav", title="new"), {"enc": fresh})
        gone = writer.put_track(record("/t/1.wav", content="other"), {})
        writer.commit()
    _require([same, gone] == ids, "the same path keeps its id", (same, gone, ids))
    _require(store.tracks([same])[0].title == "new", "metadata is replaced", store.tracks([same]))
    _require(len(store.keys("enc", same)) == 2, "rows are replaced", store.keys("enc", same))
    _require(not len(store.keys("enc", gone)), "other content drops rows", None)
    found = store.search("enc", fresh.rows, 10)
    _require(int((found.keys[0] >= 0).sum()) == 2, "dead rows are never found", found)
    known = store.known()["/t/1.wav"]
    _require(known.encoders == frozenset(), "known says what was encoded", known)


def _copy_move_remove(case: _Case) -> None:
    store, spec = case.store, spec_of()
    ids, made = case.fill(spec, [3, 4])
    with store.writer() as writer:
        copy = writer.copy_track(record("/copy"), ids[0], ["enc"])
        writer.move_track(ids[0], record("/t/1.wav", title="moved"))
        writer.move_track(ids[1], record("/t/0.wav"))  # so the two have swapped
        writer.commit()
    rows = store.vectors("enc", store.keys("enc", copy))
    _require(np.allclose(rows, made[0].rows, atol=2e-3), "a copy has the same rows", rows)
    found = store.find_path("/t/1.wav")
    _require(found is not None and found.id == ids[0], "a moved track keeps its id", found)
    _require(store.count() == 3, "a swap loses nothing", store.count())
    with store.writer() as writer:
        writer.remove_tracks([ids[0]])
        writer.commit()
        _refuses(TrackNotFound, lambda: writer.remove_tracks([10**9]), "unknown tracks are errors")
        another = writer.put_track(record("/later"), {})
        writer.commit()
    _require(another not in (*ids, copy), "ids are never used twice", another)
    _require(not len(store.keys("enc", ids[0])), "a removed track has no rows", None)
    _require(len(store.keys("enc", copy)) == 3, "its copy keeps its own", store.keys("enc", copy))
    _require(store.verify() == [], "all is sound", store.verify())


def _encoders_and_state(case: _Case) -> Store | None:
    store, spec = case.store, spec_of()
    state: dict[str, AnyArray] = {
        "a": np.arange(6, dtype=np.float32).reshape(2, 3),
        "b": np.arange(3),
    }
    with store.writer() as writer:
        writer.put_encoder(spec, state)
        writer.put_encoder(spec, state)
        other = spec_of(revision="2")
        _refuses(EncoderMismatch, lambda: writer.put_encoder(other, {}), "another spec is an error")
        writer.commit()
    if case.reopen is not None:
        store = case.reopen(store)
    _require(store.encoders() == {"enc": spec}, "specs come back", store.encoders())
    back = store.state("enc")
    same = set(back) == {"a", "b"} and all(
        np.array_equal(back[n], state[n]) and back[n].dtype == state[n].dtype for n in state
    )
    _require(same, "state comes back as it was", back)
    with store.writer() as writer:
        track = writer.put_track(record("/a"), {"enc": case.encoded(spec, 3)})
        writer.commit()
        writer.replace_encoder(other, {})
        writer.put_track(record("/a"), {"enc": case.encoded(other, 2)})
        _require(len(store.keys("enc", track)) == 3, "old rows answer until commit", None)
        writer.commit()
    _require(store.encoders() == {"enc": other}, "an encoder is replaced", store.encoders())
    _require(len(store.keys("enc", track)) == 2, "its old rows are gone", store.keys("enc", track))
    with store.writer() as writer:
        writer.drop_encoder("enc")
        writer.commit()
    _require(store.encoders() == {}, "an encoder is dropped", store.encoders())
    return store


def _door(case: _Case) -> None:
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
            _refuses(InvalidVectors, lambda r=rows: put(writer, r), "bad rows are refused")  # type: ignore[misc]
        _refuses(
            InvalidVectors, lambda: put(writer, np.zeros((3, 3), np.uint8)), "widths are checked"
        )
        _refuses(
            InvalidVectors, lambda: put(writer, good.rows, good.segments[:2]), "a segment a row"
        )
        _refuses(InvalidVectors, lambda: put(writer, good.rows, good.segments[::-1]), "in order")
        stranger = {"stranger": good}
        _refuses(
            UnknownEncoder, lambda: writer.put_track(record("/bad"), stranger), "declare first"
        )
        writer.put_track(record("/good"), {"enc": good})
        writer.commit()
    _require(set(store.known()) == {"/good"}, "a refused track leaves nothing", store.known())
    _refuses(InvalidVectors, lambda: store.search("enc", zero[2:], 1), "zero queries are refused")
    _refuses(InvalidVectors, lambda: store.search("enc", good.rows[:, 1:], 1), "widths are checked")


def _second_form(case: _Case) -> None:
    second = RowSpec("float32", 8, "l2")
    spec = spec_of(metric="hamming", dtype="bits", refine=second)
    ids, made = case.fill(spec, [4, 6])
    refine = np.concatenate([m.refine for m in made if m.refine is not None])
    queries = case.rows(second, 3)
    codes = np.concatenate([m.rows for m in made])[:3]
    found = case.store.search("enc", codes, 3, refine=queries)
    truth = np.sort(distances("l2", queries, refine), axis=1)[:, :3]
    near = np.allclose(found.distances, truth, atol=case.tolerance)
    _require(near, "few rows are ranked by the second form", (found.distances, truth))
    back = case.store.vectors("enc", case.store.keys("enc", ids[1]), form="refine")
    _require(np.allclose(back, refine[4:], atol=1e-6), "the second form comes back", back)


def _filters(case: _Case) -> None:
    tags: list[dict[str, Scalar]] = [
        {"genre": "jazz", "year": 1999, "bpm": 120.5},
        {"genre": "Jazz", "year": "1999"},
        {"genre": "rock", "year": 2005, "bpm": 0},
        {"year": "2005-06-01", "note": 'it\'s 100% "odd"'},
        {"genre": ""},
    ]
    made = [
        replace(record(f"/m/{i}.wav", duration=float(i), title=f"Song {i}"), tags=t)
        for i, t in enumerate(tags)
    ]
    with case.store.writer() as writer:
        ids = [writer.put_track(r, {}) for r in made]
        writer.commit()
    for text in _EXPRESSIONS:
        expr = where.parse(text)
        want = [
            id_
            for id_, r in zip(ids, made, strict=True)
            if where.matches(
                expr, {**r.tags, "duration": r.info.duration, "title": r.title, "path": r.path}
            )
        ]
        came = case.store.track_ids(expr).tolist()
        _require(came == want, f"filter {text!r} keeps tracks {want}", came)
        _require(case.store.count(expr) == len(want), f"count agrees for {text!r}", came)
    unknown = where.parse("gendre = 'jazz'")
    _refuses(UnknownField, lambda: case.store.count(unknown), "unknown fields are errors")
    kinds = case.store.fields()
    shown = [kinds.get(n) for n in ("genre", "year", "bpm", "duration", "title")]
    want_kinds = ["text", "mixed", "number", "number", "text"]
    _require(shown == want_kinds, "fields have types", shown)


_EXPRESSIONS = (
    "genre = 'jazz'", "genre != 'jazz'", "not genre = 'jazz'", "genre like 'j%'", "genre",
    "not genre", "year = 1999", "year = '1999'", "year > 2000", "year >= '2005'", "bpm",
    "year in (1999, 2005)", "year not in (1999)", "bpm between 100 and 130", "genre is null",
    "duration < 2 or title = 'Song 4'", "duration >= 1 and (genre = 'rock' or not bpm)",
    "note = 'it''s 100% \"odd\"'", "note like '%100\\%'", "path like '/m/_.WAV'",
    "path = '/m/3.wav'", "path in ('/m/3.wav', 'x')", "duration = 3", "duration != 3",
    "title > 'Song 2'", "bpm < 'x'", "year like '199_'",
)  # fmt: skip


def _tags(case: _Case) -> None:
    store = case.store
    with store.writer() as writer:
        track = writer.put_track(record("/a", genre="rock", year=1), {})
        writer.set_tags(track, {"mood": "dark", "genre": "doom", "year": None})
        writer.commit()
        writer.put_track(record("/a", genre="rock", year=2), {})
        writer.commit()
    tags = dict(store.tracks([track])[0].tags)
    want = {"mood": "dark", "genre": "doom", "year": 2}
    _require(tags == want, "the user's own tags win over the file's, and stay", tags)


def _words(case: _Case) -> None:
    store = case.store
    with store.writer() as writer:
        rain = writer.put_track(record("/fx/rain_on_roof.wav", title="Café Thunderstorm"), {})
        bass = writer.put_track(record("/b.wav", artist="Mingus", genre="jazz"), {})
        writer.commit()
    for text, want in {
        "thunderstorm": [rain],
        "thunder": [rain],
        "cafe ROOF": [rain],
        "thundrestorm": [rain],
        "mingus jazz": [bass],
        "mingsu": [bass],
        "mingus rain": [],
        "zzz": [],
        "": [],
        "'; drop \" table* OR (": [],
    }.items():
        came = [m.track for m in store.find_text(text, 5)]
        _require(came == want, f"words {text!r} find {want}", came)
    none = store.find_text("mingus", 5, where=where.parse("genre = 'rock'"))
    _require(none == [], "words obey the filter", none)
    with store.writer() as writer:
        writer.set_tags(rain, {"scene": "waterfall"})
        writer.remove_tracks([bass])
        writer.commit()
    _require(store.find_text("mingus", 5) == [], "removed tracks are not found", None)
    _require(len(store.find_text("waterfall", 5)) == 1, "new tags are found", None)


def _failures(case: _Case) -> None:
    store = case.store
    with store.writer() as writer:
        writer.put_failure("/x\udcff", 5, 6, "cut off")
        writer.put_failure("/y", 5, 6, "empty")
        writer.put_failure("/z", 5, 6, "empty")
        writer.put_track(record("/y"), {})
        writer.clear_failures(["/z"])
        writer.commit()
    known = store.known()
    _require(set(known) == {"/x\udcff", "/y"}, "failures are known until cleared", known)
    failed, good = known["/x\udcff"], known["/y"]
    _require((failed.track, failed.error) == (None, "cut off"), "with their reason", failed)
    _require(good.error == "" and good.track is not None, "success clears a failure", good)
    _require(store.stats().failures == 1, "they are counted", store.stats())


def _many_tracks(case: _Case) -> None:
    """More tracks and rows than fit one statement, one block or one shard."""
    store = case.store
    spec = spec_of(metric="hamming", dtype="bits", ndim=16)
    ids, made = case.fill(spec, [50] * 1500)
    rows = np.concatenate([m.rows for m in made])
    queries = case.rows(spec.rows, 2)
    _compare(case, spec, queries, rows, 7, None)
    half = np.array(ids[::2])
    _compare(case, spec, queries, np.concatenate([m.rows for m in made[::2]]), 7, half)
    keys = store.search("enc", queries, 300).keys[0]
    tracks = store.locate("enc", keys).tracks
    _require(bool(np.isin(tracks, ids).all()), "all keys belong to tracks", tracks)
    _require(len(store.tracks(ids)) == 1500, "all tracks are given at once", None)


def _compaction(case: _Case) -> None:
    store, spec = case.store, spec_of()
    ids, made = case.fill(spec, [3, 4, 5])
    old = store.keys("enc", ids[2])
    with store.writer() as writer:
        writer.remove_tracks([ids[1]])
        writer.commit()
    before = store.search("enc", made[2].rows, 3)
    store.compact()
    after = store.search("enc", made[2].rows, 3)
    same = np.array_equal(before.distances, after.distances)
    _require(same, "compaction changes no distance", (before, after))
    _require(store.stats().spaces[0].dead_rows == 0, "no dead row is left", store.stats())
    found = store.locate("enc", old)
    _require(found.tracks.tolist() in ([ids[2]] * 5, [-1] * 5), "old keys mislead nobody", found)
    store.rebuild()
    _require(store.verify() == [], "all is sound", store.verify())


def _rule(metric: Metric, dtype: RowType) -> Callable[[_Case], None]:
    return lambda case: _search(case, metric, dtype)


_RULES: dict[str, Callable[[_Case], Store | None]] = {
    "empty": _empty,
    "tracks round trip": _tracks_round_trip,
    "commit": _commit_is_the_only_door,
    **{f"search {m} {d}": _rule(m, d) for m, d in _METRICS},
    "segments and keys": _segments_and_keys,
    "replacing": _replacing,
    "copy, move, remove": _copy_move_remove,
    "encoders and state": _encoders_and_state,
    "door": _door,
    "second form": _second_form,
    "filters": _filters,
    "tags": _tags,
    "words": _words,
    "failures": _failures,
    "many tracks": _many_tracks,
    "compaction": _compaction,
}
