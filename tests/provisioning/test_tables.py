"""Tables into the registry and out again: mistakes in one pass, all or nothing, twice changes nothing, text is text."""

from __future__ import annotations

import csv
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from openpyxl import Workbook, load_workbook

from collector.registry import Registry
from provisioning import csvfile, registry_tables, workbook
from provisioning.__main__ import cli
from provisioning.core.sheets import BY_LIST, SHEETS
from provisioning.core.tables import Table
from provisioning.registry_tables import Outcome
from tests.collector.kit import FakeProbe, document
from wire.errors import Refused

NOW = 1_795_000_000_000
SECRET = b"s" * 32
HOSTILE = (
    "=cmd|' /C calc'!A0",
    "+1",
    "-1+1",
    "@SUM(A1)",
    "<script>alert(1)</script>",
    "'; DROP TABLE hamlet;--",
    "'=x",
)


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    made = Registry(tmp_path / "registry.db")
    made.load(document(FakeProbe("p-one")), now_ms=NOW - 1)
    yield made
    made.close()


def enter(registry: Registry, tables: list[Table], *, is_dry: bool = False, mark: Any = "comma") -> Outcome:
    iccid = registry_tables.iccid_reader(registry, SECRET)
    return registry_tables.enter(registry, tables, mark, iccid, NOW, is_dry=is_dry)


def table(listed: str, *rows: tuple[Any, ...]) -> Table:
    head = [column.vi for column in BY_LIST[listed].columns]
    return Table(listed, head, [(number, row) for number, row in enumerate(rows, 2)])


FULL = (
    ("hamlets", ("h-1", "bản", "Một", "05755", "21,5", 106.25, "01/07/2025", "NQ 1")),
    ("hamlets", ("h-1", "thôn", "Một", "05755", "21,5", 106.25, "01/07/2026", "NQ 2")),
    ("hamlet_ends", ("h-1", "nhập", "h-dong-chuoi", "01/10/2026", "NQ 3")),
    ("sites", ("nvh-1", "Nhà văn hóa", "h-1", "21,51", "106,26", "từ đầu", None)),
    ("surveys", ("nvh-1", "21,512", "106,262", "máy định vị", 4, "02/10/2026", None)),
    ("assignments", ("p-two", "nvh-1", "01/08/2026", "biên bản 7")),
    ("referrals", ("0123", "05755", "01/01/2026", None)),
    ("sims", ("sim-1", "8984048000012345678", "45204", "Viettel")),
    ("sim_plans", ("sim-1", "ST120", "30", 15, "120.000", "01/01/2026", None)),
    ("sim_modems", ("sim-1", "p-two", "m1", "01/08/2026", None)),
    ("operators", ("45202", "VinaPhone", "VNPT")),
    ("tariffs", ("v-30", "45204", "ST120", 30, 30, "120.000", "01/01/2026", "31/12/2026", "trang của nhà mạng")),
    ("quotas", ("05755", 300, "từ 300 mẫu trở lên")),
    ("campaigns", ("cv-5691", "Mẫu đo hằng tháng", "5691/BTTTT-CVT", "mẫu i-Speed", "01/01/2025", None)),
    (
        "campaign_quotas",
        ("cv-5691", "xa", "xã", None, "mẫu", ">=", 300, "tháng", "01/01/2025", None, "5691/BTTTT-CVT"),
    ),
    (
        "campaign_reports",
        ("cv-5691", "so", "tỉnh", "tháng", "trước", 15, "00:00", "Cục Viễn thông", "01/01/2025", None, None),
    ),
    ("limits", ("d4g", "Tốc độ tải xuống", "mục tiêu", ">=", "40", "Mbit/s", None, "11/01/2024", None, "36/QĐ-TTg")),
)


def full() -> list[Table]:
    lists: dict[str, list[tuple[Any, ...]]] = {}
    for listed, row in FULL:
        lists.setdefault(listed, []).append(row)
    return [table(listed, *rows) for listed, rows in lists.items()]


def test_every_sheet_goes_in_comes_out_and_changes_nothing_again(registry: Registry, tmp_path: Path) -> None:
    outcome = enter(registry, full())
    assert outcome.problems == ()
    assert sum(outcome.report.added.values()) == len(FULL) - 2  # a second version, and a quota that was there already
    sim = registry.dated.dump("sims")[0]
    assert sim["iccid_last4"] == "5678"
    assert "8984048" not in json.dumps(sim)
    changes = registry.dated.last_change()
    for path in (tmp_path / "out.xlsx", tmp_path / "csv"):
        registry_tables.leave(registry, path, "comma")
        tables, mark = registry_tables.read_tables(path, None)
        again = enter(registry, tables, mark=mark or "comma")
        assert again.problems == ()
        assert (again.report.added, again.report.changed) == ({}, {})
    assert registry.dated.last_change() == changes
    other = Registry(tmp_path / "other.db")
    other.load(document(FakeProbe("p-one")), now_ms=NOW - 1)
    tables, _ = registry_tables.read_tables(tmp_path / "out.xlsx", None)
    without = [one for one in tables if one.title != "SIM"]
    assert {p.word for p in enter(other, tables).problems} == {"masked"}
    assert {p.word for p in enter(other, without).problems} == {"unknown"}  # SIMs of other sheets
    other.close()


