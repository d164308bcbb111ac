"""Convolution with cells: the products on the host, each position of each channel a unit."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tsu_apps.layers.laws import Floats, Law
from tsu_apps.layers.network import Cells, Chain, Dense, Parameter, Part


class Convolution(Part):
    """Filters of size x size over (batch, height, width) images, without a border: (batch, rows, columns, channels)."""

    def __init__(self, size: int, channels: int, rng: np.random.Generator) -> None:
        self._size = size
        self._dense = Dense(size * size, channels, rng)

    def forward(self, x: Floats) -> Floats:
        self._shape = x.shape
        windows = sliding_window_view(x, (self._size, self._size), axis=(1, 2))
        return self._dense.forward(windows.reshape(*windows.shape[:3], -1))

    def backward(self, upstream: Floats) -> Floats:
        patches = self._dense.backward(upstream)
        rows, columns = patches.shape[1:3]
        down = np.zeros(self._shape)
        for k in range(self._size**2):
            i, j = divmod(k, self._size)
            down[:, i : i + rows, j : j + columns] += patches[..., k]
        return down

    def parameters(self) -> Iterator[Parameter]:
        yield from self._dense.parameters()


class Pool(Part):
    """Means over squares of size x size of (batch, rows, columns, channels), as (batch, everything).

    ValueError if size does not divide rows and columns.
    """

    def __init__(self, size: int) -> None:
        self._size = size

    def forward(self, x: Floats) -> Floats:
        self._shape, n = x.shape, self._size
        batch, rows, columns, channels = x.shape
        if rows % n or columns % n:
            raise ValueError(f"{rows} x {columns} outputs cannot be pooled in squares of {n} x {n}; {n} must divide both")
        means: Floats = x.reshape(batch, rows // n, n, columns // n, n, channels).mean(axis=(2, 4))
        return means.reshape(batch, -1)

    def backward(self, upstream: Floats) -> Floats:
        batch, rows, columns, channels = self._shape
        n = self._size
        each = upstream.reshape(batch, rows // n, columns // n, channels) / n**2
        return each.repeat(n, axis=1).repeat(n, axis=2)


class Images(Part):
    """(batch, side x side) rows as (batch, side, side) images."""

    def __init__(self, side: int) -> None:
        self._side = side

    def forward(self, x: Floats) -> Floats:
        return x.reshape(-1, self._side, self._side)

    def backward(self, upstream: Floats) -> Floats:
        return upstream.reshape(len(upstream), -1)


def convolutional(side: int, channels: int, classes: int, law: Law, seed: int) -> Chain:
    """3 x 3 filters, cells, means over 2 x 2, a dense layer; images of side x side, an even number."""
    rng = np.random.default_rng(seed)
    pooled = channels * ((side - 2) // 2) ** 2
    return Chain(Images(side), Convolution(3, channels, rng), Cells(law), Pool(2), Dense(pooled, classes, rng))
