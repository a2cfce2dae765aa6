"""A record as the values of its row in table `entry`, in one order, so that many go in by one statement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from collector.core.accept import Standing, leaf_of
from collector.core.row import Row, invalid_path, is_coverage, is_test, kind_of, plmn_of
from wire.codec import leaf_text

COLUMNS = (
    *("n", "part", "probe", "epoch", "seq", "standing", "leaf", "prev", "received_ms", "kind", "boot", "t_ms"),
    *("fault", "fault_detail", "province", "commune", "hamlet", "modem", "plmn", "slot_ms", "counted"),
    *("not_counted", "outcome", "invalid_path", "steps"),
)
INSERT = f"INSERT INTO entry ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"  # noqa: S608
TEST, COVERAGE = 1, 2
KINDS: dict[str | None, int | None] = {None: None, "test": TEST, "coverage": COVERAGE, "boot": 3, "event": 4, "gap": 5}
OUTCOMES = {"ok": 1, "partial": 2, "failed": 3, "skipped": 4}
FOLLOWS = 1
"""`prev` of a record that names the leaf of the one before it in its place."""


class Words(Protocol):
    """Words of the ledger by their numbers."""

    def number(self, text: str) -> int:
        """Number of a word."""

    def reasons(self, reasons: tuple[str, ...]) -> int:
        """Number of reasons, one behind the other."""


Values = tuple[Any, ...]


def values(first: int, rows: Sequence[Row], words: Words) -> list[Values]:
    """The values of `COLUMNS` of records of one probe, numbered from `first` on."""
    number, found = words.number, list[Values]()
    probe, unit, place, before = number(rows[0].probe), (1, 1, 1), None, None
    boot_word, boot = "", 1
    for n, row in enumerate(rows, first):
        record = row.record
        if row.place is not place:
            place = row.place
            unit = (number(place.province), number(place.commune), number(place.hamlet)) if place else (1, 1, 1)
        if record is not None and record.boot != boot_word:
            boot_word, boot = record.boot, number(record.boot)
        own = boot if record is not None else None
        kind = KINDS[kind_of(record)]
        prev = FOLLOWS if row.follows else _prev(row, before)
        fault = None if row.fault is None else number(row.fault)
        standing = 0 if row.standing is Standing.IN_CHAIN else int(row.standing)
        place_of = (n, row.part, probe, row.epoch, row.seq, standing, row.leaf, prev, row.received_ms)
        held = (kind, own, row.t_ms, fault, row.fault_detail)
        found.append(place_of + held + unit + _of_kind(row, words))  # unpacked into one it takes three times as long
        before = row
    return found


def _of_kind(row: Row, words: Words) -> Values:
    """From `modem` on."""
    record, number = row.record, words.number
    counted, reasons = (0, words.reasons(row.not_counted)) if row.not_counted else (1, 1)
    if is_test(record):
        invalid = int(invalid_path(record))
        words_of = number(record.modem), number(plmn_of(record))
        return (*words_of, record.slot_ms, counted, reasons, OUTCOMES[record.outcome], invalid, 0)
    if is_coverage(record):
        states = record.states
        steps = packed_steps(states.count("C"), states.count("D"), states.count("N"), states.count("U"))
        return (number(record.modem), number(plmn_of(record)), None, counted, reasons, None, 0, steps)
    return (None, 1, None, counted, reasons, None, 0, 0)


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
