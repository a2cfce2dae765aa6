"""Marks, objections and weak spots as cases: who may say what next, and until when an answer is due.

A case is the fold of its steps; nothing is ever taken back, and the record or outage that it is about stays as it is:
a decision is shown beside what the rules say. An override needs two people. Which days are no working days is given by
the caller, since holidays are data. Source: issue "Evidence for officials", 5; decision 0030.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Literal, get_args

from wire.errors import Refused

Kind = Literal["sample", "outage", "spot"]
What = Literal["opened", "answered", "replied", "proposed", "confirmed", "declined", "fixed", "compared", "closed"]
State = Literal["waiting", "answered", "proposed", "decided", "promised", "fixed", "compared", "closed"]
Verdict = Literal["counted", "not_counted"]
KINDS: tuple[Kind, ...] = get_args(Kind)
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
MOST_TEXT = 1000
LEAST_TEXT = 5
_OFFICE = frozenset({"official", "operator"})
_COMPANY = frozenset({"company"})

RULES: dict[tuple[bool, State], dict[What, tuple[State, frozenset[str]]]] = {
    (False, "waiting"): {"answered": ("answered", _OFFICE), "proposed": ("proposed", _OFFICE),
                         "closed": ("closed", _OFFICE)},
    (False, "answered"): {"replied": ("waiting", _OFFICE), "proposed": ("proposed", _OFFICE),
                          "closed": ("closed", _OFFICE)},
    (False, "proposed"): {"confirmed": ("decided", _OFFICE), "declined": ("answered", _OFFICE)},
    (False, "decided"): {"closed": ("closed", _OFFICE)},
    (True, "waiting"): {"replied": ("promised", _COMPANY), "closed": ("closed", _OFFICE)},
    (True, "promised"): {"replied": ("promised", _COMPANY), "fixed": ("fixed", _COMPANY),
                         "closed": ("closed", _OFFICE)},
    (True, "fixed"): {"compared": ("compared", _OFFICE), "replied": ("promised", _COMPANY)},
    (True, "compared"): {"closed": ("closed", _OFFICE), "replied": ("promised", _COMPANY),
                         "compared": ("compared", _OFFICE)},
}  # fmt: skip
"""(is it a weak spot, state): what may come next, to which state it leads, and whose it is to say."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a case is about. A sample has its place in the chain and its leaf (base64); an outage or spot its operator,
    and an outage its time. `counted` is what the rules said of a sample when the case was opened."""

    kind: Kind
    province: str
    commune: str
    hamlet: str
    plmn: str = ""
    probe: str | None = None
    epoch: int | None = None
    seq: int | None = None
    leaf: str | None = None
    from_ms: int | None = None
    to_ms: int | None = None
    counted: bool | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """Something that a person said. `due`: when an answer is due (a day, counted whole); `promised`: the company's."""

    what: What
    actor: str
    role: str
    at_ms: int
    text: str
    verdict: Verdict | None = None
    due: date | None = None
    promised: date | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """Where a case stands. `due` is None while nobody's answer is awaited; `proposal`, `decision`: an override's."""

    n: int
    subject: Subject
    steps: tuple[Step, ...]
    state: State
    due: date | None = None
    proposal: Step | None = None
    decision: Verdict | None = None
    second_actor: str | None = None

    @property
    def opened(self) -> Step:
        """How it began."""
        return self.steps[0]

    @property
    def promised(self) -> date | None:
        """The last day that the company named; None if it named none."""
        return next((one.promised for one in reversed(self.steps) if one.promised is not None), None)

    @property
    def is_open(self) -> bool:
        """Whether somebody still has something to do."""
        return self.state not in ("closed", "decided")

    def may(self, role: str) -> tuple[What, ...]:
        """What a person of a role may say next."""
        rules = RULES.get((self.subject.kind == "spot", self.state), {})
        found = [what for what, (_, roles) in rules.items() if role in roles]
        return tuple(what for what in found if self.subject.kind != "outage" or what not in ("proposed", "confirmed"))


def begin(n: int, subject: Subject, first: Step) -> Case:
    """Open a case. Raises Refused."""
    if first.what != "opened" or first.role not in _OFFICE:
        raise Refused("case", "a case is opened by an official or operator")
    _check_subject(subject)
    _check_text(first)
    return Case(n, subject, (first,), "waiting", first.due)


def step(case: Case, said: Step) -> Case:
    """What the case is after somebody said something. Raises Refused in a sentence if it is not theirs to say."""
    rules = RULES.get((case.subject.kind == "spot", case.state), {})
    if said.what not in rules or said.what not in case.may(said.role):
        raise Refused(
            "case", f"case {case.n} is {case.state}: {said.role} cannot say {said.what!r} now; reload the page"
        )
    _check_text(said)
    _check_people(case, said)
    following = replace(case, state=rules[said.what][0], steps=(*case.steps, said), due=said.due)
    if said.what == "proposed":
        return replace(following, proposal=said)
    if said.what == "confirmed" and case.proposal is not None:
        return replace(following, decision=case.proposal.verdict, second_actor=said.actor)
    if said.what == "declined":
        return replace(following, proposal=None)
    return following


def fold(n: int, subject: Subject, steps: Iterable[Step]) -> Case:
    """The case that these steps make. Raises Refused, ValueError without a step."""
    first, *rest = steps
    case = begin(n, subject, first)
    for one in rest:
        case = step(case, one)
    return case


def _check_subject(subject: Subject) -> None:
    place = (subject.probe, subject.epoch, subject.seq, subject.leaf)
    if subject.kind == "sample" and None in place:
        raise Refused("case", "a case about a sample names the sample: open it from the sample's own line")
    if subject.kind != "sample" and not subject.plmn:
        raise Refused("case", "a case about an outage or a weak spot names the operator")
    if subject.kind == "outage" and (
        subject.from_ms is None or subject.to_ms is None or subject.from_ms >= subject.to_ms
    ):
        raise Refused("case", "a case about an outage names its time")


def _check_text(said: Step) -> None:
    if not LEAST_TEXT <= len(said.text.strip()) <= MOST_TEXT:
        raise Refused("case", f"write a reason of {LEAST_TEXT} to {MOST_TEXT} characters")
    if said.what == "proposed" and said.verdict is None:
        raise Refused("case", "say whether the sample is to be counted or not")


def _check_people(case: Case, said: Step) -> None:
    """Two different people for an override. A promise is a day that is still to come."""
    if said.what in ("confirmed", "declined") and case.proposal is not None and said.actor == case.proposal.actor:
        raise Refused("case", "an override needs a second person: somebody else must look at it")


def working_days_after(day: date, count: int, closed: Collection[date] = (), worked: Collection[date] = ()) -> date:
    """The `count`-th working day after a day: the last one on which an answer is in time.

    Saturdays, Sundays and `closed` are none, unless `worked` has them. Raises ValueError if a year is not enough.
    """
    left, at = count, day
    for _ in range(366):
        if left == 0:
            return at
        at += timedelta(days=1)
        left -= at in worked or (at.weekday() < 5 and at not in closed)
    if left == 0:
        return at
    raise ValueError("no such working day within a year: check the list of holidays")
