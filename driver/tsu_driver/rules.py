"""Local learning rules: the change of a coupling or of a bias is a short sum of products of what its own cells tell.

    dw = sum over terms of rate x factor x factor x factor        in kT, once an update

A rule says nothing of how the averages come about, so that one and the same object serves a host that keeps the weights
and an engine beside every coupler.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

PAIR_FACTORS = ("one", "c_data", "c_free", "m_data_i", "m_data_j", "m_free_i", "m_free_j", "w", "code", "random")
"""What a pair's term may multiply: averages of s_i s_j in the data and the free role, averages of s of the pair's lower (i) and
higher (j) cell, the master weight and the programmed value in kT, and a number uniform in [-1, 1)."""
BIAS_FACTORS = ("one", "m_data", "m_free", "w", "code", "random")
"""The same for a bias."""

TERMS_MAX, FACTORS_MAX = 8, 3


class Averages(Protocol):
    """What the correlators measured: (pairs,) means of s_i s_j and (cells,) means of s, in the data and the free role."""

    @property
    def data_pairs(self) -> Floats: ...

    @property
    def free_pairs(self) -> Floats: ...

    @property
    def data_means(self) -> Floats: ...

    @property
    def free_means(self) -> Floats: ...


@dataclass(frozen=True)
class Term:
    """rate x the product of 1 to 3 factors, which are names of PAIR_FACTORS or of BIAS_FACTORS.

    ValueError if the rate is not finite, the factors are too few or too many, or one of them is unknown.
    """

    rate: float
    factors: tuple[str, ...]

    def __post_init__(self) -> None:
        if not math.isfinite(self.rate):
            raise ValueError(f"the rate of a term is {self.rate}; a finite number is expected")
        if not isinstance(self.factors, tuple) or not 1 <= len(self.factors) <= FACTORS_MAX:
            raise ValueError(f"the factors of a term are {self.factors!r}; a tuple of 1 to {FACTORS_MAX} names is expected")
        for name in self.factors:
            if name not in PAIR_FACTORS and name not in BIAS_FACTORS:
                known = ", ".join(dict.fromkeys(PAIR_FACTORS + BIAS_FACTORS))
                raise ValueError(f"there is no factor {name!r}; factors are {known}")

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds that a weight's update takes by this term."""
        return max(1, sum(name != "one" for name in self.factors))


