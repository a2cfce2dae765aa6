"""The unit's page for villagers: how to install i-Speed, with this unit's referral code in large letters; and a poster.

We do not measure citizens' phones: i-Speed does. The page holds no position, sets no cookie and asks nothing.
Source: facts note 01 §1 (documents A, B: Wi-Fi off, 4G on, automatic measuring, iOS by hand), §2 (mã giới thiệu).
"""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, abort, render_template, url_for

from collector.qr import data_address
from collector.settings import Settings
from collector.web import access
from collector.web.present import Pages


@dataclass(frozen=True, slots=True)
class Unit:
    """A hamlet or commune as villagers know it. `referral` is None while no code was given out."""

    code: str
    name: str
    within: str
    referral: str | None


def blueprint(pages: Pages, settings: Settings) -> Blueprint:
    """Public routes."""
    routes = Blueprint("guide", __name__)

    @routes.get("/ispeed/<code>")
    def unit(code: str) -> str:
        return render_template("guide.html", unit=_unit(pages, code))

    @routes.get("/ispeed/<code>/poster")
    def poster(code: str) -> str:
        address = _base(settings) + url_for("guide.unit", code=code)
        return render_template(
            "poster.html", unit=_unit(pages, code), address=address, picture=data_address(address, 8)
        )

    return routes


def _base(settings: Settings) -> str:
    """The public address, without a slash at its end."""
    return (settings.reports.public_url or f"https://{settings.origin}").rstrip("/")


def _unit(pages: Pages, code: str) -> Unit:
    """A unit by its code; 404 for any other."""
    access.need_inside(code)
    hamlet = pages.registry.hamlet(code)
    commune = pages.registry.commune(hamlet.commune if hamlet is not None else code)
    if commune is None:
        abort(404)
    province = pages.registry.province(commune.province)
    around = f"{commune.name}, {province.name if province else ''}" if hamlet else (province.name if province else "")
    owners = (code, commune.code)
    return Unit(code, hamlet.label if hamlet else commune.name, around.rstrip(", "), _referral(pages, owners))


def _referral(pages: Pages, owners: tuple[str, ...]) -> str | None:
    """The newest code that belongs to the first of these units which has one, now."""
    now_ms = pages.now_ms()
    for owner in owners:
        found = [(since, code) for code, unit, since in pages.registry.referrals() if unit == owner and since <= now_ms]
        for _, code in sorted(found, reverse=True):
            if pages.registry.referral_unit(code, now_ms) == owner:
                return code
    return None
