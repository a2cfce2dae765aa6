"""Yesterday's backup is put back while probes go on publishing: everybody agrees again, nothing that they hold is lost.

A fleet publishes all the time. A backup is made under load; many records later the collector's programs are killed,
its state is moved away as if the disk were gone, the backup is put back, and the programs start. From then on the
clock runs: until every probe has seen the raised generation, until all that the backup lacks has come again and is
acknowledged, until all of it is sealed in a new log that names the last checkpoint which the backup knew, and until
InfluxDB has equal counts.
Source: design §7 (ACK, `gen`, restore); issue 5.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from collector.ledger import LedgerReader
from collector.seal_store import SealReader
from tests.faults.judge import Verdict, influx_equal, judge, keep, report
from tests.faults.world import Fleet, Witness, World, is_sealed, wait_for, worlds

WITHIN_S = 300.0


@dataclass(frozen=True, slots=True)
class Done:
    """Counts of records, and seconds since the restored collector was started; `down_s`: from the kill to its start."""

    in_backup: int
    lost_with_disk: int
    made_meanwhile: int
    down_s: float
    told_s: float
    held_s: float
    sealed_s: float
    influx_s: float
    logs: list[str]
    names_lost: bool
    verdict: Verdict


def main(argv: list[str] | None = None) -> int:
    """Lose the disk, restore, judge; exits 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--probes", type=int, default=100, help="how many simulated probes (100)")
    parser.add_argument("--rate", type=float, default=1.0, help="records a second of each (1)")
    parser.add_argument("--before", type=int, default=3000, help="records before the backup (3000)")
    parser.add_argument("--after", type=int, default=9000, help="records between backup and loss (9000)")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="dosong-restore-") as name:
        done = run(Path(name), options.probes, options.rate, options.before, options.after)
    keep("faults_restore", asdict(done))
    return tell(done)


def run(folder: Path, probes: int, rate: float, before: int, after: int) -> Done:
    """Play it once."""
    with worlds(folder, probes) as world:
        keeper = world.keeper()
        fleet = world.fleet("--rate", str(rate))
        try:
            witness = Witness(world)
            wait_for("records for a backup", lambda: _acked(fleet) >= before and is_published(world), 600)
            backup = folder / "backup"
            world.call("backup", str(backup))
            held = _records(backup / "ledger.db")
            wait_for("records that will be lost", lambda: _acked(fleet) >= held + after, 600)
            lost = _acked(fleet)
            killed_s = time.monotonic()
            keeper.kill()
            world.state.rename(folder / "lost")
            world.state.mkdir()
            world.call("restore", str(backup))
            keeper = world.keeper()
            return _watch(world, fleet, witness, held, lost - held, time.monotonic() - killed_s)
        finally:
            fleet.close()
            keeper.close()


def _watch(world: World, fleet: Fleet, witness: Witness, held: int, lost: int, down_s: float) -> Done:
    """From the start of the restored collector until everybody agrees."""
    began_s, made = time.monotonic(), fleet.status()["made"]

    def since(what: str, is_so: Any) -> float:
        wait_for(what, is_so, 2 * WITHIN_S)
        return time.monotonic() - began_s

    told_s = since("every probe knows", lambda: fleet.status()["restored"] >= fleet.status()["probes"])
    held_s = since("all of it is held again", lambda: _acked(fleet) >= made)
    meanwhile = fleet.status()["made"] - made
    truth = fleet.finish()
    sealed_s = since("all of it is sealed", lambda: is_sealed(world))
    influx_s = since("InfluxDB agrees", lambda: influx_equal(world))
    verdict = judge(world, truth, witness)
    with closing(SealReader(world.settings.seal)) as log:
        shards = log.shards()
        last = log.last_checkpoint(shards[0].n)
        names_lost = len(shards) == 2 and last is not None and shards[1].first_leaf == last.note
    logs = [shard.name for shard in shards]
    return Done(held, lost, meanwhile, down_s, told_s, held_s, sealed_s, influx_s, logs, names_lost, verdict)


def is_published(world: World) -> bool:
    """Whether a checkpoint was ever public."""
    return (world.settings.log_folder / "checkpoint").exists()


def _acked(fleet: Fleet) -> int:
    return int(fleet.status()["acked"])


def _records(ledger: Path) -> int:
    with closing(LedgerReader(ledger)) as rows:
        return rows.last_n()


def tell(done: Done) -> int:
    """Print the table and one line for each promise."""
    print(
        f"in the backup: {done.in_backup} records; lost with the disk: {done.lost_with_disk}, all acknowledged before"
    )
    print(f"{'since the restored collector was started':46}{'s':>7}")
    for what, seconds in (
        ("every probe has seen the raised generation", done.told_s),
        ("all that the backup lacks is held again", done.held_s),
        ("all of it is sealed", done.sealed_s),
        ("InfluxDB has equal counts", done.influx_s),
    ):
        print(f"{what:46}{seconds:>7.1f}")
    print(f"the collector was away for {done.down_s:.1f} s; {done.made_meanwhile} records were made while it caught up")
    print(f"logs: {', '.join(done.logs)}")
    slowest = max(done.told_s, done.held_s, done.sealed_s, done.influx_s)
    soon = slowest <= WITHIN_S
    print(f"goal: restore: all agree again: {slowest:.0f} s ({WITHIN_S:.0f}): {'met' if soon else 'short'}")
    print(
        f"goal: restore: the new log names the last checkpoint of the backup: {'met' if done.names_lost else 'short'}"
    )
    print("\n".join(report("restore", done.verdict, f"{done.verdict.records} records")))
    return 0 if soon and done.names_lost and done.verdict.ok else 1


if __name__ == "__main__":
    sys.exit(main())
