"""A commune's monthly report from a real ledger: its numbers, its form on paper, the same bytes every time."""

from __future__ import annotations

import hashlib
import io
import subprocess
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
import segno

from collector.core.clock import month_of
from collector.core.period import Period
from collector.core.report_model import Figure, Kind, Report, tables
from collector.core.report_page import laid_out
from collector.core.report_words import place_date
from collector.core.view import Language
from collector.reports.gather import Asked
from collector.reports.make import Maker, parse_period, whole_period
from collector.reports.pdf import to_pdf
from collector.reports.word import to_docx
from tests.collector.kit import T0_MS
from tests.collector.test_campaigns import CAMPAIGNS
from tests.collector.test_web_world import World, world
from wire.errors import Refused


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        made.registry.load(CAMPAIGNS, T0_MS)
        yield made


def made(here: World, kind: Kind = "month", unit: str = "05755", language: Language = "vi") -> Report:
    maker = Maker(here.reader, here.registry, None, "https://dosong.example")
    as_of_ms = here.now_ms + 60_000
    return maker.make(Asked(kind, unit, parse_period(kind, "2026-09", as_of_ms), as_of_ms, language))


def text_of(pdf: bytes, folder: Path) -> str:
    (folder / "r.pdf").write_bytes(pdf)
    words = ["pdftotext", "-layout", str(folder / "r.pdf"), "-"]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def row(report: Report, table: str, key: str) -> dict[str, object]:
    found = next(one for one in tables(report) if one.key == table)
    cells = next(one.cells for one in found.rows if one.key == key)
    return {column.key: cell for column, cell in zip(found.columns, cells, strict=True)}


def test_the_numbers_are_the_ledgers_and_the_verdict_the_campaigns(here: World) -> None:
    here.tests(7)
    here.tests(1, outcome="failed", stage="dns", cause="no_dns", downlink_bps=None, uplink_bps=None)
    report = made(here)
    commune = row(report, "units", "05755")
    assert (commune["ours"], commune["portal"], commune["missing"]) == (
        Figure(7), Figure(None, source="portal"), Figure(None),
    )  # fmt: skip
    assert commune["downlink"] == Figure(20_000_000, "mbps", 7)
    operator = row(report, "operators", "45204")
    assert (operator["tests"], operator["success"]) == (Figure(8), Figure(875_000, "percent"))
    assert "nội bộ: mẫu trạm đo 7/4" in " ".join(block.text for block in report.blocks)
    assert "81/KH-UBND: mẫu i-Speed (Portal, nhập tay): không có số liệu" in " ".join(b.text for b in report.blocks)


def test_unknown_is_said_and_too_few_is_said(here: World) -> None:
    here.tests(3)
    found = row(made(here), "units", "05755")
    assert isinstance(found["rtt"], Figure)
    assert found["rtt"].shown("vi") == "không đủ số mẫu (n = 3)"
    assert found["rtt"].number is None
    assert Figure(None).shown("vi") == "không có số liệu"
    assert Figure(None).number is None
    assert Figure(0).shown("vi") == "0"


def test_the_paper_has_the_form_of_an_office(here: World, tmp_path: Path) -> None:
    here.tests(6)
    text = text_of(to_pdf(made(here)), tmp_path)
    first = text[: text.index("I. KẾT QUẢ")]
    for wanted in (
        "CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM", "Độc lập - Tự do - Hạnh phúc", "ỦY BAN NHÂN DÂN", "XÃ PHÚ XUYÊN",
        "/BC-UBND", "Phú Xuyên, ngày 21 tháng 9 năm 2026", "BÁO CÁO", "Kính gửi:",
        "tháng 9 năm 2026",
    ):  # fmt: skip
        assert wanted in first, wanted
    for wanted in ("Nơi nhận:", "- Lưu: VT.", "TM. ỦY BAN NHÂN DÂN", "CHỦ TỊCH", "count-2", "Xóm Đồng Chuối"):
        assert wanted in text, wanted
    assert "20,0" in text
    assert "trong kỳ./." in text
    pages = text.split("\f")
    assert pages[1].split()[0] == "2"
    assert pages[0].split()[0] != "1", "the first page has no number"


