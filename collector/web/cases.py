"""Why is this not counted? What people say of samples, outages and weak spots, and what was answered by when.

A login sees the cases of its own unit; a telecom company's sees the weak spots of its own network and nothing else. The
record stays as it is: a decision of two people stands beside what the rules say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from contextlib import closing
from datetime import date

from flask import Blueprint, abort, current_app, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from collector.core.dispute import KINDS, VERDICTS, Case, Kind, Step, Subject, Verdict, What, working_days_after
from collector.core.period import date_of
from collector.core.sample import Sample
from collector.core.view import Month, month, parse_month
from collector.disputes import Disputes
from collector.registry_dated import HolidayRow
from collector.registry_identity import Identities
from collector.settings import Settings
from collector.weak_spots import Compared, compared, uncounted
from collector.web import access
from collector.web.entrance import Entrance
from collector.web.present import Pages
from wire import codec
from wire.errors import Misconfigured, Refused, Unavailable

MOST_SHOWN = 300
MOST_READ = 100_000
NUMBER = f"int(max={2**53 - 1})"


class Desk:
    """What the routes share: the store, the pages' readers, and the days that are no working days."""

    def __init__(self, pages: Pages, settings: Settings, disputes: Disputes) -> None:
        self.pages, self.settings, self.disputes = pages, settings, disputes

    def sees(self, case: Case) -> bool:
        """Whether this visitor may see a case."""
        one, scope = case.subject, access.scope()
        if access.role() == "company":
            return one.kind == "spot" and one.plmn == scope != ""
        return access.inside(one.hamlet, case.opened.at_ms) or scope in {one.commune, one.province}

    def case(self, n: int) -> Case:
        """A case that this visitor may see; 404 for any other."""
        found = self.disputes.case(n)
        if found is None or not self.sees(found):
            abort(404)
        return found

    def due(self, kind: Kind) -> date:
        """The last day on which the next answer is in time."""
        review = self.settings.review
        days = review.company_days if kind == "spot" else review.answer_days
        return working_days_after(date_of(self.pages.now_ms()), days, *self._days())

    def _days(self) -> tuple[Collection[date], Collection[date]]:
        rows = self.pages.registry.dated.holding(HolidayRow)
        off, on = (
            {date.fromisoformat(one.day) for one in rows if bool(one.is_off) is is_off} for is_off in (True, False)
        )
        return off, on

    def said(self, what: What, text: str) -> Step:
        """A step by this visitor, now."""
        return Step(what, g.user.name, g.user.role, self.pages.now_ms(), text.strip())

    def place(self, hamlet: str) -> tuple[str, str, str]:
        """Province, commune and hamlet code of a hamlet within this login's scope; 404 for any other."""
        found = self.pages.registry.hamlet(hamlet)
        commune = self.pages.registry.commune(found.commune) if found is not None else None
        if found is None or commune is None or not access.inside(hamlet):
            abort(404)
        return commune.province, commune.code, hamlet


def blueprint(pages: Pages, settings: Settings) -> Blueprint:
    """Routes of cases; who may use which stands in `access.RULES`."""
    routes = Blueprint("cases", __name__)
    desk = Desk(pages, settings, Disputes(settings.disputes, _write_down))
    _looks(routes, desk)
    _deeds(routes, desk)
    return routes


def _looks(routes: Blueprint, desk: Desk) -> None:
    pages = desk.pages

    @routes.app_context_processor
    def _known() -> dict[str, object]:
        return {"case_of": lambda probe, epoch, seq: _about(desk, probe, epoch, seq)}

    @routes.get("/why/<unit>")
    def why(unit: str) -> str:
        return render_template("why.html", **_why(desk, unit))

    @routes.get("/cases")
    def overview() -> str:
        found = [one for one in desk.disputes.cases() if desk.sees(one)]
        found.sort(key=lambda one: (not one.is_open, one.due or date.max, -one.n))
        names = pages.registry.operators()
        return render_template(
            "cases.html", cases=found, names=names, today=date_of(pages.now_ms()), place=_named(pages)
        )

    @routes.get(f"/cases/<{NUMBER}:n>")
    def one(n: int) -> str:
        return render_template("case.html", **_one(desk, desk.case(n)), wrong=request.args.get("wrong", ""))


