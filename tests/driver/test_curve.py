"""URLs of gateways, and files of keys that cannot be used; what is wrong is said before anything is sent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

import tsu_driver as tsu
from tsu_driver.curve import connect
from tsu_driver.instruments import Instruments

PUBLIC, SECRET = (half.decode() for half in zmq.curve_keypair())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "ann.secret", public=PUBLIC, secret=SECRET)
    write(tmp_path / "gateway.public", public=PUBLIC)
    return tmp_path


def write(path: Path, **values: object) -> None:
    path.write_text(json.dumps({"tsu-key": 1, **values}))
    path.chmod(0o600)


@pytest.fixture
def dealer() -> Iterator[zmq.Socket[bytes]]:
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        yield socket


def url(folder: Path, key: str = "ann.secret", server: str = "gateway.public") -> str:
    return f"tcp+curve://127.0.0.1:9?key={folder / key}&server={folder / server}"


def test_gateways_url_is_encrypted(folder: Path, dealer: zmq.Socket[bytes]) -> None:
    """With which keys, tests/gateway sees."""
    connect(dealer, url(folder))
    assert dealer.getsockopt(zmq.MECHANISM) == zmq.CURVE


def test_plain_url_stays_plain(dealer: zmq.Socket[bytes]) -> None:
    connect(dealer, "tcp://127.0.0.1:9")
    assert dealer.getsockopt(zmq.MECHANISM) == zmq.NULL


@pytest.mark.parametrize("query", ["", "?", "?key=a", "?server=b", "?key=a&server=b&x=1", "?key=a&key=b&server=c"])
def test_url_of_another_form_is_refused(query: str, dealer: zmq.Socket[bytes]) -> None:
    with pytest.raises(tsu.HostError, match="is not tcp\\+curve://HOST:PORT\\?key=FILE"):
        connect(dealer, f"tcp+curve://127.0.0.1:9{query}")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"tsu-key": 2}, "no file of a key, version 1"),
        ({"secret": None}, "has no secret key"),
        ({"secret": SECRET[:39]}, "has no secret key"),
        ({"public": 5}, "has no public key"),
    ],
)
def test_file_without_a_key_is_refused(folder: Path, dealer: zmq.Socket[bytes], values: dict[str, object], said: str) -> None:
    write(folder / "ann.secret", **{"public": PUBLIC, "secret": SECRET, **values})
    with pytest.raises(tsu.HostError, match=said):
        connect(dealer, url(folder))


@pytest.mark.parametrize("text", ["", "[]", "{", "\xff" * 9])
def test_file_that_is_no_json_object_is_refused(folder: Path, dealer: zmq.Socket[bytes], text: str) -> None:
    (folder / "gateway.public").write_text(text)
    with pytest.raises(tsu.HostError, match="no file of a key"):
        connect(dealer, url(folder))


def test_file_that_is_not_there_is_named(folder: Path, dealer: zmq.Socket[bytes]) -> None:
    with pytest.raises(tsu.HostError, match=r"nobody.secret is no file of a key: .*No such file"):
        connect(dealer, url(folder, key="nobody.secret"))


def test_public_file_may_be_open_and_the_secret_one_may_not(folder: Path, dealer: zmq.Socket[bytes]) -> None:
    (folder / "gateway.public").chmod(0o644)
    connect(dealer, url(folder))
    (folder / "ann.secret").chmod(0o640)
    with pytest.raises(tsu.HostError, match="a secret that others may read"):
        connect(dealer, url(folder))


def test_open_and_instruments_let_go_of_their_sockets_when_a_url_is_wrong(folder: Path) -> None:
    for make in (tsu.open, Instruments):
        with pytest.raises(tsu.HostError):
            make(url(folder, key="nobody.secret"))


def test_gateway_that_does_not_answer_is_told_with_what_may_be_wrong(folder: Path) -> None:
    with pytest.raises(tsu.LinkTimeout, match="does it let this key in"):
        tsu.open(url(folder), timeout_s=0.2)
