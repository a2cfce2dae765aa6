"""How many probes one machine carries: real TLS sessions by certificate, signed records, storms, and one that floods.

mosquitto and `dosong-collector receive` stand as dosong-provision makes them (TLS 1.3, client certificates, access
list); the probes are sessions of this process, each with a P-256 certificate of its own. Four questions: how many
sessions; how soon is a record acknowledged by the ledger; how long until all are back after the broker was killed, at
once and with the probes' own waits; what others feel of one probe that sends 1,000 messages a second.
Loopback only, every loop bounded. Source: facts note 08 §7.2, rows 17 and 19; §8.

python -m bench.load [--probes 10000] [--quick] [--web]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import ssl
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from bench import load_web
from bench.load_line import Lines, Session
from bench.pipeline_bed import cpu_seconds, free_port, peak_mb, program, until
from bench.pipeline_records import ORIGIN, Chain, Mill, registry
from collector.registry import Registry
from probe.core.backoff import delay_s
from provisioning import authority, deployment, pki
from wire import bundle

RESULTS = Path(__file__).parent / "results"
JITTER_LOW_S, JITTER_HIGH_S = 5.0, 600.0
STORM_WITHIN_S = 900.0
LATENCY_P95_S, LATENCY_P99_S = 5.0, 10.0
HOSTILE_A_S, HOSTILE_S = 1_000, 30


@dataclass(slots=True)
class Figures:
    """What was read; None where a part was not run."""

    asked: int
    sessions: int = 0
    opened_in_s: float = 0.0
    broker_cpu_a_connect_ms: float = 0.0
    broker_mb: float = 0.0
    receive_mb: float = 0.0
    latency_s: list[float] = field(default_factory=list)
    storms: dict[str, dict[str, float]] = field(default_factory=dict)
    hostile: dict[str, float] = field(default_factory=dict)
    web: list[dict[str, float]] = field(default_factory=list)


class Fleet:
    """The probes of a deployment, their chains and sessions, and what they wait for."""

    def __init__(self, folder: Path, count: int) -> None:
        self.folder = folder
        self.made = deployment.init(folder / "d", _plan(folder), datetime.now(UTC))
        self.chains = [Chain(number) for number in range(count)]
        self.mill = Mill()
        with closing(Registry(self.made.registry)) as book:
            book.load(registry(self.chains))
        self.waiting: dict[str, tuple[int, float]] = {}
        self.latencies_s: list[float] = []
        self.lines = Lines("127.0.0.1", self._port(), lambda _: 1.0, self._acked)
        self._by_probe = {chain.probe: chain for chain in self.chains}

    def _port(self) -> int:
        text = (self.made.root / "broker" / "mosquitto.conf").read_text()
        return int(next(line.split()[1] for line in text.splitlines() if line.endswith(" 127.0.0.1")))

    def contexts(self) -> list[Session]:
        """A certificate by the issuing authority and a TLS context for each; keys never leave this process's folder."""
        ca, now, sessions = authority.load(self.made.ca), datetime.now(UTC), list[Session]()
        key, certificate = self.folder / "tls.key", self.folder / "tls.crt"
        for chain in self.chains:
            key.unlink(missing_ok=True)
            certificate.unlink(missing_ok=True)
            pki.save(pki.make_client(ca.issuing, chain.probe, now), key, certificate, ca.issuing.certificate)
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            tls.load_verify_locations(cadata=ca.root.decode())
            tls.load_cert_chain(certificate, key)
            sessions.append(Session(chain.probe, tls))
        return sessions

    def publish(self, session: Session) -> None:
        """Sign the next record of a probe and send it; the clock of its latency runs."""
        chain = self._by_probe[session.probe]
        raw = self.mill.next(chain)
        self.waiting[session.probe] = chain.seq - 1, time.monotonic()
        self.lines.send(session, bundle.encode([raw]))

    def _acked(self, session: Session, payload: bytes) -> None:
        waits = self.waiting.get(session.probe)
        if waits is None:
            return
        said = json.loads(payload.split(b"\n", 2)[1])
        if said.get("upto") is not None and said["upto"] >= waits[0]:
            del self.waiting[session.probe]
            self.latencies_s.append(time.monotonic() - waits[1])


def _plan(folder: Path) -> deployment.Plan:
    return deployment.Plan(
        ORIGIN, "127.0.0.1", free_port(), "127.0.0.1", f"127.0.0.1:{free_port()}", "http://127.0.0.1:1", "dosong",
        "root", False, folder / "c.sock",
    )  # fmt: skip


def turn(fleet: Fleet, true: Callable[[], bool], within_s: float, each: Callable[[float], None] | None = None) -> float:
    """Keep all lines moving until `true()` or the time is over; how long that took."""
    began_s = expired_s = time.monotonic()
    while not true() and (now_s := time.monotonic()) - began_s < within_s:
        fleet.lines.step()
        if each is not None:
            each(now_s - began_s)
        if now_s - expired_s > 1.0:
            fleet.lines.expire()
            expired_s = now_s
    return time.monotonic() - began_s


