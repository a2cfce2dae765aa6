"""The world of the page tests: a real registry and ledger, records signed and taken by the real door.

Holds no test of its own besides one that its pieces agree.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from collector.core import totp
from collector.health import Health
from collector.ingest import Ingest, Message
from collector.ledger import LedgerReader
from collector.ledger_write import SqliteLedger
from collector.registry import Registry
from collector.settings import Settings, read_settings
from collector.web import create_app
from collector.web.entrance import Entrance
from tests.collector.kit import ORIGIN, SLOT_MS, T0_MS, FakeProbe, document
from wire import bundle, topics

PASSWORD = "mot-mat-khau-dai"
HAMLET = "h-dong-chuoi"
ROLES = ("technician", "operator", "official", "auditor")
_HASH = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)


class World:
    """A collector without broker: `take` is what `receive` does with a message."""

    __test__ = False

    def __init__(self, folder: Path, *, demo: bool = False, **changes: Any) -> None:
        self.settings = self._settings(folder, demo=demo)
        self.settings.state.mkdir(exist_ok=True)
        self.probe = FakeProbe("p-one")
        self.now_ms = T0_MS
        self.registry = Registry(self.settings.registry)
        users = [{"name": role, "argon2": _HASH, "role": role} for role in ROLES]
        self.registry.load(document(self.probe, **{"users": users, **changes}))
        self._ledger = SqliteLedger(self.settings.ledger)
        self._ingest = Ingest(self._ledger, self.registry, ORIGIN)
        self.reader = LedgerReader(self.settings.ledger)
        self.health = Health(None, None, False, False)
        self.app: Flask = create_app(
            self.settings, self.reader, self.registry, health=lambda: self.health, now_ms=lambda: self.now_ms
        )
        self.app.testing = True
        self.entrance: Entrance = self.app.extensions["entrance"]
        for name in ("operator", "official"):
            enrol_totp(self.entrance, name)
        # Errors must reach the error pages, as they do in service.
        self.app.config["PROPAGATE_EXCEPTIONS"] = False

    @staticmethod
    def _settings(folder: Path, *, demo: bool) -> Settings:
        (folder / "web.secret").write_text("f" * 64)
        config = folder / "collector.toml"
        config.write_text(
            f'origin = "{ORIGIN}"\nstate_dir = "state"\nack_key_file = "ack.key"\ndemo = {str(demo).lower()}\n'
            '[broker]\nsocket = "c.sock"\n[influx]\nurl = "http://127.0.0.1:1"\ndatabase = "dosong"\n'
            '[web]\nsecret_file = "web.secret"\n'
        )
        return read_settings(config)

    def take(self, *raws: bytes, topic: str | None = None) -> None:
        """Commit records as they come from the broker, now."""
        self._ingest.take([Message(topic or topics.up(self.probe.probe), bundle.encode(raws))], self.now_ms)

    def tests(self, count: int, **changes: Any) -> None:
        """Commit `count` tests, a slot apart, each at its own time."""
        for _ in range(count):
            self.now_ms = T0_MS + self.probe.seq * SLOT_MS
            self.take(self.probe.test(**changes))

    def client(self, role: str = "") -> FlaskClient:
        """A browser, logged in by the login page if a role is given."""
        client = self.app.test_client()
        if role:
            assert login(client, role).status_code == 302
        return client

    def close(self) -> None:
        self.app.extensions["gate"].close()
        self.reader.close()
        self._ledger.close()
        self.registry.close()


BASE = "https://dosong.example"


def get(client: FlaskClient, path: str, **headers: str) -> TestResponse:
    """GET over HTTPS, so that secure cookies are kept."""
    return client.get(path, base_url=BASE, headers=headers, buffered=True)


def token(client: FlaskClient, path: str = "/login") -> str:
    """The CSRF token of a page's form."""
    found = re.search(r'name="csrf_token" value="([^"]+)"', get(client, path).text)
    assert found is not None
    return found[1]


def enrol_totp(entrance: Entrance, name: str) -> list[str]:
    """Set up an account's second factor as its owner does; returns the recovery codes."""
    secret = entrance.accounts.propose_totp(name, entrance.now_ms())
    made = entrance.accounts.confirm_totp(name, totp.code(secret, entrance.now_ms() // 30_000), entrance.now_ms())
    assert made is not None
    entrance.accounts._db.execute("UPDATE account SET totp_step = NULL WHERE name = ?", (name,))
    return made


def code_of(client: FlaskClient, name: str) -> str:
    """The code that an account's phone shows now; "" for an account without one. May be used again in a test."""
    entrance: Entrance = client.application.extensions["entrance"]
    if not entrance.accounts.has_totp(name):
        return ""
    entrance.accounts._db.execute("UPDATE account SET totp_step = NULL WHERE name = ?", (name,))
    row = entrance.accounts._db.execute("SELECT totp_nonce FROM account WHERE name = ?", (name,)).fetchone()
    return totp.code(entrance.accounts._key(name, row[0]), entrance.now_ms() // 30_000)


def login(
    client: FlaskClient, name: str, password: str = PASSWORD, onward: str = "", otp: str | None = None
) -> TestResponse:
    """Fill in the login form, with the code that the account's phone shows unless another one is given."""
    code = code_of(client, name) if otp is None else otp
    form = {"csrf_token": token(client), "name": name, "password": password, "next": onward, "otp": code}
    return client.post("/login", data=form, base_url=BASE, headers={"Referer": f"{BASE}/login"})


@contextlib.contextmanager
def world(folder: Path, **changes: Any) -> Iterator[World]:
    """A world that is closed again."""
    made = World(folder, **changes)
    try:
        yield made
    finally:
        made.close()


def test_the_world_counts_what_it_takes(tmp_path: Path) -> None:
    with world(tmp_path) as here:
        here.tests(2)
        assert [s.counted for s in here.reader.samples()] == [True, True]
