"""A country in numbers: `python -m bench.national`. 100 million tests straight into rollups, then what pages ask.

34 provinces, 3,321 communes, 13 months; at 100 million samples five hamlets a commune with 15 tests and 24 coverage
records a day each. Hours are drawn from a pool of made days, so that 100 million samples are written in minutes; the
queries unpack each of them all the same, and the medians of a commune-month are compared with the pool's own values.
Prints the curve from 1 to 100 million and `goal:` lines, writes bench/results/national.json. QUICK=1: one million only.
Source: design §9, §12.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from operator import add
from pathlib import Path
from typing import Any

from collector.core.clock import DAY_MS, HOUR_MS, ICT, month_of
from collector.core.rollup import COUNTS, METRICS, DayKey, Hour
from collector.core.view_figures import percentile
from collector.ledger import LedgerReader
from collector.ledger_write import SqliteLedger
from collector.rollup_write import day_row
from collector.rollups import Rollups

RESULTS = Path(__file__).parent / "results" / "national.json"
PROVINCES, COMMUNES, MONTHS = 34, 3321, 13
PLMNS = ("45201", "45202", "45204")
FIRST_MS = 1_756_659_600_000  # 1 September 2025, 00:00 in Vietnam
POOL = 2048
BYTES_A_ROW = 1_500
QUOTA_GOAL_MS, DOSSIER_GOAL_S = 300.0, 2.0
MILLION = 1_000_000
SEED = 5


@dataclass(frozen=True, slots=True)
class Made:
    """One day of one hamlet as it is drawn: its hours, the row's columns behind the key, and its sums for totals."""

    hours: dict[int, Hour]
    columns: tuple[Any, ...]
    sums: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Figure:
    """One size measured. Times in ms: median of several, the worst, and the first after the file was let go of."""

    samples: int
    rows: int
    file_bytes: int
    generated_s: float
    quota_ms: float
    quota_worst_ms: float
    quota_cold_ms: float
    dossier_ms: float
    dossier_worst_ms: float
    dossier_cold_ms: float
    stated_minute_ms: float
    tests_in_dossier: int


def month_starts() -> list[int]:
    """First moments of the months, and of the one behind them."""
    starts = [FIRST_MS]
    for _ in range(MONTHS):
        starts.append(month_of(starts[-1])[1])
    return starts


def pool(tests_a_day: float, rng: random.Random) -> list[Made]:
    """Days as a hamlet's probe leaves them: rates that wander, a failure now and then, hours without service."""
    return [_made(int(tests_a_day) + (rng.random() < tests_a_day % 1), rng) for _ in range(POOL)]


def _made(tests: int, rng: random.Random) -> Made:
    at = sorted(rng.choices(range(24), k=tests))
    hours = {number: _hour(at.count(number), rng) for number in range(24)}
    row = day_row(DayKey(0, "", "", "", ""), hours)
    counts = tuple(row[5 : 5 + len(COUNTS)])
    values = [[value for hour in hours.values() for value in hour.values[metric]] for metric in range(3)]
    means = (figure for own in values for figure in (len(own), sum(own)))
    return Made(hours, row[5:], (*counts, *means))


def _hour(tests: int, rng: random.Random) -> Hour:
    failed = sum(rng.random() < 0.03 for _ in range(tests))
    ok = tests - failed
    gone = rng.choice((0, 0, 0, 0, 0, 0, 1, 3, 20))
    counts = dict.fromkeys(COUNTS, 0)
    counts.update(tests=tests, ok=ok, failed=failed, counted=ok, covered=60 - gone, no_service=gone, coverages=1)
    counts.update(downlink_bytes=tests * 8_000_000, uplink_bytes=tests * 3_000_000, offline_ms=gone * 60_000)
    values = [
        sorted(int(rng.lognormvariate(16.8, 0.6)) for _ in range(ok)),
        sorted(int(rng.lognormvariate(15.9, 0.6)) for _ in range(ok)),
        sorted(int(rng.lognormvariate(10.5, 0.3)) for _ in range(ok)),
        sorted(rng.choice((0, 0, 0, 10_000)) for _ in range(ok)),
        sorted(rng.randrange(-1200, -700) for _ in range(ok)),
    ]
    lost = {"registration/searching": failed} if failed else {}
    steps = {"s": gone} if gone else {}
    reasons = {"outcome": failed} if failed else {}
    return Hour(list(counts.values()), rng.randrange(HOUR_MS), HOUR_MS + 900, lost, steps, reasons, values)


def drawn(day: int, place: int) -> int:
    """Which day of the pool a hamlet (its number in the country) has on a day."""
    return (day * 7919 + place * 104_729 + (place * day) % 1021) % POOL


def communes() -> list[tuple[str, str]]:
    """Province and commune codes, in the order of the primary key."""
    return sorted((f"{number % PROVINCES + 1:02d}", f"{number:05d}") for number in range(COMMUNES))


