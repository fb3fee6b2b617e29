"""What a query resembles, as rows: recordings are encoded, stored tracks give their own rows.

Times of probes are seconds of their source, so that a hit can say which moment of the query it
answers.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np

from earmark import sources
from earmark.errors import QueryError, TrackNotFound
from earmark.moments import Moment, parse_moment
from earmark.types import (
    AnyArray,
    Clip,
    Compare,
    Encoded,
    Encoder,
    Float32Array,
    Float64Array,
    QueryEncoder,
    Store,
    Track,
)

AudioLike: TypeAlias = "str | os.PathLike[str] | Moment | Clip | tuple[AnyArray, int]"
"""A file, archive member or URL (with ``#start-end``), a clip, or samples with their rate."""

NOTHING: Float32Array = np.zeros(0, np.float32)
"""No sound."""


@dataclass(frozen=True)
class Words:
    """Words to resemble or to avoid, and never the name of a track or a file.

    Parameters
    ----------
    text : str
    weight : float
        How much they count beside other things.
    """

    text: str
    weight: float = 1.0

    def __str__(self) -> str:
        return self.text if self.weight == 1 else f"{self.text}^{self.weight:g}"


TrackLike: TypeAlias = "int | str | os.PathLike[str] | Moment | Track | Words"
"""A track's id, its path (with ``#start-end``), or the track itself."""


@dataclass(frozen=True)
class Liked:
    """A thing to resemble: a stored track (`track`), or audio that is not in the library."""

    track: Track | None
    audio: AudioLike
    start: float = 0.0
    end: float | None = None


def as_moment(source: AudioLike | TrackLike) -> Moment | None:
    """Return source and times of what names a file; None for a clip or an array.

    A file whose own name ends like a moment is taken as the file.
    """
    if isinstance(source, Moment):
        return source
    if isinstance(source, (str, os.PathLike)):
        text = os.fspath(source)
        return Moment(text) if Path(text).exists() else parse_moment(text)
    return None


def encode_audio(
    source: AudioLike, encoders: Mapping[str, Encoder], *, salvage: bool = False
) -> dict[str, Encoded]:
    """Encode a query with several encoders; a file is decoded once.

    Parameters
    ----------
    source : file, moment, clip, or (samples, sample_rate)
    encoders : mapping
        By name.
    salvage : bool
        Take what can be decoded of a damaged file.

    Returns
    -------
    dict of Encoded
        By the encoders' names; segments are seconds of the source.

    Raises
    ------
    SourceError, DecodeError
        If the recording cannot be had or decoded.
    """
    rates = {encoder.spec.sample_rate for encoder in encoders.values()}
    moment = as_moment(source)
    if moment is not None:
        return _encode_file(moment, encoders, salvage=salvage)
    clips = {rate: _clip_at(source, rate) for rate in rates}
    return {name: _encode_clip(e, clips[e.spec.sample_rate]) for name, e in encoders.items()}


def _clip_at(source: AudioLike, sample_rate: int) -> Clip:
    from earmark import audio

    if isinstance(source, Clip):
        if source.sample_rate == sample_rate:
            return source
        clip = audio.read_array(source.samples, source.sample_rate, target_rate=sample_rate)
        return replace(clip, start=source.start, source=source.source)
    if isinstance(source, tuple) and len(source) == 2:
        return audio.read_array(np.asarray(source[0]), int(source[1]), target_rate=sample_rate)
    raise QueryError(
        "audio must be a path, a Clip, or a pair of samples and sample rate, "
        f"got {type(source).__name__}",
        hint="for an array: search(audio=(samples, 44100))",
    )


def _encode_file(
    moment: Moment, encoders: Mapping[str, Encoder], *, salvage: bool
) -> dict[str, Encoded]:
    """Decode once; encoders that prepare queries get the whole clip, the others a stream."""
    from earmark import audio, framing

    rates = sorted({encoder.spec.sample_rate for encoder in encoders.values()})
    whole: dict[str, list[Float32Array]] = {}
    sessions = {}
    for name, encoder in encoders.items():
        if isinstance(encoder, QueryEncoder):
            whole[name] = []
        else:
            sessions[name] = framing.open_session(encoder)
    with (
        sources.open_source(sources.canonical(moment.source)) as opened,
        audio.decode(
            opened,
            sample_rates=rates,
            start=moment.start,
            end=moment.end,
            name=moment.source,
            salvage=salvage,
        ) as decoder,
    ):
        for block in decoder:
            for name, session in sessions.items():
                session.push(block[encoders[name].spec.sample_rate])
            for name, parts in whole.items():
                parts.append(block[encoders[name].spec.sample_rate])
    encoded = {name: _shifted(s.finish(), moment.start) for name, s in sessions.items()}
    for name, parts in whole.items():
        samples = np.concatenate(parts) if parts else np.zeros(0, np.float32)
        rate = encoders[name].spec.sample_rate
        clip = Clip(samples, rate, start=moment.start, source=moment.source)
        encoded[name] = _encode_clip(encoders[name], clip)
    return encoded


def stream(source: AudioLike, sample_rate: int, *, salvage: bool = False) -> Iterator[Clip]:
    """Give a query's audio in blocks of a few seconds, in bounded memory if it is a file.

    Parameters
    ----------
    source : file, moment, clip, or (samples, sample_rate)
    sample_rate : int
        In Hz, of the blocks.
    salvage : bool
        Take what can be decoded of a damaged file.
    """
    from earmark import audio

    moment = as_moment(source)
    if moment is None:
        yield _clip_at(source, sample_rate)
        return
    at = moment.start
    with (
        sources.open_source(sources.canonical(moment.source)) as opened,
        audio.decode(
            opened,
            sample_rates=[sample_rate],
            start=moment.start,
            end=moment.end,
            name=moment.source,
            salvage=salvage,
        ) as decoder,
    ):
        for block in decoder:
            clip = Clip(block[sample_rate], sample_rate, start=at, source=moment.source)
            at += clip.duration
            yield clip


def _encode_clip(encoder: Encoder, clip: Clip) -> Encoded:
    from earmark import framing

    return framing.encode_query(encoder, clip)


def _shifted(encoded: Encoded, seconds: float) -> Encoded:
    return replace(encoded, segments=encoded.segments + seconds) if seconds else encoded


def stored_rows(
    store: Store, name: str, track: int, *, start: float = 0.0, end: float | None = None
) -> Encoded | None:
    """Return a track's stored rows whose segments overlap a moment; None if it has none.

    Parameters
    ----------
    name : str
        Of the encoder.
    start, end : float
        In seconds.
    """
    keys = store.keys(name, track)
    if not len(keys):
        return None
    segments = store.locate(name, keys)
    inside = segments.ends > start
    if end is not None:
        inside &= segments.starts < end
    keys = keys[inside]
    if not len(keys):
        return None
    spec = store.encoders()[name]
    times: Float64Array = np.stack([segments.starts, segments.ends], axis=1)[inside]
    refine = store.vectors(name, keys, form="refine") if spec.refine is not None else None
    return Encoded(store.vectors(name, keys), times, refine)


def resolve(store: Store, thing: TrackLike, *, missing_ok: bool = False) -> Liked:
    """Find a track by id, path or itself; with `missing_ok` a file outside the library will do.

    Raises
    ------
    TrackNotFound
        If the library has no such track (and no file of this name may take its place).
    """
    if isinstance(thing, Track):
        return Liked(thing, thing.path)
    if isinstance(thing, Words):
        raise TrackNotFound(f"words name no track, got {str(thing)!r}")
    if isinstance(thing, int) or (isinstance(thing, str) and thing.partition("#")[0].isdecimal()):
        moment = parse_moment(str(thing))
        found = store.tracks([int(moment.source)]) if moment.source.isdecimal() else []
        if found:
            return Liked(found[0], moment, moment.start, moment.end)
        raise TrackNotFound(
            f"no track has the id {moment.source}", hint="earmark list shows the ids"
        )
    moment = as_moment(thing) or Moment(str(thing))
    track = store.find_path(sources.canonical(moment.source)) or store.find_path(moment.source)
    if track is not None:
        return Liked(track, moment, moment.start, moment.end)
    if missing_ok:
        sources.stat(sources.canonical(moment.source))  # raises SourceError if there is nothing
        return Liked(None, moment, moment.start, moment.end)
    raise TrackNotFound(
        f"no track has the path {moment.source}", hint="earmark list shows what is there"
    )


def find_track(store: Store, thing: TrackLike) -> Track:
    """Return a track of the library by id, path or itself.

    Raises
    ------
    TrackNotFound
        If there is none.
    """
    track = resolve(store, thing).track
    if track is None:
        raise TrackNotFound(f"no track is {thing!r}", hint="earmark list shows what is there")
    return track


def same_recording(store: Store, source: AudioLike) -> frozenset[int]:
    """Return the tracks that are the query's own file: its path, or its bytes under another."""
    moment = as_moment(source)
    if moment is None:
        return frozenset()
    path = sources.canonical(moment.source)
    track = store.find_path(path)
    found = {track.id} if track else set()
    stat = sources.stat(path)
    if track and (track.size, track.mtime_ns) == (stat.size, stat.mtime_ns):
        content = track.content_hash
    else:
        content = sources.content_hash(path)
    return frozenset(found | same_content(store, [content]))


def same_content(store: Store, hashes: Sequence[str]) -> set[int]:
    """Return the ids of tracks whose bytes have one of these hashes."""
    ids: set[int] = set()
    for content in hashes:
        ids.update(store.track_ids(Compare("content_hash", "=", content)).tolist())
    return ids
