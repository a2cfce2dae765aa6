"""A sheet of labels and the keeper's notice as PDF, in Vietnamese or English, for any printer.

A label's first QR code opens the site's acceptance page; the second joins the station's own Wi-Fi, if it has a page.
Source: issue 6, items 4 and 6; facts note 05 §6.3; ISO/IEC 18004 (by segno).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from collector.paper import press
from provisioning.label import qr_svg, wifi_text
from provisioning.label_words import LABEL, LIGHTS, NOTICE, POINTS, Language, pick, pick_pairs
from provisioning.visit import Access
from wire.errors import Misconfigured

_WEB = re.compile(r"https?://([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:]+\])(:[0-9]{1,5})?")
_PHONE = re.compile(r"\+?[0-9][0-9 ().-]{2,24}")


@dataclass(frozen=True, slots=True)
class Station:
    """Whose label: its id, where it stands in words, and its own page (None: it has none)."""

    probe: str
    place: str
    access: Access | None


def address(web: str, probe: str) -> str:
    """What a label's QR code opens. Raises Misconfigured if `web` is no plain address of the pages."""
    if _WEB.fullmatch(web.rstrip("/")) is None:
        raise Misconfigured(f"--web {web!r}: give the address of the pages, such as https://dosong.sokhcn.example")
    return f"{web.rstrip('/')}/accept/{probe}"


def sheet(stations: Sequence[Station], web: str, lot: str, language: Language, at_ms: int) -> bytes:
    """The sheet of labels. `lot` stands in the corner of each. Raises Misconfigured, Unavailable."""
    pictures: dict[str, bytes] = {}
    rows: list[dict[str, str]] = []
    for number, one in enumerate(stations):
        link = address(web, one.probe)
        pictures[f"qr{number}.svg"] = qr_svg(link)
        row = {"probe": one.probe, "place": one.place, "lot": lot, "qr": f"qr{number}.svg", "address": link, "wifi": ""}
        if one.access is not None:
            pictures[f"wifi{number}.svg"] = qr_svg(wifi_text(one.access))
            url = one.access.url.removeprefix("http://")
            row |= {"wifi": f"wifi{number}.svg", "ssid": one.access.ssid, "psk": one.access.psk, "url": url}
        rows.append(row)
    words = {**pick(LABEL, language), "lights": pick_pairs(LIGHTS, language)}
    content = {"title": words["title"], "lang": language, "words": words, "labels": rows}
    return press.draw("labels", content, pictures, at_ms)


def notice(stations: Sequence[Station], phone: str, office: str, language: Language, at_ms: int) -> bytes:
    """The keeper's notice, a page a station. Raises Misconfigured, Unavailable."""
    if _PHONE.fullmatch(phone) is None:
        raise Misconfigured(f"--phone {phone!r}: give the number that somebody answers, such as '0203 3 123 456'")
    words = {**pick(NOTICE, language), "points": pick_pairs(POINTS, language)}
    rows = [{"probe": one.probe, "place": one.place, "phone": phone, "office": office} for one in stations]
    content = {"title": words["title"], "lang": language, "words": words, "stations": rows}
    return press.draw("notice", content, {}, at_ms)
