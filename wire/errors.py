"""The three families of errors that both sides share, named for what the caller must do.

DosongError
├── Refused        bad for ever: record it, acknowledge or answer it, go on
├── Unavailable    later may work: back off and try again
└── Misconfigured  a person must act: stop with exit status 78
"""

from __future__ import annotations

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_MISCONFIGURED = 78


class DosongError(Exception):
    """Root of every error that dosong raises on purpose."""


class Refused(DosongError):
    """Input that can never be accepted. `reason` is a word of `wire.failure.RefusalReason`."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class Unavailable(DosongError):
    """Something that we need does not answer now."""


class Misconfigured(DosongError):
    """A setting, a file or a program is missing or wrong; the message says what to do."""
