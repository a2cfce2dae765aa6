"""The local door of `receive`: messages that did not come by the broker, such as an export's, enter as if they had.

Only `receive` writes the ledger, so whoever has messages hands them over by a unix socket and waits: the answer comes
after the commit, one transaction for all that was handed over. Whoever may open the socket may only submit: every
record is verified as any other.
Source: design §4 (local submission socket), §7 (writers).
"""

from __future__ import annotations

import contextlib
import os
import queue
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from collector.ingest import Message, Taken
from wire.errors import Misconfigured, Unavailable

SOCKET = "receive.sock"
MOST_BYTES = 16_000_000
CLIENT_WAIT_S = 120.0
READ_WAIT_S = 10.0
_LENGTH = struct.Struct(">I")


class Submission(msgspec.Struct, frozen=True):
    """Messages handed over together: topic and payload of each; or marks: records by number, suspect or not."""

    messages: tuple[tuple[str, bytes], ...] = ()
    marks: tuple[tuple[int, bool], ...] = ()


class Outcome(msgspec.Struct, frozen=True):
    """What became of a submission; `error`: why nothing of it is held, None if it was committed."""

    accepted: int = 0
    duplicate: int = 0
    refused: int = 0
    refused_as: tuple[str, ...] = ()
    error: str | None = None


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A submission and the connection on which its answer is awaited."""

    submission: Submission
    connection: socket.socket


class Door:
    """The listening side. Connections are read in threads of their own; `take` works off what they brought."""

    def __init__(self, state: Path) -> None:
        """Listen. Raises Misconfigured if the socket cannot be made."""
        self._queue: queue.SimpleQueue[_Waiting] = queue.SimpleQueue()
        self._path = state / SOCKET
        try:
            state.mkdir(parents=True, exist_ok=True)
            self._path.unlink(missing_ok=True)
            self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            with _short(state) as folder:
                self._listener.bind(f"{folder}/{SOCKET}")
            self._path.chmod(0o600)
            self._listener.listen(8)
        except OSError as error:
            raise Misconfigured(f"cannot listen on {self._path}: {error.strerror}; correct state_dir") from error
        threading.Thread(target=self._accept, name="submissions", daemon=True).start()

    def close(self) -> None:
        """Stop listening; what was not answered is submitted again by whoever waits."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._path.unlink(missing_ok=True)

    def take(
        self, commit: Callable[[Sequence[Message]], Taken], mark: Callable[[Sequence[tuple[int, bool]]], int]
    ) -> None:
        """Commit what was submitted, each submission at once and whole, and answer. Both raise Unavailable."""
        while True:
            try:
                waiting = self._queue.get_nowait()
            except queue.Empty:
                return
            try:
                outcome = _outcome(waiting.submission, commit, mark)
            except Unavailable as error:
                outcome = Outcome(error=str(error))
            with contextlib.suppress(OSError), waiting.connection as connection:
                connection.sendall(_packed(msgspec.json.encode(outcome)))

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._read, args=(connection,), name="submission", daemon=True).start()

    def _read(self, connection: socket.socket) -> None:
        """Read one submission; what is none is hung up on."""
        try:
            connection.settimeout(READ_WAIT_S)
            submission = msgspec.msgpack.decode(_received(connection), type=Submission)
        except (OSError, ValueError, RecursionError):
            connection.close()
            return
        self._queue.put(_Waiting(submission, connection))


def _outcome(
    submission: Submission,
    commit: Callable[[Sequence[Message]], Taken],
    mark: Callable[[Sequence[tuple[int, bool]]], int],
) -> Outcome:
    if submission.marks:
        return Outcome(accepted=mark(submission.marks))
    done = commit([Message(topic, payload) for topic, payload in submission.messages])
    return Outcome(done.accepted, done.duplicate, done.refused, done.refused_as)


def submit_marks(state: Path, marks: Sequence[tuple[int, bool]]) -> int:
    """Have the running `receive` count records again, suspect or not; return how many changed. Raises Unavailable."""
    return _submit(state, Submission(marks=tuple(marks))).accepted if marks else 0


def submit(state: Path, messages: Sequence[tuple[str, bytes]]) -> Outcome:
    """Hand messages to the running `receive` and return what became of them, after the commit.

    Raises Unavailable if `receive` does not run or did not answer; submitting again is safe then.
    """
    return _submit(state, Submission(tuple(messages)))


def _submit(state: Path, submission: Submission) -> Outcome:
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(CLIENT_WAIT_S)
            with _short(state) as folder:
                connection.connect(f"{folder}/{SOCKET}")
            connection.sendall(_packed(msgspec.msgpack.encode(submission)))
            outcome = msgspec.json.decode(_received(connection), type=Outcome)
    except (OSError, ValueError, msgspec.DecodeError) as error:
        raise Unavailable(
            f"dosong-collector receive does not answer at {state / SOCKET} ({error}); start it, then do this again"
        ) from error
    if outcome.error is not None:
        raise Unavailable(f"nothing of it was stored: {outcome.error}")
    return outcome


@contextlib.contextmanager
def _short(folder: Path) -> Iterator[str]:
    """A short name for a folder: a socket's path may have 107 bytes at most."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{handle}"
    finally:
        os.close(handle)


def _packed(content: bytes) -> bytes:
    return _LENGTH.pack(len(content)) + content


def _received(connection: socket.socket) -> bytes:
    """One piece behind its length. Raises OSError, ValueError if it is too long or cut short."""
    (length,) = _LENGTH.unpack(_exactly(connection, _LENGTH.size))
    if length > MOST_BYTES:
        raise ValueError(f"{length} bytes; at most {MOST_BYTES}")
    return _exactly(connection, length)


def _exactly(connection: socket.socket, count: int) -> bytes:
    parts: list[bytes] = []
    while count > 0:
        part = connection.recv(min(count, 65_536))
        if not part:
            raise ValueError("hung up")
        parts.append(part)
        count -= len(part)
    return b"".join(parts)
