"""Examples that the chip fetches by itself: a ring in host memory, from which CLAMP_NEXT takes what planes are clamped to."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tsu_contract.bits import pack_spins
from tsu_contract.errors import Code
from tsu_driver.batch import Batch
from tsu_driver.bus import Bus
from tsu_driver.clamps import Clamps
from tsu_driver.errors import ChipFault, HostError
from tsu_driver.names import WORD_MAX, integer
from tsu_driver.planes import Planes, plane_numbers, write_planes
from tsu_driver.programs import require_host_memory
from tsu_driver.tickets import Ticket
from tsu_driver.topology import distinct_cells

CTRL, HEAD, TAIL, PENDING, OVERRUN = "DMA.CTRL", "DMA.HEAD", "DMA.TAIL", "IRQ.PENDING", "SYS.ERROR.DMA_OVERRUN"
MEMORY = "HOSTMEM"
COUNT = WORD_MAX + 1
"""HEAD, TAIL and UNDERRUNS are modulo this."""


class Ring:
    """Where the examples of a stream lie in host memory.

    words : 32-bit words of an example; cells : (k,) cells that an example has values for
    """

    def __init__(self, bus: Bus, cells: ArrayLike | None) -> None:
        cap = bus.capabilities
        require_host_memory(cap)
        self.cells = np.arange(cap.cells) if cells is None else distinct_cells(cells, cap.cells)
        if not len(self.cells):
            raise HostError("a stream clamps cells; none is named")
        self._bus = bus
        self.words = cap.dimension("spin_words")
        self.room = cap.hostmem_words // self.words

    def pack(self, examples: ArrayLike) -> NDArray[np.uint32]:
        """(n, words) entries of (n, k) examples of -1 and +1, or bool; HostError says which value or shape is wrong."""
        given = np.asarray(examples)
        if given.ndim != 2 or given.shape[1] != len(self.cells):
            raise HostError(
                f"examples of shape {given.shape}; (n, {len(self.cells)}) is expected, a spin for each cell of the stream"
            )
        if given.dtype != np.bool_:
            good = (given == 1) | (given == -1)
            if not good.all():
                at = np.unravel_index(int(np.argmin(good)), given.shape)
                raise HostError(f"value {given[at]} of example {int(at[0])}, place {int(at[1])}; -1 or +1 (or bool) is expected")
        up = np.zeros((len(given), self._bus.capabilities.cells), bool)
        up[:, self.cells] = given > 0
        return pack_spins(up)

    def write(self, entries: NDArray[np.uint32], place: int, size: int, last: Callable[[Batch], None]) -> None:
        """Put entries into a ring of `size`, from `place` on; `last` adds to the last of the messages that it takes."""
        most = max(1, self._bus.session.limits.payload_bytes // (4 * self.words))
        batch, done = self._bus.batch(), 0
        while done < len(entries):
            n = min(len(entries) - done, size - place, most)
            batch.write_window(MEMORY, entries[done : done + n].reshape(-1), place * self.words)
            done, place = done + n, (place + n) % size
            if done < len(entries):
                batch.execute()
                batch = self._bus.batch()
        last(batch)
        batch.execute()


class Stream:
    """A ring of examples that feeds some planes; made by `chip.stream`.

    capacity : examples that the ring holds; planes : (D,) planes that it feeds, ascending
    pushed : examples put in so far
    A stream ends when another one is laid or the chip is reset: its verbs then raise HostError.
    """

    def __init__(self, bus: Bus, ring: Ring, planes: NDArray[np.int64], capacity: int, cycle: bool, patience: int) -> None:
        """Made by `lay`. patience : cycles that one message may wait"""
        self.planes, self.capacity, self.pushed = planes, capacity, 0
        self._bus, self._ring, self._cycle, self._patience = bus, ring, cycle, patience

    def push(self, examples: ArrayLike, max_cycles: int = 0) -> int:
        """Put examples behind those that are there; returns how many were taken, which are the first ones.

        examples : (n, k) as those of `chip.stream`
        max_cycles : chip time that may pass while the ring is full; 0: take what fits now. Chip time passes only with
            operations: calling again and again does not make room, running or `chip.delay` does.
        HostError if the ring is read round and round; ChipFault if entries were lost, for somebody else moved HEAD.
        """
        if self._cycle:
            raise HostError("the ring is read round and round; lay it with cycle=False to push examples into it")
        entries, taken = self._ring.pack(examples), 0
        deadline = self._bus.session.time + integer(max_cycles, "max_cycles")
        while True:
            free = self.capacity - self._level(clear_low=True)
            if free and taken < len(entries):
                taken += self.put(entries[taken : taken + free])
            left = deadline - self._bus.session.time
            if taken == len(entries) or left <= 0:
                return taken
            self._await_room(min(left, self._patience))

    def put(self, entries: NDArray[np.uint32]) -> int:
        """Write packed entries for which there is room, and say so to the chip; returns how many."""
        head = (self.pushed + len(entries)) % COUNT
        errors: list[Ticket[int]] = []

        def announce(batch: Batch) -> None:
            batch.write(HEAD, head)
            errors.append(batch.read_field(OVERRUN))

        self._ring.write(entries, self.pushed % self.capacity, self.capacity, announce)
        self.pushed += len(entries)
        if errors[0].value:
            raise ChipFault(f"{OVERRUN} is set: the ring was given more examples than it holds; somebody else moved {HEAD}")
        return len(entries)

    @property
    def level(self) -> int:
        """Examples in the ring that the chip has not taken; of one read round and round, all that there are."""
        return self.capacity if self._cycle else self._level()

    @property
    def taken(self) -> int:
        """Examples that the chip has taken, modulo 2^32."""
        return self._read(TAIL)

    @property
    def underruns(self) -> int:
        """Examples that CLAMP_NEXT wanted and did not find, modulo 2^32; the planes kept those that they had."""
        return self._read("DMA.UNDERRUNS")

    def _level(self, clear_low: bool = False) -> int:
        self._check()
        batch = self._bus.batch()
        if clear_low:
            batch.write(PENDING, DMA_LOW=1)
        tail = batch.read(TAIL)
        batch.execute()
        return (self.pushed - tail.value) % COUNT

    def _await_room(self, cycles: int) -> None:
        """Wait until the chip has taken half of what the ring holds, at most so many cycles."""
        batch = self._bus.batch()
        batch.wait_field(f"{PENDING}.DMA_LOW", 1, max_cycles=cycles)
        try:
            batch.execute()
        except ChipFault as fault:
            if fault.code is not Code.WAIT_TIMEOUT:
                raise

    def _read(self, name: str) -> int:
        self._check()
        return self._bus.read_register(name)

    def _check(self) -> None:
        """HostError if the ring is another one's by now."""
        if self._bus.shadow.get(CTRL) is not self:
            raise HostError("this stream has ended: its ring was laid anew or reset; see chip.stream")


