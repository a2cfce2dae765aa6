"""How Grafana 10 to 13 turns a raw InfluxQL query of a board into the text that InfluxDB receives. Pure.

The rules are those of facts note 06 §3.3: variables are put in by the front end (`substitute`), macros by the back
end (`expand`), the interval by its rounding table (`interval_ms`). Nothing else is interpolated.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_SECOND, _MINUTE, _HOUR, _DAY = 1000, 60_000, 3_600_000, 86_400_000
# (upper bound, rounded to), both ms, of @grafana/data rangeUtil.roundInterval; a test compares it with recorded values.
_ROUNDING: tuple[tuple[float, int], ...] = (
    (10, 1),
    (15, 10),
    (35, 20),
    (75, 50),
    (150, 100),
    (350, 200),
    (750, 500),
    (1500, _SECOND),
    (3500, 2 * _SECOND),
    (7500, 5 * _SECOND),
    (12_500, 10 * _SECOND),
    (17_500, 15 * _SECOND),
    (25_000, 20 * _SECOND),
    (45_000, 30 * _SECOND),
    (90_000, _MINUTE),
    (210_000, 2 * _MINUTE),
    (450_000, 5 * _MINUTE),
    (750_000, 10 * _MINUTE),
    (1_050_000, 15 * _MINUTE),
    (1_500_000, 20 * _MINUTE),
    (2_700_000, 30 * _MINUTE),
    (5_400_000, _HOUR),
    (9_000_000, 2 * _HOUR),
    (16_200_000, 3 * _HOUR),
    (32_400_000, 6 * _HOUR),
    (86_400_000, 12 * _HOUR),
    (604_800_000, _DAY),
    (1_814_400_000, 7 * _DAY),
    (3_628_800_000, 30 * _DAY),
)
_YEAR_MS = 365 * _DAY
_UNITS = (("d", _DAY), ("h", _HOUR), ("m", _MINUTE), ("s", _SECOND))
_SPECIAL = re.compile(r"[\\^$*+?.()|\[\]{}/]")
_REFERENCE = re.compile(r"\$(\w+)|\$\{(\w+)(?::(\w+))?\}|\[\[(\w+)(?::(\w+))?\]\]")
_NUMBER_FIRST = re.compile(r"\s*[+-]?(\d|\.\d|Infinity)")
_IN_REGEX = re.compile(r"/[^/]*\$\{?\w+[^/]*/")


@dataclass(frozen=True, slots=True)
class Choice:
    """What is chosen in one variable. `all_value` is set while All is chosen; `multi` as the variable is declared."""

    values: tuple[str, ...]
    multi: bool = True
    all_value: str | None = None


def rounded_ms(interval_ms: float) -> int:
    """Round an interval as @grafana/data does."""
    if interval_ms < 10:
        return 1
    return next((to for limit, to in _ROUNDING if interval_ms < limit), _YEAR_MS)


def interval_ms(from_ms: int, to_ms: int, points: int, minimum_ms: int = 0) -> int:
    """`$__interval` of a panel: the range divided by its points, rounded, never below its minimum."""
    return max(rounded_ms((to_ms - from_ms) / points), minimum_ms)


def duration_text(ms: int) -> str:
    """Write an interval as the back end does: 15m, 2h, 1d."""
    for unit, size in _UNITS:
        if ms >= size and ms % size == 0:
            return f"{ms // size}{unit}"
    return f"{ms}ms"


def duration_ms(text: str) -> int:
    """Read an interval such as `1m`, `6h`, `30d`. Raises ValueError on anything else."""
    match = re.fullmatch(r">?(\d+)(ms|s|m|h|d|w)", text)
    if match is None:
        raise ValueError(f"{text!r} is not a duration: write 30s, 5m, 6h, 30d")
    sizes = {"ms": 1, "s": _SECOND, "m": _MINUTE, "h": _HOUR, "d": _DAY, "w": 7 * _DAY}
    return int(match[1]) * sizes[match[2]]


def escape_regex(value: str) -> str:
    r"""Escape ``\ ^ $ * + ? . ( ) | [ ] { } /``; hyphen and quote stay, as in Grafana."""
    return _SPECIAL.sub(lambda match: "\\" + match[0], value)


def _written(choice: Choice, query: str) -> str:
    """The text that stands for one reference in `query` (rules 2 to 5)."""
    if choice.all_value is not None:
        return choice.all_value
    if len(choice.values) == 1:
        value = choice.values[0]
        # A string that parseFloat can read goes in as it stands, unescaped: "3 (cũ)" too.
        if _NUMBER_FIRST.match(value):
            return value
        escaped = choice.multi or _IN_REGEX.search(query) is not None
        return escape_regex(value) if escaped else value
    return f"({'|'.join(escape_regex(value) for value in choice.values)})"


def substitute(query: str, choices: Mapping[str, Choice]) -> str:
    """Replace `$name`, `${name}`, `${name:format}`, `[[name]]` of known variables; unknown ones stay."""

    def put(match: re.Match[str]) -> str:
        name = match[1] or match[2] or match[4]
        choice = choices.get(name)
        return match[0] if choice is None else _written(choice, query)

    return _REFERENCE.sub(put, query)


def expand(query: str, from_ms: int, to_ms: int, step_ms: int) -> str:
    """Replace the back end's macros: `$timeFilter`, `$interval`, `$__interval_ms`, `$__interval`."""
    text = query.replace("$timeFilter", f"time >= {from_ms}ms and time <= {to_ms}ms")
    text = text.replace("$interval", duration_text(step_ms)).replace("$__interval_ms", str(step_ms))
    return text.replace("$__interval", duration_text(step_ms))
