"""Notes enter the ledger once, each by the key its type asks for; records by the key of their epoch; forks alarm."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from collector import ledger_notes
from collector.ingest import Ingest, Message
from collector.ledger_write import SqliteLedger
from collector.registry import Registry
from collector.registry_identity import Identities
from collector.statements import NOTES, Statements
from tests.collector.kit import ORIGIN, T0_MS, FakeProbe, document
from wire import bundle, codec, notes, topics
from wire.note import Signer

REGISTRY, CONFIG = (Signer.generate(f"{ORIGIN}/{name}") for name in ("registry", "config"))


class Desk:
    """An ingest with its files."""

    def __init__(self, folder: Path) -> None:
        self.ledger = SqliteLedger(folder / "ledger.db")
        self.registry = Registry(folder / "registry.db")
        self.identities = Identities(folder / "registry.db")
        self.ingest = Ingest(self.ledger, self.registry, ORIGIN)
        self.ingest.statements = Statements(ORIGIN, self.identities, REGISTRY.verifier, CONFIG.verifier)
        self.path = folder / "ledger.db"

    def take(self, *raws: bytes) -> tuple[int, int, tuple[str, ...]]:
        done = self.ingest.take([Message(NOTES, raw) for raw in raws], T0_MS)
        return done.accepted, done.duplicate, done.refused_as

    def send(self, probe: FakeProbe, raw: bytes) -> tuple[int, tuple[str, ...]]:
        done = self.ingest.take([Message(topics.up(probe.probe), bundle.encode([raw]))], T0_MS)
        return done.accepted, done.refused_as

    def held(self) -> list[tuple[str, bytes]]:
        return [(kind, raw) for _, _, kind, _, raw in ledger_notes.read(self.path)]

    def close(self) -> None:
        for one in (self.ledger, self.registry, self.identities):
            one.close()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with closing(Desk(tmp_path)) as made:
        yield made


def _revoke(**changes: Any) -> notes.Revoke:
    fields: dict[str, Any] = {"key_name": "x", "key": "y", "reason": "lost", "actor": "tester", **changes}
    return notes.Revoke(v=1, signed_ms=T0_MS, **fields)


def _enrol(probe: FakeProbe, named: str | None = None) -> bytes:
    text = codec.leaf_text(codec.leaf_hash(b"x"))
    signed = notes.Enrol(
        v=1, signed_ms=T0_MS, probe=named or probe.probe, record_key=probe.signer.verifier.vkey,
        tls_key_sha256=text, token_sha256=text,
    )  # fmt: skip
    return notes.seal(signed, ORIGIN, probe.signer)


def test_a_note_is_kept_once_with_its_bytes(desk: Desk) -> None:
    raw = notes.seal(_revoke(), ORIGIN, REGISTRY)
    assert desk.take(raw, raw) == (1, 1, ())
    assert desk.take(_enrol(FakeProbe("p-new"))) == (1, 0, ())
    assert [kind for kind, _ in desk.held()] == ["revoke", "enrol"]
    assert desk.held()[0][1] == raw


def test_notes_by_other_keys_and_of_other_kinds_are_refused(desk: Desk) -> None:
    one, other = FakeProbe("p-one"), FakeProbe("p-two")
    desk.registry.load(document(one))
    with desk.identities.transaction():
        desk.identities.add_key("p-one", 0, one.signer.verifier.vkey, T0_MS)
    thief = FakeProbe("p-one")
    bad = {
        notes.seal(_revoke(), ORIGIN, CONFIG): "unknown_key",
        notes.seal(_revoke(), ORIGIN, Signer.generate(f"{ORIGIN}/registry")): "unknown_key",
        notes.seal(_revoke(), ORIGIN, one.signer): "unknown_key",
        notes.seal(_revoke(), "other.example", REGISTRY): "wrong_domain",
        _enrol(thief): "unknown_key",
        _enrol(other, named="p-one"): "wrong_probe",
        one.test(): "wrong_domain",
        b"x": "wrong_domain",
        b"x" * 20_000: "too_big",
        notes.seal(_revoke(), ORIGIN, REGISTRY).replace(b"lost", b"sold"): "bad_signature",
    }
    for raw, reason in bad.items():
        assert desk.take(raw) == (0, 0, (reason,)), reason
    assert desk.held() == []


def test_notes_that_wait_in_the_registry_are_found_in_order(desk: Desk) -> None:
    raws = [notes.seal(_revoke(reason=f"r{n}"), ORIGIN, REGISTRY) for n in range(450)]
    with desk.identities.transaction():
        for raw in raws:
            desk.identities.add_note("revoke", raw, T0_MS)
    found: list[bytes] = []
    statements = desk.ingest.statements
    assert statements is not None
    for n, group in statements.due():
        found += group
        statements.done(n)
    assert found == raws
    assert list(statements.due()) == []


def test_record_bears_the_key_of_its_epoch(desk: Desk) -> None:
    old = FakeProbe("p-one")
    desk.registry.load(document(old))
    late = old.test()
    new = FakeProbe("p-one", epoch=2)
    with desk.identities.transaction():
        desk.identities.add_key("p-one", 0, old.signer.verifier.vkey, T0_MS)
        desk.identities.add_key("p-one", 2, new.signer.verifier.vkey, T0_MS)
    assert desk.send(new, new.test()) == (1, ())
    assert desk.send(old, late) == (1, ()), "what waited since before the rotation stays good"
    stale = FakeProbe("p-one", epoch=3, signer=old.signer)
    assert desk.send(old, stale.test()) == (0, ("unknown_key",)), "the old key signs no later epoch"
    early = FakeProbe("p-one", epoch=1, signer=new.signer)
    assert desk.send(new, early.test()) == (0, ("unknown_key",)), "nor the new one an earlier"


def test_fork_is_an_alarm(desk: Desk) -> None:
    one = FakeProbe("p-one")
    copied = FakeProbe("p-one", signer=one.signer)
    desk.registry.load(document(one))
    assert desk.send(one, one.test()) == (1, ())
    assert desk.identities.alarms() == []
    assert desk.send(copied, copied.test(downlink_bps=1)) == (1, ()), "both are kept"
    assert [(a.kind, a.probe, a.times) for a in desk.identities.alarms()] == [("fork", "p-one", 1)]
