"""What the power is cut of: one seeded run of a probe's disk work, saying aloud what it promises, as it promises it.

Lines on standard output, each in one write: `begin N` before a record, `kept EPOCH SEQ LEAF` once its append returned,
`acked EPOCH SEQ` once a release returned, `noted N` once the slate was synced. Used by `tests/probe/power_cuts.py`.
"""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

from probe.core.draft import Identity, Stamp
from probe.recorder import Recorder
from probe.slate import Slate
from probe.spool import Spool
from wire.codec import leaf_hash, leaf_text, probe_key_name
from wire.note import Signer
from wire.records import BootRecord, EventRecord

ORIGIN, PROBE = "faults.example", "p-faults"
KEY = Signer.from_seed(probe_key_name(ORIGIN, PROBE), bytes(range(32)))
STAMP = Stamp("ab" * 16, 1_000, "trusted", "ntp", 1_795_000_000_000, 5)
LIMIT_BYTES = 25_000
"""So small that a run of this scene drops acknowledged records, and waiting ones with a gap."""


def opened(folder: Path) -> tuple[Spool, Recorder, Slate]:
    """Open what a probe has on its disk."""
    spool = Spool(folder, LIMIT_BYTES)
    return spool, Recorder(spool, KEY, ORIGIN, Identity(PROBE, "1.0", True, "s"), lambda: STAMP), Slate(folder)


def main() -> None:
    """Run the scene of a seed in a folder: records, acknowledgements, a new epoch, the reserve, the slate."""
    folder, seed = Path(sys.argv[1]), int(sys.argv[2])
    dice = random.Random(seed)
    spool, recorder, slate = opened(folder)
    for number in range(1, 27):
        say(f"begin {number}")
        note = "n" * dice.choice((20, 90, 120))
        kept = recorder.keep(EventRecord(**recorder.head(), event="stopping", note=note), {"slots m1": str(number)})
        say(f"kept {kept.epoch} {kept.seq} {leaf_text(leaf_hash(kept.raw))}")
        what = dice.random()
        if what < 0.2 and kept.seq > 3:
            spool.release(kept.epoch, kept.seq - 2, 1_795_000_000_000, 0)
            say(f"acked {kept.epoch} {kept.seq - 2}")
        elif what < 0.3:
            slate.sync({"budget m1": str(number), "pad": "p" * dice.randrange(3000)})
            say(f"noted {number}")
        elif what < 0.34:
            boot = BootRecord(**recorder.head(), reason="new_epoch", spool="rolled_back", head_epoch=kept.epoch)
            fresh = recorder.begin_epoch(kept.epoch + 1, boot)
            say(f"kept {fresh.epoch} {fresh.seq} {leaf_text(leaf_hash(fresh.raw))}")
        elif what < 0.38:
            spool.keep_reserve()
    spool.close()
    say("done")


def say(text: str) -> None:
    """Promise it: one write, which no cut can tear."""
    os.write(1, f"{text}\n".encode())


if __name__ == "__main__":
    main()
