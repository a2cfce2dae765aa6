"""The log's checkpoint by a real broker into records: heard, kept over a restart, refused with its reason."""

from __future__ import annotations

import contextlib
import itertools
import logging
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from probe import beacon, boot, show
from probe.beacon import Beacon, Standing
from probe.broker import Access
from probe.core import chain
from probe.core.beacon import Named, Policy
from probe.core.doctor import examine
from probe.core.doctor_facts import BrokerFacts, Facts
from probe.core.doctor_words import LANGUAGES, says
from probe.core.draft import Stamp
from probe.devices import clock as kernel_clock
from probe.publish import Publisher
from probe.recorder import Recorder
from probe.spool import Spool
from tests.probe.beacon_kit import KEY, checkpoint, root_text
from tests.probe.kit import ACK_KEY, ORIGIN, PROBE, STAMP, event, make_recorder, read, wait_until
from tests.probe.test_publish import Broker, Clocks, Ledger, broker, certificates, ledger
from wire import data_use, topics

__all__ = ["broker", "certificates", "ledger"]
BOOT = STAMP.boot
OFTEN = Policy(every_ms=200, patience_ms=1_500)


class Silence:
    """A session that only counts."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def hear(self, topic: str) -> None:
        self.said.append(f"hear {topic}")

    def leave(self, topic: str) -> None:
        self.said.append(f"leave {topic}")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a broker listens, and the folder of the certificates."""

    folder: Path
    port: int


class Site:
    """A spool, its publisher, and what it knows of the log."""

    def __init__(self, folder: Path, broker: Broker | Place, policy: Policy = OFTEN) -> None:
        self.state = folder / "state"
        self.spool = Spool(self.state, 1_000_000)
        self.recorder: Recorder = make_recorder(self.spool)
        self.beacon = Beacon(self.state, KEY, kernel_clock.boot_id(), kernel_clock.mono_ms, policy)
        self.recorder.named_log = self.beacon.named
        self.recorder.stamp = kernel_clock_stamp
        self.may_send = True
        keys = (broker.folder / "ca.crt", broker.folder / "tls.crt", broker.folder / "tls.key")
        self.publisher = Publisher(
            Access("127.0.0.1", broker.port, PROBE, 60, "lo", *keys),
            self.spool,
            origin=ORIGIN,
            ack_verifier=ACK_KEY.verifier,
            policy=chain.Policy(0.5, 2.0),
            retry_s=(0.2, 0.5),
            keep_acked_days=7,
            clocks=Clocks(),
            may_send=lambda: self.may_send,
            begin_epoch=lambda effect: boot.new_epoch(self.recorder, effect),
            reinstate=self.recorder.reinstate,
            on_config=lambda _payload: None,
            beacon=self.beacon,
        )

    def named(self) -> Named | None:
        return self.beacon.named(kernel_clock_stamp())

    def knows(self, size: int) -> bool:
        named = self.named()
        return named is not None and named.size == size

    def stop(self) -> None:
        self.publisher.stop(8)
        self.spool.close()


def kernel_clock_stamp() -> Stamp:
    return Stamp(kernel_clock.boot_id(), kernel_clock.mono_ms(), "unsynced", "none", None, None)


def tell(ledger: Ledger, payload: bytes) -> None:
    ledger._client.publish(topics.CHECKPOINT, payload, 1, retain=True).wait_for_publish(5)


@pytest.fixture
def site(tmp_path: Path, broker: Broker) -> Iterator[Site]:
    site = Site(tmp_path, broker)
    yield site
    site.stop()


