"""The point's health, minute by minute for a day: so that a fault of the server is never blamed on the network.

A minute without a row is a minute in which the point did not run. Pure: text in, text out.
"""

from __future__ import annotations

import json
from collections import deque
from dataclasses import asdict, astuple, dataclass, fields

MINUTES_KEPT = 24 * 60


@dataclass(slots=True)
class Minute:
    """Counts of one minute that begins at `t_ms` (UTC). `lag_us_max` is how late the loop ran at worst.

    `tests` were let in, `refused` told to come back, `spoiled` had a receipt refused because the point was unfit.
    """

    t_ms: int
    tests: int = 0
    refused: int = 0
    spoiled: int = 0
    receipts: int = 0
    sent_bytes: int = 0
    received_bytes: int = 0
    echoes: int = 0
    lag_us_max: int = 0


COLUMNS = tuple(field.name for field in fields(Minute))
_HEAD = json.dumps({"columns": COLUMNS, "rows": []}).encode().removesuffix(b"]}")


class History:
    """The last day's finished minutes, oldest first; each is encoded once, when it comes."""

    def __init__(self) -> None:
        self._minutes: deque[tuple[Minute, bytes]] = deque(maxlen=MINUTES_KEPT)

    def encoded(self) -> bytes:
        """All rows as JSON: an object with `columns` and `rows`."""
        return _HEAD + b",".join(row for _, row in self._minutes) + b"]}"

    def add(self, minute: Minute) -> None:
        """Add a finished minute; what is older than a day before it falls out."""
        self._minutes.append((minute, json.dumps(astuple(minute), separators=(",", ":")).encode()))
        while self._minutes[0][0].t_ms < minute.t_ms - MINUTES_KEPT * 60_000:
            self._minutes.popleft()

    def load(self, text: str, now_ms: int) -> None:
        """Take up the rows of an earlier run; a line that is no row (cut off by a power loss) is passed over."""
        for line in text.splitlines():
            minute = _row(line)
            if minute is not None and now_ms - MINUTES_KEPT * 60_000 <= minute.t_ms <= now_ms:
                self.add(minute)

    def text(self) -> str:
        """All rows as lines, the form of the file."""
        return "".join(line_of(minute) for minute, _ in self._minutes)


def line_of(minute: Minute) -> str:
    """One row of the file: a JSON object and a newline."""
    return json.dumps(asdict(minute), separators=(",", ":")) + "\n"


def _row(line: str) -> Minute | None:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or set(found) != set(COLUMNS):
        return None
    if not all(type(value) is int and value >= 0 for value in found.values()):
        return None
    return Minute(**found)
