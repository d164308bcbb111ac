"""F13: nobody without a key is served, no role does more than it may.

Attempts come through a gateway process to a daemon that counts what it is asked: other keys, keys for another gateway, the
mechanisms NULL and PLAIN, keys that were revoked; and, in process, a right key while the handler that decides (ZAP) is dead or
does not answer. A right key between them is served, or the measurement is void.
"""

from __future__ import annotations

import contextlib
import json
import random
import socket
import time
from collections.abc import Iterator
from typing import Any

import zmq
from trust.effort import Effort

from gateway.harness import Site, site
from tsu_apps.report import Row
from tsu_contract.errors import Code
from tsu_contract.registers import MAP_HASH
from tsu_contract.wire import Kind, Request, decode_reply, encode_request
from tsu_emu.gateway import keys
from tsu_emu.gateway.door import Curve, Door
from tsu_emu.gateway.keys import Role
from tsu_emu.gateway.rules import MAY, FrontDoor, Sessions, User
from tsu_emu.gateway.zap import Zap

AT_A_TIME = 50
WAIT_MS = 250
"""For a reply that must not come; a good client has its in 5 ms."""
KINDS = ("another key", "a key for another gateway", "NULL", "PLAIN", "a revoked key", "half a key")
DEAD = ("no handler", "a silent handler")
HELLO = encode_request(Request(Kind.HELLO, 0, 0, body={"client": "stranger", "map_hash": MAP_HASH}))

Pair = tuple[bytes, bytes]


def _dealer(context: zmq.Context[Any], endpoint: str, kind: str, server: bytes, revoked: Pair, good: Pair) -> Any:
    """A client that has sent HELLO, and comes in as `kind` says."""
    dealer = context.socket(zmq.DEALER)
    dealer.setsockopt(zmq.LINGER, 0)
    pair: Pair = zmq.curve_keypair()
    match kind:
        case "NULL":
            pass
        case "PLAIN":
            dealer.plain_username, dealer.plain_password = b"ann", b"ann"
        case _:
            whose = {"a key for another gateway": good, "a revoked key": revoked, "good": good, "half a key": (good[0], pair[1])}
            dealer.curve_publickey, dealer.curve_secretkey = whose.get(kind, pair)
            dealer.curve_serverkey = pair[0] if kind == "a key for another gateway" else server
    dealer.connect(endpoint)
    dealer.send_multipart(HELLO)
    return dealer


def _served(dealers: list[Any], milliseconds: int) -> int:
    """How many have a reply after that time."""
    poller = zmq.Poller()
    for dealer in dealers:
        poller.register(dealer, zmq.POLLIN)
    deadline, found = time.monotonic() + milliseconds / 1000, set()
    while len(found) < len(dealers) and (left := deadline - time.monotonic()) > 0:
        for dealer, _ in poller.poll(int(1000 * left) + 1):
            found.add(dealer)
            poller.unregister(dealer)
    return len(found)


def strangers(place: Site, effort: Effort, attempts: int) -> list[Row]:
    """Attempts through the gateway process."""
    rng = random.Random(effort.seed)
    server = keys.own(place.keys).public
    good, revoked = _pair(place, "ann"), _pair(place, "bob")
    keys.revoke(place.keys, "bob")
    while "bob" in place.gateway.event("keys")["names"]:
        pass
    served = good_served = good_asked = done = 0
    before = place.handled
    with zmq.Context() as context:
        context.setsockopt(zmq.MAX_SOCKETS, 4 * AT_A_TIME)
        while done < attempts:
            kinds = [rng.choice(KINDS) for _ in range(min(AT_A_TIME, attempts - done))]
            dealers = [_dealer(context, place.gateway.endpoint, kind, server, revoked, good) for kind in kinds]
            one = _dealer(context, place.gateway.endpoint, "good", server, revoked, good)
            good_served += _served([one], 5000)
            good_asked += 1
            served += _served(dealers, WAIT_MS)
            for dealer in (*dealers, one):
                dealer.close()
            done += len(kinds)
            effort.progress(0.8 * done / attempts)
    reached = place.handled - before - good_asked
    return [
        Row("attempts without a key that is let in", float(done)),
        Row.at_most(f"of them served{_again(effort, served)}", float(served), 0),
        Row.at_most(f"of them known to the daemon{_again(effort, reached)}", float(reached), 0),
        Row.at_least("right keys served meanwhile, share", good_served / good_asked, 1.0),
    ]


