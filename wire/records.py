"""Every record that a probe signs, version 1: test, coverage, boot, event, gap.

Names and sizes are frozen: signatures make them permanent. All quantities are integers with unit and scale in
the name; a field that is None is unknown and its key is left out on the wire. Ranges stand here once;
`wire.metrics` adds unit and meaning, SPEC.md the prose.
Source: design §4; facts note 02 §4 (recommended record); 3GPP TS 36.133 §9.1.4, §9.1.7 for radio ranges.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import Meta, Struct

MAX = 2**53 - 1
MAX_MS = 9_000_000_000_000  # the year 2255: nanoseconds still fit 63 bits, so no record can poison a time series
ProbeId = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{2,31}\Z")]
Code = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,32}\Z")]
Hash = Annotated[str, Meta(pattern=r"^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=\Z")]
MaybeHash = Annotated[str, Meta(pattern=r"^([A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=)?\Z")]
BootId = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z")]
ModemId = Annotated[str, Meta(pattern=r"^m[1-4]\Z")]
Plmn = Annotated[str, Meta(pattern=r"^[0-9]{5,6}\Z")]
Token = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{8,64}\Z")]
Text = Annotated[str, Meta(min_length=1, max_length=128)]
# What follows is ASCII that JSON never escapes (but for `Raw`), so that a record's greatest size is known.
Server = Annotated[str, Meta(pattern=r"^[!#-\[\]-~]{1,128}\Z")]
Address = Annotated[str, Meta(pattern=r"^[0-9a-f:.\[\]]{2,53}\Z")]
Short = Annotated[str, Meta(pattern=r"^[ !#-\[\]-~]{1,32}\Z")]
Word = Annotated[str, Meta(pattern=r"^[a-z0-9_.-]{1,48}\Z")]
Raw = Annotated[str, Meta(pattern=r"^[ -~]{1,512}\Z")]
Count = Annotated[int, Meta(ge=0, le=MAX)]
Positive = Annotated[int, Meta(ge=1, le=MAX)]
Small = Annotated[int, Meta(ge=0, le=9_999_999)]
Bytes = Annotated[int, Meta(ge=0, le=9_999_999_999_999)]
Epoch = Annotated[int, Meta(ge=1, le=9_999_999)]
Seq = Annotated[int, Meta(ge=0, le=999_999_999_999)]
UnixMs = Annotated[int, Meta(ge=0, le=MAX_MS)]
Ms = Annotated[int, Meta(ge=0, le=MAX_MS)]
Us = Annotated[int, Meta(ge=0, le=9_999_999_999)]
Bps = Annotated[int, Meta(ge=0, le=100_000_000_000)]
RttUs = Annotated[int, Meta(ge=0, le=600_000_000)]
Ppm = Annotated[int, Meta(ge=0, le=1_000_000)]
CpuPpm = Annotated[int, Meta(ge=0, le=64_000_000)]
Rsrp = Annotated[int, Meta(ge=-1400, le=-440)]
Rsrq = Annotated[int, Meta(ge=-340, le=25)]
Sinr = Annotated[int, Meta(ge=-230, le=400)]
Rssi = Annotated[int, Meta(ge=-1200, le=-250)]
Eci = Annotated[int, Meta(ge=0, le=2**36 - 1)]
Tac = Annotated[int, Meta(ge=0, le=2**24 - 1)]
Pci = Annotated[int, Meta(ge=0, le=1007)]
Earfcn = Annotated[int, Meta(ge=0, le=3_279_165)]
Band = Annotated[int, Meta(ge=1, le=512)]
TimingAdvance = Annotated[int, Meta(ge=0, le=1282)]
BandwidthKhz = Annotated[int, Meta(ge=1400, le=400_000)]
LatE7 = Annotated[int, Meta(ge=-900_000_000, le=900_000_000)]
LonE7 = Annotated[int, Meta(ge=-1_800_000_000, le=1_800_000_000)]
AltMm = Annotated[int, Meta(ge=-99_999_999, le=99_999_999)]
Mm = Annotated[int, Meta(ge=0, le=999_999_999)]
Metres = Annotated[int, Meta(ge=0, le=99_999_999)]
TempX10 = Annotated[int, Meta(ge=-600, le=1500)]
Rate = Literal["LTE", "UMTS", "GSM", "NR_NSA", "NR_SA"]
Registration = Literal["home", "roaming", "searching", "denied", "not_registered", "limited", "unknown"]
TimeSource = Literal["gnss", "nitz", "ntp", "rtc", "none"]
ClockState = Literal["trusted", "unsynced", "suspect"]
Steps = Annotated[str, Meta(pattern=r"^[CDNU]{1,60}\Z")]
StepCauses = Annotated[str, Meta(pattern=r"^[.a-z]{1,60}\Z")]
Series = Annotated[tuple[Annotated[int, Meta(ge=0, le=999_999_999)], ...], Meta(max_length=100)]
_SIXTHS = Meta(min_length=6, max_length=6)
Counts6 = Annotated[tuple[Small, ...], _SIXTHS]
Rsrp6 = Annotated[tuple[Rsrp | None, ...], _SIXTHS]
Rsrq6 = Annotated[tuple[Rsrq | None, ...], _SIXTHS]
Sinr6 = Annotated[tuple[Sinr | None, ...], _SIXTHS]
Eci6 = Annotated[tuple[Eci | None, ...], _SIXTHS]
Act6 = Annotated[tuple[Annotated[int, Meta(ge=0, le=15)] | None, ...], _SIXTHS]


class Part(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Base of the groups inside a record."""


