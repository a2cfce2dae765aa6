"""Tables as an XLSX workbook, by openpyxl: read as text and values, written as text that is no formula to anybody."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from openpyxl import Workbook, load_workbook
from openpyxl.comments import Comment
from openpyxl.styles import Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.utils.exceptions import InvalidFileException
from openpyxl.worksheet.datavalidation import DataValidation

from provisioning.core.cells import Cell, Formula, Mark
from provisioning.core.sheets import GUIDE_LINES, SHEETS, Sheet
from provisioning.core.tables import Table
from wire.errors import Refused
from wire.fold import fold

MOST_BYTES, MOST_INSIDE, MOST_ROWS, MOST_COLUMNS = 20_000_000, 400_000_000, 200_000, 64
DECLARED, GUIDE = "Khai báo", "Hướng dẫn"
BROKEN = (
    *(InvalidFileException, zipfile.BadZipFile, zlib.error, OSError, EOFError, SyntaxError, ArithmeticError),
    *(AttributeError, LookupError, RuntimeError, TypeError, ValueError),
)
"""What zipfile and openpyxl raise for a workbook whose bytes were changed; an XML error is a SyntaxError."""
_MARKS: dict[str, Mark] = {",": "comma", ".": "dot"}


def read(path: Path) -> tuple[list[Table], Mark | None]:
    """Read a workbook's sheets and the decimal mark that it declares (None: it does not).

    Raises Refused if it is no workbook, too large, or holds what only an attack needs.
    """
    try:
        _check(path)
        return _read(path)
    except BROKEN as error:
        raise Refused("bad_file", f"{path} is no XLSX workbook ({error}); save it as .xlsx") from error


def _read(path: Path) -> tuple[list[Table], Mark | None]:
    book = load_workbook(path, read_only=True, data_only=False, keep_links=False)
    try:
        tables = [_table(sheet) for sheet in book.worksheets if sheet.title not in (DECLARED, GUIDE)]
        return [table for table in tables if table.head], _declared(book)
    finally:
        book.close()


def _check(path: Path) -> None:
    """Refuse what would take the machine's memory, and entity tricks, before any XML is parsed."""
    if path.stat().st_size > MOST_BYTES:
        raise Refused("bad_file", f"{path} is larger than {MOST_BYTES // 10**6} MB; divide it")
    with zipfile.ZipFile(path) as archive:
        if sum(member.file_size for member in archive.infolist()) > MOST_INSIDE:
            raise Refused("bad_file", f"{path} unpacks to more than {MOST_INSIDE // 10**6} MB; divide it")
        for member in archive.infolist():
            # In UTF-16 a NUL stands beside every letter; a part may have any name.
            if b"<!DOCTYPE" in archive.open(member).read(4096).replace(b"\0", b""):
                raise Refused("bad_file", f"{path} holds XML declarations that no spreadsheet writes; save it anew")


def _table(sheet: Any) -> Table:
    rows = list(_rows(sheet))
    head = rows[0][1] if rows else []
    return Table(sheet.title, head if any(cell is not None for cell in head) else [], rows[1:])


def _rows(sheet: Any) -> Iterator[tuple[int, list[Cell]]]:
    for number, row in enumerate(sheet.iter_rows(max_col=MOST_COLUMNS), 1):
        if number > MOST_ROWS:
            raise Refused("bad_file", f"{sheet.title} has more than {MOST_ROWS} rows; divide it")
        yield number, [_cell(cell) for cell in row]


def _cell(cell: Any) -> Cell:
    value = cell.value
    if value is None:
        return None
    if cell.data_type in ("f", "e") or (
        not isinstance(value, str | int | float | bool) and not hasattr(value, "isoformat")
    ):
        return Formula(str(getattr(value, "text", value)))
    found: Cell = value
    return found


def _declared(book: Any) -> Mark | None:
    if DECLARED not in book.sheetnames:
        return None
    for row in book[DECLARED].iter_rows(max_row=10, max_col=2, values_only=True):
        if len(row) > 1 and fold(str(row[0] or "")).startswith("dau thap phan"):
            return _MARKS.get(str(row[1] or "").strip())
    return None


def write(path: Path, filled: Mapping[str, Sequence[Sequence[Cell]]], mark: Mark) -> None:
    """Write all sheets with their headings, notes and drop-downs; `filled` holds rows by list."""
    book = Workbook()
    _guide(book.active, book.create_sheet(DECLARED), mark)
    for sheet in SHEETS:
        _sheet(book.create_sheet(sheet.vi), sheet, filled.get(sheet.listed, ()))
    book.save(path)


def _guide(guide: Any, declared: Any, mark: Mark) -> None:
    guide.title = GUIDE
    guide.column_dimensions["A"].width, guide.column_dimensions["B"].width = 90, 90
    for number, both in enumerate(GUIDE_LINES, 1):
        for column, text in enumerate(both, 1):
            guide.cell(number, column, text)
    for number, sheet in enumerate((s for s in SHEETS if s.about[0]), len(GUIDE_LINES) + 2):
        guide.cell(number, 1, f"{sheet.vi}: {sheet.about[0]}")
        guide.cell(number, 2, f"{sheet.en}: {sheet.about[1]}")
    declared.column_dimensions["A"].width = 40
    declared.cell(1, 1, "Dấu thập phân / decimal mark")
    declared.cell(1, 2, "," if mark == "comma" else ".")
    # A comma cannot stand in a list of choices; so the two are in cells beside it.
    choice = DataValidation(type="list", formula1="$D$1:$D$2", allow_blank=False)
    declared.cell(1, 4, ",")
    declared.cell(2, 4, ".")
    declared.add_data_validation(choice)
    choice.add("B1")


def _sheet(made: Any, sheet: Sheet, rows: Sequence[Sequence[Cell]]) -> None:
    made.freeze_panes = "A2"
    for number, column in enumerate(sheet.columns, 1):
        letter = get_column_letter(number)
        head = made.cell(1, number, column.vi + ("*" if column.is_required else ""))
        head.font, head.fill = Font(bold=True), PatternFill("solid", fgColor="DCE9F2")
        said = [column.en, *(text for text in column.note if text)]
        head.comment = Comment("\n".join(said), "dosong", width=280, height=90)
        made.column_dimensions[letter].width = max(14, len(column.vi) + 4)
        if column.kind.is_text:
            made.column_dimensions[letter].number_format = "@"
        if column.kind.choices:
            listed = DataValidation(type="list", formula1=f'"{",".join(column.kind.choices)}"', allow_blank=True)
            made.add_data_validation(listed)
            listed.add(f"{letter}2:{letter}20000")
    for number, row in enumerate(rows, 2):
        for place, value in enumerate(row, 1):
            if value is not None:
                _put(made.cell(number, place), value, is_text=sheet.columns[place - 1].kind.is_text)


def _put(cell: Any, value: Cell, *, is_text: bool) -> None:
    """Text is written as text, whatever it begins with."""
    cell.value = value
    if isinstance(value, str):
        cell.data_type = "s"
        cell.quotePrefix = value.startswith(("=", "+", "-", "@"))
    if is_text:
        cell.number_format = "@"