def _pair(place: Site, user: str) -> Pair:
    values = json.loads((place.keys / f"{user}.secret").read_text())
    return values["public"].encode(), values["secret"].encode()


def _again(effort: Effort, count: int) -> str:
    return f"; {effort.again('F13')}" if count else ""


@contextlib.contextmanager
def _door(context: zmq.Context[Any], pair: Pair, allowed: bytes) -> Iterator[tuple[Door, str]]:
    """A door in this process, which nobody serves but who is asked to."""
    listening = socket.create_server(("127.0.0.1", 0))
    endpoint = f"tcp://127.0.0.1:{listening.getsockname()[1]}"
    listening.setblocking(False)
    user = User(allowed, "ann", Role.OPERATOR)
    rules = FrontDoor(Sessions({}, lambda *_: None, lambda _: None), 1 << 20)
    door = Door(
        context, listening.detach(), "ipc:///tmp/none", Curve(*pair), 1 << 20, rules, lambda _: user, lambda _: None, zmq.Poller()
    )
    try:
        yield door, endpoint
    finally:
        door.close()


def dead_handlers(effort: Effort, attempts: int) -> list[Row]:
    """Right keys while nobody decides."""
    served = done = 0
    server, good = zmq.curve_keypair(), zmq.curve_keypair()
    while done < attempts:
        for dead in DEAD:
            count = min(AT_A_TIME, attempts - done)
            with zmq.Context() as context, contextlib.ExitStack() as stack:
                if dead == "a silent handler":
                    stack.callback(Zap(context, lambda key: True, lambda _: None).close)
                door, endpoint = stack.enter_context(_door(context, server, good[0]))
                dealers = [_dealer(context, endpoint, "good", server[0], good, good) for _ in range(count)]
                served += _served([door.front], WAIT_MS)
                for dealer in dealers:
                    dealer.close()
            done += count
        effort.progress(0.8 + 0.2 * done / attempts)
    return [
        Row("attempts of right keys with a handler dead or silent", float(done)),
        Row.at_most(f"of them served{_again(effort, served)}", float(served), 0),
    ]


def roles(place: Site, effort: Effort) -> list[Row]:
    """Every kind of request by every role: refused in type if the role may not, and never known to the daemon then."""
    wrong, asked = [], 0
    for user, role in (("eve", Role.OBSERVER), ("ann", Role.OPERATOR), ("lab", Role.BENCH)):
        dealer = place.dealer(user)
        for kind in Kind:
            before = place.handled
            if kind is Kind.BYE:
                continue
            dealer.send(
                encode_request(Request(kind, 0 if kind is Kind.HELLO else dealer.session, 0, body={"map_hash": MAP_HASH}))
            )
            failure = decode_reply(dealer.receive()).failure
            forbidden = failure is not None and failure.code is Code.FORBIDDEN and "whose role is" in failure.message
            asked += 1
            if forbidden is (kind in MAY[role]) or (place.handled > before) is forbidden:
                wrong.append(f"{role} {kind.name}")
        dealer.close()
    note = f": {wrong}; {effort.again('F13')}" if wrong else ""
    return [
        Row("roles and kinds of requests", float(asked)),
        Row.at_most(f"of them not treated as promised{note}", len(wrong), 0),
    ]


def measure(effort: Effort) -> list[Row]:
    """10,000 attempts when long, else 600."""
    attempts = effort.size(600, 10_000)
    dead = attempts // 5
    with site() as place:
        rows = [*roles(place, effort), *strangers(place, effort, attempts - dead)]
    return [*rows, *dead_handlers(effort, dead)]
