"""Deliveries in the ledger: what became of every PUBLISH, the bytes that were refused, and totals.

What brings nothing new is kept in a bounded number, or a flood would fill the disk.
"""

from __future__ import annotations

from collections.abc import Sequence

from collector.ledger_place import Database
from collector.ledger_port import DeliveryRow, RefusedBytes
from collector.pack import MAX_PLAIN_BYTES, Packer

KEEP_REFUSED_BYTES = 4096
"""The bytes of this many refusals are kept (at most 256 MiB); of older ones only reason and size."""
KEEP_REFUSALS = 65_536
"""Of this many refusals reason and size are kept; older ones are only counted, or a flood would fill the disk."""
KEEP_IDLE_DELIVERIES = 65_536
"""So many deliveries that brought nothing new (refused, or held already) are kept; older ones are only counted."""


def keep_deliveries(db: Database, packer: Packer, deliveries: Sequence[DeliveryRow]) -> None:
    """Keep what became of messages and the bytes that were refused, and add to the totals once for all of them."""
    plain = [d for d in deliveries if not d.refusals and d.accepted]
    db.executemany(_DELIVER, [_values(d) for d in plain])
    for d in deliveries:
        if d.refusals or not d.accepted:
            n = int(db.execute(f"{_DELIVER} RETURNING n", _values(d)).fetchone()[0])
            for refused in d.refusals:
                _refuse(db, packer, n, d, refused)
    totals = {"accepted": sum(d.accepted for d in deliveries), "duplicate": sum(d.duplicate for d in deliveries)}
    db.executemany(_COUNT, [*totals.items(), ("refused", sum(len(d.refusals) for d in deliveries))])
    idle = sum(d.accepted == 0 for d in deliveries)
    if idle:
        _let_go_idle(db, idle)


_DELIVER = (
    "INSERT INTO delivery (received_ms, topic, probe, bytes, accepted, duplicate, refused) VALUES (?, ?, ?, ?, ?, ?, ?)"
)


_COUNT = (
    "INSERT INTO total (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = total.value + excluded.value"
)


def _values(d: DeliveryRow) -> tuple[int, str, str | None, int, int, int, int]:
    return d.received_ms, d.topic, d.probe, d.size, d.accepted, d.duplicate, len(d.refusals)


def _count(db: Database, key: str, value: int) -> int:
    """Add to a total; return what it is then."""
    row = db.execute(f"{_COUNT} RETURNING value", (key, value)).fetchone()
    return int(row[0])


def _let_go_idle(db: Database, more: int) -> None:
    """Drop the oldest deliveries that brought nothing new, once there are too many of them."""
    over = _count(db, "idle_deliveries", more) - KEEP_IDLE_DELIVERIES
    if over > 0:
        db.execute(
            "DELETE FROM delivery WHERE n IN (SELECT n FROM delivery WHERE accepted = 0 ORDER BY n LIMIT ?)", (over,)
        )
        _count(db, "idle_deliveries", -over)


def _refuse(db: Database, packer: Packer, delivery_n: int, delivery: DeliveryRow, refused: RefusedBytes) -> None:
    packed = packer.pack(refused.raw[:MAX_PLAIN_BYTES])
    row = db.execute(
        "INSERT INTO refusal (delivery, received_ms, topic, probe, reason, detail, size, raw)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING n",
        (
            *(delivery_n, delivery.received_ms, delivery.topic, refused.probe),
            *(refused.reason, refused.detail[:200], len(refused.raw), packed),
        ),
    ).fetchone()
    n = int(row[0])
    db.execute("UPDATE refusal SET raw = NULL WHERE n = ?", (n - KEEP_REFUSED_BYTES,))
    gone = db.execute("DELETE FROM refusal WHERE n <= ?", (n - KEEP_REFUSALS,)).rowcount
    if gone:
        _count(db, "let_go", gone)
