"""Probes are revoked one after the other in sessions that stand: from the word on nothing of theirs is accepted.

A fleet sends under load; `dosong-provision revoke` is run as the office runs it. Counted are records that the ledger
took behind the moment at which the command had answered, and for how long a revoked probe's messages still reached the
collector (mosquitto reads its lists again and mutes the session; nothing of it passes, and no new one is let in).
The others must go on being acknowledged.
Source: facts note 08 §7.2 row 21, §8 (revocation).

Examples:
  python -m tests.faults.revocation              10 of 20 probes (half a minute)
  python -m tests.faults.revocation --revoked 2  a short one
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path

from collector.ledger import LedgerReader
from tests.faults.judge import keep
from tests.faults.world import ROOT, Fleet, World, reader, wait_for, worlds

GONE_S = 300.0
"""So long may a session go on reaching the collector (facts note 08 §8)."""
LISTEN_S = 5.0
"""So long each revoked probe goes on sending before its messages are counted."""
PAGE = 1000


@dataclass(slots=True)
class Done:
    """`revoked_ms`: when each command had answered; the last three are of records, messages and the others."""

    probes: int = 0
    revoked_ms: dict[str, int] = field(default_factory=dict)
    command_s: list[float] = field(default_factory=list)
    before: int = 0
    accepted_after: int = 0
    reached_s: float = 0.0
    others_after: int = 0
    silent_others: int = 0

    @property
    def is_ok(self) -> bool:
        """Nothing accepted, heard for less than the bound, everybody else went on."""
        return not (self.accepted_after or self.silent_others) and self.before > 0 and self.reached_s <= GONE_S


def main(argv: list[str] | None = None) -> int:
    """Revoke, count; exits 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--probes", type=int, default=20, help="how many simulated probes (20)")
    parser.add_argument("--revoked", type=int, default=10, help="how many of them are revoked (10)")
    options = parser.parse_args(argv)
    if not 0 < options.revoked < options.probes:
        parser.error("--revoked: at least one, and fewer than --probes, for the others must go on")
    with tempfile.TemporaryDirectory(prefix="dosong-revocation-") as name:
        done = run(Path(name), options.probes, options.revoked)
    keep("faults_revocation", asdict(done))
    return tell(done)


def run(folder: Path, probes: int, revoked: int) -> Done:
    """Play it once."""
    done = Done(probes)
    with worlds(folder, probes) as world:
        keeper = world.keeper()
        fleet = world.fleet("--rate", "10", "--days", "400")
        try:
            wait_for("every session stands", lambda: fleet.status().get("sessions") == probes, 120)
            for number in range(revoked):
                _flows(fleet)
                began_s = time.monotonic()
                _revoke(world, f"p-{number:05d}")
                done.command_s.append(round(time.monotonic() - began_s, 2))
                done.revoked_ms[f"p-{number:05d}"] = _now_ms()
            last_ms = _now_ms()
            wait_for("time passes", lambda: _now_ms() > last_ms + LISTEN_S * 1000, 60)
            _count(world, done, [f"p-{number:05d}" for number in range(revoked, probes)], last_ms)
        finally:
            fleet.close()
            keeper.close()
    return done


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _flows(fleet: Fleet) -> None:
    """Until something that was signed after now is acknowledged."""
    made = fleet.status()["made"]
    wait_for("records are acknowledged", lambda: fleet.status()["acked"] > made, 60)


def _revoke(world: World, probe: str) -> None:
    argv = [sys.executable, "-m", "provisioning", "revoke", "--dir", str(world.root), probe]
    subprocess.run(argv, check=True, capture_output=True, timeout=60, cwd=ROOT, env=os.environ)


def _count(world: World, done: Done, others: list[str], last_ms: int) -> None:
    """What the ledger took and heard of each, before and after."""
    went_on = dict.fromkeys(others, 0)
    with closing(reader(world)) as ledger:
        for probe, received_ms in _received(ledger):
            if probe in done.revoked_ms:
                after = received_ms > done.revoked_ms[probe]
                done.before, done.accepted_after = done.before + (not after), done.accepted_after + after
            else:
                went_on[probe] += received_ms > last_ms
        for one in ledger.refusals(100_000):
            at_ms = done.revoked_ms.get(one.probe or "")
            if at_ms is not None:
                done.reached_s = max(done.reached_s, (one.received_ms - at_ms) / 1000)
    done.others_after = sum(went_on.values())
    done.silent_others = sum(not count for count in went_on.values())


def _received(ledger: LedgerReader) -> list[tuple[str, int]]:
    """Probe and time of arrival of every record."""
    found: list[tuple[str, int]] = []
    after = 0
    while page := ledger.samples(after_n=after, limit=PAGE, newest_first=False):
        found += ((one.probe, one.received_ms) for one in page)
        after = page[-1].n
    return found


def tell(done: Done) -> int:
    """Print the goals; exit status."""
    what = f"{len(done.revoked_ms)} of {done.probes} probes revoked in their sessions, {done.before} records before"
    print(f"{what}; the command took {max(done.command_s)} s at most; {done.others_after} records of others behind it")
    print(
        f"goal: revocation: records accepted after the word: {done.accepted_after} (0): {_met(not done.accepted_after)}"
    )
    heard = done.reached_s <= GONE_S
    print(f"goal: revocation: messages got through for {done.reached_s:.1f} s more ({GONE_S:.0f}): {_met(heard)}")
    print(f"goal: revocation: others that fell silent: {done.silent_others} (0): {_met(not done.silent_others)}")
    return int(not done.is_ok)


def _met(is_so: bool) -> str:
    return "met" if is_so else "short"


if __name__ == "__main__":
    sys.exit(main())
