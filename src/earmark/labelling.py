"""Which of a tagger's scores are worth keeping: a few labels a moment, and a track's best.

A tagger scores hundreds of labels in every window, nearly all of them close to 0.  Kept are those
of at least `LEAST`, at most `MOST` a moment.  A track's score for a label is the largest of its
moments: the label is heard somewhere in it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from earmark.types import Encoded, Float32Array, Float64Array, Label

LEAST = 0.05
"""Least score of a label that is kept."""

MOST = 12
"""Most labels that are kept of one moment."""


def pick(
    names: Sequence[str],
    scores: Float32Array,
    segments: Float64Array,
    *,
    least: float = LEAST,
    most: int = MOST,
) -> tuple[Label, ...]:
    """Return the labels worth keeping, best first.

    Parameters
    ----------
    names : sequence of str
        Of the labels.
    scores : float32 array, shape (n, len(names))
        Of each moment; NaN is never kept.
    segments : float64 array, shape (n, 2)
        Start and end of the moments in seconds.
    least : float
        Least score.
    most : int
        Most labels of one moment.

    Raises
    ------
    ValueError
        If the shapes do not belong together.

    Examples
    --------
    >>> found = pick(["Dog", "Rain"], np.array([[0.9, 0.01]], np.float32), np.array([[0.0, 5.0]]))
    >>> [(label.name, round(label.score, 3)) for label in found]
    [('Dog', 0.9)]
    """
    if scores.shape != (len(segments), len(names)):
        raise ValueError(
            f"scores must have the shape ({len(segments)}, {len(names)}), got {scores.shape}"
        )
    values = np.nan_to_num(scores.astype(np.float64), nan=-1.0)
    if values.shape[1] > most and len(values):
        bound = np.partition(values, -most, axis=1)[:, [-most]]
        values = np.where(values >= bound, values, -1.0)
    keep = values >= least
    labels = []
    for column in np.flatnonzero(keep.any(axis=0)).tolist():
        at = keep[:, column]
        moments = np.column_stack([segments[at], values[at, column]])
        labels.append(Label(names[column], float(moments[:, 2].max()), moments))
    return tuple(sorted(labels, key=lambda label: (-label.score, label.name)))


def with_labels(encoded: Encoded, names: Sequence[str]) -> Encoded:
    """Return rows with the labels worth keeping in place of all scores."""
    if encoded.label_scores is None:
        return encoded
    labels = pick(names, encoded.label_scores, encoded.segments)
    return replace(encoded, label_scores=None, labels=labels)


def renamed(
    labels: Sequence[Label], wanted: Mapping[str, Sequence[Collection[str]]]
) -> tuple[Label, ...]:
    """Return labels of other names, each heard where one of every group of labels is.

    Parameters
    ----------
    labels : sequence of Label
        Those that were kept.
    wanted : mapping
        Name to groups of names of `labels`.  In a moment it has the least score of its groups,
        a group the largest of its labels.

    Returns
    -------
    tuple of Label
        Best first; without those that are heard nowhere.

    Examples
    --------
    >>> dog = Label("Dog", 0.8, np.array([[0.0, 5.0, 0.8]]))
    >>> yip = Label("Yip", 0.6, np.array([[0.0, 5.0, 0.6]]))
    >>> groups = [{"Dog"}, {"Bark", "Yip"}]
    >>> [both] = renamed([dog, yip], {"dog barking": groups, "rain": [{"Rain"}]})
    >>> both.name, both.score
    ('dog barking', 0.6)
    """
    found = []
    for name, groups in wanted.items():
        scores = [_moments_of(labels, group) for group in groups]
        shared = set.intersection(*(set(each) for each in scores)) if scores else set()
        if shared:
            rows = [(*at, min(each[at] for each in scores)) for at in sorted(shared)]
            moments = np.array(rows, np.float64)
            found.append(Label(name, float(moments[:, 2].max()), moments))
    return tuple(sorted(found, key=lambda label: (-label.score, label.name)))


def _moments_of(
    labels: Sequence[Label], names: Collection[str]
) -> dict[tuple[float, float], float]:
    """The largest score of the named labels in each moment."""
    best: dict[tuple[float, float], float] = {}
    for label in labels:
        for start, end, score in label.moments.tolist() if label.name in names else ():
            best[start, end] = max(score, best.get((start, end), 0.0))
    return best
