"""Feed-forward networks on p-bits: tanh units become cells whose time-averaged spins are the units' outputs.

>>> weights, biases = twin.train(weights, biases, X, y, eps=0.2, looks=10)
>>> network = FeedForward(chip, weights, biases, eps=0.2)
>>> network.predict(X_new, sweeps=100)
"""

from tsu_apps.feedforward import twin
from tsu_apps.feedforward.network import FeedForward, Work, accuracy
from tsu_apps.feedforward.placement import Embedding

__all__ = ["Embedding", "FeedForward", "Work", "accuracy", "twin"]
