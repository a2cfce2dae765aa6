"""People's counts: a hamlet head's sheet, an official who enters for one who telephones, tables; and what follows."""

from __future__ import annotations

import io
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from openpyxl import Workbook, load_workbook
from werkzeug.test import TestResponse

from collector import count_table
from collector.campaigns import Campaigns
from collector.core.period import date_of, start_of, window
from collector.passes import MOST_WRONG
from collector.people import Entry, People
from tests.collector.kit import T0_MS
from tests.collector.test_accounts import post
from tests.collector.test_web_world import BASE, HAMLET, World, enrol_totp, get, token, world

TODAY = date_of(T0_MS)  # 21 September 2026
PEAK = window(date(2026, 9, 20), date(2026, 9, 24))
CAMPAIGN = {
    "campaigns": [{"code": "cd", "name": "Đợt cao điểm", "document": "292/UBND-VH", "counter": "people",
                   "starts_ms": PEAK.start_ms, "ends_ms": PEAK.end_ms}],
    "campaign_quotas": [
        {"campaign": "cd", "line": "xa", "level": "commune", "what": "people", "minimum": 300, "period": "campaign"},
        {"campaign": "cd", "line": "xom", "level": "hamlet", "what": "people", "minimum": 30, "period": "campaign"},
        {"campaign": "cd", "line": "mau", "level": "hamlet", "what": "samples", "minimum": 50, "period": "campaign"},
        {"campaign": "cd", "line": "ngay", "level": "hamlet", "what": "people", "minimum": 5, "period": "day"},
    ],
}  # fmt: skip


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        made.now_ms = T0_MS
        made.registry.load(CAMPAIGN, T0_MS)
        rows = [{"code": f"h-{n}", "name": n, "kind": "xóm", "commune": "05755"} for n in ("hai", "ba")]
        made.registry.load({"hamlets": rows}, T0_MS)
        yield made


def sheet(here: World, unit: str = HAMLET) -> tuple[str, str]:
    """Print a sheet: its path and its PIN."""
    page = post(here.client("official"), "/heads", "/heads", unit=unit).text
    link = re.search(r"https://dosong\.example(/bao-cao/[A-Za-z0-9_-]+)", page)
    pin = re.search(r"<b>([0-9]{3}) ([0-9]{3})</b>", page)
    assert link is not None
    assert pin is not None
    assert "data:image/svg+xml" in page
    return link[1], pin[1] + pin[2]


def send(client: FlaskClient, path: str, pin: str, people: str = "", samples: str = "", back: int = 0) -> TestResponse:
    day = (TODAY - timedelta(days=back)).isoformat()
    return post(client, path, path, pin=pin, day=day, people=people, samples=samples)


def standing(here: World, line: str, unit: str) -> int | None:
    views = Campaigns(here.reader, here.registry).at(here.now_ms)
    lines = [one for view in views for one in view.lines if one.line.code == line]
    found = next(one.standing.counted for one in lines[0].units if one.code == unit)
    return None if found is None else found.value


def test_a_head_enters_without_a_login_sees_what_is_stored_and_corrects_it(here: World) -> None:
    path, pin = sheet(here)
    client = here.app.test_client()
    assert "<script" not in get(client, path).text
    first = send(client, path, pin, "4", "12")
    assert first.status_code == 200
    assert "<b>4</b>" in first.text
    here.now_ms += 60_000
    second = send(client, path, pin, "5")
    assert "trước đó 4" in second.text
    assert "<b>12</b>" in second.text, "what was not said again stays"
    rows = here.registry._rows("SELECT counter, unit, value, source FROM entered_count WHERE source NOT LIKE 'sum%'")
    assert [row[:3] for row in rows] == [("people", HAMLET, 4), ("people_samples", HAMLET, 12), ("people", HAMLET, 5)]
    assert all(row[3].startswith("hamlet head: sheet ") for row in rows)
    send(client, path, pin, "5")
    assert len(here.registry._rows("SELECT 1 FROM entered_count WHERE source NOT LIKE 'sum%'")) == 3, "the same again"
    who = [(one.actor.split()[0], one.what, one.target) for one in here.entrance.trail.read(1)]
    assert who == [("head", "count.entered", HAMLET)]


