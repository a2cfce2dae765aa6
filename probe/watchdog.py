"""systemd's watchdog and readiness, by its datagram socket. Without systemd nothing happens.

Source: sd_notify(3), sd_watchdog_enabled(3).
"""

from __future__ import annotations

import contextlib
import os
import socket


def notify(text: str) -> bool:
    """Send one state line such as "READY=1"; False if no supervisor listens."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock, contextlib.suppress(OSError):
        sock.sendto(text.encode(), "\0" + address[1:] if address.startswith("@") else address)
        return True
    return False
