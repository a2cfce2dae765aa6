"""The point as a program: real sockets, real speedtest-cli, limits, signals, exit statuses."""

from __future__ import annotations

import http.client
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from point.protocol import IMAGE_BYTES
from point.settings import Settings, load, override
from wire.errors import Misconfigured

POINT = [sys.executable, "-m", "point"]


@dataclass(frozen=True)
class Running:
    """A started point."""

    process: subprocess.Popen[str]
    port: int
    udp_port: int


@contextmanager
def running(folder: Path, *options: str) -> Iterator[Running]:
    ready = folder / f"ready-{secrets.token_hex(4)}.json"
    command = [*POINT, "--bind", "127.0.0.1", "--port", "0", "--json-ready", str(ready), *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        _until(lambda: ready.exists() or process.poll() is not None)
        ports = json.loads(ready.read_text())
        yield Running(process, ports["port"], ports["udp_port"])
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def point(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("point")) as started:
        yield started


def _until(true: Callable[[], object], limit_s: float = 10.0) -> None:
    deadline_s = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < deadline_s, f"not within {limit_s} s"
        time.sleep(0.02)


def _read_all(sock: socket.socket) -> bytes:
    chunks = []
    sock.settimeout(10)
    while chunk := sock.recv(1 << 16):
        chunks.append(chunk)
    return b"".join(chunks)


def _say(point: Running, text: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", point.port), 10) as sock:
        sock.sendall(text)
        return _read_all(sock)


def test_a_download_has_its_size_and_cannot_be_compressed(point: Running) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", point.port, timeout=10)
    connection.request("GET", "/speedtest/random1000x1000.jpg?x=1")
    response = connection.getresponse()
    body = response.read()
    connection.close()
    assert (response.status, len(body)) == (200, IMAGE_BYTES[1000])
    assert len(set(body)) == 256
    import zlib  # noqa: PLC0415 - only here

    assert len(zlib.compress(body, 1)) > len(body)


def test_an_upload_is_read_to_its_end_and_counted(point: Running) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", point.port, timeout=10)
    for size_bytes in (0, 1, 100_000, 7 << 20):
        connection.request("POST", "/speedtest/upload.php", bytes(size_bytes))
        response = connection.getresponse()
        assert response.read() == b"size=%d" % size_bytes
    connection.close()


def test_pipelined_requests_are_all_answered_in_order(point: Running) -> None:
    upload = b"POST /speedtest/upload.php HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"
    ask = b"GET /speedtest/latency.txt HTTP/1.1\r\n\r\n"
    last = b"GET /dosong-portal-check HTTP/1.0\r\n\r\n"
    answers = _say(point, ask * 2000 + upload + last)
    assert answers.count(b"test=test") == 2000
    assert answers.index(b"size=3") > answers.rindex(b"test=test")
    assert answers.endswith(b"reaches the internet\n")


def test_a_head_is_taken_byte_by_byte(point: Running) -> None:
    with socket.create_connection(("127.0.0.1", point.port), 10) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"GET /health HTTP/1.0\r\nHost: x\r\n\r\n":
            sock.send(bytes([byte]))
        assert b'"status": "ok"' in _read_all(sock)


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (b"rubbish\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 9000, b"431"),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 9000 + b"\r\n\r\n", b"431"),
        (b"POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\nabc", b"413"),
    ],
)
def test_what_is_no_request_is_refused_and_the_connection_closed(point: Running, text: bytes, status: bytes) -> None:
    assert _say(point, text).startswith(b"HTTP/1.1 " + status)


def test_a_client_that_asks_first_is_told_to_go_on(point: Running) -> None:
    with socket.create_connection(("127.0.0.1", point.port), 10) as sock:
        sock.sendall(b"POST / HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n")
        sock.settimeout(10)
        assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"ab")
        assert b"200 OK" in _read_all(sock)


def test_clients_that_vanish_do_not_harm_the_others(point: Running) -> None:
    for _ in range(30):
        with socket.create_connection(("127.0.0.1", point.port), 10) as sock:
            sock.sendall(b"GET /speedtest/random4000x4000.jpg HTTP/1.1\r\n\r\n")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    assert b'"status": "ok"' in _say(point, b"GET /health HTTP/1.0\r\n\r\n")


@pytest.mark.parametrize("size_bytes", [0, 1, 24, 64, 65, 1400])
def test_an_echo_is_the_beginning_of_what_came_and_never_longer(point: Running, size_bytes: int) -> None:
    sent = secrets.token_bytes(size_bytes)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        sock.connect(("127.0.0.1", point.udp_port))
        sock.send(sent)
        assert sock.recv(2048) == sent[:64]


