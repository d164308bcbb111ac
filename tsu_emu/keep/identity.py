"""Whose state it is: the register map, the configuration with its seeds, and the firmware image."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

from tsu_emu.config import ChipConfig, ConfigError, parse

PATHS = ("cpu.image", "map.file")
"""Where a file lies; what is in it counts."""
SHOWN = 5
"""Keys of a configuration that a refusal names."""


class Identity(NamedTuple):
    """What a chip's state depends on beside what was done to it.

    map_hash : of the register map; config : canonical JSON of the configuration; image : SHA-256 of the firmware core's image in
    hexadecimal, "" without one
    """

    map_hash: str
    config: str
    image: str

    @property
    def values(self) -> dict[str, Any]:
        """The configuration as plain data."""
        data: dict[str, Any] = json.loads(self.config)
        return data


def identity_of(config: ChipConfig) -> Identity:
    """Of a chip of that configuration; OSError if its image cannot be read."""
    data = _plain(config)
    image = hashlib.sha256(Path(config.cpu.image).read_bytes()).hexdigest() if config.cpu.image else ""
    return Identity(config.map.registers().hash, json.dumps(data, sort_keys=True, separators=(",", ":")), image)


def _plain(config: ChipConfig) -> dict[str, Any]:
    """What of a configuration the chip depends on."""
    return config.model_dump(mode="json", by_alias=True, exclude={"description", "provenance"})


def _completed(values: dict[str, Any]) -> dict[str, Any]:
    """An earlier program's values, with this one's defaults for keys that it did not have."""
    try:
        return _plain(parse(values))
    except ConfigError:
        return values


def difference(kept: Identity, here: Identity) -> str:
    """What is not the same, in words; "" if a state of the one is a state of the other. Where a file lies is no difference."""
    if kept.map_hash != here.map_hash:
        return f"it is of register map {kept.map_hash[:16]}..., this is {here.map_hash[:16]}..."
    theirs, ours = _leaves(_completed(kept.values), ""), _leaves(here.values, "")
    keys = sorted(key for key in theirs.keys() | ours.keys() if theirs.get(key) != ours.get(key) and key not in PATHS)
    if keys:
        shown = [f"{key} was {_short(theirs.get(key))}, is {_short(ours.get(key))}" for key in keys[:SHOWN]]
        more = f", and {len(keys) - SHOWN} more" if len(keys) > SHOWN else ""
        return f"it is of another configuration: {'; '.join(shown)}{more}"
    if kept.image != here.image:
        return f"it is of firmware image {kept.image[:16] or 'none'}, this is {here.image[:16] or 'none'}"
    return ""


def _leaves(value: Any, path: str) -> dict[str, Any]:
    """Values of plain data by key path."""
    if not isinstance(value, dict):
        return {path: value}
    found: dict[str, Any] = {}
    for key, item in value.items():
        found |= _leaves(item, f"{path}.{key}" if path else key)
    return found


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:40]}..."
