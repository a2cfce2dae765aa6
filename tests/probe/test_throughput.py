"""The engine against real sockets: a shaped link in namespaces of our own, and servers that lie."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from point import protocol
from probe.core.path import LinkCounters, judge
from probe.devices import throughput
from probe.devices.throughput import EngineRequest, EngineResult, SpeedtestEngine

PAYLOAD_SHARE = 1448 / 1514  # of the bytes that tbf counts: Ethernet, IPv4 and TCP with time stamps
POINT = "198.18.0.1"
POINT_PORT = 7480
RSS_LIMIT_KB = 60 * 1024

_RUN = """
import resource, sys, msgspec
from probe.devices import links
from probe.devices.throughput import EngineRequest, SpeedtestEngine
request = msgspec.json.decode(sys.stdin.buffer.read(), type=EngineRequest)
before = links.read()
result = SpeedtestEngine().run(request)
rss_kb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
sys.stdout.buffer.write(msgspec.json.encode([result, before, links.read(), rss_kb]))
"""

_FETCH = """
import sys, urllib.request, msgspec
from probe.devices import links
before = links.read()
body = urllib.request.urlopen(sys.argv[1], timeout=10).read()
sys.stdout.buffer.write(msgspec.json.encode([len(body), before, links.read()]))
"""

_NAME_SERVER = """
import socket, struct
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("198.18.1.1", 53))
print("ready", flush=True)
while True:
    asked, sender = sock.recvfrom(512)
    known = b"\\x05point\\x07example\\x00" in asked and asked[-3] == 1
    head = asked[:2] + struct.pack(">HHHHH", 0x8180 if known else 0x8183, 1, known, 0, 0)
    record = b"\\xc0\\x0c" + struct.pack(">HHIH4s", 1, 1, 60, 4, bytes([198, 18, 0, 1])) if known else b""
    sock.sendto(head + asked[12:] + record, sender)
"""


@dataclass(frozen=True)
class Run:
    """What one run in the probe's namespace gave."""

    result: EngineResult
    before: tuple[LinkCounters, ...]
    after: tuple[LinkCounters, ...]
    rss_kb: int

    def moved(self, iface: str) -> tuple[int, int]:
        (old,) = (link for link in self.before if link.iface == iface)
        (new,) = (link for link in self.after if link.iface == iface)
        return new.rx_bytes - old.rx_bytes, new.tx_bytes - old.tx_bytes


