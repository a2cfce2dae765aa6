"""What a record's bytes say without a schema: signature, canonical form, place in the chain.

Needs only the standard library and cryptography, so that the one-file verifier can be made from it; `wire.codec` adds
the schema. The order of checks is SPEC's: size, note shape, key, signature over the raw bytes, strict parse, form.
Source: facts note 08 §3.1; SPEC.md, "Order of checks".
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from wire import canon, note
from wire.bundle import MAX_RECORD_BYTES
from wire.errors import Misconfigured, Refused

_ORIGIN = re.compile(r"[a-z0-9][a-z0-9.-]{0,63}")


@dataclass(frozen=True, slots=True)
class Head:
    """What the chain needs of an authentic record, even of one that breaks the schema."""

    probe: str
    epoch: int
    seq: int
    prev: str


def probe_key_name(origin: str, probe: str) -> str:
    """Name of a probe's record key: `<origin>/probe/<id>`."""
    return f"{origin}/probe/{probe}"


def domain(origin: str, note_type: str) -> str:
    """First line of a note: separates the purposes that one key could be abused for.

    Raises Misconfigured unless `origin` is 1 to 64 of `a-z 0-9 . -`: records must fit whatever the origin.
    """
    if _ORIGIN.fullmatch(origin) is None:
        raise Misconfigured(f"origin {origin[:80]!r}: 1 to 64 of a-z, 0-9, dot and hyphen, as in dosong.example")
    return f"{origin}/{note_type}/v1"


def leaf_hash(raw: bytes) -> bytes:
    """RFC 6962 leaf hash of a record's bytes: SHA-256(0x00 || bytes), 32 bytes."""
    return sha256(b"\x00" + raw).digest()


def leaf_text(leaf: bytes) -> str:
    """A leaf hash as it stands in `prev` and `head`: base64."""
    return base64.b64encode(leaf).decode()


def is_other_leaf(raw: bytes, origins: Collection[str]) -> bool:
    """Whether bytes call themselves a leaf of one of these deployments that is no record: a receipt, a note, a line
    of the audit trail (unsigned, so only the log vouches for it), or the checkpoint that a restored log begins with."""
    origin, slash, rest = raw.partition(b"\n")[0].decode("utf-8", "replace").partition("/")
    return bool(slash) and origin in origins and rest != "sample/v1"


def peek_key_name(raw: bytes) -> str:
    """Return the key name of a record's one signature line, unverified. Raises Refused if it is no note."""
    return take(raw).signatures[0].name


def take(raw: bytes) -> note.Note:
    """Take a record's note apart, unverified. Raises Refused("too_big" | "not_a_note")."""
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
    taken = take(raw)
    first = f"{domain(origin, 'sample')}\n".encode()
    if not taken.text.startswith(first):
        raise Refused("wrong_domain", f"first line {domain(origin, 'sample')} expected")
    return note.verify(taken, verifier)[len(first) : -1]


def body_of(raw: bytes) -> bytes:
    """Return the JSON bytes of stored record bytes, unverified. Raises Refused("not_a_note")."""
    return note.split(raw).text.partition(b"\n")[2][:-1]


@dataclass(frozen=True, slots=True)
class GapRange:
    """Records `from_seq` to `to_seq` of `epoch` that the probe itself declared lost; `last_leaf` is base64."""

    epoch: int
    from_seq: int
    to_seq: int
    last_leaf: str


@dataclass(frozen=True, slots=True)
class Seen:
    """An authentic record as an audit needs it. `kind` and `t_ms` are None if its form is broken: `fault` says how."""

    leaf: bytes
    head: Head | None
    fault: Refused | None
    kind: str | None = None
    t_ms: int | None = None
    gap: GapRange | None = None


def see(raw: bytes, origin: str, probe: str, verifier: note.Verifier) -> Seen:
    """Verify and read one record of `probe`, its schema unchecked. Raises Refused only if it is not authentic."""
    body = authenticate(raw, origin, verifier)
    leaf = leaf_hash(raw)
    try:
        obj = canon.decode(body)
    except Refused as fault:
        return Seen(leaf, read_head(body, probe), fault)
    if obj.get("probe") != probe:
        return Seen(leaf, None, Refused("wrong_probe", "object names another probe than its key"))
    head = read_head(body, probe)
    kind, t_ms = obj.get("kind"), obj.get("t_ms")
    if head is None or not isinstance(kind, str) or not isinstance(t_ms, int | None):
        return Seen(leaf, head, Refused("schema", "probe, epoch, seq, prev and kind are expected"))
    return Seen(leaf, head, None, kind, t_ms, _gap(obj) if kind == "gap" else None)


def _gap(obj: dict[str, Any]) -> GapRange | None:
    numbers = [obj.get(name) for name in ("gap_epoch", "from_seq", "to_seq")]
    last = obj.get("last_leaf")
    if not all(type(number) is int for number in numbers) or not isinstance(last, str):
        return None
    return GapRange(numbers[0], numbers[1], numbers[2], last)  # type: ignore[arg-type]  # found to be integers


def read_head(body: bytes, probe: str) -> Head | None:
    """Find the place in the chain of an authentic record that breaks the form or the schema; None if it has none.

    Readable is: JSON (RFC 8259, UTF-8) whose top level is an object without a key twice, `probe` the key's own,
    `epoch` and `seq` plain integers in range, `prev` a string of at most 44 printable ASCII characters.
    """
    try:
        obj: Any = json.loads(body.decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None
    if not isinstance(obj, dict) or obj.get("probe") != probe:
        return None
    epoch, seq, prev = obj.get("epoch"), obj.get("seq"), obj.get("prev")
    if type(epoch) is not int or type(seq) is not int or not isinstance(prev, str):
        return None
    plain = len(prev) <= 44 and prev.isascii() and prev.isprintable()
    return (
        Head(probe, epoch, seq, prev) if 1 <= epoch <= canon.MAX_INT and 0 <= seq <= canon.MAX_INT and plain else None
    )


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    obj = dict(pairs)
    if len(obj) != len(pairs):
        raise ValueError("a key stands twice")
    return obj


def _no_constant(text: str) -> Any:
    raise ValueError(text)
