"""Block-Gibbs sampling of many chains on the host: colour by colour, as a chip does it, but without the chip's errors."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tsu_apps.models.blocks import Layout, draw, one_thread
from tsu_apps.models.boltzmann import Boltzmann, Ints, Spins, cell_numbers, checked_spins
from tsu_apps.models.colouring import checked_colours


class Gibbs:
    """Chains of a Boltzmann machine. Two-colour graphs are fastest: a sweep is then two matrix products.

    Fields are float32 (see `blocks`).
    """

    def __init__(
        self,
        model: Boltzmann,
        chains: int,
        *,
        seed: int,
        start: ArrayLike | None = None,
        clamped: tuple[ArrayLike, ArrayLike] | None = None,
        temperature: ArrayLike = 1.0,
        colours: ArrayLike | None = None,
    ) -> None:
        """Chains at their start.

        start : (chains, n) spins; None for random ones
        clamped : (cells (k,), values (k,) or (chains, k)), cells that keep their values
        temperature : T, one for all chains or (chains,)
        colours : (n,) colours, updated in ascending order, such as `chip.topology.colour`; None for those of the model
        ValueError says which is wrong.
        """
        if chains < 1:
            raise ValueError(f"chains = {chains}; at least 1 is expected")
        self._rng = np.random.default_rng(seed)
        colour = model.colours if colours is None else checked_colours(colours, model.pairs, model.cells)
        cells, values = ((), ()) if clamped is None else clamped
        pinned = cell_numbers(cells, model.cells, "clamped")
        self._layout = Layout(model, classes(colour, pinned))
        spins = self._rng.choice(np.array([-1, 1], np.int8), (chains, model.cells))
        if start is not None:
            spins = checked_spins(start, (chains, model.cells), "start")
        if len(pinned):
            held = np.broadcast_to(np.asarray(values), (chains, len(pinned)))
            spins[:, pinned] = checked_spins(held, (chains, len(pinned)), "values of clamped cells")
        self._spins = spins[:, self._layout.order].astype(np.float32)
        self._parts = self._layout.parts(model, self._spins)
        self.temperature = temperature

    @property
    def temperature(self) -> NDArray[np.float64]:
        """(chains,) temperatures; may be set to one number or to (chains,)."""
        return 1 / self._inverse[:, 0].astype(np.float64)

    @temperature.setter
    def temperature(self, temperature: ArrayLike) -> None:
        given = np.asarray(temperature, np.float64)
        if given.shape not in ((), (len(self._spins),)) or not (given > 0).all():
            raise ValueError(f"temperature is {given}; a number > 0 is expected, or one for each of {len(self._spins)} chains")
        self._inverse = np.broadcast_to(1 / given, len(self._spins))[:, None].astype(np.float32)

    @property
    def spins(self) -> Spins:
        """(chains, n) spins as they are now, -1 or +1."""
        out = np.empty(self._spins.shape, np.int8)
        out[:, self._layout.order] = self._spins
        return out

    def run(self, sweeps: int) -> None:
        """Update every cell that is not clamped so many times, colour by colour."""
        steps = list(zip(self._layout.classes, self._layout.heard, self._parts, strict=True))
        with one_thread():
            for _ in range(sweeps):
                for target, heard, part in steps:
                    fields = self._spins[:, heard] @ part.couplings
                    fields += part.biases
                    fields *= self._inverse
                    draw(self._spins[:, target], fields, self._rng)

    def sample(self, n: int, every: int = 1, burn: int = 0) -> Spins:
        """(n, chains, cells) spins: after `burn` sweeps, n times `every` sweeps and a look."""
        self.run(burn)
        out = np.empty((n, *self._spins.shape), np.int8)
        for look in out:
            self.run(every)
            look[:, self._layout.order] = self._spins
        return out


def classes(colours: Ints, fixed: Ints) -> list[Ints]:
    """Cells of each colour, ascending, those in `fixed` left out, and colours of which none is left."""
    free = np.ones(len(colours), bool)
    free[fixed] = False
    groups = [np.flatnonzero(free & (colours == colour)) for colour in np.unique(colours)]
    return [group for group in groups if len(group)]
