"""Receipts of measurement points as they arrive beside records: verified by the registry's keys, kept by their hash.

A receipt is the point's own word, so it is checked by the point's key, not the probe's. What does not verify is refused
and kept with its reason, like any bytes that are not authentic; it never holds back the record behind it.
Source: wire/SPEC.md §6 (receipt), §7; design §7.
"""

from __future__ import annotations

from collector.ledger_port import ReceiptRow
from collector.registry import Registry
from wire import codec, notes
from wire.errors import Refused
from wire.failure import RefusalReason
from wire.note import parse_vkey, split

TYPE = "receipt"


def receipt_begins(origin: str) -> bytes:
    """What an entry of a message begins with if it says that it is a receipt of this deployment."""
    return f"{codec.domain(origin, TYPE)}\n".encode()


def open_receipt(raw: bytes, origin: str, registry: Registry, received_ms: int) -> ReceiptRow:
    """Verify a receipt by the key of the point that it names.

    Raises Refused: too_big, not_a_note, unknown_key, revoked_key, bad_signature, not_json, not_canonical, schema.
    """
    if len(raw) > notes.MAX_NOTE_BYTES:
        raise Refused(RefusalReason.TOO_BIG, f"{len(raw)} bytes; a note has at most {notes.MAX_NOTE_BYTES}")
    named = next((line.name for line in split(raw).signatures), "")
    code = named.removeprefix(f"{origin}/point/")
    entry = registry.point(code)
    if entry is None:
        raise Refused(RefusalReason.UNKNOWN_KEY, f"{named[:80]} is no point of the registry")
    if entry.state == "revoked":
        raise Refused(RefusalReason.REVOKED_KEY, f"the key of point {code} was revoked")
    found = notes.open_note(raw, notes.Receipt, origin, parse_vkey(entry.vkey))
    if found.point != code:
        raise Refused(RefusalReason.UNKNOWN_KEY, f"a receipt of point {found.point}, signed by {code}")
    return ReceiptRow(codec.leaf_hash(raw), found, received_ms, raw)
