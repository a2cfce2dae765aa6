"""Joins a process to the registry that several machines share, if its settings say so; else it does nothing.

Only then the driver of PostgreSQL is loaded. Source: `collector.registry_mirror`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext, suppress
from typing import TYPE_CHECKING, Any, cast

from collector.follow import Follower
from collector.ledger_place import Remote
from collector.ledger_write import SqlLedger
from collector.settings import Settings
from wire.errors import Unavailable

if TYPE_CHECKING:
    from collector.ledger_pg import PostgresLedger
    from collector.registry_mirror import RegistryMirror

LOOK_EVERY_S = 0.5


def mirror_of(settings: Settings) -> RegistryMirror | None:
    """This machine's end by its settings; None: it has a registry of its own. Raises Misconfigured, Unavailable."""
    at, place = settings.ledger_at, settings.ledger
    if at is None or at.registry == "own" or not isinstance(place, Remote):
        return None
    from collector.registry_mirror import Copy, Source  # noqa: PLC0415 (only who uses PostgreSQL has its driver)

    return (Source if at.registry == "source" else Copy)(settings.registry, place)


def judge_by(
    mirror: RegistryMirror | None, ledger: SqlLedger, follower: Follower, between: Callable[[], None]
) -> Callable[[], None]:
    """Have a worker judge by the newest registry only; returns what is to be called `between` two groups.

    Raises Unavailable while there is none.
    """
    if mirror is None:
        return between
    mirror.refresh()
    cast("PostgresLedger", ledger).registry = mirror.hold
    follower.most = mirror.followable
    return _Fresh(mirror, between)


class _Fresh:
    """Looks twice a second. While the database is away nothing is committed either, so who asks need not know."""

    def __init__(self, mirror: RegistryMirror, between: Callable[[], None]) -> None:
        self._mirror, self._between, self._due_s = mirror, between, 0.0

    def __call__(self) -> None:
        if time.monotonic() >= self._due_s:
            self._due_s = time.monotonic() + LOOK_EVERY_S
            with suppress(Unavailable):
                self._mirror.refresh()
        self._between()


def beside(settings: Settings) -> AbstractContextManager[Any]:
    """Keeps the registry fresh in a process that judges nothing, as long as this is entered."""
    if settings.ledger_at is None or settings.ledger_at.registry == "own":
        return nullcontext()
    from collector.registry_mirror import Beside  # noqa: PLC0415 (as above)

    return closing(Beside(lambda: cast("RegistryMirror", mirror_of(settings))))
