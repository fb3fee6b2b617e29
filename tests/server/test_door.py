"""Who gets in: hosts, origins, tokens, tickets, rates, and what strangers may see."""

from __future__ import annotations

import json

import pytest
from test_api import API, problem

from earmark.errors import SettingError, UsageError
from earmark.server.access import NOBODY, READER, make_ticket, of_token, shown_path
from earmark.server.config import ServerConfig
from earmark.server.guard import Buckets, host_name
from earmark.server.problems import Problem
from serving import READ, WRITE


@pytest.fixture
def closed(asks, library, cache):
    """A server with tokens, as another machine sees it."""
    return asks(
        library,
        cache,
        host="0.0.0.0",
        token_read=READ,
        token_write=WRITE,
        allowed_hosts=("music.example",),
        secret="s" * 20,
    )


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


# --- settings ----------------------------------------------------------------------------------


def test_a_server_for_others_needs_a_token():
    with pytest.raises(UsageError, match="needs a token") as error:
        ServerConfig(host="0.0.0.0")
    assert "EARMARK_TOKEN_READ" in error.value.hint
    with pytest.raises(UsageError, match="needs a token"):
        ServerConfig(host="::", token_write=WRITE)
    for host in ("127.0.0.1", "localhost", "::1", "127.8.8.8"):
        assert ServerConfig(host=host).loopback
    with pytest.raises(SettingError, match="12 or more"):
        ServerConfig(token_read="short")
    with pytest.raises(SettingError, match="differ"):
        ServerConfig(token_read=READ, token_write=READ)


@pytest.mark.parametrize(
    "values",
    [{"port": 70000}, {"workers": 0}, {"max_seconds": float("nan")}, {"requests_per_minute": -1}],
)
def test_values_outside_their_rules(values):
    with pytest.raises(UsageError, match=next(iter(values))):
        ServerConfig(**values)


def test_settings_survive_the_way_to_other_processes():
    config = ServerConfig(roots=("a=/x", "/y/music"), token_read=READ, max_seconds=3.5)
    assert ServerConfig.from_json(config.to_json()) == config
    assert config.folders == {"a": "/x", "music": "/y/music"}
    assert ServerConfig(roots=("/a/x", "/b/x")).folders == {"x": "/a/x", "x-2": "/b/x"}


# --- hosts and origins -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("127.0.0.1:8080", 200),
        ("localhost", 200),
        ("[::1]:8080", 200),
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("192.168.1.5", 421),
        ("", 421),
    ],
)
def test_only_names_of_this_server_are_answered(client, host, status):
    answer = client.get(f"{API}/health", headers={"host": host})
    assert answer.status_code == status
    if status != 200:
        problem(answer, 421, "not called")


def test_names_of_a_server_for_others(closed):
    for host, status in (("music.example:99", 200), ("10.0.0.7", 200), ("evil.example", 421)):
        assert closed.get(f"{API}/health", headers={"host": host}).status_code == status


def test_host_names():
    assert host_name("LOCALHOST.:80") == "localhost"
    assert host_name("[fe80::1]") == "fe80::1"


def test_pages_of_others_can_change_nothing(client):
    for headers in (
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ):
        for call in (client.post, client.delete, client.patch):
            problem(call(f"{API}/tracks/1", headers=headers), 403, "another site")
    own = {"origin": "http://127.0.0.1", "sec-fetch-site": "same-origin"}
    answer = client.post(f"{API}/exports", json={"tracks": [1], "format": "csv"}, headers=own)
    assert answer.status_code == 200


def test_answers_are_strict(client):
    for address in ("/", "/docs", f"{API}/tracks", "/nothing", f"{API}/tracks/1/audio"):
        headers = client.get(address).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["x-frame-options"] == "DENY"
        assert "access-control-allow-origin" not in headers
        assert "server" not in headers


# --- tokens ------------------------------------------------------------------------------------

READING = [
    *("library", "search?text=a", "tracks", "tracks/1", "facets", "random", "jobs", "map"),
    *("tracks/1/audio", "tracks/1/peaks", "duplicates", "tracks/1/spectrogram.png"),
]


@pytest.mark.parametrize("address", READING)
def test_reading_needs_a_token(closed, address):
    answer = closed.get(f"{API}/{address}")
    problem(answer, 401)
    assert answer.headers["www-authenticate"] == "Bearer"
    problem(closed.get(f"{API}/{address}", headers=bearer("wrong")), 401)
    problem(closed.get(f"{API}/{address}", headers={"authorization": f"Basic {READ}"}), 401)
    assert closed.get(f"{API}/{address}", headers=bearer(READ)).status_code in (200, 404, 501)


def test_what_is_open(closed):
    for address in ("/", "/docs", "/openapi.json", f"{API}/health"):
        assert closed.get(address).status_code == 200
    problem(closed.get("/metrics"), 401)
    assert closed.get("/metrics", headers=bearer(READ)).status_code == 200


def test_changing_needs_the_other_token(closed):
    for call, address, body in (
        ("DELETE", "tracks/99", None),
        ("PATCH", "tracks/99/tags", {"a": 1}),
        ("POST", "jobs", {"root": "none"}),
        ("POST", "map", {"fresh": 3, "by": "x"}),
        ("DELETE", "jobs/000000000000", None),
    ):
        kind = {"json": body} if body is not None else {}
        problem(closed.request(call, f"{API}/{address}", **kind), 401)
        problem(closed.request(call, f"{API}/{address}", headers=bearer(READ), **kind), 403)
        allowed = closed.request(call, f"{API}/{address}", headers=bearer(WRITE), **kind)
        assert allowed.status_code in (404, 422)


