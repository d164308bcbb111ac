"""The whole state of a chip: arrays and integers, nothing else. What can be derived from config, seeds and codes is not here."""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsu_contract.capabilities import ROLES, Capabilities
from tsu_contract.extension import EXTENSION_WORDS
from tsu_contract.registers import access_table
from tsu_emu.cpu.state import HART

WORDS = len(access_table().reset) + EXTENSION_WORDS
"""Register words of a chip: the contract's, and room for those of a map of one's own."""

NEVER = (1 << 63) - 1
"""Time of an event that is not due."""

# index into CORE.time
NOW = 0
"""Cycle up to which everything has happened."""
LINK = 1
"""Cycle at which the host link may issue its next operation."""
DRAINED = 2
"""Cycle at which the last posted write takes effect."""
SWEEP = 3
"""Index of the sweep under way, the tick of its noise."""
SETTLED_AT = 4
"""Cycle at which every DAC has settled."""
IRQ_NUMBER = 5
"""Interrupt events logged since power-on."""
BUSY = 6
"""Cycles that the array has lived or been converted: MON.PHYS_TIME."""
SWEEP_BEGAN = 7
"""Cycle at which the sweep under way began."""
EPOCH = 8
"""Epoch of slow effects that the array's parameters are of; -1 before the first sweep."""
STALE = 9
"""1 if a code was written that the array's parameters do not hold yet, or not as settled."""
EVALUATED_AT = 10
"""Cycle at which the array's parameters were last made from codes."""
KICKED_UNTIL = 11
"""Cycle from which every DAC's transient is over."""
OWED = 12
"""Sweeps that the digital side has done and the array has not yet; 0 between compiled calls."""
OWED_FIRST = 13
"""Index of the first sweep owed."""
TAKEN_TDAC = 14
"""TDAC of the sweeps owed."""
SENSED_AT = 15
"""Cycle for which TEMP.SENSOR holds."""
TAKEN_VERSION = 16
"""LEARN.VERSION at the start of the last sweep; -1 before the first."""
TAKEN_CRC = 17
"""Check sum of the codes of TAKEN_VERSION."""
CORR_FIRST = 18
"""TAKEN_VERSION of the first correlation update since CLEAR."""
CORR_LAST = 19
"""TAKEN_VERSION of the last correlation update."""
CORR_LAST_CRC = 20
"""Check sum of the codes of CORR_LAST."""
LEARN_UPDATES = 21
"""LEARN instructions done, the tick of their noise."""
SWAPS = 22
"""SWAP instructions done, the tick of their noise."""
SOFT = 23
"""Flags. SOFT_ON: a plane has a soft field in this sweep; SOFT_WRITTEN: the next sweep takes what was written."""
STAMPED_AT = 24
"""Cycle of the last CAL.CTRL.STAMP, or 0."""
RAISED_AT = 25
"""Cycle of the last interrupt event."""
RAISED = 26
"""Bits of the events of that cycle."""
POSTED = 27
"""Posted writes since power-on."""
TIME_SLOTS = 28

SOFT_OFF, SOFT_ON, SOFT_WRITTEN = range(3)

# index into CORE.counts
UPDATES, READS, WRITES, CONVERSIONS, LEARNS = range(5)
"""Operations that the joule ledger has counted."""
COUNT_SLOTS = 5

# index into CORE.heat
RISE = 0
"""Two poles' rises of the die temperature over ambient, K, as of EPOCH."""
LAG = 2
"""What the sensor's lag has made of the die temperature, K, as of EPOCH."""
AGE = 3
"""Effective age, s, as of EPOCH."""
POWER = 4
"""Mean power of the last epoch in which the array worked, W."""
HEAT_SLOTS = 5

# index into CORE.lab, what the instruments set
AMBIENT_K, SUPPLY_V, STIMULUS_OFFSET, STIMULUS_AMPLITUDE, STIMULUS_HZ, STIMULUS_PHASE = range(6)
LAB_SLOTS = 6

