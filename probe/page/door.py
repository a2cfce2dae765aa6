"""The page's door in the daemon: a listening socket, and a child process for as long as somebody is there.

An idle daemon holds one socket and one sleeping thread; the server, its words and whatever a stranger sends live in the
child, which asks the daemon by the control socket like anybody else and never loads the keys that sign. The socket is
bound to one address and one interface, so nothing that comes by the modem can reach it.
Source: design §5 (local page); socket(7), SO_BINDTODEVICE.
"""

from __future__ import annotations

import contextlib
import logging
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from probe.devices.bound import bind_to
from probe.devices.link_walk import address_of
from probe.settings import Settings
from probe.settings_page import Page

log = logging.getLogger(__name__)
AGAIN_S = 5.0
END_S = 3.0
BACKLOG = 8


class Door:
    """The door's thread. The access point may come up late and go again: it is tried until it stands.

    `modem_links`: the interfaces that are modems' now; the page never stands on one.
    """

    def __init__(self, settings: Settings, page: Page, modem_links: Callable[[], Iterable[str]]) -> None:
        self._settings, self._page, self._modem_links = settings, page, modem_links
        self._stop = threading.Event()
        self._wake, self._waker = socket.socketpair()
        self._told: str | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._run, name="page", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def close(self) -> None:
        """Stop listening and end the child."""
        self._stop.set()
        self._waker.send(b"x")
        self._thread.join(2 * END_S)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with listen(self._page, self._modem_links()) as sock:
                    log.info("page=open http://%s:%d by %s", self._page.address, self._page.port, self._page.interface)
                    self._told = None
                    self._serve(sock)
            except OSError as error:
                self._tell(str(error))
                self._stop.wait(AGAIN_S)

    def _tell(self, text: str) -> None:
        if text != self._told:
            log.warning("page=closed: %s; it is tried again", text)
        self._told = text

    def _serve(self, sock: socket.socket) -> None:
        """Start a child whenever somebody knocks and none is there. Raises OSError once the address is gone."""
        while not self._stop.is_set():
            select.select([sock, self._wake], [], [])
            if self._stop.is_set():
                return
            self._run_child(sock)
            if address_gone(self._page):
                raise OSError(f"{self._page.interface} lost its address {self._page.address}")

    def _run_child(self, sock: socket.socket) -> None:
        """Let a child serve until it leaves; it has its own idle limit, and ends with this process."""
        config = Path(self._settings.folder) / self._settings.file
        command = [sys.executable, "-m", "probe.page", str(config), str(sock.fileno())]
        self._child = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=(sock.fileno(),))
        try:
            while self._child.poll() is None and not self._stop.wait(0.5):
                pass
            if self._child.poll() not in (0, None):
                log.warning("page=failed its process ended with status %s", self._child.returncode)
                self._stop.wait(AGAIN_S)
        finally:
            self._end(self._child)

    def _end(self, child: subprocess.Popen[bytes]) -> None:
        if child.stdin is not None:
            child.stdin.close()
        child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(END_S)
            return
        child.kill()
        child.wait()


def listen(page: Page, modem_links: Iterable[str]) -> socket.socket:
    """Listen at the page's address by its interface only. Raises OSError, in words, if it must or can not be."""
    for link in modem_links:
        if link == page.interface or address_of(link) == page.address:
            raise OSError(f"{page.address} by {page.interface} is the modem's link; name the access point in [page]")
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bind_to(sock, page.interface)
        sock.bind((page.address, page.port))
        sock.listen(BACKLOG)
        sock.set_inheritable(False)
    except OSError as error:
        sock.close()
        where = f"{page.address}:{page.port} by {page.interface}"
        raise OSError(f"the page cannot stand at {where} ({error.strerror}); is the access point up?") from error
    return sock


def address_gone(page: Page) -> bool:
    """Whether the interface is without its address: then the socket hears nobody any more."""
    probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with probe:
        try:
            probe.bind((page.address, 0))
        except OSError:
            return True
    return False
