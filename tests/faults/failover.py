"""The primary PostgreSQL dies under load, the standby is promoted: `python -m tests.faults.failover`.

Two clusters on this machine, the second a synchronous standby; `receive` and `seal` know both addresses. The primary's
processes are killed -9 as a machine dies; then the steps of docs/postgresql.md are done. Ends in `goal:` lines: nothing
acknowledged is lost, the roots of the log are those that were signed.
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
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from collector.backup import verify
from collector.ledger_place import Remote
from collector.pg import PgDatabase
from collector.seal_store import SealReader
from tests.collector.kit import ORIGIN
from tests.collector.postgres import ROLE, Cluster
from tests.faults.workers import Crew
from wire.errors import Refused, Unavailable
from wire.keyfile import write_signer
from wire.note import Signer

WITHIN_S = 400


def standby_of(primary: Cluster) -> Cluster:
    """A synchronous standby, as docs/postgresql.md makes one."""
    made = Cluster(port=primary.port + 1)
    source = f"host={primary.folder} port={primary.port} user=postgres application_name=standby"
    primary.run("pg_basebackup", "-d", source, "-D", str(made.data), "-R", "-X", "stream", "-c", "fast")
    made.configure(f"port = {made.port}", f"unix_socket_directories = '{made.folder}'")
    made.start()
    tell(primary, "ALTER SYSTEM SET synchronous_standby_names = 'standby'", "SELECT pg_reload_conf()")
    root = PgDatabase(Remote(primary.url("postgres", "postgres")))
    deadline_s = time.monotonic() + WITHIN_S
    sql = "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'"
    while not root.execute(sql).fetchall() and time.monotonic() < deadline_s:
        time.sleep(0.1)
    root.close()
    return made


def tell(cluster: Cluster, *statements: str) -> None:
    """Statements to a cluster as its superuser."""
    root = PgDatabase(Remote(cluster.url("postgres", "postgres")))
    for statement in statements:
        root.execute(statement)
    root.close()


def die(cluster: Cluster) -> None:
    """Kill every process of a cluster -9: the postmaster first, so that it restarts none."""
    postmaster = cluster.pid()
    children = [int(path.name) for path in Path("/proc").glob("[0-9]*") if _parent(path) == postmaster]
    for pid in (postmaster, *children):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _parent(path: Path) -> int | None:
    try:
        return int((path / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


def promote(standby: Cluster) -> None:
    """The documented steps: promote, and wait for no standby until there is another one."""
    standby.run("pg_ctl", "-D", str(standby.data), "-w", "promote")
    tell(standby, "ALTER SYSTEM SET synchronous_standby_names = ''", "SELECT pg_reload_conf()")


@dataclass(frozen=True, slots=True)
class Done:
    """What a failover did: how many records were acknowledged when the primary died, what is lost, what `verify` says
    of the roots, and after how many seconds records were acknowledged and checkpoints signed again."""

    acknowledged: int
    lost: list[str]
    told: list[str]
    received_s: float
    signed_s: float


def fail_over(probes: int, records: int) -> Done:
    """Kill, promote, go on."""
    primary = Cluster(port=5432).init("synchronous_commit = on").start()
    standby = None
    try:
        primary.database("ledger")
        standby = standby_of(primary)
        hosts = f"host={primary.folder},{standby.folder}&port={primary.port},{standby.port}"
        place = Remote(f"postgresql://{ROLE}@/ledger?{hosts}&target_session_attrs=primary")
        with tempfile.TemporaryDirectory(prefix="dosong-failover-") as name:
            return _under_load(Crew(Path(name), place, probes, records, 1), primary, standby)
    finally:
        for one in (primary, standby):
            if one is not None:
                one.stop("immediate")
                shutil.rmtree(one.folder, ignore_errors=True)


def _under_load(crew: Crew, primary: Cluster, standby: Cluster) -> Done:
    home = crew.deployments[0]
    write_signer(home.folder / "log.key", Signer.generate(f"{ORIGIN}/log"))
    with home.config.open("a") as file:
        file.write('[log]\nkey_file = "log.key"\nevery_s = 1\n')
    seal = home.program("seal")
    total = sum(len(one.raws) for one in crew.senders)
    with crew, contextlib.ExitStack() as stack:
        stack.callback(seal.stop)
        seal.start()
        crew.shared(WITHIN_S)
        deadline_s = time.monotonic() + WITHIN_S
        while not _sealed(home.state) and time.monotonic() < deadline_s:  # a root is to be signed before
            if crew.acknowledged() < total // 4:
                crew.turn()
            time.sleep(0.05)
        at, received_s, signed_s = _through(crew, home.state, total, lambda: (die(primary), promote(standby)))
        while _sealed(home.state) < total and time.monotonic() < deadline_s:
            time.sleep(0.2)
        lost = crew.faults()
    told: list[str] = []
    try:  # the sealer has signed a last time at its end
        verify(home.state, told.append, crew.place)
    except Refused as error:
        told.append(f"BROKEN: {error}")
    return Done(at, lost, told, received_s, signed_s)


def _through(crew: Crew, state: Path, total: int, fail: Callable[[], object]) -> tuple[int, float, float]:
    """Send until all is acknowledged and a checkpoint is signed over more; `fail` once a third is acknowledged.

    Returns how many were then, and after how many seconds more were acknowledged, and signed.
    """
    died_s, received_s, signed_s, at, sealed = 0.0, 0.0, 0.0, 0, 0
    deadline_s = time.monotonic() + WITHIN_S
    while not (crew.turn() and signed_s) and time.monotonic() < deadline_s:
        if not died_s and crew.acknowledged() > total // 3:
            at, sealed, died_s = crew.acknowledged(), _sealed(state), time.monotonic()
            fail()
        if died_s and not received_s and crew.acknowledged() > at + 20:
            received_s = time.monotonic() - died_s
        if died_s and not signed_s and _sealed(state) > sealed:
            signed_s = time.monotonic() - died_s
        time.sleep(0.02)
    return at, received_s, signed_s


def _sealed(state: Path) -> int:
    """Entries of the log that a checkpoint is signed over; 0 before the first one."""
    with contextlib.suppress(Unavailable), contextlib.closing(SealReader(state / "seal.db")) as store:
        return max((signed.size for shard in store.shards() if (signed := store.last_checkpoint(shard.n))), default=0)
    return 0


def main() -> int:
    """Run it, print; 1 if something acknowledged was lost or a root broke."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--probes", type=int, default=30)
    parser.add_argument("--records", type=int, default=100)
    asked = parser.parse_args()
    done = fail_over(asked.probes, asked.records)
    print(f"primary killed -9 with {done.acknowledged} records acknowledged; standby promoted", end="; ")
    print(f"receiving again after {done.received_s:.1f} s, signing after {done.signed_s:.1f} s")
    for line in (*done.lost, *done.told):
        print(f"  {line}")
    unbroken = bool(done.told) and done.signed_s > 0 and not any(one.startswith("BROKEN") for one in done.told)
    lost = len(done.lost)
    print(f"goal: probes with records lost or doubled at a failover: {lost} (0): {'short' if lost else 'met'}")
    print(f"goal: roots of the log unbroken after a failover: {unbroken} (True): {'met' if unbroken else 'short'}")
    return 0 if unbroken and not lost else 1


if __name__ == "__main__":
    sys.exit(main())
