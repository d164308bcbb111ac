"""A chip on a fake link, for every test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import tsu_driver as tsu
from driver.fake import FakeLink


@pytest.fixture
def link() -> FakeLink:
    return FakeLink()


@pytest.fixture
def chip(link: FakeLink) -> Iterator[tsu.Chip]:
    with tsu.Chip(link, timeout_s=1.0) as opened:
        yield opened
