"""What the three users leave with: the technician's code, the operator's fault and remedy, the official's sheet."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector.health import Health, JudgeState, ReceiveState
from collector.web.words import say
from collector.web.words_remedies import REMEDY
from tests.collector.kit import FakeProbe
from tests.collector.test_web_pages import words_of
from tests.collector.test_web_world import World, get, world
from wire import topics


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        made.tests(6)
        made.take(made.probe.coverage("CCDNU", "..esf"))
        made.take(made.probe.test(outcome="failed", stage="registration", cause="searching", downlink_bps=None))
        yield made


def test_a_banner_says_why_nothing_is_counted_off_the_path(tmp_path: Path) -> None:
    with world(tmp_path) as here:
        path = {"iface": "lo", "rx_bytes": 1, "tx_bytes": 1, "other_rx_bytes": 0, "other_tx_bytes": 0}
        here.tests(2, path={**path, "verdict": "invalid_path", "ifindex_changed": False})
        assert say("banner.off_path", "vi") in get(here.client(), "/").text
        here.tests(1)
        assert say("banner.off_path", "vi") not in get(here.client(), "/").text


def test_one_probe_off_the_path_is_no_banner_for_the_others(tmp_path: Path) -> None:
    other = FakeProbe("p-two")
    probes = [{"id": p, "vkey": v.signer.verifier.vkey, "site": "s-one"} for p, v in (("p-two", other),)]
    with world(tmp_path) as here:
        here.registry.load({"probes": probes})
        path = {"iface": "lo", "rx_bytes": 1, "tx_bytes": 1, "other_rx_bytes": 0, "other_tx_bytes": 0}
        off = {**path, "verdict": "invalid_path", "ifindex_changed": False}
        here.tests(3)
        here.take(other.test(path=off), topic=topics.up("p-two"))
        assert say("banner.off_path", "vi") not in get(here.client(), "/").text
        here.tests(1, path=off)
        assert say("banner.off_path", "vi") in get(here.client(), "/").text


def test_a_hamlet_without_a_station_says_so_and_what_to_do(tmp_path: Path) -> None:
    with world(tmp_path) as here:
        here.registry.load({"hamlets": [{"code": "h-new", "name": "Mới", "kind": "xóm", "commune": "05755"}]})
        page = get(here.client(), "/hamlets/h-new").text
        assert say("hamlet.no_station", "vi") in page
        assert say("hamlet.no_station.do", "vi") not in page
        assert say("stat.few", "vi") not in page
        assert say("hamlet.no_station.do", "vi") in get(here.client("technician"), "/hamlets/h-new").text


def test_the_code_that_a_technician_reads_out_is_the_record_pages(here: World) -> None:
    here.tests(1)
    card = words_of(get(here.client("technician"), "/technician").text)
    found = re.search(r"bản ghi 1/(\d+), mã ([0-9A-F]{4}-[0-9A-F]{4})", card)
    assert found is not None
    assert found[2] in words_of(get(here.client(), f"/samples/p-one/1/{found[1]}").text)


def test_an_empty_registry_is_no_good_news(tmp_path: Path) -> None:
    lists = ("provinces", "communes", "hamlets", "sites", "probes", "referrals", "quotas")
    empty: dict[str, list[dict[str, str]]] = {name: [] for name in lists}
    with world(tmp_path, **empty) as here:
        page = words_of(get(here.client("operator"), "/operator").text)
        assert say("operator.all_well", "vi") not in page
        assert say("technician.none", "vi") in page
        assert say("official.none", "vi") in page
        assert say("hamlets.none", "vi") in words_of(get(here.client(), "/").text)


def test_the_health_page_says_since_when(here: World) -> None:
    receive = ReceiveState(1, here.now_ms, 0, False, here.now_ms - 600_000, "no route", None, None, 0, 0, 0)
    here.health = Health(receive, None, True, False)
    page = words_of(get(here.client("operator"), "/health").text)
    assert say("fault.broker", "vi") in page
    assert "(10 phút trước)." in page


def test_the_health_page_has_a_place_for_the_judge(here: World) -> None:
    said = JudgeState(1, here.now_ms - 300_000, 0, 7, None)
    here.health = Health(None, None, False, False, judge=said, judge_alive=False)
    page = words_of(get(here.client("operator"), "/health").text)
    assert say("fault.judge", "vi") in page
    assert "Tháng chờ kết luận 7 5 phút trước" in page
    here.health = Health(None, None, False, False, judge=said, judge_alive=True)
    assert say("fault.judge", "vi") not in words_of(get(here.client("operator"), "/health").text)


def test_the_officials_sheet_counts_by_commune_and_keeps_i_speed_apart(here: World) -> None:
    page = get(here.client("official"), "/official").text
    text = words_of(page)
    assert re.search(r"1 Xã Phú Xuyên Thái Nguyên · 05755 6 300 \d+ 294 −\d+ 7 chưa nhập 1 / 1", text)
    assert say("official.ispeed.note", "vi") in text
    assert re.search(r"Số liệu tính đến \d\d:\d\d ngày \d\d/\d\d/\d{4}", text)
    before = words_of(get(here.client("official"), "/official?month=2026-08").text)
    assert "tháng 08/2026" in before
    assert get(here.client("official"), "/official?month=2026-13").status_code == 404


def test_the_technician_sees_green_and_the_operator_what_to_do(here: World) -> None:
    ill = words_of(get(here.client("operator"), "/operator").text)
    assert "đang tìm mạng" in ill
    assert say(REMEDY["searching"], "vi") in ill
    here.tests(1)
    page = words_of(get(here.client("technician"), "/technician").text)
    assert "Xanh" in page
    assert "Đã xác nhận đến số 8" in page
    here.now_ms += 10**9
    assert say("ill.silent", "vi") in words_of(get(here.client("technician"), "/technician").text) or (
        say("why.silent", "vi") in words_of(get(here.client("technician"), "/technician").text)
    )
