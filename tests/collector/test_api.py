"""`/api/v1`: the pages' numbers for programs, paging that inserts do not shift, conditional answers, problems."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.api import build
from collector.api.params import Param, read_all
from collector.api.problems import KINDS, Wrong
from collector.api.routes import ROUTES
from collector.core.csv_line import cell, line
from collector.core.rate import full, take
from collector.core.verdict_case import Network
from collector.core.view import iso
from collector.core.view_figures import figures, points
from collector.ledger_bulk import BulkReader, Wanted
from collector.verdict_service import Judge
from collector.verdict_store import VerdictStore
from tests.collector.kit import T0_MS, FakeProbe
from tests.collector.test_web_world import HAMLET, World, get, world
from wire import codec


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world in which nothing changes, for tests that only ask."""
    with world(tmp_path_factory.mktemp("still")) as made:
        made.tests(7)
        made.take(made.probe.coverage("CCDNU", "..esf"))
        yield made


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        made.tests(7)
        made.take(made.probe.coverage("CCDNU", "..esf"))
        yield made


def ask(here: World, path: str, role: str = "", **headers: str) -> Any:
    """The JSON of an answer that must be one."""
    answer = get(here.client(role), f"/api/v1/{path}", **headers)
    assert answer.status_code == 200, answer.text
    return answer.json


def all_pages(here: World, path: str, role: str = "", key: str = "n") -> list[Any]:
    """Every item of a list, page by page."""
    found, cursor = [], ""
    for _ in range(100):
        page = ask(here, f"{path}{cursor}", role)
        found += [item[key] for item in page["items"]]
        if page["next"] is None:
            return found
        cursor = f"&cursor={page['next']}"
    pytest.fail("the list does not end")


def test_every_route_of_the_table_answers_and_nothing_else_is_there(still: World) -> None:
    served = {rule.endpoint for rule in still.app.url_map.iter_rules() if rule.endpoint.startswith("v1.")}
    assert served == {route.endpoint for route in ROUTES}
    links = ask(still, "", "operator")["links"]
    assert set(links) == {route.name for route in ROUTES if "operator" in route.roles and "{" not in route.path}


def test_a_hamlet_has_the_numbers_of_its_page(still: World) -> None:
    row = still.app.extensions["pages"].hamlet_row(still.registry.hamlet(HAMLET))
    item = ask(still, f"hamlets/{HAMLET}")["hamlet"]
    assert item["counts"]["tests"] == row.counts.tests == 7
    assert item["figures"]["downlink_bps"]["median"] == row.figures.downlink.median == 20_000_000
    assert item["state"] == row.service.state.value
    assert item["last_received"] == {"ms": row.last_ms, "iso": iso(row.last_ms)}
    assert ask(still, "hamlets")["items"] == [item]
    page = get(still.client(), f"/hamlets/{HAMLET}?lang=en").text
    assert "20.0" in page


def test_what_is_unknown_is_null_and_never_0(tmp_path: Path) -> None:
    with world(tmp_path) as empty:
        item = ask(empty, "hamlets")["items"][0]
        assert item["last_received"] is None
        assert item["figures"]["downlink_bps"] == {"n": 0, "enough": False, "median": None, "mean": None, "p5": None}
        assert item["figures"]["success"]["ppm"] is None
        assert item["counts"]["tests"] == 0  # a count of nothing is 0
        empty.take(empty.probe.test(t_ms=None, clock="unsynced", downlink_bps=None))
        record = ask(empty, "records")["items"][0]
        assert record["began"] is None
        assert record["metrics"]["downlink_bps"] is None
        assert empty.client("operator") is not None
        quota = ask(empty, "quota", "operator")["items"][0]
        assert (quota["minimum"], quota["counted"]) == (300, 0)


def test_pages_of_records_are_whole_while_records_arrive(here: World) -> None:
    first = ask(here, "records?limit=3")
    here.take(here.probe.test())  # newer than the cursor: must not shift what is older
    second = ask(here, f"records?limit=3&cursor={first['next']}")
    third = ask(here, f"records?limit=3&cursor={second['next']}")
    assert third["next"] is None
    assert [item["n"] for page in (first, second, third) for item in page["items"]] == [8, 7, 6, 5, 4, 3, 2, 1]
    assert all_pages(here, "records?limit=2&order=asc") == list(range(1, 10))


def test_pages_by_code_and_id_go_on_behind_the_cursor(here: World) -> None:
    rows = [{"code": f"h-{i:02d}", "name": f"Số {i}", "kind": "xóm", "commune": "05755"} for i in range(7)]
    here.registry.load({"hamlets": rows})
    wanted = sorted([HAMLET, *(row["code"] for row in rows)])
    assert all_pages(here, "hamlets?limit=3", key="code") == wanted
    first = ask(here, "hamlets?limit=3")
    here.registry.load({"hamlets": [{"code": "a-first", "name": "Đầu", "kind": "xóm", "commune": "05755"}]})
    assert [i["code"] for i in ask(here, f"hamlets?limit=9&cursor={first['next']}")["items"]] == wanted[3:]


