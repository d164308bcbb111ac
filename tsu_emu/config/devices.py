"""Converters, couplers and what hangs on them, with their errors."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tsu_emu.config.base import Bits, Probability, Table


class Dac(Table):
    """A segmented DAC.

    bits : code width
    thermometer_bits : most significant bits that drive unary elements
    full_scale : kT at T = 1 for couplings and biases, temperature for the temperature DAC
    element_sigma : mismatch of a unit element, relative; an element of weight w has sigma sqrt(w) units
    gain_sigma : spread of the gain, relative
    offset_sigma_lsb : spread of the offset, LSB
    stuck_bit_probability : of each code bit to be stuck, at 0 or 1 with equal chance
    gain_tc_per_k : temperature coefficient of the gain, relative per K of die temperature over thermal.reference_k
    settling_s : time constant of the output, s; 0: settles at once
    glitch_lsb : kick of the output for each code bit that a write toggles, LSB; it decays with settling_s
    """

    bits: Bits = 8
    thermometer_bits: Annotated[int, Field(ge=0, le=6)] = 3
    full_scale: Annotated[float, Field(ge=2**-10, le=64)] = 2.0
    element_sigma: Annotated[float, Field(ge=0, le=0.2)] = 0.0
    gain_sigma: Annotated[float, Field(ge=0, le=0.2)] = 0.0
    offset_sigma_lsb: Annotated[float, Field(ge=0, le=16)] = 0.0
    stuck_bit_probability: Probability = 0.0
    gain_tc_per_k: Annotated[float, Field(ge=-0.01, le=0.01)] = 0.0
    settling_s: Annotated[float, Field(ge=0, le=1e-3)] = 0.0
    glitch_lsb: Annotated[float, Field(ge=0, le=64)] = 0.0

    @model_validator(mode="after")
    def _segments(self) -> Dac:
        if self.thermometer_bits > self.bits:
            raise ValueError(f"thermometer_bits {self.thermometer_bits} exceeds bits {self.bits}")
        if self.glitch_lsb > 0 and self.settling_s == 0:
            raise ValueError("glitch_lsb needs a settling_s to decay with")
        return self


class Trim(Table):
    """Trims of p-bits: two small binary-weighted DACs for each cell, one adds to its offset, one to its slope.

    bits : of both; 0: the chip has none
    offset_full_scale_kt : change of the offset at full code, kT at T = 1; slope_full_scale : of the slope, relative
    element_sigma, gain_sigma : mismatch as in Dac; from about .4 / 2^(bits / 2) on trims are not monotone
    """

    bits: Literal[0] | Bits = 0
    offset_full_scale_kt: Annotated[float, Field(ge=2**-10, le=4)] = 1.0
    slope_full_scale: Annotated[float, Field(ge=2**-10, le=0.5)] = 0.25
    element_sigma: Annotated[float, Field(ge=0, le=0.2)] = 0.0
    gain_sigma: Annotated[float, Field(ge=0, le=0.2)] = 0.0


class Drift(Table):
    """What is added to a parameter in the course of time, in the parameter's unit; every part is off at 0.

    ou_sigma, ou_tau_s : stationary Ornstein-Uhlenbeck process, rms and correlation time
    walk_per_sqrt_hour : random walk, rms after an hour
    flicker_rms, flicker_low_hz, flicker_high_hz : 1/f noise, rms in the band
    ageing, ageing_t0_s : ageing ln(1 + t_eff / t0); t_eff is chip time weighted with thermal.ageing_activation_ev
    power_nu, power_nu_sigma, power_t0_s : (1 + t / t0)^-nu - 1, nu drawn for each element
    """

    ou_sigma: Annotated[float, Field(ge=0, le=1)] = 0.0
    ou_tau_s: Annotated[float, Field(gt=0, le=1e9)] = 3600.0
    walk_per_sqrt_hour: Annotated[float, Field(ge=0, le=1)] = 0.0
    flicker_rms: Annotated[float, Field(ge=0, le=1)] = 0.0
    flicker_low_hz: Annotated[float, Field(gt=0, le=1e6)] = 1e-4
    flicker_high_hz: Annotated[float, Field(gt=0, le=1e6)] = 100.0
    ageing: Annotated[float, Field(ge=-1, le=1)] = 0.0
    ageing_t0_s: Annotated[float, Field(gt=0, le=1e9)] = 3600.0
    power_nu: Annotated[float, Field(ge=0, le=1)] = 0.0
    power_nu_sigma: Annotated[float, Field(ge=0, le=1)] = 0.0
    power_t0_s: Annotated[float, Field(gt=0, le=1e9)] = 1.0

    @model_validator(mode="after")
    def _band(self) -> Drift:
        if self.flicker_low_hz >= self.flicker_high_hz:
            raise ValueError(f"flicker_low_hz {self.flicker_low_hz} is not below flicker_high_hz {self.flicker_high_hz}")
        return self


class Coupling(Table):
    """Couplers: one DAC per direction.

    gain_sigma : relative spread of J_ij and, independently, of J_ji
    pair_gain_sigma : relative spread that both directions of a pair share
    drift : of the gain, relative
    """

    dac: Dac = Dac()
    gain_sigma: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    pair_gain_sigma: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    drift: Drift = Drift()


class Bias(Table):
    """One DAC per cell, or per term of a cell that has several."""

    dac: Dac = Dac()


class Network(Table):
    """What the coupling network adds.

    crosstalk : chi of h_i += chi sum_j J_ij h_j and, where (i, k) is a coupler, J_ik += chi sum_j J_ij J_jk
    ir_drop : J falls by ir_drop x row load, the load being sum |code| over its greatest value
    wire_ohm, coupler_siemens : with both, the row wire is solved as a ladder instead: resistance of a segment between couplers,
        conductance of a coupler at full scale
    """

    crosstalk: Annotated[float, Field(ge=-0.2, le=0.2)] = 0.0
    ir_drop: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    wire_ohm: Annotated[float, Field(ge=0, le=100)] = 0.0
    coupler_siemens: Annotated[float, Field(ge=0, le=0.1)] = 0.0

    @model_validator(mode="after")
    def _one_model(self) -> Network:
        if (self.wire_ohm > 0) != (self.coupler_siemens > 0):
            raise ValueError("wire_ohm and coupler_siemens come together")
        if self.wire_ohm > 0 and self.ir_drop > 0:
            raise ValueError("ir_drop and wire_ohm are two models of the same thing; choose one")
        return self


class Storage(Table):
    """Coupling and bias codes held as analog levels.

    leakage_tau_s : decay time constant of a level at thermal.reference_k, s; halved for each 10 K above; 0: no leakage
    refresh_s : levels are written anew each refresh_s
    refresh_noise_lsb : rms error of each writing, LSB of the DAC
    """

    leakage_tau_s: Annotated[float, Field(ge=0, le=1e6)] = 0.0
    refresh_s: Annotated[float, Field(gt=0, le=1e3)] = 0.01
    refresh_noise_lsb: Annotated[float, Field(ge=0, le=4)] = 0.0


class Temperature(Table):
    """The temperature DAC: unsigned; T = 1 is the temperature at which couplings are stated.

    tc_per_k : added to T for each K of die temperature over thermal.reference_k
    drift : of the gain, relative
    """

    dac: Dac = Dac(full_scale=4.0)
    tc_per_k: Annotated[float, Field(ge=-0.1, le=0.1)] = 0.0
    drift: Drift = Drift()

    @model_validator(mode="after")
    def _wide_enough(self) -> Temperature:
        if self.dac.bits < 8:
            raise ValueError(f"dac.bits {self.dac.bits}: the temperature DAC has 8 to 12 bits")
        if self.dac.settling_s > 0 or self.dac.stuck_bit_probability > 0:
            raise ValueError("dac: the temperature DAC is taken at sweep starts, settled; it has no settling_s and no stuck bits")
        return self
