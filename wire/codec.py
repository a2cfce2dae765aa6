"""Record to signed bytes and back: the one door through which records pass.

The order of checks is fixed: size, note shape, key, signature over the raw bytes, strict parse, canonical form,
schema. Bytes that fail before the signature are refused; bytes that fail after it are authentic: the collector
stores and acknowledges them and does not count them.
Source: facts note 08 §3.1; design §7, ACK.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import msgspec

from wire import canon, note
from wire.bundle import MAX_RECORD_BYTES
from wire.errors import Refused
from wire.failure import COVERAGE_CAUSES, Cause, Stage
from wire.records import AnyRecord, CoverageRecord, GapRecord, Record, TestRecord

_ENCODER = msgspec.json.Encoder(order="sorted")
_DECODER = msgspec.json.Decoder(AnyRecord)


@dataclass(frozen=True, slots=True)
class Head:
    """What the chain needs of an authentic record, even of one that breaks the schema."""

    probe: str
    epoch: int
    seq: int
    prev: str


@dataclass(frozen=True, slots=True)
class Opened:
    """An authentic record. `record` is None and `fault` says why if it breaks the form or the schema.

    `head` is None only if not even (probe, epoch, seq, prev) can be read from it.
    """

    raw: bytes
    leaf: bytes
    record: AnyRecord | None
    head: Head | None
    fault: Refused | None


def probe_key_name(origin: str, probe: str) -> str:
    """Name of a probe's record key: `<origin>/probe/<id>`."""
    return f"{origin}/probe/{probe}"


def domain(origin: str, note_type: str) -> str:
    """First line of a note: separates the purposes that one key could be abused for."""
    return f"{origin}/{note_type}/v1"


def leaf_hash(raw: bytes) -> bytes:
    """RFC 6962 leaf hash of a record's bytes: SHA-256(0x00 || bytes), 32 bytes."""
    return sha256(b"\x00" + raw).digest()


def leaf_text(leaf: bytes) -> str:
    """A leaf hash as it stands in `prev` and `head`: base64."""
    return base64.b64encode(leaf).decode()


def seal(record: AnyRecord, origin: str, signer: note.Signer) -> bytes:
    """Return the signed bytes of `record`.

    Raises Refused if the record could not be opened again: a probe must never sign what its collector would
    not count. Reasons: "schema", "not_canonical", "too_big".
    """
    body = _ENCODER.encode(record)
    _parse(body)
    raw = note.sign(f"{domain(origin, 'sample')}\n".encode() + body + b"\n", signer)
    if len(raw) > MAX_RECORD_BYTES:
        raise Refused("too_big", f"{len(raw)} bytes; a record has at most {MAX_RECORD_BYTES}")
    return raw


def peek_key_name(raw: bytes) -> str:
    """Return the key name of a record's one signature line, unverified. Raises Refused if it is no note."""
    return _take(raw).signatures[0].name


def _take(raw: bytes) -> note.Note:
    if len(raw) > MAX_RECORD_BYTES:
        raise Refused("too_big", f"{len(raw)} bytes; a record has at most {MAX_RECORD_BYTES}")
    taken = note.split(raw)
    if len(taken.signatures) != 1:
        raise Refused("not_a_note", "a record has exactly one signature")
    return taken


def authenticate(raw: bytes, origin: str, verifier: note.Verifier) -> bytes:
    """Check size, shape, domain, key and signature; return the JSON bytes, not yet parsed.

    Raises Refused: too_big, not_a_note, wrong_domain, unknown_key, bad_signature.
    """
    taken = _take(raw)
    first = f"{domain(origin, 'sample')}\n".encode()
    if not taken.text.startswith(first):
        raise Refused("wrong_domain", f"first line {domain(origin, 'sample')} expected")
    return note.verify(taken, verifier)[len(first) : -1]


def open_record(raw: bytes, origin: str, probe: str, verifier: note.Verifier) -> Opened:
    """Verify and read one record of `probe`. Raises Refused only if the bytes are not authentic."""
    body = authenticate(raw, origin, verifier)
    return read_authentic(raw, body, probe)


def read_authentic(raw: bytes, body: bytes, probe: str) -> Opened:
    """Read a record whose signature has been checked; never raises for what stands in it."""
    leaf = leaf_hash(raw)
    try:
        record = _parse(body)
    except Refused as fault:
        return Opened(raw, leaf, None, _read_head(body, probe), fault)
    if record.probe != probe:
        return Opened(raw, leaf, None, None, Refused("wrong_probe", "object names another probe than its key"))
    return Opened(raw, leaf, record, Head(record.probe, record.epoch, record.seq, record.prev), None)


def decode_body(body: bytes) -> AnyRecord:
    """Read the JSON object of a record that is already known to be authentic. Raises Refused."""
    return _parse(body)


def body_of(raw: bytes) -> bytes:
    """Return the JSON bytes of stored record bytes, unverified. Raises Refused("not_a_note")."""
    return note.split(raw).text.split(b"\n", 1)[1].rstrip(b"\n")


def _parse(body: bytes) -> AnyRecord:
    try:
        record: AnyRecord = _DECODER.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError, OverflowError) as error:
        canon.decode(body)
        raise Refused("schema", str(error)[:200]) from error
    if _ENCODER.encode(record) != body:
        canon.decode(body)
        raise Refused("not_canonical", "not the one accepted form")
    canon.encode(msgspec.to_builtins(record))
    _check_rules(record)
    return record


def _check_rules(record: Record) -> None:
    """Rules that no single field can state. Raises Refused("schema")."""
    if (record.prev == "") != (record.seq == 0):
        raise Refused("schema", "prev is empty at seq 0 and only there")
    if record.clock == "trusted" and record.t_ms is None:
        raise Refused("schema", "a trusted clock dates its record")
    if isinstance(record, CoverageRecord):
        _check_coverage(record)
    elif isinstance(record, GapRecord) and record.from_seq > record.to_seq:
        raise Refused("schema", "a gap runs from its first to its last record")
    elif isinstance(record, TestRecord):
        _check_test(record)


def _check_coverage(record: CoverageRecord) -> None:
    if len(record.causes) != len(record.states):
        raise Refused("schema", "one cause letter below each state letter")
    if any(cause not in COVERAGE_CAUSES for cause in record.causes):
        raise Refused("schema", "unknown cause letter")
    if any((s == "C") != (c == ".") for s, c in zip(record.states, record.causes, strict=True)):
        raise Refused("schema", "every step that is not covered has its cause")


def _check_test(record: TestRecord) -> None:
    if (record.cause is None) != (record.outcome == "ok") or (record.stage is None) != (record.cause is None):
        raise Refused("schema", "every outcome but ok has a stage and a cause")
    if record.stage is not None and record.stage not in set(Stage):
        raise Refused("schema", f"stage {record.stage} is not in the vocabulary")
    if record.cause is not None and record.cause not in set(Cause):
        raise Refused("schema", f"cause {record.cause} is not in the vocabulary")


def _read_head(body: bytes, probe: str) -> Head | None:
    """Find the place in the chain of an authentic record that breaks the schema; None if it has none."""
    try:
        obj: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    if not isinstance(obj, dict) or obj.get("probe") != probe:
        return None
    epoch, seq, prev = obj.get("epoch"), obj.get("seq"), obj.get("prev")
    if type(epoch) is not int or type(seq) is not int or not isinstance(prev, str):
        return None
    in_range = 1 <= epoch <= canon.MAX_INT and 0 <= seq <= canon.MAX_INT and len(prev) <= 44
    return Head(probe, epoch, seq, prev) if in_range else None
