"""Verdicts on records: the words, the rules as data, and how what was found becomes one verdict. Rule set `verdict`.

Pure. A verdict is never stored with a record: it is derived from the record, its receipts, the registry, the probe's
other records, its neighbours and time, by the rules below, and can be derived again by anyone who has the same. What
a rule looks for is code (`verdict_one`, `verdict_series`, `verdict_around`); what it is called, how heavily it weighs,
its limits and its explanation are this table. Changing any of them raises `RULE_VERSION`.
Source: facts note 08 §3.3 (second witness), §3.5 (plausibility); decision 0027.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256

RULE_SET = "verdict"
RULE_VERSION = 1


class Verdict(StrEnum):
    """What a record is worth as evidence. `claimed`: the probe says so, and nobody else does."""

    PROVED = "proved"
    PLAUSIBLE = "plausible"
    CLAIMED = "claimed"
    CORROBORATED = "corroborated"
    SUSPECT = "suspect"


class Weight(StrEnum):
    """What a rule that applies does to the verdict.

    `reject` and `suspect` make it suspect (a reject could not happen to an honest probe that works); `claimed` and
    `plausible` say what it can be at most; `speaks` is evidence by another witness that agrees; `note` changes nothing.
    """

    REJECT = "reject"
    SUSPECT = "suspect"
    CLAIMED = "claimed"
    PLAUSIBLE = "plausible"
    SPEAKS = "speaks"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `fake`: the class of facts note 08 §3.5 that it is there for, "" for none.

    `of_air`: it judges radio, position or the operator's network, which a simulated probe does not have.
    `limits` are integers with their unit in the name.
    """

    id: str
    fake: str
    weight: Weight
    vi: str
    en: str
    limits: Mapping[str, int] = field(default_factory=dict)
    of_air: bool = False


@dataclass(frozen=True, slots=True)
class Hit:
    """A rule that applies to a record; `figures` are what it saw, for whoever wants to follow."""

    rule: str
    figures: Mapping[str, int | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict on one record and every rule that applied, in the table's order."""

    verdict: Verdict
    hits: tuple[Hit, ...]

    @property
    def is_suspect(self) -> bool:
        """Whether it is not to be counted."""
        return self.verdict is Verdict.SUSPECT


def decide(hits: Iterable[Hit], rules: Mapping[str, Rule], *, is_claim: bool) -> Judgement:
    """Weigh what was found. `is_claim`: nothing but another witness can lift it (a failure, an outage, a start)."""
    order = {name: at for at, name in enumerate(rules)}
    found = tuple(sorted({hit.rule: hit for hit in hits}.values(), key=lambda hit: order[hit.rule]))
    weights = {rules[hit.rule].weight for hit in found}
    if weights & {Weight.REJECT, Weight.SUSPECT}:
        return Judgement(Verdict.SUSPECT, found)
    if is_claim or Weight.CLAIMED in weights:
        return Judgement(Verdict.CORROBORATED if Weight.SPEAKS in weights else Verdict.CLAIMED, found)
    return Judgement(Verdict.PLAUSIBLE if Weight.PLAUSIBLE in weights else Verdict.PROVED, found)


def digest(rules: Mapping[str, Rule], settings: object = None) -> str:
    """Return SHA-256 (hex) over everything that decides: version, ids, weights, limits, the deployment's settings."""
    rows = [[r.id, r.weight, dict(sorted(r.limits.items())), r.of_air] for r in rules.values()]
    text = json.dumps([RULE_SET, RULE_VERSION, rows, settings], sort_keys=True, default=str)
    return sha256(text.encode()).hexdigest()
