"""The program and its datasheet: what it writes, how it judges, how it ends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tsu_driver as tsu
from apps.bench import bench
from serving import config
from tsu_apps.characterise import PROCEDURES, Characterisation, Measurement, characterise
from tsu_apps.characterise.__main__ import main
from tsu_apps.characterise.datasheet import page, rows
from tsu_apps.characterise.measurement import Outcome
from tsu_driver.instruments import Instruments

CHAIN = {"kind": "edges", "cells": 4, "pairs": [[0, 1], [1, 2], [2, 3]]}
NAMES = ["adc-references", "adc-linearity", "dac-settling", "temperature", "storage"]
VOID = {"meta", "br", "path", "use", "image"}


@pytest.fixture(scope="module")
def at() -> Iterator[dict[str, str]]:
    """Endpoints of a chip with converters and its bench."""
    adc = {"count": 1, "bits": 8, "noise_lsb": 0.4}
    with bench(config(CHAIN, 8, adc=adc, coupling={"dac": {"settling_s": 5e-8}})) as endpoints:
        with tsu.open(endpoints["chip"], timeout_s=300.0) as chip:
            chip.convert("coupling", n=4)
            chip.run(2)
        yield endpoints


class Reader(HTMLParser):
    """Counts elements, collects text and addresses, and sees that elements nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.count: dict[str, int] = {}
        self.text, self.links, self.ids, self._open = "", [], [], []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.count[tag] = self.count.get(tag, 0) + 1
        if tag not in VOID:
            self._open.append(tag)
        self._note(attrs)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.count[tag] = self.count.get(tag, 0) + 1
        self._note(attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def _note(self, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for key, value in attrs if key in ("src", "href", "xlink:href")]
        self.ids += [value for key, value in attrs if key == "id"]


def told(at: dict[str, str], folder: Path, truth: dict[str, Any], *more: str) -> tuple[int, Any, str]:
    """(exit code, JSON, HTML) of a run with configured figures."""
    (folder / "truth.json").write_text(json.dumps(truth))
    files = [f"--{kind}={folder / 'out' / f'chip.{kind}'}" for kind in ("json", "html")]
    arguments = [
        at["chip"],
        f"--instruments={at['instruments']}",
        f"--truth={folder / 'truth.json'}",
        "--effort=.1",
        *files,
        *more,
    ]
    code = main(arguments)
    out = folder / "out"
    return code, json.loads((out / "chip.json").read_text()), (out / "chip.html").read_text()


def test_a_datasheet(at: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All that was asked for, each with a figure, verdicts beside what is configured, nothing from elsewhere."""
    truth = {"adc.0.gain": 1.0, "adc.0.inl": [0.0] * 255, "coupling_dac.settling_s": 5e-8, "nobody.asked": 1}
    code, data, html = told(at, tmp_path, truth, f"--only={','.join(NAMES)}")
    assert code == 0
    row = {r["name"]: r for r in data["rows"]}
    assert row["adc.0.gain"]["ok"] is True
    assert row["adc.0.inl"]["ok"] is True
    assert row["adc.0.noise_lsb"]["goal"] is None
    assert row["coupling_dac.settling_s"]["value"] == pytest.approx(5e-8, rel=0.1)
    curve = data["config"]["curves"]["adc.0.inl"]
    assert [len(curve[key]) for key in ("x", "value", "error")] == [255] * 3
    seen = Reader(html)
    assert seen.count["h2"] == seen.count["svg"] == len(NAMES)
    assert seen.count["tr"] == 1 + len(NAMES) + len(data["rows"])
    assert seen.text.count("agrees") == 3
    assert "differs" not in seen.text
    assert all(link.startswith(("#", "data:")) for link in seen.links)
    assert len(seen.ids) == len(set(seen.ids))
    assert "ns" in seen.text
    said = capsys.readouterr()
    assert said.err.split() == NAMES
    assert "gain of ADC 0" in said.out


def test_what_differs_is_said(at: dict[str, str], tmp_path: Path) -> None:
    """Exit code 1, in the table and in the rows; figures of another shape are no verdict."""
    truth = {"adc.0.gain": 1.1, "adc.0.noise_lsb": [0.4, 0.4], "adc.0.offset_lsb": 0.0}
    code, data, html = told(at, tmp_path, truth, "--only=adc-references")
    assert code == 1
    assert {r["name"]: r["ok"] for r in data["rows"]} == {"adc.0.offset_lsb": True, "adc.0.gain": False, "adc.0.noise_lsb": None}
    text = Reader(html).text
    assert (text.count("differs"), text.count("agrees")) == (1, 1)


def test_without_instruments_it_says_what_it_left_out(
    at: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    html = tmp_path / "chip.html"
    assert main([at["chip"], "--only=adc-linearity,spatial", "--effort=.1", f"--html={html}"]) == 0
    assert "adc-linearity not measured: no instruments are connected" in capsys.readouterr().out
    text = Reader(html.read_text()).text
    assert "ADC nonlinearity: no instruments are connected" in text
    assert "16 x 16 are the least" in text


def test_what_is_wrong_with_a_request(at: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "bad.json").write_text("{")
    for arguments, message in (
        ([at["chip"], "--only=nothing"], "no procedure nothing; there are adc-references"),
        (["file:///x"], "cannot open 'file:///x'"),
        ([at["chip"], f"--instruments={at['oracle']}"], "is the door of the oracle"),
        ([at["chip"], f"--truth={tmp_path / 'none.json'}"], "none.json"),
        ([at["chip"], f"--truth={tmp_path / 'list.json'}"], "an object of numbers and lists by key"),
        ([at["chip"], f"--truth={tmp_path / 'bad.json'}"], "Expecting property name"),
    ):
        assert main(arguments) == 2
        assert message in capsys.readouterr().err
    with pytest.raises(SystemExit) as stop:
        main([])
    assert stop.value.code == 2


def test_the_list_names_all(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--list"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [p.name for p in PROCEDURES]
    assert any(line.endswith("(converters, instruments)") for line in lines)


def test_texts_are_escaped_and_numbers_have_the_digits_that_they_are_worth() -> None:
    measurements = [
        Measurement.of("a < b", "x", 12.3456789, 0.01, "kT", 0.05),
        Measurement.of("none", "y", 0.0, 0.0, "", 0.1),
        Measurement.of("time", "z", 3.21e-7, 1e-9, "s", 5e-9),
        Measurement.of("curve", "c", [1.0, -2.0], [0.1, 0.2], "LSB", 0.5),
    ]
    result = Characterisation("chip & co", "pbit", {PROCEDURES[0].name: Outcome(measurements, None, "<b>")})
    text = Reader(page(result, {"cells": "<4>"}, {"c": [1.0, -2.2]}))
    for words in ("chip & co", "a < b", "<b>", "<4>", "12.346", "321", "ns"):
        assert words in text.text
    assert "12.34568" not in text.text
    assert [row.value for row in rows(result, {})] == [12.3456789, 0.0, 3.21e-7, 2.0]
    judged = rows(result, {"c": [1.0, -2.2], "x": np.float64(12.5)})
    assert [row.ok for row in judged] == [False, None, None, True]


def test_progress_makes_one(at: dict[str, str]) -> None:
    """Shares of each procedure sum to 1, at any effort."""
    shares: dict[str, float] = {}
    with tsu.open(at["chip"]) as chip, Instruments(at["instruments"]) as instruments:

        def note(name: str, share: float) -> None:
            shares[name] = shares.get(name, 0.0) + share

        names = [
            "adc-references",
            "adc-linearity",
            "adc-enob",
            "dac-linearity",
            "dac-settling",
            "drift",
            "thermal",
            "temperature",
            "supply",
        ]
        characterise(chip, instruments, only=names, effort=0.1, progress=note)
    assert shares == pytest.approx(dict.fromkeys(names, 1.0))
