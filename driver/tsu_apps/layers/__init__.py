"""Stochastic layers: units of neural networks whose outputs are drawn by loose cells, driven by biases and read as samples.

A layer comes in two forms with one interface, on a chip and as its twin in numpy:

>>> law = Pbit()
>>> twin, chip_layer = TwinLayer(law), ChipLayer(chip, law, tau_s=2e-7)
>>> network = perceptron((64, 32, 10), law, seed=0)
>>> train(network, X, targets, cross_entropy, TrainConfig("straight-through"))
>>> deploy(network, lambda law: chip_layer, samples=64)
>>> network.forward(X_new).argmax(axis=1)
"""

from tsu_apps.layers.calibration import calibrate
from tsu_apps.layers.chip import ChipLayer, Correction, Cost
from tsu_apps.layers.laws import Law, Pbit, Pdit, Pmode, Pmog
from tsu_apps.layers.network import Cells, Chain, Dense, Part, Residual, deploy, feed_forward, perceptron
from tsu_apps.layers.quartic import Quartic
from tsu_apps.layers.training import TrainConfig, cross_entropy, squared_error, train
from tsu_apps.layers.twin import Layer, TwinLayer

__all__ = [
    "Cells",
    "Chain",
    "ChipLayer",
    "Correction",
    "Cost",
    "Dense",
    "Law",
    "Layer",
    "Part",
    "Pbit",
    "Pdit",
    "Pmode",
    "Pmog",
    "Quartic",
    "Residual",
    "TrainConfig",
    "TwinLayer",
    "calibrate",
    "cross_entropy",
    "deploy",
    "feed_forward",
    "perceptron",
    "squared_error",
    "train",
]
