"""What surrounds the cells: process, heat, energy, supply, converters for reading, and the grid of slow effects."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, SerializationInfo, SerializerFunctionWrapHandler, model_serializer, model_validator

from tsu_emu.config.base import Share, Table

LATER = frozenset(("lot", "wafer", "radial", "dies_per_wafer", "wafers_per_lot", "tail_degrees", "defect_alpha", "defect_radius"))
"""Values of `Process` that are later than the first serial numbers."""


class Process(Table):
    """How a spread divides, in shares of its variance: common to the lot, the wafer, a bowl over the wafer, common to the die, a
    gradient, a smooth field, each device by itself; and how defects cluster.

    length : correlation length of the field, in units of the die's longer side
    dies_per_wafer, wafers_per_lot : die d is die d mod dies_per_wafer of wafer d // dies_per_wafer, that one of lot
        wafer // wafers_per_lot; 0: there are no wafers, no lots
    tail_degrees : of Student's law of what each device has by itself, 3 to 64; 0: normal
    defect_alpha : clustering parameter of defects, a multiple of 1/2; 0: each defect by itself
    defect_radius : correlation length of their density, in units of the die's longer side; 0: one density for a whole die
    """

    lot: Share = 0.0
    wafer: Share = 0.0
    radial: Share = 0.0
    die: Share = 0.0
    gradient: Share = 0.0
    field: Share = 0.0
    white: Share = 1.0
    length: Annotated[float, Field(ge=0.01, le=10)] = 0.2
    dies_per_wafer: Annotated[int, Field(ge=0, le=10_000)] = 0
    wafers_per_lot: Annotated[int, Field(ge=0, le=10_000)] = 0
    tail_degrees: Annotated[int, Field(ge=0, le=64)] = 0
    defect_alpha: Annotated[float, Field(ge=0, le=32, multiple_of=0.5)] = 0.0
    defect_radius: Annotated[float, Field(ge=0, le=10)] = 0.0

    @model_validator(mode="after")
    def _whole(self) -> Process:
        total = self.lot + self.wafer + self.radial + self.die + self.gradient + self.field + self.white
        if abs(total - 1) > 1e-9:
            raise ValueError(f"lot + wafer + radial + die + gradient + field + white is {total}; the shares make 1")
        return self

    @model_validator(mode="after")
    def _on_wafers(self) -> Process:
        if self.wafer and not self.dies_per_wafer:
            raise ValueError("wafer is the share of wafers; dies_per_wafer of 1 or more expected")
        if self.radial and self.dies_per_wafer < 2:
            raise ValueError("radial tells the dies of a wafer apart; dies_per_wafer of 2 or more expected")
        if self.lot and not self.wafers_per_lot:
            raise ValueError("lot is the share of lots; wafers_per_lot of 1 or more expected")
        if self.wafers_per_lot and not self.dies_per_wafer:
            raise ValueError("wafers_per_lot counts wafers; dies_per_wafer of 1 or more expected")
        return self

    @model_validator(mode="after")
    def _of_laws(self) -> Process:
        if 0 < self.tail_degrees < 3:
            raise ValueError(f"tail_degrees {self.tail_degrees}: Student's law has a variance from 3 on; 0 or 3 to 64 expected")
        if 0 < self.defect_radius < 0.01:
            raise ValueError(f"defect_radius {self.defect_radius}: 0 or .01 to 10 expected")
        if self.defect_radius and not self.defect_alpha:
            raise ValueError("defect_radius is that of clusters; defect_alpha of 1/2 or more expected")
        return self

    @model_serializer(mode="wrap")
    def _numbered(self, handler: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        """In JSON, of which serial numbers are made, without the values of LATER that are off: a die keeps its number."""
        data: dict[str, Any] = handler(self)
        return data if info.mode != "json" else {k: v for k, v in data.items() if v or k not in LATER}


class Thermal(Table):
    """Die temperature: ambient plus two poles driven by the dissipated power.

    ambient_k, reference_k : of the lab at power-on; at which parameters are stated
    r_th_k_per_w, tau_s : resistances and time constants of the poles (die to package, package to ambient)
    ageing_activation_ev : Arrhenius activation energy by which a die hotter than reference_k ages faster
    sensor_offset_sigma_k, sensor_noise_k, sensor_lag_s : errors of TEMP.SENSOR
    """

    ambient_k: Annotated[float, Field(ge=200, le=450)] = 300.0
    reference_k: Annotated[float, Field(ge=200, le=450)] = 300.0
    r_th_k_per_w: tuple[Annotated[float, Field(ge=0, le=1e4)], Annotated[float, Field(ge=0, le=1e4)]] = (0.0, 0.0)
    tau_s: tuple[Annotated[float, Field(gt=0, le=1e4)], Annotated[float, Field(gt=0, le=1e4)]] = (5e-3, 5.0)
    ageing_activation_ev: Annotated[float, Field(ge=0, le=3)] = 0.0
    sensor_offset_sigma_k: Annotated[float, Field(ge=0, le=20)] = 0.0
    sensor_noise_k: Annotated[float, Field(ge=0, le=5)] = 0.0
    sensor_lag_s: Annotated[float, Field(gt=0, le=1e3)] = 0.1

    @model_validator(mode="after")
    def _distinct(self) -> Thermal:
        if self.sensor_lag_s in self.tau_s:
            raise ValueError("sensor_lag_s equals a tau_s; let them differ a little")
        return self


class Energy(Table):
    """The joule ledger, in attojoules an operation, and standby power in watts.

    update_aj : a cell's update (of a continuous cell: a tick); read_aj : reading a cell; write_aj : writing a code;
    conversion_aj : a conversion of an ADC; learn_aj : updating an accumulator of the learning engine
    """

    update_aj: Annotated[int, Field(ge=0, le=10**9)] = 0
    read_aj: Annotated[int, Field(ge=0, le=10**9)] = 0
    write_aj: Annotated[int, Field(ge=0, le=10**12)] = 0
    conversion_aj: Annotated[int, Field(ge=0, le=10**12)] = 0
    learn_aj: Annotated[int, Field(ge=0, le=10**12)] = 0
    standby_w: Annotated[float, Field(ge=0, le=100)] = 0.0


class Tone(Table):
    """A ripple on the supply."""

    hz: Annotated[float, Field(gt=0, le=1e9)]
    amplitude_v: Annotated[float, Field(ge=0, le=1)]


class Supply(Table):
    """The supply and what comes through.

    nominal_v; noise_rms_v, noise_tau_s : slow Ornstein-Uhlenbeck noise; tones
    r_pdn_ohm : drop for each ampere of the chip's own current
    psrr_db : how much weaker a relative error of the supply arrives in the gain of couplings and biases; 120: not at all
    """

    nominal_v: Annotated[float, Field(gt=0, le=10)] = 0.8
    noise_rms_v: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    noise_tau_s: Annotated[float, Field(gt=0, le=1e4)] = 0.1
    tones: tuple[Tone, ...] = Field(default=(), max_length=8)
    r_pdn_ohm: Annotated[float, Field(ge=0, le=10)] = 0.0
    psrr_db: Annotated[float, Field(ge=0, le=120)] = 120.0


class Adc(Table):
    """Successive-approximation converters, each with its own capacitor array. The values called usual are assumed, from design
    practice.

    count, bits, buffer : converters, code width, samples of a capture
    capacitor_sigma : mismatch of a unit capacitor, relative; one of w units has sigma sqrt(w) units. Usual .001 to .03; a sine
        histogram settles it
    offset_sigma_lsb, gain_sigma : spreads. Usual 2 and .005; two references settle them
    noise_lsb : rms of the noise sampled with the input (kT/C). Usual .3 to .5; a histogram of a steady input settles it
    comparator_noise_lsb : rms of the comparator's noise, anew at each comparison, beside the sampled noise. Usual up to .3
    metastability_lsb : a comparison closer than this, noise included, is decided by a fair coin. Usual below .05; asymmetry of
        the
        histogram round a major carry settles it
    acquisition_cycles : of a sample; a conversion takes bits + 2 more
    mux_tau_s : time constant with which the sampled value leaves the last one; it settles to half an LSB in (bits + 1) ln 2 of
        them
    trim_offset_lsb, trim_gain : steps of the trims, codes -64 .. 63
    """

    count: Annotated[int, Field(ge=0, le=4096)] = 0
    bits: Annotated[int, Field(ge=8, le=14)] = 10
    buffer: Annotated[int, Field(ge=2, le=1 << 20)] = 1 << 16
    capacitor_sigma: Annotated[float, Field(ge=0, le=0.1)] = 0.0
    offset_sigma_lsb: Annotated[float, Field(ge=0, le=32)] = 0.0
    gain_sigma: Annotated[float, Field(ge=0, le=0.1)] = 0.0
    noise_lsb: Annotated[float, Field(ge=0, le=8)] = 0.0
    comparator_noise_lsb: Annotated[float, Field(ge=0, le=8)] = 0.0
    metastability_lsb: Annotated[float, Field(ge=0, le=1)] = 0.0
    acquisition_cycles: Annotated[int, Field(ge=1, le=1000)] = 4
    mux_tau_s: Annotated[float, Field(ge=0, le=1e-3)] = 0.0
    trim_offset_lsb: Annotated[float, Field(ge=0, le=1)] = 0.125
    trim_gain: Annotated[float, Field(ge=0, le=0.01)] = 2**-12


class Slow(Table):
    """The fixed grid of chip time on which slow effects are taken: drift, die temperature, supply, storage."""

    epoch_cycles: Annotated[int, Field(ge=1 << 10, le=1 << 30)] = 1 << 17
