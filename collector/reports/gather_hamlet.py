"""Gathers a hamlet's dossier: minutes by operator with their witnesses, outages, indicators, figures, sealed places."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from collector.core import coverage, qcvn
from collector.core.coverage import Outage
from collector.core.period import MINUTE_MS, Period
from collector.core.qcvn import Compared, Limit
from collector.core.report_dossier import SHOWN_OUTAGES, HamletReport, OperatorFacts, OutageFacts, ProofFacts
from collector.core.report_facts import UnitFacts
from collector.core.rollup_view import summary
from collector.core.sample import Sample
from collector.evidence import Evidence, asked_around, hamlet_evidence
from collector.ledger import LedgerReader
from collector.registry import Registry
from collector.registry_dated import HamletEndRow, LimitRow
from collector.registry_rows import HamletEntry
from collector.reports.gather import Asked, ended_note
from collector.rollups import Rollups
from collector.seal_store import SealReader
from wire.errors import Refused, Unavailable
from wire.records import CoverageRecord, TestRecord

N_MIN = 100
"""Fewest samples of which an indicator is laid beside its limit. Ours: the regulation asks for far more."""
_LIMITS = {
    "2.1.1": "qcvn81-availability", "2.1.2": "qcvn81-access-failed", "2.1.3": "qcvn81-access-delay",
    "2.1.4": "qcvn81-dropped", "2.1.5-down": "qcvn81-vd", "2.1.5-up": "qcvn81-vu", "2.1.5-share": "qcvn81-vdmin-share",
}  # fmt: skip
"""Codes in the registry's list `limits`; Vd, Vu and Vdmin are declared by the operators and may be missing."""
_PER_THOUSANDTH = {"%": 10, "s": 1000, "Mbit/s": 1000, "dBm": 0.01}
"""From thousandths of the limit's unit to the indicator's: ppm, microseconds, bit/s, tenths of dBm."""
BATCH = 2_000


