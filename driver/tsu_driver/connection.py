"""An opened chip: what it is, what is known of it, its registers, batches of operations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from html import escape
from types import TracebackType
from typing import Self

from tsu_contract.capabilities import Capabilities
from tsu_contract.extension import BASE, RegisterMap
from tsu_driver import kinds
from tsu_driver.batch import Batch
from tsu_driver.boot import await_ready, read_capabilities
from tsu_driver.bus import Bus
from tsu_driver.errors import HostError, LinkError, LinkTimeout
from tsu_driver.links import Link
from tsu_driver.names import FieldValue, seconds
from tsu_driver.session import InterruptLog, Session, Stats
from tsu_driver.topology import Topology

LEASE_MAX_S = 3600
"""Seconds for which a lease may be asked."""


class Connection:
    """A session with a booted chip. A context manager.

    capabilities : what the chip says of itself
    instruments_url, oracle_url : where the doors of the lab bench are, if this connection started a private emulator with them
    """

    instruments_url: str | None = None
    oracle_url: str | None = None

    def __init__(
        self, link: Link, *, timeout_s: float = 30.0, closed: Callable[[], None] | None = None, registers: RegisterMap = BASE
    ) -> None:
        """Say HELLO over `link`, wait for the boot firmware, read the capabilities; `close` calls `closed` last.

        registers : the chip's, if it has some of its own
        """
        self._closed = closed
        self._session = Session(link, timeout_s, registers=registers)
        try:
            await_ready(self._session)
            self.capabilities: Capabilities = read_capabilities(self._session)
        except BaseException:
            self._session.close()
            raise
        self._bus = Bus(self._session, self.capabilities)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the session, and the private emulator if there is one. May be called again."""
        self._session.close()
        closed, self._closed = self._closed, None
        if closed is not None:
            closed()

    def __repr__(self) -> str:
        c = self.capabilities
        size = f"{c.cells} cells, {c.couplers} couplers, {c.planes} planes"
        return f"<Chip {self.name}: {self.kind}, {size}, {c.clock_hz / 1e6:g} MHz>"

    def _repr_html_(self) -> str:
        c = self.capabilities
        clock = f"{c.clock_hz / 1e6:g} MHz"
        rows = {"kind": self.kind, "cells": c.cells, "couplers": c.couplers, "planes": c.planes, "clock": clock}
        cells = "".join(f"<tr><td>{key}</td><td>{value}</td></tr>" for key, value in rows.items())
        return f"<b>{escape(self.name)}</b><table>{cells}</table>"

    @contextmanager
    def lease(self, seconds: float = 30.0) -> Iterator[None]:
        """Be the only one that operates the chip: `with chip.lease(seconds=60): ...`.

        Every message renews it; it ends with the block, or when this session is silent for so many seconds (at most LEASE_MAX_S).
        LinkError with code LEASED if another session holds the chip; it says who, and for how long.
        """
        if not 0 < seconds <= LEASE_MAX_S:
            raise HostError(f"seconds = {seconds}; more than 0 and at most {LEASE_MAX_S} expected")
        self._session.lease(seconds)
        answered = True
        try:
            yield
        except LinkTimeout:
            answered = False  # the end of the session, or silence, gives it back; who does not answer is not waited for again
            raise
        finally:
            if answered:
                with suppress(LinkError):  # who cannot give it back is silent from now on
                    self._session.lease(0)

    @property
    def name(self) -> str:
        """The chip's name, as its daemon gives it."""
        return self._session.name

    @property
    def kind(self) -> str:
        """What a cell is: "pbit", "async-pbit", "pdit", "gaussian", "mixture" or "langevin"."""
        return kinds.name_of(self.capabilities)

    @property
    def terms(self) -> tuple[str, ...]:
        """Bias terms of a cell: ("h",) of p-bits; of pdits h0, h1, .. of each state; ("h", "a") of gaussian cells; of mixture
        cells the modes' log-weights w0, w1, .. and means m0, m1, ..; ("h", "a", "c", "b") of Langevin cells."""
        return kinds.terms_of(self.capabilities)

    @property
    def timeout_s(self) -> float:
        """How long a reply may take, in seconds; may be set."""
        return self._session.timeout_s

    @timeout_s.setter
    def timeout_s(self, value: float) -> None:
        self._session.timeout_s = seconds(value, "timeout_s")

    @property
    def time_cycles(self) -> int:
        """Chip time at the end of the last message, in cycles since power-on."""
        return self._session.time

    @property
    def seconds(self) -> float:
        """`time_cycles` in seconds of chip time."""
        return self._bus.seconds(self._session.time)

    @property
    def interrupts(self) -> InterruptLog:
        """Interrupt events that came with replies and have not been drained."""
        return self._session.interrupts

    @property
    def stats(self) -> Stats:
        """Messages and operations sent so far, counted up in place."""
        return self._session.stats

    @cached_property
    def topology(self) -> Topology:
        """Couplers, pairs, colours and positions; read from the chip once."""
        return Topology.read(self._bus)

    def batch(self) -> Batch:
        """An empty batch of operations."""
        return self._bus.batch()

    def read_register(self, path: str, index: int = 0) -> int:
        """Value of a register (64-bit counters whole), or of a field: `read_register("SEQ.STATUS.STATE")`."""
        return self._bus.read_register(path, index)

    def write_register(self, path: str, value: FieldValue | None = None, index: int = 0, **fields: FieldValue) -> None:
        """Write a register as a word or by field names (others become 0), or one field by its path (others stay)."""
        self._bus.write_register(path, value, index, **fields)
