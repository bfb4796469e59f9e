"""Processes for tests: forked ones, whose failure is the test's, and whose death can be arranged."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from typing import Any

FORK = multiprocessing.get_context("fork")
TIMEOUT = 30


@contextmanager
def running(work: Callable[..., object], *args: Any) -> Iterator[BaseProcess]:
    """Run `work` in a child during the block; wait for it to end well, or kill it if the block fails."""
    process = FORK.Process(target=work, args=args)
    process.start()
    try:
        yield process
        process.join(TIMEOUT)
        assert process.exitcode == 0, f"exit code {process.exitcode}; its traceback is in the captured stderr"
    finally:
        if process.is_alive():
            process.kill()
            process.join()


def in_children(*works: Callable[[], object]) -> None:
    """Run all in children at the same time; fail if one fails."""
    processes = [FORK.Process(target=work) for work in works]
    for process in processes:
        process.start()
    for process in processes:
        process.join(TIMEOUT)
    codes = [process.exitcode for process in processes]
    for process in processes:
        if process.is_alive():
            process.kill()
    assert codes == [0] * len(works), f"exit codes {codes}; tracebacks are in the captured stderr"


class Reports:
    """Numbers told by a child that may be killed at any moment: what was told before is there."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()

    def tell(self, number: int) -> None:
        os.write(self._write, number.to_bytes(8, "big"))

    def wait(self) -> int:
        return int.from_bytes(os.read(self._read, 8), "big")

    def last(self, before: int) -> int:
        """Take all that was told; return the newest, or `before` if nothing was. No child may be running."""
        os.close(self._write)
        with os.fdopen(self._read, "rb") as told:
            data = told.read()
        whole = len(data) // 8 * 8
        return int.from_bytes(data[whole - 8 : whole], "big") if whole else before
