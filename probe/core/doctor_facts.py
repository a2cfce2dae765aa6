"""What is gathered at a technician's check, piece by piece: plain values, None or False where nothing is known yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from probe.core.draft import ClockState, TimeSource
from probe.core.radio import RadioReading
from wire import visit
from wire.failure import Cause


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the link's check that was taken; `cause` None: it went well."""

    cause: Cause | None
    said: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShortTest:
    """The visit's test by one modem. `word`: `not_wanted`, `none` (to be asked for), `asked`, `running`, `done`."""

    word: Literal["not_wanted", "none", "asked", "running", "done"] = "not_wanted"
    elapsed_s: int = 0
    outcome: str | None = None
    cause: Cause | None = None
    path: str | None = None
    downlink_bps: int | None = None
    uplink_bps: int | None = None
    record: visit.Named | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModemFacts:
    """One modem. `is_polled` False: no poll has ended yet; `polled_ms`: when the last one began, since boot.

    A step of the link that is None was not taken yet. `plan`: what the daemon knows to be wrong with the SIM's plan.
    """

    id: str
    interface: str = ""
    plmn: str | None = None
    is_polled: bool = False
    polled_ms: int = 0
    cause: Cause | None = None
    reading: RadioReading | None = None
    apn: Step | None = None
    dns: Step | None = None
    portal: Step | None = None
    plan: Cause | None = None
    test: ShortTest = ShortTest()


@dataclass(frozen=True, slots=True, kw_only=True)
class GpsFacts:
    """The receiver. `is_heard`: gpsd answers. `offset_m`: how far the fix is from the surveyed position."""

    is_configured: bool = False
    is_heard: bool = False
    is_surveyed: bool = False
    fix_mode: int | None = None
    sats_used: int | None = None
    offset_m: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerFacts:
    """The way to the ledger. `trouble`: what the program said when it was last lost.

    `log`: what is known of the sealed log (`probe.beacon.Standing.word`), None if it was not looked at; up to what
    size; and where two notes lie that contradict each other.
    """

    is_configured: bool = False
    is_connected: bool = False
    trouble: str | None = None
    log: Literal["no_key", "none", "known", "conflict"] | None = None
    log_size: int | None = None
    log_folder: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AckFacts:
    """What the ledger confirmed: up to record `seq` of `epoch`. `waited_s`: for how long something has waited."""

    epoch: int | None = None
    seq: int | None = None
    waiting: int = 0
    waited_s: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that was gathered so far. `is_host_read` False: not yet. `spool_said`: why the spool does not open."""

    is_host_read: bool = False
    throttled_bits: int | None = None
    cpu_temp_c_x10: int | None = None
    disk_free_bytes: int | None = None
    spool_said: str | None = None
    modems: tuple[ModemFacts, ...] = ()
    clock: ClockState | None = None
    clock_source: TimeSource | None = None
    gps: GpsFacts | None = None
    broker: BrokerFacts | None = None
    ack: AckFacts | None = None
