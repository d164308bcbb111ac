"""Laws of loose cells at T = 1: what a cell draws when the host sets its biases, and how the mean follows the drive.

A *drive* is what the host computes for a unit and writes to a cell: one number, or a few. An *output* is what is read of the
cell. Arrays of drives are (..., *drive_shape), arrays of outputs (..., *output_shape), with any leading axes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

CERTAIN = 1e-6
"""Probabilities are kept this far from 0 and 1 where a logarithm of them is taken."""


@dataclass(frozen=True)
class Law(ABC):
    """The law of one kind of cell.

    kinds : values of `chip.kind` whose cells follow it
    """

    kinds: ClassVar[tuple[str, ...]]

    @property
    def drive_shape(self) -> tuple[int, ...]:
        """Axes of the drive of one unit; () for a number."""
        return ()

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Axes of the output of one unit; () for a number."""
        return ()

    @property
    def lives(self) -> float | None:
        """Time constants that a cell lives, let go at 0, before the look; None: the look comes when it has forgotten its past."""
        return None

    @abstractmethod
    def mean(self, drive: Floats) -> Floats:
        """Mean output."""

    @abstractmethod
    def pull(self, drive: Floats, upstream: Floats) -> Floats:
        """Gradient by the drive of a loss whose gradient by the mean output is `upstream`; shape of the drive."""

    @abstractmethod
    def score(self, drive: Floats, output: Floats) -> Floats:
        """Gradient by the drive of ln p(output | drive); shape of the drive."""

    @abstractmethod
    def sample(self, drive: Floats, rng: np.random.Generator) -> Floats:
        """One output of every unit."""

    @abstractmethod
    def terms(self, drive: Floats) -> Floats:
        """(..., terms) bias terms of a cell, in the order of `chip.terms`."""

    def link(self, mean: Floats) -> Floats:
        """The drive at which the mean output is `mean`; of softmax the one whose sum is 0. ValueError if there are many."""
        raise ValueError(f"many drives of a {type(self).__name__} layer have the same mean output; its law has no inverse")

    def output(self, reading: NDArray[Any]) -> Floats:
        """Outputs of what is read of cells: spins, states or values."""
        return reading.astype(np.float64)

    def check(self, drive: Floats) -> None:
        """ValueError if an array of drives does not end in `drive_shape` or holds a value that is not finite."""
        shape = self.drive_shape
        if drive.shape[drive.ndim - len(shape) :] != shape or drive.ndim < len(shape):
            raise ValueError(f"drives of shape {drive.shape}; the last axes of a {type(self).__name__} layer are {shape}")
        if not np.isfinite(drive).all():
            at = tuple(np.argwhere(~np.isfinite(drive))[0].tolist())
            raise ValueError(f"the drive at {at} is {drive[at]}; finite numbers are expected")


@dataclass(frozen=True)
class Pbit(Law):
    """A p-bit: the drive is its bias h, the output s = ±1 with P(+1) = 1 / (1 + exp(-2 h)), mean tanh h."""

    kinds = ("pbit", "async-pbit")

    def mean(self, drive: Floats) -> Floats:
        return np.tanh(drive)

    def pull(self, drive: Floats, upstream: Floats) -> Floats:
        return upstream * (1.0 - np.tanh(drive) ** 2)

    def score(self, drive: Floats, output: Floats) -> Floats:
        return output - np.tanh(drive)

    def sample(self, drive: Floats, rng: np.random.Generator) -> Floats:
        return np.where(rng.random(drive.shape) < 0.5 * (1.0 + np.tanh(drive)), 1.0, -1.0)

    def terms(self, drive: Floats) -> Floats:
        return drive[..., None]

    def link(self, mean: Floats) -> Floats:
        return np.arctanh(np.clip(mean, CERTAIN - 1.0, 1.0 - CERTAIN))


@dataclass(frozen=True)
class Pdit(Law):
    """A pdit of k states: the drive is (k,) logits h, the output one-hot (k,) with P(a) ~ exp(h_a), mean softmax(h)."""

    kinds = ("pdit",)
    states: int

    @property
    def drive_shape(self) -> tuple[int, ...]:
        """(k,)"""
        return (self.states,)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """(k,)"""
        return (self.states,)

    def mean(self, drive: Floats) -> Floats:
        return softmax(drive)

    def pull(self, drive: Floats, upstream: Floats) -> Floats:
        p = softmax(drive)
        pulled: Floats = p * (upstream - (p * upstream).sum(axis=-1, keepdims=True))
        return pulled

    def score(self, drive: Floats, output: Floats) -> Floats:
        return output - softmax(drive)

    def sample(self, drive: Floats, rng: np.random.Generator) -> Floats:
        return one_hot(choose(softmax(drive), rng), self.states)

    def terms(self, drive: Floats) -> Floats:
        """Logits with the middle of their range at 0, where the DACs reach farthest; a common shift changes nothing."""
        middle: Floats = 0.5 * (drive.max(axis=-1, keepdims=True) + drive.min(axis=-1, keepdims=True))
        return drive - middle

    def link(self, mean: Floats) -> Floats:
        logits = np.log(np.maximum(mean, CERTAIN))
        centred: Floats = logits - logits.mean(axis=-1, keepdims=True)
        return centred

    def output(self, reading: NDArray[Any]) -> Floats:
        return one_hot(reading, self.states)


