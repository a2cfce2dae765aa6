"""Power of a site: every process in it dies at once, and the next start is another boot.

The kernel's boot id is the machine's; a site shows one of its own, which changes when the power comes back.
"""

from __future__ import annotations

import os
import uuid
from pathlib import Path

from sim import ns
from wire.errors import Unavailable

_BOOT_ID = "/proc/sys/kernel/random/boot_id"
_ROUNDS = 200


class BootId:
    """The boot id of a site. Made and used inside the site's mount namespace, which it is for."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "boot_id"

    def start(self) -> None:
        """Puts a boot id of its own in place of the machine's."""
        self.renew()
        ns.run("mount", "--bind", str(self._file), _BOOT_ID)

    def renew(self) -> None:
        """Another boot begins."""
        with self._file.open("w", encoding="ascii") as file:  # in place: the mount holds on to this very file
            file.write(f"{uuid.uuid4()}\n")


def kill_all(keep: set[int]) -> int:
    """Kills every process in this process's network namespace but itself and `keep`; returns how many it were.

    Raises Unavailable if some will not die.
    """
    here = str(Path("/proc/self/ns/net").readlink())
    killed: set[int] = set()
    for _ in range(_ROUNDS):
        found = _inside(here) - keep - {os.getpid()}
        if not found:
            return len(killed)
        killed |= found
        for pid in found:
            ticks = ns.start_ticks(pid)
            if ticks is not None:
                ns.kill(pid, ticks)
    raise Unavailable("the power is cut, and still programs run in the site")


def _inside(network: str) -> set[int]:
    """Living processes of a network namespace."""
    found = set()
    for path in Path("/proc").glob("[0-9]*"):
        try:
            is_here = str((path / "ns/net").readlink()) == network
        except OSError:
            continue
        if is_here and ns.start_ticks(int(path.name)) is not None:
            found.add(int(path.name))
    return found