def open_all(fleet: Fleet, sessions: Sequence[Session], broker: int, figures: Figures) -> None:
    """Open every session, as fast as handshakes go."""
    began_s, cpu_s = time.monotonic(), cpu_seconds(broker)
    for session in sessions:
        fleet.lines.add(session, began_s)
    figures.opened_in_s = turn(fleet, lambda: fleet.lines.ready == len(sessions), 600)
    figures.sessions = fleet.lines.ready
    figures.broker_cpu_a_connect_ms = 1000 * (cpu_seconds(broker) - cpu_s) / max(1, fleet.lines.ready)
    figures.broker_mb = peak_mb(broker)


def latencies(fleet: Fleet, sessions: Sequence[Session], a_second: float) -> list[float]:
    """Each session sends one record, spread over time; seconds from PUBLISH to the ledger's signed answer."""
    fleet.latencies_s, fleet.waiting = [], {}
    todo = [one for one in sessions if one.ready]
    sent = 0

    def each(at_s: float) -> None:
        nonlocal sent
        while sent < len(todo) and sent < at_s * a_second:
            if todo[sent].ready:
                fleet.publish(todo[sent])
            sent += 1

    turn(fleet, lambda: sent == len(todo) and not fleet.waiting, len(todo) / a_second + 120, each)
    return sorted(fleet.latencies_s) + [float("inf")] * len(fleet.waiting)


def storm(fleet: Fleet, stack: ExitStack, words: list[str], broker: int, jitter: bool) -> tuple[int, dict[str, float]]:
    """Kill the broker, start it again at once: the time until all are back, and its CPU. Returns its new pid."""
    dice = random.Random(7)  # noqa: S311 (a wait, no secret)
    if jitter:
        fleet.lines.wait = lambda attempt: delay_s(attempt, dice.random(), JITTER_LOW_S, JITTER_HIGH_S)
    else:
        fleet.lines.wait = lambda _: 0.2
    before = fleet.lines.ready
    os.kill(broker, 9)
    turn(fleet, lambda: fleet.lines.ready == 0, 60)
    (fleet.folder / "c.sock").unlink(missing_ok=True)
    fresh = stack.enter_context(program(words, fleet.folder / "mosquitto.log")).pid
    peak, seen_s, cpu_s = 0.0, time.monotonic(), cpu_seconds(fresh)

    def each(_: float) -> None:
        nonlocal peak, seen_s, cpu_s
        now_s = time.monotonic()
        if now_s - seen_s >= 1.0:
            used_s = cpu_seconds(fresh)
            peak, seen_s, cpu_s = max(peak, (used_s - cpu_s) / (now_s - seen_s)), now_s, used_s

    took_s = turn(fleet, lambda: fleet.lines.ready >= before, STORM_WITHIN_S, each)
    mean = cpu_seconds(fresh) / took_s
    return fresh, {"sessions": fleet.lines.ready, "of": before, "back_s": took_s, "peak_cpu": peak, "mean_cpu": mean}


def hostile(fleet: Fleet, sessions: Sequence[Session], others: int) -> dict[str, float]:
    """One probe sends 1,000 rightly signed messages a second; others send a record now and then."""
    enemy, rest = sessions[0], sessions[1 : others + 1]
    chain = fleet.chains[0]
    payloads = [bundle.encode([fleet.mill.next(chain)]) for _ in range(200)]
    fleet.latencies_s, fleet.waiting = [], {}
    sent = told = 0

    def each(at_s: float) -> None:
        nonlocal sent, told
        while sent < min(at_s, HOSTILE_S) * HOSTILE_A_S and enemy.sock is not None and len(enemy.out) < 1 << 20:
            fleet.lines.send(enemy, payloads[sent % len(payloads)])
            sent += 1
        while told < len(rest) and told < at_s / HOSTILE_S * len(rest):
            if rest[told].ready:
                fleet.publish(rest[told])
            told += 1

    took_s = turn(fleet, lambda: False, HOSTILE_S, each)
    turn(fleet, lambda: not fleet.waiting, 120)
    found = sorted(fleet.latencies_s) + [float("inf")] * len(fleet.waiting)
    said = [line for line in (fleet.folder / "receive.log").read_text().splitlines() if "over their rate" in line]
    return {
        "sent": sent, "a_second": sent / took_s, "others": len(rest), "p50_s": at(found, 50),
        "p95_s": at(found, 95), "p99_s": at(found, 99), "throttled": float(bool(said)),
    }  # fmt: skip


