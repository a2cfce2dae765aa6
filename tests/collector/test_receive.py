"""receive with a real mosquitto: the way from a probe's publish to its signed acknowledgement."""

from __future__ import annotations

import pytest

from tests.collector.conftest import Bench
from tests.collector.kit import FakeProbe, until

pytestmark = pytest.mark.services


def test_a_record_is_stored_and_acknowledged(bench: Bench, one: FakeProbe) -> None:
    bench.receiving()
    raws = [one.test(), one.coverage(), one.event()]
    bench.field.send("p-one", *raws)
    until(lambda: bench.field.upto("p-one") == 2)
    samples = bench.reader.samples(newest_first=False)
    assert [s.raw for s in samples] == raws
    assert [s.kind for s in samples] == ["test", "coverage", "event"]
    assert [s.counted for s in samples] == [True, False, False]
    assert bench.field.acks["p-one"][-1][0].head == one.head
    assert samples[0].hamlet == "h-dong-chuoi"