@pytest.mark.services
def test_records_name_the_newest_checkpoint_that_was_known_when_they_began(site: Site, ledger: Ledger) -> None:
    site.recorder.keep(event(site.recorder))
    begun = site.recorder.head()
    tell(ledger, checkpoint(52))
    site.publisher.start()
    wait_until(lambda: site.knows(52), what="the first checkpoint")
    site.recorder.keep(event(site.recorder))
    tell(ledger, checkpoint(53))
    wait_until(lambda: site.knows(53), what="a newer one, asked for again")
    site.recorder.keep(event(site.recorder))
    site.recorder.keep(event(site.recorder).__class__(**begun, event="stopping"))
    wait_until(lambda: len(set(ledger.seqs())) == 4, what="all four arrived")
    by_seq = {record.seq: record for record in map(read, ledger.raws)}
    found = [(by_seq[seq].beacon_size, by_seq[seq].beacon_root) for seq in range(4)]
    assert found == [(None, None), (52, root_text(52)), (53, root_text(53)), (None, None)]
    assert b"beacon" not in next(raw for raw in ledger.raws if read(raw).seq == 0), "a record without one is as before"


@pytest.mark.services
def test_what_is_refused_changes_nothing_and_says_why(
    site: Site, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    tell(ledger, checkpoint(52))
    site.publisher.start()
    wait_until(lambda: site.knows(52), what="the first checkpoint")
    bad = {
        "unknown_key": checkpoint(60, seed=bytes(32)),
        "bad_signature": checkpoint(60).replace(b"\n60\n", b"\n61\n"),
        "wrong_domain": b"\x00garbage",
        "too_big": checkpoint(60) + b"x" * 60_000,
        "goes back": checkpoint(51),
    }
    for word, payload in bad.items():
        tell(ledger, payload)
        wait_until(lambda word=word: word in caplog.text, what=word)
        assert site.knows(52)
        site.recorder.keep(event(site.recorder))
    wait_until(lambda: len(set(ledger.seqs())) == len(bad), what="nothing is lost")
    assert {read(raw).beacon_size for raw in ledger.raws} == {52}
    assert (site.state / "beacon" / "checkpoint").read_bytes() == checkpoint(52)
    tell(ledger, checkpoint(70))
    wait_until(lambda: site.knows(70), what="the next good one")


@pytest.mark.services
def test_a_log_that_contradicts_itself_leaves_both_notes(
    site: Site, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    tell(ledger, checkpoint(52))
    site.publisher.start()
    wait_until(lambda: site.knows(52), what="the first checkpoint")
    tell(ledger, checkpoint(52, "another story"))
    folder = site.state / "beacon"
    wait_until(lambda: len(beacon.conflicts(folder)) == 1, what="the fork is kept")
    tell(ledger, checkpoint(40))
    wait_until(lambda: len(beacon.conflicts(folder)) == 2, what="the rollback is kept once its patience is over")
    pairs = {
        tuple((folder / f"{name}-{end}").read_bytes() for end in ("known", "seen")) for name in beacon.conflicts(folder)
    }
    assert pairs == {(checkpoint(52), checkpoint(52, "another story")), (checkpoint(52), checkpoint(40))}
    assert site.knows(52)
    assert "checkpoint=conflict the log has two roots" in caplog.text
    assert "checkpoint=conflict the log went back" in caplog.text
    found = beacon.standing(site.state, KEY.vkey)
    assert (found.word, found.size, found.folder) == ("conflict", 52, str(folder))


@pytest.mark.services
def test_nothing_is_asked_while_a_test_has_the_link(site: Site, ledger: Ledger) -> None:
    tell(ledger, checkpoint(52))
    site.publisher.start()
    wait_until(lambda: site.knows(52), what="the first checkpoint")
    site.may_send = False
    turns = site.publisher.moved_ms
    wait_until(lambda: site.publisher.moved_ms > turns + 700, what="turns of the session")
    tell(ledger, checkpoint(53))
    turns = site.publisher.moved_ms
    wait_until(lambda: site.publisher.moved_ms > turns + 700, what="turns of the session")
    assert site.knows(52)
    site.may_send = True
    wait_until(lambda: site.knows(53), what="asked once the test is over")


@pytest.mark.services
def test_one_checkpoint_costs_what_is_budgeted_for_it(tmp_path: Path, broker: Broker, ledger: Ledger) -> None:
    """Bytes of TLS as the kernel counts them (TCP_INFO), and headers of eight packets: five there, three back."""
    tell(ledger, checkpoint(123_456_789))
    site = Site(tmp_path, broker, Policy(every_ms=100))
    asked = 0

    def moved() -> int:
        client = site.publisher._hearing._client  # type: ignore[union-attr]
        info = client.socket().getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)  # type: ignore[union-attr]
        return sum(struct.unpack_from("QQ", info, 120))

    try:
        site.publisher.start()
        wait_until(lambda: site.knows(123_456_789), what="the first one")
        state = site.beacon._state
        wait_until(
            lambda: (site.beacon._state.due_ms > state.due_ms) and not site.beacon._state.is_asking, what="a turn"
        )
        before, due_ms = moved(), site.beacon._state.due_ms
        while asked < 5:
            wait_until(lambda due_ms=due_ms: site.beacon._state.due_ms > due_ms, what="another turn")
            due_ms, asked = site.beacon._state.due_ms, asked + 1
        assert (moved() - before) / asked + 8 * 52 < data_use.BEACON_BYTES
    finally:
        site.stop()


@pytest.mark.services
def test_a_session_that_ended_before_it_was_answered_is_asked_again(site: Site, broker: Broker) -> None:
    site.publisher.start()
    wait_until(lambda: site.beacon._state.is_asking, what="asked, and there is none yet")
    broker.kill()
    wait_until(lambda: site.publisher.trouble is not None, what="the session is lost")
    broker.start()
    ledger = Ledger(broker)
    try:
        tell(ledger, checkpoint(52))
        wait_until(lambda: site.knows(52), what="asked again")
    finally:
        ledger.close()


class Grudging:
    """A broker that takes a session and what it needs, and refuses any further subscription: NATS with an old list."""

    def __init__(self, folder: Path) -> None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=folder / "ca.crt")
        context.load_cert_chain(folder / "server.crt", folder / "server.key")
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.seen: list[int] = []
        self.sessions = 0
        self._context = context
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                plain, _ = self._listener.accept()
                with contextlib.suppress(OSError), self._context.wrap_socket(plain, server_side=True) as sock:
                    self.sessions += 1
                    self._talk(sock)

    def _talk(self, sock: ssl.SSLSocket) -> None:
        subscribed = 0
        stream = sock.makefile("rb")
        while head := stream.read(1):
            length = shift = 0
            while True:
                (part,) = stream.read(1)
                length, shift = length | (part & 127) << shift, shift + 7
                if part < 128:
                    break
            body, kind = stream.read(length), head[0] >> 4
            self.seen.append(kind)
            if kind == 1:
                sock.sendall(b"\x20\x02\x00\x00")
            if kind == 8:
                subscribed += 1
                sock.sendall(
                    b"\x90\x04" + body[:2] + b"\x00\x00" if subscribed == 1 else b"\x90\x03" + body[:2] + b"\x80"
                )
            if kind == 3 and head[0] & 6:
                size = int.from_bytes(body[:2])
                sock.sendall(b"\x40\x02" + body[2 + size : 4 + size])
            if kind == 12:
                sock.sendall(b"\xd0\x00")

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)


