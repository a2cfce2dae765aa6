"""The daemon's control socket: one JSON line in, one JSON line out, for programs of the same user on the same machine.

`look` returns a snapshot of what the daemon knows; with `near` it also polls the modems each second for a while, since
somebody is turning the antenna. `test` asks for one short test. Nothing else can be asked; no answer holds a secret.
The socket lies in the state folder, which only the daemon's user may enter.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from probe.core.doctor_facts import Facts
from wire import visit
from wire.errors import Misconfigured, Refused, Unavailable

log = logging.getLogger(__name__)
NAME = "control.sock"
TIMEOUT_S = 2.0
ANSWER_TIMEOUT_S = 10.0
MOST_REQUEST_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked. `modem` is read by `test` only; `near` by `look` only."""

    do: Literal["look", "test"]
    modem: str | None = None
    near: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What the daemon knows at one moment. `record`: the newest one in the spool; None before the first."""

    probe: str
    site: str
    mono_ms: int
    facts: Facts = field(default_factory=Facts)
    record: visit.Named | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """A snapshot, or why the request was refused."""

    snapshot: Snapshot | None = None
    refused: str | None = None


class Desk(Protocol):
    """What stands behind the socket."""

    def look(self, *, near: bool) -> Snapshot:
        """Return what is known, soon."""
        ...

    def ask_test(self, modem: str) -> None:
        """Ask for a short test. Raises Refused."""
        ...


def ask(state_dir: Path, request: Request) -> Snapshot | None:
    """Ask the daemon of a state folder; None after `test`. Raises Unavailable if none answers, Refused if it does not.

    `FileNotFoundError` and `ConnectionRefusedError` are told apart by `is_running`.
    """
    try:
        with _connected(state_dir) as sock:
            sock.sendall(msgspec.json.encode(request) + b"\n")
            with sock.makefile("rb") as stream:
                line = stream.readline()
        reply = msgspec.json.decode(line, type=Reply)
    except (OSError, msgspec.DecodeError) as error:
        raise Unavailable(f"the daemon of {state_dir} does not answer ({error}); is dosong-probe running?") from error
    if reply.refused is not None:
        raise Refused("control", reply.refused)
    return reply.snapshot


def is_running(state_dir: Path) -> bool:
    """Whether a daemon listens in this state folder. Raises Misconfigured if this user may not enter it."""
    try:
        with _connected(state_dir):
            return True
    except PermissionError as error:
        raise Misconfigured(f"{state_dir} belongs to the probe's user; run this with sudo -u dosong-probe") from error
    except OSError:
        return False


@contextmanager
def _connected(state_dir: Path) -> Iterator[socket.socket]:
    with _short_path(state_dir) as path, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(ANSWER_TIMEOUT_S)
        sock.connect(path)
        yield sock


@contextmanager
def _short_path(state_dir: Path) -> Iterator[str]:
    """The socket's path by the folder's descriptor: a unix socket's address has room for 107 bytes only."""
    folder = os.open(state_dir, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{NAME}"
    finally:
        os.close(folder)


class Control:
    """The socket's thread in the daemon."""

    def __init__(self, state_dir: Path, desk: Desk) -> None:
        self._state_dir, self._desk = state_dir, desk
        self._sock = _listener(state_dir)
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="control", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def close(self) -> None:
        """Stop answering and take the socket away."""
        self._stopping = True
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._thread.join(TIMEOUT_S)
        self._sock.close()
        (self._state_dir / NAME).unlink(missing_ok=True)

    def _run(self) -> None:
        while not self._stopping:
            try:
                sock, _ = self._sock.accept()
            except OSError:
                if not self._stopping:
                    log.exception("control=lost the socket ended; doctor and page cannot ask the daemon any more")
                return
            with sock:
                self._serve(sock)

    def _serve(self, sock: socket.socket) -> None:
        """Answer one request. Whatever goes wrong with one must not end the next."""
        try:
            sock.settimeout(TIMEOUT_S)
            reply = self._answer(_line(sock))
            sock.sendall(msgspec.json.encode(reply) + b"\n")
        except OSError as error:
            log.debug("control: a caller went away: %s", error)
        except Exception:
            log.exception("control: a request failed inside")

    def _answer(self, line: bytes) -> Reply:
        try:
            request = msgspec.json.decode(line, type=Request)
            if request.do == "look":
                return Reply(self._desk.look(near=request.near))
            self._desk.ask_test(request.modem or "")
        except (ValueError, RecursionError) as error:
            return Reply(refused=f"no request of ours: {error}")
        except Refused as refusal:
            return Reply(refused=refusal.detail)
        return Reply()


def _listener(state_dir: Path) -> socket.socket:
    """Listen in the state folder; a socket left behind by a killed daemon is replaced (its lock is ours by now)."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _short_path(state_dir) as path:
            (state_dir / NAME).unlink(missing_ok=True)
            sock.bind(path)
            (state_dir / NAME).chmod(0o600)
        sock.listen(8)
    except OSError as error:
        sock.close()
        raise Unavailable(f"the control socket in {state_dir} cannot be made: {error.strerror}") from error
    return sock


def _line(sock: socket.socket) -> bytes:
    """One line of at most 1,024 bytes. Raises OSError if it does not come in time."""
    received = b""
    while not received.endswith(b"\n") and len(received) <= MOST_REQUEST_BYTES:
        part = sock.recv(MOST_REQUEST_BYTES)
        if not part:
            break
        received += part
    return received