FAULTS = 64
"""Injected faults that a chip can have at once."""
# kinds of rows (kind, element, a, b) of CORE.faults
NO_FAULT, STUCK_CELL, STUCK_COUPLING_BIT, STUCK_BIAS_BIT, DEAD_ADC, BUS_ERROR, DROPPED_IRQ = range(7)
"""STUCK_CELL: a = 0 down, 1 up, 2 floating. STUCK_*_BIT: bit a at b. BUS_ERROR: accesses of address `element`, a of them.
DROPPED_IRQ: events of the bits `element`, a of them."""

# index into CORE.events; the lower index goes first at equal times
EVENT_SETTLED = 0
EVENT_SEQUENCER = 1
EVENT_FIRMWARE = 2
EVENT_STALE = 3
EVENT_SLOTS = 4

# index into CORE.sequencer
ACTIVITY = 0
"""What the next edge does: one of the FETCH .. CORRELATE below."""
COLOUR = 1
"""Number of the phase of a COLOUR edge, 0 .. colours - 1."""
STOP_ASKED = 2
STEPPING = 3
"""0 no, 1 pause at the next FETCH, 2 pause at the one after."""
DEPTH = 4
"""Open loops."""
ENABLED = 5
"""Planes enabled in the sweep under way."""
MID_SWEEP = 6
"""1 between a SWEEP edge and the end of that sweep."""
SCAN = 7
"""Scan order of the sweep under way."""
CLAMP_COUNT = 8
"""Examples that the CLAMP_NEXT under way takes."""
CLAMP_ENTRY = 9
"""Number of the first of them."""
CLAMP_PLACE = 10
"""DMA.PLACE of the first of them."""
LOOPS = 11
"""First of LOOP_DEPTH_MAX pairs (start, count)."""
LOOP_DEPTH_MAX = 16
SEQUENCER_SLOTS = LOOPS + 2 * LOOP_DEPTH_MAX

FETCH, SETTLE, SWEEP_START, COLOUR_PHASE, CORRELATE, STALLED = range(6)

IRQ_LOG = 64
"""Interrupt events that the log holds."""
IRQ_ROWS = 256
"""Rows kept for it. A posted write may run ahead of the link by 128 cycles (`Timing.write_buffer`), and what happens there must
push nothing out."""

POSTED_MAX = 64
"""Posted writes whose cycles are kept."""

FIRMWARE_SLOTS = 16
BITE_AT = 0
"""Slot of a firmware core's watchdog: the cycle at which it bites, or 0 if it is off."""

CORE = np.dtype(
    [
        ("time", "i8", (TIME_SLOTS,)),
        ("events", "i8", (EVENT_SLOTS,)),
        ("sequencer", "i8", (SEQUENCER_SLOTS,)),
        ("firmware", "i8", (FIRMWARE_SLOTS,)),
        ("irq_log", "i8", (IRQ_ROWS, 3)),
        ("counts", "i8", (COUNT_SLOTS,)),
        ("counts_rolled", "i8", (COUNT_SLOTS,)),
        ("heat", "f8", (HEAT_SLOTS,)),
        ("lab", "f8", (LAB_SLOTS,)),
        ("faulty", "i8"),
        ("faults", "i8", (FAULTS, 4)),
        ("posted", "i8", (POSTED_MAX,)),
        ("registers", "u4", (WORDS,)),
        *([("even", "u4")] if WORDS % 2 else []),
    ],
    align=True,
)
"""Whatever has the same size on every chip, as one record, which compiled code passes round by its address.

time, cycles and counts; events, cycle of each source's next event, or NEVER; sequencer; firmware, owned by the boot firmware;
irq_log, rows (number, cycle, pending), row = number % IRQ_ROWS; counts of operations, now and as of EPOCH; heat, lab, faults, see
above; faulty, 1 if the bus has faults to look for; posted, cycles at which the last posted writes act, the n-th since power-on at
n % POSTED_MAX; registers, by word number of the access table. `even` fills the record up:
copies leave bytes between fields as they happen to be.
"""


