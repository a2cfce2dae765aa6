"""A chain that came together: one signature, the rest by hashes; the same ledger as one by one; the later audit."""

from __future__ import annotations

import base64
import threading
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector import ingest as ingest_module
from collector.core import run
from collector.core.run import Shape
from collector.ingest import Message
from collector.leaves import LedgerLeaves
from collector.receive import Receiver
from collector.registry_identity import Identities
from collector.seal_signatures import SignatureAudit
from collector.seal_store import SealStore
from collector.settings import read_settings
from collector.verify import checker
from tests.collector.door import Door
from tests.collector.kit import ORIGIN, T0_MS, Deployment, FakeProbe
from wire import bundle, codec, topics

CHECKS = 12


def forged(one: FakeProbe) -> bytes:
    """The next record with a signature over something else; the chain goes on behind these bytes."""
    raw = one.test()
    other = base64.b64encode(one.signer.verifier.key_id + one.signer.sign_text(b"something else\n"))
    bad = raw[:-93] + other + b"\n"
    one.head = codec.leaf_text(codec.leaf_hash(bad))
    return bad


@pytest.fixture
def counted(door: Door, one: FakeProbe, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What the probes' signatures are checked over."""
    asked: list[bytes] = []

    def watched(verifier: Any) -> Any:
        check = checker(verifier)
        return lambda text, signature: (asked.append(text), check(text, signature))[1]

    monkeypatch.setattr(ingest_module, "checker", watched)
    return asked


def test_one_signature_proves_a_contiguous_chain(door: Door, one: FakeProbe, counted: list[bytes]) -> None:
    raws = [one.test() for _ in range(CHECKS)]
    assert door.take("p-one", *raws).accepted == CHECKS
    assert counted == [raws[-1][: raws[-1].rfind(b"\n\n") + 1]]
    assert door.upto("p-one") == CHECKS - 1


def test_one_signature_over_several_messages_of_one_group(door: Door, one: FakeProbe, counted: list[bytes]) -> None:
    raws = [one.test() for _ in range(CHECKS)]
    taken = door.ingest.take([Message(topics.up("p-one"), bundle.encode([raw])) for raw in raws], T0_MS)
    assert (taken.accepted, taken.heads["p-one"].upto, len(counted)) == (CHECKS, CHECKS - 1, 1)


def test_an_overlap_must_be_equal_byte_for_byte(door: Door, one: FakeProbe, counted: list[bytes]) -> None:
    raws = [one.test() for _ in range(6)]
    door.take("p-one", *raws[:3])
    counted.clear()
    taken = door.take("p-one", *raws)
    assert (taken.accepted, taken.duplicate, len(counted)) == (3, 3, 1)
    clone = FakeProbe("p-one", signer=one.signer)
    others = [clone.test(downlink_bps=1) for _ in range(8)]
    counted.clear()
    taken = door.take("p-one", *others)
    assert taken.accepted == len(others)
    assert taken.heads["p-one"].upto == 7
    held = door.reader.samples(limit=100)
    assert [s.counted for s in held].count(True) == len(raws)
    assert "fork" in held[0].not_counted


def test_other_bytes_in_held_places_are_forks_and_never_duplicates(door: Door, one: FakeProbe) -> None:
    door.take("p-one", *[one.test() for _ in range(6)])
    clone = FakeProbe("p-one", signer=one.signer)
    taken = door.take("p-one", *[clone.test(downlink_bps=1) for _ in range(4)])
    assert (taken.accepted, taken.duplicate) == (4, 0)
    assert [s.in_chain for s in door.reader.samples(limit=100, newest_first=False)] == [True] * 6 + [False] * 4


def test_behind_a_hole_every_signature_is_checked(door: Door, one: FakeProbe) -> None:
    raws = [one.test() for _ in range(3)]
    bad = forged(one)
    taken = door.take("p-one", raws[0], raws[2], bad, one.test())
    assert (taken.accepted, taken.refused_as) == (3, ("bad_signature",))


def test_an_altered_record_is_refused_alone_and_those_before_it_are_kept(door: Door, one: FakeProbe) -> None:
    raws = [one.test() for _ in range(4)]
    altered = bytearray(raws[3])
    altered[200] ^= 1
    taken = door.take("p-one", *raws[:3], bytes(altered))
    assert (taken.accepted, taken.refused_as, taken.heads["p-one"].upto) == (3, ("bad_signature",), 2)
    middle = bytearray(raws[1])
    middle[200] ^= 1
    assert door.take("p-one", raws[0], bytes(middle), raws[2]).refused == 1


RECORDS = st.lists(st.sampled_from(["test", "coverage", "event", "odd", "gap", "clock", "undated"]), max_size=12)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(RECORDS, st.data())
def test_together_or_one_by_one_gives_the_same_ledger(kinds: list[str], draw: st.DataObject) -> None:
    one = FakeProbe("p-one")
    raws = [_make(one, kind) for kind in kinds]
    sent = raws + draw.draw(st.permutations(raws)) if draw.draw(st.booleans()) else raws
    with TemporaryDirectory() as first, TemporaryDirectory() as second:
        singly, together = Door(Path(first), one), Door(Path(second), one)
        for raw in sent:
            singly.take("p-one", raw)
        if sent:
            together.ingest.take([Message(topics.up("p-one"), bundle.encode([raw])) for raw in sent], T0_MS)
        wanted = "probe, epoch, seq, standing, leaf, kind, t_ms, fault, hamlet, counted, not_counted, outcome"
        records = f"SELECT {wanted} FROM record ORDER BY leaf"  # noqa: S608 (fixed names)
        for table in (records, "SELECT * FROM chain", "SELECT * FROM clock"):
            assert singly.sql(table) == together.sql(table)
        assert singly.sql("SELECT epoch, from_seq, to_seq, last_leaf FROM gap") == together.sql(
            "SELECT epoch, from_seq, to_seq, last_leaf FROM gap"
        )
        for door in (singly, together):
            door.close()


def _make(one: FakeProbe, kind: str) -> bytes:
    if kind == "odd":
        return one.schema_broken()
    if kind == "gap":
        return one.gap(0, max(0, one.seq - 1), "A" * 43 + "=", **({} if one.seq else {"gap_epoch": 9}))
    if kind == "clock":
        return one.event("clock_set", set_mono_ms=0, set_t_ms=T0_MS)
    if kind == "undated":
        return one.test(t_ms=None, clock="unsynced", t_src="none")
    return {"test": one.test, "coverage": one.coverage, "event": one.event}[kind]()


def test_only_the_one_spelling_of_a_signature_has_the_plain_shape(one: FakeProbe) -> None:
    shape, raw = Shape.of(ORIGIN, one.signer.verifier), one.test()
    at = shape.cut(raw)
    assert at is not None
    assert shape.signature(raw) is not None
    for place in range(len(raw)):
        altered = bytes([*raw[:place], raw[place] ^ 1, *raw[place + 1 :]])
        cut = shape.cut(altered)
        found = None if cut is None else shape.signature(altered)
        is_proved = found is not None and cut is not None and one.signer.verifier.check(altered[: cut + 1], found)
        assert not is_proved, place


def test_a_record_that_only_its_hash_proves_is_found_by_the_audit_and_counts_no_more(
    door: Door, one: FakeProbe, tmp_path: Path
) -> None:
    raws = [one.test(), forged(one), one.test()]
    assert door.take("p-one", *raws).accepted == 3
    assert door.reader.hamlet_counts()["h-dong-chuoi"].counted == 3
    store = SealStore(tmp_path / "seal.db")
    identities = Identities(tmp_path / "registry.db")
    auditor = SignatureAudit(store, LedgerLeaves(door.path), door.registry, identities, ORIGIN)
    assert auditor.round(T0_MS, most=1) == 3
    assert auditor.round(T0_MS) == 0
    ((number, n, leaf),) = store.unsigned()
    assert (n, leaf) == (2, codec.leaf_hash(raws[1]))
    assert store.unsigned(number) == []
    assert door.ingest.doubt([(n, leaf), (99, leaf), (1, leaf)]) == 1
    assert door.ingest.doubt([(n, leaf)]) == 0
    held = door.reader.sample("p-one", 1, 1)
    assert held is not None
    assert (held.raw, held.fault, held.counted, held.in_chain) == (raws[1], "bad_signature", False, True)
    assert door.reader.hamlet_counts()["h-dong-chuoi"].counted == 2
    assert door.reader.last_redo() == 1
    assert door.upto("p-one") == 2
    store.close()


def test_receive_marks_what_the_audit_named(tmp_path: Path, one: FakeProbe) -> None:
    deployment = Deployment(tmp_path, 'socket = "x"', one)
    with deployment.config.open("a") as config:
        config.write('[log]\nkey_file = "log.key"\n')
    door = Door(deployment.state, one)
    door.take("p-one", *[one.test(), forged(one), one.test()])
    store = SealStore(deployment.state / "seal.db")
    store.keep_audit(0, 3, [(2, door.sql("SELECT leaf FROM record WHERE n = 2")[0][0])], T0_MS)
    receiver = Receiver(read_settings(deployment.config), door.ingest, deployment.ack_signer, threading.Event())
    receiver._take_submitted()
    held = door.reader.sample("p-one", 1, 1)
    assert held is not None
    assert held.fault == "bad_signature"
    receiver._door.close()
    store.close()
    door.close()


def test_runs_split_where_the_chain_does_not_follow(one: FakeProbe) -> None:
    shape, check = Shape.of(ORIGIN, one.signer.verifier), one.signer.verifier.check
    raws = [one.test() for _ in range(5)]
    pieces = run.open_backwards([*raws[:2], *raws[3:]], shape, "p-one", check)
    assert [len(one) for one in run.runs(pieces) if not isinstance(one, int)] == [2, 2]
    assert list(pieces.ways) == [run.HASHED, run.SIGNED, run.HASHED, run.SIGNED]
