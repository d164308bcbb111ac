"""Problems to codes."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse

import tsu_driver as tsu
from driver.fake import FakeLink, neighbours

LSB = 1 / 64


def test_topology(chip: tsu.Chip) -> None:
    topology = chip.topology
    assert topology.pairs.dtype == np.int32
    assert topology.pairs.tolist() == [[i, j] for i, near in enumerate(neighbours()) for j in near if i < j]
    assert len(topology.pairs) == chip.capabilities.pairs
    ends = np.stack([topology.target, topology.source], 1)
    assert (np.sort(ends, axis=1) == topology.pairs[topology.pair_of]).all()
    assert (topology.couplers(topology.target, topology.source) == np.arange(24)).all()
    with pytest.raises(tsu.HostError, match=r"cell 0 hears cell 4 \(entry 1\)"):
        topology.couplers([0, 0], [1, 4])
    with pytest.raises(tsu.HostError, match=r"no cell 9 \(entry 1\); the chip has cells 0 .. 8"):
        topology.couplers([0, 9], [1, 1])


def test_quantise_saturates_then_rounds_half_to_even() -> None:
    q = tsu.quantise(np.array([0.5, 1.5, -2.5, 0.2, 127.4, 128, -128, -128.2]) * LSB, LSB, 8)
    assert q.codes.tolist() == [0, 2, -2, 0, 127, 127, -128, -128]
    assert q.codes.dtype == np.int16
    assert q.clipped == 3
    assert q.residual_lsb == 0.5
    assert q.residual_rms_lsb == pytest.approx(np.sqrt((3 * 0.25 + 0.04) / 5))
    assert tsu.quantise([[0.1], [0.2]], 0.1, 8).codes.shape == (2, 1)
    assert tsu.quantise([], 0.1, 8).clipped == 0
    assert tsu.quantise([9.0], 0.1, 3).residual_lsb == 0
    with pytest.raises(tsu.HostError, match=r"value nan at index \(1, 0\) is not finite"):
        tsu.quantise([[0.0], [np.nan]], 0.1, 8)


def test_dense_sparse_and_edges_agree(chip: tsu.Chip, link: FakeLink) -> None:
    pairs = chip.topology.pairs
    values = np.linspace(-1, 1, len(pairs))
    dense = np.zeros((9, 9))
    dense[pairs[:, 0], pairs[:, 1]] = dense[pairs[:, 1], pairs[:, 0]] = values
    expected = np.rint(values / LSB)[chip.topology.pair_of]
    for problem in (dense, scipy.sparse.csr_matrix(dense), scipy.sparse.coo_array(dense), (pairs[:, ::-1], values)):
        link.chip.windows["COUPLING"][:] = 1
        done = chip.program_couplings(problem, h=np.full(9, 0.1))
        assert (link.chip.windows["COUPLING"] == expected).all()
        assert (done.coupling_codes == expected).all()
        assert (link.chip.windows["BIAS"] == 6).all()
        assert (done.bias_codes == 6).all()
        assert done.residual_lsb <= 0.5
        assert done.clipped == 0
        assert done.cycles > 0
    assert (chip.program_couplings((np.empty((0, 2), int), [])).bias_codes == 0).all()
    assert not link.chip.windows["COUPLING"].any()


def test_asymmetric(chip: tsu.Chip, link: FakeLink) -> None:
    matrix = np.zeros((9, 9))
    matrix[4, 1], matrix[1, 4] = 10 * LSB, -1000 * LSB
    assert chip.program_couplings(matrix).clipped == 1
    codes = link.chip.windows["COUPLING"]
    assert codes[chip.topology.couplers(4, 1)] == 10
    assert codes[chip.topology.couplers(1, 4)] == -128


def entry(i: int, j: int, value: float) -> np.ndarray:
    matrix = np.zeros((9, 9))
    matrix[i, j] = value
    return matrix


@pytest.mark.parametrize(
    ("problem", "h", "message"),
    [
        (entry(0, 4, 1), None, "no coupler through which cell 0 hears cell 4"),
        (entry(3, 3, 1), None, "coupling of cell 3 to itself is 1.0"),
        (entry(0, 1, np.nan), None, "coupling of cells 0 and 1 is nan"),
        (scipy.sparse.csr_matrix(entry(0, 1, np.inf)), None, "coupling of cells 0 and 1 is inf"),
        (np.zeros((8, 8)), None, r"shape \(8, 8\); \(9, 9\) is expected"),
        (([[0, 1], [1, 0]], [1, 1]), None, "cells 0 and 1 twice, in entries 0 and 1"),
        (([[0, 9]], [1]), None, r"no cell 9 \(entry \(0, 1\)\)"),
        (([[0, 1]], [1, 2]), None, "pairs .m, 2. and values"),
        (([[0.5, 1]], [1]), None, "numbered by integers"),
        (([[0, 1]],), None, "an edge list is"),
        (np.zeros((9, 9), complex), None, "couplings are of the type complex128; real numbers"),
        (scipy.sparse.csr_matrix(entry(0, 1, 1).astype(complex)), None, "couplings are of the type complex128"),
        (([[0, 1]], [1j]), None, "values of an edge list are of the type complex128"),
        ("abc", None, "couplings are of the type <U3; real numbers"),
        (np.zeros((9, 9)), ["1"] * 9, "biases are of the type <U1; real numbers"),
        (np.zeros((9, 9)), np.zeros(8), r"biases of shape \(8,\)"),
        (np.zeros((9, 9)), [0] * 8 + [np.inf], "bias of cell 8 is inf"),
    ],
)
def test_bad_problems(chip: tsu.Chip, problem: object, h: object, message: str) -> None:
    with pytest.raises(tsu.HostError, match=message):
        chip.program_couplings(problem, h)
