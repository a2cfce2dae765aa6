"""Every recorded transcript of the three families and of plain 3GPP, replayed in every way a port can cut it.

Whole, byte by byte, cut in two at every offset, with an unsolicited line between any two lines, with the final code
withheld; and each expected reading comes out. A transcript that is not replayed stands in a table with its reason.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from probe.core.at import Answer, Exchange, Final, LineBuffer, final_of
from probe.core.at_parse import (
    AtParseError,
    bare,
    parse_cesq,
    parse_cops,
    parse_cpin,
    parse_csq,
    parse_registration,
    parse_temperature,
)
from probe.core.bands import downlink_khz
from probe.core.dialect_fibocom import parse_gtccinfo, parse_xcesq, parse_xlec, parse_xmci
from probe.core.dialect_huawei import parse_hcsq, parse_hfreqinfo, parse_monsc, parse_ndisstatqry, parse_sysinfoex
from probe.core.dialect_quectel import parse_qcsq, parse_qeng, parse_qnwinfo
from probe.core.dialect_simcom import parse_cpsi
from probe.core.dialect_zte import parse_zcellinfo, parse_zrssi
from probe.core.dialects import identify
from probe.core.radio import Observation, RadioReading, accept, merge

DATA = Path(__file__).parents[2] / "sim" / "data"

OTHER_BACKEND = {
    "hilink-signal-lte": "tests/probe/test_hilink.py",
    "hilink-signal-blank": "tests/probe/test_hilink.py",
    "zte-mf79u-goform": "tests/probe/test_goform.py",
    "zte-mf833v-usb": "tests/probe/test_usb.py",
    "kernel-e3372h-320-enumeration": "tests/probe/test_usb.py",
    "mmcli-json": "tests/probe/test_mmcli.py",
    "gpsd-3.22-lab": "tests/probe/test_tpv.py and test_gps_transcript.py",
}
OWN_TEST = {"urc-desync-quectel-eg25-pinephone", "huawei-e3372-urc-stream"}

PARSERS: dict[str, Callable[[str], Observation]] = {
    "+CSQ:": parse_csq,
    "+CESQ:": parse_cesq,
    "+CREG:": parse_registration,
    "+CGREG:": parse_registration,
    "+CEREG:": parse_registration,
    "+C5GREG:": parse_registration,
    "+COPS:": parse_cops,
    "+CPIN:": parse_cpin,
    "+CME ERROR:": parse_cpin,
    "^HCSQ:": parse_hcsq,
    "^SYSINFOEX:": parse_sysinfoex,
    "^HFREQINFO:": parse_hfreqinfo,
    "^MONSC:": parse_monsc,
    "+QENG:": parse_qeng,
    "+QCSQ:": parse_qcsq,
    "+QNWINFO:": parse_qnwinfo,
    "+CPSI:": parse_cpsi,
    "+QTEMP:": parse_temperature,
    "+MTSM:": parse_temperature,
    "^NDISSTATQRY:": parse_ndisstatqry,
    "+XMCI:": parse_xmci,
    "+XCESQ:": parse_xcesq,
    "+XLEC:": parse_xlec,
    "+GTCCINFO:": parse_gtccinfo,
    "1,4,": parse_gtccinfo,
    "2,4,": parse_gtccinfo,
    "LTE service": parse_gtccinfo,
    "LTE neighbor": parse_gtccinfo,
    "+ZRSSI:": parse_zrssi,
    "+ZCELLINFO:": parse_zcellinfo,
}

NOT_READ = {
    "note": "prose",
    "imei": "identifies the device; never read",
    "iccid": "identifies the subscriber; never read",
    "mcc": "of the IMSI; never read",
    "mnc": "of the IMSI; never read",
    "arfcn": "GSM channel; no record field",
    "domain": "says which of CREG, CGREG, CEREG was asked",
    "ul_bw_mhz": "no record field",
    "service": "seen as registration",
    "roaming": "seen as registration",
    "rsrq_index": "seen as rsrq_db",
    "rsrp_index": "seen as rsrp_dbm",
    "dialect": "seen as rsrp_dbm",
    "registered_for_data": "seen as registration",
    "neighbours": "no record field",
    "hw_model": "identify asks ATI",
    "simlock": "seen as sim",
    "hilink_webui": "identify asks ATI",
    "mode": "band and mode lock: the probe locks nothing",
    "nwscanmode": "band and mode lock: the probe locks nothing",
    "lte_mask": "band and mode lock: the probe locks nothing",
    "lte_bands": "band and mode lock: the probe locks nothing",
    "apn": "bearer: not the radio's",
    "apn_1": "bearer: not the radio's",
    "dns": "bearer: not the radio's",
    "ipv6_only": "bearer: not the radio's",
    "ipv6": "one bearer of the two is enough",
    "ca_cells": "no record field",
    "utc": "clock: not the radio's",
}


def transcripts() -> list[dict[str, Any]]:
    return [t for name in ("at-transcripts", "at-supplement") for t in json.loads((DATA / f"{name}.json").read_text())]


class Case:
    """One exchange as the port would carry it: what is sent, the bytes that come back, the lines awaited."""

    def __init__(self, transcript: dict[str, Any], index: int) -> None:
        exchange = transcript["exchanges"][index]
        self.name = f"{transcript['id']}-{index}"
        self.expect: dict[str, Any] = exchange.get("expect") or {}
        self.sent: str = exchange["cmd"].rstrip("\r")
        self.octets = _octets(transcript, exchange["rx"])
        self.command = self.sent if self.sent.startswith("AT") else "AT+RECORDED"
        self.prefix = self._prefix()

    def _prefix(self) -> str | None:
        if ";" in self.sent:
            return "+"
        if self.sent in (
            "ATI",
            "AT+GSN",
            "AT+CGSN",
            "AT+CIMI",
            "AT+GMR",
            "AT+QGMR",
            "AT+CCID",
            "EF-ICCID",
            "AT+GMM",
            "AT+GTCCINFO?",
        ):
            return None
        found = re.search(rb"[+^]\w+:", self.octets.replace(b"+CME ERROR:", b""))
        if self.sent.startswith("AT"):
            word = re.match(r"AT([+^]\w+)", self.sent)
            return f"{word[1]}:" if word else ""
        return "+" if found and self.expect.get("urc") else found[0].decode() if found else None


def _octets(transcript: dict[str, Any], rx: str) -> bytes:
    if transcript["id"] == "huawei-e3372-session-noecho":
        rx = re.sub(r" OK$", "\nOK", rx)  # its recorder joined the lines of each answer by a blank
    if not transcript["exact_bytes"]:
        rx = rx.replace("\n", "\r\n")
    if not rx.endswith(("\r\n", "\r")):
        rx += "\r\n"
    if not any(final_of(line.strip()) for line in re.split(r"[\r\n]+", rx)):
        rx += "\r\nOK\r\n"  # cut off by the one who noted the line down
    return rx.encode()


@cache
def cases() -> tuple[Case, ...]:
    kept = [t for t in transcripts() if t["id"] not in OTHER_BACKEND and t["id"] not in OWN_TEST]
    return tuple(Case(t, i) for t in kept for i in range(len(t["exchanges"])))


def replay(case: Case, pieces: list[bytes]) -> Answer | None:
    """Return the answer as it stood when its final code came; what comes behind it is not fed."""
    buffer, exchange = LineBuffer(), Exchange(case.command, case.prefix, 1.0)
    for piece in pieces:
        buffer.feed(piece)
        answer = exchange.feed(buffer.take())
        if answer is not None:
            return answer
    return None


def whole(case: Case) -> Answer:
    answer = replay(case, [case.octets])
    assert answer is not None
    return answer


def essence(answer: Answer | None) -> tuple[Final, str, tuple[str, ...]] | None:
    return None if answer is None else (answer.final, answer.final_line, answer.lines)


def ids(case: Case) -> str:
    return case.name


def test_no_transcript_is_left_out_silently() -> None:
    known = {t["id"] for t in transcripts()}
    assert set(OTHER_BACKEND) <= known
    assert known >= OWN_TEST
    assert all(
        (Path(__file__).parent / where.split()[0].removeprefix("tests/probe/")).exists()
        for where in OTHER_BACKEND.values()
    )
    assert len(known) == 47
    assert len(cases()) > 100


@pytest.mark.parametrize("case", cases(), ids=ids)
def test_a_cut_anywhere_changes_nothing(case: Case) -> None:
    expected = essence(whole(case))
    octets = case.octets
    assert essence(replay(case, [octets[i : i + 1] for i in range(len(octets))])) == expected
    for cut in range(len(octets) + 1):
        assert essence(replay(case, [octets[:cut], octets[cut:]])) == expected


@pytest.mark.parametrize("case", cases(), ids=ids)
def test_an_unsolicited_line_between_any_two_lines_changes_nothing(case: Case) -> None:
    expected = essence(whole(case))
    for urc in (b"\r\n^RSSI:20\r\n", b"\r\nRDY\r\n", b'\r\n^NWTIME:"18/12/13,06:20:04+28,00"\r\n'):
        for place in re.finditer(rb"(?<=\n)(?=[\r\w+^])|(?<=\r)(?=[\w+^])", case.octets):
            octets = case.octets[: place.start()] + urc + case.octets[place.start() :]
            assert essence(replay(case, [octets])) == expected, octets


@pytest.mark.parametrize("case", cases(), ids=ids)
def test_a_withheld_final_code_is_a_time_out_that_keeps_the_lines(case: Case) -> None:
    complete = whole(case)
    end = case.octets.index(complete.final_line.encode(), case.octets.find(b"\n") if complete.lines else 0)
    exchange, buffer = Exchange(case.command, case.prefix, 1.0), LineBuffer()
    buffer.feed(case.octets[:end])
    assert exchange.feed(buffer.take()) is None
    assert exchange.expire(0.999) is None
    answer = exchange.expire(1.0)
    assert answer is not None
    assert answer.final is Final.TIMEOUT
    assert answer.lines == complete.lines


def observed(answer: Answer) -> list[tuple[str, Observation | None]]:
    lines = [*answer.lines, *([answer.final_line] if answer.final is Final.CME else [])]
    return [(line, _parse(line)) for line in lines if _parser(line) is not None]


def _parser(line: str) -> Callable[[str], Observation] | None:
    return next((parse for prefix, parse in PARSERS.items() if line.startswith(prefix)), None)


def _parse(line: str) -> Observation | None:
    parse = _parser(line)
    assert parse is not None
    try:
        return parse(line)
    except AtParseError:
        return None


STATS = ("not_registered", "home", "searching", "denied", "unknown", "roaming", "limited")
ACTS = {0: "GSM", 3: "GSM", 7: "LTE", 9: None, 11: "NR_SA", 13: "NR_NSA"}
LEVELS = {
    "rsrp_dbm": "rsrp_dbm_x10",
    "rsrq_db": "rsrq_db_x10",
    "sinr_db": "sinr_db_x10",
    "rssi_dbm": "rssi_dbm_x10",
    "rxlev_dbm": "rssi_dbm_x10",
    "temp_c": "temp_c_x10",
    "temperature_c": "temp_c_x10",
}
RAW_LEVELS = {"rscp_dbm": "rscp_dbm_x10", "ecio_db": "ecio_db_x10"}
PLACES = {"tac": "tac", "lac": "tac", "ci": "eci", "pci": "pci", "earfcn": "earfcn", "band": "band", "plmn": "plmn"}
SEEN = {"psc": "psc", "uarfcn": "uarfcn", "sinr_raw": "rssnr_raw", "operator_name": "operator_name"}


def found(key: str, answer: Answer, expected: Any) -> tuple[Any, Any]:
    """Return what came out for one expected key, and what had to, in the scale of the reading."""
    pairs = observed(answer)
    seen = [each for _, each in pairs if each is not None]
    reading = merge(accept(each, line) for line, each in pairs if each is not None)
    first = lambda name: next((v for each in seen if (v := getattr(each, name)) is not None), None)  # noqa: E731
    x10 = None if not isinstance(expected, int | float) else round(expected * 10)
    if key in LEVELS:
        return getattr(reading, LEVELS[key]), x10
    if key in RAW_LEVELS:
        return first(RAW_LEVELS[key]), x10
    if key in PLACES:
        return getattr(reading, PLACES[key]), expected
    if key in SEEN:
        return first(SEEN[key]), expected
    return found_word(key, answer, reading, expected, first)


def found_word(
    key: str, answer: Answer, reading: RadioReading, expected: Any, first: Callable[[str], Any]
) -> tuple[Any, Any]:
    pairs = observed(answer)
    rats = [s.rat for _, s in pairs if s is not None and s.rat is not None]
    words: dict[str, Callable[[], tuple[Any, Any]]] = {
        "rat": lambda: (next(iter(rats), None), "UMTS" if expected == "WCDMA" else expected),
        "act": lambda: (reading.rat, None if expected is None else ACTS[expected]),
        "reg_stat": lambda: (reading.registration, STATS[expected]),
        "registered": lambda: (reading.is_registered, expected),
        "state": lambda: (reading.registration, {"LIMSRV": "limited", "SEARCH": "searching"}[expected]),
        "sim": lambda: (reading.sim, {"network-locked": "wrong", 1: "ready"}.get(expected, expected)),
        "valid": lambda: ([s is not None for _, s in pairs], [expected]),
        "dl_bw_mhz": lambda: (reading.bandwidth_khz, round(expected * 1000)),
        "bw_mhz": lambda: (reading.bandwidth_khz, round(expected[0] * 1000)),
        "sinr_db_estimate": lambda: (first("rssnr_raw"), round(2 * expected)),
        "ipv4": lambda: (reading.pdp, "up" if expected else "down"),
        "dl_mhz": lambda: (downlink_khz(reading.earfcn or -1), expected * 1000),
        "model": lambda: (identify(_labelled(answer)).model, expected),
        "firmware": lambda: (identify(answer.lines).firmware or answer.lines[0], expected),
        "final": lambda: ("ERROR" if answer.final is Final.UNSUPPORTED else answer.final.name, expected),
        "error": lambda: (answer.final.value, expected),
        "cme": lambda: (answer.final_line, f"+CME ERROR: {expected}"),
        "cme_text": lambda: (answer.final_line, f"+CME ERROR: {expected}"),
        "urc": lambda: (bool(pairs), expected),
    }
    return words[key]()


def _labelled(answer: Answer) -> list[str]:
    """The lines as `AtModem` gives them to `identify`: those of +GMM alone behind a label."""
    return [f"Model: {bare(line)}" for line in answer.lines] if answer.command == "AT+GMM" else list(answer.lines)


@pytest.mark.parametrize("case", cases(), ids=ids)
def test_every_expected_reading_comes_out(case: Case) -> None:
    answer = whole(case)
    for key, expected in case.expect.items():
        if key in NOT_READ:
            continue
        out, due = found(key, answer, expected)
        assert out == due, f"{key} of {answer.lines}"


FAMILIES = {
    "huawei-e3372-ident": "huawei",
    "huawei-e3372-ati-version": "huawei",
    "urc-after-ok-sim7600a": "simcom",
    "simcom-sim7600e-2g": "simcom",
    "quectel-eg25-ident": "quectel",
    "fibocom-l850-ident-lock": "fibocom-intel",
}
"""The recordings that hold a modem's own identity lines."""


