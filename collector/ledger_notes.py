"""Notes of the ledger: kept once by their leaf, and read back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from collector.core.audit import TYPE
from collector.leaves import LedgerLeaves
from collector.ledger_port import NoteRow
from collector.pack import Packer
from wire.note import split

TABLE = "signed_note"
"""What `seal.db` and `LedgerLeaves` call the notes: `note` is a log's own first entry there."""
PAGE = 500


class Database(Protocol):
    """What of a connection is used here."""

    def execute(self, sql: str, values: tuple[Any, ...], /) -> Any:
        """Run one statement."""
        ...


def insert(db: Database, packer: Packer, row: NoteRow) -> bool:
    """Keep a note, inside the caller's transaction; say whether it is new."""
    cursor = db.execute(
        "INSERT OR IGNORE INTO note (leaf, type, signer, subject, signed_ms, received_ms, raw)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (row.leaf, row.type, row.signer, row.subject, row.signed_ms, row.received_ms, packer.pack(row.raw)),
    )
    return bool(cursor.rowcount)


def read(path: Path) -> Iterator[tuple[int, int, str, str, bytes]]:
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
