"""Flags: what can be seen to go wrong in a run of training, each with its threshold and where that comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tsu_apps.learning.history import SATURATED

if TYPE_CHECKING:
    from tsu_apps.learning.diagnostics import Reading

MIXING_MIN = 0.2
"""Mixing below which free planes are frozen. Assumed: digits on 174 cells end at .6 at T = 1; cooled while they learnt, they had
an accuracy of .92 at a mixing of .41, .66 at .15 and .49 at .07."""
NOISE_MAX = 1.0
"""Noise field, over T, above which averages are too noisy for the learning rate. At 1 the noise of the weights is as strong as
the thermal noise that the cells compute with; digits trained at a constant rate lost 8 nats at .7, about 25 at 1.0."""
KEPT_MIN = 0.25
"""Fraction of the targets that must lie in basins of their own. Assumed: digits reach .4 in a tenth of a run of 2,000 ticks and
.8 at its end; trained with r = 2 they stay below .2."""
SETTLED = 0.5
"""Fraction of a run that a machine has for building basins before it is blamed for lacking them. Assumed."""


@dataclass(frozen=True)
class Flag:
    """Something is wrong.

    name : "saturated", "frozen", "noisy", "eroded" or "untrusted likelihood"
    reason : in words, with the number that raised it
    first, last : the ticks at which it was first and last seen up
    """

    name: str
    reason: str
    first: int
    last: int


def saturated(reading: Reading) -> str | None:
    """A fraction of more than SATURATED of the couplings or biases is at an end of its DAC's range, and does not come back."""
    m = reading.moment
    for what, share in (("couplings", m.saturation), ("biases", m.bias_saturation)):
        if share > SATURATED:
            return f"{share:.0%} of the {what} are at an end of their range; at most {SATURATED:.0%} may be"
    return None


def frozen(reading: Reading) -> str | None:
    """The free planes' flip rate is low: mixing below MIXING_MIN. Then free averages tell of old weights, and of few states."""
    if not reading.averages.mixing < MIXING_MIN:
        return None
    return f"free planes flip at {reading.averages.mixing:.2f} of the rate of independent draws; {MIXING_MIN} is the least"


def noisy(reading: Reading) -> str | None:
    """Deposition noise: at this learning rate the noise of the averages shakes the cells' fields by more than NOISE_MAX T."""
    share = reading.averages.noise_field
    if not share > NOISE_MAX:
        return None
    noise = f"averages with a signal-to-noise ratio of {reading.averages.signal_to_noise:.2g}"
    return f"{noise} shake the cells' fields by {share:.3g} T at this learning rate; {NOISE_MAX:g} T is the most"


def eroded(reading: Reading) -> str | None:
    """A fraction of less than KEPT_MIN of the targets lies in basins of its own, after a fraction SETTLED of the run."""
    if not reading.basins.kept < KEPT_MIN or reading.tick < SETTLED * reading.moment.ticks:
        return None
    return f"{reading.basins.kept:.0%} of the targets lie in basins of their own; {KEPT_MIN:.0%} are the least"


def untrusted(reading: Reading) -> str | None:
    """An annealed log-likelihood is in doubt, for the reasons that `tsu_apps.models.Likelihood` gives."""
    return "; ".join(reading.nats.doubts) or None


CHECKS = {"saturated": saturated, "frozen": frozen, "noisy": noisy, "eroded": eroded, "untrusted likelihood": untrusted}


def raised(readings: Sequence[Reading]) -> tuple[Flag, ...]:
    """The flags that were ever up, each with its last reason, in the order in which they were first seen."""
    found: dict[str, Flag] = {}
    for reading in readings:
        for name, reason in reading.flags.items():
            first = found[name].first if name in found else reading.tick
            found[name] = Flag(name, reason, first, reading.tick)
    return tuple(sorted(found.values(), key=lambda flag: flag.first))


def check(reading: Reading) -> dict[str, str]:
    """Reasons by the names of the flags that a reading raises."""
    return {name: reason for name, judge in CHECKS.items() if (reason := judge(reading)) is not None}


def describe() -> dict[str, str]:
    """What each flag means, by name: the docstrings above with their thresholds as numbers."""
    numbers = {"SATURATED": SATURATED, "MIXING_MIN": MIXING_MIN, "NOISE_MAX": NOISE_MAX, "KEPT_MIN": KEPT_MIN, "SETTLED": SETTLED}
    texts = {name: (judge.__doc__ or "").replace("`", "") for name, judge in CHECKS.items()}
    for constant, value in numbers.items():
        texts = {name: text.replace(constant, f"{value:g}") for name, text in texts.items()}
    return texts
