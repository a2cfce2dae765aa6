"""The opener beside `receive`: the ledger is the same with it and without; nothing is lost when it dies or hangs."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector import ingest, light, opener_line
from collector.core.row import is_clock, is_coverage, is_test, plmn_of
from collector.ingest import Message
from collector.opener import LEAST_BLOCK, Hello, Opener, Task
from collector.opener_line import OpenerLine, Proofs
from collector.pack import make_dictionary
from tests.collector.conftest import Bench
from tests.collector.door import Door
from tests.collector.harm import raws_of
from tests.collector.kit import ORIGIN, T0_MS, FakeProbe, until
from wire import bundle, codec, topics
from wire.records import AnyRecord

GOLDEN = Path(__file__).parents[1] / "data" / "wire" / "v1" / "records"
KINDS = st.lists(st.sampled_from(["test", "coverage", "event", "odd", "gap", "clock", "undated", "altered", "skip"]))
HELLO = Hello(ORIGIN, make_dictionary())


def made(one: FakeProbe, kind: str) -> bytes:
    if kind == "altered":
        raw = bytearray(one.test())
        raw[len(raw) // 2] ^= 1
        return bytes(raw)
    if kind == "gap":
        return one.gap(0, max(0, one.seq - 1), "A" * 43 + "=", **({} if one.seq else {"gap_epoch": 9}))
    if kind == "clock":
        return one.event("clock_set", set_mono_ms=0, set_t_ms=T0_MS)
    if kind == "undated":
        return one.test(t_ms=None, clock="unsynced", t_src="none")
    if kind == "skip":
        one.test()
    plain = {"test": one.test, "coverage": one.coverage, "event": one.event, "odd": one.schema_broken}
    return plain.get(kind, one.test)()


def group(probes: tuple[FakeProbe, ...], kinds: list[str], more: int) -> list[Message]:
    """Messages of these probes; one that is no bundle, one of a stranger."""
    messages = [Message(topics.up("p-one"), b"no bundle"), Message(topics.up("p-no"), b"\0\1x")]
    for probe in probes:
        raws = [made(probe, kind) for kind in (*kinds, *(["test", "coverage"] * more))]
        for at in range(0, len(raws), 20):
            messages.append(Message(topics.up(probe.probe), bundle.encode(raws[at : at + 20])))
    return messages


def proofs_of(door: Door, messages: list[Message]) -> Proofs:
    """What the opener's process would say."""
    opener = Opener(HELLO)
    tasks = door.ingest._tasks(messages)
    return {task.probe: (task, proof) for task, proof in zip(tasks, opener.prove(tasks), strict=True)}


def seen(door: Door) -> list[Any]:
    tables = ("record", "chain", "gap", "clock", "probe", "total", "witness", "rollup_total", "redo")
    rows = [door.sql(f"SELECT * FROM {name} ORDER BY 1, 2") for name in tables]  # noqa: S608 (fixed names)
    refused = door.sql("SELECT topic, probe, reason, detail, size FROM refusal ORDER BY n")
    return [*rows, refused, raws_of(door.path)]


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(KINDS, st.integers(0, 40))
def test_with_the_opener_and_without_the_ledger_is_the_same(kinds: list[str], more: int) -> None:
    probes = FakeProbe("p-one"), FakeProbe("p-two")
    messages = group(probes, kinds[:30], more)
    found = []
    for helped in (False, True):
        with TemporaryDirectory() as folder:
            door = Door(Path(folder), *probes)
            for _ in range(2):  # the second time it is all held
                proofs = proofs_of(door, messages) if helped else None
                taken = door.ingest.take(messages, T0_MS, proofs)
            found.append((seen(door), taken))
            door.close()
    assert found[0] == found[1]
    assert found[0][1].accepted == 0
    assert len(found[0][0][-1]) >= 4 * more


