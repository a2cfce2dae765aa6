"""Each trap of speedtest-cli 2.1.3 twice: what the bare library says, and what our guarded engine says instead.

The rows of facts note 03 §4, in their order. The library runs unchanged in a process of its own (`bare_speedtest.py`).
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from probe.core.engine_terms import EngineRequest, EngineResult
from probe.devices.throughput import SpeedtestEngine
from tests.probe.link_cut import CutLink
from tests.probe.test_failure_classes import LOGIN, answering, dead, has_no_rate, mute, the_point
from tests.probe.test_throughput import PAYLOAD_SHARE, POINT, POINT_PORT, Site, _end, _until

pytestmark = pytest.mark.services
BARE = str(Path(__file__).with_name("bare_speedtest.py"))
CONFIG = (
    "<settings><client lat='1' lon='1' ip='1' isp='x' country='VN'/>"
    "<server-config threadcount='4' ignoreids=''/><download testlength='10' threadsperurl='4'/>"
    "<upload testlength='10' ratio='{ratio}' maxchunkcount='50' threads='2' maxchunksize='512K'/></settings>"
)


def bare(*ports: int, flags: tuple[str, ...] = (), environment: dict[str, str] | None = None, **given: Any) -> Any:
    """What the library says by itself about a server on loopback."""
    asked = json.dumps({"servers": [f"127.0.0.1:{port}" for port in ports], "timeout": 2, **given})
    done = subprocess.run(
        [sys.executable, "-W", "ignore", *flags, BARE, asked],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        env=os.environ | (environment or {}),
    )
    return json.loads(done.stdout)


def guarded(port: int, **changes: Any) -> EngineResult:
    """What our engine says about the same server."""
    request = EngineRequest("lo", "127.0.0.1", port, "p1", downlink_s=2, uplink_s=2)
    return SpeedtestEngine().run(replace(request, **changes))


def failed(result: EngineResult, stage: str, cause: str) -> bool:
    return (result.outcome, result.stage, result.cause) == ("failed", stage, cause) and has_no_rate(result)


def test_404_is_a_number_and_no_error() -> None:
    with answering(404, b"no", "text/plain") as port:
        said = bare(port, download=1, upload=1)
        assert "raised" not in said
        assert said["download_bps"] >= 0
        assert said["upload_bps"] > 100_000, "nobody took these bytes"
        assert failed(guarded(port), "portal", "server_error")
        assert failed(guarded(port, portal_check=False), "latency", "server_error")


def test_captive_portal_is_three_numbers_and_no_error() -> None:
    with answering(200, LOGIN, "text/html") as port:
        said = bare(port, download=1, upload=1)
        assert "raised" not in said
        assert said["download_bps"] > 0
        assert said["upload_bps"] > 100_000
        assert said["ping_ms"] == pytest.approx(1_800_000, rel=0.01), "half an hour, for a latency that it never got"
        result = guarded(port)
        assert failed(result, "portal", "captive")
        assert result.rtt_us_min is None


def test_a_server_that_never_answers_has_an_upload_rate() -> None:
    """And its threads are waited for long after the length that was asked: the child is killed by the clock."""
    with mute() as port:
        said = bare(port, upload=1)
        assert said["upload_bps"] > 0, "bytes in socket buffers that nobody read"
        assert said["seconds"] > 4, "three latency questions and an upload, each until its own timeout"
        assert failed(guarded(port), "connect", "timeout")
        began_s = time.monotonic()
        assert failed(guarded(port, time_limit_s=4), "connect", "timeout")
        assert time.monotonic() - began_s < said["seconds"] + 10, "killed by the clock"


def test_a_link_that_dies_gives_a_normal_result(tmp_path: Path) -> None:
    with the_point(tmp_path) as port:
        for run in (0, 1):
            link = CutLink(port, 4_000_000)
            try:
                if run == 0:
                    said = bare(link.port, download=2)
                    assert "raised" not in said
                    assert said["download_bps"] > 1_000_000
                else:
                    assert failed(guarded(link.port, downlink_s=6, uplink_s=0), "downlink", "cut_off")
                assert link.is_cut
            finally:
                link.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """The probe's site with a point behind a link of 1 Mbit/s; its default route is another, faster link."""
    made, ready = Site(), tmp_path / "ready.json"
    point: subprocess.Popen[str] | None = None
    try:
        made.build()
        made.shape(1)
        where = ["--port", str(POINT_PORT), "--json-ready", str(ready)]
        point = made.start(made.server, "-m", "point", *where, stderr=subprocess.DEVNULL)
        _until(ready.exists)
        yield made
    finally:
        if point is not None:
            _end(point)
        made.destroy()


_COUNTS = "print(open('/proc/net/dev').read())"


def sent(site: Site) -> dict[str, int]:
    """Bytes sent by each of the probe's links."""
    asked = site.start(site.probe, "-c", _COUNTS)
    lines = [line.partition(":") for line in asked.communicate()[0].splitlines() if ":" in line]
    return {name.strip(): int(counts.split()[8]) for name, _, counts in lines}


def in_site(site: Site, **given: Any) -> Any:
    asked = json.dumps({"servers": [f"{POINT}:{POINT_PORT}"], **given})
    return json.loads(site.start(site.probe, "-W", "ignore", BARE, asked).communicate(timeout=90)[0])


