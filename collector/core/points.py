"""Records as InfluxDB points in line protocol. A pure function of the sample: the same line at every attempt.

Tags are codes of a short allow-list, never ids, addresses or cells; what does not fit a code is left out. Integers
carry `i`, words are quoted, booleans are 0/1, None is no field. Time is t_ms * 1e6 + seq mod 1e6 ns, so that two
records never overwrite each other and a repeated line always does.
Source: design §7, forward; InfluxDB line protocol reference; facts note 04 §3.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache, lru_cache
from itertools import groupby
from operator import attrgetter
from typing import Any

from collector.core.row import invalid_path, plmn_of
from collector.core.sample import Sample
from wire.failure import COVERAGE_CAUSES, COVERAGE_STATES
from wire.metrics import metrics
from wire.records import CoverageRecord, EventRecord, GapRecord, Record, TestRecord

STATE_NUMBERS = {"C": 3, "D": 2, "N": 1, "U": 0}
MEASUREMENTS = (
    *("test", "coverage", "probe_state", "site", "test_1h", "test_1d", "cause_1d", "unit_1d"),
    *("unit_1mo", "unit_cause_1d", "quota", "slot_1d", "verdict_1d", "refusal_1d", "system"),
    *("referral_1d", "fleet_1h"),
)
_TAG_VALUE = re.compile(r"[A-Za-z0-9_-]{1,32}")
Field = int | float | str | None


@lru_cache(maxsize=65536)
def series(measurement: str, tags: tuple[tuple[str, str | None], ...]) -> str:
    """Measurement and tag set; a tag whose value is None or no code is left out."""
    kept = (f",{key}={value}" for key, value in tags if value is not None and _TAG_VALUE.fullmatch(value))
    return measurement + "".join(kept)


def line(head: str, fields: Mapping[str, Field], time_ns: int) -> str:
    """One line; fields that are None are left out. Empty if no field is left, for such a point does not exist."""
    parts = [
        f"{name}={value}i" if type(value) is int else f"{name}={_value(value)}"
        for name, value in fields.items()
        if value is not None
    ]
    return f"{head} {','.join(parts)} {time_ns}" if parts else ""


def _value(value: float | str) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{value:d}i" if isinstance(value, int) else repr(value)


def time_ns(t_ms: int, seq: int) -> int:
    """Time of a point, in nanoseconds."""
    return t_ms * 1_000_000 + seq % 1_000_000


def lines(sample: Sample) -> Iterator[str]:
    """All points of one sample; none while it is undated, breaks the form, or stands beside the chain."""
    record = sample.record
    if record is None or sample.t_ms is None or not sample.in_chain:
        return
    if isinstance(record, TestRecord):
        yield _test(sample, record, sample.t_ms)
        if record.host is not None and record.host.spool_records is not None:
            at_ns = time_ns(sample.t_ms, record.seq)
            yield line(_state_series(sample), {"spool_records": record.host.spool_records}, at_ns)
    elif isinstance(record, CoverageRecord):
        yield from _coverage(sample, record, sample.t_ms)
    else:
        word = record.event if isinstance(record, EventRecord) else "gap" if isinstance(record, GapRecord) else "boot"
        yield line(_state_series(sample), {"event": word}, time_ns(sample.t_ms, record.seq))


_Group = tuple[tuple[str, ...], tuple[str, ...], Callable[[Any], tuple[Field, ...]]]


@cache
def _groups(kind: str) -> list[_Group]:
    """The metrics of a kind in order, as runs of fields of one object: the way there, their names, their values."""
    found = list[_Group]()
    for way, run in groupby(metrics(kind), key=lambda metric: metric.path[:-1]):
        table = list(run)
        names = tuple(metric.name for metric in table)
        found.append((way, names, _reader([metric.path[-1] for metric in table])))
    return found


def _reader(fields: list[str]) -> Callable[[Any], tuple[Field, ...]]:
    get: Callable[[Any], Any] = attrgetter(*fields)
    return get if len(fields) > 1 else lambda here: (get(here),)


def _metric_fields(record: Record, kind: str) -> dict[str, Field]:
    """Every metric that is known, by name; what `Metric.value` gives, one object at a time."""
    fields: dict[str, Field] = {}
    for way, names, get in _groups(kind):
        here: Any = record
        for step in way:
            here = None if here is None else getattr(here, step)
        if here is not None:
            fields.update(zip(names, get(here), strict=True))
    return fields


def _place_tags(sample: Sample) -> tuple[tuple[str, str | None], ...]:
    return (
        ("province", sample.province),
        ("commune", sample.commune),
        ("hamlet", sample.hamlet),
        ("probe", sample.probe),
    )


def _state_series(sample: Sample) -> str:
    return series("probe_state", _place_tags(sample))


def _test(sample: Sample, record: TestRecord, t_ms: int) -> str:
    before = record.radio.before if record.radio else None
    tags = (
        *_place_tags(sample),
        ("modem", record.modem),
        ("plmn", plmn_of(record)),
        ("rat", before.rat if before else None),
        ("engine", record.engine),
        ("referral", record.referral),
    )
    ok = int(record.outcome == "ok")
    fields = {
        **_metric_fields(record, "test"),
        "ok": ok,
        "failed": 1 - ok,
        "counted": int(sample.counted),
        "skipped": int(record.outcome == "skipped"),
        "invalid_path": int(invalid_path(record)),
        "seq": record.seq,
        "epoch": record.epoch,
    }
    return line(series("test", tags), fields, time_ns(t_ms, record.seq))


def _coverage(sample: Sample, record: CoverageRecord, t_ms: int) -> Iterator[str]:
    """One point a step; the first carries what the record says as a whole, each sixth's first its radio."""
    tags = (*_place_tags(sample), ("modem", record.modem), ("plmn", plmn_of(record)))
    head = series("coverage", tags)
    sixths = _sixths(record)
    whole = {**_metric_fields(record, "coverage"), "seq": record.seq}
    begins: dict[tuple[str, str], str] = {}
    at_ns, step_ns = time_ns(t_ms, record.seq), time_ns(record.step_ms, 0)
    for step, kind in enumerate(zip(record.states, record.causes, strict=True)):
        begin = begins.get(kind)
        if begin is None:
            begin = begins[kind] = f"{head} {_step(*kind, record.step_ms)}"
        if step == 0 or step in sixths:
            yield f"{begin}{_and({**(whole if step == 0 else {}), **sixths.get(step, {})})} {at_ns}"
        else:
            yield f"{begin} {at_ns}"
        at_ns += step_ns