class Sizes(NamedTuple):
    """What a chip's state holds beyond what its capabilities say.

    values : float64 values of a cell and plane; kicks : DACs have transients; memory : float64 of noise for a cell and plane;
    lfsrs : shift registers; core_words : 32-bit words of the firmware core's RAM, 0 if the chip has none
    """

    values: int = 0
    kicks: bool = False
    memory: int = 0
    lfsrs: int = 0
    core_words: int = 0


NO_MORE = Sizes()


class Running(NamedTuple):
    """The arrays that compiled code moves a chip with; see ChipState."""

    core: NDArray[Any]
    program: NDArray[np.uint64]
    coupling_code: NDArray[np.int16]
    bias_code: NDArray[np.int16]
    plane_temp: NDArray[np.uint16]
    temp_table: NDArray[np.uint16]
    clamp_mask_next: NDArray[np.uint64]
    clamp_value_next: NDArray[np.uint64]
    clamp_mask: NDArray[np.uint64]
    clamp_value: NDArray[np.uint64]
    enabled: NDArray[np.uint64]
    slope: NDArray[np.float32]
    spins: NDArray[np.uint64]
    scan: NDArray[np.uint64]
    pair_sum: NDArray[np.int32]
    mean_sum: NDArray[np.int32]
    pair_latch: NDArray[np.int32]
    mean_latch: NDArray[np.int32]
    soft_next: NDArray[np.int16]
    soft: NDArray[np.int16]
    learn_pair: NDArray[np.int32]
    learn_bias: NDArray[np.int32]
    freeze_pair: NDArray[np.uint32]
    freeze_bias: NDArray[np.uint32]
    hostmem: NDArray[np.uint32]
    ladder: NDArray[np.uint16]
    swap_count: NDArray[np.uint32]


