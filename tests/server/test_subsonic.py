"""OpenSubsonic, with a client library of others and by hand."""

from __future__ import annotations

import hashlib
import json
import urllib.request
from urllib.parse import urlencode
from xml.etree import ElementTree

import pytest

from earmark.server.subsonic.replies import to_xml
from serving import READ, WRITE, serving, tiny_png

libopensonic = pytest.importorskip("libopensonic")


@pytest.fixture(scope="module")
def address(library, cache):
    with serving(library, settings=cache, token_read=READ, token_write=WRITE) as url:
        yield url


@pytest.fixture(scope="module")
def player(address):
    base, _, port = address.rpartition(":")
    connection = libopensonic.Connection(base, "anybody", READ, port=int(port))
    yield connection
    connection.cleanup()


def get(address: str, method: str, **parameters: object) -> tuple[int, dict]:
    given = {"apiKey": READ, "f": "json", "v": "1.16.1", "c": "test", **parameters}
    query = urlencode({n: v for n, v in given.items() if v is not None})
    try:
        with urllib.request.urlopen(f"{address}/rest/{method}?{query}") as answer:
            return answer.status, json.load(answer)["subsonic-response"]
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)["subsonic-response"]


def test_a_player_logs_in(player, address):
    assert player.ping()
    assert player.get_license()["license"]["valid"]
    names = {extension.name for extension in player.get_open_subsonic_extensions()}
    assert names == {"apiKeyAuthentication", "formPost", "sonicSimilarity"}
    base, _, port = address.rpartition(":")
    by_key = libopensonic.Connection(base, port=int(port), api_key=WRITE)
    assert by_key.ping()
    old = libopensonic.Connection(base, "anybody", READ, port=int(port), legacy_auth=True)
    assert old.ping()
    wrong = libopensonic.Connection(base, "anybody", "wrong-wrong-wrong", port=int(port))
    with pytest.raises(libopensonic.errors.CredentialError):
        wrong.get_license()
    for one in (by_key, old, wrong):
        one.cleanup()


def test_it_browses_artists_albums_and_songs(player):
    artists = [a for index in player.get_artists().index for a in index.artist]
    assert sorted(a.name for a in artists) == ["Ada", "Unknown Artist"]
    ada = player.get_artist(next(a.id for a in artists if a.name == "Ada"))
    assert sorted(album.name for album in ada.album) == ["First", "Second"]
    album = player.get_album(next(a.id for a in ada.album if a.name == "First"))
    assert [song.title for song in album.song] == ["Song 1", "Song 2"]
    song = player.get_song(album.song[0].id)
    assert (song.artist, song.album, song.genre, song.track) == ("Ada", "First", "jazz", 1)
    assert (song.suffix, song.content_type, song.duration) == ("flac", "audio/flac", 3)
    assert song.channel_count == 2
    assert not song.path.startswith("/")
    genres = {genre.value: genre.song_count for genre in player.get_genres()}
    assert genres == {"jazz": 2, "rock": 2}


def test_older_players_walk_through_folders(player, address):
    (folder,) = get(address, "getMusicFolders")[1]["musicFolders"]["musicFolder"]
    assert folder["name"] == "Library"
    _, document = get(address, "getMusicDirectory", id=folder["id"])
    root = document["directory"]["child"]
    assert [(one["title"], one["isDir"]) for one in root] == [
        ("Ada", True),
        ("Unknown Artist", True),
    ]
    of_index = [a.id for index in player.get_indexes().index for a in index.artist]
    assert of_index == [one["id"] for one in root]
    albums = player.get_music_directory(root[0]["id"]).child
    assert sorted(album.title for album in albums) == ["First", "Second"]
    songs = player.get_music_directory(albums[0].id).child
    assert {song.is_dir for song in songs} == {False}
    assert songs[0].parent == albums[0].id


def test_what_players_ask_for_when_they_start_is_there(address):
    for method, name in (
        *(("getPlaylists", "playlists"), ("getStarred2", "starred2"), ("getShares", "shares")),
        *(("getNowPlaying", "nowPlaying"), ("getNewestPodcasts", "newestPodcasts")),
        *(("getInternetRadioStations", "internetRadioStations"), ("getVideos", "videos")),
        *(("getScanStatus", "scanStatus"), ("getUser", "user"), ("getUsers", "users")),
        *(("getLyrics", "lyrics"), ("getBookmarks", "bookmarks"), ("getGenres", "genres")),
        *(("getArtistInfo2", "artistInfo2"), ("getAlbumInfo", "albumInfo")),
    ):
        status, document = get(address, method, id="1", username="u")
        assert (status, document["status"]) == (200, "ok"), method
        assert name in document, method
    for method in ("scrobble", "getPlayQueue"):
        assert get(address, method, id="1")[1]["status"] == "ok"


def test_a_path_from_one_sound_to_another(player):
    found = [song.id for song in player.search3("Song", song_count=4).song]
    path = player.find_sonic_path(found[0], found[-1], count=4)
    assert path[0].entry.id == found[0]
    assert path[-1].entry.id == found[-1]


def test_lists_of_albums(player):
    names = [album.name for album in player.get_album_list2("alphabeticalByName", size=500)]
    assert names == ["Debut", "First", "Second"]
    assert len(player.get_album_list2("random")) == 3
    assert [a.name for a in player.get_album_list2("byGenre", genre="rock")] == ["Second"]
    years = player.get_album_list2("byYear", from_year=2010, to_year=1990)
    assert [album.name for album in years] == ["Second", "First"]
    assert [a.name for a in player.get_album_list2("alphabeticalByName", size=1, offset=1)] == [
        "First"
    ]


