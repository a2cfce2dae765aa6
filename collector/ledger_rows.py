"""A record as the values of its row in table `entry`, in one order, so that many go in by one statement."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from collector.core.accept import Standing, leaf_of
from collector.core.row import Row, invalid_path, is_coverage, is_test, plmn_of
from wire.codec import leaf_text

COLUMNS = (
    *("n", "part", "probe", "epoch", "seq", "standing", "leaf", "prev", "received_ms", "kind", "boot", "t_ms"),
    *("fault", "fault_detail", "province", "commune", "hamlet", "modem", "plmn", "slot_ms", "counted"),
    *("not_counted", "outcome", "invalid_path", "steps"),
)
INSERT = f"INSERT INTO entry ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"  # noqa: S608
KINDS = {"test": 1, "coverage": 2, "boot": 3, "event": 4, "gap": 5}
OUTCOMES = {"ok": 1, "partial": 2, "failed": 3, "skipped": 4}
FOLLOWS = 1
"""`prev` of a record that names the leaf of the one before it in its place."""


class Words(Protocol):
    """Words of the ledger by their numbers."""

    def number(self, text: str) -> int:
        """Number of a word."""

    def unit(self, province: str, commune: str, hamlet: str) -> tuple[int, int, int]:
        """Numbers of three codes."""


def values(n: int, row: Row, words: Words, before: Row | None) -> tuple[Any, ...]:
    """The values of `COLUMNS` of record `n`; `before`: the one that was stored before it, None for a first one."""
    record, place, number = row.record, row.place, words.number
    unit = words.unit(place.province, place.commune, place.hamlet) if place else (1, 1, 1)
    return (
        *(n, row.part, number(row.probe), row.epoch, row.seq, int(row.standing), row.leaf, _prev(row, before)),
        row.received_ms,
        *((KINDS[row.kind or ""], number(record.boot)) if record else (None, None)),
        *(row.t_ms, None if row.fault is None else number(row.fault), row.fault_detail, *unit),
        *_of_kind(row, number),
    )


def _of_kind(row: Row, number: Callable[[str], int]) -> tuple[Any, ...]:
    """From `modem` on."""
    record, reasons = row.record, number(" ".join(row.not_counted))
    if is_test(record):
        return (
            *(number(record.modem), number(plmn_of(record)), record.slot_ms, int(row.counted), reasons),
            *(OUTCOMES[record.outcome], int(invalid_path(record)), 0),
        )
    if is_coverage(record):
        steps = packed_steps(*(record.states.count(letter) for letter in "CDNU"))
        return (number(record.modem), number(plmn_of(record)), None, int(row.counted), reasons, None, 0, steps)
    return (None, 1, None, int(row.counted), reasons, None, 0, 0)


def packed_steps(covered: int, degraded: int, no_service: int, unknown: int) -> int:
    """Four counts below 256 as one number."""
    return covered | degraded << 8 | no_service << 16 | unknown << 24


def _prev(row: Row, before: Row | None) -> int | bytes | str | None:
    """How `prev` is kept: FOLLOWS if the record before it in its place was stored just before."""
    if row.prev is None:
        return None
    if before is not None and _is_next(before, row) and leaf_text(before.leaf) == row.prev:
        return FOLLOWS
    return kept_prev(row.prev)


def _is_next(before: Row, row: Row) -> bool:
    if before.standing is not Standing.IN_CHAIN or row.standing is not Standing.IN_CHAIN or before.seq is None:
        return False
    return (before.probe, before.epoch, before.seq + 1) == (row.probe, row.epoch, row.seq)


def kept_prev(text: str) -> bytes | str:
    """The leaf hash that a `prev` names, or its text if it names none, or not in the one spelling."""
    leaf = leaf_of(text)
    return text if leaf is None or leaf_text(leaf) != text else leaf
