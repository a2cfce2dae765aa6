"""Sites and the core from the outside: bring up, change, list, take down. The API of the demo and of tests.

directory = state.run_dir("demo")
site = site.up(directory, state.Spec("ban-lung", downlink_bps=20_000_000, uplink_bps=8_000_000))
ns.popen(site.netns_pid, ["dosong-probe", "run"])
site.control(directory, "ban-lung", "service", on=False)
site.down(directory, "ban-lung")
"""

from __future__ import annotations

import contextlib
import json
import re
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any, TypeVar

from sim import air, card, cell, clocks, gps, holder, link, ns, state
from sim import control as socket_control
from sim.at_table import FAMILIES
from sim.fault_table import FAULTS, TO_1970, Fault, Step
from wire.errors import Misconfigured, Unavailable

_UP_DEADLINE_S = 30.0
CARD_MB = (8, 1024)
_DOWN_DEADLINE_S = 5.0
_Up = TypeVar("_Up")
# Holders that this process started: kept so that they are reaped when they end.
_children: dict[int, subprocess.Popen[bytes]] = {}


def core_up(directory: state.RunDir, *, attached: bool = False) -> state.CoreState:
    """The run's core, started if it is not up. `attached`: it ends when the calling thread ends.

    Raises Misconfigured if this machine or user cannot hold a namespace.
    """
    found = state.core(directory)
    if found:
        return found
    ns.require_root("the core")
    ns.require_programs(*link.PROGRAMS)
    with state.locked(directory):
        found = state.core(directory)
        if found is None:
            _start("core", directory, {}, attached=attached)
            found = state.core(directory)
    return _present(found, "the core")


def up(directory: state.RunDir, spec: state.Spec) -> state.SiteState:
    """Brings a site up, with the run's core if need be, and returns it ready: link shaped, modem and gpsd answering.

    Raises Misconfigured if the spec or the machine does not allow it, Unavailable if the holder fails on the way up.
    """
    check(spec)
    core = core_up(directory, attached=spec.attached) if spec.link == "netns" else None
    with state.locked(directory):
        request = _request(directory, spec, core)
        _start("site", directory, request, attached=spec.attached)
        found = state.site(directory, spec.name)
    return _present(found, spec.name)


def hold(directory: state.RunDir, spec: state.Spec, report: Callable[[str | None], None]) -> int:
    """Is the site in this very process until SIGINT or SIGTERM (`site up --foreground`). Returns the exit code."""
    check(spec)
    core = core_up(directory) if spec.link == "netns" else None
    with contextlib.ExitStack() as held:
        held.enter_context(state.locked(directory))
        request = _request(directory, spec, core)

        def up_or_not(error: str | None) -> None:
            held.close()
            report(error)

        job = holder.job_of("site", {"run": directory.run, "path": str(directory.path), **request})
        return holder.run_holder(job, up_or_not)


def check(spec: state.Spec) -> None:
    """Raises Misconfigured, in one sentence, if no site can be like this on this machine."""
    state.check_name(spec.name)
    if spec.name == state.CORE:
        raise Misconfigured("a site cannot be called 'core'; choose another name")
    if spec.modem not in FAMILIES:
        raise Misconfigured(f"no modem family {spec.modem!r}; there are {', '.join(FAMILIES)}")
    if not (-90 < spec.lat < 90 and -180 <= spec.lon <= 180):
        raise Misconfigured(f"{spec.lat}, {spec.lon} is no position; give degrees like --lat 21.7 --lon 106.0")
    if not re.fullmatch(r"[0-9]{5,6}", spec.plmn):
        raise Misconfigured(f"{spec.plmn!r} is no network number; Viettel is 45204, VinaPhone 45202, MobiFone 45201")
    for name, value, low, high in (
        ("RSRP", spec.rsrp_dbm, -140, -44),
        ("RSRQ", spec.rsrq_db, -20, -3),
        ("SINR", spec.sinr_db, -20, 30),
    ):
        if not low <= value <= high:
            raise Misconfigured(f"{name} {value:g} is out of range; a 4G modem reports {low} to {high}")
    if spec.card_mb and not CARD_MB[0] <= spec.card_mb <= CARD_MB[1]:
        raise Misconfigured(f"a card of {spec.card_mb} MB is none that we make; give {CARD_MB[0]} to {CARD_MB[1]}")
    gps.gpsd_program()
    if spec.link == "netns":
        cell.check(spec.shaper, air.of(spec))
        ns.require_root(f"site {spec.name}")
        ns.require_programs(*link.PROGRAMS, *(card.PROGRAMS if spec.card_mb else ()))


def control(directory: state.RunDir, name: str, verb: str, **args: Any) -> state.SiteState:
    """Changes a site and returns it as it is then. Verbs: state, rate (downlink_bps, uplink_bps; constant, a
    trace of that direction ends), link (any field of `sim.air.Air`; a named trace or offset begins anew), service (on),
    unplug, plug, wifi (on), gps (action on|off|stop|kill|move, lat, lon), modem-state (state, cure none|restart|usb),
    sim (plmn, serial), bearer (state up|lost|refused), net (dns, portal, drop: `sim.operator_net.CHOICES`),
    reenumerate, card (state good|full|read_only), clock (offset_s, synced), power (on).

    Raises Misconfigured if no such site is up, Unavailable if the change failed.
    """
    find(directory, name)
    reply = socket_control.ask(directory.folder(name), verb, args)
    return state.SiteState(**reply["state"])


