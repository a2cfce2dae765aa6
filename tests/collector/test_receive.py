"""receive with a real mosquitto: the way from a probe's publish to its signed acknowledgement."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from collector.ledger import LedgerReader
from tests.collector.kit import Deployment, FakeProbe, Field, Mosquitto, until

pytestmark = pytest.mark.services


class Bench:
    """Broker, field and deployment of one test."""

    def __init__(self, folder: Path, *probes: FakeProbe) -> None:
        self.broker = Mosquitto(folder)
        self.broker.start()
        self.deployment = Deployment(folder, f'socket = "{self.broker.socket}"', *probes)
        self.receive = self.deployment.program("receive")
        self.field = Field(self.broker.port, *probes)
        self.field.verifier = self.deployment.ack_signer.verifier
        self.reader = LedgerReader(self.deployment.state / "ledger.db")

    def close(self) -> None:
        self.field.close()
        self.receive.stop()
        self.broker.stop()
        self.reader.close()


@pytest.fixture
def one() -> FakeProbe:
    return FakeProbe("p-one")


@pytest.fixture
def bench(tmp_path: Path, one: FakeProbe) -> Iterator[Bench]:
    made = Bench(tmp_path, one)
    yield made
    made.close()


def test_a_record_is_stored_and_acknowledged(bench: Bench, one: FakeProbe) -> None:
    bench.receive.start()
    until(lambda: "connected" in bench.receive.text())
    raws = [one.test(), one.coverage(), one.event()]
    bench.field.send("p-one", *raws)
    until(lambda: bench.field.upto("p-one") == 2)
    samples = bench.reader.samples(newest_first=False)
    assert [s.raw for s in samples] == raws
    assert [s.kind for s in samples] == ["test", "coverage", "event"]
    assert [s.counted for s in samples] == [True, False, False]
    assert bench.field.acks["p-one"][-1][0].head == one.head
    assert samples[0].hamlet == "h-dong-chuoi"
