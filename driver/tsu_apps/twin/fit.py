"""What was found of a chip, in units of what its cells feel, and how well it is known."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tsu_contract.capabilities import LSB_SCALE, Capabilities
from tsu_driver import Chip, Topology

Floats = NDArray[np.float64]
VERSION = 2
"""Files of version 1 know no stuck bits."""


class FitError(ValueError):
    """A file that is no fit, or a chip that none can be made of."""


@dataclass(frozen=True)
class Drift:
    """An Ornstein-Uhlenbeck process of each cell's offset: rms in kT and correlation time in s, with standard errors.

    A time that is at an end of what was watched has an infinite error.
    """

    sigma_kt: float
    sigma_error: float
    tau_s: float
    tau_error: float

    @property
    def seen(self) -> bool:
        """Whether the drift is more than 3 standard errors."""
        return self.sigma_kt > 3.0 * self.sigma_error


@dataclass(frozen=True, eq=False)
class Fit:
    """A p-bit feels, at a nominal T of t and with spins s,

        F_i = [bias_gain_i h_i + offset_i + sum_e (coupler_gain_e J_e + coupler_offset_e) s_source(e)] / (1 + temperature (t - 1))

    of codes that stand for h and J, kT, stuck bits being where they are, and is up with probability 1 / (1 + exp(-2 F_i)). T = 1
    is where this is what was found.

    capabilities, topology : what the chip says of itself
    offset, bias_gain : (cells,), kT and relative; coupler_offset, coupler_gain : (couplers,); each with `_error`, standard errors
    coupler_spread, bias_spread : rms by which converters leave the straight line, kT as felt
    temperature, temperature_error : gain of T
    coupling_stuck, bias_stuck : (m, 3) rows (DAC, mask, value): bits of its code that are stuck, as an unsigned number, and where
    drift : of the offsets, None if nobody watched
    """

    capabilities: Capabilities
    topology: Topology
    offset: Floats
    offset_error: Floats
    bias_gain: Floats
    bias_gain_error: Floats
    coupler_offset: Floats
    coupler_offset_error: Floats
    coupler_gain: Floats
    coupler_gain_error: Floats
    coupler_spread: float = 0.0
    bias_spread: float = 0.0
    temperature: float = 1.0
    temperature_error: float = 0.0
    coupling_stuck: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 3), np.int64))
    bias_stuck: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 3), np.int64))
    drift: Drift | None = None

    @classmethod
    def ideal(cls, chip: Chip) -> Self:
        """The chip of the data sheet: gains 1, offsets 0, nothing unknown."""
        cells, couplers = chip.capabilities.cells, chip.capabilities.couplers
        nothing, none = np.zeros(cells), np.zeros(couplers)
        return cls(
            chip.capabilities, chip.topology, nothing, nothing, np.ones(cells), nothing, none, none, np.ones(couplers), none
        )

    def but(self, **changes: Any) -> Self:
        """With other values of some fields."""
        return replace(self, **changes)

    def heard(
        self, coupling_codes: NDArray[np.int16], bias_codes: NDArray[np.int16]
    ) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
        """Codes as DACs get them, stuck bits being where they are."""
        cap = self.capabilities
        return (
            _with_stuck(coupling_codes, self.coupling_stuck, cap.coupling_bits),
            _with_stuck(bias_codes, self.bias_stuck, cap.bias_bits),
        )

    def felt(self, coupling_codes: NDArray[np.int16], bias_codes: NDArray[np.int16], T: float = 1.0) -> tuple[Floats, Floats]:
        """((couplers,) what cells hear of neighbours, (cells,) their fields without them), over T, of codes at nominal T."""
        coupling_codes, bias_codes = self.heard(coupling_codes, bias_codes)
        J = coupling_codes * (self.capabilities.coupling_lsb * LSB_SCALE)
        h = bias_codes * (self.capabilities.bias_lsb * LSB_SCALE)
        scale = 1.0 + self.temperature * (T - 1.0)
        return (self.coupler_gain * J + self.coupler_offset) / scale, (self.bias_gain * h + self.offset) / scale

    @property
    def unknown(self) -> dict[str, Floats]:
        """Standard errors of all that is uncertain by the field's name; where converters leave the line counts as an offset."""
        return {
            "offset": np.hypot(self.offset_error, self.bias_spread),
            "bias_gain": self.bias_gain_error,
            "coupler_offset": np.hypot(self.coupler_offset_error, self.coupler_spread),
            "coupler_gain": self.coupler_gain_error,
            "temperature": np.array([self.temperature_error]),
        }

    def moved(self, name: str, by: Floats) -> Self:
        """With one field other by so much."""
        value = getattr(self, name) + by
        return self.but(**{name: value if name != "temperature" else float(value[0])})

    def one_by_one(self) -> Iterator[Self]:
        """This chip with one uncertain value after the other moved by its standard error."""
        for name, errors in self.unknown.items():
            for k in np.flatnonzero(errors):
                yield self.moved(name, np.where(np.arange(len(errors)) == k, errors, 0.0))

    def draw(self, rng: np.random.Generator) -> Self:
        """A chip that this one might be as well: every value moved by its error times a normal deviate."""
        out = self
        for name, errors in self.unknown.items():
            out = out.moved(name, errors * rng.standard_normal(len(errors)))
        return out

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a file of plain arrays (.npz, whose parts carry CRC-32 sums), whole or not at all."""
        arrays: dict[str, Any] = {"version": VERSION, "capabilities": list(asdict(self.capabilities).values())}
        arrays |= {name: getattr(self.topology, name) for name in ("row", "source", "colour", "position")}
        arrays |= {name: getattr(self, name) for name in (*_NUMBERS, *_STUCK)}
        if self.drift is not None:
            arrays["drift"] = list(asdict(self.drift).values())
        target = Path(path)
        scratch = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            with scratch.open("wb") as file:
                np.savez_compressed(file, **arrays)
            scratch.replace(target)
        finally:
            scratch.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """From a file; FitError names it if it cannot be read, is damaged or is none."""
        try:
            with np.load(path, allow_pickle=False) as file:
                found = {name: file[name] for name in file.files}
            if not 1 <= int(found["version"]) <= VERSION:
                raise FitError(f"version {int(found['version'])}; up to {VERSION} is expected")
            topology = Topology(*(found[name] for name in ("row", "source", "colour", "position")))
            numbers: dict[str, Any] = {name: found[name] if found[name].ndim else float(found[name]) for name in _NUMBERS}
            drift = Drift(*found["drift"].tolist()) if "drift" in found else None
            stuck = {name: found[name] for name in _STUCK if name in found}
            return cls(Capabilities(*found["capabilities"].tolist()), topology, drift=drift, **numbers, **stuck)
        except (OSError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
            raise FitError(f"{os.fspath(path)} is no fit of a chip: {error}") from None


_STUCK = ("coupling_stuck", "bias_stuck")
_NUMBERS = tuple(f.name for f in fields(Fit) if f.name not in ("capabilities", "topology", "drift", *_STUCK))


def _with_stuck(codes: NDArray[np.int16], stuck: NDArray[np.int64], bits: int) -> NDArray[np.int16]:
    """(DACs,) codes with bits where they are stuck."""
    out, half = codes.copy(), 1 << bits - 1
    dac, mask, value = stuck.T
    out[dac] = (out[dac] + half & ~mask | value & mask) - half
    return out
