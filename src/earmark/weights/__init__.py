"""Model files: which there are, where they lie, how they are read and fetched.

Nothing here runs code that a file brings, and nothing is fetched unless `pull` is called.
"""

from __future__ import annotations

from earmark.weights.locating import Located, Places, find, locate, require
from earmark.weights.registry import MODELS, Model, ModelFile, model

__all__ = [
    "MODELS",
    "Located",
    "Model",
    "ModelFile",
    "Places",
    "find",
    "locate",
    "model",
    "require",
]
