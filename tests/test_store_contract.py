"""The local store keeps the contract that all stores keep."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from earmark.stores import open_store
from earmark.testing import store as contract
from earmark.types import Store


@pytest.fixture
def fresh(tmp_path: Path) -> Callable[[], Store]:
    numbers = count()
    return lambda: open_store(str(tmp_path / f"library {next(numbers)}"), create=True)


def reopen(store: Store) -> Store:
    store.close()
    return open_store(store.url)


@pytest.mark.parametrize("rule", contract._RULES)
def test_local_store_keeps_the_contract(fresh: Callable[[], Store], rule: str) -> None:
    others = [name for name in contract._RULES if name != rule]
    assert contract.check_store(fresh, reopen=reopen, skip=others) == [rule]


def test_check_store_names_the_rule_that_is_broken(fresh: Callable[[], Store]) -> None:
    def forgetful() -> Store:
        store = fresh()
        store.find_path = lambda path: None  # type: ignore[method-assign]
        return store

    with pytest.raises(AssertionError, match="find_path gives the track"):
        contract.check_store(forgetful)
