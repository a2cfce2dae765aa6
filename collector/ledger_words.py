"""Words of the ledger: codes, ids and reasons, each kept once in table `word` and named by a small number."""

from __future__ import annotations

from collector.ledger_place import Database

MAX_KNOWN = 50_000
"""So many are kept ready; they are read again when there are more."""


class Words:
    """Table `word`, on the writer's connection and inside its transaction. Words never change and never go."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._known: dict[str, int] = {}
        self._reasons: dict[tuple[str, ...], int] = {}

    def find(self, text: str) -> int:
        """Number of a word; 0, which no word has, if it was never kept."""
        known = self._known.get(text)
        if known is None:
            row = self._db.execute("SELECT k FROM word WHERE text = ?", (text,)).fetchone()
            if row is None:
                return 0
            known = self._keep(text, int(row[0]))
        return known

    def number(self, text: str) -> int:
        """Number of a word, kept from now on."""
        found = self._known.get(text) or self.find(text)
        if not found:
            added = self._db.execute("INSERT INTO word (text) VALUES (?) RETURNING k", (text,)).fetchone()
            found = self._keep(text, int(added[0]))
        return found

    def reasons(self, reasons: tuple[str, ...]) -> int:
        """Number of reasons, one behind the other, as one word."""
        found = self._reasons.get(reasons)
        if found is None:
            found = self._reasons[reasons] = self.number(" ".join(reasons))
        return found

    def _keep(self, text: str, number: int) -> int:
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
        self._known[text] = number
        return number

    def forget(self) -> None:
        """The transaction was rolled back: words that were new in it are gone."""
        self._known.clear()
        self._reasons.clear()
