"""Finished batches on disk, so that a study that was broken off goes on where it was.

A directory for each fingerprint, a file for each batch. A file is the SHA-256 of its content followed by the content, NumPy
arrays as `savez` writes them: `fingerprint`, `cells` (n, 2) of points and dies, `seconds` (n,), and each quantity (n, ...). It is
written under another name, forced to the disk, and renamed; one that is damaged all the same is noticed by its hash.
Cells that failed are not kept: the next run tries them again.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import warnings
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from tsu_apps.study.definition import Cell, Study
from tsu_apps.study.task import Outcome

SUFFIX, PART = ".batch", ".part"
DIGEST_BYTES = 32


class Store:
    """The finished batches of one study under a directory; a context manager, which keeps a second run out meanwhile.

    folder : of this study's fingerprint
    BlockingIOError: another run has it.
    """

    def __init__(self, root: Path, study: Study) -> None:
        self._quantities, self._fingerprint = tuple(study.quantities), study.fingerprint()
        self.folder = root / f"{study.name}-{self._fingerprint}"
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(self.folder / "lock", os.O_CREAT | os.O_RDWR)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise BlockingIOError(f"another run of this study is under way; it has {self.folder}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        os.close(self._lock)

    def load(self) -> dict[Cell, Outcome]:
        """All that was kept. A file that is damaged is removed with a RuntimeWarning; so is what a run left half written."""
        for part in self.folder.glob(f"*{PART}"):
            part.unlink()
        found: dict[Cell, Outcome] = {}
        for file in sorted(self.folder.glob(f"*{SUFFIX}")):
            try:
                found |= {outcome.cell: outcome for outcome in self._decode(file.read_bytes())}
            except (ValueError, KeyError, zipfile.BadZipFile) as error:
                warnings.warn(f"{file} is damaged ({error}); what it had is measured again", RuntimeWarning, stacklevel=2)
                file.unlink()
        return found

    def save(self, outcomes: Sequence[Outcome]) -> None:
        """Keep what of these did not fail; on return it is on the disk, as a whole. OSError names the directory."""
        good = [outcome for outcome in outcomes if not outcome.failure]
        if not good:
            return
        content = self._encode(good)
        check = hashlib.sha256(content).digest()
        file = self.folder / f"{check.hex()[:32]}{SUFFIX}"
        part = file.with_suffix(PART)
        try:
            with part.open("wb") as stream:
                stream.write(check + content)
                stream.flush()
                os.fsync(stream.fileno())
            part.replace(file)
            _force(self.folder)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise OSError(error.errno, error.strerror, str(self.folder)) from None

    def forget(self) -> None:
        """Remove everything."""
        for file in self.folder.glob(f"*{SUFFIX}"):
            file.unlink()

    def _encode(self, outcomes: Sequence[Outcome]) -> bytes:
        arrays = {
            "fingerprint": np.array(self._fingerprint),
            "cells": np.array([outcome.cell for outcome in outcomes], np.int64),
            "seconds": np.array([outcome.seconds for outcome in outcomes]),
        }
        arrays |= {f"={q.name}": np.stack([outcome.values[q.name] for outcome in outcomes]) for q in self._quantities}
        content = io.BytesIO()
        np.savez(content, **arrays)  # type: ignore[arg-type]
        return content.getvalue()

    def _decode(self, data: bytes) -> Iterable[Outcome]:
        check, content = data[:DIGEST_BYTES], data[DIGEST_BYTES:]
        if hashlib.sha256(content).digest() != check:
            raise ValueError("its hash is another")
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            if str(arrays["fingerprint"]) != self._fingerprint:
                raise ValueError("it is of another study")
            cells = [Cell(*cell) for cell in arrays["cells"].tolist()]
            columns = {q.name: arrays[f"={q.name}"] for q in self._quantities}
            seconds = arrays["seconds"].tolist()
        return [Outcome(cell, seconds[k], {name: column[k] for name, column in columns.items()}) for k, cell in enumerate(cells)]


def _force(folder: Path) -> None:
    """A rename is on the disk when its directory is."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
