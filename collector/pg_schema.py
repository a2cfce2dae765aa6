"""Makes and brings up to date the ledger's tables in PostgreSQL, and gives the ledger's role no more than it needs.

Done by the database's owner, by `dosong-collector postgres prepare`; the programs themselves run as a role that can
neither change nor delete evidence, nor make or drop a table. Source: design §7 (writers); decision note on PostgreSQL.
"""

from __future__ import annotations

import re
import sqlite3

from collector.ledger_place import Remote
from collector.pack import make_dictionary
from collector.pg import SCHEMA, PgDatabase
from collector.sqlite import versions
from wire.errors import Misconfigured, Unavailable

NAME = "postgres"
READ_OPTIONS = ("default_transaction_read_only=on", "default_transaction_isolation=repeatable\\ read")
_ROLE = re.compile(r"[a-z_][a-z0-9_]{0,62}\Z")
_STATEMENT = re.compile(r"(?:[^;$']|'[^']*'|\$\$.*?\$\$|\$)+;[ ]*\n", re.DOTALL)
_IS_UTF8 = "SELECT pg_encoding_to_char(encoding) = 'UTF8' FROM pg_database WHERE datname = current_database()"
GRANTS = (
    "GRANT USAGE ON SCHEMA {schema} TO {role}",
    "REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {role}",
    "GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA {schema} TO {role}",
    "REVOKE INSERT ON dictionary, version, moving FROM {role}",
    "GRANT UPDATE (epoch, seq, t_ms, fault, counted, not_counted, province, commune, hamlet) ON entry TO {role}",
    "GRANT UPDATE ON meta, chain, probe, total, rollup_day, rollup_total, lease, worker TO {role}",
    "GRANT UPDATE (raw) ON refusal TO {role}",
    "GRANT UPDATE ON registry_source TO {role}",
    "GRANT UPDATE, DELETE ON forward_lease, forward_worker, forward_cursor, forward_touched, forward_due, forward_note"
    " TO {role}",
    "GRANT DELETE ON refusal, delivery, rollup_day, rollup_total, lease, worker TO {role}",
    "GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA {schema} TO {role}",
)


def prepare(owner: Remote, role: str) -> int:
    """Bring the schema to the newest version as its owner and grant `role` what it needs; return the version.

    Twice does nothing. Raises Misconfigured (a newer database, one without UTF-8, no such role), Unavailable.
    """
    if _ROLE.match(role) is None:
        raise Misconfigured(f"{role} cannot name a role; write small letters, digits and _")
    db = PgDatabase(owner)
    try:
        if not db.execute(_IS_UTF8).fetchone()[0]:
            raise Misconfigured(f"{owner} does not hold UTF-8; make it anew: createdb -E UTF8 -T template0 ...")
        db.execute("BEGIN")
        newest = _migrate(db)
        for grant in GRANTS:
            db.execute(grant.format(schema=SCHEMA, role=role))
        db.execute("COMMIT")
    except sqlite3.Error as error:
        raise Unavailable(f"cannot prepare {owner}: {error}") from error
    finally:
        db.close()
    return newest


def _migrate(db: PgDatabase) -> int:
    db.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
    db.execute("CREATE TABLE IF NOT EXISTS version (number bigint NOT NULL)")
    db.execute("LOCK TABLE version IN EXCLUSIVE MODE")
    held = int(db.execute("SELECT coalesce(max(number), 0) FROM version").fetchone()[0])
    steps = versions(NAME)
    newest = steps[-1][0]
    if held > newest:
        raise Misconfigured(f"the ledger has version {held}, this program knows {newest}; install the newer program")
    for number, text in steps:
        if number > held:
            for statement in statements(text):
                db.execute(statement)
            db.execute("INSERT INTO version VALUES (?)", (number,))
    if held == 0:
        db.execute("INSERT INTO dictionary VALUES (?)", (make_dictionary(),))
        db.execute("INSERT INTO meta VALUES ('gen', 0)")
    return newest


def statements(text: str) -> list[str]:
    """The statements of a schema file; comments go first, for they may hold any sign."""
    plain = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("--"))
    return [found.strip() for found in _STATEMENT.findall(plain)]


def check_version(db: PgDatabase, place: Remote) -> None:
    """Raises Misconfigured unless the database has just the version that this program knows."""
    newest = versions(NAME)[-1][0]
    try:
        held = db.execute("SELECT max(number) FROM version").fetchone()[0]
    except sqlite3.Error as error:
        if "does not exist" in str(error) or "permission denied" in str(error):
            raise Misconfigured(
                f"{place} holds no ledger for this role ({error}); run dosong-collector postgres prepare as its owner"
            ) from error
        raise Unavailable(f"cannot read {place}: {error}") from error
    if held == newest and db.execute("SELECT 1 FROM moving LIMIT 1").fetchone():
        raise Misconfigured(f"a ledger is being moved to {place}; end that first: run the same postgres move again")
    if held != newest:
        raise Misconfigured(
            f"{place} has version {held}, this program knows {newest};"
            " run dosong-collector postgres prepare as its owner, or install the newer program"
        )


def reading(place: Remote) -> PgDatabase:
    """A connection that only reads, and sees one moment in each transaction. Raises Misconfigured, Unavailable."""
    db = PgDatabase(place, READ_OPTIONS)
    try:
        check_version(db, place)
        if place.snapshot is not None:
            db.execute("BEGIN")
            db.execute(f"SET TRANSACTION SNAPSHOT '{place.snapshot}'")
    except BaseException:
        db.close()
        raise
    return db
