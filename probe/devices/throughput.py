"""The speedtest-cli engine as the daemon sees it: one blocking call, a child process that is gone afterwards.

The child (`probe.engine_speedtest`) writes a line of JSON whenever it enters a stage: the result if it died
there. So the last line is always the truth, also after a kill.
Source: facts note 03 §4; design §6.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from dataclasses import dataclass, replace
from typing import IO, cast

import msgspec

ENGINE = "speedtest-cli"
PORTAL_PATH = "/dosong-portal-check"
PORTAL_BODY = b"dosong point v1: this link reaches the internet\n"
"""What our own point answers; the same words stand in `point.protocol` (a test compares them)."""

SETUP_LIMIT_S = 60
MEMORY_LIMIT_BYTES = 192 << 20  # address space; 42 MiB are used


@dataclass(frozen=True, slots=True)
class EngineRequest:
    """One test to run.

    `server_host` is an address, or a name that `dns_servers` (addresses of the link's servers) resolve.
    `udp_port` None: the server has no echo, so latency stays unknown. `portal_check`: the server is a point of
    ours and must give the fixed body first. A duration of 0 leaves that direction out; the byte limits count
    the link's bytes, None is no limit. `time_limit_s` None allows the durations and a minute for the rest.
    """

    interface: str
    server_host: str
    server_port: int
    server_id: str
    udp_port: int | None = None
    dns_servers: tuple[str, ...] = ()
    portal_check: bool = True
    downlink_s: int = 10
    uplink_s: int = 10
    max_downlink_bytes: int | None = None
    max_uplink_bytes: int | None = None
    flows: int = 4
    echo_count: int = 20
    echo_interval_ms: int = 50
    memory_limit_bytes: int = MEMORY_LIMIT_BYTES
    time_limit_s: int | None = None

    @property
    def kill_after_s(self) -> int:
        """Seconds after which the child is killed."""
        return self.time_limit_s or self.downlink_s + self.uplink_s + SETUP_LIMIT_S


@dataclass(frozen=True, slots=True)
class EngineResult:
    """What a test found; None is unknown. Rates in bit/s, times in microseconds.

    `outcome` is ok, partial (one direction failed) or failed; `stage` and `cause` are words of
    `wire.failure`, None if ok. `downlink_bytes` and `uplink_bytes` are all payload that the direction moved,
    `downlink_us` and `uplink_us` the window after the ramp that the rate is the mean of. Uplink payload is
    what the far end acknowledged. `engine_*_bps` is what the library said, ramp included and never corrected.
    `first_byte_us` counts from the start of the connection. `cpu_ppm` is the child's share of one core while
    bytes were moving; near 1,000,000 the host may have been the limit.
    """

    outcome: str
    stage: str | None = None
    cause: str | None = None
    engine: str = ENGINE
    engine_version: str | None = None
    server: str | None = None
    downlink_bps: int | None = None
    uplink_bps: int | None = None
    downlink_bytes: int | None = None
    uplink_bytes: int | None = None
    downlink_us: int | None = None
    uplink_us: int | None = None
    downlink_flows: int | None = None
    uplink_flows: int | None = None
    engine_downlink_bps: int | None = None
    engine_uplink_bps: int | None = None
    downlink_stop: str | None = None
    uplink_stop: str | None = None
    rtt_us_min: int | None = None
    rtt_us_median: int | None = None
    rtt_us_p95: int | None = None
    rtt_sent: int | None = None
    rtt_received: int | None = None
    pdv_us_p95: int | None = None
    rtt_loaded_downlink_us_median: int | None = None
    rtt_loaded_uplink_us_median: int | None = None
    dns_us: int | None = None
    connect_us: int | None = None
    first_byte_us: int | None = None
    cpu_ppm: int | None = None


class SpeedtestEngine:
    """Runs tests in children. Holds nothing between two runs."""

    def run(self, request: EngineRequest) -> EngineResult:
        """Run one test and return when its child is gone. A failure of the network is a result, never raised.

        Blocks for at most `request.kill_after_s` and a moment. Raises OSError if no process can be started.
        """
        child = _start()
        killed = threading.Event()
        timer = threading.Timer(request.kill_after_s, _kill, (child, killed))
        timer.daemon = True
        timer.start()
        try:
            last_line = _converse(child, msgspec.json.encode(request))
        finally:
            timer.cancel()
            child.kill()
            child.wait()
        return _result(last_line, request, timed_out=killed.is_set(), status=child.returncode)


def _start() -> subprocess.Popen[bytes]:
    """A child with an environment of our own: no proxy, one malloc arena, no warnings as errors."""
    kept = ("PATH", "HOME", "LANG", "VIRTUAL_ENV", "DOSONG_FAIL")
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    environment["MALLOC_ARENA_MAX"] = "1"
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "probe.engine_speedtest"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        close_fds=True,
    )


def _converse(child: subprocess.Popen[bytes], request: bytes) -> bytes:
    """Send the request, keep standard input open (its end tells the child that we died), return the last line."""
    to_child, from_child = cast("IO[bytes]", child.stdin), cast("IO[bytes]", child.stdout)
    last_line = b""
    with to_child, from_child:
        try:
            to_child.write(request + b"\n")
            to_child.flush()
        except BrokenPipeError:
            return b""
        for line in from_child:
            last_line = line if line.endswith(b"\n") else last_line
    return last_line


def _kill(child: subprocess.Popen[bytes], killed: threading.Event) -> None:
    killed.set()
    child.kill()


def _result(last_line: bytes, request: EngineRequest, *, timed_out: bool, status: int) -> EngineResult:
    try:
        result = msgspec.json.decode(last_line, type=EngineResult)
    except msgspec.DecodeError:
        cause = "engine_killed" if status < 0 and not timed_out else "engine_error"
        return EngineResult("failed", "host", "timeout" if timed_out else cause, server=request.server_id)
    if result.cause == "engine_killed" and (timed_out or status >= 0):
        return replace(result, cause="timeout" if timed_out else "engine_error")
    return result