class Site:
    """Namespaces of the probe, the operator's router and the point.

    The probe's modem link leads to the router, which shapes both directions: as behind a real modem, the queue is
    not in the probe's own interface. A second link, unshaped and with the default route, leads past it.
    """

    def __init__(self) -> None:
        name = f"dst{os.getpid()}-{secrets.token_hex(3)}"
        self.probe, self.router, self.server = (f"{name}-{role}" for role in ("probe", "router", "point"))
        self.namespaces = (self.probe, self.router, self.server)

    def build(self) -> None:
        for namespace in self.namespaces:
            _ip("netns", "add", namespace)
            _ip("-n", namespace, "link", "set", "lo", "up")
        self._join("modem", 1, self.router, self.probe)
        self._join("wifi", 2, self.server, self.probe)
        self._join("core", 4, self.server, self.router)
        _ip("-n", self.server, "addr", "add", f"{POINT}/32", "dev", "lo")
        _run("ip", "netns", "exec", self.router, "sysctl", "-qw", "net.ipv4.ip_forward=1")
        _ip("-n", self.router, "route", "add", POINT, "via", "198.18.4.1")
        _ip("-n", self.server, "route", "add", "198.18.1.0/24", "via", "198.18.4.2")
        _ip("-n", self.probe, "route", "add", "default", "via", "198.18.2.1", "dev", "wifi", "metric", "10")
        _ip("-n", self.probe, "route", "add", "default", "via", "198.18.1.1", "dev", "modem", "metric", "600")

    def _join(self, link: str, number: int, first: str, second: str) -> None:
        _ip("link", "add", link, "netns", first, "type", "veth", "peer", "name", link, "netns", second)
        for last, namespace in ((1, first), (2, second)):
            _ip("-n", namespace, "addr", "add", f"198.18.{number}.{last}/24", "dev", link)
            _ip("-n", namespace, "link", "set", link, "up")
            _run("ip", "netns", "exec", namespace, "ethtool", "-K", link, "tso", "off", "gso", "off", "gro", "off")

    def shape(self, mbit: int) -> None:
        for link in ("modem", "core"):
            shaper = ("root", "tbf", "rate", f"{mbit}mbit", "burst", "16kb", "latency", "150ms")
            _run("tc", "-n", self.router, "qdisc", "replace", "dev", link, *shaper)

    def start(self, namespace: str, *command: str, **options: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{namespace}", sys.executable, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            **options,
        )

    def measure(self, meanwhile: Callable[[], None] | None = None, **changes: Any) -> Run:
        process = self.start(self.probe, "-c", _RUN)
        thread = threading.Thread(target=meanwhile) if meanwhile else None
        if thread:
            thread.start()
        request = EngineRequest(
            **{
                "interface": "modem",
                "server_host": POINT,
                "server_port": POINT_PORT,
                "server_id": "p1",
                "udp_port": POINT_PORT,
                "downlink_s": 3,
                "uplink_s": 3,
            }
            | changes  # type: ignore[arg-type]
        )
        out, _ = process.communicate(msgspec.json.encode(request).decode(), timeout=60)
        if thread:
            thread.join()
        kinds = tuple[EngineResult, tuple[LinkCounters, ...], tuple[LinkCounters, ...], int]
        return Run(*msgspec.json.decode(out, type=kinds))

    def modem_bytes(self) -> int:
        shown = json.loads(_run("ip", "-n", self.router, "-s", "-j", "link", "show", "modem"))
        return int(shown[0]["stats64"]["tx"]["bytes"])

    def destroy(self) -> None:
        for namespace in self.namespaces:
            subprocess.run(["ip", "netns", "del", namespace], check=False, stderr=subprocess.DEVNULL)


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _ip(*words: str) -> None:
    _run("ip", *words)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    ready = tmp_path_factory.mktemp("point") / "ready.json"
    made = Site()
    point: subprocess.Popen[str] | None = None
    try:
        made.build()
        made.shape(20)
        point = made.start(
            made.server, "-m", "point", "--port", str(POINT_PORT), "--json-ready", str(ready), stderr=subprocess.DEVNULL
        )
        _until(ready.exists)
        yield made
    finally:
        if point is not None:
            _end(point)
        made.destroy()


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def _until(true: Callable[[], object], limit_s: float = 10.0) -> None:
    deadline_s = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < deadline_s, f"not within {limit_s} s"
        time.sleep(0.02)


def _children() -> list[psutil.Process]:
    """Engine children of this process."""
    return [child for child in psutil.Process().children() if "probe.engine_speedtest" in child.cmdline()]


def _rates(result: EngineResult) -> set[int | None]:
    return {
        result.downlink_bps,
        result.uplink_bps,
        result.engine_downlink_bps,
        result.engine_uplink_bps,
    }


# --- the shaped link ---------------------------------------------------------------------------------------------


@pytest.mark.rates
@pytest.mark.netns
@pytest.mark.parametrize(("mbit", "seconds"), [(20, 3), (50, 2), (2, 2)])
def test_both_rates_are_those_of_the_shaped_link(site: Site, mbit: int, seconds: int) -> None:
    """Every socket leaves by the modem, though the default route is another and faster."""
    site.shape(mbit)
    run = site.measure(downlink_s=seconds, uplink_s=seconds)
    result, truth_bps = run.result, mbit * 1e6 * PAYLOAD_SHARE
    assert (result.outcome, result.stage, result.cause) == ("ok", None, None)
    assert result.downlink_bps == pytest.approx(truth_bps, rel=0.02)
    assert result.uplink_bps == pytest.approx(truth_bps, rel=0.02)
    assert (result.downlink_stop, result.uplink_stop, result.downlink_flows) == ("time", "time", 4)
    assert result.engine_version == "2.1.3"
    assert result.engine_downlink_bps
    assert run.rss_kb < RSS_LIMIT_KB
    assert max(run.moved("wifi")) < 20_000
    assert 0 < (result.cpu_ppm or 0) < 900_000
    proof = judge(
        run.before, run.after, "modem", result.downlink_bytes or 0, result.uplink_bytes or 0, expected_modem=True
    )
    assert proof.verdict == "ok"


