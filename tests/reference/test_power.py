"""The comparison notices wrong rules: each mutation of the reference differs from the emulator in some scenario."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

from . import mutations_core, mutations_die, mutations_ledger
from .generate import Scenario, random_scenario
from .harness import Emulator, Reference, compare

SEEDS = range(100)

Mutation = Callable[[pytest.MonkeyPatch], None]
MUTATIONS: tuple[Mutation, ...] = mutations_core.MUTATIONS + mutations_ledger.MUTATIONS + mutations_die.MUTATIONS


@cache
def equal_scenarios() -> list[Scenario]:
    """Scenarios without a difference before any mutation; to be called first without one."""
    scenarios = [random_scenario(seed) for seed in SEEDS]
    return [s for s in scenarios if compare(s, Emulator, Reference) is None]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda m: m.__name__)
def test_mutation_is_noticed(mutation: Mutation, monkeypatch: pytest.MonkeyPatch) -> None:
    scenarios = equal_scenarios()
    mutation(monkeypatch)
    assert any(compare(s, Emulator, Reference) for s in scenarios)
