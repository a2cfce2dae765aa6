"""Whose SIM it is: compared and forgotten."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from probe.card_book import CardBook
from probe.core.radio import RadioReading
from probe.core.sim_card import CardWatch, Expected, is_wrong, read_iccid, read_imsi, sim_ref
from probe.owner import Observed, service_cause
from wire.errors import Unavailable
from wire.failure import Cause
from wire.records import EventRecord

DATA = Path(__file__).parents[2] / "sim" / "data" / "at-transcripts.json"
IMSI, ICCID = "452040000000000", "8984040000000000000"


def recorded(key: str) -> list[tuple[str, str]]:
    found = [
        (exchange["rx"], (exchange.get("expect") or {})[key])
        for transcript in json.loads(DATA.read_text())
        for exchange in transcript["exchanges"]
        if key in (exchange.get("expect") or {})
    ]
    assert found
    return found


@pytest.mark.parametrize(("answer", "iccid"), recorded("iccid"))
def test_every_recorded_iccid_is_read(answer: str, iccid: str) -> None:
    assert read_iccid(answer.split("\n")) == iccid


@pytest.mark.parametrize(("answer", "mcc"), recorded("mcc"))
def test_every_recorded_imsi_is_read(answer: str, mcc: str) -> None:
    lines = answer.removesuffix(" OK").split("\n")
    assert (read_imsi(lines) or "").startswith(mcc)


@pytest.mark.parametrize("line", ["", "ERROR", "+CME ERROR: 10", "12345", "8984", "-", "+ICCID:", "98" * 3, "0" * 19])
def test_what_is_no_number_is_none(line: str) -> None:
    assert read_imsi([line]) is None
    assert read_iccid([line]) is None


@pytest.mark.parametrize(
    ("expected", "imsi", "iccid", "verdict"),
    [
        (Expected(), IMSI, ICCID, None),
        (Expected(plmn="45204"), IMSI, None, False),
        (Expected(plmn="45201"), IMSI, None, True),
        (Expected(plmn="45204"), None, ICCID, None),
        (Expected(ref=sim_ref("d.example", ICCID), origin="d.example"), None, ICCID, False),
        (Expected(ref=sim_ref("e.example", ICCID), origin="d.example"), None, ICCID, True),
        (Expected("45204", sim_ref("", "89840499"), ""), IMSI, ICCID, True),
        (Expected("45204", sim_ref("", ICCID), ""), IMSI, None, False),
    ],
)
def test_the_wrong_sim_is_told(expected: Expected, imsi: str | None, iccid: str | None, verdict: bool | None) -> None:
    assert is_wrong(expected, imsi, iccid) is verdict


def test_a_reference_shows_nothing_of_the_number() -> None:
    ref = sim_ref("d.example", ICCID)
    assert len(ref) == 16
    assert ref != sim_ref("d.example", ICCID[:-1] + "1")
    assert not any(ICCID[i : i + 6] in ref for i in range(len(ICCID) - 5))


def test_the_wrong_sim_counts_though_it_is_served() -> None:
    served = RadioReading(registration="home", rat="LTE", sim="absent")
    assert service_cause(served) is None, "a registered modem has a SIM, whatever its state says"
    assert service_cause(RadioReading(registration="home", rat="LTE", is_wrong_sim=True)) is Cause.WRONG_SIM
    assert service_cause(RadioReading(registration="unknown")) is Cause.UNKNOWN


def test_a_card_is_judged_once_and_anew_where_another_one_may_be_in_or_is_expected() -> None:
    wanted = [Expected(plmn="45204")]
    card = CardWatch(lambda: wanted[-1])
    assert (card.wants_numbers(), card.is_wrong) == (True, None)
    card.tell([IMSI], [ICCID])
    assert (card.wants_numbers(), card.is_wrong, card.ref) == (False, False, sim_ref("", ICCID))
    card.tell(["ERROR"], [])
    assert (card.is_wrong, card.ref) == (False, sim_ref("", ICCID)), "a refusal takes nothing back"
    for sim in (None, "ready"):
        card.see(sim)
        assert card.is_wrong is False
    for sim in ("absent", "pin", "puk", "busy"):
        card.see(sim)
        assert (card.wants_numbers(), card.is_wrong) == (True, None)
        card.tell([IMSI], [])
    wanted.append(Expected(plmn="45201"))
    assert card.wants_numbers(), "a signed configuration names another operator"
    card.tell([IMSI], [])
    assert card.is_wrong is True
    assert IMSI not in repr(vars(card))
    assert ICCID not in repr(vars(card))


def test_a_modem_that_hides_the_numbers_is_not_asked_for_ever() -> None:
    for expected in (Expected(), Expected(plmn="45204"), Expected(origin="d.example")):
        card = CardWatch(lambda expected=expected: expected)  # type: ignore[misc]
        asked = 0
        while card.wants_numbers():
            card.tell(["ERROR"], [])
            asked += 1
        assert (asked, card.is_wrong, card.ref) == (3, None, None)


class Kept:
    """What a recorder does for the book, and a disk that may refuse."""

    def __init__(self) -> None:
        self.events: list[EventRecord] = []
        self.marks: dict[str, str] = {}
        self.is_refusing = False

    def head(self) -> dict[str, object]:
        stamp = {"boot": "0" * 32, "mono_ms": 1, "clock": "unsynced", "t_src": "none", "fw": "x", "simulated": True}
        return {"v": 1, "probe": "p-test", "epoch": 1, "seq": 0, "prev": "", **stamp}

    def keep_later(self, event: EventRecord, marks: dict[str, str]) -> None:
        self.events.append(event)
        self.marks |= marks

    def remember(self, marks: dict[str, str]) -> None:
        if self.is_refusing:
            raise Unavailable("the disk is full")
        self.marks |= marks


def polled(ref: str | None) -> Observed:
    return Observed(1, 0, 1, None if ref is None else RadioReading(card_ref=ref), None)


def test_another_card_is_an_event_once_and_after_a_restart_too() -> None:
    kept = Kept()
    book = CardBook("m1", kept, None)  # type: ignore[arg-type]
    kept.is_refusing = True
    book.on_poll(polled("a" * 16))
    assert kept.marks == {}
    kept.is_refusing = False
    for ref in ("a" * 16, None, "a" * 16):
        book.on_poll(polled(ref))
    assert (kept.events, kept.marks) == ([], {"card m1": "a" * 16})
    book.on_poll(polled("b" * 16))
    book.on_poll(polled("b" * 16))
    assert [(event.event, event.modem, event.was, event.now) for event in kept.events] == [
        ("sim_changed", "m1", None, None)
    ]
    again = CardBook("m1", kept, kept.marks["card m1"])  # type: ignore[arg-type]
    again.on_poll(polled("b" * 16))
    assert len(kept.events) == 1
    again.on_poll(polled("a" * 16))
    assert len(kept.events) == 2
