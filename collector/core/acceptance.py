"""When a site is accepted: facts of the office's side in, ten lines out, each red one with a word that says what to do.

What the technician sees in the hall each second is the probe's own page; what stands here is only what has arrived and
was verified. The judgement of GPS is coarse on purpose: a position inside the hamlet, not a survey.
Source: issue 6, acceptance; facts note 05 §3, §6.3; facts note 01 §4 (a commune's mean radius).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Literal

from collector.core.place import distance_m
from wire import canon
from wire.records import Position, Reading, TestRecord

Verdict = Literal["ok", "bad", "open"]
Result = Literal["green", "no_service"]
CHECKS = ("enrolled", "fingerprint", "sim", "rsrp", "gps", "clock", "path", "test", "budget", "ack")
"""The lines, in their order."""
BY_THE_LINK = frozenset({"sim", "rsrp", "gps", "clock", "path", "test", "budget", "ack"})
"""What a site without service cannot show: these may be red if it is accepted so."""
LINK_CHECKS = frozenset({"registration", "signal", "apn", "dns", "portal", "broker", "test", "ack"})
"""Checks of a visit's code (`wire.visit`) of which at least one is not green where there is no service."""
GPS_WAIT_MS = 600_000
HAMLET_M = 3_000
WAITING_MOST = 10
"""Records that may wait at a probe before its first receipt: more, and receipts do not reach it."""
SIDES = ("indoor", "outdoor")
ANTENNAS = ("internal", "window", "wall", "roof")
POOR_RSRP_X10 = -1100
_SHEET_CODE = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"


@dataclass(frozen=True, slots=True)
class Line:
    """One line: `word` names its sentence and, if it is red, its remedy; `values` are put into them."""

    check: str
    verdict: Verdict
    word: str
    values: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the office knows of a station. None: not known, or there is none.

    `near_e7` is where the station should be and `radius_m` how far that may be off; `since_ms` when it was enrolled.
    `counted` is the newest counted test of this visit, `limit_bytes` the data limit in force.
    """

    state: str | None
    since_ms: int | None
    now_ms: int
    test: TestRecord | None = None
    reading: Reading | None = None
    position: Position | None = None
    near_e7: tuple[int, int] | None = None
    radius_m: int = HAMLET_M
    plmn: str | None = None
    operator: str | None = None
    counted: tuple[int, int] | None = None
    limit_bytes: int | None = None
    has_plan: bool = False
    acked: tuple[int, int] | None = None


def radius_of(area_ha: int | None) -> int:
    """How far (metres) a position may be from the middle of a commune of this area: twice its mean radius."""
    return 2 * round(math.sqrt(max(area_ha, 1) * 10_000 / math.pi)) if area_ha else 15_000


def lines(facts: Facts) -> tuple[Line, ...]:
    """All ten lines, in the order of `CHECKS`."""
    made = (_enrolled, _fingerprint, _sim, _rsrp, gps, _clock, _path, _test, _budget, _ack)
    return tuple(judge(facts) for judge in made)


def may_accept(found: Sequence[Line], result: Result, *, has_position: bool) -> list[str]:
    """Names of the lines that keep a site from being accepted with this result; empty: it may be."""
    spared = BY_THE_LINK if result == "no_service" else frozenset[str]()
    spared |= {"gps"} if has_position else frozenset()
    return [line.check for line in found if line.verdict != "ok" and line.check not in spared]


def sheet_code(sheet: bytes) -> str:
    """Eight letters over a sheet's bytes, for a visit without a code of the probe's own page."""
    number = int.from_bytes(sha256(b"dosong acceptance sheet v1\n" + sheet).digest()[:5], "big")
    return "".join(_SHEET_CODE[number >> 5 * place & 31] for place in range(8))


def sheet_bytes(sheet: dict[str, object]) -> bytes:
    """The one form of a sheet. Raises Refused for what is no canonical JSON."""
    return canon.encode(sheet)


def read_degrees(lat: str, lon: str) -> tuple[int, int] | None:
    """A typed position as 1e-7 degrees; None unless both are plain decimals inside Vietnam's box, comma or point."""
    found = []
    for text, least, most in ((lat, 8.0, 24.0), (lon, 102.0, 118.0)):
        plain = text.strip().replace(",", ".")
        if re.fullmatch(r"[0-9]{1,3}\.[0-9]{3,9}", plain) is None or not least <= float(plain) <= most:
            return None
        found.append(round(float(plain) * 1e7))
    return found[0], found[1]


