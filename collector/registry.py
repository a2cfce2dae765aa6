"""The registry: known probes and keys, where they stand, units, referral codes, operators, quotas, logins.

Read by every part of the collector; written by provisioning (`load`) and the web. Several processes may write,
so the file has no WAL (see `collector.sqlite`). Assignments are appended, never changed: the entry with the
latest `valid_from_ms` that is not after the asked moment holds, and of two equal ones the later recorded.
Source: design §7, registry.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from collector.core.place import Place
from collector.registry_load import apply_document, decode_document
from collector.registry_rows import (
    CommuneEntry,
    HamletEntry,
    PointEntry,
    ProbeEntry,
    ProvinceEntry,
    Quota,
    Report,
    SiteEntry,
    UserEntry,
)
from collector.sqlite import open_writer
from wire.errors import Unavailable

E = TypeVar("E", ProvinceEntry, CommuneEntry, HamletEntry, SiteEntry, UserEntry, PointEntry)
_ALWAYS = 2**53 - 1
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
        self._version = -1
        self._is_still = False
        self._probes: dict[str, ProbeEntry | None] = {}
        self._places: dict[str, Place | None] = {}

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

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
                self._probes[probe] = _probe(rows[0]) if rows else None
            return self._probes[probe]

    def probes(self) -> list[ProbeEntry]:
        """All probes, by id."""
        return [_probe(row) for row in self._rows(f"{_PROBE} ORDER BY id")]

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

    def quota(self, commune: str) -> Quota | None:
        """The quota of a commune; None if it has none."""
        rows = self._rows("SELECT minimum, rule FROM quota WHERE commune = ?", commune)
        return Quota(*rows[0]) if rows else None

    def referral_unit(self, code: str, at_ms: int | None = None) -> str | None:
        """Commune or hamlet code that a referral code belonged to at `at_ms` (None: now); None if to none."""
        rows = self._rows(
            "SELECT unit FROM referral WHERE code = ? AND valid_from_ms <= ? ORDER BY valid_from_ms DESC, n DESC",
            code,
            _ALWAYS if at_ms is None else at_ms,
        )
        return str(rows[0][0]) if rows else None

    def referrals(self) -> list[tuple[str, str, int]]:
        """All referral assignments: code, unit code, valid from (UTC ms)."""
        rows = self._rows("SELECT code, unit, valid_from_ms FROM referral ORDER BY code, valid_from_ms, n")
        return [(row[0], row[1], row[2]) for row in rows]

    def place(self, probe: str, at_ms: int | None = None) -> Place | None:
        """Where a probe stood at `at_ms` (None: where it stands now); None if it stood nowhere."""
        asked = _ALWAYS if at_ms is None else at_ms
        with self._lock:
            self._refresh()
            site = self._site_at(probe, asked)
            if site is None:
                return None
            if site not in self._places:
                self._places[site] = self._read_place(site)
            return self._places[site]

    def _site_at(self, probe: str, at_ms: int) -> str | None:
        rows = self._rows(
            "SELECT site FROM probe_site WHERE probe = ? AND valid_from_ms <= ? ORDER BY valid_from_ms DESC, n DESC",
            probe,
            at_ms,
        )
        return str(rows[0][0]) if rows else None

    def _read_place(self, site: str) -> Place | None:
        rows = self._rows(
            "SELECT c.province, c.code, h.code, s.code, s.lat_e7, s.lon_e7 FROM site s"
            " JOIN hamlet h ON h.code = s.hamlet JOIN commune c ON c.code = h.commune WHERE s.code = ?",
            site,
        )
        return Place(*rows[0]) if rows else None

    def load(self, document: Mapping[str, Any], now_ms: int | None = None) -> Report:
        """Add and change what `document` (TOML or JSON) lists; all of it or nothing. Twice changes nothing more.

        Lists: provinces, communes, hamlets, sites, probes, points, referrals, operators, quotas, users (rows: see
        `collector.registry_rows`). `now_ms` is the recorded time of new assignments (None: the clock).
        Raises Refused("schema") naming list, row and remedy; Unavailable if the file cannot be written.
        """
        rows = decode_document(document)
        recorded_ms = int(time.time() * 1000) if now_ms is None else now_ms
        with self._lock:
            return self._in_transaction(rows, recorded_ms)

    def _in_transaction(self, rows: dict[str, list[Any]], recorded_ms: int) -> Report:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                report = apply_document(self._connection, rows, recorded_ms)
                self._connection.execute("COMMIT")
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
        except sqlite3.OperationalError as error:
            raise Unavailable(f"cannot write {self.path}: {error}") from error
        self._forget()
        return report

    def _forget(self) -> None:
        self._probes.clear()
        self._places.clear()

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
