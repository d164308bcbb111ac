"""What every access of the bus meets before it comes to a register or a window: where things lie, and injected faults."""

from __future__ import annotations

from tsu_contract.places import NOWHERE
from tsu_emu import state as S
from tsu_emu.jit import inner, unfolded

FAULTS, NO_FAULT, BUS_ERROR, NO_PLACE = S.FAULTS, S.NO_FAULT, S.BUS_ERROR, NOWHERE


@inner
def inward(rules, address):  # type: ignore[no-untyped-def]
    """As `Places.inward_one`, on a chip whose map has places."""
    low, high = 0, rules.placed
    while low < high:
        middle = (low + high) // 2
        if rules.places[middle, 0] <= address:
            low = middle + 1
        else:
            high = middle
    if low > 0 and address - rules.places[low - 1, 0] < rules.places[low - 1, 2]:
        return rules.places[low - 1, 1] + address - rules.places[low - 1, 0]
    return NO_PLACE | address & 3


@unfolded
def fault_at(c, address):  # type: ignore[no-untyped-def]
    """Row of the injected fault that lets an access of this address fail, or -1."""
    if c.faulty:
        for k in range(FAULTS):
            if c.faults[k, 0] == BUS_ERROR and c.faults[k, 1] == address:
                return k
    return -1


@unfolded
def strike(c, row):  # type: ignore[no-untyped-def]
    """A fault of the bus has struck once."""
    c.faults[row, 2] -= 1
    if c.faults[row, 2] == 0:
        c.faults[row, 0] = NO_FAULT
