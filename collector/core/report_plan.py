"""What is to be done before a report is due, and when: reminders, drafts, and who has not reported yet.

Pure: deadlines and offices in, tasks out; each task has a key, and whoever carries it out does it once. A reminder
with a draft goes out at 08:00 of the last working day before the deadline, a newer draft at 16:00 of that day. On a day
with a daily report, those who have not reported are listed at 16:00 and 16:30, whatever day of the week it is.
Source: issue "Evidence for officials", 3; facts note 01 §1 (deadlines of the three documents).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Literal

from collector.core.period import MINUTE_MS, Period, PeriodKind, date_of, start_of
from collector.core.quota import Level
from collector.core.report_model import Kind

What = Literal["remind", "draft", "silent"]
REMIND_MINUTE, DRAFT_MINUTE = 8 * 60, 16 * 60
SILENT_MINUTES = (16 * 60, 16 * 60 + 30)
KIND_OF: dict[PeriodKind, Kind] = {
    "day": "day", "week": "to_date", "month": "month", "month_to_date": "to_date", "campaign": "day",
}  # fmt: skip
_REPORTS_AT: dict[Level, Level] = {"hamlet": "commune", "bodies": "commune"}
"""Hamlets and bodies tell their commune: its office is the one that collects."""
MOST_TRIES = 12


@dataclass(frozen=True, slots=True)
class DueReport:
    """A report that is due before `due_ms`: of which campaign and level, over which period, to whom."""

    campaign: str
    name: str
    level: Level
    period: PeriodKind
    covers: Period
    due_ms: int
    remind_on: date
    recipients: str


@dataclass(frozen=True, slots=True)
class Task:
    """One thing to do, once, at `at_ms` or as soon afterwards as there is somebody to do it."""

    what: What
    unit: str
    kind: Kind
    due: DueReport
    at_ms: int

    @property
    def key(self) -> str:
        """The same for the same task, whenever it is asked for."""
        due = self.due
        return f"{self.what}/{due.campaign}/{due.level}/{due.period}/{self.unit}/{due.due_ms}/{self.at_ms}"


def tasks(dues: Iterable[DueReport], offices: Iterable[tuple[str, Level]], now_ms: int) -> list[Task]:
    """What is to be done by now and is not too late: the newest of each sort, by unit and deadline.

    `offices`: units that have somebody to tell, with their level. What an earlier hour would have brought is left out
    where a later one has come: a collector that was off at 08:00 does not send two drafts at 16:00.
    """
    listed, found = list(offices), []
    for due in dues:
        wanted = _REPORTS_AT.get(due.level, due.level)
        for unit in (unit for unit, level in listed if level == wanted):
            moments: dict[What, int] = {}
            for what, at_ms in _moments(due):
                if at_ms <= now_ms < due.due_ms and at_ms >= moments.get(what, 0):
                    moments[what] = at_ms
            found += [Task(what, unit, KIND_OF[due.period], due, at_ms) for what, at_ms in moments.items()]
    return sorted(found, key=lambda one: (one.at_ms, one.key))


def _moments(due: DueReport) -> Iterator[tuple[What, int]]:
    morning = start_of(due.remind_on)
    yield "remind", morning + REMIND_MINUTE * MINUTE_MS
    yield "draft", morning + DRAFT_MINUTE * MINUTE_MS
    if due.period == "day":
        day = start_of(date_of(due.due_ms - 1))
        yield from (("silent", day + minute * MINUTE_MS) for minute in SILENT_MINUTES)


def next_try_ms(tries: int, now_ms: int) -> int | None:
    """When a message that failed `tries` times is tried again: after 1, 2, 4 ... 60 minutes; None: no more."""
    if tries >= MOST_TRIES:
        return None
    return now_ms + min(60, 1 << max(0, tries - 1)) * MINUTE_MS


def silent_text(
    unit: str, campaign: str, now_ms: int, silent: Iterable[str], known: int, total: int, recipients: str,
    steps: tuple[int | None, int | None, int | None],
) -> str:  # fmt: skip
    """Who has not reported, ready to paste into Zalo, always in Vietnamese. `steps`: cumulative, new today, taken back
    today, of the unit's own figure; None: not entered."""
    minute = (now_ms - start_of(date_of(now_ms))) // MINUTE_MS
    names = list(silent)
    lines = [
        f"[{unit}] {campaign}: tiến độ báo cáo lúc {minute // 60:02d} giờ {minute % 60:02d} phút ngày "
        f"{date_of(now_ms):%d/%m/%Y}",
        f"Đã báo cáo hôm nay: {total - len(names)}/{total} đơn vị.",
    ]
    if names:
        lines.append(f"Chưa báo cáo ({len(names)}):")
        lines += [f"- {name}" for name in names]
        lines.append(f"Đề nghị các đơn vị báo cáo về {recipients} trước giờ quy định.")
    else:
        lines.append("Tất cả đơn vị đã báo cáo. Trân trọng cảm ơn!")
    if known:
        cumulative, new, back = ("không có số liệu" if one is None else str(one) for one in steps)
        lines.append(f"Lũy kế: {cumulative}; mới hôm nay: {new}; đính chính giảm hôm nay: {back}.")
    return "\n".join(lines)
