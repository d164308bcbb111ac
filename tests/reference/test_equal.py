"""The emulator equals the reference, message by message; TSU_REFERENCE_CASES sets the number of scenarios."""

from __future__ import annotations

import os

import pytest

from .generate import random_scenario
from .harness import Emulator, Reference, compare

CASES = int(os.environ.get("TSU_REFERENCE_CASES", "300"))


@pytest.mark.parametrize("seed", range(CASES))
def test_emulator_equals_the_reference(seed: int) -> None:
    found = compare(random_scenario(seed), Emulator, Reference)
    assert found is None, found
