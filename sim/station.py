"""One site from the inside: its link, modem and receiver, and the verbs that change them."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Any

from sim import gps, link, ns, state
from sim.at_table import Mode
from sim.control import Verb
from sim.lte import cell_at
from sim.modem import STATES, Modem
from wire.errors import Misconfigured


class Station:
    """What a site's holder owns. All methods are called on its event loop's thread."""

    def __init__(self, directory: state.RunDir, spec: state.Spec, wires: link.Wires | None) -> None:
        folder = directory.folder(spec.name)
        self._directory, self._spec, self._wires = directory, spec, wires
        self._downlink_bps, self._uplink_bps = spec.downlink_bps, spec.uplink_bps
        self._wifi, self._service, self._wanted = False, True, Mode.NORMAL
        cell = cell_at(spec.name, spec.rsrp_dbm, spec.rsrq_db, spec.sinr_db, spec.plmn)
        self._modem = Modem(spec.modem, cell, link=folder / "modem", seed=spec.seed)
        port = gps.GPSD_PORT if wires else gps.free_port()
        log = folder / "gpsd.log"
        self._gps = gps.Receiver(spec.lat, spec.lon, port=port, log=log, hz=spec.gps_hz, seed=spec.seed)

    @property
    def verbs(self) -> dict[str, Verb]:
        """Name of each change that the control socket offers, with what makes it."""
        return {
            "state": self._state,
            "rate": self._set_rate,
            "service": self._set_service,
            "unplug": self._unplug,
            "plug": self._plug,
            "wifi": self._set_wifi,
            "gps": self._set_gps,
            "modem-state": self._set_modem,
        }

    async def start(self) -> None:
        """Brings up link, modem and GPS."""
        if self._wires:
            link.build_site(self._wires, self._downlink_bps, self._uplink_bps)
            if self._spec.wifi:
                link.wifi_up(self._wires)
                self._wifi = True
        self._modem.plug()
        await self._gps.start()

    def close(self) -> None:
        """Ends gpsd and hangs up the ports; the link ends with the namespace."""
        self._gps.close()
        self._modem.unplug()

    def save(self) -> None:
        """Writes the state file."""
        state.write(self._directory.file(self._spec.name), self.snapshot())

    def snapshot(self) -> state.SiteState:
        """The site as it is now."""
        spec, wires = self._spec, self._wires
        return state.SiteState(
            name=spec.name,
            run=self._directory.run,
            pid=os.getpid(),
            start_ticks=ns.start_ticks(os.getpid()) or 0,
            link=spec.link,
            netns_pid=os.getpid() if wires else None,
            core_pid=wires.core_pid if wires else None,
            index=wires.index if wires else None,
            interface="cell0" if wires else "lo",
            address=wires.cell_address if wires else "127.0.0.1",
            gateway=wires.cell_gateway if wires else None,
            wifi=self._wifi,
            wifi_address=wires.wifi_address if wires and self._wifi else None,
            downlink_bps=self._downlink_bps if wires else None,
            uplink_bps=self._uplink_bps if wires else None,
            service=self._service,
            plugged=self._modem.tty is not None,
            modem_family=spec.modem,
            modem_state=self._modem.mode,
            modem=str(self._directory.folder(spec.name) / "modem"),
            modem_tty=self._modem.tty,
            gps=self._gps.state,
            gpsd_host="127.0.0.1",
            gpsd_port=self._gps.port,
            lat=self._gps.lat,
            lon=self._gps.lon,
            plmn=spec.plmn,
        )

    def _done(self) -> dict[str, Any]:
        self.save()
        return asdict(self.snapshot())

    async def _state(self, _args: dict[str, Any]) -> dict[str, Any]:
        return asdict(self.snapshot())

    def _linked(self) -> link.Wires:
        if self._wires is None:
            raise Misconfigured("this site is on loopback and has no link to change; bring it up with `--link netns`")
        return self._wires

    async def _set_rate(self, args: dict[str, Any]) -> dict[str, Any]:
        wires = self._linked()
        self._downlink_bps = int(args.get("downlink_bps") or self._downlink_bps)
        self._uplink_bps = int(args.get("uplink_bps") or self._uplink_bps)
        if self._service:
            link.shape(wires, self._downlink_bps, self._uplink_bps)
        return self._done()

    async def _set_service(self, args: dict[str, Any]) -> dict[str, Any]:
        self._service = bool(args["on"])
        self._modem.set_mode(self._wanted if self._service else Mode.SEARCHING)
        if self._wires and self._service:
            link.shape(self._wires, self._downlink_bps, self._uplink_bps)
        elif self._wires:
            link.block(self._wires)
        return self._done()

    async def _unplug(self, _args: dict[str, Any]) -> dict[str, Any]:
        self._modem.unplug()
        if self._wires:
            link.cell_down()
        return self._done()

    async def _plug(self, _args: dict[str, Any]) -> dict[str, Any]:
        self._modem.plug()
        if self._wires:
            link.cell_up(self._wires)
        return self._done()

    async def _set_wifi(self, args: dict[str, Any]) -> dict[str, Any]:
        wires, on = self._linked(), bool(args["on"])
        if on and not self._wifi:
            link.wifi_up(wires)
        elif self._wifi and not on:
            link.wifi_down()
        self._wifi = on
        return self._done()

    async def _set_gps(self, args: dict[str, Any]) -> dict[str, Any]:
        action = args["action"]
        if action == "move":
            self._gps.move(float(args["lat"]), float(args["lon"]))
        elif action == "on":
            await self._gps.start()
        elif action == "off":
            self._gps.off()
        elif action == "stop":
            self._gps.stop()
        else:
            raise ValueError(f"no such GPS action {action!r}; there are on, off, move and stop")
        return self._done()

    async def _set_modem(self, args: dict[str, Any]) -> dict[str, Any]:
        if args["state"] == Mode.UNPLUGGED:
            return await self._unplug({})
        if args["state"] not in STATES:
            raise ValueError(f"no such modem state {args['state']!r}; there are {', '.join(STATES)}")
        self._wanted = Mode(args["state"])
        if self._service:
            self._modem.set_mode(self._wanted)
        return self._done()