class ChipState(NamedTuple):
    """State of one chip. Planes come in blocks of 64: bit k of a block's word is plane 64 block + k.

    core : (1,) CORE
    program : (program_words,) uint64
    coupling_code : (couplers,) int16; bias_code : (bias_terms,) int16
    plane_temp : (planes,) uint16, in 1/4096; temp_table : (table_entries,) uint16, codes of the temperature schedule
    learn_pair : (pairs,) int32, learn_bias : (cells,) int32, accumulators of the learning engine; freeze_pair, freeze_bias :
        uint32 words, bits of those that do not learn
    hostmem : (hostmem_words,) uint32; ladder : (planes,) uint16, planes by ladder and rung; swap_count : (planes, 2) uint32
    soft_next, soft : (planes, cells) int16, fields of soft clamps as written, and as taken by the sweep under way
    clamp_mask_next, clamp_value_next : (blocks, cells) uint64, as written
    clamp_mask, clamp_value : (blocks, cells) uint64, as taken by the sweep under way
    enabled : (blocks,) uint64, planes of the sweep under way; temperature : (planes,) float64, likewise, of deferred arrays
    slope : (64 blocks,) float32, c_p of the sweep under way
    spins, scan : (blocks, cells) uint64, live and as last strobed
    pair_sum, mean_sum : (ROLES, pairs) and (ROLES, cells) int32, accumulators
    pair_latch, mean_latch : likewise, as last latched
    state, state_scan : (planes, cells) uint8, pdit states or mixture modes, live and as last strobed
    value : (planes, n cells) float64, values of continuous cells
    value_scan : (planes, cells) uint16, ADC codes of the last scan
    pin_next, pin : (planes, cells) int16, as written, and as taken by the sweep under way
    adc_data : (adc_buffer,) uint16; adc_trim : (adc_count, 2) int16; adc_held : (adc_count,) float64, last sampled voltage
    coupling_kick, bias_kick : float32, transient of each DAC at its last write, in kT; coupling_written, bias_written : int64,
        its cycle
    memory : (planes, cells) float64, coloured noise; lfsr : uint32
    trim_offset, trim_slope : (trim_cells,) int16; nvm : (nvm_words,) uint32
    hart : (1,) HART, core_ram : (words,) uint32, the firmware core; no elements if the chip has none
    """

    core: NDArray[Any]
    program: NDArray[np.uint64]
    coupling_code: NDArray[np.int16]
    bias_code: NDArray[np.int16]
    plane_temp: NDArray[np.uint16]
    clamp_mask_next: NDArray[np.uint64]
    clamp_value_next: NDArray[np.uint64]
    clamp_mask: NDArray[np.uint64]
    clamp_value: NDArray[np.uint64]
    enabled: NDArray[np.uint64]
    slope: NDArray[np.float32]
    spins: NDArray[np.uint64]
    scan: NDArray[np.uint64]
    pair_sum: NDArray[np.int32]
    mean_sum: NDArray[np.int32]
    pair_latch: NDArray[np.int32]
    mean_latch: NDArray[np.int32]
    state: NDArray[np.uint8]
    state_scan: NDArray[np.uint8]
    value: NDArray[np.float64]
    value_scan: NDArray[np.uint16]
    pin_next: NDArray[np.int16]
    pin: NDArray[np.int16]
    adc_data: NDArray[np.uint16]
    adc_trim: NDArray[np.int16]
    adc_held: NDArray[np.float64]
    coupling_kick: NDArray[np.float32]
    coupling_written: NDArray[np.int64]
    bias_kick: NDArray[np.float32]
    bias_written: NDArray[np.int64]
    temperature: NDArray[np.float64]
    memory: NDArray[np.float64]
    lfsr: NDArray[np.uint32]
    temp_table: NDArray[np.uint16]
    learn_pair: NDArray[np.int32]
    learn_bias: NDArray[np.int32]
    freeze_pair: NDArray[np.uint32]
    freeze_bias: NDArray[np.uint32]
    hostmem: NDArray[np.uint32]
    ladder: NDArray[np.uint16]
    swap_count: NDArray[np.uint32]
    soft_next: NDArray[np.int16]
    soft: NDArray[np.int16]
    trim_offset: NDArray[np.int16]
    trim_slope: NDArray[np.int16]
    nvm: NDArray[np.uint32]
    hart: NDArray[Any]
    core_ram: NDArray[np.uint32]

    @property
    def running(self) -> Running:
        """The part that compiled code moves."""
        return Running(*(getattr(self, name) for name in Running._fields))

    @property
    def time(self) -> NDArray[np.int64]:
        """(TIME_SLOTS,) int64 view of the core."""
        return self.core["time"][0]

    @property
    def events(self) -> NDArray[np.int64]:
        """(EVENT_SLOTS,) int64 view of the core."""
        return self.core["events"][0]

    @property
    def registers(self) -> NDArray[np.uint32]:
        """(words,) uint32 view of the core."""
        return self.core["registers"][0]


