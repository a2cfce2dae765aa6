"""What an outsider needs to check a million records: `python -m bench.verify`.

A thousand probes' chains of signed records (the golden mix) stand in one log; each record goes out with its proof
under a signed checkpoint, a file a probe, as `dosong-verify` reads exports. Then the one file, with nothing but
`cryptography` beside it, checks every signature, canonical form, chain and proof, on one core.
Writes bench/results/verify.json. Source: facts note 08 §8 (outside verification, proof size).

Examples:
  python -m bench.verify                      1,000,000 records (8 minutes, 4 GB of memory and of disk)
  python -m bench.verify --records 20000      a short one
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.pipeline_records import ORIGIN, Chain, Mill
from wire import onefile, tlog
from wire.note import Signer

RESULTS = Path(__file__).parent / "results" / "verify.json"
PROBES = 1000
WITHIN_S, PROOF_BYTES, OF_RECORDS = 300.0, 1536, 1_000_000


class Tree:
    """An RFC 6962 tree with every node kept, so that a proof is a walk and not a sum."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self._levels = [list(leaves)]
        while len(self._levels[-1]) > 1:
            below = self._levels[-1]
            pairs = zip(below[::2], below[1::2], strict=False)
            # The last of an odd number goes up as it is.
            self._levels.append([tlog.node_hash(left, right) for left, right in pairs] + below[len(below) & ~1 :])

    @property
    def root(self) -> bytes:
        return self._levels[-1][0]

    def path(self, index: int) -> tuple[bytes, ...]:
        """The hashes that lead from a leaf to the root."""
        found = []
        for level in self._levels[:-1]:
            if (index ^ 1) < len(level):
                found.append(level[index ^ 1])
            index >>= 1
        return tuple(found)


def make(folder: Path, records: int) -> tuple[int, int]:
    """Write export, keys and the program; return bytes of all records and of the largest proof."""
    chains, mill = [Chain(number) for number in range(PROBES)], Mill()
    each = records // len(chains)
    raws = folder / "raws"
    raws.mkdir()
    leaves: list[bytes] = []
    size = 0
    for chain in chains:
        own = [mill.next(chain) for _ in range(each)]
        leaves += map(tlog.leaf_hash, own)
        size += sum(map(len, own))
        (raws / chain.probe).write_text("\n".join(base64.b64encode(raw).decode() for raw in own))
    key = Signer.generate(f"{ORIGIN}/log/2026")
    tree = Tree(leaves)
    checkpoint = tlog.sign_checkpoint(tlog.Checkpoint(f"{ORIGIN}/log/2026", len(leaves), tree.root), key)
    export = folder / "export"
    export.mkdir()
    largest = index = 0
    for chain in chains:
        with (export / f"{chain.probe}.jsonl").open("w") as file:
            for raw in (raws / chain.probe).read_text().split("\n"):
                proof = tlog.proof_text(tlog.Proof(index, tree.path(index), checkpoint)).decode()
                largest, index = max(largest, len(proof)), index + 1
                file.write(json.dumps({"raw": raw, "proof": proof}) + "\n")
        (raws / chain.probe).unlink()
    (folder / "probes.vkeys").write_text("".join(chain.signer.verifier.vkey + "\n" for chain in chains))
    (folder / "log.vkeys").write_text(key.verifier.vkey + "\n")
    (folder / "dosong-verify.py").write_text(onefile.text())
    return size, largest


def verify(folder: Path) -> tuple[float, float, subprocess.CompletedProcess[str]]:
    """Run the one file on one core; seconds, most memory in MB, what it said."""
    argv = [sys.executable, "-I", "dosong-verify.py", "--json", "--vkeys", "probes.vkeys", "--log-vkeys", "log.vkeys"]
    began_s = time.monotonic()
    done = subprocess.run(
        [*argv, "export"], cwd=folder, capture_output=True, text=True, check=False,
        preexec_fn=lambda: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}),
    )  # fmt: skip
    return time.monotonic() - began_s, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024, done


def main() -> int:
    """Make, verify, say; 1 if a goal is short."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=OF_RECORDS, help="how many (1,000,000)")
    records = parser.parse_args().records
    if records < PROBES or records % PROBES:
        parser.error(f"--records: a multiple of {PROBES}, for so many probes have as many each")
    with tempfile.TemporaryDirectory(prefix="dosong-verify-") as name:
        size, proof = make(Path(name), records)
        seconds, most_mb, done = verify(Path(name))
    if done.returncode:
        print(done.stdout[-2000:], done.stderr[-2000:], file=sys.stderr)
        return 1
    return tell(json.loads(done.stdout), records, size, proof, seconds, most_mb)


def tell(said: dict[str, Any], records: int, size: int, proof: int, seconds: float, most_mb: float) -> int:
    """Print the goals and keep the figures."""
    RESULTS.parent.mkdir(exist_ok=True)
    checked = min(int(said[name]) for name in ("entries", "authentic", "valid", "included"))
    figures = {"records": records, "bytes": size, "proof": proof, "seconds": seconds, "mb": most_mb}
    RESULTS.write_text(json.dumps(figures, indent=1) + "\n")
    print(f"{checked} records of {size / records:.0f} bytes authentic, valid, proved; at most {most_mb:.0f} MB")
    a_million_s = seconds / records * OF_RECORDS
    good = a_million_s <= WITHIN_S and proof <= PROOF_BYTES and checked == records
    print(
        f"goal: verify: {records} records in {seconds:.0f} s on one core, that is a million in {a_million_s:.0f} s"
        f" ({WITHIN_S:.0f}): {'met' if a_million_s <= WITHIN_S else 'short'}"
    )
    met = "met" if proof <= PROOF_BYTES else "short"
    print(f"goal: verify: largest proof of {records} leaves, bytes: {proof} ({PROOF_BYTES}): {met}")
    print(f"goal: verify: records not checked: {records - checked} (0): {'short' if records - checked else 'met'}")
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())
