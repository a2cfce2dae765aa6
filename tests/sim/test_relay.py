"""The relayed link in real namespaces: what ping and TCP see, and that its own books say the same."""

import json
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest
import serial

from sim import cell, ns, rates, site, state, truth
from sim.air import fading_of
from tests.sim.kit import CONGESTION_CONTROLS, children, inside, namespaces, ping_ms, python, transfer, until
from wire.errors import Misconfigured, Unavailable

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
    pytest.mark.skipif(not Path("/dev/net/tun").exists(), reason="no TUN device on this machine"),
]
# Payload of a full TCP segment for its share of the rate, which is of IP packets (timestamps on).
PAYLOAD_SHARE = 1448 / 1500
FLOOD = """
import socket, sys, time
address, port, rate_bps, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
began, sent = time.monotonic(), 0
while (now := time.monotonic()) < began + seconds:
    while sent < (now - began) * rate_bps / 12_000:
        peer.sendto(sent.to_bytes(4) + bytes(1468), (address, port))
        sent += 1
    time.sleep(0.002)
print(sent, flush=True)
"""
SINK = """
import socket, sys
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)
sock.bind((sys.argv[1], 0))
sock.settimeout(float(sys.argv[2]))
print(sock.getsockname()[1], flush=True)
got = 0
try:
    while sock.recv(2048):
        got += 1
except TimeoutError:
    print(got, flush=True)
"""


def relayed(run, **link):
    return site.up(run, state.Spec("a", shaper="relay", attached=True, **link))


def flood_uplink(up, rate_bps, seconds):
    """Packets of 1500 bytes sent and received in an uplink flood that asks nobody."""
    with python(up.core_pid, SINK, "198.18.0.1", 1.5) as sink:
        port = sink.stdout.readline().strip()
        with python(up.netns_pid, FLOOD, "198.18.0.1", port, rate_bps, seconds) as sender:
            sent = int(sender.stdout.readline())
        return sent, int(sink.stdout.readline())


def carried(up, way, size, control="cubic"):
    """Goodput of one transfer, and what the relay wrote meanwhile."""
    began = time.monotonic_ns()
    goodput_bps = transfer(up, way, size, control=control)
    # The first and the last bin are whole only if a bin more is waited for.
    return goodput_bps, truth.wait(up.truth, began - truth.BIN_NS, time.monotonic_ns() + truth.BIN_NS)


def busy_bps(found, direction):
    """Rates in bit/s of the bins before and in which packets waited: the link was busy all along."""
    flows = [getattr(one, direction) for one in found.bins]
    waiting = [flow.queued > 1500 for flow in flows]
    return [flow.delivered * 8 / 0.05 for at, flow in enumerate(flows) if at > 1 and all(waiting[at - 2 : at + 1])]


@pytest.mark.rates
def test_ping_takes_the_delay_of_both_ways_and_its_change(run):
    up = relayed(run)
    assert up.rtt_ms == 50
    assert 50 <= statistics.median(ping_ms(up)) < 53
    up = site.control(run, "a", "link", delay_ms=15, uplink_delay_ms=65)
    assert up.rtt_ms == 80
    assert 80 <= statistics.median(ping_ms(up)) < 83


@pytest.mark.rates
@pytest.mark.parametrize("control", [name for name in ("cubic", "bbr") if name in CONGESTION_CONTROLS])
@pytest.mark.parametrize("way", ["down", "up"])
def test_tcp_gets_the_rate_and_the_books_say_the_same(run, way, control):
    up = relayed(run, downlink_bps=20_000_000, uplink_bps=20_000_000)
    direction = {"down": "downlink", "up": "uplink"}[way]
    size = 4_000_000
    goodput_bps, found = carried(up, way, size, control)
    assert goodput_bps == pytest.approx(20_000_000 * PAYLOAD_SHARE, rel=0.12), "the ramp is in it"
    assert statistics.median(busy_bps(found, direction)) == pytest.approx(20_000_000, rel=0.01)
    assert found.total(direction, "delivered") == pytest.approx(size / PAYLOAD_SHARE, rel=0.01)
    assert found.total(direction, "lost") == 0
    assert found.total(direction, "delivered") <= found.total(direction, "capacity")


@pytest.mark.rates
def test_a_flood_gets_exactly_the_rate_and_fills_exactly_the_queue(run):
    up = relayed(run, uplink_bps=5_000_000, queue_ms=400)
    began = time.monotonic_ns()
    sent, got = flood_uplink(up, 10_000_000, 2.0)
    found = truth.wait(up.truth, began, time.monotonic_ns())
    offered, delivered, dropped = (found.total("uplink", what) for what in ("offered", "delivered", "dropped"))
    assert (offered, delivered) == (sent * 1500, got * 1500)
    assert offered == delivered + dropped
    assert statistics.mean(busy_bps(found, "uplink")) == pytest.approx(5_000_000, rel=0.002)
    room = max(one.uplink.queued for one in found.bins)
    assert room == pytest.approx(5_000_000 * 0.4 / 8, abs=1500)


