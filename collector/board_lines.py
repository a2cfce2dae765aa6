"""What boards need and no record carries, gathered: quotas, missed slots, verdicts, refusals, the collector.

`forward` asks once a minute for what is due. Each kind has its own pace, and rests longer where it took long, so that a
country's worth of units never holds up the records' own points. A source that cannot be read now is asked again next
time. Source: `collector.core.measures`.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from collector.allotments import signed_grid
from collector.campaigns import Campaigns, LineView, UnitStanding
from collector.core.clock import DAY_MS, OFFSET_MS, day_of, hour_of
from collector.core.liveness import State
from collector.core.measures import measure_line, words_of
from collector.core.points import Field
from collector.health import read_health
from collector.ledger import LedgerReader
from collector.probe_watch import Watched
from collector.registry import Registry
from collector.unit_lines import UnitLines
from collector.verdict_store import VerdictReader
from wire.errors import Misconfigured, Unavailable

LOG = logging.getLogger("collector.boards")
REST = 20
"""A kind that took t seconds rests at least 20 t."""
FRESH_DAYS, ALL_DAYS = 2, 40
Source = Callable[[int], Iterator[str]]


class BoardLines:
    """Gives the lines that are due.

    `units`: points of whole units and days; `watched`: how every probe was a moment ago.
    """

    def __init__(
        self,
        state: Path,
        reader: LedgerReader,
        registry: Registry,
        units: UnitLines,
        watched: Callable[[], Sequence[Watched]],
    ) -> None:
        self._state = state
        self._reader = reader
        self._registry = registry
        self._units = units
        self._verdicts: VerdictReader | None = None
        self._told: set[str] = set()
        self._watched = watched
        self._kinds: dict[str, tuple[float, Source]] = {
            "system": (60, self._system),
            "unit": (5, units.lines),
            "quota": (600, self._quotas),
            "judged": (600, self._judged),
            "refusal": (600, self._refusals),
        }
        self._due_s = dict.fromkeys(self._kinds, 0.0)
        self._grid = signed_grid(state / "config", registry)
        self._whole_due_ms = 0
        self._quotas_of, self._rested_s = -1, 0.0

    def lines(self, at_ms: int) -> Iterator[list[str]]:
        """The lines of each kind that is due; who asks for the next has written the last.

        A kind whose source cannot be read is passed over, and told once. Quotas are due at once when the registry has
        changed: a figure that somebody has just entered is looked for on the board.
        """
        for name, (every_s, source) in self._kinds.items():
            began = time.monotonic()
            if began < (self._changed_s() if name == "quota" else self._due_s[name]):
                continue
            try:
                yield [text for text in source(at_ms) if text]
                if name == "unit":
                    self._units.written()
                self._told.discard(name)
            except (Unavailable, Misconfigured) as error:
                if name not in self._told:
                    LOG.warning("no %s for the boards: %s; trying again", name, error)
                self._told.add(name)
            # A little less than the period: the caller comes once a minute, and not to the millisecond.
            took_s = time.monotonic() - began
            self._due_s[name] = began + max(every_s - 5, REST * took_s)
            if name == "quota":
                self._rested_s = began + REST * took_s

    def _changed_s(self) -> float:
        """When quotas are due: at their pace, or once they have rested if the registry is no longer what they read."""
        is_same = self._registry.version() == self._quotas_of
        return self._due_s["quota"] if is_same else min(self._rested_s, self._due_s["quota"])

    def _system(self, at_ms: int) -> Iterator[str]:
        health = read_health(self._state, at_ms)
        forward, receive, seal = health.forward, health.receive, health.seal
        active = [one for one in self._watched() if one.entry.state == "active"]
        silent = sum(one.state in (State.SILENT, State.DARK) for one in active)
        fields: dict[str, Field] = {"probes": len(active), "silent": silent}
        if forward is not None:
            fields |= {"lag": forward.lag, "parked": forward.parked}
        if receive is not None:
            fields["receiving"] = int(health.receive_alive and receive.broker_connected and not receive.ledger_error)
            fields["commit_age_s"] = _age_s(receive.last_commit_ms, at_ms)
        if seal is not None:
            fields["sealing"] = int(health.seal_alive and seal.error is None)
            fields |= {"seal_age_s": _age_s(seal.signed_ms, at_ms), "seal_size": seal.size}
        yield measure_line("system", (("part", "collector"),), fields, at_ms)

    def _quotas(self, at_ms: int) -> Iterator[str]:
        self._quotas_of = self._registry.version()
        provinces = {one.code: one.province for one in self._registry.communes()}
        for campaign in Campaigns(self._reader, self._registry, self._grid).at(at_ms):
            for view in campaign.lines:
                if view.line.level in ("commune", "province"):
                    yield from _line_lines(campaign.row.code, view, provinces, at_ms)

    def _refusals(self, at_ms: int) -> Iterator[str]:
        since_ms = day_of(at_ms - FRESH_DAYS * DAY_MS)[0]
        sql = "SELECT (received_ms + ?1) / ?2, reason, count(*) FROM refusal WHERE received_ms >= ?3 GROUP BY 1, 2"
        for day, reason, number in map(tuple, self._reader.rows(sql, OFFSET_MS, DAY_MS, since_ms)):
            yield measure_line("refusal_1d", (("reason", reason),), {"n": number}, day * DAY_MS - OFFSET_MS)

    def _judged(self, at_ms: int) -> Iterator[str]:
        """Verdicts, rules and missed slots by hamlet and local day: the last two days, once a day the last forty."""
        path = self._state / "verdict.db"
        if not path.exists():
            return
        self._verdicts = self._verdicts or VerdictReader(path)
        days = FRESH_DAYS
        if at_ms >= self._whole_due_ms:
            days, self._whole_due_ms = ALL_DAYS, at_ms + DAY_MS
        yield from _verdict_lines(self._verdicts, self._registry, day_of(at_ms - days * DAY_MS)[0])
        yield from _slot_lines(self._verdicts, self._registry, day_of(at_ms - days * DAY_MS)[0], at_ms)


def _age_s(then_ms: int | None, at_ms: int) -> int | None:
    return None if then_ms is None else max(0, at_ms - then_ms) // 1000


def _line_lines(campaign: str, view: LineView, provinces: dict[str, str], at_ms: int) -> Iterator[str]:
    for unit in view.units:
        commune = unit.code if view.line.level == "commune" else None
        province = provinces.get(unit.code) if commune else unit.code
        tags = (("province", province), ("commune", commune), ("campaign", campaign), ("line", view.line.code))
        yield measure_line("quota", tags, _quota_fields(view, unit), hour_of(at_ms))


def _quota_fields(view: LineView, unit: UnitStanding) -> dict[str, Field]:
    counted = unit.standing.counted
    fields: dict[str, Field] = {"name": unit.name, "minimum": view.line.needed, "missing": unit.standing.missing}
    if counted is not None:
        fields["counted"] = counted.value
    if unit.pace is not None:
        fields |= {"due_by_now": unit.pace.due_by_now, "ahead": unit.pace.ahead, "behind": int(unit.pace.ahead < 0)}
    if unit.projection is not None:
        found = unit.projection
        fields |= {"low": found.low, "middle": found.middle, "high": found.high, "outlook": found.outlook}
    return fields


Place = tuple[str, str, str]


def _place(registry: Registry, probe: str, at_ms: int) -> Place | None:
    place = registry.place(probe, at_ms)
    return None if place is None else (place.province, place.commune, place.hamlet)


def _verdict_lines(verdicts: VerdictReader, registry: Registry, since_ms: int) -> Iterator[str]:
    """Test and coverage records by verdict, and suspect ones by rule."""
    day = "(t_ms + ?1) / ?2"
    whole = f"SELECT probe, {day}, 'verdict', verdict, count(*) FROM record WHERE t_ms >= ?3 AND verdict IS NOT NULL"  # noqa: S608
    rules = (
        f"SELECT probe, {day}, 'rule', json_extract(value, '$[0]'), count(*) FROM record, json_each(record.hits)"  # noqa: S608
        " WHERE t_ms >= ?3 AND verdict = 'suspect'"
    )
    counts: dict[tuple[Place, int], Counter[tuple[str, str]]] = {}
    for sql in (whole, rules):
        for probe, number, what, word, n in verdicts.rows(f"{sql} GROUP BY 1, 2, 4", OFFSET_MS, DAY_MS, since_ms):
            day_ms = number * DAY_MS - OFFSET_MS
            place = _place(registry, probe, day_ms + DAY_MS - 1)
            if place is not None:
                counts.setdefault((place, day_ms), Counter())[what, word] += n
    for ((province, commune, hamlet), day_ms), found in counts.items():
        for what, word, n in words_of(found):
            tags = (("province", province), ("commune", commune), ("hamlet", hamlet), ("what", what), ("word", word))
            yield measure_line("verdict_1d", tags, {"n": n}, day_ms)


def _slot_lines(verdicts: VerdictReader, registry: Registry, since_ms: int, at_ms: int) -> Iterator[str]:
    """Slots without a record by hamlet and local day; 0 where there are none: a late record may have filled it."""
    missed: dict[tuple[Place, int], list[int]] = {}
    for probe in registry.probes():
        for day_ms in range(since_ms, at_ms, DAY_MS):
            place = _place(registry, probe.id, day_ms + DAY_MS - 1)
            if place is not None:
                missed.setdefault((place, day_ms), [0, 0])
    sql = "SELECT probe, (slot_ms + ?1) / ?2, count(*), sum(why = 'power') FROM empty_slot WHERE slot_ms >= ?3"
    for probe_id, number, n, power in verdicts.rows(f"{sql} GROUP BY 1, 2", OFFSET_MS, DAY_MS, since_ms):
        day_ms = number * DAY_MS - OFFSET_MS
        place = _place(registry, probe_id, day_ms + DAY_MS - 1)
        if place is not None:
            held = missed.setdefault((place, day_ms), [0, 0])
            held[0] += n
            held[1] += power
    for ((province, commune, hamlet), day_ms), (n, power) in missed.items():
        tags = (("province", province), ("commune", commune), ("hamlet", hamlet))
        yield measure_line("slot_1d", tags, {"missed": n, "power": power}, day_ms)
