"""What `info` says of a library: content, sizes, encoders and health, as JSON."""

from __future__ import annotations

from typing import Any

from earmark.encoders import FITTED_TRACKS
from earmark.types import EncoderSpec, SpaceStats, Store

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
        "encoders": [
            _encoder(specs[space.encoder], space)
            for space in stats.spaces
            if space.encoder in specs
        ],
        "fields": store.fields(),
        "advice": _advice(store, stats.spaces, stats.tracks),
    }


def _encoder(spec: EncoderSpec, space: SpaceStats) -> dict[str, Any]:
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
                f"{tracks - space.tracks} tracks have no rows of {space.encoder} "
                "(silent, or added without it): earmark index adds them"
            )
    return advice
