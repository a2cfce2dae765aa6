"""One probe's month judged: all rules over all records, what the month says to neighbours, and slots without evidence.

`judge` is the whole of the derivation: the same records, neighbours and settings give the same verdicts, always.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from collector.core.verdict import Hit, Judgement, Verdict, Weight, decide
from collector.core.verdict_case import Around, Cell, Network, Seen, Trouble, cell_of, readings
from collector.core.verdict_one import of_one
from collector.core.verdict_rules import RULES
from collector.core.verdict_series import of_series, series
from wire.records import BootRecord, CoverageRecord, GapRecord, TestRecord

_FAILED_MS = 600_000
"""A failed test stands for so long a trouble around it."""


@dataclass(frozen=True, slots=True)
class Month:
    """What came of one probe's records: by number the judgement, and what neighbours may want to know."""

    judged: Mapping[int, Judgement]
    trace: Trace


@dataclass(frozen=True, slots=True)
class Trace:
    """What a probe's month says to others: cells with the record that first saw them, digests of its series of radio
    readings with their first record, its troubles. Only records that are not suspect speak of cells and troubles."""

    cells: Mapping[Cell, int]
    series: Mapping[str, int]
    troubles: tuple[Trouble, ...]


def judge(records: Sequence[Seen], around: Around, network: Network, begin_ms: int = 0) -> Month:
    """Judge the records of one probe (by epoch and seq). Those that began before `begin_ms` only give the background.

    Coverage is judged after tests: a proved test speaks for the window that it ran in.
    """
    hits: dict[int, list[Hit]] = {seen.n: list(of_one(seen, network)) for seen in records}
    for n, hit in of_series(records, around):
        hits[n].append(hit)
    first: dict[int, Judgement] = {}
    for seen in records:
        found = _kept(seen, [*hits[seen.n], *_spoken(seen, around)])
        first[seen.n] = decide(found, RULES, is_claim=_is_claim(seen))
    proved = [s for s in records if s.test and first[s.n].verdict is Verdict.PROVED]
    judged = {s.n: _with_tests(s, first[s.n], proved) for s in records if _belongs(s, begin_ms)}
    return Month(judged, _trace(records, first))


def _belongs(seen: Seen, begin_ms: int) -> bool:
    return seen.t_ms is None or seen.t_ms >= begin_ms


def _kept(seen: Seen, hits: Sequence[Hit]) -> list[Hit]:
    """A simulated probe has no air: what judges it is left out, and it can prove nothing."""
    if seen.record is None or not seen.record.simulated:
        return list(hits)
    return [*(hit for hit in hits if not RULES[hit.rule].of_air), Hit("made.simulated")]


def _is_claim(seen: Seen) -> bool:
    """Whether the record is only a word: no second witness was there when it was made."""
    return seen.test is None or seen.test.outcome in ("failed", "skipped")


def _spoken(seen: Seen, around: Around) -> Iterator[Hit]:
    """Neighbours who had the same trouble at the same time."""
    if not _is_claim(seen) or seen.t_ms is None:
        return
    own = list(_troubles(seen))
    lights = [t for t in own if t.plmn is None]
    services = [t for t in own if t.plmn is not None]
    if any(_meets(one, other) for one in services for other in around.troubles if other.plmn == one.plmn):
        yield Hit("other.trouble")
    if any(_meets(one, other) for one in lights for other in around.troubles if other.plmn is None):
        yield Hit("other.power")


def _meets(one: Trouble, other: Trouble) -> bool:
    slack_ms = RULES["other.trouble"].limits["slack_ms"]
    return one.begin_ms <= other.end_ms + slack_ms and other.begin_ms <= one.end_ms + slack_ms


def _with_tests(seen: Seen, judged: Judgement, proved: Sequence[Seen]) -> Judgement:
    """A window of coverage with a proved test in it is corroborated; what nobody confirms is told to be alone."""
    if judged.verdict is not Verdict.CLAIMED:
        return judged
    window = seen.coverage
    if window is not None and seen.t_ms is not None and not any(hit.rule == "backfill.late" for hit in judged.hits):
        end_ms = seen.t_ms + window.step_ms * len(window.states)
        inside = (p for p in proved if p.test and p.test.modem == window.modem)
        if any(p.t_ms is not None and seen.t_ms <= p.t_ms < end_ms and _was_covered(seen, p.t_ms) for p in inside):
            return decide([*judged.hits, Hit("own.proved")], RULES, is_claim=True)
    if any(RULES[hit.rule].weight is Weight.CLAIMED for hit in judged.hits):
        return judged
    return decide([*judged.hits, Hit("claim.alone")], RULES, is_claim=True)


