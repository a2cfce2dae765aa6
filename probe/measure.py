"""One run: modem, radio, engine, counters, position, host; in goes a modem, out comes a draft of a test record.

A failed run is a result: it stands in the record with stage and cause, and nothing is raised for it. A modem that is
gone, mute, without SIM or without service ends the run before the engine starts, so that no data is wasted.
Source: design §5, §6; facts note 05 §2.5, §4.
"""

from __future__ import annotations

import binascii
import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Literal, Protocol

from msgspec.structs import replace

from probe.core.draft import Head
from probe.core.parcel import MAX_RECEIPT_BYTES
from probe.core.path import LinkCounters, PathProof, judge
from probe.core.radio import RadioReading, mask_raw, summarise
from probe.core.tpv import Position as Located
from probe.devices.throughput import EngineResult
from probe.owner import Observed
from wire.codec import leaf_hash, leaf_text
from wire.failure import Cause, Stage
from wire.records import Budget, Host, Path, Polls, Position, Radio, Reading, TestRecord

Trigger = Literal["scheduled", "manual", "acceptance", "remote"]
OBSERVE_TIMEOUT_S = 20.0

_STAGE = {
    Cause.NO_MODEM: Stage.MODEM,
    Cause.MODEM_MUTE: Stage.MODEM,
    Cause.MODEM_ERROR: Stage.MODEM,
    Cause.NO_SIM: Stage.SIM,
    Cause.SIM_LOCKED: Stage.SIM,
    Cause.SIM_PUK: Stage.SIM,
    Cause.WRONG_SIM: Stage.SIM,
    Cause.DENIED: Stage.REGISTRATION,
    Cause.SEARCHING: Stage.REGISTRATION,
    Cause.NOT_REGISTERED: Stage.REGISTRATION,
    Cause.LIMITED_SERVICE: Stage.REGISTRATION,
}
_BEFORE_DATA = frozenset({Stage.PDN, Stage.DNS, Stage.CONNECT})
_READING_FIELDS = tuple(f.name for f in fields(RadioReading) if f.name in Reading.__struct_fields__)
_ENGINE_FIELDS = tuple(
    f.name
    for f in fields(EngineResult)
    if f.name in TestRecord.__struct_fields__ and f.name not in ("outcome", "stage", "cause", "attempt")
)


class Watch(Protocol):
    """The modem's owner, as a run needs it."""

    def observe(self, timeout_s: float) -> Observed:
        """Return a fresh poll."""
        ...

    def begin_watch(self) -> None:
        """Begin to collect polls."""
        ...

    def end_watch(self) -> tuple[Observed, ...]:
        """End collecting."""
        ...


@dataclass(frozen=True, slots=True)
class Bench:
    """What a run uses. `engine` runs one test and never raises for the network; `counters` reads all links."""

    watch: Watch
    engine: Callable[[], EngineResult]
    counters: Callable[[], tuple[LinkCounters, ...]]
    position: Callable[[], Located]
    host: Callable[[int | None], Host | None]
    mono_ms: Callable[[], int]


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be run: which modem, why, and in which slot (None: none)."""

    modem: str
    interface: str
    trigger: Trigger
    plmn: str | None = None
    referral: str | None = None
    slot_ms: int | None = None
    slot_length_ms: int | None = None
    due_ms: int | None = None
    budget: Budget | None = None


@dataclass(frozen=True, slots=True)
class _Transfer:
    """What the engine part of a run found."""

    result: EngineResult
    during: tuple[Observed, ...] = ()
    proof: PathProof | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """What a run leaves: the draft of its record, and the point's receipts that the record names by their hashes."""

    record: TestRecord
    receipts: tuple[bytes, ...] = ()


def run(order: Order, bench: Bench, head: Head) -> Run:
    """Run one test; `head` was made when it began."""
    began_ms = bench.mono_ms()
    before = bench.watch.observe(OBSERVE_TIMEOUT_S)
    transfer = _explained(_blocked(before.cause) or _transfer(order, bench), before.cause)
    after = before if transfer.proof is None else bench.watch.observe(OBSERVE_TIMEOUT_S)
    result = transfer.result
    record = TestRecord(
        **head,
        modem=order.modem,
        trigger=order.trigger,
        outcome=_outcome(result),
        stage=result.stage,
        cause=result.cause,
        referral=order.referral,
        plmn=order.plmn or (before.reading.plmn if before.reading else None),
        slot_ms=order.slot_ms,
        slot_length_ms=order.slot_length_ms,
        due_ms=order.due_ms,
        attempt=result.attempt,
        duration_ms=bench.mono_ms() - began_ms,
        path=_path(order, transfer.proof),
        radio=_radio(before, transfer.during, after if transfer.proof else None),
        position=_position(bench.position()),
        host=_host(bench.host(result.cpu_ppm), result),
        budget=order.budget,
        loss_ppm=_loss_ppm(result) if transfer.proof is not None else None,
        **{name: getattr(result, name) for name in _ENGINE_FIELDS if transfer.proof is not None},
    )
    return Run(record, _receipts(result) if transfer.proof is not None else ())