@pytest.mark.rates
def test_loss_is_as_great_as_asked(run):
    up = relayed(run, uplink_bps=40_000_000, loss_ppm=30_000)
    began = time.monotonic_ns()
    sent, got = flood_uplink(up, 30_000_000, 2.0)
    found = truth.wait(up.truth, began, time.monotonic_ns())
    assert found.total("uplink", "lost") == (sent - got) * 1500
    assert (sent - got) / sent == pytest.approx(0.03, abs=0.009)


@pytest.mark.rates
def test_tcp_follows_a_stepped_rate(run):
    up = relayed(run, downlink_trace="steps:20mbit*1s,5mbit*1s")
    _, found = carried(up, "down", 6_000_000)
    seen = {round(rate / 1e6) for rate in busy_bps(found, "downlink")}
    assert {5, 20} <= seen
    busy = [one.downlink for one in found.bins[20:-20]]
    assert sum(flow.delivered for flow in busy) > 0.9 * sum(flow.capacity for flow in busy)


@pytest.mark.rates
def test_a_flood_follows_a_trace_of_mahimahi_from_its_offset(run, tmp_path):
    trace = tmp_path / "trace.mahi"
    moments = [*range(1, 1001), *range(1005, 2001, 5)]
    trace.write_text("".join(f"{moment}\n" for moment in moments))
    up = relayed(run, uplink_trace=str(trace), queue_ms=100)
    site.control(run, "a", "link", uplink_trace=str(trace), trace_offset_s=0.5)
    began = time.monotonic_ns()
    flood_uplink(up, 20_000_000, 2.2)
    found = truth.wait(up.truth, began, time.monotonic_ns())
    rows = [one.uplink for one in found.bins][2:]
    high = [flow for flow in rows if flow.capacity > 70_000]
    low = [flow for flow in rows if 0 < flow.capacity < 16_000 and flow.delivered]
    assert len(high) >= 8
    assert len(low) >= 8
    full = [flow for flow in rows if flow.queued > 20_000 and flow.delivered]
    assert sum(flow.delivered for flow in full) == pytest.approx(sum(flow.capacity for flow in full), rel=0.03)
    with pytest.raises(Unavailable, match="trace"):
        site.control(run, "a", "link", uplink_trace="/nowhere")
    assert 50 <= statistics.median(ping_ms(up)) < 65, "a trace that cannot be read changes nothing"


def began_ns(up):
    """When the relay made its link: the traces begin there."""
    lines = [json.loads(line) for line in Path(up.truth).read_text().splitlines()]
    return next(line["changed_ns"] for line in lines if "changed_ns" in line)


def rsrp_dbm(port):
    """What a Quectel modem says of its cell: +QCSQ: "LTE",RSSI,RSRP,SINR,RSRQ."""
    port.write(b"AT+QCSQ\r")
    return int(re.search(rb'\+QCSQ: "LTE",-?\d+,(-\d+)', port.read_until(b"OK\r\n")).group(1))


@pytest.mark.rates
def test_a_generated_link_moves_the_radio_too(run):
    up = relayed(run, downlink_trace="cellular:7")
    off_db = fading_of(state.Spec("a", downlink_trace="cellular:7"), "downlink").rsrp_db
    with serial.Serial(up.modem, timeout=3) as port:
        for _ in range(4):
            second = (time.monotonic_ns() - began_ns(up)) // truth.SECOND_NS
            near = [-85 + off_db[at] for at in range(second, second + 2)]
            assert min(near) - 2.6 <= rsrp_dbm(port) <= max(near) + 2.6, "within the modem's own variation of 2 dB"
            time.sleep(0.7)  # what is tested: the level moves with time


@pytest.mark.rates
def test_a_generated_link_carries_what_its_trace_says(run):
    up = relayed(run, downlink_trace="cellular:7", downlink_bps=12_000_000, seed=3)
    spec = state.Spec("a", downlink_trace="cellular:7", downlink_bps=12_000_000)
    _, found = carried(up, "down", 3_000_000)
    began = began_ns(up)
    its = fading_of(spec, "downlink").rates
    for one in found.bins[:40]:
        at = one.t_ns - began - 25_000_000
        if at < 0:
            continue  # the link did not exist yet
        expected = (its.carried(at + truth.BIN_NS) - its.carried(at)) / rates.NANOBITS_A_BYTE
        assert one.downlink.capacity == pytest.approx(expected, abs=2)
        assert one.downlink.delivered <= expected * 1.05 + 5_000
    assert found.total("downlink", "delivered") >= 3_000_000


@pytest.mark.rates
def test_a_spent_plan_is_policed_in_both_directions(run):
    up = relayed(run, police_bytes=2_000_000, police_bps=1_000_000)
    fast, _ = carried(up, "down", 1_000_000)
    assert fast > 8_000_000
    transfer(up, "up", 1_100_000)
    slow = [carried(up, way, 120_000)[0] for way in ("down", "up")]
    assert max(slow) < 1_100_000
    site.control(run, "a", "link", police_bytes=None)
    assert carried(up, "down", 1_000_000)[0] > 8_000_000


