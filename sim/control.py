"""The control socket of a holder: one JSON line in, one JSON line out.

Request `{"verb": "rate", "args": {...}}`; answer `{"ok": true, "state": {...}}` or `{"ok": false, "error": "..."}`.
The socket is reached through its folder's descriptor, because a socket's path may have only 107 characters.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from wire.errors import DosongError, Unavailable

Verb = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]
_SOCKET = "control"
_LINE_MAX = 65_536
_ANSWER_DEADLINE_S = 30.0


@contextlib.asynccontextmanager
async def serve(folder: Path, verbs: Mapping[str, Verb]) -> AsyncIterator[None]:
    """Answers requests on `folder`/control while the context is open."""
    lock = asyncio.Lock()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, ValueError):
            line = await reader.readline()
            async with lock:  # one change at a time
                reply = await _obey(verbs, line)
            writer.write(json.dumps(reply).encode() + b"\n")
            await writer.drain()
        writer.close()

    (folder / _SOCKET).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    _at(folder, listener.bind)
    (folder / _SOCKET).chmod(0o600)
    server = await asyncio.start_unix_server(connected, sock=listener, limit=_LINE_MAX)
    async with server:
        yield


def ask(folder: Path, verb: str, args: Mapping[str, Any]) -> dict[str, Any]:
    """Sends one request and returns the holder's answer.

    Raises Unavailable if the holder does not answer, or if it could not do what was asked, in its own words.
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_ANSWER_DEADLINE_S)
            _at(folder, connection.connect)
            connection.sendall(json.dumps({"verb": verb, "args": dict(args)}).encode() + b"\n")
            with connection.makefile("rb") as stream:
                line = stream.readline(_LINE_MAX)
    except OSError as error:
        raise Unavailable(
            f"the holder of {folder.name} does not answer ({error}); see `dosong-sim site list`"
        ) from error
    reply: dict[str, Any] = json.loads(line) if line else {"ok": False, "error": "the holder ended"}
    if not reply["ok"]:
        raise Unavailable(reply["error"])
    return reply


def _at(folder: Path, action: Callable[[str], object]) -> None:
    fd = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        action(f"/proc/self/fd/{fd}/{_SOCKET}")
    finally:
        os.close(fd)


async def _obey(verbs: Mapping[str, Verb], line: bytes) -> dict[str, Any]:
    try:
        request = json.loads(line)
        verb = verbs[request["verb"]]
    except (ValueError, KeyError, TypeError):
        return {"ok": False, "error": f"no such verb; there are {', '.join(sorted(verbs))}"}
    try:
        return {"ok": True, "state": await verb(request.get("args", {}))}
    except (DosongError, OSError, ValueError, TypeError, KeyError) as error:
        return {"ok": False, "error": str(error)}