def at(ordered: Sequence[float], percent: float) -> float:
    """A percentile of ordered figures; infinity if there are none."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] if ordered else float("inf")


def main(argv: list[str] | None = None) -> int:
    """Measure and print; 1 if a goal is short."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--probes", type=int, default=10_000, help="how many (10000)")
    parser.add_argument("--quick", action="store_true", help="500 probes, no slow clients")
    parser.add_argument("--web", action="store_true", help="slow clients on the pages only")
    asked = parser.parse_args(argv)
    count = 500 if asked.quick else asked.probes
    room = _room_for(2 * count + 1_000)
    figures = Figures(min(count, room - 500))
    with tempfile.TemporaryDirectory(prefix="dosong-load-") as name:
        Path(name).chmod(0o755)
        if not asked.web:
            measure(Path(name), figures)
        if not asked.quick:
            figures.web = [load_web.measure(Path(name) / f"web{slow}", slow) for slow in (0, 200, 1_000)]
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "load.json").write_text(json.dumps(asdict(figures)) + "\n")
    return report(figures)


def _room_for(files: int) -> int:
    """Ask the kernel for so many handles; how many it gave."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(files, hard), max(files, hard)))
        return max(files, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def measure(folder: Path, figures: Figures) -> None:
    """Sessions, latencies, both storms, the hostile probe."""
    fleet = Fleet(folder, figures.asked)
    words = ["mosquitto", "-c", str(fleet.made.root / "broker" / "mosquitto.conf")]
    with ExitStack() as stack:
        broker = stack.enter_context(program(words, folder / "mosquitto.log")).pid
        until((folder / "c.sock").exists, 30)
        receive_words = [sys.executable, "-m", "collector", "receive", "--config",
                         str(fleet.made.collector / "collector.toml")]  # fmt: skip
        receive = stack.enter_context(program(receive_words, folder / "receive.log")).pid
        until(lambda: "connected" in (folder / "receive.log").read_text(), 60)
        stack.callback(fleet.lines.close)
        sessions = fleet.contexts()
        open_all(fleet, sessions, broker, figures)
        say(f"{figures.sessions} of {figures.asked} sessions in {figures.opened_in_s:.0f} s")
        figures.latency_s = latencies(fleet, sessions, max(20.0, figures.sessions / 60))
        figures.receive_mb = peak_mb(receive)
        say(f"latency p50 {at(figures.latency_s, 50):.2f} s, p99 {at(figures.latency_s, 99):.2f} s")
        figures.hostile = hostile(fleet, sessions, min(600, len(sessions) - 1))
        say(f"hostile: {figures.hostile}")
        for how in ("at once", "with jitter"):
            broker, figures.storms[how] = storm(fleet, stack, words, broker, how == "with jitter")
            say(f"storm {how}: {figures.storms[how]}")


def say(text: str) -> None:
    """Tell how it goes."""
    print(text, flush=True)


def report(figures: Figures) -> int:
    """Print what was read and one line for each goal; 1 if one is short."""
    good = True
    if figures.sessions:
        print(
            f"{figures.sessions} TLS sessions by certificate: {figures.broker_cpu_a_connect_ms:.2f} ms of broker CPU"
            f" each, broker {figures.broker_mb:.0f} MB, receive {figures.receive_mb:.0f} MB"
        )
        good &= goal("sessions that are missing", figures.asked - figures.sessions, 0, "")
        good &= goal("record to signed ACK, p95", at(figures.latency_s, 95), LATENCY_P95_S, "s")
        good &= goal("record to signed ACK, p99", at(figures.latency_s, 99), LATENCY_P99_S, "s")
        good &= goal("others' ACK beside a flood, p99", figures.hostile["p99_s"], LATENCY_P99_S, "s")
        good &= goal("flood that was not throttled", 1 - min(1.0, figures.hostile["throttled"]), 0, "")
        for how, one in figures.storms.items():
            print(
                f"storm {how}: broker's CPU {one['mean_cpu']:.0%} on average, {one['peak_cpu']:.0%} at most in a second"
            )
            good &= goal(f"storm {how}: all back", one["back_s"], STORM_WITHIN_S, "s")
            good &= goal(f"storm {how}: sessions that stayed away", one["of"] - one["sessions"], 0, "")
    for one in figures.web:
        good &= goal(f"pages beside {one['slow']:.0f} slow clients, p99", one["p99_s"], 1.0, "s")
        good &= goal(f"pages beside {one['slow']:.0f} slow clients, requests that failed", one["failed"], 0, "")
    return 0 if good else 1


def goal(name: str, figure: float, limit: float, unit: str) -> bool:
    """Print a goal that is met when the figure is at most the limit."""
    met = figure <= limit
    print(f"goal: load, {name}: {figure:.4g} {unit} (at most {limit:.4g} {unit}): {'met' if met else 'short'}")
    return met


if __name__ == "__main__":
    raise SystemExit(main())
