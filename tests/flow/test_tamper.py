"""Forged, altered and foreign bytes at the real broker, with a probe's own certificate: each is refused and shown.

Two more probes are enrolled in the running world, and the test speaks as they: TLS 1.3 with their certificates, from
inside the core's network, under the broker's access list. What is refused must be visible to the operator with its
reason, on the command line and on the page, and must leave nothing in InfluxDB.
"""

from __future__ import annotations

import ctypes
import http.cookiejar
import json
import os
import re
import socket
import ssl
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from sim import demo_world
from sim.demo_enrol import AUTHORITY
from sim.demo_scene import ORIGIN
from sim.programs import module, run
from tests.collector.kit import FakeProbe
from tests.flow.conftest import PLACE, Whole, eventually
from wire import bundle, keyfile, notes, topics
from wire.note import Verifier

PASSWORD = "mo-phong-2026"  # the demonstration's, printed on its login page
MAX_PACKET_BYTES = 65_536
_LIBC = ctypes.CDLL(None, use_errno=True)


def _socket_inside(pid: int, address: tuple[str, int]) -> socket.socket:
    """A connected socket that belongs to the network of process `pid`: a socket keeps the network it was made in."""
    made: list[socket.socket | OSError] = []

    def enter_and_connect() -> None:
        try:
            with Path(f"/proc/{pid}/ns/net").open() as network:
                if _LIBC.setns(network.fileno(), 0) != 0:
                    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
            made.append(socket.create_connection(address, timeout=5))
        except OSError as error:
            made.append(error)

    thread = threading.Thread(target=enter_and_connect)
    thread.start()
    thread.join()
    if isinstance(made[0], OSError):
        raise made[0]
    return made[0]


class _InsideClient(Client):
    """paho, with its socket made in the core's network."""

    inside: int

    def _create_socket_connection(self) -> socket.socket:
        return _socket_inside(self.inside, (self._host, self._port))


