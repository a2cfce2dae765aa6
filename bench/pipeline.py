"""What the way from the broker into the ledger carries: `python -m bench.pipeline`, with real programs.

Drain: the backlog of 1,000 probes, golden mix of records, decoded, verified, committed with synchronous=FULL and
acknowledged by `dosong-collector receive`, one record a message and 32; beside it paho alone with the same messages,
and a peer from PyPI. Live: publish to signed ACK at steady rates, everything on the same cores. InfluxDB is away all
the time: nothing here may wait for it. Prints tables and `goal:` lines, writes bench/results/pipeline.json.
Source: design §12; facts note 04 §5.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from bench import pipeline_live, pipeline_peer
from bench.pipeline_bed import drain, drain_null
from bench.pipeline_live import Point
from bench.pipeline_peer import Peer
from bench.pipeline_records import Backlog, Chain, backlog

RESULTS = Path(__file__).parent / "results" / "pipeline.json"
WINDOW = 20
"""Messages of one probe behind each other: paho's window, which is the probe's."""
LIVE_GOAL_RATE = 2000


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    probes: int
    singles: int
    bundled: int
    rates: tuple[int, ...]
    live_s: float
    burst: int
    away: int


FULL = Size(1000, 20, 192, (1, 10, 100, 1000, 2000, 5000, 10_000), 5.0, 3000, 3000)
QUICK = Size(1000, 8, 64, (100, 2000), 3.0, 600, 1500)


def main() -> int:
    """Measure, print, write; 0 if it could measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="the short form: one minute instead of five")
    parser.add_argument("--only", choices=("drain", "live", "peer"), help="one part of it")
    options = parser.parse_args()
    size = QUICK if options.quick else FULL
    found: dict[str, object] = {"cores": len(os.sched_getaffinity(0)), "python": platform.python_version()}
    rate = 0.0
    with tempfile.TemporaryDirectory() as name:
        if options.only in {None, "drain"}:
            rate = _drains(Path(name), size, found)
        if options.only in {None, "peer"}:
            _peer(Path(name), size, rate, found)
        if options.only in {None, "live"}:
            _live(Path(name), size, found)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(found, indent=2) + "\n")
    return 0


def _place(folder: Path, name: str) -> Path:
    made = folder / name
    made.mkdir()
    made.chmod(0o755)
    folder.chmod(0o755)
    return made


def _drains(folder: Path, size: Size, found: dict[str, object]) -> float:
    """Both forms of the drain; the rate at 32 records a message."""
    singles = _backlog(size, size.singles, 1)
    null = drain_null(_place(folder, "null"), singles)
    one = drain(_place(folder, "one"), _chains(size), singles)
    small, large = (_backlog(size, count, 32) for count in (size.bundled // 4, size.bundled))
    less = drain(_place(folder, "less"), _chains(size), small)
    many = drain(_place(folder, "many"), _chains(size), large)
    mean = large.raw_bytes / large.records
    print(
        f"golden mix: {mean:.0f} bytes a record; {large.records / len(large.messages):.1f} records a message at most 32"
    )
    for what, done in (("paho null", null), ("1 a message", one), ("32 a message", many)):
        print(f"  {what:<13} {done.records:>7} in {done.seconds:6.2f} s = {done.rate:8.0f}/s", end="  ")
        print(f"{done.cpu_s / done.records * 1e6:6.1f} us CPU a record", end=", ")
        print(f"at most {done.peak_mb:.0f} + {done.opener_mb:.0f} MB resident, {done.together_mb:.0f} together")
    _goal("durable drain, 1 record a message, against paho's null drain", one.rate / null.rate, ">=", 0.4)
    _goal("durable drain, 32 records a message, records/s", many.rate, ">=", 25_000)
    _goal("records of a drain that the ledger lacks", one.lost + less.lost + many.lost, "<=", 0)
    _goal("receive resident at most, MB", max(one.peak_mb, many.peak_mb), "<", 100)
    together = max(one.together_mb, many.together_mb)
    _goal("receive and its opener, shared pages counted once, MB", together, "<", 100)
    grown = many.peak_mb - less.peak_mb
    _goal(f"of it for a backlog of {large.records} instead of {small.records} records, MB", grown, "<=", 10)
    _goal("ledger on disk against raw bytes, 32 a message", many.disk_bytes / large.raw_bytes, "<=", 0.3)
    print(
        f"  1 a message, a commit of {one.records} from {size.probes} probes: {one.disk_bytes / singles.raw_bytes:.2f}"
    )
    found |= {"mean_bytes": mean, "null": asdict(null), "one": asdict(one), "less": asdict(less), "many": asdict(many)}
    found |= {"raw_bytes": {"one": singles.raw_bytes, "many": large.raw_bytes}}
    return many.rate


def _chains(size: Size) -> list[Chain]:
    return [Chain(number) for number in range(size.probes)]


def _backlog(size: Size, each: int, a_message: int) -> Backlog:
    return backlog(_chains(size), each, a_message, WINDOW)


def _peer(folder: Path, size: Size, rate: float, found: dict[str, object]) -> None:
    why = pipeline_peer.install()
    if why is not None:
        print(
            f"goal: rate against {pipeline_peer.PACKAGE}: not measured, it cannot be installed ({why}) (>= 50): short"
        )
        return
    peer: Peer = pipeline_peer.measure(_place(folder, "peer"), _chains(size)[:100], size.burst, size.away)
    found["peer"] = asdict(peer)
    lost = f"database away for 3 s: {peer.lost} of {peer.published} lost"
    print(f"{pipeline_peer.PACKAGE}: {peer.rate:.0f} messages/s; {lost}")
    if rate:
        _goal(f"records/s against {pipeline_peer.PACKAGE}", rate / peer.rate, ">=", 50)


def _live(folder: Path, size: Size, found: dict[str, object]) -> None:
    points = pipeline_live.curve(_place(folder, "live"), _chains(size), list(size.rates), size.live_s)
    print("live, one record a message: publish to signed ACK")
    print("   rate/s  answered/s     p50 ms     p99 ms   worst ms")
    for one in points:
        print(f"  {one.rate:>7} {one.answered:>11.0f} {one.p50_ms:>10.1f} {one.p99_ms:>10.1f} {one.worst_ms:>10.1f}")
    _goal("live records without an answer", sum(one.unanswered for one in points), "<=", 0)
    judged: Point = next(one for one in points if one.rate == LIVE_GOAL_RATE)
    _goal(f"publish to signed ACK at {LIVE_GOAL_RATE} records/s, p99, ms", judged.p99_ms, "<", 50)
    found["live"] = [asdict(one) for one in points]


def _goal(name: str, figure: float, sign: str, limit: float) -> None:
    met = {">=": figure >= limit, "<=": figure <= limit, "<": figure < limit}[sign]
    shown = f"{figure:.2f}" if abs(figure) < 1000 else f"{figure:.0f}"
    print(f"goal: {name}: {shown} ({sign} {limit:g}): {'met' if met else 'short'}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
