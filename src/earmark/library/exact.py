"""Making the ranges of hits exact, by reading both sounds again around each hit.

Of a long hit only its beginning and its end are compared: the line through both is the hit's.
A hit whose track cannot be read any more keeps its range, and says that it is not exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from earmark.errors import AudioError, UsageError
from earmark.identify.exact_range import ExactRange, exact_range
from earmark.library import probes
from earmark.library.probes import AudioLike
from earmark.types import Clip, Hit

WHOLE_SECONDS = 90.0
"""Longest hit that is compared as a whole."""

END_SECONDS = 30.0
"""What is compared of either end of a longer one."""

MARGIN = 2.0
"""Seconds around a hit in which its range may lie."""


def refine(
    hits: Sequence[Hit], source: AudioLike, sample_rate: int, *, salvage: bool = False
) -> tuple[Hit, ...]:
    """Return the hits with ranges, offset and speed to a hundredth of a second.

    Parameters
    ----------
    hits : sequence of Hit
        Of `source`, with offset and speed.
    source : file, moment, clip, or (samples, sample_rate)
    sample_rate : int
        In Hz, at which the sounds are compared.
    salvage : bool
        Take what can be decoded of damaged files.
    """
    return tuple(_refined(hit, source, sample_rate, salvage) for hit in hits)


def _refined(hit: Hit, source: AudioLike, rate: int, salvage: bool) -> Hit:
    if hit.query_start is None or hit.query_end is None:
        return hit
    begin, end = hit.query_start - MARGIN, hit.query_end + MARGIN
    try:
        if end - begin <= WHOLE_SECONDS:
            first = last = _compared(hit, source, (begin, end), rate, salvage)
        else:
            first = _compared(hit, source, (begin, begin + END_SECONDS), rate, salvage)
            last = _compared(hit, source, (end - END_SECONDS, end), rate, salvage)
    except (AudioError, UsageError):  # gone, damaged, or shorter than it was
        return replace(hit, exact=False)
    if first is None or last is None:
        return replace(hit, exact=False)
    speed, offset = first.speed, first.offset
    if first is not last:
        speed = (last.end - first.start) / (last.query_end - first.query_start)
        offset = first.start - speed * first.query_start
    return replace(
        hit,
        start=round(first.start, 3),
        end=round(last.end, 3),
        query_start=round(first.query_start, 3),
        query_end=round(last.query_end, 3),
        offset=round(offset, 3),
        speed=round(speed, 5),
        exact=True,
    )


def _compared(
    hit: Hit, source: AudioLike, part: tuple[float, float], rate: int, salvage: bool
) -> ExactRange | None:
    """The exact range within a part of the query, in seconds of query and track."""
    offset, speed = hit.offset or 0.0, hit.speed or 1.0
    query = _read(source, part, rate, salvage)
    there = (offset + speed * part[0] - 1.0, offset + speed * part[1] + 1.0)
    track = _read(hit.track.path, there, rate, salvage)
    if not len(query.samples) or not len(track.samples):
        return None
    found = exact_range(query, track, offset=offset + speed * query.start, speed=speed)
    if found is None:
        return None
    return replace(
        found,
        offset=found.offset - found.speed * query.start,
        query_start=found.query_start + query.start,
        query_end=found.query_end + query.start,
    )


def _read(source: AudioLike, part: tuple[float, float], rate: int, salvage: bool) -> Clip:
    """A part of a source, cut to what there is; its start is in seconds of the source."""
    from earmark import audio, sources

    moment = probes.as_moment(source)
    if moment is None:
        (clip,) = probes.stream(source, rate, salvage=salvage)
        first = max(0, round((part[0] - clip.start) * rate))
        last = max(first, round((part[1] - clip.start) * rate))
        return Clip(clip.samples[first:last], rate, start=clip.start + first / rate)
    begin = max(moment.start, part[0], 0.0)
    end = part[1] if moment.end is None else min(part[1], moment.end)
    if end <= begin:
        return Clip(probes.NOTHING, rate)
    with sources.open_source(sources.canonical(moment.source)) as opened:
        clip = audio.read(
            opened, sample_rate=rate, start=begin, end=end, name=moment.source, salvage=salvage
        )
    return replace(clip, start=begin)