@pytest.mark.rates
@pytest.mark.netns
def test_latency_is_measured_idle_and_loaded(site: Site) -> None:
    site.shape(5)
    result = site.measure(downlink_s=2, uplink_s=2, echo_count=10, echo_interval_ms=20).result
    assert (result.rtt_sent, result.rtt_received) == (10, 10)
    assert result.rtt_us_min is not None
    assert result.rtt_us_p95 is not None
    assert result.pdv_us_p95 == result.rtt_us_p95 - result.rtt_us_min
    assert (result.rtt_us_median or 10**9) < 5_000
    assert (result.rtt_loaded_downlink_us_median or 0) > 5_000
    assert (result.rtt_loaded_uplink_us_median or 0) > 5_000
    assert 0 < (result.connect_us or 0) < (result.first_byte_us or 0) < 100_000
    assert result.dns_us is None


@pytest.mark.rates
@pytest.mark.netns
def test_byte_limits_end_a_transfer_before_they_are_passed(site: Site) -> None:
    site.shape(20)
    run = site.measure(max_downlink_bytes=3_000_000, max_uplink_bytes=2_000_000)
    assert (run.result.downlink_stop, run.result.uplink_stop) == ("bytes", "bytes")
    rx_bytes, tx_bytes = run.moved("modem")
    assert 2_000_000 < rx_bytes <= 3_000_000
    assert 1_000_000 < tx_bytes <= 2_000_000
    assert run.result.downlink_bps == pytest.approx(20e6 * PAYLOAD_SHARE, rel=0.05)


@pytest.mark.netns
def test_an_unbound_transfer_is_exposed_as_invalid_path(site: Site) -> None:
    fetch = site.start(site.probe, "-c", _FETCH, f"http://{POINT}:{POINT_PORT}/speedtest/random1000x1000.jpg")
    out, _ = fetch.communicate(timeout=30)
    kinds = tuple[int, tuple[LinkCounters, ...], tuple[LinkCounters, ...]]
    payload, before, after = msgspec.json.decode(out, type=kinds)
    proof = judge(before, after, "modem", payload, 0, expected_modem=True)
    assert proof.verdict == "invalid_path"
    assert proof.other_rx_bytes >= payload == 1_986_284


@pytest.mark.netns
def test_names_are_resolved_by_the_links_own_servers(site: Site) -> None:
    site.shape(20)
    name_server = site.start(site.router, "-c", _NAME_SERVER)
    try:
        assert name_server.stdout is not None
        assert name_server.stdout.readline() == "ready\n"
        servers = ("198.18.1.9", "198.18.1.1")  # the first is not there
        found = site.measure(server_host="point.example", dns_servers=servers, downlink_s=1, uplink_s=0).result
        unknown = site.measure(server_host="nonesuch.example", dns_servers=servers[1:]).result
    finally:
        _end(name_server)
    assert (found.outcome, found.cause) == ("ok", None)
    assert (found.dns_us or 0) > 0
    assert found.uplink_bps is None
    assert (unknown.outcome, unknown.stage, unknown.cause) == ("failed", "dns", "no_dns")


@pytest.mark.netns
def test_a_link_that_dies_in_the_middle_is_cut_off_and_has_no_rate(site: Site) -> None:
    site.shape(20)
    start_bytes = site.modem_bytes()

    def cut() -> None:
        _until(lambda: site.modem_bytes() - start_bytes > 3_000_000)
        _ip("-n", site.router, "route", "add", "blackhole", "198.18.1.2/32")

    try:
        result = site.measure(cut, downlink_s=5, uplink_s=0).result
    finally:
        _ip("-n", site.router, "route", "del", "blackhole", "198.18.1.2/32")
    assert (result.outcome, result.stage, result.cause) == ("failed", "downlink", "cut_off")
    assert _rates(result) == {None}
    assert result.downlink_stop == "error"
    assert (result.downlink_bytes or 0) > 2_000_000, "what was moved stays known: it cost data"


@pytest.mark.netns
def test_a_server_that_no_neighbour_leads_to_is_no_internet(site: Site) -> None:
    result = site.measure(server_host="198.18.1.99").result
    assert (result.outcome, result.stage, result.cause) == ("failed", "connect", "no_internet")


# --- servers that lie --------------------------------------------------------------------------------------------

_IMAGE_HEAD = {"Content-Type": "image/jpeg"}
Pages = dict[str, tuple[int, dict[str, str], bytes]]
GOOD: Pages = {
    protocol.PORTAL_PATH: (200, {}, protocol.PORTAL_BODY),
    "/speedtest/latency.txt": (200, {}, b"test=test\n"),
    "/speedtest/random4000x4000.jpg": (200, _IMAGE_HEAD, bytes(31_625_365)),
    "/speedtest/upload.php": (200, {}, b"size=2048"),
}
LOGIN = b"<html>Please top up</html>"