def _receipts(result: EngineResult) -> tuple[bytes, ...]:
    """The receipts whose hashes the record names; anything else that the engine handed over stays behind."""
    named = {result.downlink_receipt, result.uplink_receipt}
    found = (binascii.a2b_base64(text.encode("ascii", "replace")) for text in result.receipts)
    return tuple(raw for raw in found if len(raw) <= MAX_RECEIPT_BYTES and leaf_text(leaf_hash(raw)) in named)


def _host(host: Host | None, result: EngineResult) -> Host | None:
    """A rate near this host's own ceiling is as much the host's as the link's."""
    is_limited = "host" in (result.downlink_limit, result.uplink_limit)
    return replace(host, host_limited=True) if host is not None and is_limited else host


def _loss_ppm(result: EngineResult) -> int | None:
    """Round-trip loss of the idle echoes; None if none was sent. Source: RFC 6673."""
    if not result.rtt_sent or result.rtt_received is None:
        return None
    return (result.rtt_sent - result.rtt_received) * 1_000_000 // result.rtt_sent


def not_run(order: Order, head: Head, outcome: Literal["failed", "skipped"], stage: Stage, cause: Cause) -> TestRecord:
    """Return the record of a slot in which nothing was measured, for a reason on our side."""
    return TestRecord(
        **head,
        modem=order.modem,
        trigger=order.trigger,
        outcome=outcome,
        stage=stage,
        cause=cause,
        referral=order.referral,
        plmn=order.plmn,
        slot_ms=order.slot_ms,
        slot_length_ms=order.slot_length_ms,
        due_ms=order.due_ms,
        attempt=1,
        budget=order.budget,
    )


def _blocked(cause: Cause | None) -> _Transfer | None:
    """A modem that cannot carry a test ends the run here; one that does not say is tried."""
    if cause is None or cause not in _STAGE:
        return None
    return _Transfer(EngineResult("failed", _STAGE[cause], cause))


def _explained(transfer: _Transfer, cause: Cause | None) -> _Transfer:
    """A run that got no further than the modem's link failed for what the modem said of its data context.

    A modem may list no context while data flows, so its word alone never keeps a test from being tried.
    """
    result = transfer.result
    if cause is not Cause.NO_PDP or result.outcome != "failed" or result.stage not in _BEFORE_DATA:
        return transfer
    return dataclasses.replace(transfer, result=dataclasses.replace(result, stage=Stage.PDN, cause=Cause.NO_PDP))


def _transfer(order: Order, bench: Bench) -> _Transfer:
    before = bench.counters()
    if not any(link.iface == order.interface for link in before):
        return _Transfer(EngineResult("failed", Stage.PDN, Cause.NO_INTERFACE))
    bench.watch.begin_watch()
    try:
        result = bench.engine()
    finally:
        during = bench.watch.end_watch()
    down, up = result.downlink_bytes or 0, result.uplink_bytes or 0
    proof = judge(before, bench.counters(), order.interface, down, up, expected_modem=True)
    return _Transfer(result, during, proof)


def _outcome(result: EngineResult) -> Literal["ok", "partial", "failed"]:
    return "ok" if result.outcome == "ok" else "partial" if result.outcome == "partial" else "failed"


def _path(order: Order, proof: PathProof | None) -> Path | None:
    """A link that was not there before or after has moved no byte that we could count."""
    if proof is None:
        return None
    return Path(
        verdict=_verdict(proof.verdict),
        iface=order.interface,
        rx_bytes=proof.rx_bytes or 0,
        tx_bytes=proof.tx_bytes or 0,
        other_rx_bytes=proof.other_rx_bytes,
        other_tx_bytes=proof.other_tx_bytes,
        ifindex_changed=proof.ifindex_changed,
    )


def _verdict(word: str) -> Literal["ok", "invalid_path", "invalid_isolation"]:
    if word == "ok":
        return "ok"
    return "invalid_isolation" if word == "invalid_isolation" else "invalid_path"


def _radio(before: Observed, during: tuple[Observed, ...], after: Observed | None) -> Radio | None:
    polls = [seen.reading or RadioReading() for seen in during]
    seen = [o.reading for o in (before, *during, *((after,) if after else ())) if o.reading is not None]
    if not seen:
        return None
    summary = summarise(polls)
    return Radio(
        before=_reading(before.reading),
        during=Polls(**{f.name: getattr(summary, f.name) for f in fields(summary)}) if polls else None,
        after=_reading(after.reading) if after else None,
        raw=mask_raw(dict.fromkeys(reading.raw for reading in seen if reading.raw is not None)),
    )


def _reading(reading: RadioReading | None) -> Reading | None:
    if reading is None:
        return None
    return Reading(**{name: getattr(reading, name) for name in _READING_FIELDS})


def _position(located: Located) -> Position:
    fix = located.fix
    return Position(
        source=located.position_source,
        lat_e7=located.lat_e7,
        lon_e7=located.lon_e7,
        alt_mm=fix.alt_mm if fix else None,
        eph_mm=fix.eph_mm if fix else None,
        fix_mode=fix.fix_mode if fix else None,
        fix_age_ms=fix.age_ms if fix else None,
        sats_used=fix.sats_used if fix else None,
        hdop_x100=fix.hdop_x100 if fix else None,
        surveyed_offset_m=located.surveyed_offset_m,
    )
