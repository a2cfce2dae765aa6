"""Every other kind of signed note, version 1: who signs it, what it says, whether it is a leaf of the log.

The first line of each is `<origin>/<type>/v1`, the second one canonical JSON object. (A checkpoint is no JSON:
see `wire.tlog`.) `SPEC.md` lists them in prose; `NOTE_TYPES` is the table that both are checked against.
Source: design §4, §5, §7; facts note 08 §3.2, §3.3, §4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from wire import canon, note
from wire.codec import domain
from wire.errors import Refused
from wire.records import (
    BootId,
    Code,
    Count,
    Hash,
    LatE7,
    LonE7,
    ModemId,
    Ms,
    Plmn,
    Positive,
    ProbeId,
    Short,
    Text,
    Token,
    UnixMs,
    Word,
)

MAX_NOTE_BYTES = 16 * 1024
Seed = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
Month = Annotated[str, Meta(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])\Z")]
Vkey = Annotated[str, Meta(max_length=256)]


class Statement(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Base of all note objects: version, and when it was signed (UTC, milliseconds)."""

    v: Literal[1]
    signed_ms: UnixMs


class Ack(Statement, frozen=True, kw_only=True):
    """Receipt of the ledger, cumulative and retained: all of `epoch` up to `upto` is committed.

    `head` is the leaf hash of record `upto`: a probe releases only if it is its own. `upto` and `head` are None
    while nothing contiguous is held. `gen` rises when the ledger was restored; only a higher `gen` may lower `upto`.
    `size` is the number of records in the ledger of this probe (all epochs).
    """

    probe: ProbeId
    epoch: Positive
    gen: Count
    size: Count
    upto: Count | None = None
    head: Hash | None = None


class ModemConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Plan of one modem for the months that `Config.seeds` covers."""

    slots: Positive
    plmn: Plmn | None = None
    limit_bytes: Count | None = None
    test_limit_bytes: Count | None = None
    billing_day: Annotated[int, Meta(ge=1, le=28)] | None = None
    engine: Literal["dosong", "speedtest-cli"] | None = None


class Config(Statement, frozen=True, kw_only=True):
    """What a probe is told to do. Rising `rev`; not obeyed after `expires_ms`; can never change trust roots."""

    probe: ProbeId
    rev: Positive
    expires_ms: UnixMs
    site: Code
    referral: Code
    lat_e7: LatE7 | None = None
    lon_e7: LonE7 | None = None
    modems: dict[ModemId, ModemConfig]
    seeds: dict[Annotated[str, Meta(pattern=r"^[0-9]{4}_(0[1-9]|1[0-2])\Z")], Seed]
    server: Text | None = None
    action: Literal["doctor", "test", "modem_restart", "open_door"] | None = None
    action_id: Token | None = None


class Ticket(Statement, frozen=True, kw_only=True):
    """Leave to run one test: made by the measurement point for one probe, at most 120 s ahead."""

    ticket: Token
    probe: ProbeId
    epoch: Positive
    point: Code
    source: Text
    expires_ms: UnixMs


class Receipt(Statement, frozen=True, kw_only=True):
    """What the measurement point saw of one transfer: the second witness of a sample."""

    ticket: Token
    probe: ProbeId
    point: Code
    direction: Literal["downlink", "uplink"]
    source: Text
    bytes: Count
    duration_us: Count
    rate_bps: Count | None = None
    rtt_us_min: Count | None = None
    retrans: Count | None = None


class Enrol(Statement, frozen=True, kw_only=True):
    """A probe shows its keys for the first time, signed by the record key that it shows."""

    probe: ProbeId
    record_key: Vkey
    tls_key_sha256: Hash
    token_sha256: Hash
    hardware_sha256: Hash | None = None
    model: Text | None = None
    fw: Short | None = None


class Key(Statement, frozen=True, kw_only=True):
    """A new record key for a probe, signed by the old one; from `epoch` on only the new one signs."""

    probe: ProbeId
    epoch: Positive
    record_key: Vkey


class Revoke(Statement, frozen=True, kw_only=True):
    """A key is no longer accepted for anything received after this note's place in the log."""

    key_name: Text
    key: Vkey
    reason: Text
    actor: Code


class Place(Statement, frozen=True, kw_only=True):
    """A site's surveyed position, and how it was confirmed."""

    site: Code
    hamlet: Code
    commune: Code
    lat_e7: LatE7
    lon_e7: LonE7
    radius_mm: Count
    fixes: Count
    method: Literal["survey", "visit", "map"]
    actor: Code


class Acceptance(Statement, frozen=True, kw_only=True):
    """A technician left a site green: what was checked, and the code that the office was told."""

    probe: ProbeId
    site: Code
    actor: Code
    code: Annotated[str, Meta(pattern=r"^[0-9A-Z]{8}\Z")]
    checks_ok: Count
    checks_failed: Count
    test_seq: Count | None = None
    test_epoch: Count | None = None


class Assignment(Statement, frozen=True, kw_only=True):
    """From `valid_from_ms` until `valid_until_ms` (open if None) `subject` belongs to `target`."""

    relation: Literal["probe_site", "referral_unit", "sim_modem", "site_hamlet"]
    subject: Code
    target: Code
    valid_from_ms: UnixMs
    actor: Code
    valid_until_ms: UnixMs | None = None


class Review(Statement, frozen=True, kw_only=True):
    """Two people changed how one record counts; the record itself never changes."""

    probe: ProbeId
    epoch: Positive
    seq: Count
    leaf: Hash
    verdict: Literal["counted", "not_counted"]
    reason: Text
    actor: Code
    second_actor: Code


class Rules(Statement, frozen=True, kw_only=True):
    """A set of counting, coverage or plausibility rules came into force."""

    name: Word
    version: Positive
    rules_sha256: Hash
    valid_from_ms: UnixMs
    actor: Code


