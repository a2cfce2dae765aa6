"""The hamlet head's sheet: a QR code that opens one form, a PIN, two totals a day. No login, no script, no names.

An operator or official prints the sheets of a commune; a new one ends the old one, and each is ended at once by hand.
Source: issue 6, accounts; issue 8, people's counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from argon2.exceptions import InvalidHashError, VerificationError
from flask import Blueprint, abort, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from collector import qr
from collector.core.period import date_of
from collector.passes import HeadLink, new_pin
from collector.people import BACK_DAYS, MOST, Entry, People
from collector.registry_rows import HamletEntry
from collector.web import access
from collector.web.entrance import Entrance
from wire.errors import Refused

MOST_SHEETS = 80


@dataclass(frozen=True, slots=True)
class Sheet:
    """One printed sheet; the PIN stands on a strip of its own."""

    hamlet: HamletEntry
    commune: str
    link: str
    code: str
    pin: str
    id: str


def blueprint(entrance: Entrance) -> Blueprint:
    """Routes of those who print (`/heads`) and of the head (`/bao-cao/<token>`)."""
    routes, views = Blueprint("heads", __name__), Views(entrance)
    routes.add_url_rule("/heads", "overview", views.overview, methods=["GET"])
    routes.add_url_rule("/heads", "make", views.make, methods=["POST"])
    routes.add_url_rule("/heads/<hamlet>/revoke", "revoke", views.revoke, methods=["POST"])
    routes.add_url_rule("/bao-cao/<token>", "form", views.form, methods=["GET"])
    routes.add_url_rule("/bao-cao/<token>", "enter", views.enter, methods=["POST"])
    return routes


def read_number(text: str) -> int | None:
    """A total as it was typed: None for nothing. Raises ValueError for anything but 0 to 9,999."""
    plain = text.strip().replace(".", "")
    if not plain:
        return None
    if not plain.isascii() or not plain.isdigit() or int(plain) > MOST:
        raise ValueError(text)
    return int(plain)


class Views:
    """The views."""

    def __init__(self, entrance: Entrance) -> None:
        self._entrance = entrance
        self._people = People(entrance.registry)

    # --- those who print ------------------------------------------------------------------------------------------

    def overview(self) -> str:
        """Hamlets of the scope with their sheets."""
        hamlets, held = self._hamlets(), self._entrance.passes.heads()
        communes = {one.code: one.name for one in self._entrance.registry.communes()}
        return render_template(
            "heads.html", rows=[(one, held.get(one.code)) for one in hamlets], communes=communes,
            chosen=sorted({one.commune for one in hamlets}), most=MOST_SHEETS,
        )  # fmt: skip

    def _hamlets(self) -> list[HamletEntry]:
        ended = self._entrance.registry.dated.ended()
        return [one for one in access.scopes().hamlets(access.scope()) if one.code not in ended]

    def make(self) -> str:
        """POST: new sheets of a hamlet, or of all hamlets of a commune that have none; shown this once, to print."""
        unit, held = request.form.get("unit", "").strip(), self._entrance.passes.heads()
        access.need_inside(unit or None)
        chosen = [one for one in self._hamlets() if one.code == unit]
        if not chosen:
            chosen = [
                one for one in self._hamlets()
                if one.commune == unit and not (one.code in held and held[one.code].is_alive)
            ]  # fmt: skip
        if not chosen and not any(one.commune == unit for one in self._hamlets()):
            abort(404)
        sheets = [self._sheet(one) for one in chosen[:MOST_SHEETS]]
        return render_template("heads_print.html", sheets=sheets, left=max(0, len(chosen) - MOST_SHEETS))

    def _sheet(self, hamlet: HamletEntry) -> Sheet:
        passes, pin = self._entrance.passes, new_pin()
        hashed = self._entrance.hasher.hash(passes.keyed_pin(pin))
        text, made = passes.make_head(hamlet.code, hashed, g.user.name, self._entrance.now_ms())
        link = url_for("heads.form", token=text, _external=True)
        commune = self._entrance.registry.commune(hamlet.commune)
        return Sheet(hamlet, commune.name if commune else "", link, qr.data_address(link), pin, made.id)

    def revoke(self, hamlet: str) -> Response:
        """POST: end a hamlet's sheet now."""
        access.need_inside(hamlet)
        held = self._entrance.passes.heads().get(hamlet)
        if held is None or self._entrance.registry.hamlet(hamlet) is None:
            abort(404)
        self._entrance.passes.revoke_head(held.id, self._entrance.now_ms())
        return redirect(url_for("heads.overview"), 303)

    # --- the head -------------------------------------------------------------------------------------------------

    def form(self, token: str) -> str | tuple[str, int]:
        """GET: the form of one hamlet; 404 with a sentence for a sheet that was ended."""
        link = self._entrance.passes.head(token)
        return self._gone() if link is None else self._page(link)

    def _gone(self) -> tuple[str, int]:
        return render_template("head_gone.html"), 404

    def _page(self, link: HeadLink, wrong: str = "", seconds: int = 0, stored: bool = False) -> str:
        hamlet = self._entrance.registry.hamlet(link.hamlet)
        if hamlet is None:
            abort(404)
        now_ms = self._entrance.now_ms()
        today = date_of(now_ms)
        return render_template(
            "head.html", hamlet=hamlet, commune=self._entrance.registry.commune(hamlet.commune), wrong=wrong,
            seconds=seconds, days=[today - timedelta(days=back) for back in range(BACK_DAYS)], given=request.form,
            week=self._people.week(hamlet.code, now_ms) if stored else None, most=MOST,
        )  # fmt: skip

    def enter(self, token: str) -> str | tuple[str, int]:
        """POST: a day's totals; the page then shows what is stored."""
        link, now_ms = self._entrance.passes.head(token), self._entrance.now_ms()
        if link is None:
            return self._gone()
        one, wait_s = self._entrance.sessions.ask(f"head {link.id}", request.remote_addr or "", None, now_ms)
        if one is None:
            return self._page(link, "login.wait", wait_s), 429
        if not self._is_pin(link, request.form.get("pin", "").strip()[:12]):
            self._entrance.passes.note_pin(link.id, now_ms, is_right=False)
            return self._page(link, "head.wrong_pin"), 401
        self._entrance.sessions.passed(one)
        self._entrance.passes.note_pin(link.id, now_ms, is_right=True)
        try:
            entry = self._entry(link)
        except ValueError:
            return self._page(link, "head.wrong"), 422
        self._entrance.write(f"head {link.id}", "head", "count.entered", link.hamlet)
        try:
            self._people.enter([entry], f"hamlet head: sheet {link.id}", now_ms)
        except Refused:
            return self._page(link, "head.wrong"), 422
        return self._page(link, stored=True)

    def _entry(self, link: HeadLink) -> Entry:
        """What the form says. Raises ValueError for a day that is not of the last week, or for no whole number."""
        day = date.fromisoformat(request.form.get("day", ""))
        if not 0 <= (date_of(self._entrance.now_ms()) - day).days < BACK_DAYS:
            raise ValueError("day")
        people, samples = (read_number(request.form.get(name, "")) for name in ("people", "samples"))
        if people is None and samples is None:
            raise ValueError("nothing")
        return Entry(link.hamlet, day, people, samples)

    def _is_pin(self, link: HeadLink, pin: str) -> bool:
        try:
            return self._entrance.hasher.verify(link.pin, self._entrance.passes.keyed_pin(pin))
        except (VerificationError, InvalidHashError):
            return False