class _Liar(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.pages: Pages = {}
        self.otherwise: tuple[int, dict[str, str], bytes] = (404, {}, b"no")
        self.takes_uploads = True
        self.closing = threading.Event()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up is what these tests are about."""


class _Answers(BaseHTTPRequestHandler):
    server: _Liar

    def do_GET(self) -> None:
        status, fields, body = self.server.pages.get(self.path.partition("?")[0], self.server.otherwise)
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        if length > 2048 and not self.server.takes_uploads:
            self.server.closing.wait(30)
            return
        self.rfile.read(min(length, 1 << 16))
        self.do_GET()

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture
def liar() -> Iterator[_Liar]:
    server = _Liar()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.closing.set()
    server.shutdown()
    thread.join()
    server.server_close()


def _local(port: int, **changes: Any) -> EngineRequest:
    given = {"downlink_s": 1, "uplink_s": 1, "max_downlink_bytes": 20_000_000, "max_uplink_bytes": 20_000_000}
    return EngineRequest("lo", "127.0.0.1", port, "p1", **(given | changes))


TRAPS: list[tuple[str, Pages, tuple[int, dict[str, str], bytes], bool, tuple[str, str, str]]] = [
    ("404 for everything", {}, (404, {}, b"no"), True, ("failed", "portal", "server_error")),
    ("404, foreign server", {}, (404, {}, b"no"), False, ("failed", "latency", "server_error")),
    ("portal page", {}, (200, {"Content-Type": "text/html"}, LOGIN), True, ("failed", "portal", "captive")),
    ("portal page, foreign", {}, (200, {"Content-Type": "text/html"}, LOGIN), False, ("failed", "latency", "captive")),
    ("redirect to a portal", {}, (302, {"Location": "http://198.18.9.9/"}, b""), True, ("failed", "portal", "captive")),
    ("511", {}, (511, {}, LOGIN), True, ("failed", "portal", "captive")),
    ("busy", {}, (503, {}, b""), True, ("failed", "portal", "server_busy")),
    (
        "portal after the checks",
        GOOD | {"/speedtest/random4000x4000.jpg": (200, {}, LOGIN), "/speedtest/upload.php": (200, {}, LOGIN)},
        (404, {}, b""),
        True,
        ("failed", "downlink", "captive"),
    ),
    (
        "redirect in the middle",
        GOOD
        | {
            "/speedtest/random4000x4000.jpg": (302, {"Location": "/speedtest/latency.txt"}, b""),
            "/speedtest/upload.php": (404, {}, b""),
        },
        (404, {}, b""),
        True,
        ("failed", "downlink", "captive"),
    ),
    (
        "no upload there",
        GOOD | {"/speedtest/upload.php": (404, {}, b"")},
        (404, {}, b""),
        True,
        ("partial", "uplink", "server_error"),
    ),
    (
        "upload counts wrong",
        GOOD | {"/speedtest/upload.php": (200, {}, b"size=9")},
        (404, {}, b""),
        True,
        ("partial", "uplink", "server_error"),
    ),
]


@pytest.mark.parametrize(("pages", "otherwise", "ours", "expected"), [t[1:] for t in TRAPS], ids=[t[0] for t in TRAPS])
def test_a_server_that_lies_gives_a_failure_and_no_rate(
    liar: _Liar,
    pages: Pages,
    otherwise: tuple[int, dict[str, str], bytes],
    ours: bool,
    expected: tuple[str, str, str],
) -> None:
    liar.pages, liar.otherwise = pages, otherwise
    result = SpeedtestEngine().run(_local(liar.server_port, portal_check=ours))
    assert (result.outcome, result.stage, result.cause) == expected
    assert result.uplink_bps is None
    assert result.engine_uplink_bps is None
    if result.outcome == "failed":
        assert _rates(result) == {None}
    else:
        assert (result.downlink_bps or 0) > 0


def test_a_server_that_stops_reading_uploads_is_cut_off(liar: _Liar) -> None:
    liar.pages, liar.takes_uploads = GOOD, False
    # No byte limit: it counts all that passes `lo`, other tests' bytes too, and would end the transfer before.
    result = SpeedtestEngine().run(_local(liar.server_port, downlink_s=0, uplink_s=8, max_uplink_bytes=None))
    assert (result.outcome, result.stage, result.cause) == ("failed", "uplink", "cut_off")
    assert _rates(result) == {None}


@pytest.fixture
def mute() -> Iterator[int]:
    """A server that accepts and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_server_that_never_answers_is_a_timeout(mute: int) -> None:
    result = SpeedtestEngine().run(_local(mute))
    assert (result.outcome, result.stage, result.cause) == ("failed", "connect", "timeout")
    assert _rates(result) == {None}


@pytest.mark.rates
def test_the_parent_kills_a_child_that_takes_too_long(mute: int) -> None:
    started_s = time.monotonic()
    result = SpeedtestEngine().run(_local(mute, time_limit_s=1))
    assert (result.outcome, result.stage, result.cause) == ("failed", "connect", "timeout")
    assert time.monotonic() - started_s < 3
    assert not _children()


def test_a_child_killed_from_outside_is_told_apart(mute: int) -> None:
    def kill() -> None:
        _until(lambda: any(child.net_connections() for child in _children()))
        _children()[0].send_signal(signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    result = SpeedtestEngine().run(_local(mute))
    thread.join()
    assert (result.outcome, result.stage, result.cause) == ("failed", "connect", "engine_killed")


def test_the_child_ends_when_its_parent_is_killed(mute: int) -> None:
    code = (
        "from probe.devices.throughput import EngineRequest, SpeedtestEngine\n"
        f"SpeedtestEngine().run(EngineRequest('lo', '127.0.0.1', {mute}, 'p1'))"
    )
    parent = subprocess.Popen([sys.executable, "-c", code])
    _until(lambda: psutil.Process(parent.pid).children())
    child = psutil.Process(parent.pid).children()[0]
    _until(child.net_connections)
    parent.kill()
    parent.wait()
    child.wait(timeout=3)


def test_missing_parts_of_the_host_are_named() -> None:
    refused = SpeedtestEngine().run(_local(1))
    assert (refused.outcome, refused.stage, refused.cause) == ("failed", "connect", "server_unreachable")
    nowhere = SpeedtestEngine().run(EngineRequest("nonesuch0", "127.0.0.1", 1, "p1"))
    assert (nowhere.outcome, nowhere.stage, nowhere.cause) == ("failed", "host", "no_interface")
    nameless = SpeedtestEngine().run(EngineRequest("lo", "localhost", 1, "p1"))
    assert (nameless.outcome, nameless.stage, nameless.cause) == ("failed", "dns", "no_dns")


def test_a_proxy_of_the_environment_is_not_used(liar: _Liar, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1/")
    liar.pages = GOOD
    result = SpeedtestEngine().run(_local(liar.server_port, uplink_s=0))
    assert (result.outcome, result.cause) == ("ok", None)
    assert result.rtt_sent is None, "no echo port was given: latency stays unknown"


def test_an_ipv6_point_is_measured_too(tmp_path: Path) -> None:
    ready = tmp_path / "ready.json"
    command = [sys.executable, "-m", "point", "--bind", "::", "--port", "0", "--json-ready", str(ready)]
    point = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        _until(ready.exists)
        port = json.loads(ready.read_text())["port"]
        for host in ("::1", "127.0.0.1"):
            request = replace(_local(port, udp_port=port, echo_count=5), server_host=host)
            result = SpeedtestEngine().run(request)
            assert (result.outcome, result.rtt_received) == ("ok", 5)
    finally:
        point.terminate()
        point.wait(timeout=5)


def test_the_portal_words_are_the_points() -> None:
    assert (throughput.PORTAL_PATH, throughput.PORTAL_BODY) == (protocol.PORTAL_PATH, protocol.PORTAL_BODY)


def test_the_daemon_does_not_load_the_library() -> None:
    code = "import sys, probe.devices.throughput; sys.exit('speedtest' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_library_is_the_version_that_the_guards_were_written_for() -> None:
    assert (
        "2.1.3"
        in (Path(sys.prefix) / "lib")
        .joinpath(f"python3.{sys.version_info.minor}", "site-packages", "speedtest.py")
        .read_text()
    )


def test_a_child_without_memory_says_so(liar: _Liar) -> None:
    liar.pages = GOOD
    result = SpeedtestEngine().run(_local(liar.server_port, memory_limit_bytes=30_000_000))
    assert (result.outcome, result.stage, result.cause) == ("failed", "downlink", "low_memory")
