"""The list of checks as data: every failure class is red, with a remedy in both languages."""

from __future__ import annotations

import string
from dataclasses import replace

import pytest

from probe.core import cause_words, doctor_words
from probe.core.doctor import Finding, Verdict, code, examine, is_green, is_settled, may_test, not_green
from probe.core.doctor_facts import AckFacts, BrokerFacts, Facts, GpsFacts, ModemFacts, ShortTest, Step
from probe.core.radio import RadioReading
from wire import visit
from wire.failure import Cause

RECORD = visit.Named(1, 8, "x")
READING = RadioReading(rat="LTE", registration="home", plmn="45204", band=3, rsrp_dbm_x10=-880, sim="ready")
TESTED = ShortTest(word="done", outcome="ok", path="ok", downlink_bps=20_000_000, uplink_bps=5_000_000, record=RECORD)
MODEM = ModemFacts(
    id="m1",
    plmn="45204",
    is_polled=True,
    reading=READING,
    apn=Step(None, "10.1.2.3"),
    dns=Step(None, "198.18.0.1"),
    portal=Step(None, "60 ms"),
    test=TESTED,
)
GOOD = Facts(
    is_host_read=True,
    throttled_bits=0,
    cpu_temp_c_x10=520,
    disk_free_bytes=9_000_000_000,
    modems=(MODEM,),
    clock="trusted",
    clock_source="ntp",
    gps=GpsFacts(is_configured=True, is_heard=True, is_surveyed=True, fix_mode=3, sats_used=9, offset_m=12),
    broker=BrokerFacts(is_configured=True, is_connected=True),
    ack=AckFacts(epoch=1, seq=9),
)


def modem(**changes: object) -> Facts:
    return replace(GOOD, modems=(replace(MODEM, **changes),))  # type: ignore[arg-type]


def found(facts: Facts, check: str) -> Finding:
    return next(finding for finding in examine(facts) if finding.check == check)


def test_station_that_is_well_is_green_in_the_stated_order() -> None:
    findings = examine(GOOD)
    assert tuple(finding.check for finding in findings) == visit.CHECKS
    assert {finding.verdict for finding in findings} == {Verdict.OK}
    assert is_green(findings)
    assert not_green(findings) == ()
    assert code("p-test", findings, RECORD) == visit.result_code("p-test", RECORD, ())


