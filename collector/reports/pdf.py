"""A report as PDF, by typst: A4 in the form of Nghị định 30/2020/NĐ-CP, the same bytes for the same report.

The layout is `report.typ`; what it draws is the laid-out page as JSON, so no text of a report is ever read as markup.
Liberation Serif has the measures of Times New Roman and all Vietnamese letters; it is free and comes with Debian.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import msgspec
import segno
import typst

from collector.core.report_model import Report
from collector.core.report_page import laid_out
from wire.errors import Misconfigured, Unavailable

FONT_FOLDERS = ("/usr/share/fonts/truetype/liberation2", "/usr/share/fonts/truetype/liberation")
"""Debian 12 and 13."""
FONT_FILE = "LiberationSerif-Regular.ttf"
Photos = Callable[[str], bytes | None]
"""The bytes of a photo by its SHA-256; None if it is not held."""


def no_photos(_sha256: str) -> None:
    """Of a report that has none."""
    return


def font_folder() -> Path:
    """Where the font lies. Raises Misconfigured if it is not installed."""
    for folder in map(Path, FONT_FOLDERS):
        if (folder / FONT_FILE).is_file():
            return folder
    raise Misconfigured("the font Liberation Serif is not here; install the Debian package fonts-liberation2")


def to_pdf(report: Report, photos: Photos = no_photos) -> bytes:
    """Draw a report. Raises Misconfigured without the font, Unavailable if typst cannot draw it."""
    fonts = font_folder()
    with tempfile.TemporaryDirectory(prefix="dosong-report-") as made:
        folder = Path(made)
        page = msgspec.to_builtins(laid_out(report))
        _lay_photos(folder, [*page["body"], *(block for group in page["annexes"] for block in group)], photos)
        (folder / "page.json").write_bytes(msgspec.json.encode(page))
        (folder / "qr.svg").write_bytes(qr_svg(report.provenance.proof_url))
        (folder / "report.typ").write_text(_template(), encoding="utf-8")
        try:
            drawn = typst.compile(
                folder / "report.typ", root=folder, font_paths=[fonts], ignore_system_fonts=True, format="pdf",
                timestamp=report.as_of_ms // 1000,
            )  # fmt: skip
        except RuntimeError as error:
            raise Unavailable(f"the PDF could not be drawn: {error}") from error
    return bytes(drawn)


def qr_svg(url: str) -> bytes:
    """The QR code of an address, error correction M, as SVG."""
    drawn = io.BytesIO()
    segno.make(url, error="m", micro=False).save(drawn, kind="svg", border=2, xmldecl=False)
    return drawn.getvalue()


def _template() -> str:
    return (resources.files("collector.reports") / "report.typ").read_text(encoding="utf-8")


def _lay_photos(folder: Path, blocks: list[dict[str, object]], photos: Photos) -> None:
    """Put each photo beside the template; one that is not held any more is left out of the page."""
    for block in blocks:
        if block["what"] != "photo":
            continue
        raw = photos(str(block["photo"]))
        if raw is None:
            block.update(what="note", text=str(block["text"]))
        else:
            name = f"{block['photo']}.{'png' if raw[1:4] == b'PNG' else 'jpg'}"
            (folder / name).write_bytes(raw)
            block["photo"] = name
