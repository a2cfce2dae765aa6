"""How long reports take: a province of 124 communes with 27 hamlets each, and a hamlet's dossier over a full month.

    python -m bench.reports

Times are from the question to the files: gathering, the model, PDF, DOCX, XLSX, CSV, JSON drawn and kept. A province's
month is 100,000 packed days (a probe in every hamlet, 15 tests a day); the dossier's month is signed records that went
through the real door: two operators, a coverage record an hour and 15 tests a day each, outages among them.
Prints goal lines, writes bench/results/reports.json.
"""

from __future__ import annotations

import json
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from operator import add
from pathlib import Path
from typing import Any

from bench.national import PLMNS, Made, drawn, pool
from collector.core.clock import DAY_MS, HOUR_MS, month_of
from collector.core.period import Period
from collector.ingest import Ingest, Message
from collector.ledger import LedgerReader
from collector.ledger_write import SqliteLedger
from collector.registry import Registry
from collector.reports.desk import Desk
from collector.reports.formats import FORMATS
from collector.reports.gather import Asked
from collector.reports.make import Maker
from collector.reports.store import ReportStore
from tests.collector.kit import ORIGIN, T0_MS, FakeProbe, document
from wire import bundle, topics

COMMUNES, HAMLETS, TESTS_A_DAY = 124, 27, 15
PROVINCE_S, DOSSIER_S = 10.0, 3.0
WHOLE = Period(*month_of(T0_MS))
AFTER_MS = WHOLE.end_ms + HOUR_MS
RESULTS = Path(__file__).parent / "results" / "reports.json"


def main() -> int:
    """Measure, print, write; 0 if it could measure."""
    with tempfile.TemporaryDirectory(prefix="dosong-reports-") as made:
        folder = Path(made)
        (folder / "province").mkdir()
        (folder / "hamlet").mkdir()
        found = {"province": province(folder / "province"), "dossier": dossier(folder / "hamlet")}
    for name, limit in (("province", PROVINCE_S), ("dossier", DOSSIER_S)):
        parts = ", ".join(f"{what} {spent:.2f}" for what, spent in found[name].items() if what != "all")
        spent = found[name]["all"]
        print(f"{name}: {parts} s")
        what = f"report of {COMMUNES} communes" if name == "province" else "hamlet dossier of a month"
        print(f"goal: {what}, all forms: {spent:.2f} s (< {limit:.0f} s): {'met' if spent < limit else 'short'}")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    return 0


def timed(desk: Desk, kind: Any, unit: str) -> dict[str, float]:
    """Seconds for the model, for each form, and for all of it as a person waits for it."""
    began = time.monotonic()
    report = desk.maker.make(Asked(kind, unit, WHOLE, AFTER_MS, "vi"))
    spent = {"model": time.monotonic() - began}
    for name, form in FORMATS.items():
        began = time.monotonic()
        form.draw(report, lambda _: None)
        spent[name] = time.monotonic() - began
    began, worked = time.monotonic(), time.process_time()
    desk.make(kind, unit, WHOLE, AFTER_MS)
    return {**spent, "processor": time.process_time() - worked, "all": time.monotonic() - began}


def desk_of(folder: Path, registry: Registry) -> Desk:
    """A desk over a folder's ledger."""
    store = ReportStore(folder)
    return Desk(Maker(LedgerReader(folder / "ledger.db"), registry, None, "https://dosong.example"), store, folder)


