"""A PostgreSQL of our own for tests: unique folder, a socket only, an unprivileged user, fsync on."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from collector.ledger_place import Remote
from collector.pg import PgDatabase
from collector.pg_schema import prepare

ON_POSTGRES = os.environ.get("DOSONG_TEST_LEDGER") == "postgres"
"""Whether the doors of these tests lead into PostgreSQL (`make test-postgres`): the same suites, another engine."""
SQLITE_ONLY = pytest.mark.skipif(ON_POSTGRES, reason="is about a file of SQLite")
BIN = max(Path("/usr/lib/postgresql").glob("*/bin"), default=Path("/nonexistent"))
USER = "nobody"
ROLE = "dosong_ledger"
OWNER = "dosong_owner"


def _plain() -> dict[str, object]:
    """How to run PostgreSQL, which refuses to be root."""
    if os.geteuid() != 0:
        return {}
    entry = pwd.getpwnam(USER)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


class Cluster:
    """One cluster: made, started, killed, started again, removed."""

    def __init__(self, folder: Path | None = None, port: int = 5432) -> None:
        made = folder or Path(tempfile.mkdtemp(prefix="dosong-pg-", dir="/tmp"))  # a socket's path must be short
        self.folder, self.port = made, port
        self.data = made / "data"
        self._copies: list[str] = []
        self._numbers = itertools.count(1)
        self._own(made)

    def _own(self, path: Path) -> None:
        path.chmod(0o755)
        if os.geteuid() == 0:
            shutil.chown(path, USER)

    def run(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """One of PostgreSQL's programs."""
        kwargs: dict[str, object] = _plain()
        return subprocess.run(  # type: ignore[call-overload, no-any-return]
            [str(BIN / words[0]), *words[1:]], check=check, capture_output=True, text=True, cwd="/", **kwargs
        )

    def init(self, *settings: str) -> Cluster:
        """Make the files, with our roles' names to be let in by the socket."""
        self.run("initdb", "-D", str(self.data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-instructions")
        self.configure(f"port = {self.port}", f"unix_socket_directories = '{self.folder}'", *settings)
        return self

    def configure(self, *lines: str) -> None:
        """Settings behind those that are there: the last word holds."""
        base = ("listen_addresses = ''", "shared_buffers = 32MB", "max_connections = 40", "wal_level = replica")
        with (self.data / "postgresql.conf").open("a") as file:
            file.write("\n".join((*base, *lines)) + "\n")

    def start(self) -> Cluster:
        """Start and wait until it answers."""
        self.run("pg_ctl", "-D", str(self.data), "-w", "-t", "100", "-l", str(self.folder / "log"), "start")
        return self

    def stop(self, how: str = "fast") -> None:
        """End it; "immediate" as a crash would."""
        self.run("pg_ctl", "-D", str(self.data), "-w", "-m", how, "stop", check=False)

    def pid(self) -> int:
        """Process id of the postmaster."""
        return int((self.data / "postmaster.pid").read_text().splitlines()[0])

    def url(self, database: str, role: str = ROLE) -> str:
        """How a role reaches a database of it."""
        return f"postgresql://{role}@/{database}?host={self.folder}&port={self.port}"

    def database(self, name: str) -> Remote:
        """A fresh, prepared database; what the ledger's role reaches it by."""
        root = PgDatabase(Remote(self.url("postgres", "postgres")))
        for role in (ROLE, OWNER):
            if not root.execute("SELECT 1 FROM pg_roles WHERE rolname = ?", (role,)).fetchall():
                root.execute(f"CREATE ROLE {role} LOGIN")
        root.execute(f"DROP DATABASE IF EXISTS {name}")
        root.execute(f"CREATE DATABASE {name} OWNER {OWNER}")
        root.close()
        prepare(Remote(self.url(name, OWNER)), ROLE)
        return Remote(self.url(name))

    def copy(self) -> Remote:
        """A fresh ledger like the first one, which is prepared once."""
        if not self._copies:
            self.database("model")
        name = f"ledger_{next(self._numbers)}"
        self._copies.append(name)
        root = PgDatabase(Remote(self.url("postgres", "postgres")))
        root.execute(f"CREATE DATABASE {name} TEMPLATE model OWNER {OWNER}")
        root.close()
        return Remote(self.url(name))

    def remove(self) -> None:
        """End it and take its files away."""
        self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)
