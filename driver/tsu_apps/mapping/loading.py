"""Embedded models on a chip, within the ranges of its DACs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsu_apps.mapping.embedding import Embedding
from tsu_apps.models import Boltzmann
from tsu_contract.capabilities import LSB_SCALE, Capabilities
from tsu_driver import Chip, Programmed

Floats = NDArray[np.float64]


class Plan(NamedTuple):
    """What a chip is to be programmed with to sample an embedded model at a temperature.

    pairs : (m, 2) cells; couplings : (m,) and biases : (cells,) multiples of the DACs' steps in kT at T = 1
    temperature : T; couplings and biases are those of the model times T
    """

    pairs: NDArray[np.int64]
    couplings: Floats
    biases: Floats
    temperature: float


def plan(chip: Chip, embedding: Embedding, model: Boltzmann, strength: float | None = None) -> Plan:
    """The values for a chip, and the temperature at which P(s) ~ exp(-E(s)); nothing is written.

    strength : coupling inside chains, kT; None for `chain_strength(model)`
    T is 1 if all values are in the DACs' ranges; else the greatest on the chip's grid at which T times the values are. ValueError
    if the cells are no p-bits, or if values are too large even at the lowest T.
    """
    require_spins(chip)
    c = chip.capabilities
    (_, values), h = embedding.couplings(model, strength)
    lsb = c.temp_lsb * LSB_SCALE
    code = int(min(1.0, headroom(c, values, h)) / lsb + 1e-9)
    if code < 1:
        worst = max(np.abs(values).max(initial=0.0), np.abs(h).max(initial=0.0))
        raise ValueError(f"values up to {worst:g} kT are beyond this chip's DACs even at its lowest temperature, {lsb:g}")
    temperature = code * lsb
    coupling_step, bias_step = c.coupling_lsb * LSB_SCALE, c.bias_lsb * LSB_SCALE
    (pairs, values), h = embedding.couplings(model, strength, (coupling_step / temperature, bias_step / temperature))
    return Plan(pairs, _on_grid(values * temperature, coupling_step), _on_grid(h * temperature, bias_step), temperature)


class Loaded(NamedTuple):
    """temperature : at which the chip now samples the model; programmed : what was written."""

    temperature: float
    programmed: Programmed


def load(chip: Chip, embedding: Embedding, model: Boltzmann, strength: float | None = None) -> Loaded:
    """Carry out a plan: write couplings and biases, set the temperature. As `plan`."""
    made = plan(chip, embedding, model, strength)
    done = chip.program_couplings((made.pairs, made.couplings), made.biases)
    return Loaded(chip.set_temperature(made.temperature), done)


def headroom(capabilities: Capabilities, couplings: Floats, biases: Floats) -> float:
    """The greatest factor that keeps all values within the DACs' ranges; infinite if all are 0."""
    c = capabilities
    tops = ((couplings, c.coupling_lsb, c.coupling_bits), (biases, c.bias_lsb, c.bias_bits))
    return float(min(_factor(values, ((1 << bits - 1) - 1) * lsb * LSB_SCALE) for values, lsb, bits in tops))


def require_spins(chip: Chip) -> None:
    """ValueError unless the chip's cells are p-bits."""
    if chip.kind not in ("pbit", "async-pbit"):
        raise ValueError(f"a model of spins needs a chip of p-bits; this chip's cells are of the kind {chip.kind}")


def _on_grid(values: Floats, step: float) -> Floats:
    return np.asarray(step * np.rint(values / step))


def _factor(values: Floats, top: float) -> float:
    greatest = np.abs(values).max(initial=0.0)
    return top / greatest if greatest > 0 else np.inf
