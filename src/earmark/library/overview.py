"""What `info` says of a library: content, sizes, encoders and health, as JSON."""

from __future__ import annotations

from typing import Any

from earmark.encoders import FITTED_TRACKS
from earmark.types import EncoderSpec, SpaceStats, Store

_BLOCK_BYTES = 8 << 20

OUTGROWN = 4
"""A library this many times larger than at its fit has outgrown what was learned."""


def info(store: Store) -> dict[str, Any]:
    """Return a library's content, sizes, encoders and health.

    Examples
    --------
    >>> import tempfile, earmark
    >>> with earmark.open(tempfile.mkdtemp() + "/library") as lib:
    ...     info(lib.store)["tracks"]
    0
    """
    stats = store.stats()
    specs = store.encoders()
    return {
        "library": stats.url,
        "format": stats.format,
        "tracks": stats.tracks,
        "failures": stats.failures,
        "seconds": stats.seconds,
        "bytes": stats.bytes,
        "bytes_per_hour": _per_hour(stats.bytes, stats.seconds),
        "encoders": [
            _encoder(specs[space.encoder], space, stats.seconds)
            for space in stats.spaces
            if space.encoder in specs
        ],
        "fields": store.fields(),
        "advice": _advice(store, stats.spaces, stats.tracks),
    }


def _per_hour(size: int, seconds: float) -> int:
    """Bytes for each hour of audio, 0 for no audio."""
    return round(size * 3600.0 / seconds) if seconds > 0 else 0


def _search_memory(spec: EncoderSpec, space: SpaceStats) -> int:
    """About how many bytes searching takes for itself.

    Rows and lists are mapped from files, which the system takes back when it needs to; what
    remains is a block of rows in numbers, the centres of an index's lists (about twice the root
    of the rows), and three integers for each track.
    """
    block = min(_BLOCK_BYTES, 4 * spec.rows.width * space.rows)
    lists = round(2.0 * space.index_rows**0.5)
    return int(block + 4 * spec.rows.ndim * lists + 24 * space.tracks)


def _encoder(spec: EncoderSpec, space: SpaceStats, seconds: float) -> dict[str, Any]:
    return {
        "name": spec.name,
        "kind": spec.kind,
        "revision": spec.revision,
        "options": dict(spec.options),
        "window": spec.window,
        "hop": spec.hop,
        "sample_rate": spec.sample_rate,
        "tracks": space.tracks,
        "rows": space.rows,
        "dead_rows": space.dead_rows,
        "bytes": space.bytes,
        "bytes_per_hour": _per_hour(space.bytes, seconds),
        "search_memory": _search_memory(spec, space),
        "index": space.index,
        "index_rows": space.index_rows,
    }


def _advice(store: Store, spaces: tuple[SpaceStats, ...], tracks: int) -> list[str]:
    """What the owner could do to keep the library in shape."""
    advice = []
    for space in spaces:
        fitted_on = store.state(space.encoder).get(FITTED_TRACKS)
        if fitted_on is not None and space.tracks > OUTGROWN * int(fitted_on.reshape(-1)[0]):
            advice.append(
                f"{space.encoder} was fitted on {int(fitted_on.reshape(-1)[0])} tracks and now has "
                f"{space.tracks}: earmark rebuild --fit {space.encoder} learns from all of them"
            )
        if space.dead_rows > max(1000, space.rows // 2):
            advice.append(
                f"{space.dead_rows} dead rows of {space.encoder}: earmark compact frees their space"
            )
        if space.tracks < tracks:
            advice.append(
                f"{tracks - space.tracks} tracks have no rows of {space.encoder}: silence and "
                "scores of notes have none, to what was added without it earmark index adds them"
            )
    return advice
