"""Words as queries: in the metadata, in stored labels, and as vectors where a model reads them.

Vectors of texts are kept in memory and on disk (`FeatureCache`), under the encoder's name, options
and revision: a text that was asked before costs no model.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from earmark.errors import EncoderError, NotAvailable, QueryError
from earmark.feature_cache import FeatureCache
from earmark.library.wishes import Wish
from earmark.types import (
    Encoded,
    Encoder,
    EncoderSpec,
    Expr,
    Float32Array,
    Float64Array,
    Store,
    TextEncoder,
    TextMatch,
)

READING_KIND = "semantic"
"""Encoders of this kind may be expected to read; that others cannot be had is no news."""

_IN_MEMORY = 256
_ON_DISK = 64_000_000

GetEncoder = Callable[[str], Encoder]


class TextVectors:
    """Vectors of texts: computed once, then kept.

    Parameters
    ----------
    folder : path, optional
        Where they are kept on disk; by default only in memory.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._disk = None if folder is None else FeatureCache(folder, _ON_DISK)
        self._memory: OrderedDict[tuple[str, str, str], Float32Array] = OrderedDict()

    def get(self, encoder: Encoder, text: str) -> Float32Array:
        """Return the vector of a text, shape (1, ndim), by an encoder that reads.

        Raises
        ------
        QueryError
            If the model makes nothing of the text.
        """
        spec = encoder.spec
        made_by = hashlib.sha256(
            json.dumps(
                [spec.revision, dict(spec.options), getattr(encoder, "template", "")],
                sort_keys=True,
            ).encode()
        ).hexdigest()[:32]
        key = (hashlib.sha256(text.encode("utf-8", "replace")).hexdigest(), spec.name, made_by)
        if key in self._memory:
            self._memory.move_to_end(key)
            return self._memory[key]
        vector = self._disk.get(*key) if self._disk is not None else None
        if vector is None or vector.shape != (1, spec.rows.ndim):
            vector = _encode(encoder, text)
            if self._disk is not None:
                self._disk.put(*key, vector)
        self._memory[key] = vector
        if len(self._memory) > _IN_MEMORY:
            self._memory.popitem(last=False)
        return vector


def _encode(encoder: Encoder, text: str) -> Float32Array:
    if not isinstance(encoder, TextEncoder):
        raise QueryError(f"encoder {encoder.spec.name!r} does not read words")
    vector = np.asarray(encoder.encode_text([text]), np.float32)
    if not (np.isfinite(vector).all() and vector.any()):
        raise QueryError(f"{encoder.spec.name} makes nothing of the text {text[:60]!r}")
    return vector


def as_probe(vector: Float32Array) -> Encoded:
    """Return a vector as a query without a place in time (NaN, which never leaves the answers)."""
    nowhere: Float64Array = np.full((len(vector), 2), np.nan)
    return Encoded(vector, nowhere)


def readers(
    specs: Mapping[str, EncoderSpec], get_encoder: GetEncoder, named: Sequence[str]
) -> tuple[dict[str, Encoder], tuple[str, ...]]:
    """Return the encoders that read words, and why others could not be asked.

    Parameters
    ----------
    specs : mapping
        Of the encoders that may answer.
    get_encoder : callable
    named : sequence of str
        Encoders that were asked for by name: that one of them cannot be had is an error.
    """
    found: dict[str, Encoder] = {}
    notes: list[str] = []
    for name in specs:
        try:
            encoder = get_encoder(name)
        except (NotAvailable, EncoderError) as error:
            if name in named:
                raise
            if specs[name].kind == READING_KIND:
                notes.append(f"{name} did not answer: {error.message}")
            continue
        if isinstance(encoder, TextEncoder):
            found[name] = encoder
    return found, tuple(notes)


def by_labels(
    store: Store, wishes: Iterable[Wish], depth: int, where: Expr | None
) -> list[TextMatch]:
    """Return tracks whose labels have the words, best first; of several texts the weighted sum."""
    total: dict[int, TextMatch] = {}
    several = list(wishes)
    for wish in several:
        for match in store.find_labels(wish.text, depth, where=where):
            before = total.get(match.track)
            score = wish.weight * match.score + (before.score if before else 0.0)
            best = before if before and before.score >= match.score else match
            total[match.track] = TextMatch(match.track, score, best.start, best.end)
    return sorted(total.values(), key=lambda match: (-match.score, match.track))[:depth]