class MonthStatement(Statement, frozen=True, kw_only=True):
    """Month-end statement of a hamlet: the counts that the report prints."""

    month: Month
    hamlet: Code
    rules_sha256: Hash
    tests: Count
    counted: Count
    failed: Count
    missed: Count
    covered_ms: Ms
    degraded_ms: Ms
    no_service_ms: Ms
    unknown_ms: Ms


class TimeNote(Statement, frozen=True, kw_only=True):
    """Answer to a nonce, for a probe whose clock is too wrong for TLS. `signed_ms` is the time."""

    nonce: Token
    boot: BootId | None = None


@dataclass(frozen=True, slots=True)
class NoteType:
    """One row of the table: object type (None: no JSON), signer's key name below the origin, leaf or not."""

    name: str
    shape: type[Statement] | None
    signer: str
    leaf: bool
    purpose: str


NOTE_TYPES: dict[str, NoteType] = {
    row.name: row
    for row in (
        NoteType("sample", None, "probe/<id>", True, "every record of a probe (five kinds, wire.records)"),
        NoteType("ack", Ack, "ack", False, "the ledger's receipt to one probe"),
        NoteType("checkpoint", None, "log", False, "size and root of the log (C2SP tlog-checkpoint, no JSON)"),
        NoteType("config", Config, "config", True, "what a probe is told to do"),
        NoteType("ticket", Ticket, "point/<id>", False, "leave to run one test"),
        NoteType("receipt", Receipt, "point/<id>", True, "what the measurement point saw of one transfer"),
        NoteType("enrol", Enrol, "probe/<id>", True, "a probe shows its keys"),
        NoteType("key", Key, "probe/<id>", True, "a probe's next key, signed by the one before"),
        NoteType("revoke", Revoke, "registry", True, "a key is out"),
        NoteType("place", Place, "registry", True, "a site's surveyed position"),
        NoteType("acceptance", Acceptance, "registry", True, "a technician left a site green"),
        NoteType("assignment", Assignment, "registry", True, "probe to site, code to unit, SIM to modem"),
        NoteType("review", Review, "registry", True, "two people changed how one record counts"),
        NoteType("rules", Rules, "registry", True, "a set of rules came into force"),
        NoteType("statement", MonthStatement, "registry", True, "month-end counts of a hamlet"),
        NoteType("time", TimeNote, "time", False, "the time, for a clock too wrong for TLS"),
    )
}

_ENCODER = msgspec.json.Encoder(order="sorted")
_TYPE_OF = {row.shape: row.name for row in NOTE_TYPES.values() if row.shape is not None}
T = TypeVar("T", bound=Statement)


def seal(obj: Statement, origin: str, signer: note.Signer) -> bytes:
    """Return the signed bytes of a note object. Raises Refused("schema" | "not_canonical" | "too_big")."""
    name = _TYPE_OF[type(obj)]
    body = _ENCODER.encode(obj)
    _parse(body, type(obj))
    raw = note.sign(f"{domain(origin, name)}\n".encode() + body + b"\n", signer)
    if len(raw) > MAX_NOTE_BYTES:
        raise Refused("too_big", f"{len(raw)} bytes; a note has at most {MAX_NOTE_BYTES}")
    return raw


def open_note(raw: bytes, shape: type[T], origin: str, verifier: note.Verifier) -> T:
    """Verify and read a note of type `shape`, signed by `verifier`.

    Raises Refused: too_big, not_a_note, wrong_domain, unknown_key, bad_signature, not_json, not_canonical, schema.
    """
    if len(raw) > MAX_NOTE_BYTES:
        raise Refused("too_big", f"{len(raw)} bytes; a note has at most {MAX_NOTE_BYTES}")
    taken = note.split(raw)
    if len(taken.signatures) != 1:
        raise Refused("not_a_note", "exactly one signature is expected")
    first = f"{domain(origin, _TYPE_OF[shape])}\n".encode()
    if not taken.text.startswith(first):
        raise Refused("wrong_domain", f"first line {domain(origin, _TYPE_OF[shape])} expected")
    return _parse(note.verify(taken, verifier)[len(first) : -1], shape)


def _parse(body: bytes, shape: type[T]) -> T:
    try:
        obj = msgspec.json.decode(body, type=shape)
    except (msgspec.DecodeError, ValueError, RecursionError, OverflowError) as error:
        canon.decode(body)
        raise Refused("schema", str(error)[:200]) from error
    if _ENCODER.encode(obj) != body:
        canon.decode(body)
        raise Refused("not_canonical", "not the one accepted form")
    canon.check(msgspec.to_builtins(obj))
    _check_rules(obj)
    return obj


def _check_rules(obj: Statement) -> None:
    """Rules that no single field can state. Raises Refused("schema")."""
    if isinstance(obj, Ack) and (obj.upto is None) != (obj.head is None):
        raise Refused("schema", "an ack has upto and head, or neither")
    if isinstance(obj, Config):
        _check_config(obj)
    if isinstance(obj, Assignment) and obj.valid_until_ms is not None and obj.valid_until_ms <= obj.valid_from_ms:
        raise Refused("schema", "an assignment ends after it begins")
    if isinstance(obj, Review) and obj.actor == obj.second_actor:
        raise Refused("schema", "a review needs two people")


def _check_config(config: Config) -> None:
    if (config.action is None) != (config.action_id is None):
        raise Refused("schema", "an action has an id, and an id an action")
    if (config.lat_e7 is None) != (config.lon_e7 is None):
        raise Refused("schema", "a position has both coordinates")
    if config.expires_ms <= config.signed_ms:
        raise Refused("schema", "a config expires after it was signed")
