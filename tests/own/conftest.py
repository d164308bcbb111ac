"""A contract whose blocks and windows are elsewhere, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from own.moving import SOC, outputs


@pytest.fixture(scope="session")
def soc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("moved")
    for path, text in outputs(folder, SOC).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / "soc"
