"""forward with a real InfluxDB 1.x: everything arrives, outages and poison included, counts equal."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from typing import Any

import pytest

from tests.collector.conftest import Bench
from tests.collector.kit import T0_MS, FakeProbe, Influx, until

pytestmark = pytest.mark.services


def query(influx: Influx, influxql: str) -> list[dict[str, Any]]:
    """One statement at the real server."""
    text = urllib.parse.urlencode({"db": "dosong", "epoch": "ns", "q": influxql})
    with urllib.request.urlopen(f"http://127.0.0.1:{influx.port}/query?{text}", timeout=10) as answer:
        return json.loads(answer.read())["results"][0].get("series", [])


def count(influx: Influx, measurement: str, field: str) -> int:
    series = query(influx, f'SELECT count("{field}") FROM "{measurement}"')  # noqa: S608
    return series[0]["values"][0][1] if series else 0


def test_points_carry_the_record(full: Bench, one: FakeProbe, influx: Influx) -> None:
    full.receiving()
    full.forward.start()
    full.field.send("p-one", one.test(), one.coverage("CCDNU", "..nsz"), one.event("stopping"))
    until(lambda: count(influx, "probe_state", "event") == 1)
    series = query(influx, "SELECT * FROM test")[0]
    row = dict(zip(series["columns"], series["values"][0], strict=True))
    assert row["time"] == T0_MS * 1_000_000
    assert row["downlink_bps"] == 20_000_000
    assert (row["hamlet"], row["plmn"], row["rat"], row["engine"]) == ("h-dong-chuoi", "45204", "LTE", "speedtest-cli")
    assert (row["ok"], row["failed"], row["counted"], row["simulated"]) == (1, 0, 1, 0)
    steps = query(influx, "SELECT state, cause FROM coverage")[0]["values"]
    assert [(s[1], s[2]) for s in steps] == [
        (3, "none"),
        (3, "none"),
        (2, "not_lte"),
        (1, "searching"),
        (0, "unknown"),
    ]
    assert query(influx, "SELECT hamlet_name, probes FROM site")[0]["values"][0][1:] == ["Xóm Đồng Chuối", 1]