@dataclass(frozen=True)
class Pmode(Law):
    """A Gaussian cell (Ornstein-Uhlenbeck) of stiffness a that is let go at 0: the drive is its bias h, the output x after
    `window` time constants, with mean (h / a) (1 - exp(-a window)) and variance (1 - exp(-2 a window)) / a.

    A linear unit with noise: the window sets the gain. ValueError unless a and window are above 0.
    """

    kinds = ("gaussian",)
    stiffness: float = 1.0
    window: float = 1.0

    def __post_init__(self) -> None:
        require_positive(self, "stiffness", "window")

    @property
    def lives(self) -> float:
        """`window`"""
        return self.window

    @property
    def gain(self) -> float:
        """d mean / d h."""
        return (1.0 - float(np.exp(-self.stiffness * self.window))) / self.stiffness

    @property
    def variance(self) -> float:
        """Variance of the output."""
        return (1.0 - float(np.exp(-2.0 * self.stiffness * self.window))) / self.stiffness

    def mean(self, drive: Floats) -> Floats:
        return self.gain * drive

    def pull(self, drive: Floats, upstream: Floats) -> Floats:
        return self.gain * upstream

    def score(self, drive: Floats, output: Floats) -> Floats:
        return (output - self.gain * drive) * (self.gain / self.variance)

    def sample(self, drive: Floats, rng: np.random.Generator) -> Floats:
        return self.gain * drive + float(np.sqrt(self.variance)) * rng.standard_normal(drive.shape)

    def terms(self, drive: Floats) -> Floats:
        return np.stack([drive, np.full_like(drive, self.stiffness)], axis=-1)

    def link(self, mean: Floats) -> Floats:
        return mean / self.gain


@dataclass(frozen=True)
class Pmog(Law):
    """A mixture cell of k modes: the drive is (2 k,), log-weights w then means m; the output x has the mean softmax(w) . m and
    lies about the mean of its mode with variance 1 / stiffness.

    On a chip the value follows its mode with a lag; where the mode stays r relaxation times of the value, the variance between
    modes is smaller by the factor r / (r + 1), of which nothing is said here. `stiffness` is the chip's; above 0, or ValueError.
    """

    kinds = ("mixture",)
    modes: int
    stiffness: float = 4.0

    def __post_init__(self) -> None:
        require_positive(self, "modes", "stiffness")

    @property
    def drive_shape(self) -> tuple[int, ...]:
        """(2 k,)"""
        return (2 * self.modes,)

    def mean(self, drive: Floats) -> Floats:
        p, m = self._parts(drive)
        mean: Floats = (p * m).sum(axis=-1)
        return mean

    def pull(self, drive: Floats, upstream: Floats) -> Floats:
        p, m = self._parts(drive)
        weights = p * (m - (p * m).sum(axis=-1, keepdims=True))
        return np.concatenate([weights, p], axis=-1) * upstream[..., None]

    def score(self, drive: Floats, output: Floats) -> Floats:
        p, m = self._parts(drive)
        off = output[..., None] - m
        share = softmax(np.log(np.maximum(p, CERTAIN)) - 0.5 * self.stiffness * off**2)
        return np.concatenate([share - p, share * self.stiffness * off], axis=-1)

    def sample(self, drive: Floats, rng: np.random.Generator) -> Floats:
        p, m = self._parts(drive)
        chosen = np.take_along_axis(m, choose(p, rng)[..., None], axis=-1)[..., 0]
        values: Floats = chosen + rng.standard_normal(chosen.shape) / np.sqrt(self.stiffness)
        return values

    def terms(self, drive: Floats) -> Floats:
        """The log-weights as a pdit's logits, and the means."""
        k = self.modes
        return np.concatenate([Pdit(k).terms(drive[..., :k]), drive[..., k:]], axis=-1)

    def _parts(self, drive: Floats) -> tuple[Floats, Floats]:
        """Probabilities and means of the modes, (..., k) each."""
        return softmax(drive[..., : self.modes]), drive[..., self.modes :]


def softmax(logits: Floats) -> Floats:
    """exp of the last axis, normalised."""
    e = np.exp(logits - logits.max(axis=-1, keepdims=True))
    p: Floats = e / e.sum(axis=-1, keepdims=True)
    return p


def choose(p: Floats, rng: np.random.Generator) -> NDArray[np.int64]:
    """(...,) numbers drawn with the probabilities (..., k) by the inverse of their cumulated sums."""
    edges = np.cumsum(p[..., :-1], axis=-1)
    numbers: NDArray[np.int64] = (rng.random((*p.shape[:-1], 1)) >= edges).sum(axis=-1)
    return numbers


def one_hot(numbers: NDArray[Any], classes: int) -> Floats:
    """(..., classes), 1 at the number, 0 elsewhere."""
    rows: Floats = (numbers[..., None] == np.arange(classes)).astype(np.float64)
    return rows


def require_positive(law: Law, *names: str) -> None:
    """ValueError naming a parameter that is not above 0."""
    for name in names:
        value = getattr(law, name)
        if not (np.isfinite(value) and value > 0):
            raise ValueError(f"{type(law).__name__}.{name} = {value}; it must be above 0")
