"""Which of a probe's places nobody holds any more, once a restored ledger has said how far it holds them.

Records that were acknowledged long ago are forgotten by the spool. If the ledger is then put back to before them, they
are gone; unless that is declared, the ledger waits for them for ever and acknowledges nothing behind them.
Source: design §4 (gap), §7 (ACK, `gen`).
"""

from __future__ import annotations

from collections.abc import Iterable

Run = tuple[int, int, int]
"""(epoch, first seq, last seq)."""


def holes(runs: Iterable[Run], epoch: int, upto: int | None, end: tuple[int, int]) -> list[Run]:
    """Return the places behind (`epoch`, `upto`) and before `end` that no run holds, in order.

    `runs`: what the spool holds or has declared; they may overlap. `end`: (epoch, seq) of the next record. Epochs that
    the spool holds nothing of are not told: how long they were is not known.
    """
    found: list[Run] = []
    at = {epoch: 0 if upto is None else upto + 1}
    for run_epoch, first, last in sorted([*runs, (*end, end[1])]):
        if run_epoch < epoch:
            continue
        expected = at.get(run_epoch, 0)
        if first > expected:
            found.append((run_epoch, expected, first - 1))
        at[run_epoch] = max(expected, last + 1)
    return found
