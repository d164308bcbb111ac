"""Learning by the chip's own engine, tempering in training, soft clamps, and going on with what was learnt."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import tsu_driver as tsu
from tsu_apps.learning import Ctd, OnChipCtd
from tsu_apps.models import Boltzmann, exact, kl_to

CHIP = 'emu:digits-ideal?fabric.topology={kind="bipartite",visible=6,hidden=6}&threads=1'
PATTERNS = np.array([[1, 1, 1, -1, -1, -1], [-1, -1, -1, 1, 1, 1], [1, -1, 1, -1, 1, -1], [-1, 1, -1, 1, -1, 1]], np.int8)
QUICK = {"ticks": 2500, "eta_start": 0.05, "eta_end": 0.002, "sigma": 0.1, "sweeps_per_tick": 2}


@pytest.fixture(scope="module")
def chip() -> Iterator[tsu.Chip]:
    with tsu.open(CHIP) as opened:
        yield opened


def divergence(machine: Ctd) -> float:
    """KL(data || machine) of the averaged weights, nats."""
    return kl_to(Boltzmann(machine.pairs_, machine.weights_, machine.biases_), np.arange(6), PATTERNS)


def test_the_engine_learns_what_the_host_learns(chip: tsu.Chip) -> None:
    """Four patterns of ln 64 - ln 4 = 2.8 nats, with tempering: both within .15; without a rule nothing is learnt."""
    for kind in (OnChipCtd, Ctd):
        assert divergence(kind(chip, range(6), seed=1, rungs=4, **QUICK).fit(PATTERNS, progress=False)) < 0.15
    idle = tsu.UpdateRule((), ())
    assert divergence(OnChipCtd(chip, range(6), seed=1, rule=idle, **QUICK).fit(PATTERNS, progress=False)) > 1.5


def test_changes_below_half_a_step_are_lost_to_the_nearest() -> None:
    """8-bit accumulators have steps of 1/64 kT; rates of a tenth of that move nothing unless they are rounded at random."""
    slow = QUICK | {"eta_start": 0.0015, "eta_end": 0.0015, "weathering": 0.0}
    with tsu.open(f"{CHIP}&learning.bits=8") as chip:
        stalled = OnChipCtd(chip, range(6), stochastic=False, **slow).fit(PATTERNS, progress=False)
        moved = OnChipCtd(chip, range(6), **slow).fit(PATTERNS, progress=False)
    assert np.abs(stalled.last_weights_).max() < 0.5
    assert divergence(moved) < divergence(stalled) - 0.5


@pytest.mark.parametrize("kind", [Ctd, OnChipCtd])
def test_tempered_planes_mix_and_leave_no_ladder(chip: tsu.Chip, kind: type[Ctd]) -> None:
    """Four separate patterns, between which free planes of one temperature rarely go; means of three runs."""
    found = {
        rungs: [divergence(kind(chip, range(6), seed=s, rungs=rungs, **QUICK).fit(PATTERNS, progress=False)) for s in (2, 3, 4)]
        for rungs in (4, 1)
    }
    assert max(found[4]) < 0.15
    assert np.mean(found[1]) > np.mean(found[4]) + 0.2
    machine = kind(chip, range(6), seed=2, rungs=4, **(QUICK | {"ticks": 200})).fit(PATTERNS, progress=False)
    assert chip.ladders().size == 0
    assert all(np.isfinite(m.flips) for m in machine.history_[1:])


def test_a_soft_clamp_pulls(chip: tsu.Chip) -> None:
    """A strong pull is a pin: it learns. At .3 kT data planes see little of the data, and less is learnt; no field is left."""
    found = {pull: Ctd(chip, range(6), seed=3, pull=pull, **QUICK).fit(PATTERNS, progress=False) for pull in (0.3, 4.0)}
    assert divergence(found[4.0]) < 0.4
    assert divergence(found[0.3]) > divergence(found[4.0]) + 0.5
    samples = found[4.0].sample(2000)
    law = exact(Boltzmann(found[4.0].pairs_, found[4.0].weights_, found[4.0].biases_))
    assert np.abs(samples.mean(axis=0) - law.means[:6]).max() < 0.15


def test_a_warm_start_goes_on(chip: tsu.Chip) -> None:
    """The second of two short runs begins where the first ended: after four of them the machine is nearer to the data than after
    one. Means of three seeds; single runs of one length lie .1 apart, the means .5."""
    short = QUICK | {"ticks": 150, "eta_start": 0.01, "eta_end": 0.01, "rungs": 4}
    found = np.empty((3, 4))
    for k, one in enumerate(found):
        machine = OnChipCtd(chip, range(6), seed=k, warm_start=True, **short)
        for n in range(4):
            one[n] = divergence(machine.fit(PATTERNS, progress=False))
    cold = [divergence(OnChipCtd(chip, range(6), seed=k + 3, **short).fit(PATTERNS, progress=False)) for k in range(3)]
    assert abs(found[:, 0].mean() - np.mean(cold)) < 0.2
    assert found[:, 3].mean() < np.mean(cold) - 0.3


def test_cooling_is_the_chips(chip: tsu.Chip) -> None:
    """T falls during training by the schedule engine, and the machine is asked at the T at which it ended."""
    machine = OnChipCtd(chip, range(6), cooling=tsu.Linear(2.0, 1.5, 1000), **QUICK).fit(PATTERNS, progress=False)
    assert machine.temperature_ == pytest.approx(1.5)
    assert chip.read_register("TEMP.SCHEDULE") == 0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"dwell": 5}, "dwell = 5; it must be a divisor of data_planes = 32"),
        ({"rungs": 3}, "rungs = 3; it must be a divisor of free_planes = 32"),
        ({"pull": 1.0}, "pull = 1.0; it must be None"),
        ({"data_planes": 40}, "40 data planes and 32 free planes; the chip has 64"),
    ],
)
def test_wrong_parameters_are_named(chip: tsu.Chip, wrong: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        OnChipCtd(chip, range(6), **wrong).fit(PATTERNS, progress=False)
