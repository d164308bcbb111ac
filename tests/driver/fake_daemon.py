"""A daemon with a fake chip: `fake_daemon.py MODE --endpoint E --exit-with-stdin`; MODE says how it behaves."""

from __future__ import annotations

import json
import os
import signal
import sys
import time


def say(**event: object) -> None:
    print(json.dumps(event), flush=True)


def serve(endpoint: str, slow_s: float = 0.0) -> None:
    """Answer until standard input closes. What takes long to import is imported when the first line has been said."""
    import zmq

    from driver.fake import FakeDaemon

    socket = zmq.Context.instance().socket(zmq.ROUTER)
    socket.bind(endpoint)
    daemon = FakeDaemon()
    poller = zmq.Poller()
    poller.register(socket, zmq.POLLIN)
    poller.register(sys.stdin.fileno(), zmq.POLLIN)
    say(event="ready", endpoint=endpoint, pid=os.getpid())
    while True:
        ready = dict(poller.poll())
        if sys.stdin.fileno() in ready and not os.read(sys.stdin.fileno(), 1):
            return
        if socket in ready:
            peer, *frames = socket.recv_multipart()
            if len(frames) > 1:
                time.sleep(slow_s)
            socket.send_multipart([peer, *daemon.answer(frames)])


def main() -> None:
    mode, endpoint = sys.argv[1], sys.argv[sys.argv.index("--endpoint") + 1]
    assert "--exit-with-stdin" in sys.argv
    if mode == "silent":
        sys.exit(2)
    say(event="progress", text="compiling", done=1, total=2)
    if mode == "error":
        say(event="error", message="no configuration 'nope'")
        sys.exit(2)
    if mode == "dies":
        sys.exit(3)
    if mode == "toils":
        for done in range(1, 9):
            time.sleep(0.01)
            say(event="progress", text="compiling", done=done, total=9)
        sys.exit(3)
    if mode == "hangs":
        time.sleep(60)
    if mode == "lingers":
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        say(event="ready", endpoint=endpoint, pid=os.getpid())
        time.sleep(60)
    serve(endpoint, slow_s=0.15 if mode == "slow" else 0.0)


main()
