"""A probe's spool from the outside, while its program runs or is dead: read in a copy, for its card may be anything."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from sim import state
from wire import codec
from wire.records import AnyRecord


def records(up: state.SiteState, after: tuple[int, int] = (0, -1)) -> list[AnyRecord]:
    """Records in the probe's spool behind (epoch, seq), oldest first; none while it cannot be read."""
    rows = _rows(
        up, "SELECT raw FROM record WHERE (epoch, seq) > (?, ?) AND raw IS NOT NULL ORDER BY epoch, seq", after
    )
    return [codec.decode_body(codec.body_of(raw)) for (raw,) in rows]


def waiting(up: state.SiteState) -> int | None:
    """How many records wait for their receipt; None while the spool cannot be read."""
    rows = _rows(up, "SELECT count(*) FROM record WHERE place <> 1", ())
    return int(rows[0][0]) if rows else None


def _rows(up: state.SiteState, query: str, values: tuple[int, ...]) -> list[tuple[Any, ...]]:
    folder = Path(f"/proc/{up.netns_pid}/root{up.card}/state")
    with tempfile.TemporaryDirectory(prefix="dosong-walk-") as made, contextlib.suppress(OSError, sqlite3.Error):
        for name in ("spool.db", "spool.db-wal"):
            if (folder / name).exists():
                shutil.copyfile(folder / name, Path(made) / name)
        with closing(sqlite3.connect(Path(made) / "spool.db")) as db:
            return list(db.execute(query, values))
    return []