def _was_covered(seen: Seen, t_ms: int) -> bool:
    window = seen.coverage
    if window is None or seen.t_ms is None:
        return False
    return window.states[min((t_ms - seen.t_ms) // window.step_ms, len(window.states) - 1)] in "CD"


# --- what neighbours want to know -------------------------------------------------------------------------------------


def _trace(records: Sequence[Seen], judged: Mapping[int, Judgement]) -> Trace:
    sound = [seen for seen in records if not judged[seen.n].is_suspect and seen.is_of_air]
    cells: dict[Cell, int] = {}
    for seen in sound:
        for cell in _cells(seen):
            cells.setdefault(cell, seen.n)
    digests: dict[str, int] = {}
    by_modem: dict[str, list[Seen]] = defaultdict(list)
    for seen in records:
        if seen.test is not None and seen.is_of_air:
            by_modem[seen.test.modem].append(seen)
    for tests in by_modem.values():
        for digest, numbers in series(tests):
            digests.setdefault(digest, numbers[0])
    return Trace(cells, digests, tuple(merged([t for seen in sound for t in _troubles(seen)])))


def _cells(seen: Seen) -> list[Cell]:
    if seen.test is None:
        return []
    found = (cell_of(reading, seen.test.plmn) for reading in readings(seen.test))
    return [cell for cell in found if cell is not None]


def _troubles(seen: Seen) -> Iterator[Trouble]:
    """When a record says that there was no service, or no power."""
    record, t_ms = seen.record, seen.t_ms
    if t_ms is None:
        return
    if isinstance(record, TestRecord) and record.outcome == "failed" and record.plmn is not None:
        yield Trouble(t_ms - _FAILED_MS, t_ms + _FAILED_MS, record.plmn)
    elif isinstance(record, CoverageRecord) and record.plmn is not None:
        for at, letter in enumerate(record.states):
            if letter == "N":
                yield Trouble(t_ms + at * record.step_ms, t_ms + (at + 1) * record.step_ms, record.plmn)
    elif isinstance(record, BootRecord) and record.reason == "power" and record.downtime_ms is not None:
        yield Trouble(t_ms - record.downtime_ms, t_ms, None)


def merged(troubles: Sequence[Trouble]) -> Iterator[Trouble]:
    """Join stretches that touch."""
    open_: dict[str | None, Trouble] = {}
    for one in sorted(troubles, key=lambda t: (t.plmn or "", t.begin_ms)):
        held = open_.get(one.plmn)
        if held is not None and one.begin_ms <= held.end_ms:
            open_[one.plmn] = replace(held, end_ms=max(held.end_ms, one.end_ms))
            continue
        if held is not None:
            yield held
        open_[one.plmn] = one
    yield from open_.values()


# --- slots without evidence -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Empty:
    """A slot that a probe passed without a record of it: no evidence, neither good nor bad.

    `why`: `power` (a start after a power cut lies behind it), `gap` (the probe itself declared a loss), `none`.
    """

    modem: str
    slot_ms: int
    length_ms: int
    why: str


def empty_slots(records: Sequence[Seen], until_ms: int) -> list[Empty]:
    """Slots of the grid between a modem's first and the probe's last report that no test record names."""
    named: dict[tuple[str, int], set[int]] = defaultdict(set)
    for seen in records:
        if seen.test is not None and seen.test.slot_ms is not None and seen.test.slot_length_ms:
            named[seen.test.modem, seen.test.slot_length_ms].add(seen.test.slot_ms)
    reported = max((s.t_ms for s in records if s.t_ms is not None and s.t_ms < until_ms), default=0)
    found: list[Empty] = []
    for (modem, length_ms), starts in named.items():
        at = min(starts)
        while at + length_ms <= reported and len(found) < 10_000:
            if at not in starts:
                found.append(Empty(modem, at, length_ms, _why(records, at, at + length_ms)))
            at += length_ms
    return sorted(found, key=lambda one: (one.slot_ms, one.modem))


def _why(records: Sequence[Seen], begin_ms: int, end_ms: int) -> str:
    for seen in records:
        record = seen.record
        if isinstance(record, BootRecord) and record.reason == "power" and seen.t_ms is not None:
            down = (seen.t_ms - (record.downtime_ms or 0), seen.t_ms)
            if down[0] < end_ms and down[1] > begin_ms:
                return "power"
    if any(isinstance(seen.record, GapRecord) for seen in records):
        return "gap"
    return "none"
