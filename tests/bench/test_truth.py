"""The truth that the oracle tells is the truth of the pins, and looking at it changes nothing."""

from __future__ import annotations

import numpy as np
import pytest

from bench.harness import ADC_BITS, Bench, chain, level
from bench.kinds import KINDS, of_kind
from tsu_contract.operations import Op
from tsu_contract.program import Instruction, Opcode
from tsu_emu.chip import Chip
from tsu_emu.state import digest


def test_the_truth_of_an_ideal_chip_is_its_codes() -> None:
    bench = Bench(chain())
    couplings, biases, lsb = [60, -20, 33, 90, 4, -77], [1, -2, 3, -4], 2 / 128
    bench.store("COUPLING", couplings)
    bench.store("BIAS", biases)
    for name, codes in (("J", couplings), ("grid_J", couplings), ("h", biases), ("grid_h", biases)):
        assert np.allclose(bench.truth(name), np.array(codes) * lsb, rtol=0, atol=1e-12)
    assert [bench.truth(n).tolist() for n in ("slope", "offset", "kappa")] == [[1] * 4, [0] * 4, [1] * 6]
    assert bench.truth("noise_temperature").tolist() == [1, 0]
    assert np.allclose(bench.truth("coupling_dac", element=5), (np.arange(256) - 128) * lsb)
    assert np.allclose(bench.truth("temperature_dac"), np.arange(256) / 64)
    assert np.allclose(bench.truth("adc_thresholds", element=1), np.arange(1, 1 << ADC_BITS) * 2.0 ** (1 - ADC_BITS) - 1)
    assert bench.truth("die_k").tolist() == [300.0]
    assert bench.truth("dead").tolist() == [0] * 4
    assert bench.truth("stuck_bias_bits").tolist() == [[0, 0]] * 4
    assert all(not bench.truth(f"drift_{name}").any() for name in ("offset", "slope", "coupling", "temperature"))


@pytest.mark.parametrize("kind", ["typical", "moving"])
def test_the_parts_make_the_whole(kind: str) -> None:
    """J is DAC output x kappa (x 1 + drift, and crosstalk: 2 % at most); what cells add up is slope (J), slope (h + offset)."""
    bench = of_kind(kind)
    couplings, biases = np.array([60, -20, 33, 90, 4, -77]), np.array([10, -25, 30, -43])
    bench.store("COUPLING", couplings)
    bench.store("BIAS", biases)
    bench.sweeps(1)
    dac = np.array([bench.truth("coupling_dac", element=e)[code + 128] for e, code in enumerate(couplings)])
    assert np.allclose(dac * bench.truth("kappa"), bench.truth("J"), rtol=1e-12 if kind == "typical" else 0.02)
    target = np.repeat(range(4), np.diff(bench.load("TOPO_ROW", 5).astype(int)))
    slope = bench.truth("slope")
    assert slope.std() > 0.01
    assert np.allclose(bench.truth("grid_J"), slope[target] * bench.truth("J"), rtol=0, atol=2.0**-14)
    assert np.allclose(bench.truth("grid_h"), slope * (bench.truth("h") + bench.truth("offset")), rtol=0, atol=2.0**-14)
    assert kind == "moving" or np.abs(bench.truth("grid_h") - slope * bench.truth("h")).max() > 0.05


def test_a_converter_shows_what_the_oracle_says_of_a_dac() -> None:
    """Each of 16 codes within half a step of an ideal converter, of a DAC whose nonlinearity is several."""
    bench = of_kind("typical")
    truth, bent = bench.truth("coupling_dac", element=2) / 2.5, 0
    for code in range(-128, 128, 17):
        bench.store("COUPLING", [code] * 6)
        shown = level(bench.capture("COUPLING_DAC", 1, 2)[0])
        assert abs(shown - truth[code + 128]) <= 2.0**-ADC_BITS
        bent += abs(shown - code / 160) > 2.0 ** (1 - ADC_BITS)
    assert bent >= 4


def test_stuck_bits_show_in_the_truth() -> None:
    bench = Bench(chain())
    bench.oracle("inject", kind="stuck-coupling-bit", coupler=4, bit=7, at=1)
    bench.oracle("inject", kind="stuck-cell", cell=0, at="floating")
    assert bench.truth("stuck_coupling_bits")[4].tolist() == [128, 128]
    assert bench.truth("coupling_dac", element=4)[:128].tolist() == bench.truth("coupling_dac", element=3)[128:].tolist()
    assert bench.truth("dead").tolist() == [3, 0, 0, 0]


