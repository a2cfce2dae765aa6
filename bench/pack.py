"""An evidence pack of a month: `python -m bench.pack`. How long it takes to make and to verify, and how large it is.

A commune of five stations with 12 tests and 24 coverage records a day for 31 days (5,580 records), sealed; records are
real, signed and taken by the real door. QUICK=1: one station. Writes bench/results/pack.json. Source: design §12.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec

from collector.core.clock import HOUR_MS, month_of
from collector.core.period import Period
from collector.evidence_pack import Packer, Wanted
from collector.leaves import LedgerLeaves
from collector.proofs import Prover
from collector.seal import Sealer
from collector.seal_store import SealStore
from collector.settings import LogSettings
from collector.tile_files import TileFiles
from tests.collector.kit import ORIGIN, T0_MS, FakeProbe
from tests.collector.test_web_world import World
from wire import onefile, topics
from wire.note import Signer

RESULTS = Path(__file__).parent / "results" / "pack.json"
START_MS, END_MS = month_of(T0_MS)
STATIONS = 1 if os.environ.get("QUICK") else 5
MAKE_S, VERIFY_S, MOST_MB = 30.0, 30.0, 20.0


def fill(here: World) -> int:
    """Play the month; how many records."""
    probes = [FakeProbe(f"p-{n}") for n in range(STATIONS)]
    here.registry.load({
        "probes": [{"id": p.probe, "vkey": p.signer.verifier.vkey, "site": "s-one"} for p in probes],
    }, START_MS)  # fmt: skip
    here.now_ms, count = END_MS + HOUR_MS, 0
    for probe in probes:
        raws: list[bytes] = []
        for hour in range((END_MS - START_MS) // HOUR_MS + 1):
            t_ms = START_MS + hour * HOUR_MS
            raws.append(probe.coverage("C" * 57 + "NND", "." * 57 + "ssn", t_ms=t_ms))
            if hour % 2 == 0:
                raws.append(probe.test(t_ms=t_ms + 60_000, slot_ms=t_ms, downlink_bps=10_000_000 + 7919 * hour))
        for at in range(0, len(raws), 32):
            here.take(*raws[at : at + 32], topic=topics.up(probe.probe))
        count += len(raws)
    return count


def main() -> int:
    """Run; 0 if it could measure."""
    with tempfile.TemporaryDirectory() as folder:
        here = World(Path(folder))
        records = fill(here)
        settings = msgspec.structs.replace(here.settings, log=LogSettings(key_file="log.key"))
        key = Signer.from_seed(f"{ORIGIN}/log", bytes(range(32)))
        store, leaves = SealStore(settings.seal), LedgerLeaves(settings.ledger)
        Sealer(store, [leaves], settings.log_folder, key, ORIGIN).round(END_MS)
        lines = Prover(store, settings.log_folder).vkeys(key.verifier)
        TileFiles(settings.log_folder).put("vkeys", "\n".join(lines).encode() + b"\n")
        began = time.perf_counter()
        made = Packer(settings, here.reader, here.registry).make(Wanted("05755", Period(START_MS, END_MS)))
        make_s = time.perf_counter() - began
        (Path(folder) / "pack.zip").write_bytes(made.raw)
        (Path(folder) / "dosong-verify.py").write_text(onefile.text())
        began = time.perf_counter()
        words = [sys.executable, "-I", "dosong-verify.py", "pack.zip"]
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
        verify_s = time.perf_counter() - began
        if done.returncode:
            print(done.stdout[-2000:], done.stderr, file=sys.stderr)
            return 1
        here.close()
        store.close()
        leaves.close()
    return told(records, made.records, len(made.raw), make_s, verify_s)


def told(records: int, packed: int, size: int, make_s: float, verify_s: float) -> int:
    """Print the goals and keep the figures."""
    found: dict[str, Any] = {
        "stations": STATIONS, "records": records, "packed": packed, "bytes": size, "make_s": make_s,
        "verify_s": verify_s,
    }  # fmt: skip
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(found, indent=1))
    goals = (
        ("pack made and checked, s", make_s, MAKE_S),
        ("pack verified by the one file, s", verify_s, VERIFY_S),
        ("pack of a month, MB", size / 1e6, MOST_MB),
    )
    print(f"{packed} records of {STATIONS} stations, {size} bytes ({size / packed:.0f} a record)")
    for name, figure, goal in goals:
        print(f"goal: {name}: {figure:.1f} (at most {goal:.0f}): {'met' if figure <= goal else 'short'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
