"""From what a server or the system answered to a word of the failure vocabulary. A table, no I/O.

Source: design §4, `wire.failure.Cause`; errno(3); RFC 6585 §6 (511); RFC 9110 §15.
"""

from __future__ import annotations

import errno

from wire.failure import Cause

_BY_TYPE: tuple[tuple[type[BaseException], Cause], ...] = (
    (MemoryError, Cause.LOW_MEMORY),
    (TimeoutError, Cause.TIMEOUT),
    (ConnectionRefusedError, Cause.SERVER_UNREACHABLE),
    (ConnectionError, Cause.SERVER_ERROR),
)
_BY_NUMBER = {
    errno.ENODEV: Cause.NO_INTERFACE,
    errno.ENETDOWN: Cause.NO_INTERFACE,
    errno.ENXIO: Cause.NO_INTERFACE,
    errno.ENETUNREACH: Cause.NO_INTERNET,
    errno.EHOSTUNREACH: Cause.NO_INTERNET,
    errno.EADDRNOTAVAIL: Cause.NO_INTERNET,
    errno.ENOMEM: Cause.LOW_MEMORY,
}

_OUT_OF_MEMORY = ("new thread", "failed to map segment", "Cannot allocate memory")
"""How Python says that memory is out where it does not raise MemoryError: threads, and libraries that it loads."""


def of_status(status: int) -> str:
    """The word for an HTTP status other than 200. A redirect is a portal: our servers send none."""
    if status in (429, 503):
        return Cause.SERVER_BUSY
    return Cause.CAPTIVE if status == 511 or 300 <= status < 400 else Cause.SERVER_ERROR


def of_error(error: BaseException) -> str:
    """The word for an exception; `engine_error` if it says nothing of the network."""
    if any(words in str(error) for words in _OUT_OF_MEMORY):
        return Cause.LOW_MEMORY
    for kind, cause in _BY_TYPE:
        if isinstance(error, kind):
            return cause
    number = error.errno if isinstance(error, OSError) else None
    return _BY_NUMBER.get(number or 0, Cause.ENGINE_ERROR)
