"""A report as DOCX, by python-docx: what the office goes on writing in. Times New Roman is named, never embedded.

Same layout as the PDF: A4, margins 20/20/30/15 mm, page numbers in the middle of the top margin from page 2, heads of
tables repeated, wide annexes across. Source: facts note 01 §5.
"""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

import docx
import segno
from docx.enum.section import WD_ORIENT, WD_SECTION
from docx.enum.table import WD_TABLE_ALIGNMENT
from docx.enum.text import WD_ALIGN_PARAGRAPH
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Cm, Mm, Pt

from collector.core.report_model import Report
from collector.core.report_page import Page, PrintedBlock, PrintedCalendar, PrintedTable, laid_out
from collector.reports.pdf import Photos, no_photos
from collector.reports.zipped import same_again

FACE = "Times New Roman"
_ALIGN = {"left": WD_ALIGN_PARAGRAPH.LEFT, "center": WD_ALIGN_PARAGRAPH.CENTER, "right": WD_ALIGN_PARAGRAPH.RIGHT}
_FILLS = {"covered": "CFE8D5", "degraded": "FFE39A", "no_service": "E8A9A1", "outside": "F2F2F2"}
_USABLE_MM = {False: 165, True: 262}


def to_docx(report: Report, photos: Photos = no_photos) -> bytes:
    """Write a report as a Word file, the same bytes for the same report."""
    page = laid_out(report)
    document = docx.Document()
    _set_up(document, report, page)
    _letterhead(document, page)
    for block in page.body:
        _block(document, block, photos, wide=False)
    _signing(document, page)
    _sources(document, report, page)
    for group in page.annexes:
        _annex(document, group, photos)
    made = io.BytesIO()
    document.save(made)
    return same_again(made.getvalue(), report.as_of_ms)


