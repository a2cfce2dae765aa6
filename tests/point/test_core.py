"""The pure parts of the point: tickets, admission, load, health history, buckets, TCP_INFO."""

from __future__ import annotations

import json
import socket
import struct
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from point.admission import HEADROOM, LONGEST_WAIT_S, Admission
from point.bucket import Buckets
from point.desk import Desk, Identity, Lease, Limits
from point.history import COLUMNS, MINUTES_KEPT, History, Minute, line_of
from point.load import LAG_LIMIT_S, WINDOW_S, Load
from point.protocol import Reply, Request
from point.tcp import TcpInfo, parse_info, use_control
from point.tickets import MOST_ECHOES, MOST_TICKETS, RECEIPT_S, Book, Denied, Ticket, echo_id, echo_mac
from wire import notes
from wire.note import Signer

SIGNER = Signer.generate("dosong.example/point/hn-1")
LIMITS = Limits(test_bytes=1000, test_s=12, tests_of_a_source=20_000, ticket_s=120, rest_s=10)
NOTHING = parse_info(b"")


def _ticket(number: int, now_s: float = 0.0) -> Ticket:
    name = f"{number:032x}"
    return Ticket(name, f"p-{number}", 1, "203.0.113.7", number.to_bytes(16, "big"), now_s, now_s + 120, now_s)


def _desk(load: Load, max_tests: int = 20_000) -> Desk:
    minute = Minute(0)
    identity = Identity("dosong.example", "hn-1", SIGNER)
    return Desk(identity, LIMITS, load, Admission(10**12, max_tests), lambda: minute)


def _get(path: str, query: str = "") -> Request:
    return Request("GET", path, "point", 0, True, False, query)


def _body(reply: Reply) -> bytes:
    return reply.head.partition(b"\r\n\r\n")[2]


def _issue(desk: Desk, number: int, now_s: float) -> str:
    reply = desk.answer(_get("/v1/ticket", f"probe=p-{number}&epoch=1"), "203.0.113.7", now_s, 1_800_000_000_000)
    return notes.open_note(_body(reply), notes.Ticket, "dosong.example", SIGNER.verifier).ticket


def test_ten_thousand_open_tickets_fit_in_bounded_memory_and_the_next_waits() -> None:
    tracemalloc.start()
    book = Book(20_000, 10)
    for number in range(MOST_TICKETS):
        ticket = _ticket(number)
        ticket.transfer("downlink"), ticket.transfer("uplink")
        book.add(ticket)
    used_bytes = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert used_bytes < 32e6
    with pytest.raises(Denied) as caught:
        book.add(_ticket(MOST_TICKETS, 1.0))
    assert caught.value.status == 503
    assert 1 <= (caught.value.retry_after_s or 0) <= 60
    book.add(_ticket(MOST_TICKETS, 120.5))
    assert len(book) == MOST_TICKETS


def test_receipts_can_be_fetched_for_a_while_and_are_then_forgotten() -> None:
    book = Book(10, 10)
    book.add(_ticket(1))
    book.forget(120 + RECEIPT_S - 0.1)
    assert book.find(f"{1:032x}").probe == "p-1"
    book.forget(120 + RECEIPT_S)
    with pytest.raises(Denied) as caught:
        book.find(f"{1:032x}")
    assert caught.value.status == 403
    assert not book.knows_echo(b"dsg1" + echo_id(f"{1:032x}") + bytes(12), 0.0)


def test_a_tickets_echoes_are_counted_and_end() -> None:
    book = Book(10, 10)
    ticket = _ticket(1)
    book.add(ticket)
    signed = b"dsg1" + echo_id(ticket.id) + bytes(4)
    datagram = signed + echo_mac(ticket.echo_key, signed)
    assert sum(book.knows_echo(datagram, 1.0) for _ in range(MOST_ECHOES + 5)) == MOST_ECHOES


@given(st.binary(max_size=64))
def test_no_other_datagram_is_known(tail: bytes) -> None:
    book = Book(10, 10)
    book.add(_ticket(1))
    assert not book.knows_echo(b"dsg1" + tail, 1.0)


