"""Several programs as children of one: restarted when they die, ended together, none left behind.

A child gets SIGTERM from the kernel when its supervisor dies, however it dies (PR_SET_PDEATHSIG). A child that
says 78 (a person must act) while we are starting ends everything with 78; later it is tried again, for what
already works must go on.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from wire.errors import EXIT_MISCONFIGURED, EXIT_OK

LOG = logging.getLogger("collector.run")
STARTING_S = 20.0
STEADY_S = 30.0
MAX_BACKOFF_S = 30.0
STOP_WITHIN_S = 15.0
POLL_S = 0.1
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass(slots=True)
class Child:
    """One program: how it is called, and how its last lives went."""

    name: str
    arguments: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    started_s: float = 0.0
    due_s: float = 0.0
    deaths: int = field(default=0)


def _die_with(supervisor: int) -> None:
    """Runs in a new child: end when the supervisor does, and at once if it already has."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != supervisor:
        os._exit(EXIT_OK)


def backoff_s(deaths: int) -> float:
    """How long to wait before the next start after so many deaths in a row: 0.5 s doubling to 30 s."""
    return float(min(MAX_BACKOFF_S, 0.5 * 2 ** max(0, min(deaths, 10) - 1)))


class Supervisor:
    """Runs named commands of this program with the same interpreter."""

    def __init__(self, commands: Mapping[str, Sequence[str]], stop: threading.Event) -> None:
        """`commands`: name to the words after `python -m collector`."""
        self._children = [Child(name, [sys.executable, "-m", "collector", *words]) for name, words in commands.items()]
        self._stop = stop

    def run(self) -> int:
        """Supervise until stopped; return the exit code."""
        began_s = time.monotonic()
        code = EXIT_OK
        try:
            while code == EXIT_OK and not self._stop.is_set():
                starting = time.monotonic() - began_s < STARTING_S
                for child in self._children:
                    code = code or self._tend(child, starting=starting)
                self._stop.wait(POLL_S)
        finally:
            self._end_all()
        return code

    def _tend(self, child: Child, *, starting: bool) -> int:
        """Start what is due, notice what died; return 78 if everything must end."""
        now_s = time.monotonic()
        if child.process is None:
            if now_s >= child.due_s:
                self._start(child)
            return EXIT_OK
        code = child.process.poll()
        if code is None:
            return EXIT_OK
        child.process = None
        if code == EXIT_MISCONFIGURED and starting:
            LOG.error("%s cannot work with these settings; ending", child.name)
            return EXIT_MISCONFIGURED
        child.deaths = 1 if now_s - child.started_s > STEADY_S else child.deaths + 1
        wait_s = backoff_s(child.deaths)
        child.due_s = now_s + wait_s
        LOG.warning("%s ended (%s); started again in %.1f s", child.name, _ended(code), wait_s)
        return EXIT_OK

    def _start(self, child: Child) -> None:
        # Safe here: this process has one thread, and the function between fork and exec only calls prctl.
        child.process = subprocess.Popen(child.arguments, preexec_fn=partial(_die_with, os.getpid()))  # noqa: PLW1509
        child.started_s = time.monotonic()
        LOG.info("%s started pid=%d", child.name, child.process.pid)

    def _end_all(self) -> None:
        """SIGTERM to all, SIGKILL to those that do not go."""
        living = [child.process for child in self._children if child.process is not None]
        for process in living:
            process.terminate()
        deadline_s = time.monotonic() + STOP_WITHIN_S
        for process in living:
            try:
                process.wait(max(0.1, deadline_s - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _ended(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit {code}"