def test_the_dialect_is_chosen_from_the_modems_own_identity_lines() -> None:
    asked = {"ATI", "AT+GMM", "AT+GMM?", "AT+CGMM", "AT+CGMI"}
    told = [case for case in cases() if case.sent in asked]
    names = {case.name.rpartition("-")[0] for case in told}
    assert names == set(FAMILIES), "every recording with such lines stands in the table"
    for case in told:
        assert identify(_labelled(whole(case))).family == FAMILIES[case.name.rpartition("-")[0]], case.name


def test_every_reason_not_to_read_a_key_is_needed() -> None:
    used = {key for case in cases() for key in case.expect}
    assert set(NOT_READ) <= used | {"nwscanmode"}


def desync_chunks() -> Iterator[tuple[str, bytes]]:
    for transcript in transcripts():
        if transcript["id"] == "urc-desync-quectel-eg25-pinephone":
            for exchange in transcript["exchanges"]:
                yield exchange["cmd"].rstrip("\r"), exchange["rx"].encode()


def test_an_off_by_one_session_never_answers_the_wrong_command() -> None:
    """PinePhone's EG25-G after boot: two URCs in place of answers, then each answer one command late."""
    chunks = list(desync_chunks())
    answers = []
    buffer = LineBuffer()
    for sent, octets in chunks[:5]:
        prefix = "" if sent == "AT" else f"{sent[2:].rstrip('?')}:"
        exchange = Exchange(sent, prefix, 1.0)
        buffer.feed(octets)
        answers.append(exchange.feed(buffer.take()) or exchange.expire(1.0))
    assert [a.final for a in answers if a] == [Final.TIMEOUT] * 5
    assert all(a is not None and not a.lines for a in answers)
    assert answers[3] is not None
    assert "+CREG: 0,4" in answers[3].unsolicited


