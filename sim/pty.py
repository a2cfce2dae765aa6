"""One end of a pseudo-terminal that plays a serial device: raw, never blocking, gone when it is closed."""

from __future__ import annotations

import contextlib
import os
import tty
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Port:
    """The device's end (`master`) and the path that a client opens.

    The client's end stays open here too: without it the kernel would reset the line to cooked and echoing at each
    close, and what the device prints would come back to it as commands.
    """

    master: int
    slave: int
    path: str

    def read(self) -> bytes:
        """What clients wrote since the last call; b'' if nothing."""
        try:
            return os.read(self.master, 4096)
        except (BlockingIOError, OSError):
            return b""

    def write(self, text: str) -> None:
        """Sends text to whoever reads; what does not fit into the kernel's buffer is lost, as on a wire."""
        with contextlib.suppress(BlockingIOError, OSError):
            os.write(self.master, text.encode("ascii", "replace"))

    def close(self) -> None:
        """Hangs up: the path vanishes and every client's read fails."""
        os.close(self.slave)
        os.close(self.master)


def open_port() -> Port:
    """A new port in raw mode."""
    master, slave = os.openpty()
    tty.setraw(slave)
    os.set_blocking(master, False)
    return Port(master, slave, os.ttyname(slave))
