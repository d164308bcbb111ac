"""Figures of feed-forward networks. They need matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tsu_apps.characterise.figures import COLOURS, INK, label, panels
from tsu_apps.feedforward.placement import Floats

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def accuracies(scores: Mapping[str, Mapping[str, Floats]], looks: Sequence[int], reference: float) -> Figure:
    """Accuracy over sweeps, a panel for each chip: mean and standard deviation over networks.

    scores : by chip and by name of a variant, (networks, len(looks)); reference : accuracy of the network computed digitally
    """
    figure, axes = panels(columns=len(scores), height=3.4)
    for axis, (chip, variants) in zip(axes, scores.items(), strict=True):
        axis.axhline(reference, color=INK, linewidth=0.8, linestyle=":", label="the network, computed digitally")
        for colour, (name, seen) in zip(COLOURS, variants.items(), strict=False):
            spread = np.std(seen, axis=0)
            axis.errorbar(looks, np.mean(seen, axis=0), spread, fmt="o-", color=colour, markersize=3, linewidth=1, label=name)
        label(axis, f"Digits, {chip} chip", "sweeps averaged", "accuracy")
        axis.set_xscale("log")
        axis.set_ylim(0.1, 1.0)
    axes[-1].legend(frameon=False, fontsize=8, loc="lower right")
    return figure
