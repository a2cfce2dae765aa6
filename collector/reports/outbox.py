"""Messages that are to go out, kept on disk until they went: each once, tried again, never lost by a restart."""

from __future__ import annotations

from collections.abc import Iterable

from collector.core.report_plan import next_try_ms
from collector.reports.post import Message
from collector.reports.store import ReportStore


class Outbox:
    """The outbox inside `reports.db`."""

    def __init__(self, store: ReportStore) -> None:
        self._store = store

    def is_done(self, key: str) -> bool:
        """Whether a task was done."""
        return bool(self._store.rows("SELECT 1 FROM done WHERE key = ?", key))

    def done(self, key: str, messages: Iterable[Message], now_ms: int) -> None:
        """A task is done, and these messages are to go out: both or neither."""
        with self._store.writing() as db:
            db.execute("INSERT OR IGNORE INTO done VALUES (?, ?)", (key, now_ms))
            db.executemany(
                "INSERT OR IGNORE INTO message"
                " (key, channel, address, subject, body, attached, made_ms, next_ms, tries)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0)",
                [(m.key, m.channel, m.address, m.subject, m.body, m.attached, m.made_ms, now_ms) for m in messages],
            )

    def waiting(self, now_ms: int) -> list[Message]:
        """Messages whose next try has come, oldest first."""
        rows = self._store.rows(
            "SELECT key, channel, address, subject, body, attached, made_ms FROM message"
            " WHERE sent_ms IS NULL AND gave_up = 0 AND next_ms <= ? ORDER BY made_ms, key LIMIT 100",
            now_ms,
        )
        return [Message(*row) for row in rows]

    def sent(self, key: str, now_ms: int) -> None:
        """A message was taken."""
        with self._store.writing() as db:
            db.execute("UPDATE message SET sent_ms = ?, tries = tries + 1, fault = NULL WHERE key = ?", (now_ms, key))

    def failed(self, key: str, fault: str, now_ms: int, *, for_ever: bool) -> None:
        """A message was not taken: tried again later, or given up."""
        tries = int(self._store.rows("SELECT tries FROM message WHERE key = ?", key)[0][0]) + 1
        again_ms = None if for_ever else next_try_ms(tries, now_ms)
        with self._store.writing() as db:
            db.execute(
                "UPDATE message SET tries = ?, fault = ?, gave_up = ?, next_ms = ? WHERE key = ?",
                (tries, fault[:500], again_ms is None, again_ms or now_ms, key),
            )

    def listed(self, limit: int = 100) -> list[tuple[str, str, str, int, int | None, bool, str | None]]:
        """The newest messages: key, address, subject, tries, when sent, whether given up, the last fault."""
        rows = self._store.rows(
            "SELECT key, address, subject, tries, sent_ms, gave_up, fault FROM message ORDER BY made_ms DESC LIMIT ?",
            limit,
        )
        return [(*row[:5], bool(row[5]), row[6]) for row in rows]