RED: dict[str, tuple[Facts, str, str]] = {
    "undervoltage": (replace(GOOD, throttled_bits=0x50005), "power", "undervoltage"),
    "undervoltage before": (replace(GOOD, throttled_bits=0x50000), "power", "undervoltage_seen"),
    "hot": (replace(GOOD, cpu_temp_c_x10=830), "power", "overheated"),
    "throttled": (replace(GOOD, throttled_bits=4), "power", "overheated"),
    "card full": (replace(GOOD, disk_free_bytes=5_000_000), "card", "low_disk"),
    "card unreadable": (replace(GOOD, disk_free_bytes=None), "card", "unreadable"),
    "card read-only": (replace(GOOD, spool_said="read-only"), "card", "disk_error"),
    **{
        cause.value: (modem(cause=cause, reading=None), "modem", cause.value)
        for cause in (Cause.NO_MODEM, Cause.MODEM_MUTE, Cause.MODEM_ERROR)
    },
    **{
        cause.value: (modem(cause=cause, reading=RadioReading()), "sim", cause.value)
        for cause in (Cause.NO_SIM, Cause.SIM_LOCKED, Cause.SIM_PUK, Cause.WRONG_SIM)
    },
    **{
        cause.value: (modem(cause=cause, reading=RadioReading(sim="ready")), "registration", cause.value)
        for cause in (Cause.DENIED, Cause.NOT_REGISTERED, Cause.LIMITED_SERVICE, Cause.UNKNOWN)
    },
    "other network": (modem(reading=replace(READING, plmn="45201")), "registration", "wrong_sim"),
    "3G": (modem(reading=replace(READING, rat="UMTS")), "registration", "not_lte"),
    "weak": (modem(reading=replace(READING, rsrp_dbm_x10=-1180)), "signal", "poor"),
    **{
        f"apn {cause.value}": (modem(apn=Step(cause)), "apn", cause.value)
        for cause in (Cause.NO_INTERFACE, Cause.NO_PDP, Cause.NO_IPV4)
    },
    "dns": (modem(dns=Step(Cause.NO_DNS)), "dns", "no_dns"),
    "dns lies": (modem(dns=Step(Cause.CAPTIVE)), "dns", "captive"),
    **{
        f"portal {cause.value}": (modem(portal=Step(cause)), "portal", cause.value)
        for cause in (Cause.CAPTIVE, Cause.PLAN_EXPIRED, Cause.NO_INTERNET, Cause.SERVER_UNREACHABLE, Cause.TIMEOUT)
    },
    **{
        f"plan {cause.value}": (modem(plan=cause), "portal", cause.value)
        for cause in (Cause.PLAN_EXPIRED, Cause.PLAN_THROTTLED, Cause.DATA_EXHAUSTED)
    },
    "no bearer": (modem(cause=Cause.NO_PDP), "apn", "no_pdp"),
    "clock not set": (replace(GOOD, clock="unsynced"), "clock", "unsynced"),
    "clock absurd": (replace(GOOD, clock="suspect"), "clock", "suspect"),
    "no place": (replace(GOOD, gps=GpsFacts()), "gps", "nowhere"),
    "no receiver": (replace(GOOD, gps=GpsFacts(is_configured=True)), "gps", "no_receiver"),
    "no fix": (replace(GOOD, gps=GpsFacts(is_configured=True, is_heard=True)), "gps", "no_fix"),
    "elsewhere": (
        *(replace(GOOD, gps=GpsFacts(is_configured=True, is_heard=True, fix_mode=3, offset_m=201)), "gps", "moved"),
    ),
    "no broker": (replace(GOOD, broker=BrokerFacts()), "broker", "not_configured"),
    "broker silent": (
        *(replace(GOOD, broker=BrokerFacts(is_configured=True, trouble="cannot be reached")), "broker", "unreachable"),
    ),
    "broker refuses": (
        *(replace(GOOD, broker=BrokerFacts(is_configured=True, trouble="x refused this probe")), "broker", "refused"),
    ),
    "broker and clock": (
        replace(GOOD, clock="unsynced", broker=BrokerFacts(is_configured=True, trouble="certificate not yet valid")),
        *("broker", "clock"),
    ),
    "way": (modem(test=replace(TESTED, path="invalid_isolation")), "test", "path"),
    **{
        f"test {cause.value}": (modem(test=ShortTest(word="done", outcome="failed", cause=cause)), "test", cause.value)
        for cause in Cause
    },
    "partial": (modem(test=replace(TESTED, outcome="partial", cause=Cause.CUT_OFF)), "test", "cut_off"),
    "no ack": (replace(GOOD, ack=AckFacts(waiting=3, waited_s=61)), "ack", "late"),
}


@pytest.mark.parametrize("name", RED)
def test_every_failure_class_is_red_and_says_what_to_do_in_both_languages(name: str) -> None:
    facts, check, word = RED[name]
    finding = found(facts, check)
    assert (finding.verdict, finding.word) == (Verdict.BAD, word)
    for language in doctor_words.LANGUAGES:
        assert len(doctor_words.says(finding, language)) > 4
        remedy = doctor_words.remedy(finding, language)
        assert remedy is not None
        assert len(remedy) > 8
        assert "{" not in remedy
    assert not is_green(examine(facts))
    assert check in not_green(examine(facts))


@pytest.mark.parametrize("cause", [*Cause])
def test_every_cause_has_words_of_its_own(cause: Cause) -> None:
    assert cause.value in cause_words.CAUSES


