"""What changed in a report's numbers since it was made: figure against figure, by table, row and column.

A record that arrives late, or is judged otherwise, changes a month that was reported already. That is said on a page of
its own in the next report; the one that was sent stays as it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from collector.core.report_model import Block, Cell, Column, Figure, Report, Row, Table, shown
from collector.core.report_words import minute_text, say
from collector.core.view import decimal

_NOT_COMPARED = frozenset({"no", "as_of"})
"""Columns that say nothing of the unit: the running number, and the moment of the report itself."""


@dataclass(frozen=True, slots=True)
class Changed:
    """One cell that differs. `before` or `after` is None where the row or column is not in that report."""

    table: str
    row: str
    row_name: str
    column: str
    column_title: str
    before: Cell | None
    after: Cell | None


def changes(before: Report, after: Report) -> list[Changed]:
    """Compare two reports of one unit and period, in the order of the later one; not the row for a shared sheet."""
    old, new = dict(_cells(before)), dict(_cells(after))
    found = []
    for key in dict.fromkeys((*new, *old)):
        was, now = old.get(key), new.get(key)
        if was is None or now is None or _value(was[2]) != _value(now[2]):
            name, title, _ = now or was or ("", "", "")
            found.append(Changed(*key[:2], name, key[2], title, was and was[2], now and now[2]))
    return found


def _cells(report: Report) -> Iterator[tuple[tuple[str, str, str], tuple[str, str, Cell]]]:
    for block in report.blocks:
        if block.table is None or block.table.key == "changes":
            continue
        for row in block.table.rows:
            name = next((cell for cell in row.cells if isinstance(cell, str) and cell and not cell.isdigit()), row.key)
            for column, cell in zip(block.table.columns, row.cells, strict=True):
                if column.key not in _NOT_COMPARED and cell != name:
                    yield (block.table.key, row.key, column.key), (name, column.title, cell)


def _value(cell: Cell) -> tuple[int | None, int | None] | str:
    return (cell.value, cell.n) if isinstance(cell, Figure) else cell


def with_changes(report: Report, before: Report, found: Sequence[Changed], late: int | None) -> Report:
    """Add the page of changes against an earlier report. `late`: records of the period that came after it."""
    if not found:
        return report
    language = report.language
    said = say(
        "changes.lead", language, id=before.id, made=minute_text(before.as_of_ms, language),
        cells=decimal(len(found), 0, language), late=decimal(late, 0, language),
    )  # fmt: skip
    blocks = (
        *report.blocks, Block("annex", say("h.changes", language)), Block("text", said),
        Block("table", table=_table(report, found)),
    )  # fmt: skip
    return replace(report, blocks=blocks)


def _table(report: Report, found: Sequence[Changed]) -> Table:
    language = report.language
    keys = (("unit", 12), ("figure", 12), ("before", 8), ("after", 8), ("difference", 8))
    columns = tuple(
        Column(key, say(f"c.{key}", language), weight, "left" if weight > 8 else "right") for key, weight in keys
    )
    rows = tuple(
        Row(f"{one.table}/{one.row}/{one.column}", (
            one.row_name, f"{_title(report, one.table)}: {one.column_title}",
            say("no", language) if one.before is None else shown(one.before, language),
            say("no", language) if one.after is None else shown(one.after, language), _difference(one),
        ))
        for one in found
    )  # fmt: skip
    return Table("changes", say("t.changes", language), columns, rows)


def _title(report: Report, key: str) -> str:
    title = next((block.table.title for block in report.blocks if block.table and block.table.key == key), key)
    return title.split(".", maxsplit=1)[0]


def _difference(one: Changed) -> Cell:
    before, after = one.before, one.after
    if not isinstance(before, Figure) or not isinstance(after, Figure) or after.form != "count":
        return "–"
    if before.value is None or after.value is None:
        return "–"
    return Figure(after.value - before.value, "signed")
