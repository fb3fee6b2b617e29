"""Rules of a store about rows: nearest, exact, filtered, found by words, and in place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from earmark import where
from earmark.errors import (
    UnknownField,
)
from earmark.testing.store_cases import (
    Case,
    distances,
    record,
    refuses,
    require,
    spec_of,
)
from earmark.types import (
    AnyArray,
    EncoderSpec,
    Label,
    Metric,
    RowSpec,
    RowType,
    Scalar,
)

_COARSE = 0.01
"""What int8 may be off: numbers are kept to 1/127."""


def search(case: Case, metric: Metric, dtype: RowType) -> None:
    store = case.store
    spec = spec_of(metric=metric, dtype=dtype)
    ids, made = case.fill(spec, [3, 0, 7, 1, 40])
    rows = np.concatenate([m.rows for m in made])
    queries = case.rows(spec.rows, 4)
    compare(case, spec, queries, rows, 5, None)
    compare(case, spec, queries, rows, 100, None)
    chosen = np.concatenate([made[2].rows, made[3].rows])
    compare(case, spec, queries, chosen, 5, np.array([ids[2], ids[3]]))
    nothing = store.search("enc", queries, 2, tracks=np.zeros(0, np.int64))
    require(bool((nothing.keys == -1).all()), "no tracks allowed, none found", nothing)
    back = store.vectors("enc", store.keys("enc", ids[2]))
    coarse = _COARSE if dtype == "int8" else 1e-8
    near = np.allclose(
        back.astype(np.float64), made[2].rows.astype(np.float64), rtol=1e-3, atol=coarse
    )
    require(near, "stored rows come back", back - made[2].rows)


def compare(
    case: Case,
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
        require(found.keys.shape == shape, f"keys have the shape {shape}", found.keys.shape)
        require(found.exact or not exact, "exact search says that it is exact", found.exact)
        n = truth.shape[1]
        require(bool((found.keys[:, n:] == -1).all()), "missing rows are -1", found.keys)
        rest = found.distances[:, n:]
        require(bool(np.isinf(rest).all()), "missing rows are infinitely far", rest)
        slack = max(case.tolerance, _COARSE if spec.rows.dtype == "int8" else 0.0)
        close = np.allclose(found.distances[:, :n], truth, atol=slack, rtol=slack)
        require(close, f"the {k} nearest are found, nearest first", (found.distances, truth))


def segments_and_keys(case: Case) -> None:
    store, spec = case.store, spec_of()
    ids, made = case.fill(spec, [3, 5])
    keys = store.keys("enc", ids[1])
    require(keys.tolist() == list(range(keys[0], keys[0] + 5)), "keys are consecutive", keys)
    where_ = store.locate("enc", np.append(keys[::-1], [-1, 10**12]))
    require(where_.tracks.tolist() == [ids[1]] * 5 + [-1, -1], "keys belong to tracks", where_)
    near = np.allclose(where_.starts[:5], made[1].segments[::-1, 0], atol=1e-6)
    near = near and np.allclose(where_.ends[:5], made[1].segments[::-1, 1], atol=1e-6)
    require(near, "segments come back to the microsecond", where_)
    require(not len(store.keys("enc", 10**9)), "an unknown track has no keys", None)
    try:
        store.vectors("enc", np.array([10**12]))
    except KeyError:
        return
    raise AssertionError("vectors of a key that is not live raise KeyError; got rows")


def second_form(case: Case) -> None:
    second = RowSpec("float32", 8, "l2")
    spec = spec_of(metric="hamming", dtype="bits", refine=second)
    ids, made = case.fill(spec, [4, 6])
    refine = np.concatenate([m.refine for m in made if m.refine is not None])
    queries = case.rows(second, 3)
    codes = np.concatenate([m.rows for m in made])[:3]
    found = case.store.search("enc", codes, 3, refine=queries)
    truth = np.sort(distances("l2", queries, refine), axis=1)[:, :3]
    near = np.allclose(found.distances, truth, atol=case.tolerance)
    require(near, "few rows are ranked by the second form", (found.distances, truth))
    back = case.store.vectors("enc", case.store.keys("enc", ids[1]), form="refine")
    require(np.allclose(back, refine[4:], atol=1e-6), "the second form comes back", back)


def filters(case: Case) -> None:
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
        require(came == want, f"filter {text!r} keeps tracks {want}", came)
        require(case.store.count(expr) == len(want), f"count agrees for {text!r}", came)
    unknown = where.parse("gendre = 'jazz'")
    refuses(UnknownField, lambda: case.store.count(unknown), "unknown fields are errors")
    kinds = case.store.fields()
    shown = [kinds.get(n) for n in ("genre", "year", "bpm", "duration", "title")]
    want_kinds = ["text", "mixed", "number", "number", "text"]
    require(shown == want_kinds, "fields have types", shown)


_EXPRESSIONS = (
    "genre = 'jazz'", "genre != 'jazz'", "not genre = 'jazz'", "genre like 'j%'", "genre",
    "not genre", "year = 1999", "year = '1999'", "year > 2000", "year >= '2005'", "bpm",
    "year in (1999, 2005)", "year not in (1999)", "bpm between 100 and 130", "genre is null",
    "duration < 2 or title = 'Song 4'", "duration >= 1 and (genre = 'rock' or not bpm)",
    "note = 'it''s 100% \"odd\"'", "note like '%100\\%'", "path like '/m/_.WAV'",
    "path = '/m/3.wav'", "path in ('/m/3.wav', 'x')", "duration = 3", "duration != 3",
    "title > 'Song 2'", "bpm < 'x'", "year like '199_'",
)  # fmt: skip


def words(case: Case) -> None:
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
        require(came == want, f"words {text!r} find {want}", came)
    none = store.find_text("mingus", 5, where=where.parse("genre = 'rock'"))
    require(none == [], "words obey the filter", none)
    with store.writer() as writer:
        writer.set_tags(rain, {"scene": "waterfall"})
        writer.remove_tracks([bass])
        writer.commit()
    require(store.find_text("mingus", 5) == [], "removed tracks are not found", None)
    require(len(store.find_text("waterfall", 5)) == 1, "new tags are found", None)


def labels(case: Case) -> None:
    store, spec = case.store, spec_of()
    given = [
        {"Dog": [(0.0, 5.0, 0.2), (5.0, 10.0, 0.9)], "Bark": [(5.0, 10.0, 0.5)]},
        {"Rain on surface": [(0.0, 5.0, 0.7)], "Dog": [(0.0, 5.0, 0.3)]},
        {},
    ]
    with store.writer() as writer:
        writer.put_encoder(spec, {})
        ids = [
            writer.put_track(
                record(f"/l/{i}.wav", year=i), {"enc": replace(case.encoded(spec, 2), labels=own)}
            )
            for i, own in enumerate(map(label_values, given))
        ]
        copy = writer.copy_track(record("/l/copy.wav", year=9), ids[0], ["enc"])
        writer.commit()
    back = store.labels([*ids, copy])
    require(set(back) == {ids[0], ids[1], copy}, "tracks without labels are left out", set(back))
    for track in (ids[0], copy):
        names = [(label.name, round(label.score, 4)) for label in back[track]["enc"]]
        require(names == [("Dog", 0.9), ("Bark", 0.5)], "labels come back, best first", names)
        near = np.allclose(back[track]["enc"][0].moments, given[0]["Dog"], atol=1e-4)
        require(near, "moments come back", back[track]["enc"][0].moments)
    scored = [[(label.name, label.score) for label in label_values(g)] for g in [*given, given[0]]]
    years = (0, 1, 2, 9)
    for text in _LABEL_EXPRESSIONS:
        expr = where.parse(text)
        want = [
            id_
            for id_, own, year in zip([*ids, copy], scored, years, strict=True)
            if where.matches(expr, {"year": year}, own)
        ]
        came = store.track_ids(expr).tolist()
        require(came == want, f"filter {text!r} keeps tracks {want}", came)
    _label_words(case, ids, copy)
    with store.writer() as writer:
        writer.put_track(record("/l/0.wav"), {"enc": case.encoded(spec, 1)})
        writer.remove_tracks([copy])
        writer.commit()
    gone = set(store.labels([*ids, copy]))
    require(gone == {ids[1]}, "labels go with their rows and tracks", gone)
    require(store.verify() == [], "all is sound", store.verify())


def _label_words(case: Case, ids: list[int], copy: int) -> None:
    store = case.store
    for text, want in {
        "dog": [ids[0], copy, ids[1]],
        "a dog BARKING far away": [ids[0], copy, ids[1]],
        "rains": [ids[1]],
        "rain dog": [ids[1], ids[0], copy],
        "on": [],
        "": [],
        '"; drop table labels --': [],
    }.items():
        came = [m.track for m in store.find_labels(text, 5)]
        require(came == want, f"words {text!r} find the labels of {want}", came)
    best = store.find_labels("barking", 1)[0]
    require((best.start, best.end) == (5.0, 10.0), "with the moment that has them", best)
    some = store.find_labels("dog", 5, where=where.parse("year = 1"))
    require([m.track for m in some] == [ids[1]], "labels obey the filter", some)


def label_values(given: Mapping[str, Sequence[tuple[float, float, float]]]) -> tuple[Label, ...]:
    """Return labels for tests from their moments by name."""
    return tuple(
        Label(name, max(m[2] for m in moments), np.array(moments, np.float64))
        for name, moments in given.items()
    )


_LABEL_EXPRESSIONS = (
    "tag = 'Dog'", "tag = 'Dog' and score > .5", "tag = 'Dog' and score < .5", "not tag = 'Dog'",
    "score > .8", "tag = 'Dog' and tag = 'Bark'", "tag = 'Dog' and score > .2 and tag = 'Bark'",
    "tag = 'Bark' and score > .6", "(tag = 'Bark' or tag = 'Rain on surface') and score >= .6",
    "tag = 'Dog' and year > 0", "year = 0 or tag like 'rain%'", "tag in ('Bark', 'x')", "tag",
    "not tag", "score > .4 and tag = 'Dog'", "tag = 'Dog' and score between .25 and .35",
    "tag = 'dog'", "not (tag = 'Dog' and score > .5)", "TAG = 'Dog' and Score > .5",
)  # fmt: skip


def many_tracks(case: Case) -> None:
    """More tracks and rows than fit one statement, one block or one shard."""
    store = case.store
    spec = spec_of(metric="hamming", dtype="bits", ndim=16)
    ids, made = case.fill(spec, [50] * 1500)
    rows = np.concatenate([m.rows for m in made])
    queries = case.rows(spec.rows, 2)
    compare(case, spec, queries, rows, 7, None)
    half = np.array(ids[::2])
    compare(case, spec, queries, np.concatenate([m.rows for m in made[::2]]), 7, half)
    keys = store.search("enc", queries, 300).keys[0]
    tracks = store.locate("enc", keys).tracks
    require(bool(np.isin(tracks, ids).all()), "all keys belong to tracks", tracks)
    require(len(store.tracks(ids)) == 1500, "all tracks are given at once", None)


def compaction(case: Case) -> None:
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
    require(same, "compaction changes no distance", (before, after))
    require(store.stats().spaces[0].dead_rows == 0, "no dead row is left", store.stats())
    found = store.locate("enc", old)
    require(found.tracks.tolist() in ([ids[2]] * 5, [-1] * 5), "old keys mislead nobody", found)
    store.rebuild()
    require(store.verify() == [], "all is sound", store.verify())


def rule(metric: Metric, dtype: RowType) -> Callable[[Case], None]:
    return lambda case: search(case, metric, dtype)