def test_the_days_feed_the_campaign_s_lines_of_hamlet_and_commune(here: World) -> None:
    client = here.app.test_client()
    for unit, people in ((HAMLET, "4"), ("h-hai", "6")):
        path, pin = sheet(here, unit)
        assert send(client, path, pin, people, "10").status_code == 200
        assert send(client, path, pin, people, "1", back=1).status_code == 200
    assert standing(here, "xom", HAMLET) == 8
    assert standing(here, "mau", HAMLET) == 11
    assert standing(here, "ngay", HAMLET) == 4
    assert standing(here, "xa", "05755") == 20
    assert standing(here, "xom", "h-ba") is None, "nobody said anything: unknown, never 0"
    here.now_ms += 1000
    path, pin = sheet(here)
    send(client, path, pin, "1")
    assert (standing(here, "xom", HAMLET), standing(here, "xa", "05755")) == (5, 17), "a correction corrects the sums"


def test_a_figure_that_a_person_typed_for_the_whole_stands(here: World) -> None:
    typed = {"counter": "people", "unit": "05755", "starts_ms": PEAK.start_ms, "ends_ms": PEAK.end_ms, "value": 120,
             "valid_from_ms": T0_MS, "source": "web: official"}  # fmt: skip
    here.registry.load({"counts": [typed]}, T0_MS)
    here.now_ms += 1000
    People(here.registry).enter([Entry(HAMLET, TODAY, 3, None)], "telephone: official", here.now_ms)
    assert (standing(here, "xa", "05755"), standing(here, "xom", HAMLET)) == (120, 3)


def test_a_commune_s_own_figure_of_a_day_stands_for_that_day(here: World) -> None:
    people = People(here.registry)
    people.enter([Entry(HAMLET, TODAY, 3, None), Entry("h-hai", TODAY - timedelta(days=1), 2, None)], "x", here.now_ms)
    people.enter([Entry("05755", TODAY, 50, None)], "x", here.now_ms + 1)
    here.now_ms += 2
    assert standing(here, "xa", "05755") == 52
    assert standing(here, "xom", HAMLET) == 3


def test_nothing_is_taken_but_totals_of_the_last_week(here: World) -> None:
    path, pin = sheet(here)
    client = here.app.test_client()
    bad = [{"people": "-1"}, {"people": "1,5"}, {"people": "10000"}, {"people": "Nguyễn Văn A"}, {"people": "٣"}, {}]
    for form in bad:
        assert send(client, path, pin, **form).status_code == 422, form
    for back in (-1, 7, 300):
        assert send(client, path, pin, "1", back=back).status_code == 422
    assert here.registry._rows("SELECT 1 FROM entered_count") == []


def test_a_sheet_that_was_ended_is_gone_and_a_new_one_ends_the_old(here: World) -> None:
    old, old_pin = sheet(here)
    new, new_pin = sheet(here)
    client = here.app.test_client()
    assert get(client, old).status_code == 404
    assert send(client, new, old_pin, "1").status_code == 401
    csrf = token(client, new)
    assert post(here.client("official"), f"/heads/{HAMLET}/revoke", "/heads").status_code == 303
    form = {"csrf_token": csrf, "pin": new_pin, "day": TODAY.isoformat(), "people": "1"}
    after = client.post(new, data=form, base_url=BASE, headers={"Referer": f"{BASE}{new}"})
    assert after.status_code == 404
    assert here.registry._rows("SELECT 1 FROM entered_count") == []
    assert post(here.client("official"), f"/heads/{HAMLET}/revoke", "/heads").status_code == 303