def test_tables_over_pages_repeat_their_heads_and_the_bytes_are_the_same_again(here: World, tmp_path: Path) -> None:
    more = [{"code": f"07{i:03d}", "name": f"Xã Thượng Nông {i}", "province": "19"} for i in range(60)]
    here.registry.load({"communes": more}, T0_MS)
    here.tests(1)
    report = made(here, unit="19")
    drawn = to_pdf(report)
    pages = text_of(drawn, tmp_path).split("\f")
    assert sum("Mã giới" in page for page in pages) >= 3, "the head of the table stands on each of its pages"
    assert to_pdf(report) == drawn
    assert to_pdf(replace(report, subject="khác")) != drawn


def test_english_on_request(here: World, tmp_path: Path) -> None:
    here.tests(6)
    text = text_of(to_pdf(made(here, language="en")), tmp_path)
    assert "I. RESULTS AGAINST THE QUOTA" in text
    assert "20.0" in text


def test_dates_and_periods_are_written_as_offices_do() -> None:
    september = month_of(T0_MS)
    assert place_date("Dân Tiến", 1_730_400_000_000, "vi") == "Dân Tiến, ngày 01 tháng 11 năm 2024"
    assert place_date("Móng Cái", 1_739_000_000_000, "vi") == "Móng Cái, ngày 08 tháng 02 năm 2025"
    assert parse_period("month", "2026-09", 0) == Period(*september)
    assert parse_period("quarter", "2026-Q3", 0).end_ms == september[1]
    assert parse_period("day", "2026-09-30", 0).end_ms == september[1]
    year = parse_period("year", "2026", 0)
    assert whole_period("year", date(2026, 12, 31)) == year
    assert (year.end_ms - year.start_ms) // 86_400_000 == 365
    for wrong in ("2026-13", "neunzehn", "2026-09-31", "2026-Q5"):
        with pytest.raises(Refused):
            parse_period("day", wrong, 0)


def test_what_cannot_be_reported_is_refused(here: World) -> None:
    with pytest.raises(Refused, match="no commune"):
        made(here, unit="99999")
    here.now_ms = month_of(T0_MS)[0] - 70_000
    with pytest.raises(Refused, match="not begun"):
        made(here)


def test_the_layout_has_every_block_once(here: World) -> None:
    here.tests(1)
    report = made(here)
    page = laid_out(report)
    assert len(page.body) + sum(map(len, page.annexes)) == len(report.blocks)
    assert [group[0].what for group in page.annexes] == ["annex"]


def test_weak_spots_say_where_why_and_show_the_mounting(here: World, tmp_path: Path) -> None:
    photo = io.BytesIO()
    segno.make("mounting").save(photo, kind="png", scale=4)
    sha256 = hashlib.sha256(photo.getvalue()).hexdigest()
    listed = {"site": "s-one", "sha256": sha256, "size_bytes": len(photo.getvalue()), "valid_from_ms": T0_MS - 1}
    here.registry.load({"photos": [listed]}, T0_MS)
    radio = {"before": {"rat": "LTE", "rsrp_dbm_x10": -1180, "eci": 123456, "pci": 77, "band": 3}}
    here.tests(6, radio=radio, downlink_bps=4_000_000)
    report = made(here, "weak", "19")
    found = row(report, "weak", "h-dong-chuoi-45204")
    assert found["rsrp"] == Figure(-1180, "dbm", 6)
    assert (found["why"], found["cells"]) == ("mức thu thấp, tốc độ thấp", "eNB 482 cell 64, PCI 77, band 3")
    assert "(105,80000/21,50000)" in str(found["place"])
    assert "ăng-ten: không có số liệu" in str(found["equipment"])
    held = {sha256: photo.getvalue()}
    with_photo, without = to_pdf(report, held.get), to_pdf(report)
    assert b"/Subtype/Image" in with_photo
    assert b"/Subtype/Image" not in without
    names = zipfile.ZipFile(io.BytesIO(to_docx(report, held.get))).namelist()
    assert sum(name.startswith("word/media/") for name in names) == 2, "the QR code and the photo"
    assert "Ảnh lắp đặt: Nhà văn hóa" in text_of(with_photo, tmp_path)
