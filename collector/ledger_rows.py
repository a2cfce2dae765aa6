"""A record as the values of its row in table `record`, in one order, so that many go in by one statement."""

from __future__ import annotations

from typing import Any

from collector.core.row import Row, invalid_path, plmn_of, sums_of
from wire.records import CoverageRecord, TestRecord

COLUMNS = (
    *("part", "probe", "epoch", "seq", "standing", "leaf", "prev", "received_ms", "kind", "boot", "mono_ms", "t_ms"),
    *("fault", "fault_detail", "province", "commune", "hamlet", "modem", "plmn", "slot_ms", "counted", "not_counted"),
    *("outcome", "invalid_path", "covered", "degraded", "no_service", "unknown"),
)
INSERT = f"INSERT INTO record ({', '.join(COLUMNS)}, raw) VALUES ({', '.join('?' * (len(COLUMNS) + 1))})"  # noqa: S608


def values(row: Row) -> tuple[Any, ...]:
    """The values of `COLUMNS`."""
    record, place = row.record, row.place
    sums = sums_of(record, counted=row.counted)
    test = record if isinstance(record, TestRecord) else None
    modem = record.modem if isinstance(record, TestRecord | CoverageRecord) else None
    unit = (place.province, place.commune, place.hamlet) if place else ("", "", "")
    boot = (record.boot, record.mono_ms) if record is not None else (None, None)
    what = (test.slot_ms, int(row.counted), " ".join(row.not_counted), test.outcome) if test else None
    return (
        *(row.part, row.probe, row.epoch, row.seq, int(row.standing), row.leaf, row.prev, row.received_ms, row.kind),
        *(*boot, row.t_ms, row.fault, row.fault_detail, *unit, modem, plmn_of(record)),
        *(what or (None, int(row.counted), " ".join(row.not_counted), None)),
        *(int(invalid_path(test)) if test else 0, sums.covered, sums.degraded, sums.no_service, sums.unknown),
    )


def column(row: Row) -> dict[str, Any]:
    """The values of a row by the names of their columns."""
    return dict(zip(COLUMNS, values(row), strict=True))
