"""How fast and how right boards are: `python -m bench.boards`. Every panel over a simulated province, on influxd 1.6.

300 hamlets, 13 months, three operators (`bench.province`): a real ledger and a real InfluxDB, every query of every
board as Grafana would send it, for 24 hours, 30 and 400 days; answers compared with the ledger's rollups by `collector.
catalogue.ledger`. Prints a table (board, panel, range, ms, rows, equal to the ledger?), `goal:` lines, and writes
bench/results/boards.json. QUICK=1: 40 hamlets. Needs 2 GB of disk. Source: issue 7, "It must show".
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bench import province as sim
from bench.board_pictures import draw
from bench.province_more import beside
from collector.catalogue import QUERIES
from collector.catalogue.ledger import ANSWERS, Days, Held, answer, chosen
from collector.core.clock import DAY_MS, HOUR_MS, month_of
from collector.ledger import LedgerReader
from collector.rollups import Rollups
from grafana.harness import Asked, View, check_panels, load_boards, ranged, variable_values, view_of
from grafana.influx import Influx
from grafana.interpolate import Choice, duration_ms
from tests.grafana import service

RESULTS = Path(__file__).parent / "results" / "boards.json"
RANGES = (1, 30, 400)
GOALS_MS = {1: 1_000.0, 30: 1_000.0, 400: 3_000.0}
CHOICES: Mapping[str, Mapping[str, Mapping[str, Sequence[str]]]] = {
    "dosong-province-en": {"all": {}},
    "dosong-commune-en": {"one": {"commune": ["05700"]}, "many": {"commune": ["05700", "05701", "05702"]}, "all": {}},
    "dosong-hamlet-en": {"one": {"hamlet": ["h-000"]}, "many": {"hamlet": ["h-000", "h-001", "h-002"]}},
    "dosong-operators-en": {"all": {}},
    "dosong-fleet-en": {"all": {}},
    "dosong-campaign-en": {"all": {}},
}
"""How boards are looked at: the hamlet's board at hamlets, the others at all of them too."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One query asked once. `equal`: yes, no, or - where the rollups cannot say."""

    board: str
    choice: str
    panel: str
    name: str
    days: int
    ms: float
    rows: int
    equal: str
    fault: str | None


class Timed:
    """InfluxDB with a stopwatch: how long each statement took last."""

    def __init__(self, influx: Influx) -> None:
        self._influx = influx
        self.ms: dict[str, float] = {}

    def query(self, influxql: str) -> list[dict[str, Any]]:
        """Ask, and remember how long it took."""
        began = time.perf_counter()
        found = self._influx.query(influxql)
        self.ms[influxql] = (time.perf_counter() - began) * 1000
        return found


def rows_of(asked: Asked) -> list[dict[str, Any]]:
    """An answer as rows of tags and columns; `time` only where it means something; buckets without a value left out."""
    made = []
    for series in asked.series:
        for values in series["values"]:
            row = dict(zip(series["columns"], values, strict=True)) | series.get("tags", {})
            made.append({key: value for key, value in row.items() if value is not None})
    return made


def same(name: str, asked: Asked, held: Held) -> str:
    """Whether the answer is the ledger's: every row that the ledger gives, with every column that it gives."""
    if name not in ANSWERS:
        return "-"
    theirs, ours = rows_of(asked), [{k: v for k, v in row.items() if v is not None} for row in answer(name, held)]
    keys = [k for k in ("time", *QUERIES[name].tags) if ours and k in ours[0]]
    found = {tuple(row.get(k) for k in keys): row for row in theirs}
    for row in ours:
        other = found.get(tuple(row[k] for k in keys))
        if other is None and len(row) == len(keys):
            continue
        if other is None or any(not _near(value, other.get(key)) for key, value in row.items()):
            return "no"
    return "yes"


def _near(one: Any, other: Any) -> bool:
    if isinstance(one, str) or other is None:
        return bool(one == other) or (one == 0 and other is None)
    return abs(one - other) <= 1e-6 * max(1.0, abs(one))


class Ledger:
    """The ledger's days, read once; what a view asks about is cut out of them."""

    def __init__(self, rollups: Rollups, whole: sim.Province, days: int) -> None:
        self._all = list(rollups.days(whole.first_ms, whole.day_ms(days)))
        self._month_ms = month_of(whole.day_ms(days) - 1)[0]

    def held(self, view: View, bucket_ms: int) -> Held:
        """What the rollups hold of a view."""
        codes = {tag: (c.values if c.all_value is None else ()) for tag, c in view.choices.items() if tag in _TAGS}
        inside: Days = chosen(self._all, codes)
        hours = [
            (key, cut)
            for key, all_hours in inside
            if (cut := {n: h for n, h in all_hours.items() if view.from_ms <= key.day_ms + n * HOUR_MS <= view.to_ms})
        ]
        days = [(key, found) for key, found in inside if view.from_ms <= key.day_ms <= view.to_ms]
        month = [(key, found) for key, found in inside if key.day_ms >= self._month_ms]
        return Held(hours, days, month, bucket_ms)


FULL_HERE = frozenset({"quota", "quota_pace", "quota_pace_all", "quota_behind", "verdicts"})
"""May rightly be empty elsewhere (no campaign, no judge yet); this province has both."""
_TAGS = ("province", "commune", "hamlet", "plmn")