def test_the_sensor_is_off_by_its_offset_from_the_die() -> None:
    """A warm die at rest for long: the lag is over, noise is off."""
    bench = of_kind("moving")
    bench.lab("ambient", k=320.0)
    bench.lab("skip", seconds=100.0)
    offset = bench.truth("sensor_offset_k")[0]
    assert abs(bench.value("TEMP.SENSOR") / 64 - bench.truth("die_k")[0] - offset) <= 1 / 128 + 1e-9
    assert abs(offset) > 0.1


def test_work_warms_the_die() -> None:
    """1 nJ an update: 32 of them in 69 cycles or so are .05 W, 2 K over 40 K/W when it lasts, .1 K or more within some ms."""
    bench = of_kind("moving")
    bench.sweeps(10_000)
    bench.sweeps(1)
    assert bench.truth("die_k")[0] > 300.1


@pytest.mark.parametrize("kind", KINDS)
def test_every_truth_of_every_kind_has_its_shape_and_looking_changes_nothing(kind: str) -> None:
    bench = of_kind(kind)
    bench.run(Instruction(Opcode.RUN, 10), Instruction(Opcode.STROBE))
    before, cap = bench.digest, bench.chip.capabilities
    cells, couplers, terms = cap.cells, cap.couplers, cap.cells * cap.terms
    offsets = terms if kind.startswith("pdit") else cells
    shapes: dict[str, tuple[int, ...]] = {
        "J": (couplers,), "h": (terms,), "slope": (cells,), "offset": (offsets,), "kappa": (couplers,), "grid_J": (couplers,),
        "grid_h": (cells,), "noise_temperature": (2,), "die_k": (1,), "sensor_offset_k": (1,), "coupling_dac": (256,),
        "bias_dac": (256,), "temperature_dac": (256,), "dead": (cells,), "stuck_coupling_bits": (couplers, 2),
        "stuck_bias_bits": (terms, 2), "drift_offset": (offsets,), "drift_slope": (cells,), "drift_coupling": (couplers,),
        "drift_temperature": (1,), "adc_thresholds": (4095,), "tau_s": (cells,),
        "stiffness": (2, cells) if kind == "langevin" else (cells,),
    }  # fmt: skip
    names = set(bench.oracle("identify").body["truths"])
    special = {"async": {"tau_s"}, "gaussian": {"stiffness"}, "langevin": {"stiffness"}, "mixture": {"stiffness"}}
    special |= {"pdit": set(), "pdit-drift": set()}
    assert names == set(shapes) - {"grid_J", "grid_h", "tau_s", "stiffness"} | special.get(kind, {"grid_J", "grid_h"})
    for name in sorted(names):
        if name == "coupling_dac" and couplers == 0:
            assert bench.refused("oracle", "truth", name=name, element=0).field == "element"
            continue
        element = {"element": 0} if name in ("coupling_dac", "bias_dac", "adc_thresholds") else {}
        told = bench.truth(name, **element)
        assert told.shape == shapes[name], name
        assert np.isfinite(told).all()
        assert name not in ("tau_s", "stiffness") or told.std() > 0
    assert bench.digest == before


def test_truths_that_are_not_are_refused() -> None:
    bench = Bench(chain())
    for body, key in (
        ({"name": "love"}, "name"), ({}, "name"), ({"name": "tau_s"}, "name"), ({"name": "J", "element": 0}, "element"),
        ({"name": "coupling_dac"}, "element"), ({"name": "bias_dac", "element": 4}, "element"),
    ):  # fmt: skip
        assert bench.refused("oracle", "truth", **body).field == key


def test_the_digest_is_that_of_the_state() -> None:
    bench = Bench(chain())
    assert bench.oracle("digest").body == {"digest": digest(bench.chip.state)}
    other = Chip(chain(seeds={"run": 2}))
    assert digest(other.state) != bench.oracle("digest").body["digest"]
    assert bench.operate((Op.FENCE, 0, 0, 0, 0)).failure is None
