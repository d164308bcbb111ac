"""Recordings: done again all is the same, and the first thing that is not is named."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

import pytest

import tsu_driver as tsu
from server.harness import Client, block_read, delay, program_rows, read, small_config, wait, write
from server.process import SMALL, environment, finished, short_directory
from tsu_contract.bench import Request as Question
from tsu_contract.bench import encode_request as encode_question
from tsu_contract.errors import Code
from tsu_contract.program import Instruction, Opcode
from tsu_contract.registers import value_of
from tsu_contract.wire import Kind, Request, decode_reply, encode_request
from tsu_driver.daemon import Daemon
from tsu_driver.instruments import Instruments as InstrumentsClient
from tsu_emu import state as S
from tsu_emu.bench.instruments import Instruments
from tsu_emu.bench.oracle import Oracle
from tsu_emu.chip import Chip
from tsu_emu.keep.recording import Outcome, Recorder, RecordingError, read_recording, replay
from tsu_emu.keep.records import HEAD_BYTES, What, encode, head
from tsu_emu.server.session import Server

HALTED = wait("SEQ.STATUS", value_of("SEQ.STATUS.STATE", "HALTED"), 0xFF, 1_000_000)


class MemoryFile:
    """A file of a recording in memory, with room for so many bytes."""

    def __init__(self, room: int = 1 << 30) -> None:
        self.data, self.room = bytearray(), room

    def write(self, data: bytes | memoryview) -> int:
        if len(self.data) + len(data) > self.room:
            raise OSError(28, "no room")
        self.data += data
        return len(data)

    def sync(self) -> None: ...

    def truncate(self, length: int) -> None:
        del self.data[length:]

    def close(self) -> None: ...


class Handled:
    """A server whose requests are recorded."""

    def __init__(self, handle: Any) -> None:
        self.handle = handle


def taken(end: bool = True, file: Any = None) -> tuple[bytes, Chip]:
    """A recording of some life with both doors of the bench, and the chip at its end."""
    chip = Chip(small_config())
    file, server, oracle, instruments = file or MemoryFile(), Server(chip, boot="b"), Oracle(chip), Instruments(chip)
    recorder = Recorder(file, server)
    client = Client(Handled(recorder.attach(What.REQUEST, server)))  # type: ignore[arg-type]
    ask = recorder.attach(What.ORACLE, oracle)
    recorder.attach(What.INSTRUMENTS, instruments)
    program = program_rows(Instruction(Opcode.RUN, 20), Instruction(Opcode.STROBE), Instruction(Opcode.HALT))
    client.operate(write("TEMP.TDAC", 64), write("BIAS", 0x00050003), *program)
    ask(encode_question(Question("inject", 1, {"kind": "stuck-cell", "cell": 3, "at": "up"})))
    instruments.handle(encode_question(Question("ambient", 1, {"k": 310.0})))
    client.operate(write("SEQ.CTRL", 1), HALTED, block_read("SPIN", 4), read("SYS.CYCLE"))
    client.operate(delay(50), block_read("BIAS", 21))
    if end:
        recorder.close()
    return bytes(file.data), chip


def again(data: bytes, make: Any = Chip) -> Outcome:
    return replay(read_recording(data), make)


def test_the_same_again() -> None:
    data, chip = taken()
    assert again(data) == Outcome(6, True, -1, chip.link_time, "", S.digest(chip.state))


def test_chip_that_nobody_asked_anything_is_the_same_again() -> None:
    file = MemoryFile()
    Recorder(file, Server(Chip(small_config()), boot="b")).close()
    recording = read_recording(bytes(file.data))
    assert (recording.requests, recording.cut) == (0, 0)
    outcome = replay(recording, Chip)
    assert (outcome.requests, outcome.ended, outcome.what) == (0, True, "")


def test_what_clocks_decided_is_done_again_without_a_clock() -> None:
    """A lease that ends by silence, then another session's requests; those refused while it held are not recorded."""
    chip, now, file = Chip(small_config()), [0.0], MemoryFile()
    server = Server(chip, boot="b", clock=lambda: now[0])
    recorder = Recorder(file, server)
    handled = Handled(recorder.attach(What.REQUEST, server))
    holder, other = (Client(handled) for _ in range(2))  # type: ignore[arg-type]
    held = decode_reply(handled.handle(encode_request(Request(Kind.LEASE, holder.session, 1, body={"seconds": 5}))))
    refused = decode_reply(handled.handle(encode_request(Request(Kind.OPERATE, other.session, 1))))
    assert held.failure is None
    assert refused.failure is not None
    now[0] = 6.0
    other.operate(write("TEMP.TDAC", 5), delay(1000))
    recorder.close()
    outcome = replay(read_recording(bytes(file.data)), lambda config: Chip(config))
    assert (outcome.what, outcome.requests, outcome.ended) == ("", 4, True)


def test_recording_of_a_program_that_was_killed_is_replayed_as_far_as_it_goes() -> None:
    data, chip = taken(end=False)
    assert again(data) == Outcome(6, False, -1, chip.link_time, "", S.digest(chip.state))
    assert again(data[:-3])[:2] == (6, False)


