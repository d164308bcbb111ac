"""Attacks on a ZeroMQ endpoint from raw sockets: helpers, and those before and in the handshake; others are `attacks_messages`.

Each takes something that connects, and leaves nothing open.
"""

from __future__ import annotations

import random
import struct
import time
from collections.abc import Callable, Sequence

from trust.zmtp import COMMAND, Connect, announced, command, frame, greeting, metadata, ready

from tsu_contract.registers import MAP_HASH
from tsu_contract.wire import Kind, Request, encode_request

Attack = Callable[[Connect, random.Random], None]

FLOOD = 200
"""Connections at a time."""
QUIET_S = 0.03
HUGE = (1 << 31, (1 << 32) - 1, 1 << 40, 1 << 62, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)
ATTACKS: dict[str, Attack] = {}


def attack(function: Attack) -> Attack:
    """Puts it into the list, by its name."""
    ATTACKS[function.__name__.replace("_", " ")] = function
    return function


def once(connect: Connect, *parts: bytes, shaken: bool = False, wait: float = QUIET_S) -> None:
    """One connection that sends this, and goes when it hears no more: one closed with bytes unread may be reset before."""
    raw = connect()
    if shaken:
        raw.shaken()
    raw.send(*parts)
    raw.ended(wait)
    raw.close()


def each(connect: Connect, messages: Sequence[bytes], shaken: bool = False) -> None:
    """A connection for each of them."""
    for data in messages:
        once(connect, data, shaken=shaken)


def hello() -> list[bytes]:
    """A request that is in order."""
    return [bytes(f) for f in encode_request(Request(Kind.HELLO, 0, 0, body={"map_hash": MAP_HASH, "client": "raw"}))]


# before the handshake


@attack
def random_bytes(connect: Connect, rng: random.Random) -> None:
    each(connect, [rng.randbytes(rng.choice((1, 9, 10, 63, 64, 65, 1000, 100_000))) for _ in range(20)])


