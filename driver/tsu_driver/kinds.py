"""The kinds of cells: their names, the terms of their biases, and whether they are seen as spins, states or values."""

from __future__ import annotations

from tsu_contract.capabilities import (
    GAUSSIAN,
    LANGEVIN,
    MIXTURE,
    PBIT_ASYNC,
    PBIT_CLOCKED,
    PDIT,
    RANGE_SCALE,
    SPIN_KINDS,
    STATE_KINDS,
    VALUE_KINDS,
    Capabilities,
)
from tsu_driver.errors import HostError

NAMES = {
    PBIT_CLOCKED: "pbit",
    PBIT_ASYNC: "async-pbit",
    PDIT: "pdit",
    GAUSSIAN: "gaussian",
    MIXTURE: "mixture",
    LANGEVIN: "langevin",
}


def name_of(capabilities: Capabilities) -> str:
    """The kind of a chip's cells."""
    return NAMES[capabilities.cell_kind]


def terms_of(capabilities: Capabilities) -> tuple[str, ...]:
    """Names of the bias terms of a cell, in the order of their DACs."""
    states = range(capabilities.states)
    match name_of(capabilities):
        case "pdit":
            return tuple(f"h{k}" for k in states)
        case "gaussian":
            return "h", "a"
        case "mixture":
            return *(f"w{k}" for k in states), *(f"m{k}" for k in states)
        case "langevin":
            return "h", "a", "c", "b"
    return ("h",)


def has_spins(capabilities: Capabilities) -> bool:
    """p-bits."""
    return capabilities.cell_kind in SPIN_KINDS


def has_states(capabilities: Capabilities) -> bool:
    """pdits, and mixture cells, whose states are modes."""
    return capabilities.cell_kind in STATE_KINDS


def has_values(capabilities: Capabilities) -> bool:
    """Analog cells, read through converters."""
    return capabilities.cell_kind in VALUE_KINDS


def value_range(capabilities: Capabilities) -> float:
    """Cell value at the end of the readout range."""
    return capabilities.range_cell * RANGE_SCALE


def require(holds: bool, capabilities: Capabilities, what: str) -> None:
    """HostError "WHAT; this chip's cells are KIND" unless it holds."""
    if not holds:
        raise HostError(f"{what}; this chip's cells are of the kind {name_of(capabilities)}")
