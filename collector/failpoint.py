"""Named steps of the collector at which a test ends the process by SIGKILL, as a power cut or the OOM killer would.

Nothing happens unless the environment names a step: `DOSONG_KILL_AT=receive.committed` ends the process the first
time that it gets there, `DOSONG_KILL_AT=receive.committed:7` the seventh. Where nothing is named, `reached` is one
comparison. `make faults` kills at each of `STEPS` a hundred times.
Source: facts note 08 §7.2 (row 8: every named step).
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass

KILL_AT = "DOSONG_KILL_AT"
"""Environment: a step of `STEPS`, and after a colon how many times it is reached before the end (1)."""

STEPS = (
    "receive.read",  # a group of messages was read, nothing was done with it
    "receive.verified",  # inside the transaction: a record's signature was verified, nothing of it is stored
    "receive.stored",  # inside the transaction: the record stands in its table, its chain is not moved
    "receive.worked",  # inside the transaction: all of the group is in it, COMMIT is next
    "receive.committed",  # after COMMIT, before the broker is told
    "receive.acked",  # the broker was told, the probes were not
    "receive.answered",  # a signed acknowledgement was handed to the broker
    "forward.read",  # records were read, no point was written
    "forward.written",  # InfluxDB said 204, the cursor stands where it stood
    "forward.moved",  # the cursor moved
    "forward.redo_written",  # changed records were written again, their cursor stands where it stood
    "seal.opened",  # a new log was begun
    "seal.assigned",  # rows have their indices for ever
    "seal.tiled",  # the tiles are on disk
    "seal.signed",  # a checkpoint was signed, and nobody has it
    "seal.persisted",  # the checkpoint is in seal.db, and nobody has seen it
    "seal.published",  # the log's own checkpoint file is there
    "seal.told",  # the checkpoint of the newest log is there, for everybody
)


@dataclass(slots=True)
class _Plan:
    """At which step this process ends itself, and after how many more times."""

    step: str | None = None
    left: int = 0


_plan = _Plan()


def arm(wanted: str | None) -> None:
    """Read a plan as `KILL_AT` writes it; None: never. Done once by itself when the program starts."""
    step, _, times = (wanted or "").partition(":")
    _plan.step = step or None
    _plan.left = int(times) if times.isdigit() else 1


def reached(step: str) -> None:
    """Tell that a step is done: ends the process if this is the step that was named, this time."""
    if step != _plan.step:
        return
    _plan.left -= 1
    if _plan.left <= 0:
        os.kill(os.getpid(), signal.SIGKILL)


arm(os.environ.get(KILL_AT))
