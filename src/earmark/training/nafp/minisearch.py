"""The small search test of each epoch: degraded tracks against themselves clean, exhaustively.

The queries are the same in each epoch.  A query is a run of rows; a candidate begins at any row
from which as many of the same track follow; the score is the mean inner product along the run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from earmark.training.fingerprint.data import Piece
from earmark.training.nafp.augment import PublishedChain, Recordings
from earmark.training.nafp.config import Config
from earmark.training.nafp.encoding import SegmentEncoder, rows
from earmark.types import Float32Array, Int64Array

LENGTHS = (1, 3, 5, 9, 11, 19)
MOST_SECONDS = 60.0
MOST_QUERIES = 500


@dataclass(frozen=True)
class MiniSearch:
    """What the test found: shares by length of query in rows, and cosines of the first rows."""

    top1: dict[int, float]
    top1_near: dict[int, float]
    similarity: Float32Array


def degraded_rows(
    encoder: SegmentEncoder, chain: PublishedChain, piece: Piece, *, seed: tuple[int, ...]
) -> Float32Array:
    """Fingerprints of a recording each of whose segments is degraded in its own way."""
    rng = np.random.default_rng(seed)

    def degrade(block: Float32Array) -> Float32Array:
        with torch.inference_mode():
            given = torch.from_numpy(block).to(chain.device)
            degraded: Float32Array = chain.degraded(given, rng).cpu().numpy()
        return degraded

    return rows(encoder, piece, before=chain.tail, degrade=degrade)


def mini_search(
    encoder: SegmentEncoder,
    chain: PublishedChain,
    pieces: Sequence[Piece],
    *,
    seed: int,
    lengths: Sequence[int] = LENGTHS,
    picture: int = 96,
) -> MiniSearch:
    """Search degraded tracks among clean ones.

    Parameters
    ----------
    encoder : SegmentEncoder
    chain : PublishedChain
        Degrades.
    pieces : sequence of Piece
        Of each the first minute.
    seed : int
        Of the degradations.
    lengths : sequence of int
        Of the queries, in rows.
    picture : int
        Rows whose similarities are kept.

    Returns
    -------
    MiniSearch
        Lengths that no track has are left out.
    """
    most = round(MOST_SECONDS * encoder.features.sample_rate)
    short = [Piece(p.path, p.group, min(p.samples, most), p.begin) for p in pieces]
    clean = [rows(encoder, piece) for piece in short]
    noisy = [
        degraded_rows(encoder, chain, piece, seed=(seed, 41, i)) for i, piece in enumerate(short)
    ]
    database, queries = np.concatenate(clean), np.concatenate(noisy)
    ends = np.cumsum([len(r) for r in clean])
    exact, near = {}, {}
    for length in lengths:
        starts = _starts(ends, length)
        if len(starts):
            rng = np.random.default_rng((seed, 42, length))
            asked = rng.permutation(starts)[:MOST_QUERIES]
            found = np.array([_best(queries[s : s + length], database, starts) for s in asked])
            exact[length] = float(np.mean(found == asked))
            near[length] = float(np.mean(np.abs(found - asked) <= 1))
    return MiniSearch(exact, near, (queries[:picture] @ database[:picture].T))


def _starts(ends: Int64Array, length: int) -> Int64Array:
    """Rows from which `length` rows of one track follow."""
    at = np.arange(int(ends[-1]) if len(ends) else 0)
    return at[at + length <= ends[np.searchsorted(ends, at, side="right")]]


def _best(query: Float32Array, database: Float32Array, starts: Int64Array) -> int:
    products = query @ database.T
    scores = products[np.arange(len(query))[:, None], starts + np.arange(len(query))[:, None]]
    return int(starts[int(np.argmax(scores.sum(axis=0)))])


def degrader(
    encoder: SegmentEncoder, config: Config, given: Recordings, *, seed: int
) -> Callable[[Piece, int], Float32Array]:
    """Return what makes the rows of a degraded recording from the recording and its number."""
    on = torch.device("cpu")
    chain = PublishedChain(config, given, device=on, seed=config.optimizer.seed)

    def degrade(piece: Piece, number: int) -> Float32Array:
        return degraded_rows(encoder, chain, piece, seed=(seed, 43, number))

    return degrade
