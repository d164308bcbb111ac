"""docs/bench.md: its examples run, its messages are those of the codec, its tables name what there is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench.harness import Bench, chain
from tsu_contract.bench import FAULTS, Reply, Request, encode_reply, encode_request
from tsu_contract.errors import Code, Failure

PAGE = Path(__file__).parents[2].joinpath("docs/bench.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"<!-- example -->\n```python\n(.*?)```", PAGE, re.S)
REFUSED = Failure(Code.OUT_OF_RANGE, "k = 1310; a number of 200 to 450 expected", field="k")


@pytest.mark.parametrize(
    ("example", "printed"),
    [
        (EXAMPLES[0], "3600 310.0\n"),
        (EXAMPLES[1], "{1} [{'fault': 0, 'kind': 'stuck-cell', 'cell': 3, 'at': 'up'}]\n(240,) []\n"),
    ],
    ids=["instruments", "oracle"],
)
def test_examples_run(example: str, printed: str) -> None:
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join(os.path.abspath(p) for p in sys.path if p)}
    ran = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True, timeout=300, env=paths)
    assert (ran.returncode, ran.stdout) == (0, printed), ran.stderr


def frames(kind: str) -> list[bytes]:
    block = re.findall(rf"```{kind}\n(.*?)```", PAGE, re.S)[0]
    return [bytes.fromhex(frame) for frame in re.split(r"(?m)^\d+:", block)[1:]]


def test_messages_are_those_of_the_codec_and_of_the_door() -> None:
    assert frames("request") == encode_request(Request("ambient", 5, {"k": 310}))
    assert frames("reply") == encode_reply(Reply("ambient", 5, REFUSED, 1000))
    assert Bench(chain()).refused("lab", "ambient", k=1310) == REFUSED


def first_column(header: str) -> set[str]:
    """Names in backquotes in the first column of a table."""
    table = PAGE.split(header)[1].split("\n\n")[0]
    return {name for row in table.splitlines() for name in re.findall(r"`(\w[\w-]*)`", row.split("|")[1] if "|" in row else "")}


def test_tables_name_all_verbs_kinds_and_truths() -> None:
    bench = Bench(chain())
    assert first_column("| verb | keys | range |") == set(bench._doors["lab"]._verbs)
    assert first_column("| verb | keys | what it does |") == set(bench._doors["oracle"]._verbs)
    assert first_column("| kind | keys | effect |") == set(FAULTS)
    told = set(bench.oracle("identify").body["truths"]) | {"tau_s", "stiffness"}
    assert first_column("| truth | shape |") == told
