"""What an engine is asked and what it answers: plain values, shared by the daemon and the engines' children.

They live in a module of their own so that a child starts without the daemon's libraries.
Source: design §6; facts note 03 §4, §5.
"""

from __future__ import annotations

from dataclasses import dataclass

MEMORY_LIMIT_BYTES = 192 << 20  # address space; speedtest-cli uses 42 MiB, our engine less
SETUP_LIMIT_S = 60


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom to take for the server over TLS: who shows a certificate for `name` that `ca_file` (PEM) vouches for."""

    ca_file: str
    name: str


@dataclass(frozen=True, slots=True)
class EngineRequest:
    """One test to run.

    `server_host` is an address, or a name that `dns_servers` (addresses of the link's servers) resolve.
    `udp_port` None: the server has no echo, so latency stays unknown. `portal_check`: the server is a point of
    ours and must give the fixed body first. A duration of 0 leaves that direction out; the byte limits count
    the link's bytes, None is no limit. `time_limit_s` None allows the durations and a minute for the rest.

    For the engine `dosong`: `probe` and `epoch` are whom the ticket is for; `cap_ms` is how long a direction may
    last, ramp included (a duration that is shorter wins), `error_goal_ppm` the standard error at which it ends
    before; `busy_wait_s` how long a busy point is waited for; `quiet_wait_s` how long others may be waited for that
    use the link; `expected_bps` what the link gave last (5 % of it is others' traffic); `ceiling_*_bps` what this
    host can do at most, None if it was never calibrated; `tls_ca_file` the PEM file that vouches for the server
    over TLS, None is plain TCP.
    """

    interface: str
    server_host: str
    server_port: int
    server_id: str
    udp_port: int | None = None
    dns_servers: tuple[str, ...] = ()
    portal_check: bool = True
    downlink_s: int = 10
    uplink_s: int = 10
    max_downlink_bytes: int | None = None
    max_uplink_bytes: int | None = None
    flows: int = 4
    echo_count: int = 20
    echo_interval_ms: int = 50
    memory_limit_bytes: int = MEMORY_LIMIT_BYTES
    time_limit_s: int | None = None
    probe: str = "p-unnamed"
    epoch: int = 1
    cap_ms: int = 5_000
    error_goal_ppm: int = 20_000
    busy_wait_s: int = 20
    quiet_wait_s: int = 10
    expected_bps: int | None = None
    ceiling_downlink_bps: int | None = None
    ceiling_uplink_bps: int | None = None
    tls_ca_file: str | None = None

    @property
    def trust(self) -> Trust | None:
        """Whom to trust over TLS; None without it."""
        return None if self.tls_ca_file is None else Trust(self.tls_ca_file, self.server_host)

    @property
    def kill_after_s(self) -> int:
        """Seconds after which the child is killed."""
        return self.time_limit_s or self.downlink_s + self.uplink_s + SETUP_LIMIT_S


@dataclass(frozen=True, slots=True)
class EngineResult:
    """What a test found; None is unknown. Rates in bit/s, times in microseconds.

    `outcome` is ok, partial (one direction failed) or failed; `stage` and `cause` are words of
    `wire.failure`, None if ok. `downlink_bytes` and `uplink_bytes` are all payload that the direction moved,
    `downlink_us` and `uplink_us` the window after the ramp that the rate is the mean of. Uplink payload is
    what the far end acknowledged. `engine_*_bps` is what the library said, ramp included and never corrected.
    `first_byte_us` counts from the start of the connection. `cpu_ppm` is the child's share of one core while
    bytes were moving; near 1,000,000 the host may have been the limit.

    Of the engine `dosong` alone: standard errors, retransmissions, the bytes of each `series_step_ms` of the window,
    `*_limit` (link, window, host, server or cap), `ticket`, the leaf hashes of the two receipts and the receipts' own
    bytes in base64 (`receipts`), `cross_bps` (what others moved on the link while it should have been idle, if that was
    too much), `retry_after_s` (a busy point's word), `*_wall_us` (request to stop, ramp included), `attempt` (2: others
    used the link during the first, which was thrown away). Those that the record has no place for stay with the daemon.
    """

    outcome: str
    stage: str | None = None
    cause: str | None = None
    engine: str = "speedtest-cli"
    engine_version: str | None = None
    server: str | None = None
    downlink_bps: int | None = None
    uplink_bps: int | None = None
    downlink_bytes: int | None = None
    uplink_bytes: int | None = None
    downlink_us: int | None = None
    uplink_us: int | None = None
    downlink_flows: int | None = None
    uplink_flows: int | None = None
    engine_downlink_bps: int | None = None
    engine_uplink_bps: int | None = None
    downlink_stop: str | None = None
    uplink_stop: str | None = None
    rtt_us_min: int | None = None
    rtt_us_median: int | None = None
    rtt_us_p95: int | None = None
    rtt_sent: int | None = None
    rtt_received: int | None = None
    pdv_us_p95: int | None = None
    rtt_loaded_downlink_us_median: int | None = None
    rtt_loaded_uplink_us_median: int | None = None
    dns_us: int | None = None
    connect_us: int | None = None
    first_byte_us: int | None = None
    cpu_ppm: int | None = None
    downlink_se_ppm: int | None = None
    uplink_se_ppm: int | None = None
    downlink_retrans: int | None = None
    uplink_retrans: int | None = None
    downlink_series_bytes: tuple[int, ...] | None = None
    uplink_series_bytes: tuple[int, ...] | None = None
    series_step_ms: int | None = None
    ticket: str | None = None
    downlink_receipt: str | None = None
    uplink_receipt: str | None = None
    receipts: tuple[str, ...] = ()
    downlink_limit: str | None = None
    uplink_limit: str | None = None
    cross_bps: int | None = None
    retry_after_s: int | None = None
    downlink_wall_us: int | None = None
    uplink_wall_us: int | None = None
    attempt: int = 1
