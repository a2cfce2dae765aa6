"""Our engine against points that are dead, busy, lying or in the way: always a stage, a cause and no rate."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import psutil
import pytest

from probe.devices.throughput import DosongEngine, EngineRequest, EngineResult
from tests.probe.point_double import Double


@pytest.fixture
def double(request: pytest.FixtureRequest) -> Iterator[Double]:
    faults = request.param if isinstance(getattr(request, "param", ()), tuple) else (request.param,)
    made = Double(faults=faults)
    yield made
    made.close()


def _request(port: int, **changes: object) -> EngineRequest:
    given: dict[str, object] = {
        "udp_port": port,
        "echo_count": 2,
        "quiet_wait_s": 0,
        "busy_wait_s": 3,
        "max_downlink_bytes": 5_000_000,
        "max_uplink_bytes": 5_000_000,
        "probe": "p-dong-chuoi",
    }
    return EngineRequest("lo", "127.0.0.1", port, "p1", **(given | changes))  # type: ignore[arg-type]


def _run(port: int, **changes: object) -> EngineResult:
    return DosongEngine().run(_request(port, **changes))


def _no_rate(result: EngineResult) -> bool:
    kept = (result.downlink_bps, result.uplink_bps, result.downlink_series_bytes, result.uplink_series_bytes)
    return kept == (None, None, None, None)


@pytest.mark.parametrize(
    ("double", "expected"),
    [
        ("lost", ("failed", "portal", "server_error")),
        ("portal", ("failed", "portal", "captive")),
        ("redirect", ("failed", "portal", "captive")),
        ("busy", ("failed", "portal", "server_busy")),
        ("refused", ("failed", "portal", "ticket_refused")),
        ("mute", ("failed", "connect", "timeout")),
    ],
    indirect=["double"],
)
def test_a_point_that_gives_no_ticket_gives_no_rate(double: Double, expected: tuple[str, str, str]) -> None:
    result = _run(double.port)
    assert (result.outcome, result.stage, result.cause) == expected
    assert _no_rate(result)
    assert result.engine == "dosong"
    assert not any("load" in target for target in double.asked), "no data is spent on it"


def test_a_busy_point_says_when_to_come_back_and_is_asked_again_then() -> None:
    for faults, outcome, tickets in ((("busy",), "failed", 4), (("busy-once",), "ok", 2)):
        double = Double(faults=faults)
        try:
            result = _run(double.port)
        finally:
            double.close()
        assert result.outcome == outcome, result
        assert sum("ticket?" in target for target in double.asked) == tickets
        assert result.retry_after_s == (1 if outcome == "failed" else None)


@pytest.mark.parametrize("double", ["mute-download"], indirect=True)
def test_a_download_that_never_comes_is_a_timeout_and_the_uplink_still_runs(double: Double) -> None:
    result = _run(double.port)
    assert (result.outcome, result.stage, result.cause) == ("partial", "downlink", "timeout")
    assert result.downlink_bps is None
    assert result.downlink_bytes == 0
    assert (result.uplink_bps or 0) > 0


@pytest.mark.parametrize("double", ["cut-1"], indirect=True)
def test_connections_that_are_reset_in_the_middle_give_no_rate(double: Double) -> None:
    result = _run(double.port, max_downlink_bytes=None, uplink_s=0)
    assert (result.outcome, result.stage, result.cause) == ("failed", "downlink", "reset")
    assert _no_rate(result)
    assert (result.downlink_bytes or 0) >= 1_000_000


@pytest.mark.parametrize("double", ["no-receipt"], indirect=True)
def test_without_the_second_witness_a_test_is_only_partial(double: Double) -> None:
    result = _run(double.port)
    assert (result.outcome, result.stage, result.cause) == ("partial", "receipt", "server_error")
    assert (result.downlink_bps or 0) > 0
    assert result.receipts == ()
    assert result.downlink_receipt is result.uplink_receipt is None


@pytest.mark.parametrize("double", ["unfit"], indirect=True)
def test_a_point_that_was_the_limit_itself_says_so_and_there_is_no_rate(double: Double) -> None:
    result = _run(double.port)
    assert (result.outcome, result.stage, result.cause) == ("failed", "downlink", "server_busy")
    assert _no_rate(result)
    assert (result.downlink_limit, result.uplink_limit) == ("server", "server")


@pytest.mark.parametrize("double", ["no-echo"], indirect=True)
def test_echoes_that_are_all_lost_are_loss_not_failure(double: Double) -> None:
    result = _run(double.port)
    assert (result.outcome, result.rtt_sent, result.rtt_received, result.rtt_us_min) == ("ok", 2, 0, None)


def test_nobody_there_is_said_by_stage() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        refused = _run(port)
    assert (refused.outcome, refused.stage, refused.cause) == ("failed", "connect", "server_unreachable")
    nowhere = DosongEngine().run(EngineRequest("nonesuch0", "127.0.0.1", 1, "p1"))
    assert (nowhere.outcome, nowhere.stage, nowhere.cause) == ("failed", "host", "no_interface")
    nameless = DosongEngine().run(EngineRequest("lo", "localhost", 1, "p1"))
    assert (nameless.outcome, nameless.stage, nameless.cause) == ("failed", "dns", "no_dns")


@pytest.mark.parametrize("double", ["mute"], indirect=True)
def test_a_child_that_is_killed_or_too_slow_is_told_apart(double: Double) -> None:
    slow = _run(double.port, time_limit_s=1)
    assert (slow.outcome, slow.stage, slow.cause) == ("failed", "connect", "timeout")

    def kill() -> None:
        deadline_s = time.monotonic() + 10
        while time.monotonic() < deadline_s:
            for child in psutil.Process().children():
                if "probe.engine_dosong" in child.cmdline() and child.net_connections():
                    child.send_signal(signal.SIGKILL)
                    return
            time.sleep(0.02)

    thread = threading.Thread(target=kill)
    thread.start()
    killed = _run(double.port)
    thread.join()
    assert (killed.outcome, killed.stage, killed.cause) == ("failed", "connect", "engine_killed")


@pytest.mark.parametrize("double", ["mute"], indirect=True)
def test_the_child_ends_with_its_parent(double: Double) -> None:
    code = (
        "from probe.devices.throughput import EngineRequest, DosongEngine\n"
        f"DosongEngine().run(EngineRequest('lo', '127.0.0.1', {double.port}, 'p1'))"
    )
    parent = subprocess.Popen([sys.executable, "-c", code])
    deadline_s = time.monotonic() + 10
    while not (children := psutil.Process(parent.pid).children()) and time.monotonic() < deadline_s:
        time.sleep(0.02)
    parent.kill()
    parent.wait()
    children[0].wait(timeout=3)


def test_the_child_loads_no_library_of_the_daemon() -> None:
    """Start-up is most of a short test's CPU."""
    code = (
        "import sys, probe.engine_dosong; sys.exit(bool({'msgspec', 'cryptography', 'subprocess'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, env=os.environ).returncode == 0
