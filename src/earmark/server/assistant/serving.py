"""Tools and resources of the Model Context Protocol, over a pipe or over HTTP.

The official package `mcp` (2.x) speaks the protocol.  Work is done in threads, one question of a
library at a time.  Over HTTP every request first passes the same door as those of ``earmark
serve``: names of the server, pages of strangers, tokens, limits (`earmark.server.guard`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any

import anyio.to_thread
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ResourceError, ToolError
from mcp.types import ToolAnnotations
from pydantic import Field

from earmark import __version__
from earmark.errors import EarmarkError
from earmark.server.access import OWNER, READER, shown_path
from earmark.server.assistant.questions import LONGEST, Assistant
from earmark.server.config import ServerConfig
from earmark.server.media.pcm import FORMATS, formats
from earmark.server.problems import Problem

PATH = "/mcp"

_INSTRUCTIONS = """\
A library of sound recordings on this computer. Every hit is a moment (start, end in seconds) of \
a track (id) with an address of its sound (audio). Ask 'library' first: it says which kinds of \
search it can do, and which fields filters know. Scores of different 'by' cannot be compared. \
'identify' answers with no hits if the recording is not in the library: believe it."""

Recording = Annotated[
    str,
    Field(description="A track's id, or a moment of it in seconds: '12' or '12#3.5-8'."),
]
LocalRecording = Annotated[
    str,
    Field(
        description="A track's id, a moment of it in seconds ('12#3.5-8'), or the path of a file "
        "on this computer ('/music/clip.wav#0:30-0:45')."
    ),
]
Where = Annotated[
    str | None,
    Field(description="A filter over fields, e.g. genre = 'jazz' and duration < 10."),
]
Count = Annotated[int, Field(ge=1, le=100)]

_READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)


_LARGEST_QUESTION = 1_000_000
"""Bytes of one question over HTTP: names and words, never sounds."""


class Desk:
    """Passes questions to the assistant one at a time, in threads; errors become answers."""

    def __init__(self, assistant: Assistant) -> None:
        self.assistant = assistant
        self._lock = threading.Lock()

    async def ask(self, question: Callable[[], Any]) -> Any:
        """Answer; raise `ToolError` with a reason that the assistant can read."""

        def locked() -> Any:
            with self._lock:
                return question()

        try:
            return await anyio.to_thread.run_sync(locked)
        except EarmarkError as error:
            raise ToolError(_reason(error)) from error
        except Problem as error:
            raise ToolError(str(error)) from error
        except OSError as error:
            raise ToolError(f"the sound cannot be had: {error.strerror or error}") from error


def _reason(error: EarmarkError) -> str:
    return f"{error} ({error.hint})" if error.hint else str(error)


def build(assistant: Assistant) -> MCPServer[Any]:
    """Make the server of an assistant's tools and resources.

    Parameters
    ----------
    assistant : Assistant

    Returns
    -------
    MCPServer
    """
    server: MCPServer[Any] = MCPServer(
        "earmark",
        title="earmark",
        instructions=_INSTRUCTIONS,
        version=__version__,
        log_level="WARNING",
    )
    desk = Desk(assistant)
    _add_facts(server, desk)
    _add_questions(server, desk)
    _add_listening(server, desk, LocalRecording if assistant.local_files else Recording)
    _add_resources(server, desk)
    return server


def _add_facts(server: MCPServer[Any], desk: Desk) -> None:
    """The tools that say what is there."""
    assistant = desk.assistant

    async def library() -> dict[str, Any]:
        """Tell what the library holds: tracks, hours, kinds of search, fields for filters."""
        found: dict[str, Any] = await desk.ask(assistant.facts)
        return found

    async def tracks(
        where: Where = None, first: Annotated[int, Field(ge=0)] = 0, k: Count = 50
    ) -> dict[str, Any]:
        """List tracks, all or those for which a filter holds, from number `first` on."""
        found: dict[str, Any] = await desk.ask(
            lambda: assistant.tracks(where=where, first=first, k=k)
        )
        return found

    for tool in (library, tracks):
        server.add_tool(tool, annotations=_READS)


def _add_questions(server: MCPServer[Any], desk: Desk) -> None:
    """The tools that take words, ids and filters."""
    assistant = desk.assistant

    async def search(
        text: Annotated[str | None, Field(description="Words; any language of the tags.")] = None,
        like: Annotated[list[str] | None, Field(description="Recordings to resemble.")] = None,
        unlike: Annotated[list[str] | None, Field(description="Recordings not to.")] = None,
        by: Annotated[list[str] | None, Field(description="Kinds or encoders to ask.")] = None,
        where: Where = None,
        k: Count = 10,
    ) -> dict[str, Any]:
        """Find moments of recordings: by words (in titles, artists, paths and tags, and by
        meaning where the library can), by likeness to moments of tracks, or both."""
        found: dict[str, Any] = await desk.ask(
            lambda: assistant.search(
                text, like=like or (), unlike=unlike or (), by=by or (), where=where, k=k
            )
        )
        return found

    async def recommend(
        like: Annotated[list[str], Field(min_length=1, description="Liked recordings.")],
        unlike: Annotated[list[str] | None, Field(description="Disliked ones.")] = None,
        where: Where = None,
        k: Count = 10,
        diversity: Annotated[float, Field(ge=0, le=1)] = 0.3,
    ) -> dict[str, Any]:
        """Suggest tracks that are like some and unlike others, and not all the same."""
        found: dict[str, Any] = await desk.ask(
            lambda: assistant.recommend(
                like, unlike=unlike or (), where=where, k=k, diversity=diversity
            )
        )
        return found

    for tool in (search, recommend):
        server.add_tool(tool, annotations=_READS)


def _add_listening(server: MCPServer[Any], desk: Desk, recording: Any) -> None:
    """The tools that listen to a recording; its description says what may be named."""
    assistant = desk.assistant

    async def identify(recording: str, every: bool = False, k: Count = 10) -> dict[str, Any]:
        """Tell which recording a clip was taken from, and where in it; the score is the
        probability of being right.  `every` finds all recordings in a long clip."""
        found: dict[str, Any] = await desk.ask(
            lambda: assistant.identify(recording, every=every, k=k)
        )
        return found

    async def hum(recording: str, k: Count = 10) -> dict[str, Any]:
        """Find the tune that is hummed, sung or whistled in a recording."""
        found: dict[str, Any] = await desk.ask(lambda: assistant.hum(recording, k=k))
        return found

    async def tag(recording: str, labels: list[str] | None = None, k: Count = 10) -> dict[str, Any]:
        """Tell what sounds are in a recording; among `labels` if some are given."""
        found: dict[str, Any] = await desk.ask(
            lambda: assistant.tag(recording, labels=labels or (), k=k)
        )
        return found

    for tool in (identify, hum, tag):
        tool.__annotations__["recording"] = recording
        server.add_tool(tool, annotations=_READS)


def _add_resources(server: MCPServer[Any], desk: Desk) -> None:
    """The library, tracks and their sound, by address."""
    assistant = desk.assistant
    form = "mp3" if "mp3" in formats() else "wav"

    async def answered(question: Callable[[], Any]) -> Any:
        try:
            return await desk.ask(question)
        except ToolError as error:
            raise ResourceError(str(error)) from error

    async def about() -> Any:
        """What the library holds."""
        return await answered(assistant.facts)

    async def one(track: str) -> Any:
        """All that is known of a track."""
        return await answered(lambda: assistant.track(track))

    async def sound(track: str, start: str, end: str) -> Any:
        try:
            times = float(start), float(end)
        except ValueError:
            raise ResourceError(
                f"start and end must be seconds, got {start!r} and {end!r}"
            ) from None
        return await answered(lambda: assistant.sound(track, *times, form))

    server.resource("earmark://library", mime_type="application/json")(about)
    server.resource("earmark://track/{track}", mime_type="application/json")(one)
    server.resource(
        "earmark://audio/{track}/{start}/{end}",
        mime_type=FORMATS[form][0],
        description=f"The sound of a track from start to end (seconds), {LONGEST:g} s at most.",
    )(sound)


def run_stdio(library: Any) -> None:
    """Serve a library to the assistant at the other end of standard input and output."""
    assistant = Assistant(library, local_files=True)
    try:
        build(assistant).run("stdio")
    finally:
        assistant.close()


def http_app(library: Any, config: ServerConfig) -> tuple[Any, Assistant]:
    """Make the ASGI application of a library's assistant, behind the door.

    Parameters
    ----------
    library : Library
    config : ServerConfig

    Returns
    -------
    application, Assistant
        The latter is to be closed at the end.
    """
    from earmark.server.guard import Guard
    from earmark.server.intake import Intake

    access = READER if config.token_read or config.token_write else OWNER
    assistant = Assistant(
        library, local_files=False, shown=lambda path: shown_path(path, config, access)
    )
    served = build(assistant).streamable_http_app(
        streamable_http_path=PATH, stateless_http=True, host=config.host
    )
    return Guard(Intake(served, replace(config, max_upload=_LARGEST_QUESTION)), config), assistant


def run_http(library: Any, config: ServerConfig) -> None:
    """Serve a library to assistants over HTTP until interrupted."""
    import uvicorn

    from earmark.server.running import options

    app, assistant = http_app(library, config)
    told = options(config) | {"factory": False, "workers": None}
    try:
        uvicorn.run(app, **told)
    finally:
        assistant.close()
