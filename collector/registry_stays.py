"""Where probes stood, from the registry's dated lists: which site, in which hamlet, of which commune, since when.

Kept in memory until the registry changes; what many probes need is read together.
Source: design §7 (key registry); issue 3 (an assignment is dated, never overwritten).
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from collector.core.place import Place

ALWAYS = 2**53 - 1
"""Later than any moment: as the registry is now."""
MOST_UNKNOWN = 50_000
"""What the registry does not know is remembered while no more than so much is: a probe may write any referral code."""
Line = tuple[list[int], list[str | None]]
"""Moments from which something held, rising, and what (None: nothing)."""
Stay = tuple[list[int], list[Place | None]]
"""Moments at which a place may have changed, rising, and the place before, between and after them."""
_LINES = {
    "probe_site": ("probe", "site", "probe_site"),
    "site_hamlet": ("site", "hamlet", "site_hamlet"),
    "referral_unit": ("code", "unit", "referral"),
    "hamlet_commune": ("hamlet", "commune", "hamlet_name"),
}
_PLACE = (
    "SELECT c.province, c.code, value ->> 1, s.code, s.lat_e7, s.lon_e7 FROM json_each(?)"
    " JOIN site s ON s.code = value ->> 0 JOIN commune c ON c.code = value ->> 2"
)


class Stays:
    """Lines and places of one registry; `rows` asks its file. Not safe for several threads."""

    def __init__(self, rows: Callable[..., list[Any]]) -> None:
        self._rows = rows
        self._lines: dict[tuple[str, str], Line] = {}
        self._places: dict[tuple[str, str, str], Place | None] = {}
        self._stays: dict[str, Stay] = {}

    def forget(self) -> None:
        """The registry changed."""
        self._lines.clear()
        self._places.clear()
        self._stays.clear()

    def of(self, probe: str) -> Stay:
        """Where a probe stood."""
        stays = self._stays.get(probe)
        if stays is None:
            stays = self._stays[probe] = self._stays_of(probe)
        return stays

    def expect(self, probes: Sequence[str]) -> None:
        """Read what `of` will need of these probes, a question for all of them at each step."""
        sites = self._read("probe_site", probes)
        hamlets = self._read("site_hamlet", sites)
        self._read("hamlet_commune", hamlets)
        triples = {triple for probe in probes for triple in self._triples(probe)} - self._places.keys()
        if triples:
            self._read_places(sorted(triples))

    def ever(self, probe: str) -> list[Place]:
        """Every place that was ever entered for a probe."""
        return [place for triple in sorted(self._triples(probe)) if (place := self._place(triple)) is not None]

    def line(self, name: str, code: str) -> Line:
        """What held for `code`: name of a line of `_LINES`."""
        held = self._lines.get((name, code))
        if held is None:
            key, value, table = _LINES[name]
            rows = self._rows(
                f"SELECT valid_from_ms, {value} FROM {table} WHERE {key} = ? ORDER BY valid_from_ms, n",  # noqa: S608
                code,
            )
            held = ([row[0] for row in rows], [row[1] for row in rows])
            if rows or len(self._lines) < MOST_UNKNOWN:
                self._lines[name, code] = held
        return held

    def _read(self, name: str, codes: Iterable[str]) -> list[str]:
        """Read the lines of those of `codes` that are not known; return every value that ever held for any of them."""
        wanted = [code for code in dict.fromkeys(codes) if (name, code) not in self._lines]
        key, value, table = _LINES[name]
        found: dict[str, Line] = {code: ([], []) for code in wanted}
        sql = (
            f"SELECT {key}, valid_from_ms, {value} FROM {table} WHERE {key} IN (SELECT value FROM json_each(?))"  # noqa: S608
            " ORDER BY valid_from_ms, n"
        )
        for code, since_ms, held in self._rows(sql, json.dumps(wanted)) if wanted else ():
            found[code][0].append(since_ms)
            found[code][1].append(held)
        self._lines.update(((name, code), line) for code, line in found.items())
        every = (one for code in codes for one in self._lines[name, code][1])
        return list(dict.fromkeys(one for one in every if one is not None))

    def _triples(self, probe: str) -> set[tuple[str, str, str]]:
        """Every site, hamlet and commune that may have been its place together."""
        sites = {site for site in self.line("probe_site", probe)[1] if site is not None}
        stays = {(site, hamlet) for site in sites for hamlet in self.line("site_hamlet", site)[1] if hamlet}
        return {(*stay, one) for stay in stays for one in self.line("hamlet_commune", stay[1])[1] if one}

    def _stays_of(self, probe: str) -> Stay:
        lines = [self.line("probe_site", probe)]
        lines += [self.line("site_hamlet", site) for site in lines[0][1] if site is not None]
        hamlets = [hamlet for _, values in lines[1:] for hamlet in values if hamlet is not None]
        lines += [self.line("hamlet_commune", hamlet) for hamlet in hamlets]
        times = sorted({at_ms for moments, _ in lines for at_ms in moments})
        return times, [self._place_at(probe, at_ms) for at_ms in (times[0] - 1 if times else 0, *times)]

    def _place_at(self, probe: str, at_ms: int) -> Place | None:
        site = at(self.line("probe_site", probe), at_ms)
        hamlet = at(self.line("site_hamlet", site), at_ms, earliest=True) if site is not None else None
        commune = at(self.line("hamlet_commune", hamlet), at_ms, earliest=True) if hamlet is not None else None
        if site is None or hamlet is None or commune is None:
            return None
        return self._place((site, hamlet, commune))

    def _place(self, triple: tuple[str, str, str]) -> Place | None:
        if triple not in self._places:
            self._read_places([triple])
        return self._places[triple]

    def _read_places(self, triples: Sequence[tuple[str, str, str]]) -> None:
        rows = self._rows(_PLACE, json.dumps(triples))  # asked first: if it fails, nothing is known to be nowhere
        self._places.update((triple, None) for triple in triples)
        for place in (Place(*row) for row in rows):
            self._places[place.site, place.hamlet, place.commune] = place


def at(line: Line, at_ms: int, *, earliest: bool = False) -> str | None:
    """What held at a moment; before the first entry None, or the first one if `earliest`."""
    times, values = line
    index = bisect_right(times, at_ms) - 1
    if index < 0:
        return values[0] if earliest and values else None
    return values[index]