def rows(days: range, hamlets: int, made: list[Made], totals: list[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    """Rows of `rollup_day` in order, and what they add to the totals of each day."""
    units = communes()
    last = len(made[0].columns)
    for day in days:
        day_ms = FIRST_MS + day * DAY_MS
        for number, (province, commune) in enumerate(units):
            sums: dict[str, tuple[int, ...]] = {}
            for hamlet in range(hamlets):
                place = number * hamlets + hamlet
                plmn = PLMNS[place % 3]
                found = made[drawn(day, place)]
                columns = found.columns
                times = (columns[last - 3] + day_ms, columns[last - 2] + day_ms)
                yield (
                    day_ms,
                    province,
                    commune,
                    f"{commune}-{hamlet}",
                    plmn,
                    *columns[: last - 3],
                    *times,
                    columns[-1],
                )
                sums[plmn] = tuple(map(add, sums[plmn], found.sums)) if plmn in sums else found.sums
            totals += [("day", day_ms, province, commune, plmn, *own) for plmn, own in sums.items()]


def generate(path: Path, samples: int) -> tuple[int, int, list[Made]]:
    """Fill a new ledger's rollups; return rows, hamlets a commune, and the pool."""
    starts = month_starts()
    days = (starts[-1] - starts[0]) // DAY_MS
    hamlets = max(1, round(samples / (days * COMMUNES * 15)))
    made = pool(samples / (days * COMMUNES * hamlets), random.Random(SEED))  # noqa: S311
    SqliteLedger(path).close()
    with sqlite3.connect(path, isolation_level=None) as db:
        db.execute("PRAGMA synchronous=OFF")
        _fill(db, days, hamlets, made, samples)
        db.execute("DELETE FROM rollup_total WHERE span = 'month'")
        for start, end in pairwise(starts):
            names = [row[1] for row in db.execute("PRAGMA table_info(rollup_total)")][5:]
            sums = ", ".join(f"sum({name})" for name in names)
            db.execute(
                f"INSERT INTO rollup_total SELECT 'month', ?, province, commune, plmn, {sums} FROM rollup_total"  # noqa: S608
                " WHERE span = 'day' AND start_ms >= ? AND start_ms < ? GROUP BY province, commune, plmn",
                (start, start, end),
            )
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        number = db.execute("SELECT sum(tests) FROM rollup_total WHERE span = 'month'").fetchone()[0]
    db.close()
    print(f"  {number:,} tests in {days * COMMUNES * hamlets:,} rows")
    return days * COMMUNES * hamlets, hamlets, made


def _fill(db: sqlite3.Connection, days: int, hamlets: int, made: list[Made], samples: int) -> None:
    began = time.monotonic()
    held = db.execute("SELECT max(day_ms) FROM rollup_day").fetchone()[0]
    start = 0 if held is None else (held - FIRST_MS) // DAY_MS + 1
    marks = ", ".join("?" * (5 + len(made[0].columns)))
    total_marks = ", ".join("?" * (5 + len(made[0].sums)))
    for first in range(start, days, 10):
        block = range(first, min(days, first + 10))
        totals: list[tuple[Any, ...]] = []
        db.execute("BEGIN")
        db.executemany(f"INSERT INTO rollup_day VALUES ({marks})", rows(block, hamlets, made, totals))  # noqa: S608
        db.executemany(f"INSERT INTO rollup_total VALUES ({total_marks})", sorted(totals))  # noqa: S608
        db.execute("COMMIT")
        done = block.stop / days
        print(f"  {samples * done / MILLION:6.1f} million, {time.monotonic() - began:5.0f} s", end="\r", flush=True)
    print()


def let_go(path: Path) -> None:
    """Have the kernel forget what it holds of the file, so that the next read is from the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def timed(call: Any) -> tuple[float, Any]:
    """Milliseconds and what came back."""
    began = time.perf_counter()
    found = call()
    return (time.perf_counter() - began) * 1000, found


def measure(path: Path, samples: int, rounds: int) -> Figure:
    """Generate one size and ask it what pages ask."""
    began = time.monotonic()
    number, hamlets, made = generate(path, samples)
    generated_s = time.monotonic() - began
    reader = LedgerReader(path)
    rollups = Rollups(reader)
    starts = month_starts()
    month = (starts[-2], starts[-1])
    minimums = {commune: 300 for _, commune in communes()}
    let_go(path)
    quota_cold, table = timed(lambda: rollups.national_quota(minimums, month[1] - 1))
    if len(table) != COMMUNES:
        raise SystemExit("the quota table is not the country")
    quota = [timed(lambda: rollups.national_quota(minimums, month[1] - 1))[0] for _ in range(rounds)]
    rng = random.Random(SEED)  # noqa: S311
    chosen = rng.sample(communes(), rounds)
    let_go(path)
    dossiers = [timed(lambda c=commune: rollups.dossier(c, *month)) for _, commune in chosen]
    for (_, commune), (_, found) in zip(chosen, dossiers, strict=True):
        check(found, commune, month, hamlets, made)
    warm = [timed(lambda c=commune: rollups.dossier(c, *month))[0] for _, commune in chosen]
    minute = starts[-2] + 17 * DAY_MS + 9 * HOUR_MS + 30 * 60_000
    stated, _ = timed(lambda: rollups.totals(starts[-2], minute))
    reader.close()
    return Figure(
        *(samples, number, path.stat().st_size, generated_s),
        *(statistics.median(quota), max(quota), quota_cold),
        *(statistics.median(warm), max(warm), dossiers[0][0], stated, dossiers[0][1].whole.counts.tests),
    )


def check(found: Any, commune: str, month: tuple[int, int], hamlets: int, made: list[Made]) -> None:
    """The dossier's medians are those of the values that went in, one by one."""
    number = next(at for at, (_, code) in enumerate(communes()) if code == commune)
    days = range((month[0] - FIRST_MS) // DAY_MS, (month[1] - FIRST_MS) // DAY_MS)
    all_hours = [
        hour
        for day in days
        for hamlet in range(hamlets)
        for hour in made[drawn(day, number * hamlets + hamlet)].hours.values()
    ]
    for place, name in enumerate(METRICS):
        values = [value for hour in all_hours for value in hour.values[place]]
        stat = found.whole.stats[name]
        if (stat.n, stat.median) != (len(values), percentile(values, 50)):
            raise SystemExit(f"{name} of {commune} is not exact: {stat}, {len(values)} values")


def show(figures: list[Figure]) -> bool:
    """Print the curve and the goals; say whether they are met."""
    print("\n  samples      rows    file  quota page (worst, cold)  dossier (worst, cold)  stated minute  its tests")
    for f in figures:
        quota = f"{f.quota_ms:5.0f} ms ({f.quota_worst_ms:.0f}, {f.quota_cold_ms:.0f})"
        one = f"{f.dossier_ms:5.0f} ms ({f.dossier_worst_ms:.0f}, {f.dossier_cold_ms:.0f})"
        size = f"{f.samples / MILLION:7.0f} M {f.rows:11,} {f.file_bytes / 1e9:4.1f} GB"
        print(f"{size}  {quota:22}  {one:22} {f.stated_minute_ms:8.0f} ms  {f.tests_in_dossier:10,}")
    last = figures[-1]
    million = f"{last.samples / MILLION:.0f} million samples"
    goals = (
        (f"national quota page, {million}", last.quota_ms, QUOTA_GOAL_MS, "ms"),
        (f"commune-month dossier, {million}", last.dossier_ms / 1000, DOSSIER_GOAL_S, "s"),
    )
    for name, figure, limit, unit in goals:
        verdict = "met" if figure < limit else "short"
        print(f"goal: {name}: {figure:.3g} {unit} (< {limit:g} {unit}): {verdict}")
    return all(figure < limit for _, figure, limit, _ in goals)


def main() -> int:
    """Measure; 0 if it could."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one million samples only")
    parser.add_argument("--samples", type=int, nargs="*", help="sizes, such as 1000000 100000000")
    parser.add_argument("--rounds", type=int, default=15, help="how often each question is asked")
    parser.add_argument(
        "--folder",
        type=Path,
        default=None,
        help="an own folder; what a run that was ended left there is gone on with (default: a temporary one)",
    )
    given = parser.parse_args()
    sizes = given.samples or ([MILLION] if given.quick else [MILLION, 10 * MILLION, 100 * MILLION])
    needed = max(MILLION, *sizes) // 15 * BYTES_A_ROW + 2 * 10**9
    folder = given.folder or Path(tempfile.mkdtemp(prefix="dosong-national-"))
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free + sum(file.stat().st_size for file in folder.iterdir())
    try:
        if free < needed:
            print(
                f"{folder} has {free / 1e9:.0f} GB free, {needed / 1e9:.0f} GB are needed; name another with --folder"
            )
            return 1
        figures = []
        for size in sizes:
            print(f"{size:,} samples, {COMMUNES:,} communes, {MONTHS} months, in {folder}")
            path = folder / f"ledger-{size}.db"
            figures.append(measure(path, size, given.rounds))
            for file in folder.glob(f"{path.name}*"):
                file.unlink()
        folder.rmdir()
        show(figures)
        RESULTS.parent.mkdir(exist_ok=True)
        seen = {"at": time.strftime("%Y-%m-%d %H:%M"), "machine": platform.platform(), "cores": os.cpu_count()}
        RESULTS.write_text(json.dumps({**seen, "zone": str(ICT), "sizes": [asdict(f) for f in figures]}, indent=1))
        return 0
    finally:
        if given.folder is None:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
