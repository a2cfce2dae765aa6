"""What a spool can no longer give to a ledger that was restored, as runs to be declared lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from probe.core import holes
from probe.spool_rows import DROPPED, Dropped, Place
from wire.codec import body_of

Read = Callable[[str, tuple[Any, ...]], list[Any]]
"""A query of the spool's file and its values: all rows."""
_Gap = tuple[int, int, int, str]
"""(epoch, first seq, last seq, base64 leaf of the last), as a gap record of ours declares it."""


def unheld(read: Read, epoch: int, upto: int | None, place: Place) -> list[Dropped]:
    """Return the runs behind (`epoch`, `upto`) that this spool neither holds nor has declared. Inside a transaction.

    A hole before places that were declared already is told together with them: the leaf between is not known any more.
    """
    query = "SELECT epoch, seq FROM record WHERE epoch >= ? AND place != ?"
    runs = [(one, seq, seq) for one, seq in read(query, (epoch, DROPPED))]
    gaps = {(gap[0], gap[1]): gap for gap in _gaps(read)}
    found = holes.holes([*runs, *(gap[:3] for gap in gaps.values())], epoch, upto, (place.epoch, place.seq))
    return [_told(read, hole, gaps, place) for hole in found]


def _gaps(read: Read) -> list[_Gap]:
    rows = read("SELECT raw FROM record WHERE kind = 'gap' AND raw IS NOT NULL", ())
    bodies = [json.loads(body_of(raw)) for (raw,) in rows]
    return [(body["gap_epoch"], body["from_seq"], body["to_seq"], body["last_leaf"]) for body in bodies]


def _told(read: Read, hole: holes.Run, gaps: dict[tuple[int, int], _Gap], place: Place) -> Dropped:
    epoch, first, last = hole
    if (epoch, last + 1) == (place.epoch, place.seq):
        return Dropped(epoch, first, last, place.prev)
    rows = read("SELECT raw FROM record WHERE epoch = ? AND seq = ? AND raw IS NOT NULL", (epoch, last + 1))
    if rows:
        return Dropped(epoch, first, last, json.loads(body_of(rows[0][0]))["prev"])
    _, _, to_seq, last_leaf = gaps[(epoch, last + 1)]
    return Dropped(epoch, first, to_seq, last_leaf)
