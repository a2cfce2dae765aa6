"""A link for tests that can be cut: forwards TCP at a set pace, and after so many bytes nothing moves any more.

The connections stay open, as they do when a mast loses its power: no reset, no end, only silence.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time

PACE_BYTES_S = 5_000_000
CHUNK = 32_768


class CutLink:
    """Listens on `port` of loopback and leads to `to_port`; dead after `cut_after_bytes`, both directions together."""

    def __init__(self, to_port: int, cut_after_bytes: int) -> None:
        self._to_port, self._left = to_port, cut_after_bytes
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._serve, daemon=True)]
        self._threads[0].start()

    @property
    def is_cut(self) -> bool:
        """Whether the link has gone."""
        return self._left <= 0

    def close(self) -> None:
        """End it and its connections."""
        self._closing.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        self._listener.close()

    def _serve(self) -> None:
        while not self._closing.is_set():
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._forward, args=(near,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _forward(self, near: socket.socket) -> None:
        with near, socket.create_connection(("127.0.0.1", self._to_port)) as far:
            other = {near: far, far: near}
            while other and not self._closing.is_set():
                if self.is_cut:
                    self._closing.wait(0.1)
                    continue
                for sock in select.select(list(other), [], [], 0.1)[0]:
                    if not self._pass_on(sock, other[sock]):
                        return

    def _pass_on(self, sock: socket.socket, to: socket.socket) -> bool:
        """Move one chunk, at the link's pace; False when a side has ended."""
        try:
            part = sock.recv(CHUNK)
            if part:
                to.sendall(part)
        except OSError:
            return False
        with self._lock:
            self._left -= len(part)
            time.sleep(len(part) / PACE_BYTES_S)
        return bool(part)
