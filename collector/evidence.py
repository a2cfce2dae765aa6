"""The minute ledger of a hamlet, gathered from the ledger and the registry: one for each operator, with its witnesses.

What a probe has not reported yet is not "off": minutes count as silence only up to the end of its last window or to
its last boot, and a boot record that names a power cut dates the cut. Records that are faulty, forked, undated or of
another hamlet are no evidence here. Source: `collector.core.coverage` (rules), design §8.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from collector.core.clock import HOUR_MS
from collector.core.coverage import Minutes, Neighbour, Outage, Window, Witness, merged, neighbours, seen_by
from collector.core.period import MINUTE_MS, Period
from collector.core.place import Place
from collector.core.sample import Sample
from wire.records import BootRecord, CoverageRecord

BATCH = 500
_LONGEST_WINDOW_MS = HOUR_MS
"""A window that began before a period may reach into it by so much: 60 steps of a minute in the field."""


class Reader(Protocol):
    """The part of `collector.ledger.LedgerReader` that is needed here."""

    def samples(
        self,
        *,
        hamlet: str | None = None,
        commune: str | None = None,
        probe: str | None = None,
        kind: str | None = None,
        since_ms: int | None = None,
        until_ms: int | None = None,
        after_n: int | None = None,
        limit: int = 100,
        newest_first: bool = True,
    ) -> Sequence[Sample]:
        """Records that match, at most `limit`."""
        ...


class Registry(Protocol):
    """The part of `collector.registry.Registry` that is needed here."""

    def place(self, probe: str, at_ms: int | None = None, /) -> Place | None:
        """Where a probe stood."""
        ...

    def stood_in(self, hamlet: str, /) -> Sequence[str]:
        """Probes that ever stood in a hamlet."""
        ...


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of one operator in one hamlet: the joined minutes, and each witness's own, by "probe modem"."""

    plmn: str
    minutes: Minutes
    witnesses: tuple[tuple[str, Minutes], ...]
    windows: int


@dataclass(slots=True)
class _Modem:
    windows: list[Window]
    plmns: list[str | None]


def hamlet_evidence(reader: Reader, registry: Registry, hamlet: str, period: Period) -> list[Evidence]:
    """Gather a hamlet's evidence over a period of whole minutes, by operator; empty if no modem ever spoke of it.

    A modem whose operator is not known in a window (no SIM, not registered) keeps the one of its window before.
    A modem that stood there and said nothing in the period is a witness too: of minutes that nobody knows.
    """
    found = {key: _Modem([], [plmn]) for key, plmn in _silent(reader, registry, hamlet, period)}
    for sample in _coverage(reader, period, hamlet=hamlet):
        record, t_ms = sample.record, sample.t_ms
        if isinstance(record, CoverageRecord) and t_ms is not None:
            modem = found.setdefault((sample.probe, record.modem), _Modem([], []))
            modem.windows.append(Window(t_ms, record.step_ms, record.states, record.causes))
            modem.plmns.append(record.plmn)
    by_operator: dict[str, list[tuple[str, Minutes, int]]] = {}
    for (probe, modem_name), modem in sorted(found.items()):
        for plmn, windows in _by_operator(modem).items():
            seen = seen_by(_witness(reader, registry, probe, modem_name, hamlet, windows, period), period)
            by_operator.setdefault(plmn, []).append((f"{probe} {modem_name}", seen, len(windows)))
    return [
        Evidence(plmn, merged([m for _, m, _ in rows]), tuple((n, m) for n, m, _ in rows), sum(k for *_, k in rows))
        for plmn, rows in sorted(by_operator.items())
    ]


def _silent(
    reader: Reader, registry: Registry, hamlet: str, period: Period
) -> Iterator[tuple[tuple[str, str], str | None]]:
    """Modems of the probes that stood in the hamlet, with the operator of their last window before the period."""
    for probe in registry.stood_in(hamlet):
        before = reader.samples(probe=probe, kind="coverage", until_ms=period.start_ms, limit=8)
        modems = {s.record.modem: s.record.plmn for s in reversed(before) if isinstance(s.record, CoverageRecord)}
        for modem, plmn in modems.items():
            yield (probe, modem), plmn


