"""A small search test while training: degraded queries against held-out pieces."""

from __future__ import annotations

import numpy as np
import torch

from earmark.fingerprinting import FrontEnd, segment_features
from earmark.training.degrade import NoiseBank, add_noise, convolve, synthetic_room
from earmark.training.fingerprint.data import Piece
from earmark.training.fingerprint.model import FingerprintNet
from earmark.types import Float32Array

CONDITIONS: dict[str, tuple[bool, float | None]] = {
    "clean": (False, None),
    "noise_5": (False, 5.0),
    "noise_0": (False, 0.0),
    "room_noise_5": (True, 5.0),
}


def embed(net: FingerprintNet, features: Float32Array, *, batch: int = 512) -> Float32Array:
    """Vectors of features (n, bands, frames), shape (n, ndim), by the network in eval mode."""
    net.eval()
    with torch.no_grad():
        parts = [
            net(torch.from_numpy(features[i : i + batch])).numpy()
            for i in range(0, len(features), batch)
        ]
    return np.concatenate(parts) if parts else np.zeros((0, 1), np.float32)


def degrade(
    clip: Float32Array,
    noise: NoiseBank,
    *,
    room: bool,
    snr_db: float | None,
    rng: np.random.Generator,
) -> Float32Array:
    """Put a clip into a room and noise over it; same length."""
    if room:
        clip = convolve(clip, synthetic_room(6000, 8000, rng))
    if snr_db is None:
        return clip
    return add_noise(clip, noise.draw(1, len(clip), rng)[0], snr_db=snr_db)


def search_test(
    net: FingerprintNet,
    pieces: list[Piece],
    noise: NoiseBank,
    front: FrontEnd,
    *,
    queries: int = 100,
    seconds: float = 5.0,
    limit: float = 60.0,
    seed: int = 1,
) -> dict[str, float]:
    """Top-1 accuracy per condition: a query's rows summed along time over all of the database.

    Only the first `limit` seconds of each piece are searched.  Half-second rows, exhaustive; the
    queries are the same at each call.
    """
    rate, step = front.sample_rate, 16
    clips = [piece.read(0, min(piece.samples, int(limit * rate))) for piece in pieces]
    rows = [embed(net, segment_features(clip, front, step=step)) for clip in clips]
    owners = np.repeat(np.arange(len(rows)), [len(r) for r in rows])
    database = np.concatenate(rows)
    found: dict[str, float] = {}
    for name, (room, snr_db) in CONDITIONS.items():
        rng = np.random.default_rng(seed)
        hits = 0
        for _ in range(queries):
            owner = int(rng.integers(len(clips)))
            length = int(seconds * rate)
            start = int(rng.integers(0, max(1, len(clips[owner]) - length)))
            clip = clips[owner][start : start + length]
            clip = degrade(clip, noise, room=room, snr_db=snr_db, rng=rng)
            query = embed(net, segment_features(clip, front, step=step))
            products = query @ database.T
            scores = np.zeros(len(database) - len(query))
            for i, row in enumerate(products):
                scores += row[i : i + len(scores)]
            hits += int(owners[int(np.argmax(scores))] == owner)
        found[name] = hits / queries
    return found
