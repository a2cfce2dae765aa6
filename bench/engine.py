"""Our engine, speedtest-cli and iperf3 (where it serves) over the same emulated links, in one run and one table.

    sudo python bench/engine.py [--quick] [--only constant] [--runs 3]

Each tool measures each direction in a process of its own, in turn; variable links run in four sites side by side, for
nothing but error, bytes and time is asked of them. Ends by itself: about 40 minutes, 3 with --quick; progress is
printed. Writes bench/results/engine.json after each run. --only replaces what it measures there and prints the whole
table, so that a long measurement may be done in parts: --minutes 9 begins no run after that time, --resume goes on with
what is missing. --tune measures variable links of other seeds into bench/results/engine-tune.json: what rules are made
on is never what is reported; --record FOLDER keeps their samples and the link's truth for bench/engine_replay.py.
Without TUN devices the link is tbf: no delay, no variable links.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path
from queue import Empty, SimpleQueue

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import engine_table, engine_traces
from bench.engine_bed import CGROUP, HAS_RELAY, Bed, Lane, Link, Row
from bench.engine_rows import Job, Rows

RESULTS = Path(__file__).parent / "results"
KINDS = ("constant", "rtt", "starved", "static", "driving")
TOOLS = ("dosong", "dosong saver", "speedtest-cli", "iperf3")
RATES: tuple[float, ...] = (1, 5, 20, 50, 100, 150)
QUICK_RATES: tuple[float, ...] = (5, 50)
WINDOWS, QUICK_WINDOWS, OFFSETS = 60, 6, 3
LANES = 4
THEIRS_EVERY, SAVER_EVERY = 3, 3
TUNE_SEEDS_FROM = 500
_MEAN_MBIT = 25


def constant(runs: int, *, quick: bool, rates: tuple[float, ...] = RATES) -> list[Job]:
    """Constant rates, all tools."""
    jobs: list[Job] = []
    for mbit in QUICK_RATES if quick else rates:
        jobs += [("constant", Link(mbit), "dosong")] * runs + [("constant", Link(mbit), "speedtest-cli")]
        if shutil.which("iperf3") and not quick:
            jobs.append(("constant", Link(mbit), "iperf3"))
    return jobs


def rtt(runs: int, *, quick: bool) -> list[Job]:
    """Other round trips than 50 ms."""
    if not HAS_RELAY or quick:
        return []
    links = [Link(mbit, rtt_ms=rtt_ms) for rtt_ms in (30, 80) for mbit in (5, 50, 150)]
    return [("rtt", link, tool) for link in links for tool in ("dosong",) * runs] + [
        ("rtt", link, "speedtest-cli") for link in links if link.mbit == 50
    ]


def starved(runs: int, *, quick: bool) -> list[Job]:
    """A CPU quota on the whole process."""
    if not CGROUP.exists():
        return []
    links = [Link(mbit, quota_percent=quota) for quota in (3, 10) for mbit in ((20,) if quick else (20, 50, 100))]
    jobs: list[Job] = [("starved", link, tool) for link in links for tool in ("dosong",) * min(runs, 2)]
    return jobs if quick else [*jobs, *(("starved", link, "speedtest-cli") for link in links)]


def variable(kind: str, folder: Path, windows: int, *, tune: bool) -> list[Job]:
    """Windows of variable links: our engine in each, its saver mode and speedtest-cli in some."""
    if not HAS_RELAY:
        return []
    jobs: list[Job] = []
    for number in range(windows):
        seed, offset_s = number // OFFSETS + 1 + (TUNE_SEEDS_FROM if tune else 0), 30.0 * (number % OFFSETS)
        trace = f"cellular:{seed}"
        if kind == "driving":
            trace = str(engine_traces.write(seed, folder / f"driving-{seed}"))
        link = Link(_MEAN_MBIT, trace=trace, offset_s=offset_s, place=kind)
        jobs.append((kind, link, "dosong"))
        if number % SAVER_EVERY == 0:
            jobs.append((kind, link, "dosong saver"))
        if number % THEIRS_EVERY == 0:
            jobs.append((kind, link, "speedtest-cli"))
    return jobs


def main() -> int:
    """Measure, print, write; 0 if it could measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--quick", action="store_true", help="about three minutes: two rates, few windows, one run each"
    )
    parser.add_argument("--only", choices=KINDS, help="this kind of link alone; other kinds keep their last rows")
    parser.add_argument("--runs", type=int, default=3, help="of our engine on each constant link (3)")
    parser.add_argument("--rates", type=_rates, default=RATES, help="of constant links, Mbit/s (1,5,20,50,100,150)")
    parser.add_argument("--table", action="store_true", help="measure nothing: print the last table and its goals")
    parser.add_argument("--minutes", type=float, help="begin no run after so many minutes; go on with --resume")
    parser.add_argument("--resume", action="store_true", help="keep the rows of before and measure what is missing")
    parser.add_argument("--windows", type=int, default=WINDOWS, help="of each kind of variable link (60)")
    parser.add_argument("--tools", type=lambda text: text.split(","), default=TOOLS, help=f"some of {','.join(TOOLS)}")
    parser.add_argument("--tune", action="store_true", help="variable links of the seeds that rules are made on")
    parser.add_argument("--record", type=Path, help="folder for samples and truth of variable links")
    options = parser.parse_args()
    if os.geteuid() != 0 and not options.table:
        sys.stderr.write("bench: needs root and network namespaces; try sudo make bench-engine\n")
        return 1
    kinds = () if options.table else (options.only,) if options.only else KINDS
    results = RESULTS / ("engine-tune.json" if options.tune else "engine.json")
    rows = Rows(results, is_kept=bool(options.only or options.table or options.resume))
    until_s = time.monotonic() + (60 * options.minutes if options.minutes else 86_400)
    with tempfile.TemporaryDirectory() as folder:
        for kind in kinds:
            _measure(kind, Path(folder), options, rows, until_s)
    report(sorted(rows.all, key=lambda row: (KINDS.index(row.kind), RATES.index(row.mbit) if row.mbit in RATES else 0)))
    return 0