def lay(
    bus: Bus,
    clamps: Clamps,
    examples: ArrayLike,
    cells: ArrayLike | None,
    planes: Planes,
    cycle: bool,
    stall: bool,
    capacity: int | None,
    patience: int,
) -> Stream:
    """Lay a ring of examples and clamp the cells of its planes."""
    ring, total = Ring(bus, cells), bus.capabilities.planes
    numbers = np.sort(plane_numbers(planes, total))
    if not len(numbers):
        raise HostError("a stream feeds planes; none is named")
    entries = ring.pack(examples)
    size = _size(ring, len(entries), cycle, capacity)
    stream = Stream(bus, ring, numbers, size, cycle, patience)
    clamps.only(ring.cells, numbers)
    batch = bus.batch()
    batch.write(CTRL, RESET=1, CYCLE=int(cycle), STALL=int(stall))
    batch.write("DMA.BASE", 0)
    batch.write("DMA.ENTRIES", size)
    batch.write("DMA.LOW", size // 2 + 1)
    write_planes(batch, "DMA.PLANES", numbers, total)
    batch.write("SYS.ERROR", DMA_OVERRUN=1, DMA_UNDERRUN=1)
    batch.execute()
    bus.shadow[CTRL] = stream
    if len(entries):
        stream.put(entries[:size])
    return stream


def _size(ring: Ring, examples: int, cycle: bool, capacity: int | None) -> int:
    """Entries of the ring; HostError if host memory does not hold them."""
    holds = f"host memory holds {ring.room} examples of {ring.words} words (CAP.HOSTMEM_WORDS)"
    if cycle:
        if capacity is not None:
            raise HostError("a ring that is read round and round holds the examples given; capacity is for cycle=False")
        if not 1 <= examples <= ring.room:
            raise HostError(f"{examples} examples to be read round and round; {holds}, and one is the least")
        return examples
    size = 1 << max(0, ring.room.bit_length() - 1) if capacity is None else integer(capacity, "capacity")
    if not 1 <= size <= ring.room or size & (size - 1):
        raise HostError(f"capacity = {size}; a power of two is expected, so that counters run over smoothly; {holds}")
    return size
