"""The speedtest-cli engine's child process: one JSON request on standard input, lines of JSON on standard output.

Run as `python -W ignore -m probe.engine_speedtest`. Each line is an EngineResult, the last one is the result:
a line is written on entering each stage and says what is known if the process dies there. Every socket is
bound to the modem's interface before the library is loaded. The process ends when standard input ends (its
parent died), and by an alarm if all else fails.
Source: facts note 03 §4 (each guard answers one trap there); design §6.
"""

from __future__ import annotations

import http.client
import os
import resource
import signal
import socket
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import msgspec

from probe.core import cause, estimate
from probe.devices import bound, links
from probe.devices.echo import Echo
from probe.devices.meter import TICK_S, Direction, Limits, Meter, StopFlag
from probe.devices.throughput import PORTAL_BODY, PORTAL_PATH, EngineRequest, EngineResult

if TYPE_CHECKING:
    from probe.devices.ookla import BoundTest

CONTROL_TIMEOUT_S = 6.0
LOADED_ECHO_S = 0.2
ECHO_WAIT_S = 1.0
CUT_OFF_US = 1_000_000
SETTLE_S = 1.5
SLOW_TICK_US = 250_000
RECEIPT_BYTES = 2048


class Failed(Exception):
    """The test cannot go on from this stage."""

    def __init__(self, word: str) -> None:
        super().__init__(word)
        self.cause = word


