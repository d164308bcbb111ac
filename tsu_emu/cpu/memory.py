"""Accesses to ROM and RAM, and what an access to the bus leaves for the caller to do.

Nothing on a frequent path takes an array: compiled code counts references to each array that it passes on."""

from __future__ import annotations

import numpy as np

from tsu_emu.jit import inner, unfolded

U, S = np.uint32, np.int64

NO_FIRST_HALF, NO_SECOND_HALF = -1, -5
"""What `fetch_across` returns where there is no memory; both look like instructions of four bytes."""


@unfolded
def misaligned(address, f3):  # type: ignore[no-untyped-def]
    """Whether an access of a size by funct3 lies across its natural boundary."""
    return address & ((1 << (f3 & 3)) - 1) != 0


@unfolded
def loaded(word, offset, f3):  # type: ignore[no-untyped-def]
    """What LB, LH, LW, LBU or LHU by funct3 at a byte takes from the word that it lies in."""
    return extended(S(word) >> (8 * (offset & 3)), f3)


@unfolded
def extended(value, f3):  # type: ignore[no-untyped-def]
    """The low bytes of a value as a load by funct3 leaves them in a register."""
    unused = 64 - (8 << (f3 & 3))
    return value & ((1 << (8 << (f3 & 3))) - 1) if f3 & 4 else (value << unused) >> unused


@unfolded
def stored(word, offset, f3, value):  # type: ignore[no-untyped-def]
    """What SB, SH or SW by funct3 to a byte makes of the word that it lies in."""
    shift = 8 * (offset & 3)
    mask = ((1 << (8 << f3)) - 1) << shift
    return U((S(word) & ~mask) | (value << shift & mask))


@unfolded
def _halfword(m, rom16, ram16, address):  # type: ignore[no-untyped-def]
    """The halfword at an even address, or NO_FIRST_HALF."""
    if 0 <= address - m.ram_base < 2 * ram16.size:
        return S(ram16[np.uint64((address - m.ram_base) >> 1)])
    if 0 <= address - m.rom_base < 2 * rom16.size:
        return S(rom16[np.uint64((address - m.rom_base) >> 1)])
    return S(NO_FIRST_HALF)


@inner
def fetch_across(m, rom16, ram16, pc):  # type: ignore[no-untyped-def]
    """The four bytes at an even address, wherever each half lies; the upper half is missing if the lower is compressed."""
    low = _halfword(m, rom16, ram16, pc)
    if low & 3 != 3 or low < 0:
        return low
    high = _halfword(m, rom16, ram16, pc + 2 & 0xFFFFFFFF)
    return S(NO_SECOND_HALF) if high < 0 else low | high << 16


@inner
def on_bus(h, m, kind, address, f3, rd, length):  # type: ignore[no-untyped-def]
    """Whether an aligned access goes to the bus; then the hart waits for it."""
    if not 0 <= address - m.mmio_base < m.mmio_bytes:
        return False
    h.bus_kind, h.bus_address, h.bus_size, h.bus_value = U(kind), U(address), U(1 << (f3 & 3)), U(0)
    h.bus_rd, h.bus_signed, h.bus_length = U(rd), U(f3 < 4), U(length)
    return True
