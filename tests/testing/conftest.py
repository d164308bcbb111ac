"""Sessions of pytest in these tests find what is compiled already, though pytester gives them a home of their own."""

import os
from pathlib import Path

import pytest

CACHE = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")


@pytest.fixture(autouse=True)
def _compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", CACHE)
