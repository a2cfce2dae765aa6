"""Two workers on one PostgreSQL under load, one killed -9: `python -m tests.faults.workers`, ends in `goal:` lines.

A real mosquitto, real `dosong-collector receive` processes, probes that send again what no signed acknowledgement
covers.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from collector.ledger import LedgerReader
from collector.ledger_place import Remote
from collector.pg import PgDatabase
from tests.collector.kit import Deployment, FakeProbe, Field, Mosquitto, Service
from tests.collector.postgres import Cluster
from wire import topics

WINDOW = 12
AGAIN_S = 2.0


@dataclass
class Sender:
    """One probe with its spool: sends a window of what is not acknowledged, again when nothing moves."""

    probe: FakeProbe
    raws: list[bytes]
    sent: int = 0
    bundled: int = 1
    moved_s: float = field(default_factory=time.monotonic)
    upto: int = -1

    def turn(self, air: Field) -> None:
        """Look at the acknowledgement, send what is due."""
        now_s, upto = time.monotonic(), air.upto(self.probe.probe)
        if upto is not None and upto > self.upto:
            self.upto, self.moved_s = upto, now_s
        if now_s - self.moved_s > AGAIN_S:
            self.sent, self.moved_s = self.upto + 1, now_s
        while self.sent < min(len(self.raws), self.upto + 1 + WINDOW * self.bundled):
            air.send(self.probe.probe, *self.raws[self.sent : self.sent + self.bundled])
            self.sent += self.bundled

    @property
    def is_done(self) -> bool:
        """Whether all of it is acknowledged."""
        return self.upto == len(self.raws) - 1


class Crew:
    """A broker, a field and some workers over one ledger."""

    def __init__(self, folder: Path, place: Remote, probes: int, records: int, workers: int, bundled: int = 1) -> None:
        self.place = place
        made = [FakeProbe(f"p-{number:03d}") for number in range(probes)]
        self.senders = [Sender(one, [one.test() for _ in range(records)], bundled=bundled) for one in made]
        self.broker = Mosquitto(folder)
        self.deployments: list[Deployment] = []
        self.workers: list[Service] = []
        for number in range(workers):
            room = folder / f"w{number}"
            room.mkdir()
            one = Deployment(room, f'socket = "{self.broker.socket}"', *made)
            if self.deployments:
                shutil.copy(self.deployments[0].folder / "ack.key", room / "ack.key")
            with one.config.open("a") as file:
                file.write(f'[ledger]\nurl = "{place.url}"\nworker = "w{number}"\n')
            self.deployments.append(one)
            self.workers.append(one.program("receive"))
        self._made = made
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Crew:
        self.broker.start()
        self._stack.callback(self.broker.stop)
        for worker in self.workers:
            self._stack.callback(worker.stop)
            worker.start()
        verifier = self.deployments[0].ack_signer.verifier
        self.air = Field(self.broker.port, verifier, *self._made)
        self._stack.callback(self.air.close)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def leases(self) -> dict[int, str]:
        """Who has which partition now."""
        db = PgDatabase(self.place)
        now = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
        rows = db.execute(f"SELECT part, worker FROM lease WHERE until_ms > {now}").fetchall()  # noqa: S608
        db.close()
        return {part: worker for part, worker in rows if worker}

    def shared(self, within_s: float = 100.0) -> None:
        """Wait until every partition has a worker, and every worker that is to live has some."""
        _until(lambda: len(self.leases()) == topics.PARTS and self._busy() == len(self.workers), within_s)

    def _busy(self) -> int:
        return len(set(self.leases().values()))

    def turn(self) -> bool:
        """One turn of every probe; whether all is acknowledged."""
        for one in self.senders:
            one.turn(self.air)
        return all(one.is_done for one in self.senders)

    def acknowledged(self) -> int:
        """Records that signed acknowledgements cover."""
        return sum(one.upto + 1 for one in self.senders)

    def faults(self) -> list[str]:
        """What is lost or there twice in the ledger, against what every probe made."""
        reader = LedgerReader(self.place)
        found = []
        for one in self.senders:
            name = one.probe.probe
            held = [sample.raw for sample in reader.samples(probe=name, newest_first=False, limit=100_000)]
            lost, twice = Counter(one.raws) - Counter(held), Counter(held) - Counter(one.raws)
            if lost or twice:
                found.append(f"{name}: {len(one.raws)} made, {lost.total()} of them lost, {twice.total()} held beyond")
            elif held != one.raws:
                print(f"  {name}: {len(held)} held, some behind later ones: a message came again after the next")
        reader.close()
        return found


def _until(true: object, within_s: float) -> None:
    deadline_s = time.monotonic() + within_s
    while not true():  # type: ignore[operator]
        if time.monotonic() > deadline_s:
            raise AssertionError(f"not within {within_s:.0f} s")
        time.sleep(0.05)


def kill_one(crew: Crew, within_s: float) -> float:
    """Kill the first worker -9 once a third is acknowledged; go on until all is. Returns how long partitions lay idle:
    the greatest time from the kill to the next acknowledgement of a probe that was the killed one's."""
    crew.shared(within_s)
    total, deadline_s = sum(len(one.raws) for one in crew.senders), time.monotonic() + within_s
    killed_s, waiting, idle_s = None, dict[str, tuple[Sender, int]](), 0.0
    while not crew.turn():
        if time.monotonic() > deadline_s:
            raise AssertionError(f"only {crew.acknowledged()} of {total} acknowledged")
        if killed_s is None and crew.acknowledged() > total // 3:
            was = crew.leases()
            os.kill(crew.workers[0].process.pid, signal.SIGKILL)  # type: ignore[union-attr]
            killed_s = time.monotonic()
            lost = [one for one in crew.senders if was.get(topics.part(one.probe.probe)) == "w0" and not one.is_done]
            waiting = {one.probe.probe: (one, one.upto) for one in lost}
        for name, (one, upto) in list(waiting.items()):
            if one.upto > upto + WINDOW or one.is_done:
                idle_s = max(idle_s, time.monotonic() - (killed_s or 0.0))
                del waiting[name]
        time.sleep(0.02)
    if killed_s is None:
        raise AssertionError("all was acknowledged before a worker could be killed; give each probe more records")
    return idle_s


@contextlib.contextmanager
def crew(
    probes: int, records: int, workers: int, cluster: Cluster, name: str = "crew", bundled: int = 1
) -> Iterator[Crew]:
    """A crew in a folder of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="dosong-crew-") as folder,
        Crew(Path(folder), cluster.database(name), probes, records, workers, bundled) as made,
    ):
        yield made


def main() -> int:
    """Kill, count, print; 1 if something was lost."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--probes", type=int, default=40)
    parser.add_argument("--records", type=int, default=150)
    asked = parser.parse_args()
    cluster = Cluster().init().start()
    try:
        with crew(asked.probes, asked.records, 2, cluster) as made:
            idle_s = kill_one(made, 400)
            faults = made.faults()
    finally:
        cluster.remove()
    print(f"{asked.probes} probes, {asked.records} records each, two workers, one killed -9 under load")
    met = "met" if idle_s <= 15 else "short"
    print(f"goal: a killed worker's partitions are received again, s: {idle_s:.1f} (<= 15): {met}")
    print(f"goal: records lost or doubled: {len(faults)} (0): {'short' if faults else 'met'}")
    for fault in faults:
        print(f"  {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
