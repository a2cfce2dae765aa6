"""The commands `dosong-sim core ...` and `dosong-sim site ...`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sim import fault_table, link_cli, ns, site, state
from sim.at_table import FAMILIES
from sim.modem import STATES
from wire.errors import EXIT_FAILED, EXIT_OK, EXIT_USAGE

COMMANDS = ("core", "site")
Commands = Any  # argparse names the type of add_subparsers only in private
Run = Callable[[argparse.Namespace], int]


def add_parser(commands: Commands) -> None:
    """Registers `core` and `site` with the command line."""
    core = _command(commands, "core", "the run's Internet: servers bind to 198.18.0.1 in it", "core up --run demo")
    verbs = core.add_subparsers(metavar="VERB", required=True)
    _leaf(verbs, "up", "start the core", "core up --run demo", _core_up)
    ending = _leaf(verbs, "down", "end the core", "core down --run demo --all", _core_down)
    ending.add_argument("--all", action="store_true", help="take the run's sites down first")
    _leaf(verbs, "exec", "run the command that follows -- in the core", "core exec --run demo -- ip addr", _core_exec)

    sites = _command(commands, "site", "a place with a 4G modem, a GPS and a shaped link", "site up ban-lung")
    verbs = sites.add_subparsers(metavar="VERB", required=True)
    _add_up(verbs)
    _named(verbs, "down", "take a site down", "site down ban-lung", _down)
    listing = _leaf(verbs, "list", "show what is up, and forget what was killed", "site list --json", _list)
    listing.add_argument("--json", action="store_true", help="one JSON object, for scripts")
    _add_changes(verbs)
    example = "site truth ban-lung --seconds 30"
    counting = _named(verbs, "truth", "what the link was offered and delivered, and how late it ran", example, _truth)
    counting.add_argument("--seconds", type=float, default=10.0, metavar="S", help="how far back (%(default)s)")
    counting.add_argument("--json", action="store_true", help="each 50 ms as one JSON line")
    text = "run the command that follows -- inside a site"
    _named(verbs, "exec", text, "site exec ban-lung --run demo -- ip route", _exec)


def _add_up(verbs: Commands) -> None:
    example = "site up ban-lung --down 20mbit --up 8mbit --modem huawei-e3372 --rsrp -101"
    up = _named(verbs, "up", "bring a site up", example, _up)
    spec = state.Spec("")
    up.add_argument(
        "--down", type=link_cli.rate, default=spec.downlink_bps, metavar="RATE", help="downlink, like 20mbit"
    )
    up.add_argument("--up", type=link_cli.rate, default=spec.uplink_bps, metavar="RATE", help="uplink, like 8mbit")
    link_cli.add_shaper(up)
    link_cli.add_options(up)
    up.add_argument("--wifi", type=_on_off, default=False, metavar="on|off", help="add wlan0, faster and preferred")
    up.add_argument("--link", choices=("netns", "loopback"), default=spec.link, help="loopback: modem and GPS only")
    up.add_argument("--modem", choices=FAMILIES, default=spec.modem, help="whose AT dialect it speaks")
    up.add_argument("--rsrp", type=float, default=spec.rsrp_dbm, metavar="DBM", help="received power, dBm")
    up.add_argument("--rsrq", type=float, default=spec.rsrq_db, metavar="DB", help="received quality, dB")
    up.add_argument("--sinr", type=float, default=spec.sinr_db, metavar="DB", help="signal to noise, dB")
    up.add_argument("--plmn", default=spec.plmn, help="45204 Viettel, 45202 VinaPhone, 45201 MobiFone")
    up.add_argument("--lat", type=float, default=spec.lat, help="latitude of the receiver, degrees")
    up.add_argument("--lon", type=float, default=spec.lon, help="longitude of the receiver, degrees")
    up.add_argument("--gps-hz", type=float, default=spec.gps_hz, metavar="HZ", help="fixes a second")
    up.add_argument("--seed", type=int, default=spec.seed, help="seed of the variation in radio and position")
    up.add_argument(
        "--card-mb", type=int, default=0, metavar="MB", help="an SD card of its own, that can fill and fail"
    )
    up.add_argument("--foreground", action="store_true", help="stay: the site ends with this command (Ctrl-C)")


def _add_changes(verbs: Commands) -> None:
    rate = _named(verbs, "rate", "reshape the link", "site rate ban-lung --down 2mbit --up 512kbit", _rate_change)
    rate.add_argument("--down", type=link_cli.rate, metavar="RATE", help="downlink, like 20mbit")
    rate.add_argument("--up", type=link_cli.rate, metavar="RATE", help="uplink, like 8mbit")
    example = "site link ban-lung --delay 40 --loss 0.5 --trace-down cellular:7"
    link_cli.add_options(_named(verbs, "link", "change delay, queue, loss, trace, policing", example, _link_change))
    for verb, text in (
        ("service", "lose the network and find it again: the modem searches, packets are dropped"),
        ("wifi", "switch the hall's Wi-Fi, by which packets can leave on the wrong way"),
    ):
        switch = _named(verbs, verb, text, f"site {verb} ban-lung off", _switch(verb))
        switch.add_argument("on", type=_on_off, metavar="on|off")
    _named(verbs, "unplug", "pull the modem out of its USB port", "site unplug ban-lung", _plain("unplug"))
    _named(verbs, "plug", "put the modem back, at a new port", "site plug ban-lung", _plain("plug"))
    example = "site gps ban-lung move --lat 21.71 --lon 106.02"
    gps = _named(verbs, "gps", "silence (off), restart (on), move the receiver, or stop or kill gpsd", example, _gps)
    gps.add_argument("action", choices=("on", "off", "move", "stop", "kill"))
    gps.add_argument("--lat", type=float, help="degrees, with move")
    gps.add_argument("--lon", type=float, help="degrees, with move")
    example = "site modem-state ban-lung no_sim"
    mode = _named(verbs, "modem-state", "change SIM, network or firmware state", example, _modem_state)
    mode.add_argument("state", choices=[*map(str, STATES), "unplugged"])
    _add_faults(verbs)


def _add_faults(verbs: Commands) -> None:
    fault = _named(verbs, "fault", "break something, and mend it again", "site fault ban-lung sim-puk", _fault)
    fault.epilog = f"{fault.epilog}\n  dosong-sim site fault ban-lung sim-puk --end\n\nfaults:\n{fault_table.listing()}"
    fault.add_argument("fault", choices=tuple(fault_table.FAULTS), metavar="FAULT", help="one of those below")
    fault.add_argument("--end", action="store_true", help="it is over: all is as before")
    _leaf(verbs, "faults", "list what can be broken, in English and Vietnamese", "site faults", _faults)


def _command(verbs: Commands, name: str, text: str, example: str) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = verbs.add_parser(
        name,
        help=text,
        description=text[0].upper() + text[1:] + ".",
        epilog=f"example:\n  dosong-sim {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return made


def _leaf(verbs: Commands, name: str, text: str, example: str, run: Run) -> argparse.ArgumentParser:
    made = _command(verbs, name, text, example)
    made.add_argument(
        "--run", dest="run_name", default="default", help="name of the run; runs never meet (default: %(default)s)"
    )
    made.add_argument("--state-dir", type=Path, metavar="DIR", help="where the run is noted (/run/dosong-sim/RUN)")
    made.set_defaults(run=run)
    return made


def _named(verbs: Commands, name: str, text: str, example: str, run: Run) -> argparse.ArgumentParser:
    made = _leaf(verbs, name, text, example, run)
    made.add_argument("name", metavar="NAME", help="name of the site")
    return made


def _on_off(text: str) -> bool:
    if text not in {"on", "off"}:
        raise argparse.ArgumentTypeError(f"{text!r} is neither on nor off")
    return text == "on"


def _directory(options: argparse.Namespace) -> state.RunDir:
    return state.run_dir(options.run_name, options.state_dir)


def _core_up(options: argparse.Namespace) -> int:
    core = site.core_up(_directory(options))
    _say(f"core of run {core.run}: up, servers bind to {core.address}; enter it: nsenter -t {core.pid} -n -m")
    return EXIT_OK


def _core_down(options: argparse.Namespace) -> int:
    directory = _directory(options)
    if options.all:
        site.all_down(directory)
    else:
        site.core_down(directory)
    state.tidy(directory)
    return EXIT_OK


def _core_exec(options: argparse.Namespace) -> int:
    found = state.core(_directory(options))
    if options.after_dashes and found is None:
        print(f"dosong-sim: the core of run {options.run_name} is not up; bring it up: core up", file=sys.stderr)
        return EXIT_FAILED
    return _become(options, lambda: found.pid if found else None, "core exec -- ip addr")


def _up(options: argparse.Namespace) -> int:
    directory = _directory(options)
    spec = state.Spec(
        name=options.name,
        link=options.link,
        shaper=options.shaper,
        wifi=options.wifi,
        modem=options.modem,
        rsrp_dbm=options.rsrp,
        rsrq_db=options.rsrq,
        sinr_db=options.sinr,
        plmn=options.plmn,
        lat=options.lat,
        lon=options.lon,
        gps_hz=options.gps_hz,
        seed=options.seed,
        card_mb=options.card_mb,
        **link_cli.chosen(options),
    )
    if options.foreground:
        return site.hold(directory, spec, lambda error: _reported(directory, spec.name, error))
    _describe(site.up(directory, spec))
    return EXIT_OK


def _reported(directory: state.RunDir, name: str, error: str | None) -> None:
    if error is None:
        _describe(site.find(directory, name))
    else:
        print(f"dosong-sim: {error}", file=sys.stderr)


def _down(options: argparse.Namespace) -> int:
    directory = _directory(options)
    if state.site(directory, options.name) is None:
        _say(f"{options.name} is not up in run {options.run_name}")
        return EXIT_FAILED
    site.down(directory, options.name)
    return EXIT_OK


def _list(options: argparse.Namespace) -> int:
    directory = _directory(options)
    core, sites = state.core(directory), state.sites(directory)
    if options.json:
        _say(json.dumps({"core": asdict(core) if core else None, "sites": [asdict(each) for each in sites]}))
        return EXIT_OK
    _say(f"core: {'up at ' + core.address if core else 'not up'}")
    for each in sites:
        _say(_line(each))
    return EXIT_OK


def _rate_change(options: argparse.Namespace) -> int:
    return _changed(options, "rate", downlink_bps=options.down, uplink_bps=options.up)


def _link_change(options: argparse.Namespace) -> int:
    changes = link_cli.chosen(options)
    if not changes:
        print("dosong-sim: say what is to change, like --delay 40; see --help", file=sys.stderr)
        return EXIT_USAGE
    return _changed(options, "link", **changes)


def _truth(options: argparse.Namespace) -> int:
    found = site.find(_directory(options), options.name)
    if found.truth is None:
        print(
            f"dosong-sim: {options.name} has no relay, so nobody counts; bring it up with --shaper relay",
            file=sys.stderr,
        )
        return EXIT_FAILED
    for line in link_cli.show_truth(Path(found.truth), options.seconds, as_json=options.json):
        _say(line)
    return EXIT_OK


def _switch(verb: str) -> Run:
    return lambda options: _changed(options, verb, on=options.on)


def _plain(verb: str) -> Run:
    return lambda options: _changed(options, verb)


def _gps(options: argparse.Namespace) -> int:
    if options.action == "move" and None in (options.lat, options.lon):
        print("dosong-sim: move needs --lat and --lon, in degrees", file=sys.stderr)
        return EXIT_USAGE
    return _changed(options, "gps", action=options.action, lat=options.lat, lon=options.lon)


def _modem_state(options: argparse.Namespace) -> int:
    return _changed(options, "modem-state", state=options.state)


def _fault(options: argparse.Namespace) -> int:
    play = site.end if options.end else site.begin
    _say(_line(play(_directory(options), options.name, options.fault)))
    return EXIT_OK


def _faults(_options: argparse.Namespace) -> int:
    _say(fault_table.listing())
    return EXIT_OK


def _exec(options: argparse.Namespace) -> int:
    directory = _directory(options)
    return _become(options, lambda: site.find(directory, options.name).netns_pid, "site exec ban-lung -- ip route")


def _become(options: argparse.Namespace, pid: Callable[[], int | None], example: str) -> int:
    """Turn into the command that stands after the dashes, inside the namespaces of a process."""
    if not options.after_dashes:
        print(f"dosong-sim: name the command after --, like `{example}`", file=sys.stderr)
        return EXIT_USAGE
    inside = ns.enter(pid(), options.after_dashes)
    sys.stdout.flush()
    os.execvp(inside[0], inside)  # noqa: S606 - the process becomes the command, so that signals reach it
    return EXIT_FAILED  # not reached


def _changed(options: argparse.Namespace, verb: str, **args: Any) -> int:
    _say(_line(site.control(_directory(options), options.name, verb, **args)))
    return EXIT_OK


def _line(each: state.SiteState) -> str:
    wifi = ", wifi on" if each.wifi else ""
    service = "" if each.service else ", no service"
    odd = {
        "data connection": each.bearer != "up" and each.bearer,
        "dns": each.dns != "ok" and each.dns,
        "portal": each.portal != "off" and each.portal,
        "dropped": each.drop != "none" and each.drop,
        "card": each.card_state not in {None, "good"} and each.card_state,
        "clock": not each.clock_synced and f"{each.clock_offset_s:+d} s",
        "power": not each.powered and "off",
    }
    service += "".join(f", {what} {word}" for what, word in odd.items() if word)
    return (
        f"{each.name}: {each.interface} {each.address}, {link_cli.text_of(each)}{wifi}{service}; "
        f"modem {each.modem_family} {each.modem_state}; gps {each.gps} at {each.lat:.5f}, {each.lon:.5f}"
    )


def _describe(up: state.SiteState) -> None:
    _say(_line(up))
    _say(f"  AT port  {up.modem} -> {up.modem_tty}")
    _say(f"  gpsd     {up.gpsd_host}:{up.gpsd_port}" + (" inside the site" if up.netns_pid else ""))
    if up.netns_pid:
        _say(f"  look in  dosong-sim site exec {up.name} --run {up.run} -- ip route")


def _say(text: str) -> None:
    print(text, flush=True)
