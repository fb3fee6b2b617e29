"""What sounds are in files: the labels of a tagger, or labels of one's own choosing.

Fixed labels.  The score is the tagger's probability that the label is heard in the moment; a
file's score is the largest of its moments.  Tracks of the library whose file has not changed are
answered from what is stored.

Labels of one's own (zero-shot).  A text encoder compares each moment with each label.  Cosines of
different labels cannot be compared (some words resemble everything), so each is measured against a
background: the rows of the library, or a fixed list of everyday sounds where there is no library.
``z`` is the number of standard deviations that the best moment lies above the background's mean;
the score is the share of a normal background below it.  ``margin`` is the distance of z to that of
the next label.  No label is given where none reaches `LEAST_Z`: "none of these" is an answer.

Where no text encoder can be had, labels that name classes of the tagger (`class_names`) are
answered by what it heard of these.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from earmark import labelling, sources
from earmark.config import Settings
from earmark.errors import AudioError, EncoderError, NotAvailable, UsageError, nearest
from earmark.library import probes
from earmark.library.background import BACKGROUND
from earmark.library.class_names import classes_of
from earmark.library.probes import AudioLike
from earmark.library.questions import name_of
from earmark.library.wording import TextVectors
from earmark.types import (
    Encoder,
    Float32Array,
    Float64Array,
    Label,
    Store,
    Tagger,
    TextEncoder,
    Track,
)

DEFAULT_TAGGER, DEFAULT_READER = "efficientat", "clap"

LEAST_Z = 2.0
"""Standard deviations above the background from which a label of one's own is given."""

MAX_LABELS = 1000

_BACKGROUND_ROWS = 2000
_FEW_ROWS = 50
"""With fewer stored rows a library is no background."""

GetEncoder = Callable[[str], Encoder]


@dataclass(frozen=True)
class Tag:
    """A label of a file or of a moment; `score` in 0 ... 1, large when good.

    `z` and `margin` are those of zero-shot labels, else None.
    """

    label: str
    score: float
    z: float | None = None
    margin: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return label and score, and what else there is."""
        more = {"z": self.z, "margin": self.margin}
        found = {name: round(value, 4) for name, value in more.items() if value is not None}
        return {"label": self.label, "score": round(self.score, 4), **found}


@dataclass(frozen=True)
class TaggedMoment:
    """The labels of one moment, in seconds."""

    start: float
    end: float
    tags: tuple[Tag, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the moment as the command line prints it."""
        return {
            "start": round(self.start, 3),
            "end": round(self.end, 3),
            "tags": [tag.to_json() for tag in self.tags],
        }


@dataclass(frozen=True)
class TaggedFile:
    """The labels of a file, best first.

    Parameters
    ----------
    path : str
    tags : tuple of Tag
        Empty if nothing was heard clearly enough: silence, or none of the labels asked for.
    moments : tuple of TaggedMoment
    by : str
        The encoder that tagged.
    stored : bool
        Whether the answer was in the library already.
    """

    path: str
    tags: tuple[Tag, ...]
    moments: tuple[TaggedMoment, ...] = ()
    by: str = ""
    stored: bool = field(default=False, compare=False)

    def to_json(self) -> dict[str, Any]:
        """Return the file's tags as the command line prints them."""
        return {
            "path": self.path,
            "tags": [tag.to_json() for tag in self.tags],
            "moments": [moment.to_json() for moment in self.moments],
            "by": self.by,
        }


@dataclass(frozen=True)
class Asked:
    """How to tag.

    Parameters
    ----------
    labels : tuple of str
        Labels of one's own; empty for those of the tagger.
    k : int
        Most labels of a file, and of a moment.
    moments : bool
        Give those of each moment too.
    salvage : bool
        Take what can be decoded of damaged files.
    seed : int
        Of the sample of the library that serves as background.
    """

    labels: tuple[str, ...] = ()
    k: int = 10
    moments: bool = False
    salvage: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.k < 1:
            raise UsageError(f"k must be at least 1, got {self.k}")
        if len(self.labels) > MAX_LABELS:
            raise UsageError(f"at most {MAX_LABELS} labels at once, got {len(self.labels)}")
        if any(not label.strip() for label in self.labels):
            raise UsageError("a label must not be empty", hint='--labels "dog,rain,silence"')
        if len(set(self.labels)) < len(self.labels):
            raise UsageError("labels must differ from each other")


