"""`tools/run characterise`: its rule of chance, its verdicts, a small run; bits that polling and other effects leave alone."""

from __future__ import annotations

import json
import subprocess
import sys
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from apps.tools import FOLDER, tool
from tsu_apps.characterise import Measurement


@pytest.fixture(scope="module")
def characterise() -> Any:
    return tool("characterise")


@pytest.fixture(scope="module")
def identical() -> Any:
    return tool("identical")


def result(characterise: Any, die: int, agrees: bool | None, refused: bool = True) -> Any:
    known = (None, None) if agrees is None else (1.0, 0.1)
    return characterise.Result("chip", die, "law", "law.tv", "TV", "", 1.0, known[0], known[1], 0.2, agrees, {"off": refused})


def test_chance_is_allowed_for_once_in_a_thousand_runs(characterise: Any) -> None:
    """Each die with 1 in 2,000: more than allowed do so in less than .1 % of runs, and one less would not do."""
    share = characterise.CHANCE
    assert [characterise.allowed(dies) for dies in (1, 2, 20)] == [0, 0, 1]
    for dies in (1, 2, 5, 20, 100):
        k = characterise.allowed(dies)

        def beyond(k: int, dies: int = dies) -> float:
            return 1 - sum(comb(dies, j) * share**j * (1 - share) ** (dies - j) for j in range(k + 1))

        assert beyond(k) < 1e-3
        assert k == 0 or beyond(k - 1) >= 1e-3


def test_verdicts(characterise: Any) -> None:
    """20 dies: 1 miss passes, 2 fail; wrong values refused on 10 pass, on 9 fail; without a truth there is no goal."""
    for misses, refusals, ok in ((1, 20, [True, True]), (2, 20, [False, True]), (0, 10, [True, True]), (0, 9, [True, False])):
        results = [result(characterise, die, die >= misses, die < refusals) for die in range(20)]
        rows, lines = characterise.rows_of(results, {})
        assert [row.ok for row in rows] == ok
        assert lines[-1].startswith(" " if all(ok) else "!")
    rows, _ = characterise.rows_of([result(characterise, 0, None)], {"chip die 0": "LinkError: gone"})
    assert [row.ok for row in rows] == [None, False]


def test_unknown_elements_are_left_out(characterise: Any) -> None:
    """NaN of the truth neither agrees nor disagrees; the others decide."""

    class Truth:
        def __init__(self, value: Any) -> None:
            self.value = np.array(value)

        def of(self, _: Measurement) -> Any:
            return self.value

        def wrong(self, _: Measurement) -> dict[str, Any]:
            return {"other": self.value + 1}

    job = characterise.Job("chip", 1, "", 1.0, (), False)
    m = Measurement.of("slopes", "cell.slope", [1.0, 5.0], 0.01, "", 0.05)
    good, bad = (characterise.compare(job, "slope-offset", m, Truth(v)) for v in ([1.01, np.nan], [1.1, np.nan]))
    assert (good.agrees, good.refused, bad.agrees) == (True, {"other": True}, False)
    assert good.deviation == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--dies", "0"], "--dies 0, --effort 1: one die or more"),
        (["--effort", "nan"], "--effort nan: one die or more, and .1 to 1"),
        (["--only", "drift,adc"], "no procedure adc; there are adc-enob"),
    ],
)
def test_what_would_measure_nothing_is_refused(
    characterise: Any, given: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["characterise", *given])
    with pytest.raises(SystemExit, match="2"):
        characterise.parse()
    assert said in capsys.readouterr().err


def test_a_small_run(tmp_path: Path) -> None:
    """Pdits and mixtures, one die, quick: all rows met, the JSON holds them; a chip of the wrong temperature would not."""
    out = tmp_path / "rows.json"
    command = [sys.executable, str(FOLDER / "characterise.py"), "--configs", "potts-36,x0-pmog", "--dies", "1", "--effort", "0.3"]
    only = ["--only", "pdit-law,stuck-cells,mixture", "--json", str(out), "--html", str(tmp_path / "sheets")]
    done = subprocess.run([*command, *only], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = {row["name"]: row for row in json.loads(out.read_text())["rows"]}
    assert rows["potts-36 pdit-law law.probabilities: dies within tolerance of 1"]["value"] == 1
    assert rows["x0-pmog mixture mixture.weights: refused T doubled"]["ok"]
    assert rows["potts-36 stuck-cells cell.fault: refused nothing at fault"]["ok"]
    assert "mixture.weights" in done.stdout
    assert sorted(p.name for p in (tmp_path / "sheets").iterdir()) == ["potts-36-die-1.html", "x0-pmog-die-1.html"]


def test_switching_an_effect_off_changes_no_draw_of_another(identical: Any) -> None:
    assert identical.effects_are_independent() == 0


def test_an_effect_that_reached_others_would_be_seen(identical: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Power: were a change of kappa not among what its spread may change, it would be counted, and J with it."""
    monkeypatch.setattr(identical, "EFFECTS", {"coupling.gain_sigma": ("slope",)})
    assert identical.effects_are_independent() == 3


def test_polling_changes_no_spin_and_one_sweep_changes_many(identical: Any) -> None:
    """10,000 status reads until the same cycle: the same bits. Power: after one sweep more, a tenth of the spins are others."""
    assert identical.polling_is_invisible() == 0
    a, b = (identical.spins_of_a_life(0, sweeps) for sweeps in (100, 101))
    assert np.mean(a != b) > 0.1
