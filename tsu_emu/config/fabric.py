"""The array: its graph, its planes, and the digital blocks beside it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tsu_emu.config.base import Cycles, Table

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


class Fabric(Table):
    """The array: its graph and its planes."""

    planes: Annotated[int, Field(ge=1, le=PLANES_MAX)] = 64
    topology: Annotated[Dense | Bipartite | Grid | Edges, Field(discriminator="kind")]


class Sequencer(Table):
    """Program memory in instructions, and LOOP nesting."""

    program_words: Annotated[int, Field(ge=2, le=32768)] = 1024
    loop_depth: Annotated[int, Field(ge=1, le=16)] = 4


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

    @model_validator(mode="after")
    def _takes_time(self) -> Timing:
        if self.sweep + self.colour == 0:
            raise ValueError("sweep 0 and colour 0: a sweep of no planes would take no time; at least one must be 1")
        return self
