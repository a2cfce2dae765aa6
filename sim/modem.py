"""A 4G modem on a pty: `at_script` does the talking, this file owns the port, the symlink and the clock."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from importlib import resources
from pathlib import Path

from sim import at_script, pty
from sim.at_bearer import Bearer
from sim.at_table import FAMILIES, Family, Mode, build
from sim.lte import Cell, vary
from wire.errors import Misconfigured

STATES = (
    *(Mode.NORMAL, Mode.SEARCHING, Mode.NO_SIM, Mode.SIM_PIN, Mode.SIM_PUK, Mode.DENIED, Mode.LIMITED),
    Mode.MUTE,
)
CURES = ("none", "restart", "usb")
_STREAM_EVERY_S = 2.0
_LINGER_S = 0.15
_LINE_MAX = 1024


@cache
def families() -> dict[str, Family]:
    """The families built from the recordings that ship with this package."""
    folder = resources.files("sim") / "data"
    entries = []
    for name in ("at-transcripts.json", "at-supplement.json"):
        entries += json.loads((folder / name).read_text(encoding="utf-8"))
    return build(entries)


class Modem:
    """One modem. All methods are called on the event loop's thread; `link` is the stable name of its port.

    `cell` tells what it sees; None plays the recordings unchanged. A restart keeps it off the bus for `boot_s` (a real
    stick: 20 s). `on_change` is called whenever data may have begun or ceased to flow, or the port has come or gone.
    """

    def __init__(
        self,
        family: str,
        cell: Callable[[], Cell] | None,
        *,
        link: Path,
        seed: int = 1,
        boot_s: float = 2.0,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        if family not in FAMILIES:
            raise Misconfigured(f"no modem family {family!r}; there are {', '.join(FAMILIES)}")
        self.family = families()[family]
        self.cell = cell
        self._link, self._seed, self._boot_s = link, seed, boot_s
        self._on_change = on_change
        self._cure = "none"
        self._session = at_script.Session()
        self._port: pty.Port | None = None
        self._typed = b""
        self._streamed = 0
        self._timers: list[asyncio.TimerHandle] = []

    @property
    def tty(self) -> str | None:
        """Path of the port now; None while unplugged."""
        return self._port.path if self._port else None

    @property
    def mode(self) -> Mode:
        """State of the modem; `unplugged` while it is off the bus."""
        return self._session.resume if self._port else Mode.UNPLUGGED

    @property
    def has_bearer(self) -> bool:
        """Whether data may flow by it now."""
        return self._port is not None and self._session.has_bearer

    @property
    def bearer(self) -> Bearer:
        """The data connection as the network and the last commands left it."""
        return self._session.bearer

    @property
    def iccid(self) -> str | None:
        """Number of the SIM in it; None for the recordings' own."""
        return self._session.iccid

    def set_sim(self, iccid: str) -> None:
        """Puts another SIM in."""
        self._session = replace(self._session, iccid=iccid)

    def set_bearer(self, bearer: Bearer) -> None:
        """The network takes the data connection away, or grants it again."""
        self._session = replace(self._session, bearer=bearer)
        self._on_change()

    def plug(self) -> None:
        """Puts the modem on the bus at a new port, freshly powered: settings at their defaults, boot lines sent."""
        if self._port:
            return
        self._heal("usb")
        self._session = at_script.settled(at_script.booted(self._session))
        self._attach()

    def unplug(self) -> None:
        """Pulls the modem out: reads fail, the path and the symlink vanish."""
        self._cancel()
        self._link.unlink(missing_ok=True)
        if self._port:
            asyncio.get_running_loop().remove_reader(self._port.master)
            self._port.close()
            self._port = None
            self._on_change()

    def set_mode(self, mode: Mode, cure: str = "none") -> None:
        """Changes SIM, network or firmware state; clients that asked for +CxREG lines get them.

        `cure`: what of the modem's own brings it back to normal: nothing, an AT restart, or being enumerated anew.
        """
        self._cure = cure
        self._session = at_script.set_mode(self._session, mode)
        self._on_change()
        if mode is not Mode.MUTE:
            self._send(at_script.registration_urcs(self.family, self._session, self._now()))

    def _attach(self) -> None:
        loop = asyncio.get_running_loop()
        self._port, self._typed, self._streamed = pty.open_port(), b"", 0
        fresh = self._link.with_name(self._link.name + ".new")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(self._port.path)
        fresh.replace(self._link)
        loop.add_reader(self._port.master, self._readable)
        if self._session.mode is not Mode.MUTE:
            self._send("".join(self.family.boot_urcs))
        self._later(_STREAM_EVERY_S, self._stream)
        self._on_change()

    def _readable(self) -> None:
        if self._port is None:
            return
        self._typed = (self._typed + self._port.read()).replace(b"\n", b"")
        while b"\r" in self._typed:
            line, _, self._typed = self._typed.partition(b"\r")
            self._answer(line.decode("ascii", "replace"))
        self._typed = self._typed[-_LINE_MAX:]

    def _answer(self, line: str) -> None:
        had_bearer = self._session.has_bearer
        self._session, reply = at_script.answer(self.family, self._session, line, self._now())
        self._send(reply.text)
        if self._session.has_bearer is not had_bearer:
            self._on_change()
        if reply.restart:
            # The OK must reach the client before the port dies.
            self._later(_LINGER_S, self._restart)

    def _restart(self) -> None:
        self.unplug()
        self._heal("restart")
        self._session = at_script.booted(self._session)
        self._later(self._boot_s, self._attach)
        self._later(2 * self._boot_s, self._settle)

    def _heal(self, by: str) -> None:
        """What a restart cures, being enumerated anew cures too."""
        if self._cure in (by, "restart" if by == "usb" else by):
            self._session, self._cure = at_script.set_mode(self._session, Mode.NORMAL), "none"

    def _settle(self) -> None:
        self._session = at_script.settled(self._session)
        self._on_change()
        self._send(at_script.registration_urcs(self.family, self._session, self._now()))

    def _stream(self) -> None:
        self._send(at_script.stream_line(self.family, self._session, self._streamed, self._now()))
        self._streamed += 1
        self._later(_STREAM_EVERY_S, self._stream)

    def _send(self, text: str) -> None:
        if self._port and text:
            self._port.write(text)

    def _now(self) -> Cell | None:
        return vary(self.cell(), self._seed, int(time.monotonic())) if self.cell else None

    def _later(self, delay_s: float, action: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        self._timers = [timer for timer in self._timers if timer.when() > loop.time()]
        self._timers.append(loop.call_later(delay_s, action))

    def _cancel(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers = []
