"""What an official typed about the office, as a letterhead and whom to remind: read strictly, line by line.

Pure. A line of text is one line: control characters go, blanks at its ends too. Source: Nghị định 30/2020/NĐ-CP.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from collector.core.report_heads import Office
from collector.core.report_model import Letterhead
from wire.errors import Refused

LINES = ("superior", "issuer_name", "place", "symbol", "authority", "signer")
"""Fields of one line."""
LISTS = ("issuer", "addressed", "recipients")
"""Fields of a line each."""
NEEDED = ("issuer", "issuer_name", "place")
LONGEST, MOST_LINES, MOST_EMAILS = 160, 12, 20
_EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})+")
_HOOK = re.compile(r"https?://[!-~]{3,400}")


def read_office(typed: Mapping[str, str], before: Office | None, *, may_hook: bool) -> Office:
    """The office that a form says. `may_hook`: whether this login may say where the server sends messages to;
    another keeps the address that holds. Raises Refused with the field's name as its reason."""
    one: dict[str, Any] = {name: _one(name, typed.get(name, "")) for name in LINES}
    many: dict[str, Any] = {name: _many(name, typed.get(name, ""), MOST_LINES) for name in LISTS}
    emails = _many("emails", typed.get("emails", "").replace(",", "\n").replace(";", "\n"), MOST_EMAILS)
    for name in NEEDED:
        if not (one.get(name) or many.get(name)):
            raise Refused(name, "this line of the letterhead is needed")
    if not all(_EMAIL.fullmatch(email) for email in emails):
        raise Refused("emails", "an address as in name@office.example is expected, one a line")
    webhook = typed.get("webhook", "").strip() if may_hook else (before.webhook if before else "")
    if may_hook and webhook and _HOOK.fullmatch(webhook) is None:
        raise Refused("webhook", "an address that begins with https:// is expected")
    return Office(Letterhead(**one, **many), emails, webhook)


def _one(name: str, text: str) -> str:
    line = "".join(" " if char in "\r\n\t" else char for char in text if char >= " " or char in "\r\n\t").strip()
    if len(line) > LONGEST:
        raise Refused(name, f"at most {LONGEST} letters")
    return line


def _many(name: str, text: str, most: int) -> tuple[str, ...]:
    found = tuple(line for part in text.splitlines() if (line := _one(name, part)))
    if len(found) > most:
        raise Refused(name, f"at most {most} lines")
    return found
