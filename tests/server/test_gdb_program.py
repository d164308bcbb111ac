"""The real debugger, driven by a script, and the command line that serves it."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from signal import SIGTERM

import pytest

from server.debugging import HANDLER, LOOP, PENDING, RAM, core_config, debugged
from server.process import Process, finished

GDB = shutil.which("gdb-multiarch")

SCRIPT = f"""
set pagination off
set confirm off
set architecture riscv:rv32
target remote ADDRESS
printf "started at %x\\n", $pc
monitor advance 200
hbreak *{LOOP:#x}
continue
delete
break *{HANDLER:#x}
set {{unsigned}}{PENDING + 8:#x} = 1
continue
x/wx {PENDING:#x}
printf "cause %x from %x\\n", $mcause, $mepc
stepi
stepi 4
printf "at %x\\n", $pc
x/wx {PENDING:#x}
set $x9 = 77
delete
break *{LOOP + 4:#x}
continue
stepi
printf "counted %d\\n", *(int*){RAM:#x}
monitor time
detach
"""


@pytest.mark.skipif(GDB is None, reason="gdb-multiarch is not installed")
def test_gdb_breaks_in_the_handler(tmp_path: Path) -> None:
    """It reads what is pending by MMIO, steps over the handler's acknowledgement, writes a register, and goes on."""
    assert GDB is not None
    script = tmp_path / "script"
    with debugged(tmp_path, wait=True) as bench:
        script.write_text(SCRIPT.replace("ADDRESS", bench.address))
        run = subprocess.run([GDB, "-nx", "-batch", "-x", str(script)], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    said = run.stdout
    assert "started at 0\n" in said
    assert f"Breakpoint 1, {LOOP:#010x}" in said
    assert f"Breakpoint 2, {HANDLER:#010x}" in said
    assert f"{PENDING:#x}:\t0x00000001" in said
    assert f"cause 8000000b from {LOOP:x}" in said
    assert f"at {HANDLER + 20:x}\n" in said
    assert f"{PENDING:#x}:\t0x00000000" in said
    assert "counted 78" in said
    assert "monitor" not in run.stderr


def test_the_command_line(tmp_path: Path) -> None:
    """The ready line says where GDB is to connect; without a core, or a port, there is nothing to wait for."""
    core_config(tmp_path)
    cells = 'name = "g"\n[fabric]\nplanes = 2\ntopology = { kind = "dense", cells = 3 }\n'
    plain, cored = tmp_path / "plain.toml", tmp_path / "cored.toml"
    plain.write_text(cells)
    cored.write_text(f'{cells}[cpu]\nimage = "{tmp_path / "image.elf"}"\nrom_words = 512\nram_words = 64\n')
    trace = tmp_path / "trace.json"
    with Process(cored, f"ipc://{tmp_path / 's'}", "--gdb", "0", "--trace", str(trace)) as daemon:
        host, port = str(daemon.ready["gdb"]).split(":")
        assert host == "127.0.0.1"
        taken = finished("serve", str(cored), "--endpoint", f"ipc://{tmp_path / 't'}", "--gdb", port)
        daemon.signal(SIGTERM)
        assert daemon.end() == 0
    assert json.loads(trace.read_text())[0]["name"] == "process_name"
    for run, message in (
        (taken, "in use"),
        (finished("serve", str(plain), "--gdb", "0"), "no firmware core"),
        (finished("serve", str(cored), "--gdb-wait"), "--gdb-wait goes with --gdb"),
        (finished("serve", str(cored), "--trace", str(tmp_path / "no" / "trace")), "--trace"),
    ):
        assert (run.returncode, message in run.stderr) == (2, True), run.stderr
