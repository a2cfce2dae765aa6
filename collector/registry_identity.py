"""Identities in the registry: claims, certificates, record keys by epoch, alarms, and the signed note of each change.

A change and its note are one transaction: whoever crashes between deciding and telling has done neither. `receive`
takes the notes over into the ledger, and so into the log. Tokens are kept as hashes only.
Source: design §7, registry, writers; facts note 08 §4.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeVar

from collector.registry_write import refuse_copy
from collector.sqlite import open_writer
from wire.errors import Refused, Unavailable

MOST_ALARMS = 10_000
"""The oldest alarms are let go beyond this: attempts cost an attacker nothing."""
Purpose = Literal["probe", "server", "issuing"]


@dataclass(frozen=True, slots=True)
class ClaimEntry:
    """One claim; None: not armed, not used, not made void. Times are UTC milliseconds."""

    token_sha256: str
    probe: str
    site: str
    simulated: bool
    made_ms: int
    expires_ms: int
    actor: str
    armed_until_ms: int | None = None
    armed_by: str | None = None
    used_ms: int | None = None
    record_key: str | None = None
    tls_key_sha256: str | None = None
    void_ms: int | None = None


@dataclass(frozen=True, slots=True)
class CertificateEntry:
    """One certificate that was issued; `serial` is hexadecimal, `pem` the certificate alone."""

    serial: str
    subject: str
    purpose: Purpose
    key_sha256: str
    not_before_ms: int
    not_after_ms: int
    issued_ms: int
    revoked_ms: int | None
    pem: str


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that a person should look at: what, which probe, from where, how often."""

    kind: str
    probe: str
    address: str
    detail: str
    first_ms: int
    last_ms: int
    times: int


@dataclass(frozen=True, slots=True)
class Noted:
    """A signed note, its type, and its number in the registry."""

    n: int
    type: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class Wish:
    """What a login asked the registry's key to sign: `confirm` (`body`: six digits), `acceptance` (its sheet),
    `slots` (a modem's slots a month, for the probe's configuration), `review` (the case that two people decided).

    `done_ms` None: it waits for `dosong-provision ca serve`. `leaf`: hash of the signed note; `refused`: why none.
    """

    n: int
    kind: Literal["confirm", "acceptance", "slots", "review"]
    probe: str
    actor: str
    body: str
    asked_ms: int
    done_ms: int | None = None
    leaf: str | None = None
    refused: str | None = None


ALARMS = "SELECT kind, probe, address, detail, first_ms, last_ms, times FROM alarm ORDER BY last_ms DESC, n DESC"

E = TypeVar("E", ClaimEntry, CertificateEntry, Alarm, Noted, Wish)


