"""Goes over what was sealed, again and again: rows, tiles, indices and checkpoints must still lead to the signed roots.

Before each signature the next stretch of every log is played again from the ledger's bytes: leaf hashes computed anew,
the tree grown from them, every tile compared with its file, every checkpoint of `seal.db` with the root at its size
and with its own signature, every table followed without a hole. A small ledger is gone over whole each time, a larger
one a stretch at a time. What a restore is known to have lost is taken from the tiles, which the roots still vouch for.
Source: facts note 08 §1 (Yeti 2022: re-derive leaf hashes from stored bytes before signing), §7.2 (row 11).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from collector.core import tiles
from collector.core.sealing import Stretch
from collector.leaves import Leaf
from collector.seal_store import SealReader, Shard, Signed
from wire import tlog
from wire.errors import Refused, Unavailable
from wire.note import Verifier

BATCH = 20_000
CHECKPOINT_COST = 50
"""To verify a checkpoint takes as long as to hash so many rows."""
NOTE = "note"
"""Source name of a shard's entry 0, the last checkpoint of the shard before."""


class Broken(Unavailable):
    """What is stored no longer fits what was sealed: nothing is signed until a person has looked."""


def changed(source: str, n: int) -> Broken:
    """A row is not what it was."""
    return Broken(
        f"{source} {n} of the ledger is no longer what was sealed: its bytes or its tile were changed, or it was"
        " deleted; nothing is signed until the newest good backup is put back (docs/operations.md, disaster)"
    )


@dataclass(frozen=True, slots=True)
class Sealed:
    """What the audit asks of the sealer: rows as they read now, tiles as they lie there, keys of the logs.

    `leaves(source, first_n, count, shard)` raises Broken for a row that is gone or has another hash than its own;
    `kept_n(shard, source)` is the last row of a log's table that is still in the ledger.
    """

    leaves: Callable[[str, int, int, Shard], Sequence[Leaf]]
    reading: Callable[[Shard], tiles.ReadTile]
    kept_n: Callable[[Shard, str], int]
    verifier: Callable[[Shard], Verifier]


@dataclass(slots=True)
class _Place:
    """How far a pass has come: in which log, its tree so far, and the last row of each table by generation."""

    shard: int = 0
    edge: tiles.Edge = field(default_factory=tiles.Edge)
    rows: dict[tuple[int, str], int] = field(default_factory=dict)


