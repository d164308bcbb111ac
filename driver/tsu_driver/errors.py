"""What the driver raises: the link failed, the host asked for something wrong, or the chip did not do it."""

from __future__ import annotations

from tsu_contract.errors import Code, Failure, Layer


class TsuError(Exception):
    """Base of everything that the driver raises on purpose.

    code : reply status of the daemon, None if the driver found the error itself
    index : number of the operation in its batch, None if it is none in particular
    address : byte address that the operation named, or None
    field : path of the field that the operation named, such as TEMP.TDAC.CODE, or None
    """

    def __init__(
        self,
        message: str,
        *,
        code: Code | None = None,
        index: int | None = None,
        address: int | None = None,
        field: str | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.index = index
        self.address = address
        self.field = field


class LinkError(TsuError):
    """The transport or the session failed: no daemon, wrong version, wrong register map, a lost session."""


class LinkTimeout(LinkError):
    """No reply in time. The request may still be carried out; executing the same batch again collects its reply."""


class HostError(TsuError):
    """The host asked for something that does not exist or is not allowed. Nothing of the batch was carried out."""


class StaleSamples(HostError):
    """Samples were drawn under other weights than the chip holds now. Unlike other HostErrors, it comes after the look.

    drawn, held : weight versions of the samples and of the chip, as LEARN.VERSION counts them
    """

    def __init__(self, message: str, *, drawn: int, held: int) -> None:
        super().__init__(message)
        self.drawn = drawn
        self.held = held


class ChipFault(TsuError):
    """The chip refused, faulted or did not get there in time.

    instruction : index of the sequencer instruction concerned, or None
    cause : label of SEQ.STATUS.FAULT, SEQ.STATUS.STATE or SYS.BOOT.STAGE that says why, or None
    """

    def __init__(
        self,
        message: str,
        *,
        instruction: int | None = None,
        cause: str | None = None,
        code: Code | None = None,
        index: int | None = None,
        address: int | None = None,
        field: str | None = None,
    ) -> None:
        super().__init__(message, code=code, index=index, address=address, field=field)
        self.instruction = instruction
        self.cause = cause


_CLASSES: dict[Layer, type[LinkError] | type[HostError] | type[ChipFault]] = {
    Layer.TRANSPORT: LinkError,
    Layer.SESSION: LinkError,
    Layer.BUS: HostError,
    Layer.DEVICE: ChipFault,
}


def error_of(failure: Failure) -> TsuError:
    """The exception for a failure that the daemon reports, to be raised by the caller."""
    where = "" if failure.index is None else f" (operation {failure.index})"
    return _CLASSES[failure.layer](
        f"{failure.message}{where} [{failure.code.name}]",
        code=failure.code,
        index=failure.index,
        address=failure.address,
        field=failure.field,
    )
