"""A modem on a serial port, by pyserial. Nothing else in the probe opens the port.

One owner, one command in flight, every wait bounded by the caller's monotonic clock. What to ask stands in
`probe.core.dialects`, how to read bytes in `probe.core.at`; here are only the port and the order of things.

Unavailable
├── ModemGone     the port is not there, or vanished: look for the device again
├── ModemMute     the port is there and nothing answers: climb the recovery ladder
├── ModemBusy     another owner holds the port, or another thread of ours
└── ModemRefused  the modem answered, and said no

Source: facts/05-hardware.md §1.1 and §1.4 (the numbered rules).
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import serial

from probe.core.at import Answer, Exchange, Final, LineBuffer
from probe.core.dialects import (
    DIALECTS,
    QUERY_TIMEOUT_S,
    RESTART_TIMEOUT_S,
    ModemIdentity,
    Query,
    identify,
    next_query,
    read_answer,
)
from probe.core.radio import RadioReading, merge
from probe.core.sim_card import CardWatch
from wire.errors import Unavailable

__all__ = ["AtModem", "ModemBusy", "ModemGone", "ModemIdentity", "ModemMute", "ModemRefused"]

log = logging.getLogger(__name__)

BAUD = 115_200  # USB ignores it; a UART behind an adapter does not
QUIET_S = 0.3
DRAIN_LIMIT_S = 2.0
SYNC_TRIES = 10
TIMEOUTS_IN_A_ROW = 3
CHANGE_TIMEOUT_S = 30.0
POLL_PATIENCE_S = 5.0
BEARER_3GPP = ("AT+CGACT=0,1", "AT+CGACT=1,1")
BEARER = {"huawei": ("AT^NDISDUP=1,0", "AT^NDISDUP=1,1")}
"""Bearer down and up, by dialect; CFUN, CGATT and COPS=2 are forbidden: an E3372 only gets out of them by ^RESET."""
OTHER_TRIES = 3
"""Attempts at a port that is not the one where the modem should speak AT."""


class ModemGone(Unavailable):
    """The serial port is missing or vanished; it comes back under the same link or another number."""


class ModemMute(Unavailable):
    """The serial port is there but no command is answered."""


class ModemBusy(Unavailable):
    """Someone else holds the port."""


class ModemRefused(Unavailable):
    """The modem answered with an error where only OK helps."""


class Ports(Protocol):
    """Knows where a modem's AT ports are now."""

    def candidates(self) -> Sequence[str]:
        """Paths to try, best first. Raises Unavailable if the modem is not there."""
        ...

    def answered(self, path: str) -> None:
        """Hear which one it was."""
        ...


@dataclass(frozen=True, slots=True)
class OnePort:
    """A port that the settings name."""

    path: str

    def candidates(self) -> Sequence[str]:
        """The one path."""
        return (self.path,)

    def answered(self, path: str) -> None:
        """Nothing to remember."""


