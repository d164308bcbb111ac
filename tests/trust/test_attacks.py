"""The attack suite speaks ZMTP as it should, and finds nothing; a daemon that is gone and a chip that changed are noticed."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from gateway.harness import Gateway, KeyedDealer, site
from server.harness import write
from trust.trusting import missed, module
from tsu_contract.wire import decode_reply

attacks, attacks_list, attacks_messages, zmtp = map(module, ("attacks", "attacks_list", "attacks_messages", "zmtp"))
Effort = module("effort").Effort


def test_bytes_by_hand_are_what_a_daemon_and_a_gateway_understand() -> None:
    with site(keyed=False) as here:
        for endpoint in (here.endpoint, here.gateway.endpoint):
            raw = zmtp.Raw(endpoint).shaken()
            raw.send(zmtp.frame(attacks_list.hello()[0]))
            (flags,) = raw.exactly(1, 20.0)
            assert flags in (zmtp.MORE, zmtp.MORE | zmtp.LONG)
            length = int.from_bytes(raw.exactly(8 if flags & zmtp.LONG else 1, 20.0), "big")
            reply = decode_reply([raw.exactly(length, 20.0), b""])
            raw.close()
            assert reply.failure is None
            assert reply.session > 0


def test_no_attack_ends_the_daemon_changes_the_chip_or_keeps_a_gateway_away() -> None:
    rows = attacks.measure(Effort(False, 1))
    assert missed(rows, ("slowest welcome", "gateway back", "memory of the worker")) == []


def test_daemon_that_changed_or_died_is_noticed() -> None:
    with attacks.place() as place:
        digest = place.oracle.digest()
        place.look(digest, "nothing")
        assert place.changed == []
        with KeyedDealer(place.daemon.endpoint) as dealer:
            dealer.hello()
            dealer.done(write("SYS.SCRATCH", 1))
        place.look(digest, "a write")
        assert place.changed == ["a write"]
        place.daemon.close()
        place.look(digest, "its end")
        assert place.changed == ["a write", "its end"]


def test_random_attacks_repeat_with_their_seed() -> None:
    sent: list[list[bytes]] = []

    class Recorder:
        def shaken(self, *_: object, **__: object) -> Recorder:
            return self

        def send(self, *parts: bytes) -> bool:
            sent[-1].extend(parts)
            return True

        def ended(self, seconds: float) -> bool:
            return True

        def close(self) -> None:
            pass

    for _ in range(2):
        sent.append([])
        attacks_list.ATTACKS["random bytes"](Recorder, random.Random("7 random bytes"))
    assert sent[0] == sent[1]
    assert sum(map(len, sent[0])) > 1000


@pytest.mark.parametrize("data", [b"", b"x" * 100])
def test_worker_that_swallows_a_message_without_end_is_ended_and_replaced(data: bytes, tmp_path: Path) -> None:
    """Also without any daemon behind the gateway."""
    with Gateway("--to", f"ipc://{tmp_path}/none", "--listen", "tcp://127.0.0.1:*", "--memory", "64") as gateway:
        attacks_messages.endless_message(lambda: zmtp.Raw(gateway.endpoint), data, 30.0)
        assert gateway.event("worker-too-large")["megabytes"] >= 64
        assert gateway.event("worker-died")["again_in_s"] == 0.0
        gateway.event("worker-started")
