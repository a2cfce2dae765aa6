"""Our own engine's child process: one JSON request on standard input, lines of JSON on standard output.

Run as `python -W ignore -m probe.engine_dosong`. Each line is an EngineResult, the last one is the result: a line is
written on entering each stage and says what is known if the process dies there. It talks to a measurement point of
ours (measuring protocol v1): ticket, echoes, downlink, receipt, uplink, receipt. Every socket is bound to the modem's
interface. It ends by an alarm if all else fails, and when its parent dies.
Source: design §6; facts note 03 §5; measuring protocol v1.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from dataclasses import asdict
from typing import Any

from probe.core import cause, engine, engine_http, estimate
from probe.core.engine_terms import EngineRequest, EngineResult
from probe.devices import ask, bound, connection, links, transfer
from probe.devices.ticket_echo import TicketEcho

VERSION = "2"
"""Of the rules, not of the program: 2 keeps links full, ends ramps by their queue, its cap counts the ramp (0019)."""

BUSY_WAIT_S = 5
ECHO_WAIT_S = 1.0
QUIET_STEP_S = 2.0
CROSS_SHARE_PPM = 50_000
LEAST_CROSS_BPS = 100_000
RECEIPT_WAIT_S = 5.0
RECEIPT_STEP_S = 0.1
RECEIPT_SHARE = 0.9
RECEIPT_SLACK_BYTES, RECEIPT_SLACK_MS = 65_536, 20
_ECHO_LINK_BYTES = 2 * (28 + 28 + 14)


class Failed(Exception):
    """The test cannot go on from this stage."""

    def __init__(self, word: str) -> None:
        super().__init__(word)
        self.cause = word


class Again(Exception):
    """Others used the link during a transfer and have become quiet: all is to be measured anew, once."""


class Engine:
    """One test: passes through the stages in order and keeps what each found."""

    def __init__(self, request: EngineRequest) -> None:
        self._request = request
        self._found: dict[str, Any] = {"engine": "dosong", "engine_version": VERSION, "server": request.server_id}
        self._attempt = 1
        self._quiet_until_s: float | None = None
        self._used_bytes = {"downlink": 0, "uplink": 0}
        self._stage = "host"
        self._address = request.server_host
        self._pass: engine_http.Pass | None = None
        self._echo: TicketEcho | None = None
        self._next: dict[str, transfer.Transfer] = {}
        self._moved: dict[str, transfer.Moved] = {}
        self._failures: list[tuple[str, str]] = []
        self._cpu_s = self._wall_s = 0.0
        self._busy_s = float(request.busy_wait_s)

    def run(self) -> None:
        """Write a line for each stage and one for the end."""
        while True:
            try:
                self._stages()
                break
            except Again:
                self._begin_anew()
            finally:
                for unused in self._next.values():
                    unused.close()
                self._next = {}
        self._write(self._outcome(), *(self._failures[0] if self._failures else (None, None)))

    def _stages(self) -> None:
        for stage, work in (
            ("host", self._host),
            ("dns", self._dns),
            ("connect", self._take_ticket),
            ("latency", self._latency),
        ):
            if not self._try(stage, work):
                return
        for name, seconds in (("downlink", self._request.downlink_s), ("uplink", self._request.uplink_s)):
            if seconds > 0 and self._try(name, lambda name=name: self._transfer(name)):
                self._try("receipt", lambda name=name: self._receipt(name))
        self._keep_series()

    def _begin_anew(self) -> None:
        """Forget what was found beside others' traffic; what it cost counts against the limits of bytes."""
        kept = ("engine", "engine_version", "server", "dns_us")
        self._attempt += 1
        self._found = {name: self._found[name] for name in kept if name in self._found} | {"attempt": self._attempt}
        self._moved, self._failures = {}, []

    def _try(self, stage: str, work: Any) -> bool:
        """Enter a stage and do its work; False if it failed, the cause kept."""
        self._stage = stage
        self._write(self._outcome(), stage, "engine_killed")
        try:
            work()
        except Failed as failure:
            word = failure.cause
        except engine_http.NotTrusted as stranger:
            word = stranger.cause
        except engine_http.NotOurs:
            word = "captive" if stage != "receipt" else "server_error"
        except ConnectionResetError:
            word = "reset"
        except (OSError, MemoryError) as error:
            word = cause.of_error(error)
        else:
            return True
        self._failures.append((self._stage, word))
        return False

    def _outcome(self) -> str:
        """ok only if nothing failed; partial if a rate is known besides."""
        if not {"downlink_bps", "uplink_bps"} & self._found.keys():
            return "failed"
        return "partial" if self._failures or self._is_under_way() else "ok"

    def _is_under_way(self) -> bool:
        request = self._request
        wanted = {name for name, s in (("downlink", request.downlink_s), ("uplink", request.uplink_s)) if s > 0}
        return any(f"{name}_receipt" not in self._found for name in wanted)

    def _write(self, outcome: str, stage: str | None, word: str | None) -> None:
        os.write(1, json.dumps(asdict(EngineResult(outcome, stage, word, **self._found))).encode() + b"\n")

    def _host(self) -> None:
        if links.read_bytes(self._request.interface) is None:
            raise Failed("no_interface")

    def _dns(self) -> None:
        request = self._request
        if bound.is_literal(request.server_host):
            return
        started_ns = time.monotonic_ns()
        try:
            self._address = bound.resolve(request.server_host, request.dns_servers, request.interface)[0]
        except bound.NoAnswer:
            raise Failed("no_dns") from None
        self._found["dns_us"] = (time.monotonic_ns() - started_ns) // 1000

    def _take_ticket(self) -> None:
        """Ask for a ticket; a busy point is asked again while there is time."""
        request = self._request
        while True:
            self._stage = "connect"
            answer = self._ask(f"/v1/ticket?probe={request.probe}&epoch={request.epoch}")
            self._found |= {"connect_us": answer.connect_us, "first_byte_us": answer.first_byte_us}
            self._stage = "portal"
            if answer.reply.status == 200:
                break
            word = connection.word_of(answer.reply.status)
            wait_s = engine_http.retry_after_s(answer.reply)
            self._found["retry_after_s"] = wait_s
            if word != "server_busy" or max(wait_s or BUSY_WAIT_S, 1) > self._busy_s:
                raise Failed(word)
            self._busy_s -= max(wait_s or BUSY_WAIT_S, 1)
            time.sleep(max(wait_s or BUSY_WAIT_S, 1))
        self._pass = engine_http.read_ticket(answer.reply, answer.body, request.probe)
        self._found |= {"ticket": self._pass.ticket, "retry_after_s": None}

    def _ask(self, path: str) -> ask.Answer:
        request = self._request
        address = (self._address, request.server_port)
        return ask.ask(request.interface, address, path, self._host_field(), trust=request.trust)

    def _host_field(self) -> str:
        host = self._request.server_host
        return f"{f'[{host}]' if ':' in host else host}:{self._request.server_port}"

    def _latency(self) -> None:
        """Idle echoes. They also show whether others use the link: then they are waited for, and all is done again."""
        request, leave = self._request, self._pass
        if request.udp_port is None or leave is None or leave.echo_key is None:
            return
        self._echo = TicketEcho(request.interface, (self._address, request.udp_port), leave.ticket, leave.echo_key)
        until_s = self._quiet_deadline_s()
        while True:
            before, began_s = self._link_bytes(), time.monotonic()
            self._prepare("downlink" if request.downlink_s > 0 else "uplink")
            echoes = self._echo.series(request.echo_count, request.echo_interval_ms / 1000, ECHO_WAIT_S)
            used = self._link_bytes() - before - len(echoes) * _ECHO_LINK_BYTES
            self._keep_latency(estimate.round_trips(echoes))
            cross_bps = max(0, round(used * 8 / max(0.1, time.monotonic() - began_s)))
            is_busy = cross_bps > self._cross_limit_bps()
            self._found["cross_bps"] = cross_bps if is_busy else None
            if not is_busy or time.monotonic() + QUIET_STEP_S > until_s:
                return
            time.sleep(QUIET_STEP_S)

    def _quiet_deadline_s(self) -> float:
        """Until when others may be waited for, all waits of the test together."""
        if self._quiet_until_s is None:
            self._quiet_until_s = time.monotonic() + self._request.quiet_wait_s
        return self._quiet_until_s

    def _retry_if_crossed(self, name: str, outcome: engine.Outcome) -> None:
        """Others used the link meanwhile: say it, wait for quiet and raise Again, if time and bytes are left for it."""
        cross_bps = outcome.cross_bps or 0
        if cross_bps <= self._cross_limit_bps():
            return
        self._found["cross_bps"] = max(cross_bps, self._found.get("cross_bps") or 0)
        limit = self._byte_limit(name)
        has_bytes = limit is None or limit >= outcome.payload_bytes
        if self._attempt == 1 and has_bytes and self._becomes_quiet():
            raise Again

    def _becomes_quiet(self) -> bool:
        """Wait until a second is quiet; False if time ends before."""
        while time.monotonic() + QUIET_STEP_S <= self._quiet_deadline_s():
            before, began_s = self._link_bytes(), time.monotonic()
            time.sleep(QUIET_STEP_S / 2)
            used = self._link_bytes() - before
            if used * 8 / (time.monotonic() - began_s) <= self._cross_limit_bps():
                return True
        return False

    def _byte_limit(self, name: str) -> int | None:
        """Bytes that this direction may still move; None without a limit."""
        request = self._request
        given = request.max_uplink_bytes if name == "uplink" else request.max_downlink_bytes
        return None if given is None else max(0, given - self._used_bytes[name])

    def _link_bytes(self) -> int:
        return sum(links.read_bytes(self._request.interface) or (0, 0))

    def _cross_limit_bps(self) -> int:
        return max(LEAST_CROSS_BPS, (self._request.expected_bps or 0) * CROSS_SHARE_PPM // 1_000_000)

    def _keep_latency(self, trips: estimate.RoundTrips) -> None:
        self._found |= {
            "rtt_us_min": trips.us_min,
            "rtt_us_median": trips.us_median,
            "rtt_us_p95": trips.us_p95,
            "rtt_sent": trips.sent,
            "rtt_received": trips.received,
            "pdv_us_p95": trips.pdv_us_p95,
        }

    def _transfer(self, name: str) -> None:
        """Move bytes one way. What was moved is kept even if the direction then fails; a rate is not."""
        if self._echo is not None:
            self._echo.take()
        self._prepare(name)
        moved = self._next.pop(name).run(self._echo)
        self._moved[name] = moved
        self._count_cpu(moved)
        outcome = moved.outcome
        self._found |= {
            f"{name}_bytes": outcome.payload_bytes,
            f"{name}_stop": "error" if moved.cause else outcome.stop,
            f"{name}_flows": moved.flows or None,
            f"{name}_wall_us": round(moved.wall_s * 1e6),
            f"rtt_loaded_{name}_us_median": estimate.round_trips(moved.echoes).us_median,
        }
        self._used_bytes[name] += outcome.payload_bytes * 1500 // 1448
        if moved.cause is not None:
            raise Failed(moved.cause)
        self._retry_if_crossed(name, outcome)
        self._found |= {
            f"{name}_bps": outcome.bps,
            f"{name}_us": outcome.window_us,
            f"{name}_se_ppm": outcome.se_ppm,
            f"{name}_limit": outcome.limit,
        }
        if name == "uplink":
            self._found["uplink_retrans"] = outcome.retrans

    def _prepare(self, name: str) -> None:
        """Open the connections of a direction that is wanted, while something else is waited for."""
        seconds = self._request.uplink_s if name == "uplink" else self._request.downlink_s
        if seconds > 0 and name not in self._next:
            self._next[name] = transfer.Transfer(self._order(name))

    def _order(self, name: str) -> connection.Order:
        request, is_uplink = self._request, name == "uplink"
        seconds = request.uplink_s if is_uplink else request.downlink_s
        terms = engine.Terms(
            link_is_last=not is_uplink,
            cap_us=min(request.cap_ms * 1000, seconds * 1_000_000),
            most_bytes=self._byte_limit(name),
            error_goal_ppm=request.error_goal_ppm,
            ceiling_bps=request.ceiling_uplink_bps if is_uplink else request.ceiling_downlink_bps,
        )
        target = f"/v1/{'upload' if is_uplink else 'download'}?ticket={self._ticket()}"
        address, host = self._address, self._host_field()
        return connection.Order(
            request.interface, address, request.server_port, host, target, terms, is_uplink, request.trust
        )

    def _ticket(self) -> str:
        return self._pass.ticket if self._pass is not None else ""

    def _receipt(self, name: str) -> None:
        """Fetch the point's own word on the transfer, as soon as it has seen the last connection end."""
        if name == "downlink":
            self._prepare("uplink")
        until_s = time.monotonic() + RECEIPT_WAIT_S
        while True:
            answer = self._ask(f"/v1/receipt?ticket={self._ticket()}&direction={name}")
            if answer.reply.status != 409 or time.monotonic() > until_s:
                break
            time.sleep(RECEIPT_STEP_S)
        if answer.reply.status == 503:  # the point's word that it, not the network, was the limit
            self._disbelieve(name)
            self._stage, self._found[f"{name}_limit"] = name, "server"
        if answer.reply.status != 200:
            raise Failed(connection.word_of(answer.reply.status))
        claims = engine_http.read_note(answer.body, "receipt")
        if claims.get("ticket") != self._ticket() or claims.get("direction") != name:
            raise Failed("server_error")
        self._found["receipts"] = (*self._found.get("receipts", ()), engine_http.evidence(answer.body))
        self._found[f"{name}_receipt"] = engine_http.leaf_text(answer.body)
        if name == "downlink" and isinstance(claims.get("retrans"), int):
            self._found["downlink_retrans"] = claims["retrans"]
        self._compare(name, claims.get("bytes"))

    def _compare(self, name: str, seen: object) -> None:
        """Bytes that the point never saw were moved by something between us: then there is no rate.

        Of a downlink the point saw what was acknowledged, and what comes between two reads is not acknowledged yet.
        """
        mine, bps = self._found[f"{name}_bytes"], self._found[f"{name}_bps"] or 0
        slack_bytes = RECEIPT_SLACK_BYTES + bps * RECEIPT_SLACK_MS // 8000
        if isinstance(seen, int) and seen + slack_bytes < mine * RECEIPT_SHARE:
            self._disbelieve(name)
            self._stage = name
            raise Failed("bytes_missing")

    def _disbelieve(self, name: str) -> None:
        """Take a rate back; the bytes stay known, for they cost data."""
        for word in ("bps", "us", "se_ppm"):
            self._found.pop(f"{name}_{word}", None)
        self._found[f"{name}_stop"] = "error"
        self._moved.pop(name, None)

    def _keep_series(self) -> None:
        """Both series have one step, so that both fit their hundred places."""
        kept = {name: moved for name, moved in self._moved.items() if moved.cause is None}
        step_us = engine.series_step_us(tuple(moved.outcome.window_us or 0 for moved in kept.values()))
        for name, moved in kept.items():
            start_us = moved.outcome.start_us or 0
            self._found[f"{name}_series_bytes"] = moved.estimator.series(start_us, moved.outcome.end_us, step_us)
            self._found["series_step_ms"] = step_us // 1000

    def _count_cpu(self, moved: transfer.Moved) -> None:
        self._cpu_s += moved.cpu_s
        self._wall_s += moved.wall_s
        self._found["cpu_ppm"] = round(self._cpu_s / max(self._wall_s, 0.001) * 1_000_000)


def _end_with_parent() -> None:
    """Leave at once when standard input ends."""
    while sys.stdin.buffer.read(1):
        pass
    os._exit(1)


def main() -> None:
    """Read the request, run the test."""
    request = EngineRequest(**_read_request())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.alarm(request.kill_after_s + 1)
    Engine(request).run()
    os._exit(0)  # the thread holds standard input's lock


def _read_request() -> dict[str, Any]:
    given: dict[str, Any] = json.loads(sys.stdin.buffer.readline())
    given["dns_servers"] = tuple(given.get("dns_servers", ()))
    return given


if __name__ == "__main__":
    main()
