"""Fetch, decode and execute."""

from __future__ import annotations

import numpy as np

from tsu_emu.cpu.arithmetic import compare, divide, immediate_b, immediate_j, integer, multiply
from tsu_emu.cpu.machine import (
    BREAKPOINT,
    ECALL,
    FETCH_FAULT,
    ILLEGAL,
    LOAD_FAULT,
    LOAD_MISALIGNED,
    STORE_FAULT,
    STORE_MISALIGNED,
    attention,
    csr,
    interrupt,
    leave,
    stops,
    trap,
)  # fmt: skip
from tsu_emu.cpu.memory import NO_SECOND_HALF, extended, fetch_across, loaded, misaligned, on_bus, stored
from tsu_emu.cpu.state import BUS_LOAD, BUS_NONE, BUS_STORE, NO_ADDRESS
from tsu_emu.jit import inner, kernel

U, S = np.uint32, np.int64
M32 = 0xFFFFFFFF

UNTIL, BUS, ASLEEP, BREAK = range(4)
"""Why `run` returned: the cycle was reached; an access to perform; WFI with nothing pending; a breakpoint."""

LOAD, FENCE, OP_IMM, AUIPC, STORE, OP, LUI, BRANCH, JALR, JAL, SYSTEM = 0, 3, 4, 5, 8, 12, 13, 24, 25, 27, 28
"""Major opcodes, bits 2 to 6."""
ECALL_W, EBREAK_W, MRET_W, WFI_W = 0x00000073, 0x00100073, 0x30200073, 0x10500073


