"""Records as lines: types, escaping, tags that are codes, times that never collide, nothing for the unknown."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from collector.core import points
from collector.core.sample import Sample
from tests.collector.kit import T0_MS, FakeProbe
from wire import codec
from wire.metrics import metrics

GOLDEN = Path(__file__).parents[1] / "data" / "wire" / "v1" / "records"
LINE = re.compile(r"(?P<head>[^ ]+) (?P<fields>.+) (?P<time>\d+)")


def sample(raw: bytes, **changes: object) -> Sample:
    record = codec.decode_body(codec.body_of(raw))
    base = Sample(
        n=1, part=0, probe=record.probe, epoch=record.epoch, seq=record.seq, received_ms=T0_MS, t_ms=record.t_ms,
        kind=str(record.__struct_config__.tag), record=record, raw=raw, leaf=codec.leaf_hash(raw), fault=None,
        fault_detail=None, in_chain=True, province="19", commune="05755", hamlet="h-one", counted=True,
        not_counted=(),
    )  # fmt: skip
    return replace(base, **changes)  # type: ignore[arg-type]


def fields(line: str) -> dict[str, str]:
    match = LINE.fullmatch(line)
    assert match is not None
    return dict(part.split("=", 1) for part in re.split(r",(?=[a-z0-9_]+=)", match["fields"]))


def test_types_never_change_and_the_unknown_is_left_out() -> None:
    line = next(points.lines(sample(FakeProbe().test(dns_us=None))))
    found = fields(line)
    kinds = {metric.name: metric.type for metric in metrics("test")}
    for name, value in found.items():
        expected = r'".*"' if kinds.get(name) == "word" else r"-?\d+i"
        assert re.fullmatch(expected, value), (name, value)
    assert "dns_us" not in found
    assert found["simulated"] == "0i"
    assert found["radio_before_rsrp_dbm_x10"] == "-1010i"


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.note")), ids=lambda path: path.stem)
def test_every_metric_that_a_record_knows_is_a_field_with_its_value(path: Path) -> None:
    one = sample(path.read_bytes(), t_ms=T0_MS)
    kind, record = str(one.kind), one.record
    assert record is not None
    known = {metric.name: value for metric in metrics(kind) if (value := metric.value(record)) is not None}
    found = [fields(line) for line in points.lines(one) if line]
    told = found[0] if kind == "test" else {name: value for line in found for name, value in line.items()}
    for name, value in known.items():
        assert told[name] == (f'"{value}"' if isinstance(value, str) else f"{int(value)}i"), name
    assert [name for name in told if name in known] == list(known)


def test_two_records_of_one_instant_have_two_times() -> None:
    probe = FakeProbe()
    times = [next(points.lines(sample(probe.test(t_ms=T0_MS)))).rsplit(" ", 1)[1] for _ in range(3)]
    assert times == [str(T0_MS * 1_000_000 + seq) for seq in range(3)]
    assert points.time_ns(T0_MS, 2_000_007) == T0_MS * 1_000_000 + 7


@pytest.mark.parametrize("value", ["a b", "x,y", "x=y", "", "á", "x" * 33, "line\nbreak", None])
def test_a_tag_that_is_no_code_is_left_out(value: str | None) -> None:
    assert points.series("test", (("hamlet", "h-one"), ("referral", value))) == "test,hamlet=h-one"


def test_words_are_escaped() -> None:
    assert points.line("m", {"w": 'a "b" \\c', "n": None}, 5) == 'm w="a \\"b\\" \\\\c" 5'
    assert points.line("m", {"n": None}, 5) == ""
    assert points.line("m", {"f": 21.5, "i": 3}, 5) == "m f=21.5,i=3i 5"


def test_a_coverage_record_is_one_point_a_step() -> None:
    raw = FakeProbe().coverage(
        "CCCDDDNNNUUU",
        "...nnnsssofz",
        rsrp_dbm_x10_median=[-900, None, None, None, -1100, None],
        echo_sent=12,
        echo_received=9,
    )
    lines = list(points.lines(sample(raw)))
    assert len(lines) == 12
    found = [fields(line) for line in lines]
    assert [f["state"] for f in found] == ["3i"] * 3 + ["2i"] * 3 + ["1i"] * 3 + ["0i"] * 3
    assert all(sum(int(f[w][:-1]) for w in ("covered", "degraded", "no_service", "unknown")) == 1 for f in found)
    assert [f["cause"] for f in found[8:]] == ['"searching"', '"probe_off"', '"power"', '"unknown"']
    assert [step for step, f in enumerate(found) if "echo_sent" in f] == [0]
    assert [(step, f["rsrp_dbm_x10_median"]) for step, f in enumerate(found) if "rsrp_dbm_x10_median" in f] == [
        (0, "-900i"),
        (8, "-1100i"),
    ]
    assert [int(line.rsplit(" ", 1)[1]) // 1_000_000 for line in lines] == [T0_MS + 60_000 * n for n in range(12)]


def test_what_has_no_time_no_form_or_no_place_has_no_point() -> None:
    good = sample(FakeProbe().test())
    for changes in ({"t_ms": None}, {"record": None, "kind": None}, {"in_chain": False}):
        assert list(points.lines(replace(good, **changes))) == []  # type: ignore[arg-type]


def test_failed_and_skipped_are_not_ok() -> None:
    probe = FakeProbe()
    for outcome in ("failed", "partial", "skipped"):
        raw = probe.test(outcome=outcome, stage="pdn", cause="no_pdp")
        found = fields(next(points.lines(sample(raw, counted=False))))
        assert (found["ok"], found["failed"], found["counted"]) == ("0i", "1i", "0i")
        assert found["skipped"] == f"{int(outcome == 'skipped')}i"
