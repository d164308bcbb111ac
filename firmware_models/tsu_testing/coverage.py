"""Line and branch coverage of a firmware's source, from what the core executed and the image's DWARF line tables."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tsu_emu.chip.core import FirmwareCore
from tsu_testing.image import Image
from tsu_testing.tracing import Tracer


@dataclass
class Lines:
    """Of one file. counts : times by line; branches : (taken, not taken) of each conditional branch, by line and address;
    functions : (line, name, times)"""

    counts: dict[int, int] = field(default_factory=dict)
    branches: dict[tuple[int, int], tuple[int, int]] = field(default_factory=dict)
    functions: list[tuple[int, str, int]] = field(default_factory=list)


def share(parts: int, whole: int) -> str:
    """In words."""
    return f"{parts} of {whole} ({100 * parts / whole:.1f} %)" if whole else "none"


def is_branch(low: int) -> bool:
    """Whether an instruction, by its first 16 bits, is a conditional branch."""
    return low & 0x7F == 0x63 if low & 3 == 3 else low & 3 == 1 and low >> 13 in (6, 7)


class Coverage:
    """What runs have executed of the code of one image in ROM; runs add up.

    A line has been executed as often as that of its instructions which was most often; a branch is a conditional branch
    instruction, of which there may be several in a line, also where the source has none (a compiler's).
    """

    def __init__(self, path: Path) -> None:
        self.path, self._image = path, Image(path)
        self._executed: NDArray[np.int64] = np.zeros(0, np.int64)
        self._jumped: NDArray[np.int64] = np.zeros(0, np.int64)
        self._code: NDArray[np.uint16] = np.zeros(0, np.uint16)

    def add(self, tracer: Tracer, core: FirmwareCore) -> None:
        """What a tracer has noted of a core with this image."""
        if not self._code.size:
            self._code = core.rom.view(np.uint16).copy()
            self._executed, self._jumped = np.zeros((2, len(self._code)), np.int64)
        self._executed += tracer.executed[0, : len(self._code)]
        self._jumped += tracer.jumped[0, : len(self._code)]

    def files(self) -> dict[str, Lines]:
        """By path, all lines that have code."""
        found: dict[str, Lines] = defaultdict(Lines)
        for span in self._image.spans:
            lines, part = found[span.file], slice(span.begin // 2, span.end // 2)
            if span.end // 2 > len(self._code):
                continue
            lines.counts[span.line] = max(lines.counts.get(span.line, 0), int(self._executed[part].max(initial=0)))
            at = span.begin // 2
            while at < span.end // 2:
                low = int(self._code[at])
                if is_branch(low):
                    taken = int(self._jumped[at])
                    lines.branches[span.line, 2 * at] = (taken, int(self._executed[at]) - taken)
                at += 2 if low & 3 == 3 else 1
        self._add_functions(found)
        return dict(sorted(found.items()))

    def _add_functions(self, found: dict[str, Lines]) -> None:
        first = {span.begin: span for span in reversed(self._image.spans)}
        for function in self._image.functions:
            span = first.get(function.begin)
            if span is not None and function.begin // 2 < len(self._executed):
                found[span.file].functions.append((span.line, function.name, int(self._executed[function.begin // 2])))

    def lcov(self) -> str:
        """As a tracefile of lcov, for genhtml and editors."""
        out = ["TN:"]
        for file, lines in self.files().items():
            out.append(f"SF:{file}")
            out += [f"FN:{line},{name}" for line, name, _ in lines.functions]
            out += [f"FNDA:{times},{name}" for _, name, times in lines.functions]
            out += [f"FNF:{len(lines.functions)}", f"FNH:{sum(times > 0 for *_, times in lines.functions)}"]
            for number, ((line, _), sides) in enumerate(sorted(lines.branches.items())):
                for side, times in enumerate(sides):
                    out.append(f"BRDA:{line},{number},{side},{times if sum(sides) else '-'}")
            sides_hit = sum(times > 0 for sides in lines.branches.values() for times in sides)
            out += [f"BRF:{2 * len(lines.branches)}", f"BRH:{sides_hit}"]
            out += [f"DA:{line},{times}" for line, times in sorted(lines.counts.items())]
            out += [f"LF:{len(lines.counts)}", f"LH:{sum(times > 0 for times in lines.counts.values())}", "end_of_record"]
        return "\n".join([*out, ""])

    def summary(self) -> str:
        """A line for each file: lines and sides of branches executed, and the lines that were not."""
        out = []
        for file, lines in self.files().items():
            missed = [str(line) for line, times in sorted(lines.counts.items()) if not times]
            sides = [times > 0 for pair in lines.branches.values() for times in pair]
            counts = [times > 0 for times in lines.counts.values()]
            out.append(f"{file}: lines {share(sum(counts), len(counts))}, branches {share(sum(sides), len(sides))}")
            if missed:
                out.append(f"  not executed: {', '.join(missed)}")
        return "\n".join(out)