class Session:
    """One probe's session at the broker: what it publishes is up to the test; what it receives is kept."""

    def __init__(self, whole: Whole, folder: Path, verifier: Verifier, *filters: str) -> None:
        self.received: list[tuple[str, bytes]] = []
        self.verifier = verifier
        self.drops = 0
        self._ready = threading.Event()
        self._filters = [(text, 1) for text in filters]
        core = whole.world.core
        assert core is not None
        self._client = _InsideClient(CallbackAPIVersion.VERSION2, folder.name, protocol=MQTTProtocolVersion.MQTTv311)
        self._client.inside = core.pid
        context = ssl.create_default_context(cafile=folder / "ca.crt")
        context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
        self._client.tls_set_context(context)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda client, *_: client.subscribe(self._filters)
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = self._keep
        self._client.on_disconnect = self._dropped
        self._client.connect(core.address, 8883)
        self._client.loop_start()
        assert self._ready.wait(10), "the broker did not confirm the subscription"

    def _keep(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        self.received.append((message.topic, bytes(message.payload)))

    def _dropped(self, *_: object) -> None:
        self._ready.clear()
        self.drops += 1

    def send(self, topic: str, payload: bytes) -> None:
        """Publish at QoS 1 and wait for the PUBACK. MQTT 3.1.1 sends one even for what the access list drops."""
        assert self._ready.wait(10), "the session did not come back"
        self._client.publish(topic, payload, qos=1).wait_for_publish(10)

    def fling(self, topic: str, payload: bytes) -> None:
        """Publish without waiting."""
        self._client.publish(topic, payload, qos=0)

    def upto(self, probe: str) -> int | None:
        """What the newest signed acknowledgement of `probe` says; None if none came."""
        mine = [payload for topic, payload in self.received if topic == topics.ack(probe)]
        return notes.open_note(mine[-1], notes.Ack, ORIGIN, self.verifier).upto if mine else None

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A probe that is registered, holds a certificate, and signs what the test wants."""

    whole: Whole
    signs: FakeProbe
    session: Session

    @property
    def id(self) -> str:
        return self.signs.probe

    def good(self) -> bytes:
        """The next record: a counted sample."""
        now_ms = int(time.time() * 1000) - 3_600_000 + self.signs.seq * 1000
        position = {"source": "surveyed", "lat_e7": PLACE.lat_e7, "lon_e7": PLACE.lon_e7}
        return self.signs.test(
            t_ms=now_ms, slot_ms=now_ms, referral=PLACE.referral, position=position, simulated=True, plmn=PLACE.plmn
        )

    def send(self, *raws: bytes) -> None:
        """Send records as its own session on its own topic."""
        waiting = list(raws)
        while waiting:
            count = bundle.fill(waiting)
            self.session.send(topics.up(self.id), bundle.encode(waiting[:count]))
            waiting = waiting[count:]

    def acked(self, seq: int) -> None:
        """Wait for the signed acknowledgement of `seq`."""
        eventually(f"{self.id} holds a receipt for {seq}", lambda: self.session.upto(self.id) == seq, 15)


def _collector(whole: Whole, *words: str) -> list[dict[str, Any]]:
    settings = str(demo_world.collector_settings(whole.world))
    return [json.loads(line) for line in run(*module("collector", *words, "--config", settings)).splitlines()]


def _refusals(whole: Whole, after: int = 0) -> list[dict[str, Any]]:
    """Refusals behind number `after`, oldest first."""
    rows = _collector(whole, "refusals", "--json", "--limit", "500")
    return [row for row in reversed(rows) if row["n"] > after]


def _last_refusal(whole: Whole) -> int:
    return max((row["n"] for row in _refusals(whole)), default=0)


def _kept(whole: Whole, probe: str) -> list[dict[str, Any]]:
    """Records of a probe in the ledger."""
    return _collector(whole, "export", "--probe", probe)


def _points(whole: Whole, probe: str) -> int:
    """Test points of a probe in InfluxDB."""
    query = f'SELECT count("seq") FROM "test" WHERE "probe" = \'{probe}\''  # noqa: S608
    asked = urllib.parse.urlencode({"db": "dosong", "q": query})
    with urllib.request.urlopen(f"{whole.world.influx_url}/query?{asked}", timeout=10) as answer:  # noqa: S310
        series = json.load(answer)["results"][0].get("series", [])
    return int(series[0]["values"][0][1]) if series else 0


class Operator:
    """The operator in a browser, logged in through the form."""

    def __init__(self, url: str) -> None:
        self._url = url
        jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._open = urllib.request.build_opener(jar).open
        found = re.search(r'name="csrf_token" value="([^"]+)"', self.page("/login"))
        assert found is not None
        form = {"csrf_token": found[1], "name": "vanhanh", "password": PASSWORD, "next": ""}
        asked = urllib.request.Request(f"{url}/login", urllib.parse.urlencode(form).encode(), {"Referer": url})  # noqa: S310
        with self._open(asked, timeout=10) as answer:
            assert answer.url.endswith("/operator")

    def page(self, path: str) -> str:
        with self._open(f"{self._url}{path}", timeout=10) as answer:
            return str(answer.read().decode())

    def refusals(self) -> list[list[str]]:
        """Rows of /refusals, newest first: the text of each cell."""
        body = self.page("/refusals").partition("<tbody>")[2]
        rows = re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL)
        cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in rows]
        return [[unescape(re.sub(r"<[^>]+>", " ", cell)).strip() for cell in row] for row in cells]


WORDS = {
    "bad_signature": "chữ ký sai: nội dung đã bị sửa",
    "unknown_key": "khóa lạ",
    "revoked_key": "khóa đã thu hồi",
    "not_a_note": "không phải bản tin ký",
    "bad_bundle": "gói bản ghi vỡ",
    "too_big": "quá lớn",
    "wrong_topic": "gửi sai chủ đề của trạm",
    "wrong_domain": "ký cho mục đích khác",
}


@pytest.fixture(scope="module")
def operator(whole: Whole) -> Operator:
    return Operator(whole.world.web_url)


@pytest.fixture(scope="module")
def pair(whole: Whole) -> Iterator[tuple[Enrolled, Enrolled]]:
    """Two probes, enrolled while everything runs, each with a session of its own."""
    made = tuple(_enrol(whole, name) for name in ("p-tamper-one", "p-tamper-two"))
    yield made[0], made[1]
    for enrolled in made:
        enrolled.session.close()


def _enrol(whole: Whole, probe: str) -> Enrolled:
    where = ["--dir", str(whole.world.deployment)]
    run(*module("provisioning", "add-probe", *where, probe, "--site", PLACE.site, "--simulated"))
    folder = whole.world.deployment / "probes" / probe
    signs = FakeProbe(probe, signer=keyfile.read_signer(folder / "record.key"), origin=ORIGIN)
    ack = keyfile.read_signer(whole.world.deployment / "collector" / "ack.key").verifier
    return Enrolled(whole, signs, Session(whole, folder, ack, topics.ack(probe), "#"))


def _shown(whole: Whole, operator: Operator, after: int, expected: list[tuple[str, str | None, str]]) -> None:
    """Assert that exactly these (reason, probe, topic) were refused behind `after`, on the command line and page."""
    eventually("all refusals are in", lambda: len(_refusals(whole, after)) >= len(expected), 15)
    rows = _refusals(whole, after)
    assert [(row["reason"], row["probe"], row["topic"]) for row in rows] == expected
    page = operator.refusals()[: len(expected)]
    for row, (reason, probe, topic) in zip(reversed(page), expected, strict=True):
        assert WORDS[reason] in row[1]
        assert row[2:4] == [probe or "–", topic]


def test_a_record_altered_in_any_byte_is_refused(
    whole: Whole, pair: tuple[Enrolled, Enrolled], operator: Operator
) -> None:
    one = pair[0]
    raw = one.good()
    after = _last_refusal(whole)
    places = sorted({*range(0, len(raw), 11), len(raw) - 1})
    one.send(*(bytes([*raw[:at], raw[at] ^ 0x01, *raw[at + 1 :]]) for at in places))
    eventually("all are refused", lambda: len(_refusals(whole, after)) == len(places), 15)
    reasons = {row["reason"] for row in _refusals(whole, after)}
    assert "bad_signature" in reasons
    assert reasons <= {"bad_signature", "not_a_note", "wrong_domain", "unknown_key"}
    shown = operator.refusals()[: len(places)]
    assert all(row[2] == one.id and any(word in row[1] for word in WORDS.values()) for row in shown)
    assert _kept(whole, one.id) == []
    assert one.session.upto(one.id) is None
    # The unaltered bytes are good: it was the one bit.
    one.send(raw)
    one.acked(0)
    eventually("its point is in InfluxDB", lambda: _points(whole, one.id) == 1, 15)


TOO_BIG = b"x" * (bundle.MAX_RECORD_BYTES + 1)


def _framed(raw: bytes) -> bytes:
    return len(raw).to_bytes(2, "big") + raw


def _by_unknown_key(one: Enrolled) -> bytes:
    """What the probe would say, signed by a key of the same name that nobody registered."""
    forged = FakeProbe(one.id, origin=ORIGIN)
    forged.seq, forged.head = one.signs.seq, one.signs.head
    return _framed(forged.test(simulated=True))


def _for_another_deployment(one: Enrolled) -> bytes:
    """A record of the right key, for another origin."""
    other = FakeProbe(one.id, signer=one.signs.signer, origin="other.example")
    return _framed(other.test(simulated=True))


FORGED: list[tuple[str, Callable[[Enrolled], bytes], str]] = [
    ("unknown key", _by_unknown_key, "unknown_key"),
    ("another deployment", _for_another_deployment, "wrong_domain"),
    ("garbage", lambda _: b"\xff\xfe\x00garbage\n" * 40, "bad_bundle"),
    ("framed garbage", lambda _: _framed(b"\x00\x1b[2J<script>alert(1)</script>"), "not_a_note"),
    ("empty", lambda _: b"", "bad_bundle"),
    ("record too long", lambda _: _framed(TOO_BIG), "too_big"),
    ("message too long", lambda _: b"\x00\x01a" * (bundle.MAX_BYTES // 3 + 1), "bad_bundle"),
]


@pytest.mark.parametrize(("name", "make", "reason"), FORGED, ids=[row[0] for row in FORGED])
def test_forged_bytes_are_refused_with_their_reason(
    whole: Whole,
    pair: tuple[Enrolled, Enrolled],
    operator: Operator,
    name: str,
    make: Callable[[Enrolled], bytes],
    reason: str,
) -> None:
    one = pair[0]
    after, held = _last_refusal(whole), len(_kept(whole, one.id))
    one.session.send(topics.up(one.id), make(one))
    _shown(whole, operator, after, [(reason, one.id, topics.up(one.id))])
    assert "<script>" not in operator.page("/refusals")
    assert len(_kept(whole, one.id)) == held
    assert _points(whole, one.id) <= held


def test_a_message_over_the_brokers_limit_never_arrives(whole: Whole, pair: tuple[Enrolled, Enrolled]) -> None:
    one = pair[0]
    after, drops = _last_refusal(whole), one.session.drops
    one.session.fling(topics.up(one.id), b"x" * (MAX_PACKET_BYTES + 1))
    eventually("the broker hangs up", lambda: one.session.drops > drops, 10)
    one.session.send(topics.up(one.id), _framed(b"marker"))
    eventually("the marker arrives", lambda: bool(_refusals(whole, after)), 15)
    assert [row["reason"] for row in _refusals(whole, after)] == ["not_a_note"]


def test_a_record_of_another_probe_is_refused(
    whole: Whole, pair: tuple[Enrolled, Enrolled], operator: Operator
) -> None:
    one, two = pair
    after = _last_refusal(whole)
    stolen = FakeProbe(one.id, signer=one.signs.signer, origin=ORIGIN).test(simulated=True)
    # By two's certificate on two's own topic: the broker lets it through, the ledger does not.
    two.session.send(topics.up(two.id), _framed(stolen))
    _shown(whole, operator, after, [("unknown_key", two.id, topics.up(two.id))])
    assert _kept(whole, two.id) == []


def test_nobody_writes_on_another_probes_topic(
    whole: Whole, pair: tuple[Enrolled, Enrolled], operator: Operator
) -> None:
    """The broker confirms what its access list drops, so a marker behind it on the same session proves the drop."""
    one, two = pair
    after, held = _last_refusal(whole), len(_kept(whole, two.id))
    good_of_two = FakeProbe(two.id, signer=two.signs.signer, origin=ORIGIN).test(simulated=True)
    one.session.send(topics.up(two.id), _framed(good_of_two))
    one.session.send(topics.up("p-nobody"), _framed(b"x"))
    one.session.send("dosong/v1/up/0/p-nobody/more", b"x")
    one.session.send(topics.status(two.id), b"offline")
    one.session.send("dosong/v1/up/99/" + one.id, _framed(b"x"))
    wrong_part = f"dosong/v1/up/{(topics.part(one.id) + 1) % topics.PARTS}/{one.id}"
    one.session.send(wrong_part, _framed(b"marker"))
    _shown(whole, operator, after, [("wrong_topic", None, wrong_part)])
    assert len(_kept(whole, two.id)) == held
    assert _points(whole, two.id) == 0


def test_a_probe_reads_no_answers_but_its_own_and_writes_none(whole: Whole, pair: tuple[Enrolled, Enrolled]) -> None:
    one, two = pair
    forged = b"not an answer of the collector"
    two.session.send(topics.ack(one.id), forged)
    two.session.send(topics.config(one.id), forged)
    one.send(one.good())
    one.acked(one.signs.seq - 1)
    # Both sessions asked for everything ("#"). Now two gets an answer of its own, later than one's.
    two.send(two.good())
    two.acked(two.signs.seq - 1)
    assert {topic for topic, _ in two.session.received} - {topics.CHECKPOINT} == {topics.ack(two.id)}
    assert {topic for topic, _ in one.session.received} - {topics.CHECKPOINT} == {topics.ack(one.id)}
    assert forged not in {payload for _, payload in one.session.received}
    eventually("both points are in InfluxDB", lambda: _points(whole, two.id) == 1 and _points(whole, one.id) == 2, 15)


def test_an_authentic_record_that_breaks_the_schema_never_blocks(
    whole: Whole, pair: tuple[Enrolled, Enrolled], operator: Operator
) -> None:
    one = pair[0]
    after, before = _last_refusal(whole), _points(whole, one.id)
    broken = one.signs.seq
    raws = [one.signs.schema_broken(), one.signs.odd(b"no JSON at all"), one.good(), one.good()]
    for raw in raws:
        one.send(raw)
    one.acked(broken + 3)
    assert _refusals(whole, after) == []
    kept = [row for row in _kept(whole, one.id) if row["seq"] is None or row["seq"] >= broken]
    assert {row["fault"]: row["counted"] for row in kept} == {"schema": False, "not_json": False, None: True}
    assert sum(row["counted"] for row in kept) == 2
    page = operator.page(f"/samples/{one.id}/1/{broken}")
    assert "sai quy cách bản ghi" in page
    eventually("the good ones are in InfluxDB", lambda: _points(whole, one.id) == before + 2, 15)


def test_a_probe_that_is_revoked_in_its_session_is_heard_no_more(
    whole: Whole, pair: tuple[Enrolled, Enrolled], operator: Operator
) -> None:
    """Last in this file: `two` stays revoked."""
    two = pair[1]
    two.send(two.good())
    held = two.signs.seq - 1
    two.acked(held)
    eventually("its point is in InfluxDB", lambda: _points(whole, two.id) == held + 1, 15)
    after, drops = _last_refusal(whole), two.session.drops
    # The ledger must not need the broker's help: what would have the broker mute this probe is away, and only the
    # registry is told.
    whole.world.programs.stop([AUTHORITY])
    row = whole.world.root / "revoked.toml"
    key = two.signs.signer.verifier.vkey
    words = f'state = "revoked"\nrevoked_ms = {time.time_ns() // 1_000_000}\nsimulated = true\n'
    row.write_text(f'[[probes]]\nid = "{two.id}"\nvkey = "{key}"\n{words}')
    run(*module("provisioning", "import", "--dir", str(whole.world.deployment), str(row)))
    two.send(two.good())
    _shown(whole, operator, after, [("revoked_key", two.id, topics.up(two.id))])
    assert two.session.drops == drops
    assert two.session.upto(two.id) == held
    assert [row["seq"] for row in _kept(whole, two.id)] == list(range(held + 1))
    assert _points(whole, two.id) == held + 1