def _deeds(routes: Blueprint, desk: Desk) -> None:
    @routes.post("/cases/open")
    def open_one() -> Response:
        kind = request.form.get("kind", "")
        if kind not in KINDS:
            abort(404)
        first = desk.said("opened", request.form.get("text", ""))
        try:
            made = desk.disputes.open_case(_subject(desk, kind), _with_due(first, desk.due(kind)))
        except Refused as refusal:
            return redirect(f"{access.safe_path(request.form.get('back', '')) or '/cases'}?wrong={refusal.reason}")
        return redirect(url_for("cases.one", n=made.n))

    @routes.post(f"/cases/<{NUMBER}:n>/say")
    def say(n: int) -> Response:
        try:
            _ask_to_sign(desk, desk.disputes.add(n, _said(desk, desk.case(n))))
        except Refused as refusal:
            return redirect(url_for("cases.one", n=n, wrong=refusal.reason))
        return redirect(url_for("cases.one", n=n))


def _write_down(case: int, what: str, digest: bytes) -> None:
    """A step's digest into the audit trail, and so into the log, before the step is kept. Raises Unavailable."""
    entrance: Entrance = current_app.extensions["entrance"]
    entrance.write(g.user.name, g.user.role, f"case.{what}", f"case-{case} {digest.hex()}")


def _ask_to_sign(desk: Desk, case: Case) -> None:
    """A decision of two people is signed by the authority, for the log."""
    if case.steps[-1].what == "confirmed" and case.subject.probe is not None:
        with closing(Identities(desk.settings.registry)) as identities:
            identities.wish("review", case.subject.probe, g.user.name, str(case.n), desk.pages.now_ms())


def _with_due(said: Step, due: date | None) -> Step:
    return Step(said.what, said.actor, said.role, said.at_ms, said.text, said.verdict, due, said.promised)


def _subject(desk: Desk, kind: Kind) -> Subject:
    """What a form wants to open a case about, read from the ledger rather than believed. Raises Refused; 404."""
    form = request.form
    if kind != "sample":
        plmn = form.get("plmn", "")
        if plmn not in desk.pages.registry.operators():
            raise Refused("case", "choose the operator")
        times = (form.get("from_ms", type=int), form.get("to_ms", type=int)) if kind == "outage" else (None, None)
        return Subject(kind, *desk.place(form.get("hamlet", "")), plmn=plmn, from_ms=times[0], to_ms=times[1])
    epoch, seq = form.get("epoch", type=int), form.get("seq", type=int)
    found = None if epoch is None or seq is None else desk.pages.reader.sample(form.get("probe", ""), epoch, seq)
    if found is None or found.kind != "test":
        abort(404)
    place = desk.place(found.hamlet)
    plmn = getattr(found.record, "plmn", None) or ""
    return Subject("sample", *place, plmn, found.probe, found.epoch, found.seq, codec.leaf_text(found.leaf),
                   counted=found.counted)  # fmt: skip


def _said(desk: Desk, case: Case) -> Step:
    """What the form says. Raises Refused."""
    what, form = request.form.get("what", ""), request.form
    allowed = next((one for one in case.may(access.role()) if one == what), None)
    if allowed is None:
        raise Refused("case", "reload the page")
    said = desk.said(allowed, form.get("text", ""))
    verdict: Verdict | None = next((one for one in VERDICTS if form.get("verdict") == one), None)
    promised = _day(form.get("promised", "")) if what == "replied" else None
    if promised is not None and promised < date_of(desk.pages.now_ms()):
        raise Refused("case", "the promised day is over")
    awaits = (what in ("replied", "proposed") and case.subject.kind != "spot") or what == "fixed"
    due = promised or (desk.due("sample") if awaits else None)
    text = said.text
    if what == "compared":
        found = _compared(desk, case)
        if found is None:
            raise Refused("case", "nothing to compare yet")
        text = f"{found.sentence}. {text}"[:1000]
    return Step(
        said.what, said.actor, said.role, said.at_ms, text, verdict if what == "proposed" else None, due, promised
    )