def without_library(asked: Asked, settings: Settings) -> TagSession:
    """Return what tags with the encoders that are installed, without any library."""
    from earmark import encoders
    from earmark.library.listening import cache_folder

    def make(name: str) -> Encoder:
        return encoders.create(name, settings=settings)

    return TagSession(
        asked,
        store=None,
        get_encoder=make,
        make_encoder=make,
        texts=TextVectors(cache_folder(settings) / "texts"),
    )


class TagSession:
    """Tags one file after the other; encoders are made once, when the first file needs them.

    Parameters
    ----------
    asked : Asked
    store : Store, optional
        The library.
    get_encoder : callable
        Gives the encoder that made the library's rows of a name.
    make_encoder : callable
        Makes one that the library does not have.
    texts : TextVectors
    """

    def __init__(
        self,
        asked: Asked,
        *,
        store: Store | None,
        get_encoder: GetEncoder,
        make_encoder: GetEncoder,
        texts: TextVectors,
    ) -> None:
        self._asked = asked
        self._store = store
        self._get = get_encoder
        self._make = make_encoder
        self._texts = texts
        self._chosen: Encoder | None = None
        self._classes: dict[str, tuple[frozenset[str], ...]] | None = None
        self._judge: _Judge | None = None

    @property
    def encoder(self) -> Encoder:
        """The encoder that tags: the library's, else the default one.

        Raises
        ------
        NotAvailable, EncoderError
            If none can be had.
        """
        if self._chosen is None:
            if not self._asked.labels:
                self._chosen = self._one(Tagger, DEFAULT_TAGGER)
            else:
                self._chosen = self._for_labels()
        return self._chosen

    def _one(self, kind: Any, default: str) -> Encoder:
        encoder = self._of_library(kind) or self._make(default)
        if not isinstance(encoder, kind):
            raise UsageError(f"encoder {default!r} does not do this")
        found: Encoder = encoder
        return found

    def _for_labels(self) -> Encoder:
        """What reads; else, if each label names a class of it, what tags."""
        try:
            return self._one(TextEncoder, DEFAULT_READER)
        except (NotAvailable, EncoderError) as no_reader:
            try:
                tagger = self._one(Tagger, DEFAULT_TAGGER)
            except (NotAvailable, EncoderError):
                raise no_reader from None
            names = tagger.labels if isinstance(tagger, Tagger) else ()
            found = {label: classes_of(label, names) for label in self._asked.labels}
            for label, groups in found.items():
                if not groups:
                    raise NotAvailable(
                        f"without a text model a label must name a class that "
                        f"{tagger.spec.name} knows, got {label!r}",
                        hint="; ".join(filter(None, (nearest(label, names), no_reader.hint))),
                    ) from None
            self._classes = {
                label: tuple(frozenset(names[i] for i in group) for group in groups)
                for label, groups in found.items()
            }
            return tagger

    def _of_library(self, kind: Any) -> Encoder | None:
        for name in sorted(self._store.encoders()) if self._store is not None else ():
            try:
                encoder = self._get(name)
            except (NotAvailable, EncoderError):
                continue
            if isinstance(encoder, kind):
                found: Encoder = encoder
                return found
        return None

    def tag(self, source: AudioLike) -> TaggedFile:
        """Tag a file, a moment of one, a clip, or samples with their rate.

        Raises
        ------
        SourceError, DecodeError
            If the file cannot be had or decoded.
        """
        if self._asked.labels and isinstance(self.encoder, TextEncoder):
            return self._zero_shot(source)
        stored = self._stored(source)
        if stored is not None:
            return stored
        encoder = self.encoder
        name = encoder.spec.name
        encoded = probes.encode_audio(source, {name: encoder}, salvage=self._asked.salvage)[name]
        labels: tuple[Label, ...] = ()
        if isinstance(encoder, Tagger) and encoded.label_scores is not None:
            labels = labelling.pick(encoder.labels, encoded.label_scores, encoded.segments)
        return self._report(str(name_of(source)), labels, name)

    def _stored(self, source: AudioLike) -> TaggedFile | None:
        """The answer that the library has, if the file is one of its tracks and unchanged."""
        track = self._track(source)
        if track is None or self._store is None:
            return None
        for name, labels in sorted(self._store.labels([track.id]).get(track.id, {}).items()):
            return self._report(track.path, tuple(labels), name, stored=True)
        return None

    def _track(self, source: AudioLike) -> Track | None:
        moment = probes.as_moment(source)
        if self._store is None or moment is None or moment.start or moment.end is not None:
            return None
        track = self._store.find_path(sources.canonical(moment.source))
        if track is None:
            return None
        try:
            now = sources.stat(track.path)
        except AudioError:
            return track  # its file is gone: what was heard in it is still known
        return track if (now.size, now.mtime_ns) == (track.size, track.mtime_ns) else None

    def _report(
        self, path: str, labels: Sequence[Label], by: str, *, stored: bool = False
    ) -> TaggedFile:
        if self._classes is not None:
            labels = labelling.renamed(labels, self._classes)
        tags = tuple(Tag(label.name, label.score) for label in labels[: self._asked.k])
        moments = _moments(labels, self._asked.k) if self._asked.moments else ()
        return TaggedFile(path, tags, moments, by, stored)

    # --- labels of one's own ---------------------------------------------------------------------

    def _zero_shot(self, source: AudioLike) -> TaggedFile:
        encoder = self.encoder
        name = encoder.spec.name
        track = self._track(source)
        encoded = None
        if track is not None and self._store is not None and name in self._store.encoders():
            encoded = probes.stored_rows(self._store, name, track.id)
        if encoded is None:
            fresh = probes.encode_audio(source, {name: encoder}, salvage=self._asked.salvage)
            encoded = fresh[name]
        path = track.path if track is not None else str(name_of(source))
        if not len(encoded.rows):
            return TaggedFile(path, (), (), name)
        if self._judge is None:
            self._judge = _Judge(encoder, self._asked, self._texts, self._store)
        z = self._judge.z_scores(encoded.rows)
        moments: tuple[TaggedMoment, ...] = ()
        if self._asked.moments:
            moments = tuple(
                TaggedMoment(float(start), float(end), self._judge.tags(here))
                for (start, end), here in zip(encoded.segments, z, strict=True)
            )
        return TaggedFile(path, self._judge.tags(z.max(axis=0)), moments, name)


