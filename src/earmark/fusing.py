"""How much each encoder counts when several answer an example together, and what hubs cost.

Encoders are fused by rank (`earmark.match.fuse`).  What kind of sound is asked with decides the
weights: for the noises of animals and machines, spaces trained on labels know what is meant and
timbre mostly misleads; for single notes and hits it says half as much again; for pieces of music
it helps a little.  The kind is told by the tagger's own label 'Music' on the query, and by its
length.

Some rows are near to everything (hubs: Radovanović, Nanopoulos and Ivanović, JMLR 11, 2010) and
crowd the first ranks.  Each distance to a track is lessened by a share of the mean distance at
which its ten nearest others lie: about a third of what cross-domain similarity local scaling
(CSLS; Lample et al., ICLR 2018) takes off, which lost precision here as often as it won.

The figures are those of ``benchmarks/fusion.py`` on the recordings named there; see
``docs/meaning.md`` for what they were.
"""

from __future__ import annotations

from collections.abc import Mapping

from earmark.types import EncoderSpec, Float64Array

WEIGHTS: Mapping[str, Mapping[str, float]] = {
    "sounds": {"timbre": 0.15},
    "notes": {"timbre": 0.5},
    "music": {"timbre": 0.2},
    "unknown": {"timbre": 0.35},
}
"""Weight of encoders of a kind in the fusion, by kind of query; 1 for those not named."""

RANK_DAMPING = 20
"""The constant of reciprocal rank fusion: the first ranks count for more than with the 60 of the
paper."""

HUB_NEAREST = 10
HUB_SHARE = 0.35

_MUSICAL = 0.1
_LONG_SECONDS = 15.0


def task_of(labels: Mapping[str, float] | None, seconds: float) -> str:
    """Say what kind of sound a query is: 'sounds', 'notes', 'music' or 'unknown'.

    Parameters
    ----------
    labels : mapping of str to float, optional
        The tagger's labels of the query with their scores; None if nobody tagged it.
    seconds : float
        Its length.

    Examples
    --------
    >>> task_of({"Dog": 0.8}, 3.0), task_of({"Music": 0.7}, 2.0), task_of({"Music": 0.9}, 90.0)
    ('sounds', 'notes', 'music')
    """
    if labels is None:
        return "unknown"
    musical = max(labels.get("Music", 0.0), labels.get("Musical instrument", 0.0))
    if musical < _MUSICAL:
        return "sounds"
    return "music" if seconds > _LONG_SECONDS else "notes"


def weights_for(specs: Mapping[str, EncoderSpec], task: str) -> dict[str, float]:
    """Return the weight of each encoder for a kind of query.

    Alone, or only with others of its kind, an encoder weighs 1.
    """
    table = WEIGHTS[task]
    found = {name: table.get(spec.kind, 1.0) for name, spec in specs.items()}
    most = max(found.values(), default=1.0)
    return {name: weight / most for name, weight in found.items()}


def without_hubs(away: Float64Array, near: Float64Array) -> Float64Array:
    """Return distances without the advantage of tracks that are near to everything.

    Parameters
    ----------
    away : float64 array, shape (..., n)
        Of a query to n tracks.
    near : float64 array, shape (n,)
        Mean distance of each track's nearest others; NaN where it is not known.

    Examples
    --------
    >>> import numpy as np
    >>> np.round(without_hubs(np.array([0.3, 0.35]), np.array([0.1, 0.3])), 3).tolist()
    [0.265, 0.245]
    """
    known = near[near == near]
    middle = float(known.mean()) if len(known) else 0.0
    corrected: Float64Array = away - HUB_SHARE * _filled(near, middle)
    return corrected


def _filled(near: Float64Array, middle: float) -> Float64Array:
    filled = near.copy()
    filled[near != near] = middle
    return filled