def test_loopback_with_a_token_to_write_only():
    config = ServerConfig(token_write=WRITE)
    assert of_token(None, config) == READER
    assert of_token(WRITE, config).write
    assert of_token("", ServerConfig(token_read=READ)) == NOBODY


def test_tickets_open_sounds_for_a_while(closed):
    ticket = closed.post(f"{API}/tickets", headers=bearer(READ)).json()["ticket"]
    assert closed.get(f"{API}/tracks/1/audio?ticket={ticket}").status_code == 200
    assert closed.get(f"{API}/tracks/1/peaks?ticket={ticket}").status_code == 200
    problem(closed.get(f"{API}/tracks?ticket={ticket}"), 401)
    problem(closed.delete(f"{API}/tracks/1?ticket={ticket}"), 401)
    problem(closed.get(f"{API}/tracks/1/audio?ticket={ticket[:-1]}x"), 401)
    old, _ = make_ticket("s" * 20, now=1000.0)
    foreign, _ = make_ticket("other")
    for bad in (old, foreign, "", ".", "9" * 400, "١٢٣.abc", "1.\udcff".encode("utf-8", "replace")):
        problem(closed.get(f"{API}/tracks/1/audio", params={"ticket": bad}), 401)
    problem(closed.post(f"{API}/tickets"), 401)


# --- what strangers see ------------------------------------------------------------------------


def test_readers_see_no_folders(closed, music, library):
    for address in (
        "search?text=ada",
        "search?like=1",
        "tracks",
        "tracks/1",
        "random",
        "library",
        "facets",
        "tracks/1/audio?start=99999",
        "search?text=a&where=nothing%3D1",
    ):
        text = closed.get(f"{API}/{address}", headers=bearer(READ)).text
        assert str(music) not in text, address
        assert str(library) not in text, address
        assert "/tmp" not in text, address
    owner = closed.get(f"{API}/tracks/1", headers=bearer(WRITE)).json()["path"]
    assert owner.startswith(str(music))
    asked = {"tracks": [1], "format": "m3u"}
    assert str(music) not in closed.post(f"{API}/exports", json=asked, headers=bearer(READ)).text
    assert str(music) in closed.post(f"{API}/exports", json=asked, headers=bearer(WRITE)).text


def test_readers_cannot_ask_for_folders(closed):
    asked = {"where": "path like '/home/%'", "text": "a"}
    problem(closed.get(f"{API}/search", params=asked, headers=bearer(READ)), 403, "path")
    hidden = {"where": "genre = 'x' or not (`path` like '%a%')"}
    problem(closed.get(f"{API}/tracks", params=hidden, headers=bearer(READ)), 403)
    problem(closed.get(f"{API}/facets", params=hidden, headers=bearer(READ)), 403)
    assert closed.get(f"{API}/tracks", params=hidden, headers=bearer(WRITE)).status_code == 200


def test_paths_are_shown_from_the_named_folder_on():
    config = ServerConfig(roots=("m=/srv/music",), token_read=READ)
    assert shown_path("/srv/music/a/b.wav", config, READER) == "a/b.wav"
    assert shown_path("/srv/musical/b.wav", config, READER) == "b.wav"
    assert shown_path("/x/pack.zip!/kick/1.wav", config, READER) == "1.wav"
    assert shown_path("https://host/a.wav?key=1", config, READER) == "a.wav"


def test_a_fault_of_ours_tells_nothing(asks, library, cache, monkeypatch):
    own = asks(library, cache)
    from earmark.library import Library

    def broken(self, *args, **kwargs):
        raise ZeroDivisionError("/secret/place")

    monkeypatch.setattr(Library, "random", broken)
    document = problem(own.get(f"{API}/random"), 500)
    assert "secret" not in json.dumps(document)


# --- rates -------------------------------------------------------------------------------------


def test_too_many_requests_are_refused(asks, library, cache):
    own = asks(library, cache, requests_per_minute=40)
    statuses = [own.get(f"{API}/health").status_code for _ in range(20)]
    assert statuses[:10] == [200] * 10
    assert statuses[-1] == 429
    answer = own.get(f"{API}/health")
    problem(answer, 429)
    assert int(answer.headers["retry-after"]) >= 1


def test_a_bucket_fills_again():
    buckets = Buckets(60)
    for _ in range(15):
        buckets.take("a", now=0.0)
    with pytest.raises(Problem):
        buckets.take("a", now=0.0)
    buckets.take("b", now=0.0)
    buckets.take("a", now=1.0)
    with pytest.raises(Problem):
        buckets.take("a", now=1.0)


def test_clients_that_come_once_are_forgotten():
    buckets = Buckets(60)
    for number in range(10_500):
        buckets.take(str(number), now=0.0)
    assert len(buckets._left) == 10_000


def test_a_full_house_sends_away(asks, library, cache, monkeypatch):
    own = asks(library, cache, waiting=1)
    own.app.state.served._waiting = 1
    answer = own.get(f"{API}/random")
    problem(answer, 503)
    assert answer.headers["retry-after"]


def test_what_fails_is_not_kept(client):
    served = client.app.state.served
    for number in range(50):
        answer = client.get(f"{API}/facets", params={"where": f"nothing{number} = 1"})
        problem(answer, 422)
    assert served._making == {}
    assert len(served._kept) <= 64
