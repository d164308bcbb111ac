"""What a chip is: a frozen configuration, validated once, from a TOML file.

Every value has a unit and a range here; a file's [provenance] table says where each of its values comes from. Unknown keys are
refused and all errors are reported at once, each with its key path. Defaults are assumed: round figures of a small mixed-signal
block, and no errors; a file that is to stand for a chip states every value itself.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

CELLS_MAX = 1 << 22
"""Cells of an edge list; as many as the largest grid has."""
LAYER_MAX = 32767
"""Cells of a layer; the index in its layer is a cell's 16-bit coordinate."""
PLANES_MAX = 256
"""Eight words of PLANE_ENABLE."""

Cycles = Annotated[int, Field(ge=0, le=1_000_000)]
Seed = Annotated[int, Field(ge=0, lt=1 << 64)]
Bits = Annotated[int, Field(ge=4, le=12)]


class ConfigError(ValueError):
    """A configuration that is not one; the message lists every error with its key path."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


class Seeds(_Frozen):
    """`die` fixes mismatch, `run` drives temporal noise."""

    die: Seed = 1
    run: Seed = 1


class Clock(_Frozen):
    """The cycle that all timing counts, in Hz."""

    hz: Annotated[int, Field(ge=1, lt=1 << 32)] = 100_000_000


class Dense(_Frozen):
    """Every cell coupled to every other."""

    kind: Literal["dense"]
    cells: Annotated[int, Field(ge=1, le=4096)]


class Bipartite(_Frozen):
    """Two layers, each cell coupled to all of the other layer."""

    kind: Literal["bipartite"]
    visible: Annotated[int, Field(ge=1, le=LAYER_MAX)]
    hidden: Annotated[int, Field(ge=1, le=LAYER_MAX)]


class Grid(_Frozen):
    """width x height cells; each rule (a, b) couples a cell to the four at (a, b) rotated by quarter turns, where they exist."""

    kind: Literal["grid"]
    width: Annotated[int, Field(ge=1, le=2048)]
    height: Annotated[int, Field(ge=1, le=2048)]
    rules: tuple[tuple[Annotated[int, Field(ge=0, le=64)], Annotated[int, Field(ge=0, le=64)]], ...] = Field(
        min_length=1, max_length=16
    )

    @model_validator(mode="after")
    def _no_cell_hears_itself(self) -> Grid:
        if (0, 0) in self.rules:
            raise ValueError("rule (0, 0) couples a cell to itself")
        return self


class Edges(_Frozen):
    """Any graph: pairs of coupled cells."""

    kind: Literal["edges"]
    cells: Annotated[int, Field(ge=1, le=CELLS_MAX)]
    pairs: tuple[tuple[int, int], ...]


class Fabric(_Frozen):
    """The array: its graph and its planes."""

    planes: Annotated[int, Field(ge=1, le=PLANES_MAX)] = 64
    topology: Annotated[Dense | Bipartite | Grid | Edges, Field(discriminator="kind")]


class Dac(_Frozen):
    """A segmented DAC.

    bits : code width
    thermometer_bits : most significant bits that drive unary elements
    full_scale : kT at T = 1 for couplings and biases, temperature for the temperature DAC
    element_sigma : mismatch of a unit element, relative; an element of weight w has sigma sqrt(w) units
    gain_sigma : spread of the gain, relative
    offset_sigma_lsb : spread of the offset, LSB
    """

    bits: Bits = 8
    thermometer_bits: Annotated[int, Field(ge=0, le=6)] = 3
    full_scale: Annotated[float, Field(ge=2**-10, le=64)] = 2.0
    element_sigma: Annotated[float, Field(ge=0, le=0.2)] = 0.0
    gain_sigma: Annotated[float, Field(ge=0, le=0.2)] = 0.0
    offset_sigma_lsb: Annotated[float, Field(ge=0, le=16)] = 0.0

    @model_validator(mode="after")
    def _segments(self) -> Dac:
        if self.thermometer_bits > self.bits:
            raise ValueError(f"thermometer_bits {self.thermometer_bits} exceeds bits {self.bits}")
        return self


class Coupling(_Frozen):
    """Couplers: one DAC per direction, and `gain_sigma`, the relative spread of J_ij and, independently, of J_ji."""

    dac: Dac = Dac()
    gain_sigma: Annotated[float, Field(ge=0, le=0.5)] = 0.0


class Bias(_Frozen):
    """One DAC per cell."""

    dac: Dac = Dac()


class Pbit(_Frozen):
    """Spread of the p-bits: slope relative, offset in kT at T = 1."""

    slope_sigma: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    offset_sigma_kt: Annotated[float, Field(ge=0, le=4)] = 0.0


class Temperature(_Frozen):
    """The temperature DAC: unsigned; T = 1 is the temperature at which couplings are stated."""

    dac: Dac = Dac(full_scale=4.0)

    @model_validator(mode="after")
    def _wide_enough(self) -> Temperature:
        if self.dac.bits < 8:
            raise ValueError(f"dac.bits {self.dac.bits}: the temperature DAC has 8 to 12 bits")
        return self


class Sequencer(_Frozen):
    """Program memory in instructions, and LOOP nesting."""

    program_words: Annotated[int, Field(ge=2, le=32768)] = 1024
    loop_depth: Annotated[int, Field(ge=1, le=16)] = 4


class Timing(_Frozen):
    """The timing table, in cycles; docs/theory-of-operation.md says what each row costs."""

    issue: Cycles = 1
    access: Cycles = 2
    return_: Cycles = Field(default=1, alias="return")
    burst_setup: Cycles = 4
    beat: Cycles = 1
    dac_beat: Cycles = 2
    scan_beat: Cycles = 8
    write_buffer: Annotated[int, Field(ge=0, le=128)] = 32
    instruction: Annotated[int, Field(ge=1, le=1_000_000)] = 2
    sweep: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    colour: Cycles = 0
    slot: Cycles = 1
    correlate: Cycles = 1
    strobe: Cycles = 4
    settle: Cycles = 20


class ChipConfig(_Frozen):
    """A complete chip."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
    description: str = ""
    seeds: Seeds = Seeds()
    clock: Clock = Clock()
    fabric: Fabric
    coupling: Coupling = Coupling()
    bias: Bias = Bias()
    pbit: Pbit = Pbit()
    temperature: Temperature = Temperature()
    sequencer: Sequencer = Sequencer()
    timing: Timing = Timing()
    provenance: dict[str, str] = {}

    @model_validator(mode="after")
    def _provenance_names_values(self) -> ChipConfig:
        unknown = sorted(set(self.provenance) - set(leaves(self)))
        if unknown:
            raise ValueError(f"[provenance] names no value of this file: {', '.join(unknown)}")
        return self


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
        lines = []
        for e in error.errors():
            path = ".".join(str(part) for part in e["loc"]) or "(whole file)"
            shown = "" if isinstance(e["input"], dict) else f", got {str(e['input'])[:60]}"
            lines.append(f"  {path}: {e['msg']}{shown}")
        raise ConfigError(f"{source}: {len(lines)} error{'s' * (len(lines) > 1)}\n" + "\n".join(lines)) from None


CONFIG_DIRECTORIES = (Path(__file__).resolve().parent / "configs", Path(__file__).resolve().parents[1] / "configs")
"""Where shipped configurations lie: in an installed distribution, in a checkout."""


def shipped() -> dict[str, Path]:
    """Names and files of the configurations that come with the distribution."""
    folder = next((d for d in CONFIG_DIRECTORIES if d.is_dir()), None)
    return {p.stem: p for p in sorted(folder.glob("*.toml"))} if folder else {}


def load(name_or_path: str) -> ChipConfig:
    """A shipped configuration by name, or any by path (whatever ends in .toml or has a slash)."""
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
    return parse(data, str(path))
