"""Whole tables as streams: row after row, each with the cursor to go on behind it, in memory that a page of rows fills.

What arrives while a stream runs is not in it: it ends where the ledger ended when it began. The same rows make CSV and
NDJSON. Source: issue 5 (CSV and NDJSON streams); facts note 08 §5 (injection).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from collector.api.params import Asked
from collector.api.views import Caller, Sources, inside_codes, sees, wanted
from collector.core.clock import DAY_MS, HOUR_MS
from collector.core.csv_line import BOM, Cell, line
from collector.core.rollup import COUNTS, METRICS, DayKey, Hour
from collector.core.rollup_view import summary
from collector.core.sample import Sample
from collector.core.view import iso
from collector.core.view_record import metric_values
from collector.ledger_bulk import Wanted
from wire import codec
from wire.failure import COVERAGE_CAUSES, COVERAGE_STATES
from wire.metrics import metrics
from wire.records import CoverageRecord

PAGE_ROWS = 500
CHUNK_CHARS = 65_536
_FOREVER_MS = 2**53
_IDENTITY = (
    "cursor", "n", "probe", "epoch", "seq", "kind", "province", "commune", "hamlet", "began_ms", "began",
    "received_ms", "received", "counted", "not_counted", "fault", "in_chain", "leaf",
)  # fmt: skip
_STEP = ("cursor", "n", "probe", "province", "commune", "hamlet", "plmn", "began_ms", "began", "step_ms", "state",
         "cause")  # fmt: skip
_SUMS = (
    "cursor", "start_ms", "start", "span", "province", "commune", "hamlet", "plmn", *COUNTS,
    *(f"{name}_{what}" for name in METRICS for what in ("n", "median", "mean")),
)  # fmt: skip
_LAST_HOUR = 23


@dataclass(frozen=True, slots=True)
class Table:
    """Column names and rows; the first column is the cursor."""

    columns: tuple[str, ...]
    rows: Iterator[tuple[Cell, ...]]


def _samples(sources: Sources, which: Wanted, after_n: int) -> Iterator[Sample]:
    """All records that match behind `after_n`, page by page, up to what the ledger holds now."""
    stop_n = sources.ledger.last_n()
    at: int | None = after_n
    while at is not None:
        page = sources.ledger.after(which, at, PAGE_ROWS, stop_n)
        yield from page.samples
        at = page.next_n


def records(sources: Sources, caller: Caller, asked: Asked) -> Table:
    """Records of one kind with all metrics of that kind."""
    kind = asked["kind"]
    names = tuple(m.name for m in metrics(kind))
    found = _samples(sources, wanted(sources, caller, asked), int(asked["cursor"] or 0))
    return Table((*_IDENTITY, *names), (_record(one, kind, names, caller) for one in found))


def _record(one: Sample, kind: str, names: tuple[str, ...], caller: Caller) -> tuple[Cell, ...]:
    held = metric_values(one.record, kind, sees(caller, one)) if one.record is not None else {}
    began = None if one.t_ms is None else iso(one.t_ms)
    return (
        *(str(one.n), one.n, one.probe, one.epoch, one.seq, one.kind),
        *(one.province or None, one.commune or None, one.hamlet or None),
        *(one.t_ms, began, one.received_ms, iso(one.received_ms)),
        *(one.counted, " ".join(one.not_counted), one.fault, one.in_chain, codec.leaf_text(one.leaf)),
        *(held.get(name) for name in names),
    )


def coverage(sources: Sources, caller: Caller, asked: Asked) -> Table:
    """Coverage step by step."""
    after_n, after_step = (int(part) for part in (asked["cursor"] or "0.0").split("."))
    # The record in which the last download stopped is read again; its steps up to there are left out.
    start_n = after_n - 1 if asked["cursor"] else 0
    found = _samples(sources, wanted(sources, caller, asked, "coverage"), max(0, start_n))
    rows = (row for one in found for row in _steps(one, after_step if one.n == after_n else -1))
    return Table(_STEP, rows)


def _steps(one: Sample, after_step: int) -> Iterator[tuple[Cell, ...]]:
    known = one.record
    if not isinstance(known, CoverageRecord):
        return
    place = (one.province or None, one.commune or None, one.hamlet or None)
    for step, (state, cause) in enumerate(zip(known.states, known.causes, strict=True)):
        if step <= after_step:
            continue
        began_ms = None if one.t_ms is None else one.t_ms + step * known.step_ms
        word = COVERAGE_CAUSES[cause]
        yield (
            *(f"{one.n}.{step}", one.n, one.probe, *place, known.plmn, began_ms),
            *(None if began_ms is None else iso(began_ms), known.step_ms, COVERAGE_STATES[state], word and word.value),
        )


def rollups(sources: Sources, caller: Caller, asked: Asked) -> Table:
    """Sums and exact medians by hamlet and operator, a local day or an hour a row."""
    wanted(sources, caller, asked)  # refuses a unit outside the caller's scope
    inside = inside_codes(sources, caller, asked["commune"])
    return Table(_SUMS, _sums(sources, asked, inside))


def _sums(sources: Sources, asked: Asked, inside: frozenset[str] | None) -> Iterator[tuple[Cell, ...]]:
    since_ms, until_ms = asked["since_ms"] or 0, _FOREVER_MS if asked["until_ms"] is None else asked["until_ms"]
    *place, hour = (asked["cursor"] or "0.....-1").split(".")
    at = key = DayKey(int(place[0]), *place[1:])
    # Hours go on inside the day in which the last download stopped, so that day is read again.
    including = asked["span"] == "hour"
    while True:
        found = sources.ledger.days(since_ms - DAY_MS, key, PAGE_ROWS, including=including)
        for key, hours in found:
            if (inside is None or key.hamlet in inside) and asked["hamlet"] in (None, key.hamlet):
                rest = {n: one for n, one in hours.items() if key != at or n > int(hour)}
                yield from _spans(key, rest, asked["span"], since_ms, until_ms)
        if len(found) < PAGE_ROWS or key.day_ms >= until_ms:
            return
        including = False


def _spans(key: DayKey, hours: dict[int, Hour], span: str, since_ms: int, until_ms: int) -> Iterator[tuple[Cell, ...]]:
    """The rows of one day: itself, or its hours."""
    groups = [(_LAST_HOUR, key.day_ms, list(hours.values()))]
    if span == "hour":
        groups = [(n, key.day_ms + n * HOUR_MS, [hours[n]]) for n in sorted(hours)]
    for number, start_ms, some in groups:
        if some and since_ms <= start_ms < until_ms:
            found = summary(some)
            stats = (found.stats[name] for name in METRICS)
            yield (
                *(".".join((*map(str, key), str(number))), start_ms, iso(start_ms), span),
                *(code or None for code in key[1:]),
                *found.counts,
                *(cell for one in stats for cell in (one.n, one.median, one.mean)),
            )


def csv_text(table: Table, limit: int | None, *, bom: bool) -> Iterator[str]:
    """The table as CSV, in chunks."""
    head = (BOM if bom else "") + line(table.columns)
    return _chunks(head, (line(row) for row in islice(table.rows, limit)))


def ndjson_text(table: Table, limit: int | None) -> Iterator[str]:
    """The table as one JSON object a line, in chunks."""
    rows = (dict(zip(table.columns, row, strict=True)) for row in islice(table.rows, limit))
    return _chunks("", (json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n" for row in rows))


def _chunks(head: str, lines: Iterable[str]) -> Iterator[str]:
    held, length = [head], len(head)
    for one in lines:
        held.append(one)
        length += len(one)
        if length >= CHUNK_CHARS:
            yield "".join(held)
            held, length = [], 0
    yield "".join(held)


TABLES: dict[str, Callable[[Sources, Caller, Asked], Table]] = {
    "records": records, "coverage": coverage, "rollups": rollups,
}  # fmt: skip
"""The tables behind the bulk addresses."""
