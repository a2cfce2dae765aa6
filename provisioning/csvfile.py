"""Tables as CSV: UTF-8, comma or semicolon, one file a sheet named by its list; text is never a formula for a reader.

A field that a spreadsheet would take for a formula gets an apostrophe in front, which reading takes off again.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

from provisioning.core.cells import Cell, Mark
from provisioning.core.tables import Table, show
from wire.errors import Refused

MOST_BYTES, MOST_ROWS = 20_000_000, 200_000
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "'", "|", "%", "＝", "＋", "－", "＠")
_BLANKS = " \u00a0\u3000"
"""What stands behind them is taken for a formula too, by programs that strip them."""


def read(path: Path, title: str | None = None) -> Table:
    """Read one file; its name is the sheet's unless `title` says so. Raises Refused if it is no CSV of ours."""
    if path.stat().st_size > MOST_BYTES:
        raise Refused("bad_file", f"{path} is larger than {MOST_BYTES // 10**6} MB; divide it")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refused("bad_file", f"{path} is not UTF-8 ({error.reason}); save it as CSV UTF-8") from error
    first = text.partition("\n")[0]
    lines = csv.reader(text.splitlines(keepends=True), delimiter=";" if first.count(";") > first.count(",") else ",")
    try:
        rows: list[tuple[int, list[Cell]]] = [(lines.line_num, [_bare(field) for field in line]) for line in lines]
    except csv.Error as error:
        raise Refused("bad_file", f"{path}, line {lines.line_num}: {error}; save it as CSV UTF-8") from error
    if not rows or len(rows) > MOST_ROWS:
        raise Refused("bad_file", f"{path} has {len(rows)} lines; 1 to {MOST_ROWS} are read")
    return Table(title or path.stem, rows[0][1], rows[1:])


def _bare(field: str) -> str:
    return field[1:] if field.startswith("'") and _is_guarded(field[1:]) else field


def _is_guarded(text: str) -> bool:
    return text.lstrip(_BLANKS).startswith(_FORMULA)


def write(path: Path, head: Sequence[str], rows: Sequence[Sequence[Cell]], mark: Mark) -> None:
    """Write one file, with a byte order mark, so that spreadsheets read it as UTF-8."""
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file, delimiter=";" if mark == "comma" else ",")
        writer.writerow(head)
        writer.writerows([_guarded(cell, mark) for cell in row] for row in rows)


def _guarded(cell: Cell, mark: Mark) -> str:
    if isinstance(cell, float):
        text = f"{Decimal(repr(cell)):f}"
        text = text.rstrip("0").rstrip(".") if "." in text else text
        return text.replace(".", ",") if mark == "comma" else text
    if isinstance(cell, int):
        return str(cell)
    text = show(cell)
    return f"'{text}" if _is_guarded(text) else text