def test_all_mistakes_of_all_sheets_at_once_and_nothing_is_written(registry: Registry) -> None:
    outcome = enter(
        registry,
        [
            table(
                "hamlets",
                ("h-1", "bản", "Một", 5755, None, None, None, None),
                ("h-2", "bản", None, "05755", None, None, None, None),
                ("h-3", "bản", "Ba", "99999", None, None, None, None),
                ("h-4", "bản", "Bốn", "05755", None, None, "01/01/2031", None),
                ("h-5", "bản", "Năm", "05755", None, None, None, None),
                ("h-5", "bản", "Sáu", "05755", None, None, None, None),
            ),
            table("sites", ("s-9", "A", "h-1"), ("s-8", "A", "h-4"), ("s-7", "A", "no"), ("s-6", "A", "h-5")),
            table("sims", ("sim-1", "8984048000012345678", "45204"), ("sim-2", "8984048000012345678", "45204")),
            Table("Lạ", ["x"], []),
            Table("operators", ["Mã mạng", "Màu"], [(2, ("45204", "đỏ"))]),
        ],
    )
    found = [(p.sheet, p.row, p.column, p.word) for p in outcome.problems]
    assert found == [
        ("Lạ", 1, "–", "sheet"),
        ("Thôn xóm", 2, "Mã xã", "lost_zero"),
        ("Thôn xóm", 3, "Tên", "required"),
        ("Thôn xóm", 4, "Mã xã", "unknown"),
        ("Thôn xóm", 5, "Từ ngày", "future"),
        ("Thôn xóm", 7, "Mã thôn", "twice"),
        ("Nhà văn hóa", 4, "Mã thôn", "unknown"),
        ("SIM", 3, "ICCID", "taken"),
        ("Nhà mạng", 1, "Màu", "column"),
        ("Nhà mạng", 1, "Tên", "no_column"),
    ]
    assert not outcome.was_written
    assert registry.hamlet("h-5") is None
    assert all("8984048" not in p.said("vi") for p in outcome.problems)


def test_an_old_commune_code_is_told_what_it_became(registry: Registry) -> None:
    registry.load({"old_units": [{"code": "05749", "name": "Xã Bình Long"}],
                   "old_successors": [{"old": "05749", "new": "05755"}]}, NOW)  # fmt: skip
    outcome = enter(registry, [table("referrals", ("TN9", "05749", None, None))])
    assert "05749 → 05755" in outcome.problems[0].said("vi")


def test_a_dry_run_says_what_would_change_and_changes_nothing(registry: Registry) -> None:
    outcome = enter(registry, full(), is_dry=True)
    assert outcome.report.added["sites"] == 1
    assert registry.site("nvh-1") is None


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_hostile_names_stay_text_everywhere(registry: Registry, tmp_path: Path, form: str) -> None:
    rows = [(f"h-{n}", "xóm", name, "05755", None, None, None, None) for n, name in enumerate(HOSTILE)]
    assert enter(registry, [table("hamlets", *rows)]).problems == ()
    path = tmp_path / ("out.xlsx" if form == "xlsx" else "out")
    registry_tables.leave(registry, path, "comma")
    if form == "csv":
        with (path / "hamlets.csv").open(encoding="utf-8-sig", newline="") as file:
            cells = [cell for line in csv.reader(file, delimiter=";") for cell in line]
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in cells)
    else:
        sheet = load_workbook(path)["Thôn xóm"]
        named = {cell.value: cell.data_type for row in sheet.iter_rows(min_row=2) for cell in row if cell.value}
        assert all(named[name] == "s" for name in HOSTILE)
        with zipfile.ZipFile(path) as archive:
            assert not any(b"<f>" in archive.read(name) for name in archive.namelist() if "sheet" in name)
    tables, _ = registry_tables.read_tables(path, None)
    again = enter(registry, tables)
    assert (again.problems, again.report.added, again.report.changed) == ((), {}, {})
    assert {registry.hamlet(f"h-{n}").name for n in range(len(HOSTILE))} == set(HOSTILE)  # type: ignore[union-attr]


