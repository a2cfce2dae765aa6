"""The acceptance page of a site, which a label's QR code opens on the technician's telephone; its photo, its sheet.

The page signs nothing: what is confirmed and accepted here becomes a wish in the registry, which `dosong-provision ca
serve` carries out. Who may do what stands in `access.RULES`; every station is asked for within the login's scope.
Source: issue 6, acceptance; design §1 (technician), §7 (web).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import closing, suppress
from hashlib import sha256
from typing import Any

from flask import Blueprint, Flask, Response, abort, current_app, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as Answer

from collector import photos
from collector.acceptance import Acceptances, Found, Wrong
from collector.acceptance_pdf import draw
from collector.core import acceptance as judge
from collector.registry_identity import Identities, Wish
from collector.settings import Settings
from collector.visit import Meaning
from collector.web import access, language
from collector.web.entrance import Entrance
from collector.web.present import Pages
from collector.web.registry_view import RegistryView
from collector.web.words import say
from wire.enrolment import fingerprint, plain_fingerprint
from wire.errors import Refused

ROOM_BYTES = photos.MOST_BYTES + 64 * 1024
DONE = frozenset({"confirming", "photo"})
_PROBE = re.compile(r"[a-z0-9][a-z0-9-]{2,31}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def make_room(app: Flask) -> None:
    """Let the one form with a photo be larger than all others; before the check of forms' tokens, which reads them."""

    @app.before_request
    def room() -> None:
        if request.endpoint == "accept.photo" and request.method == "POST":
            request.max_content_length = ROOM_BYTES
            # The parser reads 64 KiB at a time, and takes what it has in hand for a form's.
            request.max_form_memory_size = 4 * 64 * 1024


class AcceptPages:
    """The views."""

    def __init__(self, pages: Pages, settings: Settings) -> None:
        self._pages, self._settings = pages, settings
        self._held = Acceptances(pages.reader, pages.registry, settings.state)

    def _found(self, probe: str) -> Found:
        found = self._held.find(probe, self._pages.now_ms()) if _PROBE.fullmatch(probe) else None
        if found is None or not RegistryView(self._pages.registry).allows_site(access.scope(), found.site):
            abort(404)
        return found

    def page(self, probe: str) -> str:
        """GET: the ten lines, and what is still to do."""
        return self._page(self._found(probe))

    def _page(self, found: Found, wrong: Wrong | None = None) -> str:
        done = request.args.get("done", "")
        wishes = self._held.wishes(found.probe)
        site = self._pages.registry.site(found.site)
        return render_template(
            "accept.html", found=found, site=site, hamlet=self._pages.registry.hamlet(site.hamlet) if site else None,
            wrong=wrong, done=done if done in DONE else "", given=request.form, sides=judge.SIDES,
            antennas=judge.ANTENNAS, left=judge.may_accept(found.lines, "green", has_position=True),
            accepted=next((one for one in wishes if one.kind == "acceptance" and one.leaf), None),
            waiting=[one for one in wishes if one.done_ms is None],
            refused=next((one for one in wishes[:1] if one.refused), None),
        )  # fmt: skip

    def confirm(self, probe: str) -> Answer | tuple[str, int]:
        """POST: the six digits that the station shows are those of the keys that enrolled."""
        found, now_ms = self._found(probe), self._pages.now_ms()
        typed = plain_fingerprint(request.form.get("digits", "")[:40])
        if found.facts.state != "quarantine":
            return self._page(found, Wrong("confirmed")), 422
        with closing(Identities(self._settings.registry)) as identities:
            if typed is None or typed != self._expected(identities, probe):
                if typed is not None:
                    said = f"{g.user.name} typed other digits"
                    identities.raise_alarm("wrong_fingerprint", probe, request.remote_addr or "", said, now_ms)
                return self._page(found, Wrong("digits")), 422
            if not any(one.kind == "confirm" and one.done_ms is None for one in identities.wishes(probe)):
                identities.wish("confirm", probe, g.user.name, typed, now_ms)
        return redirect(url_for("accept.page", probe=probe, done="confirming"), 303)

    def _expected(self, identities: Identities, probe: str) -> str | None:
        for one in identities.claims(probe):
            if one.used_ms is not None and one.record_key and one.tls_key_sha256:
                return fingerprint(self._settings.origin, probe, one.record_key, one.tls_key_sha256)
        return None

    def photo(self, probe: str) -> Answer | tuple[str, int]:
        """POST: a photo of how the station is mounted."""
        found, now_ms = self._found(probe), self._pages.now_ms()
        try:
            digest, size = photos.keep(self._settings.state, _sent("photo"))
        except Refused as error:
            return self._page(found, Wrong("bad_photo", error.detail)), 422
        row = {"site": found.site, "sha256": digest, "size_bytes": size, "valid_from_ms": now_ms}
        self._pages.registry.load({"photos": [{**row, "source": f"{g.user.name}: acceptance"}]}, now_ms)
        return redirect(url_for("accept.page", probe=probe, done="photo"), 303)

    def picture(self, probe: str, digest: str) -> Response:
        """GET: a photo of the site, for those who may see the site."""
        self._found(probe)
        raw = photos.held(self._settings.state, digest) if _SHA256.fullmatch(digest) else None
        return Response(raw, mimetype="image/jpeg") if raw is not None else abort(404)

    def accept(self, probe: str) -> Answer | tuple[str, int]:
        """POST: the site is accepted, green or without service."""
        found = self._found(probe)
        try:
            sheet = self._held.sheet(found, request.form, g.user.name)
        except Wrong as wrong:
            return self._page(found, wrong), 422
        # The signed note has room for its code alone; the audit trail, which is in the log too, names the whole sheet.
        digest = sha256(judge.sheet_bytes(sheet)).hexdigest()
        entrance: Entrance = current_app.extensions["entrance"]
        entrance.write(g.user.name, g.user.role, "acceptance.sheet", f"{probe} {digest}")
        number = self._held.keep(sheet, g.user.name, self._pages.now_ms())
        return redirect(url_for("accept.sheet", probe=probe, number=number), 303)

    def sheet(self, probe: str, number: int) -> str:
        """GET: the sheet, for a screen and for paper."""
        return render_template("accept_sheet.html", **self._sheet(probe, number))

    def paper(self, probe: str, number: int) -> Response:
        """GET: the sheet as PDF; only one that is signed."""
        view = self._sheet(probe, number)
        if view["wish"].leaf is None:
            abort(404)
        raw = photos.held(self._settings.state, view["sheet"]["photo_sha256"])
        lang = language.current()
        drawn = draw(view["sheet"], view["wish"], view["names"], raw, lambda key, **values: say(key, lang, **values))
        named = {"Content-Disposition": f'inline; filename="acceptance-{probe}-{number}.pdf"'}
        return Response(drawn, mimetype="application/pdf", headers=named)

    def _sheet(self, probe: str, number: int) -> dict[str, Any]:
        found = self._found(probe)
        wish = next((w for w in self._held.wishes(probe) if w.n == number and w.kind == "acceptance"), None)
        if wish is None:
            abort(404)
        sheet = json.loads(wish.body)
        site = self._pages.registry.site(sheet["site"])
        hamlet = self._pages.registry.hamlet(site.hamlet) if site else None
        commune = self._pages.registry.commune(hamlet.commune) if hamlet else None
        names = {
            "site": site.name if site else sheet["site"],
            "hamlet": hamlet.label if hamlet else "",
            "commune": commune.name if commune else "",
        }
        meaning = self._meaning(found.probe, sheet)
        return {
            "found": found,
            "wish": wish,
            "sheet": sheet,
            "names": names,
            "meaning": meaning,
            "checks": judge.CHECKS,
        }

    def _meaning(self, probe: str, sheet: dict[str, str]) -> Meaning | None:
        with suppress(Refused):
            return self._held.meaning(probe, sheet["visit_code"]) if "visit_code" in sheet else None
        return None


