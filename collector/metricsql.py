"""Counting points in a server that takes InfluxDB's lines and speaks MetricsQL: victoria-metrics, a target for tests.

It answers 204 to lines that it drops, keeps milliseconds, and calls field `seq` of measurement `test` `test_seq`.
Source: facts note 04 §3 (versions); victoria-metrics 1.79.5, /api/v1/query_range.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

Ask = Callable[[str, list[tuple[str, str]]], bytes]
"""Path and parameters to the answer's bytes."""
HOUR_MS = 3_600_000


def hour_counts(
    ask: Ask, measurement: str, field: str, since_ms: int, until_ms: int
) -> dict[tuple[str, str, int], int]:
    """How many points each hamlet and operator has in each hour; `since_ms`, `until_ms` are whole hours.

    A window is open at its beginning and closed at its end: asked a millisecond before the hour's end, it is the hour.
    """
    query = f"sum by (hamlet, plmn) (count_over_time({measurement}_{field}[1h]))"
    found = _ask_range(ask, query, since_ms + HOUR_MS - 1, until_ms - 1, HOUR_MS)
    return {
        (tags.get("hamlet", ""), tags.get("plmn", ""), at_ms + 1 - HOUR_MS): number for tags, at_ms, number in found
    }


def probe_counts(ask: Ask, measurement: str, field: str) -> dict[str, int]:
    """How many points each probe has, over a hundred years."""
    query = f"sum by (probe) (count_over_time({measurement}_{field}[100y]))"
    end_ms = 4_000_000_000_000
    return {tags["probe"]: number for tags, _, number in _ask_range(ask, query, end_ms, end_ms, HOUR_MS)}


def _ask_range(ask: Ask, query: str, start_ms: int, end_ms: int, step_ms: int) -> list[tuple[dict[str, str], int, int]]:
    ask("/internal/force_flush", [])  # what was taken a moment ago is not found yet
    parameters = [("query", query), ("start", _seconds(start_ms)), ("end", _seconds(end_ms))]
    answer: Any = json.loads(ask("/api/v1/query_range", [*parameters, ("step", _seconds(step_ms)), ("nocache", "1")]))
    return [
        (series["metric"], round(float(at_s) * 1000), int(number))
        for series in answer["data"]["result"]
        for at_s, number in series["values"]
    ]


def _seconds(ms: int) -> str:
    return f"{ms // 1000}.{ms % 1000:03d}"
