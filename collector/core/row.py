"""A record as a row of the ledger: the columns that lists, sums and limits need beside the raw bytes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeGuard

from collector.core.accept import Standing
from collector.core.place import Place
from wire.codec import Opened
from wire.records import AnyRecord, CoverageRecord, EventRecord, TestRecord


class _Kinds(dict[type, str | None]):
    """The word of a record's kind by the class of the record, found once: asked ten times for every record."""

    def __missing__(self, shape: type) -> str | None:
        config = getattr(shape, "__struct_config__", None)
        self[shape] = None if config is None else str(config.tag)
        return self[shape]


_KINDS = _Kinds()


def is_test(record: AnyRecord | None) -> TypeGuard[TestRecord]:
    """Whether it is a test record, whole or as much of one as the ledger needs (`collector.light`)."""
    return _KINDS[type(record)] == "test"


def is_coverage(record: AnyRecord | None) -> TypeGuard[CoverageRecord]:
    """Whether it is a coverage record, whole or in part."""
    return _KINDS[type(record)] == "coverage"


def is_clock(record: AnyRecord | None) -> TypeGuard[EventRecord]:
    """Whether it is an event that dates its boot, whole or in part."""
    return _KINDS[type(record)] == "event" and record.event == "clock_set"  # type: ignore[union-attr]  # by its kind


def kind_of(record: AnyRecord | None) -> str | None:
    """Word of a record's kind; None for one that breaks the form."""
    return _KINDS[type(record)]


# Made for every record: a frozen one takes three times as long to make.
@dataclass(slots=True)
class Row:
    """One row of table `record`; see schema/ledger_v1.sql. `t_ms` is None while undated, `place` for no place.

    What follows `not_counted` belongs to the bytes; a record that is judged again keeps what it was stored with.
    """

    part: int
    probe: str
    standing: Standing
    record: AnyRecord | None
    t_ms: int | None
    fault: str | None
    place: Place | None
    not_counted: tuple[str, ...]
    epoch: int | None = None
    seq: int | None = None
    leaf: bytes = b""
    prev: str | None = None
    received_ms: int = 0
    fault_detail: str | None = None
    raw: bytes = field(default=b"", repr=False)
    follows: bool = False
    """Whether it is known to stand behind the row before it, in its chain and by its hash."""

    @property
    def kind(self) -> str | None:
        """Word of the record's kind; None if it breaks the form."""
        return kind_of(self.record)

    @property
    def counted(self) -> bool:
        """Whether it is a counted sample."""
        return not self.not_counted


@dataclass(frozen=True, slots=True)
class Sums:
    """What one record adds to the sums of its hamlet, operator and hour."""

    tests: int = 0
    ok: int = 0
    partial: int = 0
    failed: int = 0
    skipped: int = 0
    counted: int = 0
    invalid_path: int = 0
    covered: int = 0
    degraded: int = 0
    no_service: int = 0
    unknown: int = 0


def plmn_of(record: AnyRecord | None) -> str:
    """The operator's PLMN: the record's own, else the serving cell's before the test; "" if unknown."""
    if is_test(record):
        before = record.radio.before if record.plmn is None and record.radio else None
        return record.plmn or (before.plmn or "" if before else "")
    return record.plmn or "" if is_coverage(record) else ""


def invalid_path(record: TestRecord) -> bool:
    """Whether the path was judged and found not to be the modem's alone."""
    return record.path is not None and record.path.verdict != "ok"


def sums_of(record: AnyRecord | None, *, counted: bool) -> Sums:
    """What a dated record in the chain adds to its hour."""
    if is_test(record):
        outcomes = {record.outcome: 1}
        return Sums(tests=1, counted=int(counted), invalid_path=int(invalid_path(record)), **outcomes)
    if is_coverage(record):
        steps = record.states
        return Sums(
            covered=steps.count("C"), degraded=steps.count("D"), no_service=steps.count("N"), unknown=steps.count("U")
        )
    return Sums()


def prev_of(opened: Opened, loose: str | None) -> str | None:
    """The leaf text that a record names as the one before; `loose` for one whose place cannot be read."""
    return loose if opened.head is None else opened.head.prev
