"""What there is: artists, albums, songs, genres, lists of albums; and the server itself."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from earmark.server.subsonic import shelves
from earmark.server.subsonic.calls import Call
from earmark.server.subsonic.replies import MISSING, NOT_FOUND, Refused
from earmark.server.subsonic.shelves import Album, Artist, Shelves

Content = dict[str, Any]

_FOLDER: Content = {"id": 1, "name": "Library"}
_FAR_AWAY = "2099-12-31T00:00:00Z"
_EXTENSIONS = ("apiKeyAuthentication", "formPost", "sonicSimilarity")


def nothing(_: Call) -> Content:
    """Say that all is well."""
    return {}


def license_(_: Call) -> Content:
    """Say that the server may be used."""
    return {"license": {"valid": True, "licenseExpires": _FAR_AWAY}}


def extensions(_: Call) -> Content:
    """Name the extensions of the protocol that are understood."""
    return {"openSubsonicExtensions": [{"name": n, "versions": [1]} for n in _EXTENSIONS]}


def user(call: Call) -> Content:
    """Say what a player's user may do."""
    roles = (
        *("admin", "settings", "upload", "playlist", "coverArt", "comment", "podcast"),
        *("jukebox", "share", "videoConversion"),
    )
    return {
        "user": {
            "username": call.maybe("username") or call.maybe("u") or "earmark",
            "scrobblingEnabled": False,
            "streamRole": True,
            "downloadRole": True,
            **{f"{role}Role": False for role in roles},
            "folder": [_FOLDER["id"]],
        }
    }


def users(call: Call) -> Content:
    """Name the only user: the one who asks."""
    return {"users": {"user": [user(call)["user"]]}}


def token_info(_: Call) -> Content:
    """Say whose an API key is."""
    return {"tokenInfo": {"username": "earmark"}}


def folders(_: Call) -> Content:
    """Name the one folder that all is in."""
    return {"musicFolders": {"musicFolder": [_FOLDER]}}


def scan_status(call: Call) -> Content:
    """Say how much was indexed."""
    return {"scanStatus": {"scanning": False, "count": call.served.library.count()}}


def indexes(call: Call) -> Content:
    """List artists by letter, in the older form."""
    known = shelves.build(call.served)
    newest = max((album.created for album in known.albums.values()), default=0)
    found = [
        {"name": letter, "artist": [{"id": a.id, "name": a.name} for a in artists]}
        for letter, artists in known.letters()
    ]
    changed = newest // 1_000_000
    return {"indexes": {"ignoredArticles": "", "lastModified": changed, "index": found}}


def artists(call: Call) -> Content:
    """List artists by letter."""
    found = [
        {"name": letter, "artist": [artist.to_json() for artist in group]}
        for letter, group in shelves.build(call.served).letters()
    ]
    return {"artists": {"ignoredArticles": "", "index": found}}


def artist(call: Call) -> Content:
    """Show an artist with albums."""
    known = shelves.build(call.served)
    found = known.artists.get(call.text("id"))
    if found is None:
        raise Refused(NOT_FOUND, "no artist has this id")
    albums = [known.albums[number].to_json() for number in found.albums]
    return {"artist": found.to_json() | {"album": albums}}


def album(call: Call) -> Content:
    """Show an album with songs."""
    found = _album(call, shelves.build(call.served))
    return {"album": found.to_json() | {"song": songs(call, found.songs)}}


def directory(call: Call) -> Content:
    """Show the whole library, an artist or an album as a folder, in the older form."""
    known = shelves.build(call.served)
    number = call.text("id")
    if number == str(_FOLDER["id"]):
        every = [one for _, group in known.letters() for one in group]
        children = [_as_folder(one, number) for one in every]
        return {"directory": {"id": number, "name": _FOLDER["name"], "child": children}}
    if number in known.artists:
        of_artist = known.artists[number]
        children = [known.albums[one].to_json() for one in of_artist.albums]
        return {"directory": {"id": number, "name": of_artist.name, "child": children}}
    found = _album(call, known)
    children = songs(call, found.songs)
    return {
        "directory": {
            "id": number,
            "parent": found.artist_id,
            "name": found.name,
            "child": children,
        }
    }


def _as_folder(artist: Artist, parent: str) -> Content:
    """An artist as a `Child` that is a folder."""
    return {
        "id": artist.id,
        "parent": parent,
        "isDir": True,
        "title": artist.name,
        "artist": artist.name,
        "coverArt": artist.to_json()["coverArt"],
    }


def _album(call: Call, known: Shelves) -> Album:
    found = known.albums.get(call.text("id"))
    if found is None:
        raise Refused(NOT_FOUND, "no album has this id")
    return found


def songs(call: Call, ids: Sequence[int]) -> list[Content]:
    """Return tracks as songs."""
    return [shelves.song(track) for track in call.served.library.store.tracks(list(ids))]


def song(call: Call) -> Content:
    """Show a song."""
    return {"song": shelves.song(call.track())}


def genres(call: Call) -> Content:
    """List genres."""
    known = shelves.build(call.served).genres
    found = [
        {"value": name, "songCount": songs_, "albumCount": albums}
        for name, (songs_, albums) in sorted(known.items())
    ]
    return {"genres": {"genre": found}}


def album_list2(call: Call) -> Content:
    """List albums in an order."""
    return {"albumList2": {"album": [one.to_json() for one in _listed(call)]}}


def album_list(call: Call) -> Content:
    """List albums in an order, in the older form."""
    return {"albumList": {"album": [one.to_json() for one in _listed(call)]}}


def _listed(call: Call) -> list[Album]:
    order = call.text("type")
    known = list(shelves.build(call.served).albums.values())
    if order == "random":
        random.Random().shuffle(known)
    elif order == "newest":
        known.sort(key=lambda one: -one.created)
    elif order == "alphabeticalByName":
        known.sort(key=lambda one: one.name.casefold())
    elif order == "alphabeticalByArtist":
        known.sort(key=lambda one: (one.artist.casefold(), one.name.casefold()))
    elif order == "byYear":
        known = _by_year(call, known)
    elif order == "byGenre":
        genre = call.text("genre").casefold()
        known = [one for one in known if (one.genre or "").casefold() == genre]
    elif order in ("frequent", "recent", "starred", "highest"):
        known = []  # what was played or starred is not kept
    else:
        raise Refused(MISSING, f"there is no list of albums {order!r}")
    first = call.number("offset", 0, most=10**9)
    return known[first : first + call.number("size", 10)]


def _by_year(call: Call, known: list[Album]) -> list[Album]:
    first, last = call.number("fromYear", 0, most=9999), call.number("toYear", 9999, most=9999)
    low, high = min(first, last), max(first, last)
    dated = [(one.year, one) for one in known if one.year is not None and low <= one.year <= high]
    dated.sort(key=lambda pair: pair[0], reverse=first > last)
    return [one for _, one in dated]
