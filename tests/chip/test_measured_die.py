"""Values of a die that a configuration states are those of the chip's elements; what it does not state is the seed's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from serving import config
from tsu_contract.bench import Arguments
from tsu_emu.bench.truth import Truth
from tsu_emu.chip import Chip
from tsu_emu.chip.capability import serial_of
from tsu_emu.config import ConfigError

SPREAD: dict[str, Any] = {
    "seeds": {"die": 5},
    "cell": {"kind": "pbit", "offset_sigma_kt": 0.2, "slope_sigma": 0.1},
    "coupling": {"gain_sigma": 0.05, "dac": {"offset_sigma_lsb": 1.0, "gain_sigma": 0.02}},
    "temperature": {"dac": {"full_scale": 4.0, "gain_sigma": 0.03, "offset_sigma_lsb": 2.0}},
}
STATED: dict[str, tuple[float, ...]] = {
    "offset_kt": (0.1, -0.2, 0.3),
    "slope": (0.9, 1.0, 1.2),
    "coupler_gain": (0.8, 0.9, 1.0, 1.1, 1.2, 1.3),
    "coupler_offset_kt": (0.01, -0.02, 0.03, 0.0, 0.05, -0.06),
    "temperature": (0.97, 0.04),
}


def truths(**die: Any) -> dict[str, list[float]]:
    """What the chip's elements are, all codes at 0."""
    chip = Chip(config({"kind": "dense", "cells": 3}, 4, **SPREAD, die=die))
    truth = Truth(chip)
    names = ("offset", "slope", "kappa", "J", "temperature_dac")
    offset, slope, gain, J, staircase = (truth.of(name, Arguments({"name": name}, ("name",))) for name in names)
    return {
        "offset_kt": offset.tolist(),
        "slope": slope.tolist(),
        "coupler_gain": gain.tolist(),
        "coupler_offset_kt": (J / gain).tolist(),
        "temperature": [(staircase[128] - staircase[0]) / 2.0, staircase[0]],
    }


@pytest.mark.parametrize("name", STATED)
def test_a_list_that_is_stated_is_the_chips_and_moves_no_other(name: str) -> None:
    drawn, stated = truths(), truths(**{name: STATED[name]})
    for key in STATED:
        assert stated[key] == pytest.approx(STATED[key] if key == name else drawn[key], abs=1e-7), key
        assert not np.allclose(drawn[key], STATED[key], atol=1e-3)


def test_lists_of_another_chip_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"die\.coupler_gain: 3 values; this chip has 6 elements"):
        truths(coupler_gain=(1.0, 1.0, 1.0))
    with pytest.raises(ConfigError, match=r"temperature \[1.0\]: a gain, .5 to 2, and an offset expected"):
        truths(temperature=(1.0,))
    with pytest.raises(ConfigError, match="those of p-bits, not of pdit cells"):
        config({"kind": "dense", "cells": 3}, 4, cell={"kind": "pdit", "states": 3}, die={"slope": (1, 1, 1)})


def test_what_is_stated_is_part_of_the_serial_number() -> None:
    def serial(die: dict[str, Any]) -> int:
        return serial_of(config({"kind": "dense", "cells": 3}, 4, die=die))

    assert serial({}) == serial({"slope": ()}) != serial({"slope": (1, 1, 1.1)}) != serial({"slope": (1, 1, 1.2)})