def test_a_rare_question_looks_at_a_bounded_stretch_and_misses_nothing(
    still: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collector.ledger_bulk.SPAN", 2)
    reader = BulkReader(still.settings.ledger)
    page = reader.after(Wanted(kind="coverage"), 0, 10, 8)
    assert (page.samples, page.next_n) == ([], 2)
    assert all_pages(still, "records?kind=coverage&order=asc") == [8]
    assert all_pages(still, "records?kind=coverage&order=desc") == [8]
    assert all_pages(still, "records?kind=test&order=desc&limit=3") == [7, 6, 5, 4, 3, 2, 1]
    reader.close()


def test_records_by_probe_time_and_kind(still: World) -> None:
    item = ask(still, "records/p-one/1/2")
    assert (item["probe"], item["epoch"], item["seq"]) == ("p-one", 1, 2)
    span = f"records?probe=p-one&kind=test&since_ms={T0_MS + 600_000}&until_ms={T0_MS + 1_800_000}"
    assert all_pages(still, span) == [3, 2]
    assert ask(still, "records?probe=p-two")["items"] == []
    strip = ask(still, f"coverage?hamlet={HAMLET}")["items"][0]
    assert [(run["state"], run["steps"]) for run in strip["runs"]] == [
        ("covered", 2), ("degraded", 1), ("no_service", 1), ("unknown", 1),
    ]  # fmt: skip


def test_quota_and_probes_have_the_numbers_of_the_doors(still: World) -> None:
    pages = still.app.extensions["pages"]
    row = pages.commune_rows("", pages.month())[0]
    item = ask(still, "quota", "official")["items"][0]
    assert (item["counted"], item["due"], item["ahead"]) == (row.pace.counted, row.pace.due, row.pace.ahead)
    assert (item["hamlets_with_evidence"], item["hamlets"]) == (row.evidence, row.registered) == (1, 1)
    site = pages.site_rows()[0]
    probe = ask(still, "probes/p-one", "technician")
    assert (probe["acknowledged"], probe["newest_code"]) == (site.checkup.acked, site.code)
    assert ask(still, "quota?month=2020-01", "official")["items"][0]["counted"] == 0


def test_an_answer_that_did_not_change_is_304(here: World) -> None:
    client = here.client()
    first = get(client, "/api/v1/hamlets")
    again = get(client, "/api/v1/hamlets", **{"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    here.tests(1)
    assert get(client, "/api/v1/hamlets", **{"If-None-Match": first.headers["ETag"]}).status_code == 200
    assert "no-cache" in first.headers["Cache-Control"]
    assert "Authorization" in first.headers["Vary"]


@pytest.mark.parametrize(
    ("path", "status", "word", "parameter"),
    [
        ("records?limit=0", 400, "parameter", "limit"),
        ("records?limit=10&limit=20", 400, "parameter_twice", "limit"),
        ("records?hamle=x", 400, "unknown_parameter", "hamle"),
        ("records?cursor=abc", 400, "parameter", "cursor"),
        ("records?kind=%C3%A1", 400, "parameter", "kind"),
        ("records?since_ms=-1", 400, "parameter", "since_ms"),
        ("records?since_ms=%D9%A1", 400, "parameter", "since_ms"),
        ("records?hamlet=nowhere", 404, "not_found", None),
        ("hamlets/nowhere", 404, "not_found", None),
        ("nothing-here", 404, "not_found", None),
        ("probes", 401, "token_missing", None),
    ],
)
def test_what_is_wrong_says_what_to_do(still: World, path: str, status: int, word: str, parameter: str | None) -> None:
    answer = get(still.client(), f"/api/v1/{path}")
    assert answer.status_code == status
    assert answer.mimetype == "application/problem+json"
    found = answer.json
    assert (found["status"], found["word"], found["parameter"]) == (status, word, parameter)
    assert found["type"] == f"urn:dosong:problem:{word}"
    assert len(found["detail"]) > 15
    vi = get(still.client(), f"/api/v1/{path}", **{"Accept-Language": "vi"}).json
    assert vi["title"] != found["title"]


def test_other_methods_are_405_with_allow(still: World) -> None:
    answer = still.client().delete("/api/v1/hamlets", base_url="https://dosong.example")
    assert answer.status_code == 405
    assert "GET" in answer.headers["Allow"]
    assert answer.json["word"] == "method"


def test_a_ledger_that_cannot_be_read_is_503_with_a_wait(tmp_path: Path) -> None:
    with world(tmp_path) as made:
        made.tests(1)
        ledger = made.settings.ledger
        made.reader.close()
        ledger.rename(ledger.with_suffix(".away"))
        try:
            answer = get(made.client(), "/api/v1/records")
        finally:
            ledger.with_suffix(".away").rename(ledger)
        assert (answer.status_code, answer.json["word"]) == (503, "unavailable")
        assert int(answer.headers["Retry-After"]) > 0
        assert str(tmp_path) not in answer.text


def test_problems_are_complete_in_both_languages() -> None:
    for kind in KINDS.values():
        assert 400 <= kind.status < 600
        for texts in (kind.title, kind.detail):
            assert texts[0] != texts[1]
            assert set(re.findall(r"\{(\w+)}", texts[0])) == set(re.findall(r"\{(\w+)}", texts[1]))


def test_a_record_that_breaks_the_form_has_no_metrics(here: World) -> None:
    here.take(here.probe.schema_broken())
    item = ask(here, "records?limit=1")["items"][0]
    assert (item["metrics"], item["simulated"]) == (None, None)
    assert item["fault"] is not None


def test_a_time_beyond_the_calendar_is_still_told() -> None:
    assert iso(0) == "1970-01-01T00:00:00.000Z"
    assert iso(1_790_000_400_123) == "2026-09-21T14:20:00.123Z"
    assert iso(2**53) == "9999-12-31T23:59:59.999Z"
    assert build.instant(None) is None


def test_parameters_take_what_their_schema_says() -> None:
    param = Param("limit", "", "", "integer", low=1, high=5, default=2)
    assert read_all((param,), [], {}) == {"limit": 2}
    assert read_all((param,), [("limit", "5")], {}) == {"limit": 5}
    for text in ("6", "0", "+1", "1.0", " 1", "", "٣"):
        with pytest.raises(Wrong):
            read_all((param,), [("limit", text)], {})


@given(st.text(max_size=40))
@settings(max_examples=200, deadline=None)
def test_no_cell_begins_as_a_formula_and_every_text_can_be_read_back(text: str) -> None:
    made = cell(text)
    assert made[0] == made[-1] == '"'
    inner = made[1:-1].replace('""', '"')
    assert not inner.lstrip(" \u00a0\u3000").startswith(tuple("=+-@\t\r\n\0＝＋－＠"))
    assert inner.removeprefix("'" if inner.startswith("'") else "") == text.replace("\0", "\ufffd")


def test_cells_keep_numbers_and_nothing_apart() -> None:
    assert line((None, "", -3, True, 'a"b', "=1+1")) == ',"",-3,true,"a""b","\'=1+1"\r\n'


def test_a_bucket_empties_and_fills_again() -> None:
    bucket = full(2, 0.0)
    for _ in range(2):
        bucket, wait_s = take(bucket, 60, 2, 0.0)
        assert wait_s == 0
    bucket, wait_s = take(bucket, 60, 2, 0.0)
    assert wait_s == 1
    bucket, wait_s = take(bucket, 60, 2, 1.0)
    assert wait_s == 0
    assert take(bucket, 60, 2, 0.5)[1] == 1  # a clock that goes back gives nothing


def test_the_note_of_a_record_is_its_signed_bytes(still: World) -> None:
    held = still.reader.sample("p-one", 1, 0)
    assert held is not None
    path = ask(still, "records/p-one/1/0")["links"]["note"]
    assert get(still.client("auditor"), path).data == held.raw
    refused = get(still.client(), path)
    assert (refused.status_code, refused.json["word"]) == (403, "forbidden")
    assert codec.leaf_text(held.leaf) == ask(still, "records/p-one/1/0")["leaf"]


def test_a_fork_has_no_address_of_its_own(here: World) -> None:
    twin = FakeProbe("p-one", signer=here.probe.signer)
    here.take(twin.test(downlink_bps=1))
    item = ask(here, "records?limit=1")["items"][0]
    assert item["in_chain"] is False
    assert item["links"] == {"page": None, "note": None, "proof": None}


def test_a_record_carries_its_verdict_and_the_rules_that_gave_it(here: World) -> None:
    assert [ask(here, path)["verdict"] for path in ("records/p-one/1/2",)] == [None]
    store = VerdictStore(here.settings.verdicts)
    Judge(here.reader, here.registry, store, Network(), len).all(here.now_ms)
    judged = store.of([3])[3]
    store.close()
    item = ask(here, "records/p-one/1/2")
    assert (item["verdict"], item["rules"]) == (judged.verdict.value, [hit.rule for hit in judged.hits])
    assert item["rules"], "a test without a receipt has a rule that says so"
    assert all(one["verdict"] for one in ask(here, "records")["items"] if one["kind"] == "test")


def test_the_sheet_from_rollups_is_what_the_records_give(here: World) -> None:
    here.tests(1, outcome="failed", stage="dns", cause="timeout", downlink_bps=None, uplink_bps=None)
    here.tests(2, downlink_bps=44_000_000)
    pages = here.app.extensions["pages"]
    month = pages.month()
    (row,) = pages.commune_rows("", month)
    assert row.figures == figures(points(here.reader.samples(kind="test", limit=100)))
    counts = here.reader.hamlet_counts(month.start_ms, month.end_ms)[HAMLET]
    assert (row.tests, row.pace.counted, row.pace.minimum) == (counts.tests, counts.counted, 300) == (10, 9, 300)
    (narrow,) = pages.commune_rows(HAMLET, month)
    assert (narrow.tests, narrow.figures, narrow.pace) == (row.tests, row.figures, row.pace)
    assert pages.commune_rows("", month, ["no-such"]) == []
