"""The walk's table as people and programs read it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from sim.walk_cases import Row, Seen

_HEAD = ("time", "fault", "records said", "rung", "lasted", "normal after", "verdict")


def markdown(rows: Sequence[Row], lost: Sequence[str]) -> str:
    """One table of all faults, and a line for each thing that the ledger lacks."""
    lines = [_line(_HEAD), _line(["---"] * len(_HEAD)), *(_line(_cells(row)) for row in rows)]
    right = sum(not row.wrong for row in rows)
    ledger = [f"- {text}" for text in lost] or ["The ledger holds every record of every probe, without a hole."]
    return "\n".join(
        [*lines, "", f"{right} of {len(rows)} right. A power cut was played within each fault marked ⚡.", *ledger]
    )


def plain(row: Row) -> dict[str, Any]:
    """A row for scripts."""
    said = row.said
    return {
        "lane": row.lane, "fault": row.fault, "began_s": round(row.began_s, 1), "lasted_s": round(row.lasted_s, 1),
        "cut": row.cut, "tests": dict(Counter(said.tests)), "causes": dict(Counter(said.letters)),
        "events": list(said.events), "rungs": list(said.rungs), "boots": list(said.boots),
        "back_s": None if row.back_s is None else round(row.back_s, 1), "verdict": row.verdict,
    }  # fmt: skip


def _cells(row: Row) -> list[str]:
    minutes, seconds = divmod(round(row.began_s), 60)
    back = "never" if row.back_s is None else f"{row.back_s:.0f} s"
    rungs = ", ".join(dict.fromkeys(row.said.rungs)) or "–"
    fault = row.fault + (" ⚡" if row.cut else "")
    return [f"{minutes}:{seconds:02d}", fault, said(row.said), rungs, f"{row.lasted_s:.0f} s", back, row.verdict]


def said(found: Seen) -> str:
    """What records said, in a cell: tests, coverage letters, events, each with its count."""
    letters = Counter(found.letters.replace(".", ""))
    parts = [
        _counted(Counter(found.tests)),
        "coverage " + _counted(letters) if letters else "",
        _counted(Counter(event for event in found.events if not event.startswith("stopping"))),
    ]
    return "; ".join(part for part in parts if part) or "nothing"


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{what} x{n}" if n > 1 else what for what, n in counts.most_common())


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