def _rates(text: str) -> tuple[float, ...]:
    return tuple(float(word) for word in text.split(","))


def _jobs(kind: str, folder: Path, options: argparse.Namespace) -> list[Job]:
    runs = 1 if options.quick else options.runs
    if kind == "constant":
        return constant(runs, quick=options.quick, rates=options.rates)
    if kind in engine_table.VARIABLE:
        return variable(kind, folder, QUICK_WINDOWS if options.quick else options.windows, tune=options.tune)
    return (rtt if kind == "rtt" else starved)(runs, quick=options.quick)


def _measure(kind: str, folder: Path, options: argparse.Namespace, rows: Rows, until_s: float) -> None:
    is_variable = kind in engine_table.VARIABLE
    jobs = _jobs(kind, Path(tempfile.mkdtemp(dir=folder)), options)
    jobs = [job for job in jobs if job[2] in options.tools]
    jobs = rows.missing(jobs) if options.resume else rows.forget(jobs)
    if not jobs:
        return
    with Bed(Path(tempfile.mkdtemp(dir=folder)), LANES if is_variable else 1, options.record) as bed:
        _work(jobs, bed.lanes(), rows, until_s)


def _work(jobs: list[Job], lanes: list[Lane], rows: Rows, until_s: float) -> None:
    """Each lane takes the next job until none is left, or time is up."""
    waiting: SimpleQueue[Job] = SimpleQueue()
    for job in jobs:
        waiting.put(job)
    began_s, lock, done = time.monotonic(), threading.Lock(), 0

    def run(lane: Lane) -> None:
        nonlocal done
        while time.monotonic() < until_s:
            try:
                kind, link, tool = waiting.get_nowait()
            except Empty:
                return
            found = lane.measure(tool, link, kind)
            with lock:
                rows.add(found)
                done += 1
                for row in found:
                    show(row, f"{done}/{len(jobs)} {time.monotonic() - began_s:4.0f} s")

    threads = [threading.Thread(target=run, args=(lane,)) for lane in lanes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def show(row: Row, progress: str) -> None:
    """One run, as it ends."""
    error = "   failed" if row.error_percent is None else f"{row.error_percent:+8.2f}%"
    print(
        f"{progress:>14}  {row.link:26} {row.direction:8} {row.tool:13} {error} {row.link_mb:7.2f} MB "
        f"{row.wall_s:6.2f} s cpu {row.cpu_s:5.2f} s rss {row.rss_mb:4.0f} MB {row.stop}",
        flush=True,
    )


def report(rows: list[Row]) -> None:
    """The table, whole-test times, and the goals."""
    print()
    for line in engine_table.table(rows):
        print(line)
    print()
    for what, found, is_met, limit in engine_table.goals(rows):
        print(f"goal: engine {what}: {found:.2f} ({limit}): {'met' if is_met else 'short'}")


if __name__ == "__main__":
    sys.exit(main())
