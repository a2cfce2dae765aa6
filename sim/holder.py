"""The process that is a site, or the core: it holds the namespaces, plays modem and GPS, and obeys a control socket.

It is started as `python -m sim.holder core|site` with a JSON object on standard input, writes its state file when all
is up, and then prints one line: `{"ok": true}` or `{"ok": false, "error": "..."}`. Killed at any moment it leaves no
namespace, no veth and no process: gpsd is tied to it by PR_SET_PDEATHSIG.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from sim import link, ns, state
from sim.control import Verb, serve
from sim.station import Station
from wire.errors import EXIT_FAILED, EXIT_OK, DosongError

Report = Callable[[str | None], None]


async def hold_core(directory: state.RunDir, report: Report) -> None:
    """Is the core of a run until told to stop; `report` hears None once it is up."""
    folder = directory.folder(state.CORE)
    folder.mkdir(exist_ok=True)
    _enter_new_namespaces(folder)
    link.build_core()
    ticks = ns.start_ticks(os.getpid()) or 0
    up = state.CoreState(directory.run, os.getpid(), ticks, link.CORE_ADDRESS)
    stop = _stop_event()
    try:
        async with serve(folder, {"down": _down(stop)}):
            state.write(directory.file(state.CORE), up)
            report(None)
            await stop.wait()
    finally:
        state.remove(directory, state.CORE)


async def hold_site(directory: state.RunDir, spec: state.Spec, wires: link.Wires | None, report: Report) -> None:
    """Is a site until told to stop; `wires` is None in loopback; `report` hears None once it is up."""
    folder = directory.folder(spec.name)
    folder.mkdir(exist_ok=True)
    if wires:
        _enter_new_namespaces(folder)
    station = Station(directory, spec, wires)
    stop = _stop_event()
    if wires:
        _stop_with(wires.core_pid, stop)
    try:
        await station.start()
        if station.relay_pid:
            _stop_with(station.relay_pid, stop)
        verbs = {**station.verbs, "down": _down(stop)}
        async with serve(folder, verbs):
            station.save()
            report(None)
            await stop.wait()
    finally:
        station.close()
        state.remove(directory, spec.name)


def _enter_new_namespaces(folder: Path) -> None:
    resolv_conf = folder / "resolv.conf"
    # Nobody answers there, and says so at once: a name that is not bound to an address fails, it does not hang.
    resolv_conf.write_text(f"nameserver {link.CORE_ADDRESS}\noptions timeout:1 attempts:1\n", encoding="ascii")
    ns.unshare(resolv_conf)


def _down(stop: asyncio.Event) -> Verb:
    async def down(_args: dict[str, Any]) -> dict[str, Any]:
        stop.set()
        return {}

    return down


def _stop_event() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    return stop


def _stop_with(pid: int, stop: asyncio.Event) -> None:
    """Sets `stop` when that process ends: a site whose core or relay is gone has lost its wires for good."""
    loop, fd = asyncio.get_running_loop(), os.pidfd_open(pid)

    def ended() -> None:
        loop.remove_reader(fd)
        os.close(fd)
        stop.set()

    loop.add_reader(fd, ended)


def run_holder(job: Callable[[Report], Awaitable[None]], report: Report) -> int:
    """Runs one holder to its end; a failure on the way up goes to `report` as one sentence. Returns the exit code."""

    async def main() -> None:
        await job(report)

    try:
        asyncio.run(main())
    except (DosongError, OSError) as error:
        report(str(error))
        return EXIT_FAILED
    return EXIT_OK


def job_of(kind: str, request: dict[str, Any]) -> Callable[[Report], Awaitable[None]]:
    """The holder that a start request describes: kind `core` or `site`."""
    directory = state.RunDir(request["run"], Path(request["path"]))
    if kind == "core":
        return lambda report: hold_core(directory, report)
    spec = state.Spec(**request["spec"])
    wires = link.Wires(**request["wires"]) if request["wires"] else None
    return lambda report: hold_site(directory, spec, wires, report)


def _report_on_stdout(error: str | None) -> None:
    line = {"ok": True} if error is None else {"ok": False, "error": error}
    with contextlib.suppress(OSError):
        os.write(1, json.dumps(line).encode() + b"\n")
    # The starter waits for the end of this stream; from here on stdout goes where stderr goes, the log.
    os.dup2(2, 1)


if __name__ == "__main__":
    sys.exit(run_holder(job_of(sys.argv[1], json.load(sys.stdin)), _report_on_stdout))
