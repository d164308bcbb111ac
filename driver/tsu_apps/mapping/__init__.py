"""Models of spins on chips whose couplers are others: chains of cells for variables, and back from cells to variables.

>>> model = Boltzmann(pairs, weights, biases)
>>> embedding = embed(model.pairs, chip.topology, variables=model.cells)
>>> load(chip, embedding, model)
>>> spins, broken = embedding.unembed(chip.sample(1000))
"""

from tsu_apps.mapping.embedding import Embedding, Overhead, Unembedded, chain_strength
from tsu_apps.mapping.loading import Loaded, Plan, load, plan
from tsu_apps.mapping.search import NoEmbedding, embed

__all__ = ["Embedding", "Loaded", "NoEmbedding", "Overhead", "Plan", "Unembedded", "chain_strength", "embed", "load", "plan"]
