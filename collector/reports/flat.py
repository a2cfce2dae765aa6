"""A report for programs and for pasting: JSON (the model itself), CSV (a line a cell), TSV (a row), plain text."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from collector.core.csv_line import BOM
from collector.core.csv_line import line as csv_line
from collector.core.report_model import Figure, Report, shown, tables
from collector.core.view import iso

CSV_HEAD = ("report", "unit", "from", "to", "as_of", "table", "row", "name", "column", "value", "text", "n", "source")


def to_json(report: Report) -> bytes:
    """The model, keys in the order of the alphabet: these bytes are what a snapshot keeps."""
    return msgspec.json.format(msgspec.json.encode(report, order="sorted"), indent=1) + b"\n"


def from_json(raw: bytes) -> Report:
    """Read a model back. Raises msgspec.ValidationError for one of another form."""
    return msgspec.json.decode(raw, type=Report)


def to_csv(report: Report) -> bytes:
    """A line for each cell of each table: the number in its reading unit (empty if unknown), and as it is printed."""
    lines = [csv_line(CSV_HEAD)]
    lines += [csv_line(line) for line in _cells(report)]
    return (BOM + "".join(lines)).encode()


def _cells(report: Report) -> Iterator[tuple[str | int | float | None, ...]]:
    period = report.period
    same = (report.id, report.unit, iso(period.start_ms), iso(period.end_ms), iso(report.as_of_ms))
    for table in tables(report):
        for row in table.rows:
            name = next((cell for cell in row.cells if isinstance(cell, str) and not cell.isdigit()), "")
            for column, cell in zip(table.columns, row.cells, strict=True):
                text = shown(cell, report.language)
                if isinstance(cell, Figure):
                    yield (*same, table.key, row.key, name, column.key, cell.number, text, cell.n, cell.source)
                else:
                    yield (*same, table.key, row.key, name, column.key, None, text, None, None)


def to_tsv(report: Report) -> bytes:
    """The row for a shared sheet: tabs between cells, so that it can be pasted; numbers in the language's own form."""
    if report.sheet is None:
        return b""
    lines = [[column.title for column in report.sheet.columns]]
    lines += [[shown(cell, report.language) for cell in row.cells] for row in report.sheet.rows]
    return "".join("\t".join(_pasted(cell) for cell in line) + "\n" for line in lines).encode()


def _pasted(text: str) -> str:
    """One cell on one line; words that a spreadsheet would take for a formula get an apostrophe."""
    joined = " ".join(text.split())
    return f"'{joined}" if joined.startswith(("=", "+", "-", "@")) else joined


def to_text(report: Report) -> bytes:
    """The paragraph for another report, such as the báo cáo chuyển đổi số."""
    return f"{report.paragraph}\n".encode()
