"""An RV32IMC_Zicsr hart in plain Python, one instruction at a time, written from the RISC-V manuals alone.

Slow and simple: memory is a dictionary of bytes, compressed instructions are carried out as they stand. `mutate` names an
instruction whose meaning is spoilt, for tests of the tests.
"""

from __future__ import annotations

from cpu.meanings import BRANCH_NAMES, BRANCHES, COMPUTE, LOAD_NAMES, M32, PLAIN, TIMES, signed


class Trap(Exception):
    """An exception of the hart: cause and mtval."""

    def __init__(self, cause: int, value: int) -> None:
        self.cause, self.value = cause, value


class Oracle:
    """A hart and its memory, without a bus.

    memory : bytes by address; read_only : addresses of ROM; costs : cycles by class
    """

    def __init__(self, memory: dict[int, int], read_only: range, pc: int, costs: dict[str, int], mutate: str = "") -> None:
        self.memory, self.read_only, self.pc, self.costs, self.mutate = memory, read_only, pc, costs, mutate
        self.x = [0] * 32
        self.csr = dict.fromkeys((0x300, 0x304, 0x305, 0x320, 0x340, 0x341, 0x342, 0x343), 0)
        self.cycle = self.retired = self.mcycle = self.minstret = self.lines = 0
        self.asleep = False

    # memory
    def _fetch16(self, address: int) -> int:
        if address not in self.memory:
            raise Trap(1, address)
        return self.memory[address] | self.memory[address + 1] << 8

    def _access(self, address: int, size: int, store: bool) -> None:
        if address % size:
            raise Trap(6 if store else 4, address)
        if address not in self.memory or (store and address in self.read_only):
            raise Trap(7 if store else 5, address)

    def _load(self, name: str, address: int) -> int:
        size = {"b": 1, "h": 2, "w": 4}[name[1]]
        self._access(address, size, False)
        value = sum(self.memory[address + k] << 8 * k for k in range(size))
        return value if name.endswith("u") else signed(value, 8 * size)

    def _store(self, address: int, size: int, value: int) -> None:
        self._access(address, size, True)
        for k in range(size):
            self.memory[address + k] = value >> 8 * k & 255

    # traps
    def _enter(self, cause: int, value: int) -> None:
        status = self.csr[0x300]
        self.csr[0x300] = 0x80 if status & 8 else 0
        self.csr[0x341], self.csr[0x342], self.csr[0x343] = self.pc, cause, value
        base = self.csr[0x305]
        self.pc = base - base % 4 + (4 * (cause & 63) if base % 4 == 1 and cause >> 31 else 0)
        self._time(self.costs["trap"])

    def _interrupt(self) -> bool:
        waiting = self.lines & self.csr[0x304]
        if not (waiting and self.csr[0x300] & 8):
            return False
        number = next(n for n in (11, 3, 7) if waiting >> n & 1)
        self._enter(1 << 31 | number, 0)
        return True

    def _time(self, cycles: int) -> None:
        self.cycle += cycles
        if not self.csr[0x320] & 1:
            self.mcycle = (self.mcycle + cycles) % (1 << 64)

    # the step
    def step(self) -> bool:
        """Takes an interrupt or carries out an instruction; False if it sleeps."""
        if self.asleep:
            if not self.lines & self.csr[0x304]:
                return False
            self.asleep = False
        if self._interrupt():
            return True
        self._kind, self._after = "alu", None
        word = 0
        try:
            word = self._fetch16(self.pc)
            if word % 4 == 3:
                word |= self._fetch16(self.pc + 2) << 16
                self._next = self.pc + 4
                self._wide(word)
            else:
                self._next = self.pc + 2
                self._compressed(word)
        except Trap as trap:
            self._enter(trap.cause, word if trap.cause == 2 else trap.value)
            return True
        self.x[0] = 0
        self.pc = self._next & M32
        inhibited = self.csr[0x320]
        self._time(self.costs[self._kind])
        self.retired += 1
        if not inhibited & 4:
            self.minstret = (self.minstret + 1) % (1 << 64)
        if self._after is not None:
            self._after()
        return True

    def _set(self, rd: int, value: int) -> None:
        self.x[rd] = value & M32

    def _compute(self, name: str, rd: int, a: int, b: int) -> None:
        value = COMPUTE[name](a & M32, b & M32)
        self._set(rd, value + (name == self.mutate))
        if name in TIMES:
            self._kind = "multiply" if name[0] == "m" else "divide"

    def _branch(self, name: str, a: int, b: int, offset: int) -> None:
        self._kind = "branch"
        if BRANCHES[name](a, b) != (name == self.mutate):
            self._jump(self.pc + offset)

    def _jump(self, target: int) -> None:
        self._kind, self._next = "taken", target & ~1

    def _wide(self, w: int) -> None:
        opcode, rd, f3, rs1, rs2, f7 = w & 127, w >> 7 & 31, w >> 12 & 7, w >> 15 & 31, w >> 20 & 31, w >> 25
        a, b, i = self.x[rs1], self.x[rs2], signed(w >> 20, 12)
        if opcode == 0b0110111:
            self._set(rd, w & 0xFFFFF000)
        elif opcode == 0b0010111:
            self._set(rd, self.pc + (w & 0xFFFFF000))
        elif opcode == 0b1101111:
            offset = (w >> 31) << 20 | (w >> 12 & 255) << 12 | (w >> 20 & 1) << 11 | (w >> 21 & 1023) << 1
            self._set(rd, self._next)
            self._jump(self.pc + signed(offset, 21))
        elif opcode == 0b1100111 and f3 == 0:
            self._set(rd, self._next)
            self._jump(a + i)
        elif opcode == 0b1100011 and f3 in BRANCH_NAMES:
            offset = (w >> 31) << 12 | (w >> 7 & 1) << 11 | (w >> 25 & 63) << 5 | (w >> 8 & 15) << 1
            self._branch(BRANCH_NAMES[f3], a, b, signed(offset, 13))
        elif opcode == 0b0000011 and f3 in LOAD_NAMES:
            self._kind = "load"
            self._set(rd, self._load(LOAD_NAMES[f3], a + i & M32) + (LOAD_NAMES[f3] == self.mutate))
        elif opcode == 0b0100011 and f3 < 3:
            self._kind = "store"
            self._store(a + signed(f7 << 5 | rd, 12) & M32, 1 << f3, b ^ (("sb", "sh", "sw")[f3] == self.mutate))
        elif opcode == 0b0010011 and (f3 not in (1, 5) or f7 == 0 or (f3 == 5 and f7 == 0x20)):
            self._compute("sra" if f3 == 5 and f7 else PLAIN[f3], rd, a, i if f3 not in (1, 5) else rs2)
        elif opcode == 0b0110011 and f7 == 1:
            self._compute(TIMES[f3], rd, a, b)
        elif opcode == 0b0110011 and (f7 == 0 or (f7 == 0x20 and f3 in (0, 5))):
            self._compute(("sub" if f3 == 0 else "sra") if f7 else PLAIN[f3], rd, a, b)
        elif opcode == 0b0001111 and f3 < 2:
            self._kind = "system"
        elif opcode == 0b1110011:
            self._system(w, f3, rd, rs1)
        else:
            raise Trap(2, w)

    # compressed
    def _compressed(self, h: int) -> None:
        key = (h & 3, h >> 13)
        bit = lambda *places: sum((h >> p & 1) << n for n, p in enumerate(reversed(places)) if p >= 0)  # noqa: E731
        rd, rs2 = h >> 7 & 31, h >> 2 & 31
        low, high = 8 + rs2 % 8, 8 + rd % 8
        short = signed(bit(12, 6, 5, 4, 3, 2), 6)
        if key == (0, 0) and h >> 5 & 255:
            self._compute("add", low, self.x[2], bit(10, 9, 8, 7, 12, 11, 5, 6, -1, -1))
        elif key == (0, 2):
            self._kind = "load"
            self._set(low, self._load("lw", self.x[high] + bit(5, 12, 11, 10, 6, -1, -1) & M32))
        elif key == (0, 6):
            self._kind = "store"
            self._store(self.x[high] + bit(5, 12, 11, 10, 6, -1, -1) & M32, 4, self.x[low])
        elif key == (1, 0):
            self._compute("add", rd, self.x[rd], short)
        elif key in ((1, 1), (1, 5)):
            if key[1] == 1:
                self._set(1, self._next)
            self._jump(self.pc + signed(bit(12, 8, 10, 9, 6, 7, 2, 11, 5, 4, 3, -1), 12))
        elif key == (1, 2):
            self._compute("add", rd, 0, short)
        elif key == (1, 3) and short and rd == 2:
            self._compute("add", 2, self.x[2], signed(bit(12, 4, 3, 5, 2, 6, -1, -1, -1, -1), 10))
        elif key == (1, 3) and short:
            self._set(rd, short << 12)
        elif key == (1, 4) and h >> 10 & 3 == 2:
            self._compute("and", high, self.x[high], short)
        elif key == (1, 4) and not h >> 12 & 1:
            kind = h >> 10 & 3
            name = ("srl", "sra", "", ("sub", "xor", "or", "and")[h >> 5 & 3])[kind]
            self._compute(name, high, self.x[high], self.x[low] if kind == 3 else rs2)
        elif key in ((1, 6), (1, 7)):
            self._branch("beq" if key[1] == 6 else "bne", self.x[high], 0, signed(bit(12, 6, 5, 2, 11, 10, 4, 3, -1), 9))
        elif key == (2, 0) and not h >> 12 & 1:
            self._compute("sll", rd, self.x[rd], rs2)
        elif key == (2, 2) and rd:
            self._kind = "load"
            self._set(rd, self._load("lw", self.x[2] + bit(3, 2, 12, 6, 5, 4, -1, -1) & M32))
        elif key == (2, 4) and rs2:
            self._compute("add", rd, self.x[rd] if h >> 12 & 1 else 0, self.x[rs2])
        elif key == (2, 4) and rd:
            target = self.x[rd]
            if h >> 12 & 1:
                self._set(1, self._next)
            self._jump(target)
        elif h == 0x9002:
            raise Trap(3, self.pc)
        elif key == (2, 6):
            self._kind = "store"
            self._store(self.x[2] + bit(8, 7, 12, 11, 10, 9, -1, -1) & M32, 4, self.x[rs2])
        else:
            raise Trap(2, h)

    # system
    def _system(self, w: int, f3: int, rd: int, rs1: int) -> None:
        if w == 0x73:
            raise Trap(11, 0)
        if w == 0x100073:
            raise Trap(3, self.pc)
        self._kind = "system"
        if w == 0x30200073:
            status = self.csr[0x300]
            self.csr[0x300] = 0x88 if status & 0x80 else 0x80
            self._next = self.csr[0x341]
        elif w == 0x10500073:
            self.asleep = not self.lines & self.csr[0x304]
        elif f3 in (0, 4):
            raise Trap(2, w)
        else:
            self._kind = "csr"
            self._csr(w >> 20, f3, rd, rs1)

    def _read(self, number: int) -> int:
        counters = {0xB00: self.mcycle, 0xB80: self.mcycle >> 32, 0xB02: self.minstret, 0xB82: self.minstret >> 32}
        fixed = {0x301: 0x40001104, 0x310: 0, 0x344: self.lines} | dict.fromkeys(range(0xF11, 0xF16), 0)
        for first in (0x323, 0xB03, 0xB83):
            fixed |= dict.fromkeys(range(first, (first | 31) + 1), 0)
        known = self.csr | counters | fixed
        if number not in known:
            raise Trap(2, 0)
        return (known[number] | (0x1800 if number == 0x300 else 0)) & M32

    def _csr(self, number: int, f3: int, rd: int, rs1: int) -> None:
        old, operand = self._read(number), rs1 if f3 >= 4 else self.x[rs1]
        writes = f3 in (1, 5) or rs1 != 0
        if writes and number >> 10 == 3:
            raise Trap(2, 0)
        new = {1: operand, 2: old | operand, 3: old & ~operand}[f3 % 4]
        self._set(rd, old + (self.mutate == "csr"))
        if not writes:
            return
        masks = {0x300: 0x88, 0x304: 0x888, 0x305: ~2, 0x320: 5, 0x340: M32, 0x341: ~1, 0x342: M32, 0x343: M32}
        before = {"mcycle": self.mcycle, "minstret": self.minstret}

        def write() -> None:
            if number in masks:
                self.csr[number] = new & masks[number] & M32
            elif number in (0xB00, 0xB02, 0xB80, 0xB82):
                name = "minstret" if number & 2 else "mcycle"
                kept = before[name] & (M32 if number & 0x80 else M32 << 32)
                setattr(self, name, kept | new << (32 if number & 0x80 else 0))

        self._after = write