@dataclass(frozen=True)
class UpdateRule:
    """The terms of couplings and those of biases, at most 8 each.

    ValueError names a term that has a factor of the other kind, or says that there are too many.
    """

    pair: tuple[Term, ...]
    bias: tuple[Term, ...]

    def __post_init__(self) -> None:
        for what, terms, known in (("pair", self.pair, PAIR_FACTORS), ("bias", self.bias, BIAS_FACTORS)):
            if len(terms) > TERMS_MAX:
                raise ValueError(f"{len(terms)} {what} terms; at most {TERMS_MAX} are possible")
            for number, term in enumerate(terms):
                for name in term.factors:
                    if name not in known:
                        raise ValueError(
                            f"{what} term {number} has the factor {name!r}; those of a {what} are {', '.join(known)}"
                        )

    @classmethod
    def ctd(cls, eta_plus: float, eta_minus: float, decay: float, centred: bool = False) -> Self:
        """Continuous Thermodynamic Descent: deposition, erosion, weathering.

            dw = eta+ <s_i s_j>_data - eta- <s_i s_j>_free - decay w,        db = eta+ <s>_data - eta- <s>_free - decay b

        centred : couplings see cells as s - m with m = <s>_data, the offsets of Montavon & Mueller 2012, whose means a coupling
            cannot then mistake for correlations:
            dw = eta+ (c_data - m_i m_j) - eta- (c_free - m_i <s_j>_free - m_j <s_i>_free + m_i m_j) - decay w
        Rates in kT per update, decay in 1 per update.
        """
        pair = [Term(eta_plus, ("c_data",)), Term(-eta_minus, ("c_free",)), Term(-decay, ("w",))]
        if centred:
            pair += [
                Term(-(eta_plus + eta_minus), ("m_data_i", "m_data_j")),
                Term(eta_minus, ("m_data_i", "m_free_j")),
                Term(eta_minus, ("m_free_i", "m_data_j")),
            ]
        bias = (Term(eta_plus, ("m_data",)), Term(-eta_minus, ("m_free",)), Term(-decay, ("w",)))
        return cls(tuple(pair), bias)

    def scaled(self, factor: float) -> UpdateRule:
        """The rule with all rates multiplied, as a schedule of the learning rate wants it."""
        return UpdateRule(_scaled(self.pair, factor), _scaled(self.bias, factor))

    @property
    def multiply_adds(self) -> tuple[int, int]:
        """Multiply-adds of one update: those of a coupling and those of a bias."""
        return sum(t.multiply_adds for t in self.pair), sum(t.multiply_adds for t in self.bias)

    def pair_change(
        self,
        averages: Averages,
        pairs: NDArray[np.int32],
        w: ArrayLike,
        code: ArrayLike,
        rng: np.random.Generator | None = None,
    ) -> Floats:
        """(pairs,) change of the couplings in kT.

        pairs : (pairs, 2) cells (i, j), `chip.topology.pairs`
        w, code : (pairs,) master weights and programmed values, in kT
        rng : draws "random", one number for each coupling and update, the same in all terms
        ValueError if a shape does not fit or "random" has no rng.
        """
        i, j = pairs[:, 0], pairs[:, 1]
        sources: dict[str, Callable[[], Floats]] = {
            "c_data": lambda: averages.data_pairs,
            "c_free": lambda: averages.free_pairs,
            "m_data_i": lambda: averages.data_means[i],
            "m_data_j": lambda: averages.data_means[j],
            "m_free_i": lambda: averages.free_means[i],
            "m_free_j": lambda: averages.free_means[j],
        }
        return _total(self.pair, len(pairs), sources, w, code, rng)

    def bias_change(self, averages: Averages, w: ArrayLike, code: ArrayLike, rng: np.random.Generator | None = None) -> Floats:
        """(cells,) change of the biases in kT; arguments as those of `pair_change`, by cells."""
        sources = {"m_data": lambda: averages.data_means, "m_free": lambda: averages.free_means}
        return _total(self.bias, len(averages.data_means), sources, w, code, rng)


def _scaled(terms: Iterable[Term], factor: float) -> tuple[Term, ...]:
    return tuple(Term(term.rate * factor, term.factors) for term in terms)


def _total(
    terms: tuple[Term, ...],
    size: int,
    averages: dict[str, Callable[[], Floats]],
    w: ArrayLike,
    code: ArrayLike,
    rng: np.random.Generator | None,
) -> Floats:
    """(size,) sum of the terms; a factor is looked up once, and only if a term has it."""
    sources: dict[str, Callable[[], Floats]] = averages | {
        "w": lambda: np.asarray(w, np.float64),
        "code": lambda: np.asarray(code, np.float64),
        "random": lambda: _uniform(rng, size),
    }

    known: dict[str, Floats] = {}
    total: Floats = np.zeros(size)
    for term in terms:
        product: Floats | float = term.rate
        for name in term.factors:
            if name == "one":
                continue
            if name not in known:
                known[name] = sources[name]()
                if known[name].shape != (size,):
                    raise ValueError(f"the factor {name!r} has shape {known[name].shape}; ({size},) is expected")
            product = product * known[name]
        total += product
    return total


def _uniform(rng: np.random.Generator | None, size: int) -> Floats:
    if rng is None:
        raise ValueError("the rule has the factor 'random'; give an rng to draw it")
    return rng.uniform(-1.0, 1.0, size)
