"""What all estimators on a chip have in common: scikit-learn's verbs, and the questions that a trained chip answers."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import check_is_fitted

from tsu_apps.learning.answers import draw, pinned_means
from tsu_apps.learning.examples import Layout
from tsu_apps.learning.history import Counters, Listener, Moment, Result, Watcher
from tsu_apps.learning.loop import ChipLoop
from tsu_apps.learning.masters import Floats, exponential_rates
from tsu_apps.learning.progress import Bar
from tsu_apps.learning.training import Plan, Training, Validation
from tsu_contract.capabilities import LSB_SCALE
from tsu_driver import Chip
from tsu_driver.rules import UpdateRule

if TYPE_CHECKING:
    from tsu_apps.models import Boltzmann, Likelihood

LOOKS = 200
"""Sweeps over which `predict` averages the label cells, and `inpaint` the pixels."""


class Trained:
    """What `fit` leaves behind.

    weights_, biases_ : (pairs,) and (cells,) float64 in kT, means over the last ticks
    last_weights_, last_biases_ : the same after the last tick; they see-saw
    pairs_ : (pairs, 2) the cells that the weights couple, `chip.topology.pairs`
    temperature_ : T of the last tick, at which the chip is asked
    history_ : moments in order
    counters_ : what the run took
    """

    weights_: Floats
    biases_: Floats
    last_weights_: Floats
    last_biases_: Floats
    pairs_: NDArray[np.int32]
    temperature_: float
    history_: tuple[Moment, ...]
    counters_: Counters


@dataclass(eq=False, repr=False)
class ChipEstimator(Trained, ABC, BaseEstimator):  # type: ignore[misc]
    """A Boltzmann machine on a chip, with the conventions of scikit-learn.

    Cells that hold neither pixels nor labels are hidden. The host keeps float64 weights, of which the chip holds the nearest
    codes. Static errors of the chip are learnt along: the averages that move the weights are those of the chip as it is.

    chip : an opened chip. A clone works on the same chip, for there is only one; an estimator cannot be pickled.
    visible : (pixels,) numbers of the cells that hold pixels
    labels : (classes,) numbers of the cells that hold labels, one for each class; none for data without labels
    ticks : updates of the weights
    eta_start, eta_end : learning rate of the first and the last tick, in kT per tick; exponential in between
    weathering : decay of the weights over the learning rate, in 1 / kT
    average_from : the averaged weights are means over the ticks from this fraction of the run on
    sigma : standard deviation of the couplings to begin with, in kT
    seed : draws the couplings to begin with, the examples, and the rule's random numbers
    warm_start : begin with the weights of the last `fit` or `deploy`

    After `fit` it has what `Trained` names.
    """

    chip: Chip
    visible: ArrayLike
    labels: ArrayLike = ()
    _: KW_ONLY
    ticks: int = 6000
    eta_start: float = 0.03
    eta_end: float = 0.0005
    weathering: float = 1e-3
    average_from: float = 0.75
    sigma: float = 0.02
    seed: int = 0
    warm_start: bool = False

    _training: ClassVar[type[Training]] = Training

    def __sklearn_clone__(self) -> Self:
        parameters = self.get_params(deep=False)
        chip = parameters.pop("chip")
        return type(self)(chip, **{name: clone(value, safe=False) for name, value in parameters.items()})

    @property
    def layout(self) -> Layout:
        """Which cells hold what; ValueError names a cell that the chip lacks or that is used twice."""
        return Layout(self.chip.capabilities.cells, self.visible, self.labels)

    # Training

    def fit(
        self,
        X: ArrayLike | None,
        y: ArrayLike | None = None,
        *,
        validation: tuple[ArrayLike, ArrayLike] | None = None,
        progress: Listener | bool = True,
        watch: Sequence[Watcher] = (),
    ) -> Self:
        """Train on the chip.

        X : (n, pixels) of -1 and +1
        y : (n,) integer classes, 0 .. classes - 1; None for a machine without labels
        validation : X and y of examples that are not trained on, classified a few times on the way
        progress : True shows a bar, False shows nothing, a function is called with every Moment
        watch : functions that are called with every Snapshot
        ValueError says what is wrong with a parameter, X, y or validation; errors of the chip are those of `tsu_driver`.
        """
        self._check()
        layout = self.layout
        examples = self._examples(layout, X, y)
        held = None if validation is None else _held_out(layout, validation)
        if held and examples is None:
            raise ValueError("validation needs planes pinned to data, which a training without X lacks")
        rng = np.random.default_rng(self.seed)
        rates = exponential_rates(self.eta_start, self.eta_end, self.ticks)
        start = (self.last_weights_, self.last_biases_) if self.warm_start and hasattr(self, "last_weights_") else None
        plan = Plan(self._rule(), rates, self.average_from, self.sigma, self._first_means(layout, examples), start)
        with ExitStack() as stack:
            shown = stack.enter_context(Bar()) if progress is True else progress or None
            watchers = list(watch) if shown is None else [*watch, lambda snapshot: shown(snapshot.moment)]
            loop = self._loop(layout, examples, rng)
            self._keep(self._training(self.chip, layout, loop, plan, rng, held, watchers).run())
        return self

    def deploy(self, other: ChipEstimator) -> Self:
        """Take over the weights of another estimator, trained on another chip perhaps; they are not trained on.

        ValueError if its chip had other couplers, NotFittedError if it is not trained.
        """
        other._check_fitted()
        if not np.array_equal(other.pairs_, self.chip.topology.pairs):
            raise ValueError(
                f"the weights are those of {len(other.pairs_)} pairs, which are not this chip's; see chip.topology.pairs"
            )
        self.pairs_, self.temperature_ = other.pairs_, other.temperature_
        self.weights_, self.biases_ = other.weights_, other.biases_
        self.last_weights_, self.last_biases_ = other.last_weights_, other.last_biases_
        return self

    # Questions

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:
        """(n,) classes of (n, pixels) examples of -1 and +1: pixels pinned, the label cell that is up most often.

        ValueError says what is wrong with X.
        """
        classes: NDArray[np.int64] = self.label_means(X).argmax(axis=1)
        return classes

    def label_means(self, X: ArrayLike) -> Floats:
        """(n, classes) mean spins of the label cells with the pixels pinned; one example to a plane. X as in `predict`."""
        layout = self.layout
        if not len(layout.labels):
            raise ValueError("no cell holds labels; name them when the estimator is made")
        pixels = layout.pixels(X)
        self._program()
        return pinned_means(self.chip, layout.visible, pixels, layout.labels, self.chip.capabilities.planes, LOOKS)

    def score(self, X: ArrayLike, y: ArrayLike) -> float:
        """Accuracy of `predict`."""
        classes = self.layout.classes(y, len(self.layout.pixels(X)))
        return float(np.mean(self.predict(X) == classes))

    def inpaint(self, X: ArrayLike, known: ArrayLike) -> Floats:
        """(n, pixels) mean spins of the pixels with the known ones pinned, which stay what they are; the labels are free.

        known : (pixels,) bool, or the places of the known pixels in X
        """
        layout = self.layout
        pixels, mask = layout.pixels(X), _mask(known, len(layout.visible))
        means = pixels.astype(np.float64)
        if not mask.all():
            self._program()
            cells, asked = layout.visible[mask], layout.visible[~mask]
            means[:, ~mask] = pinned_means(self.chip, cells, pixels[:, mask], asked, self.chip.capabilities.planes, LOOKS)
        return means

    def sample(self, n: int, label: int | None = None) -> NDArray[np.int8]:
        """(n, pixels) spins of pixels, every example cooled down anew; with the label cells pinned to a class if one is given."""
        layout = self.layout
        if label is not None:
            layout.classes([label], 1)
        if n < 1:
            raise ValueError(f"n = {n}; at least 1 is expected")
        self._program()
        return draw(self.chip, layout, label, n, self.temperature_)

    # Likelihood

    def score_samples(self, X: ArrayLike, y: ArrayLike | None = None, *, model: Boltzmann | None = None) -> Floats:
        """(n,) log-likelihoods of examples in nats, those of `likelihood`; RuntimeWarning if they are not to be trusted."""
        found = self.likelihood(X, y, model=model)
        if not found.trusted:
            warnings.warn(f"the log-likelihood is not to be trusted: {'; '.join(found.doubts)}", RuntimeWarning, stacklevel=2)
        return found.nats

    def likelihood(self, X: ArrayLike, y: ArrayLike | None = None, *, model: Boltzmann | None = None) -> Likelihood:
        """Log-likelihood of examples with its standard error, by annealed importance sampling on the host.

        y : classes, for log P(pixels, label); None for log P(pixels)
        model : what the chip really is at T = 1, if it is known; None for what its codes nominally stand for, which is the
            truth on a chip without errors alone
        """
        from tsu_apps.models import log_likelihood

        layout = self.layout
        cells, examples = layout.visible, layout.pixels(X)
        if y is not None:
            cells, examples = layout.clamped, layout.examples(X, y)
        machine = (model or self._nominal()).at_temperature(self.temperature_)
        return log_likelihood(machine, cells, examples, seed=self.seed)

    def _nominal(self) -> Boltzmann:
        """The averaged weights as the nearest codes have them."""
        from tsu_apps.models import Boltzmann

        self._check_fitted()
        c, chip = self.chip.capabilities, self.chip
        weights: Floats = chip.quantise_couplings(self.weights_).codes * np.float64(c.coupling_lsb * LSB_SCALE)
        biases: Floats = chip.quantise_biases(self.biases_).codes * np.float64(c.bias_lsb * LSB_SCALE)
        return Boltzmann(self.pairs_.astype(np.int64), weights, biases)

    # What an algorithm is

    @abstractmethod
    def _rule(self) -> UpdateRule:
        """What a learning rate of 1 does in a tick."""

    @abstractmethod
    def _loop(self, layout: Layout, examples: NDArray[np.int8] | None, rng: np.random.Generator) -> ChipLoop:
        """How the chip measures; examples as `_examples` gives them."""

    def _examples(self, layout: Layout, X: ArrayLike | None, y: ArrayLike | None) -> NDArray[np.int8] | None:
        """(n, clamped cells) spins."""
        if X is None:
            raise ValueError("X is missing")
        return layout.examples(X, y)

    def _first_means(self, layout: Layout, examples: NDArray[np.int8] | None) -> Floats:
        """(cells,) means that the biases give to begin with."""
        return np.zeros(layout.cells) if examples is None else layout.means(examples)

    def _check(self) -> None:
        """ValueError names a parameter that is out of range."""
        self._counts("ticks")
        self._numbers(0, "eta_start", "eta_end", "weathering", "sigma")
        self._demand("eta_end", (self.eta_start > 0) == (self.eta_end > 0), "0 only if eta_start is")
        self._demand("average_from", 0 <= self.average_from < 1, "in 0 .. 1, 1 excluded")

    def _counts(self, *names: str) -> None:
        for name in names:
            value = getattr(self, name)
            self._demand(name, isinstance(value, int | np.integer) and int(value) >= 1, "an integer of at least 1")

    def _numbers(self, least: float, *names: str) -> None:
        for name in names:
            self._demand(name, getattr(self, name) >= least, f"{least} or more")

    def _demand(self, name: str, good: bool, legal: str) -> None:
        if not good:
            raise ValueError(f"{type(self).__name__}.{name} = {getattr(self, name)}; it must be {legal}")

    def _keep(self, result: Result) -> None:
        self.pairs_, self.temperature_ = self.chip.topology.pairs, result.temperature
        self.weights_, self.biases_ = result.weights, result.biases
        self.last_weights_, self.last_biases_ = result.last_weights, result.last_biases
        self.history_, self.counters_ = result.history, result.counters

    def _check_fitted(self) -> None:
        check_is_fitted(self, "weights_", msg="the machine is not trained; call fit first")

    def _program(self) -> None:
        """The averaged weights to the chip, at the temperature of the last tick."""
        self._check_fitted()
        self.chip.set_temperature(self.temperature_)
        self.chip.plane_temperatures(1.0)
        self.chip.program_couplings((self.pairs_, self.weights_), self.biases_)


def _held_out(layout: Layout, validation: tuple[ArrayLike, ArrayLike]) -> Validation:
    pixels = layout.pixels(validation[0])
    return pixels, layout.classes(validation[1], len(pixels))


def _mask(known: ArrayLike, pixels: int) -> NDArray[np.bool_]:
    """(pixels,) bool."""
    given: NDArray[Any] = np.asarray(known)
    if given.dtype == np.bool_ and given.shape == (pixels,):
        return given
    if given.ndim == 1 and given.dtype.kind in "iu" and np.isin(given, np.arange(pixels)).all():
        return np.isin(np.arange(pixels), given)
    legal = f"bool of shape ({pixels},) or places 0 .. {pixels - 1} are expected"
    legal = f"bool of shape ({pixels},) or places 0 .. {pixels - 1} are expected"
    raise ValueError(f"known is {given.dtype} of shape {given.shape}; {legal}")
