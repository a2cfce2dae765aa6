"""The relay: a process that reads packets from two TUN devices and lets `relay_core` say when they come out.

Started as `python -m sim.relay FOLDER SITE_FD CORE_FD` with both devices open and non-blocking. One JSON line on
standard input asks for a change, `{"air": {...}, "service": true, "restart": false}`, and one line answers it,
`{"ok": true}` or `{"ok": false, "error": "..."}`; the first makes the link. It ends with its input or a device.

One thread, one loop: it sleeps until a packet comes or is due, and wakes at most once a millisecond.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import random
import select
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sim import air
from sim.relay_core import Direction
from sim.truth import Recorder
from wire.errors import EXIT_OK, Misconfigured

TICK_NS = 1_000_000
# While packets move, a pass at least so often: a machine that stood still shows as lag even between packets.
WATCH_NS = 5_000_000
ACTIVE_NS = 1_000_000_000
BATCH = 4_096
_READ_BYTES = 2_048
_AT_ONCE_NS = 200_000
_COMMANDS_FD = 0
_clock = time.monotonic_ns


class Link:
    """Both directions of one link, made and changed by an `Air`."""

    def __init__(self, wanted: air.Air, now_ns: int) -> None:
        self.air, self.service = wanted, True
        plan, radio, origin_ns = air.plan_of(wanted), air.radio_of(wanted), now_ns - _offset_ns(wanted)
        self.origins_ns = dict.fromkeys(air.DIRECTIONS, origin_ns)
        self.ways = {
            name: Direction(air.shape_of(wanted, name), origin_ns, _loss_of(wanted, name), radio, plan)
            for name in air.DIRECTIONS
        }

    def change(self, wanted: air.Air, *, service: bool, restart: bool, now_ns: int) -> None:
        """Another link from now on; a trace that stays goes on, unless it is to `restart` at its offset."""
        shapes = {name: air.shape_of(wanted, name) for name in air.DIRECTIONS}
        is_new_plan = _plan_words(wanted) != _plan_words(self.air)
        plan, radio = air.plan_of(wanted), air.radio_of(wanted)
        for name, way in self.ways.items():
            if is_new_plan:
                way.replan(plan, radio, now_ns)
            if restart or shapes[name].rates != air.rates_of(self.air, name):
                self.origins_ns[name] = now_ns - _offset_ns(wanted)
            way.reshape(shapes[name], self.origins_ns[name], now_ns)
            if service:
                way.unblock(now_ns)
            else:
                way.block(now_ns)
        self.air, self.service = wanted, service


def _offset_ns(wanted: air.Air) -> int:
    return round(wanted.trace_offset_s * 1e9)


def _plan_words(wanted: air.Air) -> tuple[object, ...]:
    radio = (wanted.promotion_low_ms, wanted.promotion_high_ms, wanted.idle_s)
    return (*radio, wanted.police_bytes, wanted.police_bps)


def _loss_of(wanted: air.Air, name: str) -> Any:
    return random.Random(f"loss:{wanted.seed}:{name}").random  # noqa: S311 - a repeatable link, nothing secret


class Relay:
    """A link between two devices: the loop, the commands and the clock."""

    def __init__(self, folder: Path, site_fd: int, core_fd: int) -> None:
        self._site_fd, self._core_fd = site_fd, core_fd
        self._priority = _take_priority()
        self._recorder = Recorder(folder, _clock())
        self._link: Link | None = None
        self._last_ns = self._moved_ns = _clock()
        self._typed = b""

    def run(self) -> None:
        """Relays until standard input or a device ends."""
        while self._link is None:
            if not self._commands():
                return
        with contextlib.suppress(OSError):  # a device that is gone: its namespace has ended
            while self._turn(self._link):
                pass

    def _turn(self, link: Link) -> bool:
        lag_ns, readable = self._wait(link)
        self._last_ns = now_ns = _clock()
        self._recorder.passed(lag_ns)
        self._recorder.close_until(now_ns, link.ways["downlink"], link.ways["uplink"])
        if _COMMANDS_FD in readable and not self._commands():
            return False
        if self._carry(self._site_fd, link.ways["uplink"], self._core_fd, now_ns):
            self._moved_ns = now_ns
        if self._carry(self._core_fd, link.ways["downlink"], self._site_fd, now_ns):
            self._moved_ns = now_ns
        return True

    def _wait(self, link: Link) -> tuple[int, list[int]]:
        """Sleeps until there is something to do; returns how late it woke, and what can be read."""
        earliest_ns = self._last_ns + TICK_NS
        pause_ns = earliest_ns - _clock()
        if pause_ns > 0:
            time.sleep(pause_ns / 1e9)
        began_ns = _clock()
        due_ns = min(link.ways["downlink"].next_ns(), link.ways["uplink"].next_ns(), self._recorder.due_ns)
        if began_ns - self._moved_ns < ACTIVE_NS:
            due_ns = min(due_ns, self._last_ns + WATCH_NS)
        wait_s = max(0, due_ns - began_ns) / 1e9
        readable, _, _ = select.select([self._site_fd, self._core_fd, _COMMANDS_FD], [], [], wait_s)
        woke_ns = _clock()
        if due_ns <= began_ns:
            expected_ns = max(due_ns, earliest_ns)
        elif not readable:
            expected_ns = due_ns
        else:  # a packet that came while we slept is no lateness; one that lay there already is
            expected_ns = earliest_ns if woke_ns - began_ns < _AT_ONCE_NS and pause_ns > 0 else woke_ns
        return max(0, woke_ns - expected_ns), readable

    @staticmethod
    def _carry(source_fd: int, way: Direction, target_fd: int, now_ns: int) -> bool:
        """Moves what came and what is due; says whether anything moved."""
        came = _read_all(source_fd)
        if came:
            way.offer(came, now_ns)
        arrived = way.take(now_ns)
        for packet in arrived:
            try:
                os.write(target_fd, packet)
            except OSError:  # the far end is down
                way.undeliverable(len(packet))
        return bool(came or arrived)

    def _commands(self) -> bool:
        """Obeys what was asked; False at the end of input."""
        some = os.read(_COMMANDS_FD, 65_536)
        self._typed += some
        while b"\n" in self._typed:
            line, _, self._typed = self._typed.partition(b"\n")
            os.write(1, json.dumps(self._obey(line)).encode() + b"\n")
        return bool(some)

    def _obey(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
            wanted = air.Air(**request["air"])
            air.check(wanted)
        except (Misconfigured, ValueError, TypeError, KeyError) as error:
            return {"ok": False, "error": str(error)}
        service, now_ns = bool(request.get("service", True)), _clock()
        if self._link is None:
            self._link = Link(wanted, now_ns)
        self._link.change(wanted, service=service, restart=bool(request.get("restart")), now_ns=now_ns)
        self._recorder.changed(now_ns, air=asdict(wanted), service=service, priority=self._priority)
        return {"ok": True}


def _read_all(fd: int) -> list[bytes]:
    packets: list[bytes] = []
    with contextlib.suppress(BlockingIOError):
        for _ in range(BATCH):
            packets.append(os.read(fd, _READ_BYTES))
    return packets


def _take_priority() -> str:
    """Runs before ordinary programs if allowed: a network is not slower because the measuring program is busy."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except OSError:
        return "other"
    return "fifo"


def main() -> int:
    """Runs one relay to its end."""
    folder, site_fd, core_fd = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    gc.disable()  # nothing here makes cycles, and a collection would be a pause of the network
    Relay(folder, site_fd, core_fd).run()
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
