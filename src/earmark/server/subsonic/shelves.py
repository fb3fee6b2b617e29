"""Artists and albums, made of tags; what has none stands under the name of its folder."""

from __future__ import annotations

import hashlib
import unicodedata
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from earmark.server import catalogue, sounds
from earmark.server.context import Served
from earmark.sources import display_name
from earmark.types import Scalar, Track

UNKNOWN = "Unknown Artist"


@dataclass
class Album:
    """Tracks that belong together."""

    id: str
    name: str
    artist: str
    artist_id: str
    songs: list[int] = field(default_factory=list)
    places: list[tuple[int, int, str]] = field(default_factory=list)
    duration: float = 0.0
    year: int | None = None
    genre: str | None = None
    created: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the album as an `AlbumID3`."""
        return _without_none(
            {
                "id": self.id,
                "name": self.name,
                "title": self.name,
                "album": self.name,
                "isDir": True,
                "artist": self.artist,
                "artistId": self.artist_id,
                "parent": self.artist_id,
                "coverArt": self.id,
                "songCount": len(self.songs),
                "duration": round(self.duration),
                "created": moment(self.created),
                "year": self.year,
                "genre": self.genre,
            }
        )


@dataclass
class Artist:
    """Albums of one name."""

    id: str
    name: str
    albums: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return the artist as an `ArtistID3`."""
        return {
            "id": self.id,
            "name": self.name,
            "coverArt": self.albums[0] if self.albums else self.id,
            "albumCount": len(self.albums),
        }


@dataclass
class Shelves:
    """All artists and albums of a library."""

    artists: dict[str, Artist] = field(default_factory=dict)
    albums: dict[str, Album] = field(default_factory=dict)
    genres: dict[str, tuple[int, int]] = field(default_factory=dict)

    def letters(self) -> list[tuple[str, list[Artist]]]:
        """Return artists by first letter."""
        found: dict[str, list[Artist]] = {}
        for artist in sorted(self.artists.values(), key=lambda one: one.name.casefold()):
            found.setdefault(first_letter(artist.name), []).append(artist)
        return sorted(found.items())


def first_letter(name: str) -> str:
    """Return the letter under which a name is found.

    Examples
    --------
    >>> first_letter("Émile"), first_letter("99 names")
    ('E', '#')
    """
    plain = unicodedata.normalize("NFD", name.strip()[:1]).upper()[:1]
    return plain if plain.isalpha() else "#"


def moment(nanoseconds: int) -> str:
    """Return a time as the specification writes it."""
    seconds = min(max(nanoseconds // 1_000_000_000, 0), 253_402_300_799)
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def build(served: Served) -> Shelves:
    """Return the shelves of a library as it is now."""
    return served.keep(("shelves",), lambda: _build(served))


def _build(served: Served) -> Shelves:
    shelves = Shelves()
    of_genre: dict[str, set[str]] = {}
    songs_of: dict[str, int] = {}
    for track in catalogue.each_track(served, catalogue.ids_of(served, None)):
        album = _album_of(shelves, track)
        album.songs.append(track.id)
        place = (number_of(track.tags.get("disc")) or 0, number_of(track.tags.get("track")) or 0)
        album.places.append((*place, track.path))
        album.duration += track.duration
        album.created = max(album.created, track.mtime_ns)
        album.year = album.year or number_of(track.tags.get("year"))
        genre = str(track.tags.get("genre", ""))
        if genre:
            album.genre = album.genre or genre
            of_genre.setdefault(genre, set()).add(album.id)
            songs_of[genre] = songs_of.get(genre, 0) + 1
    for album in shelves.albums.values():
        order = sorted(range(len(album.songs)), key=lambda i, a=album: a.places[i])  # type: ignore[misc]
        album.songs = [album.songs[i] for i in order]
        album.places = []
    shelves.genres = {name: (songs_of[name], len(albums)) for name, albums in of_genre.items()}
    return shelves


def names_of(track: Track) -> tuple[str, str]:
    """Return the names of a track's artist and album."""
    artist = str(track.tags.get("albumartist", "")) or track.artist or UNKNOWN
    folder = track.path.rstrip("/").rpartition("/")[0]
    album = str(track.tags.get("album", "")) or display_name(folder) or "/"
    return artist, album


def ids_of(track: Track) -> tuple[str, str]:
    """Return the ids of a track's artist and album."""
    artist, album = names_of(track)
    # Two folders of one name are two albums, one album in two folders is one.
    place = "" if track.tags.get("album") else track.path.rstrip("/").rpartition("/")[0]
    return _id("ar", artist), _id("al", artist, album, place)


def _id(kind: str, *names: str) -> str:
    text = "\0".join(names).casefold().encode("utf-8", "surrogatepass")
    return f"{kind}-{hashlib.blake2b(text, digest_size=9).hexdigest()}"


def _album_of(shelves: Shelves, track: Track) -> Album:
    artist_id, album_id = ids_of(track)
    artist_name, album_name = names_of(track)
    artist = shelves.artists.setdefault(artist_id, Artist(artist_id, artist_name))
    album = shelves.albums.get(album_id)
    if album is None:
        album = Album(album_id, album_name, artist_name, artist_id)
        shelves.albums[album_id] = album
        artist.albums.append(album_id)
    return album


def number_of(value: Scalar | None) -> int | None:
    """Return a tag as a whole number, None if it is none.

    Examples
    --------
    >>> number_of("3/12"), number_of("side A")
    (3, None)
    """
    head = str(value if value is not None else "").partition("/")[0].partition(".")[0].strip()
    return int(head) if head.isascii() and head.isdecimal() and len(head) < 10 else None


def song(track: Track) -> dict[str, Any]:
    """Return a track as a `Child`; its path is made of names, not of folders."""
    artist, album = names_of(track)
    artist_id, album_id = ids_of(track)
    name = display_name(track.path)
    stem, dot, suffix = name.rpartition(".")
    title = track.title or (stem if dot else name)
    bits = round(track.info.bit_rate / 1000)
    return _without_none(
        {
            "id": str(track.id),
            "parent": album_id,
            "isDir": False,
            "title": title,
            "album": album,
            "artist": track.artist or artist,
            "albumId": album_id,
            "artistId": artist_id,
            "track": number_of(track.tags.get("track")),
            "discNumber": number_of(track.tags.get("disc")),
            "year": number_of(track.tags.get("year")),
            "genre": str(track.tags["genre"]) if track.tags.get("genre") else None,
            "bpm": number_of(track.tags.get("bpm")),
            "coverArt": str(track.id),
            "size": track.size,
            "contentType": sounds.media_type(track),
            "suffix": suffix.lower() if dot and len(suffix) < 8 else track.info.codec,
            "duration": max(1, round(track.duration)),
            "bitRate": bits or None,
            "samplingRate": track.info.sample_rate,
            "channelCount": track.info.channels,
            "path": f"{_plain(artist)}/{_plain(album)}/{_plain(name)}",
            "created": moment(track.mtime_ns),
            "type": "music",
            "mediaType": "song",
            "isVideo": False,
        }
    )


def _plain(name: str) -> str:
    return name.replace("/", "_")


def _without_none(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
