"""What is wrong with an operation, in words."""

from __future__ import annotations

from typing import Any

from tsu_contract.capabilities import Capabilities
from tsu_contract.errors import Code, fail
from tsu_contract.extension import RegisterMap
from tsu_contract.operations import TIME_MAX, Op
from tsu_contract.registers import REGISTER_SPACE, WINDOW_AT, WINDOW_STRIDE, Register


def explain(code: Code, index: int, record: Any, cap: Capabilities, registers: RegisterMap, given: int) -> Exception:
    """The failure in words that name operation, address and field; given : the address on the bus."""
    op, addr, value, mask, arg = (int(record[k]) for k in ("op", "addr", "value", "mask", "arg"))
    name = Op(op).name if op in Op._value2member_map_ else f"operation {op}"
    if op not in Op._value2member_map_ or op >= Op.DELAY:
        return _explain_without_place(code, index, record, name)
    window = WINDOW_AT.get(addr // WINDOW_STRIDE) if addr >= WINDOW_STRIDE else None
    reg = _register_at(addr, registers)
    place = window.name if window else reg.name if reg else f"{given:#010x}"
    field = None
    match code:
        case Code.BAD_OPERATION if op in (Op.RMW, Op.WAIT) and value & ~mask:
            text = f"{name} of {place}: value {value:#x} has bits outside its mask {mask:#x}"
        case Code.BAD_OPERATION:
            text = f"{name} is not for {place}, or a record field that it does not use is not 0"
        case Code.BAD_CHIP:
            text = f"chip {int(record['chip'])}: this daemon serves chip 0 alone"
        case Code.UNMAPPED:
            text = f"nothing is mapped at {given:#010x}"
        case Code.MISALIGNED:
            text = f"{given:#010x} is not a multiple of 4"
        case Code.READ_ONLY if reg and reg.per_plane:
            text = f"{place}: the chip has {cap.planes} planes, none of them in this word"
        case Code.READ_ONLY:
            text = f"{place} is read-only"
        case Code.WRITE_ONLY:
            text = f"{place} is write-only"
        case Code.UNPOPULATED if op in (Op.BLKRD, Op.BLKWR) and arg == 0:
            text = f"{place}: a burst of 0 words; at least 1 expected"
        case Code.UNPOPULATED:
            words, count = cap.words(window) if window else 0, arg if op in (Op.BLKRD, Op.BLKWR) else 1
            text = f"{place} has {words} words; {count} from word {(addr % WINDOW_STRIDE) // 4} do not fit"
        case Code.FREE_RUNNING:
            text = f"{place} counts in every cycle; use DELAY or DELAY_UNTIL"
        case Code.SPLIT_FIELD:
            field = next((f.name for f in reg.fields.values() if f.mask & mask and f.mask & ~mask), None) if reg else None
            text = f"mask {mask:#x} cuts through {place}.{field}; a read-modify-write changes whole fields"
        case Code.RESERVED_BITS if op == Op.RMW and mask == 0:
            text = f"RMW of {place}: mask 0 changes nothing; name at least one field"
        case Code.RESERVED_BITS:
            text = f"{(mask if op == Op.RMW else value):#010x} has bits outside the writable fields of {place}"
        case _ if op == Op.WAIT or reg is None:
            text = f"{name} of {place} asks for {arg} cycles; chip time ends at cycle {TIME_MAX}"
        case _:
            field, text = _out_of_range(reg, op, value, mask, cap)
    return fail(code, text, index, given, f"{place}.{field}" if field else (place if reg or window else None))


def _explain_without_place(code: Code, index: int, record: Any, name: str) -> Exception:
    """As `_explain`, of an operation that has no address."""
    match code:
        case Code.BAD_CHIP:
            text = f"chip {int(record['chip'])}: this daemon serves chip 0 alone"
        case Code.OUT_OF_RANGE:
            text = f"{name} asks for {int(record['arg'])} cycles; chip time ends at cycle {TIME_MAX}"
        case _:
            text = f"{name} is not defined, or a record field that it does not use is not 0"
    return fail(code, text, index)


def _out_of_range(reg: Register, op: int, value: int, mask: int, cap: Capabilities) -> tuple[str | None, str]:
    for f in reg.fields.values():
        if f.maximum is None or f.minimum is None or (op == Op.RMW and not f.mask & mask):
            continue
        top = (1 << cap.temp_bits) - 1 if reg.name == "TEMP.TDAC" else f.maximum
        if not f.minimum <= f.get(value) <= top:
            return f.name, f"{reg.name}.{f.name} = {f.get(value)}; {f.minimum} to {top} expected"
    return None, f"{reg.name}: value {value:#x} is out of range"


def _register_at(addr: int, registers: RegisterMap) -> Register | None:
    table = registers.access
    if addr >= REGISTER_SPACE or table.decode[addr >> 2] < 0:
        return None
    return registers.registers[table.names[table.register[table.decode[addr >> 2]]]]