def _enrolled(facts: Facts) -> Line:
    if facts.state is None:
        return Line("enrolled", "bad", "not_enrolled")
    return Line("enrolled", "bad", "revoked") if facts.state == "revoked" else Line("enrolled", "ok", "ok")


def _fingerprint(facts: Facts) -> Line:
    if facts.state is None:
        return Line("fingerprint", "open", "first")
    is_ok = facts.state == "active"
    return Line("fingerprint", "ok" if is_ok else "bad", "ok" if is_ok else "unconfirmed")


def _sim(facts: Facts) -> Line:
    if facts.reading is None or facts.reading.plmn is None:
        return Line("sim", "open", "no_reading")
    seen = facts.reading.plmn
    values = {"plmn": seen, "operator": facts.operator or seen, "wanted": facts.plmn or ""}
    if facts.plmn is not None and facts.plmn != seen:
        return Line("sim", "bad", "other_sim", values)
    return Line("sim", "ok", "ok", values)


def _rsrp(facts: Facts) -> Line:
    level = facts.reading.rsrp_dbm_x10 if facts.reading else None
    if level is None:
        return Line("rsrp", "open", "no_reading")
    # Weak coverage is what is measured, so it never keeps a site from being accepted.
    return Line("rsrp", "ok", "poor" if level < POOR_RSRP_X10 else "ok", {"rsrp": f"{level / 10:.0f}"})


def gps(facts: Facts) -> Line:
    """The line of position: a fix inside the hamlet, or how long to wait for one, or that another way is due."""
    found = facts.position
    has_fix = found is not None and found.fix_mode is not None
    offset_m = _offset_m(facts) if has_fix else None
    if has_fix and offset_m is None and facts.near_e7 is None:
        return Line("gps", "ok", "no_reference")
    if offset_m is not None:
        values = {"n": str(offset_m), "most": str(facts.radius_m)}
        return Line("gps", "ok", "ok", values) if offset_m <= facts.radius_m else Line("gps", "bad", "far", values)
    until_ms = (facts.since_ms or 0) + GPS_WAIT_MS
    if facts.now_ms < until_ms:
        return Line("gps", "open", "waiting", {"n": str(max(1, math.ceil((until_ms - facts.now_ms) / 60_000)))})
    return Line("gps", "bad", "no_fix")


def _offset_m(facts: Facts) -> int | None:
    found = facts.position
    if found is None:
        return None
    if found.source == "surveyed":
        return found.surveyed_offset_m
    if found.lat_e7 is None or found.lon_e7 is None or facts.near_e7 is None:
        return None
    return round(distance_m(found.lat_e7, found.lon_e7, *facts.near_e7))


def _clock(facts: Facts) -> Line:
    if facts.test is None:
        return Line("clock", "open", "no_test")
    is_ok = facts.test.clock == "trusted"
    return Line("clock", "ok" if is_ok else "bad", "ok" if is_ok else "untrusted", {"source": facts.test.t_src})


def _path(facts: Facts) -> Line:
    path = facts.test.path if facts.test else None
    if path is None:
        return Line("path", "open", "no_test")
    return Line("path", "ok" if path.verdict == "ok" else "bad", path.verdict, {"iface": path.iface})


def _test(facts: Facts) -> Line:
    if facts.counted is not None:
        return Line("test", "ok", "ok", {"number": "{}/{}".format(*facts.counted)})
    if facts.test is None:
        return Line("test", "open", "no_test")
    if facts.test.outcome == "ok":
        return Line("test", "bad", "not_counted")
    return Line("test", "bad", "failed", {"cause": facts.test.cause or "unknown"})


def _budget(facts: Facts) -> Line:
    if facts.limit_bytes is None:
        return Line("budget", "open", "sent") if facts.has_plan else Line("budget", "bad", "no_plan")
    whole = facts.limit_bytes % 10**9 == 0
    amount = f"{facts.limit_bytes // 10**9} GB" if whole else f"{facts.limit_bytes // 10**6} MB"
    return Line("budget", "ok", "ok", {"amount": amount})


def _ack(facts: Facts) -> Line:
    if facts.acked is None:
        return Line("ack", "open", "no_record")
    host = facts.test.host if facts.test else None
    waiting = host.spool_records if host else None
    number = {"number": "{}/{}".format(*facts.acked)}
    # During its test a probe still held `waiting` of the records before it: fewer than all, so a receipt came back.
    if facts.test is not None and waiting is not None and waiting < facts.test.seq:
        return Line("ack", "ok", "ok", number)
    if waiting is None or waiting < WAITING_MOST:
        return Line("ack", "open", "one_way", number)
    return Line("ack", "bad", "waiting", {"n": str(waiting)})