def test_a_pin_is_not_guessed(here: World) -> None:
    path, pin = sheet(here)
    client = here.app.test_client()
    wrong = "000000" if pin != "000000" else "000001"
    assert [send(client, path, wrong, "1").status_code for _ in range(7)] == [401] * 5 + [429] * 2
    assert send(client, path, pin, "1").status_code == 429, "from this address"
    other = here.app.test_client()
    other.environ_base["REMOTE_ADDR"] = "198.18.0.9"
    assert send(other, path, pin, "1").status_code == 200, "the head, from elsewhere"
    link = here.entrance.passes.heads()[HAMLET]
    assert link.wrong == 0
    for _ in range(MOST_WRONG):
        here.entrance.passes.note_pin(link.id, here.now_ms, is_right=False)
    assert get(other, path).status_code == 404, "too many, from wherever: the sheet is dead"
    with closing(sqlite3.connect(here.settings.registry)) as db:
        dump = "\n".join(db.iterdump())
    assert path.rpartition("/")[2] not in dump
    assert pin not in re.findall(r"[0-9]{6}", dump.partition('INSERT INTO "head_link"')[2][:400])
    assert "$argon2id$" in here.entrance.passes.heads()[HAMLET].pin


def test_sheets_of_a_commune_are_printed_once_and_only_within_the_scope(here: World) -> None:
    page = post(here.client("operator"), "/heads", "/heads", unit="05755").text
    assert len(re.findall(r'<article class="sheet">', page)) == 3
    assert len(set(re.findall(r"<b>([0-9]{3} [0-9]{3})</b>", page))) == 3
    again = post(here.client("operator"), "/heads", "/heads", unit="05755").text
    assert '<article class="sheet">' not in again
    mine = here.registry.user("official")
    assert mine is not None
    row = {"name": "khac", "argon2": mine.argon2, "role": "official", "scope": "h-hai"}
    here.registry.load({"users": [row]})
    enrol_totp(here.entrance, "khac")
    other = here.client("khac")
    for unit in (HAMLET, "05755", "nowhere"):
        assert post(other, "/heads", "/heads", unit=unit).status_code == 404
        assert post(other, "/counts", "/counts", unit=unit, people="1").status_code == 404
    assert post(other, f"/heads/{HAMLET}/revoke", "/heads").status_code == 404
    assert post(other, "/counts", "/counts", unit="h-hai", people="1").status_code == 303


def test_an_official_enters_for_one_who_telephones_and_the_page_says_who_is_silent(here: World) -> None:
    client = here.client("official")
    page = get(client, "/counts").text
    assert "0 trên 3" in page
    done = post(client, "/counts", "/counts", unit=HAMLET, people="7", samples="21", how="telephone")
    assert done.status_code == 303
    page = get(client, "/counts").text
    assert "1 trên 3" in page
    assert "gọi điện, người nhập: official" in page
    assert "Chưa báo: 2" in page
    assert post(client, "/counts", "/counts", unit=HAMLET, people="x").status_code == 422
    tomorrow = (TODAY + timedelta(days=1)).isoformat()
    assert post(client, "/counts", "/counts", unit=HAMLET, people="1", day=tomorrow).status_code == 422
    assert get(client, "/counts?day=nonsense").status_code == 404
    assert get(here.client("auditor"), "/counts").status_code == 200


