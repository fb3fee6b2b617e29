"""Fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real recordings; the test is skipped where it is absent."""
    folder = Path(os.environ.get("EARMARK_TEST_DATA") or ROOT.parent / "shared" / "data")
    if not (folder / "manifest.csv").is_file():
        pytest.skip(f"no real recordings: {folder} has no manifest.csv (set EARMARK_TEST_DATA)")
    return folder


@pytest.fixture(scope="session")
def weights_dir() -> Path:
    """The folder of real, small weights; the test is skipped where it is absent."""
    folder = Path(os.environ.get("EARMARK_TEST_WEIGHTS") or ROOT.parent / "shared" / "weights")
    if not (folder / "mn04_as_mAP_432.pt").is_file():
        pytest.skip(f"no real weights: {folder} has no mn04_as_mAP_432.pt (EARMARK_TEST_WEIGHTS)")
    return folder
