"""What a chip is: a frozen configuration, validated once, from a TOML file.

Every value has a unit and a range here; a file's [provenance] table says where its values, or whole tables of them, come from.
Unknown keys are refused and all errors are reported at once, each with its key path. Defaults are assumed: round figures of a
small mixed-signal block, and no errors: an effect that a file does not name is off.
"""

from __future__ import annotations

import copy
import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from tsu_emu.config.base import Seed, Table
from tsu_emu.config.cells import (
    AsynchronousPbit,
    Cell,
    ColouredNoise,
    Dead,
    Gaussian,
    IdealNoise,
    Langevin,
    LfsrNoise,
    Mixture,
    Pbit,
    Pdit,
)
from tsu_emu.config.complaints import complaints
from tsu_emu.config.core import Core
from tsu_emu.config.devices import Bias, Coupling, Dac, Drift, Network, Storage, Temperature, Trim
from tsu_emu.config.fabric import CELLS_MAX, Bipartite, Dense, Edges, Fabric, Grid, Learning, Sequencer, Timing
from tsu_emu.config.measured import MeasuredDie
from tsu_emu.config.policy import Policy, UserMap
from tsu_emu.config.surroundings import Adc, Energy, Process, Slow, Supply, Thermal, Tone

__all__ = [
    "CELLS_MAX",
    "CONFIG_DIRECTORIES",
    "Adc",
    "AsynchronousPbit",
    "Bias",
    "Bipartite",
    "Cell",
    "ChipConfig",
    "Clock",
    "ColouredNoise",
    "ConfigError",
    "Core",
    "Coupling",
    "Dac",
    "Dead",
    "Dense",
    "Drift",
    "Edges",
    "Energy",
    "Fabric",
    "Gaussian",
    "Grid",
    "IdealNoise",
    "Langevin",
    "Learning",
    "LfsrNoise",
    "MeasuredDie",
    "Mixture",
    "Network",
    "Nvm",
    "Pbit",
    "Pdit",
    "Policy",
    "Process",
    "Seeds",
    "Sequencer",
    "Slow",
    "Storage",
    "Supply",
    "Temperature",
    "Thermal",
    "Timing",
    "Tone",
    "Trim",
    "UserMap",
    "leaves",
    "load",
    "parse",
    "provenance_of",
    "shipped",
]


STANDBY_AJ_MAX = 9e15
"""Attojoules of standby a cycle that the ledger's 64-bit arithmetic takes."""


EPOCHS_MIN, EPOCHS_MAX = 0.01, 2.0**40
"""Correlation times on the grid of slow effects, in epochs."""


class ConfigError(ValueError):
    """A configuration that is not one; the message lists every error with its key path."""


class Seeds(Table):
    """`die` fixes mismatch, `run` drives temporal noise."""

    die: Seed = 1
    run: Seed = 1


class Clock(Table):
    """The cycle that all timing counts, in Hz."""

    hz: Annotated[int, Field(ge=1, lt=1 << 32)] = 100_000_000


class Nvm(Table):
    """Non-volatile memory for calibrations, in 32-bit words."""

    words: Annotated[int, Field(ge=0, le=1 << 24)] = 0


