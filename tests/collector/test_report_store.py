"""Reports are kept as they were made: the same bytes later, and what came late shows as a change."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from docx import Document
from openpyxl import load_workbook

from collector.__main__ import main
from collector.backup import FILES, FOLDERS
from collector.core.clock import month_of
from collector.core.period import Period
from collector.core.report_heads import Office, default_head
from collector.core.report_model import Figure, tables
from collector.core.report_page import laid_out
from collector.reports.desk import Desk, open_desk
from collector.reports.formats import FORMATS
from collector.reports.store import Kept
from collector.seal_store import SealStore, Signed
from tests.collector.kit import SLOT_MS, T0_MS
from tests.collector.test_campaigns import CAMPAIGNS
from tests.collector.test_web_world import World, world
from wire.errors import Refused, Unavailable

WHOLE = Period(*month_of(T0_MS))
LATER_MS = WHOLE.end_ms + 3_600_000


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        made.registry.load(CAMPAIGNS, T0_MS)
        yield made


@pytest.fixture
def desk(here: World) -> Iterator[Desk]:
    found = open_desk(here.settings, here.reader, here.registry)
    yield found
    found.store.close()


def month(desk: Desk, at_ms: int = LATER_MS) -> Kept:
    return desk.make("month", "05755", WHOLE, at_ms, by="official")


def test_a_report_is_the_same_again_byte_for_byte_in_every_form(here: World, desk: Desk) -> None:
    here.tests(6)
    one = month(desk)
    assert {drawing.format for drawing in desk.store.drawings(one.id)} == set(FORMATS)
    here.tests(4)  # the ledger goes on; the kept report does not
    for name in FORMATS:
        done = desk.again(one, name)
        assert done.is_same, name
        assert done.raw == desk.store.drawn(one.id, name)
    assert json.loads(desk.store.bytes_of(one.model))["id"] == one.id
    assert month(desk).follows == one.id


def test_a_late_record_is_a_change_and_not_silent(here: World, desk: Desk) -> None:
    here.tests(6)
    first = month(desk)
    assert desk.changed(first, LATER_MS) == []
    here.take(here.probe.test(downlink_bps=90_000_000), here.probe.test())
    found = {(one.table, one.row, one.column): one for one in desk.changed(first, LATER_MS)}
    ours = found["units", "05755", "ours"]
    assert (ours.before, ours.after) == (Figure(6), Figure(8))
    second = month(desk, LATER_MS + 1000)
    assert (second.follows, second.changed) == (first.id, len(found))
    text = " ".join(block.text for block in desk.store.report(second).blocks)
    assert f"So với báo cáo {first.id}" in text
    assert "2 bản ghi của kỳ này được nhận sau đó" in text
    changed = next(table for table in tables(desk.store.report(second)) if table.key == "changes")
    row = next(one for one in changed.rows if one.key == "units/05755/ours")
    assert [cell if isinstance(cell, str) else cell.shown("vi") for cell in row.cells[2:]] == ["6", "8", "+2"]
    kept = desk.store.report(first)
    assert not any(table.key == "changes" for table in tables(kept)), "the first one stays as it was"


def test_what_a_running_month_gained_is_growth_and_what_came_late_into_it_is_a_change(here: World, desk: Desk) -> None:
    here.tests(6)
    at_ms = here.now_ms + 60_000
    first = desk.make("to_date", "05755", WHOLE, at_ms)
    here.tests(3)
    assert desk.changed(first, here.now_ms + 60_000) == []
    assert desk.make("to_date", "05755", WHOLE, here.now_ms + 60_000).changed == 0
    late = here.probe.test(t_ms=at_ms - SLOT_MS // 2, slot_ms=at_ms - SLOT_MS // 2)
    here.take(late)
    assert {one.column for one in desk.changed(first, here.now_ms + 60_000)} >= {"ours", "counted", "tests"}


def test_a_figure_of_the_portal_entered_afterwards_is_a_change_of_a_month_that_was_over(
    here: World, desk: Desk
) -> None:
    here.tests(6)
    first = month(desk)
    row = {"counter": "portal", "unit": "05755", "starts_ms": WHOLE.start_ms, "ends_ms": WHOLE.end_ms, "value": 310}
    here.registry.load({"counts": [{**row, "valid_from_ms": LATER_MS + 5}]}, LATER_MS + 5)
    found = {(one.row, one.column): one for one in desk.changed(first, LATER_MS + 10)}
    assert found["05755", "portal"].after == Figure(310, source="portal")
    assert found["05755", "missing"].after == Figure(0)


def test_every_form_says_the_same_numbers(here: World, desk: Desk) -> None:
    here.tests(6)
    one = month(desk)
    report = desk.store.report(one)
    forms = {name: desk.store.drawn(one.id, name) or b"" for name in FORMATS}
    wanted = {
        (table.key, row.key, column.key): cell
        for table in tables(report) for row in table.rows
        for column, cell in zip(table.columns, row.cells, strict=True) if isinstance(cell, Figure)
    }  # fmt: skip
    read = csv.DictReader(io.StringIO(forms["csv"].decode("utf-8-sig")))
    lines = {(row["table"], row["row"], row["column"]): row for row in read}
    for key, figure in wanted.items():
        assert lines[key]["text"] == figure.shown("vi")
        assert (float(lines[key]["value"]) if lines[key]["value"] else None) == figure.number
    book = load_workbook(io.BytesIO(forms["xlsx"]))
    for table in tables(report):
        for number, row in enumerate(table.rows, 2):
            for at, cell in enumerate(row.cells, 1):
                held = book[table.key].cell(number, at).value
                shown = cell if isinstance(cell, str) else cell.shown("vi") if cell.number is None else cell.number
                assert ("" if held is None else held) == shown
    document = Document(io.BytesIO(forms["docx"]))
    printed = [[[cell.text for cell in row.cells] for row in table.rows] for table in document.tables]
    page = laid_out(report)
    blocks = (*page.body, *(block for group in page.annexes for block in group))
    for block in (block for block in blocks if block.table):
        assert block.table is not None
        assert [[cell.text for cell in row] for row in block.table.rows] in [table[1:] for table in printed]
    assert forms["tsv"].decode().splitlines()[1].split("\t")[6] == "6"
    assert "6 mẫu trạm đo được tính" in forms["txt"].decode()


def test_the_word_file_has_the_form(here: World, desk: Desk) -> None:
    here.tests(1)
    one = month(desk)
    document = Document(io.BytesIO(desk.store.drawn(one.id, "docx") or b""))
    first, *rest = document.sections
    assert [round(length.mm) for length in (first.page_width, first.left_margin, first.right_margin)] == [210, 30, 15]  # type: ignore[union-attr]
    assert first.different_first_page_header_footer
    assert not any(one.different_first_page_header_footer for one in rest)
    assert rest[-1].page_width > rest[-1].page_height  # type: ignore[operator]
    assert "PAGE" in first.header._element.xml
    assert document.styles["Normal"].font.name == "Times New Roman"
    heads = [table for table in document.tables if "w:tblHeader" in table._tbl.xml]
    assert len(heads) == 3, "each table of figures repeats its head"
    words = "\n".join(cell.text for table in document.tables[:2] for row in table.rows for cell in row.cells)
    assert "CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM" in words


def test_what_officials_wrote_stands_in_the_report_and_the_newest_holds(here: World, desk: Desk) -> None:
    here.tests(1)
    desk.store.enter("05755", WHOLE, "outreach", "phát thanh 2 buổi", "lan", LATER_MS - 100)
    desk.store.enter("05755", WHOLE, "outreach", "=phát thanh 3 buổi\n\ntờ rơi", "lan", LATER_MS - 50)
    desk.store.enter("05755", WHOLE, "outreach", "sau đó", "lan", LATER_MS + 50)
    report = desk.store.report(month(desk))
    text = " ".join(block.text for block in report.blocks)
    assert "=phát thanh 3 buổi tờ rơi (lan, 01/10/2026)" in text
    assert "2 buổi" not in text
    assert "sau đó" not in text.split("KHÓ KHĂN")[0]
    pasted = (desk.store.drawn(report.id, "tsv") or b"").decode().splitlines()[1]
    assert "'=phát thanh" in pasted, "a spreadsheet does not take it for a formula"
    book = load_workbook(io.BytesIO(desk.store.drawn(report.id, "xlsx") or b""))
    formulas = [cell for row in book["sheet"].iter_rows() for cell in row if cell.data_type == "f"]
    assert formulas == []
    with pytest.raises(Refused):
        desk.store.enter("05755", WHOLE, "gossip", "x", "lan", 1)


def test_an_offices_letterhead_is_its_own(here: World, desk: Desk) -> None:
    here.tests(1)
    head = default_head("commune", "Xã Phú Xuyên", "Thái Nguyên", ())
    desk.store.set_office("05755", Office(head), "operator", 1)
    assert desk.store.report(month(desk)).head.issuer == ("ỦY BAN NHÂN DÂN", "XÃ PHÚ XUYÊN")
    assert head.addressed == ("Sở Khoa học và Công nghệ tỉnh Thái Nguyên",)


def test_a_snapshot_cannot_be_changed_and_a_damaged_file_is_noticed(here: World, desk: Desk) -> None:
    here.tests(1)
    one = month(desk)
    with sqlite3.connect(here.settings.state / "reports.db") as db:
        for sql in ("UPDATE snapshot SET unit = 'x'", "DELETE FROM drawing", "DELETE FROM snapshot"):
            with pytest.raises(sqlite3.IntegrityError):
                db.execute(sql)
    db.close()
    drawing = next(d for d in desk.store.drawings(one.id) if d.format == "pdf")
    (desk.store.folder / drawing.sha256).write_bytes(b"another")
    with pytest.raises(Unavailable, match="altered"):
        desk.store.drawn(one.id, "pdf")
    assert "reports.db" in FILES
    assert "reports" in FOLDERS


def test_office_files_hold_no_hour_but_the_reports(here: World, desk: Desk) -> None:
    here.tests(1)
    one = month(desk)
    for name in ("docx", "xlsx"):
        with zipfile.ZipFile(io.BytesIO(desk.store.drawn(one.id, name) or b"")) as archive:
            assert {entry.date_time for entry in archive.infolist()} == {(2026, 9, 30, 18, 0, 0)}


def test_the_command_line_makes_lists_shows_and_compares(here: World, tmp_path: Path) -> None:
    here.tests(2)
    config = str(tmp_path / "collector.toml")
    run = CliRunner().invoke

    def ask(*words: str) -> str:
        return run(main, ["report", words[0], "--config", config, *words[1:]], catch_exceptions=False).output

    made = ask(
        "make", "--kind", "month", "--unit", "05755", "--period", "2026-09", "--out", str(tmp_path), "--format", "tsv"
    )
    report_id = made.split()[0]
    assert (tmp_path / f"month-05755-{report_id}.tsv").exists()
    assert report_id in ask("list")
    assert "Xóm Đồng Chuối" in ask("show", report_id)
    assert "byte for byte" in ask("again", report_id, "--format", "docx")
    assert "figures that changed: 0" in ask("diff", report_id)
    here.take(here.probe.test())
    assert "units 05755 Mẫu trạm đo: 2 -> 3" in ask("diff", report_id)
    assert "there is no report" in run(main, ["report", "show", "--config", config, "x"]).output


def test_a_report_names_the_log_that_it_was_made_under(here: World) -> None:
    here.tests(1)
    seals = SealStore(here.settings.seal)
    shard = seals.open_shard("dosong.example/log/2026", 2026, 1, b"", {})
    seals.keep(shard.n, Signed(1234, b"\x0a" * 32, T0_MS, b"note"))
    seals.close()
    desk = open_desk(here.settings, here.reader, here.registry)
    kept = month(desk)
    assert (kept.log_name, kept.log_size, kept.log_root) == (shard.name, 1234, "0a" * 32)
    said = " ".join(laid_out(desk.store.report(kept)).sources)
    assert f"{shard.name}: 1.234 mục, gốc {'0a' * 32}" in said
    assert f"https://dosong.example/proofs/{kept.id}" in said
    desk.store.close()
