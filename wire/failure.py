"""The closed vocabularies: why a run gave no value, and why bytes were refused.

A failure is a result: it travels in the record as (stage, cause). Words are frozen with version 1; a new one
needs a new version. `unknown` is last on purpose: the catch-all that a review must be able to count.
Source: design §4; facts note 05 §4 (outages of the site); ETSI TS 102 250-2 for the split into stages.
"""

from __future__ import annotations

from enum import StrEnum


class Stage(StrEnum):
    """Where a run stopped, in the order in which a run passes through them."""

    SCHEDULE = "schedule"
    HOST = "host"
    MODEM = "modem"
    SIM = "sim"
    REGISTRATION = "registration"
    PDN = "pdn"
    PATH = "path"
    DNS = "dns"
    CONNECT = "connect"
    PORTAL = "portal"
    LATENCY = "latency"
    DOWNLINK = "downlink"
    UPLINK = "uplink"
    RECEIPT = "receipt"
    UNKNOWN = "unknown"


class Cause(StrEnum):
    """Why. Each belongs to one responsible party: see `SPEC.md`, "Failure vocabulary"."""

    NO_MODEM = "no_modem"
    MODEM_MUTE = "modem_mute"
    MODEM_ERROR = "modem_error"
    NO_SIM = "no_sim"
    SIM_LOCKED = "sim_locked"
    SIM_PUK = "sim_puk"
    WRONG_SIM = "wrong_sim"
    DENIED = "denied"
    SEARCHING = "searching"
    NOT_REGISTERED = "not_registered"
    LIMITED_SERVICE = "limited_service"
    NOT_LTE = "not_lte"
    NO_PDP = "no_pdp"
    NO_INTERFACE = "no_interface"
    NO_DNS = "no_dns"
    NO_IPV4 = "no_ipv4"
    CAPTIVE = "captive"
    PLAN_EXPIRED = "plan_expired"
    PLAN_THROTTLED = "plan_throttled"
    DATA_EXHAUSTED = "data_exhausted"
    BUDGET_SPENT = "budget_spent"
    NO_INTERNET = "no_internet"
    SERVER_UNREACHABLE = "server_unreachable"
    SERVER_BUSY = "server_busy"
    SERVER_ERROR = "server_error"
    SERVER_DOWN = "server_down"
    TICKET_REFUSED = "ticket_refused"
    TIMEOUT = "timeout"
    CUT_OFF = "cut_off"
    RESET = "reset"
    BYTES_MISSING = "bytes_missing"
    ECHO_LOST = "echo_lost"
    BROKER_UNREACHABLE = "broker_unreachable"
    CLOCK = "clock"
    POWER = "power"
    PROBE_OFF = "probe_off"
    OVERHEATED = "overheated"
    LOW_MEMORY = "low_memory"
    LOW_DISK = "low_disk"
    DISK_ERROR = "disk_error"
    HOST_LIMITED = "host_limited"
    ENGINE_ERROR = "engine_error"
    ENGINE_KILLED = "engine_killed"
    OVERLAP = "overlap"
    SLOT_PASSED = "slot_passed"
    NOT_CONFIGURED = "not_configured"
    STOPPED = "stopped"
    UNKNOWN = "unknown"


class Party(StrEnum):
    """Who must act first when a run fails: never a verdict on who is to blame."""

    SITE = "site"
    SIM = "sim"
    OPERATOR = "operator"
    SERVER = "server"
    PROBE = "probe"
    UNKNOWN = "unknown"


def _parties() -> dict[Cause, Party]:
    site = (Cause.POWER, Cause.PROBE_OFF, Cause.OVERHEATED)
    sim = (
        *(Cause.NO_SIM, Cause.SIM_LOCKED, Cause.SIM_PUK, Cause.WRONG_SIM, Cause.CAPTIVE),
        *(Cause.PLAN_EXPIRED, Cause.PLAN_THROTTLED, Cause.DATA_EXHAUSTED),
    )
    operator = (
        *(Cause.DENIED, Cause.SEARCHING, Cause.NOT_REGISTERED, Cause.LIMITED_SERVICE, Cause.NOT_LTE, Cause.NO_PDP),
        *(Cause.NO_DNS, Cause.NO_IPV4, Cause.NO_INTERNET, Cause.TIMEOUT, Cause.CUT_OFF, Cause.RESET),
        *(Cause.BYTES_MISSING, Cause.ECHO_LOST),
    )
    server = (
        *(Cause.SERVER_UNREACHABLE, Cause.SERVER_BUSY, Cause.SERVER_ERROR, Cause.SERVER_DOWN),
        *(Cause.TICKET_REFUSED, Cause.BROKER_UNREACHABLE),
    )
    groups = {Party.SITE: site, Party.SIM: sim, Party.OPERATOR: operator, Party.SERVER: server}
    known = {cause: party for party, causes in groups.items() for cause in causes}
    rest = {cause: Party.PROBE for cause in Cause if cause not in known}
    return {**known, **rest, Cause.UNKNOWN: Party.UNKNOWN}


PARTY = _parties()
"""The responsible party of every cause."""


class RefusalReason(StrEnum):
    """Why a delivery was refused (first group), or stored but not counted (second group)."""

    WRONG_TOPIC = "wrong_topic"
    BAD_BUNDLE = "bad_bundle"
    TOO_BIG = "too_big"
    NOT_A_NOTE = "not_a_note"
    WRONG_DOMAIN = "wrong_domain"
    BAD_KEY = "bad_key"
    UNKNOWN_PROBE = "unknown_probe"
    UNKNOWN_KEY = "unknown_key"
    REVOKED_KEY = "revoked_key"
    BAD_SIGNATURE = "bad_signature"

    NOT_JSON = "not_json"
    NOT_CANONICAL = "not_canonical"
    SCHEMA = "schema"
    WRONG_PROBE = "wrong_probe"
    FORK = "fork"
    BROKEN_CHAIN = "broken_chain"


UNAUTHENTIC = frozenset(list(RefusalReason)[: list(RefusalReason).index(RefusalReason.NOT_JSON)])
"""Reasons for which bytes are refused outright; with any other reason they are stored and acknowledged."""


COVERAGE_STATES = {"C": "covered", "D": "degraded", "N": "no_service", "U": "unknown"}
"""State letters of a coverage record, one a step."""

COVERAGE_CAUSES: dict[str, Cause | None] = {
    ".": None,
    "r": Cause.NOT_REGISTERED,
    "s": Cause.SEARCHING,
    "d": Cause.DENIED,
    "l": Cause.LIMITED_SERVICE,
    "n": Cause.NOT_LTE,
    "e": Cause.ECHO_LOST,
    "p": Cause.NO_PDP,
    "c": Cause.CAPTIVE,
    "i": Cause.NO_SIM,
    "k": Cause.SIM_LOCKED,
    "u": Cause.SIM_PUK,
    "w": Cause.WRONG_SIM,
    "x": Cause.PLAN_EXPIRED,
    "t": Cause.PLAN_THROTTLED,
    "b": Cause.DATA_EXHAUSTED,
    "m": Cause.NO_MODEM,
    "q": Cause.MODEM_MUTE,
    "g": Cause.MODEM_ERROR,
    "v": Cause.SERVER_DOWN,
    "h": Cause.CLOCK,
    "o": Cause.PROBE_OFF,
    "f": Cause.POWER,
    "z": Cause.UNKNOWN,
}
"""Cause letters that stand below the state letters; `.` below a covered step."""
