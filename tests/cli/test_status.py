"""`tsu-emu status` beside a daemon."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.harness import delay, program_rows, wait, write
from server.process import SMALL, Dealer, Process, command, environment, finished, short_directory
from tsu_contract.program import Instruction, Opcode
from tsu_contract.registers import value_of
from tsu_contract.wire import Kind, Request, encode_request


@pytest.fixture(scope="module")
def served() -> Iterator[Process]:
    with short_directory() as path:
        (path / "small.toml").write_text(SMALL)
        with Process(path / "small.toml", f"ipc://{path}/chip.sock") as process:
            yield process


def test_table_tells_who_holds_the_chip_and_plain_names_are_no_markup(served: Process) -> None:
    with Dealer(served.endpoint) as dealer:
        dealer.hello()
        reply = dealer.exchange(Request(Kind.LEASE, dealer.session, 1, body={"seconds": 60}))
        assert reply.failure is None
        run = finished("status", served.endpoint)
        dealer.exchange(Request(Kind.LEASE, dealer.session, 2, body={"seconds": 0}))
    assert run.returncode == 0, run.stderr
    lines = {line.split()[0]: line for line in run.stdout.splitlines() if line.strip()}
    assert "small (pbit)" in run.stdout
    assert "plain" in lines["lease"]
    assert "nothing" in lines["under"]


def test_json_has_the_whole_body_in_the_midst_of_a_run(served: Process) -> None:
    with Dealer(served.endpoint) as dealer:
        dealer.hello()
        dealer.done(wait("SYS.BOOT", value_of("SYS.BOOT.STAGE", "READY"), 0xFF, 100_000))
        dealer.done(*program_rows(Instruction(Opcode.RUN, 0xFFFFFFFF)), write("SEQ.CTRL", 1))
        dealer.send(encode_request(dealer.request(delay(1 << 40))))
        looker = subprocess.Popen(
            command("status", served.endpoint, "--json", "--watch"), stdout=subprocess.PIPE, text=True, env=environment()
        )
        try:
            assert looker.stdout is not None
            looks = [json.loads(looker.stdout.readline()) for _ in range(2)]
        finally:
            looker.kill()
            looker.communicate()
    assert looks[0]["name"] == "small"
    assert looks[0]["busy"]["seconds"] >= 0
    assert looks[1]["busy"]["seconds"] >= looks[0]["busy"]["seconds"] + 0.9
    assert looks[1]["cycles"] > looks[0]["cycles"]


def test_nobody_there_is_said_in_one_line(tmp_path: Path) -> None:
    run = finished("status", f"ipc://{tmp_path}/nobody.sock")
    assert (run.returncode, run.stderr) == (2, f"tsu-emu: there is no socket {tmp_path}/nobody.sock\n")
    for name in ("b.sock", "a.sock"):
        (tmp_path / name).touch()
    run = finished("status", f"ipc://{tmp_path}/a.sock")
    assert run.stderr == f"tsu-emu: nobody listens at {tmp_path}/a.sock, which a daemon left that was killed\n"
    run = finished("status", f"ipc://{tmp_path}/nobody.sock")
    assert run.stderr.endswith(f"/nobody.sock; in {tmp_path} there are a.sock, b.sock\n")
    run = finished("status", "tcp://127.0.0.1:1", "--timeout", "0.2")
    assert run.returncode == 2
    assert run.stderr.startswith(
        "tsu-emu: no reply from tcp://127.0.0.1:1 within 0.2 s; is a daemon serving there, and no gateway"
    )
    assert run.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "url", ["ipc://", "foo://x", "tcp+curve://127.0.0.1:1", "tcp+curve://127.0.0.1:1?key=/none&server=/none"]
)
def test_endpoint_that_is_none_is_said_in_one_line(url: str) -> None:
    run = finished("status", url)
    assert run.returncode == 2
    assert len(run.stderr.strip().splitlines()) == 1
