"""What each address of `/api/v1` answers: asks ledger and registry through the pages' own functions, inside a scope.

Lists are paged by key (a code, an id, a record's number), so that what is inserted meanwhile shifts nothing.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from collector.api import build, shapes
from collector.api.params import Asked
from collector.api.problems import Wrong
from collector.api.routes import ROUTES
from collector.core.sample import Sample
from collector.core.verdict import Judgement
from collector.core.view import Month, iso, month, parse_month
from collector.core.view_service import window
from collector.ledger_bulk import BulkReader, RecordPage, Wanted
from collector.registry_rows import HamletEntry
from collector.scopes import Scopes
from collector.seal_store import SealReader
from collector.verdict_store import VerdictReader
from wire.errors import Unavailable
from wire.records import CoverageRecord

if TYPE_CHECKING:  # the pages' package needs this module while it is being read
    from collector.web.present import Pages


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: role ("" without a token), unit code it is limited to ("" for all), and what it may see exactly."""

    role: str
    scope: str
    sees_positions: Callable[[bool], bool]


@dataclass(frozen=True, slots=True)
class Sources:
    """What answers are made of."""

    pages: Pages
    ledger: BulkReader
    log: SealReader
    verdicts: VerdictReader

    def judged(self, samples: Sequence[Sample]) -> dict[int, Judgement]:
        """Verdicts by record number; of none while `judge` has not made its file."""
        try:
            return self.verdicts.of([one.n for one in samples])
        except Unavailable:
            return {}


View = Callable[[Sources, Caller, Asked], Any]


def _hamlets(sources: Sources, caller: Caller) -> dict[str, HamletEntry]:
    return {entry.code: entry for entry in sources.pages.hamlets_in(caller.scope)}


def _hamlet_inside(sources: Sources, caller: Caller, code: str) -> HamletEntry:
    """A hamlet that the caller may see. Raises Wrong("not_found") for any other, known or not."""
    entry = sources.pages.registry.hamlet(code)
    if entry is None or not Scopes(sources.pages.registry).covers(caller.scope, code):
        raise Wrong("not_found")
    return entry


def _paged(codes: Sequence[str], asked: Asked) -> tuple[list[str], str | None]:
    """One page of sorted codes behind the cursor, and the next cursor."""
    rest = [code for code in codes if asked["cursor"] is None or code > asked["cursor"]]
    page = rest[: asked["limit"]]
    return page, page[-1] if len(rest) > len(page) else None


def _names(sources: Sources) -> dict[str, str]:
    return dict(sources.pages.registry.operators())


def index(sources: Sources, caller: Caller, _asked: Asked) -> shapes.IndexOut:
    """Who asks, and where everything lies."""
    now_ms = sources.pages.now_ms()
    return shapes.IndexOut(
        version="1",
        role=caller.role or None,
        scope=caller.scope or None,
        now=shapes.Instant(ms=now_ms, iso=iso(now_ms)),
        last_n=sources.ledger.last_n(),
        links={r.name: r.path for r in ROUTES if caller.role in r.roles and "{" not in r.path},
    )


def hamlets(sources: Sources, caller: Caller, asked: Asked) -> shapes.Page[shapes.HamletOut]:
    """Hamlets by code."""
    inside = {c: h for c, h in _hamlets(sources, caller).items() if asked["commune"] in (None, h.commune)}
    codes, onward = _paged(sorted(inside), asked)
    names, this = _names(sources), sources.pages.month().code
    rows = sources.pages.rows_of([inside[code] for code in codes])
    return shapes.Page(items=[build.hamlet(row, this, names) for row in rows], next=onward)


def hamlet(sources: Sources, caller: Caller, asked: Asked) -> shapes.HamletDetail:
    """One hamlet."""
    page = sources.pages.hamlet_page(_hamlet_inside(sources, caller, asked["code"]))
    return build.hamlet_detail(page, sources.pages.month().code, _names(sources))


def probes(sources: Sources, caller: Caller, asked: Asked) -> shapes.Page[shapes.ProbeOut]:
    """Probes by id."""
    inside = _hamlets(sources, caller)
    ids = [probe.id for probe, site in sources.pages.standing()
           if _stands(site, inside, caller) and asked["hamlet"] in (None, site)]  # fmt: skip
    chosen, onward = _paged(sorted(ids), asked)
    rows = sources.pages.rows_of_probes(chosen)
    return shapes.Page(items=[build.probe(row) for row in rows], next=onward)


def _stands(hamlet_code: str | None, inside: dict[str, HamletEntry], caller: Caller) -> bool:
    return hamlet_code in inside or (hamlet_code is None and not caller.scope)


def probe(sources: Sources, caller: Caller, asked: Asked) -> shapes.ProbeOut:
    """One probe."""
    inside = _hamlets(sources, caller)
    for entry, site in sources.pages.standing():
        if entry.id == asked["probe"] and _stands(site, inside, caller):
            return build.probe(sources.pages.rows_of_probes([entry.id])[0])
    raise Wrong("not_found")


def wanted(sources: Sources, caller: Caller, asked: Asked, kind: str | None = None) -> Wanted:
    """Which records a request means, never beyond its scope. Raises Wrong for a unit outside it."""
    if asked.get("hamlet") is not None:
        _hamlet_inside(sources, caller, asked["hamlet"])
    place = {name: asked.get(name) for name in ("commune", "hamlet")}
    # A hamlet that is inside needs no further limit; of one that was merged the ledger still says the old code.
    limits = {} if asked.get("hamlet") is not None else _limits(sources, caller)
    for name, code in limits.items():
        if place.get(name) not in (None, code):
            raise Wrong("not_found")
    return Wanted(
        **{**place, **limits},
        probe=asked.get("probe"),
        kind=kind or asked.get("kind"),
        since_ms=asked.get("since_ms"),
        until_ms=asked.get("until_ms"),
    )