def province(folder: Path) -> dict[str, float]:
    """A province's month in the rollups, and its report."""
    communes = [f"{number:05d}" for number in range(COMMUNES)]
    hamlets = [
        {"code": f"{commune}-{n}", "name": f"Đồng Chuối {n}", "kind": "xóm", "commune": commune}
        for commune in communes for n in range(HAMLETS)
    ]  # fmt: skip
    units = [{"code": code, "name": f"Xã Thượng Nông {code}", "province": "19"} for code in communes]
    registry = Registry(folder / "registry.db")
    registry.load({"provinces": [{"code": "19", "name": "Tỉnh Thái Nguyên"}], "communes": units, "hamlets": hamlets})
    registry.load({"operators": [{"plmn": plmn, "name": name} for plmn, name in zip(PLMNS, "ABC", strict=True)]})
    SqliteLedger(folder / "ledger.db").close()
    made = pool(TESTS_A_DAY, random.Random(5))  # noqa: S311
    with sqlite3.connect(folder / "ledger.db", isolation_level=None) as db:
        db.execute("BEGIN")
        totals: list[tuple[Any, ...]] = []
        marks = ", ".join("?" * (5 + len(made[0].columns)))
        db.executemany(f"INSERT INTO rollup_day VALUES ({marks})", rows(communes, made, totals))  # noqa: S608
        marks = ", ".join("?" * (5 + len(made[0].sums)))
        db.executemany(f"INSERT INTO rollup_total VALUES ({marks})", sorted(totals))  # noqa: S608
        db.execute("COMMIT")
    db.close()
    desk = desk_of(folder, registry)
    try:
        return timed(desk, "month", "19")
    finally:
        desk.store.close()
        registry.close()


def rows(communes: list[str], made: list[Made], totals: list[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    """Rows of `rollup_day` in order, and the totals of each day and of the month."""
    last, month = len(made[0].columns), {}
    for day in range((WHOLE.end_ms - WHOLE.start_ms) // DAY_MS):
        day_ms = WHOLE.start_ms + day * DAY_MS
        for number, commune in enumerate(communes):
            sums: dict[str, tuple[int, ...]] = {}
            for hamlet in sorted(range(HAMLETS), key=str):
                place = number * HAMLETS + hamlet
                plmn, found = PLMNS[place % 3], made[drawn(day, place)]
                times = (found.columns[last - 3] + day_ms, found.columns[last - 2] + day_ms)
                key = (day_ms, "19", commune, f"{commune}-{hamlet}", plmn)
                yield (*key, *found.columns[: last - 3], *times, found.columns[-1])
                sums[plmn] = tuple(map(add, sums[plmn], found.sums)) if plmn in sums else found.sums
            totals += [("day", day_ms, "19", commune, plmn, *own) for plmn, own in sums.items()]
            for plmn, own in sums.items():
                held = month.get((commune, plmn))
                month[commune, plmn] = own if held is None else tuple(map(add, held, own))
    totals += [("month", WHOLE.start_ms, "19", commune, plmn, *own) for (commune, plmn), own in month.items()]


def dossier(folder: Path) -> dict[str, float]:
    """A hamlet's month of signed records, and its dossier."""
    probe = FakeProbe("p-one")
    registry = Registry(folder / "registry.db")
    registry.load(document(probe))
    ledger = SqliteLedger(folder / "ledger.db")
    ingest, rng = Ingest(ledger, registry, ORIGIN), random.Random(7)  # noqa: S311
    waiting: list[bytes] = []
    for record in month(probe, rng):
        waiting.append(record)
        if len(waiting) == 32:
            ingest.take([Message(topics.up(probe.probe), bundle.encode(waiting))], AFTER_MS)
            waiting = []
    if waiting:
        ingest.take([Message(topics.up(probe.probe), bundle.encode(waiting))], AFTER_MS)
    desk = desk_of(folder, registry)
    try:
        return timed(desk, "dossier", "h-dong-chuoi")
    finally:
        desk.store.close()
        ledger.close()
        registry.close()


def month(probe: FakeProbe, rng: random.Random) -> Iterator[bytes]:
    """A coverage record an hour of two modems, 15 tests a day of each; every ninth hour has an outage."""
    for hour_ms in range(WHOLE.start_ms, WHOLE.end_ms, HOUR_MS):
        for at, (modem, plmn) in enumerate((("m1", "45204"), ("m2", "45201"))):
            gone = rng.randrange(5, 40) if rng.random() < 1 / 9 else 0
            states = "C" * (60 - gone) + "N" * gone
            causes = "." * (60 - gone) + "s" * gone
            yield probe.coverage(states, causes, t_ms=hour_ms, modem=modem, plmn=plmn)
            if rng.random() < TESTS_A_DAY / 24:
                t_ms = hour_ms + 600_000 * (1 + at)
                rate = rng.randrange(2_000_000, 60_000_000)
                yield probe.test(t_ms=t_ms, slot_ms=t_ms, modem=modem, plmn=plmn, downlink_bps=rate)


if __name__ == "__main__":
    sys.exit(main())
