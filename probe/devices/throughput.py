"""An engine as the daemon sees it: one blocking call, a child process that is gone afterwards.

The child (`probe.engine_speedtest`, `probe.engine_dosong`) writes a line of JSON whenever it enters a stage: the result
if it died there. So the last line is always the truth, also after a kill.
Source: facts note 03 §4; design §6.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import IO, cast

import msgspec

from probe.core.engine_http import PORTAL_BODY, PORTAL_PATH
from probe.core.engine_terms import EngineRequest, EngineResult

__all__ = [
    "ENGINE",
    "PORTAL_BODY",
    "PORTAL_PATH",
    "ChildEngine",
    "DosongEngine",
    "EngineRequest",
    "EngineResult",
    "SpeedtestEngine",
    "start_child",
]

ENGINE = "speedtest-cli"
ROOT = str(Path(__file__).resolve().parents[2])
"""Where the package `probe` lies."""


class ChildEngine:
    """Runs tests in children of one module. Holds nothing between two runs.

    `name` is the engine's word in records, `module` what `python -m` starts; it speaks as this module says. `is_bare`:
    it needs the standard library alone, so that Python can leave its search for packages out (a sixth of the CPU).
    """

    def __init__(self, name: str, module: str, *, is_bare: bool = False) -> None:
        self.name, self._module, self._is_bare = name, module, is_bare

    def run(self, request: EngineRequest) -> EngineResult:
        """Run one test and return when its child is gone. A failure of the network is a result, never raised.

        Blocks for at most `request.kill_after_s` and a moment. Raises OSError if no process can be started.
        """
        child = start_child(self._module, is_bare=self._is_bare)
        killed = threading.Event()
        timer = threading.Timer(request.kill_after_s, _kill, (child, killed))
        timer.daemon = True
        timer.start()
        try:
            last_line = _converse(child, msgspec.json.encode(request))
        finally:
            timer.cancel()
            child.kill()
            child.wait()
        result = _result(last_line, request, timed_out=killed.is_set(), status=child.returncode)
        return replace(result, engine=self.name)


class SpeedtestEngine(ChildEngine):
    """speedtest-cli 2.1.3 in a guarded child."""

    def __init__(self) -> None:
        super().__init__(ENGINE, "probe.engine_speedtest")


class DosongEngine(ChildEngine):
    """Our own engine, against our own point."""

    def __init__(self) -> None:
        super().__init__("dosong", "probe.engine_dosong", is_bare=True)


def start_child(module: str, *, is_bare: bool) -> subprocess.Popen[bytes]:
    """A child with an environment of our own: no proxy, one malloc arena, no warnings as errors."""
    kept = ("PATH", "HOME", "LANG", "VIRTUAL_ENV", "DOSONG_FAIL")
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    environment["MALLOC_ARENA_MAX"] = "1"
    bare = ["-S"] if is_bare else []
    if is_bare:
        environment["PYTHONPATH"] = ROOT
    return subprocess.Popen(
        [sys.executable, *bare, "-W", "ignore", "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        close_fds=True,
    )


def _converse(child: subprocess.Popen[bytes], request: bytes) -> bytes:
    """Send the request, keep standard input open (its end tells the child that we died), return the last line."""
    to_child, from_child = cast("IO[bytes]", child.stdin), cast("IO[bytes]", child.stdout)
    last_line = b""
    with to_child, from_child:
        try:
            to_child.write(request + b"\n")
            to_child.flush()
        except BrokenPipeError:
            return b""
        for line in from_child:
            last_line = line if line.endswith(b"\n") else last_line
    return last_line


def _kill(child: subprocess.Popen[bytes], killed: threading.Event) -> None:
    killed.set()
    child.kill()


def _result(last_line: bytes, request: EngineRequest, *, timed_out: bool, status: int) -> EngineResult:
    try:
        result = msgspec.json.decode(last_line, type=EngineResult)
    except msgspec.DecodeError:
        cause = "engine_killed" if status < 0 and not timed_out else "engine_error"
        return EngineResult("failed", "host", "timeout" if timed_out else cause, server=request.server_id)
    if result.cause == "engine_killed" and (timed_out or status >= 0):
        return replace(result, cause="timeout" if timed_out else "engine_error")
    return result