def measure(influx: Influx, ledger: Ledger, end_ms: int) -> Iterator[Figure]:
    """Every query of every board, each choice and range; asked twice, the second time is told."""
    timed = Timed(influx)
    for board in (b for b in load_boards() if b["uid"] in CHOICES):
        for choice, codes in CHOICES[board["uid"]].items():
            for days in RANGES:
                view = view_of(board, end_ms - days * DAY_MS, end_ms - 1, **codes)  # type: ignore[arg-type]
                values, _ = variable_values(timed, board, view)
                for _ in range(2):
                    judged = list(check_panels(timed, board, view, values))
                helds: dict[Any, Held] = {}
                for panel, scope, asked in judged:
                    own = _scoped(ranged(panel, view), scope)
                    key = (own.from_ms, scope)
                    if key not in helds:
                        bucket = own.choices["bucket"].values[0] if "bucket" in own.choices else "1d"
                        helds[key] = ledger.held(own, duration_ms(bucket))
                    for one in asked:
                        equal = same(one.name, one, helds[key]) if one.name else "-"
                        number = sum(len(s["values"]) for s in one.series)
                        fault = one.fault or ("empty result" if not number and one.name in FULL_HERE else None)
                        yield Figure(board["uid"], choice, f"{panel['id']} {panel['title']}", one.name or "?", days,
                                     timed.ms[one.sent], number, equal, fault)  # fmt: skip


def _scoped(view: View, scope: str) -> View:
    if not scope:
        return view
    tag, _, code = scope.strip(" []").partition("=")
    return replace(view, choices={**view.choices, tag: Choice((code,))})


def show(figures: Sequence[Figure]) -> bool:
    """Print the table and the goals; say whether they are met."""
    print(f"{'board':20} {'choice':6} {'range':>5} {'ms':>7} {'rows':>7} {'equal':5}  panel, query")
    for f in figures:
        name = f.board.removeprefix("dosong-").removesuffix("-en")
        fault = f"  FAULT {f.fault}" if f.fault else ""
        print(f"{name:20} {f.choice:6} {f.days:>4}d {f.ms:7.0f} {f.rows:7,} {f.equal:5}  {f.panel}, {f.name}{fault}")
    faults, unequal = sum(f.fault is not None for f in figures), sum(f.equal == "no" for f in figures)
    compared = unequal + sum(f.equal == "yes" for f in figures)
    goals = []
    for days in RANGES:
        worst = max((f for f in figures if f.days == days), key=lambda f: f.ms)
        said = (
            f"slowest query at {days} d: {worst.ms:.0f} ms (< {GOALS_MS[days]:.0f} ms), {worst.name} of {worst.board}"
        )
        goals.append((said, worst.ms < GOALS_MS[days]))
    goals.append((f"faults or panels without an answer: {faults} (0)", not faults))
    goals.append((f"answers that differ from the ledger: {unequal} of {compared} (0)", not unequal))
    for said, met in goals:
        print(f"goal: {said}: {'met' if met else 'short'}")
    return all(met for _, met in goals)


def build(folder: Path, url: str, hamlets: int, days: int) -> tuple[sim.Province, Rollups]:
    """Make ledger, registry and the points of both; return the province and its rollups."""
    began = time.monotonic()
    whole = sim.province(time.time_ns() // 1_000_000, days, hamlets)
    registry = sim.register(whole, folder / "registry.db")
    rows = sim.fill_ledger(whole, folder / "ledger.db", days)
    print(
        f"{len(whole.links)} links, {rows:,} days of rollups in the ledger, {time.monotonic() - began:.0f} s",
        flush=True,
    )
    reader = LedgerReader(folder / "ledger.db")
    number = 0
    batch: list[str] = []
    for line in sim.lines(whole, days):
        batch.append(line)
        if len(batch) == 200_000:
            service.write(url, "dosong", batch)
            number, batch = number + len(batch), []
    service.write(url, "dosong", batch)
    print(f"{number + len(batch):,} points of records, {time.monotonic() - began:.0f} s", flush=True)
    more = 0
    for lines in beside(whole, folder, reader, registry, days):
        service.write(url, "dosong", lines)
        more += len(lines)
    print(f"{more:,} points beside records, {time.monotonic() - began:.0f} s", flush=True)
    return whole, Rollups(reader)


def main() -> int:
    """Measure; 0 if every goal is met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="40 hamlets")
    parser.add_argument("--hamlets", type=int, default=sim.HAMLETS, metavar="N", help="another number of hamlets")
    parser.add_argument(
        "--pictures", type=Path, help="also draw every board, vi and en, wide and narrow, into a folder"
    )
    parser.add_argument("--only-pictures", action="store_true", help="draw, and measure nothing")
    parser.add_argument("--folder", type=Path, help="keep what is made here, and go on with what is there")
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="dosong-boards-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return run(given, folder, 40 if given.quick else given.hamlets)
    finally:
        if given.folder is None:
            shutil.rmtree(folder, ignore_errors=True)


def run(given: argparse.Namespace, folder: Path, hamlets: int) -> int:
    """Fill the folder unless it is full, draw, measure, tell; 0 if every goal is met."""
    made = folder / "made"
    with service.influxd(folder) as url:
        if made.exists():
            whole = sim.province(int(made.read_text()), sim.DAYS, hamlets)
            rollups = Rollups(LedgerReader(folder / "ledger.db"))
        else:
            whole, rollups = build(folder, url, hamlets, sim.DAYS)
            made.write_text(str(whole.now_ms))
        influx, end_ms = Influx(url, "dosong", timeout_s=120.0), whole.day_ms(sim.DAYS)
        if given.pictures:
            draw(influx, end_ms, given.pictures)
        if given.only_pictures:
            return 0
        figures = list(measure(influx, Ledger(rollups, whole, sim.DAYS), end_ms))
    met = show(figures)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"hamlets": hamlets, "figures": [asdict(f) for f in figures]}, indent=1))
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