def blank(cap: Capabilities, sizes: Sizes = NO_MORE) -> ChipState:
    """A state of the right shapes, everything 0 but PLANE_TEMP, no event due, no epoch seen."""
    blocks = (cap.planes + 63) // 64
    bank = (blocks, cap.cells)
    core = np.zeros(1, CORE)
    core["events"] = NEVER
    core["time"][0, [EPOCH, EVALUATED_AT, SENSED_AT, TAKEN_VERSION, CORR_FIRST, CORR_LAST]] = -1
    ladder = cap.dimension("spin_planes")
    softs = cap.planes, cap.dimension("soft_cells")
    states, values, pins = ((cap.planes, cap.dimension(d)) for d in ("state_cells", "value_cells", "pin_cells"))
    biases = cap.cells * cap.terms
    kicked = (cap.couplers, biases) if sizes.kicks else (0, 0)
    return ChipState(
        core=core,
        program=np.zeros(cap.program_words, np.uint64),
        coupling_code=np.zeros(cap.couplers, np.int16),
        bias_code=np.zeros(biases, np.int16),
        plane_temp=np.full(cap.planes, 4096, np.uint16),
        clamp_mask_next=np.zeros(bank, np.uint64),
        clamp_value_next=np.zeros(bank, np.uint64),
        clamp_mask=np.zeros(bank, np.uint64),
        clamp_value=np.zeros(bank, np.uint64),
        enabled=np.zeros(blocks, np.uint64),
        slope=np.zeros(64 * blocks, np.float32),
        spins=np.zeros(bank, np.uint64),
        scan=np.zeros(bank, np.uint64),
        pair_sum=np.zeros((ROLES, cap.pairs), np.int32),
        mean_sum=np.zeros((ROLES, cap.cells), np.int32),
        pair_latch=np.zeros((ROLES, cap.pairs), np.int32),
        mean_latch=np.zeros((ROLES, cap.cells), np.int32),
        state=np.zeros(states, np.uint8),
        state_scan=np.zeros(states, np.uint8),
        value=np.zeros((cap.planes, sizes.values * cap.cells)),
        value_scan=np.zeros(values, np.uint16),
        pin_next=np.zeros(pins, np.int16),
        pin=np.zeros(pins, np.int16),
        adc_data=np.zeros(cap.dimension("adc_samples"), np.uint16),
        adc_trim=np.zeros((cap.adc_count, 2), np.int16),
        adc_held=np.zeros(cap.adc_count),
        coupling_kick=np.zeros(kicked[0], np.float32),
        coupling_written=np.zeros(kicked[0], np.int64),
        bias_kick=np.zeros(kicked[1], np.float32),
        bias_written=np.zeros(kicked[1], np.int64),
        temperature=np.zeros(cap.planes),
        memory=np.zeros((cap.planes * sizes.memory, cap.cells)),
        lfsr=np.zeros(sizes.lfsrs, np.uint32),
        temp_table=np.ones(cap.table_entries, np.uint16),
        learn_pair=np.zeros(cap.dimension("learn_pairs"), np.int32),
        learn_bias=np.zeros(cap.dimension("learn_cells"), np.int32),
        freeze_pair=np.zeros(cap.dimension("learn_pair_words"), np.uint32),
        freeze_bias=np.zeros(cap.dimension("learn_cell_words"), np.uint32),
        hostmem=np.zeros(cap.hostmem_words, np.uint32),
        ladder=np.arange(ladder, dtype=np.uint16),
        swap_count=np.zeros((ladder, 2), np.uint32),
        soft_next=np.zeros(softs, np.int16),
        soft=np.zeros(softs, np.int16),
        trim_offset=np.zeros(cap.dimension("trim_cells"), np.int16),
        trim_slope=np.zeros(cap.dimension("trim_cells"), np.int16),
        nvm=np.zeros(cap.nvm_words, np.uint32),
        hart=np.zeros(min(sizes.core_words, 1), HART),
        core_ram=np.zeros(sizes.core_words, np.uint32),
    )


def save(state: ChipState) -> dict[str, NDArray[Any]]:
    """Copies of all arrays, by name."""
    return {name: array.copy() for name, array in state._asdict().items()}


def restore(state: ChipState, saved: dict[str, NDArray[Any]]) -> None:
    """Overwrites `state` in place; ValueError names an array that is missing or of another shape or type."""
    for name, array in state._asdict().items():
        other = saved.get(name)
        if other is None or other.shape != array.shape or other.dtype != array.dtype:
            raise ValueError(f"state {name}: {array.dtype}{list(array.shape)} expected")
    for name, array in state._asdict().items():
        array[...] = saved[name]


def digest(state: ChipState) -> str:
    """SHA-256 over all arrays, in hexadecimal."""
    total = hashlib.sha256()
    for name, array in state._asdict().items():
        total.update(name.encode())
        total.update(array.tobytes())
    return total.hexdigest()
