"""The metrics table stands on the schema, in both languages, and reads what the record says."""

from __future__ import annotations

import re

import pytest

from tests.wire import make_golden
from wire import failure
from wire.metrics import METRICS, Metric, metrics
from wire.records import KINDS, Record

RECORDS = {"test": make_golden.full_test(2), "coverage": make_golden.unchained()["coverage"]}


@pytest.mark.parametrize("metric", METRICS, ids=lambda m: f"{m.kind}-{m.name}")
def test_metric_is_whole_and_reads_a_full_record(metric: Metric) -> None:
    assert metric.en
    assert metric.vi
    assert metric.source
    record = RECORDS[metric.kind]
    assert isinstance(record, Record)
    value = metric.value(record)
    if metric.name not in {"stage", "cause"}:
        assert value is not None
    if metric.type == "int" and isinstance(value, int):
        assert metric.low is not None
        assert metric.high is not None
        assert metric.low <= value <= metric.high


@pytest.mark.parametrize("kind", ["test", "coverage"])
def test_names_are_unique_and_fit_every_sink(kind: str) -> None:
    names = [metric.name for metric in metrics(kind)]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[a-z0-9_]{1,48}", name) for name in names)


def test_unit_stands_in_the_name() -> None:
    endings = {"bit/s": "_bps", "B": "_bytes", "ms": "_ms", "ppm": "_ppm", "mm": "_mm", "m": "_m"}
    scaled = {"dBm/10": "_dbm_x10", "dB/10": "_db_x10", "degC/10": "_c_x10", "1e-7 deg": "_e7", "us": "_us"}
    for metric in METRICS:
        unit = (endings | scaled).get(metric.unit)
        assert unit is None or f"{unit}_" in f"{metric.name}_", metric.name


def test_unknown_is_none_and_other_kinds_have_no_metrics() -> None:
    skipped = make_golden.unchained()["test-skipped"]
    assert isinstance(skipped, Record)
    values = {metric.name: metric.value(skipped) for metric in metrics("test")}
    assert values["downlink_bps"] is None
    assert values["path_verdict"] is None
    assert values["cause"] == "budget_spent"
    assert all(metrics(kind) == () for kind in KINDS if kind not in {"test", "coverage"})


def test_vocabularies_are_closed_and_their_last_word_is_unknown() -> None:
    assert list(failure.Stage)[-1] == "unknown"
    assert list(failure.Cause)[-1] == "unknown"
    assert "bad_signature" in failure.UNAUTHENTIC
    assert not {"schema", "fork", "not_canonical", "wrong_probe"} & set(failure.UNAUTHENTIC)
    causes = [cause for cause in failure.COVERAGE_CAUSES.values() if cause is not None]
    assert len(causes) == len(set(causes))


def test_a_kind_without_figures_has_no_rows() -> None:
    assert metrics("boot") == metrics("event") == metrics("gap") == metrics("site") == ()