def test_its_blocks_are_taken_as_they_come(door: Door, one: FakeProbe, two: FakeProbe) -> None:
    messages = group((one, two), [], LEAST_BLOCK)
    proofs = proofs_of(door, messages)
    door.ingest.take(messages, T0_MS, proofs)
    packed = [block.packed for _, proof in proofs.values() for block in proof.blocks]
    assert packed
    assert [row[0] for row in door.sql("SELECT packed FROM block ORDER BY first_n")] == packed


def test_only_the_key_of_now_proves_anything(door: Door, one: FakeProbe) -> None:
    """Whatever the opener proved by another key, such as the one before, is opened again."""
    stranger = FakeProbe("p-one")
    messages = group((stranger,), ["test"] * 3, 0)
    key = stranger.signer.verifier
    task = Task("p-one", key.name, key.public, [message.payload for message in messages[2:]])
    (proof,) = Opener(HELLO).prove([task])
    assert set(proof.ways) == {1, 2}
    assert door.ingest.take(messages, T0_MS, {"p-one": (task, proof)}).accepted == 0


@pytest.mark.parametrize("gone", ["p-one", "p-two"])
def test_a_probe_revoked_while_the_opener_has_its_records_is_refused_and_no_block_holds_them(
    door: Door, one: FakeProbe, two: FakeProbe, gone: str
) -> None:
    """Its records stand in one block with those of another probe, packed before the registry changed."""
    raws = {probe.probe: [probe.test() for _ in range(LEAST_BLOCK)] for probe in (one, two)}
    messages = [Message(topics.up(probe), bundle.encode(some)) for probe, some in raws.items()]
    proofs = proofs_of(door, messages)
    assert [block.count for _, proof in proofs.values() for block in proof.blocks] == [2 * LEAST_BLOCK]
    key, (left,) = (one if gone == "p-one" else two).signer.verifier, raws.keys() - {gone}
    door.registry.load({"probes": [{"id": gone, "vkey": key.vkey, "state": "revoked", "revoked_ms": T0_MS}]})
    taken = door.ingest.take(messages, T0_MS, proofs)
    assert (taken.accepted, taken.refused_as, set(taken.heads)) == (LEAST_BLOCK, ("revoked_key",), {left})
    assert [sample.raw for sample in door.reader.samples()][::-1] == raws[left]
    packed = [block.packed for _, proof in proofs.values() for block in proof.blocks]
    assert not [row for row in door.sql("SELECT packed FROM block") if row[0] in packed]


def test_an_answer_to_other_records_is_passed_over(door: Door, one: FakeProbe) -> None:
    messages = group((one,), ["test"] * 3, 0)
    ((task, _),) = proofs_of(door, messages).values()
    (proof,) = Opener(HELLO).prove([Task("p-one", task.name, task.public, task.payloads[:1])])
    assert door.ingest.take(messages, T0_MS, {"p-one": (task, proof)}).accepted == 3


def _read(raw: bytes) -> tuple[AnyRecord, AnyRecord]:
    body = codec.body_of(raw)
    return codec.decode_body(body), light.read(body)


@pytest.mark.parametrize("name", sorted(path.name for path in GOLDEN.glob("*.note")))
def test_a_light_record_says_the_same_as_the_whole_one(name: str) -> None:
    whole, part = _read((GOLDEN / name).read_bytes())

    def compare(one: Any, other: Any) -> None:
        for field in getattr(other, "__struct_fields__", ()):
            mine, its = getattr(one, field), getattr(other, field)
            if hasattr(its, "__struct_fields__"):
                compare(mine, its)
            else:
                assert mine == its, field

    compare(whole, part)
    for ask in (is_test, is_coverage, is_clock, plmn_of):
        assert ask(whole) == ask(part)
    assert whole.__struct_config__.tag == part.__struct_config__.tag


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenerLine]:
    monkeypatch.setattr(opener_line, "AGAIN_S", 0.0)
    found = OpenerLine(HELLO)
    yield found
    found.close()