def upload(client: FlaskClient, raw: bytes, name: str, dry: bool = False) -> TestResponse:
    form = {"csrf_token": token(client, "/counts"), "file": (io.BytesIO(raw), name), **({"dry": "1"} if dry else {})}
    return client.post("/counts/table", data=form, base_url=BASE, headers={"Referer": f"{BASE}/counts"})


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_a_table_is_checked_dry_and_entered_whole_or_not_at_all(here: World, form: str) -> None:
    client = here.client("official")
    empty = get(client, f"/counts/template.{form}").data
    assert upload(client, empty, f"t.{form}").status_code == 303, "nothing filled in is nothing entered"
    good, bad = filled(empty, form, "5"), filled(empty, form, "năm")
    assert upload(client, bad, f"t.{form}").status_code == 422
    checked = upload(client, good, f"t.{form}", dry=True)
    assert checked.status_code == 200
    assert here.registry._rows("SELECT 1 FROM entered_count") == []
    assert upload(client, good, f"t.{form}").status_code == 303
    assert People(here.registry).held("people", HAMLET, TODAY).value == 5  # type: ignore[union-attr]
    before = here.registry._rows("SELECT count(*) FROM entered_count")
    here.now_ms += 1000
    assert upload(client, good, f"t.{form}").status_code == 303
    assert here.registry._rows("SELECT count(*) FROM entered_count") == before, "twice changes nothing"


def filled(raw: bytes, form: str, value: str) -> bytes:
    if form == "csv":
        return raw.decode("utf-8-sig").replace(f"{TODAY:%d/%m/%Y};;", f"{TODAY:%d/%m/%Y};{value};3").encode()
    book = load_workbook(io.BytesIO(raw))
    for row in range(2, book.active.max_row + 1):  # type: ignore[union-attr]
        book.active.cell(row, 4, int(value) if value.isdigit() else value)  # type: ignore[union-attr]
    made = io.BytesIO()
    book.save(made)
    return made.getvalue()


def test_every_mistake_of_a_table_is_found_in_one_pass(here: World) -> None:
    head = ";".join(count_table.HEAD)
    day = f"{TODAY:%d/%m/%Y}"
    lines = [head, f"{HAMLET};;{day};1,5;", f"{HAMLET};;31/02/2026;1;", f";;{day};1;", f"h-hai;;{day};1;2",
             f"h-hai;;{day};1;2", f"h-ba;;{TODAY + timedelta(days=1):%d/%m/%Y};1;", f"nowhere;;{day};1;",
             "h-ba;;;;"]  # fmt: skip
    found = count_table.read("\n".join(lines).encode(), TODAY)
    assert [(one.row, one.word) for one in found.problems] == [
        (2, "number"), (3, "day"), (4, "code"), (6, "twice"), (7, "future"),
    ]  # fmt: skip
    client = here.client("official")
    answer = upload(client, f"{head}\nnowhere;;{day};1;\n{HAMLET};;{day};1;".encode(), "t.csv")
    assert answer.status_code == 422
    assert "nowhere" in answer.text
    assert here.registry._rows("SELECT 1 FROM entered_count") == []
    for raw in (b"", b"PK\x03\x04 no workbook", b"\xff\xfe", b"a;b\n1;2"):
        assert upload(client, raw, "t.csv").status_code == 422


def test_a_formula_is_nobodys_word() -> None:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(count_table.HEAD)
    sheet.append((HAMLET, "", f"{TODAY:%d/%m/%Y}", "=1+1", 2))
    made = io.BytesIO()
    book.save(made)
    assert [one.word for one in count_table.read(made.getvalue(), TODAY).problems] == ["formula"]
    hostile = [("h-x", '=HYPERLINK("http://evil")', TODAY)]
    assert b"'=HYPERLINK" in count_table.empty_csv(hostile)
    again = load_workbook(io.BytesIO(count_table.empty_xlsx(hostile)))
    assert again.active is not None
    assert again.active["B2"].data_type == "s"


def test_a_day_and_a_campaign_that_begin_together_are_two_figures(here: World) -> None:
    people = People(here.registry)
    first = date_of(PEAK.start_ms)
    people.enter([Entry(HAMLET, first, 9, None)], "x", here.now_ms)
    assert people.held("people", HAMLET, first).value == 9  # type: ignore[union-attr]
    assert standing(here, "xom", HAMLET) == 9
    assert start_of(first) == PEAK.start_ms
