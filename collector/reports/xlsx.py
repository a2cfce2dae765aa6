"""A report's tables as XLSX, by openpyxl: numbers are numbers, what is not known is words, every figure has its n.

A spreadsheet shows numbers by its own locale; the cells hold the value that is printed, rounded as it is printed.
"""

from __future__ import annotations

import io
import re

from openpyxl import Workbook
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.worksheet import Worksheet

from collector.core.report_model import Report, tables
from collector.core.report_page import Page, PrintedBlock, PrintedCalendar, PrintedTable, laid_out, printed
from collector.core.report_words import first_and_last, minute_text, say
from collector.reports.zipped import same_again

_FORMATS = ("#,##0", "#,##0.0", "#,##0.00")
_FILLS = {"covered": "FFCFE8D5", "degraded": "FFFFE39A", "no_service": "FFE8A9A1", "outside": "FFF2F2F2"}
_FONT = "Times New Roman"


def to_xlsx(report: Report) -> bytes:
    """Write the annex: a sheet of what it is, then a sheet a table and calendar. The same bytes every time."""
    page, book = laid_out(report), Workbook()
    _about(book.active, report)
    for table in tables(report):
        _table(book.create_sheet(_sheet_name(book, table.key)), printed(table, report.language))
    for block in report.blocks:
        if block.calendar is not None:
            shown = next(b.calendar for b in _all(page) if b.calendar and b.calendar.title == block.calendar.title)
            _calendar(book.create_sheet(_sheet_name(book, block.calendar.key)), shown)
    book.properties.title, book.properties.creator = page.subject, page.issuer_name
    made = io.BytesIO()
    book.save(made)
    return same_again(made.getvalue(), report.as_of_ms)


def _all(page: Page) -> tuple[PrintedBlock, ...]:
    return (*page.body, *(block for group in page.annexes for block in group))


def _sheet_name(book: Workbook, key: str) -> str:
    """A name that Excel takes (31 characters, none of []:*?/\\), not used yet."""
    name = re.sub(r"[\[\]:*?/\\]", "-", key)[:28] or "table"
    return name if name not in book.sheetnames else f"{name}-{len(book.sheetnames)}"


def _put(sheet: Worksheet, row: int, column: int, text: str, *, bold: bool = False) -> None:
    """Write words: never a formula, whatever they begin with."""
    cell = sheet.cell(row, column)
    cell.value = text
    cell.data_type = "s"
    cell.font = Font(name=_FONT, size=11, bold=bold)
    cell.alignment = Alignment(wrap_text=True, vertical="center")


def _about(sheet: Worksheet, report: Report) -> None:
    page, language = laid_out(report), report.language
    start, end = first_and_last(report.period)
    sheet.title = "report"
    rows = (
        (page.title, report.subject), (say("c.unit", language), f"{report.unit_name} ({report.unit})"),
        (say("c.period", language), f"{start} – {end}"),
        (say("c.as_of", language), minute_text(report.as_of_ms, language)),
        *(("", one) for one in page.sources),
        *((("", page.simulated),) if page.simulated else ()),
    )  # fmt: skip
    for at, (name, text) in enumerate(rows, 1):
        _put(sheet, at, 1, name, bold=True)
        _put(sheet, at, 2, text)
    sheet.column_dimensions["A"].width, sheet.column_dimensions["B"].width = 24, 90


def _table(sheet: Worksheet, one: PrintedTable) -> None:
    for at, head in enumerate(one.heads, 1):
        _put(sheet, 1, at, head, bold=True)
        sheet.column_dimensions[get_column_letter(at)].width = max(9, one.weights[at - 1] * 2)
    for number, row in enumerate(one.rows, 2):
        for at, cell in enumerate(row, 1):
            if cell.value is None:
                _put(sheet, number, at, cell.text, bold=cell.bold)
                continue
            held = sheet.cell(number, at, cell.value)
            held.number_format, held.font = _FORMATS[cell.digits], Font(name=_FONT, size=11, bold=cell.bold)
    if one.note:
        _put(sheet, len(one.rows) + 3, 1, one.note)
        last = len(one.rows) + 3
        sheet.merge_cells(start_row=last, end_row=last, start_column=1, end_column=len(one.heads))
    sheet.freeze_panes = "A2"
    sheet.print_title_rows = "1:1"
    sheet.page_setup.orientation = "landscape" if one.wide else "portrait"
    sheet.page_setup.paperSize, sheet.page_setup.fitToWidth, sheet.page_setup.fitToHeight = 9, 1, 0
    sheet.sheet_properties.pageSetUpPr.fitToPage = True


def _calendar(sheet: Worksheet, one: PrintedCalendar) -> None:
    for at, head in enumerate((one.day_title, *map(str, range(24))), 1):
        _put(sheet, 1, at, head, bold=True)
        sheet.column_dimensions[get_column_letter(at)].width = 12 if at == 1 else 5
    for number, day in enumerate(one.days, 2):
        _put(sheet, number, 1, day.label)
        for at, hour in enumerate(day.hours, 2):
            cell = sheet.cell(number, at, int(hour.text) if hour.text else None)
            if hour.state in _FILLS:
                cell.fill = PatternFill("solid", fgColor=_FILLS[hour.state])
    sheet.freeze_panes = "B2"
