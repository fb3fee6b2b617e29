"""Decode anything that FFmpeg reads to mono float32 at any sample rate, in bounded memory.

A source is the path of a local file or a seekable binary file (`earmark.sources.open_source`
gives either for archive members and URLs).  `probe` reads the header, `read` gives a `Clip`,
`decode` streams blocks at several rates from one pass.  Conventions (scaling, down-mixing, time)
are those of `earmark.audio.decoding`; resampling is `earmark.audio.resampling`.

A file that is not sound audio raises `DecodeError` with a plain reason: nothing that could not
be decoded is passed over in silence.  With ``salvage=True`` what can be had of a file that is cut
off or damaged is kept, and the reason becomes a warning.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from earmark.audio.arrays import read_array
from earmark.audio.media import Input, open_media
from earmark.audio.streaming import Decoder
from earmark.audio.suffixes import AUDIO_SUFFIXES
from earmark.types import AudioInfo, Clip

__all__ = ["AUDIO_SUFFIXES", "Decoder", "decode", "probe", "read", "read_array"]


def probe(source: Input, *, name: str | None = None, stream: int | None = None) -> AudioInfo:
    """Read what the header says, without decoding.

    Parameters
    ----------
    source : str or binary file
        A local path, or a seekable file.
    name : str, optional
        What to call it in messages.
    stream : int, optional
        Which audio stream, from 0; default the container's default one.

    Returns
    -------
    AudioInfo
        `duration` is the claim of the container, 0 if it makes none.

    Raises
    ------
    SourceError
        If the file is missing or cannot be read.
    DecodeError
        If it has no audio that could be decoded.
    """
    with open_media(source, name=name, stream=stream) as media:
        return media.info


def read(
    source: Input,
    *,
    sample_rate: int | None = None,
    start: float = 0.0,
    end: float | None = None,
    name: str | None = None,
    stream: int | None = None,
    salvage: bool = False,
) -> Clip:
    """Decode a source, or a part of it, into memory.

    Parameters
    ----------
    source, name, stream
        As for `probe`.
    sample_rate : int, optional
        In Hz; default as stored.
    start, end : float
        The part, in seconds; default all.
    salvage : bool
        Keep what can be decoded of a damaged file.

    Returns
    -------
    Clip
        Mono, at `sample_rate`.

    Raises
    ------
    SourceError, DecodeError
        As for `probe`, and for audio that is cut off, damaged, empty, or not finite.
    UsageError
        If the part lies outside of the audio.
    """
    with Decoder(
        source,
        sample_rates=() if sample_rate is None else (sample_rate,),
        start=start,
        end=end,
        name=name,
        stream=stream,
        salvage=salvage,
    ) as blocks:
        rate = blocks.sample_rates[0]
        parts = [block[rate] for block in blocks]
        samples = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return Clip(samples, rate, start, blocks.name)


def decode(
    source: Input,
    *,
    sample_rates: Sequence[int] = (),
    start: float = 0.0,
    end: float | None = None,
    name: str | None = None,
    stream: int | None = None,
    salvage: bool = False,
) -> Decoder:
    """Open a source for streaming; see `Decoder`."""
    return Decoder(
        source,
        sample_rates=sample_rates,
        start=start,
        end=end,
        name=name,
        stream=stream,
        salvage=salvage,
    )