class Reading(Part, frozen=True, kw_only=True):
    """One modem reading: what the serving cell looked like at one moment."""

    rat: Rate | None = None
    registration: Registration | None = None
    plmn: Plmn | None = None
    tac: Tac | None = None
    eci: Eci | None = None
    pci: Pci | None = None
    earfcn: Earfcn | None = None
    band: Band | None = None
    bandwidth_khz: BandwidthKhz | None = None
    ta: TimingAdvance | None = None
    rsrp_dbm_x10: Rsrp | None = None
    rsrq_db_x10: Rsrq | None = None
    sinr_db_x10: Sinr | None = None
    rssi_dbm_x10: Rssi | None = None
    temp_c_x10: TempX10 | None = None


class Polls(Part, frozen=True, kw_only=True):
    """What the modem said while the test ran, from polls a few seconds apart."""

    polls: Small
    polls_registered: Small
    rsrp_dbm_x10_min: Rsrp | None = None
    rsrp_dbm_x10_median: Rsrp | None = None
    rsrp_dbm_x10_max: Rsrp | None = None
    rsrq_db_x10_median: Rsrq | None = None
    sinr_db_x10_median: Sinr | None = None
    cell_changes: Small | None = None


class Radio(Part, frozen=True, kw_only=True):
    """Radio before, during and after a test; `raw` holds only lines whose reading was refused, printable ASCII."""

    before: Reading | None = None
    during: Polls | None = None
    after: Reading | None = None
    raw: Raw | None = None


class Path(Part, frozen=True, kw_only=True):
    """Proof of the way the bytes went, from the kernel's interface counters around the test.

    `rx_bytes`, `tx_bytes`: the modem's link; `other_*`: all other links together, loopback left out.
    """

    verdict: Literal["ok", "invalid_path", "invalid_isolation"]
    iface: Short
    rx_bytes: Bytes
    tx_bytes: Bytes
    other_rx_bytes: Bytes
    other_tx_bytes: Bytes
    ifindex_changed: bool
    server_saw: Address | None = None


class Position(Part, frozen=True, kw_only=True):
    """Where the probe stands. The surveyed site position is the position; fixes only confirm it."""

    source: Literal["surveyed", "gps", "none"]
    lat_e7: LatE7 | None = None
    lon_e7: LonE7 | None = None
    alt_mm: AltMm | None = None
    eph_mm: Mm | None = None
    fix_mode: Annotated[int, Meta(ge=2, le=3)] | None = None
    fix_age_ms: Ms | None = None
    sats_used: Annotated[int, Meta(ge=0, le=200)] | None = None
    hdop_x100: Annotated[int, Meta(ge=0, le=10_000)] | None = None
    surveyed_offset_m: Metres | None = None


