"""The coupling network against dense linear algebra: crosstalk, IR drop, asymmetric gains; each off is a pass-through."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tsu_emu.analog.network import Network, apply, gains, has_triangles, make_network, opposites
from tsu_emu.config import Bipartite, Dense, Edges, Fabric, Grid
from tsu_emu.noise.normal import normals
from tsu_emu.topology import Topology, build

Floats = NDArray[np.float64]
RNG = np.random.default_rng(0)
PAIRS = [(i, j) for i in range(30) for j in range(i) if RNG.random() < 0.2]
GRAPHS: dict[str, Any] = {
    "dense": Dense(kind="dense", cells=12),
    "layers": Bipartite(kind="bipartite", visible=5, hidden=7),
    "grid": Grid(kind="grid", width=8, height=6, rules=((1, 0), (2, 1))),
    "diagonals": Grid(kind="grid", width=6, height=6, rules=((1, 0), (1, 1))),
    "random": Edges(kind="edges", cells=31, pairs=tuple(PAIRS)),
}


class Case:
    """A graph with random values: J and h in kT, int16 codes, and J as a matrix, J[i, k] being what i hears of k."""

    def __init__(self, name: str) -> None:
        self.topology: Topology = build(Fabric(topology=GRAPHS[name]))
        rng = np.random.default_rng(1)
        self.row, self.source = self.topology.row, self.topology.source
        self.target = np.repeat(np.arange(len(self.row) - 1), np.diff(self.row))
        self.J, self.h = rng.normal(size=len(self.source)), rng.normal(size=len(self.row) - 1)
        self.codes = rng.integers(-128, 128, len(self.source)).astype(np.int16)

    def matrix(self, values: Floats) -> Floats:
        m = np.zeros((len(self.h), len(self.h)))
        m[self.target, self.source] = values
        return m

    def network(self, **effects: float) -> Network:
        return make_network(self.row, self.source, 128, 2.0, **effects)

    def through(self, **effects: float) -> tuple[Floats, Floats]:
        J, h = np.full_like(self.J, np.nan), np.full_like(self.h, np.nan)
        apply(self.network(**effects), self.row, self.source, self.J, self.h, self.codes, J, h)
        return J, h


@pytest.mark.parametrize("name", GRAPHS)
def test_without_effects_values_pass_bit_for_bit(name: str) -> None:
    case = Case(name)
    case.J[0], case.h[0] = -0.0, -0.0
    J, h = case.through()
    assert J.tobytes() == case.J.tobytes()
    assert h.tobytes() == case.h.tobytes()


@pytest.mark.parametrize("name", GRAPHS)
def test_triangles_are_found(name: str) -> None:
    case = Case(name)
    coupled = case.matrix(np.ones_like(case.J))
    expected = bool(np.trace(coupled @ coupled @ coupled) > 0)
    assert expected == (name in ("dense", "diagonals", "random"))
    assert has_triangles(case.row, case.source) == expected == case.network(crosstalk=0.1).triangles


@pytest.mark.parametrize("name", GRAPHS)
def test_crosstalk_is_that_of_the_matrices(name: str) -> None:
    """J + chi J^2 on couplers and h + chi J h, J not symmetric. Power: twice chi, J transposed, effects in place differ."""
    case, chi = Case(name), -0.015
    J, h = case.through(crosstalk=chi)
    dense = case.matrix(case.J)
    at = case.target, case.source
    assert np.allclose(J, (dense + chi * dense @ dense)[at], rtol=0, atol=1e-13)
    assert np.allclose(h, case.h + chi * dense @ case.h, rtol=0, atol=1e-13)
    assert not np.allclose(h, case.h + 2 * chi * dense @ case.h, atol=1e-3)
    assert not np.allclose(h, case.h + chi * dense.T @ case.h, atol=1e-3)
    if not case.network(crosstalk=chi).triangles:
        assert J.tobytes() == case.J.tobytes()
        return
    assert not np.allclose(J, (dense + 2 * chi * dense @ dense)[at], atol=1e-3)
    assert not np.allclose(J, (dense + chi * dense.T @ dense.T)[at], atol=1e-3)
    changed = case.matrix(J)
    assert not np.allclose(J, (dense + chi * changed @ changed)[at], atol=1e-3)


def test_rows_lose_what_the_load_of_their_codes_says() -> None:
    """Load 1 where all codes of the fullest row are the most negative, less as codes and degree. Power: twice rho."""
    case = Case("grid")
    case.codes[:] = -128
    degree = np.diff(case.row)
    assert (degree.min(), degree.max()) == (3, 8)
    J, h = case.through(ir_drop=0.1)
    assert np.allclose(J, case.J * (1 - 0.1 * degree / 8)[case.target], rtol=1e-14, atol=0)
    assert np.array_equal(h, case.h)
    case.codes[:] = RNG.integers(-128, 128, len(case.codes))
    load = np.bincount(case.target, np.abs(case.codes.astype(float))) / (8 * 128)
    J, _ = case.through(ir_drop=0.1)
    assert np.allclose(J, case.J * (1 - 0.1 * load)[case.target], rtol=1e-14, atol=0)
    assert not np.allclose(J, case.J * (1 - 0.2 * load)[case.target], rtol=1e-3)


def nodal(ohm: float, conductance: Floats) -> Floats:
    """Node voltages of a wire driven with 1 V through its first segment, by the full conductance matrix."""
    n, wire = len(conductance), 1 / ohm
    g = np.diag(conductance + wire * np.r_[np.full(n - 1, 2.0), 1.0]) - wire * (np.eye(n, k=1) + np.eye(n, k=-1))
    return np.linalg.solve(g, wire * np.eye(n)[0])


@pytest.mark.parametrize("name", GRAPHS)
def test_the_wires_are_solved_exactly(name: str) -> None:
    """Against a dense nodal solve of each row, with a drop of 1 to 60 %; one cell of `random` has no coupler. Power: twice r."""
    case, ohm, unit = Case(name), 0.25, 0.1
    J, h = case.through(segment_ohm=ohm, unit_siemens=unit)
    assert np.array_equal(h, case.h)
    for r, same in ((ohm, True), (2 * ohm, False)):
        rows = [nodal(r, unit * np.abs(part) / 2.0) for part in np.split(case.J, case.row[1:-1]) if len(part)]
        expected = case.J * np.concatenate(rows)
        assert np.allclose(J, expected, rtol=1e-13, atol=0) == same
    assert not np.any(np.diff(J / case.J)[np.diff(case.target) == 0] > 0)


def test_the_fast_drop_follows_the_wires_for_uniform_codes() -> None:
    """174 cells, all couplers at one code, 10 uS at full scale, .25 ohm: rho fitted to the mean drop of a row.

    The relative drop bends with the load by about itself, 2.4 %, of which the fit leaves .5 %; no factor of a row follows the
    drop along the wire, which goes from 0 to 3/2 of the mean. Power: twice rho.
    """
    fabric = Fabric(topology=Dense(kind="dense", cells=174))
    topology = build(fabric)
    row, source, h = topology.row, topology.source, np.zeros(174)
    loads, drops = [], []
    exact = make_network(row, source, 128, 2.0, segment_ohm=0.25, unit_siemens=1e-5)
    for code in (-16, 32, 64, -96, 127):
        J, out = np.full(len(source), code * 2.0 / 128), np.empty(len(source))
        apply(exact, row, source, J, h, np.full(len(source), code, np.int16), out, np.empty(174))
        loads.append(abs(code) / 128)
        drops.append(1 - np.mean(out / J))
    along = 1 - (out / J)[:173]
    rho = float(np.dot(loads, drops) / np.dot(loads, loads))
    fast = make_network(row, source, 128, 2.0, ir_drop=rho)
    apply(fast, row, source, J, h, np.full(len(source), 127, np.int16), out, np.empty(174))
    assert rho == pytest.approx(0.25e-5 * 173**2 / 3, rel=0.05)
    assert np.allclose(out / J, 1 - rho * loads[-1], rtol=1e-14, atol=0)
    error = np.max(np.abs(np.array(drops) - rho * np.array(loads)))
    assert error < 0.01 * max(drops)
    assert np.max(np.abs(np.array(drops) - 2 * rho * np.array(loads))) > 0.1 * max(drops)
    assert along[0] < 0.02 * along.mean()
    assert along[-1] == pytest.approx(1.5 * along.mean(), rel=0.02)


def test_all_together_the_drop_acts_on_what_crosstalk_leaves() -> None:
    case = Case("random")
    chi, rho = -0.015, 0.1
    crossed, h = case.through(crosstalk=chi)
    loaded, _ = case.through(ir_drop=rho)
    both, h_both = case.through(crosstalk=chi, ir_drop=rho)
    assert np.allclose(both, crossed * loaded / case.J, rtol=1e-14, atol=0)
    assert np.array_equal(h, h_both)
    wired, _ = case.through(segment_ohm=0.25, unit_siemens=0.1)
    both, _ = case.through(crosstalk=chi, segment_ohm=0.25, unit_siemens=0.1)
    assert np.allclose(both, crossed * wired / case.J, rtol=1e-14, atol=0)
    with pytest.raises(ValueError, match="one model"):
        case.network(ir_drop=0.1, segment_ohm=0.25)


@pytest.mark.parametrize("name", GRAPHS)
def test_each_coupler_knows_its_opposite(name: str) -> None:
    case = Case(name)
    opposite = opposites(case.row, case.source)
    assert np.array_equal(case.source[opposite], case.target)
    assert np.array_equal(case.target[opposite], case.source)
    assert np.array_equal(opposite[opposite], np.arange(len(opposite)))


def test_the_two_directions_of_a_pair_share_a_part_of_their_gain() -> None:
    """4,950 pairs, sigma .03 shared, .02 apart: variances of sum and difference of the directions within 5 sqrt(2 / n) relative.

    Power: no shared part, or twice as much, fails. Without it the gains are 1 + sigma xi, bit for bit.
    """
    topology = build(Fabric(topology=Dense(kind="dense", cells=100)))
    opposite = opposites(topology.row, topology.source)
    couplers = len(opposite)
    sym, asym = (normals(np.uint64(1), 6, 0, couplers, 1, sub)[:, 0] for sub in (1, 0))
    bound = 5 * np.sqrt(2 / (couplers // 2))
    upper = opposite > np.arange(couplers)

    def fits(sigma_sym: float) -> tuple[bool, bool]:
        k = gains(opposite, sym, asym, sigma_sym, 0.02)
        plus, minus = (k + k[opposite])[upper] - 2, (k - k[opposite])[upper]
        shared = abs(np.mean(plus**2) / (4 * 0.03**2 + 2 * 0.02**2) - 1) < bound
        return bool(shared), bool(abs(np.mean(minus**2) / (2 * 0.02**2) - 1) < bound)

    assert fits(0.03) == (True, True)
    assert fits(0.0) == fits(0.06) == (False, True)
    assert np.array_equal(gains(opposite, np.empty(0), asym, 0.0, 0.02), 1.0 + 0.02 * asym)
    shared = gains(opposite, sym, np.empty(0), 0.03, 0.0)
    assert np.array_equal(shared, shared[opposite])
    assert shared.std() > 0
