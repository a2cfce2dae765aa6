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


def fail_over(probes: int, records: int) -> tuple[int, list[str], list[str], float]:
    """Kill, promote, go on. Returns how many were acknowledged then, what is lost, roots, seconds away."""
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


def _under_load(crew: Crew, primary: Cluster, standby: Cluster) -> tuple[int, list[str], list[str], float]:
    home = crew.deployments[0]
    write_signer(home.folder / "log.key", Signer.generate(f"{ORIGIN}/log"))
    with home.config.open("a") as file:
        file.write('[log]\nkey_file = "log.key"\nevery_s = 1\n')
    seal = home.program("seal")
    total, at, died_s, back_s = sum(len(one.raws) for one in crew.senders), 0, 0.0, 0.0
    with crew, contextlib.ExitStack() as stack:
        stack.callback(seal.stop)
        seal.start()
        crew.shared(WITHIN_S)
        deadline_s = time.monotonic() + WITHIN_S
        while not _sealed(home.state) and time.monotonic() < deadline_s:  # a root is to be signed before
            if crew.acknowledged() < total // 4:
                crew.turn()
            time.sleep(0.05)
        while not crew.turn() and time.monotonic() < deadline_s:
            if not died_s and crew.acknowledged() > total // 3:
                at, died_s = crew.acknowledged(), time.monotonic()
                die(primary)
                promote(standby)
            if died_s and not back_s and crew.acknowledged() > at + 20:
                back_s = time.monotonic() - died_s
            time.sleep(0.02)
        while _sealed(home.state) < total and time.monotonic() < deadline_s:
            time.sleep(0.2)
        lost = crew.faults()
    told: list[str] = []
    try:  # the sealer has signed a last time at its end
        verify(home.state, told.append, crew.place)
    except Refused as error:
        told.append(f"BROKEN: {error}")
    return at, lost, told, back_s


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
    at, lost, told, back_s = fail_over(asked.probes, asked.records)
    print(f"primary killed -9 with {at} records acknowledged; standby promoted; receiving again after {back_s:.1f} s")
    for line in (*lost, *told):
        print(f"  {line}")
    unbroken = bool(told) and at > 0 and not any(line.startswith("BROKEN") for line in told)
    print(f"goal: records lost or doubled at a failover: {len(lost)} (0): {'short' if lost else 'met'}")
    print(f"goal: roots of the log unbroken after a failover: {unbroken} (True): {'met' if unbroken else 'short'}")
    return 0 if unbroken and not lost else 1


if __name__ == "__main__":
    sys.exit(main())
