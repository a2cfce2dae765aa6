"""The sealer's machine is lost and the ledger in PostgreSQL is not: nobody signs a second root for a size."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from collector.leaves import SOURCES, LedgerLeaves
from collector.ledger_place import Remote
from collector.seal import Sealer
from collector.seal_audit import Broken
from collector.seal_mark import SealMark
from collector.seal_store import SealStore
from tests.collector.door import Door
from tests.collector.kit import ORIGIN, T0_MS, FakeProbe
from wire.note import Signer

KEY = Signer.from_seed(f"{ORIGIN}/log", bytes(range(32)))


class Stopped(Exception):
    """The power went."""


@pytest.fixture
def inside(tmp_path: Path, one: FakeProbe, two: FakeProbe, postgres: Remote) -> Iterator[Door]:
    made = Door(tmp_path, one, two, place=postgres)
    yield made
    made.close()


@contextmanager
def machine(folder: Path, place: Remote, stop_at: str = "") -> Iterator[Sealer]:
    """A sealer whose own files lie in `folder`; `stop_at`: the step behind which it is gone."""

    def step(name: str) -> None:
        if name == stop_at:
            raise Stopped(name)

    folder.mkdir(exist_ok=True)
    leaves = [LedgerLeaves(place, source) for source in SOURCES]
    mark = SealMark(place)
    with closing(SealStore(folder / "seal.db")) as store:
        yield Sealer(store, leaves, folder / "log", KEY, ORIGIN, step=step, mark=mark)
    for one in (*leaves, mark):
        one.close()


def test_a_new_machine_signs_nothing_under_the_name_of_the_lost_ones_log(
    inside: Door, tmp_path: Path, one: FakeProbe, postgres: Remote
) -> None:
    inside.take("p-one", one.test(), one.test())
    with machine(tmp_path / "a", postgres) as sealer:
        signed = sealer.round(T0_MS).signed
        assert signed is not None
    inside.take("p-one", one.test())
    with machine(tmp_path / "b", postgres) as sealer:
        for _ in range(2):
            with pytest.raises(Broken, match=r"2 entries of .* were signed, and seal.db knows of 0.*restored"):
                sealer.round(T0_MS)
        assert list((tmp_path / "b").rglob("checkpoint")) == []
        gen = inside.ledger.raise_generation(T0_MS)
        begun = sealer.round(T0_MS).signed
        assert begun is not None
        assert begun.size == 3
        assert begun.note.startswith(f"{ORIGIN}/log/2026-{gen}\n".encode())


def test_an_older_seal_db_that_was_put_back_signs_nothing_more(
    inside: Door, tmp_path: Path, one: FakeProbe, postgres: Remote
) -> None:
    inside.take("p-one", one.test())
    with machine(tmp_path / "a", postgres) as sealer:
        sealer.round(T0_MS)
    shutil.copytree(tmp_path / "a", tmp_path / "old")
    inside.take("p-one", one.test())
    with machine(tmp_path / "a", postgres) as sealer:
        sealer.round(T0_MS)
    inside.take("p-one", one.test())
    with machine(tmp_path / "old", postgres) as sealer, pytest.raises(Broken, match=r"2 entries .* knows of 1"):
        sealer.round(T0_MS)
    with machine(tmp_path / "a", postgres) as sealer:
        signed = sealer.round(T0_MS).signed
        assert signed is not None
        assert signed.size == 3


@pytest.mark.parametrize("stop_at", ["signed", "persisted", "published"])
def test_what_anybody_saw_is_noted_before(
    inside: Door, tmp_path: Path, one: FakeProbe, postgres: Remote, stop_at: str
) -> None:
    """A stop at any step: what was published is noted; what was not is told by the next round, and noted before."""
    inside.take("p-one", one.test())
    with machine(tmp_path / "a", postgres, stop_at) as sealer, pytest.raises(Stopped):
        sealer.round(T0_MS)
    seen = [path for path in (tmp_path / "a").rglob("checkpoint") if path.is_file()]
    mark = SealMark(postgres)
    with closing(mark):
        assert mark.size(0, 2026) >= len(seen)
        with machine(tmp_path / "a", postgres) as sealer:
            sealer.round(T0_MS)
        assert mark.size(0, 2026) == 1
