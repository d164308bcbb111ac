"""What a calibration of a chip is, as an image of bytes: for files, and for the chip's non-volatile memory."""

from __future__ import annotations

import os
import struct
import zlib
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tsu_contract.capabilities import Capabilities
from tsu_driver.errors import HostError

MAGIC, VERSION = b"TSUCAL\r\n", 1
HEADER = struct.Struct("<8sHHIQQIIIIIdd")
"""Magic, version, 0, bytes in all, serial, chip time, cells, couplers, converters, trims (1 or 0), couplers with stuck bits, gain
and offset of T."""
CHECK = struct.Struct("<I")
"""CRC-32 of everything before."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """A chip's trims, the errors that its codes make up for, and the cells that work.

    serial : of the chip; date_cycles : chip time at which it was made, in cycles since that power-on
    offset_trims, slope_trims : (cells,) int16 codes, or (0,) on a chip without trims
    adc_trims : (converters, 2) int16 codes of offset and gain
    temperature : (gain, offset): a nominal T of t gives a noise temperature of gain t + offset
    coupler_gain, coupler_offset : (couplers,) float32: a coupler set to v kT gives gain v + offset kT at T = 1
    stuck : (m, 3) uint32 rows (coupler, mask, value): bits of its code that are stuck, as an unsigned number, and where
    good : (cells,) bool, cells that work
    """

    serial: int
    date_cycles: int
    offset_trims: NDArray[np.int16]
    slope_trims: NDArray[np.int16]
    adc_trims: NDArray[np.int16]
    temperature: tuple[float, float]
    coupler_gain: NDArray[np.float32]
    coupler_offset: NDArray[np.float32]
    stuck: NDArray[np.uint32]
    good: NDArray[np.bool_]

    @classmethod
    def nominal(cls, capabilities: Capabilities) -> Self:
        """A chip as the data sheet has it: all trims 0, no errors known, all cells good."""
        trims = np.zeros(capabilities.dimension("trim_cells"), np.int16)
        couplers = capabilities.couplers
        return cls(
            serial=capabilities.serial, date_cycles=0, offset_trims=trims, slope_trims=trims.copy(),
            adc_trims=np.zeros((capabilities.adc_count, 2), np.int16), temperature=(1.0, 0.0),
            coupler_gain=np.ones(couplers, np.float32), coupler_offset=np.zeros(couplers, np.float32),
            stuck=np.zeros((0, 3), np.uint32), good=np.ones(capabilities.cells, np.bool_),
        )  # fmt: skip

    def but(self, **changes: Any) -> Self:
        """With other values of some fields."""
        return replace(self, **changes)

    def check(self, capabilities: Capabilities) -> None:
        """HostError if it is another chip's."""
        if self.serial != capabilities.serial:
            raise HostError(f"the calibration is of chip {self.serial:016x}; this one is {capabilities.serial:016x}")
        shown = len(self.good), len(self.coupler_gain), len(self.adc_trims), len(self.offset_trims)
        wanted = capabilities.cells, capabilities.couplers, capabilities.adc_count, capabilities.dimension("trim_cells")
        if shown != wanted:
            raise HostError(f"the calibration has {shown} cells, couplers, converters and trims; this chip has {wanted}")

    def encode(self) -> bytes:
        """The image. Errors of couplers are kept as 16-bit floats: a gain to 5e-4 of its deviation from 1."""
        parts = [
            self.offset_trims.astype("<i2").tobytes(), self.slope_trims.astype("<i2").tobytes(),
            self.adc_trims.astype("<i2").tobytes(), (self.coupler_gain - np.float32(1)).astype("<f2").tobytes(),
            self.coupler_offset.astype("<f2").tobytes(), self.stuck.astype("<u4").tobytes(),
            np.packbits(self.good, bitorder="little").tobytes(),
        ]  # fmt: skip
        size = HEADER.size + sum(map(len, parts)) + CHECK.size
        cells, couplers, converters = len(self.good), len(self.coupler_gain), len(self.adc_trims)
        trimmed = int(len(self.offset_trims) > 0)
        head = HEADER.pack(
            MAGIC, VERSION, 0, size, self.serial, self.date_cycles, cells, couplers, converters, trimmed, len(self.stuck),
            *self.temperature,
        )  # fmt: skip
        body = head + b"".join(parts)
        return body + CHECK.pack(zlib.crc32(body))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """From an image, which may be followed by anything; HostError says what is wrong with it."""
        if len(data) < HEADER.size or data[:8] != MAGIC:
            raise HostError("no calibration: it does not begin as one does")
        _, version, _, size, serial, date, cells, couplers, converters, trimmed, stuck, gain, offset = HEADER.unpack_from(data)
        if version != VERSION:
            raise HostError(f"a calibration of version {version}; version {VERSION} is expected")
        trims = cells if trimmed else 0
        sizes = [2 * trims, 2 * trims, 4 * converters, 2 * couplers, 2 * couplers, 12 * stuck, (cells + 7) // 8]
        if size != HEADER.size + sum(sizes) + CHECK.size or size > len(data):
            raise HostError(f"a calibration that was cut: {len(data)} bytes of {size}")
        if CHECK.unpack_from(data, size - CHECK.size)[0] != zlib.crc32(data[: size - CHECK.size]):
            raise HostError("a calibration whose check sum is wrong")
        starts = HEADER.size + np.cumsum([0, *sizes])
        a, b, c, d, e, f, g = (data[i:j] for i, j in pairwise(starts))
        return cls(
            serial=serial, date_cycles=date,
            offset_trims=np.frombuffer(a, "<i2").astype(np.int16), slope_trims=np.frombuffer(b, "<i2").astype(np.int16),
            adc_trims=np.frombuffer(c, "<i2").astype(np.int16).reshape(-1, 2), temperature=(gain, offset),
            coupler_gain=np.frombuffer(d, "<f2").astype(np.float32) + np.float32(1),
            coupler_offset=np.frombuffer(e, "<f2").astype(np.float32),
            stuck=np.frombuffer(f, "<u4").astype(np.uint32).reshape(-1, 3),
            good=np.unpackbits(np.frombuffer(g, np.uint8), count=cells, bitorder="little").astype(np.bool_),
        )  # fmt: skip

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the image to a file, whole or not at all."""
        target = Path(path)
        scratch = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            scratch.write_bytes(self.encode())
            scratch.replace(target)
        finally:
            scratch.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """From a file; HostError names it if it cannot be read or is none."""
        try:
            return cls.decode(Path(path).read_bytes())
        except OSError as error:
            raise HostError(f"{os.fspath(path)}: {error.strerror}") from None
        except HostError as error:
            raise HostError(f"{os.fspath(path)}: {error}") from None


@dataclass(frozen=True)
class Correction:
    """What of an applied calibration codes are made with.

    gain, offset : (couplers,) as in Calibration; stuck : as there; silent : (couplers,) bool, couplers whose source does not work
    temperature : as in Calibration
    """

    gain: NDArray[np.float64]
    offset: NDArray[np.float64]
    silent: NDArray[np.bool_]
    stuck: NDArray[np.uint32]
    temperature: tuple[float, float] = field(default=(1.0, 0.0))

    def settings(self, couplings: NDArray[np.float64]) -> NDArray[np.float64]:
        """(couplers,) kT to which couplers are set so that they give `couplings`; those from cells that do not work give 0."""
        wanted = np.where(self.silent, 0.0, couplings)
        return np.asarray((wanted - self.offset) / self.gain)

    def possible(self, codes: NDArray[np.int16], bits: int) -> NDArray[np.int16]:
        """(couplers,) codes, those of couplers with stuck bits being the nearest that they can have."""
        if not len(self.stuck):
            return codes
        out, middle = codes.copy(), 1 << bits - 1
        every = np.arange(1 << bits)
        for coupler, mask, value in self.stuck.tolist():
            legal = every[every & mask == value & mask]
            out[coupler] = legal[abs(legal - middle - int(codes[coupler])).argmin()] - middle
        return out