def _day(text: str) -> date:
    """A day as a form gives it. Raises Refused."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise Refused("case", "name the day by which it is mended") from error


def _compared(desk: Desk, case: Case) -> Compared | None:
    """Before and after of a weak spot that the company says is mended; None while there is nothing to compare."""
    fixed = next((one for one in reversed(case.steps) if one.what == "fixed"), None)
    if fixed is None or case.subject.kind != "spot":
        return None
    try:
        return compared(
            desk.pages.reader, desk.pages.registry, case.subject.hamlet, case.subject.plmn,
            case.opened.at_ms, fixed.at_ms, desk.pages.now_ms(),
        )  # fmt: skip
    except ValueError:
        return None


def _about(desk: Desk, probe: str, epoch: int, seq: int) -> Case | None:
    """The newest case about a sample, for its page; what a case says is for logins, a decision for everybody."""
    try:
        cases = [one for one in desk.disputes.cases() if one.subject.kind == "sample"]
    except (Unavailable, Misconfigured):  # the record's page must not depend on what people said of it
        return None
    found = next((o for o in cases if (o.subject.probe, o.subject.epoch, o.subject.seq) == (probe, epoch, seq)), None)
    return found if found is not None and (found.decision is not None or access.may("cases.one")) else None


def _named(pages: Pages) -> dict[str, str]:
    return {one.code: one.label for one in pages.registry.hamlets()}


def _one(desk: Desk, case: Case) -> dict[str, object]:
    one = case.subject
    sample = None
    if one.probe is not None and one.epoch is not None and one.seq is not None:
        sample = desk.pages.reader.sample(one.probe, one.epoch, one.seq)
    return {
        "case": case, "sample": sample, "compared": _compared(desk, case), "today": date_of(desk.pages.now_ms()),
        "hamlet": desk.pages.registry.hamlet(one.hamlet), "names": desk.pages.registry.operators(),
        "may_say": [what for what in case.may(access.role())
                    if what not in ("confirmed", "declined") or case.proposal is None
                    or case.proposal.actor != g.user.name],
    }  # fmt: skip


def _why(desk: Desk, unit: str) -> dict[str, object]:
    """Every test of a unit's month that does not count, by reason and one by one."""
    registry, chosen = desk.pages.registry, _month(desk)
    hamlet, commune = registry.hamlet(unit), registry.commune(unit)
    within = commune if hamlet is None else registry.commune(hamlet.commune)
    if within is None or not access.inside(unit):
        abort(404)
    found = desk.pages.reader.samples(
        hamlet=unit if hamlet is not None else None, commune=unit if hamlet is None else None, kind="test",
        since_ms=chosen.start_ms, until_ms=chosen.end_ms, limit=MOST_READ,
    )  # fmt: skip
    out = uncounted(found)
    asked = request.args.get("reason", "")
    shown = [one for one in out if asked in ("", *one.not_counted)]
    return {
        "unit": unit, "title": hamlet.label if hamlet else commune.name if commune else unit, "month": chosen,
        "others": [m for m in desk.pages.months() if m.code != chosen.code], "tests": len(found), "out": len(out),
        "reasons": Counter(reason for one in out for reason in one.not_counted).most_common(),
        "rows": shown[:MOST_SHOWN], "left": max(0, len(shown) - MOST_SHOWN), "asked": asked,
        "cases": _cases_of(desk, out), "place": _named(desk.pages), "wrong": request.args.get("wrong", ""),
        "days": desk.settings.review.answer_days,
    }  # fmt: skip


def _cases_of(desk: Desk, samples: list[Sample]) -> dict[tuple[str | None, int | None, int | None], Case]:
    wanted = {(one.probe, one.epoch, one.seq) for one in samples}
    found = {(one.subject.probe, one.subject.epoch, one.subject.seq): one for one in reversed(desk.disputes.cases())}
    return {key: one for key, one in found.items() if key in wanted}


def _month(desk: Desk) -> Month:
    text = request.args.get("month")
    if text is None:
        return desk.pages.month()
    found = parse_month(text)
    if found is None:
        abort(404)
    return month(found.year, found.month)
