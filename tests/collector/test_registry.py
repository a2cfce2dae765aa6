"""The registry: idempotent import, all or nothing, mistakes by list and row, seen at once by other processes."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from collector import registry as registry_module
from collector import registry_stays
from collector.registry import Registry
from tests.collector.door import Door
from tests.collector.kit import FakeProbe, document
from wire.errors import Refused, Unavailable
from wire.note import Signer


@pytest.fixture
def registry(tmp_path: Path) -> Any:
    made = Registry(tmp_path / "registry.db")
    yield made
    made.close()


def test_loaded_twice_changes_nothing(registry: Registry) -> None:
    one = FakeProbe("p-one")
    first = registry.load(document(one), now_ms=1)
    second = registry.load(document(one), now_ms=2)
    assert sum(first.added.values()) == 8
    assert (second.added, second.changed) == ({}, {})
    assert registry.referrals() == [("TN1", "05755", 0)]


BAD: list[tuple[dict[str, Any], str]] = [
    ({"hamlts": []}, "unknown list 'hamlts'"),
    ({"provinces": {"code": "19"}}, r"write \[\[provinces\]\]"),
    ({"provinces": [{"code": "20", "name": "A"}, {"code": "21", "nam": "B"}]}, "provinces, row 2.*`nam`.*keys are"),
    ({"provinces": [{"code": "có dấu", "name": "A"}]}, "provinces, row 1"),
    ({"communes": [{"code": "1", "name": "A", "province": "77"}]}, "communes, row 1 names a unit"),
    ({"referrals": [{"code": "TN2", "unit": "nowhere"}]}, "no commune or hamlet"),
    ({"probes": [{"id": "p-three", "vkey": "nonsense"}]}, "probes, row 1"),
    ({"probes": [{"id": "p-three", "vkey": FakeProbe("p-four").signer.verifier.vkey}]}, "not the record key of"),
    (
        {"points": [{"code": "hn-1", "vkey": FakeProbe("p-four").signer.verifier.vkey}]},
        "not the key of hn-1.*the point",
    ),
    ({"users": [{"name": "an", "argon2": "plain", "role": "official"}]}, "users, row 1"),
]


@pytest.mark.parametrize(("bad", "says"), BAD, ids=[says for _, says in BAD])
def test_a_mistake_is_refused_with_its_row_and_nothing_is_written(
    registry: Registry, bad: dict[str, Any], says: str
) -> None:
    good = {"provinces": [{"code": "19", "name": "Thái Nguyên"}]}
    registry.load(good)
    merged = {"operators": [{"plmn": "45201", "name": "MobiFone"}], **bad}
    with pytest.raises(Refused, match=says):
        registry.load(merged)
    assert registry.operators() == {}
    assert len(registry.provinces()) == 1


def test_a_points_key_is_entered_and_revoked(registry: Registry) -> None:
    vkey = Signer.generate("dosong.example/point/hn-1").verifier.vkey
    registry.load({"points": [{"code": "hn-1", "vkey": vkey}]})
    found = registry.point("hn-1")
    assert found is not None
    assert (found.vkey, found.state, registry.points()) == (vkey, "active", [found])
    registry.load({"points": [{"code": "hn-1", "vkey": vkey, "state": "revoked", "revoked_ms": 5}]})
    found = registry.point("hn-1")
    assert found is not None
    assert (found.state, found.revoked_ms) == ("revoked", 5)
    assert registry.point("hn-2") is None


def test_another_process_sees_a_change_at_once(registry: Registry) -> None:
    one = FakeProbe("p-one")
    registry.load(document(one))
    other = Registry(registry.path)
    assert other.probe("p-one") is not None
    seen = other.version()
    registry.load({"probes": [{"id": "p-one", "vkey": one.signer.verifier.vkey, "state": "quarantine"}]})
    assert other.version() != seen
    entry = other.probe("p-one")
    assert entry is not None
    assert (entry.state, entry.site) == ("quarantine", "s-one")
    other.close()


def test_assignments_hold_from_their_moment_on(registry: Registry) -> None:
    registry.load(document(FakeProbe("p-one")))
    registry.load({"referrals": [{"code": "TN1", "unit": "h-dong-chuoi", "valid_from_ms": 1000}]})
    assert [registry.referral_unit("TN1", at) for at in (999, 1000, None)] == ["05755", "h-dong-chuoi", "h-dong-chuoi"]
    assert registry.referral_unit("TN9", 5) is None


def test_what_is_expected_of_many_probes_is_what_each_is_told(registry: Registry) -> None:
    names = [f"p-{number}" for number in range(12)]
    registry.load(document(*map(FakeProbe, names)))
    registry.load(
        {
            "hamlets": [{"code": "h-far", "name": "Xa", "kind": "xóm", "commune": "05755"}],
            "sites": [
                {"code": f"s-far-{at}", "hamlet": "h-far", "name": "NVH", "lat_e7": at, "lon_e7": 1} for at in (1, 2)
            ],
        }
    )
    moves = [
        {"probe": name, "site": f"s-far-{1 + at % 2}", "valid_from_ms": 1000 * at} for at, name in enumerate(names)
    ]
    registry.load({"assignments": moves[:8]})
    back_dated = {"probe": names[3], "site": "s-far-1", "valid_from_ms": 10}
    registry.load({"assignments": [{"probe": names[0], "site": None, "valid_from_ms": 50_000}, back_dated]})
    other = Registry(registry.path)
    other.expect([*names, "p-unknown"])
    for name in (*names, "p-unknown"):
        assert other.probe(name) == registry.probe(name)
        assert other.stays(name) == registry.stays(name)
        assert other.places_left(name) == registry.places_left(name)
    registry.load({"assignments": moves[8:]})
    other.expect(names)
    assert [other.stays(name) for name in names] == [registry.stays(name) for name in names]
    assert len(set(other.stays(names[9])[1])) == 3  # nowhere, where it was enrolled, where it was moved
    other.close()


def test_a_place_that_could_not_be_read_is_not_taken_for_nowhere(door: Door, one: FakeProbe) -> None:
    """A registry that another process holds fails one group; the next try judges as if nothing had been."""
    registry = door.registry
    registry._rows("PRAGMA busy_timeout = 50")
    other = sqlite3.connect(registry.path, isolation_level=None)
    with registry.still():
        for name, code in (("probe_site", "p-one"), ("site_hamlet", "s-one"), ("hamlet_commune", "h-dong-chuoi")):
            registry._stays.line(name, code)
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(Unavailable):
            registry.stays("p-one")
        other.execute("ROLLBACK")
    other.close()
    assert door.take("p-one", one.test()).accepted == 1
    (sample,) = door.reader.samples()
    assert (sample.hamlet, sample.not_counted) == ("h-dong-chuoi", ())


def test_what_it_does_not_know_fills_no_memory(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """A probe may write any code into a record, and a sender any name into a topic."""
    for module in (registry_module, registry_stays):
        monkeypatch.setattr(module, "MOST_UNKNOWN", 100)
    registry.load(document(FakeProbe("p-one")))
    with registry.still():
        for at in range(300):
            assert registry.probe(f"p-{at}") is None
            assert registry.referral_unit(f"X{at}", 5) is None
        assert registry.probe("p-one") is not None
        assert registry.referral_unit("TN1", 5) == "05755"
        assert max(len(registry._probes), len(registry._stays._lines)) <= 102


def test_a_login_never_shows_its_hash(registry: Registry) -> None:
    argon2 = "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$aGFzaA"
    registry.load({"users": [{"name": "an", "argon2": argon2, "role": "official"}]})
    user = registry.user("an")
    assert user is not None
    assert user.argon2 == argon2
    assert argon2 not in repr(user)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ({"probes": [{"id": "P One", "vkey": "x"}]}, "probes, row 1: id: write 3 to 32 of a-z 0-9 -"),
        ({"users": [{"name": "x", "argon2": "y", "role": "operator"}]}, "users, row 1: name: write small letters"),
        ({"hamlets": [{"code": "a b", "name": "A", "kind": "x", "commune": "1"}]}, "row 1: code: write letters of A-Z"),
        (
            {"hamlets": [{"code": 5, "name": "A", "kind": "x", "commune": "1"}]},
            "row 1: code: Expected `str`, got `int`",
        ),
    ],
)
def test_a_form_is_told_in_words(tmp_path: Path, rows: dict[str, Any], says: str) -> None:
    registry = Registry(tmp_path / "registry.db")
    with pytest.raises(Refused) as told:
        registry.load(rows)
    registry.close()
    assert says in told.value.detail
    assert "regex" not in told.value.detail
