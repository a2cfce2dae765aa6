"""What is gathered for a report before a word of it is written: figures of units by counter, by operator, over time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from collector.core.period import Period
from collector.core.quota import Counter, QuotaLine, Standing
from collector.core.rollup_view import Summary
from collector.core.view_figures import Stat


@dataclass(frozen=True, slots=True)
class Evidence:
    """Which of a unit's registered hamlets have a counted sample."""

    measured: int
    registered: int
    without: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UnitFacts:
    """One unit in a period. `whole` are our own figures (None: no record of ours). `standing`: against the campaign's
    line of this level, None without one. `notes`: what changed in the period (merged, renamed). `uncounted`: tests
    that did not count, by reason."""

    code: str
    name: str
    referrals: tuple[str, ...]
    standing: Standing | None
    entered: Mapping[Counter, int | None]
    whole: Summary | None
    evidence: Evidence | None = None
    notes: tuple[str, ...] = ()

    @property
    def counted(self) -> int | None:
        """Counted samples of our own; None without any record."""
        return None if self.whole is None else self.whole.counts.counted

    def stat(self, metric: str) -> Stat:
        """Median and mean of one metric over counted samples."""
        return Stat(0, None, None, None) if self.whole is None else self.whole.stats[metric]


@dataclass(frozen=True, slots=True)
class LineFacts:
    """One line of a campaign over the units of its level within the report's unit: its rule and who reached it."""

    campaign: str
    document: str
    line: QuotaLine
    reached: int
    units: int
    unknown: int
    standing: Standing | None


@dataclass(frozen=True, slots=True)
class Remark:
    """What an official entered. `topic`: outreach, difficulties, proposals."""

    topic: str
    text: str
    by: str
    entered_ms: int


@dataclass(frozen=True, slots=True)
class Step:
    """One part of a longer period: a month of a quarter, a day of a campaign. Figures of each counter; None: unknown.

    `new` and `corrected` are of the entered counter that decides: what was added that day, and what was taken back.
    """

    label: str
    key: str
    counted: int | None
    entered: Mapping[Counter, int | None]
    reached: bool | None = None
    new: int | None = None
    corrected: int | None = None


@dataclass(frozen=True, slots=True)
class UnitReport:
    """Everything that a report over a unit and a period is written from. `units` are its parts: a commune's hamlets,
    a province's communes. `silent`, `entered_sum`: of a daily report, units that entered nothing that day, and the sum
    of those that entered something with their number. `period` ends at the latest at `as_of_ms`; `whole_period` is the
    one that rules speak of."""

    code: str
    name: str
    level: str
    within: str
    period: Period
    whole_period: Period
    as_of_ms: int
    own: UnitFacts
    units: tuple[UnitFacts, ...]
    operators: tuple[Summary, ...]
    lines: tuple[LineFacts, ...]
    operator_names: Mapping[str, str]
    remarks: tuple[Remark, ...] = ()
    steps: tuple[Step, ...] = ()
    silent: tuple[str, ...] = ()
    entered_sum: tuple[int, int] | None = None
    is_simulated: bool = False