def changed(data: bytes, place: int, change: Any) -> bytes:
    """The recording with another body in one of its records, sound as a file."""
    found = read_recording(data)
    segment = head(0, 0)
    chain = 0
    for k, record in enumerate(found.records):
        part, chain = encode(record._replace(body=change(record.body)) if k == place else record, chain)
        segment += part
    whole = HEAD_BYTES + sum(len(encode(r, 0)[0]) for r in found.records)
    return data[: len(data) - whole] + segment


def places(data: bytes, what: What) -> list[int]:
    return [k for k, record in enumerate(read_recording(data).records) if record.what == what]


def test_first_difference_is_named_with_request_and_chip_time() -> None:
    data, _ = taken()
    replies = places(data, What.REPLY)
    said = again(
        changed(data, replies[-2], lambda sums: (int.from_bytes(sums[:8], "little") + 7).to_bytes(8, "little") + sums[8:])
    )
    assert said.number == read_recording(data).records[replies[-2]].number
    assert said.what.startswith("chip time after it: recorded ")
    for frame, words in enumerate(("header", "values", "data of block read 1")):

        def flipped(sums: bytes, at: int = 8 + 4 * frame) -> bytes:
            return sums[:at] + bytes([sums[at] ^ 1]) + sums[at + 1 :]

        assert words in again(changed(data, replies[-1], flipped)).what
    assert again(changed(data, len(read_recording(data).records) - 1, lambda _: b"0" * 64)).what.startswith("the state after it")


@pytest.mark.parametrize("place", range(4))
def test_another_word_anywhere_in_what_was_asked_shows(place: int) -> None:
    """Power check: the check sums of replies and of the state see a change of one bit of a request that changes the chip."""
    data, _ = taken()
    at = places(data, What.REQUEST)[1]
    body = bytearray(read_recording(data).records[at].body)
    spot = body.index(bytes([3, 0, 5, 0])) + place % 2 * 2
    body[spot] ^= 4 << place // 2
    assert again(changed(data, at, lambda _: bytes(body))).what


def test_another_chip_is_refused() -> None:
    data, _ = taken()
    with pytest.raises(RecordingError, match="section"):
        again(data, lambda config: Chip(small_config(sequencer={"program_words": 32})))


def test_flipped_bits_are_refused_or_are_the_end_of_the_file() -> None:
    data, _ = taken()
    rng, records = random.Random(4), len(read_recording(data).records)
    for _ in range(1500):
        bad = bytearray(data)
        bad[rng.randrange(len(bad))] ^= 1 << rng.randrange(8)
        try:
            found = read_recording(bytes(bad))
        except RecordingError:
            continue
        assert found.cut
        assert len(found.records) < records


def test_full_disk_refuses_requests_or_ends_the_recording_as_asked() -> None:
    chip = Chip(small_config())
    server, file = Server(chip), MemoryFile()
    client = Client(Handled(Recorder(file, server).attach(What.REQUEST, server)))  # type: ignore[arg-type]
    before, file.room = S.digest(chip.state), len(file.data) + 10
    failure = client.operate(write("TEMP.TDAC", 99)).failure
    assert failure is not None
    assert (failure.code, S.digest(chip.state)) == (Code.NOT_KEPT, before)
    chip = Chip(small_config())
    server, file = Server(chip), MemoryFile()
    recorder = Recorder(file, server, insist=False)
    file.room = len(file.data) + 5000
    client = Client(Handled(recorder.attach(What.REQUEST, server)))  # type: ignore[arg-type]
    for _ in range(2000):
        client.operate(write("SYS.SCRATCH", 1))
    assert not recorder.going
    assert again(bytes(file.data)).what == ""


def test_command_records_and_replays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", environment()["PYTHONPATH"])
    with short_directory() as folder:
        config, take = folder / "small.toml", folder / "x.tsutake"
        config.write_text(SMALL)
        daemon = Daemon([sys.executable, "-m", "tsu_emu", "record", str(config), str(take), "--run-seed", "9", "--bench"])
        with tsu.open(daemon.endpoint) as chip, InstrumentsClient(daemon.doors["instruments"]) as lab:
            chip.run(100)
            lab.ambient(320.0)
            chip.run(100)
            chip.read()
        daemon.close()
        run = finished("record", str(config), str(take))
        assert (run.returncode, run.stderr) == (2, f"tsu-emu: {take} exists already; a recording is written over nothing\n")
        run = finished("replay", str(take))
        assert run.returncode == 0, run.stdout + run.stderr
        assert "all replies are the same, and so is the state at the end" in run.stdout
        told = json.loads(finished("replay", str(take), "--json").stdout)
        assert (told["same"], told["ended"], told["requests"]) == (True, True, told["recorded"])
        take.write_bytes(b"x" + take.read_bytes()[1:])
        run = finished("replay", str(take))
        assert (run.returncode, "Traceback" in run.stderr, "no recording" in run.stderr) == (2, False, True)