@pytest.mark.parametrize("word", doctor_words.WORDS)
def test_languages_are_at_par(word: str) -> None:
    """Both languages say and do, both take the same values, and neither is a copy of the other."""
    words = doctor_words.WORDS[word]
    assert bool(words.vi_do) == bool(words.en_do)
    assert words.vi != words.en
    for vi, en in ((words.vi, words.en), (words.vi_do or "", words.en_do or "")):
        assert fields(vi) == fields(en)
        assert vi.strip() == vi
        assert en.isascii() or set(en) - set(string.printable) <= set("…“”−°")


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def test_every_check_has_a_title_and_no_other() -> None:
    assert tuple(doctor_words.TITLES) == visit.CHECKS


def test_what_stands_on_a_red_check_is_skipped_and_names_it() -> None:
    findings = examine(modem(cause=Cause.NO_SIM, reading=RadioReading(), test=ShortTest(word="none")))
    later = [
        finding for finding in findings if finding.check in ("registration", "signal", "apn", "dns", "portal", "test")
    ]
    assert len(later) == 6
    assert all((f.verdict, f.word, f.values["check"]) == (Verdict.SKIPPED, "first", "sim") for f in later)
    assert "SIM" in doctor_words.says(later[0], "vi")
    assert found(GOOD, "clock").verdict is Verdict.OK


def test_weak_signal_is_red_but_holds_nothing_back() -> None:
    findings = examine(modem(reading=replace(READING, rsrp_dbm_x10=-1180), test=ShortTest(word="none")))
    assert may_test(findings, "m1")
    assert not_green(findings) == ("signal", "test", "ack")


def test_nothing_known_yet_waits_and_gives_no_code() -> None:
    findings = examine(Facts(modems=(ModemFacts(id="m1", test=ShortTest(word="none")),)))
    assert {finding.verdict for finding in findings} == {Verdict.WAIT}
    assert not is_settled(findings)
    assert code("p-test", findings, RECORD) is None


def test_searching_waits_for_it_often_ends_by_itself() -> None:
    searching = found(modem(cause=Cause.SEARCHING, reading=RadioReading(sim="ready")), "registration")
    assert searching.verdict is Verdict.WAIT
    assert doctor_words.remedy(searching, "vi")


def test_visit_without_a_test_is_never_green_to_the_office() -> None:
    findings = examine(modem(test=ShortTest()))
    assert is_green(findings), "the exit status says that nothing is wrong"
    assert not_green(findings) == ("test",), "the code says that nothing was measured"


def test_ack_counts_only_when_it_covers_the_visits_own_test() -> None:
    older = replace(GOOD, ack=AckFacts(epoch=1, seq=7, waiting=1, waited_s=3))
    assert found(older, "ack").verdict is Verdict.WAIT
    assert found(replace(GOOD, ack=AckFacts(epoch=2, seq=0)), "ack").verdict is Verdict.OK


def test_receipt_that_is_late_without_a_way_out_is_not_blamed_on_the_office() -> None:
    waiting = AckFacts(epoch=1, seq=7, waiting=3, waited_s=99)
    out = replace(MODEM, cause=Cause.NO_SIM, reading=RadioReading(), test=ShortTest(word="none"))
    held = found(replace(GOOD, ack=waiting, modems=(out,)), "ack")
    assert (held.verdict, held.values["check"]) == (Verdict.SKIPPED, "sim")
    other = replace(MODEM, id="m2", test=ShortTest())
    assert found(replace(GOOD, ack=waiting, modems=(out, other)), "ack").word == "late"


def test_two_modems_each_have_their_lines_and_share_the_rest() -> None:
    second = replace(MODEM, id="m2", cause=Cause.NO_MODEM, reading=None, test=ShortTest(word="none"))
    findings = examine(replace(GOOD, modems=(MODEM, second)))
    assert [f.modem for f in findings if f.check == "modem"] == ["m1", "m2"]
    assert sum(f.check == "clock" for f in findings) == 1
    assert may_test(findings, "m1")
    assert not may_test(findings, "m2")
    assert not_green(findings) == ("modem", "test")
