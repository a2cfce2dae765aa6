"""The measuring protocol with real sockets: every endpoint, every refusal, receipts against the client's own count."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.point import kit
from tests.point.kit import POINT, Point, drain, pace, reset, running, until
from wire.keyfile import write_signer
from wire.note import Signer

LIMIT_BYTES = 32 << 20  # more than four socket buffers hold


@pytest.fixture(scope="module")
def point(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Point]:
    folder = tmp_path_factory.mktemp("point")
    with running(folder, test_bytes=LIMIT_BYTES, max_tests=1000, tests_of_a_source=1000) as started:
        yield started


def _unspoiled(point: Point, direction: str, run: object) -> tuple[object, object]:
    """Run a small test until this busy machine lets one through unspoiled; (what the client counted, the receipt)."""
    for _ in range(8):
        leave = point.ticket()
        counted = run(leave)  # type: ignore[operator]
        if point.try_receipt(leave, direction).status == 200:
            return counted, point.receipt(leave, direction)
    raise AssertionError("every test was spoiled by the machine")


def test_a_ticket_is_signed_and_says_whom_the_server_saw(point: Point) -> None:
    before_ms = time.time_ns() // 1_000_000
    leave = point.ticket("p-dong-chuoi", source="127.0.0.9")
    note = leave.note
    assert (note.probe, note.epoch, note.point, note.source) == ("p-dong-chuoi", 3, kit.CODE, "127.0.0.9")
    assert 16 <= len(note.ticket) <= 64
    assert before_ms <= note.signed_ms
    assert 0 < note.expires_ms - note.signed_ms <= 120_000
    assert len(leave.echo_key) == 16


@pytest.mark.parametrize("connections", [1, 4])
def test_a_download_to_its_limit_is_counted_to_the_byte(point: Point, connections: int) -> None:
    def run(leave: kit.Leave) -> int:
        socks = [point.start_download(leave, receive_bytes=32 << 10) for _ in range(connections)]
        counted = sum(drain(sock) for sock in socks)
        for sock in socks:
            sock.close()
        return counted

    counted, receipt = _unspoiled(point, "downlink", run)
    assert counted == receipt.bytes == LIMIT_BYTES
    assert receipt.direction == "downlink"
    assert receipt.source == "127.0.0.1"
    assert receipt.duration_us > 0
    assert receipt.rate_bps == receipt.bytes * 8_000_000 // receipt.duration_us
    assert 0 < receipt.rtt_us_min < 50_000
    assert receipt.retrans is not None


def test_an_upload_is_counted_to_the_byte_though_the_client_resets_it(point: Point) -> None:
    def run(leave: kit.Leave) -> int:
        socks = [point.start_upload(leave) for _ in range(2)]
        for sock in socks:
            sock.sendall(bytes(300_000))
        for sock in socks:
            until(lambda sock=sock: not _unsent(sock))
            reset(sock)
        return 600_000

    counted, receipt = _unspoiled(point, "uplink", run)
    assert receipt.bytes == counted
    assert receipt.retrans is None
    assert receipt.rtt_us_min > 0


def _unsent(sock: socket.socket) -> int:
    """Segments that are not yet acknowledged, bytes that are not yet sent."""
    raw = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    return int.from_bytes(raw[24:28], "little") + int.from_bytes(raw[144:148], "little")


@pytest.mark.rates
def test_a_receipt_of_a_broken_off_download_is_what_the_client_took(point: Point) -> None:
    window_bytes = 64 << 10

    def run(leave: kit.Leave) -> tuple[int, float]:
        sock = point.start_download(leave, receive_bytes=window_bytes)
        started_s = time.monotonic()
        counts = {sock: 0}
        pace(counts, 0.7, 8_000_000)
        reset(sock)
        return sum(counts.values()), time.monotonic() - started_s

    (counted, seconds), receipt = _unspoiled(point, "downlink", run)
    assert counted <= receipt.bytes <= counted + 2 * window_bytes
    assert receipt.duration_us / 1e6 == pytest.approx(seconds, rel=0.1)


def test_what_a_connection_carried_before_its_download_is_not_counted(point: Point) -> None:
    def run(leave: kit.Leave) -> int:
        sock = point.connect(receive_bytes=8 << 10)
        replies = 0
        for _ in range(500):
            sock.sendall(b"GET /v1/echo HTTP/1.1\r\n\r\n")
            replies += len(sock.recv(4096))
        sock.sendall(f"GET /v1/download?ticket={leave.id} HTTP/1.1\r\n\r\n".encode())
        assert sock.recv(12).endswith(b"200")
        reset(sock)
        return replies

    replies, receipt = _unspoiled(point, "downlink", run)
    assert receipt.bytes < 64 << 10 < replies


def test_a_receipt_is_fixed_and_a_transfer_cannot_be_repeated(point: Point) -> None:
    def run(leave: kit.Leave) -> kit.Leave:
        with point.start_download(leave) as sock:
            drain(sock)
        return leave

    leave, _ = _unspoiled(point, "downlink", run)
    first = point.try_receipt(leave, "downlink")
    assert first.body == point.try_receipt(leave, "downlink").body
    again = point.ask(f"/v1/download?ticket={leave.id}")
    assert (again.status, again.word) == (403, "used")
    assert first.body == point.try_receipt(leave, "downlink").body


def test_while_a_transfer_runs_there_is_no_receipt_and_no_fifth_connection(point: Point) -> None:
    leave = point.ticket()
    assert point.ask(f"/v1/receipt?ticket={leave.id}&direction=uplink").status == 409
    socks = [point.start_upload(leave) for _ in range(4)]
    assert point.ask(f"/v1/receipt?ticket={leave.id}&direction=uplink").status == 409
    with point.connect() as fifth:
        fifth.sendall(f"POST /v1/upload?ticket={leave.id} HTTP/1.1\r\nContent-Length: 10\r\n\r\n".encode())
        assert b"403 Forbidden" in fifth.recv(4096)
    for sock in socks:
        sock.close()
    assert point.try_receipt(leave, "uplink").status in (200, 503)


@pytest.mark.parametrize(
    ("path", "method", "status", "word"),
    [
        ("/v1/ticket", "GET", 400, "request"),
        ("/v1/ticket?probe=UPPER&epoch=1", "GET", 400, "request"),
        ("/v1/ticket?probe=p-one&epoch=0", "GET", 400, "request"),
        ("/v1/ticket?probe=p-one&epoch=x", "GET", 400, "request"),
        ("/v1/ticket?probe=p-one&epoch=1&" + "&".join(f"a{n}=1" for n in range(20)), "GET", 400, "request"),
        ("/v1/ticket?probe=p-one&epoch=1", "HEAD", 405, ""),
        ("/v1/download", "GET", 403, "unknown"),
        ("/v1/download?ticket=" + "0" * 32, "GET", 403, "unknown"),
        ("/v1/upload?ticket=x", "GET", 405, "method"),
        ("/v1/receipt?ticket=" + "0" * 32 + "&direction=downlink", "GET", 403, "unknown"),
        ("/v1/receipt?ticket=" + "0" * 32 + "&direction=sideways", "GET", 400, "request"),
        ("/v1/nothing", "GET", 404, "path"),
    ],
)
def test_what_is_refused_has_its_status_and_word(point: Point, path: str, method: str, status: int, word: str) -> None:
    answer = point.ask(path, method)
    assert (answer.status, answer.word) == (status, word)


def test_a_refused_upload_is_told_so_though_it_is_sending(point: Point) -> None:
    with point.connect() as sock:
        sock.sendall(b"POST /v1/upload?ticket=no HTTP/1.1\r\nContent-Length: 1099511627776\r\n\r\n" + bytes(200_000))
        assert b"403 Forbidden" in sock.recv(4096)


def test_a_ticket_expires(tmp_path: Path) -> None:
    with running(tmp_path, ticket_s=1) as point, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as echo:
        leave = point.ticket()
        echo.connect(("127.0.0.1", point.udp_port))
        echo.settimeout(0.3)
        echo.send(leave.datagram(1))
        assert echo.recv(100) == leave.datagram(1)
        until(lambda: (answer := point.ask(f"/v1/receipt?ticket={leave.id}&direction=uplink")) and answer.status == 409)
        deadline_s = time.monotonic() + 1.1
        until(lambda: time.monotonic() > deadline_s)
        late = point.ask(f"/v1/download?ticket={leave.id}")
        assert (late.status, late.word) == (410, "expired")
        echo.send(leave.datagram(2))
        with pytest.raises(TimeoutError):
            echo.recv(100)


def test_tcp_echo_is_answered_again_and_again_on_one_connection(point: Point) -> None:
    with point.connect() as sock:
        for _ in range(20):
            sock.sendall(b"GET /v1/echo HTTP/1.1\r\n\r\n")
            answer = sock.recv(4096)
            assert answer.startswith(b"HTTP/1.1 200")
            assert len(answer) < 250


@pytest.fixture
def echo(point: Point) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", point.udp_port))
        sock.settimeout(5)
        yield sock


def test_a_ticketed_echo_is_the_same_28_bytes(point: Point, echo: socket.socket) -> None:
    leave = point.ticket()
    for seq in (0, 1, 2**32 - 1):
        echo.send(leave.datagram(seq))
        assert echo.recv(2048) == leave.datagram(seq)
        assert len(leave.datagram(seq)) == 28


def test_a_wrong_mac_an_unknown_ticket_and_a_wrong_length_get_silence(point: Point, echo: socket.socket) -> None:
    leave = point.ticket()
    good = leave.datagram(7)
    other = kit.Leave("f" * 32, leave.echo_key, leave.note)
    wrong = [good[:-1] + bytes([good[-1] ^ 1]), good[:16] + b"\0\0\0\x08" + good[20:], other.datagram(7), good[:-1]]
    for datagram in [*wrong, good + b"x", b"dsg1", b"dsg1" + bytes(500)]:
        echo.send(datagram)
    echo.send(good)  # answered in order: whatever the others had got would come first
    assert echo.recv(2048) == good
    echo.settimeout(0.2)
    with pytest.raises(TimeoutError):
        echo.recv(2048)


def test_plain_echoes_are_limited_for_each_source_and_ticketed_ones_are_not(tmp_path: Path) -> None:
    with running(tmp_path, echoes_s=1) as point, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as echo:
        leave = point.ticket()
        echo.connect(("127.0.0.1", point.udp_port))
        echo.settimeout(0.3)
        for _ in range(30):
            echo.send(b"plain")
        assert 10 <= _count(echo) <= 12
        echo.send(leave.datagram(1))
        assert echo.recv(100) == leave.datagram(1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as neighbour:
            neighbour.bind(("127.0.0.2", 0))
            neighbour.connect(("127.0.0.1", point.udp_port))
            neighbour.settimeout(5)
            neighbour.send(b"plain")
            assert neighbour.recv(100) == b"plain"


def _count(sock: socket.socket) -> int:
    """Datagrams until none comes any more."""
    count = 0
    with contextlib.suppress(TimeoutError):
        while sock.recv(2048):
            count += 1
    return count


@pytest.mark.rates
def test_one_test_too_many_is_told_when_to_come_back_and_the_others_keep_their_rate(tmp_path: Path) -> None:
    with running(tmp_path, max_tests=3) as point:
        leaves = [point.ticket() for _ in range(3)]
        socks = {point.start_download(leave, receive_bytes=256 << 10): 0 for leave in leaves}
        before = pace(socks, 0.7, 20_000_000)
        refused = point.try_ticket()
        assert (refused.status, refused.word) == (503, "server_busy")
        assert 1 <= int(refused.headers["Retry-After"]) <= 60
        assert json.loads(point.ask("/health").body)["state"] in ("busy", "degraded")
        mini = point.ask("/speedtest/random4000x4000.jpg")
        assert mini.status == 503
        after = pace(socks, 0.7, 20_000_000)
        for sock in socks:
            assert after[sock] >= 0.95 * min(1.0, before[sock])
            reset(sock)
        for leave in leaves:
            assert point.try_receipt(leave, "downlink").status in (200, 503)
            with point.start_upload(leave) as sock:
                sock.sendall(b"x")
            assert point.try_receipt(leave, "uplink").status in (200, 503)
        until(lambda: point.try_ticket().status == 200)


def test_an_unused_ticket_gives_its_place_back_and_can_take_it_again(tmp_path: Path) -> None:
    with running(tmp_path, max_tests=1, rest_s=1) as point:
        first = point.ticket()
        assert point.try_ticket().status == 503
        until(lambda: point.try_ticket().status == 200, limit_s=5)
        busy = point.ask(f"/v1/download?ticket={first.id}")
        assert (busy.status, busy.word) == (503, "server_busy")
        assert "Retry-After" in busy.headers


def test_a_probe_and_an_address_have_their_share_of_places(tmp_path: Path) -> None:
    with running(tmp_path, max_tests=20, tests_of_a_source=3) as point:
        assert [point.try_ticket("p-same").status for _ in range(3)] == [200, 200, 429]
        assert point.try_ticket("p-same", source="127.0.0.2").status == 200
        assert point.try_ticket("p-other").status == 200
        last = point.try_ticket("p-third")
        assert (last.status, last.word) == (429, "source_limit")
        assert "Retry-After" in last.headers


def test_a_point_that_was_starved_gives_no_receipt(tmp_path: Path) -> None:
    with running(tmp_path) as point:
        leave = point.ticket()
        sock = point.start_download(leave, receive_bytes=256 << 10)
        pace({sock: 0}, 0.3, 20_000_000)
        point.process.send_signal(signal.SIGSTOP)
        pace({sock: 0}, 0.3, 20_000_000)
        point.process.send_signal(signal.SIGCONT)
        pace({sock: 0}, 0.3, 20_000_000)
        reset(sock)
        answer = point.try_receipt(leave, "downlink")
        assert (answer.status, answer.word) == (503, "server_busy")
        assert point.try_receipt(leave, "downlink").status == 503
        assert json.loads(point.ask("/health").body)["state"] == "degraded"


def test_a_link_at_its_capacity_gives_no_receipt(tmp_path: Path) -> None:
    with running(tmp_path, capacity_bps=20_000_000) as point:
        leave = point.ticket()
        sock = point.start_download(leave, receive_bytes=256 << 10)
        pace({sock: 0}, 2.0, 30_000_000)
        reset(sock)
        answer = point.try_receipt(leave, "downlink")
        assert (answer.status, answer.word) == (503, "server_busy")
        assert b"(link)" in answer.body or b"(late)" in answer.body


@pytest.mark.rates
def test_hostile_clients_do_not_slow_a_running_test(tmp_path: Path) -> None:
    with running(tmp_path, max_connections=16, request_timeout_s=60) as point:
        leave = point.ticket()
        socks = {point.start_download(leave, receive_bytes=256 << 10): 0}
        before = pace(socks, 0.5, 20_000_000)
        hostile = [b"GET / HT", b"GET /v1/echo HTTP/1.1\r\n\r\n" * 300, b"X: " + b"a" * 9000, b"\0"]
        crowd = [point.connect() for _ in range(60)]
        for number, sock in enumerate(crowd):
            sock.sendall(hostile[number % len(hostile)])
        after = pace(socks, 1.0, 20_000_000)
        assert next(iter(after.values())) >= 0.95 * min(1.0, next(iter(before.values())))
        # The crowd fills every place, yet a test's next connection gets in once they have dawdled for two seconds.
        until(lambda: _gets_in(point, leave), limit_s=5)
        for sock in [*crowd, *socks]:
            sock.close()
        assert point.try_receipt(leave, "downlink").status in (200, 503)


def _gets_in(point: Point, leave: kit.Leave) -> bool:
    with point.connect() as sock:
        sock.sendall(f"GET /v1/download?ticket={leave.id} HTTP/1.1\r\n\r\n".encode())
        try:
            return sock.recv(12).endswith(b"200")
        except ConnectionError:
            return False


def test_a_download_ends_when_its_client_closes_its_side(tmp_path: Path) -> None:
    with running(tmp_path) as point:
        leave = point.ticket()
        sock = point.start_download(leave)
        sock.shutdown(socket.SHUT_WR)
        until(lambda: point.ask(f"/v1/receipt?ticket={leave.id}&direction=downlink").status != 409, limit_s=3)
        sock.close()


@pytest.mark.rates
@pytest.mark.parametrize("direction", ["downlink", "uplink"])
def test_a_stuck_client_is_let_go_at_the_time_limit(tmp_path: Path, direction: str) -> None:
    with running(tmp_path, test_s=1) as point:
        leave = point.ticket()
        sock = point.start_download(leave) if direction == "downlink" else point.start_upload(leave)
        started_s = time.monotonic()
        until(lambda: point.ask(f"/v1/receipt?ticket={leave.id}&direction={direction}").status != 409)
        assert 0.9 < time.monotonic() - started_s < 5
        sock.close()


def test_after_a_kill_it_serves_again_at_once_and_keeps_its_history(tmp_path: Path) -> None:
    with running(tmp_path, state_dir="state") as point:
        port, leave = point.port, point.ticket()
        download = point.start_download(leave)
        point.process.send_signal(signal.SIGTERM)
        assert point.process.wait(5) == 0
        download.close()
    with (tmp_path / "state" / "health.jsonl").open("a") as file:
        file.write('{"t_ms": 12')  # a line cut off by a power loss
    with running(tmp_path, port=port, state_dir="state") as point:
        assert point.ask(f"/v1/download?ticket={leave.id}").status == 403
        history = json.loads(point.ask("/health").body)["history"]
        rows = [dict(zip(history["columns"], row, strict=True)) for row in history["rows"]]
        assert [row["tests"] for row in rows] == [1]
        point.process.kill()
    with running(tmp_path, port=port, state_dir="state") as point:
        assert len(json.loads(point.ask("/health").body)["history"]["rows"]) == 1


def test_mini_transfers_have_a_rate_for_each_address(tmp_path: Path) -> None:
    with running(tmp_path, mini_requests_s=1) as point:
        statuses = [point.ask("/speedtest/random350x350.jpg").status for _ in range(24)]
        assert statuses[:20] == [200] * 20
        assert 429 in statuses
        assert point.ask("/speedtest/random350x350.jpg", source="127.0.0.2").status == 200
        assert point.ask("/speedtest/latency.txt").status == 200


def test_without_a_key_the_protocol_is_not_implemented_and_the_rest_works(tmp_path: Path) -> None:
    path = tmp_path / "plain.toml"
    path.write_text("[point]\n")
    ready = tmp_path / "ready.json"
    process = subprocess.Popen(
        [*POINT, "--config", str(path), "--bind", "127.0.0.1", "--port", "0", "--json-ready", str(ready)],
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        until(ready.exists)
        ports = json.loads(ready.read_text())
        point = Point(process, ports["port"], ports["udp_port"], Signer.generate("x").verifier)
        for address in ("ticket?probe=p-one&epoch=1", "download?ticket=x", "receipt", "echo"):
            answer = point.ask(f"/v1/{address}")
            assert (answer.status, answer.word) == (501, "no_key")
            assert answer.body.count(b"\n") == 1
        assert point.ask("/speedtest/latency.txt").body == b"test=test\n"
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("settings", "part"),
    [
        ({"key_file": "gone.key"}, "cannot read key file"),
        ({"point": "hn-2"}, "is the key of dosong.example/point/hn-1"),
        ({"point": "hà nội"}, "this point's code"),
        ({"state_dir": "point.key"}, "cannot use it"),
    ],
)
def test_unusable_signing_settings_are_one_sentence_and_status_78(
    tmp_path: Path, settings: dict[str, object], part: str
) -> None:
    path, _ = kit.configuration(tmp_path, **settings)
    command = [*POINT, "--config", str(path), "--bind", "127.0.0.1", "--port", "0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    assert done.returncode == 78
    assert part in done.stderr
    assert done.stderr.count("\n") == 1


def test_half_of_the_signing_settings_is_refused(tmp_path: Path) -> None:
    write_signer(tmp_path / "point.key", Signer.generate("dosong.example/point/hn-1"))
    path = tmp_path / "point.toml"
    path.write_text('[point]\norigin = "dosong.example"\nkey_file = "point.key"\n')
    done = subprocess.run([*POINT, "--config", str(path)], capture_output=True, text=True, timeout=10, check=False)
    assert done.returncode == 78
    assert "point.point is missing" in done.stderr