def asked_around(reader: Reader, commune: str, hamlet: str, plmn: str, outage: Outage) -> list[Neighbour]:
    """Ask the commune's other hamlets, same operator, about the time of an outage; by hamlet code."""
    period = Period(outage.from_ms, outage.to_ms)
    windows: dict[str, dict[str, list[Window]]] = {}
    for sample in _coverage(reader, period, commune=commune):
        record = sample.record
        if not isinstance(record, CoverageRecord) or sample.t_ms is None or sample.hamlet == hamlet:
            continue
        if record.plmn in (plmn, None):
            one = Window(sample.t_ms, record.step_ms, record.states, record.causes)
            windows.setdefault(sample.hamlet, {}).setdefault(f"{sample.probe} {record.modem}", []).append(one)
    seen = [
        (code, merged([seen_by(Witness("", "", (), period.end_ms, tuple(each)), period) for each in modems.values()]))
        for code, modems in sorted(windows.items())
    ]
    return neighbours(outage, seen)


def _coverage(reader: Reader, period: Period, **where: str) -> Iterator[Sample]:
    since_ms = period.start_ms - _LONGEST_WINDOW_MS
    found = [s for s in _all(reader, "coverage", since_ms, period.end_ms, **where) if s.in_chain and s.fault is None]
    yield from sorted(found, key=lambda one: (one.t_ms or 0, one.n))


def _all(reader: Reader, kind: str, since_ms: int | None, until_ms: int | None, **where: str) -> Iterator[Sample]:
    after = 0
    while True:
        more = reader.samples(
            kind=kind, since_ms=since_ms, until_ms=until_ms, after_n=after, limit=BATCH, newest_first=False, **where
        )  # fmt: skip
        yield from more
        if len(more) < BATCH:
            return
        after = more[-1].n


def _by_operator(modem: _Modem) -> Mapping[str, list[Window]]:
    """The windows by operator. `plmns` may begin with the operator of the window before the first."""
    last = next((plmn for plmn in modem.plmns if plmn), "")
    parted: dict[str, list[Window]] = {} if modem.windows else {last: []}
    for window, plmn in zip(modem.windows, modem.plmns[-len(modem.windows) :], strict=bool(modem.windows)):
        last = plmn or last
        parted.setdefault(last, []).append(window)
    return parted


def _witness(
    reader: Reader, registry: Registry, probe: str, modem: str, hamlet: str, windows: Sequence[Window], period: Period
) -> Witness:
    ends = [one.t_ms + len(one.states) * one.step_ms for one in windows]
    boots = [s for s in _all(reader, "boot", None, None, probe=probe) if s.in_chain and s.t_ms is not None]
    began = [one.t_ms for one in boots if one.t_ms is not None]
    dark = [
        Period(sample.t_ms - sample.record.downtime_ms, sample.t_ms)
        for sample in boots
        if isinstance(sample.record, BootRecord) and sample.record.reason == "power"
        if sample.record.downtime_ms and sample.t_ms is not None
    ]
    stood = tuple(_stood(registry, probe, hamlet, period))
    return Witness(probe, modem, stood, max([*ends, *began], default=0), tuple(windows), tuple(dark))


def _stood(registry: Registry, probe: str, hamlet: str, period: Period) -> Iterator[Period]:
    """When the probe stood in the hamlet, to the minute; looked at each hour, a change between two looks is sought."""

    def is_there(t_ms: int) -> bool:
        place = registry.place(probe, t_ms)
        return place is not None and place.hamlet == hamlet

    began, was, at = period.start_ms, is_there(period.start_ms), period.start_ms
    while at < period.end_ms:
        following = min(at + HOUR_MS, period.end_ms)
        now = is_there(following - 1)
        if now != was:
            change = _change(is_there, at, following, was=was)
            if was:
                yield Period(began, change)
            began, was = change, now
        at = following
    if was and began < period.end_ms:
        yield Period(began, period.end_ms)


def _change(is_there: Callable[[int], bool], low: int, high: int, *, was: bool) -> int:
    """The first whole minute after `low` at which the answer is no longer `was`; `low` and `high` are whole minutes."""
    while high - low > MINUTE_MS:
        middle = low + (high - low) // (2 * MINUTE_MS) * MINUTE_MS
        if is_there(middle) == was:
            low = middle
        else:
            high = middle
    return high