def asked(line: OpenerLine, one: FakeProbe) -> list[Task]:
    """A task, once the process has it."""
    key = one.signer.verifier
    tasks = [Task("p-one", key.name, key.public, [bundle.encode([one.test() for _ in range(3)])])]
    until(lambda: line.ask(tasks), 60, what="the opener has begun")
    return tasks


def test_what_it_answers_is_what_it_was_asked(line: OpenerLine, one: FakeProbe) -> None:
    asked(line, one)
    tasks = asked(line, one)  # the first answer was never fetched: it is not taken for this one's
    (proof,) = line.answer(1) or ()
    assert [proof] == Opener(HELLO).prove(tasks[:1])


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_one_that_dies_or_hangs_is_started_again(
    line: OpenerLine, one: FakeProbe, how: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked(line, one)
    assert line.answer(1) is not None
    first = line.pid
    assert first is not None
    os.kill(first, how)
    monkeypatch.setattr(opener_line, "HUNG_S", 0.3)
    tasks = [Task("p-one", "x", bytes(32), [b"x" * 1_000_000])]
    assert not (line.ask(tasks) and line.answer(1))
    assert line.pid is None
    assert not psutil.pid_exists(first)
    monkeypatch.setattr(opener_line, "HUNG_S", 60.0)
    asked(line, one)
    assert line.pid not in {None, first}


def test_one_that_hangs_before_its_first_word_is_started_again(
    line: OpenerLine, one: FakeProbe, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = Task("p-one", "x", bytes(32), [b"x"])
    monkeypatch.setattr(opener_line, "HUNG_S", 0.3)
    assert not line.ask([task])
    first = line.pid
    assert first is not None
    os.kill(first, signal.SIGSTOP)
    until(lambda: line.ask([task]) is False and line.pid is None, what="it was given up")
    assert not psutil.pid_exists(first)
    monkeypatch.setattr(opener_line, "HUNG_S", 60.0)
    asked(line, one)


def test_one_that_cannot_be_started_leaves_nothing_open(
    line: OpenerLine, one: FakeProbe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As while the program's folder is replaced: tried again every 10 s for as long as a backlog lasts."""
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    task = Task("p-one", "x", bytes(32), [b"x"])
    before = psutil.Process().num_fds()
    for _ in range(20):
        assert not line.ask([task])
    assert psutil.Process().num_fds() == before
    monkeypatch.undo()
    monkeypatch.setattr(opener_line, "AGAIN_S", 0.0)
    asked(line, one)


@pytest.mark.services
def test_nothing_is_lost_when_it_is_killed_under_receive(bench: Bench, one: FakeProbe, two: FakeProbe) -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("receive opens everything itself on one core")
    bench.receiving()
    process = bench.receive.process
    assert process is not None
    sent: list[bytes] = []
    os.kill(process.pid, signal.SIGSTOP)
    for probe in (one, two):
        for _ in range(24):
            raws = [probe.test() for _ in range(30)]
            sent += raws
            bench.field.send(probe.probe, *raws)
    until(lambda: bench.broker.text().count("Received PUBLISH from field") >= 48)
    os.kill(process.pid, signal.SIGCONT)
    child = until(lambda: psutil.Process(process.pid).children(), 60, what="the opener")[0]
    child.kill()
    until(lambda: (bench.field.upto("p-one"), bench.field.upto("p-two")) == (one.seq - 1, two.seq - 1), 60)
    held = {sample.raw for sample in bench.reader.samples(limit=10_000)}
    assert held == set(sent)
    assert bench.reader.deliveries().refused == 0


def test_small_groups_never_wait_for_it(door: Door, one: FakeProbe) -> None:
    door.ingest.line = OpenerLine(HELLO)
    raws = [one.test() for _ in range(20)]
    assert door.ingest.hand([Message(topics.up("p-one"), bundle.encode(raws))]) == ()
    assert door.ingest.line.pid is None
    assert sum(map(len, raws)) < ingest.LEAST_AHEAD_BYTES
