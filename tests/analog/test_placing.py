"""Fields that follow a few codes are those that follow all of them, and levels of converters are the sums of their elements."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from serving import config
from tsu_emu.analog.dac import output
from tsu_emu.analog.die import place_changed, place_couplings
from tsu_emu.chip import Chip

GRID = {"kind": "grid", "width": 9, "height": 9, "rules": [[1, 0], [2, 1]]}
DAC = {"element_sigma": 0.05, "gain_sigma": 0.05, "offset_sigma_lsb": 0.5}
ERRORS: dict[str, Any] = {"coupling": {"gain_sigma": 0.1, "dac": DAC}, "cell": {"kind": "pbit", "slope_sigma": 0.1}}


@pytest.mark.parametrize("effects", [{}, ERRORS], ids=["ideal", "errors"])
def test_a_few_codes_are_placed_as_all_are(effects: dict[str, Any]) -> None:
    """From a code in the midst of a row on; forgotten changes would show."""
    plant, rng = Chip(config(GRID, **effects)).plant, np.random.default_rng(4)
    row, n, first = plant.topology.row, len(plant.doubled), 5
    codes = rng.integers(-128, 128, n).astype(np.int16)
    doubled, base = np.zeros(n, np.int32), np.zeros(len(row) - 1, np.int32)
    place_couplings(plant.die, row, codes, 0, doubled, base)
    changed = codes.copy()
    some = rng.choice(np.arange(first, n), 40, replace=False)
    changed[some] = rng.integers(-128, 128, 40)
    wanted, found = (doubled.copy(), base.copy()), (doubled.copy(), base.copy())
    place_couplings(plant.die, row, changed, 0, *wanted)
    place_changed(plant.die, row, changed[first:], codes[first:], first, *found)
    for a, b, before in zip(found, wanted, (doubled, base), strict=True):
        np.testing.assert_array_equal(a, b)
        assert (a != before).sum() > 20


def test_levels_are_what_elements_add_up_to() -> None:
    """A die whose converters share their elements against the same elements given to each."""
    bank = Chip(config(GRID)).plant.die.coupling
    own = bank._replace(element=np.repeat(bank.element, 2, axis=1), level=np.empty(0))
    codes = range(-128, 128)
    assert bank.level.size == 256
    assert [output(bank, 1, code) for code in codes] == [output(own, 1, code) for code in codes]
