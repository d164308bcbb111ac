"""The example and the code table of docs/protocol.md against the codec."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from tsu_contract.errors import Code, Failure
from tsu_contract.operations import RECORD, Op
from tsu_contract.registers import REGISTERS, WINDOWS
from tsu_contract.wire import Interrupt, Kind, Reply, Request, encode_reply, encode_request

PAGE = Path(__file__).parents[2].joinpath("docs/protocol.md").read_text(encoding="utf-8")
TDAC, BIAS = REGISTERS["TEMP.TDAC"].address, WINDOWS["BIAS"].address
CODES = np.array([5, -1], "<i2").tobytes()
RECORDS = np.array([(Op.WRITE, 0, 0, TDAC, 64, 0, 0), (Op.BLKWR, 0, 0, BIAS, 0, 0, 1), (Op.BLKRD, 0, 0, BIAS, 0, 0, 1)], RECORD)
REFUSED = Failure(Code.OUT_OF_RANGE, "TEMP.TDAC.CODE = 0; 1 to 255 expected", 0, TDAC, "TEMP.TDAC.CODE")


def example(kind: str, number: int) -> list[bytes]:
    """Frames of the page's example."""
    block = re.findall(rf"```{kind}\n(.*?)```", PAGE, re.S)[number]
    return [bytes.fromhex(frame) for frame in re.split(r"(?m)^\d+:", block)[1:]]


@pytest.mark.parametrize(
    ("shown", "frames"),
    [
        (example("request", 0), encode_request(Request(Kind.OPERATE, 1, 2, RECORDS, (CODES,)))),
        (
            example("reply", 0),
            encode_reply(
                Reply(
                    Kind.OPERATE,
                    1,
                    2,
                    executed=3,
                    t_start=1000,
                    t_end=1060,
                    interrupts=(Interrupt(7, 990, 1),),
                    values=np.zeros(3, np.uint32),
                    data=(CODES,),
                )
            ),
        ),
        (example("reply", 1), encode_reply(Reply(Kind.OPERATE, 1, 2, REFUSED, t_start=1000, t_end=1000))),
    ],
    ids=["request", "reply", "refusal"],
)
def test_example(shown: list[bytes], frames: list[bytes]) -> None:
    assert shown == [bytes(f) for f in frames]


def test_every_code_is_listed() -> None:
    rows = re.findall(r"(?m)^\| (\d+) \| `(\w+)` \| (\S+) \|", PAGE)
    assert rows == [(str(c.value), c.name, c.layer.value if c.value else "-") for c in Code]
