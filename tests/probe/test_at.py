"""The AT protocol core: framing, finals, echoes, stale answers, and the tolerant readers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.core.at import LINE_LIMIT_BYTES, Answer, Exchange, Final, LineBuffer, final_of
from probe.core.at_parse import (
    AtParseError,
    parse_cesq,
    parse_cops,
    parse_cpin,
    parse_csq,
    parse_registration,
    parse_temperature,
    to_float,
    to_int,
)
from probe.core.bands import band_of, downlink_khz
from probe.core.dialect_huawei import parse_hcsq
from probe.core.dialect_quectel import parse_qcsq, parse_qeng
from probe.core.dialect_simcom import parse_cpsi
from probe.core.radio import Observation, RadioReading, accept, mask_raw, merge, outage_cause, summarise


def lines_of(octets: bytes) -> tuple[str, ...]:
    buffer = LineBuffer()
    buffer.feed(octets)
    return buffer.take()


def answer_of(command: str, prefix: str | None, octets: bytes) -> Answer | None:
    return Exchange(command, prefix, 1.0).feed(lines_of(octets))


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (b"AT\r\r\nOK\r\n", ("AT", "OK")),
        (b"\r\n\r\n\r\n", ()),
        (b"+CSQ: 18,99\n\nOK\n", ("+CSQ: 18,99", "OK")),
        (b"\0\0\r\n+CPIN: READY \r\n", ("+CPIN: READY",)),
        (b"no end", ()),
        (b"\r\n> ", ("> ",)),
    ],
)
def test_line_buffer_splits_on_any_run_of_line_ends(octets: bytes, expected: tuple[str, ...]) -> None:
    assert lines_of(octets) == expected


@given(st.binary(max_size=200), st.integers(0, 200))
def test_line_buffer_gives_the_same_lines_however_the_bytes_are_cut(octets: bytes, cut: int) -> None:
    octets = octets.replace(b">", b"")  # a prompt has no end, so where it stands alone depends on the cut
    buffer = LineBuffer()
    buffer.feed(octets[:cut])
    buffer.feed(octets[cut:])
    assert buffer.take() == lines_of(octets)


def test_line_buffer_drops_a_flood_without_line_ends() -> None:
    buffer = LineBuffer()
    for _ in range(100):
        buffer.feed(b"\x7e" * 1000)
    buffer.feed(b"\r\nOK\r\n")
    assert buffer.take()[-1] == "OK"
    assert buffer.dropped_bytes > 100_000 - 2 * LINE_LIMIT_BYTES


@pytest.mark.parametrize(
    ("line", "final"),
    [
        ("OK", Final.OK),
        ("ERROR", Final.ERROR),
        ("+CME ERROR: 10", Final.CME),
        ("+CME ERROR: SIM busy", Final.CME),
        ("+CMS ERROR: 302", Final.CMS),
        ("NO CARRIER", Final.NO_CARRIER),
        ("COMMAND NOT SUPPORT", Final.UNSUPPORTED),
        ("> ", Final.PROMPT),
        ("OKLAHOMA", None),
        ("+COPS: 0,0,OK", None),
        ("ERRORS: 0", None),
    ],
)
def test_final_of_compares_whole_lines(line: str, final: Final | None) -> None:
    assert final_of(line) is final


def test_exchange_drops_the_echo_and_keeps_the_awaited_prefix() -> None:
    answer = answer_of("AT+CSQ", "+CSQ:", b"AT+CSQ\r\r\n^RSSI:20\r\n+CSQ: 18,99\r\n\r\nOK\r\nRDY\r\n")
    assert answer is not None
    assert answer.ok
    assert answer.lines == ("+CSQ: 18,99",)
    assert answer.unsolicited == ("^RSSI:20", "RDY")


def test_exchange_never_takes_the_answer_to_another_command() -> None:
    exchange = Exchange("AT+CREG?", "+CREG:", 1.0)
    assert exchange.feed(lines_of(b"AT\r\r\nOK\r\n")) is None
    answer = exchange.feed(lines_of(b"AT+CREG?\r\r\n+CREG: 0,4\r\n\r\nOK\r\n"))
    assert answer is not None
    assert answer.lines == ("+CREG: 0,4",)


def test_exchange_sets_aside_what_stands_before_the_echo() -> None:
    answer = answer_of("AT+CPIN?", "+CPIN:", b"\n+CPIN: NOT READY\nAT+CPIN?\n\n+CPIN: READY\n\nOK\n")
    assert answer is not None
    assert answer.lines == ("+CPIN: READY",)


def test_exchange_without_a_prefix_leaves_unsolicited_lines_out() -> None:
    answer = answer_of("AT+CGMM", None, b"RDY\r\n^BOOT:1\r\nEC25\r\n+CPIN: READY\r\nATEL\r\n\r\nOK\r\n")
    assert answer is not None
    assert answer.lines == ("EC25", "ATEL")


def test_exchange_expires_at_its_deadline_with_the_lines_that_came() -> None:
    exchange = Exchange("AT+CSQ", "+CSQ:", 5.0)
    assert exchange.feed(["+CSQ: 18,99"]) is None
    assert exchange.expire(4.999) is None
    answer = exchange.expire(5.0)
    assert answer is not None
    assert (answer.final, answer.lines) == (Final.TIMEOUT, ("+CSQ: 18,99",))


@pytest.mark.parametrize(
    ("text", "base", "expected"),
    [
        ("18", 10, 18),
        (' "18" ', 10, 18),
        ("", 10, None),
        ("-", 10, None),
        ("-7.-50", 10, None),
        ("1_0", 10, None),
        ("0x3F29", 16, 0x3F29),
        ("00A8", 16, 168),
        ("FFFFFFFFF" * 600, 10, None),
    ],
)
def test_to_int_is_none_for_all_but_an_integer(text: str, base: int, expected: int | None) -> None:
    assert to_int(text, base) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("-78.00", -78.0), ('"12"', 12.0), ("-7.-50", None), ("nan", None), ("-", None), ("1e9", None)],
)
def test_to_float_is_none_for_all_but_a_decimal(text: str, expected: float | None) -> None:
    assert to_float(text) == expected


PARSERS = (
    parse_cesq,
    parse_cops,
    parse_cpin,
    parse_csq,
    parse_registration,
    parse_hcsq,
    parse_qcsq,
    parse_qeng,
    parse_cpsi,
    parse_temperature,
)
PREFIXES = ("+CSQ:", "+CESQ:", "+CEREG:", "+COPS:", "+CPIN:", "^HCSQ:", "+QCSQ:", "+QENG:", "+CPSI:", "+QTEMP:", "")
FIELDS = st.one_of(
    st.integers(-99999, 99999).map(str),
    st.sampled_from(['"LTE"', "LTE", "WCDMA", '"servingcell"', '"LIMSRV"', "Online", "-", "", '"', "0x", "9" * 400]),
    st.text(max_size=6),
)


@given(st.sampled_from(PREFIXES), st.lists(FIELDS, max_size=20))
def test_parsers_give_an_observation_or_refuse_and_never_crash(prefix: str, fields: list[str]) -> None:
    line = prefix + ",".join(fields)
    for parse in PARSERS:
        try:
            reading = accept(parse(line), line)
        except AtParseError:
            continue
        assert reading.rsrp_dbm_x10 is None or -1400 <= reading.rsrp_dbm_x10 <= -440
        assert reading.earfcn is None or band_of(reading.earfcn) == reading.band
        assert reading.raw is None or len(reading.raw) <= 512


@pytest.mark.parametrize(
    ("earfcn", "band", "khz"),
    [
        (0, 1, 2_110_000),
        (425, 1, 2_152_500),
        (599, 1, 2_169_900),
        (1650, 3, 1_850_000),
        (2649, 5, 893_900),
        (2650, None, None),
        (2749, None, None),
        (3400, 7, 2_685_000),
        (5900, 18, 865_000),
        (38950, 40, 2_330_000),
        (43590, 43, 3_600_000),
        (66935, 66, 2_159_900),
        (4294967295, None, None),
        (-1, None, None),
    ],
)
def test_band_table_at_its_edges(earfcn: int, band: int | None, khz: int | None) -> None:
    assert band_of(earfcn) == band
    assert downlink_khz(earfcn) == khz


@pytest.mark.parametrize(
    ("seen", "field"),
    [
        (Observation(rsrp_dbm_x10=-1401), "rsrp_dbm_x10"),
        (Observation(rsrp_dbm_x10=0), "rsrp_dbm_x10"),
        (Observation(rsrq_db_x10=26), "rsrq_db_x10"),
        (Observation(sinr_db_x10=301), "sinr_db_x10"),
        (Observation(rssi_dbm_x10=850), "rssi_dbm_x10"),
        (Observation(pci=504), "pci"),
        (Observation(earfcn=70000), "earfcn"),
        (Observation(band=0), "band"),
        (Observation(plmn="00000"), "plmn"),
    ],
)
def test_gate_turns_the_implausible_into_none_and_keeps_the_line(seen: Observation, field: str) -> None:
    reading = accept(seen, "+LINE: 1")
    assert getattr(reading, field) is None
    assert reading.raw == "+LINE: 1"


def test_gate_believes_the_edges_without_a_raw_line() -> None:
    seen = Observation(rsrp_dbm_x10=-1400, rsrq_db_x10=-340, sinr_db_x10=-200, rssi_dbm_x10=-250, pci=503, plmn="45204")
    reading = accept(seen, "+LINE: 1")
    assert reading.raw is None
    assert (reading.rsrp_dbm_x10, reading.pci, reading.plmn) == (-1400, 503, "45204")


def test_gate_lets_no_3g_figure_pass_for_lte() -> None:
    seen = Observation(rat="UMTS", rsrp_dbm_x10=-900, pci=3, band=1, tac=168, eci=99)
    reading = accept(seen, "x")
    assert (reading.rsrp_dbm_x10, reading.pci, reading.band) == (None, None, None)
    assert (reading.tac, reading.eci) == (168, 99)


def test_band_comes_from_the_earfcn_not_from_the_print() -> None:
    assert accept(Observation(rat="LTE", earfcn=1650, band=7), "x").band == 3


def test_raw_masks_identifiers_and_unprintables_and_ends_at_512() -> None:
    raw = mask_raw(["+X: 490154203237518", "b\x07d", "y" * 600])
    assert raw is not None
    assert raw.startswith("+X: ############### | b?d | yyy")
    assert len(raw) == 512


def test_merge_takes_the_first_but_the_best_registration() -> None:
    merged = merge(
        [
            RadioReading(registration="not_registered", rssi_dbm_x10=-700),
            RadioReading(registration="roaming", rssi_dbm_x10=-800, rat="LTE", raw="a", temp_c_x10=300),
            RadioReading(registration="denied", rat="NR_NSA", raw="b", temp_c_x10=450),
        ]
    )
    assert (merged.registration, merged.rssi_dbm_x10, merged.rat) == ("roaming", -700, "NR_NSA")
    assert (merged.raw, merged.temp_c_x10) == ("a | b", 450)


def test_summary_takes_measured_medians_and_counts_cell_changes() -> None:
    polls = [
        RadioReading(registration="home", eci=1, rsrp_dbm_x10=-1000, sinr_db_x10=50),
        RadioReading(),
        RadioReading(registration="home", eci=1, rsrp_dbm_x10=-900),
        RadioReading(registration="roaming", eci=2, rsrp_dbm_x10=-1100),
        RadioReading(registration="searching", eci=1, rsrp_dbm_x10=-1010),
    ]
    summary = summarise(polls)
    assert (summary.polls, summary.polls_registered, summary.cell_changes) == (5, 3, 2)
    assert (summary.rsrp_dbm_x10_min, summary.rsrp_dbm_x10_median, summary.rsrp_dbm_x10_max) == (-1100, -1010, -900)
    assert (summary.sinr_db_x10_median, summary.rsrq_db_x10_median) == (50, None)
    assert summarise([]).rsrp_dbm_x10_median is None


@pytest.mark.parametrize(
    ("reading", "cause"),
    [
        (RadioReading(), None),
        (RadioReading(registration="home", sim="ready"), None),
        (RadioReading(registration="roaming"), None),
        (RadioReading(registration="unknown"), None),
        (RadioReading(sim="busy"), None),
        (RadioReading(sim="absent", registration="searching"), "no_sim"),
        (RadioReading(sim="pin"), "sim_locked"),
        (RadioReading(sim="wrong"), "sim_locked"),
        (RadioReading(sim="puk"), "sim_puk"),
        (RadioReading(registration="denied"), "denied"),
        (RadioReading(registration="searching"), "searching"),
        (RadioReading(registration="not_registered"), "not_registered"),
        (RadioReading(registration="limited", rsrp_dbm_x10=-970), "limited_service"),
        (RadioReading(registration="home", is_wrong_sim=True), "wrong_sim"),
        (RadioReading(registration="home", is_wrong_sim=False, pdp="up", rat="LTE"), None),
        (RadioReading(registration="home", pdp="down", rat="UMTS"), "no_pdp"),
        (RadioReading(registration="searching", pdp="down"), "searching"),
        (RadioReading(registration="roaming", pdp="up", rat="UMTS"), "not_lte"),
        (RadioReading(registration="home", rat="NR_NSA"), None),
        (RadioReading(registration="unknown", rat="GSM"), None),
    ],
)
def test_outage_cause_tells_no_service_from_no_signal(reading: RadioReading, cause: str | None) -> None:
    assert outage_cause(reading) == cause


@pytest.mark.parametrize(
    ("line", "temp_c_x10"),
    [
        ("+QTEMP: 33,30,29", 330),
        ('+QTEMP: "qfe_wtr_pa0","41"', 410),
        ("+QTEMP: 255,31,-273", 310),
        ("+CPMUTEMP: 29", 290),
        ("^CHIPTEMP: 330,330,290,33,65535", 330),
        ("^CHIPTEMP: 408,405,400,410", 410),
        ("^CHIPTEMP: 42", 420),
        ("^CHIPTEMP: 65535", None),
    ],
)
def test_temperature_is_the_hottest_sensor(line: str, temp_c_x10: int | None) -> None:
    assert parse_temperature(line).temp_c_x10 == temp_c_x10


@pytest.mark.parametrize(
    ("line", "rsrp_dbm_x10", "rsrq_db_x10"),
    [
        ("+CESQ: 99,99,255,255,0,1", -1400, None),
        ("+CESQ: 99,99,255,255,34,97", -440, -30),
        ("+CESQ: 99,99,255,255,255,255", None, None),
    ],
)
def test_cesq_level_zero_has_no_lower_edge(line: str, rsrp_dbm_x10: int | None, rsrq_db_x10: int | None) -> None:
    seen = parse_cesq(line)
    assert (seen.rsrp_dbm_x10, seen.rsrq_db_x10) == (rsrp_dbm_x10, rsrq_db_x10)


def test_cesq_level_off_the_table_is_refused() -> None:
    with pytest.raises(AtParseError):
        parse_cesq("+CESQ: 99,99,255,255,20,98")


def test_nb_iot_never_passes_for_lte() -> None:
    assert parse_registration('+CEREG: 2,1,"A411","119AE88",9').rat is None
    line = "+CPSI: LTE NB-IOT,Online,242-01,0xA411,18460008,457,EUTRAN-BAND20,6352,0,0,-7,-77,-70,14"
    seen = parse_cpsi(line)
    assert (seen.rat, seen.rsrp_dbm_x10, seen.rsrq_db_x10, seen.rssi_dbm_x10) == (None, -770, -70, -700)


def test_endc_leg_counts_only_while_it_is_in_use() -> None:
    assert parse_qeng('+QENG:"NR5G-NSA",515,03,832,-76,21,-11,528030,41,8,1').rat == "NR_NSA"
    assert parse_qeng('+QENG:"NR5G-NSA",515,03,65535,-32768,-32768,-32768').rat is None
