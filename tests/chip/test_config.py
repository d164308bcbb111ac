"""Configurations: what is refused and how it is said, and that the shipped ones are complete."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from tsu_emu.chip import Chip
from tsu_emu.config import ConfigError, leaves, load, parse, provenance_of, shipped

GOOD: dict[str, Any] = {"name": "x", "fabric": {"topology": {"kind": "dense", "cells": 3}}}


def stated(table: Any, path: str = "") -> list[str]:
    """Key paths of the values of plain data."""
    if not isinstance(table, dict):
        return [path]
    return [leaf for key, value in table.items() for leaf in stated(value, f"{path}.{key}" if path else key)]


@pytest.mark.parametrize("name", sorted(shipped()))
def test_a_shipped_configuration_names_where_each_of_its_values_comes_from(name: str) -> None:
    chip = load(name)
    assert chip.name == name
    values = stated(chip.model_dump(by_alias=True, exclude_unset=True, exclude={"name", "description", "provenance"}))
    assert len(values) > 20
    assert set(values) <= set(leaves(chip))
    assert [path for path in values if provenance_of(chip, path) is None] == []
    kinds = {source.split(":")[0] for source in chip.provenance.values()}
    assert kinds <= {"published", "simulated by vendor", "secondary", "design", "assumed"}


@pytest.mark.parametrize("name", sorted(shipped()))
def test_what_a_shipped_file_leaves_out_is_off(name: str) -> None:
    """In a table that a file has, a value left to its default is 0; nothing else depends on a default that might change."""
    chip = load(name)
    assert {"seeds", "clock", "fabric", "coupling", "bias", "cell", "temperature", "sequencer", "timing"} <= chip.model_fields_set

    def left_out(table: BaseModel, path: str) -> list[str]:
        found = []
        for field in type(table).model_fields:
            value = getattr(table, field)
            if isinstance(value, BaseModel):
                found += left_out(value, f"{path}.{field}") if field in table.model_fields_set else []
            elif field not in table.model_fields_set and value not in (0, (), {}, "", "ideal", "own"):
                found.append(f"{path}.{field}")
        return found

    assert left_out(chip, "") == []


def test_all_errors_are_reported_at_once_with_their_key_paths() -> None:
    bad = {
        **GOOD,
        "coupling": {"dac": {"bits": 3, "element_sigma": -1}},
        "colour": "blue",
        "timing": {"return": -1},
        "cell": {"kind": "pbit", "slope_sigma": "much"},
    }
    with pytest.raises(ConfigError) as error:
        parse(bad, "my.toml")
    for path in (
        "my.toml: 5 errors",
        "coupling.dac.bits",
        "coupling.dac.element_sigma",
        "colour",
        "timing.return",
        "cell.slope_sigma",
    ):
        assert path in str(error.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"cell.kindd": "3"}, "cell.kindd: there is no such key; near it is kind"),
        ({"fabrik.planes": "3"}, "fabrik: there is no such key; near it is fabric"),
        ({"cell.offset_drift.ou_sigmas": "3"}, "cell.offset_drift.ou_sigmas: there is no such key; near it is ou_sigma"),
        ({"zzz": "3"}, "zzz: there is no such key$"),
    ],
)
def test_a_key_that_there_is_not_is_told_as_it_was_written_with_one_that_is_near(changes: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load("digits-typical", changes)


@pytest.mark.parametrize(
    ("topology", "said"),
    [
        ({"kind": "ring", "cells": 3}, "topology"),
        ({"kind": "edges", "cells": 3, "pairs": [[0, 3]]}, r"pairs.0: \(0, 3\) names a cell outside 0..2"),
        ({"kind": "edges", "cells": 3, "pairs": [[0, 1], [2, 2]]}, r"pairs.1: \(2, 2\) couples a cell to itself"),
        ({"kind": "edges", "cells": 3, "pairs": [[0, 1], [1, 0]]}, "listed twice"),
        ({"kind": "dense", "cells": 0}, "fabric.topology.cells"),
        ({"kind": "bipartite", "visible": 5000, "hidden": 5000}, "50000000 couplers; at most 16777216"),
    ],
)
def test_a_graph_that_cannot_be_is_refused_by_name(topology: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Chip(parse({"name": "x", "fabric": {"topology": topology}}))


def test_a_chip_whose_planes_do_not_fit_their_window_is_refused() -> None:
    """256 planes of 4 Mi cells would need 128 MiB of CLAMP_MASK; the graph itself is legal."""
    config = parse({"name": "x", "fabric": {"planes": 256, "topology": {"kind": "edges", "cells": 1 << 22, "pairs": []}}})
    with pytest.raises(ConfigError, match="CLAMP_MASK would hold 256 x 131072 elements, more than its 64 MiB"):
        Chip(config)


def test_provenance_of_a_value_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"coupling\.dac\.bitz"):
        parse({**GOOD, "provenance": {"coupling.dac.bitz": "assumed"}})


def test_a_missing_name_lists_the_shipped_ones_and_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="digits-typical"):
        load("digits-tipical")
    with pytest.raises(ConfigError, match=r"nowhere\.toml"):
        load(str(tmp_path / "nowhere.toml"))
    broken = tmp_path / "broken.toml"
    broken.write_text("name = ")
    with pytest.raises(ConfigError, match=r"broken\.toml"):
        load(str(broken))


def test_a_configuration_cannot_be_changed() -> None:
    chip = parse(GOOD)
    with pytest.raises(ValueError, match="frozen"):
        chip.name = "y"  # type: ignore[misc]
