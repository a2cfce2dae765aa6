"""`dosong-sim swarm`: many probes without hardware at a real broker: real certificates, real sessions, signed records.

Each probe of a deployment gets a TLS session of its own by paho-mqtt, all in one thread. Every so often each signs a
record, and all that the ledger has not acknowledged goes again. What was made stands in `truth.json` at the end, how
it goes in `status.json` twice a second. SIGTERM: make nothing more, wait until all is acknowledged, end.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import resource
import selectors
import signal
import ssl
import time
import tomllib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from sim.fleet_chain import Author, Chain, total, truths
from sim.history import DAY_MS, HOUR_MS, Month, Scene
from wire import keyfile, notes, topics
from wire.errors import EXIT_FAILED, EXIT_OK, Refused
from wire.note import Verifier

TICK_S = 0.02
STATUS_EVERY_S = 0.5
CARE_EVERY_S = 1.0
FILES_A_PROBE = 4
KEEPALIVE_S = 60
BACK_WITHIN_S = 2.0
MOST_RETRY_S = 600.0
ANSWERS_QOS = 0
"""As probes subscribe (`probe.broker`)."""


@dataclass(frozen=True, slots=True)
class Wish:
    """How the fleet behaves. `backlog_h`: hours of records that wait at the start; `rate`: records a second of each
    probe afterwards; `batch`: most records a message; `retry_s`: sent again after so long without an answer,
    and twice as long every time up to `MOST_RETRY_S`, drawn, as probes do."""

    backlog_h: float
    rate: float
    batch: int
    retry_s: float
    undated_every: int
    seed: int


@dataclass(slots=True)
class Probe:
    """One probe of the fleet. `client` is None between sessions; times are monotonic seconds."""

    chain: Chain
    author: Author
    tls: ssl.SSLContext
    client: Client | None = None
    ready: bool = False
    back_s: float = 0.0
    due_s: float = 0.0
    retry_s: float | None = None
    attempt: int = 0
    unconfirmed: int = 0
    turn: int = 0


@dataclass(slots=True)
class Fleet:
    """All probes, one selector."""

    places: list[tuple[str, int]]
    origin: str
    ack: Verifier
    wish: Wish
    probes: list[Probe] = field(default_factory=list)
    making: bool = True
    sessions: int = 0
    most_sessions: int = 0
    connects: int = 0
    drops: int = 0
    first_s: float | None = None
    """When the first session stood, when the newest one did, when the last answer came that was new; None: not yet."""
    ready_s: float | None = None
    answered_s: float | None = None
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)

    def step(self, now_s: float) -> None:
        """Move what is readable and writable, sign what is due, send what may be sent."""
        for key, mask in self._selector.select(TICK_S):
            client: Client = key.data
            if mask & selectors.EVENT_READ:
                client.loop_read()
            if mask & selectors.EVENT_WRITE:
                client.loop_write()
        for probe in self.probes:
            if self.making and self.wish.rate and now_s >= probe.due_s:
                probe.due_s = max(probe.due_s, now_s - 1.0) + 1 / self.wish.rate
                probe.author.write()
            if probe.ready:
                self._send(probe)

    def stop_making(self) -> None:
        """Sign what earlier records still need, and nothing more."""
        self.making = False
        for probe in self.probes:
            probe.author.finish()

    def care(self, now_s: float) -> None:
        """Once a second: keep sessions alive, open those that are due, send again what got no answer."""
        for probe in self.probes:
            if probe.client is None:
                if now_s >= probe.back_s:
                    self._open(probe)
                continue
            probe.client.loop_misc()
            overdue = probe.retry_s is not None and now_s >= probe.retry_s
            if probe.ready and overdue and not probe.unconfirmed:
                probe.attempt, probe.retry_s = probe.attempt + 1, None
                probe.chain.again()

    def _open(self, probe: Probe) -> None:
        """Connect one probe, or try again a little later."""
        client = Client(
            CallbackAPIVersion.VERSION2, probe.chain.probe, protocol=MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
        )  # fmt: skip
        client.tls_set_context(probe.tls)
        client.on_socket_open = lambda c, _u, sock: self._selector.register(sock, selectors.EVENT_READ, c) and None
        client.on_socket_close = lambda _c, _u, sock: self._closed(probe, sock)
        both = selectors.EVENT_READ | selectors.EVENT_WRITE
        client.on_socket_register_write = lambda c, _u, sock: self._watch(sock, both, c)
        client.on_socket_unregister_write = lambda c, _u, sock: self._watch(sock, selectors.EVENT_READ, c)
        topic = topics.ack(probe.chain.probe)
        client.on_connect = lambda c, *_: c.subscribe(topic, ANSWERS_QOS) and None
        client.on_subscribe = lambda c, _u, _m, codes, _p: self._subscribed(probe, codes, c)
        client.on_message = lambda _c, _u, message: self._answer(probe, message)
        client.on_publish = lambda *_: self._confirmed(probe)
        probe.client, probe.ready, probe.unconfirmed, probe.turn = client, False, 0, probe.turn + 1
        try:
            client.connect(*self.places[probe.turn % len(self.places)], KEEPALIVE_S)
        except (OSError, ValueError):
            probe.client, probe.back_s = None, time.monotonic() + random.uniform(0.2, BACK_WITHIN_S)  # noqa: S311

    def _subscribed(self, probe: Probe, codes: Any, client: Client) -> None:
        if any(code.is_failure for code in codes):  # a cluster that elects a leader may refuse: no answer would come
            client.disconnect()
        else:
            self._ready(probe)

    def _watch(self, sock: Any, events: int, client: Client) -> None:
        with contextlib.suppress(KeyError, ValueError):
            self._selector.modify(sock, events, client)

    def _ready(self, probe: Probe) -> None:
        probe.ready, probe.retry_s, probe.attempt = True, None, 0
        probe.chain.again()
        self.ready_s = time.monotonic()
        self.first_s = self.first_s or self.ready_s
        self.sessions += 1
        self.connects += 1
        self.most_sessions = max(self.most_sessions, self.sessions)

    def _closed(self, probe: Probe, sock: Any) -> None:
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(sock)
        self.sessions -= probe.ready
        self.drops += probe.ready
        probe.client, probe.ready = None, False
        probe.back_s = time.monotonic() + random.uniform(0.2, BACK_WITHIN_S)  # noqa: S311

    def _answer(self, probe: Probe, message: MQTTMessage) -> None:
        with contextlib.suppress(Refused):
            if probe.chain.take(notes.open_note(bytes(message.payload), notes.Ack, self.origin, self.ack)):
                probe.attempt, probe.retry_s = 0, None
                self.answered_s = time.monotonic()

    def _confirmed(self, probe: Probe) -> None:
        probe.unconfirmed -= 1

    def _send(self, probe: Probe) -> None:
        while probe.client is not None and (payload := probe.chain.next_message(self.wish.batch)) is not None:
            probe.unconfirmed += 1
            probe.client.publish(topics.up(probe.chain.probe), payload, topics.QOS)
        if probe.retry_s is None and probe.chain.sent > probe.chain.acked:
            most_s = min(MOST_RETRY_S, self.wish.retry_s * 2 ** min(probe.attempt + 1, 20))
            wait_s = random.uniform(self.wish.retry_s, max(self.wish.retry_s, most_s))  # noqa: S311 (jitter)
            probe.retry_s = time.monotonic() + wait_s

    def end(self) -> None:
        """Say goodbye."""
        for probe in self.probes:
            if probe.client is not None:
                probe.client.disconnect()

    def status(self, began_s: float) -> dict[str, Any]:
        """How it goes."""
        chains = [probe.chain for probe in self.probes]
        moments = {"first_s": self.first_s, "ready_s": self.ready_s, "answered_s": self.answered_s}
        return {
            **{name: None if at_s is None else at_s - began_s for name, at_s in moments.items()},
            "at_s": round(time.monotonic() - began_s, 2), "probes": len(chains), "sessions": self.sessions,
            "most_sessions": self.most_sessions, "connects": self.connects, "drops": self.drops,
            "made": sum(len(c.raws) for c in chains), "acked": sum(c.acked + 1 for c in chains),
            "resent": sum(c.resent for c in chains), "restored": sum(c.restored for c in chains),
            "gen": max((c.gen for c in chains), default=0), **asdict(total(chains)),
        }  # fmt: skip


def assemble(options: argparse.Namespace, now_ms: int) -> Fleet:
    """Read the deployment and the identities of its probes, and sign the backlog."""
    root: Path = options.dir
    table = tomllib.loads((root / "deployment.toml").read_text())
    wish = Wish(options.backlog_h, options.rate, options.batch, options.retry_s, options.undated_every, options.seed)
    ack = keyfile.read_signer(root / "collector" / "ack.key").verifier
    places = [_place(text) for text in options.broker] or [(table["host"], table["port"])]
    fleet = Fleet(places, table["origin"], ack, wish)
    for number, folder in enumerate(sorted((root / "probes").glob(f"{options.prefix}*"))):
        fleet.probes.append(_probe(folder, fleet, options, now_ms))
        fleet.probes[-1].turn = number
        fleet.probes[-1].due_s = time.monotonic() + number / max(1e-9, wish.rate) / max(1, options.most)
    del fleet.probes[options.most :]
    return fleet


def _place(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def _probe(folder: Path, fleet: Fleet, options: argparse.Namespace, now_ms: int) -> Probe:
    wish = fleet.wish
    scene = Scene(
        folder.name, options.site, options.referral, "45204", options.lat_e7, options.lon_e7,
        20_000_000, 8_000_000, -850, 0.15,
    )  # fmt: skip
    span_ms = int(wish.backlog_h * HOUR_MS) if wish.backlog_h else options.days * DAY_MS
    chain = Chain(folder.name)
    signer = keyfile.read_signer(folder / "record.key")
    month = Month(scene, now_ms - span_ms, now_ms, wish.seed)
    author = Author(month, chain, fleet.origin, signer, wish.undated_every)
    while wish.backlog_h and author.write():
        pass
    tls = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    tls.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    return Probe(chain, author, tls)


def add_parser(subparsers: Any) -> None:
    """Register `dosong-sim swarm`."""
    parser = subparsers.add_parser(
        "swarm",
        help="many probes without hardware at a real broker",
        description="Sign and publish as many probes of a deployment until SIGTERM, then until all is acknowledged.",
        epilog="example: dosong-sim swarm --dir deployment --site s-one --referral TN1 --rate 2 --out fleet",
    )
    parser.add_argument("--dir", type=Path, required=True, help="deployment folder with the probes' identities")
    parser.add_argument("--out", type=Path, required=True, help="folder for status.json and truth.json")
    parser.add_argument("--broker", action="append", default=[], help="HOST:PORT of each broker of a cluster")
    parser.add_argument("--prefix", default="p-", help="only probes whose id begins so")
    parser.add_argument("--most", type=int, default=20_000, help="at most so many probes")
    parser.add_argument("--site", required=True)
    parser.add_argument("--referral", required=True)
    parser.add_argument("--lat-e7", type=int, default=215_000_000)
    parser.add_argument("--lon-e7", type=int, default=1_058_000_000)
    parser.add_argument("--backlog-h", type=float, default=0.0, help="hours of records that wait at the start")
    parser.add_argument("--days", type=int, default=60, help="how far back the live records reach, without a backlog")
    parser.add_argument("--rate", type=float, default=0.0, help="records a second of each probe, beside the backlog")
    parser.add_argument("--batch", type=int, default=32, help="most records a message")
    parser.add_argument("--retry-s", type=float, default=3.0, help="sent again after so long without an answer")
    parser.add_argument("--undated-every", type=int, default=0, help="so many records apart one has no clock yet")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--patience", type=float, default=120.0, help="seconds to wait for the last answers")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run until told to stop and everything is acknowledged; exit status 0 if it is."""
    asked_s: list[float] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked_s.append(time.monotonic()))
    fleet = assemble(options, int(time.time() * 1000))
    options.out.mkdir(parents=True, exist_ok=True)
    _room_for(len(fleet.probes))
    began_s, told_s, cared_s = time.monotonic(), 0.0, 0.0
    while fleet.making or not (_is_done(fleet) or time.monotonic() - asked_s[0] > options.patience):
        now_s = time.monotonic()
        if asked_s and fleet.making:
            fleet.stop_making()
        fleet.step(now_s)
        if now_s - cared_s >= CARE_EVERY_S:
            fleet.care(now_s)
            cared_s = now_s
        if now_s - told_s >= STATUS_EVERY_S:
            _put(options.out / "status.json", fleet.status(began_s))
            told_s = now_s
    fleet.end()
    _put(options.out / "status.json", fleet.status(began_s))
    _put(options.out / "truth.json", {"probes": list(truths([probe.chain for probe in fleet.probes]))})
    return EXIT_OK if _is_done(fleet) else EXIT_FAILED


def _is_done(fleet: Fleet) -> bool:
    return all(probe.chain.is_held for probe in fleet.probes)


def _room_for(probes: int) -> None:
    """Ask the kernel for enough handles: a session has a socket and a pair that wakes it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(1024, probes * FILES_A_PROBE + 256)), hard))


def _put(path: Path, value: object) -> None:
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(json.dumps(value))
    fresh.replace(path)
