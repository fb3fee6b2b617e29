"""The work on one file: read it once, hand its audio to every encoder.

The size and time in the record are those that planning saw, before any byte was read: a file
that changed since then looks changed to the next run and is done again.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

import numpy as np

from earmark import audio, framing, labelling, sources, tags
from earmark.errors import AudioError, UsageError
from earmark.executors.tasks import (
    ClaimLength,
    EncodedTrack,
    EncodeTask,
    SampleTask,
    TrainingRows,
)
from earmark.melody.scores import MOST_BYTES, is_score
from earmark.sources import is_url
from earmark.types import (
    Encoded,
    Encoder,
    FittedEncoder,
    Scalar,
    ScoreEncoder,
    Tagger,
    TrackRecord,
)

_CHANGED = "changed while it was being read; the next run reads it again"


def encode_file(
    task: EncodeTask, encoders: Mapping[str, Encoder], claim: ClaimLength
) -> EncodedTrack:
    """Decode a file once and encode it with each encoder of its task.

    Parameters
    ----------
    task : EncodeTask
    encoders : mapping of str to Encoder
        By name; at least those of the task.
    claim : callable
        Told the claimed length in seconds before the work begins.

    Returns
    -------
    EncodedTrack

    Raises
    ------
    AudioError
        If the file cannot be read or is not sound audio.
    """
    path = task.source.path
    if is_score(path):
        return _encode_score(task, encoders, claim)
    sessions = {name: framing.open_session(encoders[name]) for name in task.encoders}
    rates = {name: encoders[name].spec.sample_rate for name in task.encoders}
    with (
        sources.open_source(path) as opened,
        audio.decode(
            opened,
            sample_rates=sorted(set(rates.values())),
            name=path,
            salvage=task.salvage,
        ) as decoder,
    ):
        claim(decoder.info.duration)
        content_hash = task.content_hash or sources.content_hash(path)
        for blocks in decoder:
            for name, session in sessions.items():
                session.push(blocks[rates[name]])
    encoded = {
        name: _labelled(encoders[name], session.finish()) for name, session in sessions.items()
    }
    found = tags.read_tags(path)
    facts: dict[str, Scalar] = {}
    for rows in encoded.values():
        facts.update(rows.facts)
    record = TrackRecord(
        path=path,
        content_hash=content_hash,
        size=task.source.size,
        mtime_ns=task.source.mtime_ns,
        info=decoder.info,
        title=found.title,
        artist=found.artist,
        tags={**facts, **found.tags},
    )
    return EncodedTrack(record, encoded, (*decoder.warnings, *_changes(task)))


def _labelled(encoder: Encoder, encoded: Encoded) -> Encoded:
    if not isinstance(encoder, Tagger):
        return encoded
    return labelling.with_labels(encoded, encoder.labels)


def _encode_score(
    task: EncodeTask, encoders: Mapping[str, Encoder], claim: ClaimLength
) -> EncodedTrack:
    """Encode a file of notes with those of its encoders that read it."""
    path = task.source.path
    readers = {name: encoders[name] for name in task.encoders}
    if not readers:
        raise UsageError(
            "a score has notes and no sound; only melodies can be made of it",
            hint="index it with --encoders melody",
        )
    data = sources.read_bytes(path, MOST_BYTES + 1)
    claim(0.0)
    content_hash = task.content_hash or sources.content_hash(path)
    scores = {
        name: reader.encode_score(data, path)
        for name, reader in readers.items()
        if isinstance(reader, ScoreEncoder)
    }
    if not scores:
        raise UsageError(f"a score has notes and no sound for {', '.join(readers)}")
    first = next(iter(scores.values()))
    record = TrackRecord(
        path=path,
        content_hash=content_hash,
        size=task.source.size,
        mtime_ns=task.source.mtime_ns,
        info=first.info,
        title=first.title,
        tags={fact: v for score in scores.values() for fact, v in score.encoded.facts.items()},
    )
    encoded = {name: score.encoded for name, score in scores.items()}
    return EncodedTrack(record, encoded, (*first.warnings, *_changes(task)))


def _changes(task: EncodeTask) -> tuple[str, ...]:
    """Say so if the file is no longer as planning saw it."""
    path = task.source.path
    if is_url(path) or sources.split_member(path)[1] is not None:
        return ()  # to ask again would cost more than it tells
    with suppress(AudioError):
        if sources.stat(path) == task.source:
            return ()
    return (_CHANGED,)


def sample_file(task: SampleTask, encoder: FittedEncoder, claim: ClaimLength) -> TrainingRows:
    """Compute training rows of a part of a file.

    Parameters
    ----------
    task : SampleTask
    encoder : FittedEncoder
        Must also be an `Encoder`.
    claim : callable
        Told the claimed length in seconds before the work begins.

    Returns
    -------
    TrainingRows
        Of the windows that are not silent, none overlapping.

    Raises
    ------
    AudioError
        If the file cannot be read or is not sound audio.
    """
    spec = encoder.spec  # type: ignore[attr-defined]  # every FittedEncoder is an Encoder
    path = task.source.path
    with sources.open_source(path) as opened:
        start = 0.0
        if task.position > 0:
            spare = audio.probe(opened, name=path).duration - task.seconds
            start = max(0.0, spare) * task.position
            if not isinstance(opened, str):
                opened.seek(0)
        claim(task.seconds)
        clip = audio.read(
            opened,
            sample_rate=spec.sample_rate,
            start=start,
            end=start + task.seconds,
            name=path,
        )
    length = round(spec.window * spec.sample_rate)
    hop = max(1, round(spec.hop * spec.sample_rate))
    samples = clip.samples
    if len(samples) < length:
        samples = np.pad(samples, (0, length - len(samples)))
    windows = framing.frame(samples, length, hop)
    loud = np.abs(windows).max(axis=1) >= spec.silence_peak
    rows = encoder.training_rows(np.ascontiguousarray(windows[loud]))
    return TrainingRows(path, np.asarray(rows, np.float32), clip.duration)
