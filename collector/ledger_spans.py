"""Which records a line of the registry's change list concerns, as a condition of SQL. Source: design §7, registry."""

from __future__ import annotations

from collections.abc import Callable

from collector.ledger_port import Span

NO_END = 2**53
"""Above every record number."""


def where(span: Span, find: Callable[[str], int]) -> tuple[str, list[int]]:
    """The condition on `entry`, and its values; `find` gives the number of a word."""
    marks = ", ".join("?" * len(span.codes))
    if span.columns == ("probe",):
        # Both indices that begin with the probe are partial; without their words every line walks the whole ledger.
        held = (f"SELECT n FROM entry WHERE probe IN ({marks}) AND standing {which}" for which in ("= 0", "> 0"))  # noqa: S608
        named, times = f"n IN ({' UNION ALL '.join(held)})", 2
    else:
        named, times = " OR ".join(f"{column} IN ({marks})" for column in span.columns), len(span.columns)
    codes = [find(code) for _ in range(times) for code in span.codes]
    return f"({named}) AND t_ms >= ? AND t_ms < ?", [*codes, span.from_ms, span.until_ms]
