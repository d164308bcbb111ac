"""A peer at work in a process of its own: orders and answers are lines of JSON on its pipes, arrays go through files."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from peers.environment import python

WORKERS = Path(__file__).with_name("workers")


class PeerError(RuntimeError):
    """A peer could not do what it was asked; says why."""


class PeerProcess:
    """One process of a peer.

    worker : the script in workers/, without run_ and .py; scratch : directory for arrays, of this process alone
    setup_s : seconds of the preparation, which no rate contains; version : of the peer
    """

    def __init__(self, worker: str, scratch: Path) -> None:
        self._worker, self._scratch = worker, scratch
        self.setup_s, self.version = 0.0, ""
        command = [str(python()), str(WORKERS / f"run_{worker}.py")]
        with (scratch / "stderr").open("w") as words:
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=words, text=True)

    def prepare(self, problem: dict[str, NDArray[Any]], options: dict[str, Any]) -> None:
        """Build the peer's model and run it once, so that what it compiles is compiled."""
        path = self._scratch / "problem.npz"
        np.savez(path, **problem)  # type: ignore[arg-type]
        answer = self._ask({"do": "prepare", "problem": str(path), "options": options})
        self.setup_s, self.version = answer["seconds"], answer["version"]

    def start(self, sweeps: int) -> None:
        """Begin a repetition of so many sweeps; `finish` waits for it."""
        self._send({"do": "run", "sweeps": sweeps, "states": str(self._scratch / "states.npy")})

    def finish(self) -> tuple[float, NDArray[Any]]:
        """Seconds that the peer sampled, and the states it reached, (chains, cells)."""
        answer = self._receive()
        return answer["seconds"], np.load(self._scratch / "states.npy")

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, order: dict[str, Any]) -> dict[str, Any]:
        self._send(order)
        return self._receive()

    def _send(self, order: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            print(json.dumps(order), file=self._process.stdin, flush=True)
        except BrokenPipeError:
            raise PeerError(self._last_words()) from None

    def _receive(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise PeerError(self._last_words())
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise PeerError(f"{self._worker}: {answer['error']}")
        return answer

    def _last_words(self) -> str:
        lines = (self._scratch / "stderr").read_text(encoding="utf-8").splitlines()
        return f"{self._worker} ended: {lines[-1] if lines else 'without a word'}"