def test_formulas_and_rounded_numbers_of_a_workbook_are_found(registry: Registry, tmp_path: Path) -> None:
    book = Workbook()
    sheet = book.active
    sheet.title = "Hamlets"
    sheet.append(["Hamlet code", "Kind", "Name", "Commune code"])
    sheet.append(["h-1", "xóm", '=HYPERLINK("http://x")', 5755])
    sheet.append([101, "xóm", "Hai", "05755"])
    book.save(tmp_path / "x.xlsx")
    tables, mark = registry_tables.read_tables(tmp_path / "x.xlsx", None)
    assert mark is None
    assert [p.word for p in enter(registry, tables, mark=None).problems] == ["formula", "lost_zero", "number_code"]


def test_a_file_that_is_none_or_an_attack_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = tmp_path / "bad.xlsx"
    bad.write_bytes(b"nothing")
    with pytest.raises(Refused, match="no XLSX workbook"):
        workbook.read(bad)
    with zipfile.ZipFile(bad, "w") as archive:
        archive.writestr("xl/workbook.xml", '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>')
    with pytest.raises(Refused, match="XML declarations"):
        workbook.read(bad)
    monkeypatch.setattr(workbook, "MOST_INSIDE", 10)
    with pytest.raises(Refused, match="unpacks"):
        workbook.read(bad)
    latin = tmp_path / "hamlets.csv"
    latin.write_bytes("Mã thôn;Tên\nh;Đ".encode("utf-16"))
    with pytest.raises(Refused, match="CSV UTF-8"):
        csvfile.read(latin)
    for name in ("x.doc", "empty"):
        (tmp_path / name).mkdir() if name == "empty" else (tmp_path / name).write_text("x")
        with pytest.raises(Refused):
            registry_tables.read_tables(tmp_path / name, None)


def test_csv_with_commas_or_semicolons_and_quotes(tmp_path: Path) -> None:
    for mark, text in ((",", 'Mã thôn,Tên\nh-1,"Một, hai"\n'), (";", 'Mã thôn;Tên\nh-1;"Một, hai"\n')):
        path = tmp_path / "hamlets.csv"
        path.write_text(text, encoding="utf-8")
        assert csvfile.read(path).rows == [(2, ["h-1", "Một, hai"])], mark


def test_the_template_holds_every_sheet_with_notes_and_drop_downs(tmp_path: Path) -> None:
    workbook.write(tmp_path / "t.xlsx", {}, "comma")
    book = load_workbook(tmp_path / "t.xlsx")
    assert book.sheetnames == ["Hướng dẫn", "Khai báo", *(sheet.vi for sheet in SHEETS)]
    ends = book["Sáp nhập"]
    assert ends["B1"].value == "Cách*"
    assert "How" in ends["B1"].comment.text
    assert ends.data_validations.dataValidation[0].formula1 == '"nhập,tách,kết thúc,lập lại"'
    assert book["Thôn xóm"].column_dimensions["A"].number_format == "@"
    tables, mark = workbook.read(tmp_path / "t.xlsx")
    assert mark == "comma"
    assert len(tables) == len(SHEETS)


def test_the_commands(tmp_path: Path) -> None:
    run = CliRunner().invoke
    made = run(cli, ["init", "--dir", str(tmp_path / "d"), "--origin", "dosong.example", "--host", "localhost"])
    assert made.exit_code == 0
    registry = Registry(tmp_path / "d" / "collector" / "state" / "registry.db")
    registry.load(document(FakeProbe("p-one")), now_ms=NOW - 1)
    registry.close()
    file = tmp_path / "hamlets.csv"
    file.write_text("Mã thôn;Loại;Tên;Mã xã\nh-1;bản;Một;05755\n", encoding="utf-8")
    there = ["--dir", str(tmp_path / "d")]
    dry = run(cli, ["import", *there, str(file), "--dry-run"])
    assert "hamlets: added 1" in dry.output
    assert "dry run" in dry.output
    assert "hamlets: added 1" in run(cli, ["import", *there, str(file)]).output
    assert "hamlets: unchanged 1" in run(cli, ["import", *there, str(file)]).output
    file.write_text("Mã thôn;Loại;Tên;Mã xã\nh-2;bản;Một;5755\n", encoding="utf-8")
    bad = run(cli, ["import", *there, str(file), "--json"])
    assert bad.exit_code == 1
    told = json.loads(bad.output)
    assert (told["written"], told["problems"][0]["row"], told["problems"][0]["column"]) == (False, 2, "Mã xã")
    out = tmp_path / "out.xlsx"
    assert run(cli, ["export", *there, str(out)]).exit_code == 0
    assert "changed 0" in run(cli, ["import", *there, str(out)]).output
    assert (tmp_path / "d" / "collector" / "iccid.secret").stat().st_mode & 0o077 == 0
