"""PostgreSQL through psycopg 3, made to speak as our SQLite connections do: `?` for values, rows by number and name.

Many rows go in by one `INSERT ... SELECT ... FROM unnest(...)`, an array a column. What PostgreSQL says is raised as
`sqlite3.Error`, the one family that the ledger's modules know. Source: psycopg 3 documentation;
decision note on PostgreSQL.
"""

from __future__ import annotations

import re
import sqlite3
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter
from typing import Any, cast

import psycopg
from psycopg.adapt import Dumper, Loader
from psycopg.pq import Format, TransactionStatus

from collector.ledger_place import Remote
from wire.errors import Unavailable

CONNECT_WITHIN_S = 5
SCHEMA = "dosong"
_KEEPALIVE: Any = {
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""A server that fell silent is given up after some ten seconds."""
_SETTINGS = (
    *(f"search_path={SCHEMA}", "join_collapse_limit=16", "default_transaction_isolation=read\\ committed"),
    "synchronous_commit=on",
    *("tcp_keepalives_idle=5", "tcp_keepalives_interval=2", "tcp_keepalives_count=3", "tcp_user_timeout=10000"),
)
"""Of every connection, whatever the role's own are. A machine of ours that fell silent is given up by the server just
as soon: else what it had locked, a name or the right to write, would be taken for two hours."""
_ALONE = "SyncRepWaitForLSN"
"""Where the server says that it no longer waits for its standby."""
WRITE = "SELECT pg_logical_emit_message(true, 'dosong', '')"
"""Writes nothing that anybody reads. COMMIT waits for the standby only behind something that was written."""
_MARK = re.compile(r"\?([0-9]*)")
_UNARY_PLUS = re.compile(r"\b(WHERE|AND|OR) \+(?=[a-z_])")
_VALUES = re.compile(r"INSERT INTO (\w+) \(([^)]*)\) VALUES \([?, ]*\)(.*)", re.DOTALL)
_ELSEWHERE = {
    "SELECT value FROM meta WHERE key = 'dictionary'": "SELECT value FROM dictionary",
    "BEGIN IMMEDIATE": "BEGIN",
}
"""Statements that are said otherwise here."""


_OPEN = {TransactionStatus.ACTIVE, TransactionStatus.INTRANS, TransactionStatus.INERROR}


class PgError(sqlite3.OperationalError):
    """PostgreSQL refused, or is not there."""


class Row(tuple[Any, ...]):
    """A row by number, and by the name of its column, as `sqlite3.Row` is."""

    __slots__ = ()
    _places: dict[str, int] = {}  # noqa: RUF012 (of each subclass, set where it is made)

    def __getitem__(self, key: Any) -> Any:
        return tuple.__getitem__(self, self._places[key] if isinstance(key, str) else key)

    def keys(self) -> list[str]:
        """Names of the columns, in order."""
        return list(self._places)


@lru_cache(maxsize=512)
def _row_type(names: tuple[str, ...]) -> type[Row]:
    return type("Row", (Row,), {"__slots__": (), "_places": {name: at for at, name in enumerate(names)}})


def _rows(cursor: psycopg.Cursor[Any]) -> Any:
    """Row factory of psycopg: plain tuples become `Row`."""
    if cursor.description is None:
        return tuple
    return _row_type(tuple(column.name for column in cursor.description))


class _Whole(Loader):
    """Sums of whole numbers come as `numeric`: whole numbers again."""

    def load(self, raw: Any) -> Any:
        text = bytes(raw).decode()
        return int(text) if "." not in text else float(text)


@dataclass(frozen=True, slots=True)
class Packed:
    """An array in the server's own form."""

    raw: bytes


class _PackedDumper(Dumper):
    """Hands such an array over as it is; the statement names its type."""

    format = Format.BINARY

    def dump(self, obj: Packed) -> bytes:
        return obj.raw


def array(kind: str, values: list[Any]) -> str | Packed:
    """The values of one column as one array. psycopg's own way asks each value for its type."""
    if kind == "bigint":
        return "{" + str(values)[1:-1].replace("None", "NULL") + "}"
    raws = [value.encode() if isinstance(value, str) else value for value in map(_clean, values)]
    parts = (_NULL if raw is None else _LENGTH.pack(len(raw)) + raw for raw in raws)
    head = _ARRAY.pack(1, int(None in raws), {"bytea": 17, "text": 25}[kind], len(raws), 1)
    return Packed(head + b"".join(parts))


_LENGTH, _ARRAY = struct.Struct("!i"), struct.Struct("!iiIii")
_NULL = _LENGTH.pack(-1)


class Answer:
    """What a statement gave, asked as a cursor of SQLite is."""

    __slots__ = ("_cursor",)

    def __init__(self, cursor: psycopg.Cursor[Any] | None) -> None:
        self._cursor = cursor

    @property
    def rowcount(self) -> int:
        """Rows that the statement touched."""
        return self._cursor.rowcount if self._cursor is not None else 0

    def fetchone(self) -> Any:
        """The next row; None if there is none."""
        return None if self._cursor is None or self._cursor.description is None else self._cursor.fetchone()

    def fetchall(self) -> list[Any]:
        """All rows that are left."""
        return [] if self._cursor is None or self._cursor.description is None else self._cursor.fetchall()

    def __iter__(self) -> Iterator[Any]:
        return iter(self.fetchall())


class CopyIn:
    """A `COPY ... FROM STDIN` under way."""

    def __init__(self, db: psycopg.Connection[Any], sql: str) -> None:
        with said():
            self._way = db.cursor().copy(cast(Any, sql))
            self._copy = self._way.__enter__()

    def write(self, text: str) -> None:
        """Send some whole rows. Raises PgError."""
        with said():
            self._copy.write(text)

    def end(self) -> None:
        """Wait until all that was sent is in. Raises PgError if any row of it was refused."""
        with said():
            self._way.__exit__(None, None, None)

    def abandon(self) -> None:
        """Break it off; the transaction can only be rolled back then."""
        error = psycopg.OperationalError("given up")
        with suppress(psycopg.Error):
            self._way.__exit__(type(error), error, None)


class PgDatabase:
    """One connection. Transactions are explicit, as with our SQLite. Not safe for several threads at once."""

    def __init__(self, place: Remote, options: Sequence[str] = ()) -> None:
        """Connect; `options` are server settings such as "statement_timeout=5000". Raises Unavailable."""
        self._place, self._options = place, options
        self._types: dict[tuple[str, str], str] = {}
        self._pipe: psycopg.Pipeline | None = None
        self._sending = ExitStack()
        self._db = self._connect()

    def _connect(self) -> psycopg.Connection[Any]:
        words = " ".join(f"-c {one}" for one in (*_SETTINGS, *self._options))
        try:
            db: psycopg.Connection[Any] = psycopg.connect(
                self._place.url,
                autocommit=True,
                password=self._place.password,
                connect_timeout=CONNECT_WITHIN_S,
                client_encoding="UTF8",
                options=words,
                cursor_factory=cast(Any, psycopg.RawCursor),
                row_factory=cast(Any, _rows),
                **_KEEPALIVE,
            )
        except psycopg.Error as error:
            raise Unavailable(
                f"cannot reach {self._place}: {_said(error)}; start PostgreSQL or correct ledger.url"
            ) from error
        db.adapters.register_loader("numeric", _Whole)
        db.adapters.register_dumper(Packed, _PackedDumper)
        said_by: list[str | None] = []
        db.add_notice_handler(lambda diag: said_by.append(diag.source_function))
        self._said_by = said_by
        return db

    def __del__(self) -> None:
        if hasattr(self, "_db"):
            self._db.close()

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open, also one that failed, or whose statements are under way."""
        return self._db.info.transaction_status in _OPEN

    def execute(self, sql: str, values: Sequence[Any] = (), /) -> Answer:
        """Run one statement with `?` for values; BEGIN on a connection that was lost makes a new one.

        Raises PgError; BEGIN also Unavailable.
        """
        if sql.startswith("BEGIN") and self._db.closed:
            self._db = self._connect()
        try:
            given = [_clean(value) for value in values]
            self._said_by.clear()
            cursor = self._db.execute(_spoken(sql), given or None)
            if self._pipe is not None and sql.startswith("SELECT"):
                self._pipe.sync()  # somebody waits for this one
            if sql == "COMMIT" and cursor.statusmessage != "COMMIT":
                raise PgError("the server undid the transaction: a statement of it had failed")
            if sql == "COMMIT" and _ALONE in self._said_by:
                raise PgError("the wait for the standby was broken off: what was written is held here only")
            return Answer(cursor)
        except psycopg.Error as error:
            if sql == "ROLLBACK":
                self._db.close()  # then the server does it
                return Answer(None)
            raise PgError(_said(error)) from error

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]], /) -> Answer | None:
        """Insert many rows by one statement; any other statement once for each row. Raises PgError."""
        given = list(rows)
        found = _VALUES.fullmatch(sql)
        if not given:
            return None
        if found is None:
            for row in given:
                last = self.execute(sql, row)
            return last
        return self._insert(found[1], [name.strip() for name in found[2].split(",")], found[3], given)

    def _insert(self, table: str, columns: list[str], rest: str, rows: list[Sequence[Any]]) -> Answer:
        types = [self._type(table, column) for column in columns]
        arrays = ", ".join(f"${at}::{kind}[]" for at, kind in enumerate(types, 1))
        sql = f"INSERT INTO {table} ({', '.join(columns)}) SELECT * FROM unnest({arrays}){rest}"  # noqa: S608 (ours)
        arrays_of = [array(kind, list(map(itemgetter(at), rows))) for at, kind in enumerate(types)]
        try:
            return Answer(self._db.execute(sql, arrays_of))
        except psycopg.Error as error:
            raise PgError(_said(error)) from error

    def copy_in(self, sql: str) -> CopyIn:
        """Begin a `COPY ... FROM STDIN`; until it ends the connection takes no other statement. Raises PgError."""
        return CopyIn(self._db, sql)

    def copied(self, sql: str) -> Iterator[bytes]:
        """What a `COPY ... TO STDOUT` gives, a row at a time. Raises PgError."""
        try:
            with self._db.cursor().copy(cast(Any, sql)) as rows:
                for row in rows:
                    yield bytes(row)
        except psycopg.Error as error:
            raise PgError(_said(error)) from error

    def learn(self) -> None:
        """Ask once which type each column of ours has, for `executemany`. Raises PgError."""
        sql = (
            "SELECT relname, attname, format_type(atttypid, NULL) FROM pg_attribute"
            " JOIN pg_class ON attrelid = pg_class.oid"
            " WHERE relnamespace = ?::regnamespace AND relkind = 'r' AND attnum > 0 AND NOT attisdropped"
        )
        self._types = {(table, column): kind for table, column, kind in self.execute(sql, (SCHEMA,))}

    def _type(self, table: str, column: str) -> str:
        if not self._types:
            self.learn()
        return self._types[table, column]

    def begin_sending(self) -> None:
        """From now on statements are sent without waiting for what they give, until `end_sending`."""
        try:
            self._sending = ExitStack()
            self._pipe = self._sending.enter_context(self._db.pipeline())
        except psycopg.Error as error:
            raise PgError(_said(error)) from error

    def end_sending(self) -> None:
        """Wait until all that was sent is done. Raises PgError if any of it was refused."""
        self._pipe = None
        try:
            self._sending.close()
        except psycopg.Error as error:
            raise PgError(_said(error)) from error

    def cancel(self) -> None:
        """Have the server break off what it is doing for this connection. From any thread."""
        with suppress(psycopg.Error):
            self._db.cancel_safe(timeout=CONNECT_WITHIN_S)

    def close(self) -> None:
        """End the connection; what was not committed is gone."""
        self._db.close()


@lru_cache(maxsize=1024)
def _spoken(sql: str) -> str:
    """A statement of ours as PostgreSQL reads it: `$1` for `?`, no unary plus, which only SQLite's planner minds."""
    marks = iter(range(1, 10_000))
    sql = _UNARY_PLUS.sub(r"\1 ", _ELSEWHERE.get(sql, sql))
    return _MARK.sub(lambda found: f"${found[1] or next(marks)}", sql)


def _clean(value: Any) -> Any:
    """Text of PostgreSQL holds no NUL; only what strangers sent could have one."""
    return value.replace("\0", "\ufffd") if isinstance(value, str) and "\0" in value else value


@contextmanager
def said() -> Iterator[None]:
    """What PostgreSQL says against it inside is raised as PgError."""
    try:
        yield
    except psycopg.Error as error:
        raise PgError(_said(error)) from error


def _said(error: psycopg.Error) -> str:
    """What PostgreSQL said, on one line."""
    return " ".join(str(error).split()) or type(error).__name__
