"""Marks, objections, overrides and weak spots: two people, working days, a company that sees only its own."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from hypothesis import given, settings, strategies
from werkzeug.test import TestResponse

from collector.core.compare import change, middle
from collector.core.dispute import RULES, Case, Step, Subject, begin, step, working_days_after
from collector.disputes import Disputes
from tests.collector.kit import T0_MS
from tests.collector.test_web_world import BASE, HAMLET, PASSWORD, World, enrol_totp, get, login, token, world
from wire.errors import Refused

SAMPLE = Subject("sample", "19", "05755", HAMLET, "45204", "p-one", 1, 3, "leaf", counted=False)
SPOT = Subject("spot", "19", "05755", HAMLET, "45204")
DAY_MS = 86_400_000
WORDS = ("answered", "replied", "proposed", "confirmed", "declined", "fixed", "compared", "closed")


def said(what: str, actor: str = "lan", role: str = "official", **more: object) -> Step:
    return Step(what, actor, role, T0_MS, "một lý do đủ dài", **more)  # type: ignore[arg-type]


def case(*steps: Step, subject: Subject = SAMPLE) -> Case:
    found = begin(1, subject, said("opened"))
    for one in steps:
        found = step(found, one)
    return found


# --- the pure core ------------------------------------------------------------------------------------------------


def test_an_override_takes_two_different_people() -> None:
    proposed = said("proposed", verdict="counted")
    with pytest.raises(Refused, match="second person"):
        case(proposed, said("confirmed"))
    found = case(proposed, said("confirmed", "hoa"))
    assert (found.state, found.decision, found.second_actor) == ("decided", "counted", "hoa")
    assert case(proposed, said("declined", "hoa")).decision is None


@pytest.mark.parametrize(
    ("steps", "subject"),
    [
        ((said("confirmed"),), SAMPLE),
        ((said("answered"), said("fixed", role="company")), SAMPLE),
        ((said("replied"),), SPOT),
        ((said("answered"),), SPOT),
        ((said("closed"), said("answered")), SAMPLE),
        ((said("proposed", verdict="counted"),), Subject("outage", "19", "05755", HAMLET, "45204", from_ms=0, to_ms=9)),
        ((replace(said("answered"), text="abc"),), SAMPLE),
        ((said("proposed"),), SAMPLE),
    ],
)
def test_what_is_not_theirs_to_say_is_refused(steps: tuple[Step, ...], subject: Subject) -> None:
    with pytest.raises(Refused):
        case(*steps, subject=subject)


def test_a_subject_says_what_it_is_about() -> None:
    for wrong in (replace(SAMPLE, leaf=None), replace(SPOT, plmn=""), replace(SPOT, kind="outage")):
        with pytest.raises(Refused):
            begin(1, wrong, said("opened"))
    with pytest.raises(Refused):
        begin(1, SPOT, said("opened", role="company"))


@settings(max_examples=200, deadline=None)
@given(strategies.lists(strategies.tuples(
    strategies.sampled_from(WORDS),
    strategies.sampled_from([("lan", "official"), ("hoa", "official"), ("vt", "company")]),
), max_size=12), strategies.booleans())  # fmt: skip
def test_no_way_through_the_steps_decides_with_one_person(steps: list[tuple[str, tuple[str, str]]], spot: bool) -> None:
    found = begin(1, SPOT if spot else SAMPLE, said("opened"))
    for what, (actor, role) in steps:
        try:
            found = step(found, said(what, actor, role, verdict="counted" if what == "proposed" else None))
        except Refused:
            continue
    if found.decision is not None:
        assert found.proposal is not None
        assert found.proposal.actor != found.second_actor
    assert found.state == "closed" or (spot, found.state) in RULES


def test_a_deadline_counts_working_days_and_knows_tet() -> None:
    friday = date(2026, 9, 18)
    assert working_days_after(friday, 1) == date(2026, 9, 21)
    assert working_days_after(friday, 5) == date(2026, 9, 25)
    assert working_days_after(friday, 1, {date(2026, 9, 21)}) == date(2026, 9, 22)
    assert working_days_after(friday, 1, worked={date(2026, 9, 19)}) == date(2026, 9, 19)
    with pytest.raises(ValueError, match="holidays"):
        working_days_after(friday, 300)


def test_intervals_of_medians_hold_and_small_samples_have_none() -> None:
    # Sign-test intervals for 95 %: n = 6 is the whole range; n = 20 the 6th to 15th value; n = 100 the 40th to 61st.
    for n, rank in ((6, 1), (20, 6), (100, 40)):
        found = middle(range(1, n + 1))
        assert (found.low, found.high) == (rank, n + 1 - rank), n
    assert middle([1, 2, 3, 4, 5]).low is None
    assert middle([]).median is None
    low, high = middle([10.0] * 20), middle([20.0] * 20)
    assert [change(low, high), change(high, low), change(low, low), change(low, middle([99.0]))] == [
        "better", "worse", "open", "open"]  # fmt: skip
    assert change(low, high, more_is_better=False) == "worse"


# --- the store ----------------------------------------------------------------------------------------------------


def test_steps_stay_and_a_changed_one_is_found(tmp_path: Path) -> None:
    store = Disputes(tmp_path / "dispute.db")
    made = store.open_case(SAMPLE, said("opened", due=date(2026, 9, 25)))
    store.add(made.n, said("answered"))
    assert (store.verify(), store.cases()) == (2, [store.case(made.n)])
    with pytest.raises(Refused, match="still open"):
        store.open_case(replace(SAMPLE, leaf="another"), said("opened"))
    with pytest.raises(Refused, match="no case"):
        store.add(99, said("answered"))
    other = sqlite3.connect(tmp_path / "dispute.db")
    for deed in ("UPDATE step SET actor = 'x'", "DELETE FROM step"):
        with pytest.raises(sqlite3.IntegrityError, match="what was said stays"):
            other.execute(deed)
    other.executescript("DROP TRIGGER step_no_update; UPDATE step SET body = replace(body, 'đủ', 'du') WHERE n = 1;")
    other.close()
    with pytest.raises(Refused, match="was changed"):
        store.verify()
    store.close()


def test_a_step_that_cannot_be_written_down_elsewhere_is_not_kept(tmp_path: Path) -> None:
    def refuse(_n: int, _what: str, _digest: bytes) -> None:
        raise Refused("audit", "no")

    store = Disputes(tmp_path / "dispute.db", refuse)
    with pytest.raises(Refused):
        store.open_case(SAMPLE, said("opened"))
    assert store.cases() == []
    store.close()


# --- the pages ----------------------------------------------------------------------------------------------------


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        held = made.registry.user("official")
        assert held is not None
        made.registry.load({
            "users": [
                {"name": "official-two", "argon2": held.argon2, "role": "official"},
                {"name": "elsewhere", "argon2": held.argon2, "role": "official", "scope": "99999"},
                {"name": "viettel", "argon2": held.argon2, "role": "company", "scope": "45204"},
                {"name": "vinaphone", "argon2": held.argon2, "role": "company", "scope": "45202"},
                {"name": "no-network", "argon2": held.argon2, "role": "company", "scope": ""},
            ],
            "operators": [{"plmn": "45202", "name": "VinaPhone"}],
        })  # fmt: skip
        for name in ("official-two", "elsewhere"):
            enrol_totp(made.app.extensions["entrance"], name)
        made.tests(3)
        made.tests(1, outcome="failed", stage="dns", cause="timeout", downlink_bps=None, uplink_bps=None)
        made.tests(1, referral="XX9")
        yield made


def person(here: World, name: str) -> FlaskClient:
    client = here.app.test_client()
    assert login(client, name, PASSWORD).status_code == 302
    return client


def post(client: FlaskClient, path: str, **form: object) -> TestResponse:
    given = {"csrf_token": token(client, "/hamlets"), "text": "một lý do đủ dài", **form}
    return client.post(path, data=given, base_url=BASE, headers={"Referer": BASE})


def test_every_uncounted_sample_has_its_reason_in_words_and_what_to_do(here: World) -> None:
    page = get(here.client("official"), "/why/05755").text
    assert "có 5 lần đo, 2 lần không được tính" in page
    assert "lần đo không thành công" in page
    assert "Mã giới thiệu không thuộc đơn vị này vào ngày đo" in page
    assert page.count("/samples/p-one/1/") == 2
    only = get(here.client("official"), f"/why/{HAMLET}?reason=referral").text
    assert only.count("/samples/p-one/1/") == 1
    assert get(here.client("official"), "/why/nowhere").status_code == 404
    assert get(person(here, "elsewhere"), "/why/05755").status_code == 404


def test_an_objection_an_answer_and_two_people_who_read_it_otherwise(here: World) -> None:
    lan, hoa = person(here, "official"), person(here, "official-two")
    made = post(lan, "/cases/open", kind="sample", probe="p-one", epoch=1, seq=4)
    assert made.headers["Location"] == "/cases/1"
    page = get(hoa, "/cases/1").text
    assert "Hạn trả lời: hết ngày 28/09/2026" in page  # five working days after Monday 21 September
    assert "không tính" in page
    assert post(hoa, "/cases/1/say", what="answered", text="Mã đã được cấp cho xã khác.").status_code == 302
    assert post(lan, "/cases/1/say", what="proposed", verdict="counted").headers["Location"] == "/cases/1"
    assert "wrong=" in post(lan, "/cases/1/say", what="confirmed").headers["Location"]
    assert "Đồng ý (người thứ hai)" not in get(lan, "/cases/1").text
    post(hoa, "/cases/1/say", what="confirmed")
    public = get(here.client(), "/samples/p-one/1/4").text
    assert "official" not in public.partition("<main")[2], "no names of people for the public"
    for page, whose in ((get(lan, "/cases/1").text, "official và official-two"), (public, "hai người")):
        assert f"Theo quyết định của {whose}" in page
        assert "mã giới thiệu" in page.lower(), "the rules' own reading stands beside it"
    held = here.reader.sample("p-one", 1, 4)
    assert held is not None
    assert not held.counted, "the sample stays as the rules say"
    assert get(person(here, "elsewhere"), "/cases/1").status_code == 404
    assert "case.what" not in get(lan, "/cases/1?lang=en").text


def test_a_company_sees_its_weak_spots_alone_replies_promises_and_is_compared(here: World) -> None:
    official, viettel, vinaphone = (person(here, name) for name in ("official", "viettel", "vinaphone"))
    post(official, "/cases/open", kind="spot", hamlet=HAMLET, plmn="45204")
    post(official, "/cases/open", kind="sample", probe="p-one", epoch=1, seq=4)
    assert "/cases/1" in get(viettel, "/cases").text
    assert "/cases/2" not in get(viettel, "/cases").text
    assert [get(viettel, f"/cases/{n}").status_code for n in (1, 2)] == [200, 404]
    for stranger in (vinaphone, person(here, "no-network")):
        assert get(stranger, "/cases/1").status_code == 404
        assert post(stranger, "/cases/1/say", what="replied", promised="2026-10-30").status_code == 404
    for closed in ("/official", "/technician", "/registry", "/why/05755", "/packs/05755/2026-09.zip", "/campaigns"):
        assert get(viettel, closed).status_code == 403, closed
    assert get(viettel, "/samples/p-one/1/0.note").status_code in {403, 404}, "no exact positions for a company"
    assert post(viettel, "/cases/open", kind="spot", hamlet=HAMLET, plmn="45204").status_code == 403
    assert "wrong=" in post(viettel, "/cases/1/say", what="replied").headers["Location"], "a reply names a day"
    assert "wrong=" in post(viettel, "/cases/1/say", what="replied", promised="2026-01-01").headers["Location"]
    post(viettel, "/cases/1/say", what="replied", promised="2026-09-30")
    assert "Hẹn xong trước hết ngày 30/09/2026" in get(official, "/cases/1").text
    here.now_ms += DAY_MS
    post(person(here, "viettel"), "/cases/1/say", what="fixed")
    for _ in range(8):
        here.now_ms += 3_600_000
        here.take(here.probe.test(t_ms=here.now_ms, slot_ms=here.now_ms, downlink_bps=40_000_000))
    official = person(here, "official")
    page = get(official, "/cases/1").text
    assert "20,0" in page.partition("<h2>Trước và sau")[2]
    assert "40,0" in page.partition("<h2>Trước và sau")[2]
    post(official, "/cases/1/say", what="compared", text="Đã so sánh.")
    record = Disputes(here.settings.disputes).case(1)
    assert record is not None
    assert "downlink 20.0 (n 3) -> 40.0 [40.0, 40.0] (n 7) Mbit/s: open" in record.steps[-1].text
    assert record.state == "compared"
    trail = here.app.extensions["entrance"].trail.read(100)
    steps = [one for one in trail if one.what.startswith("case.")]
    assert [one.what for one in steps] == ["case.compared", "case.fixed", "case.replied", "case.opened", "case.opened"]
    assert all(len(one.target.partition(" ")[2]) == 64 for one in steps), "each step's digest is in the log"


def test_forms_that_say_nothing_change_nothing(here: World) -> None:
    official = person(here, "official")
    assert (
        "wrong="
        in post(official, "/cases/open", kind="sample", probe="p-one", epoch=1, seq=4, text="a").headers["Location"]
    )
    assert post(official, "/cases/open", kind="bogus").status_code == 404
    assert post(official, "/cases/open", kind="sample", probe="p-one", epoch=1, seq=99).status_code == 404
    assert "wrong=" in post(official, "/cases/open", kind="outage", hamlet=HAMLET, plmn="45204").headers["Location"]
    assert "wrong=" in post(official, "/cases/open", kind="spot", hamlet=HAMLET, plmn="99999").headers["Location"]
    assert post(person(here, "elsewhere"), "/cases/open", kind="spot", hamlet=HAMLET, plmn="45204").status_code == 404
    assert "Chưa có vụ việc" in get(official, "/cases").text
    assert here.client("technician").post("/cases/open", base_url=BASE).status_code in {400, 403}


def test_an_outage_is_marked_with_a_reason_and_stays_in_the_calendar(here: World) -> None:
    states = "C" * 10 + "N" * 30 + "C" * 20
    began_ms = T0_MS + 3_600_000
    here.take(here.probe.coverage(states, states.replace("C", ".").replace("N", "s"), t_ms=began_ms))
    here.now_ms = began_ms + 2 * 3_600_000
    official = person(here, "official")
    calendar = get(official, f"/hamlets/{HAMLET}/coverage").text
    from_ms, to_ms = began_ms + 600_000, began_ms + 2_400_000
    assert f'name="from_ms" value="{from_ms}"' in calendar
    assert "Đánh dấu" not in get(here.client(), f"/hamlets/{HAMLET}/coverage").text
    form = {"kind": "outage", "hamlet": HAMLET, "plmn": "45204", "from_ms": from_ms, "to_ms": to_ms}
    made = post(official, "/cases/open", **form, text="Nhà mạng bảo trì theo kế hoạch.")
    page = get(official, made.headers["Location"]).text
    assert "Nhà mạng bảo trì theo kế hoạch." in page
    assert "Đề nghị đọc khác quy tắc" not in page, "an outage has no record that two people could read otherwise"
    assert get(official, f"/hamlets/{HAMLET}/coverage.csv").text.count("searching") == 1
    assert "wrong=" in post(official, "/cases/open", **{**form, "to_ms": from_ms}).headers["Location"]
