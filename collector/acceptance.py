"""Acceptance of a site: gathers what the office knows of a station, and makes the sheet that is signed.

The sheet is one canonical JSON object, kept in the registry as the wish to sign it; the signed note carries its code.
What a technician brings (photo, side, antenna, a position where the receiver found none) is checked here.
Source: issue 6, acceptance; SPEC, note `acceptance`.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collector import config_shelf
from collector.core import acceptance as judge
from collector.core.acceptance import Facts, Line, Result
from collector.core.place import distance_m
from collector.core.sample import ProbeState, Sample
from collector.ledger import LedgerReader
from collector.registry import Registry
from collector.registry_dated import AssignmentRow, PhotoRow, SimModemRow, SurveyRow
from collector.registry_identity import Identities, Wish
from collector.visit import Meaning, meanings
from wire import visit
from wire.errors import Refused
from wire.records import TestRecord

LOOKED_AT = 48
MOST_ACCURACY_M = 5_000


@dataclass(frozen=True, slots=True)
class Found:
    """A station as the page shows it. `photo`: SHA-256 of this visit's, None without one."""

    probe: str
    site: str
    facts: Facts
    lines: tuple[Line, ...]
    photo: str | None
    simulated: bool


class Wrong(Exception):
    """What the form says cannot be taken; `word` names the sentence, `value` what was wrong."""

    def __init__(self, word: str, value: str = "") -> None:
        super().__init__(word)
        self.word, self.value = word, value


