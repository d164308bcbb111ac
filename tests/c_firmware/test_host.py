"""The C firmware on the host, against chips behind daemons: boot, interrupts, faults, replay, a link that loses replies."""

from __future__ import annotations

import struct
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import zmq

import tsu_driver as tsu
from c_firmware.building import built
from c_firmware.runs import answers, chip_at, ran
from tools.replay import main, read_record, replay
from tsu_contract.errors import Code, Failure
from tsu_contract.operations import Op
from tsu_contract.program import Instruction, Opcode
from tsu_contract.registers import register
from tsu_contract.wire import Kind, Reply, encode_reply
from tsu_emu.chip import Chip
from tsu_emu.config import load
from tsu_emu.server.session import Server
from tsu_firmware import BootFirmware

DROPPED_EVERY = 3


def test_boot_runs_the_self_test_and_takes_an_interrupt() -> None:
    with chip_at() as (_, endpoint):
        run = ran(endpoint, "boot", trace=True)
        assert (run.returncode, run.stdout) == (0, "boot ok 0\n")
        assert run.stderr.count("interrupt") == 1
        assert "boot: stage 2, detail 0" in run.stderr


def test_a_failed_step_is_named() -> None:
    """A chip that is busy: the program of step 5 does not come to its end."""
    with chip_at() as (_, endpoint):
        with tsu.open(endpoint) as host:
            host.start([Instruction(Opcode.LOOP, 0), Instruction(Opcode.RUN, 100), Instruction(Opcode.END)])
        run = ran(endpoint, "boot")
    assert run.returncode == 1
    assert "boot: stage 3, detail 5" in run.stderr
    assert run.stdout == "boot self-test 5\n"


def test_a_fault_is_taken_by_interrupt_and_leaves_the_chip_safe() -> None:
    """SET_T 0 is no legal instruction."""
    with chip_at() as (_, endpoint):
        with tsu.open(endpoint) as host:
            host.program_couplings(([[0, 1]], [0.5]), [0.25] * 16)
        run = ran(endpoint, "anneal 0 20", "safe", trace=True)
        with tsu.open(endpoint) as host:
            batch = host.batch()
            codes = [batch.read_window(name) for name in ("COUPLING", "BIAS")]
            batch.execute()
    assert run.returncode == 1
    fault, safe = (line.split() for line in run.stdout.splitlines())
    assert fault[:2] == ["anneal", "fault"]
    status = register("SEQ.STATUS").fields
    assert (status["STATE"].get(int(safe[2])), status["FAULT"].get(int(safe[2]))) == (4, 1)
    assert int(safe[4]) == 1, "SYS.ERROR.SEQ_FAULT"
    assert not any(c.value.any() for c in codes)


def test_commands_that_make_no_sense_are_answered() -> None:
    with chip_at() as (_, endpoint):
        run = ran(endpoint, "anneal 64", "anneal 64 1 2", "servo", "look 0", "temp")
        assert run.returncode == 1
        statuses = [line.split()[1] for line in run.stdout.splitlines()]
        assert statuses == ["arguments", "arguments", "unsupported", "arguments", "arguments"]
        assert ran(endpoint, "dance").returncode == 2
        assert ran(endpoint, "anneal x 1").returncode == 2


def test_an_anneal_takes_the_time_that_its_sweeps_take() -> None:
    with chip_at() as (_, endpoint):
        with tsu.open(endpoint) as host:
            c = host.capabilities
        sweep = c.sweep_cycles + c.colours * (c.colour_cycles + c.planes * c.slot_cycles)
        one, two = (int(a[2]) for a in answers(endpoint, "anneal 192 20 64 100", "anneal 192 20 64 200"))
    assert two - one == 100 * sweep


def test_nobody_there_and_no_record() -> None:
    program = str(built("tsu_firmware"))
    with tempfile.TemporaryDirectory() as folder:
        silent = subprocess.run(
            [program, "--timeout-ms", "50", f"ipc://{folder}/none", "boot"], capture_output=True, text=True, timeout=60
        )
        assert silent.returncode == 3
        assert "does not answer" in silent.stderr
        wrong = subprocess.run(
            [program, "--record", f"{folder}/no/where", "ipc:///tmp/x"], capture_output=True, text=True, timeout=60
        )
        assert wrong.returncode == 2
    assert subprocess.run([program], capture_output=True, timeout=60).returncode == 2


@contextmanager
def answering(endpoint: str, handle: Callable[[list[bytes]], list[bytes] | None]) -> Iterator[None]:
    """A ROUTER whose answers a function gives; None: no answer."""
    stop = threading.Event()

    def work() -> None:
        with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
            router.bind(endpoint)
            while not stop.is_set():
                if router.poll(50):
                    peer, *frames = router.recv_multipart()
                    answer = handle(list(frames))
                    if answer is not None:
                        router.send_multipart([peer, *answer])

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


LIMITS = {"operations": 65536, "frames": 4096, "payload_bytes": 1 << 28}
MISMATCH = Failure(Code.MAP_MISMATCH, "another map", None, None, None)


