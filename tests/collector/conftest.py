"""One broker, one field, one deployment a test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from collector.ledger import LedgerReader
from collector.ledger_place import Remote
from tests.collector.door import Door
from tests.collector.kit import Deployment, FakeProbe, Field, Influx, Mosquitto, until
from tests.collector.postgres import ON_POSTGRES, Cluster


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """One PostgreSQL for all tests of a run."""
    made = Cluster().init().start()
    yield made
    made.remove()


@pytest.fixture
def postgres(cluster: Cluster) -> Remote:
    """A fresh, prepared ledger in it."""
    return cluster.copy()


class Bench:
    """Broker, field and deployment of one test; programs are started by the test itself."""

    def __init__(self, folder: Path, *probes: FakeProbe, influx: str = "") -> None:
        self.broker = Mosquitto(folder)
        self.deployment = Deployment(folder, f'socket = "{self.broker.socket}"', *probes, influx=influx)
        self.receive = self.deployment.program("receive")
        self.forward = self.deployment.program("forward")
        self.reader = LedgerReader(self.deployment.state / "ledger.db")
        self.broker.start()
        self.field = Field(self.broker.port, self.deployment.ack_signer.verifier, *probes)

    def receiving(self) -> None:
        """Start receive and wait until it has subscribed."""
        seen = self.receive.text().count("connected") if self.receive.log.exists() else 0
        self.receive.start()
        until(lambda: self.receive.text().count("connected") > seen, what="receive connected")

    def close(self) -> None:
        self.field.close()
        self.forward.stop()
        self.receive.stop()
        self.broker.stop()
        self.reader.close()


@pytest.fixture
def one() -> FakeProbe:
    return FakeProbe("p-one")


@pytest.fixture
def two() -> FakeProbe:
    return FakeProbe("p-two")


@pytest.fixture
def bench(tmp_path: Path, one: FakeProbe, two: FakeProbe) -> Iterator[Bench]:
    made = Bench(tmp_path, one, two)
    yield made
    made.close()


@pytest.fixture
def influx(tmp_path: Path) -> Iterator[Influx]:
    folder = tmp_path / "influx"
    folder.mkdir()
    service = Influx(folder)
    service.start()
    yield service
    service.stop()


@pytest.fixture
def full(tmp_path: Path, one: FakeProbe, influx: Influx) -> Iterator[Bench]:
    """A bench whose forward writes to a real InfluxDB."""
    made = Bench(tmp_path, one, influx=f'url = "http://127.0.0.1:{influx.port}"\napi = "v1"\ndatabase = "dosong"')
    yield made
    made.close()


@pytest.fixture
def door(tmp_path: Path, one: FakeProbe, two: FakeProbe, request: pytest.FixtureRequest) -> Iterator[Door]:
    place = request.getfixturevalue("postgres") if ON_POSTGRES else None
    made = Door(tmp_path, one, two, place=place)
    yield made
    made.close()