def test_echoes_are_answered_while_downloads_run(point: Running) -> None:
    downloads = [socket.create_connection(("127.0.0.1", point.port), 10) for _ in range(8)]
    for sock in downloads:
        sock.sendall(b"GET /speedtest/random4000x4000.jpg HTTP/1.1\r\n\r\n")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as echo:
        echo.settimeout(5)
        echo.connect(("127.0.0.1", point.udp_port))
        for _ in range(20):
            echo.send(b"x" * 24)
            assert len(echo.recv(100)) == 24
    for sock in downloads:
        sock.close()


def test_beyond_its_limit_the_point_says_busy_and_recovers(tmp_path: Path) -> None:
    with running(tmp_path, "--max-connections", "2") as point:
        held = [socket.create_connection(("127.0.0.1", point.port), 10) for _ in range(2)]
        _until(lambda: b"503" in _say(point, b"GET / HTTP/1.0\r\n\r\n"))
        for sock in held:
            sock.close()
        _until(lambda: b"200 OK" in _say(point, b"GET / HTTP/1.0\r\n\r\n"))


def test_idle_and_slow_clients_are_let_go(tmp_path: Path) -> None:
    config = tmp_path / "point.toml"
    config.write_text("[point]\nidle_timeout_s = 1\nrequest_timeout_s = 1\n")
    with running(tmp_path, "--config", str(config)) as point:
        silent = socket.create_connection(("127.0.0.1", point.port), 10)
        stuck = socket.create_connection(("127.0.0.1", point.port), 10)
        stuck.sendall(b"POST /speedtest/upload.php HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc")
        with silent, stuck:
            assert _read_all(silent) == b""
            assert _read_all(stuck) == b""


@pytest.mark.rates
def test_sigterm_ends_it_within_a_second_even_when_busy(tmp_path: Path) -> None:
    with running(tmp_path) as point, socket.create_connection(("127.0.0.1", point.port), 10) as sock:
        sock.sendall(b"GET /speedtest/random4000x4000.jpg HTTP/1.1\r\n\r\n")
        assert sock.recv(100)
        started_s = time.monotonic()
        point.process.send_signal(signal.SIGTERM)
        assert point.process.wait(timeout=5) == 0
        assert time.monotonic() - started_s < 1


def test_a_taken_port_is_one_sentence_and_status_78() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        command = [*POINT, "--bind", "127.0.0.1", "--port", str(taken.getsockname()[1])]
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    assert done.returncode == 78
    assert done.stderr.count("\n") == 1
    assert "taken by another program" in done.stderr


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("[point]\nport = 70000\n", "port"),
        ("[point]\nport = true\n", "port"),
        ("[point]\nbind = 1\n", "bind"),
        ("[point]\nprot = 1\n", "prot is no setting"),
        ("port = 1\n", "[point]"),
        ("point = 3\n", "[point]"),
        ("[point\n", "is not TOML"),
    ],
)
def test_a_bad_setting_is_named(tmp_path: Path, text: str, part: str) -> None:
    path = tmp_path / "point.toml"
    path.write_text(text)
    with pytest.raises(Misconfigured, match=r".") as caught:
        load(path)
    assert part in str(caught.value)


def test_the_command_line_wins_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "point.toml"
    path.write_text("[point]\nport = 1\nmax_connections = 9\n")
    assert override(load(path), {"port": 2, "bind": None}) == Settings(port=2, max_connections=9)


@pytest.fixture
def namespace() -> Iterator[str]:
    """A namespace in which www.speedtest.net is this machine."""
    name = f"dsp{os.getpid()}-{secrets.token_hex(3)}"
    hosts = Path("/etc/netns") / name
    try:
        subprocess.run(["ip", "netns", "add", name], check=True)
        subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
        hosts.mkdir(parents=True)
        (hosts / "hosts").write_text("127.0.0.1 localhost www.speedtest.net\n")
        yield name
    finally:
        (hosts / "hosts").unlink(missing_ok=True)
        if hosts.exists():
            hosts.rmdir()
        subprocess.run(["ip", "netns", "del", name], check=False)


@pytest.mark.netns
def test_unmodified_speedtest_cli_uses_it_in_mini_mode_and_from_the_list(namespace: str, tmp_path: Path) -> None:
    ready = tmp_path / "ready.json"
    inside = ["ip", "netns", "exec", namespace]
    point = subprocess.Popen([*inside, *POINT, "--port", "80", "--json-ready", str(ready)], stderr=subprocess.DEVNULL)
    try:
        _until(ready.exists)
        client = [*inside, sys.executable, "-W", "ignore", "-m", "speedtest", "--json"]
        for options in (["--mini", "http://www.speedtest.net", "--no-upload"], ["--no-download"]):
            done = subprocess.run([*client, *options], capture_output=True, text=True, timeout=60, check=True)
            said = json.loads(done.stdout)
            assert max(said["download"], said["upload"]) > 50e6
            assert 0 < said["ping"] < 100
    finally:
        point.terminate()
        point.wait(timeout=5)
