"""The table of dialects: families told apart, polls planned, answers read."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from probe.core.at import Answer, Exchange, Final
from probe.core.dialect_fibocom import parse_gtccinfo
from probe.core.dialect_huawei import parse_sysinfoex
from probe.core.dialects import (
    DIALECTS,
    Query,
    family_of,
    identify,
    next_query,
    read_answer,
)
from probe.core.radio import RadioReading, Registration, merge


def commands(family: str, known: RadioReading) -> list[str]:
    asked: list[str] = []
    query, rest = next_query(DIALECTS[family].queries, known)
    while query is not None:
        asked.append(query.command)
        query, rest = next_query(rest, known)
    return asked


def query_of(family: str, command: str) -> Query:
    return next(query for query in DIALECTS[family].queries if query.command == command)


def answer(query: Query, *lines: str) -> Answer:
    found = Exchange(query.command, query.prefix, 1.0).feed(lines)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (
            ["Manufacturer: huawei", "Model: E3372", "Revision: 22.329.63.00.74", "IMEI: 490154203237518"],
            ("huawei", "E3372", "22.329.63.00.74", "huawei"),
        ),
        (["Quectel", "EG25", "Revision: EG25GGBR07A08M2G"], ("Quectel", "EG25", "EG25GGBR07A08M2G", "quectel")),
        (
            ["Manufacturer: SIMCOM INCORPORATED", "Model: SIMCOM_SIM7600A-H", "Revision: SIM7600A-H_V1.1", "SVN: 03"],
            ("SIMCOM INCORPORATED", "SIMCOM_SIM7600A-H", "SIM7600A-H_V1.1", "simcom"),
        ),
        (["Fibocom", "L850"], ("Fibocom", "L850", None, "fibocom-intel")),
        (
            ["Manufacturer: Fibocom Wireless Inc.", "Model: FM350-GL", "Revision: 81600.0000.00.29.20.22"],
            ("Fibocom Wireless Inc.", "FM350-GL", "81600.0000.00.29.20.22", "fibocom"),
        ),
        (["Manufacturer: INCORPORATED", "Model: A7670E"], ("INCORPORATED", "A7670E", None, "simcom-a76")),
        (['+CGMI: "Fibocom"', '+CGMM: "L860 LTE Module","L860"'], ("Fibocom", "L860", None, "fibocom-intel")),
        (["Manufacturer: ZTE CORPORATION", "Model: ME3630"], ("ZTE CORPORATION", "ME3630", None, "zte")),
        ([], (None, None, None, "generic")),
    ],
)
def test_identify_reads_labelled_and_bare_answers(lines: list[str], expected: tuple[str | None, ...]) -> None:
    who = identify(lines)
    assert (who.manufacturer, who.model, who.firmware, who.family) == expected
    assert "490154203237518" not in repr(who)


def test_family_is_generic_without_a_known_word() -> None:
    assert family_of(None, None) == "generic"
    assert family_of("Sierra Wireless", "MC7455") == "generic"


@pytest.mark.parametrize("family", list(DIALECTS))
def test_no_dialect_sends_what_breaks_modems(family: str) -> None:
    """CFUN=0 or 4, COPS=2 and CGATT=0 leave an E3372 refusing every write; COPS=? drops data; ATZ loses settings."""
    row = DIALECTS[family]
    sent = [*row.init, row.restart]
    sent += [c for q in row.queries for c in (q.before, q.command, q.after) if c is not None]
    forbidden = re.compile(r"AT(\+CFUN=[04](?!\d)|\+COPS=2|\+COPS=\?|\+CGATT=0|Q0|Z)")
    assert not [command for command in sent if forbidden.match(command)]
    assert not [command for command in sent if ";" in command], "one command in flight"
    assert not [command for command in sent if re.search(r"CGSN|GSN|CIMI|ICCID|CCID", command)], "no identities"


@pytest.mark.parametrize("family", list(DIALECTS))
def test_every_query_keeps_within_the_time_it_is_allowed(family: str) -> None:
    assert all(1.0 <= query.timeout_s <= 10.0 for query in DIALECTS[family].queries)
    assert DIALECTS[family].queries[-1].command == "AT+CPIN?", "what may take 10 s comes last"


@pytest.mark.parametrize("family", list(DIALECTS))
def test_a_bare_ok_is_never_followed_by_another(family: str) -> None:
    """A late OK would pass for an answer twice; the question between two such questions finds it out."""
    asked_always = [query for query in DIALECTS[family].queries if query.unless_known is None]
    assert not [query for query, behind in pairwise(asked_always) if query.may_be_bare and behind.may_be_bare]


def test_every_family_has_a_name_and_words_of_its_own() -> None:
    assert all(name == row.name for name, row in DIALECTS.items())
    assert list(DIALECTS)[-1] == "generic"
    words = [word for row in DIALECTS.values() for word in row.words]
    assert len(words) == len(set(words))


@pytest.mark.parametrize(
    ("text", "band", "earfcn"), [("189C", 120, 6300), ("1300", 103, 1300), ("3750", 108, 3750), ("100", 100, None)]
)
def test_a_fibocom_channel_is_read_in_the_base_that_fits_its_band(text: str, band: int, earfcn: int | None) -> None:
    seen = parse_gtccinfo(f"1,4,262,02,BFD3,2D4201,{text},30,{band},50,16,42,42,26")
    assert (seen.earfcn, seen.rsrp_dbm_x10) == (earfcn, None)


def answers(query: Query, *lines: str) -> str | None:
    return read_answer(query, answer(query, *lines)).pdp


def test_a_bearer_is_down_only_if_nothing_says_that_it_is_up() -> None:
    cgact, cgpaddr = query_of("generic", "AT+CGACT?"), query_of("generic", "AT+CGPADDR=1")
    assert answers(cgact, "+CGACT: 1,1", "OK") == "up"
    assert answers(cgact, "+CGACT: 1,0", "+CGACT: 2,0", "OK") == "down"
    assert answers(cgact, "+CGACT: 1,0", "+CGACT: 5,1", "OK") == "up", "ModemManager may dial by any context"
    assert answers(cgact, "+CGACT: 1,", "+CGACT: x,2", "OK") is None
    assert answers(cgact, "OK") is None
    assert answers(cgpaddr, '+CGPADDR: 1,"10.66.1.2"', "OK") == "up"
    assert answers(cgpaddr, '+CGPADDR: 1,"0.0.0.0"', "OK") == "down"
    assert answers(cgpaddr, '+CGPADDR: 1,"0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0"', "OK") == "down"
    assert answers(cgpaddr, "+CGPADDR: 1", "OK") == "down"
    assert answers(cgpaddr, "ERROR") is None
    assert merge((RadioReading(pdp="down"), RadioReading(pdp="up"))).pdp == "up"


def test_a_huawei_is_restarted_by_the_command_that_restarts_it() -> None:
    assert DIALECTS["huawei"].restart == "AT^RESET"
    assert "AT^CURC=0" in DIALECTS["huawei"].init


def test_plan_leaves_out_what_is_known_already() -> None:
    assert commands("generic", RadioReading()) == [
        "AT+CEREG?",
        "AT+CGREG?",
        "AT+CREG?",
        "AT+CGACT?",
        "AT+COPS?",
        "AT+CGPADDR=1",
        "AT+CESQ",
        "AT+CSQ",
        "AT+CPIN?",
    ]
    known = RadioReading(registration="home", rsrp_dbm_x10=-900, rssi_dbm_x10=-700)
    assert commands("generic", known) == [
        *("AT+CEREG?", "AT+CGREG?", "AT+CGACT?", "AT+COPS?", "AT+CGPADDR=1", "AT+CPIN?")
    ]


@pytest.mark.parametrize(
    ("final_line", "sim"),
    [
        ("+CME ERROR: SIM not inserted", "absent"),
        ("+CME ERROR: 10", "absent"),
        ("+CME ERROR: 11", "pin"),
        ("+CME ERROR: 12", "puk"),
        ("+CME ERROR: 13", "unknown"),
        ("+CME ERROR: SIM busy", "busy"),
        ("+CME ERROR: 14", "busy"),
        ("+CME ERROR: SIM wrong", "wrong"),
        ("ERROR", None),
    ],
)
def test_the_error_in_place_of_cpin_is_the_sim_state(final_line: str, sim: str | None) -> None:
    query = query_of("generic", "AT+CPIN?")
    assert read_answer(query, answer(query, final_line)).sim == sim


def test_an_error_in_place_of_another_answer_says_nothing() -> None:
    query = query_of("quectel", "AT+QTEMP")
    assert read_answer(query, answer(query, "+CME ERROR: 10")) == RadioReading()


def test_a_time_out_still_gives_the_lines_that_came() -> None:
    query = query_of("generic", "AT+CSQ")
    late = Answer(query.command, Final.TIMEOUT, "", ("+CSQ: 18,99",), ())
    assert read_answer(query, late).rssi_dbm_x10 == -770


def test_a_line_that_cannot_be_read_ends_in_raw() -> None:
    query = query_of("simcom", "AT+CPSI?")
    line = "+CPSI: LTE,Online,250-20,0x4D07,200468789,0,EUTRAN-BAND0,4294967295,0,0,0,0,0,0"
    assert read_answer(query, answer(query, line, "OK")) == RadioReading(raw=line)


@pytest.mark.parametrize(
    ("line", "registration"),
    [
        ('^SYSINFOEX:2,3,0,1,,6,"LTE",101,"LTE"', "home"),
        ('^SYSINFOEX:2,3,1,1,,6,"LTE",101,"LTE"', "roaming"),
        ('^SYSINFOEX:2,1,0,1,,3,"WCDMA",41,"WCDMA"', "limited"),
        ('^SYSINFOEX:1,0,0,1,,6,"LTE",101,"LTE"', "limited"),
        ('^SYSINFOEX:0,4,0,1,,0,"NO SERVICE",0,"NO SERVICE"', "searching"),
        ('^SYSINFOEX:0,0,0,255,,0,"NO SERVICE",0,"NO SERVICE"', "not_registered"),
    ],
)
def test_sysinfoex_tells_service_without_data_from_service(line: str, registration: Registration) -> None:
    assert parse_sysinfoex(line).registration == registration
