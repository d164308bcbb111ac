"""The firmware core of a chip."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tsu_emu.config.base import Table


class Core(Table):
    """A RISC-V core that executes an image; without one the boot firmware is behavioural.

    image : path of an ELF file, from the directory that the chip is started in; "": no core
    rom_words, ram_words : 32-bit words of its memories
    """

    image: str = ""
    rom_words: Annotated[int, Field(ge=1, le=1 << 20)] = 16384
    ram_words: Annotated[int, Field(ge=1, le=1 << 20)] = 16384
