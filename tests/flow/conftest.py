"""One small world for the tests of the whole way: the real programs, and one site with its probe."""

from __future__ import annotations

import base64
import json
import os
import sqlite3
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from sim import demo_world, site
from sim.demo_scene import CHECK, PLACES
from sim.demo_world import World
from sim.programs import module, run
from wire import codec

PLACE = replace(PLACES[0], engine="speedtest-cli")
"""The engine with the failpoint of the wrong way; `test_receipts` asks the other one."""
EPOCH = 2
PACE = replace(CHECK, slot_s=12, test_s=2, steps=3, history_days=0)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test here needs root, and takes minutes rather than seconds."""
    for item in items:
        if Path(__file__).parent in Path(item.path).parents:
            item.add_marker(pytest.mark.flow)
            item.add_marker(pytest.mark.netns)
            item.add_marker(pytest.mark.services)
            item.add_marker(pytest.mark.timeout(240))


@dataclass(frozen=True, slots=True)
class Whole:
    """The world with the questions that these tests ask of it."""

    world: World

    @property
    def spool(self) -> Path:
        """The probe's spool file."""
        return demo_world.identity(self.world, PLACE) / "state" / "spool.db"

    @property
    def settings(self) -> Path:
        """The probe's settings file."""
        return demo_world.identity(self.world, PLACE) / "probe.toml"

    def ledger(self) -> list[dict[str, Any]]:
        """All live records in the ledger, in the order of their commit; `record` is decoded from the signed bytes."""
        settings = str(demo_world.collector_settings(self.world))
        text = run(*module("collector", "export", "--config", settings, "--epoch", str(EPOCH)))
        rows = [json.loads(line) for line in text.splitlines()]
        for row in rows:
            raw = base64.b64decode(row["raw"])
            row["leaf"] = codec.leaf_hash(raw)
            row["record"] = None if row["fault"] else codec.decode_body(codec.body_of(raw))
        return rows

    def tests(self) -> list[dict[str, Any]]:
        """The ledger's test records."""
        return [row for row in self.ledger() if row["kind"] == "test"]

    def spooled(self) -> list[tuple[int, bytes, int]]:
        """(seq, leaf, place) of every live record in the probe's spool; place 1 is acknowledged."""
        if not self.spool.exists():
            return []
        with closing(sqlite3.connect(f"file:{self.spool}?mode=ro", uri=True, timeout=10)) as db:
            query = "SELECT seq, leaf, place FROM record WHERE epoch = ? ORDER BY seq"
            return list(db.execute(query, (EPOCH,)))

    def last_seq(self, kind: str = "%") -> int:
        """The newest seq of a kind in the probe's spool; -1 if there is none."""
        with closing(sqlite3.connect(f"file:{self.spool}?mode=ro", uri=True, timeout=10)) as db:
            query = "SELECT coalesce(max(seq), -1) FROM record WHERE epoch = ? AND kind LIKE ?"
            return int(db.execute(query, (EPOCH, kind)).fetchone()[0])

    def acknowledged(self) -> int:
        """How many live records the probe has a signed receipt for."""
        return sum(place == 1 for _, _, place in self.spooled())

    def influx_tests(self) -> int:
        """How many live test points InfluxDB holds."""
        query = f'SELECT count("seq") FROM "test" WHERE "epoch" = {EPOCH}'  # noqa: S608
        asked = urllib.parse.urlencode({"db": "dosong", "q": query})
        with urllib.request.urlopen(f"{self.world.influx_url}/query?{asked}", timeout=10) as answer:  # noqa: S310
            series = json.load(answer)["results"][0].get("series", [])
        return int(series[0]["values"][0][1]) if series else 0

    def control(self, verb: str, **args: Any) -> None:
        """Change the site."""
        site.control(self.world.directory, PLACE.name, verb, **args)


def eventually(what: str, is_so: Callable[[], bool], patience_s: float = 90) -> None:
    """Poll until `is_so`; fail with `what` after `patience_s`."""
    deadline = time.monotonic() + patience_s
    while not is_so():
        assert time.monotonic() < deadline, f"after {patience_s:.0f} s still not: {what}"
        time.sleep(0.25)


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    """A running world, shared by the tests of this folder."""
    if os.geteuid() != 0:
        pytest.skip("needs root: it makes network namespaces")
    root = tmp_path_factory.mktemp("whole")
    world = demo_world.make(root, "netns", PACE, f"flow-{os.getpid()}", 0)
    try:
        demo_world.start_core(world)
        demo_world.provision(world)
        demo_world.start_servers(world)
        demo_world.start_site(world, PLACE, shaper="tbf")
        demo_world.start_probe(world, PLACE)
        yield Whole(world)
    finally:
        demo_world.stop(world)