@pytest.mark.rates
def test_an_idle_radio_is_late_once(run):
    up = relayed(run, promotion_low_ms=300, promotion_high_ms=600, idle_s=1.0)
    first, *rest = ping_ms(up, count=8, every_s=0.2)
    assert 350 <= first < 660
    assert max(rest[3:]) < 60
    time.sleep(1.1)  # what is tested: a second without a packet
    assert 350 <= ping_ms(up, count=1)[0] < 660


@pytest.mark.rates
def test_service_unplug_and_rate_work_as_with_tbf(run):
    up = relayed(run)
    site.control(run, "a", "service", on=False)
    assert not ping_ms(up, count=1)
    up = site.control(run, "a", "rate", downlink_bps=2_000_000)
    assert not ping_ms(up, count=1), "a new rate must not bring the service back"
    site.control(run, "a", "service", on=True)
    assert len(ping_ms(up, count=2)) == 2
    assert transfer(up, "down", 500_000) == pytest.approx(2_000_000 * PAYLOAD_SHARE, rel=0.03)
    site.control(run, "a", "unplug")
    assert "unreachable" in inside(up, "ping", "-c1", "-W1", "198.18.0.1")
    site.control(run, "a", "plug")
    assert len(ping_ms(up, count=2)) == 2
    assert transfer(site.control(run, "a", "wifi", on=True), "down", 1_000_000) > 50_000_000


@pytest.mark.rates
def test_an_idle_relay_sleeps_and_a_ping_is_not_late(run):
    up = relayed(run)
    ping_ms(up, count=3)
    began = time.monotonic_ns() + 1_500_000_000
    found = truth.wait(up.truth, began, began + 2_000_000_000)
    assert max(second.passes for second in found.seconds[1:]) <= 20
    assert found.cpu_share < 0.02


@pytest.mark.rates
@pytest.mark.parametrize("victim", ["holder", "relay"])
def test_kill_9_leaves_no_process_namespace_or_device(run, victim):
    up = relayed(run)
    network = str(Path(f"/proc/{up.pid}/ns/net").readlink())
    family = {pid: ns.start_ticks(pid) for pid in [up.pid, *children(up.pid)]}
    core_links = ["nsenter", "-t", str(up.core_pid), "-n", "ip", "-br", "link"]
    assert up.relay_pid in family
    assert "cell-1" in subprocess.check_output(core_links, text=True)
    target = up.pid if victim == "holder" else up.relay_pid
    ns.kill(target, family[target])
    assert until(lambda: all(ns.start_ticks(pid) is None for pid in family))
    assert until(lambda: network not in namespaces())
    assert until(lambda: "cell-1" not in subprocess.check_output(core_links, text=True))
    assert state.sites(run) == []
    again = relayed(run)
    assert (again.index, len(ping_ms(again, count=2))) == (1, 2)


@pytest.mark.rates
def test_what_tbf_cannot_do_is_refused(run):
    with pytest.raises(Misconfigured, match="relay"):
        site.up(run, state.Spec("a", shaper="tbf", loss_ppm=1000, attached=True))
    with pytest.raises(Misconfigured, match="no shaper"):
        site.up(run, state.Spec("a", shaper="netem", attached=True))
    site.up(run, state.Spec("a", attached=True))
    with pytest.raises(Unavailable, match="relay"):
        site.control(run, "a", "link", downlink_trace="cellular:1")
    with pytest.raises(Unavailable, match="no such part"):
        site.control(run, "a", "link", colour=1)


def _cli(*words):
    command = [sys.executable, "-m", "sim", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.rates
def test_command_line_has_a_relay_by_default_and_prints_the_truth(tmp_path):
    where = ["--run", f"t{os.getpid()}relay", "--state-dir", str(tmp_path / "run")]
    assert cell.best_shaper() == "relay"
    try:
        made = _cli("site", "up", "a", "--trace-down", "cellular:7", "--promotion", "300-600", *where)
        assert made.returncode == 0, made.stderr
        assert "20 (cellular:7) down, 8 up Mbit/s, RTT 50 ms" in made.stdout
        assert _cli("site", "link", "a", *where).returncode == 2
        changed = _cli("site", "link", "a", "--delay", "40", "--loss", "0.5", *where)
        assert "RTT 80 ms" in changed.stdout, changed.stderr
        _cli("site", "exec", "a", *where, "--", "ping", "-c5", "-i0.3", "198.18.0.1")
        shown = _cli("site", "truth", "a", *where)
        assert "of a core, latest pass" in shown.stdout, shown.stderr
        rows = [json.loads(line) for line in _cli("site", "truth", "a", "--json", *where).stdout.splitlines()]
        assert sum(row["uplink"]["offered"] for row in rows if "t_ns" in row) >= 5 * 84
        assert _cli("site", "up", "b", "--shaper", "tbf", *where).returncode == 0
        assert "--shaper relay" in _cli("site", "truth", "b", *where).stderr
    finally:
        _cli("core", "down", "--all", *where)
