"""Whether an address can be listened on, asked before a server is started on it."""

from __future__ import annotations

import contextlib
import errno
import socket

from wire.errors import Misconfigured


def check_bind(bind: str) -> None:
    """Raise Misconfigured if the address cannot be listened on."""
    if bind.startswith("unix:"):
        return
    host, _, port = bind.rpartition(":")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with contextlib.closing(socket.socket(family)) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host.strip("[]"), int(port)))
        except (OSError, OverflowError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise Misconfigured(f"web.bind: cannot listen on {bind} ({why}); {_remedy(error)}") from error


def _remedy(error: Exception) -> str:
    number = getattr(error, "errno", None)
    if number == errno.EADDRINUSE:
        return "stop the program that uses it, or choose another port"
    if number == errno.EACCES:
        return "choose a port above 1023, and let the proxy listen on the lower one"
    return "give an address of this machine, such as 127.0.0.1, and a port up to 65535"
