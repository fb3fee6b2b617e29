"""The contract of a store, as a test that any plug-in can run on its own.

Each rule is a function of its own that gets a fresh, empty store; a broken one raises
AssertionError with the rule, then what came.  Rows are synthetic and made from a seed; what a
search must find is computed here, slowly.  Recall is counted by distance, so ties are no misses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from earmark.testing import store_searching as searching
from earmark.testing import store_writing as writing
from earmark.testing.store_cases import Case
from earmark.types import (
    Metric,
    RowType,
    Store,
)

OpenStore = Callable[[], Store]
_METRICS: tuple[tuple[Metric, RowType], ...] = (
    ("cosine", "float16"),
    ("cosine", "float32"),
    ("inner_product", "float16"),
    ("cosine", "int8"),
    ("l2", "float32"),
    ("hamming", "bits"),
)


def check_store(
    open_store: OpenStore,
    *,
    reopen: Callable[[Store], Store] | None = None,
    seed: int = 0,
    tolerance: float = 2e-3,
    skip: Sequence[str] = (),
) -> list[str]:
    """Check that a store keeps its contract (`earmark.types.Store` and `Writer`).

    Parameters
    ----------
    open_store : callable
        Returns a new, empty store at every call.
    reopen : callable, optional
        Takes a store, closes it and opens it again; checks that commits last.
    seed : int
        Of the synthetic rows.
    tolerance : float
        How far a distance may be from the one computed in float64, relative to 1.
    skip : sequence of str
        Names of rules that the store is known not to keep (see what is returned).

    Returns
    -------
    list of str
        Names of the rules that were checked.

    Raises
    ------
    AssertionError
        Naming the rule that was broken.
    """
    checked = []
    for name, rule in _RULES.items():
        if name in skip:
            continue
        store = open_store()
        try:
            store = rule(Case(store, reopen, np.random.default_rng(seed), tolerance)) or store
        finally:
            store.close()
        checked.append(name)
    return checked


_RULES: dict[str, Callable[[Case], Store | None]] = {
    "empty": writing.empty,
    "tracks round trip": writing.tracks_round_trip,
    "commit": writing.commit_is_the_only_door,
    **{f"search {m} {d}": searching.rule(m, d) for m, d in _METRICS},
    "segments and keys": searching.segments_and_keys,
    "replacing": writing.replacing,
    "copy, move, remove": writing.copy_move_remove,
    "encoders and state": writing.encoders_and_state,
    "door": writing.door,
    "second form": searching.second_form,
    "filters": searching.filters,
    "tags": writing.tags,
    "words": searching.words,
    "labels": searching.labels,
    "derived arrays": writing.derived_arrays,
    "failures": writing.failures,
    "many tracks": searching.many_tracks,
    "compaction": searching.compaction,
}
