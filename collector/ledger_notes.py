"""Notes of the ledger: kept once by their leaf, and read back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from collector.core.accept import leaf_bytes
from collector.core.audit import TYPE
from collector.core.row import Row, is_test
from collector.core.witness import named_by
from collector.leaves import LedgerLeaves
from collector.ledger_place import Database, LedgerPlace
from collector.ledger_port import NoteRow, ReceiptRow
from collector.pack import Packer
from wire.note import split

TABLE = "signed_note"
"""What `seal.db` and `LedgerLeaves` call the notes: `note` is a log's own first entry there."""
PAGE = 500


def insert(db: Database, packer: Packer, row: NoteRow) -> bool:
    """Keep a note, inside the caller's transaction; say whether it is new."""
    cursor = db.execute(
        "INSERT INTO note (leaf, type, signer, subject, signed_ms, received_ms, raw)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (row.leaf, row.type, row.signer, row.subject, row.signed_ms, row.received_ms, packer.pack(row.raw)),
    )
    return bool(cursor.rowcount)


def insert_receipt(db: Database, packer: Packer, row: ReceiptRow) -> bool:
    """Keep a receipt, inside the caller's transaction; say whether it is new."""
    found = row.receipt
    cursor = db.execute(
        "INSERT INTO receipt (leaf, probe, point, ticket, direction, signed_ms, received_ms, raw)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (
            *(row.leaf, found.probe, found.point, found.ticket, found.direction, found.signed_ms),
            *(row.received_ms, packer.pack(row.raw)),
        ),
    )
    return bool(cursor.rowcount == 1)


def link_receipts(db: Database, rows: Sequence[Row], first: int) -> None:
    """Note which receipts records name, so that one that is named again is seen; `first`: the first one's number."""
    tests = [(n, row.record) for n, row in enumerate(rows, first) if is_test(row.record)]
    links = [(leaf_bytes(leaf), n, direction) for n, record in tests for direction, leaf in named_by(record)]
    if links:
        db.executemany("INSERT INTO witness (leaf, record, direction) VALUES (?, ?, ?)", links)


def add_to_probe(db: Database, rows: Sequence[Row]) -> None:
    """Add records of one probe to what the lists of the fleet show of it."""
    last = rows[-1]
    db.executemany(
        "INSERT INTO probe (id, records, last_received_ms, last_t_ms, last_kind) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (id) DO UPDATE SET records = probe.records + excluded.records,"
        " last_received_ms = excluded.last_received_ms, last_t_ms ="
        " coalesce(max(probe.last_t_ms, excluded.last_t_ms), probe.last_t_ms, excluded.last_t_ms),"
        " last_kind = excluded.last_kind",
        [
            (
                *(last.probe, len(rows), last.received_ms),
                *(max((row.t_ms for row in rows if row.t_ms is not None), default=None), last.kind),
            )
        ],
    )


def read(path: LedgerPlace) -> Iterator[tuple[int, int, str, str, bytes]]:
    """Notes of a ledger, oldest first: number, received (UTC ms), type, signer, bytes. Raises Unavailable."""
    leaves = LedgerLeaves(path, TABLE)
    after_n = 0
    try:
        while found := leaves.rows(after_n, PAGE):
            for one in found:
                kind = one.raw.partition(b"\n")[0].decode("utf-8", "replace").split("/")[-2]
                signer = "" if kind == TYPE else split(one.raw).signatures[0].name  # the audit trail is not signed
                yield one.n, one.received_ms, kind, signer, one.raw
            after_n = found[-1].n
    finally:
        leaves.close()
