"""The list of a check for a terminal: one line a check, what to do below each red one, the code in large at the end."""

from __future__ import annotations

import textwrap
import unicodedata

from probe.core import doctor_words
from probe.core.doctor import GOOD_RSRP_X10, USABLE_RSRP_X10, Finding, Verdict
from probe.core.doctor_words import Language
from probe.examination import Seen
from wire import visit

MARK = {Verdict.OK: "✓", Verdict.BAD: "✗", Verdict.WAIT: "…", Verdict.SKIPPED: "–"}
_COLOUR = {Verdict.OK: "32", Verdict.BAD: "1;31", Verdict.WAIT: "33", Verdict.SKIPPED: "2"}
_TITLE_CELLS, _BAR_CELLS = 17, 24
_LOW_X10, _HIGH_X10 = -1300, -700
_PHRASES = {
    "green": ("Trạm XANH: đọc mã này cho văn phòng", "The station is GREEN: read this code to the office"),
    "red": (
        "Còn mục ĐỎ: sửa từ trên xuống, hoặc đọc mã này cho văn phòng",
        "Still RED: mend from the top, or read this code",
    ),
    "open": ("Đang kiểm tra…", "Checking…"),
}


def screen(seen: Seen, language: Language, *, width: int = 80, colour: bool = False) -> list[str]:
    """Return the lines of one picture of the check."""
    lines = [f"dosong-probe doctor   {seen.site} · {seen.probe}", ""]
    for finding in seen.findings:
        lines += finding_lines(finding, language, width=width, colour=colour, modems=len(seen.rsrp_dbm_x10))
        if finding.check == "signal" and finding.word in ("good", "usable", "poor"):
            level = seen.rsrp_dbm_x10.get(finding.modem or "")
            lines += [] if level is None else [f"   {' ' * _TITLE_CELLS}{bar(level, colour=colour)}"]
    return [*lines, "", *_ending(seen, language, colour=colour)]


def finding_lines(
    finding: Finding, language: Language, *, width: int = 80, colour: bool = False, modems: int = 1
) -> list[str]:
    """Return the line of one finding, and what to do about it if it is not green."""
    name = doctor_words.title(finding.check, language)
    if finding.modem is not None and modems > 1:
        name += f" {finding.modem}"
    mark = painted(MARK[finding.verdict], _COLOUR[finding.verdict], colour=colour)
    room, indent = max(width, 50) - _TITLE_CELLS - 3, " " * (_TITLE_CELLS + 3)
    first, *rest = textwrap.wrap(doctor_words.says(finding, language), room)
    lines = [f" {mark} {padded(name, _TITLE_CELLS)}{first}", *(indent + line for line in rest)]
    remedy = doctor_words.remedy(finding, language)
    if remedy is not None and finding.verdict in (Verdict.BAD, Verdict.WAIT):
        lines += [indent + line for line in textwrap.wrap(f"→ {remedy}", room, subsequent_indent="  ")]
    return lines


def bar(rsrp_dbm_x10: int, *, colour: bool = False) -> str:
    """Return the bar of a level, −130 to −70 dBm, with its borders of good and usable marked."""
    full = round(share(rsrp_dbm_x10) * _BAR_CELLS)
    word = "32" if rsrp_dbm_x10 >= GOOD_RSRP_X10 else "33" if rsrp_dbm_x10 >= USABLE_RSRP_X10 else "31"
    borders = {round(share(level) * _BAR_CELLS) for level in (GOOD_RSRP_X10, USABLE_RSRP_X10)}
    empty = "".join("┆" if cell in borders else "·" for cell in range(full, _BAR_CELLS))
    return f"{painted('█' * full, word, colour=colour)}{empty} {rsrp_dbm_x10 / 10:.0f} dBm"


def share(rsrp_dbm_x10: int) -> float:
    """How much of the bar a level fills, 0 to 1."""
    return min(1.0, max(0.0, (rsrp_dbm_x10 - _LOW_X10) / (_HIGH_X10 - _LOW_X10)))


def painted(text: str, code: str, *, colour: bool) -> str:
    """Return text in an ANSI colour, or as it is."""
    return f"\x1b[{code}m{text}\x1b[0m" if colour else text


def padded(text: str, cells: int) -> str:
    """Pad to a width in cells: Vietnamese letters may be several code points but take one cell."""
    taken = sum(not unicodedata.combining(letter) for letter in text)
    return text + " " * max(1, cells - taken)


def _ending(seen: Seen, language: Language, *, colour: bool) -> list[str]:
    place = doctor_words.LANGUAGES.index(language)
    if not seen.is_settled:
        return [f" {_PHRASES['open'][place]}"]
    word = "green" if seen.is_green else "red"
    lines = [f" {painted(_PHRASES[word][place], '1;32' if seen.is_green else '1;31', colour=colour)}"]
    return lines if seen.code is None else [*lines, "", f"     {painted(visit.shown(seen.code), '1', colour=colour)}"]
