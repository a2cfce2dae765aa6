"""What the walk expects: for each fault the cause that records must name, the rung that may be taken, and no others.

Pure. A `Seen` is what the records of one phase said; `judge` says what is wrong with it, in words. Expected causes are
the product's own (`wire.failure`), so a wrong row here is a wrong reading of design.md §4 and §8, not of the program.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from wire.failure import Cause
from wire.records import AnyRecord, BootRecord, CoverageRecord, EventRecord, TestRecord

REDUCED = "reduced_mode"
"""No rung of the ladder: the probe that keeps losing its power rests from tests."""


@dataclass(frozen=True, slots=True)
class Case:
    """One fault of the walk.

    `causes`: any of them in a failed test (of any stage) or at the beginning of an outage, and one of `letters` in
    coverage (after the power cut either will do); both empty where the fault leaves tests alone, and then they must
    go on. `events`: all must be told, as "event" or "event/cause". `rungs`: what the recovery ladder may do (none:
    nothing at all); `cure_s`: one of them must be told within so long (0: need not). `heals`: it is over by itself.
    `boots`: it begins with a boot; `first`: it was there before the probe ever started. `late`: records of it may come
    only when it is over. `second`: the fault of that name, of the site's second modem, and the first goes on.
    `patience_s`: how long each phase may take to show.
    """

    causes: frozenset[Cause] = frozenset()
    letters: str = ""
    events: tuple[str, ...] = ()
    rungs: frozenset[str] = frozenset()
    cure_s: float = 0.0
    heals: bool = False
    boots: bool = False
    first: bool = False
    late: bool = False
    second: str = ""
    patience_s: float = 45.0


def _case(*causes: Cause, letters: str = "", **more: Any) -> Case:
    return Case(frozenset(causes), letters, **more)


LOOKED_S = 80.0
"""Patience with a fault that is found by looking at the link, between two tests."""
_SOFT = frozenset({"reconnect", "reregister", "modem_restart"})
_HARD = _SOFT | {"usb_reauthorise", "usb_power", "usb_controller"}
CASES: Mapping[str, Case] = {
    "sim-out": _case(Cause.NO_SIM, letters="i", events=("outage_begin/no_sim",)),
    "sim-pin": _case(Cause.SIM_LOCKED, letters="k", events=("outage_begin/sim_locked",)),
    "sim-puk": _case(Cause.SIM_PUK, letters="u", events=("outage_begin/sim_puk",)),
    "wrong-sim": _case(Cause.WRONG_SIM, letters="w", events=("outage_begin/wrong_sim",)),
    "no-service": _case(Cause.SEARCHING, letters="s", events=("outage_begin/searching",), rungs=_SOFT),
    "denied": _case(Cause.DENIED, letters="d", events=("outage_begin/denied",)),
    "limited": _case(Cause.LIMITED_SERVICE, letters="l", events=("outage_begin/limited_service",), rungs=_SOFT),
    "pdp-lost": _case(Cause.NO_PDP, letters="p", rungs=frozenset({"reconnect"}), cure_s=170.0, patience_s=LOOKED_S),
    "pdp-refused": _case(Cause.NO_PDP, letters="p", rungs=_HARD, patience_s=LOOKED_S),
    "dns-dead": _case(Cause.NO_DNS, rungs=_SOFT, patience_s=LOOKED_S),
    "dns-nxdomain": _case(Cause.NO_DNS, rungs=_SOFT, patience_s=LOOKED_S),
    "portal": _case(Cause.CAPTIVE, letters="c", patience_s=LOOKED_S),
    "plan-expired": _case(Cause.PLAN_EXPIRED, letters="x", patience_s=LOOKED_S),
    "plan-barred": _case(Cause.PLAN_EXPIRED, letters="x", patience_s=LOOKED_S),
    "plan-throttled": _case(Cause.PLAN_THROTTLED, letters="t", patience_s=120.0),
    "server-down": _case(Cause.SERVER_DOWN, Cause.SERVER_UNREACHABLE, letters="v", patience_s=LOOKED_S),
    "broker-down": Case(),
    "modem-mute": _case(Cause.MODEM_MUTE, letters="q", events=("modem_lost/modem_mute",), rungs=_HARD, cure_s=110.0),
    "modem-renumbered": Case(heals=True),
    "modem-pulled": _case(Cause.NO_MODEM, letters="m", events=("modem_lost/no_modem",), rungs=_HARD),
    "gpsd-killed": Case(),
    "clock-1970": Case(events=("clock_set",), boots=True),
    "clock-hour-behind": Case(events=("clock_set",), boots=True),
    "clock-hour-ahead": Case(events=("clock_set",), boots=True),
    "clock-years-behind": Case(events=("clock_set",), boots=True),
    "clock-years-ahead": Case(events=("clock_set",), boots=True),
    "card-full": Case(events=("disk_error/low_disk",), late=True),
    # Nothing can be put down while it lasts, and the power cut that cures it takes what was held in memory.
    "card-read-only": Case(letters="o", late=True),
    "one-modem-dead": _case(
        Cause.NO_MODEM, letters="m", events=("modem_lost/no_modem",), rungs=_HARD, second="modem-pulled"
    ),
    "never-any-signal": _case(
        Cause.SEARCHING, letters="s", events=("outage_begin/searching",), rungs=_SOFT, first=True
    ),
}


@dataclass(frozen=True, slots=True)
class Seen:
    """What some records said: tests as "stage/cause" or "ok", letters of coverage, events; rungs as "reconnect cured".

    `undated`: records without a time; `good_tests`: tests that show that the way is there.
    """

    tests: tuple[str, ...] = ()
    letters: str = ""
    events: tuple[str, ...] = ()
    rungs: tuple[str, ...] = ()
    boots: tuple[str, ...] = ()
    undated: int = 0
    good_tests: int = 0

    @property
    def causes(self) -> set[str]:
        """Causes of failed tests and of outages that began."""
        begun = (event for event in self.events if event.startswith(("outage_begin/", "modem_lost/")))
        return {word.partition("/")[2] for word in (*self.tests, *begun) if "/" in word}


def seen(records: Iterable[AnyRecord], modem: str) -> Seen:
    """Read the records that concern one modem, or none in particular."""
    tests, letters, events, rungs, boots = [], "", [], [], []
    undated = good = 0
    for record in records:
        undated += record.t_ms is None
        if isinstance(record, BootRecord):
            boots.append(record.reason)
        elif isinstance(record, EventRecord) and record.modem in (None, modem):
            events.append(record.event if record.cause is None else f"{record.event}/{record.cause}")
            rungs += [f"{record.rung} {record.now}"] if record.event == "recovery" and record.rung else []
        elif isinstance(record, CoverageRecord) and record.modem == modem:
            letters += record.causes
        elif isinstance(record, TestRecord) and record.modem == modem:
            good += is_good(record)
            tests.append(_test(record))
    return Seen(tuple(tests), letters, tuple(events), tuple(rungs), tuple(boots), undated, good)


def is_cured(case: Case, found: Seen) -> bool:
    """Whether one of the rungs that may be taken brought the modem back."""
    return any(f"{rung} cured" in found.rungs for rung in case.rungs)


def is_good(record: TestRecord) -> bool:
    """Whether a test shows that the way is there: bytes went by the modem's link, or our point had no place for it.

    A machine that is busy with other things makes a test partial, or the point refuse it; the link is none the worse.
    """
    if record.cause == Cause.SERVER_BUSY:
        return True
    return record.outcome in ("ok", "partial") and record.path is not None and record.path.verdict == "ok"


def _test(record: TestRecord) -> str:
    if record.cause is None:
        return record.outcome if record.path is None or record.path.verdict == "ok" else record.path.verdict
    return f"{record.stage}/{record.cause}"


def shows(case: Case, found: Seen, *, is_again: bool = False) -> bool:
    """Whether records say of a fault what they must, rungs and the end left aside. `is_again`: after the power cut."""
    return not _missing(case, found, is_again=is_again)


def _missing(case: Case, found: Seen, *, is_again: bool) -> list[str]:
    told: list[str] = []
    if case.causes and not case.causes & {Cause(word) for word in found.causes if word in set(Cause)}:
        told.append(f"no record says {_words(case.causes)}")
    if case.letters and not set(case.letters) & set(found.letters):
        told.append(f"no coverage step says {case.letters!r}")
    if not case.causes and not case.late and not found.good_tests:
        told.append("no good test while it lasted")
    is_named = case.causes and case.letters and len(told) < 2
    return [] if is_again and is_named else told


def judge(case: Case, phases: Sequence[Seen], whole: Seen, *, back_s: float | None) -> tuple[str, ...]:
    """What is wrong with a fault's records; empty if nothing is. `phases`: before and after the power cut in it."""
    told: list[str] = []
    if not case.late:
        for name, found in zip(("", "after the power cut: "), phases, strict=False):
            told += [name + text for text in _missing(case, found, is_again=bool(name))]
    told += [f"no event {event}" for event in case.events if event not in whole.events]
    if case.late and case.letters and not set(case.letters) & set(whole.letters):
        told.append(f"no coverage step says {case.letters!r}")
    wrong = sorted({rung.split()[0] for rung in whole.rungs} - case.rungs - {REDUCED})
    told += [f"rung {rung} must not be taken" for rung in wrong]
    if case.cure_s and not is_cured(case, whole):
        told.append(f"cured by none of {', '.join(sorted(case.rungs))}")
    if len(phases) > 1 and "power" not in whole.boots:
        told.append("no boot record says power")
    if back_s is None:
        told.append("no normal work afterwards")
    return tuple(told)


def _words(causes: Iterable[Cause]) -> str:
    return " or ".join(sorted(cause.value for cause in causes))


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the walk's table. Times in seconds since the walk began; `back_s` None: never normal again."""

    lane: str
    fault: str
    began_s: float
    lasted_s: float
    said: Seen
    cut: bool
    back_s: float | None
    wrong: tuple[str, ...] = field(default=())

    @property
    def verdict(self) -> str:
        """`right`, or what is wrong."""
        return "; ".join(self.wrong) or "right"