class Engine:
    """One test: passes through the stages in order and keeps what each found."""

    def __init__(self, request: EngineRequest) -> None:
        self._request = request
        self._found: dict[str, Any] = {"server": request.server_id}
        self._stage = "host"
        self._addresses: tuple[str, ...] = ()
        self._cpu_s = self._transfer_s = 0.0

    def run(self) -> None:
        """Write a line for each stage and one for the end."""
        try:
            for stage, work in (
                ("host", self._host),
                ("dns", self._dns),
                ("connect", self._connect),
                ("portal", self._portal),
                ("latency", self._latency),
            ):
                self._enter(stage)
                work()
        except Failed as failure:
            self._write("failed", self._stage, failure.cause)
            return
        except http.client.HTTPException:
            self._write("failed", self._stage, "server_error")
            return
        except OSError as error:
            self._write("failed", self._stage, cause.of_error(error))
            return
        self._transfers()

    def give_up(self, error: BaseException | None) -> None:
        """End the process if memory is out: the library waits for ever for a thread that could not be started.

        Any other error of a library thread costs that thread's connection only; the meter sees what it did.
        """
        if isinstance(error, MemoryError) or "new thread" in str(error):
            self._write(self._outcome_so_far(), self._stage, "low_memory")
            os._exit(0)

    def _enter(self, stage: str) -> None:
        self._stage = stage
        self._write(self._outcome_so_far(), stage, "engine_killed")

    def _outcome_so_far(self) -> str:
        return "partial" if {"downlink_bps", "uplink_bps"} & self._found.keys() else "failed"

    def _write(self, outcome: str, stage: str | None, word: str | None) -> None:
        result = EngineResult(outcome, stage, word, **self._found)
        os.write(1, msgspec.json.encode(result) + b"\n")

    def _host(self) -> None:
        if links.read_bytes(self._request.interface) is None:
            raise Failed("no_interface")
        if self._addresses or bound.is_literal(self._request.server_host):
            self._addresses = (self._request.server_host,)

    def _dns(self) -> None:
        request = self._request
        if not self._addresses:
            started_ns = time.monotonic_ns()
            try:
                self._addresses = bound.resolve(request.server_host, request.dns_servers, request.interface)
            except bound.NoAnswer:
                raise Failed("no_dns") from None
            self._found["dns_us"] = _since_us(started_ns)
        bound.install(request.interface, {request.server_host: self._addresses})

    def _connect(self) -> None:
        started_ns = time.monotonic_ns()
        with socket.create_connection((self._addresses[0], self._request.server_port), CONTROL_TIMEOUT_S) as sock:
            self._found["connect_us"] = _since_us(started_ns)
            sock.sendall(_latency_request(self._request))
            if sock.recv(1):
                self._found["first_byte_us"] = _since_us(started_ns)

    def _portal(self) -> None:
        if not self._request.portal_check:
            return
        status, body = self._ask("GET", PORTAL_PATH)
        if status != 200:
            raise Failed(cause.of_status(status))
        if body != PORTAL_BODY:
            raise Failed("captive")

    def _latency(self) -> None:
        status, body = self._ask("GET", "/speedtest/latency.txt")
        if status != 200:
            raise Failed(cause.of_status(status))
        if not body.startswith(b"test=test"):
            raise Failed("captive")
        if self._request.udp_port is None:
            return
        trips = estimate.round_trips(self._idle_echoes(self._request.udp_port))
        self._found.update(
            rtt_us_min=trips.us_min,
            rtt_us_median=trips.us_median,
            rtt_us_p95=trips.us_p95,
            rtt_sent=trips.sent,
            rtt_received=trips.received,
            pdv_us_p95=trips.pdv_us_p95,
        )

    def _idle_echoes(self, port: int) -> tuple[int | None, ...]:
        echo = Echo(self._request.interface, self._addresses[0], port)
        try:
            return echo.series(self._request.echo_count, self._request.echo_interval_ms / 1000, ECHO_WAIT_S)
        finally:
            echo.close()

    def _transfers(self) -> None:
        request, failures = self._request, []
        wanted = [
            (Direction.DOWNLINK, request.downlink_s, request.max_downlink_bytes),
            (Direction.UPLINK, request.uplink_s, request.max_uplink_bytes),
        ]
        wanted = [one for one in wanted if one[1] > 0]
        for direction, duration_s, most_bytes in wanted:
            self._enter(direction.name.lower())
            try:
                self._transfer(direction, Limits(duration_s * 1_000_000, most_bytes))
            except Failed as failure:
                failures.append((self._stage, failure.cause))
            except Exception as error:  # the library raises whatever it meets; each is a failed direction
                failures.append((self._stage, cause.of_error(error)))
        outcome = "ok" if not failures else "failed" if len(failures) == len(wanted) else "partial"
        self._write(outcome, *(failures[0] if failures else (None, None)))

    def _transfer(self, direction: Direction, limits: Limits) -> None:
        """Move bytes one way. What was moved is kept even if the direction then fails; a rate is not."""
        name, flag = direction.name.lower(), StopFlag()
        if direction is Direction.UPLINK:
            self._check_receipt()
        test = self._library(flag)
        _settle(self._request.interface)
        meter = Meter(bound.traffic, direction, self._request.interface, limits, flag)
        cpu_s, wall_s = time.process_time(), time.monotonic()
        meter.start()
        loaded = LoadedEcho(self._request, self._addresses[0])
        engine_bps = _drive(test, direction, meter)
        self._count_cpu(time.process_time() - cpu_s, time.monotonic() - wall_s)
        echoes = estimate.round_trips(loaded.finish())
        moved = meter.payload_bytes
        stop = meter.stop or ("bytes" if test.guard.problem is None and not test.guard.lost else "error")
        flows = self._request.flows
        self._found |= {f"{name}_bytes": moved, f"{name}_stop": stop, f"{name}_flows": flows}
        self._found[f"rtt_loaded_{name}_us_median"] = echoes.us_median
        try:
            rate = _believed_rate(test, meter, stop, direction)
        except Failed:
            self._found[f"{name}_stop"] = "error"
            raise
        self._found |= {f"{name}_bps": rate.bps, f"{name}_us": rate.window_us}
        self._found[f"engine_{name}_bps"] = engine_bps

    def _library(self, flag: StopFlag) -> BoundTest:
        from probe.devices import ookla  # noqa: PLC0415 - only here: importing it needs real standard streams

        ookla.prepare()
        self._found["engine_version"] = ookla.VERSION
        request = self._request
        plan = ookla.Plan(request.downlink_s, request.uplink_s, request.flows)
        return ookla.BoundTest(plan, request.server_host, request.server_port, flag)

    def _check_receipt(self) -> None:
        """The server must say what it received before any upload is believed."""
        status, body = self._ask("POST", "/speedtest/upload.php", os.urandom(RECEIPT_BYTES))
        if status != 200:
            raise Failed(cause.of_status(status))
        if not body.startswith(b"size=") or (self._request.portal_check and body != b"size=%d" % RECEIPT_BYTES):
            raise Failed("server_error")

    def _ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        """One small exchange on a connection of its own: status and at most 4 KB of the answer."""
        request = self._request
        connection = http.client.HTTPConnection(request.server_host, request.server_port, timeout=CONTROL_TIMEOUT_S)
        try:
            connection.request(method, path, body, {"Connection": "close"})
            response = connection.getresponse()
            return response.status, response.read(4096)
        finally:
            connection.close()

    def _count_cpu(self, cpu_s: float, wall_s: float) -> None:
        self._cpu_s += cpu_s
        self._transfer_s += wall_s
        self._found["cpu_ppm"] = round(self._cpu_s / max(self._transfer_s, 0.001) * 1_000_000)