class Identities:
    """The identities of one registry file. Safe for several threads and processes."""

    def __init__(self, path: Path) -> None:
        """Open `path`. Raises Misconfigured if it cannot be used."""
        self.path = path
        self._lock = threading.RLock()
        self._db = open_writer(path, "registry", wal=False)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of what is changed inside, or nothing. Raises Unavailable if the file cannot be written."""
        with self._lock:
            refuse_copy(self._db, self.path)
            try:
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield
                    self._db.execute("COMMIT")
                except BaseException:
                    if self._db.in_transaction:
                        self._db.execute("ROLLBACK")
                    raise
            except sqlite3.OperationalError as error:
                raise Unavailable(f"cannot write {self.path}: {error}") from error

    def claim(self, token_sha256: str) -> ClaimEntry | None:
        """The claim with this token; None if there never was one."""
        found = self._read(ClaimEntry, "claim", "WHERE token_sha256 = ?", token_sha256)
        return found[0] if found else None

    def claims(self, probe: str | None = None) -> list[ClaimEntry]:
        """All claims (of one probe), newest first."""
        where, values = ("WHERE probe = ?", (probe,)) if probe else ("", ())
        return self._read(ClaimEntry, "claim", f"{where} ORDER BY made_ms DESC, token_sha256", *values)

    def add_claim(self, entry: ClaimEntry) -> None:
        """Enter a claim; those of the same probe that nobody used are void from now on. Raises Refused."""
        with self.transaction():
            if self._db.execute("SELECT 1 FROM probe WHERE id = ?", (entry.probe,)).fetchone():
                raise Refused("unknown_probe", f"probe {entry.probe} is enrolled already; give the new one another id")
            if not self._db.execute("SELECT 1 FROM site WHERE code = ?", (entry.site,)).fetchone():
                raise Refused(
                    "schema", f"site {entry.site} is not in the registry; import it first: dosong-provision import"
                )
            self._void(entry.probe, entry.made_ms)
            self._insert("claim", entry)

    def arm(self, probe: str, until_ms: int, actor: str, now_ms: int) -> ClaimEntry | None:
        """Let the open claim of a probe be used until then; return it, None if there is none."""
        with self.transaction():
            self._db.execute(
                "UPDATE claim SET armed_until_ms = ?, armed_by = ? WHERE probe = ? AND used_ms IS NULL"
                " AND void_ms IS NULL AND expires_ms > ?",
                (until_ms, actor, probe, now_ms),
            )
            found = [one for one in self.claims(probe) if one.used_ms is None and one.void_ms is None]
            return found[0] if found and found[0].expires_ms > now_ms else None

    def _void(self, probe: str, now_ms: int) -> None:
        self._db.execute(
            "UPDATE claim SET void_ms = ? WHERE probe = ? AND used_ms IS NULL AND void_ms IS NULL", (now_ms, probe)
        )

    def use_claim(self, entry: ClaimEntry, certificate: CertificateEntry, note: bytes) -> None:
        """A claim becomes a probe in quarantine at its site: keys, certificate and note, inside a transaction."""
        now_ms = certificate.issued_ms
        self._db.execute(
            "UPDATE claim SET used_ms = ?, record_key = ?, tls_key_sha256 = ? WHERE token_sha256 = ?",
            (now_ms, entry.record_key, entry.tls_key_sha256, entry.token_sha256),
        )
        self._db.execute(
            "INSERT INTO probe (id, vkey, state, revoked_ms, simulated) VALUES (?, ?, 'quarantine', NULL, ?)",
            (entry.probe, entry.record_key, int(entry.simulated)),
        )
        self._db.execute(
            "INSERT INTO probe_site (probe, site, valid_from_ms, recorded_ms) VALUES (?, ?, ?, ?)",
            (entry.probe, entry.site, 0 if entry.simulated else now_ms, now_ms),
        )
        self.add_key(entry.probe, 0, entry.record_key or "", now_ms)
        self.add_certificate(certificate)
        self.add_note("enrol", note, now_ms)

    def set_state(self, probe: str, state: Literal["active", "quarantine", "revoked"], now_ms: int) -> None:
        """Change what a probe's records are worth, inside a transaction. Revoked: certificates and claims go too."""
        revoked = now_ms if state == "revoked" else None
        self._db.execute("UPDATE probe SET state = ?, revoked_ms = ? WHERE id = ?", (state, revoked, probe))
        if state == "revoked":
            self._void(probe, now_ms)
            self._db.execute(
                "UPDATE certificate SET revoked_ms = ? WHERE subject = ? AND purpose = 'probe' AND revoked_ms IS NULL",
                (now_ms, probe),
            )

    def add_certificate(self, entry: CertificateEntry) -> None:
        """Remember a certificate, inside a transaction."""
        self._insert("certificate", entry)

    def certificates(self, subject: str | None = None) -> list[CertificateEntry]:
        """All certificates (of one subject), newest first."""
        where, values = ("WHERE subject = ?", (subject,)) if subject else ("", ())
        return self._read(CertificateEntry, "certificate", f"{where} ORDER BY issued_ms DESC, serial", *values)

    def revoked_probes(self) -> list[str]:
        """Probes that may say nothing any more, by id."""
        return [str(row[0]) for row in self._rows("SELECT id FROM probe WHERE state = 'revoked' ORDER BY id")]

    def live_probes(self) -> list[str]:
        """Probes that are known and not revoked, by id."""
        return [str(row[0]) for row in self._rows("SELECT id FROM probe WHERE state != 'revoked' ORDER BY id")]

    def add_key(self, probe: str, from_epoch: int, vkey: str, now_ms: int) -> None:
        """A record key and the epoch from which it signs, inside a transaction."""
        self._db.execute("INSERT INTO probe_key VALUES (?, ?, ?, ?)", (probe, from_epoch, vkey, now_ms))
        self._db.execute("UPDATE probe SET vkey = ? WHERE id = ?", (vkey, probe))

    def keys(self, probe: str) -> list[tuple[int, str]]:
        """Record keys of a probe with the epoch from which each signs, oldest first; empty for an imported one."""
        sql = "SELECT from_epoch, vkey FROM probe_key WHERE probe = ? ORDER BY from_epoch"
        return [(int(row[0]), str(row[1])) for row in self._rows(sql, probe)]

    def add_note(self, type_: str, raw: bytes, now_ms: int) -> None:
        """A signed note for the log, inside the transaction of what it says."""
        self._db.execute("INSERT INTO note (type, raw, recorded_ms) VALUES (?, ?, ?)", (type_, raw, now_ms))

    def notes(self, after_n: int = 0, limit: int = 1000) -> list[Noted]:
        """Notes with n > `after_n`, oldest first."""
        return self._read(Noted, "note", "WHERE n > ? ORDER BY n LIMIT ?", after_n, limit)

    def wish(self, kind: str, probe: str, actor: str, body: str, now_ms: int) -> int:
        """Ask for a signature; return the wish's number."""
        with self.transaction():
            found = self._db.execute(
                "INSERT INTO wish (kind, probe, actor, body, asked_ms) VALUES (?, ?, ?, ?, ?) RETURNING n",
                (kind, probe, actor, body, now_ms),
            ).fetchone()
        return int(found[0])

    def wishes(self, probe: str | None = None) -> list[Wish]:
        """Wishes of a probe, newest first; without one those that wait, oldest first."""
        if probe is None:
            return self._read(Wish, "wish", "WHERE done_ms IS NULL ORDER BY n LIMIT 100")
        return self._read(Wish, "wish", "WHERE probe = ? ORDER BY n DESC LIMIT 100", probe)

    def accepted(self) -> dict[str, Wish]:
        """The newest signed acceptance of each probe."""
        return {
            one.probe: one for one in self._read(Wish, "wish", "WHERE kind = 'acceptance' AND leaf NOTNULL ORDER BY n")
        }

    def settle(self, n: int, now_ms: int, leaf: str | None, refused: str | None = None) -> None:
        """Say what became of a wish, inside the transaction that did it."""
        self._db.execute("UPDATE wish SET done_ms = ?, leaf = ?, refused = ? WHERE n = ?", (now_ms, leaf, refused, n))

    def raise_alarm(self, kind: str, probe: str, address: str, detail: str, now_ms: int) -> None:
        """Say that something is wrong; the same thing again only counts."""
        with self.transaction():
            self._db.execute(
                "INSERT INTO alarm (kind, probe, address, detail, first_ms, last_ms, times)"
                " VALUES (?, ?, ?, ?, ?, ?, 1)"
                " ON CONFLICT DO UPDATE SET last_ms = excluded.last_ms, times = times + 1",
                (kind, probe[:64], address[:64], detail[:400], now_ms, now_ms),
            )
            self._db.execute("DELETE FROM alarm WHERE n <= (SELECT max(n) FROM alarm) - ?", (MOST_ALARMS,))

    def alarms(self, limit: int = 200) -> list[Alarm]:
        """What went wrong, newest first."""
        return self._read(Alarm, "alarm", "ORDER BY last_ms DESC, n DESC LIMIT ?", limit)

    def _insert(self, table: str, entry: ClaimEntry | CertificateEntry) -> None:
        names = [field.name for field in fields(entry)]
        values = [int(v) if isinstance(v := getattr(entry, name), bool) else v for name in names]
        marks = ", ".join("?" * len(names))
        self._db.execute(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})", values)  # noqa: S608 (our names)

    def _read(self, shape: type[E], table: str, rest: str, *values: Any) -> list[E]:
        names = ", ".join(field.name for field in fields(shape))
        return [shape(*row) for row in self._rows(f"SELECT {names} FROM {table} {rest}", *values)]  # noqa: S608

    def _rows(self, sql: str, *values: Any) -> list[Any]:
        try:
            with self._lock:
                return self._db.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise Unavailable(f"cannot read {self.path}: {error}") from error
