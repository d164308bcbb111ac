"""The firmware core of a chip."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tsu_emu.config.base import Table


class Core(Table):
    """A RISC-V core that executes an image; without one firmware is behavioural.

    image : path of an ELF file, from the directory that the chip is started in; "": no core
    firmware : what behavioural firmware does: "boot", a self-test alone, or "control", commands by the mailbox as well
    rom_words, ram_words : 32-bit words of its memories
    """

    image: str = ""
    firmware: Literal["boot", "control"] = "boot"
    rom_words: Annotated[int, Field(ge=1, le=1 << 20)] = 16384
    ram_words: Annotated[int, Field(ge=1, le=1 << 20)] = 16384

    @model_validator(mode="after")
    def _one_firmware(self) -> Core:
        if self.image and self.firmware != "boot":
            raise ValueError(
                f'firmware "{self.firmware}" is behavioural, and image {self.image} takes its place; name one of them'
            )
        return self

    @property
    def served(self) -> bool:
        """Whether something is there that takes interrupts and the mailbox's words."""
        return bool(self.image) or self.firmware == "control"
