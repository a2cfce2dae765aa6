"""Every form that a report is given out in: its ending, its media type, and what draws it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from collector.core.report_model import Report
from collector.reports import flat
from collector.reports.pdf import Photos, no_photos, to_pdf
from collector.reports.word import to_docx
from collector.reports.xlsx import to_xlsx

_OFFICE = "application/vnd.openxmlformats-officedocument"


@dataclass(frozen=True, slots=True)
class Format:
    """One form. `draw` gets the report and the photos that it may show."""

    name: str
    media_type: str
    draw: Callable[[Report, Photos], bytes]


FORMATS: dict[str, Format] = {
    one.name: one
    for one in (
        Format("pdf", "application/pdf", to_pdf),
        Format("docx", f"{_OFFICE}.wordprocessingml.document", to_docx),
        Format("xlsx", f"{_OFFICE}.spreadsheetml.sheet", lambda report, _: to_xlsx(report)),
        Format("csv", "text/csv; charset=utf-8", lambda report, _: flat.to_csv(report)),
        Format("json", "application/json", lambda report, _: flat.to_json(report)),
        Format("tsv", "text/tab-separated-values; charset=utf-8", lambda report, _: flat.to_tsv(report)),
        Format("txt", "text/plain; charset=utf-8", lambda report, _: flat.to_text(report)),
    )
}


def draw_all(report: Report, photos: Photos = no_photos) -> dict[str, bytes]:
    """Draw a report in every form it has."""
    has_row = {"tsv": report.sheet is not None, "txt": report.paragraph != ""}
    return {name: one.draw(report, photos) for name, one in FORMATS.items() if has_row.get(name, True)}