class LogAudit:
    """One pass after the other over all logs, `rows_a_round` rows at a time."""

    def __init__(self, store: SealReader, sealed: Sealed, rows_a_round: int) -> None:
        self._store, self._sealed, self._rows_a_round = store, sealed, rows_a_round
        self._place = _Place()

    def round(self) -> None:
        """Go over the next stretch. Raises Broken; the next call then begins anew, and finds the same."""
        try:
            self._go_on()
        except Unavailable:
            self._place = _Place()
            raise

    def waiting(self, shard: Shard, size: int) -> None:
        """Indices that were given behind the signed `size` follow each other, and their rows those that are signed.

        Raises Broken: they were changed since they were given.
        """
        at, rows = size, dict[str, int]()
        for run in self._store.runs(shard.n, size):
            before = rows.get(run.source)
            if before is None:
                signed = self._store.signed_n(run.source, shard.gen, shard.n, size)
                before = (self._store.base(run.source, shard.gen) or 0) if signed is None else signed
            is_first = run.source == NOTE and run.first_index == 0 and bool(shard.first_leaf)
            if run.first_index != at or not (is_first or run.first_n == before + 1):
                raise _indices(shard)
            at += run.count
            if not is_first:
                rows[run.source] = run.first_n + run.count - 1

    def _go_on(self) -> None:
        left = self._rows_a_round
        shards = self._store.shards()
        for shard in [one for one in shards if one.n >= self._place.shard]:
            edge = self._place.edge if shard.n == self._place.shard else tiles.Edge()
            last = self._store.last_checkpoint(shard.n)
            size = last.size if last else 0
            while left > 0 and edge.size < size:
                edge, cost = self._stretch(shard, edge, size, min(left, BATCH))
                left -= cost
            self._place.shard, self._place.edge = shard.n, edge
            if edge.size < size:
                return
            self._compare_edge(shard, edge)
        self._place = _Place()

    def _stretch(self, shard: Shard, edge: tiles.Edge, size: int, most: int) -> tuple[tiles.Edge, int]:
        """Play the next rows of one table; return the tree behind them and what it cost."""
        run = next(iter(self._store.runs(shard.n, edge.size)), None)
        if run is None or run.first_index > edge.size:
            raise _indices(shard)
        done = edge.size - run.first_index
        count = min(run.count - done, most, size - edge.size)
        if not done:
            self._follow(shard, run)
        leaves = self._leaf_hashes(shard, run, done, count, size)
        signed = self._store.checkpoints(shard.n, edge.size, edge.size + count)
        first = edge.size
        for end in (*signed, None):
            upto = end.size - first if end else count
            edge = self._grow(shard, edge, leaves[edge.size - first : upto])
            if end is not None:
                self._compare_root(shard, edge, end)
        return edge, count + CHECKPOINT_COST * len(signed)

    def _follow(self, shard: Shard, run: Stretch) -> None:
        """A run goes on where its table's last one ended. Raises Broken: a table's row was never sealed."""
        if run.source == NOTE and run.first_index == 0 and shard.first_leaf:
            return
        place = (shard.gen, run.source)
        base = self._store.base(run.source, shard.gen) or 0
        if base > max((n for (_, source), n in self._place.rows.items() if source == run.source), default=0):
            raise _indices(shard)
        if run.first_n != self._place.rows.get(place, base) + 1:
            raise _indices(shard)
        self._place.rows[place] = run.first_n + run.count - 1

    def _leaf_hashes(self, shard: Shard, run: Stretch, done: int, count: int, size: int) -> list[bytes]:
        """Hashes of rows from the ledger's bytes, compared with the tiles; of lost ones from the tiles alone."""
        first_index, first_n = run.first_index + done, run.first_n + done
        tree = tiles.Tree(size, self._sealed.reading(shard))
        held = max(0, min(count, self._sealed.kept_n(shard, run.source) - first_n + 1))
        hashes = [leaf.leaf for leaf in self._sealed.leaves(run.source, first_n, held, shard)] if held else []
        for at, leaf in enumerate(hashes):
            if tree.leaf(first_index + at) != leaf:
                raise changed(run.source, first_n + at)
        return [*hashes, *(tree.leaf(first_index + at) for at in range(held, count))]

    def _grow(self, shard: Shard, edge: tiles.Edge, leaves: Sequence[bytes]) -> tiles.Edge:
        edge, new = tiles.grow(edge, leaves)
        read = self._sealed.reading(shard)
        for tile in new:
            full = len(tile.hashes) == tiles.WIDTH
            if full and tuple(read(tile.level, tile.index, tiles.WIDTH)) != tile.hashes:
                raise _tile(shard, tile.path)
        return edge

    def _compare_root(self, shard: Shard, edge: tiles.Edge, signed: Signed) -> None:
        try:
            said = tlog.open_checkpoint(signed.note, self._sealed.verifier(shard))
        except Refused as refusal:
            raise _checkpoint(shard, signed) from refusal
        if (said.size, said.root) != (signed.size, signed.root) or tiles.root(edge) != signed.root:
            raise _checkpoint(shard, signed)

    def _compare_edge(self, shard: Shard, edge: tiles.Edge) -> None:
        """The tiles that are not full yet."""
        read = self._sealed.reading(shard)
        for level, row in enumerate(edge.open):
            index = (edge.size >> (8 * level)) // tiles.WIDTH
            if row and tuple(read(level, index, len(row))[: len(row)]) != row:
                raise _tile(shard, tiles.tile_path(level, index, len(row)))


def _indices(shard: Shard) -> Broken:
    return Broken(
        f"seal.db no longer says of every row where it stands in {shard.name}: it was changed; put back the newest good"
        " seal.db"
    )


def _tile(shard: Shard, path: str) -> Broken:
    return Broken(f"{path} of {shard.name} is no longer what was published; put back the log folder")


def _checkpoint(shard: Shard, signed: Signed) -> Broken:
    return Broken(
        f"checkpoint {signed.size} of {shard.name} in seal.db is not over the rows that stand there: seal.db or the"
        " ledger was changed; put back the newest good backup"
    )
