"""Contract tests that plug-ins can run on their encoders and stores.

Each check raises AssertionError with the rule that was broken.

Examples
--------
>>> from earmark import encoders
>>> check_encoder(encoders.create("timbre"))
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from earmark.testing.encoder import check_encoder

if TYPE_CHECKING:
    from earmark.testing.store import check_store

__all__ = ["check_encoder", "check_store"]


def __getattr__(name: str) -> object:
    # The store's checks load what only stores need.
    if name == "check_store":
        return import_module("earmark.testing.store").check_store
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
