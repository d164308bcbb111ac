"""Metrics for Prometheus, on loopback: read from a server's counters when they are asked for, so that requests pay nothing."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from itertools import accumulate
from socketserver import TCPServer

import numpy as np
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
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

CONNECTION_SECONDS = 1.0
"""That somebody who asks for the page may take."""


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


class _Page(BaseHTTPRequestHandler):
    """One connection, which ends after CONNECTION_SECONDS: a GET of any path."""

    server: _PageServer

    def handle(self) -> None:
        late = threading.Timer(CONNECTION_SECONDS, self._break_off)
        late.start()
        try:
            super().handle()
        finally:
            late.cancel()
            late.join()

    def _break_off(self) -> None:
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def do_GET(self) -> None:
        """The page as it is now."""
        page = generate_latest(self.server.registry)
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", CONTENT_TYPE_LATEST)
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the log is the daemon's."""


class _PageServer(TCPServer):
    """One connection at a time: whoever opens many takes the page's time, not the daemon's threads and descriptors."""

    allow_reuse_address = True

    def __init__(self, port: int, registry: CollectorRegistry) -> None:
        self.registry = registry
        super().__init__(("127.0.0.1", port), _Page)

    def handle_error(self, request: object, client_address: object) -> None:
        """Who asked has gone, or was too slow."""


class MetricsPage:
    """A page for Prometheus on 127.0.0.1; OSError if the port cannot be had.

    address : its URL
    """

    def __init__(self, server: Server, port: int) -> None:
        registry = CollectorRegistry()
        registry.register(ServerMetrics(server))
        self._http = _PageServer(port, registry)
        self._thread = threading.Thread(target=self._http.serve_forever, daemon=True)
        self._thread.start()
        self.address = f"http://127.0.0.1:{self._http.server_address[1]}/metrics"

    def close(self) -> None:
        """Nobody is answered any more."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()