@pytest.mark.netns
@pytest.mark.rates
def test_a_source_address_is_no_way_out_and_uploads_count_what_the_kernel_took(site: Site) -> None:
    before = sent(site)
    in_site(site, upload=1, source="198.18.1.2")
    after = sent(site)
    assert after["wifi"] - before["wifi"] > 100_000 > after["modem"] - before["modem"], "it left by the default route"
    subprocess.run(["ip", "-n", site.probe, "link", "set", "wifi", "down"], check=True)
    said = in_site(site, upload=3)
    truth_bps = 1e6 * PAYLOAD_SHARE
    assert said["upload_bps"] > 1.05 * truth_bps, "more than the link can carry"
    subprocess.run(["ip", "-n", site.probe, "link", "set", "wifi", "up"], check=True)
    before = sent(site)
    result = site.measure(downlink_s=0, uplink_s=3).result
    after = sent(site)
    assert result.uplink_bps == pytest.approx(truth_bps, rel=0.04)
    assert after["wifi"] - before["wifi"] < 20_000


def test_an_upload_takes_memory_that_a_pi_does_not_have(tmp_path: Path) -> None:
    with the_point(tmp_path) as port:
        said = bare(port, upload=1, pre_allocate=True)
        assert said["rss_kb"] > 120 * 1024
        before_kb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        code = (
            "import resource\nfrom probe.devices.throughput import *\n"
            f"r = SpeedtestEngine().run(EngineRequest('lo', '127.0.0.1', {port}, 'p1', downlink_s=0, uplink_s=1))\n"
            "print(r.outcome, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
        outcome, rss_kb = done.stdout.split()
        assert (outcome, int(rss_kb) < 60 * 1024) == ("ok", True), (done.stdout, before_kb)


@pytest.mark.parametrize(
    ("status", "body", "raised"),
    [
        (403, b"no", "ConfigRetrievalError"),
        (204, b"", "KeyError"),  # get_config returns None and says nothing
        (200, CONFIG.format(ratio="").encode(), "ValueError"),  # int("")
        (200, LOGIN, "NameError"),  # its own second parser was never loaded
    ],
)
def test_settings_of_the_net_end_a_test_and_a_proxy_is_measured_instead(
    tmp_path: Path, status: int, body: bytes, raised: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it by way of a proxy of the environment, which the library follows and we do not."""
    with answering(status, body, "text/xml") as proxy, the_point(tmp_path) as port:
        said = bare(config=True, environment={"http_proxy": f"http://127.0.0.1:{proxy}"})
        assert said.get("raised") == raised
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy}")
        result = guarded(port, uplink_s=0, downlink_s=1)
        assert (result.outcome, result.cause) == ("ok", None)


def test_a_dead_server_is_the_best_server() -> None:
    """Failed questions count as an hour, and servers with the same mean overwrite each other."""
    with dead() as one, dead() as two:
        said = bare(one, two)
        assert "raised" not in said
        assert said["ping_ms"] == pytest.approx(1_800_000, rel=0.01)
        assert failed(guarded(one), "connect", "server_unreachable")


_CLOSES = """
import gc, os, sys, speedtest
del sys.modules["speedtest"], speedtest
gc.collect()
try:
    os.fstat(1)
except OSError:
    os._exit(3)
"""


def test_the_library_closes_standard_output_and_the_daemon_never_loads_it() -> None:
    assert subprocess.run([sys.executable, "-c", _CLOSES], check=False).returncode == 3
    ours = "import sys, probe.devices.throughput, probe.engines; sys.exit('speedtest' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", ours], check=False).returncode == 0


def test_without_standard_output_it_cannot_even_be_loaded_and_its_warnings_are_errors(tmp_path: Path) -> None:
    closed = "import sys\nsys.stdout = None\nimport speedtest"
    assert subprocess.run([sys.executable, "-c", closed], check=False, stderr=subprocess.DEVNULL).returncode == 1
    event = "import threading, speedtest\nspeedtest.FakeShutdownEvent.isSet()\nthreading.Event().isSet()"
    strict = [sys.executable, "-W", "error::DeprecationWarning", "-c", event]
    assert subprocess.run(strict, check=False, stderr=subprocess.DEVNULL).returncode == 1
    with the_point(tmp_path) as port:
        assert guarded(port, uplink_s=0, downlink_s=1).outcome == "ok", "its child has real streams and no such event"


@contextmanager
def starved(command_has: str) -> Iterator[None]:
    """Let a child of this process run for 50 ms in 700: a processor that others hold."""
    over = threading.Event()

    def starve() -> None:
        while not over.is_set():
            children = [one for one in psutil.Process().children() if _runs(one, command_has)]
            for number, seconds in ((signal.SIGSTOP, 0.65), (signal.SIGCONT, 0.05)):
                for child in children:
                    if child.is_running():
                        child.send_signal(number)
                over.wait(seconds) if number == signal.SIGCONT else time.sleep(seconds)

    thread = threading.Thread(target=starve)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _runs(child: psutil.Process, word: str) -> bool:
    try:
        return any(word in part for part in child.cmdline())
    except psutil.Error:
        return False


@pytest.mark.rates
def test_a_host_without_processor_time_reads_low_and_says_nothing(tmp_path: Path) -> None:
    with the_point(tmp_path, capacity_bps=10**12) as port:
        free = bare(port, download=1)
        with starved("bare_speedtest"):
            said = bare(port, download=1)
        assert 0 < said["download_bps"] < free["download_bps"] / 2
        assert "raised" not in said
        with starved("probe.engine_speedtest"):
            result = guarded(port, uplink_s=0, downlink_s=4, time_limit_s=60)
        assert failed(result, "downlink", "host_limited")
