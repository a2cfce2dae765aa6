"""The AT protocol without I/O: bytes to lines, and one command with its answer.

A modem echoes the command, prints information lines, and ends with a final result code. Between any two lines it may
print unsolicited lines (URCs), and after a time-out the next answer may be the old one. `LineBuffer` lives as long as
the port is open; one `Exchange` lives as long as one command.

Rules: facts/05-hardware.md §1.4. Source: ITU-T V.250 5.7.1 (result codes), 3GPP TS 27.007 9.2 (+CME ERROR).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

LINE_LIMIT_BYTES = 4096
"""A longer run without a line end is a port that does not speak AT (diagnostics, NMEA at the wrong rate)."""

PROMPT = "> "

_LINE_ENDS = re.compile(rb"[\r\n]+")
# Commands that we send, as a modem echoes them. Narrow on purpose: "AT&T" or "ATEL" can be an answer.
_ECHO = re.compile(r"AT(?:[+^$*%#].+|E[01]|I)?", re.IGNORECASE)
_UNSOLICITED = re.compile(r"[+^*$%]|(?:RDY|SMS DONE|PB DONE|SMS READY|CALL READY)$", re.IGNORECASE)


class Final(StrEnum):
    """How a command ended. `TIMEOUT` is ours; the others are printed by the modem."""

    OK = "ok"
    ERROR = "error"
    CME = "cme"
    CMS = "cms"
    NO_CARRIER = "no_carrier"
    UNSUPPORTED = "unsupported"
    PROMPT = "prompt"
    TIMEOUT = "timeout"


_WHOLE_LINES = {
    "OK": Final.OK,
    "ERROR": Final.ERROR,
    "NO CARRIER": Final.NO_CARRIER,
    "COMMAND NOT SUPPORT": Final.UNSUPPORTED,
    PROMPT: Final.PROMPT,
}


def final_of(line: str) -> Final | None:
    """Say which final result code a line is; None for any other line.

    Whole lines are compared: an operator named "OKLAHOMA" must not end a command.
    """
    if line.startswith("+CME ERROR:"):
        return Final.CME
    if line.startswith("+CMS ERROR:"):
        return Final.CMS
    return _WHOLE_LINES.get(line)


class LineBuffer:
    """Bytes in, whole lines out; feed any pieces, take what is complete.

    Lines end at any run of CR and LF. Empty lines never come out; blanks round a line are dropped. The prompt "> " has
    no line end and comes out as soon as it stands alone.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._lines: list[str] = []
        self.dropped_bytes = 0

    def feed(self, octets: bytes) -> None:
        """Take bytes as they came from the port."""
        *whole, self._rest = _LINE_ENDS.split(self._rest + octets)
        self._lines.extend(line for line in map(_decode, whole) if line)
        if self._rest == PROMPT.encode():
            self._lines.append(PROMPT)
            self._rest = b""
        if len(self._rest) > LINE_LIMIT_BYTES:
            self.dropped_bytes += len(self._rest)
            self._rest = b""

    def take(self) -> tuple[str, ...]:
        """Return the complete lines fed since the last call, oldest first."""
        lines = tuple(self._lines)
        self._lines.clear()
        return lines

    def clear(self) -> None:
        """Forget everything, the unfinished line too: what is in here answers nothing that we ask now."""
        self._lines.clear()
        self._rest = b""


def _decode(octets: bytes) -> str:
    # A modem that powers up puts NULs on the line; operator names may hold anything.
    return octets.replace(b"\0", b"").decode("ascii", "replace").strip()


@dataclass(frozen=True, slots=True)
class Answer:
    """What one command brought.

    `lines`: the information lines, with the awaited prefix. `final_line`: the final result code as printed, empty after
    a time-out. `unsolicited`: everything else that arrived meanwhile, stale answers included.
    """

    command: str
    final: Final
    final_line: str
    lines: tuple[str, ...]
    unsolicited: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """True if the modem said OK."""
        return self.final is Final.OK


class Exchange:
    """One command in flight, from its sending to its final result code or its deadline.

    `prefix`: the beginning of the lines that answer ("+CSQ:"). None for commands that answer without one (ATI,
    +CGMM): then every line counts that does not look unsolicited, and those that begin with the command's own name
    (some modems print "+CGMM: ..."). The empty string awaits no line at all.
    `deadline_s`: on the caller's monotonic clock; only `expire` compares it.

    A line that is the echo of another command is the beginning of an answer that came too late: it is set aside
    together with its final result code, so it never answers this command.
    """

    def __init__(self, command: str, prefix: str | None, deadline_s: float) -> None:
        self.command = command
        self.deadline_s = deadline_s
        self._prefix = prefix
        self._own = f"{command[2:].rstrip('?').upper()}:" if command[2:3] in ("+", "^") else ""
        self._lines: list[str] = []
        self._unsolicited: list[str] = []
        self._stale = False

    def feed(self, lines: Iterable[str]) -> Answer | None:
        """Take the next lines; return the answer once its final result code is among them, else None.

        Lines behind the final code are unsolicited ones.
        """
        answer: Final | None = None
        final_line = ""
        for line in lines:
            if answer is not None:
                self._unsolicited.append(line)
            else:
                answer = self._step(line)
                final_line = line
        return None if answer is None else self._answer(answer, final_line)

    def expire(self, now_s: float) -> Answer | None:
        """Return the answer that says time-out if the deadline has passed, with the lines that came; else None."""
        return self._answer(Final.TIMEOUT, "") if now_s >= self.deadline_s else None

    def _step(self, line: str) -> Final | None:
        if line == self.command:
            self._restart(is_stale=False)
            return None
        if _ECHO.fullmatch(line):
            self._restart(is_stale=True)
            return None
        final = final_of(line)
        if final is not None and self._stale:
            self._restart(is_stale=False)
            return None
        if final is None:
            (self._lines if self._is_awaited(line) else self._unsolicited).append(line)
        return final

    def _restart(self, *, is_stale: bool) -> None:
        # What stood before an echo answers nothing that follows it.
        self._unsolicited += self._lines
        self._lines = []
        self._stale = is_stale

    def _is_awaited(self, line: str) -> bool:
        if self._stale:
            return False
        if self._prefix is None:
            return _UNSOLICITED.match(line) is None or (self._own != "" and line.upper().startswith(self._own))
        return bool(self._prefix) and line.upper().startswith(self._prefix.upper())

    def _answer(self, final: Final, final_line: str) -> Answer:
        return Answer(self.command, final, final_line, tuple(self._lines), tuple(self._unsolicited))
