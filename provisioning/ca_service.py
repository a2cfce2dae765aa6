"""`ca serve`: the process that holds the issuing key, behind a unix socket, and that keeps the broker's lists fresh.

One JSON line in ({"ask", "body", "address"}), one JSON line out; one connection, one question. Whoever may open the
socket may ask, and gets what a stranger would get: every question is checked here. Beside it a turn every
few seconds brings access list and revocation list of the broker up to date, so that a revocation reaches it whatever
became of the command that made it.
Source: design §7 (web holds no signing key); facts note 08 §4.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from provisioning.issuer import Denied, Issuer
from wire.enrolment import MAX_BODY_BYTES, Refusal
from wire.errors import Misconfigured, Unavailable

LOG = logging.getLogger("provisioning.ca")
MOST_LINE_BYTES = 2 * MAX_BODY_BYTES + 1024
READ_WAIT_S = 5.0
MOST_WAITING = 64
TURN_S = 10.0
WAIT_S = 0.5


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the relay passes on: which question, the body as it came, and from where."""

    ask: str
    body: str
    address: str


class Service:
    """The listening side: questions are read in threads, and answered one after the other by `run`'s thread."""

    def __init__(
        self,
        path: Path,
        issuer: Issuer,
        turn: Callable[[], None],
        stop: threading.Event,
        look: Callable[[], object] = lambda: None,
    ) -> None:
        """Listen. `turn` is called every few seconds, `look` between two questions, twice a second at most.

        Raises Misconfigured if the socket cannot be made.
        """
        self._path, self._issuer, self._turn, self._stop = path, issuer, turn, stop
        self._look = look
        self._waiting: queue.Queue[tuple[Question, socket.socket]] = queue.Queue(MOST_WAITING)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            path.unlink(missing_ok=True)
            with _short(path.parent) as folder:
                self._listener.bind(f"{folder}/{path.name}")
            path.chmod(0o660)
            self._listener.listen(32)
        except OSError as error:
            raise Misconfigured(f"cannot listen on {path}: {error.strerror}; correct --socket") from error
        threading.Thread(target=self._accept, name="questions", daemon=True).start()

    def run(self) -> None:
        """Answer until stopped."""
        LOG.info("ca=serving socket=%s", self._path)
        due_s = time.monotonic()
        while not self._stop.is_set():
            if time.monotonic() >= due_s:
                self._take(self._turn, "broker=not_updated")
                due_s = time.monotonic() + TURN_S
            self._take(self._look, "wishes=waiting")
            with contextlib.suppress(queue.Empty):
                question, connection = self._waiting.get(timeout=WAIT_S)
                with contextlib.suppress(OSError), connection:
                    connection.sendall(self._answer(question) + b"\n")
        self._listener.close()
        self._path.unlink(missing_ok=True)

    @staticmethod
    def _take(turn: Callable[[], object], otherwise: str) -> None:
        try:
            turn()
        except (Unavailable, Misconfigured, OSError) as error:
            LOG.warning("%s error=%s", otherwise, error)

    def _answer(self, question: Question) -> bytes:
        try:
            found = self._issuer.answer(question.ask, question.body.encode(), question.address)
        except Denied as denied:
            LOG.warning("ca=denied ask=%s reason=%s from=%s", question.ask[:16], denied.reason, question.address[:64])
            return msgspec.json.encode(Refusal(error=denied.reason, detail=denied.detail))
        except Unavailable as error:
            LOG.warning("ca=unavailable error=%s", error)
            return msgspec.json.encode(Refusal(error="unavailable", detail="the registry cannot be used now"))
        LOG.info("ca=answered ask=%s", question.ask)
        return msgspec.json.encode(found)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._read, args=(connection,), name="question", daemon=True).start()

    def _read(self, connection: socket.socket) -> None:
        """Read one question; what is none is hung up on, and so is what comes when too many wait."""
        try:
            connection.settimeout(READ_WAIT_S)
            question = msgspec.json.decode(_line(connection), type=Question)
            self._waiting.put_nowait((question, connection))
        except (OSError, ValueError, RecursionError, queue.Full):
            connection.close()


def _line(connection: socket.socket) -> bytes:
    """What stands before the first line's end. Raises OSError, ValueError if it is too long or cut short."""
    found = b""
    while not found.endswith(b"\n"):
        part = connection.recv(65_536)
        found += part
        if not part or len(found) > MOST_LINE_BYTES:
            raise ValueError("no whole line")
    return found


@contextlib.contextmanager
def _short(folder: Path) -> Iterator[str]:
    """A short name for a folder: a socket's path may have 107 bytes at most."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{handle}"
    finally:
        os.close(handle)