class LoadedEcho:
    """Echoes every 200 ms in a thread while a transfer runs; does nothing if the server has no echo."""

    def __init__(self, request: EngineRequest, address: str) -> None:
        self._stop = threading.Event()
        self._echoes: tuple[int | None, ...] = ()
        self._thread: threading.Thread | None = None
        if request.udp_port is not None:
            echo = Echo(request.interface, address, request.udp_port)
            self._thread = threading.Thread(target=self._run, args=(echo,), daemon=True)
            self._thread.start()

    def _run(self, echo: Echo) -> None:
        self._echoes = echo.series(10_000, LOADED_ECHO_S, ECHO_WAIT_S, self._stop)
        echo.close()

    def finish(self) -> tuple[int | None, ...]:
        """Stop sending, wait for answers under way, return microseconds each."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        return self._echoes


def _drive(test: BoundTest, direction: Direction, meter: Meter) -> int:
    """Let the library move the bytes; returns the rate that it says. The meter is finished whatever happens."""
    try:
        said: float = test.download() if direction is Direction.DOWNLINK else test.upload(pre_allocate=False)
    finally:
        meter.finish()
    return round(said)


def _believed_rate(test: BoundTest, meter: Meter, stop: str, direction: Direction) -> estimate.Rate:
    """The rate, if everything that makes it believable holds. Raises Failed with the cause otherwise."""
    if test.guard.problem is not None:
        raise Failed(test.guard.problem)
    ticks = meter.ticks
    if not ticks[-1].payload_bytes:
        raise Failed("timeout" if stop == "error" else "bytes_missing")
    if stop == "error" or max(estimate.longest_silence_us(ticks) // 2, estimate.final_silence_us(ticks)) > CUT_OFF_US:
        raise Failed("cut_off")
    if ticks[-1].at_us / len(ticks) > SLOW_TICK_US:
        raise Failed("host_limited")
    rate = estimate.rate(ticks, link_is_last=direction is Direction.DOWNLINK)
    link_bytes = ticks[-1].link_bytes
    if rate is None or estimate.begin_us(ticks) is None:
        raise Failed("bytes_missing")
    if link_bytes is not None and ticks[-1].payload_bytes > link_bytes * 1.02:
        raise Failed("bytes_missing")
    return rate


def _settle(iface: str) -> None:
    """Wait until the tail of the last transfer has passed the link, at most 1.5 s."""
    deadline_s, before = time.monotonic() + SETTLE_S, links.read_bytes(iface)
    while time.monotonic() < deadline_s:
        time.sleep(2 * TICK_S)
        now = links.read_bytes(iface)
        if now is None or before is None or sum(now) - sum(before) < 4096:
            return
        before = now


def _latency_request(request: EngineRequest) -> bytes:
    name = f"[{request.server_host}]" if ":" in request.server_host else request.server_host
    host = f"{name}:{request.server_port}"
    return f"GET /speedtest/latency.txt HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()


def _since_us(started_ns: int) -> int:
    return (time.monotonic_ns() - started_ns) // 1000


def _end_with_parent() -> None:
    """Leave at once when standard input ends."""
    while sys.stdin.buffer.read(1):
        pass
    os._exit(1)


def main() -> None:
    """Read the request, run the test, leave without waiting for the library's threads."""
    request = msgspec.json.decode(sys.stdin.buffer.readline(), type=EngineRequest)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.alarm(request.kill_after_s + 5)
    threading.stack_size(256 << 10)
    resource.setrlimit(resource.RLIMIT_AS, (request.memory_limit_bytes, request.memory_limit_bytes))
    engine = Engine(request)
    threading.excepthook = lambda thread: engine.give_up(thread.exc_value)
    try:
        engine.run()
    except (MemoryError, RuntimeError) as error:
        engine.give_up(error)
        os._exit(1)  # not raised: the interpreter would wait for the library's threads
    os._exit(0)


if __name__ == "__main__":
    main()
