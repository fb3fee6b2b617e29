"""Features of tracks: computed when they are first asked for, then kept within a size limit."""

from __future__ import annotations

from pathlib import Path

from earmark.config import Settings
from earmark.types import Float32Array, Track


def cache_folder(settings: Settings) -> Path:
    """Return where derived files go: the setting, else among the user's caches."""
    if settings.cache:
        return Path(settings.cache)
    import platformdirs

    return Path(platformdirs.user_cache_dir("earmark", appauthor=False))


def features(track: Track, name: str, settings: Settings) -> Float32Array:
    """Return a feature of a track over time, shape (frames, dims).

    Raises
    ------
    UsageError
        If there is no feature of this name.
    AudioError
        If it is not kept, and the track's file is gone or no longer sound.
    """
    from earmark import audio, sources
    from earmark import features as known
    from earmark.feature_cache import FeatureCache

    spec = known.named.feature(name)
    cache = FeatureCache(cache_folder(settings) / "features", settings.feature_cache_mb * 1_000_000)
    kept = cache.get(track.content_hash, name, spec.params)
    if kept is not None:
        return kept
    with sources.open_source(track.path) as opened:
        clip = audio.read(
            opened, sample_rate=spec.sample_rate, name=track.path, salvage=settings.salvage
        )
    values = known.compute(name, clip.samples, clip.sample_rate)
    cache.put(track.content_hash, name, spec.params, values)
    return values
