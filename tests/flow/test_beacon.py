"""A checkpoint's whole way: sealer, receive, mosquitto, probe, record, ledger, verdict."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from collector.core.verdict_case import Network
from collector.ledger import LedgerReader
from collector.registry import Registry
from collector.seal_store import SealReader
from collector.verdict_service import Judge
from collector.verdict_store import VerdictStore
from probe import boot
from probe.beacon import Beacon
from probe.broker import Access
from probe.core import chain
from probe.core.beacon import Named, Policy
from probe.core.draft import Identity, Stamp
from probe.devices import clock as kernel_clock
from probe.publish import Publisher
from probe.recorder import Recorder
from probe.spool import Spool
from tests.collector.kit import Deployment, FakeProbe, until
from tests.probe.kit import KEY, ORIGIN, PROBE
from tests.probe.test_publish import Broker, Clocks, broker, certificates
from wire.codec import leaf_text
from wire.keyfile import write_signer
from wire.note import Signer
from wire.records import EventRecord

__all__ = ["broker", "certificates"]
pytestmark = pytest.mark.services
HOUR_MS = 3_600_000


class Way:
    """A collector with a log that is signed each second, and one probe at its broker."""

    def __init__(self, folder: Path, broker: Broker) -> None:
        fake = FakeProbe(PROBE, signer=KEY)
        self.deployment = Deployment(folder, f'socket = "{broker.local}"', fake)
        log_key = Signer.generate(f"{ORIGIN}/log")
        write_signer(folder / "log.key", log_key)
        with self.deployment.config.open("a") as file:
            file.write('[log]\nkey_file = "log.key"\nevery_s = 1\n')
        self.programs = [self.deployment.program(name) for name in ("receive", "seal")]
        self.log = SealReader(self.deployment.state / "seal.db")
        self.reader = LedgerReader(self.deployment.state / "ledger.db")
        self.spool = Spool(folder / "probe", 1_000_000)
        self.recorder = Recorder(self.spool, KEY, ORIGIN, Identity(PROBE, "1.0", False, "s-one"), self.stamp)
        policy = Policy(every_ms=300)
        beacon = Beacon(folder / "probe", log_key.verifier, kernel_clock.boot_id(), kernel_clock.mono_ms, policy)
        self.recorder.named_log = beacon.named
        self.publisher = Publisher(
            Access(
                "127.0.0.1",
                broker.port,
                PROBE,
                60,
                "lo",
                *(broker.folder / f for f in ("ca.crt", "tls.crt", "tls.key")),
            ),
            self.spool,
            origin=ORIGIN,
            ack_verifier=self.deployment.ack_signer.verifier,
            policy=chain.Policy(0.5, 2.0),
            retry_s=(0.2, 0.5),
            keep_acked_days=7,
            clocks=Clocks(),
            may_send=lambda: True,
            begin_epoch=lambda effect: boot.new_epoch(self.recorder, effect),
            reinstate=self.recorder.reinstate,
            on_config=lambda _payload: None,
            beacon=beacon,
        )

    @staticmethod
    def stamp() -> Stamp:
        return Stamp(kernel_clock.boot_id(), kernel_clock.mono_ms(), "trusted", "ntp", time.time_ns() // 1_000_000, 5)

    def start(self) -> None:
        for program in self.programs:
            program.start()
        self.publisher.start()

    def keep(self, **changes: Any) -> int:
        """Keep an event that happened now, changed; returns its place once the ledger has it."""
        draft = msgspec.structs.replace(EventRecord(**self.recorder.head(), event="stopping"), **changes)
        seq = self.recorder.keep(draft).seq
        until(lambda: not self.spool.waiting(9), 30, f"record {seq} is acknowledged")
        return seq

    def named(self) -> Named | None:
        head = self.recorder.head()
        return Named(head["beacon_size"], head["beacon_root"]) if head["beacon_size"] and head["beacon_root"] else None

    def knows_all(self) -> Named | None:
        """What the probe names, once that is the log's last word."""
        named, shards = self.named(), self.log.shards()
        last = self.log.last_checkpoint(shards[-1].n) if shards else None
        return named if named is not None and last is not None and named.size == last.size else None

    def rules(self, judge: Judge) -> dict[int, set[str]]:
        """Which rules applied to each record, by its place in the chain, all judged anew."""
        judge._store.clear()
        judge.all(time.time_ns() // 1_000_000 + HOUR_MS)
        numbers = range(1, self.reader.last_n() + 1)
        return {
            sample.seq: {hit.rule for hit in judged.hits}
            for n, judged in judge._store.of(list(numbers)).items()
            if (sample := self.reader.many([n])[0]) is not None
        }

    def close(self) -> None:
        self.publisher.stop(8)
        for program in self.programs:
            program.stop()
        self.spool.close()
        self.reader.close()
        self.log.close()


@pytest.fixture
def way(tmp_path: Path, broker: Broker) -> Iterator[Way]:
    made = Way(tmp_path, broker)
    yield made
    made.close()


def test_a_record_made_after_a_checkpoint_cannot_claim_to_be_older(way: Way, tmp_path: Path) -> None:
    way.start()
    before = way.keep()
    named = until(way.knows_all, 30, "the probe knows the log's newest checkpoint")
    signed = way.log.checkpoint(way.log.shards()[-1].n, named.size)
    assert signed is not None
    assert leaf_text(signed.root) == named.root
    now_ms = time.time_ns() // 1_000_000
    honest, liar = way.keep(), way.keep(t_ms=now_ms - HOUR_MS)
    foreign = way.keep(t_ms=now_ms - HOUR_MS, beacon_root=leaf_text(bytes(32)))
    undated = way.keep(t_ms=now_ms - HOUR_MS, beacon_size=None, beacon_root=None)
    store, registry = VerdictStore(tmp_path / "verdict.db"), Registry(way.deployment.state / "registry.db")
    judge = Judge(way.reader, registry, store, Network({}), lambda _marks: 0, way.log)
    try:
        found = way.rules(judge)
        assert {seq for seq, rules in found.items() if "clock.beacon" in rules} == {liar}
        assert set(found) >= {before, honest, liar, foreign, undated}
    finally:
        store.close()
        registry.close()
