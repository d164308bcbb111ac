"""Images of calibrations: read as written, refused with a reason, in files, in the chip's memory, at opening."""

from __future__ import annotations

import struct
import zlib
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

import tsu_driver as tsu
from driver.calibrating import CELLS, NOMINAL, some
from driver.fake import FakeChip, FakeDaemon, FakeLink
from tsu_driver import opening
from tsu_driver.calibration import CHECK, HEADER, Calibration


def resealed(image: bytes, at: int, packed: bytes) -> bytes:
    """With other bytes somewhere, and a check sum that is right."""
    body = bytearray(image[: -CHECK.size])
    body[at : at + len(packed)] = packed
    return bytes(body) + CHECK.pack(zlib.crc32(body))


def test_an_image_is_read_as_it_was_written() -> None:
    """Exactly, but for errors of couplers: gains to 2^-11 of their deviation from 1, offsets to 2^-11, as 16-bit floats are."""
    given = some()
    read = Calibration.decode(given.encode() + b"anything")
    for f in fields(Calibration):
        want, got = getattr(given, f.name), getattr(read, f.name)
        if f.name.startswith("coupler"):
            middle = np.float32(f.name == "coupler_gain")
            assert np.all(abs(got - want) <= abs(want - middle) * 2.0**-11 + 2.0**-23)
            assert not np.array_equal(got, np.full_like(got, middle))
        else:
            assert np.array_equal(got, want)
        if isinstance(want, np.ndarray):
            assert (got.dtype, got.shape, got.flags.writeable) == (want.dtype, want.shape, True)
    assert read.encode() == given.encode()


def test_an_image_of_a_chip_without_trims_and_with_converters() -> None:
    given = NOMINAL.but(
        offset_trims=np.empty(0, np.int16), slope_trims=np.empty(0, np.int16), adc_trims=np.array([[1, -2], [3, -64]], np.int16)
    )
    read = Calibration.decode(given.encode())
    assert read.adc_trims.tolist() == [[1, -2], [3, -64]]
    assert (read.offset_trims.shape, read.slope_trims.shape, len(read.good)) == ((0,), (0,), CELLS)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (b"", "no calibration: it does not begin as one does"),
        (some().encode()[: HEADER.size - 1], "no calibration: it does not begin as one does"),
        (b"X" + some().encode()[1:], "no calibration: it does not begin as one does"),
        (resealed(some().encode(), 8, struct.pack("<H", 2)), "a calibration of version 2; version 1 is expected"),
        (some().encode()[:-1], "a calibration that was cut: 229 bytes of 230"),
        (resealed(some().encode(), 12, struct.pack("<I", 100)), "a calibration that was cut: 230 bytes of 100"),
        (resealed(some().encode(), 32, struct.pack("<I", 8)), "a calibration that was cut: 230 bytes of 230"),
        (some().encode()[:-1] + b"\0", "a calibration whose check sum is wrong"),
        (some().encode()[:100] + b"\x55" + some().encode()[101:], "a calibration whose check sum is wrong"),
    ],
    ids=["empty", "short", "magic", "version", "cut", "size", "cells", "sum", "body"],
)
def test_images_that_are_none_say_why(image: bytes, message: str) -> None:
    with pytest.raises(tsu.HostError) as raised:
        Calibration.decode(image)
    assert str(raised.value) == message


def test_every_bit_of_an_image_counts() -> None:
    image = some().encode()
    for k in range(len(image)):
        with pytest.raises(tsu.HostError):
            Calibration.decode(image[:k] + bytes([image[k] ^ 1 << k % 8]) + image[k + 1 :])


def test_files_are_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "chip.tsucal"
    some(1).save(path)
    some(2).save(path)
    assert Calibration.load(str(path)).encode() == some(2).encode()
    with monkeypatch.context() as broken:

        def half(self: Path, data: bytes) -> int:
            with self.open("wb") as file:
                file.write(data[: len(data) // 2])
            raise OSError("no space left")

        broken.setattr(Path, "write_bytes", half)
        with pytest.raises(OSError, match="no space left"):
            some(3).save(path)
    assert Calibration.load(path).encode() == some(2).encode()
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(tsu.HostError, match=rf"{path}x: .*No such file"):
        Calibration.load(f"{path}x")
    path.write_bytes(b"nothing")
    with pytest.raises(tsu.HostError, match=rf"{path}: no calibration: it does not begin"):
        Calibration.load(path)


# Memory


def test_the_chips_memory_keeps_a_calibration(link: FakeLink, chip: tsu.Chip) -> None:
    assert chip.stored_calibration() is None
    chip.store_calibration(some())
    read = chip.stored_calibration()
    assert read is not None
    assert read.encode() == some().encode()
    rows = np.column_stack([np.arange(5), np.ones((5, 2), int)]).astype(np.uint32)
    with pytest.raises(tsu.HostError, match="the calibration takes 67 words; the chip's memory has 64"):
        chip.store_calibration(some().but(stuck=rows))
    assert chip.stored_calibration() is not None, "what is too large does not overwrite"
    chip.store_calibration(some().but(stuck=rows[:4]))
    kept = chip.stored_calibration()
    assert kept is not None
    assert len(kept.stuck) == 4

    link.chip.windows["NVM"][30] ^= 1
    with pytest.raises(tsu.HostError, match="check sum is wrong"):
        chip.stored_calibration()
    for size in (0, 1, 255, 1 << 31):
        link.chip.windows["NVM"][3] = size
        with pytest.raises(tsu.HostError, match=r"a calibration that was cut: \d+ bytes of"):
            chip.stored_calibration()
    link.chip.windows["NVM"][0] = 0
    assert chip.stored_calibration() is None


# Opening


def test_opening_with_a_calibration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An object, a file, or the chip's memory; whatever is wrong, the chip is closed, and with it a private emulator."""
    closed: list[str] = []
    fake = FakeChip()

    def connect(url: str, timeout_s: float, map: object) -> tsu.Chip:
        return tsu.Chip(FakeLink(FakeDaemon(fake)), timeout_s=timeout_s, closed=lambda: closed.append(url))

    monkeypatch.setattr(opening, "_open", connect)
    path = tmp_path / "chip.tsucal"
    some().save(path)
    with pytest.raises(tsu.HostError, match="the chip's memory holds no calibration"):
        tsu.open("emu:x", calibration="nvm")
    assert closed == ["emu:x"]
    with tsu.open("emu:x") as chip:
        assert chip.calibration is None
        chip.store_calibration(some())
    for given in (some(), path, str(path), "nvm"):
        fake.windows["TRIM_OFFSET"][:] = 0
        with tsu.open("emu:x", calibration=given) as chip:
            assert chip.calibration is not None
            assert chip.calibration.encode() == some().encode()
            assert np.array_equal(fake.windows["TRIM_OFFSET"], some().offset_trims)
    some().but(serial=5).save(path)
    closed.clear()
    with pytest.raises(tsu.HostError, match="is of chip 0000000000000005"):
        tsu.open("emu:x", calibration=path)
    with pytest.raises(tsu.HostError, match="No such file"):
        tsu.open("emu:x", calibration=tmp_path / "none")
    assert closed == ["emu:x"], "a file that cannot be read is found before a chip is started"
