"""How fast this host can measure at all: against itself over loopback, and on site over a modem's own link.

A rate above 0.7 of the ceiling is marked as limited by the host. Loopback has no modem and no USB: it is a bound from
above. On site one test shows how busy the busiest core is at the link's rate, and at which rate it would be full; and
the USB port says at which speed the modem is plugged in (a bad cable makes 480 Mbit/s into 12). The least bound counts.
Source: issue of the measuring engine, item 6; facts note 03 §5.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from probe.core import host_load
from probe.core.engine import Terms
from probe.core.engine_terms import EngineResult
from probe.devices import connection, links, transfer
from wire.errors import Unavailable

MARK = "ceiling"
"""Of loopback; that of a modem's link is `link_mark`."""

WATCH_S = 0.1
_CAP_US, _HARD_US = 2_000_000, 4_000_000


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The most that this host moved each way, bit/s of payload."""

    downlink_bps: int
    uplink_bps: int

    def as_mark(self) -> str:
        """How it stands in the spool."""
        return f"{self.downlink_bps} {self.uplink_bps}"


def read(mark: str | None) -> Ceiling | None:
    """The ceiling of a spool's mark; None if this host was never calibrated."""
    words = (mark or "").split()
    return Ceiling(int(words[0]), int(words[1])) if len(words) == 2 and all(map(str.isdecimal, words)) else None


@dataclass(frozen=True, slots=True)
class OnSite:
    """What one test over a modem's link showed. A direction without a rate is None, so is a bus that is not USB."""

    result: EngineResult
    downlink: host_load.Load | None
    uplink: host_load.Load | None
    bus_mbit: int | None

    def ceiling(self, loopback: Ceiling) -> Ceiling:
        """The least of what loopback, the busiest core and the bus allow."""
        bus_bps = host_load.bus_ceiling_bps(self.bus_mbit)
        down, up = (
            min(bound for bound in (most, bus_bps, load.ceiling_bps if load else None) if bound is not None)
            for most, load in ((loopback.downlink_bps, self.downlink), (loopback.uplink_bps, self.uplink))
        )
        return Ceiling(down, up)


def link_mark(modem: str) -> str:
    """The mark of the ceiling over a modem's own link."""
    return f"{MARK} {modem}"


def known(mark: Callable[[str], str | None], modem: str) -> Ceiling | None:
    """The ceiling that counts for a modem: over its own link, else over loopback; None if there is neither."""
    return read(mark(link_mark(modem))) or read(mark(MARK))


def measure_link(interface: str, test: Callable[[], EngineResult]) -> OnSite:
    """Run one test over a link and watch the host's cores meanwhile. What it moves costs the SIM's data."""
    moments: list[host_load.Moment] = []
    over = threading.Event()
    watcher = threading.Thread(target=_watch, args=(interface, moments, over), daemon=True)
    watcher.start()
    try:
        result = test()
    finally:
        over.set()
        watcher.join()
    # Without a rate what moved was a failed test's own chatter: no link, however busy the cores were meanwhile.
    down = host_load.load_of(moments, is_uplink=False) if result.downlink_bps is not None else None
    up = host_load.load_of(moments, is_uplink=True) if result.uplink_bps is not None else None
    return OnSite(result, down, up, bus_mbit(interface))


def bus_mbit(interface: str, sys_folder: Path = Path("/sys/class/net")) -> int | None:
    """The signalling rate of the USB port behind an interface, Mbit/s; None if it is not on USB."""
    with contextlib.suppress(OSError, ValueError):
        device = (sys_folder / interface / "device").resolve(strict=True)
        for folder in (device, *device.parents):
            if (folder / "speed").exists() and (folder / "idVendor").exists():
                return round(float((folder / "speed").read_text()))
    return None


def _watch(interface: str, moments: list[host_load.Moment], over: threading.Event) -> None:
    while True:
        counters = links.read_bytes(interface)
        if counters is not None:
            cores = host_load.cores_of(Path("/proc/stat").read_text())
            moments.append(host_load.Moment(time.monotonic_ns() // 1000, *counters, cores))
        if over.wait(WATCH_S):
            return


def measure() -> Ceiling:
    """Move bytes over loopback for about two seconds each way. Raises Unavailable if that fails."""
    with _far_end() as port:
        return Ceiling(_one_way(port, is_uplink=False), _one_way(port, is_uplink=True))


def _one_way(port: int, *, is_uplink: bool) -> int:
    terms = Terms(link_is_last=False, cap_us=_CAP_US, hard_us=_HARD_US)
    order = connection.Order("lo", "127.0.0.1", port, "127.0.0.1", "/", terms, is_uplink)
    moved = transfer.Transfer(order).run()
    if moved.cause is not None or moved.outcome.bps is None:
        raise Unavailable(f"loopback could not be measured ({moved.cause}); is the interface lo up?")
    return moved.outcome.bps


@contextmanager
def _far_end() -> Iterator[int]:
    command = [sys.executable, "-m", "probe.loopback"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        try:
            line = child.stdout.readline() if child.stdout else ""
            if not line.strip().isdecimal():
                raise Unavailable("the far end of the calibration did not start; see the log above")
            yield int(line)
        finally:
            child.kill()
