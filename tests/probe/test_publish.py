"""Publishing against a real broker: a PUBACK releases nothing, a signed ACK with our own head does."""

from __future__ import annotations

import gc
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from probe import boot
from probe.broker import Access
from probe.core import chain
from probe.devices import clock as kernel_clock
from probe.publish import Publisher
from probe.recorder import Recorder
from probe.spool import Spool
from tests.probe.kit import ACK_KEY, KEY, ORIGIN, PROBE, event, make_certificates, make_recorder, read, wait_until
from wire import bundle, codec, notes, topics
from wire.errors import Misconfigured, Unavailable
from wire.note import Signer
from wire.records import BootRecord

pytestmark = pytest.mark.services
OTHER_KEY = Signer.from_seed(f"{ORIGIN}/ack", bytes(32))


class Broker:
    """A mosquitto of our own, on a free port of loopback, with certificates as in the field."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.local = folder / "local.sock"
        (folder / "mosquitto.conf").write_text(
            "user root\nper_listener_settings true\n"
            f"listener {self.port} 127.0.0.1\nrequire_certificate true\nuse_identity_as_username true\n"
            "use_username_as_clientid true\n"
            f"cafile {folder}/ca.crt\ncertfile {folder}/server.crt\nkeyfile {folder}/server.key\n"
            f"listener 0 {self.local}\nallow_anonymous true\n"
        )
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.local.unlink(missing_ok=True)
        log = (self.folder / "mosquitto.log").open("ab")
        self.process = subprocess.Popen(["mosquitto", "-c", str(self.folder / "mosquitto.conf")], stderr=log)
        log.close()
        wait_until(self.local.exists, what="mosquitto listens")

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


class Ledger:
    """The far end as a probe sees it: takes records, and signs what the test tells it to."""

    def __init__(self, broker: Broker) -> None:
        self.raws: list[bytes] = []
        self.statuses: list[bytes] = []
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, transport="unix")
        self._client.on_message = self._received
        self._client.connect(str(broker.local), 1)
        self._client.subscribe([(topics.UP_FILTER, 1), (topics.STATUS_FILTER, 1)])
        self._client.loop_start()

    def _received(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        if message.topic == topics.up(PROBE):
            self.raws += bundle.decode(bytes(message.payload))
        else:
            self.statuses.append(bytes(message.payload))

    def seqs(self) -> list[int]:
        return [read(raw).seq for raw in self.raws]

    def ack(
        self, upto: int | None, *, key: Signer = ACK_KEY, epoch: int = 1, head: str | None = None, **more: object
    ) -> None:
        by_place = {(read(raw).epoch, read(raw).seq): raw for raw in self.raws}
        if head is None and upto is not None:
            head = codec.leaf_text(codec.leaf_hash(by_place[epoch, upto]))
        fields = {"v": 1, "signed_ms": 0, "probe": PROBE, "epoch": epoch, "gen": 0, "size": 9} | more
        self.publish(notes.seal(notes.Ack(**fields, upto=upto, head=head), ORIGIN, key))  # type: ignore[arg-type]

    def publish(self, payload: bytes) -> None:
        self._client.publish(topics.ack(PROBE), payload, 1, retain=True).wait_for_publish(5)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


class Clocks:
    def mono_ms(self) -> int:
        return kernel_clock.mono_ms()

    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000


class Site:
    """A spool with its publisher."""

    def __init__(self, folder: Path, broker: Broker) -> None:
        self.spool = Spool(folder / "state", 1_000_000)
        self.recorder: Recorder = make_recorder(self.spool)
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
        )

    def keep(self, count: int) -> None:
        for _ in range(count):
            self.recorder.keep(event(self.recorder))

    def waiting(self) -> list[int]:
        return [kept.seq for kept in self.spool.waiting(1000)]

    def stop(self) -> None:
        self.publisher.stop(8)
        self.spool.close()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    make_certificates(folder, PROBE)
    return folder


@pytest.fixture
def broker(certificates: Path) -> Iterator[Broker]:
    broker = Broker(certificates)
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture
def ledger(broker: Broker) -> Iterator[Ledger]:
    ledger = Ledger(broker)
    yield ledger
    ledger.close()


@pytest.fixture
def site(tmp_path: Path, broker: Broker) -> Iterator[Site]:
    site = Site(tmp_path, broker)
    yield site
    site.stop()


def test_receipts_travel_before_their_record_until_it_is_acknowledged(site: Site, ledger: Ledger) -> None:
    """Each time it is sent; and the ACK of the record alone ends it."""
    one, two = b"first receipt", b"second receipt"
    site.recorder.keep(event(site.recorder), receipts=(one, two))
    site.publisher.start()
    wait_until(lambda: len(ledger.raws) >= 6, what="the same message twice")
    record = ledger.raws[2]
    assert read(record).seq == 0
    assert ledger.raws[:6] == [one, two, record] * 2
    ledger.raws = [record]
    ledger.ack(0)
    wait_until(lambda: site.waiting() == [], what="released")


def test_puback_releases_nothing_and_what_is_not_acknowledged_is_sent_again(site: Site, ledger: Ledger) -> None:
    site.keep(3)
    site.publisher.start()
    wait_until(lambda: ledger.seqs().count(0) >= 3, what="the same records a third time")
    assert site.waiting() == [0, 1, 2]
    assert b"online" in ledger.statuses


def test_signed_ack_releases_up_to_its_head(site: Site, ledger: Ledger) -> None:
    site.keep(3)
    site.publisher.start()
    wait_until(lambda: {0, 1, 2} <= set(ledger.seqs()))
    ledger.ack(1)
    wait_until(lambda: site.waiting() == [2])
    site.keep(1)
    wait_until(lambda: 3 in ledger.seqs())
    ledger.ack(3)
    wait_until(lambda: site.waiting() == [])


def test_ack_by_another_key_or_for_another_probe_or_altered_releases_nothing(site: Site, ledger: Ledger) -> None:
    site.keep(2)
    site.publisher.start()
    wait_until(lambda: {0, 1} <= set(ledger.seqs()))
    ledger.ack(1, key=OTHER_KEY)
    ledger.ack(1, probe="p-other")
    ledger.publish(b"not a note")
    good = notes.seal(
        notes.Ack(v=1, signed_ms=0, probe=PROBE, epoch=1, gen=0, size=1, upto=0, head=site.spool.leaf(1, 0)),
        ORIGIN,
        ACK_KEY,
    )
    ledger.publish(good.replace(b'"upto":0', b'"upto":1'))
    seen = len(ledger.raws)
    wait_until(lambda: len(ledger.raws) >= seen + 4, what="they are still sent again")
    assert site.waiting() == [0, 1]


def test_wrong_head_releases_nothing_and_begins_a_new_epoch_that_names_it(site: Site, ledger: Ledger) -> None:
    site.keep(2)
    site.publisher.start()
    wait_until(lambda: {0, 1} <= set(ledger.seqs()))
    foreign = codec.leaf_text(bytes(32))
    ledger.ack(1, head=foreign)
    wait_until(lambda: site.spool.place().epoch == 2)
    first = read(site.spool.waiting(1)[0].raw)
    assert isinstance(first, BootRecord)
    assert (first.epoch, first.seq, first.reason, first.spool) == (2, 0, "new_epoch", "rolled_back")
    assert (first.head_epoch, first.head_seq, first.head_hash) == (1, 1, foreign)
    assert [kept.seq for kept in site.spool.disputed((0, -1), 9)] == [0, 1]
    wait_until(lambda: any(isinstance(read(raw), BootRecord) for raw in ledger.raws))


def test_rolled_back_spool_finds_the_retained_ack_and_does_not_fork_silently(site: Site, ledger: Ledger) -> None:
    ledger.ack(41, head=codec.leaf_text(bytes(32)))
    site.keep(2)
    site.publisher.start()
    wait_until(lambda: site.spool.place().epoch == 2)
    first = read(site.spool.waiting(1)[0].raw)
    assert isinstance(first, BootRecord)
    assert (first.head_epoch, first.head_seq) == (1, 41)


def test_restored_ledger_is_sent_again_what_it_lost(site: Site, ledger: Ledger) -> None:
    site.keep(4)
    site.publisher.start()
    wait_until(lambda: {0, 1, 2, 3} <= set(ledger.seqs()))
    ledger.ack(3)
    wait_until(lambda: site.waiting() == [])
    ledger.raws, kept = [], ledger.raws
    head = codec.leaf_text(codec.leaf_hash(next(raw for raw in kept if read(raw).seq == 1)))
    ledger.ack(1, gen=1, head=head)
    wait_until(lambda: {2, 3} <= set(ledger.seqs()))
    assert 0 not in ledger.seqs()
    assert site.spool.mark("gen") == "1"


def test_killed_broker_loses_nothing_and_sending_begins_again_at_the_oldest(
    site: Site, ledger: Ledger, broker: Broker
) -> None:
    site.publisher.start()
    wait_until(lambda: b"online" in ledger.statuses)
    broker.kill()
    site.keep(150)
    ledger.close()
    broker.start()
    fresh = Ledger(broker)
    wait_until(lambda: len(set(fresh.seqs())) == 100, what="the window")
    assert fresh.seqs()[:100] == list(range(100))
    fresh.ack(99)
    wait_until(lambda: set(fresh.seqs()) == set(range(150)))
    fresh.ack(149)
    wait_until(lambda: site.waiting() == [])
    fresh.close()


def test_late_receipt_for_an_older_epoch_releases_it_and_changes_nothing_else(site: Site, ledger: Ledger) -> None:
    site.keep(2)
    site.publisher.start()
    wait_until(lambda: {0, 1} <= set(ledger.seqs()))
    ledger.ack(1, head=codec.leaf_text(bytes(32)))
    wait_until(lambda: site.spool.place().epoch == 2)
    wait_until(lambda: any(read(raw).epoch == 2 for raw in ledger.raws))
    ledger.ack(1, epoch=1)
    wait_until(lambda: site.spool.disputed((0, -1), 9) == [], what="the old epoch's records are released")
    assert site.spool.place().epoch == 2
    assert [kept.epoch for kept in site.spool.waiting(9)] == [2]


def test_disputed_records_are_all_sent_but_once_and_behind_the_others(site: Site, ledger: Ledger) -> None:
    site.keep(250)
    boot.new_epoch(site.recorder, chain.NewEpoch(2, 1, 900, codec.leaf_text(bytes(32))))
    site.publisher.start()
    wait_until(lambda: len(ledger.raws) >= 251, what="the boot record and all disputed ones")
    places = [(read(raw).epoch, read(raw).seq) for raw in ledger.raws]
    assert places[0] == (2, 0)
    wait_until(lambda: places.count((2, 0)) + len(ledger.raws) > 253, what="the waiting one is sent again")
    again = [(read(raw).epoch, read(raw).seq) for raw in ledger.raws]
    assert sorted(place for place in again if place[0] == 1) == [(1, seq) for seq in range(250)]


def test_ack_that_the_disk_refuses_is_taken_when_it_comes_again(site: Site) -> None:
    site.keep(3)
    heads = [site.spool.leaf(1, seq) for seq in range(3)]

    def ack(upto: int, gen: int) -> bytes:
        note = notes.Ack(v=1, signed_ms=0, probe=PROBE, epoch=1, gen=gen, size=9, upto=upto, head=heads[upto])
        return notes.seal(note, ORIGIN, ACK_KEY)

    topic = topics.ack(PROBE)
    site.publisher._on_message(topic, ack(2, 0))
    assert site.waiting() == []
    site.spool._db.execute("PRAGMA query_only = 1")
    with pytest.raises(Unavailable):
        site.publisher._on_message(topic, ack(0, 1))
    site.spool._db.execute("PRAGMA query_only = 0")
    site.publisher._on_message(topic, ack(0, 1))
    assert site.waiting() == [1, 2]
    site.publisher.start()


def test_session_that_falls_at_once_counts_as_a_failed_attempt(site: Site, ledger: Ledger, broker: Broker) -> None:
    stood: list[bool] = []
    thread = threading.Thread(target=lambda: stood.append(site.publisher._one_session()))
    thread.start()
    wait_until(lambda: b"online" in ledger.statuses)
    broker.kill()
    thread.join(20)
    assert stood == [False]
    site.publisher.start()


def test_sessions_leave_no_file_open_behind_them(site: Site, broker: Broker) -> None:
    """Neither those that stood nor those that never came about, and without waiting for the garbage collector."""

    def handles() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    def fall() -> None:
        site.publisher._stop.set()
        site.publisher._one_session()

    gc.disable()
    try:
        fall()
        before = handles()
        for _ in range(5):
            fall()
        broker.kill()
        for _ in range(5):
            with pytest.raises(Unavailable):
                fall()
        assert handles() <= before
    finally:
        gc.enable()
    site.publisher._stop.clear()
    site.publisher.start()


def test_nothing_is_sent_while_a_test_has_the_link(site: Site, ledger: Ledger) -> None:
    site.publisher.start()
    wait_until(lambda: b"online" in ledger.statuses)
    site.may_send = False
    site.keep(1)
    deadline_s = time.monotonic() + 1.2
    wait_until(lambda: time.monotonic() > deadline_s)
    assert ledger.raws == []
    site.may_send = True
    wait_until(lambda: ledger.seqs() == [0])


def test_clean_end_says_offline_and_sends_what_was_just_kept(tmp_path: Path, broker: Broker, ledger: Ledger) -> None:
    site = Site(tmp_path, broker)
    site.publisher.start()
    wait_until(lambda: b"online" in ledger.statuses)
    site.keep(1)
    site.stop()
    wait_until(lambda: ledger.statuses[-1] == b"offline")
    assert ledger.seqs() == [0]


def test_unusable_certificate_is_a_misconfiguration_that_names_the_file(tmp_path: Path, certificates: Path) -> None:
    spool = Spool(tmp_path, 1_000_000)
    nothing = tmp_path / "missing.crt"
    with pytest.raises(Misconfigured, match=r"missing\.crt"):
        Publisher(
            Access("127.0.0.1", 1, PROBE, 60, None, certificates / "ca.crt", nothing, certificates / "tls.key"),
            spool,
            origin=ORIGIN,
            ack_verifier=KEY.verifier,
            policy=chain.Policy(),
            retry_s=(1, 2),
            keep_acked_days=7,
            clocks=Clocks(),
            may_send=lambda: True,
            begin_epoch=lambda _effect: None,
            reinstate=lambda *_place: 0,
            on_config=lambda _payload: None,
        )
