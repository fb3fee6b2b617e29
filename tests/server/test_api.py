"""The addresses under /api/v1: what they answer, and what they say of wrong questions."""

from __future__ import annotations

import csv
import io
import json
import time
import wave
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import audio_factory as af
import earmark
import fake_tagger
from earmark import audio
from earmark.server.problems import PROBLEM_TYPE

API = "/api/v1"


def problem(answer, status: int, *words: str) -> dict:
    """The problem document of an answer that must be one."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == PROBLEM_TYPE
    document = answer.json()
    assert {"type", "title", "status", "detail"} <= set(document)
    assert document["status"] == status
    for word in words:
        assert word in document["detail"]
    return document


@pytest.fixture
def clip(music):
    return (music / "Ada" / "First" / "1.flac").read_bytes()


# --- the library -------------------------------------------------------------------------------


def test_a_server_is_warm_before_it_is_asked(asks, library, tmp_path):
    served = asks(library).app.state.served
    assert served.media.pids() == []
    served.warm()
    assert len(served.media.pids()) == 1
    assert "timbre" in served.library._encoders
    with earmark.open(tmp_path / "empty"):
        pass
    asks(tmp_path / "empty").app.state.served.warm()
    served.library.close()
    served.warm()  # too late is no fault


def test_health_and_library(client):
    assert client.get(f"{API}/health").json() == {
        "status": "ok",
        "version": earmark.__version__,
    }
    document = client.get(f"{API}/library").json()
    assert (document["name"], document["tracks"], document["read_only"]) == ("library", 6, False)
    assert {e["name"] for e in document["encoders"]} >= {"timbre", "fingerprint"}
    assert document["can"]["text"]
    assert document["can"]["audio"]
    assert document["can"]["identify"]
    assert not document["can"]["hum"]


def test_the_page_and_the_description_need_nothing_from_elsewhere(client):
    page = client.get("/")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    docs = client.get("/docs")
    assert "/api/v1/search" in docs.text
    assert "http://" not in docs.text.replace("http://127.0.0.1", "")
    assert "https://" not in docs.text
    assert "<script" not in docs.text
    assert client.get("/docs/style.css").headers["content-type"].startswith("text/css")
    again = client.get("/docs", headers={"if-none-match": docs.headers["etag"]})
    assert again.status_code == 304


def test_metrics_count_by_route(client):
    client.get(f"{API}/tracks/1")
    text = client.get("/metrics").text
    assert "earmark_requests_total{" in text
    assert "earmark_request_seconds_bucket" in text
    assert "tracks/1" not in text


# --- searching ---------------------------------------------------------------------------------


def test_words_and_tracks(client):
    found = client.get(f"{API}/search", params={"text": "ada", "k": 2}).json()
    assert found["query"] == {"text": "ada", "k": 2}
    assert len(found["hits"]) == 2
    assert set(found["hits"][0]) == {
        *("track", "path", "score", "start", "end", "query_start", "query_end", "by"),
        *("title", "artist", "duration", "tags"),
    }
    alike = client.get(f"{API}/search", params={"like": ["1", "2#0.5-2"], "explain": 1}).json()
    assert alike["hits"][0]["ranks"]
    assert alike["query"]["like"] == ["1", "2#0.5-2"]
    other = client.get(f"{API}/search", params={"like": "1", "exclude_self": True}).json()
    assert 1 not in [hit["track"] for hit in other["hits"]]


def test_an_upload_in_every_way(client, clip):
    by_form = client.post(f"{API}/search", files={"file": clip}, data={"k": "1"}).json()
    raw = client.post(
        f"{API}/search?k=1&by=timbre", content=clip, headers={"content-type": "audio/flac"}
    ).json()
    plain = client.post(f"{API}/search?k=1", content=clip).json()
    tracks = {d["hits"][0]["track"] for d in (by_form, raw, plain)}
    assert len(tracks) == 1
    assert by_form["hits"][0]["score"] == 1.0
    without = client.post(
        f"{API}/search",
        files={"file": clip},
        data={"exclude_self": "true", "where": "duration > 0"},
    ).json()
    assert tracks.isdisjoint(hit["track"] for hit in without["hits"])
    assert without["query"]["where"] == "duration > 0"


def test_a_recording_of_a_browser(client, music, tmp_path):
    samples = audio.read(str(music / "Ada" / "First" / "1.flac")).samples
    path = af.encode(tmp_path / "recorded.webm", af_48k(samples), 48000)
    for kind in ("audio/webm;codecs=opus", "video/webm"):
        found = client.post(
            f"{API}/search?k=3", content=path.read_bytes(), headers={"content-type": kind}
        )
        assert found.status_code == 200, found.text
        assert found.json()["hits"]


def af_48k(samples):
    return audio.read_array(samples, 22050, target_rate=48000).samples


def test_within_narrows_a_former_answer(client):
    found = client.get(f"{API}/search", params={"like": "1", "within": [2, 3]}).json()
    assert {hit["track"] for hit in found["hits"]} == {2, 3}
    assert found["query"]["within"] == [2, 3]


def test_identify(client, clip):
    found = client.post(f"{API}/identify", files={"file": clip}, data={"all": "false"}).json()
    assert found["hits"][0]["path"].endswith("1.flac")
    noise = wav(af.noise(seconds=3, seed=9))
    assert client.post(f"{API}/identify", content=noise).json()["hits"] == []


def test_random_names_its_seed(client):
    first = client.get(f"{API}/random", params={"k": 3}).json()
    seed = first["query"]["seed"]
    again = client.get(f"{API}/random", params={"k": 3, "seed": seed}).json()
    assert [h["track"] for h in again["hits"]] == [h["track"] for h in first["hits"]]


def test_features_of_other_versions_say_so(client, clip, monkeypatch):
    from earmark.library import Library

    for name in ("hum", "tag", "recommend", "playlist", "duplicates", "map"):
        monkeypatch.setattr(Library, name, None, raising=False)
    problem(client.post(f"{API}/hum", content=clip), 501, "cannot hum")
    problem(client.post(f"{API}/tag", content=clip), 501, "cannot tag")
    problem(client.get(f"{API}/recommend?like=1"), 501)
    problem(client.get(f"{API}/playlist?from=1&to=2"), 501)
    problem(client.get(f"{API}/map"), 501)
    problem(client.get(f"{API}/duplicates"), 501)


# --- tracks ------------------------------------------------------------------------------------


def test_tracks_page_sort_and_filter(client):
    page = client.get(f"{API}/tracks", params={"limit": 2, "offset": 1}).json()
    assert (page["total"], page["limit"], page["offset"]) == (6, 2, 1)
    assert [track["track"] for track in page["tracks"]] == [2, 3]
    titles = [
        track["title"]
        for track in client.get(f"{API}/tracks", params={"sort": "-title"}).json()["tracks"]
    ]
    assert titles == ["Song 4", "Song 3", "Song 2", "Song 1", "", ""]
    jazz = client.get(f"{API}/tracks", params={"where": "genre = 'jazz'"}).json()
    assert jazz["total"] == 2
    one = client.get(f"{API}/tracks/1").json()
    assert one["track"] == 1
    assert one["codec"]


def test_tracks_are_not_sent_twice(client, own_library, asks):
    own = asks(own_library)
    first = own.get(f"{API}/tracks")
    tag = {"if-none-match": first.headers["etag"]}
    assert own.get(f"{API}/tracks", headers=tag).status_code == 304
    own.patch(f"{API}/tracks/1/tags", json={"mood": "calm"})
    changed = own.get(f"{API}/tracks", headers=tag)
    assert changed.status_code == 200
    assert changed.headers["etag"] != first.headers["etag"]


def test_a_search_is_not_answered_twice(asks, own_library):
    own = asks(own_library)
    first = own.get(f"{API}/search?text=ada")
    tag = {"if-none-match": first.headers["etag"]}
    assert own.get(f"{API}/search?text=ada", headers=tag).status_code == 304
    assert own.get(f"{API}/search?text=song", headers=tag).status_code == 200
    own.delete(f"{API}/tracks/1")
    assert own.get(f"{API}/search?text=ada", headers=tag).status_code == 200


def test_facets(client):
    fields = {f["name"]: f for f in client.get(f"{API}/facets").json()["fields"]}
    assert {v["value"]: v["count"] for v in fields["genre"]["values"]} == {"jazz": 2, "rock": 2}
    assert fields["year"]["type"] == "number"
    assert (fields["year"]["min"], fields["year"]["max"]) == (2001, 2004)
    some = client.get(f"{API}/facets", params={"where": "genre = 'rock'"}).json()["fields"]
    assert {v["value"] for f in some if f["name"] == "artist" for v in f["values"]} == {"Ada"}


def test_facets_have_the_labels_of_taggers(asks, tmp_path, monkeypatch):
    fake_tagger.register(monkeypatch)
    for number, (name, pitch) in enumerate([("a", 80.0), ("b", 80.0), ("c", 640.0)]):
        sound = af.tone(pitch, seconds=2, sample_rate=8000) * (1 - 0.1 * number)
        af.write_wav(tmp_path / "sounds" / f"{name}.wav", sound, 8000)
    with earmark.open(tmp_path / "library") as lib:
        lib.add(tmp_path / "sounds", encoders=["toner"], executor="serial")
        wanted = {
            label: lib.count(where=f"tag = '{label}'") for label in ("Low hum", "Bark", "Dog")
        }
    own = asks(tmp_path / "library")
    fields = {f["name"]: f for f in own.get(f"{API}/facets").json()["fields"]}
    counted = {v["value"]: v["count"] for v in fields["tag"]["values"]}
    assert {label: counted.get(label, 0) for label in wanted} == wanted
    assert counted["Low hum"] == 2
    assert fields["tag"]["distinct"] == len(counted)
    assert next(v["value"] for v in fields["tag"]["values"]) == "Low hum"
    some = own.get(f"{API}/facets", params={"where": "tag = 'Bark'"}).json()["fields"]
    values = {f["name"]: f["values"] for f in some}["tag"]
    assert {v["value"]: v["count"] for v in values}["Bark"] == 1
    assert "Low hum" not in {v["value"] for v in values}


@pytest.mark.slow
def test_a_map_is_made_by_a_job(asks, own_library):
    pytest.importorskip("umap")
    own = asks(own_library)
    problem(own.get(f"{API}/map"), 404, "no map")
    started = own.post(f"{API}/map", json={})
    assert started.status_code == 202
    job = started.json()
    assert (job["kind"], job["root"]) == ("map", "")
    problem(own.post(f"{API}/map", json={}), 409, "another job")
    assert ended(own, started.headers["location"])["report"]["tracks"] == 6
    made = own.get(f"{API}/map").json()
    assert len(made["points"]["track"]) == 6
    assert (made["missing"], made["outgrown"]) == (0, False)
    own.delete(f"{API}/tracks/1")
    assert len(own.get(f"{API}/map").json()["points"]["track"]) == 5
    unknown = own.post(f"{API}/map", json={"fresh": True, "by": ["nobody"]})
    assert "nobody" in ended(own, unknown.headers["location"], "failed")["error"]


def ended(client, address: str, state: str = "done") -> dict:
    """The job, after it ended as it should."""
    deadline = time.monotonic() + 300
    while (job := client.get(address).json())["state"] not in ("done", "failed", "cancelled"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert job["state"] == state, job
    return job


def test_a_map_is_asked_for_in_the_right_way(client):
    problem(client.post(f"{API}/map", json={"fresh": "perhaps"}), 422, "fresh")
    problem(client.post(f"{API}/map", json={"by": "timbre"}), 422, "by")
    problem(client.post(f"{API}/map", json={"by": ["x" * 100]}), 422)
    problem(client.post(f"{API}/map", json={"path": "/etc"}), 422, "path")
    problem(client.post(f"{API}/map", content=b"{"), 422)
    problem(client.post(f"{API}/map", json=[1]), 422)


def test_tags_and_removal(asks, own_library):
    own = asks(own_library)
    tagged = own.patch(f"{API}/tracks/1/tags", json={"mood": "calm", "level": 3, "genre": None})
    assert tagged.json()["tags"]["mood"] == "calm"
    assert own.get(f"{API}/tracks?where=mood%20%3D%20%27calm%27").json()["total"] == 1
    assert own.delete(f"{API}/tracks/1").json() == {"removed": 1}
    problem(own.delete(f"{API}/tracks/1"), 404, "1")
    assert own.get(f"{API}/tracks").json()["total"] == 5
    problem(own.patch(f"{API}/tracks/2/tags", json={"a\n": "b"}), 422)
    problem(own.patch(f"{API}/tracks/2/tags", json=["a"]), 422)
    problem(own.patch(f"{API}/tracks/2/tags", json={"a": {"b": 1}}), 422)


def test_changes_at_the_same_time_wait_for_each_other(asks, own_library):
    own = asks(own_library, threads=8)
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(
                lambda n: own.patch(f"{API}/tracks/{1 + n % 5}/tags", json={f"mark{n}": n}),
                range(24),
            )
        )
    assert {answer.status_code for answer in answers} == {200}
    listed = own.get(f"{API}/tracks").json()["tracks"]
    marks = {name for track in listed for name in track["tags"] if name.startswith("mark")}
    assert marks == {f"mark{n}" for n in range(24)}


def test_a_change_while_another_process_writes_is_refused(asks, own_library, monkeypatch):
    from earmark.server import context
    from earmark.stores.local.lock import writer_lock

    monkeypatch.setattr(context, "_TURN_SECONDS", 0.3)
    own = asks(own_library)
    with writer_lock(own_library):
        found = problem(own.patch(f"{API}/tracks/1/tags", json={"mood": "calm"}), 409, "writing")
        assert found["error"] == "LibraryLocked"
        problem(own.delete(f"{API}/tracks/1"), 409)
        assert own.get(f"{API}/search?like=1").status_code == 200
    assert own.delete(f"{API}/tracks/1").status_code == 200


def test_exports(client):
    asked = {"tracks": [2, 1, 999], "format": "m3u"}
    m3u = client.post(f"{API}/exports", json=asked)
    assert m3u.text.startswith("#EXTM3U")
    assert m3u.text.count("#EXTINF") == 2
    table = client.post(f"{API}/exports", json=asked | {"format": "csv"}).text
    assert [row["track"] for row in csv.DictReader(io.StringIO(table))] == ["2", "1"]
    listed = client.post(f"{API}/exports", json=asked | {"format": "json"}).json()
    assert [track["track"] for track in listed] == [2, 1]
    problem(client.post(f"{API}/exports", json=asked | {"format": "exe"}), 422, "format")
    problem(client.post(f"{API}/exports", json={"tracks": ["a"], "format": "m3u"}), 422)
    problem(client.post(f"{API}/exports", content=b"{"), 422)


# --- sound -------------------------------------------------------------------------------------


def wav(samples, rate: int = 22050) -> bytes:
    from earmark.library.notebook import wav_bytes

    return wav_bytes(earmark.Clip(np.asarray(samples, np.float32), rate))


def number_of(client, name: str) -> int:
    tracks = client.get(f"{API}/tracks?limit=100").json()["tracks"]
    return next(t["track"] for t in tracks if t["path"].endswith(name))


def test_a_file_is_sent_as_it_is_and_in_ranges(client, music):
    number = number_of(client, "First/1.flac")
    whole = (music / "Ada" / "First" / "1.flac").read_bytes()
    address = f"{API}/tracks/{number}/audio"
    answer = client.get(address)
    assert answer.content == whole
    assert answer.headers["content-type"] == "audio/flac"
    assert answer.headers["accept-ranges"] == "bytes"
    for asked, first, last in (
        ("bytes=0-9", 0, 9),
        ("bytes=100-", 100, len(whole) - 1),
        ("bytes=-7", len(whole) - 7, len(whole) - 1),
        (f"bytes=5-{10**17}", 5, len(whole) - 1),
    ):
        part = client.get(address, headers={"range": asked})
        assert part.status_code == 206
        assert part.content == whole[first : last + 1]
        assert part.headers["content-range"] == f"bytes {first}-{last}/{len(whole)}"
    for asked in (f"bytes={len(whole)}-", "bytes=9-8", "bytes=-0", f"bytes={'9' * 30}-"):
        problem(client.get(address, headers={"range": asked}), 416)
    for asked in ("bytes=a-b", "lines=1-2", "bytes=0-1,5-6", "bytes=-"):
        assert client.get(address, headers={"range": asked}).content == whole
    tag = answer.headers["etag"]
    assert client.get(address, headers={"if-none-match": tag}).status_code == 304
    other = client.get(address, headers={"range": "bytes=0-9", "if-range": '"other"'})
    assert other.status_code == 200
    head = client.head(address)
    assert head.headers["content-length"] == str(len(whole))
    assert head.content == b""


def test_what_browsers_cannot_play_is_converted(client, tmp_path):
    number = number_of(client, "Debut/1.aiff")
    answer = client.get(f"{API}/tracks/{number}/audio")
    assert answer.headers["content-type"] == "audio/flac"
    (tmp_path / "x.flac").write_bytes(answer.content)
    info = audio.probe(str(tmp_path / "x.flac"))
    assert (info.codec, info.channels, info.sample_rate) == ("flac", 2, 22050)
    original = client.get(f"{API}/tracks/{number}/audio?format=original")
    assert original.headers["content-type"] == "audio/aiff"


@pytest.mark.parametrize("form", ["wav", "flac", "opus", "mp3"])
def test_every_format_holds_the_same_sound(client, music, tmp_path, form):
    number = number_of(client, "First/2.flac")
    answer = client.get(f"{API}/tracks/{number}/audio?format={form}")
    path = tmp_path / f"x.{form}"
    path.write_bytes(answer.content)
    expected = audio.read(str(music / "Ada" / "First" / "2.flac"), sample_rate=22050).samples
    got = audio.read(str(path), sample_rate=22050).samples
    size = min(len(got), len(expected))
    assert abs(len(got) - len(expected)) < 2500
    shift = best_shift(expected[:size], got[:size])
    assert abs(shift) < 1500
    assert audio.probe(str(path)).channels == 2


def best_shift(a, b) -> int:
    spectrum = np.fft.rfft(a, 2 * len(a)).conj() * np.fft.rfft(b, 2 * len(a))
    at = int(np.argmax(np.fft.irfft(spectrum)))
    return at if at < len(a) else at - 2 * len(a)


def test_a_moment_is_cut_to_the_sample(client, music):
    number = number_of(client, "First/1.flac")
    answer = client.get(f"{API}/tracks/{number}/audio?start=0.5&end=1.25")
    assert answer.headers["content-type"] == "audio/wav"
    with wave.open(io.BytesIO(answer.content)) as file:
        assert file.getnchannels() == 2
        assert file.getframerate() == 22050
        samples = np.frombuffer(file.readframes(10**6), "<i2").reshape(-1, 2) / 32768
    assert len(samples) == round(1.25 * 22050) - round(0.5 * 22050)
    expected = audio.read(str(music / "Ada" / "First" / "1.flac"), start=0.5, end=1.25).samples
    np.testing.assert_allclose(samples.mean(axis=1), expected, atol=1e-4)
    assert (
        client.get(
            f"{API}/tracks/{number}/audio?start=0.5&end=1.25", headers={"range": "bytes=0-3"}
        ).content
        == b"RIFF"
    )
    for bad in ("start=2&end=1", "start=99", "start=nan", "start=-1", "end=0", "end=1e99"):
        problem(client.get(f"{API}/tracks/{number}/audio?{bad}"), 422)
    problem(client.get(f"{API}/tracks/{number}/audio?format=exe"), 422, "format")


def test_peaks_are_those_of_the_samples(client, music):
    number = number_of(client, "First/1.flac")
    samples = audio.read(str(music / "Ada" / "First" / "1.flac")).samples
    whole = client.get(f"{API}/tracks/{number}/peaks?points=30").json()
    assert whole["points"] == len(whole["min"]) == len(whole["max"]) == 30
    assert max(whole["max"]) == pytest.approx(samples.max(), abs=0.01)
    assert min(whole["min"]) == pytest.approx(samples.min(), abs=0.01)
    step = len(samples) / 30
    slow = [samples[round(i * step) : round((i + 1) * step)].max() for i in range(30)]
    assert np.mean(np.abs(np.array(slow) - whole["max"])) < 0.03
    near = client.get(f"{API}/tracks/{number}/peaks?points=500&start=1&end=1.5").json()
    assert near["points"] == 500
    assert max(near["max"]) == pytest.approx(samples[22050:33075].max(), abs=1e-3)
    again = client.get(f"{API}/tracks/{number}/peaks?points=30")
    tag = {"if-none-match": again.headers["etag"]}
    assert client.get(f"{API}/tracks/{number}/peaks?points=30", headers=tag).status_code == 304


def test_a_spectrogram_is_a_picture_of_the_sound(client):
    import zlib

    number = number_of(client, "First/1.flac")
    answer = client.get(f"{API}/tracks/{number}/spectrogram.png?width=64&height=32")
    assert answer.headers["content-type"] == "image/png"
    data = answer.content
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at = data.index(b"IDAT")
    size = int.from_bytes(data[at - 4 : at])
    rows = np.frombuffer(zlib.decompress(data[at + 4 : at + 4 + size]), np.uint8)
    picture = rows.reshape(32, 1 + 64 * 3)[:, 1:].reshape(32, 64, 3).astype(int).sum(axis=2)
    tone, noise = picture[:, 4:28], picture[:, 36:60]
    # A low tone is bright at the bottom only, noise everywhere.
    assert tone[-6:].mean() > 2 * tone[:10].mean()
    assert noise[:10].mean() > 2 * tone[:10].mean()


def test_a_file_that_is_gone(asks, tmp_path):
    path = af.write_wav(tmp_path / "sounds" / "a.wav", af.tone(seconds=2))
    with earmark.open(tmp_path / "library") as lib:
        lib.add(path.parent, executor="serial")
    path.unlink()
    own = asks(tmp_path / "library")
    for what in ("audio", "peaks", "spectrogram.png", "audio?format=mp3", "audio?start=0&end=1"):
        problem(own.get(f"{API}/tracks/1/{what}"), 404, "no such file")


# --- wrong questions ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/api/v1/nothing", 404),
        ("/nothing", 404),
        ("/assets/../app.py", 404),
        ("/assets/%2e%2e/app.py", 404),
        ("/assets/%2e%2e/index.html", 404),
        ("/assets/%2e%2e/%2e%2e/app.py", 404),
        ("/assets/..%2f..%2fapp.py", 404),
        ("/assets/%2fetc%2fpasswd", 404),
        ("/assets/", 404),
        ("/api/v1/search", 422),
        ("/api/v1/search?text=", 422),
        ("/api/v1/search?text=a&k=0", 422),
        ("/api/v1/search?text=a&k=99999999999999999999", 422),
        ("/api/v1/search?text=a&k=ten", 422),
        ("/api/v1/search?text=a&oops=1", 422),
        ("/api/v1/search?like=/etc/passwd", 422),
        ("/api/v1/search?like=http://example.org/a.wav", 422),
        ("/api/v1/search?like=1%23a-b", 422),
        ("/api/v1/search?like=1%232-1", 422),
        ("/api/v1/search?like=999", 404),
        ("/api/v1/search?like=999999999999999999", 404),
        ("/api/v1/search?unlike=1", 422),
        ("/api/v1/search?text=a&where=genre", 200),
        ("/api/v1/search?text=a&where=gendre%3D1", 422),
        ("/api/v1/search?text=a&where=((((", 422),
        ("/api/v1/search?text=a&where=" + "(" * 990 + "size=1" + ")" * 990, 422),
        ("/api/v1/search?text=a&where=size=" + "9" * 400, 200),
        ("/api/v1/tracks?where=size=" + "9" * 1900, 200),
        ("/api/v1/facets?where=size>-1e999", 200),
        ("/api/v1/random?where=title='" + "9" * 400 + "'", 200),
        ("/api/v1/search?text=a&by=nobody", 422),
        ("/api/v1/search?text=" + "a" * 5000, 422),
        ("/api/v1/random?k=1&seed=-1", 422),
        ("/api/v1/recommend", 422),
        ("/api/v1/playlist", 422),
        ("/api/v1/playlist?from=1", 422),
        ("/api/v1/playlist?from=1&to=2&like=3", 422),
        ("/api/v1/tracks?limit=-1", 422),
        ("/api/v1/tracks?limit=100000", 422),
        ("/api/v1/tracks?offset=9223372036854775807", 200),
        ("/api/v1/tracks?offset=9223372036854775808", 422),
        ("/api/v1/tracks?sort=colour", 422),
        ("/api/v1/tracks/0", 422),
        ("/api/v1/tracks/x", 422),
        ("/api/v1/tracks/99", 404),
        ("/api/v1/tracks/9223372036854775807", 404),
        ("/api/v1/tracks/9223372036854775808", 422),
        ("/api/v1/tracks/1/peaks?points=0", 422),
        ("/api/v1/tracks/1/peaks?points=999999", 422),
        ("/api/v1/tracks/1/peaks?start=5&end=4", 422),
        ("/api/v1/tracks/1/peaks?start=1e6", 422),
        ("/api/v1/tracks/1/peaks?end=inf", 422),
        ("/api/v1/tracks/1/spectrogram.png?width=1000000", 422),
        ("/api/v1/tracks/99/audio", 404),
        ("/api/v1/jobs/none", 404),
        ("/api/v1/jobs/..%2f..%2fetc", 404),
        ("/api/v1/jobs/none/events", 404),
    ],
)
def test_wrong_addresses_and_values(client, address, status):
    answer = client.get(address)
    if status == 200:
        assert answer.status_code == 200
    else:
        problem(answer, status)


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b'{"a":' * 50_000, b'{"tracks":[' + b"9" * 5000 + b"]}", b"\xff{}"]
)
def test_documents_that_are_meant_to_break_the_reader(client, body):
    kind = {"content-type": "application/json"}
    for method, address in (
        *(("POST", "exports"), ("POST", "jobs"), ("POST", "map"), ("PATCH", "tracks/1/tags")),
    ):
        answer = client.request(method, f"{API}/{address}", content=body, headers=kind)
        assert answer.status_code in (400, 422)
        problem(answer, answer.status_code)


def test_wrong_methods(client):
    problem(client.put(f"{API}/search"), 405)
    problem(client.delete(f"{API}/tracks"), 405)
    problem(client.post("/"), 405)
    problem(client.get(f"{API}/identify"), 405)


def test_names_that_are_no_text_come_through(asks, tmp_path):
    name = b"odd-\xff.wav"
    folder = tmp_path / "sounds"
    af.write_wav(folder / "plain.wav", af.tone(seconds=2))
    (folder / "plain.wav").rename(folder / name.decode("utf-8", "surrogateescape"))
    with earmark.open(tmp_path / "library") as lib:
        lib.add(folder, executor="serial")
    own = asks(tmp_path / "library")
    shown = own.get(f"{API}/tracks/1").content
    assert json.loads(shown)["path"].encode("utf-8", "surrogateescape").endswith(name)
    assert own.get(f"{API}/search?like=1").status_code == 200
    assert own.post(f"{API}/exports", json={"tracks": [1], "format": "m3u"}).content.endswith(
        name + b"\n"
    )
    assert own.get(f"{API}/tracks/1/peaks").status_code == 200


def test_the_description_tells_of_every_address(client):
    document = client.get("/openapi.json").json()
    paths = set(document["paths"])
    assert {f"{API}/{name}" for name in ("search", "identify", "hum", "tag", "jobs")} <= paths
    assert document["components"]["schemas"]["Problem"]["properties"]["detail"]
    for item in document["paths"].values():
        for operation in item.values():
            assert operation["description"]
