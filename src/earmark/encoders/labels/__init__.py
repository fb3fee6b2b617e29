"""The 527 classes of AudioSet, in the order of the models' outputs.

The table is Google's ``class_labels_indices.csv`` (AudioSet, CC BY 4.0).
"""

from __future__ import annotations

import csv
from functools import lru_cache
from importlib import resources


@lru_cache(maxsize=1)
def audioset_labels() -> tuple[str, ...]:
    """Return the display names of the classes.

    Examples
    --------
    >>> audioset_labels()[0], len(audioset_labels())
    ('Speech', 527)
    """
    table = resources.files("earmark.encoders.labels") / "class_labels_indices.csv"
    rows = csv.DictReader(table.read_text(encoding="utf-8").splitlines())
    return tuple(row["display_name"] for row in rows)
