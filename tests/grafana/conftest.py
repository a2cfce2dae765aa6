"""One influxd with the seeded month for all tests of a worker."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from grafana.influx import Influx
from tests.grafana import seed, seed_units, service


@pytest.fixture(scope="session")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[service.Seeded]:
    folder: Path = tmp_path_factory.mktemp("influxd")
    now_ms = time.time_ns() // 1_000_000
    with service.influxd(folder) as url:
        service.write(url, "dosong", seed.lines(now_ms))
        service.write(url, "dosong", seed_units.lines(now_ms))
        yield service.Seeded(Influx(url, "dosong"), now_ms)
