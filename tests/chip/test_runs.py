"""Single reads and writes of window words one after the other are moved at once; nothing but speed may depend on that."""

from __future__ import annotations

import numpy as np
import pytest

from server.harness import Row, read, records_of, small_config, write
from tsu_contract.errors import ProtocolError
from tsu_contract.registers import WINDOWS
from tsu_emu.chip import Chip
from tsu_emu.chip.window_memory import gather_planes
from tsu_emu.config import ChipConfig
from tsu_emu.state import save

SETTLING = {"coupling": {"dac": {"settling_s": 5e-8, "glitch_lsb": 0.3}}, "bias": {"dac": {"settling_s": 2e-7}}}
WORDS = dict.fromkeys(("BIAS", "COUPLING", "CLAMP_VALUE", "PROGRAM", "PLANE_TEMP"), 20)


def rows(rng: np.random.Generator) -> list[Row]:
    """Runs of writes and reads of several windows, with other operations between them; some run into a settling event."""
    out: list[Row] = []
    for name, most in WORDS.items():
        begin = int(rng.integers(0, 3))
        codes = rng.integers(1, 100, (most, 2)) if name != "PROGRAM" else rng.integers(0, 1, (most, 2))
        run = [write(name, int(a | b << 16), begin + k) for k, (a, b) in enumerate(codes.tolist()) if name != "BIAS" or k < 18]
        cut = int(rng.integers(1, len(run)))
        out += [*run[:cut], write("SYS.SCRATCH", cut), *run[cut:], run[0], run[2], read("LEARN.VERSION")]
        out += [read(name, k) for k in range(begin, begin + 6)] + [read("FABRIC.STATUS"), read("MON.ENERGY_WRITE")]
    return out


@pytest.mark.parametrize(
    "config",
    [small_config(), small_config(**SETTLING), small_config(**SETTLING, timing={"settle": 3, "dac_beat": 40})],
    ids=["ideal", "settling", "settled before the next write"],
)
@pytest.mark.parametrize("seed", range(3))
def test_one_message_is_as_many_of_one_operation_each(config: ChipConfig, seed: int) -> None:
    """All of the state, all values read and the chip's time are the same."""
    records = records_of([write("IRQ.ENABLE", 0x1F), *rows(np.random.default_rng(seed))])
    whole, parts = Chip(config), Chip(config)
    result = whole.execute(records)
    values = np.concatenate([parts.execute(records[k : k + 1]).values for k in range(len(records))])
    assert result.failure is None
    assert np.array_equal(result.values, values)
    assert whole.link_time == parts.link_time
    after = save(parts.state)
    for name, array in save(whole.state).items():
        assert array.tobytes() == after[name].tobytes(), name


@pytest.mark.parametrize("place", [0, 7, 19])
def test_an_element_out_of_its_limits_is_found_wherever_it_is(place: int) -> None:
    records = records_of([write("PLANE_TEMP", 0x00010001, k) for k in range(20)])
    records["value"][place] = 0x00000001
    chip = Chip(small_config())
    with pytest.raises(ProtocolError) as caught:
        chip.execute(records)
    failure = caught.value.failure
    assert (failure.index, failure.address) == (place, WINDOWS["PLANE_TEMP"].address + 4 * place)
    assert failure.message.startswith(f"PLANE_TEMP[{2 * place + 1}] = 0")
    assert chip.link_time == 0


@pytest.mark.parametrize("planes", [1, 9, 64, 70, 130])
@pytest.mark.parametrize("cells", [1, 31, 41, 64, 100, 600])
def test_planes_are_gathered_bit_by_bit_or_transposed_alike(cells: int, planes: int) -> None:
    """Against plain numpy, for all words and for parts that begin and end anywhere."""
    rng = np.random.default_rng(1000 * cells + planes)
    bank = rng.integers(0, 1 << 64, ((planes + 63) // 64, cells), np.uint64)
    words = (cells + 31) // 32
    bits = np.zeros((planes, 32 * words), np.uint8)
    for plane in range(planes):
        bits[plane, :cells] = bank[plane // 64] >> np.uint64(plane % 64) & np.uint64(1)
    expected = np.packbits(bits, axis=1, bitorder="little").view(np.uint32).reshape(-1)
    for begin, end in [(0, len(expected)), *np.sort(rng.integers(0, len(expected) + 1, (20, 2)), axis=1).tolist()]:
        out = np.empty(end - begin, np.uint32)
        gather_planes(bank, words, begin, out)
        assert np.array_equal(out, expected[begin:end])
