"""What logins ask for is signed by the authority's process, as it was asked, once; and refused in a sentence."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from collector.registry_identity import Identities, Wish
from collector.statements import Statements
from probe import enrol
from tests.provisioning.identity_kit import ORIGIN, Office, serving, until
from wire import keyfile, notes
from wire.codec import leaf_hash, leaf_text

pytestmark = pytest.mark.services
SHEET: dict[str, Any] = {
    "v": 1, "probe": "p-new", "site": "s-one", "actor": "anh.tu", "result": "green", "code": "ABCDEFGH", "at_ms": 1,
    "lines": {"enrolled": {"verdict": "ok", "word": "ok"}, "gps": {"verdict": "bad", "word": "no_fix"}},
    "position": {"how": "phone", "lat_e7": 215_000_100, "lon_e7": 1_058_000_100, "accuracy_m": 9},
    "test": {"epoch": 1, "seq": 4},
}  # fmt: skip


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with serving(tmp_path_factory.mktemp("office")) as made:
        yield made


def ask(office: Office, kind: str, probe: str, body: str) -> Wish:
    """Ask as the web does, and wait for the authority."""
    with closing(Identities(office.where.registry)) as identities:
        number = identities.wish(kind, probe, "anh.tu", body, 1)
        return until(lambda: next((w for w in identities.wishes(probe) if w.n == number and w.done_ms), None))  # type: ignore[no-any-return]


def sealed(office: Office, type_: str) -> list[bytes]:
    with closing(Identities(office.where.registry)) as identities:
        return [one.raw for one in identities.notes() if one.type == type_]


def test_a_login_confirms_and_accepts_and_each_becomes_a_signed_note(office: Office, tmp_path: Path) -> None:
    digits = enrol.enrol(office.claim("p-new"), tmp_path / "p").fingerprint
    early = ask(office, "acceptance", "p-new", json.dumps(SHEET))
    assert "confirm its fingerprint first" in str(early.refused)
    wrong = ask(office, "confirm", "p-new", f"{(int(digits) + 1) % 10**6:06d}")
    assert wrong.refused
    assert office.alarms()["wrong_fingerprint"] == 1
    assert ask(office, "confirm", "p-new", digits).refused is None
    with office.desk() as desk:
        assert desk.entry("p-new").state == "active"
    assert len(sealed(office, "assignment")) == 1
    assert ask(office, "confirm", "p-new", digits).refused is None, "asked twice, it is confirmed once"
    assert len(sealed(office, "assignment")) == 1
    done = ask(office, "acceptance", "p-new", json.dumps(SHEET))
    key = keyfile.read_verifier(office.where.public_key("registry"), "registry")
    (raw,) = sealed(office, "acceptance")
    assert done.leaf == leaf_text(leaf_hash(raw))
    said = notes.open_note(raw, notes.Acceptance, ORIGIN, key)
    assert (said.probe, said.site, said.actor, said.code) == ("p-new", "s-one", "anh-tu", "ABCDEFGH")
    assert (said.checks_ok, said.checks_failed, said.test_epoch, said.test_seq) == (1, 1, 1, 4)
    with closing(Identities(office.where.registry)) as identities:
        row = Statements(ORIGIN, identities, key, None).open(raw, 1)
    assert (row.type, row.subject) == ("acceptance", "p-new"), "receive takes it into the ledger, and so into the log"
    (raw,) = sealed(office, "place")
    place = notes.open_note(raw, notes.Place, ORIGIN, key)
    assert (place.method, place.hamlet, place.radius_mm) == ("visit", "h-one", 9000)


def test_a_sheet_for_another_site_or_probe_is_refused(office: Office, tmp_path: Path) -> None:
    office.enrolled("p-else", tmp_path / "p")
    assert "stands at s-one" in str(ask(office, "acceptance", "p-else", json.dumps({**SHEET, "site": "s-two"})).refused)
    assert "not in the registry" in str(ask(office, "acceptance", "p-none", json.dumps(SHEET)).refused)
    with office.desk() as desk:
        from provisioning import identity  # noqa: PLC0415

        identity.revoke(desk, "p-else", "test")
    assert "revoked" in str(ask(office, "acceptance", "p-else", json.dumps(SHEET)).refused)
    assert "revoked" in str(ask(office, "confirm", "p-else", "123456").refused)


def test_a_wish_is_never_changed_nor_taken_away(office: Office) -> None:
    assert ask(office, "confirm", "p-nobody", "123456").refused
    with closing(sqlite3.connect(office.where.registry)) as db:
        for sql in ("DELETE FROM wish", "UPDATE wish SET body = 'x'", "UPDATE wish SET done_ms = 1, leaf = 'x'"):
            with pytest.raises(sqlite3.IntegrityError):
                db.execute(sql)
