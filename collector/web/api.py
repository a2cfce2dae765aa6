"""JSON for the pages' own script, for checks and for monitoring. Raw integers, names of `wire.metrics`.

`/api/feed?after=N[&hamlet=C]`      rows after N: {"last_n", "samples": [...]}; cheap while nothing is new
`/api/hamlets/<code>/samples?limit` newest samples of a hamlet, every metric of the contract by its name
`/api/places`                       hamlets and communes for the map
`/healthz`                          {"status": "ok" | "fault", ...}; 200 also for faults of other parts
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, jsonify, request
from flask.wrappers import Response

from collector.core.sample import Sample
from collector.core.view import mbps
from collector.core.view_board import coarse
from collector.core.view_record import metric_values
from collector.web import access
from collector.web.doors import HealthView, health_view
from collector.web.language import current
from collector.web.ports import HealthSource
from collector.web.present import HamletRow, Pages
from collector.web.words import say

FEED_LIMIT = 50
SAMPLES_LIMIT = 500


def blueprint(pages: Pages, health: HealthSource) -> Blueprint:
    """Routes that answer JSON."""
    routes = Blueprint("api", __name__)

    @routes.get("/api/feed")
    def feed() -> Response:
        after = max(0, request.args.get("after", 0, type=int))
        last_n = pages.reader.last_n()
        if last_n <= after:
            return jsonify(last_n=last_n, samples=[])
        rows = access.only_inside(pages.feed(after, request.args.get("hamlet"), FEED_LIMIT))
        return jsonify(last_n=last_n, samples=[sample_json(row.sample) for row in rows])

    @routes.get("/api/hamlets/<code>/samples")
    def samples(code: str) -> Response:
        if pages.registry.hamlet(code) is None:
            abort(404)
        access.need_inside(code)
        limit = min(max(request.args.get("limit", 50, type=int), 1), SAMPLES_LIMIT)
        rows = pages.reader.samples(hamlet=code, limit=limit)
        return jsonify(hamlet=code, samples=[sample_json(sample) for sample in rows])

    @routes.get("/api/places")
    def places() -> Response:
        communes = [c for c in pages.registry.communes() if c.lat_e7 is not None and c.lon_e7 is not None]
        return jsonify(
            hamlets=[_place(row) for row in pages.hamlet_rows(access.unit_scope()) if row.hamlet.lat_e7 is not None],
            communes=[{"name": c.name, "lat_e7": c.lat_e7, "lon_e7": c.lon_e7} for c in communes],
        )

    @routes.get("/healthz")
    def healthz() -> Response:
        return jsonify(_health(health_view(pages, health)))

    return routes


def sample_json(sample: Sample) -> dict[str, Any]:
    """One ledger row with every metric of its kind, raw; exact positions only for those who may see them."""
    shown: dict[str, Any] = {
        "n": sample.n,
        "probe": sample.probe,
        "epoch": sample.epoch,
        "seq": sample.seq,
        "kind": sample.kind,
        "hamlet": sample.hamlet,
        "t_ms": sample.t_ms,
        "received_ms": sample.received_ms,
        "counted": sample.counted,
        "not_counted": list(sample.not_counted),
        "fault": sample.fault,
    }
    record = sample.record
    if record is None:
        return shown
    exact = access.sees_positions(record.simulated)
    return {**metric_values(record, sample.kind or "", exact), **shown, "simulated": record.simulated}


def _place(row: HamletRow) -> dict[str, Any]:
    figures = row.figures
    rate = mbps(figures.downlink.median, current()) if figures.downlink.enough else None
    return {
        "code": row.hamlet.code,
        "name": row.hamlet.label,
        "lat_e7": coarse(row.hamlet.lat_e7, access.sees_positions(False)),
        "lon_e7": coarse(row.hamlet.lon_e7, access.sees_positions(False)),
        "state": row.service.state.value,
        "word": say(f"state.{row.service.state.value}", current()),
        "downlink": f"↓ {rate} Mbit/s" if rate else say("stat.few.short", current()),
        "n": figures.downlink.n,
    }


def _health(view: HealthView) -> dict[str, Any]:
    facts, deliveries = view.facts, view.deliveries
    graves = [fault.word for fault in view.faults if fault.grave == "fault"]
    return {
        "status": "fault" if graves else "ok",
        "faults": graves,
        "notices": [fault.word for fault in view.faults if fault.grave == "notice"],
        "last_n": view.last_n,
        "last_commit_ms": view.last_commit_ms,
        "accepted": deliveries.accepted,
        "duplicate": deliveries.duplicate,
        "refused": deliveries.refused,
        "broker_connected": facts.broker_connected,
        "influx_ok": facts.forward_alive and facts.influx_fault is None,
        "forward_lag": facts.forward_lag,
        "parked": facts.parked,
    }
