"""The acceptance sheet as PDF: one page A4 with the ten lines, the photo, the code, and room for two signatures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from collector.core import view
from collector.core.acceptance import CHECKS
from collector.core.view import Language
from collector.paper import press
from collector.registry_identity import Wish
from wire import visit

PHOTO = "photo.jpg"
Say = Callable[..., str]


def draw(sheet: Mapping[str, Any], wish: Wish, names: Mapping[str, str], photo: bytes | None, say: Say) -> bytes:
    """The sheet of a signed acceptance. `say(key, **values)` gives words in the reader's language.

    Raises Misconfigured without the fonts, Unavailable if it cannot be drawn.
    """
    content = {
        "title": say("accept.sheet"),
        "lang": "vi" if say("accept.result.green").startswith("Đã") else "en",
        "result": say(f"accept.result.{sheet['result']}"),
        "simulated": say("banner.simulated") if sheet["simulated"] else "",
        "pairs": _pairs(sheet, names, say),
        "lines": [_line(check, sheet["lines"][check], say) for check in CHECKS],
        "photo": PHOTO if photo is not None else "",
        "code_title": say("accept.its_code"),
        "code": visit.shown(sheet["code"]),
        "proofs": [[say("accept.leaf"), wish.leaf or ""], ["SHA-256, " + say("accept.photo"), sheet["photo_sha256"]]],
        "note": say("accept.log"),
        "signs": [[say("accept.sign.technician"), sheet["actor"]], [say("accept.sign.keeper"), ""]],
        "footer": f"{sheet['probe']} · {view.moment(sheet['at_ms'])}",
    }
    return press.draw("acceptance", content, {} if photo is None else {PHOTO: photo}, sheet["at_ms"])


def _pairs(sheet: Mapping[str, Any], names: Mapping[str, str], say: Say) -> list[list[str]]:
    unit = ", ".join(part for part in (names["hamlet"], names["commune"]) if part)
    antenna = f"{say('accept.antenna').lower()}: {say('accept.antenna.' + sheet['antenna'])}"
    mounted = f"{say('accept.side.' + sheet['side'])}; {antenna}"
    pairs = [
        [say("claims.site"), f"{names['site']} ({unit})" if unit else names["site"]],
        [say("col.probe"), f"{sheet['probe']}, {sheet['site']}"],
        [say("accept.when"), f"{view.moment(sheet['at_ms'])}, {sheet['actor']}"],
        [say("accept.side"), mounted],
    ]
    place = sheet.get("position")
    if place is not None:
        language: Language = "vi"
        where = f"{view.degrees(place['lat_e7'], language)} / {view.degrees(place['lon_e7'], language)}"
        pairs.append([say("accept.place"), f"{where} ({say('accept.how.' + place['how'])})"])
    return pairs


def _line(check: str, line: Mapping[str, Any], say: Say) -> dict[str, str]:
    values = {name: value for name, value in line.items() if name not in ("verdict", "word")}
    return {
        "verdict": line["verdict"],
        "check": say(f"accept.check.{check}"),
        "said": say(f"accept.verdict.{line['verdict']}"),
        "text": say(f"accept.{check}.{line['word']}", **values),
    }
