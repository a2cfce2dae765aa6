"""Pages that everybody may read: first page, hamlets, a hamlet, a record."""

from __future__ import annotations

from contextlib import suppress

from flask import Blueprint, Response, abort, render_template, request

from collector.core.sample import Sample
from collector.core.view import short_code
from collector.core.view_record import EXACT, groups
from collector.registry_rows import HamletEntry
from collector.web import access
from collector.web.demo import DEMO_DOORS, DEMO_LOGINS
from collector.web.present import PAGE_HAMLETS, Pages
from wire import codec, note
from wire.errors import Refused

MAP_WIDTH, MAP_HEIGHT = 640, 420
NUMBER = f"int(max={2**53 - 1})"


def blueprint(pages: Pages, origin: str) -> Blueprint:
    """Routes of the public pages; `_live` ones give the part of a page that changes, for the script to put in."""
    routes = Blueprint("pages", __name__)

    @routes.get("/")
    def first() -> str:
        return render_template("first.html", demo=DEMO_DOORS, more=DEMO_LOGINS[len(DEMO_DOORS) :], **_first(pages))

    @routes.get("/live")
    def first_live() -> str:
        return render_template("first_live.html", **_first(pages))

    @routes.get("/hamlets")
    def hamlets() -> str:
        number = max(0, request.args.get("page", 0, type=int))
        total = len(pages.hamlets_in(access.unit_scope()))
        rows = pages.hamlet_rows(access.unit_scope(), number)
        more = (number + 1) * PAGE_HAMLETS < total
        return render_template("hamlets.html", rows=rows, month=pages.month(), number=number, more=more)

    @routes.get("/hamlets/<code>")
    def hamlet(code: str) -> str:
        found = _hamlet(pages, code)
        return render_template("hamlet.html", page=pages.hamlet_page(found), **_names(pages))

    @routes.get("/hamlets/<code>/live")
    def hamlet_live(code: str) -> str:
        found = _hamlet(pages, code)
        return render_template("hamlet_live.html", page=pages.hamlet_page(found), **_names(pages))

    @routes.get(f"/samples/<probe>/<{NUMBER}:epoch>/<{NUMBER}:seq>")
    def sample(probe: str, epoch: int, seq: int) -> str:
        return render_template("sample.html", **_sample(pages, origin, probe, epoch, seq))

    @routes.get(f"/samples/<probe>/<{NUMBER}:epoch>/<{NUMBER}:seq>.note")
    def raw(probe: str, epoch: int, seq: int) -> Response:
        found = access.need_record(pages.reader.sample(probe, epoch, seq))
        if not access.sees_positions(_simulated(found)):
            abort(403)
        name = f"{found.probe}-{found.epoch}-{found.seq}.note"
        disposition = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(found.raw, mimetype="application/octet-stream", headers=disposition)

    return routes


def _names(pages: Pages) -> dict[str, object]:
    return {"names": pages.registry.operators(), "month": pages.month()}


def _first(pages: Pages) -> dict[str, object]:
    last_n = pages.reader.last_n()
    rows = pages.hamlet_rows(access.unit_scope())
    feed = access.only_inside(pages.feed())
    spots = pages.spots(rows, MAP_WIDTH, MAP_HEIGHT)
    return {"rows": rows, "feed": feed, "last_n": last_n, "spots": spots, **_names(pages)}


def _hamlet(pages: Pages, code: str) -> HamletEntry:
    found = pages.registry.hamlet(code)
    if found is None:
        abort(404)
    access.need_inside(code)
    return found


def _simulated(sample: Sample) -> bool:
    return sample.record is not None and sample.record.simulated


def _sample(pages: Pages, origin: str, probe: str, epoch: int, seq: int) -> dict[str, object]:
    found = access.need_record(pages.reader.sample(probe, epoch, seq))
    state = next((s for s in pages.reader.probe_states() if s.probe == probe), None)
    newer = state is not None and state.epoch is not None and state.epoch > epoch
    acked = newer or (state is not None and state.epoch == epoch and state.upto is not None and seq <= state.upto)
    return {
        "sample": found,
        "groups": groups(found.record, found.kind or "") if found.record is not None else (),
        "exact": EXACT,
        "sees_positions": access.sees_positions(_simulated(found)),
        "key": _signed_by(pages, origin, found),
        "leaf_ok": codec.leaf_hash(found.raw) == found.leaf,
        "leaf": codec.leaf_text(found.leaf),
        "code": short_code(found.leaf),
        "acked": acked,
        "upto": state.upto if state is not None and not newer else None,
        "hamlet": pages.registry.hamlet(found.hamlet) if found.hamlet else None,
        "witnesses": pages.witnesses(found),
        "record_simulated": _simulated(found),
        **_names(pages),
    }


def _signed_by(pages: Pages, origin: str, sample: Sample) -> str | None:
    """Name of the key whose signature the stored bytes carry, checked now; None if it does not verify."""
    for vkey in pages.registry.keys(sample.probe):
        with suppress(Refused):
            verifier = note.parse_vkey(vkey)
            codec.authenticate(sample.raw, origin, verifier)
            return verifier.name
    return None