class Host(Part, frozen=True, kw_only=True):
    """The Pi itself around the test."""

    uptime_ms: Ms | None = None
    cpu_temp_c_x10: TempX10 | None = None
    throttled_bits: Annotated[int, Meta(ge=0, le=2**32 - 1)] | None = None
    load1_x100: Small | None = None
    mem_available_bytes: Bytes | None = None
    disk_free_bytes: Bytes | None = None
    test_cpu_ppm: CpuPpm | None = None
    host_limited: bool | None = None
    spool_records: Small | None = None


class Budget(Part, frozen=True, kw_only=True):
    """Data of this SIM in its billing period, management traffic included."""

    period_start_ms: UnixMs | None = None
    used_bytes: Bytes | None = None
    limit_bytes: Bytes | None = None
    test_limit_bytes: Bytes | None = None


class Record(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="kind"):
    """Head of every record. (probe, epoch, seq) is its identity; `prev` chains it to the one before.

    `prev` is the base64 leaf hash SHA-256(0x00 || bytes) of the record with seq - 1, "" at seq 0.
    `mono_ms` counts since boot `boot` and `t_ms` is UTC; both are read when the thing recorded began.
    `t_ms` is None while the clock is not trusted; a later `clock_set` event of the same boot dates it.
    `beacon_*` name the last log checkpoint that the probe had verified.
    """

    v: Literal[1]
    probe: ProbeId
    epoch: Epoch
    seq: Seq
    prev: MaybeHash
    boot: BootId
    mono_ms: Ms
    clock: ClockState
    t_src: TimeSource
    fw: Short
    simulated: bool
    t_ms: UnixMs | None = None
    t_err_ms: Ms | None = None
    site: Code | None = None
    config_rev: Small | None = None
    beacon_size: Seq | None = None
    beacon_root: Hash | None = None


class TestRecord(Record, frozen=True, kw_only=True, tag="test"):
    """One scheduled, manual, acceptance or remote run, failed ones included.

    A slot is named by its start (`slot_ms`, UTC) and length; at most one counted sample a slot and modem.
    `engine_*_bps` is what the engine's library itself said, kept beside our own figure. The two series hold the
    bytes of each `series_step_ms` of the measured window, in order (the last step may be shorter).
    """

    __test__: ClassVar[bool] = False  # pytest, this is no test class

    modem: ModemId
    trigger: Literal["scheduled", "manual", "acceptance", "remote"]
    outcome: Literal["ok", "partial", "failed", "skipped"]
    referral: Code | None = None
    plmn: Plmn | None = None
    stage: Word | None = None
    cause: Word | None = None
    slot_ms: UnixMs | None = None
    slot_length_ms: Ms | None = None
    due_ms: UnixMs | None = None
    attempt: Small | None = None
    duration_ms: Ms | None = None
    engine: Literal["dosong", "speedtest-cli"] | None = None
    engine_version: Short | None = None
    server: Server | None = None
    ticket: Token | None = None
    downlink_receipt: Hash | None = None
    uplink_receipt: Hash | None = None
    downlink_bps: Bps | None = None
    downlink_bytes: Bytes | None = None
    downlink_us: Us | None = None
    downlink_flows: Small | None = None
    downlink_stop: Literal["time", "bytes", "precise", "error"] | None = None
    downlink_se_ppm: Small | None = None
    downlink_retrans: Small | None = None
    downlink_series_bytes: Series | None = None
    uplink_bps: Bps | None = None
    uplink_bytes: Bytes | None = None
    uplink_us: Us | None = None
    uplink_flows: Small | None = None
    uplink_stop: Literal["time", "bytes", "precise", "error"] | None = None
    uplink_se_ppm: Small | None = None
    uplink_retrans: Small | None = None
    uplink_series_bytes: Series | None = None
    series_step_ms: Small | None = None
    engine_downlink_bps: Bps | None = None
    engine_uplink_bps: Bps | None = None
    rtt_us_min: RttUs | None = None
    rtt_us_median: RttUs | None = None
    rtt_us_p95: RttUs | None = None
    rtt_sent: Small | None = None
    rtt_received: Small | None = None
    loss_ppm: Ppm | None = None
    pdv_us_p95: RttUs | None = None
    rtt_loaded_downlink_us_median: RttUs | None = None
    rtt_loaded_uplink_us_median: RttUs | None = None
    dns_us: RttUs | None = None
    connect_us: RttUs | None = None
    first_byte_us: RttUs | None = None
    path: Path | None = None
    radio: Radio | None = None
    position: Position | None = None
    host: Host | None = None
    budget: Budget | None = None


