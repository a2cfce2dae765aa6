"""A disk that may lose what was not flushed, lie about what was, fill up, or be put back to what it once held."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

Table = dict[Any, Any]
Change = tuple[str, Any, Any]
"""(table, key, value): a value of None takes the key out."""
CACHE = 12
"""Commits that a card that lies may still hold in its cache when it says that they are safe."""


class Full(Exception):
    """The disk takes no more: nothing of the commit was written."""


class Disk:
    """Tables that change by commits. A commit is there whole or not at all, as a journal with checksums makes it.

    `lies`: a flush returns before the last few commits are safe (cheap cards do).
    """

    def __init__(self, rng: Random, names: Sequence[str]) -> None:
        self._rng, self.lies, self.is_full = rng, False, False
        self.tables: dict[str, Table] = {name: {} for name in names}
        self._loose: list[list[Change]] = []

    def commit(self, changes: Sequence[Change], *, flush: bool = True) -> None:
        """Write changes as one; after a flush they outlive a power cut. Raises Full."""
        if self.is_full:
            raise Full
        before = []
        for name, key, value in changes:
            table = self.tables[name]
            before.append((name, key, table.get(key)))
            _put(table, key, value)
        self._loose.append(before)
        if flush:
            del self._loose[: -CACHE if self.lies else None]

    def be_honest(self) -> None:
        """Lie no more: what was held back is written."""
        self.lies = False
        self._loose.clear()

    @property
    def is_safe(self) -> bool:
        """Whether everything committed would outlive a power cut."""
        return not self._loose

    def cut(self) -> int:
        """Lose power: any number of the newest unflushed commits are gone. Returns how many."""
        lost = self._rng.randint(0, len(self._loose))
        for before in reversed(self._loose[len(self._loose) - lost :]):
            for name, key, value in reversed(before):
                _put(self.tables[name], key, value)
        self._loose.clear()
        return lost

    def image(self) -> dict[str, Table]:
        """All that the disk holds now, as a copy of the card or a backup would."""
        return {name: dict(table) for name, table in self.tables.items()}

    def put_back(self, image: dict[str, Table]) -> None:
        """Hold again what it once held."""
        self.tables = {name: dict(table) for name, table in image.items()}
        self._loose.clear()


def _put(table: Table, key: Any, value: Any) -> None:
    if value is None:
        table.pop(key, None)
    else:
        table[key] = value
