"""Files of keys: who may read them, what they are called, and that a file that is not right lets nobody in."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

import tsu_driver as tsu
from server.process import finished
from tsu_driver.curve import connect
from tsu_emu.gateway import keys
from tsu_emu.gateway.keys import KeysError, Role


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A directory with a key, made under the most open mask."""
    mask = os.umask(0)
    try:
        keys.make(tmp_path / "k", "ann", Role.OPERATOR)
        yield tmp_path / "k"
    finally:
        os.umask(mask)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_files_are_for_their_owner_alone_whatever_the_mask(folder: Path) -> None:
    assert mode(folder) == 0o700
    assert {p.name: mode(p) for p in folder.iterdir()} == {
        f"{name}.{half}": 0o600 for name in ("ann", "gateway") for half in ("public", "secret")
    }


def test_public_files_have_no_secret(folder: Path) -> None:
    for name in ("ann", "gateway"):
        secret = json.loads((folder / f"{name}.secret").read_text())["secret"]
        assert secret not in (folder / f"{name}.public").read_text()


def test_keys_are_told_with_their_roles_and_the_gateways_own_is_none_of_them(folder: Path) -> None:
    keys.make(folder, "Bob-2_x", Role.OBSERVER)
    found, wrong = keys.read(folder)
    assert wrong == []
    assert [(k.name, k.role) for k in found] == [("Bob-2_x", Role.OBSERVER), ("ann", Role.OPERATOR)]
    pair = keys.own(folder)
    assert zmq.curve_public(pair.secret) == pair.public
    assert pair.public not in {k.public for k in found}


def test_no_key_is_written_over(folder: Path) -> None:
    before = {p: p.read_bytes() for p in folder.iterdir()}
    with pytest.raises(KeysError, match="has a key ann already"):
        keys.make(folder, "ann", Role.BENCH)
    (folder / "bob.secret").write_text("of another time")
    with pytest.raises(KeysError, match=r"bob.secret exists already"):
        keys.make(folder, "bob", Role.BENCH)
    assert {p: p.read_bytes() for p in folder.iterdir() if p.name != "bob.secret"} == before


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "a/b", "../ann", "a.b", "-a", "a b", "a\n", "a\0", "ä", "x" * 65, "gateway.secret", "~", "*", "a\\b", "/etc"],
)
def test_odd_names_are_refused(folder: Path, name: str) -> None:
    before = sorted(folder.parent.rglob("*"))
    for act in (lambda: keys.make(folder, name, Role.BENCH), lambda: keys.revoke(folder, name)):
        with pytest.raises(KeysError, match="is no name for a key"):
            act()
    assert sorted(folder.parent.rglob("*")) == before


def test_name_of_the_gateway_is_taken(folder: Path) -> None:
    with pytest.raises(KeysError, match="the gateway's own key"):
        keys.make(folder, "gateway", Role.BENCH)
    with pytest.raises(KeysError, match="is not revoked"):
        keys.revoke(folder, "gateway")


def test_revoked_key_is_gone_with_its_secret(folder: Path) -> None:
    keys.revoke(folder, "ann")
    assert keys.read(folder) == ([], [])
    assert not (folder / "ann.secret").exists()
    with pytest.raises(KeysError, match="has no key ann"):
        keys.revoke(folder, "ann")


@pytest.mark.parametrize("bits", [0o710, 0o750, 0o705, 0o702, 0o770])
def test_directory_that_others_may_enter_is_refused(folder: Path, bits: int) -> None:
    folder.chmod(bits)
    for act in (lambda: keys.read(folder), lambda: keys.own(folder), lambda: keys.make(folder, "x", Role.BENCH)):
        with pytest.raises(KeysError, match="is open to others"):
            act()


@pytest.mark.parametrize("bits", [0o640, 0o604, 0o610, 0o602])
def test_secret_that_others_may_read_is_refused(folder: Path, bits: int) -> None:
    (folder / "gateway.secret").chmod(bits)
    with pytest.raises(KeysError, match=r"gateway.secret is open to others"):
        keys.own(folder)
    (folder / "ann.secret").chmod(bits)
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket, pytest.raises(tsu.HostError, match="others may read"):
        connect(socket, f"tcp+curve://127.0.0.1:1?key={folder}/ann.secret&server={folder}/gateway.public")


def test_link_in_the_place_of_a_directory_or_file_is_not_followed(folder: Path) -> None:
    (folder.parent / "link").symlink_to(folder)
    with pytest.raises(KeysError):
        keys.read(folder.parent / "link")
    moved = folder.parent / "elsewhere.public"
    (folder / "ann.public").rename(moved)
    (folder / "ann.public").symlink_to(moved)
    found, wrong = keys.read(folder)
    assert found == []
    assert len(wrong) == 1


def _changed(**values: object) -> str:
    return json.dumps({"tsu-key": 1, "name": "bad", "role": "operator", "public": "x" * 40} | values)


@pytest.mark.parametrize(
    "text",
    ["", "null", "[]", "{", "[" * 4000, "x" * 5000]
    + [_changed(name="ann"), _changed(name=None), _changed(role="root"), _changed(role=None), _changed(**{"tsu-key": 2})]
    + [_changed(public=public) for public in ("x" * 39, "x" * 41, " " * 40, None)],
)
def test_file_that_is_not_right_lets_nobody_in_and_others_still_count(folder: Path, text: str) -> None:
    (folder / "bad.public").write_text(text)
    (folder / "bad.public").chmod(0o600)
    found, wrong = keys.read(folder)
    assert [k.name for k in found] == ["ann"]
    assert len(wrong) == 1
    assert "bad.public" in wrong[0]


def test_good_file_of_that_form_counts(folder: Path) -> None:
    """What the cases above would be without their fault."""
    (folder / "bad.public").write_text(_changed())
    (folder / "bad.public").chmod(0o600)
    assert [k.name for k in keys.read(folder)[0]] == ["ann", "bad"]


def test_pipe_directory_and_copy_of_a_key_are_wrong(folder: Path) -> None:
    os.mkfifo(folder / "pipe.public", 0o600)
    (folder / "sub.public").mkdir()
    values = json.loads((folder / "ann.public").read_text()) | {"name": "twin", "role": "bench"}
    (folder / "twin.public").write_text(json.dumps(values))
    (folder / "twin.public").chmod(0o600)
    found, wrong = keys.read(folder)
    assert [(k.name, k.role) for k in found] == [("ann", Role.OPERATOR)]
    assert len(wrong) == 3


def test_command_line_makes_lists_and_revokes(tmp_path: Path) -> None:
    at = ("--dir", str(tmp_path / "k"))
    made = finished("keys", "make", "ann", "--role", "bench", *at)
    assert made.returncode == 0
    assert str(tmp_path / "k" / "ann.secret") in made.stdout
    listed = json.loads(finished("keys", "list", "--json", *at).stdout)
    assert [(k["name"], k["role"]) for k in listed["keys"]] == [("ann", "bench")]
    assert finished("keys", "make", "x", "--role", "root", *at).returncode == 2
    assert finished("keys", "revoke", "nobody", *at).returncode == 2
    assert finished("keys", "revoke", "ann", *at).stdout == "ann is let in no more\n"
    assert finished("keys", "list", *at).stdout == "no keys\n"