def test_an_answer_split_between_two_reads_is_one_answer() -> None:
    chunks = list(desync_chunks())
    buffer, exchange = LineBuffer(), Exchange("AT+CREG?", "+CREG:", 1.0)
    buffer.feed(chunks[5][1])
    assert exchange.feed(buffer.take()) is None
    buffer.feed(chunks[6][1])
    answer = exchange.feed(buffer.take())
    assert answer is not None
    assert [parse_registration(line).registration for line in answer.lines] == ["home"]


def test_the_unsolicited_stream_of_an_e3372_is_read_and_masks_nothing() -> None:
    transcript = next(t for t in transcripts() if t["id"] == "huawei-e3372-urc-stream")
    exchange = transcript["exchanges"][0]
    octets = exchange["rx"].replace("\n", "\r\n").encode()
    buffer = LineBuffer()
    for i in range(len(octets)):
        buffer.feed(octets[i : i + 1])
    lines = buffer.take()
    assert len(lines) == 11
    readings = [accept(parse_hcsq(line), line) for line in lines if line.startswith("^HCSQ:")]
    for reading, expected in zip(readings, (exchange["expect"]["first"], exchange["expect"]["second"]), strict=False):
        assert reading.rat == expected["rat"]
        for key in ("rssi_dbm", "rsrp_dbm", "sinr_db", "rsrq_db"):
            due = None if expected[key] is None else round(expected[key] * 10)
            assert getattr(reading, LEVELS[key]) == due
        assert reading.raw is None


def test_a_positive_rssi_is_refused_alone_and_its_line_kept() -> None:
    line = '+QCSQ: "LTE",85,-124,55,-18'
    reading = accept(parse_qcsq(line), line)
    assert (reading.rssi_dbm_x10, reading.rsrp_dbm_x10, reading.raw) == (None, -1240, line)


def test_dual_connectivity_is_told_apart_from_plain_lte() -> None:
    case = next(c for c in cases() if c.name == "quectel-qeng-endc-0")
    reading = merge(accept(seen, line) for line, seen in observed(whole(case)) if seen is not None)
    assert (reading.rat, reading.band, reading.earfcn) == ("NR_NSA", 1, 150)
