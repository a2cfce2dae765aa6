"""Record to signed bytes and back: the one door through which records pass.

The order of checks is fixed: size, note shape, key, signature over the raw bytes, strict parse, canonical form,
schema. Bytes that fail before the signature are refused; bytes that fail after it are authentic: the collector
stores and acknowledges them and does not count them.
Source: facts note 08 §3.1; design §7, ACK.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
from msgspec.structs import replace

from wire import canon, note
from wire.bundle import MAX_RECORD_BYTES
from wire.errors import Refused
from wire.failure import COVERAGE_CAUSES, Cause, Stage
from wire.plain import (
    GapRange,
    Head,
    Seen,
    authenticate,
    body_of,
    domain,
    leaf_hash,
    leaf_text,
    peek_key_name,
    probe_key_name,
    read_head,
    take,
)
from wire.records import AnyRecord, CoverageRecord, EventRecord, GapRecord, Record, TestRecord

__all__ = [
    "Head",
    "Opened",
    "authenticate",
    "body_of",
    "decode_body",
    "domain",
    "leaf_hash",
    "leaf_text",
    "open_record",
    "peek_key_name",
    "probe_key_name",
    "read_authentic",
    "seal",
    "see",
    "take",
]

_ENCODER = msgspec.json.Encoder(order="sorted")
_DECODER = msgspec.json.Decoder(AnyRecord)
_ESCAPED = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)+"')
"""A string with an escape in it, of bytes that are JSON: none begins behind a string, for there are no escapes."""
_COVERED = str.maketrans({"C": ".", "D": "\x01", "N": "\x01", "U": "\x01"})
_CAUSED = str.maketrans({letter: "." if letter == "." else "\x01" for letter in COVERAGE_CAUSES} | {"\x01": "\x02"})
_STAGES, _CAUSES = frozenset(Stage), frozenset(Cause)


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


def seal(record: AnyRecord, origin: str, signer: note.Signer) -> bytes:
    """Return the signed bytes of `record`.

    A test record over 4,096 bytes is signed without its series, then also without `radio.raw`: these are extras,
    and without them every valid record fits.
    Raises Refused if the record could not be opened again: a probe must never sign what its collector would
    not count. Reasons: "schema", "not_canonical", "too_big".
    """
    first = f"{domain(origin, 'sample')}\n".encode()
    room = MAX_RECORD_BYTES - len(first) - len(note.sign(b"\n", signer))
    for smaller in _shrink(record):
        body = _ENCODER.encode(smaller)
        if len(body) <= room:
            _parse(body)
            return note.sign(first + body + b"\n", signer)
    raise Refused("too_big", f"{len(body)} bytes of JSON; {room} are left beside the signature")


def _shrink(record: AnyRecord) -> Iterator[AnyRecord]:
    yield record
    if isinstance(record, TestRecord):
        record = replace(record, series_step_ms=None, downlink_series_bytes=None, uplink_series_bytes=None)
        yield record
        if record.radio is not None:
            yield replace(record, radio=replace(record.radio, raw=None))


def open_record(raw: bytes, origin: str, probe: str, verifier: note.Verifier) -> Opened:
    """Verify and read one record of `probe`. Raises Refused only if the bytes are not authentic."""
    body = authenticate(raw, origin, verifier)
    return read_authentic(raw, body, probe)


def see(raw: bytes, origin: str, probe: str, verifier: note.Verifier) -> Seen:
    """Verify and read one record of `probe` as an audit needs it, its schema checked too. Raises Refused as above."""
    one = open_record(raw, origin, probe, verifier)
    record = one.record
    if record is None:
        return Seen(one.leaf, one.head, one.fault)
    gap = None
    if isinstance(record, GapRecord):
        gap = GapRange(record.gap_epoch, record.from_seq, record.to_seq, record.last_leaf)
    return Seen(one.leaf, one.head, None, str(type(record).__struct_config__.tag), record.t_ms, gap)


def read_authentic(raw: bytes, body: bytes, probe: str) -> Opened:
    """Read a record whose signature has been checked; never raises for what stands in it."""
    leaf = leaf_hash(raw)
    try:
        record = _parse(body)
    except Refused as fault:
        return Opened(raw, leaf, None, read_head(body, probe), fault)
    if record.probe != probe:
        return Opened(raw, leaf, None, None, Refused("wrong_probe", "object names another probe than its key"))
    return Opened(raw, leaf, record, Head(record.probe, record.epoch, record.seq, record.prev), None)


def decode_body(body: bytes) -> AnyRecord:
    """Read the JSON object of a record that is already known to be authentic. Raises Refused."""
    return _parse(body)


def reread(raw: bytes) -> AnyRecord:
    """The record in bytes that were accepted once: read by the schema, not judged again. Raises Refused."""
    begin = raw.find(b"\n") + 1
    try:
        record: AnyRecord = _DECODER.decode(raw[begin : raw.find(b"\n", begin)])
    except (msgspec.DecodeError, ValueError, RecursionError, OverflowError) as error:
        raise Refused("schema", str(error)[:200]) from error
    return record


def _parse(body: bytes) -> AnyRecord:
    try:
        record: AnyRecord = _DECODER.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError, OverflowError) as error:
        canon.decode(body)
        raise Refused("schema", str(error)[:200]) from error
    if _ENCODER.encode(record) != body:
        canon.decode(body)
        raise Refused("not_canonical", "not the one accepted form")
    if not _is_plain(body):
        canon.check(msgspec.to_builtins(record))
    elif b"\\" in body:
        for escaped in _ESCAPED.findall(body):
            canon.check_string(msgspec.json.decode(escaped))
    # The schema says all the rest that `canon.check` would: see tests/wire/test_plain_bytes.py.
    _check_rules(record)
    return record


def _is_plain(body: bytes) -> bool:
    """`canon.is_plain` of bytes that our encoder wrote: it leaves no control character but DEL unescaped."""
    return b"\x7f" not in body if body.isascii() else canon.is_plain(body.decode())


def _check_rules(record: Record) -> None:
    """Rules that no single field can state. Raises Refused("schema")."""
    _need((record.prev == "") == (record.seq == 0), "prev is empty at seq 0 and only there")
    _need(record.clock != "trusted" or record.t_ms is not None, "a trusted clock dates its record")
    _need((record.beacon_size is None) == (record.beacon_root is None), "a beacon has a size and a root")
    if isinstance(record, TestRecord):
        _check_test(record)
    elif isinstance(record, CoverageRecord):
        _check_coverage(record)
    elif isinstance(record, EventRecord):
        _check_event(record)
    elif isinstance(record, GapRecord):
        _need(record.from_seq <= record.to_seq, "a gap runs from its first to its last record")


def _need(holds: bool, rule: str) -> None:
    if not holds:
        raise Refused("schema", rule)


def _check_words(stage: str | None, cause: str | None) -> None:
    if stage is not None and stage not in _STAGES:
        raise Refused("schema", f"stage {stage} is not in the vocabulary")
    if cause is not None and cause not in _CAUSES:
        raise Refused("schema", f"cause {cause} is not in the vocabulary")


def _check_test(record: TestRecord) -> None:
    failed = record.outcome != "ok"
    _need((record.cause is not None) == failed, "every outcome but ok has a stage and a cause")
    _need((record.stage is not None) == failed, "every outcome but ok has a stage and a cause")
    _check_words(record.stage, record.cause)
    place = record.position
    _need(place is None or (place.lat_e7 is None) == (place.lon_e7 is None), "a position has both coordinates")


def _check_coverage(record: CoverageRecord) -> None:
    if record.states.translate(_COVERED) == record.causes.translate(_CAUSED):
        return
    # One of these does not hold.
    _need(len(record.causes) == len(record.states), "one cause letter below each state letter")
    _need(all(cause in COVERAGE_CAUSES for cause in record.causes), "unknown cause letter")
    pairs = zip(record.states, record.causes, strict=True)
    _need(all((s == "C") == (c == ".") for s, c in pairs), "every step that is not covered has its cause")


def _check_event(record: EventRecord) -> None:
    _check_words(record.stage, record.cause)
    dated = record.set_mono_ms is not None and record.set_t_ms is not None
    _need(record.event != "clock_set" or dated, "clock_set names the monotonic and the wall time that it joins")
