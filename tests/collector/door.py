"""The collector's door without a broker: real ledger, real registry, messages handed in by the test."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from collector.ingest import Ingest, Message, Taken
from collector.ledger import LedgerReader
from collector.ledger_engine import open_database, open_ledger
from collector.ledger_place import LedgerPlace, Remote
from collector.registry import Registry
from tests.collector.kit import ORIGIN, T0_MS, FakeProbe, document
from wire import bundle, topics


class Door:
    """Ingest over files in a folder."""

    def __init__(self, folder: Path, *probes: FakeProbe, place: LedgerPlace | None = None, load: bool = True) -> None:
        self.path = place or folder / "ledger.db"
        self.registry = Registry(folder / "registry.db")
        if load:
            self.registry.load(document(*probes))
        self.ledger = open_ledger(self.path)
        self.ingest = Ingest(self.ledger, self.registry, ORIGIN)
        self.reader = LedgerReader(self.path)
        self.now_ms = T0_MS

    def take(self, probe: str, *raws: bytes, topic: str | None = None) -> Taken:
        """One message with these records."""
        return self.take_bytes(topic or topics.up(probe), bundle.encode(raws))

    def take_bytes(self, topic: str, payload: bytes) -> Taken:
        self.now_ms += 1000
        return self.ingest.take([Message(topic, payload)], self.now_ms)

    def upto(self, probe: str) -> int | None:
        """What the acknowledgement of a probe would say now."""
        head = self.ingest.heads().get(probe)
        return head.upto if head else None

    def sql(self, text: str) -> list[Any]:
        """Look into the file, as an auditor would."""
        connection = open_database(self.path) if isinstance(self.path, Remote) else sqlite3.connect(self.path)
        try:
            return list(connection.execute(text).fetchall())
        finally:
            connection.close()

    def refusals(self) -> list[str]:
        """Reasons, oldest first."""
        return [r.reason for r in reversed(self.reader.refusals(100_000))]

    def close(self) -> None:
        self.reader.close()
        self.ledger.close()
        self.registry.close()
