"""Fill a library: plan what to do, encode in an executor, commit as results come.

`plan` compares the files with the catalog, `run` carries the plan out, `estimate` says how long
that may take, `refit`, `renew` and `reencode` make rows of known tracks anew.
"""

from __future__ import annotations

from earmark.ingest.estimating import estimate
from earmark.ingest.planning import plan
from earmark.ingest.plans import Copy, IngestReport, Move, Plan
from earmark.ingest.reencoding import reencode, refit, renew
from earmark.ingest.running import run

__all__ = [
    "Copy",
    "IngestReport",
    "Move",
    "Plan",
    "estimate",
    "plan",
    "reencode",
    "refit",
    "renew",
    "run",
]