class AtModem:
    """One modem on its AT port.

    `port`: path of the port, best a link made by udev, or what knows the ports of the device; both are looked up again
    at every open, because the number behind moves. `family`: the dialect to speak; None asks the modem.
    `card`: which SIM belongs here. `monotonic`: seconds from any beginning.

    All methods raise ModemGone, ModemMute or ModemBusy; after the first two the port is closed and `open` starts over.
    """

    def __init__(
        self,
        port: str | Ports,
        *,
        family: str | None = None,
        card: CardWatch | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ports = OnePort(port) if isinstance(port, str) else port
        self._path = port if isinstance(port, str) else "its port"
        self._card = card or CardWatch()
        self._family = family
        self._monotonic = monotonic
        self._dialect = DIALECTS[family or "generic"]
        self._port: serial.Serial | None = None
        self._lines = LineBuffer()
        self._timeouts = 0
        self._owner = threading.Lock()
        self.unsolicited_lines = 0

    @property
    def is_open(self) -> bool:
        """True between a successful `open` and the next failure or `close`."""
        return self._port is not None

    def open(self) -> None:
        """Open the port, wait until the modem answers, set it up and learn its family.

        Where the device has several ports, the first that answers is taken. Takes up to 15 s with a modem that starts.
        A port that is open already is opened anew.
        """
        with self._owned():
            self._drop_port()
            self._card.forget()
            first: Unavailable | None = None
            for path in self._ports.candidates():
                try:
                    self._open_at(path, SYNC_TRIES if first is None else OTHER_TRIES)
                except (ModemMute, ModemBusy) as error:
                    first = first or error
                else:
                    self._ports.answered(path)
                    return
            raise first or ModemGone("the modem has no serial port; check its mode and its driver")

    def _open_at(self, path: str, tries: int) -> None:
        self._path = path
        self._port = self._open_port()
        self._lines.clear()
        self._timeouts = 0
        try:
            self._synchronise(tries)
            self._set_up()
        except Unavailable:
            self._drop_port()
            raise

    def identify(self) -> ModemIdentity:
        """Ask who the modem is; fields that it does not tell are None."""
        with self._owned():
            return self._identify()

    def poll(self, deadline_s: float) -> RadioReading:
        """Read registration, operator, signal, cell, SIM and temperature within `deadline_s` seconds from now.

        What was not asked in time, or not answered, is None. The command in flight may end up to 2 s late; a modem
        that falls silent is found out in at most 5 s more.
        """
        with self._owned(deadline_s):
            ends_s = self._monotonic() + deadline_s
            known = RadioReading()
            query, rest = next_query(self._dialect.queries, known)
            while query is not None and ends_s - self._monotonic() >= QUERY_TIMEOUT_S:
                known = merge((known, self._put(query, ends_s)))
                query, rest = next_query(rest, known)
            self._card.see(known.sim)
            if known.sim == "ready" and ends_s - self._monotonic() >= 2 * QUERY_TIMEOUT_S:
                self._look_at_card()
            return replace(known, is_wrong_sim=self._card.is_wrong, card_ref=self._card.ref)

    def restart(self) -> None:
        """Restart the modem the way its family obeys, and close the port; it comes back after 20 s or more.

        A port that vanishes before the OK is a restart that works. Raises ModemRefused if the modem says no.
        """
        with self._owned():
            final = Final.OK
            with contextlib.suppress(ModemGone):
                final = self._exchange(self._dialect.restart, "", RESTART_TIMEOUT_S).final
            self._drop_port()
        if final not in (Final.OK, Final.TIMEOUT):
            raise ModemRefused(f"the modem on {self._path} refused {self._dialect.restart}; restart it by USB power")

    def reconnect(self) -> None:
        """Take the bearer down and up. Raises ModemRefused if the modem says no, and what `poll` raises."""
        self._tell(BEARER.get(self._dialect.name, BEARER_3GPP))

    def reregister(self) -> None:
        """Have the modem look for its network anew, which never takes it off the air. Raises like `reconnect`."""
        self._tell(("AT+COPS=0",))

    def _tell(self, commands: Sequence[str]) -> None:
        """Send commands that change something; only what the last one says counts."""
        with self._owned(POLL_PATIENCE_S):
            answers = [self._exchange(command, "", CHANGE_TIMEOUT_S) for command in commands]
            if not answers[-1].ok:
                self._drop_port()  # a late answer must not be taken for the next one's
                raise ModemRefused(f"the modem on {self._path} refused {commands[-1]}: {answers[-1].final.value}")

    def close(self) -> None:
        """Give the port back. Never raises; closing twice is allowed."""
        with self._owner:
            self._drop_port()

    @contextlib.contextmanager
    def _owned(self, patience_s: float = -1) -> Iterator[None]:
        if not self._owner.acquire(timeout=patience_s):
            raise ModemBusy(f"the modem on {self._path} is still busy with another command; ask again later")
        try:
            yield
        finally:
            self._owner.release()

    def _open_port(self) -> serial.Serial:
        path = Path(self._path).resolve()
        try:
            # A write to a vanished node may have left a plain file in /dev, which would echo what we send.
            if not stat.S_ISCHR(path.stat().st_mode):
                raise ModemGone(f"{path} is a plain file where a serial port should be; remove it and plug the modem")
            return serial.Serial(str(path), BAUD, timeout=0, write_timeout=QUERY_TIMEOUT_S, exclusive=True)
        except (serial.SerialException, OSError) as error:
            if error.errno in (errno.EAGAIN, errno.EBUSY):
                raise ModemBusy(f"another program holds {path}; stop it, or keep ModemManager off by udev") from error
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise ModemGone(
                f"cannot open {self._path} ({reason}); check the modem, its cable and group dialout"
            ) from error

    def _drop_port(self) -> None:
        port, self._port = self._port, None
        if port is not None:
            with contextlib.suppress(serial.SerialException, OSError):
                port.close()

    @contextlib.contextmanager
    def _open_or_gone(self) -> Iterator[serial.Serial]:
        if self._port is None:
            raise ModemGone(f"{self._path} is not open; call open() first")
        try:
            yield self._port
        except serial.SerialTimeoutException as error:
            self._drop_port()
            raise ModemMute(f"{self._path} takes no bytes; restart the modem") from error
        except (serial.SerialException, OSError) as error:
            self._drop_port()
            raise ModemGone(f"{self._path} vanished; look for the modem again") from error

    def _read(self, until_s: float) -> bytes:
        """Return what arrives first, empty at `until_s`."""
        with self._open_or_gone() as port:
            port.timeout = max(0.0, until_s - self._monotonic())
            first: bytes = port.read(1)
            return first + port.read(port.in_waiting) if first else first

    def _drain(self, quiet_s: float = QUIET_S) -> bool:
        """Throw away what arrives until nothing has for `quiet_s`; return True if nothing had to go."""
        limit_s = self._monotonic() + DRAIN_LIMIT_S
        is_quiet = True
        while self._monotonic() < limit_s and (octets := self._read(self._monotonic() + quiet_s)):
            is_quiet = False
            self._lines.feed(octets)
            self.unsolicited_lines += len(self._lines.take())
        self._lines.clear()
        return is_quiet

    def _exchange(self, command: str, prefix: str | None, timeout_s: float) -> Answer:
        exchange = Exchange(command, prefix, self._monotonic() + timeout_s)
        self._lines.feed(self._read(self._monotonic()))
        self.unsolicited_lines += len(self._lines.take())
        with self._open_or_gone() as port:
            port.write(command.encode("ascii") + b"\r")
        answer: Answer | None = None
        while answer is None:
            self._lines.feed(self._read(exchange.deadline_s))
            answer = exchange.feed(self._lines.take()) or exchange.expire(self._monotonic())
        self.unsolicited_lines += len(answer.unsolicited)
        return answer

    def _ask(
        self, command: str, prefix: str | None, timeout_s: float = QUERY_TIMEOUT_S, *, may_be_bare: bool = False
    ) -> Answer:
        """Send one command, and make sure that the next answer belongs to the next command."""
        answer = self._exchange(command, prefix, timeout_s)
        if answer.final is Final.TIMEOUT:
            self._count_timeout()
            self._resynchronise()
        elif answer.ok and prefix and not answer.lines and not may_be_bare:
            self._resynchronise()  # an OK alone may be the answer to the command before
        else:
            self._timeouts = 0
        return answer

    def _count_timeout(self) -> None:
        self._timeouts += 1
        if self._timeouts >= TIMEOUTS_IN_A_ROW:
            self._drop_port()
            raise ModemMute(f"the modem on {self._path} left {self._timeouts} commands unanswered; restart it")

    def _resynchronise(self) -> None:
        for _ in range(SYNC_TRIES):
            final = self._try_step()
            if final is Final.OK:
                self._timeouts = 0
                return
            if final is Final.TIMEOUT:
                self._count_timeout()
        self._drop_port()
        raise ModemMute(f"the answers on {self._path} no longer fit the commands; restart the modem")

    def _synchronise(self, tries: int) -> None:
        for _ in range(tries):
            final = self._try_step()
            if final is Final.OK:
                return
            if final is not Final.TIMEOUT:
                self._drain(QUERY_TIMEOUT_S)
        raise ModemMute(f"nothing on {self._path} answers AT; check that it is the AT port and restart the modem")

    def _try_step(self) -> Final:
        """Ask for one clean OK: nothing else with it and nothing late behind it, which would be an older answer."""
        self._drain()
        answer = self._exchange("AT", "", QUERY_TIMEOUT_S)
        if answer.ok and (answer.unsolicited or not self._drain()):
            return Final.ERROR
        return answer.final

    def _set_up(self) -> None:
        self._dialect = DIALECTS[self._family or "generic"]
        for command in self._dialect.init:
            self._ask(command, "")  # a modem that refuses one of them still measures
        if self._family is None:
            family = self._identify().family
            extra = [c for c in DIALECTS[family].init if c not in self._dialect.init]
            self._dialect = DIALECTS[family]
            for command in extra:
                self._ask(command, "")

    def _identify(self) -> ModemIdentity:
        lines = self._ask("ATI", None).lines
        identity = identify(lines)
        if identity.manufacturer is not None and identity.model is not None:
            return identity
        labels = (("Manufacturer", "AT+CGMI"), ("Model", "AT+CGMM"), ("Revision", "AT+CGMR"))
        answers = [(label, self._ask(command, None).lines) for label, command in labels]
        return identify(f"{label}: {line}" for label, found in answers for line in found[:1])

    def _look_at_card(self) -> None:
        """Ask once whose SIM this is; the numbers are compared and forgotten."""
        if self._card.wants_numbers():
            command, prefix = self._dialect.iccid
            self._card.tell(self._ask("AT+CIMI", None).lines, self._ask(command, prefix).lines)

    def _put(self, query: Query, ends_s: float) -> RadioReading:
        if query.before is not None:
            self._ask(query.before, "")
        remaining_s = max(QUERY_TIMEOUT_S, ends_s - self._monotonic())
        timeout_s = min(query.timeout_s, remaining_s)
        answer = self._ask(query.command, query.prefix, timeout_s, may_be_bare=query.may_be_bare)
        reading = read_answer(query, answer)
        if query.after is not None:
            self._ask(query.after, "")
        return reading