def hamlet_report(reader: LedgerReader, registry: Registry, seals: SealReader | None, asked: Asked) -> HamletReport:
    """Gather a dossier. Raises Refused for a code that is no hamlet."""
    entry = registry.hamlet(asked.unit)
    if entry is None:
        raise Refused("unit", f"{asked.unit} is no hamlet that the registry knows; correct the code")
    commune = registry.commune(entry.commune)
    period = Period(asked.period.start_ms, asked.period.end_ms // MINUTE_MS * MINUTE_MS)
    samples = list(_records(reader, asked))
    names = registry.operators()
    days = list(Rollups(reader).days(asked.period.start_ms, asked.period.end_ms, None, entry.code))
    operators = sorted({key.plmn for key, _ in days})
    by_operator = tuple(
        summary((hour for key, hours in days if key.plmn == plmn for hour in hours.values()), entry.code, plmn)
        for plmn in operators
    )
    whole = summary((hour for _, hours in days for hour in hours.values()), entry.code) if days else None
    ends = registry.dated.holding(HamletEndRow, asked.period.end_ms - 1, hamlet=entry.code)
    notes = tuple(ended_note(registry, one, asked.language) for one in ends if one.how != "reopened")
    found = hamlet_evidence(reader, registry, entry.code, period)
    return HamletReport(
        code=entry.code, name=entry.label, within=commune.name if commune else entry.commune, period=asked.period,
        as_of_ms=asked.as_of_ms,
        own=UnitFacts(entry.code, entry.label, (), None, {}, whole, notes=notes), by_operator=by_operator,
        operators=tuple(_operator(reader, registry, entry, one, samples, asked) for one in found),
        proofs=tuple(_proofs(samples, seals)), operator_names=names,
        is_simulated=any(s.record is not None and s.record.simulated for s in samples),
    )  # fmt: skip


def _records(reader: LedgerReader, asked: Asked) -> Iterator[Sample]:
    after = 0
    while True:
        more = reader.samples(
            hamlet=asked.unit, since_ms=asked.period.start_ms, until_ms=asked.period.end_ms, after_n=after,
            limit=BATCH, newest_first=False,
        )  # fmt: skip
        yield from more
        if len(more) < BATCH:
            return
        after = more[-1].n


def _operator(
    reader: LedgerReader, registry: Registry, entry: HamletEntry, found: Evidence, samples: Sequence[Sample],
    asked: Asked,
) -> OperatorFacts:  # fmt: skip
    all_outages = coverage.outages(found.minutes)
    longest = sorted(all_outages, key=lambda one: (-one.minutes, one.from_ms))[:SHOWN_OUTAGES]
    shown = [_outage(reader, entry, found, one) for one in sorted(longest, key=lambda one: one.from_ms)]
    names = registry.operators()
    return OperatorFacts(
        found.plmn, names.get(found.plmn, found.plmn or "-"), found.minutes, coverage.tally(found.minutes),
        coverage.longest_gap(found.minutes), tuple(shown), len(all_outages),
        tuple(_indicators(registry, found.plmn, samples, asked)), tuple(name for name, _ in found.witnesses),
    )  # fmt: skip


def _outage(reader: LedgerReader, entry: HamletEntry, found: Evidence, outage: Outage) -> OutageFacts:
    """Other probes of the hamlet are asked, and its neighbours in the commune; one's own second modem is no witness."""
    span = Period(outage.from_ms, outage.to_ms)
    saw = [name for name, one in found.witnesses if coverage.tally(one.cut(span)).no_service]
    probe = saw[0].split(" ")[0] if saw else ""
    others = [(name, one) for name, one in found.witnesses if name.split(" ")[0] != probe]
    said = [*coverage.neighbours(outage, others), *asked_around(reader, entry.commune, entry.code, found.plmn, outage)]
    return OutageFacts(outage, coverage.confidence(outage, said), tuple(one.name for one in said if one.agrees))


def _indicators(registry: Registry, plmn: str, samples: Sequence[Sample], asked: Asked) -> Iterator[Compared]:
    sound = [s.record for s in samples if s.in_chain and s.fault is None]
    tests = [one for one in sound if isinstance(one, TestRecord) and one.plmn == plmn]
    windows = [one for one in sound if isinstance(one, CoverageRecord) and one.plmn == plmn]
    rows = registry.dated.holding(LimitRow, asked.period.end_ms - 1)
    limits = {row.code: row for row in rows if row.plmn in (None, plmn)}
    level, least = limits.get("qcvn81-level"), limits.get("qcvn81-vdmin")
    if level is not None:
        yield _compared(qcvn.availability(windows, _in_units(level)), limits)
    yield _compared(qcvn.access_failures(tests), limits)
    yield _compared(qcvn.access_delay(tests), limits)
    yield _compared(qcvn.drops(tests), limits)
    for one in qcvn.rates(tests, None if least is None else _in_units(least)):
        yield _compared(one, limits)


def _compared(found: qcvn.Indicator, limits: dict[str, LimitRow]) -> Compared:
    row = limits.get(_LIMITS[found.code])
    if row is None or row.relation not in (">=", "<="):
        return qcvn.compared(found, None, N_MIN)
    return qcvn.compared(found, Limit(found.code, row.relation, _in_units(row)), N_MIN)


def _in_units(row: LimitRow) -> int:
    return round(row.value_x1000 * _PER_THOUSANDTH.get(row.unit, 1))


def _proofs(samples: Sequence[Sample], seals: SealReader | None) -> Iterator[ProofFacts]:
    by_probe: dict[str, list[Sample]] = {}
    for sample in samples:
        by_probe.setdefault(sample.probe, []).append(sample)
    for probe, held in sorted(by_probe.items()):
        ordered = sorted(held, key=lambda one: (one.epoch or 0, one.seq or 0, one.n))
        first, last = ordered[0], ordered[-1]
        yield ProofFacts(
            probe, len(held), f"{first.epoch}/{first.seq}", f"{last.epoch}/{last.seq}", _index(seals, first.n),
            _index(seals, last.n),
        )  # fmt: skip


def _index(seals: SealReader | None, n: int) -> int | None:
    try:
        found = None if seals is None else seals.place("record", n)
    except Unavailable:
        return None
    return None if found is None else found[1]
