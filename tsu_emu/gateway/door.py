"""One door: a ROUTER to the network, and a DEALER to the engine for each peer, so that each gets its own replies alone."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import zmq

from tsu_contract.errors import Code, ProtocolError, fail
from tsu_contract.wire import FRAMES_MAX, Frame
from tsu_emu.gateway.rules import Rules, User
from tsu_emu.gateway.zap import DOMAIN

PEERS_MAX = 256
"""Peers that have a connection to the engine; one more closes that of the peer that has been silent longest."""
IDLE_S = 60.0
"""A peer to whom no reply is owed loses its connection after so long a silence: ZeroMQ does not tell who has gone."""
QUEUED = 64
"""Messages that may wait for a peer or for the engine."""
QUEUED_UNREAD = 4
"""Requests of one peer that the gateway takes in before the last is handed on."""
HANDSHAKE_MS = 3000
"""How long a connection may take to say who it is."""
MESSAGES_A_TURN = 16
SOCKET_BYTES = 1 << 20
CHOSEN_BY_US = 0
"""First byte of a routing id that the ROUTER chose. One that a peer chose could be another's, who would get its replies."""

Socket = zmq.Socket[bytes]


@dataclass(frozen=True)
class Curve:
    """The gateway's key pair, in Z85."""

    public: bytes
    secret: bytes


@dataclass
class Peer:
    """A connection of a client, and its DEALER.

    sessions : opened on it and not over; heard : when it sent last, monotonic; asked, answered : messages either way
    """

    routing_id: bytes
    user: User
    socket: Socket
    sessions: set[int] = field(default_factory=set)
    heard: float = 0.0
    asked: int = 0
    answered: int = 0


