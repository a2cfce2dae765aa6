"""The three documents as campaigns of a real registry, over samples of a real ledger, on the official's page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from html import unescape
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from collector.campaigns import Campaigns, CampaignView, LineView, soonest
from collector.core.clock import DAY_MS, month_of
from collector.core.period import start_of, window
from collector.core.quota import Count
from tests.collector.kit import T0_MS
from tests.collector.test_web_world import BASE, HAMLET, World, get, token, world

MONTH = month_of(T0_MS)  # September 2026
PEAK = window(date(2026, 9, 20), date(2026, 9, 24))
CAMPAIGNS = {
    "campaigns": [
        {"code": "kh-81", "name": "i-Speed hằng tháng", "document": "81/KH-UBND", "counter": "portal",
         "starts_ms": start_of(date(2026, 1, 1)), "ends_ms": start_of(date(2027, 1, 1))},
        {"code": "cd-292", "name": "Đợt cao điểm", "document": "292/UBND-VH", "counter": "people",
         "starts_ms": PEAK.start_ms, "ends_ms": PEAK.end_ms},
        {"code": "tram", "name": "Trạm đo", "document": "nội bộ", "counter": "ours",
         "starts_ms": start_of(date(2026, 1, 1))},
    ],
    "campaign_quotas": [
        {"campaign": "kh-81", "line": "xa", "level": "commune", "what": "samples", "minimum": 300, "period": "month"},
        {"campaign": "cd-292", "line": "xa", "level": "commune", "what": "people", "minimum": 300,
         "period": "campaign"},
        {"campaign": "cd-292", "line": "xom", "level": "hamlet", "what": "people", "minimum": 30, "period": "campaign"},
        {"campaign": "tram", "line": "xa", "level": "commune", "what": "samples", "minimum": 3, "relation": ">",
         "period": "month"},
    ],
    "campaign_reports": [
        {"campaign": "kh-81", "line": "so", "level": "province", "period": "month", "due_day": 15,
         "recipients": "Cục Viễn thông"},
        {"campaign": "cd-292", "line": "ngay", "level": "hamlet", "period": "day", "due_minute": 1020,
         "recipients": "UBND xã"},
    ],
    "holidays": [{"day": "2026-10-14", "name": "nghỉ thử"}],
}  # fmt: skip


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        made.registry.load(CAMPAIGNS, T0_MS)
        made.registry.load({"communes": [{"code": "05756", "name": "Xã Khác", "province": "19"}]}, T0_MS)
        made.now_ms = T0_MS
        yield made


def views(here: World, scope: str = "") -> dict[str, CampaignView]:
    return {one.row.code: one for one in Campaigns(here.reader, here.registry).at(here.now_ms, scope)}


def line(here: World, code: str, wanted: str = "xa", scope: str = "") -> LineView:
    return next(one for one in views(here, scope)[code].lines if one.line.code == wanted)


def enter(here: World, counter: str, unit: str, value: int, read_ms: int, span: tuple[int, int] = MONTH) -> None:
    row = {"counter": counter, "unit": unit, "value": value, "starts_ms": span[0], "ends_ms": span[1]}
    here.registry.load({"counts": [{**row, "valid_from_ms": read_ms}]}, max(read_ms, T0_MS))


def test_the_portal_decides_the_ministrys_quota_and_ours_stands_beside_it(here: World) -> None:
    here.tests(4)
    enter(here, "portal", "05755", 299, T0_MS - 1000)
    enter(here, "portal", "05755", 300, T0_MS)
    found = {one.code: one for one in line(here, "kh-81").units}
    known = found["05755"].standing
    assert (known.counted, known.reached) == (Count(300, T0_MS), True)
    assert dict(known.others)["ours"] == Count(4)
    assert (found["05756"].standing.reached, found["05756"].projection) == (None, None)
    share = line(here, "kh-81").share
    assert (share.reached, share.units, share.unknown) == (1, 2, 1)


def test_a_figure_of_another_period_is_no_figure_of_this_one(here: World) -> None:
    enter(here, "portal", "05755", 900, T0_MS, month_of(MONTH[0] - 1))
    assert {one.standing.counted for one in line(here, "kh-81").units} == {None}


def test_ours_decides_where_the_campaign_says_so_and_more_than_is_strict(here: World) -> None:
    here.tests(3)
    found = {one.code: one for one in line(here, "tram").units}
    assert (found["05755"].standing.missing, found["05755"].standing.reached) == (1, False)
    assert found["05755"].projection is not None
    assert found["05755"].projection.low >= 3
    assert found["05755"].hamlets is not None
    assert (found["05755"].hamlets.measured, found["05755"].hamlets.registered) == (1, 1)
    assert found["05756"].standing.counted == Count(0), "our own counter is known: nothing was counted"
    here.tests(1)
    assert {one.code: one.standing.reached for one in line(here, "tram").units}["05755"] is True


def test_people_are_counted_by_hamlet_and_commune_and_never_added_up(here: World) -> None:
    enter(here, "people", "h-dong-chuoi", 31, T0_MS, (PEAK.start_ms, PEAK.end_ms))
    (hamlet,) = line(here, "cd-292", "xom").units
    assert (hamlet.standing.reached, hamlet.name) == (True, "Xóm Đồng Chuối")
    assert line(here, "cd-292").units[0].standing.counted is None


def test_those_that_miss_most_come_first_and_the_unknown_before_them(here: World) -> None:
    enter(here, "portal", "05755", 10, T0_MS)
    assert [one.code for one in line(here, "kh-81").units] == ["05756", "05755"]


def test_a_scope_sees_its_own_units(here: World) -> None:
    assert [one.code for one in line(here, "kh-81", scope="05756").units] == ["05756"]
    assert len(line(here, "kh-81", scope="19").units) == 2
    assert line(here, "kh-81", scope="20").units == ()


def test_deadlines_are_the_papers_and_the_reminder_is_a_working_day(here: World) -> None:
    found = views(here)
    (ministry,) = found["kh-81"].due
    assert datetime.fromtimestamp(ministry.deadline.last_minute_ms / 1000, UTC) == datetime(
        2026, 10, 14, 16, 59, tzinfo=UTC
    )
    assert ministry.remind_on == date(2026, 10, 13), "the 14th is entered as a holiday"
    assert len(found["cd-292"].due) == 3, "21 September, 21:20: that evening's report is past; 22, 23, 24 are due"
    shown = [(view.row.code, one) for one, view in soonest(found.values())]
    assert [code for code, _ in shown].count("cd-292") == 1, "of a daily report the next one only"
    assert ("kh-81", ministry) in shown
    here.now_ms = start_of(date(2026, 9, 25))
    assert "cd-292" not in views(here)


def post(client: FlaskClient, **form: str) -> TestResponse:
    whole = {"csrf_token": token(client, "/campaigns"), "line": "kh-81/xa", "counter": "portal", **form}
    return client.post("/campaigns/counts", data=whole, base_url=BASE, headers={"Referer": f"{BASE}/campaigns"})


def test_the_official_reads_and_enters_on_one_page(here: World) -> None:
    client = here.client("official")
    page = get(client, "/campaigns?lang=vi").text
    assert "23:59 14/10/2026" in page
    assert "0 trên 2 đơn vị đã đạt (0,00 %)" in page
    assert "chưa nhập" in page
    assert "done=05755" in post(client, unit="05755", value="1.250").headers["Location"]
    page = get(client, "/campaigns?lang=vi").text
    assert "1 trên 2 đơn vị đã đạt (50,00 %)" in page
    assert re.search(r"<b>1\.250</b>", page)
    (row,) = [one for one in line(here, "kh-81").units if one.code == "05755"]
    assert row.standing.counted == Count(1250, here.now_ms)
    stored = here.registry._rows("SELECT source FROM entered_count")
    assert stored == [("web: official",)]


@pytest.mark.parametrize(
    "form", [{"unit": "05755", "value": "12.5"}, {"unit": "05755", "value": "-1"}, {"unit": "05755", "value": "12,5"},
             {"unit": "99999", "value": "3"}, {"unit": "05755", "value": "3", "counter": "ours"}],
)  # fmt: skip
def test_what_cannot_be_entered_is_said_and_changes_nothing(here: World, form: dict[str, str]) -> None:
    client = here.client("official")
    assert "wrong" in post(client, **form).headers["Location"]
    assert "Not recorded" in get(client, "/campaigns?wrong=1&lang=en").text
    assert {one.standing.counted for one in line(here, "kh-81").units} == {None}


def test_the_form_needs_its_token_and_its_role(here: World) -> None:
    client = here.client("official")
    form = {"line": "kh-81/xa", "counter": "portal", "unit": "05755", "value": "3"}
    assert client.post("/campaigns/counts", data=form, base_url=BASE).status_code == 400
    assert get(here.client("technician"), "/campaigns").status_code == 403
    assert get(here.client(), "/campaigns").status_code == 302


def test_every_number_of_ours_leads_to_its_records(here: World) -> None:
    quotas = [{"campaign": "tram", "line": level, "level": level, "what": "samples", "minimum": 3, "period": period}
              for level, period in (("hamlet", "day"), ("province", "month"))]  # fmt: skip
    here.registry.load({"campaign_quotas": quotas}, T0_MS)
    here.tests(4)
    here.take(here.probe.test(t_ms=T0_MS - 3 * DAY_MS, slot_ms=T0_MS - 3 * DAY_MS))
    client = here.client("official")
    page = get(client, "/campaigns").text
    links = set(re.findall(r'href="(/behind/[^"]+)"[^>]*><b>([0-9]+)</b>', page))
    assert {link.split("/")[2] for link, _ in links} >= {"05755", "19", HAMLET}
    for link, number in links:
        told = get(client, f"{unescape(link)}&lang=vi").text
        assert f"{number} lần đo" in told, link
    assert {number for link, number in links if HAMLET in link} == {"4"}, "a day has its own records alone"
    assert get(client, "/behind/05755/counted?from=x&to=2026-09-30").status_code == 404
    assert get(client, "/behind/05755/counted?from=2026-09-30&to=2026-09-01&lang=vi").status_code == 200
