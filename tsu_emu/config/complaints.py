"""What is wrong with a configuration, in words of its key paths."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ValidationError


def complaints(error: ValidationError, data: dict[str, Any], model: type[BaseModel]) -> Iterator[str]:
    """A line for each error in the data of a model, with its key path; for a key that there is not, one that is near."""
    for e in error.errors():
        path = ".".join(_written(data, e["loc"])) or "(whole file)"
        if e["type"] == "extra_forbidden":
            near = difflib.get_close_matches(str(e["loc"][-1]), sorted(_all_keys(model)), 1)
            yield f"{path}: there is no such key" + (f"; near it is {near[0]}" if near else "")
        else:
            yield f"{path}: {e['msg']}" + ("" if isinstance(e["input"], dict) else f", got {str(e['input'])[:60]}")


def _written(data: dict[str, Any], where: tuple[int | str, ...]) -> Iterator[str]:
    """The keys of a path, without the kinds that choose among tables."""
    at: Any = data
    for part in where[:-1]:
        if not isinstance(at, dict) or part in at:
            yield str(part)
            at = at[part] if isinstance(at, dict) else None
    yield from map(str, where[-1:])


def _all_keys(model: type[BaseModel]) -> set[str]:
    """Of all tables."""
    schema = model.model_json_schema()
    return {key for table in (schema, *schema["$defs"].values()) for key in table.get("properties", {})}
