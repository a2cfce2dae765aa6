"""Makes a report: gathers, names what it was made from, and writes it. One model for all formats."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta

from collector.core.clock import day_of, month_of
from collector.core.period import Period, date_of, start_of
from collector.core.report_causes import cause_words
from collector.core.report_dossier import RULES as DOSSIER_RULES
from collector.core.report_dossier import dossier_report
from collector.core.report_facts import Remark, UnitReport
from collector.core.report_heads import default_head
from collector.core.report_model import KINDS, Kind, Letterhead, Provenance, Report
from collector.core.report_summary import RULES as SUMMARY_RULES
from collector.core.report_summary import summary_report
from collector.core.report_weak import RULES as WEAK_RULES
from collector.core.report_weak import weak_report
from collector.ledger import LedgerReader
from collector.registry import Registry
from collector.reports.gather import Asked, Gatherer
from collector.reports.gather_hamlet import hamlet_report
from collector.reports.gather_weak import weak_report as gather_weak
from collector.seal_store import SealReader, Signed
from wire.errors import Refused, Unavailable

Entered = Callable[[str, Period, int], tuple[Remark, ...]]


def nothing_entered(_unit: str, _whole: Period, _as_of_ms: int) -> tuple[Remark, ...]:
    """Where nobody can enter anything."""
    return ()


def whole_period(kind: Kind, day_in_it: date) -> Period:
    """The period of this kind that holds a day: its day, its month, its quarter, its year (times of Vietnam)."""
    if kind == "day":
        return Period(*day_of(start_of(day_in_it)))
    if kind in ("month", "to_date", "dossier", "weak"):
        return Period(*month_of(start_of(day_in_it)))
    first = date(day_in_it.year, 1 if kind == "year" else (day_in_it.month - 1) // 3 * 3 + 1, 1)
    last = first + timedelta(days=360 if kind == "year" else 85)
    return Period(start_of(first), month_of(start_of(last))[1])


def parse_period(kind: Kind, text: str, now_ms: int) -> Period:
    """Read `2026-09-21`, `2026-09`, `2026-Q3` or `2026`; "" is the period of now. Raises Refused."""
    if text == "":
        return whole_period(kind, date_of(now_ms))
    year, _, rest = text.partition("-")
    try:
        if rest.startswith("Q") and rest[1:] in ("1", "2", "3", "4"):
            return whole_period(kind, date(int(year), int(rest[1:]) * 3, 1))
        parts = [int(part) for part in rest.split("-")] if rest else []
        return whole_period(kind, date(int(year), *[*parts, 1, 1][:2]))
    except (ValueError, OverflowError) as error:
        raise Refused("period", f"{text} is no period; write 2026-09-21, 2026-09, 2026-Q3 or 2026") from error


class Maker:
    """Makes reports from a collector's ledger and registry. `public_url` leads the addresses in QR codes; `entered`
    tells what officials wrote for a unit and period until a moment."""

    def __init__(
        self,
        reader: LedgerReader,
        registry: Registry,
        seals: SealReader | None,
        public_url: str,
        entered: Entered = nothing_entered,
        lte_category: int = 4,
    ) -> None:
        self.reader, self.registry, self._seals = reader, registry, seals
        self._public_url, self._entered, self._lte_category = public_url, entered, lte_category

    def make(self, asked: Asked, head: Letterhead | None = None) -> Report:
        """Make one report of the figures as they stand. Raises Refused, Unavailable."""
        if asked.kind not in KINDS:
            raise Refused("kind", f"{asked.kind} is no kind of report; the kinds are {', '.join(KINDS)}")
        if asked.kind == "dossier":
            return self._dossier(asked, head)
        if asked.kind == "weak":
            return self._weak(asked, head)
        proof, report_id = self._provenance(asked, SUMMARY_RULES)
        facts = self.facts(asked)
        head = head or default_head(facts.level, facts.name, facts.within, ())
        return summary_report(asked.kind, facts, head, proof, asked.language, report_id)

    def facts(self, asked: Asked) -> UnitReport:
        """What a report over a unit and a period is written from."""
        facts = Gatherer(self.reader, self.registry, asked).unit_report()
        return replace(facts, remarks=self._entered(asked.unit, asked.whole, asked.as_of_ms))

    def _dossier(self, asked: Asked, head: Letterhead | None) -> Report:
        proof, report_id = self._provenance(asked, DOSSIER_RULES)
        facts = hamlet_report(self.reader, self.registry, self._seals, asked)
        head = head or default_head("commune", facts.within, "", ())
        words = cause_words(asked.language)
        return dossier_report(facts, head, proof, asked.language, report_id, words)

    def _weak(self, asked: Asked, head: Letterhead | None) -> Report:
        proof, report_id = self._provenance(asked, WEAK_RULES)
        facts = gather_weak(self.reader, self.registry, asked, self._lte_category)
        level = "commune" if self.registry.commune(asked.unit) else "province"
        head = head or default_head(level, facts.name, "", ())
        head = replace(head, addressed=("Các doanh nghiệp viễn thông",))
        return weak_report(facts, head, proof, asked.language, report_id)

    def late(self, kept_n: int, asked: Asked) -> int | None:
        """How many records of the unit and period came after record `kept_n`; None where they cannot be counted."""
        column = "hamlet" if self.registry.hamlet(asked.unit) else "commune"
        if self.registry.commune(asked.unit) is None and column == "commune":
            column = "province"
        period = asked.period
        rows = self.reader.rows(
            f"SELECT count(*) FROM record WHERE n > ? AND {column} = ? AND t_ms >= ? AND t_ms < ?",  # noqa: S608
            *(kept_n, asked.unit, period.start_ms, period.end_ms),
        )
        return int(rows[0][0])

    def _provenance(self, asked: Asked, rules: tuple[str, ...]) -> tuple[Provenance, str]:
        """Read before the figures: what comes in between belongs to a later report, and shows there as a change."""
        positions = (self.reader.last_n(), self.reader.last_redo(), self.registry.dated.last_change())
        name, signed = self._log()
        root = None if signed is None else signed.root.hex()
        named = f"{asked} {positions} {root}"
        report_id = hashlib.sha256(named.encode()).hexdigest()[:16]
        proof = Provenance(
            rules, *positions, f"{self._public_url}/proofs/{report_id}", name, None if signed is None else signed.size,
            root, None if signed is None else signed.signed_ms,
        )  # fmt: skip
        return proof, report_id

    def _log(self) -> tuple[str | None, Signed | None]:
        """The newest log and its newest checkpoint; None while nothing was sealed."""
        try:
            shards = [] if self._seals is None else self._seals.shards()
        except Unavailable:
            return None, None
        for shard in reversed(shards):
            signed = None if self._seals is None else self._seals.last_checkpoint(shard.n)
            if signed is not None:
                return shard.name, signed
        return None, None
