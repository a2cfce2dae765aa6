"""What the office keeps in mind of one probe: folded from its records as they come, small enough for ten thousand.

`fold(vitals, sample)` is the whole of it; the same vitals stand behind `probe_state`, the fleet's pages and the Monday
list. Records come in order of receipt, so what an old record says late never covers what a newer one said.
Source: design §1 (which probe is ill, since when, why), §4 (events); facts note 02 §4 (host, budget, radio).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from collector.core.row import plmn_of
from collector.core.sample import Sample
from wire.records import BootRecord, CoverageRecord, EventRecord, Reading, TestRecord

KEPT_TIMES = 24
DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class ModemVitals:
    """One modem's newest test, its serving cell, its SIM's data, and what keeps it out now (None: nothing).

    `failing_since_ms` is the first test of the unbroken run of failures; `out_*` is an outage that began and has not
    ended. `test` is (epoch, seq) of the newest test.
    """

    modem: str
    test: tuple[int, int] | None = None
    test_ms: int | None = None
    outcome: str | None = None
    stage: str | None = None
    cause: str | None = None
    failing_since_ms: int | None = None
    path: str = "ok"
    plmn: str | None = None
    cell: int | None = None
    rsrp_dbm_x10: int | None = None
    sinr_db_x10: int | None = None
    used_bytes: int | None = None
    limit_bytes: int | None = None
    period_start_ms: int | None = None
    out_since_ms: int | None = None
    out_cause: str | None = None

    @property
    def used_ppm(self) -> int | None:
        """Data used of the cap, in parts per million; None where either is not known."""
        if self.used_bytes is None or not self.limit_bytes:
            return None
        return round(self.used_bytes * 1_000_000 / self.limit_bytes)


@dataclass(frozen=True, slots=True)
class Happening:
    """An event as the probe told it: its word, when, and what it said besides."""

    t_ms: int
    event: str
    modem: str | None = None
    cause: str | None = None
    rung: str | None = None
    now: str | None = None


@dataclass(frozen=True, slots=True)
class Vitals:
    """One probe. None: never said. `received_ms` are the newest times of receipt, newest first.

    `rungs_ms`: steps of the recovery ladder in the day before the newest of them. `undervoltage` holds while the
    supply is too low, `disk_fault` while the card refuses.
    """

    received_ms: tuple[int, ...] = ()
    modems: tuple[ModemVitals, ...] = ()
    clock: str | None = None
    clock_ms: int | None = None
    offset_m: int | None = None
    offset_ms: int | None = None
    spool_records: int | None = None
    cpu_temp_c_x10: int | None = None
    throttled_bits: int | None = None
    disk_free_bytes: int | None = None
    mem_available_bytes: int | None = None
    uptime_ms: int | None = None
    fw: str | None = None
    config_rev: int | None = None
    model: str | None = None
    os: str | None = None
    boot_reason: str | None = None
    boot_ms: int | None = None
    downtime_ms: int | None = None
    undervoltage_ms: int | None = None
    disk_fault: str | None = None
    disk_fault_ms: int | None = None
    stopping_ms: int | None = None
    rung: str | None = None
    rung_ms: int | None = None
    rungs_ms: tuple[int, ...] = ()
    last: Happening | None = None

    def modem(self, name: str) -> ModemVitals:
        """This modem, or an empty one."""
        return next((m for m in self.modems if m.modem == name), ModemVitals(name))


def fold(vitals: Vitals, sample: Sample) -> Vitals:
    """Take one more record, in order of receipt. A record that breaks the form counts as a sign of life only."""
    vitals = replace(vitals, received_ms=(sample.received_ms, *vitals.received_ms)[:KEPT_TIMES])
    record = sample.record
    if record is None:
        return vitals
    vitals = replace(vitals, fw=record.fw, config_rev=record.config_rev or vitals.config_rev)
    at_ms = sample.t_ms if sample.t_ms is not None else sample.received_ms
    if isinstance(record, TestRecord):
        return _host(_with_modem(vitals, _test(vitals, record, at_ms)), record, at_ms)
    if isinstance(record, CoverageRecord):
        return _with_modem(vitals, _coverage(vitals, record))
    if isinstance(record, BootRecord):
        return _boot(vitals, record, at_ms)
    return _event(vitals, record, at_ms) if isinstance(record, EventRecord) else vitals


def _with_modem(vitals: Vitals, modem: ModemVitals) -> Vitals:
    others = tuple(m for m in vitals.modems if m.modem != modem.modem)
    return replace(vitals, modems=tuple(sorted((*others, modem), key=lambda m: m.modem)))


def _test(vitals: Vitals, record: TestRecord, at_ms: int) -> ModemVitals:
    before = vitals.modem(record.modem)
    if before.test is not None and (record.epoch, record.seq) < before.test:
        return before
    failed = record.outcome == "failed"
    budget = record.budget
    heard = _heard(record)
    return replace(
        before,
        test=(record.epoch, record.seq),
        test_ms=at_ms,
        outcome=record.outcome,
        stage=record.stage,
        cause=record.cause,
        failing_since_ms=(before.failing_since_ms or at_ms) if failed else None,
        path=record.path.verdict if record.path is not None else "ok",
        plmn=plmn_of(record) or before.plmn,
        cell=heard.eci if heard.eci is not None else before.cell,
        rsrp_dbm_x10=heard.rsrp_dbm_x10,
        sinr_db_x10=heard.sinr_db_x10,
        used_bytes=budget.used_bytes if budget and budget.used_bytes is not None else before.used_bytes,
        limit_bytes=budget.limit_bytes if budget and budget.limit_bytes is not None else before.limit_bytes,
        period_start_ms=budget.period_start_ms if budget else before.period_start_ms,
    )


def _heard(record: TestRecord) -> Reading:
    radio = record.radio
    return (radio.before or radio.after or Reading()) if radio is not None else Reading()


def _host(vitals: Vitals, record: TestRecord, at_ms: int) -> Vitals:
    host, position = record.host, record.position
    vitals = replace(vitals, clock=record.clock, clock_ms=at_ms)
    if position is not None and position.surveyed_offset_m is not None:
        vitals = replace(vitals, offset_m=position.surveyed_offset_m, offset_ms=at_ms)
    if host is None:
        return vitals
    said: dict[str, Any] = {
        "spool_records": host.spool_records,
        "cpu_temp_c_x10": host.cpu_temp_c_x10,
        "throttled_bits": host.throttled_bits,
        "disk_free_bytes": host.disk_free_bytes,
        "mem_available_bytes": host.mem_available_bytes,
        "uptime_ms": host.uptime_ms,
    }
    return replace(vitals, **{name: value for name, value in said.items() if value is not None})


def _coverage(vitals: Vitals, record: CoverageRecord) -> ModemVitals:
    before = vitals.modem(record.modem)
    cells = [cell for cell in record.eci or () if cell is not None]
    return replace(before, cell=cells[-1] if cells else before.cell, plmn=plmn_of(record) or before.plmn)


def _boot(vitals: Vitals, record: BootRecord, at_ms: int) -> Vitals:
    return replace(
        vitals,
        boot_reason=record.reason,
        boot_ms=at_ms,
        downtime_ms=record.downtime_ms,
        model=record.model or vitals.model,
        os=record.os or vitals.os,
        undervoltage_ms=None,
        stopping_ms=None,
        last=_happened(vitals, Happening(at_ms, "boot", cause=record.reason)),
    )


def _event(vitals: Vitals, record: EventRecord, at_ms: int) -> Vitals:
    told = Happening(at_ms, record.event, record.modem, record.cause, record.rung, record.now)
    vitals = replace(vitals, last=_happened(vitals, told))
    if record.modem is not None and record.event in _OUT:
        return _with_modem(vitals, _out(vitals.modem(record.modem), record, at_ms))
    change = _CHANGES.get(record.event)
    return change(vitals, record, at_ms) if change is not None else vitals


def _happened(vitals: Vitals, told: Happening) -> Happening:
    return told if vitals.last is None or told.t_ms >= vitals.last.t_ms else vitals.last


_OUT = {"outage_begin": True, "modem_lost": True, "outage_end": False, "modem_back": False}


def _out(modem: ModemVitals, record: EventRecord, at_ms: int) -> ModemVitals:
    begins = _OUT[record.event]
    return replace(modem, out_since_ms=at_ms if begins else None, out_cause=record.cause if begins else None)


def _undervoltage(vitals: Vitals, record: EventRecord, at_ms: int) -> Vitals:
    return replace(vitals, undervoltage_ms=at_ms if record.duration_ms is None else None)


def _disk(vitals: Vitals, record: EventRecord, at_ms: int) -> Vitals:
    over = record.now == "ok" or record.duration_ms is not None
    return replace(
        vitals, disk_fault=None if over else record.cause or "disk_error", disk_fault_ms=None if over else at_ms
    )


def _stopping(vitals: Vitals, _record: EventRecord, at_ms: int) -> Vitals:
    return replace(vitals, stopping_ms=at_ms)


def _recovery(vitals: Vitals, record: EventRecord, at_ms: int) -> Vitals:
    kept = tuple(t for t in vitals.rungs_ms if at_ms - t < DAY_MS)
    return replace(vitals, rung=record.rung, rung_ms=at_ms, rungs_ms=(*kept, at_ms)[-99:])


def _moved(vitals: Vitals, record: EventRecord, at_ms: int) -> Vitals:
    return replace(vitals, offset_m=record.distance_m, offset_ms=at_ms)


_CHANGES = {
    "undervoltage": _undervoltage,
    "disk_error": _disk,
    "stopping": _stopping,
    "recovery": _recovery,
    "probe_moved": _moved,
}
