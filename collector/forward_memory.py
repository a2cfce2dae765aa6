"""What `forward` asks of whatever remembers its work, and how one process that forwards everything answers.

A file of SQLite (`collector.forward_store`) is one forwarder's own; in PostgreSQL (`collector.forward_shared`) several
share it, each with partitions of its own. Source: design §7, forward; §9.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from collector.core.rollup import DayKey

Due = tuple[int, str]
"""What one span of points is of: its first moment (UTC ms of a local day or month) and its province."""


class Memory(Protocol):
    """How far InfluxDB has taken the ledger, what is to be written, what never will be. Raises Unavailable."""

    @property
    def parts(self) -> frozenset[int] | None:
        """The partitions that this process forwards; None: all."""

    @property
    def leads(self) -> bool:
        """Whether it also writes what belongs to no partition: places, boards, counts compared."""

    def turn(self) -> bool:
        """Follow what falls to this process, between two batches; say whether that changed."""

    def is_taken(self, part: int, n: int) -> bool:
        """Whether InfluxDB has a record behind `position` already: another forwarder had come so far."""

    def seen(self, n: int, redo: int) -> None:
        """Nothing of ours waits up to these numbers."""

    def position(self) -> int: ...

    def redo_position(self) -> int: ...

    def parked(self) -> int: ...

    def move(self, taken: Mapping[int, int], touched: Mapping[DayKey, int]) -> None: ...

    def move_redo(self, taken: Mapping[int, int], touched: Mapping[DayKey, int]) -> None: ...

    def touched(self, limit: int) -> dict[DayKey, int]: ...

    def settle(self, done: Mapping[DayKey, int], due: Mapping[str, Mapping[Due, bool]]) -> None: ...

    def due(self, span: str, limit: int) -> dict[Due, bool]: ...

    def written(self, span: str, keys: Iterable[Due]) -> None: ...

    def noted(self, key: str) -> int | None: ...

    def note(self, key: str, value: int) -> None: ...

    def start_over(self) -> None: ...

    def park(self, line: str, reason: str, at_ms: int) -> None: ...

    def close(self) -> None: ...


class Alone:
    """The part of `Memory` that says: everything is ours."""

    parts: frozenset[int] | None = None
    leads = True

    def turn(self) -> bool:
        """Nothing changes hands."""
        return False

    def is_taken(self, _part: int, _n: int) -> bool:
        """The cursor is the only one."""
        return False

    def seen(self, _n: int, _redo: int) -> None:
        """The cursor moves over records only."""
