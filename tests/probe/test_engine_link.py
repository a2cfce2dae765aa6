"""Our engine over a shaped link in namespaces of our own, against the point's double."""

from __future__ import annotations

import json
import statistics
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from probe.core.path import LinkCounters, judge
from probe.devices.throughput import EngineResult
from tests.probe.point_double import opened
from tests.probe.test_throughput import PAYLOAD_SHARE, POINT, POINT_PORT, Run, Site, _end, _ip, _until

DOUBLE = Path(__file__).with_name("point_double.py")
_RUN = """
import resource, sys, msgspec
from probe.devices import links
from probe.devices.throughput import DosongEngine, EngineRequest
request = msgspec.json.decode(sys.stdin.buffer.read(), type=EngineRequest)
before = links.read()
result = DosongEngine().run(request)
rss_kb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
sys.stdout.buffer.write(msgspec.json.encode([result, before, links.read(), rss_kb]))
"""


_FLOOD_WHEN_TOLD = """
import socket, sys, time
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sys.stdin.readline()
end = time.monotonic() + 4
while time.monotonic() < end:
    sock.sendto(bytes(1200), ("198.18.1.2", 9)); time.sleep(0.002)
"""


class EngineSite(Site):
    """The same site; the point is our double, with the faults that a test asks for."""

    point: subprocess.Popen[str] | None = None

    def serve(self, *faults: str) -> None:
        if self.point is not None:
            _end(self.point)
        self.point = self.start(self.server, str(DOUBLE), POINT, str(POINT_PORT), *faults)
        assert self.point.stdout is not None
        assert json.loads(self.point.stdout.readline())["port"] == POINT_PORT

    def measure(self, meanwhile: Callable[[], None] | None = None, **changes: Any) -> Run:
        process = self.start(self.probe, "-c", _RUN)
        given = {
            "interface": "modem",
            "server_host": POINT,
            "server_port": POINT_PORT,
            "server_id": "p1",
            "udp_port": POINT_PORT,
            "echo_count": 5,
            "probe": "p-dong-chuoi",
            "epoch": 3,
        }
        assert process.stdin is not None
        process.stdin.write(msgspec.json.encode(given | changes).decode())
        process.stdin.close()
        process.stdin = None
        if meanwhile is not None:
            meanwhile()
        out, _ = process.communicate(timeout=60)
        kinds = tuple[EngineResult, tuple[LinkCounters, ...], tuple[LinkCounters, ...], int]
        return Run(*msgspec.json.decode(out, type=kinds))


@pytest.fixture(scope="module")
def site() -> Iterator[EngineSite]:
    made = EngineSite()
    try:
        made.build()
        made.shape(20)
        yield made
    finally:
        if made.point is not None:
            _end(made.point)
        made.destroy()


def _check(result: EngineResult, bps: float, rel: float) -> None:
    assert (result.outcome, result.stage, result.cause) == ("ok", None, None)
    assert result.downlink_bps == pytest.approx(bps, rel=rel)
    assert result.uplink_bps == pytest.approx(bps, rel=rel)


@pytest.mark.rates
@pytest.mark.netns
@pytest.mark.parametrize("mbit", [1, 5, 50])
def test_rates_are_those_of_the_link_in_a_second_or_two(site: EngineSite, mbit: int) -> None:
    site.shape(mbit)
    site.serve()
    run = site.measure()
    result = run.result
    _check(result, mbit * 1e6 * PAYLOAD_SHARE, 0.01)
    assert result.downlink_stop == result.uplink_stop == "precise"
    assert result.downlink_flows == result.uplink_flows == (4 if mbit > 8 else 1)
    assert (result.downlink_us or 0) < 3_500_000
    assert (result.downlink_se_ppm or 0) <= 20_000
    assert result.downlink_limit == result.uplink_limit == "link"
    assert max(run.moved("wifi")) < 10_000, "every packet leaves by the modem, answers to late ones too"
    moved = (result.downlink_bytes or 0, result.uplink_bytes or 0)
    assert judge(run.before, run.after, "modem", *moved, expected_modem=True).verdict == "ok"


@pytest.mark.rates
@pytest.mark.netns
def test_the_result_carries_series_latency_and_both_receipts(site: EngineSite) -> None:
    site.shape(20)
    site.serve()
    run = site.measure(echo_count=20)
    result = run.result
    assert (result.rtt_sent, result.rtt_received) == (20, 20)
    assert 0 < (result.connect_us or 0) < (result.first_byte_us or 0)
    assert (result.rtt_loaded_downlink_us_median or 0) > 2 * (result.rtt_us_median or 10**9)
    step_s = (result.series_step_ms or 0) / 1000
    for series, bps, us in (
        (result.downlink_series_bytes, result.downlink_bps, result.downlink_us),
        (result.uplink_series_bytes, result.uplink_bps, result.uplink_us),
    ):
        assert series is not None
        assert 20 <= len(series) <= 100
        assert sum(series) * 8e6 / (us or 1) == pytest.approx(bps, rel=0.001)
        assert statistics.median(series) * 8 / step_s == pytest.approx(bps, rel=0.03)
    down, up = map(opened, result.receipts)
    assert (down.direction, up.direction, down.ticket) == ("downlink", "uplink", result.ticket)
    assert (down.probe, down.source) == ("p-dong-chuoi", "198.18.1.2")
    assert down.bytes >= (result.downlink_bytes or 0) * 0.99
    assert up.bytes >= (result.uplink_bytes or 0) * 0.99
    assert run.rss_kb < 32 * 1024


