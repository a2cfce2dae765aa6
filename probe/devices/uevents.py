"""Hot-plug: the kernel's messages about devices that come and go, by netlink.

In a container or another network namespace they do not arrive: then the owners' polls find the modem, seconds later.
Source: netlink(7), Linux Documentation/core-api/kobject.rst (uevents).
"""

from __future__ import annotations

import logging
import select
import socket
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)
_KERNEL_GROUP = 1
_KOBJECT_UEVENT = 15
_SUBSYSTEMS = frozenset({"tty", "net", "usb"})
_STOP_S = 2.0


def is_of_interest(message: bytes) -> bool:
    """True if a message says that a port, a network interface or a USB device came or went."""
    fields = dict(part.split(b"=", 1) for part in message.split(b"\0") if b"=" in part)
    subsystem, action = (fields.get(key, b"").decode("ascii", "replace") for key in (b"SUBSYSTEM", b"ACTION"))
    return subsystem in _SUBSYSTEMS and action in ("add", "remove", "bind")


def kernel_socket() -> socket.socket:
    """Open the socket on which the kernel tells of devices. Raises OSError where it does not let us."""
    listener = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _KOBJECT_UEVENT)
    try:
        listener.bind((0, _KERNEL_GROUP))
    except OSError:
        listener.close()
        raise
    return listener


class Uevents:
    """Calls `on_change` from a thread of its own whenever something was plugged or pulled."""

    def __init__(self, on_change: Callable[[], None], open_socket: Callable[[], socket.socket] = kernel_socket) -> None:
        self._on_change, self._open_socket = on_change, open_socket
        self._ender: socket.socket | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> bool:
        """Begin to listen; False where the kernel does not let us, and polling must do."""
        try:
            listener = self._open_socket()
        except OSError as error:
            log.info("hotplug=polling: %s", error.strerror)
            return False
        self._ender, ended = socket.socketpair()
        self._thread = threading.Thread(target=self._listen, args=(listener, ended), name="hotplug", daemon=True)
        self._thread.start()
        return True

    def close(self) -> None:
        """Stop listening. Never raises; closing twice is allowed."""
        if self._ender is not None:
            self._ender.close()
        if self._thread is not None:
            self._thread.join(_STOP_S)
            self._thread = None

    def _listen(self, listener: socket.socket, ended: socket.socket) -> None:
        with listener, ended:
            while True:
                ready, _, _ = select.select([listener, ended], [], [])
                if ended in ready:
                    return
                try:
                    message = listener.recv(8192)
                except OSError:  # ENOBUFS: messages were lost, so something surely changed
                    message = b"ACTION=add\0SUBSYSTEM=usb"
                if is_of_interest(message):
                    self._on_change()
