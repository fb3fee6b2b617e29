"""The table of methods, and the way of a request through it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from fastapi import FastAPI, Request
from starlette.responses import Response

from earmark.errors import EarmarkError
from earmark.server.access import NOBODY
from earmark.server.context import Served, get_access, get_served
from earmark.server.problems import Problem, of_error
from earmark.server.subsonic import browsing, finding, playing, replies
from earmark.server.subsonic.browsing import Content
from earmark.server.subsonic.calls import Call, parameters_of, who
from earmark.server.subsonic.replies import FORBIDDEN, GENERIC, NOT_FOUND, Refused

_OPEN = frozenset({"getOpenSubsonicExtensions"})

_ANSWERS: Mapping[str, Callable[[Call], Content]] = {
    "ping": browsing.nothing,
    "getLicense": browsing.license_,
    "getOpenSubsonicExtensions": browsing.extensions,
    "tokenInfo": browsing.token_info,
    "getUser": browsing.user,
    "getUsers": browsing.users,
    "getMusicFolders": browsing.folders,
    "getScanStatus": browsing.scan_status,
    "getIndexes": browsing.indexes,
    "getArtists": browsing.artists,
    "getArtist": browsing.artist,
    "getAlbum": browsing.album,
    "getMusicDirectory": browsing.directory,
    "getSong": browsing.song,
    "getGenres": browsing.genres,
    "getAlbumList": browsing.album_list,
    "getAlbumList2": browsing.album_list2,
    "search2": finding.search2,
    "search3": finding.search3,
    "getRandomSongs": finding.random_songs,
    "getSongsByGenre": finding.songs_by_genre,
    "getSimilarSongs": finding.similar_songs,
    "getSimilarSongs2": finding.similar_songs2,
    "getSonicSimilarTracks": finding.sonic_similar,
    "findSonicPath": finding.sonic_path,
    # Players ask for these when they start; there is nothing of the kind here.
    "getPlaylists": lambda _: {"playlists": {"playlist": []}},
    "getStarred": lambda _: {"starred": {}},
    "getStarred2": lambda _: {"starred2": {}},
    "getNowPlaying": lambda _: {"nowPlaying": {}},
    "getTopSongs": lambda _: {"topSongs": {}},
    "getArtistInfo": lambda _: {"artistInfo": {}},
    "getArtistInfo2": lambda _: {"artistInfo2": {}},
    "getAlbumInfo2": lambda _: {"albumInfo": {}},
    "getAlbumInfo": lambda _: {"albumInfo": {}},
    "getBookmarks": lambda _: {"bookmarks": {}},
    "getPodcasts": lambda _: {"podcasts": {}},
    "getInternetRadioStations": lambda _: {"internetRadioStations": {}},
    "getNewestPodcasts": lambda _: {"newestPodcasts": {}},
    "getShares": lambda _: {"shares": {}},
    "getVideos": lambda _: {"videos": {}},
    "getLyrics": lambda _: {"lyrics": {}},
    "getPlayQueue": browsing.nothing,
    "scrobble": browsing.nothing,
    "getLyricsBySongId": lambda _: {"lyricsList": {"structuredLyrics": []}},
}

_SENDERS: Mapping[str, Callable[[Call], Awaitable[Response]]] = {
    "stream": playing.stream,
    "download": playing.download,
    "getCoverArt": playing.cover,
}

_CHANGES = frozenset(
    {
        *("star", "unstar", "setRating", "createPlaylist", "updatePlaylist", "deletePlaylist"),
        *("startScan", "createBookmark", "deleteBookmark", "savePlayQueue", "createUser"),
        *("updateUser", "deleteUser", "changePassword", "createShare", "updateShare"),
        *("deleteShare", "jukeboxControl"),
    }
)


async def answer(request: Request) -> Response:
    """Answer a request of a player."""
    name = request.path_params["method"].removesuffix(".view")
    form = request.query_params.get("f", "xml")
    try:
        parameters = await parameters_of(request)
        form = parameters.get("f", [form])[0]
        if form not in ("xml", "json"):
            form = "xml"
            raise Refused(GENERIC, "the format must be xml or json")
        return await _answered(request, name, parameters, form)
    except Refused as error:
        return replies.refusal(error, form)
    except EarmarkError as error:
        problem = of_error(error, paths=False)
        code = NOT_FOUND if problem.status == 404 else GENERIC
        return replies.refusal(Refused(code, str(problem.detail)), form)
    except Problem as problem:
        if problem.status in (304, 413, 416, 429, 503):
            raise
        return replies.refusal(Refused(GENERIC, str(problem.detail)), form)


async def _answered(
    request: Request, name: str, parameters: dict[str, list[str]], form: str
) -> Response:
    served: Served = get_served(request)
    access = NOBODY if name in _OPEN else who(parameters, served.config, get_access(request))
    call = Call(request, served, access, parameters)
    if name in _SENDERS:
        return await _SENDERS[name](call)
    if name in _ANSWERS:
        method = _ANSWERS[name]
        return replies.reply(await served.run(lambda: method(call)), form)
    if name in _CHANGES:
        raise Refused(FORBIDDEN, "this server only plays: nothing can be changed by players")
    if name == "getPlaylist":
        raise Refused(NOT_FOUND, "there is no such playlist")
    raise Refused(GENERIC, f"this server has no method {name!r}", status=404)


def install(app: FastAPI) -> None:
    """Add ``/rest`` to an application."""
    app.add_route(
        "/rest/{method}", answer, methods=["GET", "POST", "HEAD"], include_in_schema=False
    )
