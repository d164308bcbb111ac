"""What a training run is: rates, averaging times, planes, length."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CtdConfig:
    """Parameters of Continuous Thermodynamic Descent with the host in the loop.

    ticks : weight updates
    eta_start, eta_end : deposition rate eta+ of the first and the last tick, in kT per tick; exponential in between
    ratio : r = eta- / eta+, erosion over deposition
    weathering : lambda / eta+, in 1 / kT
    tau_data, tau_free : time constants of the chip's correlation averages, in sweeps, >= 1
    data_planes, free_planes : planes clamped to examples, and planes without clamps
    sweeps_per_tick : sweeps from one update of the weights to the next
    average_from : the averaged weights are means over the ticks from this fraction of the run on
    sigma : standard deviation of the couplings to begin with, in kT
    seed : draws the couplings to begin with, and the examples
    ValueError names a parameter that is out of range.
    """

    ticks: int = 6000
    eta_start: float = 0.03
    eta_end: float = 0.0005
    ratio: float = 1.0
    weathering: float = 1e-3
    tau_data: float = 2.0
    tau_free: float = 2.0
    data_planes: int = 32
    free_planes: int = 32
    sweeps_per_tick: int = 4
    average_from: float = 0.75
    sigma: float = 0.02
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("ticks", "data_planes", "free_planes", "sweeps_per_tick"):
            _require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        for name in ("tau_data", "tau_free"):
            _require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1 sweep")
        for name in ("eta_start", "eta_end", "ratio", "weathering", "sigma"):
            _require(getattr(self, name) >= 0, name, getattr(self, name), "0 or more")
        _require((self.eta_start > 0) == (self.eta_end > 0), "eta_end", self.eta_end, "0 only if eta_start is")
        _require(0 <= self.average_from < 1, "average_from", self.average_from, "in 0 .. 1, 1 excluded")


def _require(good: bool, name: str, value: float, legal: str) -> None:
    if not good:
        raise ValueError(f"CtdConfig.{name} = {value}; it must be {legal}")
