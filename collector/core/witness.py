"""The second witness of a sample: what the measurement point signed of a transfer, against what the probe says.

Pure. A record names each direction's receipt by its leaf hash; here is judged whether that receipt is held, is of this
very run, and was not shown before, and both sides' figures are put side by side. Nothing here changes how a record
counts.
Source: wire/SPEC.md §6 (receipt), §7; point/PROTOCOL.md (what each field means); decision note on receipts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from wire.notes import Receipt
from wire.records import TestRecord

Direction = Literal["downlink", "uplink"]
DIRECTIONS: tuple[Direction, ...] = ("downlink", "uplink")
Verdict = Literal["agrees", "differs", "foreign", "replayed", "stale", "missing", "none"]

SHARE_PERCENT = 90
SLACK_BYTES = 65_536
"""The point must have seen this share of the probe's bytes but for so many: what was under way at the end."""
MOST_APART_MS = 900_000
"""A receipt is signed while its run lasts, or moments later; both clocks may be wrong by minutes."""


@dataclass(frozen=True, slots=True)
class Named:
    """What a record names for one direction: text of the receipt's leaf hash, and that receipt if it is held.

    `is_shown_before`: a record that was stored earlier names the same receipt.
    """

    leaf: str
    receipt: Receipt | None
    is_shown_before: bool


@dataclass(frozen=True, slots=True)
class Side:
    """One side's figures of a transfer; None where it does not say. `source` is the probe's address."""

    bytes: int | None
    bps: int | None
    rtt_us_min: int | None
    source: str | None


@dataclass(frozen=True, slots=True)
class Witness:
    """One direction of a test seen twice. `server` is None unless a receipt of this run is held.

    Verdicts: `agrees`; `differs` (the point saw fewer bytes than the probe claims); `foreign` (of another run, probe
    or direction); `replayed` (an earlier record names it too); `stale` (signed at another time); `missing` (named,
    not held: never sent, or refused as false); `none` (the record names no receipt).
    """

    direction: Direction
    verdict: Verdict
    probe: Side
    server: Side | None
    point: str | None = None
    signed_ms: int | None = None


def is_worth_showing(record: TestRecord) -> bool:
    """Whether anything moved that a point could have seen."""
    return record.engine is not None and any(_bytes(record, way) is not None for way in DIRECTIONS)


def judge(record: TestRecord, direction: Direction, named: Named | None) -> Witness:
    """Put one direction of a test beside the receipt that it names (None: it names none)."""
    told = Side(
        _bytes(record, direction),
        record.downlink_bps if direction == "downlink" else record.uplink_bps,
        record.rtt_us_min,
        record.path.server_saw if record.path else None,
    )
    receipt = named.receipt if named else None
    if named is None or receipt is None:
        return Witness(direction, "none" if named is None else "missing", told, None)
    verdict = _verdict(record, direction, receipt, is_shown_before=named.is_shown_before)
    is_ours = verdict in ("agrees", "differs")
    seen = Side(receipt.bytes, receipt.rate_bps, receipt.rtt_us_min, receipt.source)
    return Witness(direction, verdict, told, seen if is_ours else None, receipt.point, receipt.signed_ms)


def named_by(record: TestRecord) -> tuple[tuple[Direction, str], ...]:
    """The receipts that a record names: direction and text of the leaf hash."""
    both: tuple[tuple[Direction, str | None], ...] = (
        ("downlink", record.downlink_receipt),
        ("uplink", record.uplink_receipt),
    )
    return tuple((direction, leaf) for direction, leaf in both if leaf is not None)


def _verdict(record: TestRecord, direction: Direction, receipt: Receipt, *, is_shown_before: bool) -> Verdict:
    if (receipt.probe, receipt.ticket, receipt.direction) != (record.probe, record.ticket, direction):
        return "foreign"
    if is_shown_before:
        return "replayed"
    if record.t_ms is not None and not _is_near(receipt.signed_ms - record.t_ms, record.duration_ms or 0):
        return "stale"
    claimed = _bytes(record, direction) or 0
    return "agrees" if receipt.bytes + SLACK_BYTES >= claimed * SHARE_PERCENT // 100 else "differs"


def _is_near(after_ms: int, duration_ms: int) -> bool:
    return -MOST_APART_MS <= after_ms <= duration_ms + MOST_APART_MS


def _bytes(record: TestRecord, direction: Direction) -> int | None:
    return record.downlink_bytes if direction == "downlink" else record.uplink_bytes
