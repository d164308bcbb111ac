"""Prints the header that the register header lacks: the map's hash and the labels of enumerated fields, as C constants.

`python3 values.py PATH-OF-tsu.json > tsu_values.h`; needs the standard library alone.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path


def header(path: Path) -> str:
    """The C text for the register table of this file."""
    table = json.loads(path.read_text(encoding="utf-8"))
    digest = hashlib.sha256(json.dumps(table, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    lines = [
        "#ifndef TSU_VALUES_H",
        "#define TSU_VALUES_H",
        f'#define TSU_MAP_HASH "{digest}"',
        f"#define TSU_MAP_HASH_WORD 0x{digest[:8]}u",
    ]
    for register in table["registers"]:
        for field in register["fields"]:
            for label, value in field["values"].items():
                name = f"{register['name']}_{field['name']}_{label}".replace(".", "_")
                lines.append(f"#define TSU_{name} {value['value']}u")
    return "\n".join([*lines, "#endif", ""])


if __name__ == "__main__":
    sys.stdout.write(header(Path(sys.argv[1])))