def begin(directory: state.RunDir, name: str, fault: str) -> state.SiteState:
    """Makes a site have a fault of `sim.fault_table`. Raises Misconfigured for one that is none."""
    return _play(directory, name, _fault(fault).begin)


def end(directory: state.RunDir, name: str, fault: str) -> state.SiteState:
    """Takes a fault away again."""
    return _play(directory, name, _fault(fault).end)


def _fault(name: str) -> Fault:
    if name not in FAULTS:
        raise Misconfigured(f"no fault {name!r}; see `dosong-sim site fault --list`")
    return FAULTS[name]


def _play(directory: state.RunDir, name: str, steps: Iterable[Step]) -> state.SiteState:
    for verb, args in steps:
        known = dict(args)
        if known.get("offset_s") == TO_1970:
            known["offset_s"] = clocks.to_1970_s()
        control(directory, name, verb, **known)
    return find(directory, name)


def find(directory: state.RunDir, name: str) -> state.SiteState:
    """A site that is up. Raises Misconfigured if it is not."""
    found = state.site(directory, name)
    if found is None:
        raise Misconfigured(f"no site {name!r} is up in run {directory.run}; see `dosong-sim site list`")
    return found


def down(directory: state.RunDir, name: str) -> None:
    """Takes a site down; one that is not up is no error."""
    found = state.site(directory, name)
    if found:
        _end(directory, name, found.pid, found.start_ticks)


def core_down(directory: state.RunDir) -> None:
    """Takes the core down. Raises Misconfigured while sites hang on it."""
    hanging = [site.name for site in state.sites(directory) if site.link == "netns"]
    if hanging:
        raise Misconfigured(f"sites are up in run {directory.run}: {', '.join(hanging)}; take them down first")
    found = state.core(directory)
    if found:
        _end(directory, state.CORE, found.pid, found.start_ticks)


def all_down(directory: state.RunDir) -> None:
    """Takes every site of the run down, then its core."""
    for site in state.sites(directory):
        down(directory, site.name)
    core_down(directory)


def _request(directory: state.RunDir, spec: state.Spec, core: state.CoreState | None) -> dict[str, Any]:
    if state.site(directory, spec.name):
        raise Misconfigured(f"site {spec.name!r} is up already in run {directory.run}; take it down first")
    wires = link.Wires(core.pid, state.free_index(directory, link.SITES_MAX)) if core else None
    return {"spec": asdict(spec), "wires": asdict(wires) if wires else None}


def _present(found: _Up | None, what: str) -> _Up:
    if found is None:
        raise Unavailable(f"{what} ended as soon as it was up")
    return found


def _start(kind: str, directory: state.RunDir, request: dict[str, Any], *, attached: bool) -> None:
    """Starts a holder and waits until it says that it is up. Raises Unavailable with its words if it does not."""
    name = request["spec"]["name"] if kind == "site" else state.CORE
    tie = ["setpriv", "--pdeathsig", "KILL", "--"] if attached else []
    with (directory.path / f"{name}.log").open("wb") as log:
        child = subprocess.Popen(
            [*tie, sys.executable, "-m", "sim.holder", kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
    _children[child.pid] = child
    assert child.stdin is not None and child.stdout is not None  # noqa: S101, PT018 - both are pipes, mypy cannot know
    with child.stdin as stdin:
        stdin.write(json.dumps({"run": directory.run, "path": str(directory.path), **request}).encode())
    with child.stdout as stdout:
        ready, _, _ = select.select([stdout], [], [], _UP_DEADLINE_S)
        line = stdout.readline() if ready else b""
    reply = json.loads(line) if line else {"ok": False, "error": f"it said nothing; see {directory.path / name}.log"}
    if not reply["ok"]:
        child.kill()
        _reap(child.pid)
        raise Unavailable(f"{name} did not come up: {reply['error']}")


def _end(directory: state.RunDir, name: str, pid: int, ticks: int) -> None:
    try:
        socket_control.ask(directory.folder(name), "down", {})
    except Unavailable:
        ns.kill(pid, ticks)
    if not _gone(pid, ticks):
        ns.kill(pid, ticks)
        _gone(pid, ticks)
    _reap(pid)
    state.remove(directory, name)
    (directory.path / f"{name}.log").unlink(missing_ok=True)
    state.tidy(directory)


def _gone(pid: int, ticks: int) -> bool:
    deadline = time.monotonic() + _DOWN_DEADLINE_S
    while time.monotonic() < deadline:
        if ns.start_ticks(pid) != ticks:
            return True
        time.sleep(0.01)
    return False


def _reap(pid: int) -> None:
    child = _children.pop(pid, None)
    if child is not None:
        child.wait(timeout=_DOWN_DEADLINE_S)