def test_a_broker_that_keeps_the_log_from_a_probe_keeps_its_session(
    tmp_path: Path, certificates: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broker = Grudging(certificates)
    site = Site(tmp_path, Place(certificates, broker.port))
    try:
        site.publisher.start()
        site.recorder.keep(event(site.recorder))
        wait_until(lambda: "refuses one topic" in caplog.text, what="it is said")
        sent = broker.seen.count(3)
        wait_until(lambda: broker.seen.count(3) > sent, what="records go on being sent")
        assert (broker.sessions, site.publisher.lost_ms(), site.named()) == (1, 0, None)
    finally:
        site.stop()
        broker.close()


def a_beacon(state: Path, *, mono_ms: int = 1_000, key: object = KEY) -> Beacon:
    clock = itertools.count(mono_ms)
    return Beacon(state, key, BOOT, lambda: next(clock))  # type: ignore[arg-type]


def at(mono_ms: int, boot_id: str = BOOT) -> Stamp:
    return Stamp(boot_id, mono_ms, "trusted", "ntp", STAMP.t_ms, 5)


def test_it_survives_a_restart_and_still_knows_what_goes_back(tmp_path: Path) -> None:
    a_beacon(tmp_path).take(checkpoint(52), Silence())
    again, session = a_beacon(tmp_path), Silence()
    assert again.named(at(5_000)) == Named(52, root_text(52))
    again.turn(session, may_ask=True)
    again.take(checkpoint(51), session)
    assert again.named(at(5_000)) == Named(52, root_text(52))
    assert session.said == [f"hear {topics.CHECKPOINT}"]


def test_what_was_known_says_nothing_of_a_record_of_another_boot(tmp_path: Path) -> None:
    one = a_beacon(tmp_path)
    one.take(checkpoint(52), Silence())
    assert one.named(at(9_999)) is not None
    assert one.named(at(9_999, "cd" * 16)) is None


@pytest.mark.parametrize("left", [b"", b"\x00" * 200, checkpoint(52)[:-9], checkpoint(52, seed=bytes(32))])
def test_what_lies_on_a_card_is_believed_only_if_the_log_signed_it(tmp_path: Path, left: bytes) -> None:
    (tmp_path / "beacon").mkdir()
    (tmp_path / "beacon" / "checkpoint").write_bytes(left)
    one = a_beacon(tmp_path)
    assert one.named(at(5_000)) is None
    assert beacon.standing(tmp_path, KEY.vkey).word == "none"
    one.take(checkpoint(3), Silence())
    assert a_beacon(tmp_path).named(at(5_000)) == Named(3, root_text(3))


def test_a_disk_that_takes_nothing_costs_no_record_its_beacon(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "beacon").write_text("in the way")
    one = a_beacon(tmp_path)
    for size in (52, 53):
        one.take(checkpoint(size), Silence())
    assert one.named(at(5_000)) == Named(53, root_text(53))
    assert caplog.text.count("checkpoint=not_kept") == 1


def test_at_most_eight_pairs_of_notes_are_kept(tmp_path: Path) -> None:
    one = a_beacon(tmp_path)
    one.take(checkpoint(52), Silence())
    for number in range(12):
        for _ in range(2):
            one.take(checkpoint(52, f"story {number}"), Silence())
    assert len(beacon.conflicts(tmp_path / "beacon")) == beacon.KEPT_CONFLICTS


def test_without_the_logs_key_nothing_is_asked_or_believed(tmp_path: Path) -> None:
    one, session = a_beacon(tmp_path, key=None), Silence()
    one.turn(session, may_ask=True)
    one.take(checkpoint(52), session)
    one.lost()
    assert session.said == []
    assert one.named(at(5_000)) is None
    assert not (tmp_path / "beacon").exists()


def test_status_and_the_check_tell_it_in_words(tmp_path: Path) -> None:
    assert "log_vkey is not in the settings" in show.log_line(beacon.standing(tmp_path, None).document())
    assert "no checkpoint heard yet" in show.log_line(beacon.standing(tmp_path, KEY.vkey).document())
    a_beacon(tmp_path).take(checkpoint(52), Silence())
    assert "size 52 of dosong.example/log/2026, heard 20" in show.log_line(
        beacon.standing(tmp_path, KEY.vkey).document()
    )
    a_beacon(tmp_path).take(checkpoint(52, "x"), Silence())
    found = beacon.standing(tmp_path, KEY.vkey)
    assert f"both notes are in {tmp_path / 'beacon'}" in show.log_line(found.document())
    for one in (Standing("no_key"), Standing("none"), Standing("known", "x", 52), found):
        about = {"log": one.word, "log_size": one.size, "log_folder": one.folder}
        facts = Facts(broker=BrokerFacts(is_configured=True, is_connected=True, **about))  # type: ignore[arg-type]
        finding = next(row for row in examine(facts) if row.check == "broker")
        assert finding.verdict == "ok", "what the log says of itself keeps no station from being accepted"
        texts = [says(finding, language) for language in LANGUAGES]
        assert texts[0] != texts[1]
        assert all("?" not in text for text in texts)
