"""The registry: known probes and keys, where they stand, units, referral codes, operators, quotas, logins.

Read by every part of the collector; written by provisioning (`load`) and the web. Several processes may write,
so the file has no WAL (see `collector.sqlite`). Assignments are appended, never changed: the entry with the
latest `valid_from_ms` that is not after the asked moment holds, and of two equal ones the later recorded.
`dated` reads all dated lists, finds units by name, and tells what changed, in order. Source: design §7, registry.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from collector.core.place import Place
from collector.registry_dated import CampaignRow
from collector.registry_identity import ALARMS, Alarm
from collector.registry_load import decode_document
from collector.registry_read import Dated
from collector.registry_rows import (
    CommuneEntry,
    HamletEntry,
    PointEntry,
    ProbeEntry,
    ProvinceEntry,
    Quota,
    Report,
    SiteEntry,
    Trouble,
    UserEntry,
)
from collector.registry_stays import ALWAYS, MOST_UNKNOWN, Line, Stays, at
from collector.registry_write import Writer, refuse_copy
from collector.sqlite import open_writer
from wire.errors import Refused, Unavailable
from wire.fold import matches

E = TypeVar("E", ProvinceEntry, CommuneEntry, HamletEntry, SiteEntry, UserEntry, PointEntry)
_LISTED = "(SELECT value FROM json_each(?))"
LEAST_EXPECTED = 4
"""Fewer that are not known are read when they are asked for."""
_PROBE = """
SELECT id, vkey, state, revoked_ms,
  (SELECT site FROM probe_site WHERE probe = probe.id ORDER BY valid_from_ms DESC, n DESC LIMIT 1), simulated
