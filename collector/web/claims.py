"""Open claims of stations that are still to enrol: a technician who logged in arms one, for 72 hours.

A claim that lies on a card in a drawer is worth nothing until then. The web signs nothing: what enrols is decided by
the certificate authority, and confirmed by the office.
Source: facts note 05 §6.2; issue of identities, "armed for 72 h by a login".
"""

from __future__ import annotations

import secrets
from contextlib import closing
from dataclasses import replace

from flask import Blueprint, Response, abort, g, redirect, render_template, url_for
from werkzeug.wrappers import Response as Answer

from collector.registry_identity import ClaimEntry, Identities
from collector.settings import Settings
from collector.web import access
from collector.web.present import Pages
from wire.enrolment import TOKEN_BYTES, token_sha256

ARMED_MS, LIFE_MS = 72 * 3_600_000, 90 * 86_400_000
TAKEN = " (web)"
"""Stands behind the login's name in a claim whose file was made here: it is made once."""
TOKEN = b"@token@"


def blueprint(pages: Pages, settings: Settings) -> Blueprint:
    """Routes behind a login; who may use which stands in `access.RULES`."""
    routes, registry = Blueprint("claims", __name__), settings.registry

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
            rows = open_claims(identities)
        ready = {one.probe for one in rows if _head(settings, one.probe) is not None}
        return render_template("claims.html", rows=rows, ready=ready, taken=TAKEN, now_ms=pages.now_ms())

    @routes.post("/claims/<probe>/arm")
    def arm(probe: str) -> Answer:
        with closing(Identities(registry)) as identities:
            if probe not in {one.probe for one in open_claims(identities)}:
                abort(404)
            now_ms = pages.now_ms()
            identities.arm(probe, now_ms + ARMED_MS, g.user.name, now_ms)
        return redirect(url_for("claims.overview"))

    @routes.post("/claims/<probe>/file")
    def file(probe: str) -> Response:
        with closing(Identities(registry)) as identities:
            held = next((one for one in open_claims(identities) if one.probe == probe), None)
            head = _head(settings, probe) if held is not None else None
            if held is None or head is None or held.actor.endswith(TAKEN):
                abort(404)
            return _handed_out(identities, held, head, g.user.name, pages.now_ms())

    return routes


def _head(settings: Settings, probe: str) -> bytes | None:
    """The claim file of an open claim as the office laid it here, without its token; None if it did not."""
    path = settings.path(f"claims/{probe}.head")
    return path.read_bytes() if path.is_file() else None


def _handed_out(identities: Identities, held: ClaimEntry, head: bytes, login: str, now_ms: int) -> Response:
    """A claim file for a card that is written elsewhere: a new token, shown this once; the file of before is void."""
    token = secrets.token_hex(TOKEN_BYTES)
    fresh = replace(held, token_sha256=token_sha256(token), made_ms=now_ms, expires_ms=now_ms + LIFE_MS)
    identities.add_claim(replace(fresh, actor=f"{login}{TAKEN}"))
    named = {"Content-Disposition": 'attachment; filename="dosong-claim.toml"'}
    return Response(head.replace(TOKEN, token.encode()), mimetype="application/toml", headers=named)
