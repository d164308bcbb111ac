"""More attacks, after the handshake: they reach a daemon, and a gateway without keys; with keys they end before it."""

from __future__ import annotations

import random
import socket
import time

from trust.attacks_list import FLOOD, HUGE, QUIET_S, attack, each, hello, once
from trust.zmtp import COMMAND, LONG, MORE, Connect, Raw, announced, command, frame, greeting, ready


@attack
def lengths_beyond_everything(connect: Connect, rng: random.Random) -> None:
    each(connect, [announced(length, flags) + b"x" * 64 for length in HUGE for flags in (0, MORE)], shaken=True)


@attack
def long_frames_announced_and_not_sent(connect: Connect, rng: random.Random) -> None:
    waiting = [connect().shaken() for _ in range(FLOOD // 4)]
    for raw in waiting:
        raw.send(announced(60 << 20))
    time.sleep(0.2)
    for raw in waiting:
        raw.close()


@attack
def flags_that_are_reserved(connect: Connect, rng: random.Random) -> None:
    each(connect, [bytes([flags, 3]) + b"abc" for flags in (8, 16, 32, 64, 128, 0xFF, COMMAND | MORE)], shaken=True)


@attack
def cut_in_a_frame(connect: Connect, rng: random.Random) -> None:
    whole = frame(hello()[0])
    for length in range(0, len(whole), 5):
        once(connect, whole[:length], shaken=True)


@attack
def cut_in_a_message(connect: Connect, rng: random.Random) -> None:
    for count in (1, 2, 100, 5000):
        once(connect, frame(b"part", MORE) * count, shaken=True)


@attack
def messages_of_many_frames(connect: Connect, rng: random.Random) -> None:
    once(connect, frame(hello()[0], MORE) + frame(b"", MORE) * 20_000 + frame(b""), shaken=True, wait=1.0)


@attack
def unknown_commands(connect: Connect, rng: random.Random) -> None:
    names = (b"", b"FOO", b"MESSAGE", b"JOIN", b"LEAVE", b"\xff" * 200)
    each(
        connect,
        [command(name, rng.randbytes(20)) for name in names] + [frame(b"", COMMAND), frame(b"\xff", COMMAND)],
        shaken=True,
    )


@attack
def pings_of_any_form(connect: Connect, rng: random.Random) -> None:
    bodies = [b"", b"\x00", b"\x00\x01" + b"c" * 16, b"\xff\xff" + b"c" * 1000, b"\x00\x00" * 200]
    each(connect, [command(b"PING", body) * 20 + command(b"PONG", body) for body in bodies], shaken=True)


@attack
def subscriptions(connect: Connect, rng: random.Random) -> None:
    each(
        connect,
        [frame(b"\x01topic"), frame(b"\x00topic"), command(b"SUBSCRIBE", b"x" * 1000), command(b"CANCEL", b"")],
        shaken=True,
    )


@attack
def messages_that_say_nothing(connect: Connect, rng: random.Random) -> None:
    each(connect, [frame(b""), frame(b"", MORE) + frame(b""), frame(b"", LONG), frame(b"\0" * 300) * 20], shaken=True)


@attack
def replies_sent_as_requests(connect: Connect, rng: random.Random) -> None:
    raw = connect().shaken()
    raw.send(*(frame(f) for f in hello()))
    raw.send(raw.read())
    raw.ended(QUIET_S)
    raw.close()


@attack
def one_identity_many_times(connect: Connect, rng: random.Random) -> None:
    raws = [connect().shaken(identity=b"same") for _ in range(20)]
    for raw in raws:
        raw.send(*(frame(f) for f in hello()))
    for raw in raws:
        raw.ended(0.01)
        raw.close()


@attack
def identities_of_any_form(connect: Connect, rng: random.Random) -> None:
    names = [b"\0", b"\0" * 5, b"\0" + rng.randbytes(4), b"i" * 255, b"i" * 256, b"i" * 70_000]
    each(connect, [greeting() + ready(identity=name) + b"".join(frame(f) for f in hello()) for name in names])


@attack
def gone_before_the_reply(connect: Connect, rng: random.Random) -> None:
    for _ in range(30):
        raw = connect().shaken()
        raw.send(*(frame(f) for f in hello()))
        raw.reset()


@attack
def never_reads(connect: Connect, rng: random.Random) -> None:
    raw = connect().shaken()
    raw.send(frame(b"unreadable") * 3000)
    time.sleep(0.3)
    raw.reset()


@attack
def half_closed(connect: Connect, rng: random.Random) -> None:
    raw = connect().shaken()
    raw.send(frame(hello()[0]))
    raw.socket.shutdown(socket.SHUT_WR)
    raw.ended(0.2)
    raw.close()


@attack
def many_idle_connections(connect: Connect, rng: random.Random) -> None:
    raws = [connect() for _ in range(FLOOD)]
    for raw in raws[::2]:
        raw.send(greeting(), ready())
    time.sleep(0.2)
    for raw in raws:
        raw.close()


@attack
def requesters_with_an_envelope(connect: Connect, rng: random.Random) -> None:
    raw = connect().shaken(kind=b"REQ")
    raw.send(frame(b"", MORE), *(frame(f) for f in hello()))
    raw.ended(0.1)
    raw.close()


@attack
def urgent_bytes(connect: Connect, rng: random.Random) -> None:
    raw = connect()
    if raw.socket.family != socket.AF_UNIX:
        raw.socket.send(b"!", socket.MSG_OOB)
    raw.send(greeting(), ready())
    raw.close()


def endless_message(connect: Connect, data: bytes, seconds: float) -> float:
    """One message whose frames do not end; MiB that were taken before the other side ended it."""
    raw: Raw = connect().shaken()
    one = frame(data, MORE)
    part = one * ((1 << 20) // len(one))
    sent, deadline = 0, time.monotonic() + seconds
    while time.monotonic() < deadline and raw.send(part):
        sent += len(part)
    raw.close()
    return sent / (1 << 20)
