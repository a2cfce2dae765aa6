"""Everything that the ledger derives of a record when it takes it: its time, its place, whether it counts."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import lru_cache

from collector.core import count
from collector.core.accept import Standing
from collector.core.clock import date_from
from collector.core.row import Row, is_test
from collector.core.run import Run
from collector.ledger_port import Ledger
from collector.registry import Registry
from collector.registry_rows import ProbeEntry
from collector.registry_stays import ALWAYS, Line, at
from wire import topics
from wire.codec import Opened
from wire.records import AnyRecord

_part = lru_cache(maxsize=20_000)(topics.part)


# Made for every record: a frozen one takes three times as long to make.
@dataclass(slots=True)
class Bytes:
    """What a row keeps of the bytes themselves; a record that is judged again keeps what it was stored with."""

    received_ms: int
    raw: bytes = field(default=b"", repr=False)
    leaf: bytes = b""
    epoch: int | None = None
    seq: int | None = None
    prev: str | None = None
    fault_detail: str | None = None

    @classmethod
    def of(cls, opened: Opened, received_ms: int) -> Bytes:
        """Of an authentic record, received just now."""
        head, fault = opened.head, opened.fault
        detail = fault.detail if fault else None
        if head is None:
            return cls(received_ms, opened.raw, opened.leaf, fault_detail=detail)
        return cls(received_ms, opened.raw, opened.leaf, head.epoch, head.seq, head.prev, detail)


class Judge:
    """Reads registry and ledger as they are in this transaction."""

    def __init__(self, ledger: Ledger, registry: Registry) -> None:
        self._ledger = ledger
        self._registry = registry

    def row(
        self,
        entry: ProbeEntry,
        record: AnyRecord | None,
        own: Bytes,
        standing: Standing,
        fault: str | None,
        *,
        forked: bool,
        taken: AbstractSet[tuple[str, int]],
        suspect: bool = False,
    ) -> Row:
        """The row of a record; `taken`: modem and slot of other counted samples; `suspect`: so says its verdict."""
        t_ms = self._time_of(entry.id, record)
        place = self._registry.place(entry.id, t_ms)
        judged = count.Standing(
            fault=fault,
            in_chain=standing is Standing.IN_CHAIN,
            fork=forked,
            quarantine=entry.state == "quarantine",
            registered_simulated=entry.simulated,
            t_ms=t_ms,
            place=place,
            unit=self._unit_of(record, t_ms),
            slot_taken=is_test(record) and (record.modem, record.slot_ms) in taken,
            suspect=suspect,
        )
        return Row(
            part=_part(entry.id),
            probe=entry.id,
            standing=standing,
            record=record,
            t_ms=t_ms,
            fault=fault,
            place=place,
            not_counted=count.reasons(record, judged),
            epoch=own.epoch,
            seq=own.seq,
            leaf=own.leaf,
            prev=own.prev,
            received_ms=own.received_ms,
            fault_detail=own.fault_detail,
            raw=own.raw,
        )

    def rows(self, entry: ProbeEntry, one: Run, received_ms: int, taken: set[tuple[str, int]]) -> list[Row]:
        """The rows of proved records that go on at the head of their chain; `taken`: slots of other counted samples.

        Same as `row` for each. Slots that these take are added to `taken`.
        """
        rows, lines = list[Row](), dict[str, Line]()
        probe, part, quarantine = entry.id, _part(entry.id), entry.state == "quarantine"
        moments, places = self._registry.stays(probe)
        for raw, leaf, record in zip(one.raws, one.leaves, one.records, strict=True):
            t_ms = self._time_of(probe, record) if record.t_ms is None else record.t_ms
            place = places[bisect_right(moments, ALWAYS if t_ms is None else t_ms)] if moments else places[0]
            why: tuple[count.Reason, ...] = count.NO_TEST
            if is_test(record):
                slot, code = (record.modem, record.slot_ms), record.referral or ""
                if (line := lines.get(code)) is None:
                    line = lines[code] = self._registry.unit_line(code)
                unit = at(line, ALWAYS if t_ms is None else t_ms)
                why = count.of_sound_test(record, entry.simulated, t_ms, place, unit, slot in taken)
                if not why and not quarantine and slot[1] is not None:
                    taken.add((slot[0], slot[1]))
            if quarantine:
                why = count.Reason.QUARANTINE, *why
            # By place: keywords would cost half as much again.
            known = (part, probe, Standing.IN_CHAIN, record, t_ms, None, place, why, record.epoch, record.seq, leaf)
            rows.append(Row(*known, record.prev, received_ms, None, raw, bool(rows)))
        return rows

    def _unit_of(self, record: AnyRecord | None, t_ms: int | None) -> str | None:
        """Unit of a test's referral code at that time; None without a code, or if it belonged to none."""
        if not is_test(record) or record.referral is None:
            return None
        return self._registry.referral_unit(record.referral, t_ms)

    def _time_of(self, probe: str, record: AnyRecord | None) -> int | None:
        """When a record began: by its own clock, else by its boot's clock event; None if by neither."""
        if record is None or record.t_ms is not None:
            return record.t_ms if record else None
        clock = self._ledger.clock_of(probe, record.boot)
        return date_from(clock[0], clock[1], record.mono_ms) if clock else None