class _Judge:
    """Measures labels of one's own against a background."""

    def __init__(
        self, encoder: Encoder, asked: Asked, texts: TextVectors, store: Store | None
    ) -> None:
        self._asked = asked
        self._labels = _unit(np.concatenate([texts.get(encoder, x) for x in asked.labels]))
        rows = _background_rows(encoder.spec.name, store, asked.seed)
        self._mean: Float64Array | None = None
        if rows is not None:
            like = _unit(rows) @ self._labels.T
            self._mean, self._spread = like.mean(axis=0), like.std(axis=0) + 1e-6
        else:
            self._others = _unit(np.concatenate([texts.get(encoder, x) for x in BACKGROUND]))

    def z_scores(self, rows: Float32Array) -> Float64Array:
        """Standard deviations above the background, shape (rows, labels)."""
        unit = _unit(rows)
        like = (unit @ self._labels.T).astype(np.float64)
        if self._mean is not None:
            return np.asarray((like - self._mean) / self._spread, np.float64)
        others = (unit @ self._others.T).astype(np.float64)
        spread = others.std(axis=1, keepdims=True) + 1e-6
        return np.asarray((like - others.mean(axis=1, keepdims=True)) / spread, np.float64)

    def tags(self, z: Float64Array) -> tuple[Tag, ...]:
        """The labels that stand out, best first."""
        order = np.argsort(-z, kind="stable")
        tags = []
        for place, at in enumerate(order[: self._asked.k].tolist()):
            if z[at] < LEAST_Z:
                break
            following = z[order[place + 1]] if place + 1 < len(order) else 0.0
            score = 0.5 * (1 + math.erf(float(z[at]) / math.sqrt(2)))
            tags.append(Tag(self._asked.labels[at], score, float(z[at]), float(z[at] - following)))
        return tuple(tags)


def _background_rows(name: str, store: Store | None, seed: int) -> Float32Array | None:
    """A sample of the library's rows, or None if there are too few."""
    if store is None or name not in store.encoders():
        return None
    ids = store.track_ids()
    chosen = np.random.default_rng(seed).permutation(ids)[:_BACKGROUND_ROWS]
    keys = []
    for track in chosen.tolist():
        own = store.keys(name, track)
        if len(own):
            keys.append(own[[len(own) // 2]])
    if len(keys) < _FEW_ROWS:
        return None
    return np.asarray(store.vectors(name, np.concatenate(keys)), np.float32)


def _unit(rows: Float32Array) -> Float32Array:
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(norms > 0, norms, 1), np.float32)


def _moments(labels: Sequence[Label], k: int) -> tuple[TaggedMoment, ...]:
    at: dict[tuple[float, float], list[Tag]] = {}
    for label in labels:
        for start, end, score in label.moments.tolist():
            at.setdefault((start, end), []).append(Tag(label.name, score))
    return tuple(
        TaggedMoment(start, end, tuple(sorted(tags, key=lambda tag: (-tag.score, tag.label))[:k]))
        for (start, end), tags in sorted(at.items())
    )
