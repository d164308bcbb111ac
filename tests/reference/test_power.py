"""The comparison notices wrong rules: each mutation of the reference differs from the emulator in some scenario."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from inspect import isfunction
from types import ModuleType

import pytest

from tsu_emu.config import ChipConfig

from . import (
    mutations_calibration,
    mutations_core,
    mutations_die,
    mutations_learning,
    mutations_ledger,
    mutations_ring,
    mutations_tempering,
    mutations_versions,
)
from .generate import Scenario, random_scenario
from .harness import Emulator, Recorded, Reference, compare, record

SEEDS = range(100)

Mutation = Callable[[pytest.MonkeyPatch], None]


def mutations_of(module: ModuleType) -> list[Mutation]:
    """The public functions that a module defines."""
    own = {name: f for name, f in vars(module).items() if isfunction(f) and f.__module__ == module.__name__}
    return [f for name, f in own.items() if not name.startswith("_")]


MODULES = (
    mutations_core, mutations_ledger, mutations_die, mutations_learning, mutations_versions, mutations_ring, mutations_tempering,
    mutations_calibration,
)  # fmt: skip
MUTATIONS = [mutation for module in MODULES for mutation in mutations_of(module)]


@cache
def equal_scenarios() -> list[tuple[Scenario, Callable[[ChipConfig], Recorded]]]:
    """Scenarios without a difference before any mutation, with what the emulator did; to be called first without one."""
    recorded = [(scenario, record(scenario, Emulator)) for scenario in map(random_scenario, SEEDS)]
    return [(scenario, emulator) for scenario, emulator in recorded if compare(scenario, emulator, Reference) is None]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda m: m.__name__)
def test_mutation_is_noticed(mutation: Mutation, monkeypatch: pytest.MonkeyPatch) -> None:
    scenarios = equal_scenarios()
    assert len(scenarios) == len(SEEDS)
    mutation(monkeypatch)
    assert any(compare(scenario, emulator, Reference) for scenario, emulator in scenarios)
