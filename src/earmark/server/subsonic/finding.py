"""What to play: words, genres, chance, and what sounds alike."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence

from earmark.errors import EarmarkError
from earmark.library.hits import Hits
from earmark.server.subsonic import shelves
from earmark.server.subsonic.browsing import Content, songs
from earmark.server.subsonic.calls import Call
from earmark.server.subsonic.replies import GENERIC, NOT_FOUND, Refused
from earmark.types import Hit

_FAR = 10**9
_MOST_SEEDS = 8


def search3(call: Call) -> Content:
    """Search artists, albums and songs by words; no words find all."""
    return {"searchResult3": _search(call)}


def search2(call: Call) -> Content:
    """Search, in the older form."""
    return {"searchResult2": _search(call)}


def _search(call: Call) -> Content:
    words = call.text("query").strip().strip('"').removesuffix("*").strip()
    known = shelves.build(call.served)
    parts = words.casefold().split()

    def fits(name: str) -> bool:
        return all(part in name.casefold() for part in parts)

    artists = [one.to_json() for one in known.artists.values() if fits(one.name)]
    albums = [one.to_json() for one in known.albums.values() if fits(f"{one.name} {one.artist}")]
    first, count = call.number("songOffset", 0, most=_FAR), call.number("songCount", 20)
    return {
        "artist": _page(call, "artist", artists),
        "album": _page(call, "album", albums),
        "song": songs(call, _songs(call, words, first, count)),
    }


def _songs(call: Call, words: str, first: int, count: int) -> Sequence[int]:
    library = call.served.library
    if not words:
        return [int(i) for i in library.store.track_ids()[first : first + count]]
    most = min(first + count, 10_000)
    found = library.store.find_text(words, most) if most else []
    return [match.track for match in found[first:]]


def _page(call: Call, name: str, found: Sequence[Content]) -> Sequence[Content]:
    first = call.number(f"{name}Offset", 0, most=_FAR)
    return found[first : first + call.number(f"{name}Count", 20)]


def random_songs(call: Call) -> Content:
    """Draw songs."""
    tests = []
    if genre := call.maybe("genre"):
        tests.append(f"genre = {_quoted(genre)}")
    if call.maybe("fromYear"):
        tests.append(f"year >= {call.number('fromYear', 0, most=9999)}")
    if call.maybe("toYear"):
        tests.append(f"year <= {call.number('toYear', 9999, most=9999)}")
    fields = call.served.library.store.fields()
    if any(test.split(" ", 1)[0] not in fields for test in tests):
        return {"randomSongs": {"song": []}}
    hits = call.served.library.random(
        call.number("size", 10), seed=secrets.randbelow(2**31), where=" and ".join(tests) or None
    )
    return {"randomSongs": {"song": [shelves.song(hit.track) for hit in hits]}}


def songs_by_genre(call: Call) -> Content:
    """List the songs of a genre."""
    library = call.served.library
    genre = call.text("genre")
    if "genre" not in library.store.fields():
        return {"songsByGenre": {"song": []}}
    found = library.list(
        where=f"genre = {_quoted(genre)}",
        limit=call.number("count", 10),
        offset=call.number("offset", 0, most=_FAR),
    )
    return {"songsByGenre": {"song": [shelves.song(track) for track in found]}}


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


# --- what sounds alike -------------------------------------------------------------------------


def similar_songs2(call: Call) -> Content:
    """Suggest songs that sound like a song, an album or an artist."""
    return {"similarSongs2": {"song": _similar_songs(call)}}


def similar_songs(call: Call) -> Content:
    """Suggest songs, in the older form."""
    return {"similarSongs": {"song": _similar_songs(call)}}


def _similar_songs(call: Call) -> list[Content]:
    return [shelves.song(h.track) for h in _alike(call, _seeds(call), call.number("count", 50))]


def _seeds(call: Call) -> list[int]:
    """Tracks that stand for what the id names."""
    number = call.text("id")
    known = shelves.build(call.served)
    if number in known.artists:
        every = [s for one in known.artists[number].albums for s in known.albums[one].songs]
    elif number in known.albums:
        every = known.albums[number].songs
    else:
        return [call.track().id]
    step = max(1, len(every) // _MOST_SEEDS)
    return every[::step][:_MOST_SEEDS]


def sonic_similar(call: Call) -> Content:
    """Suggest songs that sound like a song, with how alike they are."""
    found = _alike(call, [call.track().id], call.number("count", 10))
    return {"sonicMatch": _matches(found)}


def sonic_path(call: Call) -> Content:
    """Go from one song to another in small steps."""
    first, last = call.track("startSongId"), call.track("endSongId")
    method = getattr(call.served.library, "playlist", None)
    if method is None:
        raise Refused(GENERIC, "this version of earmark makes no paths", status=501)
    length = max(2, call.number("count", 25))
    return {"sonicMatch": _matches(method(start=first.id, end=last.id, length=length))}


def _alike(call: Call, seeds: Sequence[int], count: int) -> Hits:
    if not seeds:
        raise Refused(NOT_FOUND, "nothing has this id")
    if not count:
        return Hits()
    try:
        return call.served.library.search(like=tuple(seeds), k=count, exclude_self=True)
    except EarmarkError as error:  # silence, or no encoder that compares: nothing is alike
        if error.hint is None:
            return Hits()
        raise Refused(GENERIC, f"{error}; {error.hint}") from None


def _matches(hits: Iterable[Hit]) -> list[Content]:
    return [
        {
            "entry": shelves.song(hit.track),
            "similarity": round(min(1.0, max(0.0, float(hit.score))), 4),
        }
        for hit in hits
    ]