class Acceptances:
    """Reads registry and ledger for one station at a time; `state` is the collector's folder."""

    def __init__(self, reader: Any, registry: Any, state: Path) -> None:
        self._reader: LedgerReader = reader
        self._registry: Registry = registry
        self._state = state

    def find(self, probe: str, now_ms: int) -> Found | None:
        """A station that is enrolled, or planned at a site; None if nobody knows it."""
        held = self._registry.dated.holding(AssignmentRow, probe=probe)
        site = held[0].site if held else None
        if site is None:
            site = self._claimed_site(probe)
        if site is None:
            return None
        facts = self._facts(probe, site, now_ms)
        photos = self._registry.dated.holding(PhotoRow, site=site)
        is_new = bool(photos) and photos[0].valid_from_ms >= (facts.since_ms or 0)
        entry = self._registry.probe(probe)
        simulated = entry is not None and entry.simulated
        return Found(probe, site, facts, judge.lines(facts), photos[0].sha256 if is_new else None, simulated)

    def _claimed_site(self, probe: str) -> str | None:
        with closing(Identities(self._registry.path)) as identities:
            return next((one.site for one in identities.claims(probe) if one.void_ms is None), None)

    def _facts(self, probe: str, site: str, now_ms: int) -> Facts:
        entry = self._registry.probe(probe)
        since_ms = self._since_ms(probe)
        samples = [s for s in self._reader.samples(probe=probe, limit=LOOKED_AT) if s.received_ms >= (since_ms or 0)]
        tests = [s for s in samples if isinstance(s.record, TestRecord)]
        test = tests[0].record if tests and isinstance(tests[0].record, TestRecord) else None
        state = next((one for one in self._reader.probe_states() if one.probe == probe), None)
        reading = (test.radio.after or test.radio.before) if test is not None and test.radio else None
        near_e7, radius_m = self._near(site)
        plan = config_shelf.held(self._state / "config", probe)
        plmn = reading.plmn if reading else None
        return Facts(
            state=entry.state if entry else None,
            since_ms=since_ms,
            now_ms=now_ms,
            test=test,
            reading=reading,
            position=test.position if test else None,
            near_e7=near_e7,
            radius_m=radius_m,
            plmn=self._expected(probe, test.modem if test else "m1"),
            operator=self._registry.operators().get(plmn) if plmn else None,
            counted=_counted(tests),
            limit_bytes=test.budget.limit_bytes if test is not None and test.budget else None,
            has_plan=plan is not None,
            acked=_acked(state),
        )

    def _since_ms(self, probe: str) -> int | None:
        with closing(Identities(self._registry.path)) as identities:
            return next((one.used_ms for one in identities.claims(probe) if one.used_ms is not None), None)

    def _near(self, site: str) -> tuple[tuple[int, int] | None, int]:
        """Where a site should be (as surveyed, else its hamlet's or commune's middle), and how far off it may be."""
        entry = self._registry.site(site)
        hamlet = self._registry.hamlet(entry.hamlet) if entry else None
        for one in (entry, hamlet):
            if one is not None and one.lat_e7 is not None and one.lon_e7 is not None:
                return (one.lat_e7, one.lon_e7), judge.HAMLET_M
        row = next((r for r in self._registry.dated.dump("communes") if hamlet and r["code"] == hamlet.commune), None)
        if row is None or row.get("lat_e7") is None:
            return None, judge.HAMLET_M
        return (row["lat_e7"], row["lon_e7"]), judge.radius_of(row.get("area_ha"))

    def _expected(self, probe: str, modem: str) -> str | None:
        """Network of the SIM that the registry put into a modem; None if nobody wrote it down."""
        held = [
            row.sim for row in self._registry.dated.holding(SimModemRow) if (row.probe, row.modem) == (probe, modem)
        ]
        return next((row["plmn"] for row in self._registry.dated.dump("sims") if row["code"] in held), None)

    def meaning(self, probe: str, code: str) -> Meaning | None:
        """What a visit's code says, if its record is here already. Raises Refused for a slip."""
        return next(meanings(self._reader, probe, code), None)

    def sheet(self, found: Found, form: Mapping[str, str], actor: str) -> dict[str, object]:
        """The sheet of a form. Raises Wrong with what is missing or cannot be."""
        result: Result = "no_service" if form.get("result") == "no_service" else "green"
        side, antenna = form.get("side", ""), form.get("antenna", "")
        if found.photo is None:
            raise Wrong("photo")
        if side not in judge.SIDES or antenna not in judge.ANTENNAS:
            raise Wrong("mounting")
        position = self._position(found, form)
        code = self._code(found.probe, form.get("code", ""), result)
        left = judge.may_accept(found.lines, result, has_position=position is not None)
        if left:
            raise Wrong("red", ",".join(left))
        if result == "no_service" and found.facts.counted is not None:
            raise Wrong("has_service")
        sheet: dict[str, object] = {
            "v": 1, "probe": found.probe, "site": found.site, "actor": actor, "result": result,
            "at_ms": found.facts.now_ms, "side": side, "antenna": antenna, "photo_sha256": found.photo,
            "simulated": found.simulated, "lines": {line.check: _plain(line) for line in found.lines},
            **({} if position is None else {"position": position}), **_named(found.facts),
        }  # fmt: skip
        if code is not None:
            sheet["visit_code"] = code
        return {**sheet, "code": code or judge.sheet_code(judge.sheet_bytes(sheet))}

    def _position(self, found: Found, form: Mapping[str, str]) -> dict[str, object] | None:
        """The receiver's position if it is good, else the telephone's or the typed one, marked as what it is."""
        line = next(line for line in found.lines if line.check == "gps")
        fix = found.facts.position
        if line.verdict == "ok":
            if fix is None or fix.source != "gps" or fix.lat_e7 is None or fix.lon_e7 is None:
                return None
            return {"how": "gnss", "lat_e7": fix.lat_e7, "lon_e7": fix.lon_e7, "accuracy_m": (fix.eph_mm or 0) // 1000}
        lat, lon = form.get("lat", ""), form.get("lon", "")
        if not lat.strip() and not lon.strip():
            raise Wrong("position")
        if line.verdict == "open":
            raise Wrong("early", line.values.get("n", ""))
        read = judge.read_degrees(lat, lon)
        if read is None:
            raise Wrong("degrees", f"{lat} {lon}"[:40])
        near, most = found.facts.near_e7, found.facts.radius_m
        if near is not None and (off_m := round(distance_m(*read, *near))) > most:
            raise Wrong("far", str(off_m))
        accuracy = form.get("accuracy", "").strip()
        is_phone = accuracy.isdecimal() and int(accuracy) <= MOST_ACCURACY_M
        told = {"accuracy_m": int(accuracy)} if is_phone else {}
        return {"how": "phone" if is_phone else "typed", "lat_e7": read[0], "lon_e7": read[1], **told}

    def _code(self, probe: str, typed: str, result: Result) -> str | None:
        """The visit's code, checked as far as it can be: its record may still be on a stick. Raises Wrong."""
        if not typed.strip():
            if result == "no_service":
                raise Wrong("code")
            return None
        try:
            found = self.meaning(probe, typed)
        except Refused:
            raise Wrong("slip", typed[:16]) from None
        if result == "no_service" and found is not None and not set(found.not_green) & judge.LINK_CHECKS:
            raise Wrong("code_green")
        return visit.normal(typed)

    def keep(self, sheet: Mapping[str, Any], login: str, now_ms: int) -> int:
        """Enter the position that a visit found, and ask for the signature; return the wish's number."""
        place = sheet.get("position")
        if place is not None:
            row = {"site": sheet["site"], **place, "valid_from_ms": now_ms, "source": f"{login}: acceptance"}
            if place["how"] != "gnss" or not self._registry.dated.history(SurveyRow, site=sheet["site"]):
                self._registry.load({"surveys": [row]}, now_ms)
        with closing(Identities(self._registry.path)) as identities:
            text = judge.sheet_bytes(dict(sheet)).decode()
            return identities.wish("acceptance", str(sheet["probe"]), login, text, now_ms)

    def wishes(self, probe: str) -> list[Wish]:
        """What was asked for this station, newest first."""
        with closing(Identities(self._registry.path)) as identities:
            return identities.wishes(probe)


def _counted(tests: list[Sample]) -> tuple[int, int] | None:
    return next(((s.epoch, s.seq) for s in tests if s.counted and s.epoch is not None and s.seq is not None), None)


def _acked(state: ProbeState | None) -> tuple[int, int] | None:
    return None if state is None or state.upto is None or state.epoch is None else (state.epoch, state.upto)


def _named(facts: Facts) -> dict[str, object]:
    """The counted test of the visit, else its newest, by number."""
    found = facts.counted or ((facts.test.epoch, facts.test.seq) if facts.test else None)
    return {} if found is None else {"test": {"epoch": found[0], "seq": found[1]}}


def _plain(line: Line) -> dict[str, object]:
    """Flat, for a canonical object is at most three deep."""
    return {**line.values, "verdict": line.verdict, "word": line.word}
