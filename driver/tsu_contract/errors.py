"""What can go wrong on the way to the chip, and whose fault it is: the layer, a code, a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Layer(StrEnum):
    """Where a request failed."""

    TRANSPORT = "transport"
    """The bytes are no message of this protocol."""
    SESSION = "session"
    """The message is well formed but does not fit the session."""
    BUS = "bus"
    """An operation names something that the chip does not have or may not do."""
    DEVICE = "device"
    """The chip refused or did not get there in time."""


class Code(IntEnum):
    """Reply status; 0 is success. The hundreds digit gives the layer."""

    OK = 0
    BAD_FRAMES = 100
    BAD_HEADER = 101
    BAD_VERSION = 102
    TOO_LARGE = 103
    UNKNOWN_SESSION = 200
    BAD_SEQUENCE = 201
    SEQUENCE_EVICTED = 202
    MAP_MISMATCH = 203
    BUSY = 204
    LEASED = 205
    FORBIDDEN = 206
    SESSION_CUT = 207
    NOT_KEPT = 208
    BAD_OPERATION = 300
    BAD_CHIP = 301
    UNMAPPED = 302
    MISALIGNED = 303
    READ_ONLY = 304
    WRITE_ONLY = 305
    RESERVED_BITS = 306
    OUT_OF_RANGE = 307
    SPLIT_FIELD = 308
    BAD_PAYLOAD = 309
    UNPOPULATED = 310
    FREE_RUNNING = 311
    WAIT_TIMEOUT = 400
    BUS_ERROR = 401

    @property
    def layer(self) -> Layer:
        return (Layer.TRANSPORT, Layer.SESSION, Layer.BUS, Layer.DEVICE)[self.value // 100 - 1]


@dataclass(frozen=True)
class Failure:
    """Why a request failed. `index` is the operation, `address` and `field` what it named, where there is one."""

    code: Code
    message: str
    index: int | None = None
    address: int | None = None
    field: str | None = None

    @property
    def layer(self) -> Layer:
        return self.code.layer


class ProtocolError(Exception):
    """A failure on its way up; carries the `Failure`."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def fail(
    code: Code, message: str, index: int | None = None, address: int | None = None, field: str | None = None
) -> ProtocolError:
    """The exception for a failure, to be raised by the caller."""
    return ProtocolError(Failure(code, message, index, address, field))
