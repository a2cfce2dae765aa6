"""The official's desk: what will miss, what would close it, slots that one button approves, numbers that open up."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest

from collector.allotments import Shelf, left, signed_grid
from collector.campaigns import Campaigns
from collector.registry_identity import Identities
from tests.collector.kit import ORIGIN, T0_MS
from tests.collector.test_web_world import BASE, HAMLET, World, get, token, world
from wire import notes, slots
from wire.note import Signer

KEY = Signer.from_seed(f"{ORIGIN}/config", bytes(range(32)))
MONTH = slots.month_of(T0_MS)


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        made.registry.load({
            "hamlets": [{"code": "h-ben", "name": "Bến", "kind": "xóm", "commune": "05755"}],
            "referrals": [{"code": "BEN7", "unit": "h-ben"}],
            "limits": [
                {"code": "qcvn81-2-1-2", "name": "Truy nhập", "nature": "regulation", "relation": "<=",
                 "value_x1000": 5000, "unit": "%", "source": "QCVN 81:2019"},
                {"code": "qcvn81-vdmin-45204", "name": "Vdmin", "nature": "declared", "relation": ">=",
                 "value_x1000": 5000, "unit": "Mbit/s", "plmn": "45204"},
            ],
        }, T0_MS)  # fmt: skip
        made.tests(10, outcome="failed", stage="dns", cause="timeout", downlink_bps=None, uplink_bps=None)
        made.tests(30)
        yield made


def configured(here: World, count: int, limit_bytes: int | None = None) -> None:
    """A signed configuration of the probe, as the authority lays it down."""
    config = notes.Config(
        v=1, signed_ms=here.now_ms, probe="p-one", rev=4, expires_ms=here.now_ms + 10**9, site="s-one", referral="TN1",
        modems={"m1": notes.ModemConfig(slots=count, limit_bytes=limit_bytes)}, seeds={MONTH: "5eed" * 16},
    )  # fmt: skip
    folder = here.settings.state / "config"
    folder.mkdir(exist_ok=True)
    (folder / "p-one.note").write_bytes(notes.seal(config, ORIGIN, KEY))


def test_slots_left_are_those_of_the_signed_grid(here: World) -> None:
    start_ms, end_ms = slots.month_bounds(MONTH)
    length_ms = (end_ms - start_ms) // 330
    assert left(330, start_ms - 1 + length_ms) == 329
    assert left(330, start_ms + length_ms) == 328
    assert left(330, end_ms - 1) == 0
    assert left(1, start_ms) == 0
    shelf = Shelf(here.settings.state / "config")
    assert shelf.slots_left("p-one", here.now_ms) is None
    configured(here, 330)
    begun = [slots.slot_at((start_ms, end_ms), 330, t_ms).start_ms for t_ms in range(start_ms, end_ms, length_ms // 3)]
    assert shelf.slots_left("p-one", here.now_ms) == len({t_ms for t_ms in begun if t_ms > here.now_ms})
    (here.settings.state / "config" / "p-one.note").write_bytes(b"no note")
    assert shelf.slots_left("p-one", here.now_ms) is None


def test_today_says_who_will_miss_and_what_would_close_it(here: World) -> None:
    configured(here, 60)
    page = unescape(get(here.client("official"), "/today").text)
    assert "30 / 300 mẫu, còn thiếu 270" in page
    assert "sẽ không đạt" in page
    assert "Thôn, xóm chưa có mẫu: Xóm Bến" in page
    assert "thêm lượt đo trên các trạm đang chạy" in page
    for link in ("/behind/05755/counted", "/why/05755", "/allotment/05755"):
        assert link in page
    configured(here, 2976)
    assert "sẽ đạt" in unescape(get(here.client("official"), "/today").text)


def test_one_button_sends_the_division_that_was_shown(here: World) -> None:
    configured(here, 60, limit_bytes=20_000_000_000)
    official, operator = here.client("official"), here.client("operator")
    assert "Duyệt và gửi" not in get(official, "/allotment/05755").text
    page = get(operator, "/allotment/05755").text
    assert "75,0 %" in page
    assert "20,0 GB" in page
    digest = re.search(r'name="digest" value="([0-9a-f]+)"', page)
    assert digest is not None
    form = {"csrf_token": token(operator, "/hamlets"), "digest": digest[1]}

    def post(given: dict[str, str]) -> str:
        answer = operator.post("/allotment/05755", data=given, base_url=BASE, headers={"Referer": BASE})
        return str(answer.headers["Location"])

    assert "changed=1" in post({**form, "digest": "another"})
    assert "done=1" in post(form)
    identities = Identities(here.settings.registry)
    (wish,) = [one for one in identities.wishes("p-one") if one.kind == "slots"]
    identities.close()
    asked = json.loads(wish.body)["slots"]["m1"]
    assert (wish.actor, asked > 270) == ("operator", True)
    assert "chờ ký" in get(operator, "/allotment/05755").text
    configured(here, asked, limit_bytes=20_000_000_000)
    assert "đã đúng như đề xuất" in get(operator, "/allotment/05755").text


def test_a_number_opens_into_its_records_and_their_proofs(here: World) -> None:
    client = here.client("official")
    for what, number in (("tests", 40), ("counted", 30), ("failed", 10), ("ok", 30)):
        for unit in ("05755", HAMLET):
            page = get(client, f"/behind/{unit}/{what}").text
            assert f"{number} lần đo" in page
            assert page.count("/samples/p-one/1/") == number, (what, unit)
    assert "0 lần đo" in get(client, "/behind/05755/tests?month=2026-01").text
    for nowhere in ("/behind/nowhere/tests", "/behind/05755/nothing", "/behind/05755/tests?month=2026-13"):
        assert get(client, nowhere).status_code == 404
    assert "/behind/05755/counted" in get(client, "/official").text


def test_indicators_are_for_reference_with_n_and_dated_limits(here: World) -> None:
    page = unescape(get(here.client(), f"/hamlets/{HAMLET}/qcvn").text)
    assert "THAM KHẢO" in page
    assert "25,0 %" in page, "10 of 40 attempts failed before a transfer"
    assert "n = 40" in page
    assert "≤ 5,0 %" in page
    assert "ngoài ngưỡng" in page
    assert "100,0 %" in page, "every downlink reaches the declared Vdmin"
    assert "chưa nhập ngưỡng" in page
    assert get(here.client(), "/hamlets/no-such/qcvn").status_code == 404


def test_the_villagers_page_shows_the_units_own_code_and_a_poster(here: World) -> None:
    client = here.client()
    page = unescape(get(client, "/ispeed/h-ben").text)
    assert "BEN7" in page
    assert "TN1" not in page
    assert "TN1" in get(client, f"/ispeed/{HAMLET}").text, "a hamlet without a code has its commune's"
    for word in ("Tắt Wi-Fi, bật 4G", "đo tự động", "iPhone", "không lưu thông tin cá nhân"):
        assert word in page
    poster = get(client, "/ispeed/h-ben/poster").text
    assert "https://dosong.example/ispeed/h-ben" in poster
    assert "data:image/svg+xml" in poster
    here.registry.load({"referrals": [{"code": "BEN7", "unit": None, "valid_from_ms": here.now_ms - 1}]}, here.now_ms)
    assert "BEN7" not in get(client, "/ispeed/h-ben").text
    assert get(client, "/ispeed/no-such").status_code == 404


def test_campaigns_project_by_the_signed_grid_on_page_and_board(here: World) -> None:
    here.registry.load({
        "campaigns": [{"code": "tram", "name": "Trạm", "document": "nội bộ", "counter": "ours", "starts_ms": 0}],
        "campaign_quotas": [{"campaign": "tram", "line": "xa", "level": "commune", "what": "samples", "minimum": 300,
                             "period": "month"}],
    }, here.now_ms)  # fmt: skip
    grid = signed_grid(here.settings.state / "config", here.registry)

    def middle() -> int:
        (view,) = Campaigns(here.reader, here.registry, grid).at(here.now_ms)
        projection = view.lines[0].units[0].projection
        assert projection is not None
        return projection.middle

    configured(here, 60)
    few = middle()
    configured(here, 2976)
    assert few < 60 < middle()
    assert grid(here.now_ms) == {HAMLET: left(2976, here.now_ms)}
    assert "sẽ đạt" in get(here.client("official"), "/campaigns").text
