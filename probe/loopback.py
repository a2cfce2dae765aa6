"""The far end of a calibration: a process that gives and takes bytes on 127.0.0.1, nothing else.

Run as `python -m probe.loopback`; prints its port as a line, ends with its standard input.
Source: issue of the measuring engine, item 6.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading

_BLOCK = bytes(1 << 18)
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nConnection: close\r\n\r\n"


def main() -> None:
    """Serve until standard input ends."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as listener:
        threading.Thread(target=_serve, args=(listener,), daemon=True).start()
        sys.stdout.write(f"{listener.getsockname()[1]}\n")
        sys.stdout.flush()
        sys.stdin.read()
    os._exit(0)


def _serve(listener: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            threading.Thread(target=_one, args=(listener.accept()[0],), daemon=True).start()


def _one(sock: socket.socket) -> None:
    with sock, contextlib.suppress(OSError):
        if sock.recv(4096).startswith(b"POST"):
            sink = bytearray(1 << 20)
            while sock.recv_into(sink, len(sink), socket.MSG_TRUNC):
                pass
            return
        sock.sendall(_HEAD)
        while True:
            sock.sendall(_BLOCK)


if __name__ == "__main__":
    main()
