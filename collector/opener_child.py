"""The opener's process, as `receive` holds it: forked while `receive` is small and has one thread, or started anew.

A fork is ready at once and shares the pages of all that was imported; what is started anew after a death pays both.
"""

from __future__ import annotations

import fcntl
import gc
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass

from collector import opener

MMAP_FROM_BYTES = 64 * 1024
"""Whole groups go back to the system when they are done with, and leave no holes in the child's memory."""
PIPE_BYTES = 1024 * 1024
"""A whole group: neither side waits for the other to read. As much as the system lets anybody have."""


@dataclass(frozen=True, slots=True)
class Child:
    """A process, the end of the pipe that it reads, and the end that it writes."""

    pid: int
    given: int
    told: int

    def end(self) -> None:
        """Kill it and wait until it is gone."""
        for pipe in (self.given, self.told):
            os.close(pipe)
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


COLLECT_AFTER = (20_000, 20, 50)
"""A group makes ten thousand objects that live until its commit: to look for rings among them again and again frees
nothing and takes a twentieth of the time."""


def fork() -> Child:
    """Fork this process, which must have no other thread and no file of the ledger open yet. Raises OSError."""
    given, told = os.pipe(), os.pipe()
    gc.collect()
    gc.set_threshold(*COLLECT_AFTER)
    gc.freeze()  # the collector of either side would write to pages that both share
    pid = os.fork()
    if pid == 0:
        _be_the_opener(given, told)
    return _held(pid, given, told)


def start() -> Child:
    """Start another program for it. Raises OSError."""
    given, told = os.pipe(), os.pipe()
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": str(MMAP_FROM_BYTES)}
    # Its end is ours to wait for, and nobody reads what it prints: no object is needed for it.
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "collector.opener"], stdin=given[0], stdout=told[1], env=environment
        )
    except OSError:  # it is tried again for ever: what is left open would add up
        for end in (*given, *told):
            os.close(end)
        raise
    process.returncode = 0
    return _held(process.pid, given, told)


def _held(pid: int, given: tuple[int, int], told: tuple[int, int]) -> Child:
    os.close(given[0])
    os.close(told[1])
    for end in (given[1], told[0]):
        os.set_blocking(end, False)
        with suppress(OSError):
            fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    return Child(pid, given[1], told[0])


def _be_the_opener(given: tuple[int, int], told: tuple[int, int]) -> None:
    """Never returns: nothing of `receive` may run on here, nor at its end."""
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        os.close(given[1])
        os.close(told[0])
        opener.be_frugal(MMAP_FROM_BYTES)
        with os.fdopen(given[0], "rb") as read, os.fdopen(told[1], "wb") as write:
            opener.main(read, write)
    finally:
        os._exit(0)
