"""Metrics for Prometheus, on loopback: read from a server's counters when they are asked for, so that requests pay nothing."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

import numpy as np
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from tsu_emu import __version__
from tsu_emu import state as S
from tsu_emu.server.counters import BUCKETS
from tsu_emu.server.session import Server
from tsu_emu.server.status import memory_bytes

COUNTERS = {
    "requests": "Requests of all kinds", "operations": "Operations carried out", "refused": "Requests refused",
    "failed": "Requests that ended early on the bus or the device", "resent": "Kept replies given again",
    "cut": "Sessions closed by the daemon", "gone": "Replies whose client had left", "updates": "Updates sent to subscribers",
    "gaps": "Updates due and not sent", "leases": "Leases taken",
}  # fmt: skip


class ServerMetrics(Collector):
    """Everything that is told of one server. Read from a thread of its own: it looks at single numbers only."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def collect(self) -> Iterator[Metric]:
        """All metrics, as they are now."""
        server, counters, chip = self._server, self._server.counters, self._server.chip
        yield InfoMetricFamily("tsu", "The daemon", {"name": server.name, "boot": server.boot, "version": __version__})
        for name, what in COUNTERS.items():
            yield CounterMetricFamily(f"tsu_{name}", what, getattr(counters, name))
        yield CounterMetricFamily("tsu_busy_seconds", "Time in which requests were carried out", counters.busy_s)
        yield self._latency()
        yield CounterMetricFamily("tsu_chip_seconds", "Chip time", chip.state.time[S.NOW] / chip.capabilities.clock_hz)
        yield CounterMetricFamily("tsu_energy_joules", "What the chip has spent", self._joules())
        gauges = {
            "sessions": ("Open sessions", len(server.sessions)),
            "subscribers": ("Sessions that have subscribed", len(server.subscriptions)),
            "leased": ("Whether a session holds the chip", server.lease.left > 0),
            "under_way": ("Whether a request is under way", server.under_way is not None),
            "kept_bytes": ("Bytes of kept replies", server.sessions.kept_bytes),
            "memory_bytes": ("Memory of the daemon", memory_bytes()),
            "uptime_seconds": ("Since the daemon started", server.status.uptime_s),
        }
        for name, (what, value) in gauges.items():
            yield GaugeMetricFamily(f"tsu_{name}", what, float(value))

    def _latency(self) -> Metric:
        counters = self._server.counters
        sums = list(accumulate(counters.buckets))
        bounds = [f"{bound:g}" for bound in BUCKETS] + ["+Inf"]
        what = "Time that requests of operations took"
        return HistogramMetricFamily("tsu_request_seconds", what, list(zip(bounds, sums, strict=True)), counters.busy_s)

    def _joules(self) -> float:
        """The ledger's sum, as MON.ENERGY shows it."""
        state = self._server.chip.state
        spent = np.append(state.core["counts"][0], state.time[S.NOW]).astype(np.float64)
        return float(spent @ self._server.chip.plant.rules["energy"][0].astype(np.float64)) * 1e-18


class MetricsPage:
    """A page for Prometheus on 127.0.0.1; OSError if the port cannot be had.

    address : its URL
    """

    def __init__(self, server: Server, port: int) -> None:
        registry = CollectorRegistry()
        registry.register(ServerMetrics(server))
        self._http, self._thread = start_http_server(port, "127.0.0.1", registry)
        self.address = f"http://127.0.0.1:{self._http.server_port}/metrics"

    def close(self) -> None:
        """Nobody is answered any more."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()