@pytest.mark.rates
@pytest.mark.netns
def test_a_byte_limit_holds_for_the_whole_link(site: EngineSite) -> None:
    site.shape(20)
    site.serve()
    run = site.measure(max_downlink_bytes=2_000_000, max_uplink_bytes=1_500_000)
    assert (run.result.downlink_stop, run.result.uplink_stop) == ("bytes", "bytes")
    assert run.result.downlink_limit == "cap"
    rx_bytes, tx_bytes = run.moved("modem")
    assert 1_000_000 < rx_bytes <= 2_150_000
    assert 700_000 < tx_bytes <= 1_650_000


@pytest.mark.rates
@pytest.mark.netns
def test_a_link_that_dies_in_the_middle_is_cut_off_and_has_no_rate(site: EngineSite) -> None:
    site.shape(20)
    site.serve()
    start_bytes = site.modem_bytes()

    def cut() -> None:
        _until(lambda: site.modem_bytes() - start_bytes > 1_000_000)
        _ip("-n", site.router, "route", "add", "blackhole", "198.18.1.2/32")

    try:
        result = site.measure(cut, uplink_s=0).result
    finally:
        _ip("-n", site.router, "route", "del", "blackhole", "198.18.1.2/32")
    assert (result.outcome, result.stage, result.cause) == ("failed", "downlink", "cut_off")
    assert result.downlink_bps is result.downlink_us is result.downlink_series_bytes is None
    assert result.downlink_stop == "error"
    assert (result.downlink_bytes or 0) > 500_000, "what was moved stays known: it cost data"
    assert result.ticket is not None


@pytest.mark.rates
@pytest.mark.netns
def test_bytes_that_the_point_never_saw_are_no_rate(site: EngineSite) -> None:
    """Something between us took the bytes: a rate to a box in the path is none of the network."""
    site.shape(20)
    site.serve("small-receipt")
    result = site.measure().result
    assert (result.outcome, result.stage, result.cause) == ("failed", "downlink", "bytes_missing")
    assert result.downlink_bps is result.uplink_bps is result.uplink_series_bytes is None
    assert len(result.receipts) == 2, "what it signed is evidence all the same"


@pytest.mark.rates
@pytest.mark.netns
def test_others_on_the_link_are_waited_for_and_said(site: EngineSite) -> None:
    site.shape(20)
    site.serve()
    flood = (
        "import socket, time\n"
        "sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "end = time.monotonic() + 20\n"
        "while time.monotonic() < end:\n"
        "    sock.sendto(bytes(1200), ('198.18.1.2', 9)); time.sleep(0.002)\n"
    )
    others = site.start(site.router, "-c", flood)
    try:
        result = site.measure(uplink_s=0, quiet_wait_s=0).result
    finally:
        _end(others)
    assert (result.cross_bps or 0) > 2_000_000
    assert result.downlink_stop == "time", "application and link do not agree: never precise"
    assert site.measure(uplink_s=0).result.cross_bps is None


@pytest.mark.rates
@pytest.mark.netns
def test_others_that_come_in_mid_transfer_are_waited_for_and_all_is_measured_anew(site: EngineSite) -> None:
    """The rate beside others is theirs too: it is thrown away, and what it cost counts against the limit of bytes."""
    site.shape(5)
    site.serve()
    others = site.start(site.router, "-c", _FLOOD_WHEN_TOLD)
    start_bytes = site.modem_bytes()

    def disturb() -> None:
        _until(lambda: site.modem_bytes() - start_bytes > 150_000)
        assert others.stdin is not None
        others.stdin.write("now\n")
        others.stdin.flush()

    try:
        result = site.measure(disturb, uplink_s=0, quiet_wait_s=60, cap_ms=2_000).result
    finally:
        _end(others)
    assert (result.outcome, result.attempt, result.cross_bps) == ("ok", 2, None)
    assert result.downlink_bps == pytest.approx(5e6 * PAYLOAD_SHARE, rel=0.02)
    assert len(result.receipts) == 1, "of the second ticket"


@pytest.mark.netns
def test_a_server_that_no_neighbour_leads_to_is_no_internet(site: EngineSite) -> None:
    result = site.measure(server_host="198.18.1.99").result
    assert (result.outcome, result.stage, result.cause) == ("failed", "connect", "no_internet")