@lru_cache(maxsize=4096)
def _step(state: str, letter: str, step_ms: int) -> str:
    """Fields of one step: of few kinds, and most of all lines."""
    word = COVERAGE_STATES[state]
    flags: dict[str, Field] = {name: int(name == word) for name in COVERAGE_STATES.values()}
    fields = {
        "state": STATE_NUMBERS[state],
        **flags,
        "step_ms": step_ms,
        "cause": str(COVERAGE_CAUSES[letter] or "none"),
    }
    return _and(fields)[1:]


def _and(fields: Mapping[str, Field]) -> str:
    """Fields behind others; those that are None are left out."""
    return "".join(f",{name}={_value(value)}" for name, value in fields.items() if value is not None)


def _sixths(record: CoverageRecord) -> dict[int, dict[str, Field]]:
    """Radio of each sixth of the window, by the step that starts it."""
    arrays = {
        "rsrp_dbm_x10_median": record.rsrp_dbm_x10_median,
        "rsrp_dbm_x10_min": record.rsrp_dbm_x10_min,
        "sinr_db_x10_median": record.sinr_db_x10_median,
    }
    found: dict[int, dict[str, Field]] = {}
    for name, values in arrays.items():
        for place, value in enumerate(values or ()):
            step = place * len(record.states) // len(values or ())
            found.setdefault(step, {})[name] = value
    return found


def site_line(
    codes: tuple[str, str, str], names: tuple[str, str, str], fields: Mapping[str, Field], day_ms: int
) -> str:
    """What a hamlet is called and where it lies. `codes`, `names`: province, commune, hamlet; time is `day_ms`."""
    tags = (("province", codes[0]), ("commune", codes[1]), ("hamlet", codes[2]))
    words = {"province_name": names[0], "commune_name": names[1], "hamlet_name": names[2]}
    return line(series("site", tags), {**words, **fields}, day_ms * 1_000_000)