def test_it_searches_words(player):
    found = player.search3("ada")
    assert [artist.name for artist in found.artist] == ["Ada"]
    assert sorted(album.name for album in found.album) == ["First", "Second"]
    assert len(found.song) == 4
    everything = player.search3("", song_count=4, song_offset=4, album_count=0, artist_count=0)
    assert len(everything.song) == 2
    assert not player.search3("zzzzzzz").song


def test_what_sounds_alike(player):
    song = player.search3("Song 1").song[0]
    similar = player.get_similar_songs2(song.id, count=3)
    assert len(similar) == 3
    assert song.id not in {one.id for one in similar}
    matches = player.get_sonic_similar_tracks(song.id, count=4)
    assert len(matches) == 4
    alike = [match.similarity for match in matches]
    assert alike == sorted(alike, reverse=True)
    assert all(0 <= one <= 1 for one in alike)
    artist = player.search3("Ada").artist[0]
    assert len(player.get_similar_songs2(artist.id, count=2)) == 2


def test_random_songs(player):
    assert len(player.get_random_songs(size=4)) == 4
    assert {song.genre for song in player.get_random_songs(size=10, genre="rock")} == {"rock"}
    assert player.get_playlists() == []


def test_it_plays(player, address, music):
    song = player.search3("Song 1").song[0]
    query = urlencode({"apiKey": READ, "id": song.id})
    whole = (music / "Ada" / "First" / "1.flac").read_bytes()
    with urllib.request.urlopen(f"{address}/rest/stream.view?{query}") as answer:
        assert answer.headers["content-type"] == "audio/flac"
        assert answer.read() == whole
    part = urllib.request.Request(
        f"{address}/rest/stream?{query}", headers={"Range": "bytes=10-19"}
    )
    with urllib.request.urlopen(part) as answer:
        assert answer.status == 206
        assert answer.read() == whole[10:20]
    with urllib.request.urlopen(f"{address}/rest/stream?{query}&format=mp3") as answer:
        assert answer.headers["content-type"] == "audio/mpeg"
        assert answer.read(3) in (b"ID3", b"\xff\xfb\x90", b"\xff\xfb\x50")
    with urllib.request.urlopen(f"{address}/rest/stream?{query}&maxBitRate=64") as answer:
        assert answer.headers["content-type"] == "audio/mpeg"
        assert int(answer.headers["content-length"]) < 3.5 * 64_000 / 8 + 4000
    with urllib.request.urlopen(f"{address}/rest/download?{query}") as answer:
        assert answer.headers["content-disposition"].endswith("1.flac")
        assert answer.read() == whole


def test_covers(player, address):
    song = player.search3("Song 1").song[0]
    for number in (song.cover_art, song.album_id):
        query = urlencode({"apiKey": READ, "id": number})
        with urllib.request.urlopen(f"{address}/rest/getCoverArt?{query}") as answer:
            assert answer.headers["content-type"] == "image/png"
            assert answer.read() == tiny_png()
    without = player.search3("Song 3").song[0]
    status, document = get(address, "getCoverArt", id=without.id)
    assert (status, document["error"]["code"]) == (404, 70)


@pytest.mark.parametrize(
    ("method", "parameters", "code"),
    [
        ("getSong", {}, 10),
        ("getSong", {"id": "999"}, 70),
        ("getSong", {"id": "../../etc/passwd"}, 70),
        ("getSong", {"id": "9" * 40}, 70),
        ("getSong", {"id": "١٢"}, 70),
        ("getAlbum", {"id": "al-none"}, 70),
        ("getArtist", {"id": ""}, 70),
        ("getAlbumList2", {"type": "odd"}, 10),
        ("getAlbumList2", {"type": "random", "size": "many"}, 10),
        ("search3", {}, 10),
        ("search3", {"query": "a", "songCount": "-1"}, 10),
        ("stream", {"id": "999"}, 70),
        ("getPlaylist", {"id": "1"}, 70),
        ("star", {"id": "1"}, 50),
        ("ping", {"apiKey": "wrong"}, 44),
        ("ping", {"u": "a"}, 43),
        ("ping", {"apiKey": None}, 10),
        ("ping", {"apiKey": None, "u": "a", "p": "enc:zz"}, 40),
        ("ping", {"apiKey": None, "u": "a", "t": "1", "s": "2"}, 40),
    ],
)
def test_what_is_wrong_is_named_by_its_number(address, method, parameters, code):
    _, document = get(address, method, **parameters)
    assert document["status"] == "failed"
    assert document["error"]["code"] == code


def test_a_method_that_is_not_there(address):
    status, document = get(address, "makeCoffee")
    assert (status, document["status"]) == (404, "failed")


def test_the_default_is_xml(address):
    digest = hashlib.md5(f"{READ}salt".encode()).hexdigest()
    query = urlencode({"u": "x", "t": digest, "s": "salt", "query": "Ada"})
    with urllib.request.urlopen(f"{address}/rest/search3.view?{query}") as answer:
        root = ElementTree.fromstring(answer.read())
    space = "{http://subsonic.org/restapi}"
    assert root.attrib["status"] == "ok"
    songs = root.findall(f"{space}searchResult3/{space}song")
    assert {song.attrib["artist"] for song in songs} == {"Ada"}
    assert songs[0].attrib["isDir"] == "false"


def test_xml_holds_any_name():
    root = ElementTree.fromstring(to_xml({"name": "a\x00\udcff<&\ufffe"}))
    assert root.attrib["name"] == "a?<&"