class CoverageRecord(Record, frozen=True, kw_only=True, tag="coverage"):
    """One window (an hour in the field) of service at one modem, without payload traffic.

    `states` has one letter a step of `step_ms` (60 steps of a minute in the field), `causes` one below each.
    The arrays have one place for each sixth of the window: polls of the modem, how many were registered,
    RSRP, RSRQ and SINR (minimum and median), the most frequent serving cell, and the access technology
    as 3GPP TS 27.007 §7.3 numbers it (<AcT>: 7 is E-UTRAN). Sixth i begins at step i*n//6 of n steps.
    """

    modem: ModemId
    step_ms: Positive
    states: Steps
    causes: StepCauses
    referral: Code | None = None
    plmn: Plmn | None = None
    polls: Counts6 | None = None
    polls_registered: Counts6 | None = None
    rsrp_dbm_x10_min: Rsrp6 | None = None
    rsrp_dbm_x10_median: Rsrp6 | None = None
    rsrq_db_x10_min: Rsrq6 | None = None
    rsrq_db_x10_median: Rsrq6 | None = None
    sinr_db_x10_min: Sinr6 | None = None
    sinr_db_x10_median: Sinr6 | None = None
    eci: Eci6 | None = None
    act: Act6 | None = None
    echo_sent: Small | None = None
    echo_received: Small | None = None
    echo_rtt_us_median: RttUs | None = None
    offline_ms: Ms | None = None
    longest_gap_ms: Ms | None = None
    rx_bytes: Bytes | None = None
    tx_bytes: Bytes | None = None


class BootRecord(Record, frozen=True, kw_only=True, tag="boot"):
    """The probe's program began. Names the previous head, so that a lost or rolled-back spool shows.

    `head_*` is the highest record that the probe knows of (its own spool's, or the ledger's from the last ACK).
    """

    reason: Literal["install", "start", "power", "crash", "watchdog", "update", "reboot", "new_epoch", "unknown"]
    spool: Literal["ok", "new", "lost", "rolled_back", "damaged"]
    head_epoch: Count | None = None
    head_seq: Count | None = None
    head_hash: Hash | None = None
    downtime_ms: Ms | None = None
    uptime_ms: Ms | None = None
    model: Text | None = None
    os: Text | None = None
    modems: Small | None = None


EventName = Literal[
    "outage_begin",
    "outage_end",
    "clock_set",
    "recovery",
    "sim_changed",
    "modem_changed",
    "modem_lost",
    "modem_back",
    "probe_moved",
    "config_applied",
    "config_refused",
    "remote_action",
    "door_opened",
    "stopping",
    "disk_error",
    "undervoltage",
]


class EventRecord(Record, frozen=True, kw_only=True, tag="event"):
    """Something happened: see the vocabulary `EventName` in SPEC.md.

    `clock_set`: at monotonic `set_mono_ms` of boot `boot` the time was `set_t_ms` ± `set_err_ms`; it dates every
    record of that boot whose `t_ms` is None.
    """

    event: EventName
    modem: ModemId | None = None
    stage: Word | None = None
    cause: Word | None = None
    rung: Word | None = None
    was: Text | None = None
    now: Text | None = None
    note: Text | None = None
    duration_ms: Ms | None = None
    distance_m: Metres | None = None
    set_mono_ms: Ms | None = None
    set_t_ms: UnixMs | None = None
    set_err_ms: Ms | None = None


class GapRecord(Record, frozen=True, kw_only=True, tag="gap"):
    """Records `from_seq` to `to_seq` of epoch `gap_epoch` were dropped before they were acknowledged.

    `last_leaf` is the leaf hash of the last one dropped, so that the chain goes on behind the hole. A gap goes
    first and advances the head; a record found later beats it.
    """

    gap_epoch: Positive
    from_seq: Count
    to_seq: Count
    last_leaf: Hash
    reason: Literal["spool_full", "spool_damaged", "disk_error"]


AnyRecord = TestRecord | CoverageRecord | BootRecord | EventRecord | GapRecord
KINDS: dict[str, type[Record]] = {
    "test": TestRecord,
    "coverage": CoverageRecord,
    "boot": BootRecord,
    "event": EventRecord,
    "gap": GapRecord,
}
