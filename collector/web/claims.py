"""Open claims of stations that are still to enrol: a technician who logged in arms one, for 72 hours.

A claim that lies on a card in a drawer is worth nothing until then. The web signs nothing: what enrols is decided by
the certificate authority, and confirmed by the office.
Source: facts note 05 §6.2; issue of identities, "armed for 72 h by a login".
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from flask import Blueprint, abort, g, redirect, render_template, url_for
from werkzeug.wrappers import Response

from collector.registry_identity import ClaimEntry, Identities
from collector.web import access
from collector.web.present import Pages

ARMED_MS = 72 * 3_600_000


def blueprint(pages: Pages, registry: Path) -> Blueprint:
    """Routes behind a login; who may use which stands in `access.RULES`."""
    routes = Blueprint("claims", __name__)

    def open_claims(identities: Identities) -> list[ClaimEntry]:
        inside = {hamlet.code for hamlet in pages.hamlets_in(access.scope())}
        found = [one for one in identities.claims() if one.used_ms is None and one.void_ms is None]
        sites = {one.site: pages.registry.site(one.site) for one in found}
        now_ms = pages.now_ms()
        return [
            one
            for one in found
            if one.expires_ms > now_ms and (site := sites[one.site]) is not None and site.hamlet in inside
        ]

    @routes.get("/claims")
    def overview() -> str:
        with closing(Identities(registry)) as identities:
            return render_template("claims.html", rows=open_claims(identities), now_ms=pages.now_ms())

    @routes.post("/claims/<probe>/arm")
    def arm(probe: str) -> Response:
        with closing(Identities(registry)) as identities:
            if probe not in {one.probe for one in open_claims(identities)}:
                abort(404)
            now_ms = pages.now_ms()
            identities.arm(probe, now_ms + ARMED_MS, g.user.name, now_ms)
        return redirect(url_for("claims.overview"))

    return routes
