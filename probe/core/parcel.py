"""Which entries travel in which message: a record's receipts directly before it, never parted from it.

Pure. The frames of a message are those of `wire.bundle`; a receipt is an entry as a record is (wire/SPEC.md §7).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from wire import bundle
from wire.errors import Refused

MAX_RECEIPT_BYTES = 4096
"""A point's receipt has some 500 bytes; a longer one is none of ours and stays behind."""


def pack_receipts(receipts: Sequence[bytes]) -> bytes | None:
    """The receipts of one record as one value for the spool; None if there is none."""
    return bundle.encode(receipts) if receipts else None


def unpack_receipts(packed: bytes | None) -> tuple[bytes, ...]:
    """The receipts again. What cannot be read is no reason to hold back its record: then there are none."""
    try:
        return bundle.decode(packed) if packed else ()
    except Refused:
        return ()


def messages(groups: Iterable[Sequence[bytes]]) -> Iterator[bytes]:
    """Payloads for entries that belong together in groups, in their order; each group stays in one message.

    Raises ValueError for a group that no message can hold; a record with its receipts always fits.
    """
    held: list[bytes] = []
    for group in groups:
        entries = [*held, *group]
        if held and bundle.fill(entries) < len(entries):
            yield bundle.encode(held)
            entries = list(group)
        held = entries
    if held:
        yield bundle.encode(held)