def inside_codes(sources: Sources, caller: Caller, commune: str | None) -> frozenset[str] | None:
    """Codes of the hamlets that a request means; None for all, those of no hamlet included."""
    if not caller.scope and commune is None:
        return None
    return frozenset(c for c, h in _hamlets(sources, caller).items() if commune in (None, h.commune))


def _limits(sources: Sources, caller: Caller) -> dict[str, str]:
    """A scope as the column that it fixes; a code of no known unit fixes the province, and so finds nothing."""
    if not caller.scope:
        return {}
    registry = sources.pages.registry
    if registry.hamlet(caller.scope) is not None:
        return {"hamlet": caller.scope}
    return {"commune" if registry.commune(caller.scope) is not None else "province": caller.scope}


def _read(sources: Sources, which: Wanted, asked: Asked) -> RecordPage:
    last_n = sources.ledger.last_n()
    cursor = None if asked["cursor"] is None else int(asked["cursor"])
    if asked["order"] == "asc":
        return sources.ledger.after(which, cursor or 0, asked["limit"], last_n)
    return sources.ledger.before(which, last_n + 1 if cursor is None else cursor, asked["limit"])


def _next(page: RecordPage) -> str | None:
    return None if page.next_n is None else str(page.next_n)


def sees(caller: Caller, sample: Sample) -> bool:
    """Whether the caller may see a record's exact position."""
    return caller.sees_positions(sample.record is not None and sample.record.simulated)


def records(sources: Sources, caller: Caller, asked: Asked) -> shapes.Page[shapes.RecordOut]:
    """Records by number."""
    page = _read(sources, wanted(sources, caller, asked), asked)
    judged = sources.judged(page.samples)
    items = [build.record(one, judged.get(one.n), sees_positions=sees(caller, one)) for one in page.samples]
    return shapes.Page(items=items, next=_next(page))


def record(sources: Sources, caller: Caller, asked: Asked) -> shapes.RecordOut:
    """One record by its identity."""
    found = _record_inside(sources, caller, asked)
    return build.record(found, sources.judged([found]).get(found.n), sees_positions=sees(caller, found))


def _record_inside(sources: Sources, caller: Caller, asked: Asked) -> Sample:
    found = sources.ledger.sample(asked["probe"], asked["epoch"], asked["seq"])
    places = None if found is None else (found.hamlet, found.commune, found.province)
    if found is None or places is None or not Scopes(sources.pages.registry).covers_record(caller.scope, places):
        raise Wrong("not_found")
    return found


def note(sources: Sources, caller: Caller, asked: Asked) -> bytes:
    """The signed bytes of a record. They hold its exact position: raises Wrong("forbidden") if the caller may not."""
    found = _record_inside(sources, caller, asked)
    if not sees(caller, found):
        raise Wrong("forbidden", roles="technician, operator, official, auditor")
    return found.raw


def coverage(sources: Sources, caller: Caller, asked: Asked) -> shapes.Page[shapes.CoverageOut]:
    """Coverage records by number."""
    page = _read(sources, wanted(sources, caller, asked, "coverage"), asked)
    items = [
        build.coverage(one, one.record, window(one.record, one.t_ms))
        for one in page.samples
        if isinstance(one.record, CoverageRecord)
    ]
    return shapes.Page(items=items, next=_next(page))


def quota(sources: Sources, caller: Caller, asked: Asked) -> shapes.Page[shapes.QuotaOut]:
    """Communes of a month by code."""
    this = _month(sources, asked["month"])
    known = {h.commune for h in _hamlets(sources, caller).values()} - {""}
    codes, onward = _paged(sorted(c for c in known if asked["commune"] in (None, c)), asked)
    names = _names(sources)
    # A caller who is limited to a hamlet gets its commune's row over that hamlet only, as on its own sheet.
    narrow = caller.scope if sources.pages.registry.hamlet(caller.scope) is not None else None
    rows = sources.pages.commune_rows(narrow or caller.scope, this, codes)
    return shapes.Page(items=[build.quota(row, this.code, names) for row in rows], next=onward)


def _month(sources: Sources, text: str | None) -> Month:
    found = None if text is None else parse_month(text)
    return sources.pages.month() if found is None else month(found.year, found.month)


def log(sources: Sources, _caller: Caller, _asked: Asked) -> shapes.LogOut:
    """The newest checkpoint of every log; an empty list where none is kept."""
    return shapes.LogOut(
        logs=_checkpoints(sources.log),
        vkeys="/log/vkeys",
        verifier="/log/dosong-verify.py",
        last_n=sources.ledger.last_n(),
    )


def _checkpoints(store: SealReader) -> list[shapes.CheckpointOut]:
    try:
        held = [(shard, store.last_checkpoint(shard.n)) for shard in reversed(store.shards())]
    except Unavailable:
        return []  # no log is kept here
    return [
        shapes.CheckpointOut(
            log=shard.name,
            year=shard.year,
            generation=shard.gen,
            size=signed.size if signed else None,
            root=base64.b64encode(signed.root).decode() if signed else None,
            signed=build.instant(signed.signed_ms) if signed else None,
            note=signed.note.decode() if signed else None,
            checkpoint=f"/log/{shard.name.rpartition('/')[2]}/checkpoint",
        )
        for shard, signed in held
    ]


VIEWS: dict[str, View] = {
    "index": index, "hamlets": hamlets, "hamlet": hamlet, "probes": probes, "probe": probe, "records": records,
    "record": record, "coverage": coverage, "quota": quota, "log": log,
}  # fmt: skip
"""The function behind each JSON address of `collector.api.routes`."""
