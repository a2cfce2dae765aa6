"""One MQTT message carries 1 to 64 records, framed as a tlog-tiles entry bundle.

Each record is preceded by its length as a big-endian 16-bit number: the same framing as the log's entry
tiles, so one reader serves both. Source: C2SP tlog-tiles, "Log Entries"; design §4.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from wire.errors import Refused

MAX_RECORDS = 64
MAX_BYTES = 48 * 1024
MAX_RECORD_BYTES = 4096


def encode(records: Sequence[bytes]) -> bytes:
    """Frame 1 to 64 records. Raises ValueError if none, too many, one empty, or together over 48 KiB."""
    if not 1 <= len(records) <= MAX_RECORDS:
        raise ValueError(f"a message holds 1 to {MAX_RECORDS} records, not {len(records)}")
    if not all(1 <= len(r) <= MAX_BYTES for r in records):
        raise ValueError(f"a record in a message has 1 to {MAX_BYTES} bytes")
    payload = b"".join(len(r).to_bytes(2, "big") + r for r in records)
    if len(payload) > MAX_BYTES:
        raise ValueError(f"a message holds at most {MAX_BYTES} bytes")
    return payload


def decode(payload: bytes) -> tuple[bytes, ...]:
    """Take a message apart. Raises Refused("bad_bundle") unless every byte belongs to a whole record."""
    if not payload or len(payload) > MAX_BYTES:
        raise Refused("bad_bundle", f"{len(payload)} bytes; 1 to {MAX_BYTES} expected")
    records = tuple(frames(payload))
    if len(records) > MAX_RECORDS:
        raise Refused("bad_bundle", f"{len(records)} records; at most {MAX_RECORDS}")
    return records


def frames(payload: bytes) -> Iterator[bytes]:
    """Yield the entries of a bundle of any length, such as an entry tile of the log. Raises Refused("bad_bundle")."""
    at = 0
    while at < len(payload):
        size = int.from_bytes(payload[at : at + 2], "big")
        record = payload[at + 2 : at + 2 + size]
        if size == 0 or len(record) != size or at + 2 > len(payload):
            raise Refused("bad_bundle", f"broken frame at byte {at}")
        yield record
        at += 2 + size


def fill(records: Sequence[bytes], limit: int = MAX_RECORDS) -> int:
    """Return how many of `records`, taken from the front, fit in one message.

    0 only if there are none: 11 records of the greatest size always fit.
    """
    total = 0
    for count, record in enumerate(records[: min(limit, MAX_RECORDS)]):
        total += 2 + len(record)
        if total > MAX_BYTES:
            return count
    return min(len(records), limit, MAX_RECORDS)
