"""Problems in a chip's ranges: the factors by which matrices and right-hand sides fit the DACs.

Cells follow tau dx = -(A' x - h') dt + sqrt(2 T tau) dW with A' = alpha A and h' = beta b; so x goes to beta / alpha A^-1 b. The
more of the DACs' ranges a problem uses, the less their steps and offsets matter.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tsu_contract.capabilities import LSB_SCALE, RANGE_SCALE
from tsu_driver import Chip, Programmed

Floats = NDArray[np.float64]

FILL = 0.75
"""Share of the readout range that the cells of all planes have to stay within before their mean is taken."""
HALVINGS = 20
"""Times that a right-hand side is halved before it is clear that not it, but noise or instability, fills the range."""


class Ranges:
    """Ranges of a chip of Gaussian cells, in kT at T = 1 and in units of the cell's value.

    coupling, bias : greatest code of these DACs; cell : end of the readout range
    """

    def __init__(self, chip: Chip) -> None:
        """ValueError if the cells are of another kind."""
        if chip.kind != "gaussian":
            raise ValueError(f"linear algebra takes gaussian cells; those of {chip.name} are of the kind {chip.kind}")
        c = chip.capabilities
        self.cells = c.cells
        self.coupling = ((1 << c.coupling_bits - 1) - 1) * c.coupling_lsb * LSB_SCALE
        self.bias = ((1 << c.bias_bits - 1) - 1) * c.bias_lsb * LSB_SCALE
        self.cell = c.range_cell * RANGE_SCALE

    def matrix(self, A: ArrayLike) -> Floats:
        """A as (n, n) float64; ValueError unless it is finite, square, symmetric, no larger than the chip, its diagonal positive.

        Whether it is positive definite, the driver says when it is programmed.
        """
        matrix = np.array(A, np.float64)
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not 1 <= len(matrix) <= self.cells:
            raise ValueError(f"A has shape {matrix.shape}; (n, n) is expected, n from 1 to the chip's {self.cells} cells")
        if not np.isfinite(matrix).all():
            i, j = np.argwhere(~np.isfinite(matrix))[0].tolist()
            raise ValueError(f"A[{i}, {j}] is {matrix[i, j]}; finite numbers are expected")
        if not np.allclose(matrix, matrix.T):
            i, j = np.unravel_index(int(np.argmax(abs(matrix - matrix.T))), matrix.shape)
            raise ValueError(f"A is not symmetric: A[{i}, {j}] is {matrix[i, j]}, A[{j}, {i}] is {matrix[j, i]}")
        if not (matrix.diagonal() > 0).all():
            i = int(np.argmin(matrix.diagonal()))
            raise ValueError(f"A[{i}, {i}] is {matrix[i, i]}; the diagonal of a positive definite matrix is positive")
        return matrix

    def vector(self, b: ArrayLike, n: int, name: str = "b") -> Floats:
        """b as (n,) float64; ValueError if its shape is another or a number not finite."""
        vector = np.array(b, np.float64)
        if vector.shape != (n,):
            raise ValueError(f"{name} has shape {vector.shape}; ({n},) is expected, the rows of A")
        if not np.isfinite(vector).all():
            i = int(np.argmin(np.isfinite(vector)))
            raise ValueError(f"{name}[{i}] is {vector[i]}; finite numbers are expected")
        return vector

    def alpha(self, matrix: Floats) -> float:
        """Greatest factor at which no coupling and no stiffness of (n, n) is clipped."""
        diagonal = matrix.diagonal()
        others = float(np.abs(matrix - np.diag(diagonal)).max())
        stiffness = self.bias / float(diagonal.max())
        return min(stiffness, self.coupling / others) if others else stiffness

    def beta(self, vector: Floats) -> float:
        """Greatest factor at which no bias of (n,) is clipped; vector must not be 0."""
        return self.bias / float(np.abs(vector).max())

    def program(self, chip: Chip, matrix: Floats, vector: Floats) -> Programmed:
        """Write the scaled matrix (n, n) and biases (n,) to the first n cells; the others get loose, stiff ones."""
        n = len(matrix)
        whole, h = np.eye(self.cells) * matrix.diagonal().max(), np.zeros(self.cells)
        whole[:n, :n], h[:n] = matrix, vector
        return chip.program_matrix(whole, h)


def too_wide(chip: Chip) -> ValueError:
    """What to raise after HALVINGS."""
    return ValueError(
        f"the cells of {chip.name} fill their range whatever the right-hand side: noise is too strong for so soft a matrix, "
        "or errors make it indefinite; a lower temperature or a stiffer matrix is needed"
    )


def prepare(chip: Chip, temperature: float) -> float:
    """Release clamps, set the temperature of all planes; the temperature that was set. ValueError if no plane is enabled."""
    if not len(chip.enabled_planes):
        raise ValueError("no plane is enabled; what is to be averaged over is chosen by chip.enable_planes")
    chip.unclamp()
    chip.plane_temperatures(1.0)
    return chip.set_temperature(temperature)