class ChipConfig(Table):
    """A complete chip."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
    description: str = ""
    seeds: Seeds = Seeds()
    clock: Clock = Clock()
    fabric: Fabric
    coupling: Coupling = Coupling()
    bias: Bias = Bias()
    cell: Cell = Pbit()
    trim: Trim = Trim()
    nvm: Nvm = Nvm()
    cpu: Core = Core()
    temperature: Temperature = Temperature()
    process: Process = Process()
    die: MeasuredDie = MeasuredDie()
    network: Network = Network()
    storage: Storage = Storage()
    thermal: Thermal = Thermal()
    energy: Energy = Energy()
    supply: Supply = Supply()
    adc: Adc = Adc()
    slow: Slow = Slow()
    sequencer: Sequencer = Sequencer()
    learning: Learning = Learning()
    timing: Timing = Timing()
    policy: Policy = Policy()
    map: UserMap = UserMap()
    provenance: dict[str, str] = Field(default={})

    @model_validator(mode="after")
    def _provenance_names_values(self) -> ChipConfig:
        values = leaves(self)
        tables = {path[:k] for path in values for k, mark in enumerate(path) if mark == "."}
        unknown = sorted(set(self.provenance) - set(values) - tables)
        if unknown:
            raise ValueError(f"[provenance] names no value of this file: {', '.join(unknown)}")
        return self

    @model_validator(mode="after")
    def _ledger_counts(self) -> ChipConfig:
        if self.energy.standby_w * 1e18 / self.clock.hz > STANDBY_AJ_MAX:
            limit = STANDBY_AJ_MAX * self.clock.hz / 1e18
            raise ValueError(f"energy.standby_w {self.energy.standby_w}: at this clock the ledger counts up to {limit:g} W")
        return self

    @model_validator(mode="after")
    def _engine_fits_converters(self) -> ChipConfig:
        bits, widest = self.learning.bits, max(self.coupling.dac.bits, self.bias.dac.bits)
        spins = isinstance(self.cell, Pbit | AsynchronousPbit)
        if (bits or self.learning.hostmem_words) and not spins:
            raise ValueError(
                f"learning: the engine and its examples serve p-bits; bits = hostmem_words = 0 for {self.cell.kind} cells"
            )
        if 0 < bits < widest:
            raise ValueError(f"learning.bits {bits}: accumulators are at least as wide as the DACs, {widest} bits")
        return self

    @model_validator(mode="after")
    def _times_fit_epochs(self) -> ChipConfig:
        """Processes on the grid of epochs are defined for correlation times of .01 to 2^40 of them."""
        epoch_s = self.slow.epoch_cycles / self.clock.hz
        for path, seconds in self._correlation_times():
            if not EPOCHS_MIN * epoch_s <= seconds <= EPOCHS_MAX * epoch_s:
                message = f"{path}: a correlation time of {seconds:.3g} s on a grid of epochs of {epoch_s:.3g} s"
                raise ValueError(
                    f"{message}; {EPOCHS_MIN * epoch_s:.3g} to {EPOCHS_MAX * epoch_s:.3g} s expected (slow.epoch_cycles)"
                )
        return self

    def _correlation_times(self) -> list[tuple[str, float]]:
        """(key path, s) of the processes that are on."""
        times = [("supply.noise_tau_s", self.supply.noise_tau_s)] if self.supply.noise_rms_v else []
        cell = self.cell
        drifts = {
            "cell.offset_drift": cell.offset_drift,
            "coupling.drift": self.coupling.drift,
            "temperature.drift": self.temperature.drift,
        }
        if isinstance(cell, Pbit | AsynchronousPbit | Pdit):
            drifts["cell.slope_drift"] = cell.slope_drift
        for path, drift in drifts.items():
            if drift.ou_sigma:
                times.append((f"{path}.ou_tau_s", drift.ou_tau_s))
            if drift.flicker_rms:
                times.append((f"{path}.flicker_low_hz", 1 / (2 * math.pi * drift.flicker_low_hz)))
                times.append((f"{path}.flicker_high_hz", 1 / (2 * math.pi * 10**0.5 * drift.flicker_high_hz)))
        return times

    @model_validator(mode="after")
    def _cell_fits_fabric(self) -> ChipConfig:
        continuous = not isinstance(self.cell, Pbit | Pdit)
        if continuous and self.timing.slot > 0:
            raise ValueError(f"timing.slot {self.timing.slot}: all planes of {self.cell.kind} cells live at once; it must be 0")
        if continuous and self.timing.colour == 0:
            raise ValueError(f"timing.colour 0: it is the tick in which {self.cell.kind} cells live; at least 1 expected")
        if isinstance(self.cell, Mixture) and not (isinstance(self.fabric.topology, Edges) and not self.fabric.topology.pairs):
            raise ValueError('fabric.topology: mixture cells are loose; kind = "edges" without pairs expected')
        if isinstance(self.cell, Gaussian | Mixture | Langevin) and self.adc.count == 0:
            raise ValueError(f"adc.count 0: {self.cell.kind} cells are read through converters")
        if self.trim.bits and not isinstance(self.cell, Pbit | AsynchronousPbit):
            raise ValueError(f"trim.bits {self.trim.bits}: p-bits have trims; 0 expected for {self.cell.kind} cells")
        if self.die.stated and not isinstance(self.cell, Pbit | AsynchronousPbit):
            raise ValueError(f"die: values of single elements are those of p-bits, not of {self.cell.kind} cells")
        return self


def provenance_of(config: ChipConfig, path: str) -> str | None:
    """Where a value comes from: its own entry, or that of the innermost table that has one."""
    parts = path.split(".")
    return next((config.provenance[p] for k in range(len(parts), 0, -1) if (p := ".".join(parts[:k])) in config.provenance), None)


def leaves(config: ChipConfig) -> list[str]:
    """Key paths of all values of a configuration but its name, description and provenance."""

    def walk(value: Any, path: str) -> list[str]:
        if isinstance(value, dict):
            return [leaf for key, item in value.items() for leaf in walk(item, f"{path}.{key}" if path else key)]
        return [path]

    return walk(config.model_dump(by_alias=True, exclude={"name", "description", "provenance"}), "")


def parse(data: dict[str, Any], source: str = "config") -> ChipConfig:
    """A configuration from plain data; ConfigError lists every error with its key path."""
    try:
        return ChipConfig.model_validate(data)
    except ValidationError as error:
        lines = [f"  {line}" for line in complaints(error, data, ChipConfig)]
        raise ConfigError(f"{source}: {len(lines)} error{'s' * (len(lines) > 1)}\n" + "\n".join(lines)) from None


CONFIG_DIRECTORIES = (Path(__file__).resolve().parents[1] / "configs", Path(__file__).resolve().parents[2] / "configs")
"""Where shipped configurations lie: in an installed distribution, in a checkout."""


def shipped() -> dict[str, Path]:
    """Names and files of the configurations that come with the distribution."""
    folder = next((d for d in CONFIG_DIRECTORIES if d.is_dir()), None)
    return {p.stem: p for p in sorted(folder.glob("*.toml"))} if folder else {}


def changed(data: dict[str, Any], changes: Mapping[str, str]) -> dict[str, Any]:
    """Plain data with values set anew; their provenance says so. ConfigError names a key that leads nowhere.

    changes : key path to value, as TOML writes it; what is no TOML is taken as text
    """
    data = copy.deepcopy(data)
    for path, text in changes.items():
        *tables, key = path.split(".")
        at = data
        for number, table in enumerate(tables):
            at = at.setdefault(table, {})
            if not isinstance(at, dict):
                raise ConfigError(f"{path}: {'.'.join(tables[: number + 1])} is no table")
        try:
            at[key] = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            at[key] = text
        provenance = {k: v for k, v in data.get("provenance", {}).items() if k != path and not k.startswith(f"{path}.")}
        data["provenance"] = provenance | ({path: "set when the chip was started"} if tables else {})
    return data


def load(name_or_path: str, changes: Mapping[str, str] | None = None) -> ChipConfig:
    """A shipped configuration by name, or any by path (whatever ends in .toml or has a slash).

    changes : values to set anew, as in `changed`
    """
    path = Path(name_or_path)
    if path.suffix != ".toml" and "/" not in name_or_path:
        names = shipped()
        if name_or_path not in names:
            raise ConfigError(
                f"no configuration {name_or_path!r}; there are {', '.join(names)}, or give the path of a .toml file"
            )
        path = names[name_or_path]
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"no such file: {path}") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from None
    return parse(changed(data, changes or {}), str(path))
