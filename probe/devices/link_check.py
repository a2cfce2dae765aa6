"""The look at a modem's link as the daemon sees it: begun here, done in a child, fetched when the next poll comes by.

Nothing blocks and no library of the check is loaded here, so the daemon's memory stays what it was.
"""

from __future__ import annotations

import logging
import select
import subprocess
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import IO, cast

import msgspec

from probe.core.findings import Findings, LookRequest
from probe.devices.throughput import start_child

log = logging.getLogger(__name__)


class LinkCheck:
    """At most one look at a time, at what `request` says then. Not safe for several threads."""

    def __init__(self, request: Callable[[], LookRequest]) -> None:
        self._request = request
        self._child: subprocess.Popen[bytes] | None = None

    def start(self, *, stops_early: bool) -> None:
        """Begin a look; one that is under way is given up. If no process can be started, nothing will be found."""
        self.stop()
        try:
            self._child = child = start_child("probe.check_link", is_bare=True)
            to_child = cast("IO[bytes]", child.stdin)
            to_child.write(msgspec.json.encode(asdict(replace(self._request(), stops_early=stops_early))) + b"\n")
            to_child.flush()
        except OSError as error:
            log.warning("link=unchecked: %s", error)

    def found(self, wait_s: float = 0.0) -> Findings | None:
        """What the look found; None if that takes longer than `wait_s`, or if none is under way. Comes once."""
        child = self._child
        if child is None or not select.select([cast("IO[bytes]", child.stdout)], [], [], wait_s)[0]:
            return None
        line = cast("IO[bytes]", child.stdout).readline()
        self.stop()
        try:
            return msgspec.json.decode(line, type=Findings)
        except msgspec.DecodeError:
            return None

    def stop(self) -> None:
        """Give up the look that is under way."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.wait()
            for pipe in (child.stdin, child.stdout):
                if pipe is not None:
                    pipe.close()
