"""`tsu-emu oracle`: what is asked of the oracle's door from a shell."""

from __future__ import annotations

from typing import Annotated

import typer

from tsu_emu.commands.ending import failed


def oracle(
    url: Annotated[
        str, typer.Argument(help="Where the oracle's door is: ipc://PATH, tcp://127.0.0.1:PORT, or tcp+curve://... of a gateway.")
    ],
    verb: Annotated[
        str, typer.Argument(help="identify, list, inject, clear, upset, truth, digest, snapshot, restore or snapshots.")
    ],
    values: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="What the verb is told; docs/bench.md has them all.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, arrays whole.")] = False,
    timeout: Annotated[float, typer.Option(min=0.0, help="Seconds that a reply may take.")] = 30.0,
) -> None:
    """Ask the oracle of an emulated chip: faults, ground truth, digest of the state.

    Numbers may be hexadecimal (0x10); an address may be a register's name.

    Examples: inject kind=stuck-cell cell=3 at=up; upset address=TEMP.TDAC bits=0x10; truth name=offset; clear fault=0
    """
    import json

    from tsu_contract.bench import fault_of
    from tsu_emu.bench.client import Oracle, OracleError
    from tsu_emu.commands.dialling import dial

    try:
        body = dict(_pair(text) for text in values or ())
        with Oracle(url, timeout, dial) as asked:
            reply = asked.ask(verb, **body)
    except OracleError as error:
        raise failed(str(error)) from None
    arrays = {k: [fault_of(row) for row in a] if k == "faults" else a.tolist() for k, a in reply.arrays.items()}
    if as_json:
        print(json.dumps({"cycle": reply.cycle, **reply.body, **arrays}))
        return
    if verb == "list" and not arrays["faults"]:
        print("no faults")
        return
    for key, value in reply.body.items():
        print(f"{key:<12} {value}")
    for key, array in reply.arrays.items():
        print(*(arrays[key] if key == "faults" else [f"{key} {list(array.shape)} {array.dtype}", array]), sep="\n")


def _pair(text: str) -> tuple[str, int | str]:
    """KEY=VALUE: a number if it reads as one, else text."""
    key, equals, value = text.partition("=")
    if not equals:
        raise failed(f"{text!r} is not KEY=VALUE")
    try:
        number = int(value, 0)
    except ValueError:
        return key, value
    if not -(1 << 63) <= number < 1 << 64:
        raise failed(f"{text}: a number of 64 bits expected")
    return key, number
