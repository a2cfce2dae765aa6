"""Tables of people's counts (unit, day, people, samples) as CSV or XLSX: read in one pass, every mistake in its place.

Nothing is guessed: a day is dd/mm/yyyy or ISO, a total a whole number, a formula nobody's word.
"""

from __future__ import annotations

import csv
import io
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from openpyxl import Workbook, load_workbook
from openpyxl.utils.exceptions import InvalidFileException

from collector.people import MOST, Entry

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
HEAD = ("Mã đơn vị", "Tên", "Ngày", "Số người cài đặt", "Số mẫu đã đo")
MOST_ROWS, MOST_INSIDE, MOST_DIGITS = 5_000, 20_000_000, 12
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_BROKEN = (
    *(InvalidFileException, zipfile.BadZipFile, zlib.error, OSError, EOFError, SyntaxError, ArithmeticError),
    *(AttributeError, LookupError, RuntimeError, TypeError, ValueError),
)
"""What zipfile and openpyxl raise for a workbook whose bytes were changed; an XML error is a SyntaxError."""
Cells = Sequence[object]


@dataclass(frozen=True, slots=True)
class Problem:
    """A cell that cannot be taken: row (1 is the heading), column, what stands there, and the kind of mistake."""

    row: int
    column: str
    value: str
    word: str


@dataclass(frozen=True, slots=True)
class Table:
    """What a file says, each entry with its row; with problems nothing of it counts."""

    entries: tuple[tuple[int, Entry], ...]
    problems: tuple[Problem, ...]


class _Wrong(Exception):
    def __init__(self, column: str, value: object, word: str) -> None:
        super().__init__(word)
        self.column, self.value, self.word = column, str(value)[:60], word


def read(raw: bytes, today: date) -> Table:
    """Read a file; it is an XLSX workbook if it begins like one."""
    try:
        rows = list(_xlsx(raw) if raw[:4] == b"PK\x03\x04" else _csv(raw))
    except _Wrong as wrong:
        return Table((), (Problem(1, wrong.column, wrong.value, wrong.word),))
    if not rows or len(rows) > MOST_ROWS or [str(cell or "").strip() for cell in rows[0][:5]] != list(HEAD):
        return Table((), (Problem(1, "file", "", "head"),))
    entries: list[tuple[int, Entry]] = []
    problems: list[Problem] = []
    seen: set[tuple[str, date]] = set()
    for number, row in enumerate(rows[1:], 2):
        try:
            entry = _entry(row, today)
        except _Wrong as wrong:
            problems.append(Problem(number, wrong.column, wrong.value, wrong.word))
            continue
        if entry is None:
            continue
        if (entry.unit, entry.day) in seen:
            problems.append(Problem(number, "unit", entry.unit, "twice"))
        seen.add((entry.unit, entry.day))
        entries.append((number, entry))
    return Table(tuple(entries), tuple(problems))


def _entry(row: Cells, today: date) -> Entry | None:
    """One line; None if nothing was filled in. Raises _Wrong."""
    unit, _, day, people, samples = (*row, None, None, None, None, None)[:5]
    if people in (None, "") and samples in (None, ""):
        return None
    if not isinstance(unit, str) or not unit.strip():
        raise _Wrong("unit", unit or "", "code")
    return Entry(unit.strip().lstrip("'"), _day(day, today), _number(people, "people"), _number(samples, "samples"))


def _day(cell: object, today: date) -> date:
    if isinstance(cell, datetime):
        found: date | None = cell.date()
    else:
        found = next(
            (one for form in ("%d/%m/%Y", "%Y-%m-%d") if (one := _parsed(str(cell or "").strip(), form))), None
        )
    if found is None:
        raise _Wrong("day", cell or "", "day")
    if found > today:
        raise _Wrong("day", cell, "future")
    return found


def _parsed(text: str, form: str) -> date | None:
    try:
        return datetime.strptime(text, form).date()  # noqa: DTZ007 (a day, as written)
    except ValueError:
        return None


def _number(cell: object, column: str) -> int | None:
    if cell in (None, ""):
        return None
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    if isinstance(cell, bool | float):
        raise _Wrong(column, cell, "number")
    text = str(cell).strip()
    if not text.isascii() or not text.isdigit() or len(text) > MOST_DIGITS or int(text) > MOST:
        raise _Wrong(column, cell, "number")
    return int(text)


def _csv(raw: bytes) -> Iterator[list[Any]]:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _Wrong("file", "", "utf8") from None
    first = text.partition("\n")[0]
    mark = ";" if first.count(";") > first.count(",") else ","
    try:
        yield from csv.reader(io.StringIO(text, newline=""), delimiter=mark)
    except csv.Error:
        raise _Wrong("file", "", "utf8") from None


def _xlsx(raw: bytes) -> Iterator[list[Any]]:
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            parts = archive.infolist()
            if sum(part.file_size for part in parts) > MOST_INSIDE:
                raise _Wrong("file", "", "large")
            # In UTF-16 a NUL stands beside every letter; a part may have any name.
            if any(b"<!DOCTYPE" in archive.open(part).read(4096).replace(b"\0", b"") for part in parts):
                raise _Wrong("file", "", "large")
        book = load_workbook(io.BytesIO(raw), read_only=True, data_only=False, keep_links=False)
        yield from _first_sheet(book)
    except _BROKEN:
        raise _Wrong("file", "", "utf8") from None


def _first_sheet(book: Any) -> Iterator[list[Any]]:
    try:
        for number, row in enumerate(book.worksheets[0].iter_rows(max_col=5, max_row=MOST_ROWS + 1), 1):
            for cell in row:
                if cell.data_type == "f":
                    raise _Wrong(f"{number}", cell.value, "formula")
            yield [cell.value for cell in row]
    finally:
        book.close()


def empty_csv(rows: Sequence[tuple[str, str, date]]) -> bytes:
    """The table to fill in, for spreadsheets that read UTF-8 by its mark."""
    made = io.StringIO(newline="")
    writer = csv.writer(made, delimiter=";")
    writer.writerow(HEAD)
    writer.writerows([(code, _guarded(name), f"{day:%d/%m/%Y}", "", "") for code, name, day in rows])
    return made.getvalue().encode("utf-8-sig")


def _guarded(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def empty_xlsx(rows: Sequence[tuple[str, str, date]]) -> bytes:
    """The same as a workbook; codes and names are text to everybody."""
    book = Workbook()
    sheet = book.active
    assert sheet is not None  # noqa: S101 (a new workbook has one)
    sheet.append(HEAD)
    for number, (code, name, day) in enumerate(rows, 2):
        for place, text in enumerate((code, name, f"{day:%d/%m/%Y}"), 1):
            cell = sheet.cell(number, place, text)
            cell.data_type, cell.number_format = "s", "@"
            cell.quotePrefix = text.startswith(_FORMULA)
    for letter, width in zip("ABCDE", (20, 32, 14, 18, 18), strict=True):
        sheet.column_dimensions[letter].width = width
    sheet.freeze_panes = "D2"
    made = io.BytesIO()
    book.save(made)
    return made.getvalue()
