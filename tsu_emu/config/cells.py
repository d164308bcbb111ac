"""The kinds of cells."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tsu_emu.config.base import Probability, Table
from tsu_emu.config.devices import Drift


class Dead(Table):
    """Cells that do not work: probabilities of being stuck down, stuck up, and of hearing nothing."""

    down: Probability = 0.0
    up: Probability = 0.0
    floating: Probability = 0.0

    @model_validator(mode="after")
    def _sum(self) -> Dead:
        if self.down + self.up + self.floating > 1:
            raise ValueError("down + up + floating exceeds 1")
        return self


class _Cell(Table):
    """What all kinds of cells have in common.

    offset_sigma_kt : spread of the offset that adds to the bias, kT at T = 1
    offset_drift, offset_tc_kt_per_k : of the offset, kT at T = 1
    dead : see Dead
    """

    offset_sigma_kt: Annotated[float, Field(ge=0, le=4)] = 0.0
    offset_drift: Drift = Drift()
    offset_tc_kt_per_k: Annotated[float, Field(ge=-0.1, le=0.1)] = 0.0
    dead: Dead = Dead()


class IdealNoise(Table):
    """Independent uniform words.

    generator : threefry, 13 rounds of Threefry4x32; aes, 5 rounds of ARS4x32, which is faster on processors with instructions for
        it and much slower on others. Both are the same everywhere, bit for bit.
    """

    kind: Literal["ideal"] = "ideal"
    generator: Literal["threefry", "aes"] = "threefry"


class ColouredNoise(Table):
    """Noise with a memory: an Ornstein-Uhlenbeck voltage for each cell and plane, correlation exp(-1/tau_sweeps) a sweep."""

    kind: Literal["coloured"]
    tau_sweeps: Annotated[float, Field(gt=0, le=1e6)]


class LfsrNoise(Table):
    """Linear feedback shift registers, one for each `shared` cells, one shift a draw; taps are bit numbers, from 1 to width.

    Without taps the register has maximal length; that is known for widths 8, 16, 24 and 32.
    """

    kind: Literal["lfsr"]
    width: Annotated[int, Field(ge=8, le=32)] = 32
    taps: tuple[Annotated[int, Field(ge=1, le=32)], ...] = Field(default=(), max_length=8)
    shared: Annotated[int, Field(ge=1, le=65536)] = 1

    @model_validator(mode="after")
    def _taps_fit(self) -> LfsrNoise:
        if not self.taps and self.width not in (8, 16, 24, 32):
            raise ValueError(f"width {self.width} needs taps; widths 8, 16, 24 and 32 have default ones")
        if self.taps and max(self.taps) != self.width:
            raise ValueError(f"the highest tap is {max(self.taps)}; it must be the width, {self.width}")
        return self


Noise = Annotated[IdealNoise | ColouredNoise | LfsrNoise, Field(discriminator="kind")]


class Pbit(_Cell):
    """Clocked p-bits. slope_sigma : spread of the slope, relative; slope_drift : likewise."""

    kind: Literal["pbit"] = "pbit"
    slope_sigma: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    slope_drift: Drift = Drift()
    noise: Noise = IdealNoise()


class AsynchronousPbit(_Cell):
    """p-bits in continuous time.

    kinetics : rate of a flip to +-1: glauber (1 +- tanh(I/T)) / (2 tau), arrhenius exp(+-I/T) / (2 tau)
    tau_s : retention time tau at I = 0; ln_tau_sigma : spread of ln tau
    synapse_s : time constant with which a coupler follows its source, s; 0: at once
    clock : own: each plane's cells flip at times of their own; shared: those of 64 planes are offered a flip at the same times,
        each decides by itself; for glauber heard at once
    """

    kind: Literal["async-pbit"]
    slope_sigma: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    slope_drift: Drift = Drift()
    kinetics: Literal["glauber", "arrhenius"] = "glauber"
    tau_s: Annotated[float, Field(gt=0, le=1)] = 100e-9
    ln_tau_sigma: Annotated[float, Field(ge=0, le=2)] = 0.0
    synapse_s: Annotated[float, Field(ge=0, le=1)] = 0.0
    clock: Literal["own", "shared"] = "own"

    @model_validator(mode="after")
    def _clock_can_be_shared(self) -> Self:
        if self.clock == "shared" and not self.in_rounds:
            raise ValueError('clock = "shared" is for glauber kinetics with synapse_s = 0')
        return self

    @property
    def in_rounds(self) -> bool:
        """Whether only the order of a tick's candidates matters: heat baths that are heard at once."""
        return self.kinetics == "glauber" and self.synapse_s == 0


class Pdit(_Cell):
    """Clocked Potts cells of `states` states; offset_sigma_kt is that of each state."""

    kind: Literal["pdit"]
    states: Annotated[int, Field(ge=2, le=16)]
    slope_sigma: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    slope_drift: Drift = Drift()


class Gaussian(_Cell):
    """Ornstein-Uhlenbeck cells, E = 1/2 sum a x^2 - sum J x x - sum h x; a is a term of the bias DACs (term 0 is h).

    tau_s : time constant at a = 1; stiffness_sigma : spread of a, relative
    range : readout range, x from -range to range
    quality : 0 first order; else RLC cells of that quality factor, whose capacitances are the stiffness matrix
    """

    kind: Literal["gaussian"]
    tau_s: Annotated[float, Field(gt=0, le=1)] = 1e-6
    stiffness_sigma: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    range: Annotated[float, Field(gt=0, le=1000)] = 8.0
    quality: Annotated[float, Field(ge=0, le=1e4)] = 0.0


class Mixture(_Cell):
    """Cells without couplers that choose one of `modes` and wander about its mean; terms: log-weights, then means.

    tau_s, mode_tau_s : time constants of the value and of the choice; stiffness : of a mode
    """

    kind: Literal["mixture"]
    modes: Annotated[int, Field(ge=2, le=8)]
    tau_s: Annotated[float, Field(gt=0, le=1)] = 1e-6
    mode_tau_s: Annotated[float, Field(gt=0, le=1)] = 1e-5
    stiffness: Annotated[float, Field(gt=0, le=1000)] = 4.0
    stiffness_sigma: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    range: Annotated[float, Field(gt=0, le=1000)] = 8.0


class Langevin(_Cell):
    """Overdamped cells, V = 1/2 a x^2 + 1/3 c x^3 + 1/4 b x^4 - h x; terms h, a, c, b.

    tau_s : time constant at a = 1; stiffness_sigma : spread of a and, independently, of b, relative
    rail : |x| never exceeds it; range : readout range; substeps : integration steps of a tick; a step of h tau lets a mode of
        rate r relax r h / 2 too fast, and cells come back from the rail only if h b rail^2 < 2
    """

    kind: Literal["langevin"]
    tau_s: Annotated[float, Field(gt=0, le=1)] = 1e-6
    stiffness_sigma: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    rail: Annotated[float, Field(gt=0, le=1000)] = 8.0
    range: Annotated[float, Field(gt=0, le=1000)] = 8.0
    substeps: Annotated[int, Field(ge=1, le=1024)] = 8


Cell = Annotated[Pbit | AsynchronousPbit | Pdit | Gaussian | Mixture | Langevin, Field(discriminator="kind")]