FROM probe
"""


class Registry:
    """The registry file. Safe for several threads; a commit by another process is seen at the next call."""

    def __init__(self, path: Path) -> None:
        """Open `path`, creating it if missing. Raises Misconfigured if it cannot be used."""
        self.path = path
        self._lock = threading.RLock()
        self._connection = open_writer(path, "registry", wal=False)
        self._connection.create_function("matches", 2, matches, deterministic=True)
        self._version = -1
        self._is_still = False
        self._probes: dict[str, ProbeEntry | None] = {}
        self._stays = Stays(self._rows)
        self._dated = Dated(self._rows)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    @property
    def dated(self) -> Dated:
        """The dated lists: what held when, what changed, units by any name."""
        return self._dated

    def version(self) -> int:
        """A number that changes whenever anyone, this object included, has changed the registry."""
        with self._lock:
            seen: int = self._rows("PRAGMA data_version")[0][0]
            return (seen << 32) + self._connection.total_changes

    @contextmanager
    def still(self) -> Iterator[None]:
        """Look for changes once, now, and not at every call until it is left: one group is judged by one registry."""
        with self._lock:
            self._refresh()
            self._is_still = True
            try:
                yield
            finally:
                self._is_still = False

    def probe(self, probe: str) -> ProbeEntry | None:
        """The probe with this id; None if it is unknown."""
        with self._lock:
            self._refresh()
            if probe not in self._probes:
                rows = self._rows(f"{_PROBE} WHERE id = ?", probe)
                if not rows and len(self._probes) >= MOST_UNKNOWN:
                    return None
                self._probes[probe] = _probe(rows[0]) if rows else None
            return self._probes[probe]

    def expect(self, probes: Iterable[str]) -> None:
        """These are asked for next: what is not known of them is read at once, not one by one."""
        with self._lock:
            self._refresh()
            wanted = [probe for probe in probes if probe not in self._probes]
            if len(wanted) < LEAST_EXPECTED:
                return
            rows = self._rows(f"{_PROBE} WHERE id IN {_LISTED}", json.dumps(wanted))
            self._probes.update({row[0]: _probe(row) for row in rows})
            self._stays.expect([row[0] for row in rows])

    def keys(self, probe: str) -> list[str]:
        """Record keys that a probe ever had, newest first; empty if it is unknown."""
        sql = (
            "SELECT vkey FROM (SELECT vkey, from_epoch FROM probe_key WHERE probe = ?1"
            " UNION SELECT vkey, -1 FROM probe WHERE id = ?1) ORDER BY from_epoch DESC"
        )
        return list(dict.fromkeys(str(row[0]) for row in self._rows(sql, probe)))

    def alarms(self, limit: int = 200) -> list[Alarm]:
        """What went wrong with identities, newest first."""
        return [Alarm(*row) for row in self._rows(f"{ALARMS} LIMIT ?", limit)]

    def probes(self) -> list[ProbeEntry]:
        """All probes, by id."""
        return [_probe(row) for row in self._rows(f"{_PROBE} ORDER BY id")]

    def certificate_ends(self) -> dict[str, int]:
        """By probe, when the newest of its certificates that is not revoked runs out (UTC ms)."""
        sql = "SELECT subject, max(not_after_ms) FROM certificate WHERE purpose = 'probe' AND revoked_ms IS NULL"
        return {str(row[0]): int(row[1]) for row in self._rows(f"{sql} GROUP BY subject")}

    def point(self, code: str) -> PointEntry | None:
        """The measurement point with this code; None if it is unknown."""
        return self._one(PointEntry, "point", code)

    def points(self) -> list[PointEntry]:
        """All measurement points, by code."""
        return self._all(PointEntry, "point")

    def site(self, code: str) -> SiteEntry | None:
        """The site with this code; None if it is unknown."""
        return self._one(SiteEntry, "site", code)

    def sites(self) -> list[SiteEntry]:
        """All sites, by code."""
        return self._all(SiteEntry, "site")

    def hamlet(self, code: str) -> HamletEntry | None:
        """The hamlet with this code; None if it is unknown."""
        return self._one(HamletEntry, "hamlet", code)

    def hamlets(self) -> list[HamletEntry]:
        """All hamlets, by code."""
        return self._all(HamletEntry, "hamlet")

    def commune(self, code: str) -> CommuneEntry | None:
        """The commune with this code; None if it is unknown."""
        return self._one(CommuneEntry, "commune", code)

    def communes(self) -> list[CommuneEntry]:
        """All communes, by code."""
        return self._all(CommuneEntry, "commune")

    def province(self, code: str) -> ProvinceEntry | None:
        """The province with this code; None if it is unknown."""
        return self._one(ProvinceEntry, "province", code)

    def provinces(self) -> list[ProvinceEntry]:
        """All provinces, by code."""
        return self._all(ProvinceEntry, "province")

    def operators(self) -> dict[str, str]:
        """Names of the operators by PLMN."""
        return {row[0]: row[1] for row in self._rows("SELECT plmn, name FROM operator ORDER BY plmn")}

    def user(self, name: str) -> UserEntry | None:
        """The login with this name; None if there is none."""
        return self._one(UserEntry, "user", name, key="name")

    def users(self) -> list[UserEntry]:
        """All logins, by name."""
        return self._all(UserEntry, "user", key="name")

    def campaigns(self) -> list[CampaignRow]:
        """All campaigns, by code."""
        names = CampaignRow.__struct_fields__
        rows = self._rows(f"SELECT {', '.join(names)} FROM campaign ORDER BY code")  # noqa: S608 (fixed names)
        return [CampaignRow(**dict(zip(names, row, strict=True))) for row in rows]

    def quota(self, commune: str) -> Quota | None:
        """The quota of a commune; None if it has none."""
        rows = self._rows("SELECT minimum, rule FROM quota WHERE commune = ?", commune)
        return Quota(*rows[0]) if rows else None

    def referral_unit(self, code: str, at_ms: int | None = None) -> str | None:
        """Commune or hamlet code that a referral code belonged to at `at_ms` (None: now); None if to none."""
        with self._lock:
            self._refresh()
            return at(self._stays.line("referral_unit", code), ALWAYS if at_ms is None else at_ms)

    def unit_line(self, code: str) -> Line:
        """Moments from which a referral code belonged to something, rising, and to which unit (None: to none)."""
        with self._lock:
            self._refresh()
            return self._stays.line("referral_unit", code)

    def referrals(self) -> list[tuple[str, str, int]]:
        """All referral assignments to a unit: code, unit code, valid from (UTC ms)."""
        rows = self._rows(
            "SELECT code, unit, valid_from_ms FROM referral WHERE unit IS NOT NULL ORDER BY code, valid_from_ms, n"
        )
        return [(row[0], row[1], row[2]) for row in rows]

    def place(self, probe: str, at_ms: int | None = None) -> Place | None:
        """Where a probe stood at `at_ms` (None: where it stands now); None if it stood nowhere."""
        moments, places = self.stays(probe)
        return places[bisect_right(moments, ALWAYS if at_ms is None else at_ms)]

    def stays(self, probe: str) -> tuple[list[int], list[Place | None]]:
        """Every moment at which the probe's place may have changed, and the place before, between and after them."""
        with self._lock:
            self._refresh()
            return self._stays.of(probe)

    def places_left(self, probe: str) -> list[Place]:
        """Every place that was ever entered for a probe, one a hamlet and commune, but where it stands now.

        Also those that a back-dated row took out of its history: points may have been written there meanwhile.
        """
        now = self.place(probe)
        with self._lock:
            places = self._stays.ever(probe)
        here = None if now is None else (now.commune, now.hamlet)
        return list({key: place for place in places if (key := (place.commune, place.hamlet)) != here}.values())

    def hamlets_left(self) -> list[str]:
        """Hamlets that had a site once and have none any more (merged, or their site was moved), by code."""
        sql = "SELECT DISTINCT hamlet FROM site_hamlet WHERE hamlet IS NOT NULL"
        return sorted({row[0] for row in self._rows(sql)} - {site.hamlet for site in self.sites()})

    def stood_in(self, hamlet: str) -> list[str]:
        """Probes that ever stood at a site that was ever in this hamlet, by id."""
        rows = self._rows(
            "SELECT DISTINCT probe FROM probe_site WHERE site IN (SELECT site FROM site_hamlet WHERE hamlet = ?)"
            " ORDER BY probe",
            hamlet,
        )
        return [row[0] for row in rows]

    def load(self, document: Mapping[str, Any], now_ms: int | None = None) -> Report:
        """Add and change what `document` (TOML or JSON) lists; all of it or nothing. Twice changes nothing more.

        Lists: those of `collector.registry_load.SHAPES` (rows: `collector.registry_rows`, `collector.registry_dated`).
        `now_ms` is the recorded time of new assignments (None: the clock).
        Raises Refused("schema") naming list, row and remedy; Unavailable if the file cannot be written.
        """
        report, troubles = self._write(document, now_ms, {}, keep=True)
        if troubles:
            raise Refused("schema", _told(troubles[0]))
        return report

    def check(
        self,
        document: Mapping[str, Any],
        now_ms: int | None = None,
        promised: Mapping[str, Collection[str]] | None = None,
    ) -> tuple[Report, list[Trouble]]:
        """Say what `load` would change, and every mistake of its rows; write nothing.

        `promised`: codes by table that would exist but for mistakes that were told already.
        """
        return self._write(document, now_ms, promised or {}, keep=False)

    def _write(
        self, document: Mapping[str, Any], now_ms: int | None, promised: Mapping[str, Collection[str]], *, keep: bool
    ) -> tuple[Report, list[Trouble]]:
        rows = decode_document(document)
        recorded_ms = int(time.time() * 1000) if now_ms is None else now_ms
        with self._lock:
            refuse_copy(self._connection, self.path)
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    writer = Writer(self._connection, recorded_ms, promised)
                    report = writer.write(rows)
                    self._connection.execute("COMMIT" if keep and not writer.troubles else "ROLLBACK")
                finally:
                    if self._connection.in_transaction:
                        self._connection.execute("ROLLBACK")
            except sqlite3.OperationalError as error:
                raise Unavailable(f"cannot write {self.path}: {error}") from error
            self._forget()
        return report, writer.troubles

    def _forget(self) -> None:
        self._probes.clear()
        self._stays.forget()

    def _refresh(self) -> None:
        if self._is_still:
            return
        seen = self.version()
        if seen != self._version:
            self._forget()
            self._version = seen

    def _rows(self, sql: str, *parameters: object) -> list[Any]:
        try:
            with self._lock:
                return self._connection.execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            raise Unavailable(f"cannot read {self.path}: {error}") from error

    def _one(self, shape: type[E], table: str, code: str, key: str = "code") -> E | None:
        rows = self._rows(f"SELECT {_columns(shape)} FROM {table} WHERE {key} = ?", code)  # noqa: S608 (fixed names)
        return shape(*rows[0]) if rows else None

    def _all(self, shape: type[E], table: str, key: str = "code") -> list[E]:
        return [shape(*row) for row in self._rows(f"SELECT {_columns(shape)} FROM {table} ORDER BY {key}")]  # noqa: S608


def _columns(shape: type[Any]) -> str:
    return ", ".join(field.name for field in fields(shape))


def _probe(row: tuple[Any, ...]) -> ProbeEntry:
    return ProbeEntry(row[0], row[1], row[2], row[3], row[4], bool(row[5]))


_WORDS = {
    "future": "is later than now; enter it on that day",
    "successors": "merged has one successor, split two or more, ended and reopened none",
    "own_successor": "a hamlet cannot be merged into itself",
    "taken": "another SIM has this ICCID; look at that one",
}


def _told(trouble: Trouble) -> str:
    """One mistake as a sentence, for documents that a person wrote."""
    if trouble.word == "unknown":
        kind = " (no commune or hamlet)" if trouble.column == "unit" else ""
        said = f"names a unit, site or probe that is not known: {trouble.column} {trouble.value!r}{kind}; list it too"
        return f"{trouble.listed}, row {trouble.row} {said}"
    return f"{trouble.listed}, row {trouble.row}: {trouble.column} {trouble.value!r}: {_WORDS[trouble.word]}"
