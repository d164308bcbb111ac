"""Training on digits by a daemon that is killed again and again; the rig of tools/trust/kill.py in a small size."""

from __future__ import annotations

from keep.trusting import module

kill = module("kill")
TICKS = 120


def test_weights_and_chip_are_those_of_the_training_left_alone_and_without_a_directory_it_fails() -> None:
    with kill.served() as daemon:
        alone = kill.trained(daemon.endpoint, TICKS, [])
        expected = alone.weights, daemon.digest()
    for seed, keep in enumerate(("fast", "durable")):
        arguments = ("--state", "DIR", "--keep", keep)
        found, daemon = kill.survived(3, arguments, seed, alone.messages, TICKS, lambda share: None)
        assert (found, len(daemon.resumed)) == (expected, 3)
    (said, digest), _ = kill.survived(1, (), 5, alone.messages, TICKS, lambda share: None)
    assert "UNKNOWN_SESSION" in said
    assert digest != expected[1]
