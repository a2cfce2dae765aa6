"""The three doors: technician, operator, official; with them health and quarantine."""

from __future__ import annotations

from dataclasses import dataclass, replace

from flask import Blueprint, abort, render_template, request

from collector.core.sample import Deliveries
from collector.core.view import Month, month, parse_month
from collector.core.view_health import Fault, HealthFacts, faults
from collector.health import Health
from collector.web import access, sheet
from collector.web.ports import HealthSource
from collector.web.present import Pages
from wire.errors import Unavailable

REFUSALS = 200


def blueprint(pages: Pages, health: HealthSource) -> Blueprint:
    """Routes behind a login; who may use which stands in `access.RULES`."""
    routes = Blueprint("doors", __name__)

    @routes.get("/technician")
    def technician() -> str:
        return render_template("technician.html", rows=pages.site_rows(access.scope()))

    @routes.get("/operator")
    def operator() -> str:
        rows = pages.site_rows(access.scope())
        codes = list(sheet.communes_in(pages, access.scope()))[: sheet.PAGE_COMMUNES]
        communes = pages.commune_rows(access.scope(), pages.month(), codes)
        ill = [row for row in rows if row.checkup.illness is not None]
        return render_template(
            "operator.html", rows=rows, ill=ill, communes=communes, month=pages.month(), view=health_view(pages, health)
        )

    @routes.get("/official")
    def official() -> str:
        chosen = _chosen_month(pages)
        codes = list(sheet.communes_in(pages, access.scope()))
        number, size = max(0, request.args.get("page", 0, type=int)), sheet.PAGE_COMMUNES
        rows = pages.commune_rows(access.scope(), chosen, codes[number * size : (number + 1) * size])
        others = [m for m in pages.months() if m.code != chosen.code]
        as_of_ms = min(pages.now_ms(), chosen.end_ms - 1)
        return render_template("official.html", rows=rows, month=chosen, others=others, as_of_ms=as_of_ms,
            number=number, more=len(codes) > (number + 1) * size,
        )  # fmt: skip

    @routes.get("/health", endpoint="health")
    def health_page() -> str:
        return render_template("health.html", view=health_view(pages, health))

    @routes.get("/refusals")
    def refusals() -> str:
        rows = [one for one in pages.reader.refusals(REFUSALS) if access.inside_probe(one.probe)]
        alarms = [one for one in pages.registry.alarms() if access.inside_probe(one.probe)]
        return render_template("refusals.html", rows=rows, alarms=alarms)

    return routes


def _chosen_month(pages: Pages) -> Month:
    text = request.args.get("month")
    if text is None:
        return pages.month()
    found = parse_month(text)
    if found is None:
        abort(404)
    return month(found.year, found.month)


@dataclass(frozen=True, slots=True)
class HealthView:
    """What the health page, the operator's page and `/healthz` show."""

    facts: HealthFacts
    deliveries: Deliveries
    last_commit_ms: int | None
    last_n: int
    faults: tuple[Fault, ...]


def health_view(pages: Pages, health: HealthSource) -> HealthView:
    """Judge by the processes' last words and the ledger; one that cannot be read is a fault, not an error."""
    facts = _facts(health())
    try:
        newest = pages.reader.samples(limit=1)
        deliveries, last_n = pages.reader.deliveries(), pages.reader.last_n()
    except Unavailable as error:
        newest, deliveries, last_n = (), Deliveries(0, 0, 0), 0
        facts = replace(facts, ledger_fault=facts.ledger_fault or str(error))
    last_ms = newest[0].received_ms if newest else None
    return HealthView(facts, deliveries, last_ms, last_n, faults(facts, deliveries, last_ms, pages.now_ms()))


def _facts(health: Health) -> HealthFacts:
    receive, forward, seal = health.receive, health.forward, health.seal
    return HealthFacts(
        receive_alive=health.receive_alive,
        forward_alive=health.forward_alive,
        broker_connected=receive.broker_connected if receive else None,
        broker_fault=receive.broker_error if receive else None,
        ledger_fault=receive.ledger_error if receive else None,
        forward_lag=forward.lag if forward else None,
        influx_fault=forward.influx_error if forward else None,
        parked=forward.parked if forward else None,
        receive_said_ms=receive.at_ms if receive else None,
        forward_said_ms=forward.at_ms if forward else None,
        broker_since_ms=receive.broker_since_ms if receive else None,
        influx_write_ms=forward.last_write_ms if forward else None,
        seal_alive=health.seal_alive if seal else None,
        seal_fault=seal.error if seal else None,
        seal_said_ms=seal.at_ms if seal else None,
        sealed_ms=seal.signed_ms if seal else None,
        sealed_size=seal.size if seal else None,
        unsigned=seal.unsigned if seal else None,
        judge_alive=health.judge_alive if health.judge else None,
        judge_fault=health.judge.error if health.judge else None,
        judge_said_ms=health.judge.at_ms if health.judge else None,
        judge_waiting=health.judge.waiting if health.judge else None,
    )