def _set_up(document: Any, report: Report, page: Page) -> None:
    style = document.styles["Normal"]
    style.font.name, style.font.size = FACE, Pt(13)
    style.element.rPr.rFonts.set(qn("w:eastAsia"), FACE)
    style.paragraph_format.space_after = Pt(6)
    section = document.sections[0]
    section.page_width, section.page_height = Mm(210), Mm(297)
    section.top_margin = section.bottom_margin = Mm(20)
    section.left_margin, section.right_margin = Mm(30), Mm(15)
    section.header_distance = Mm(10)
    section.different_first_page_header_footer = True
    number = section.header.paragraphs[0]
    number.alignment = WD_ALIGN_PARAGRAPH.CENTER
    _field(number.add_run(), "PAGE")
    core = document.core_properties
    core.title, core.author, core.last_modified_by, core.comments = page.subject, page.issuer_name, "", ""
    core.language, core.revision = page.language, 1
    core.created = core.modified = datetime.fromtimestamp(report.as_of_ms // 1000, UTC).replace(tzinfo=None)


def _field(run: Any, name: str) -> None:
    """A field that Word fills in, such as the page's number."""
    for kind in ("begin", None, "end"):
        if kind is None:
            element = OxmlElement("w:instrText")
            element.text = name
        else:
            element = OxmlElement("w:fldChar")
            element.set(qn("w:fldCharType"), kind)
        run._r.append(element)


def _write(
    holder: Any, text: str, align: str = "left", *, bold: bool = False, italic: bool = False, size: float = 13,
    after: float = 0,
) -> Any:  # fmt: skip
    """Add a paragraph to a document or cell; a cell's empty first one is used up."""
    first = holder.paragraphs[0] if hasattr(holder, "_tc") and not holder.paragraphs[0].runs else None
    paragraph = first if first is not None and not first.text else holder.add_paragraph()
    run = paragraph.add_run(text)
    run.bold, run.italic, run.font.size = bold or None, italic or None, Pt(size)
    paragraph.alignment = _ALIGN[align]
    paragraph.paragraph_format.space_after = Pt(after)
    return paragraph


def _ruled(paragraph: Any) -> None:
    """A short line below a heading, as its own underlining border."""
    borders = OxmlElement("w:pBdr")
    bottom = OxmlElement("w:bottom")
    for name, value in (("val", "single"), ("sz", "6"), ("space", "1"), ("color", "000000")):
        bottom.set(qn(f"w:{name}"), value)
    borders.append(bottom)
    paragraph._p.get_or_add_pPr().append(borders)


def _short_rule(cell: Any, indent_mm: float) -> None:
    paragraph = _write(cell, "", "center", size=2, after=4)
    paragraph.paragraph_format.left_indent = paragraph.paragraph_format.right_indent = Mm(indent_mm)
    _ruled(paragraph)


def _grid(document: Any, widths_mm: tuple[float, ...]) -> Any:
    table = document.add_table(rows=1, cols=len(widths_mm))
    table.autofit = False
    table.alignment = WD_TABLE_ALIGNMENT.CENTER
    _widths(table, [Mm(width) for width in widths_mm])
    return table


def _widths(table: Any, widths: list[Any]) -> None:
    """Word goes by the cells' widths, LibreOffice by the columns': both are said."""
    for column, width in zip(table.columns, widths, strict=True):
        column._gridCol.w = width
    for row in table.rows:
        for cell, width in zip(row.cells, widths, strict=True):
            cell.width = width


def _letterhead(document: Any, page: Page) -> None:
    left, right = _grid(document, (69, 96)).rows[0].cells
    if page.superior:
        _write(left, page.superior, "center", size=12)
    for line in page.issuer_lines:
        _write(left, line, "center", bold=True, size=12)
    _short_rule(left, 25)
    _write(left, page.number, "center")
    _write(right, page.nation, "center", bold=True, size=12)
    _write(right, page.motto, "center", bold=True)
    _short_rule(right, 21)
    _write(right, page.place_date, "center", italic=True)
    if page.simulated:
        _write(document, page.simulated, "center", bold=True, size=11, after=6)
    _write(document, page.title, "center", bold=True, size=14).paragraph_format.space_before = Pt(12)
    _write(document, page.subject, "center", bold=True, size=14)
    _short_rule(document, 65)
    if page.addressed:
        word, names = _grid(document, (50, 115)).rows[0].cells
        _write(word, page.addressed_word, "right")
        for name in page.addressed:
            _write(names, name)
        _write(document, "", size=6)


def _block(document: Any, block: PrintedBlock, photos: Photos, *, wide: bool) -> None:
    if block.what == "heading":
        paragraph = _write(document, block.text, bold=True, after=6)
        paragraph.paragraph_format.keep_with_next = True
        paragraph.paragraph_format.space_before = Pt(8)
    elif block.what == "annex":
        _write(document, block.text, "center", bold=True, after=8)
    elif block.what in ("text", "item"):
        paragraph = _write(document, f"- {block.text}" if block.what == "item" else block.text, after=6)
        paragraph.alignment = WD_ALIGN_PARAGRAPH.JUSTIFY
        paragraph.paragraph_format.first_line_indent = Cm(1)
    elif block.what == "note":
        _write(document, block.text, italic=True, size=11, after=6)
    elif block.what == "photo":
        raw = photos(block.photo)
        if raw is not None:
            document.add_picture(io.BytesIO(raw), height=Mm(60))
        _write(document, block.text, italic=True, size=11, after=6)
    elif block.table is not None:
        _table(document, block.table, _USABLE_MM[wide], 9.5 if block.table.wide else 11)
    elif block.calendar is not None:
        _calendar(document, block.calendar, _USABLE_MM[wide])


def _heads(table: Any, heads: tuple[str, ...], size: float) -> None:
    row = table.rows[0]
    mark = OxmlElement("w:tblHeader")
    mark.set(qn("w:val"), "true")
    row._tr.get_or_add_trPr().append(mark)
    for cell, head in zip(row.cells, heads, strict=True):
        _write(cell, head, "center", bold=True, size=size)


def _table(document: Any, one: PrintedTable, usable_mm: int, size: float) -> None:
    if one.title:
        _write(document, one.title, "center", bold=True, size=12, after=4).paragraph_format.keep_with_next = True
    table = document.add_table(rows=1 + len(one.rows), cols=len(one.heads))
    table.style, table.autofit = "Table Grid", False
    widths = [Mm(usable_mm * weight / sum(one.weights)) for weight in one.weights]
    _widths(table, widths)
    _heads(table, one.heads, size)
    # Cells of a row are walked once: python-docx counts through the whole grid to find one by its place.
    for row, cells in zip(list(table.rows)[1:], one.rows, strict=True):
        for at, cell in enumerate(row.cells):
            _write(cell, cells[at].text, one.aligns[at], bold=cells[at].bold, size=size)
    _write(document, one.note, italic=True, size=10.5, after=8)


def _calendar(document: Any, one: PrintedCalendar, usable_mm: int) -> None:
    _write(document, one.title, "center", bold=True, size=12, after=4).paragraph_format.keep_with_next = True
    table = document.add_table(rows=1 + len(one.days), cols=25)
    table.style, table.autofit = "Table Grid", False
    _widths(table, [Mm(20), *[Mm((usable_mm - 20) / 24)] * 24])
    _heads(table, (one.day_title, *map(str, range(24))), 7)
    _narrow(table)
    for row, day in zip(list(table.rows)[1:], one.days, strict=True):
        first, *hours = row.cells
        _write(first, day.label, size=7)
        for cell, hour in zip(hours, day.hours, strict=True):
            # Never empty: an empty paragraph would be as high as the page's own letters.
            _write(cell, hour.text or "·", "center", size=6, bold=hour.state == "no_service")
            if hour.state in _FILLS:
                cell._tc.get_or_add_tcPr().append(_shade(_FILLS[hour.state]))
    legend = _write(document, "", size=10.5, after=8)
    for state, name in zip(("covered", "degraded", "no_service", "unknown"), one.legend, strict=True):
        mark = legend.add_run("[  ]" if state == "unknown" else "\u00a0" * 4)
        said = legend.add_run(f" {name}   ")
        mark.font.size = said.font.size = Pt(10.5)
        if state in _FILLS:
            mark._r.get_or_add_rPr().append(_shade(_FILLS[state]))


def _shade(fill: str) -> Any:
    shade = OxmlElement("w:shd")
    for name, value in (("val", "clear"), ("color", "auto"), ("fill", fill)):
        shade.set(qn(f"w:{name}"), value)
    return shade


def _narrow(table: Any) -> None:
    """Take away the room that cells keep on their left and right: 25 columns have none to spare."""
    margins = OxmlElement("w:tblCellMar")
    for side in ("left", "right"):
        room = OxmlElement(f"w:{side}")
        room.set(qn("w:w"), "15")
        room.set(qn("w:type"), "dxa")
        margins.append(room)
    table._tbl.tblPr.append(margins)


def _signing(document: Any, page: Page) -> None:
    _write(document, "", size=6)
    left, right = _grid(document, (82, 83)).rows[0].cells
    _write(left, page.recipients_word, bold=True, italic=True, size=12)
    for one in page.recipients:
        _write(left, f"- {one}", size=11)
    for one in page.signing:
        _write(right, one, "center", bold=True)
    for _ in range(4):
        _write(right, "", "center")


def _sources(document: Any, report: Report, page: Page) -> None:
    words, code = _grid(document, (130, 35)).rows[0].cells
    for one in page.sources:
        _write(words, one, size=9.5, after=2)
    _write(words, page.draft, italic=True, size=9.5)
    drawn = io.BytesIO()
    segno.make(report.provenance.proof_url, error="m", micro=False).save(drawn, kind="png", scale=6, border=2)
    code.paragraphs[0].add_run().add_picture(drawn, width=Mm(27))


def _annex(document: Any, group: tuple[PrintedBlock, ...], photos: Photos) -> None:
    """Each annex is a section of its own: across if it holds a wide table."""
    wide = any(block.table is not None and block.table.wide for block in group)
    section = document.add_section(WD_SECTION.NEW_PAGE)
    section.different_first_page_header_footer = False
    section.orientation = WD_ORIENT.LANDSCAPE if wide else WD_ORIENT.PORTRAIT
    section.page_width, section.page_height = (Mm(297), Mm(210)) if wide else (Mm(210), Mm(297))
    section.left_margin = Mm(20) if wide else Mm(30)
    for block in group:
        _block(document, block, photos, wide=wide)