@pytest.mark.parametrize(
    ("answer", "exit_code", "said"),
    [
        (encode_reply(Reply(Kind.HELLO, 0, 0, MISMATCH)), 4, "code 203"),
        (
            encode_reply(Reply(Kind.HELLO, 1, 0, body={"limits": LIMITS | {"operations": 10}})),
            3,
            "takes less than 1024 operations",
        ),
        (encode_reply(Reply(Kind.HELLO, 1, 0, body={"name": "no limits"})), 3, "takes less than"),
        ([b"\x9c", b""], 3, "what is no reply"),
        ([b"alone"], 3, "what is no reply"),
    ],
)
def test_a_daemon_that_one_cannot_work_with(answer: list[bytes], exit_code: int, said: str) -> None:
    program = str(built("tsu_firmware"))
    with tempfile.TemporaryDirectory() as folder, answering(f"ipc://{folder}/it", lambda frames: answer):
        run = subprocess.run([program, f"ipc://{folder}/it", "safe"], capture_output=True, text=True, timeout=60)
    assert run.returncode == exit_code
    assert said in run.stderr


class Losing:
    """Carries out every request and loses the first reply to every third."""

    def __init__(self, server: Server) -> None:
        self.server, self.asked, self.lost = server, set[bytes](), 0

    def __call__(self, frames: list[bytes]) -> list[bytes] | None:
        reply = [bytes(f) for f in self.server.handle(list(frames))]
        first = frames[0] not in self.asked
        self.asked.add(frames[0])
        if first and len(self.asked) % DROPPED_EVERY == 0:
            self.lost += 1
            return None
        return reply


def test_lost_replies_change_nothing() -> None:
    """What is asked again is not carried out again: the answers, chip time among them, are those of a link that loses nothing."""
    program = str(built("tsu_firmware"))
    commands = ["anneal 192 20 64 100", "temp 19200 0"]
    with chip_at() as (_, endpoint):
        undisturbed = ran(endpoint, *commands).stdout
    with tempfile.TemporaryDirectory() as folder:
        chip = Chip(load("ideal-16"), BootFirmware(), threads=1)
        losing = Losing(Server(chip))
        with answering(f"ipc://{folder}/it", losing):
            line = [program, "--timeout-ms", "300", f"ipc://{folder}/it", *commands]
            run = subprocess.run(line, capture_output=True, text=True, timeout=100)
    assert run.stdout == undisturbed
    assert losing.lost > 5


@pytest.fixture(scope="module")
def failure(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The record of a run that reads noise and ends with a fault."""
    path = tmp_path_factory.mktemp("record") / "run.tsurec"
    with chip_at(cell_offset_sigma_kt=0.2) as (_, endpoint):
        run = ran(endpoint, "boot", "look 1", "anneal 0 20", record=path)
    assert run.returncode == 1
    return path


def test_a_recorded_failure_is_replayed_word_by_word(failure: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exchanges = read_record(failure)
    with chip_at(cell_offset_sigma_kt=0.2) as (_, endpoint):
        assert replay(exchanges, endpoint) is None
    with chip_at(cell_offset_sigma_kt=0.2) as (_, endpoint):
        assert main([str(failure), endpoint]) == 0
    assert "all replies are the same" in capsys.readouterr().out
    assert any(reply is not None and reply.interrupts for _, reply in exchanges)


def test_another_seed_is_noticed_where_it_first_shows(failure: Path) -> None:
    """Noise shows first in the means that the firmware reads."""
    with chip_at(cell_offset_sigma_kt=0.2, seeds_run=2) as (_, endpoint):
        difference = replay(read_record(failure), endpoint)
    assert difference is not None
    assert "BLKRD CORR_MEAN word 16" in difference


def test_a_changed_word_is_noticed_at_its_place(failure: Path) -> None:
    """One bit of the tenth read, of SYS.SCRATCH, in the record."""
    exchanges = read_record(failure)
    reads = [k for k, (r, _) in enumerate(exchanges) if len(r.records) == 2 and r.records["op"][1] == Op.READ]
    reply = exchanges[reads[9]][1]
    assert reply is not None
    reply.values = reply.values.copy()
    reply.values[1] ^= 4
    with chip_at(cell_offset_sigma_kt=0.2) as (_, endpoint):
        difference = replay(exchanges, endpoint)
    assert difference is not None
    assert difference.startswith(f"message {reads[9]}: operation 1, READ SYS.SCRATCH: recorded")


def test_a_chip_that_has_lived_is_not_fresh(failure: Path) -> None:
    with chip_at(cell_offset_sigma_kt=0.2) as (_, endpoint):
        ran(endpoint, "boot")
        difference = replay(read_record(failure), endpoint)
    assert difference is not None
    assert difference.startswith("message 1: chip time before it: recorded 0")


def test_records_that_are_cut_or_are_none(failure: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = failure.read_bytes()
    whole = read_record(failure)
    cut = tmp_path / "cut"
    cut.write_bytes(data[:-7])
    assert len(read_record(cut)) in (len(whole), len(whole) - 1)
    cut.write_bytes(b"something else")
    with pytest.raises(ValueError, match="is no record"):
        read_record(cut)
    cut.write_bytes(data[:8] + b"<" + struct.pack("<I", 0))
    assert main([str(cut), "ipc:///tmp/none"]) == 2
    assert "direction" in capsys.readouterr().err
