"""Records of a span of time: the ledger's index knows the third of a day in which each began, and the rest is compared.

A third and not a millisecond: see schema/ledger_v7.sql. Whoever asks for a span asks for its thirds too.
"""

from __future__ import annotations

from collector.core.clock import DAY_MS

THIRD_MS = DAY_MS // 3
THIRD = f"t_ms / {THIRD_MS}"
"""As the index has it: a query must say it in the same words."""
IN_SPAN = f"{THIRD} >= ? AND {THIRD} <= ? AND t_ms >= ? AND t_ms < ?"
"""Condition of a record in since <= t < until; its values are `in_span(since, until)`."""


def in_span(since_ms: int, until_ms: int) -> tuple[int, int, int, int]:
    """The values of `IN_SPAN`."""
    return since_ms // THIRD_MS, (until_ms - 1) // THIRD_MS, since_ms, until_ms
