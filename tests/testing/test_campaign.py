"""Campaigns: a run is taken up where it was left, faults are what their seeds say, outcomes what they should be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from testing.echo import SENT, WORD, Echo
from tsu_emu import state as S
from tsu_emu.chip import Chip
from tsu_testing.bench import Bench
from tsu_testing.campaign import OUTCOMES, Campaign, Played, classified
from tsu_testing.divergence import parted, repeat
from tsu_testing.faults import KINDS, OF_CORE
from tsu_testing.guarded import Guarded
from tsu_testing.host import Host


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    return Campaign(Echo(tmp_path_factory.mktemp("echo")))


@pytest.fixture(scope="module")
def guarded() -> Campaign:
    return Campaign(Guarded())


def test_outcomes() -> None:
    played = [Played(True), Played(True, ("x",)), Played(False, ("x",)), Played(False, ("x",), False), Played(False)]
    assert tuple(classified(p) for p in played) == OUTCOMES


def test_a_run_is_taken_up_anywhere(guarded: Campaign) -> None:
    """Whatever the cycle at which nothing happens: the chip's last state, and what the host sees, are those of the whole run."""
    chip = Chip(guarded.scenario.config)
    whole = guarded.scenario.play(Host(chip))
    end = guarded.golden.recording.waits_until
    for cycle in (0, 4321, *range(20_000, end, end // 6), end - 1):
        struck: list[int] = []
        host = guarded.departing(cycle, lambda struck=struck: struck.append(guarded.chip.link_time))  # type: ignore[misc]
        assert guarded.scenario.play(host) == whole
        assert struck == [host.cycle]
        assert cycle <= host.cycle <= cycle + 100
        assert S.digest(guarded.chip.state) == S.digest(chip.state)


def test_the_same_seed_is_the_same_fault(echo: Campaign) -> None:
    """Also after others; other seeds are others."""
    first = [echo.run("ram", seed) for seed in range(5)]
    assert [echo.run("ram", seed) for seed in reversed(range(5))] == first[::-1]
    assert len({(result.cycle, result.what) for result in first}) == 5


def test_a_wrong_sum_is_silent_and_a_counter_nobody_reads_is_masked(echo: Campaign) -> None:
    """RAM that is in use is the addend and the counter. A flip of the addend before the last word leaves is silent; one after
    it, and any of the counter, is masked."""
    assert echo.golden.ram.tolist() == [WORD, WORD + 1]
    results = [echo.run("ram", seed) for seed in range(24)]
    begun, last = echo.golden.accesses[0], echo.golden.accesses[-3]
    seen = set()
    for result in results:
        addend = result.what.startswith(f"RAM word {WORD:#x},")
        wrong = addend and begun < result.cycle < last
        assert result.outcome == ("silent" if wrong else "masked"), result
        seen.add((addend, wrong))
    assert {(True, True), (False, False)} <= seen


def test_a_core_that_stalls_hangs_without_a_watchdog_and_recovers_with_one(echo: Campaign, guarded: Campaign) -> None:
    for seed in range(3):
        assert echo.run("stall", seed).outcome == "hang"
        recovered = guarded.run("stall", seed)
        assert recovered.outcome == "recovered"
        assert "the watchdog has bitten" in recovered.reports


def test_a_bus_error_traps_at_its_access(echo: Campaign, guarded: Campaign) -> None:
    """A firmware with a trap handler says so; the one without has its handler of words run, and answers wrongly or not at all."""
    result = guarded.run("bus-error", 0)
    assert result.outcome == "recovered"
    assert result.cycle + 1 in guarded.golden.accesses
    assert all(echo.run("bus-error", seed).outcome in ("silent", "hang", "masked") for seed in range(3))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_an_outcome(guarded: Campaign, kind: str) -> None:
    """Whatever is struck, the run without faults comes out right again afterwards."""
    result = guarded.run(kind, 12)
    assert result.outcome in OUTCOMES
    assert result.what
    host = guarded.departing(100_000, lambda: None)
    assert guarded.scenario.play(host) == Played(True)


def test_what_a_chip_lacks_is_not_struck() -> None:
    bench = Bench("ideal-16", None, {}, driven=False)
    for kind in OF_CORE:
        with pytest.raises(ValueError, match=f"of the kind {kind} strikes the firmware core, and the chip has none"):
            bench.strike(kind, 1)
    with pytest.raises(KeyError, match="no kind of faults 'rom'; there are ram, register"):
        bench.strike("rom", 1)
    assert bench.strike("stuck-cell", 1)
    bench.close()


def test_stuck_cells_are_found_by_the_self_test_alone(guarded: Campaign) -> None:
    """A cell that is stuck in boot is reported; from the first command on the law is wrong, and nobody notices. Of floating
    cells and those that are stuck where they would be anyway the firmware knows nothing."""
    drawn = {seed: int(np.random.default_rng(seed).integers(guarded.golden.recording.waits_until)) for seed in range(60)}
    in_boot, later = [s for s, cycle in drawn.items() if cycle < 45_000], [s for s, cycle in drawn.items() if cycle > 139_000]
    found = [[guarded.run("stuck-cell", seed) for seed in seeds[:6]] for seeds in (in_boot, later)]
    early, late = [{r.outcome for r in results if not r.what.endswith("floating")} for results in found]
    assert early == {"detected"}
    assert "silent" in late <= {"silent", "masked"}


def test_the_trace_of_a_fault_begins_where_it_leaves_the_run(echo: Campaign) -> None:
    """The first difference is the store of the wrong sum."""
    seed = next(seed for seed in range(24) if echo.run("ram", seed).outcome == "silent")
    result, lines = repeat(echo, "ram", seed)
    assert result == echo.run("ram", seed)
    at = lines.index("then, with the fault:")
    assert "store 0x40001004" in lines[at + 1]
    assert "store 0x40001004" in lines[lines.index("without it:") + 1]
    assert lines[at + 1] != lines[lines.index("without it:") + 1]


def test_where_two_traces_part() -> None:
    rows = np.zeros(5, [("pc", "u4"), ("kind", "u4"), ("address", "u4"), ("value", "u4")])
    rows["pc"] = range(5)
    other = rows.copy()
    assert parted(rows, other) is None
    assert parted(rows, rows[:3]) == 3
    other["value"][2] = 1
    assert parted(rows, other) == 2


def test_what_is_refused(echo: Campaign) -> None:
    with pytest.raises(ValueError, match="no kind of fault"):
        echo.run("gamma", 1)
    with pytest.raises(ValueError, match="no converter"):
        echo.run("dead-adc", 1)

    class Wrong(Echo):
        def play(self, host: Host) -> Played:
            return replace(super().play(host), right=False)

    assert isinstance(echo.scenario, Echo)
    with pytest.raises(ValueError, match="without faults"):
        _ = Campaign(Wrong(echo.scenario.path.parent)).golden
    assert len(SENT) == 3