def _sent(name: str) -> bytes:
    """What a form's file holds, its beginning if it is too large; empty if none was sent."""
    found = request.files.get(name)
    if found is None:
        return b""
    with closing(found):
        return bytes(found.read(photos.MOST_BYTES + 1))


def blueprint(pages: Pages, settings: Settings) -> Blueprint:
    """Make the routes."""
    routes, views = Blueprint("accept", __name__), AcceptPages(pages, settings)
    table: tuple[tuple[str, str, str, Callable[..., object]], ...] = (
        ("GET", "page", "/accept/<probe>", views.page),
        ("POST", "confirm", "/accept/<probe>/confirm", views.confirm),
        ("POST", "photo", "/accept/<probe>/photo", views.photo),
        ("GET", "picture", "/accept/<probe>/photo/<digest>", views.picture),
        ("POST", "accept", "/accept/<probe>/accept", views.accept),
        ("GET", "sheet", "/accept/<probe>/sheet/<int:number>", views.sheet),
        ("GET", "paper", "/accept/<probe>/sheet/<int:number>.pdf", views.paper),
    )
    for method, name, address, view in table:
        routes.add_url_rule(address, name, view, methods=[method])  # type: ignore[arg-type]

    @routes.after_request
    def may_ask_where_it_is(response: Response) -> Response:
        """A telephone's own position may be asked for on this page, and on no other."""
        if request.endpoint == "accept.page":
            response.headers["Permissions-Policy"] = "geolocation=(self), camera=(), microphone=()"
        return response

    routes.app_context_processor(lambda: {"acceptances": lambda: _acceptances(settings)})
    return routes


def _acceptances(settings: Settings) -> dict[str, tuple[Wish, str]]:
    """The newest signed acceptance of each station, and its result, for the pages of operators and technicians."""
    with closing(Identities(settings.registry)) as identities:
        return {probe: (wish, json.loads(wish.body)["result"]) for probe, wish in identities.accepted().items()}
