"""Tests that a person asked for at the station: which one is due, and how the last one of each modem ended."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from probe.core.doctor_facts import ShortTest
from probe.measure import Order
from probe.spool import Kept
from wire import visit
from wire.codec import leaf_hash, leaf_text
from wire.errors import Refused
from wire.failure import Cause
from wire.records import TestRecord

PAUSE_MS = 20_000
"""Between the end of one asked test of a modem and the next: a thumb that slips must not cost the SIM its data."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """One modem's last asked test, and the moment (monotonic) at which it came into this state."""

    test: ShortTest
    since_ms: int


class Asked:
    """What was asked of the daemon. Safe for several threads."""

    def __init__(self, modems: Iterable[str], mono_ms: Callable[[], int]) -> None:
        self._mono_ms = mono_ms
        self._lock = threading.Lock()
        self._entries: dict[str, _Entry | None] = dict.fromkeys(modems)

    def ask(self, modem: str) -> None:
        """Ask for one short test. Raises Refused if there is no such modem, or one is under way or has just ended."""
        with self._lock:
            if modem not in self._entries:
                raise Refused("no_modem", f"there is no modem {modem}; there are {', '.join(self._entries)}")
            if any(entry is not None and entry.test.word != "done" for entry in self._entries.values()):
                raise Refused("overlap", "a test is under way; wait until it has ended")
            last = self._entries[modem]
            if last is not None and self._mono_ms() - last.since_ms < PAUSE_MS:
                raise Refused("overlap", f"the last test has just ended; wait {PAUSE_MS // 1000} s")
            self._entries[modem] = self._entry(ShortTest(word="asked"))

    def take(self) -> str | None:
        """Return the modem whose test is due, which runs from now on; None if none is."""
        with self._lock:
            for modem, entry in self._entries.items():
                if entry is not None and entry.test.word == "asked":
                    self._entries[modem] = self._entry(ShortTest(word="running"))
                    return modem
        return None

    def ended(self, order: Order, record: TestRecord, kept: Kept | None) -> None:
        """Take the result of a test that was asked for; `kept` None: the disk did not take it. Others are ignored."""
        if order.trigger != "acceptance":
            return
        test = ShortTest(
            word="done",
            outcome="failed" if kept is None else record.outcome,
            cause=Cause.DISK_ERROR if kept is None else None if record.cause is None else Cause(record.cause),
            path=record.path.verdict if record.path else None,
            downlink_bps=record.downlink_bps,
            uplink_bps=record.uplink_bps,
            record=None if kept is None else visit.Named(kept.epoch, kept.seq, leaf_text(leaf_hash(kept.raw))),
        )
        with self._lock:
            self._entries[order.modem] = self._entry(test)

    def tests(self) -> dict[str, ShortTest]:
        """How each modem's last asked test stands; `none` where none was asked for since the start."""
        with self._lock:
            now_ms = self._mono_ms()
            return {modem: _seen(entry, now_ms) for modem, entry in self._entries.items()}

    def _entry(self, test: ShortTest) -> _Entry:
        return _Entry(test, self._mono_ms())


def _seen(entry: _Entry | None, now_ms: int) -> ShortTest:
    if entry is None:
        return ShortTest(word="none")
    if entry.test.word != "running":
        return entry.test
    return ShortTest(word="running", elapsed_s=(now_ms - entry.since_ms) // 1000)