@kernel
def run(hart, model, rom, ram, until):  # type: ignore[no-untyped-def]
    """Executes the instructions that begin before chip cycle `until`; returns why it stopped, and how many retired.

    hart : (1,) HART; model : (1,) MODEL; rom, ram : (words,) uint32

    After BUS, perform the access that the hart describes and call `finish_load`, `finish_store` or `bus_fault`. After ASLEEP,
    call again with `cycle` moved on to where a line rose. An instruction may end beyond `until`: `cycle` says where.

    One long function, because state that is passed on would have to be stored and loaded for every instruction.
    """
    h, m = hart[0], model[0]
    if h.bus_kind != U(BUS_NONE):
        return BUS, 0
    if h.cycle >= until:
        return UNTIL, 0
    if h.asleep:
        if h.lines & h.mie == U(0):
            return ASLEEP, 0
        h.asleep = U(0)
    rom16, ram16 = rom.view(np.uint16), ram.view(np.uint16)
    rom_bytes, ram_bytes = 4 * rom.size, 4 * ram.size
    pc, cycle, retired, reason = S(h.pc), h.cycle, h.retired, UNTIL
    looks = attention(h)
    if not looks:
        h.halted = U(NO_ADDRESS)
    while cycle < until:
        if looks:
            taken = interrupt(h)
            if taken:
                pc = trap(h, pc, taken, 0)
                cycle += m.trap
                looks = attention(h)
                continue
            if stops(h, pc):
                reason = BREAK
                break
        here, there = (pc - m.ram_base) >> 1, (pc - m.rom_base) >> 1
        if 0 <= here < ram16.size - 1:
            raw = S(ram16[np.uint64(here)]) | S(ram16[np.uint64(here + 1)]) << 16
        elif 0 <= there < rom16.size - 1:
            raw = S(rom16[np.uint64(there)]) | S(rom16[np.uint64(there + 1)]) << 16
        else:
            raw = fetch_across(m, rom16, ram16, pc)
        w, following = raw, pc + 4
        if raw & 3 != 3:
            raw &= 0xFFFF
            w, following = S(m.expanded[raw]), pc + 2
        op, f3, rd = w >> 2 & 31, w >> 12 & 7, w >> 7 & 31
        a, b = S(np.int32(h.x[w >> 15 & 31])), S(np.int32(h.x[w >> 20 & 31]))
        cause, value, cost = -1, S(0), m.alu
        if raw < 0:
            cause, value = FETCH_FAULT, pc + 2 if raw == NO_SECOND_HALF else pc
        elif op == OP_IMM:
            imm = (w << 32) >> 52
            if f3 & 3 == 1 and (w >> 25) & ~(32 if f3 == 5 else 0):
                cause = ILLEGAL
            else:
                h.x[rd] = U(integer(f3, S(f3 == 5) & w >> 30, a, imm))
        elif op == OP:
            f7 = w >> 25
            if f7 == 1:
                if f3 < 4:
                    cost = m.multiply
                    h.x[rd] = U(multiply(f3, a, b))
                else:
                    cost = m.divide
                    h.x[rd] = U(divide(f3, a, b))
            elif f7 == 0 or (f7 == 32 and (f3 == 0 or f3 == 5)):
                h.x[rd] = U(integer(f3, f7, a, b))
            else:
                cause = ILLEGAL
        elif op == BRANCH:
            if f3 >> 1 == 1:
                cause = ILLEGAL
            elif compare(f3, a, b):
                following, cost = pc + immediate_b(w), m.taken
            else:
                cost = m.branch
        elif op == LOAD and w & 3:
            address, cost = (a + ((w << 32) >> 52)) & M32, m.load
            if f3 == 3 or f3 > 5:
                cause = ILLEGAL
            elif misaligned(address, f3):
                cause, value = LOAD_MISALIGNED, address
            elif 0 <= address - m.ram_base < ram_bytes:
                h.x[rd] = U(loaded(ram[np.uint64((address - m.ram_base) >> 2)], address, f3))
            elif 0 <= address - m.rom_base < rom_bytes:
                h.x[rd] = U(loaded(rom[np.uint64((address - m.rom_base) >> 2)], address, f3))
            elif on_bus(h, m, BUS_LOAD, address, f3, rd, following - pc):
                reason = BUS
                break
            else:
                cause, value = LOAD_FAULT, address
        elif op == STORE:
            address, cost = (a + ((w << 32) >> 57 << 5 | rd)) & M32, m.store
            if f3 > 2:
                cause = ILLEGAL
            elif misaligned(address, f3):
                cause, value = STORE_MISALIGNED, address
            elif 0 <= address - m.ram_base < ram_bytes:
                k = np.uint64((address - m.ram_base) >> 2)
                ram[k] = stored(ram[k], address, f3, b)
            elif on_bus(h, m, BUS_STORE, address, f3, 0, following - pc):
                h.bus_value = U(b & ((1 << (8 << f3)) - 1))
                reason = BUS
                break
            else:
                cause, value = STORE_FAULT, address
        elif op == JAL:
            h.x[rd] = U(following)
            following, cost = pc + immediate_j(w), m.taken
        elif op == JALR and f3 == 0:
            h.x[rd] = U(following)
            following, cost = a + ((w << 32) >> 52) & ~1, m.taken
        elif op == LUI:
            h.x[rd] = U(w & ~0xFFF)
        elif op == AUIPC:
            h.x[rd] = U(pc + (w & ~0xFFF))
        elif op == FENCE and f3 < 2:
            cost = m.system
        elif op == SYSTEM:
            if f3 & 3:
                cost = m.csr
                if not csr(h, m, w, cycle, retired):
                    cause = ILLEGAL
                looks = attention(h)
            elif w == MRET_W:
                following, cost = leave(h), m.system
                looks = attention(h)
            elif w == WFI_W:
                cost = m.system
                if h.lines & h.mie == U(0):
                    h.asleep, reason = U(1), ASLEEP
            elif w == ECALL_W:
                cause = ECALL
            elif w == EBREAK_W:
                cause, value = BREAKPOINT, pc
            else:
                cause = ILLEGAL
        else:
            cause = ILLEGAL
        h.x[0] = U(0)
        if cause >= 0:
            pc = trap(h, pc, cause, raw if cause == ILLEGAL else value)
            cycle += m.trap
            looks = attention(h)
            continue
        pc = following & M32
        cycle += cost
        retired += 1
        if reason == ASLEEP:
            break
    count = retired - h.retired
    h.pc, h.cycle, h.retired = U(pc), cycle, retired
    return reason, count


@kernel
def finish_load(hart, value, cost):  # type: ignore[no-untyped-def]
    """The access was a load that found `value` in its low bytes; the instruction took `cost` cycles, at least 1."""
    h = hart[0]
    size = S(h.bus_size)
    h.x[h.bus_rd] = U(extended(S(value), (size >> 1) | (0 if h.bus_signed else 4)))
    h.x[0] = U(0)
    _finish(h, cost)


@kernel
def finish_store(hart, cost):  # type: ignore[no-untyped-def]
    """The access was a store; the instruction took `cost` cycles, at least 1."""
    _finish(hart[0], cost)


@kernel
def bus_fault(hart, model, cost):  # type: ignore[no-untyped-def]
    """The bus refused the access after `cost` cycles: an access fault, which traps."""
    h = hart[0]
    cause = LOAD_FAULT if h.bus_kind == U(BUS_LOAD) else STORE_FAULT
    h.pc = U(trap(h, S(h.pc), cause, S(h.bus_address)))
    h.cycle += cost + model[0].trap
    h.bus_kind = U(BUS_NONE)


@inner
def _finish(h, cost):  # type: ignore[no-untyped-def]
    h.pc = U(S(h.pc) + S(h.bus_length))
    h.cycle += cost
    h.retired += 1
    h.bus_kind = U(BUS_NONE)
