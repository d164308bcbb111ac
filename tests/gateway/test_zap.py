"""Nobody is let in by a handler that is not there, does not answer, or is asked about something else."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import zmq

from tsu_emu.gateway.door import Curve, Door
from tsu_emu.gateway.keys import Role
from tsu_emu.gateway.rules import FrontDoor, Sessions, User
from tsu_emu.gateway.zap import ADDRESS, DOMAIN, Zap

SERVER, CLIENT = zmq.curve_keypair(), zmq.curve_keypair()
HELLO = [b"anything"]


@contextmanager
def door(context: zmq.Context[Any]) -> Iterator[tuple[Door, str]]:
    """A door that lets CLIENT in, if it is asked."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        port = listening.getsockname()[1]
        user = User(CLIENT[0], "ann", Role.OPERATOR)
        rules = FrontDoor(Sessions({}, lambda *_: None, lambda _: None), 1000)
        made = Door(
            context, listening.detach(), "ipc:///tmp/none", Curve(*SERVER), 1000, rules,
            lambda key: user if key == CLIENT[0] else None, lambda _: None, zmq.Poller(),
        )  # fmt: skip
        try:
            yield made, f"tcp://127.0.0.1:{port}"
        finally:
            made.close()


@contextmanager
def client(context: zmq.Context[Any], at: str) -> Iterator[Any]:
    dealer = context.socket(zmq.DEALER)
    dealer.setsockopt(zmq.LINGER, 0)
    dealer.curve_publickey, dealer.curve_secretkey, dealer.curve_serverkey = *CLIENT, SERVER[0]
    dealer.connect(at)
    dealer.send_multipart(HELLO)
    try:
        yield dealer
    finally:
        dealer.close()


def served(made: Door, zap: Zap | None, milliseconds: int) -> bool:
    """Whether a message comes through the door while the handler, if it is given, answers."""
    poller = zmq.Poller()
    poller.register(made.front, zmq.POLLIN)
    if zap is not None:
        poller.register(zap.socket, zmq.POLLIN)
    while active := dict(poller.poll(milliseconds)):
        if made.front in active:
            return True
        assert zap is not None
        zap.answer()
    return False


@pytest.fixture
def context() -> Iterator[zmq.Context[Any]]:
    with zmq.Context() as made:
        yield made


def test_good_key_is_served_when_the_handler_answers(context: zmq.Context[Any]) -> None:
    """What the cases below would be without their fault."""
    zap = Zap(context, lambda key: key == CLIENT[0], lambda _: None)
    with door(context) as (made, at), client(context, at):
        assert served(made, zap, 5000)
    zap.close()


def test_good_key_is_not_served_without_a_handler(context: zmq.Context[Any]) -> None:
    with door(context) as (made, at), client(context, at):
        assert not served(made, None, 700)


def test_good_key_is_not_served_by_a_handler_that_does_not_answer(context: zmq.Context[Any]) -> None:
    zap = Zap(context, lambda key: True, lambda _: None)
    with door(context) as (made, at), client(context, at):
        assert zap.socket.poll(5000)
        assert not served(made, None, 700)
    zap.close()


def test_key_that_is_not_allowed_is_denied_by_address(context: zmq.Context[Any]) -> None:
    denied: list[str] = []
    zap = Zap(context, lambda key: False, denied.append)
    with door(context) as (made, at), client(context, at):
        assert zap.socket.poll(5000)
        assert not served(made, zap, 500)
    zap.close()
    assert set(denied) == {"127.0.0.1"}


@pytest.mark.parametrize(
    "frames",
    [
        [],
        [b"1.0"],
        [b"2.0", b"1", DOMAIN, b"a", b"", b"CURVE", bytes(32)],
        [b"1.0", b"1", b"global", b"a", b"", b"CURVE", bytes(32)],
        [b"1.0", b"1", DOMAIN, b"a", b"", b"NULL"],
        [b"1.0", b"1", DOMAIN, b"a", b"", b"PLAIN", b"u", b"p"],
        [b"1.0", b"1", DOMAIN, b"a", b"", b"CURVE", bytes(31)],
        [b"1.0", b"1", DOMAIN, b"a", b"", b"NULL", bytes(32)],
    ],
)
def test_other_questions_are_answered_with_no(context: zmq.Context[Any], frames: list[bytes]) -> None:
    zap = Zap(context, lambda key: True, lambda _: None)
    with context.socket(zmq.REQ) as asks:
        asks.setsockopt(zmq.LINGER, 0)
        asks.connect(ADDRESS)
        for asked, status in ((frames, b"400"), ([b"1.0", b"9", DOMAIN, b"a", b"", b"CURVE", bytes(32)], b"200")):
            asks.send_multipart(asked or [b""])
            assert zap.socket.poll(2000)
            zap.answer()
            assert asks.recv_multipart()[2] == status
    zap.close()
