"""Tables to a registry document and back: every cell read, every mistake found in one pass, each with its place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, time
from typing import Any

from provisioning.core.cells import Cell, Formula, Mark, Wrong
from provisioning.core.problems import Problem
from provisioning.core.sheets import BY_LIST, SHEETS, Column, Sheet
from wire.fold import fold

ENTRIES = {"hamlets": "hamlet", "sites": "site", "sims": "sim", "campaigns": "campaign"}
"""Lists whose rows other rows may name, and the registry's table of each."""
Row = dict[str, Any]
IccidReader = Callable[[str, str], Row]
"""Takes a SIM's code and its ICCID (or ****1234); gives what is kept of it. Raises Wrong."""


@dataclass(frozen=True, slots=True)
class Table:
    """A sheet as it was found: its title, the first row, and the others with their numbers."""

    title: str
    head: Sequence[Cell]
    rows: Sequence[tuple[int, Sequence[Cell]]]


@dataclass(frozen=True, slots=True)
class Where:
    """Where a document's row came from: sheet, row number, and what stood in each column."""

    sheet: Sheet
    row: int
    shown: Mapping[str, str]


@dataclass(slots=True)
class Taken:
    """What tables gave: the document, where each of its rows came from, mistakes, codes of rows with mistakes."""

    document: dict[str, list[Row]] = field(default_factory=dict)
    places: dict[str, list[Where]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    promised: dict[str, set[str]] = field(default_factory=dict)


def sheet_named(title: str) -> Sheet | None:
    """The sheet with this title in either language, or the list's name; None if there is none."""
    wanted = fold(title)
    return next((s for s in SHEETS if wanted in {fold(s.vi), fold(s.en), fold(s.listed)}), None)


def take(tables: Iterable[Table], mark: Mark | None, iccid: IccidReader) -> Taken:
    """Read all tables."""
    taken = Taken()
    for table in tables:
        sheet = sheet_named(table.title)
        if sheet is None:
            known = ", ".join(one.vi for one in SHEETS)
            taken.problems.append(Problem(table.title, 1, "–", table.title, "sheet", known))
        else:
            _take_sheet(taken, sheet, table, mark, iccid)
    return taken


def _take_sheet(taken: Taken, sheet: Sheet, table: Table, mark: Mark | None, iccid: IccidReader) -> None:
    columns, wrong = _columns(sheet, table)
    taken.problems += wrong
    if any(problem.word == "no_column" for problem in wrong):
        return
    seen: dict[tuple[Any, ...], int] = {}
    for number, cells in table.rows:
        if all(cell is None or cell == "" for cell in cells):
            continue
        row, problems = _row(sheet, columns, number, cells, mark)
        if not problems and sheet.listed == "sims":
            problems = _hide_iccid(sheet, number, row, iccid)
        key = tuple(row.get(name) for name in sheet.unique)
        if not problems and seen.setdefault(key, number) != number:
            heading = next(column.vi for column in sheet.columns if column.key == sheet.unique[0])
            problems = [Problem(sheet.vi, number, heading, str(key[0]), "twice", str(seen[key]))]
        if problems:
            taken.problems += problems
            _promise(taken, sheet, row)
            continue
        taken.document.setdefault(sheet.listed, []).append(row)
        shown = {column.key: show(cell) for column, cell in zip(columns, cells, strict=False) if column is not None}
        taken.places.setdefault(sheet.listed, []).append(Where(sheet, number, shown))


def _promise(taken: Taken, sheet: Sheet, row: Row) -> None:
    """Rows that name this one are not wrong because it is."""
    if sheet.listed in ENTRIES and "code" in row:
        taken.promised.setdefault(ENTRIES[sheet.listed], set()).add(row["code"])


def _columns(sheet: Sheet, table: Table) -> tuple[list[Column | None], list[Problem]]:
    """The columns as they stand in the first row; None for one without a heading."""
    known = {fold(word): column for column in sheet.columns for word in (column.vi, column.en, column.key)}
    found: list[Column | None] = []
    problems = []
    for cell in table.head:
        heading = show(cell).rstrip("* ")
        column = known.get(fold(heading))
        if heading and column is None:
            names = ", ".join(column.vi for column in sheet.columns)
            problems.append(Problem(sheet.vi, 1, heading, heading, "column", names))
        found.append(column)
    problems += [
        Problem(sheet.vi, 1, column.vi, "", "no_column")
        for column in sheet.columns
        if column.is_required and column not in found
    ]
    return found, problems


def _row(
    sheet: Sheet, columns: Sequence[Column | None], number: int, cells: Sequence[Cell], mark: Mark | None
) -> tuple[Row, list[Problem]]:
    row: Row = {}
    problems = []
    given = {column.key: cell for column, cell in zip(columns, cells, strict=False) if column is not None}
    for column in sheet.columns:
        cell = given.get(column.key)
        if cell is None or (isinstance(cell, str) and not cell.strip()):
            if column.is_required:
                problems.append(Problem(sheet.vi, number, column.vi, "", "required"))
            continue
        try:
            row[column.key] = column.kind.read(cell, mark)
        except Wrong as wrong:
            shown = "****" if column.key == "iccid" else show(cell)
            problems.append(Problem(sheet.vi, number, column.vi, shown, wrong.word, _hint(wrong)))
    return row, problems


def _hint(wrong: Wrong) -> str:
    return f": {wrong.hint}?" if wrong.word == "lost_zero" and wrong.hint else wrong.hint


def _hide_iccid(sheet: Sheet, number: int, row: Row, iccid: IccidReader) -> list[Problem]:
    given = row.pop("iccid", None)
    if given is None:
        return []
    try:
        row.update(iccid(row["code"], given))
    except Wrong as wrong:
        return [Problem(sheet.vi, number, "ICCID", f"****{given[-4:]}", wrong.word)]
    return []


def show(cell: Cell) -> str:
    """A cell as a person sees it."""
    if cell is None:
        return ""
    if isinstance(cell, Formula):
        return cell.text
    if isinstance(cell, date | time):
        return cell.isoformat()
    return str(cell)


def fill(listed: str, rows: Iterable[Row], mark: Mark) -> list[list[Cell]]:
    """Rows of one list of a document as cells, in the sheet's order of columns."""
    sheet = BY_LIST[listed]
    return [[_fill(column, row, mark) for column in sheet.columns] for row in rows]


def _fill(column: Column, row: Row, mark: Mark) -> Cell:
    if column.key == "iccid":
        return f"****{row['iccid_last4']}" if row.get("iccid_last4") else None
    value = row.get(column.key)
    return None if value is None or value == "" else column.kind.write(value, mark)
