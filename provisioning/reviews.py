"""Decisions of two people on one sample, signed as `review` notes with the registry's key, each once.

The pages hold no key: they keep what people said in `dispute.db`, and this end signs what two logins agreed on. The
note goes into the registry's table of notes, from where `receive` takes it into the ledger, and so into the log.
Source: wire/SPEC.md §6 (review); issue "Evidence for officials", 5.
"""

from __future__ import annotations

import json
import re
from contextlib import closing
from dataclasses import dataclass

from collector.core.dispute import Case
from collector.disputes import FILE, Disputes
from provisioning.identity import Desk
from wire import notes

_NO_CODE = re.compile(r"[^A-Za-z0-9_-]")


@dataclass(frozen=True, slots=True)
class Signed:
    """One decision that was signed now."""

    case: int
    probe: str
    epoch: int
    seq: int
    verdict: str


def sign_due(desk: Desk) -> list[Signed]:
    """Sign every decision that has no note yet. Raises Misconfigured, Unavailable, Refused."""
    path = desk.where.registry.with_name(FILE)
    if not path.exists():
        return []
    with closing(Disputes(path)) as disputes:
        disputes.verify()
        decided = [one for one in reversed(disputes.cases()) if one.decision is not None]
    done = _signed_before(desk)
    return [_sign(desk, case) for case in decided if f"[{case.n}]" not in done]


def _signed_before(desk: Desk) -> set[str]:
    """Numbers of cases that stand at the head of a signed reason, as `[12]`."""
    found, after = set(), 0
    while held := desk.identities.notes(after):
        after = held[-1].n
        for one in held:
            if one.type == "review":
                found.add(str(json.loads(one.raw.split(b"\n", 2)[1])["reason"]).partition(" ")[0])
    return found


def _sign(desk: Desk, case: Case) -> Signed:
    one, proposal = case.subject, case.proposal
    if proposal is None or case.second_actor is None or case.decision is None:
        raise ValueError(f"case {case.n} is not decided")
    note = notes.Review(
        v=1,
        signed_ms=desk.now_ms,
        probe=str(one.probe),
        epoch=int(one.epoch or 0),
        seq=int(one.seq or 0),
        leaf=str(one.leaf),
        verdict=case.decision,
        reason=" ".join(f"[{case.n}] {proposal.text}".split())[:128].rstrip(),
        actor=_code(proposal.actor),
        second_actor=_code(case.second_actor),
    )
    raw = notes.seal(note, desk.where.origin, desk.signer())
    with desk.identities.transaction():
        desk.identities.add_note("review", raw, desk.now_ms)
    return Signed(case.n, note.probe, note.epoch, note.seq, note.verdict)


def _code(name: str) -> str:
    """A login's name as a code: dots become hyphens."""
    return _NO_CODE.sub("-", name)[:32]