@attack
def other_protocols(connect: Connect, rng: random.Random) -> None:
    tls = bytes.fromhex("16030100a5010000a10303") + rng.randbytes(200)
    each(connect, [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", tls, b"SSH-2.0-OpenSSH_9.6\r\n", b"\0" * 64, b"\xff" * 200])


@attack
def connect_and_go(connect: Connect, rng: random.Random) -> None:
    for _ in range(FLOOD):
        connect().close()


@attack
def connect_and_reset(connect: Connect, rng: random.Random) -> None:
    for _ in range(FLOOD):
        connect().reset()


@attack
def half_signature_and_silence(connect: Connect, rng: random.Random) -> None:
    once(connect, greeting()[:5], wait=0.3)


@attack
def greeting_cut_at_every_byte(connect: Connect, rng: random.Random) -> None:
    for length in range(65):
        once(connect, greeting()[:length])


@attack
def slow_greetings(connect: Connect, rng: random.Random) -> None:
    slow = [connect() for _ in range(FLOOD // 2)]
    for byte in greeting()[:15]:
        for raw in slow:
            raw.send(bytes([byte]))
        time.sleep(0.02)
    for raw in slow:
        raw.close()


@attack
def peers_without_a_version(connect: Connect, rng: random.Random) -> None:
    """ZMTP 1.0 and 2.0 know no mechanism: a server with keys must not speak them."""
    one = b"\x01\x00" + b"".join(bytes([len(f) + 1, 0]) + f for f in hello())
    two = b"\xff" + struct.pack(">Q", 1) + b"\x7f" + b"\x01\x05" + b"\x00\x00" + b"".join(frame(f) for f in hello())
    each(connect, [one, two, b"\x05\x00iden" + one])


@attack
def versions_of_the_future(connect: Connect, rng: random.Random) -> None:
    each(connect, [greeting(major=major, minor=minor) + ready() for major in (0, 1, 2, 4, 255) for minor in (0, 255)])


@attack
def unknown_mechanisms(connect: Connect, rng: random.Random) -> None:
    names = [b"XYZZY", b"", b"NULL\0X", b"null", b"\xff" * 20, b"A" * 20]
    each(connect, [greeting(name) + ready() for name in names])


@attack
def mechanisms_of_others(connect: Connect, rng: random.Random) -> None:
    plain = command(b"HELLO", b"\x04user\x04pass")
    each(connect, [greeting(b"PLAIN") + plain, greeting(b"GSSAPI") + rng.randbytes(100), greeting(b"CURVE") + rng.randbytes(200)])


@attack
def both_are_servers(connect: Connect, rng: random.Random) -> None:
    each(connect, [greeting(name, server=s) + ready() for name in (b"NULL", b"PLAIN", b"CURVE") for s in (1, 2, 255)])


@attack
def filler_that_is_not_zero(connect: Connect, rng: random.Random) -> None:
    each(connect, [greeting(filler=rng.randbytes(31)) + ready()])


# in the handshake


@attack
def garbage_for_a_handshake(connect: Connect, rng: random.Random) -> None:
    each(connect, [greeting(name) + rng.randbytes(500) for name in (b"NULL", b"CURVE") for _ in range(10)])


@attack
def messages_before_the_handshake(connect: Connect, rng: random.Random) -> None:
    each(connect, [greeting(name) + b"".join(frame(f) for f in hello()) for name in (b"NULL", b"CURVE")])


@attack
def handshake_commands_of_any_size(connect: Connect, rng: random.Random) -> None:
    """Without a handshake a peer may announce much; what is announced must not be given."""
    waiting = []
    for name in (b"NULL", b"CURVE"):
        for length in (*HUGE, 60 << 20, 1 << 20):
            for _ in range(8):
                waiting.append(raw := connect())
                raw.send(greeting(name), announced(length, COMMAND), rng.randbytes(100))
    time.sleep(0.1)
    for raw in waiting:
        raw.close()


@attack
def broken_metadata(connect: Connect, rng: random.Random) -> None:
    good = metadata(Socket_Type=b"DEALER", Identity=b"")
    bodies = [good[:-k] for k in range(1, len(good), 3)] + [
        b"\x00" + good,
        b"\xff" + good,
        b"\x01a" + struct.pack(">I", 0xFFFFFFFF),
    ]
    each(connect, [greeting() + command(b"READY", body) for body in bodies])


@attack
def sockets_that_do_not_fit(connect: Connect, rng: random.Random) -> None:
    each(connect, [greeting() + ready(kind) + frame(b"x") for kind in (b"PUB", b"SUB", b"ROUTER", b"PAIR", b"", b"\xff" * 200)])


@attack
def odd_commands_for_ready(connect: Connect, rng: random.Random) -> None:
    each(connect, [greeting() + command(name, b"x") for name in (b"", b"READ", b"READYY", b"HELLO", b"ERROR", b"\xff" * 255)])


@attack
def ready_twice(connect: Connect, rng: random.Random) -> None:
    each(connect, [greeting() + ready() + ready()])


@attack
def errors_from_the_client(connect: Connect, rng: random.Random) -> None:
    each(
        connect, [greeting(name) + command(b"ERROR", body) for name in (b"NULL", b"CURVE") for body in (b"", b"\x03400", b"\xff")]
    )


@attack
def curve_hello_of_any_form(connect: Connect, rng: random.Random) -> None:
    good = b"\x01\x00" + bytes(72) + rng.randbytes(32 + 8 + 80)
    bodies = [good, good[:-1], good + b"x", b"\x02\x00" + good[2:], rng.randbytes(len(good)), b"", bytes(len(good))]
    each(connect, [greeting(b"CURVE") + command(b"HELLO", body) for body in bodies])


@attack
def curve_initiate_without_hello(connect: Connect, rng: random.Random) -> None:
    each(
        connect,
        [greeting(b"CURVE") + command(name, rng.randbytes(300)) for name in (b"INITIATE", b"READY", b"MESSAGE", b"WELCOME")],
    )


@attack
def handshakes_that_stop_halfway(connect: Connect, rng: random.Random) -> None:
    waiting = [connect() for _ in range(FLOOD)]
    for k, raw in enumerate(waiting):
        raw.send(greeting(b"CURVE" if k % 2 else b"NULL"))
    time.sleep(0.2)
    for raw in waiting:
        raw.close()
