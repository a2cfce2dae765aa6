"""The page's process: `python -m probe.page SETTINGS DESCRIPTOR`, started by the daemon when somebody knocks.

It serves the listening socket that it is given, asks the daemon by its control socket, and leaves when nobody came for
a quarter of an hour, or with its parent.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from functools import partial
from pathlib import Path

from probe import control
from probe.devices.link_walk import Way
from probe.page.room import Room
from probe.page.server import PageServer, Site
from probe.page.session import Porter, read_key
from probe.settings import Settings, load

IDLE_S = 900.0


def main(config: str, descriptor: int) -> int:
    """Serve until nobody comes any more."""
    settings = load(Path(config))
    page = settings.page
    if page is None:
        return 0
    threading.Thread(target=_end_with_parent, daemon=True).start()
    used = [time.monotonic()]

    def touched() -> None:
        used[0] = time.monotonic()

    with socket.socket(fileno=descriptor) as sock:
        room = Room(partial(control.ask, settings.path(settings.state_dir)), _way(settings), time.monotonic)
        porter = Porter(read_key(settings.path(page.key_file)), settings.path(settings.state_dir), time.monotonic)
        hosts = (f"{page.address}:{page.port}", *((page.address,) if page.port == 80 else ()))
        server = PageServer(sock, Site(settings.site, hosts, page.language, porter, room), touched)
        server.timeout = 1.0
        while time.monotonic() - used[0] < IDLE_S:
            server.handle_request()
        room.close()
    return 0


def _way(settings: Settings) -> Way:
    host, port = settings.engine.server_address
    return Way("", host, port, settings.engine.dns, settings.engine.portal_check)


def _end_with_parent() -> None:
    """Leave at once when standard input ends."""
    while sys.stdin.buffer.read(1):
        pass
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
