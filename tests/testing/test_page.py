"""docs/firmware-testing.md: its example runs, its tables name what there is."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from testing.test_plugin import run
from tsu_testing.campaign import OUTCOMES
from tsu_testing.faults import KINDS
from tsu_testing.guarded import IMAGE

pytest_plugins = ["pytester"]
PAGE = Path(__file__).parents[2].joinpath("docs/firmware-testing.md").read_text(encoding="utf-8")


def test_the_example_runs(pytester: pytest.Pytester) -> None:
    pytest.importorskip("elftools")
    (example,) = re.findall(r"<!-- example -->\n```python\n(.*?)```", PAGE, re.S)
    shutil.copy(IMAGE, pytester.path)
    run(pytester, example).assert_outcomes(passed=2)


def test_the_tables_name_what_there_is() -> None:
    tables = re.findall(r"^\| (?:kind|outcome) \|.*?\n\n", PAGE, re.S | re.M)
    outcomes, kinds = (re.findall(r"^\| `?([a-z-]+)`? \|", table, re.M)[1:] for table in tables)
    assert tuple(outcomes) == OUTCOMES
    assert kinds == list(KINDS)
