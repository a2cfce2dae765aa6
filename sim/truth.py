"""The ground truth of a relayed link: what was offered and delivered in every 50 ms, and how late the relay itself ran.

A file of JSON lines beside the site's state; when it is full it becomes `truth.old.jsonl` and a new one begins, so that
the last 20 minutes at least are there. Times are CLOCK_MONOTONIC, which every process of the machine shares.

    {"t_ns":..., "downlink":[offered,delivered,dropped,lost,queued,flying,capacity], "uplink":[...]}  each 50 ms
    {"second_ns":..., "passes":n, "lag_us":[p50,p99,max], "cpu_us":n}                            each second
    {"changed_ns":..., "air":{...}, "service":true, "fifo":true}                                 at start and on change
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

from sim.relay_core import Direction

BIN_NS = 50_000_000
SECOND_NS = 1_000_000_000
LINES_MAX = 26_000
_TAIL_BYTES = 8_192
LAG_LIMIT_US = 20_000
NAME, OLD_NAME = "truth.jsonl", "truth.old.jsonl"


@dataclass(frozen=True, slots=True)
class Flow:
    """One direction in one bin, bytes of IP packets. `queued` and `flying` (in the delay) are as they are at its end.

    `dropped` found the queue full, `lost` is random loss and loss of service, `capacity` is what could have arrived.
    """

    offered: int
    delivered: int
    dropped: int
    lost: int
    queued: int
    flying: int
    capacity: int


@dataclass(frozen=True, slots=True)
class Bin:
    """50 ms from `t_ns` on."""

    t_ns: int
    downlink: Flow
    uplink: Flow


@dataclass(frozen=True, slots=True)
class Second:
    """How the relay did in one second: passes of its loop, how late they were, and its CPU time."""

    second_ns: int
    passes: int
    lag_us_p50: int
    lag_us_p99: int
    lag_us_max: int
    cpu_us: int


@dataclass(frozen=True, slots=True)
class Truth:
    """What was read: whole bins and whole seconds, oldest first."""

    bins: tuple[Bin, ...]
    seconds: tuple[Second, ...]

    @property
    def lag_us_max(self) -> int:
        """The latest pass of all; over LAG_LIMIT_US a run is to be repeated."""
        return max((second.lag_us_max for second in self.seconds), default=0)

    @property
    def is_sound(self) -> bool:
        """Whether the relay was never so late that a measurement over it means nothing."""
        return self.lag_us_max <= LAG_LIMIT_US

    @property
    def cpu_share(self) -> float:
        """Share of one core that the relay used."""
        return sum(second.cpu_us for second in self.seconds) / 1e6 / max(1, len(self.seconds))

    def total(self, direction: str, what: str) -> int:
        """Sum of one column of a direction, `offered` to `lost` or `capacity`."""
        return sum(int(getattr(getattr(one, direction), what)) for one in self.bins)


class Recorder:
    """Writes the truth; lives in the relay."""

    def __init__(self, folder: Path, now_ns: int) -> None:
        self._folder, self._lines = folder, 0
        self._file: TextIO = (folder / NAME).open("w", encoding="ascii")
        self._bin_ns = now_ns - now_ns % BIN_NS
        self._second_ns = now_ns - now_ns % SECOND_NS
        self._before: dict[int, tuple[int, ...]] = {}
        self._lags_ns: list[int] = []
        self._cpu_ns = time.process_time_ns()

    @property
    def due_ns(self) -> int:
        """When the current second ends: until then nothing need be written."""
        return self._second_ns + SECOND_NS

    def changed(self, now_ns: int, **what: Any) -> None:
        """Notes how the link is from now on."""
        self._write({"changed_ns": now_ns, **what})
        self._file.flush()

    def passed(self, lag_ns: int) -> None:
        """Notes how late a pass of the loop was."""
        self._lags_ns.append(lag_ns)

    def close_until(self, now_ns: int, downlink: Direction, uplink: Direction) -> None:
        """Writes the bins and seconds that have ended. Call it before packets move."""
        if now_ns < self._bin_ns + BIN_NS:
            return
        while now_ns >= self._bin_ns + BIN_NS:
            begin_ns, self._bin_ns = self._bin_ns, self._bin_ns + BIN_NS
            flows = {"downlink": self._flow(downlink, begin_ns), "uplink": self._flow(uplink, begin_ns)}
            self._write({"t_ns": begin_ns, **flows})
        while now_ns >= self._second_ns + SECOND_NS:
            self._close_second()
        self._file.flush()

    def _flow(self, direction: Direction, begin_ns: int) -> list[int]:
        now = (direction.offered_bytes, direction.delivered_bytes, direction.dropped_bytes, direction.lost_bytes)
        before = self._before.get(id(direction), (0, 0, 0, 0))
        self._before[id(direction)] = now
        moved = [after - earlier for after, earlier in zip(now, before, strict=True)]
        held = (direction.queued_bytes, direction.flying_bytes)
        return [*moved, *held, direction.capacity_bytes(begin_ns, begin_ns + BIN_NS)]

    def _close_second(self) -> None:
        lags, self._lags_ns = sorted(self._lags_ns) or [0], []
        cpu_ns, self._cpu_ns = time.process_time_ns() - self._cpu_ns, time.process_time_ns()
        chosen = [lags[len(lags) // 2], lags[len(lags) * 99 // 100], lags[-1]]
        lag_us = [lag // 1000 for lag in chosen]
        self._write({"second_ns": self._second_ns, "passes": len(lags), "lag_us": lag_us, "cpu_us": cpu_ns // 1000})
        self._second_ns += SECOND_NS

    def _write(self, line: dict[str, Any]) -> None:
        if self._lines >= LINES_MAX:
            self._file.close()
            (self._folder / NAME).replace(self._folder / OLD_NAME)
            self._file, self._lines = (self._folder / NAME).open("w", encoding="ascii"), 0
        self._file.write(json.dumps(line, separators=(",", ":")) + "\n")
        self._lines += 1


def read(path: Path | str, since_ns: int = 0, until_ns: int | None = None) -> Truth:
    """The bins and seconds that lie wholly in [since, until); `path` is SiteState.truth."""
    end_ns = until_ns if until_ns is not None else time.monotonic_ns() + SECOND_NS
    bins: list[Bin] = []
    seconds: list[Second] = []
    for line in _lines(Path(path)):
        if "t_ns" in line and since_ns <= line["t_ns"] <= end_ns - BIN_NS:
            bins.append(Bin(line["t_ns"], Flow(*line["downlink"]), Flow(*line["uplink"])))
        elif "second_ns" in line and since_ns - SECOND_NS < line["second_ns"] < end_ns:
            seconds.append(_second(line))
    return Truth(tuple(bins), tuple(seconds))


def _second(line: dict[str, Any]) -> Second:
    p50, p99, latest = line["lag_us"]
    return Second(line["second_ns"], line["passes"], p50, p99, latest, line["cpu_us"])


def wait(path: Path | str, since_ns: int, until_ns: int, patience_s: float = 5.0) -> Truth:
    """The same, once everything until `until_ns` is written: the relay writes at most a second late when idle.

    Returns what is there when patience, which begins at `until_ns`, ends.
    """
    deadline_s = max(time.monotonic(), until_ns / 1e9) + patience_s
    while _written_until_ns(Path(path)) < until_ns and time.monotonic() < deadline_s:
        time.sleep(0.05)
    return read(path, since_ns, until_ns)


def _written_until_ns(path: Path) -> int:
    """End of the last whole second in the file, from its last lines; 0 if there is none."""
    with path.open("rb") as stream:
        stream.seek(max(0, stream.seek(0, os.SEEK_END) - _TAIL_BYTES))
        ends = [
            json.loads(line)["second_ns"] for line in stream if line.startswith(b'{"second_ns"') and line[-1:] == b"\n"
        ]
    return max(ends, default=-SECOND_NS) + SECOND_NS


def between(found: Truth, since_ns: int, until_ns: int) -> Truth:
    """The bins that lie wholly in [since, until), and the seconds that touch it."""
    bins = tuple(one for one in found.bins if since_ns <= one.t_ns <= until_ns - BIN_NS)
    seconds = tuple(one for one in found.seconds if since_ns - SECOND_NS < one.second_ns < until_ns)
    return Truth(bins, seconds)


def rows(found: Truth) -> list[dict[str, Any]]:
    """Bins and seconds as plain objects with every figure by its name, for `--json`."""
    return [*map(asdict, found.bins), *map(asdict, found.seconds)]


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    for each in (path.with_name(OLD_NAME), path):
        if not each.exists():
            continue
        with each.open(encoding="ascii") as stream:
            for line in stream:
                if line.endswith("\n"):  # the last one may still be being written
                    yield json.loads(line)
