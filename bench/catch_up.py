"""How fast forward catches up while the collector takes 1,000 records/s: `python -m bench.catch_up`, real programs.

InfluxDB was away: a backlog of the golden mix of 1,000 probes lies in the ledger. Then influxd and
`dosong-collector forward` start, while a publisher goes on at 1,000 records/s through mosquitto and
`dosong-collector receive`, all on the same cores. Prints a `goal:` line, writes bench/results/catch_up.json.
Source: issue 5 (catch-up while ingesting at 1,000 records/s at least ten times that).
"""

from __future__ import annotations

import argparse
import json
import signal
import sqlite3
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.pipeline_bed import Collector, broker, program, queue_up, until
from bench.pipeline_live import Field
from bench.pipeline_records import Chain, Mill, backlog
from bench.pipeline_wire import Line
from collector.health import read_health
from tests.collector.kit import Influx
from wire import bundle

RESULTS = Path(__file__).parent / "results" / "catch_up.json"
RATE = 1_000
GOAL = 10
LONGEST_S = 60


@dataclass(frozen=True, slots=True)
class Caught:
    """What forward wrote in a time, and what the ledger took meanwhile."""

    seconds: float
    records: int
    lines: int
    taken: int


def main() -> int:
    """Measure; 0 if it could."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--each", type=int, default=96, help="records of the backlog for each of 1,000 probes")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dosong-catch-up-") as name:
        found = catch_up(Path(name), given.each)
    rate, lines = found.records / found.seconds, found.lines / found.seconds
    print(
        f"forward in {found.seconds:.1f} s: {rate:,.0f} records/s, {lines:,.0f} lines/s,"
        f" while {found.taken / found.seconds:,.0f} records/s came in"
    )
    verdict = "met" if rate >= GOAL * RATE else "short"
    print(f"goal: catch-up beside {RATE:,} records/s, times that rate: {rate / RATE:.1f} (>= {GOAL}): {verdict}")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(asdict(found)))
    return 0


def catch_up(folder: Path, each: int) -> Caught:
    """Lay down the backlog, then measure."""
    folder.chmod(0o755)
    chains = [Chain(number) for number in range(1000)]
    waiting = backlog(chains, each, 32, 20)
    mill, live = Mill(), list[tuple[str, int, bytes]]()
    for turn in range(RATE * LONGEST_S):
        chain = chains[turn % len(chains)]
        live.append((chain.probe, chain.seq, bundle.encode([mill.next(chain)])))
    server = Influx(folder)
    with broker(folder) as port:
        collector = Collector(folder, chains, f"http://127.0.0.1:{server.port}")
        with collector.receiving() as receive:
            queue_up(port, receive, waiting)
            receive.send_signal(signal.SIGCONT)
            until(lambda: collector.held() >= waiting.records, 600)
            server.start()
            try:
                line = Line(port, "field")
                line.subscribe("dosong/v1/ack/#")
                with program(collector.words("forward"), folder / "forward.log"):
                    return _measure(collector, Field(line), live, waiting.records)
            finally:
                server.kill()  # its folder goes with it


def _measure(collector: Collector, field: Field, live: list[tuple[str, int, bytes]], backlog_records: int) -> Caught:
    """Publish at the rate from forward's first batch on, until the backlog is written or the time is over."""
    until(lambda: _cursor(collector) > 0, 120)
    begin_s, first, lines = time.monotonic(), _cursor(collector), _lines(collector)
    held, sent, now_s, cursor = collector.held(), 0, begin_s, first
    while now_s < begin_s + LONGEST_S and cursor < backlog_records:
        due = min(len(live), int((now_s - begin_s) * RATE))
        for one in live[sent:due]:
            field.send(*one)
        sent = due
        field.read(0.02)
        cursor, now_s = _cursor(collector), time.monotonic()
    return Caught(now_s - begin_s, cursor - first, _lines(collector) - lines, collector.held() - held)


def _cursor(collector: Collector) -> int:
    try:
        with closing(sqlite3.connect(f"file:{collector.state}/forward.db?mode=ro", uri=True)) as db:
            return int(db.execute("SELECT coalesce(max(n), 0) FROM cursor").fetchone()[0])
    except sqlite3.Error:
        return 0


def _lines(collector: Collector) -> int:
    forward = read_health(collector.state, int(time.time() * 1000)).forward
    return 0 if forward is None else forward.lines


if __name__ == "__main__":
    sys.exit(main())
