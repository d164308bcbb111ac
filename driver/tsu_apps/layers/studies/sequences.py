"""Attention by sampled pdits: against softmax attention, in a network that recalls, and within a single mixture cell."""

from __future__ import annotations

import numpy as np

from tsu_apps.layers.attention import Attention, Token, recall
from tsu_apps.layers.calibration import calibrate
from tsu_apps.layers.chip import ChipLayer
from tsu_apps.layers.laws import Floats, Pbit, Pdit, Pmog
from tsu_apps.layers.network import Chain, Dense, Residual, deploy, feed_forward
from tsu_apps.layers.studies.study import Chips, Step, Study, draws, rms
from tsu_apps.layers.training import TrainConfig, cross_entropy, train
from tsu_apps.report import Row

LONG, SHORT, SYMBOLS = 8, 4, 4
WIDTH, HIDDEN = 24, 32
EXAMPLES, HELD_OUT = 2000, 160
COUNTS = (1, 4, 16, 64)
ERROR_COUNTS = (1, 4, 16, 64, 256, 1024, 4096)


def run(chips: Chips, step: Step) -> Study:
    """All three."""
    step(f"attention over {LONG} tokens against softmax")
    with chips("ideal-pdit-8") as chip:
        errors = attention_errors(ChipLayer(chip, Pdit(LONG)))
    slope = float(np.polyfit(np.log(ERROR_COUNTS), np.log(errors), 1)[0])
    rows = [
        Row(f"attention over {LONG} tokens: rms error of the output, {draws(n)}", e)
        for n, e in zip(ERROR_COUNTS, errors, strict=True)
    ]
    off = abs(slope + 0.5)
    rows.append(Row.at_most("attention: exponent of the error in the draws, off -1/2", off, 0.05))
    recalled, more = recall_rows(chips, step)
    step("attention in a mixture cell")
    return Study([*rows, *more, *mixture_rows(chips)], {"errors": errors, "recall": recalled})


def attention_errors(layer: ChipLayer) -> list[float]:
    """rms difference of a random head's output from softmax attention, with ERROR_COUNTS draws of each weight."""
    rng = np.random.default_rng(0)
    head, x = Attention(LONG, WIDTH, rng), rng.standard_normal((4, LONG, WIDTH))
    exact = head.forward(x)
    found = []
    for n in ERROR_COUNTS:
        deploy(head, lambda law: layer, n)
        found.append(rms(head.forward(x) - exact))
    return found


def transformer(tokens: int, symbols: int, seed: int) -> Chain:
    """One block: embedding, attention, of the last token the feed-forward block, readout."""
    rng = np.random.default_rng(seed)
    return Chain(
        Dense(2 * symbols + 1, WIDTH, rng),
        Residual(Attention(tokens, WIDTH, rng)),
        Token(),
        feed_forward(WIDTH, HIDDEN, Pbit(), rng),
        Dense(WIDTH, symbols, rng),
    )


def recall_rows(chips: Chips, step: Step) -> tuple[dict[str, list[float]], list[Row]]:
    """Associative recall by a block trained in two ways; pdits and p-bits are those of two typical chips, calibrated."""
    X, targets = recall(EXAMPLES, SHORT, SYMBOLS, 1)
    held_X, held = recall(HELD_OUT, SHORT, SYMBOLS, 2)
    answers = held.argmax(axis=1)
    curves, rows = dict[str, list[float]](), list[Row]()
    with chips("x0-pdit") as pdits, chips("x0-pbit") as pbits:
        layers = {Pdit: ChipLayer(pdits, Pdit(SHORT)), Pbit: ChipLayer(pbits, Pbit(), tau_s=2e-7)}
        step("calibration of pdits and p-bits")
        for layer in layers.values():
            calibrate(layer, 1280)
        for estimator in ("mean", "straight-through"):
            network = transformer(SHORT, SYMBOLS, 0)
            train(network, X, targets, cross_entropy, TrainConfig(estimator, epochs=20))
            curves[estimator] = []
            for n in COUNTS:
                step(f"recall, {estimator}, {draws(n)}")
                deploy(network, lambda law: layers[type(law)], n)
                curves[estimator].append(float(np.mean(network.forward(held_X).argmax(axis=1) == answers)))
            name = f"recall, {SHORT} tokens, {estimator}"
            rows += [Row(f"{name}: {draws(n)}", v) for n, v in zip(COUNTS[:-1], curves[estimator], strict=False)]
            rows.append(Row.at_least(f"{name}: {draws(COUNTS[-1])}", curves[estimator][-1], 0.97))
    return curves, rows


def mixture_rows(chips: Chips) -> list[Row]:
    """Heads in mixture cells: log-weights are the logits, means the values, and the mean of draws is softmax attention."""
    law, n = Pmog(4), 640
    drive = np.random.default_rng(3).uniform(-1.5, 1.5, (64, 8))
    with chips("ideal-pmog") as chip:
        draws = ChipLayer(chip, law, tau_s=1e-5).draw(drive, n)
    error: Floats = draws.std(axis=0) / np.sqrt(n)
    off = float(np.mean(((draws.mean(axis=0) - law.mean(drive)) / error) ** 2))
    uniform = np.concatenate([0.0 * drive[:, :4], drive[:, 4:]], axis=1)
    wrong = float(np.mean(((draws.mean(axis=0) - law.mean(uniform)) / error) ** 2))
    limit = round(float(1.0 + 5.0 * np.sqrt(2.0 / error.size)), 3)
    return [
        Row.at_most("attention in mixture cells: square deviation in standard errors", off, limit),
        Row.at_least("attention in mixture cells: the same, against equal weights", wrong, limit),
    ]