def test_a_downlink_is_what_was_acknowledged_from_first_byte_to_last_acknowledgement() -> None:
    lease = Lease(_ticket(1), "downlink", LIMITS)
    lease.transfer.open = lease.transfer.opened = 1
    lease.moved(600, 10.0)
    lease.moved(300, 11.0)
    info = TcpInfo(20_000, 15_000, 3, 500, 100 + 800 + 1, 0, 1_000_000)
    lease.close(info, 100, 12.0)
    transfer = lease.transfer
    assert (transfer.payload_bytes, transfer.duration_us) == (801, 1_500_000)
    assert (transfer.rtt_us_min, transfer.retrans, transfer.rate_bps) == (15_000, 3, 801 * 8_000_000 // 1_500_000)
    assert transfer.ran_dry  # half a second of one and a half had nothing waiting


def test_our_fin_is_not_payload_and_a_kernel_that_says_nothing_gives_nothing() -> None:
    lease = Lease(_ticket(1), "downlink", LIMITS)
    lease.transfer.open = lease.transfer.opened = 2
    lease.moved(500, 1.0)
    lease.close(TcpInfo(None, None, None, 0, 100 + 500 + 1, None, None), 100, 2.0)
    assert lease.transfer.payload_bytes == 500
    assert not lease.transfer.ran_dry
    other = Lease(_ticket(2), "downlink", LIMITS)
    other.transfer.open = 1
    other.moved(500, 1.0)
    other.close(NOTHING, 100, 2.0)
    assert (other.transfer.payload_bytes, other.transfer.duration_us, other.transfer.rate_bps) == (0, 0, None)


def _run_uplink(desk: Desk, number: int, now_s: float) -> str:
    ticket = _issue(desk, number, now_s)
    request = Request("POST", "/v1/upload", "point", 1 << 40, True, False, f"ticket={ticket}")
    lease = desk.begin(request, "203.0.113.7", now_s)
    lease.moved(400, now_s + 0.1)
    lease.moved(400, now_s + 1.1)
    lease.close(NOTHING, 0, now_s + 1.2)
    return ticket


def _receipt(desk: Desk, ticket: str, now_s: float) -> bytes:
    query = f"ticket={ticket}&direction=uplink"
    return _body(desk.answer(_get("/v1/receipt", query), "203.0.113.7", now_s, 1_800_000_000_000))


def test_a_receipt_waits_until_the_point_knows_how_it_did() -> None:
    load = Load(10**12, 0.0)
    desk = _desk(load)
    ticket = _run_uplink(desk, 1, 0.0)
    with pytest.raises(Denied) as caught:
        _receipt(desk, ticket, 1.25)
    assert caught.value.status == 409
    receipt = notes.open_note(_receipt(desk, ticket, 2.0), notes.Receipt, "dosong.example", SIGNER.verifier)
    assert (receipt.bytes, receipt.duration_us, receipt.rate_bps) == (800, 1_000_000, 6400)
    assert _receipt(desk, ticket, 3.0) == _receipt(desk, ticket, 9.0)


def test_a_refused_receipt_stays_refused_and_frees_the_place() -> None:
    load = Load(10**12, 0.0)
    desk = _desk(load)
    ticket = _run_uplink(desk, 1, 0.0)
    load.waited(0.5, 0.5 + 2 * LAG_LIMIT_S, 0.5)
    for now_s in (2.0, 200.0):
        with pytest.raises(Denied) as caught:
            _receipt(desk, ticket, now_s)
        assert caught.value.status == 503
        assert "late" in str(caught.value)


def test_the_byte_limit_is_shared_by_a_directions_connections() -> None:
    desk = _desk(Load(10**12, 0.0))
    ticket = _issue(desk, 1, 0.0)
    first, second = (desk.begin(_get("/v1/download", f"ticket={ticket}"), "203.0.113.7", 0.0) for _ in range(2))
    first.moved(700, 0.1)
    assert second.left_bytes == 300
    second.moved(300, 0.2)
    assert first.is_due(0.3)
    with pytest.raises(Denied):
        desk.begin(_get("/v1/download", f"ticket={ticket}"), "203.0.113.7", 0.4)


def test_a_receipt_names_every_address_that_took_part() -> None:
    desk = _desk(Load(10**12, 0.0))
    ticket = _issue(desk, 1, 0.0)
    for peer in ("203.0.113.7", "203.0.113.8", "203.0.113.7"):
        lease = desk.begin(_get("/v1/download", f"ticket={ticket}"), peer, 0.0)
    for _ in range(3):
        lease.close(NOTHING, 0, 1.0)
    reply = desk.answer(_get("/v1/receipt", f"ticket={ticket}&direction=downlink"), "203.0.113.7", 2.0, 0)
    opened = notes.open_note(_body(reply), notes.Receipt, "dosong.example", SIGNER.verifier)
    assert (opened.source, opened.bytes, opened.rate_bps) == ("203.0.113.7,203.0.113.8", 0, None)


def test_the_first_guess_shares_the_link_and_tests_correct_it() -> None:
    admission = Admission(1_000_000_000, 10)
    assert admission.expected_bps == 900_000_000 // 11
    for _ in range(60):
        admission.finished(20_000_000, 4.0)
    assert admission.expected_bps < 30_000_000
    for _ in range(60):
        admission.finished(10**12, 4.0)
    assert admission.expected_bps == int(HEADROOM * 1_000_000_000)


def test_room_is_places_and_what_the_link_has_left() -> None:
    admission = Admission(1_000_000_000, 10)
    assert admission.has_room(0, 0, 10**12)
    assert admission.has_room(9, 0, 800_000_000)
    assert not admission.has_room(10, 0, 0)
    assert not admission.has_room(9, 0, 820_000_000)
    assert not admission.has_room(9, 9, 90_000_000)


def test_turns_are_dealt_at_the_pace_at_which_tests_end() -> None:
    admission = Admission(1_000_000_000, 10)
    turns = [admission.come_back_s(10, 0.0) for _ in range(200)]
    assert turns[:3] == [1, 2, 3]
    assert turns == sorted(turns)
    assert turns[-1] == LONGEST_WAIT_S
    assert admission.come_back_s(10, 1000.0) == 1


def _windows(load: Load, count: int, *, idle_share: float, sent_bytes: int = 0, from_s: float = 0.0) -> float:
    now_s = from_s
    for _ in range(count):
        end_s = now_s + WINDOW_S
        load.waited(end_s - idle_share * WINDOW_S, end_s, end_s)
        load.moved(sent_bytes, 0)
        load.end_window(end_s)
        now_s = end_s
    return now_s


def test_an_easy_load_is_fit_and_a_late_loop_is_not() -> None:
    load = Load(10**9, 0.0)
    end_s = _windows(load, 20, idle_share=0.5, sent_bytes=10**6)
    assert load.unfit_within(0.0, end_s) is None
    assert load.used_bps == pytest.approx(80_000_000, rel=0.01)
    load.waited(end_s, end_s + 0.3, end_s + 0.01)
    assert load.unfit_within(end_s + 0.1, end_s + 0.2) == "late"
    assert load.unfit_within(0.0, end_s) is None
    assert load.take_lag_s() == pytest.approx(0.29)


def test_one_busy_window_is_fit_and_two_running_are_not() -> None:
    load = Load(10**9, 0.0)
    end_s = _windows(load, 1, idle_share=0.0)
    assert not load.unfit_since(0.0)
    _windows(load, 1, idle_share=0.0, from_s=end_s)
    assert load.unfit_within(0.0, 0.05) == "processor"


def test_a_full_link_is_unfit_only_after_a_second_of_it() -> None:
    load = Load(10**9, 0.0)
    end_s = _windows(load, 8, idle_share=0.5, sent_bytes=13_000_000)
    assert not load.unfit_since(0.0)
    end_s = _windows(load, 3, idle_share=0.5, sent_bytes=13_000_000, from_s=end_s)
    assert load.unfit_within(end_s - 0.1, end_s) == "link"


def test_a_minute_of_short_stops_is_remembered_as_one_stretch() -> None:
    load = Load(10**9, 0.0)
    for tenth in range(100_000):
        load.waited(tenth * 0.3, tenth * 0.3 + LAG_LIMIT_S, tenth * 0.3)
    assert load.unfit_within(1.0, 2.0) == "late"


def test_a_day_of_minutes_is_kept_and_read_back() -> None:
    history = History()
    for minute in range(MINUTES_KEPT + 10):
        history.add(Minute(minute * 60_000, tests=minute))
    table = json.loads(history.encoded())
    assert tuple(table["columns"]) == COLUMNS
    assert len(table["rows"]) == MINUTES_KEPT
    assert len(history.encoded()) < 100_000
    again = History()
    again.load(history.text() + '{"t_ms": 1, "te', (MINUTES_KEPT + 10) * 60_000)
    assert again.encoded() == history.encoded()


@given(st.lists(st.text(max_size=40)))
def test_no_file_stops_the_point(lines: list[str]) -> None:
    history = History()
    history.load("\n".join(lines), 10**12)
    assert json.loads(history.encoded())["rows"] == []


def test_rows_from_the_future_or_long_ago_are_left_out() -> None:
    history = History()
    day_ms = MINUTES_KEPT * 60_000
    history.load("".join(line_of(Minute(t_ms)) for t_ms in (1, day_ms, 5 * day_ms)), 2 * day_ms)
    assert [row[0] for row in json.loads(history.encoded())["rows"]] == [day_ms]


def test_buckets_refill_and_stay_few() -> None:
    buckets = Buckets(rate=2.0, burst=3, limit=100)
    assert [buckets.take("a", 0.0) for _ in range(4)] == [True, True, True, False]
    assert buckets.wait_s("a", 0.0) == pytest.approx(0.5)
    assert buckets.take("a", 0.5)
    assert not buckets.take("a", 0.5)
    for number in range(1000):
        buckets.take(str(number), 1.0)
    assert len(buckets) == 100


def test_the_protocol_pages_example_is_what_the_code_makes() -> None:
    page = (Path(__file__).parents[2] / "point" / "PROTOCOL.md").read_text()
    example = bytes.fromhex(page.partition("number 7:\n\n```\n")[2].partition("```")[0])
    signed = b"dsg1" + echo_id("00112233445566778899aabbccddeeff") + (7).to_bytes(4, "big")
    assert example == signed + echo_mac(bytes(range(16)), signed)


@pytest.mark.parametrize(("number", "wanted"), [(1, "bbr"), (2, "cubic"), (3, "bbr"), (4, "cubic")])
def test_connections_send_by_bbr_and_cubic_in_turn_where_the_kernel_has_them(number: int, wanted: str) -> None:
    available = Path("/proc/sys/net/ipv4/tcp_available_congestion_control").read_text().split()
    with socket.socket() as sock:
        before = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).rstrip(b"\0")
        used = use_control(sock, number)
        after = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).rstrip(b"\0")
        assert (used, after) == ((True, wanted.encode()) if wanted in available else (False, before))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        assert use_control(other, number) is False


def test_tcp_info_is_read_at_its_offsets_and_a_short_one_in_part() -> None:
    raw = bytearray(232)
    struct.pack_into("=I", raw, 56, 7)
    struct.pack_into("=I", raw, 68, 51_000)
    struct.pack_into("=I", raw, 100, 4)
    struct.pack_into("=QQ", raw, 120, 10**12, 5)
    struct.pack_into("=I", raw, 148, 50_000)
    struct.pack_into("=Q", raw, 168, 123_456)
    assert parse_info(bytes(raw)) == TcpInfo(51_000, 50_000, 4, 7, 10**12, 5, 123_456)
    assert parse_info(bytes(raw[:104])) == TcpInfo(51_000, None, 4, 7, None, None, None)
    struct.pack_into("=I", raw, 148, 0xFFFF_FFFF)
    assert parse_info(bytes(raw)).rtt_us_min is None


def test_what_tickets_and_echoes_take_does_not_cost_the_last_test_its_place() -> None:
    admission = Admission(1_000_000_000, 3)
    assert admission.has_room(active=2, resting=2, used_bps=1_000_000)
    assert not admission.has_room(active=3, resting=3, used_bps=0)
