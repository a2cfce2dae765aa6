"""What can go wrong at a site besides its link: SIM, data connection, names, portals, ports, card, clock, power.

Each is a verb of the site's control socket, played while programs run, and taken back by the same verb. Everything here
runs on the event loop's thread of the site's holder.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sim import gps, link, power, state
from sim.at_bearer import Bearer
from sim.card import STATES as CARD_STATES
from sim.card import Card
from sim.clocks import Clock
from sim.modem import Modem
from sim.operator_net import Operator, Policy
from sim.usb import Bus
from wire.errors import Misconfigured

Verb = Callable[[dict[str, Any]], Awaitable[None]]
BEARERS = {"up": Bearer(), "lost": Bearer(up=False, granted=True), "refused": Bearer(up=False, granted=False)}
_AUTHORIZED_EVERY_S = 0.1
_TTYS = 4
_ICCID = "8984"
"""E.118: telecommunications (89) in Vietnam (84)."""


class Faults:
    """All that can be broken of one site. `folder` is the site's; `wires` None: a site on loopback, without a link."""

    def __init__(self, folder: Path, spec: state.Spec, wires: link.Wires | None, modem: Modem, receiver: gps.Receiver):
        self._wires, self._modem, self._gps = wires, modem, receiver
        self.bus = Bus(folder, spec.modem, "cell0" if wires else "lo")
        self.operator = Operator(wires) if wires else None
        self.card = Card(folder, spec.card_mb) if wires and spec.card_mb else None
        self.clock = Clock(folder)
        self._boot = power.BootId(folder) if wires else None
        self.powered = True
        self._first_tty, self._tty = 0, modem.tty
        self._is_off = self._was_plugged = False
        self._gps_was = "stopped"
        self._watch: asyncio.TimerHandle | None = None
        self.relay_pid: int | None = None
        modem.set_sim(iccid_of(spec.name, spec.plmn))

    @property
    def verbs(self) -> dict[str, Verb]:
        """Name of each change, with what makes it."""
        return {
            "bearer": self._set_bearer,
            "net": self._set_net,
            "reenumerate": self._reenumerate,
            "card": self._set_card,
            "clock": self._set_clock,
            "power": self._set_power,
        }

    async def start(self) -> None:
        """Brings up what a site has of these. Raises Misconfigured if this machine cannot."""
        self.clock.set(offset_s=0, synced=True)
        if self._boot:
            self._boot.start()
            self.bus.show()
        if self.card:
            self.card.start()
        if self.operator:
            await self.operator.start()
        self._watch_authorized()

    def close(self) -> None:
        """Gives everything back that does not end with the namespaces."""
        if self._watch:
            self._watch.cancel()
        if self.operator:
            self.operator.close()
        if self.card:
            with contextlib.suppress(Misconfigured):
                self.card.close()
        self.bus.detach()

    def follow(self) -> None:
        """The bus shows what the modem is: called when its port has come or gone."""
        if self._modem.tty == self._tty:
            return
        self._tty = self._modem.tty
        if self._tty is not None:
            self.bus.attach(self._tty, self._first_tty)
        elif self._is_off:
            self.bus.bare()
        else:
            self.bus.detach()

    def unplug(self) -> None:
        """The stick leaves the bus, and its network interface goes down with it."""
        self._modem.unplug()
        if self._wires:
            link.cell_down()

    def plug(self) -> None:
        """The stick comes back, freshly powered."""
        self._modem.plug()
        if self._wires:
            link.cell_up(self._wires)

    async def _reenumerate(self, _args: dict[str, Any]) -> None:
        """The stick falls off the bus and comes back with other tty numbers, one of which was another port's."""
        self.unplug()
        self._first_tty = (self._first_tty + 1) % _TTYS
        self.plug()

    def _watch_authorized(self) -> None:
        """The stick obeys its `authorized` file, as the kernel makes it."""
        wanted = self.bus.is_authorized()
        if wanted is False and not self._is_off:
            self._is_off = True
            self.unplug()
        elif wanted and self._is_off:
            self._is_off = False
            self.plug()
        self._watch = asyncio.get_running_loop().call_later(_AUTHORIZED_EVERY_S, self._watch_authorized)

    async def _set_bearer(self, args: dict[str, Any]) -> None:
        if args["state"] not in BEARERS:
            raise ValueError(f"no such data connection {args['state']!r}; there are {', '.join(BEARERS)}")
        self._modem.set_bearer(BEARERS[args["state"]])

    async def _set_net(self, args: dict[str, Any]) -> None:
        if self.operator is None:
            raise Misconfigured("this site is on loopback and has no operator; bring it up with `--link netns`")
        self.operator.set(args)

    async def _set_card(self, args: dict[str, Any]) -> None:
        if self.card is None:
            raise Misconfigured("this site has no card of its own; bring it up with `--card-mb 24`")
        wanted = args["state"]
        if wanted not in CARD_STATES:
            raise ValueError(f"no such card {wanted!r}; there are {', '.join(CARD_STATES)}")
        self.card.mend()
        if wanted == "full":
            self.card.fill()
        elif wanted == "read_only":
            self.card.fail()

    async def _set_clock(self, args: dict[str, Any]) -> None:
        self.clock.set(offset_s=int(args["offset_s"]), synced=bool(args["synced"]))

    async def _set_power(self, args: dict[str, Any]) -> None:
        if self._wires is None or self._boot is None:
            raise Misconfigured("this site is on loopback and has no power of its own; bring it up with `--link netns`")
        if args["on"] and not self.powered:
            await self._power_on()
        elif self.powered and not args["on"]:
            self._power_off()
        self.powered = bool(args["on"])

    def _power_off(self) -> None:
        self._was_plugged = self._modem.tty is not None
        self.unplug()
        self._gps_was = self._gps.state
        self._gps.off()
        power.kill_all({self.relay_pid} if self.relay_pid else set())
        self._gps.stop()

    async def _power_on(self) -> None:
        assert self._boot is not None  # noqa: S101 - _set_power has looked
        self._boot.renew()
        if self.card:
            self.card.cut()
        if self._was_plugged:
            self.plug()
        if self._gps_was != "stopped":
            await self._gps.start()
        if self._gps_was == "off":
            self._gps.off()

    @property
    def bearer(self) -> str:
        """The data connection: up, lost (asking again brings it back) or refused."""
        return next((name for name, bearer in BEARERS.items() if bearer == self._modem.bearer), "lost")

    def fields(self) -> dict[str, Any]:
        """What of a site's state is about these."""
        card = self.card
        return {
            "modem_usb": self.bus.tty,
            "sysfs": str(self.bus.sys),
            "dev": str(self.bus.dev),
            "iccid": self._modem.iccid,
            "bearer": self.bearer,
            **asdict(self.policy),
            "card": str(card.at) if card else None,
            "card_state": card.state if card else None,
            "clock_offset_s": self.clock.offset_s,
            "clock_synced": self.clock.synced,
            "powered": self.powered,
        }

    @property
    def policy(self) -> Policy:
        """What the operator does to this site."""
        return self.operator.policy if self.operator else Policy()


def iccid_of(place: str, plmn: str) -> str:
    """A SIM's number, made up of the network's and the place's name: nobody's, and another one at each place."""
    return f"{_ICCID}{plmn[3:].zfill(2)}" + f"{sum(ord(sign) * 31**at for at, sign in enumerate(place)):013d}"[-13:]
