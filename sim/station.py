"""One site from the inside: its link, modem and receiver, and the verbs that change them."""

from __future__ import annotations

import os
import re
import time
from dataclasses import asdict, replace
from typing import Any

from sim import air, cell, gps, link, ns, state
from sim.at_table import Mode
from sim.control import Verb
from sim.faults import Faults, iccid_of
from sim.faults import Verb as Fault
from sim.lte import Cell, cell_at, faded
from sim.modem import CURES, STATES, Modem
from wire.errors import Misconfigured

_TRACES = ("downlink_trace", "uplink_trace", "trace_offset")


class Station:
    """What a site's holder owns. All methods are called on its event loop's thread."""

    def __init__(self, directory: state.RunDir, spec: state.Spec, wires: link.Wires | None) -> None:
        folder = directory.folder(spec.name)
        self._directory, self._spec, self._wires = directory, spec, wires
        self._built = spec
        self._link = cell.make(spec.shaper, wires, folder) if wires else None
        self._wifi, self._service, self._wanted, self._cure = False, True, Mode.NORMAL, "none"
        self._is_carried = True
        self._mean = cell_at(spec.name, spec.rsrp_dbm, spec.rsrq_db, spec.sinr_db, spec.plmn)
        self._fading_since_s = time.monotonic()
        self._modem = Modem(
            spec.modem, self._cell_now, link=folder / "modem", seed=spec.seed, on_change=self._modem_changed
        )
        port = gps.GPSD_PORT if wires else gps.free_port()
        log = folder / "gpsd.log"
        self._gps = gps.Receiver(spec.lat, spec.lon, port=port, log=log, hz=spec.gps_hz, seed=spec.seed)
        self._faults = Faults(folder, spec, wires, self._modem, self._gps)

    @property
    def verbs(self) -> dict[str, Verb]:
        """Name of each change that the control socket offers, with what makes it."""
        return {
            "state": self._state,
            "rate": self._set_rate,
            "link": self._set_link,
            "service": self._set_service,
            "unplug": self._unplug,
            "plug": self._plug,
            "wifi": self._set_wifi,
            "gps": self._set_gps,
            "modem-state": self._set_modem,
            "sim": self._set_sim,
            **{name: self._and_told(verb) for name, verb in self._faults.verbs.items()},
        }

    async def start(self) -> None:
        """Brings up link, modem and GPS."""
        if self._wires and self._link:
            link.build_site()
            self._link.build(self._spec)
            if self._spec.wifi:
                link.wifi_up(self._wires)
                self._wifi = True
        self._faults.relay_pid = self.relay_pid
        await self._faults.start()
        self._modem.plug()
        await self._gps.start()

    def close(self) -> None:
        """Ends gpsd and the relay and hangs up the ports; the wires end with the namespace."""
        self._gps.close()
        self._modem.unplug()
        self._faults.close()
        if self._link:
            self._link.close()

    @property
    def relay_pid(self) -> int | None:
        """The relay's process, None without one."""
        return self._link.pid if self._link else None

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
            downlink_bps=spec.downlink_bps if wires else None,
            uplink_bps=spec.uplink_bps if wires else None,
            shaper=spec.shaper if wires else None,
            rtt_ms=spec.rtt_ms if self.relay_pid else None,
            downlink_trace=spec.downlink_trace if wires else None,
            uplink_trace=spec.uplink_trace if wires else None,
            relay_pid=self.relay_pid,
            truth=str(self._link.truth) if self._link and self._link.truth else None,
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
            plmn=self._mean.plmn,
            **self._faults.fields(),
        )

    def _done(self) -> dict[str, Any]:
        self.save()
        return asdict(self.snapshot())

    async def _state(self, _args: dict[str, Any]) -> dict[str, Any]:
        return asdict(self.snapshot())

    def _cell_now(self) -> Cell:
        """The serving cell as it is now: with a generated link its levels go with the downlink's rate."""
        if not (self._spec.downlink_trace or "").startswith("cellular:"):
            return self._mean
        fading = air.fading_of(self._spec, "downlink")
        since_s = time.monotonic() - self._fading_since_s + self._spec.trace_offset_s
        at = int(since_s) % len(fading.rsrp_db)
        return faded(self._mean, fading.rsrp_db[at], fading.sinr_db[at])

    def _linked(self) -> tuple[link.Wires, cell.Cell]:
        if self._wires is None or self._link is None:
            raise Misconfigured("this site is on loopback and has no link to change; bring it up with `--link netns`")
        return self._wires, self._link

    async def _set_rate(self, args: dict[str, Any]) -> dict[str, Any]:
        changes: dict[str, Any] = {}
        if args.get("as") == "spec":
            changes = {f"{direction}_bps": getattr(self._built, f"{direction}_bps") for direction in air.DIRECTIONS}
        for direction in air.DIRECTIONS:
            if args.get(f"{direction}_bps"):
                changes |= {f"{direction}_bps": int(args[f"{direction}_bps"]), f"{direction}_trace": None}
        return self._change_link(changes, restart=False)

    async def _set_link(self, args: dict[str, Any]) -> dict[str, Any]:
        unknown = sorted(set(args) - set(air.FIELDS))
        if unknown:
            raise ValueError(f"no such part of a link: {', '.join(unknown)}; there are {', '.join(air.FIELDS)}")
        return self._change_link(args, restart=any(name.startswith(_TRACES) for name in args))

    def _change_link(self, changes: dict[str, Any], *, restart: bool) -> dict[str, Any]:
        _, its_link = self._linked()
        wanted = replace(self._spec, **changes)
        cell.check(wanted.shaper, air.of(wanted))
        its_link.change(wanted, service=self._is_carried, restart=restart)
        self._spec = wanted
        if restart:
            self._fading_since_s = time.monotonic()
        return self._done()

    async def _set_service(self, args: dict[str, Any]) -> dict[str, Any]:
        self._service = bool(args["on"])
        if self._service:
            self._modem.set_mode(self._wanted, self._cure)
        else:
            self._modem.set_mode(Mode.SEARCHING)
        return self._done()

    def _modem_changed(self) -> None:
        """The bus shows the modem's port, and the link carries packets only while it serves."""
        self._faults.follow()
        is_carried = self._modem.has_bearer
        if is_carried is not self._is_carried and self._link and self._modem.tty is not None:
            self._link.change(self._spec, service=is_carried)
            self._is_carried = is_carried

    def _and_told(self, fault: Fault) -> Verb:
        """A fault as a verb that answers with the site as it then is."""

        async def verb(args: dict[str, Any]) -> dict[str, Any]:
            await fault(args)
            return self._done()

        return verb

    async def _unplug(self, _args: dict[str, Any]) -> dict[str, Any]:
        self._faults.unplug()
        return self._done()

    async def _plug(self, _args: dict[str, Any]) -> dict[str, Any]:
        self._faults.plug()
        return self._done()

    async def _set_wifi(self, args: dict[str, Any]) -> dict[str, Any]:
        (wires, _), on = self._linked(), bool(args["on"])
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
        elif action == "kill":
            self._gps.kill()
        else:
            raise ValueError(f"no such GPS action {action!r}; there are on, off, move, stop and kill")
        return self._done()

    async def _set_modem(self, args: dict[str, Any]) -> dict[str, Any]:
        if args["state"] == Mode.UNPLUGGED:
            return await self._unplug({})
        if args["state"] not in STATES:
            raise ValueError(f"no such modem state {args['state']!r}; there are {', '.join(STATES)}")
        if args.get("cure", "none") not in CURES:
            raise ValueError(f"no such cure {args['cure']!r}; there are {', '.join(CURES)}")
        self._wanted, self._cure = Mode(args["state"]), args.get("cure", "none")
        if self._service:
            self._modem.set_mode(self._wanted, self._cure)
        return self._done()

    async def _set_sim(self, args: dict[str, Any]) -> dict[str, Any]:
        """Another SIM: its own number, and the cell of its own operator."""
        plmn, serial = args.get("plmn") or self._spec.plmn, args.get("serial") or self._spec.name
        if not re.fullmatch(r"[0-9]{5,6}", plmn):
            raise ValueError(f"{plmn!r} is no network number; Viettel is 45204, VinaPhone 45202, MobiFone 45201")
        spec = self._spec
        place = spec.name if plmn == spec.plmn else f"{spec.name}:{plmn}"
        self._mean = cell_at(place, spec.rsrp_dbm, spec.rsrq_db, spec.sinr_db, plmn)
        self._modem.set_sim(iccid_of(serial, plmn))
        return self._done()