class Door:
    """One door of a gateway.

    fd : a socket that listens already; to : endpoint of the engine's door; curve : None serves without encryption
    payload_bytes : of one frame, at most; rules : what passes; who : the user of a key, None if it is not let in
    cut : called with the header of a reply that its client did not take
    """

    def __init__(
        self, context: zmq.Context[Socket], fd: int, to: str, curve: Curve | None, payload_bytes: int, rules: Rules,
        who: Callable[[bytes], User | None], cut: Callable[[bytes], None], poller: zmq.Poller,
    ) -> None:  # fmt: skip
        self._context, self._to, self._rules, self._who, self._cut, self._poller = context, to, rules, who, cut, poller
        self._curve, self._payload_bytes = curve, payload_bytes
        self._peers: OrderedDict[bytes, Peer] = OrderedDict()
        self._by_socket: dict[Socket, Peer] = {}
        self.front = self._listening(fd)
        poller.register(self.front, zmq.POLLIN)

    def _listening(self, fd: int) -> Socket:
        front: Socket = self._context.socket(zmq.ROUTER)
        options: tuple[tuple[Any, int], ...] = (
            (zmq.USE_FD, fd), (zmq.LINGER, 500), (zmq.MAXMSGSIZE, self._payload_bytes), (zmq.ROUTER_HANDOVER, 0),
            (zmq.ROUTER_MANDATORY, 1), (zmq.SNDHWM, QUEUED), (zmq.RCVHWM, QUEUED_UNREAD), (zmq.HANDSHAKE_IVL, HANDSHAKE_MS),
            (zmq.SNDBUF, SOCKET_BYTES), (zmq.RCVBUF, SOCKET_BYTES), (zmq.TCP_KEEPALIVE, 1),
        )  # fmt: skip
        for option, value in options:
            front.setsockopt(option, value)
        if self._curve is not None:
            front.setsockopt(zmq.CURVE_SERVER, 1)
            front.setsockopt(zmq.CURVE_PUBLICKEY, self._curve.public)
            front.setsockopt(zmq.CURVE_SECRETKEY, self._curve.secret)
            front.setsockopt(zmq.ZAP_DOMAIN, DOMAIN)
            front.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)
        front.bind("tcp://127.0.0.1:*")  # the address is not looked at: the socket listens already
        return front

    def serve(self, socket: Socket) -> bool:
        """Takes what has come on a socket, if it is one of this door's."""
        if socket is self.front:
            for _ in range(MESSAGES_A_TURN):
                if not int(self.front.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
                    break
                self._from_client()
            return True
        peer = self._by_socket.get(socket)
        if peer is None:
            return False
        for _ in range(MESSAGES_A_TURN):
            if peer.socket.closed or not int(peer.socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
                break
            self._from_engine(peer)
        return True

    def tidy(self) -> None:
        """Lets go of peers that have been silent. One that gets more than it asks for has a subscription, and stays."""
        before = time.monotonic() - IDLE_S
        for peer in list(self._peers.values()):
            if peer.heard < before and peer.asked == peer.answered:
                self._drop(peer)

    def _from_client(self) -> None:
        """One message: to the engine, or back with what is wrong with it."""
        routing_id, frames = self._received()
        user = self._who(_key(frames))
        buffers: list[Frame] = [frame.bytes if k == 0 else frame.buffer for k, frame in enumerate(frames)]
        try:
            if routing_id[0] != CHOSEN_BY_US:
                raise fail(Code.FORBIDDEN, "a routing id of your own could be another client's; leave it to the gateway")
            if user is None:
                raise fail(Code.FORBIDDEN, "this key is no longer let in")
            passed = self._rules.admit(user, buffers)
            self._hand_on(self._peer(routing_id, user), [new or frame for new, frame in zip(passed, frames, strict=True)])
        except ProtocolError as error:
            self._to_client(routing_id, self._rules.refusal(buffers, error))

    def _received(self) -> tuple[bytes, list[zmq.Frame]]:
        """Routing id and frames of a message; of one with too many frames a few too many, so that it is refused as such."""
        routing_id = self.front.recv()
        frames: list[zmq.Frame] = []
        while self.front.getsockopt(zmq.RCVMORE):
            frame = self.front.recv(copy=False)
            if len(frames) <= FRAMES_MAX:
                frames.append(frame)
        return routing_id, frames

    def _peer(self, routing_id: bytes, user: User) -> Peer:
        """The peer of a connection, with a DEALER of its own."""
        peer = self._peers.get(routing_id)
        if peer is not None and peer.user == user:
            self._peers.move_to_end(routing_id)
            return peer
        if peer is not None:
            self._drop(peer)
        if len(self._peers) >= PEERS_MAX:
            self._drop(next(iter(self._peers.values())))
        try:
            socket: Socket = self._context.socket(zmq.DEALER)
        except zmq.ZMQError as error:
            raise fail(Code.BUSY, f"the gateway has no room for another client: {error}") from None
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.SNDHWM, QUEUED)
        socket.setsockopt(zmq.RCVHWM, QUEUED)
        socket.connect(self._to)
        peer = self._peers[routing_id] = self._by_socket[socket] = Peer(routing_id, user, socket)
        self._poller.register(socket, zmq.POLLIN)
        return peer

    @staticmethod
    def _hand_on(peer: Peer, frames: Sequence[Frame | zmq.Frame]) -> None:
        try:
            peer.socket.send_multipart(frames, zmq.NOBLOCK, copy=False)
        except zmq.Again:
            raise fail(Code.BUSY, f"{QUEUED} requests wait for the engine already; ask again") from None
        peer.asked, peer.heard = peer.asked + 1, time.monotonic()

    def _from_engine(self, peer: Peer) -> None:
        header, *frames = peer.socket.recv_multipart(copy=False)
        peer.answered += 1
        had_sessions = bool(peer.sessions)
        told = self._rules.returned(peer.user, header.bytes, peer.sessions)
        unread = not self._to_client(peer.routing_id, [told, *frames])
        if unread:
            self._cut(told)
        if unread or (had_sessions and not peer.sessions):
            self._drop(peer)

    def _to_client(self, routing_id: bytes, frames: Sequence[Frame | zmq.Frame]) -> bool:
        """Whether a reply is on its way: the client is still there, and reads."""
        try:
            self.front.send_multipart([routing_id, *frames], zmq.NOBLOCK, copy=False)
        except zmq.ZMQError as error:
            return error.errno == zmq.EHOSTUNREACH
        return True

    def _drop(self, peer: Peer) -> None:
        """Lets go of a peer's connection to the engine; its sessions stay."""
        self._poller.unregister(peer.socket)
        del self._peers[peer.routing_id], self._by_socket[peer.socket]
        peer.socket.close()

    def close(self) -> None:
        """Closes the door; replies that are on their way still go."""
        for peer in list(self._peers.values()):
            self._drop(peer)
        self.front.close()


def _key(frames: Sequence[zmq.Frame]) -> bytes:
    """The key that sent a message, in Z85; nothing without encryption. The handshake has proved it."""
    try:
        return str(frames[0].get("User-Id")).encode() if frames else b""
    except zmq.ZMQError:
        return b""
