"""A small chip's server whose clock is the test's own."""

from __future__ import annotations

import pytest

from server.harness import Clock, small_server
from tsu_emu.server.session import Server


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(clock: Clock) -> Server:
    return small_server(clock)
