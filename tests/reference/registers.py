"""What a word of the address space reads and what writing it does; docs/registers.md and "Register rules"."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tsu_contract.capabilities import Capabilities
from tsu_contract.registers import MAP_HASH_WORD, REGISTER_SPACE, REGISTERS, WINDOW_AT, WINDOW_STRIDE, Register, Window
from tsu_emu.config import ChipConfig

from .blocks import Block
from .fabric import Correlator, Fabric
from .interrupts import Interrupts
from .mailbox import Mailbox
from .sequencer import Sequencer

BOOT_READY = 2
SENSOR_STEPS = 64
"""Steps of TEMP.SENSOR in a kelvin."""

Place = tuple[Register, int, int]
"""A register, the index in its array, and 1 for the high half of a 64-bit one."""


def _places() -> dict[int, Place]:
    places = {}
    for reg in REGISTERS.values():
        for index in range(reg.count):
            for half in range(reg.words):
                places[reg.at(index) + 4 * half] = (reg, index, half)
    return places


PLACES = _places()


class Registers:
    """Registers by name."""

    def __init__(
        self, config: ChipConfig, capabilities: Capabilities, fabric: Fabric, correlator: Correlator, sequencer: Sequencer
    ) -> None:
        self.sensor = round(config.thermal.ambient_k * SENSOR_STEPS)
        self.capabilities = capabilities
        self.fabric = fabric
        self.correlator = correlator
        self.sequencer = sequencer
        self.interrupts: Interrupts = sequencer.interrupts
        self.scratch = 0
        engines = sequencer.engines
        self.converter = Block("ADC.")
        self.calibration = sequencer.calibration
        core = [
            Block(prefix, kept=tuple(n for n in REGISTERS if n.startswith(prefix))) for prefix in ("CPU.", "TIMER.", "WATCHDOG.")
        ]
        engine_blocks = (engines.learning, engines.ring, engines.tempering, engines.schedule)
        blocks: tuple[Block, ...] = (*engine_blocks, self.converter, self.calibration, Mailbox(), *core)
        self.blocks: dict[str, Block] = {name: block for block in blocks for name in block.held}
        self.high: dict[str, int] = {}

    def read(self, address: int, now: int) -> int:
        reg, index, half = PLACES[address]
        if half:
            return self.high.get(reg.name, 0)
        value = self._value(reg.name, index, now)
        if reg.words == 2:
            self.high[reg.name] = value >> 32
        return value & 0xFFFFFFFF

    def peek(self, address: int, now: int) -> int:
        """As a read, but both halves of a 64-bit register are live, and nothing is latched."""
        reg, index, half = PLACES[address]
        return self._value(reg.name, index, now) >> 32 * half & 0xFFFFFFFF

    def _value(self, name: str, index: int, now: int) -> int:
        if name.startswith("CAP."):
            return int(getattr(self.capabilities, name[4:].lower()))
        if name.startswith("MON.ENERGY"):
            return self.fabric.ledger.femtojoules(now)[name]
        if name in self.blocks:
            return self.blocks[name].value(name, index)
        sequencer, fabric, correlator = self.sequencer, self.fabric, self.correlator
        match name:
            case "SYS.MAP_HASH":
                return MAP_HASH_WORD
            case "SYS.ERROR":
                return self.interrupts.error
            case "SYS.CYCLE":
                return now
            case "CAL.AGE":
                return now - self.calibration.stamped_at
            case "SYS.BOOT":
                return BOOT_READY
            case "SYS.SCRATCH":
                return self.scratch
            case "IRQ.PENDING":
                return self.interrupts.pending
            case "IRQ.ENABLE":
                return self.interrupts.enable
            case "SEQ.STATUS":
                return sequencer.fault << 8 | sequencer.state
            case "SEQ.PC":
                return sequencer.pc
            case "SEQ.SWEEPS_LEFT":
                return sequencer.sweeps_left
            case "TEMP.TDAC":
                return fabric.tdac
            case "TEMP.SENSOR":
                return self.sensor
            case "MON.PHYS_TIME":
                return fabric.ledger.busy
            case "FABRIC.SWEEP":
                return fabric.sweep
            case "FABRIC.STATUS":
                return int(fabric.settled)
            case "FABRIC.SCAN":
                return fabric.scan
            case "FABRIC.PLANE_ENABLE":
                return fabric.enable[index]
            case "CORR.CTRL":
                return correlator.enable
            case "CORR.PERIOD":
                return correlator.period
            case "CORR.ALPHA_DATA":
                return correlator.alpha[0]
            case "CORR.ALPHA_FREE":
                return correlator.alpha[1]
            case "CORR.COUNT":
                return correlator.count
            case "CORR.DATA_PLANES":
                return correlator.role_planes[0][index]
            case "CORR.FREE_PLANES":
                return correlator.role_planes[1][index]
        return REGISTERS[name].reset

    def write(self, address: int, word: int, now: int, mask: int = 0xFFFFFFFF) -> None:
        """Write the bits of `mask`; every other field is left alone."""
        reg, index, _ = PLACES[address]
        bits = word & mask
        plain = reg.mask("rw", "w")
        kept = self._value(reg.name, index, now) & plain & ~mask
        self._act(reg.name, index, bits, kept | bits & plain, now)

    def _act(self, name: str, index: int, bits: int, value: int, now: int) -> None:
        """`bits` are the bits as written, `value` the new value of all rw bits."""
        fabric, correlator = self.fabric, self.correlator
        if name in self.blocks:
            self.blocks[name].write(name, index, bits, value, now)
            if name in ("DMA.HEAD", "DMA.CTRL"):
                self.sequencer.ring_written(now)
            return
        match name:
            case "SYS.CTRL":
                if bits & 1:
                    self.reset(now)
            case "SYS.ERROR":
                self.interrupts.error &= ~bits
            case "SYS.SCRATCH":
                self.scratch = value
            case "IRQ.PENDING":
                self.interrupts.pending &= ~bits
            case "IRQ.ENABLE":
                self.interrupts.enable = value
            case "IRQ.TEST":
                self.interrupts.raise_bits(bits, now)
            case "SEQ.CTRL":
                self._sequencer_control(bits, now)
            case "SEQ.PC":
                self.sequencer.write_pc(value)
            case "TEMP.TDAC":
                fabric.tdac = value
            case "FABRIC.SCAN":
                fabric.scan = value
            case "FABRIC.PLANE_ENABLE":
                fabric.enable[index] = value
            case "CORR.CTRL":
                self._correlator_control(bits, value)
            case "CORR.PERIOD":
                correlator.period = value
            case "CORR.ALPHA_DATA":
                correlator.alpha[0] = value
            case "CORR.ALPHA_FREE":
                correlator.alpha[1] = value
            case "CORR.DATA_PLANES":
                correlator.role_planes[0][index] = value
            case "CORR.FREE_PLANES":
                correlator.role_planes[1][index] = value
            case _:
                raise ValueError(f"{name} is not writable")

    def _sequencer_control(self, bits: int, now: int) -> None:
        if bits & 1:
            self.sequencer.start(now)
        elif bits & 2:
            self.sequencer.stop(now)
        elif bits & 4:
            self.sequencer.start(now, step=True)

    def _correlator_control(self, bits: int, value: int) -> None:
        self.correlator.enable = value & 1
        if bits & 4:
            self.correlator.latch()
        if bits & 2:
            self.correlator.clear()

    def reset(self, now: int) -> None:
        """SYS.CTRL.RESET."""
        self.sequencer.reset(now)
        for block in set(self.blocks.values()):
            block.reset()
        self.interrupts.reset()
        self.correlator.reset()
        self.scratch = 0
        self.fabric.tdac = REGISTERS["TEMP.TDAC"].reset
        self.fabric.enable = self.fabric.every_plane()
        self.fabric.scan = 0


class Windows:
    """Memory windows: flat lists of elements, packed into words for each access."""

    def __init__(self, fabric: Fabric, correlator: Correlator, sequencer: Sequencer) -> None:
        graph = fabric.graph
        self.fabric = fabric
        self.sequencer = sequencer
        engines = sequencer.engines
        position = graph.position or [(0, 0)] * graph.cells
        self._read: dict[str, Callable[[], list[int]]] = {
            "PROGRAM": lambda: sequencer.program,
            "COUPLING": lambda: fabric.coupling,
            "BIAS": lambda: fabric.bias,
            "CLAMP_MASK": lambda: fabric.clamp_mask,
            "CLAMP_VALUE": lambda: fabric.clamp_value,
            "SPIN": lambda: fabric.spin_window,
            "CORR_PAIR": lambda: correlator.pair_window,
            "CORR_MEAN": lambda: correlator.mean_window,
            "PLANE_TEMP": lambda: fabric.plane_temp,
            "SOFT": lambda: fabric.soft,
            "TRIM_OFFSET": lambda: fabric.offset_trims,
            "TRIM_SLOPE": lambda: fabric.slope_trims,
            "NVM": lambda: fabric.nvm,
            "TEMP_TABLE": lambda: engines.schedule.table,
            "LEARN_PAIR": lambda: engines.learning.pair.accumulators,
            "LEARN_BIAS": lambda: engines.learning.bias.accumulators,
            "FREEZE_PAIR": lambda: engines.learning.pair.frozen,
            "FREEZE_BIAS": lambda: engines.learning.bias.frozen,
            "HOSTMEM": lambda: engines.ring.memory,
            "LADDER": lambda: engines.tempering.ladder,
            "SWAP_COUNT": lambda: engines.tempering.counts,
            "TOPO_ROW": lambda: graph.row,
            "TOPO_SOURCE": lambda: graph.source,
            "TOPO_COLOUR": lambda: graph.colour,
            "TOPO_POSITION": lambda: [axis for place in position for axis in place],
        }

    @staticmethod
    def at(address: int) -> tuple[Window, int]:
        """A window and the byte in it."""
        return WINDOW_AT[address // WINDOW_STRIDE], address % WINDOW_STRIDE

    def _bytes(self, window: Window) -> bytes:
        """The whole window; what pads it to whole words reads 0."""
        packed = np.array(self._read[window.name](), window.dtype).tobytes()
        return packed + bytes(-len(packed) % 4)

    def read(self, address: int, words: int) -> bytes:
        window, first = self.at(address)
        return self._bytes(window)[first : first + 4 * words]

    def _existing_cells(self, words: list[int]) -> list[int]:
        """Clamp words without the bits past the last cell."""
        per_plane = self.fabric.cell_words
        return [word & self.fabric.existing_cells(n % per_plane) for n, word in enumerate(words)]

    def write(self, address: int, data: bytes, now: int) -> None:
        window, first = self.at(address)
        content = bytearray(self._bytes(window))
        content[first : first + len(data)] = data
        held, fabric = self._read[window.name](), self.fabric
        elements = [int(v) for v in np.frombuffer(bytes(content), window.dtype)[: len(held)]]
        if window.name in ("CLAMP_MASK", "CLAMP_VALUE"):
            elements = self._existing_cells(elements)
        if window.name in ("TRIM_OFFSET", "TRIM_SLOPE"):
            fabric.ledger.writes += min(len(data), 2 * len(held) - first) // 2
            offset, slope = (elements, fabric.slope_trims) if window.name == "TRIM_OFFSET" else (fabric.offset_trims, elements)
            fabric.write_trims(offset, slope, now)
        elif window.name in ("COUPLING", "BIAS"):
            fabric.ledger.writes += min(len(data), 2 * len(held) - first) // 2
            coupling, bias = (elements, fabric.bias) if window.name == "COUPLING" else (fabric.coupling, elements)
            fabric.write_codes(coupling, bias, now)
        else:
            held[:] = elements


def is_window(address: int) -> bool:
    return address >= REGISTER_SPACE
