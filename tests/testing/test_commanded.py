"""The scenario of the chip's own firmware: right without faults; a trap is reported, and a dead cell is not."""

from __future__ import annotations

import pytest

from tsu_testing.campaign import Campaign
from tsu_testing.commanded import Commands


@pytest.fixture(scope="module")
def campaign() -> Campaign:
    return Campaign(Commands())


def test_a_bus_error_ends_in_the_safe_state(campaign: Campaign) -> None:
    result = campaign.run("bus-error", 1)
    assert result.outcome == "detected"
    assert any("FAILED, 0x10" in report for report in result.reports)


def test_nobody_sees_a_dead_cell_after_the_look(campaign: Campaign) -> None:
    """The law of the annealed spins is wrong, without a word."""
    assert campaign.run("stuck-cell", 2).outcome == "silent"


def test_a_core_that_stood_still_comes_back(campaign: Campaign) -> None:
    """Interrupts that the chip had enabled for it before the watchdog reset it do not keep it from anything."""
    result = campaign.run("stall", 0)
    assert result.outcome == "detected"
    assert "the watchdog has bitten" in result.reports
