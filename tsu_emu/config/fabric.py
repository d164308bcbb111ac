"""The array: its graph, its planes, and the digital blocks beside it."""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

from pydantic import Field, model_validator

from tsu_emu.config.base import Cycles, Probability, Seed, Table

CELLS_MAX = 1 << 22
"""Cells of an edge list; as many as the largest grid has."""
LAYER_MAX = 32767
"""Cells of a layer; the index in its layer is a cell's 16-bit coordinate."""
PLANES_MAX = 256
"""Eight words of PLANE_ENABLE."""


class Dense(Table):
    """Every cell coupled to every other."""

    kind: Literal["dense"]
    cells: Annotated[int, Field(ge=1, le=4096)]


class Bipartite(Table):
    """Two layers, each cell coupled to all of the other layer."""

    kind: Literal["bipartite"]
    visible: Annotated[int, Field(ge=1, le=LAYER_MAX)]
    hidden: Annotated[int, Field(ge=1, le=LAYER_MAX)]


class Layered(Table):
    """Layers one after the other, each cell coupled to all of the layers next to its own; two layers are `bipartite`.

    layers : cells of each; lateral : whether the cells of a layer are coupled to each other too
    """

    kind: Literal["layered"]
    layers: tuple[Annotated[int, Field(ge=1, le=LAYER_MAX)], ...] = Field(min_length=2, max_length=256)
    lateral: bool = False

    @model_validator(mode="after")
    def _not_too_many(self) -> Layered:
        return _of_cells(self, sum(self.layers))


class Level(Table):
    """A level of a hierarchy: so many blocks of the level below make a block, every two of them joined by `ports` pairs."""

    children: Annotated[int, Field(ge=2, le=256)]
    ports: Annotated[int, Field(ge=1, le=4096)]


class Hierarchical(Table):
    """A tree of blocks: dense blocks of `block` cells, joined level by level from the lowest; docs/mapping.md says where."""

    kind: Literal["hierarchical"]
    block: Annotated[int, Field(ge=1, le=4096)]
    levels: tuple[Level, ...] = Field(min_length=1, max_length=8)

    @model_validator(mode="after")
    def _ports_have_cells(self) -> Hierarchical:
        size = self.block
        for k, level in enumerate(self.levels):
            needed = level.ports * (level.children - 1)
            if needed > size:
                joined = f"{level.ports} ports to each of {level.children - 1} siblings are {needed} cells"
                raise ValueError(f"levels.{k}: {joined}; a block below has {size}")
            size *= level.children
        return _of_cells(self, size)


class SmallWorld(Table):
    """A ring, each cell coupled to the degree / 2 next on both sides; each pair rewired with a probability.

    Watts and Strogatz, Nature 393 (1998) 440; docs/mapping.md says how it is drawn. seed : which graph
    """

    kind: Literal["small-world"]
    cells: Annotated[int, Field(ge=3, le=CELLS_MAX)]
    degree: Annotated[int, Field(ge=2, le=256, multiple_of=2)]
    rewiring: Probability
    seed: Seed = 1

    @model_validator(mode="after")
    def _ring_is_simple(self) -> SmallWorld:
        if self.degree >= self.cells:
            raise ValueError(f"degree {self.degree}: a ring of {self.cells} cells has at most {(self.cells - 1) // 2 * 2}")
        return self


class Grid(Table):
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


class Edges(Table):
    """Any graph: pairs of coupled cells."""

    kind: Literal["edges"]
    cells: Annotated[int, Field(ge=1, le=CELLS_MAX)]
    pairs: tuple[tuple[int, int], ...]


T = TypeVar("T", bound=Table)


def _of_cells(topology: T, cells: int) -> T:
    if cells > CELLS_MAX:
        raise ValueError(f"{cells} cells; at most {CELLS_MAX}")
    return topology


Topology = Annotated[Dense | Bipartite | Layered | Hierarchical | SmallWorld | Grid | Edges, Field(discriminator="kind")]


class Fabric(Table):
    """The array: its graph and its planes."""

    planes: Annotated[int, Field(ge=1, le=PLANES_MAX)] = 64
    topology: Topology


class Sequencer(Table):
    """Program memory in instructions, LOOP nesting, entries of the temperature table."""

    program_words: Annotated[int, Field(ge=2, le=32768)] = 1024
    loop_depth: Annotated[int, Field(ge=1, le=16)] = 4
    table_entries: Annotated[int, Field(ge=1, le=65536)] = 256


class Learning(Table):
    """The learning engine of chips of p-bits, and the host memory from which examples come.

    bits : width of an accumulator, at least that of the DACs; 0: no engine
    hostmem_words : 32-bit words
    """

    bits: Annotated[int, Field(ge=0, le=16)] = 0
    hostmem_words: Annotated[int, Field(ge=0, le=1 << 24)] = 0


class Timing(Table):
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
    sweep: Cycles = 1
    colour: Cycles = 0
    slot: Cycles = 1
    correlate: Cycles = 1
    strobe: Cycles = 4
    settle: Cycles = 20
    learn: Cycles = 8
    swap: Cycles = 16

    @model_validator(mode="after")
    def _takes_time(self) -> Timing:
        if self.sweep + self.colour == 0:
            raise ValueError("sweep 0 and colour 0: a sweep of no planes would take no time; at least one must be 1")
        return self
