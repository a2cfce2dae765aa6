"""The sealer: gives every committed leaf its index for ever, keeps the tree's tiles, signs and publishes checkpoints.

Order of a round, each step on disk before the next: indices -> tiles -> leaf hashes recomputed from the stored bytes
and the consistency proof from the last persisted checkpoint -> sign -> persist -> publish. A stop anywhere is caught
up by the next round, which does the same again: one size never gets two roots. What no longer fits what was sealed
stops the signing with a sentence, and nothing else: records go on being stored.
Source: design §7, seal; facts note 08 §3.2, order.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path

from collector.core import sealing, tiles
from collector.core.sealing import Row
from collector.leaves import Leaf, LeafSource
from collector.seal_audit import NOTE, Broken, LogAudit, Sealed, changed
from collector.seal_mark import SealMark
from collector.seal_store import SealStore, Shard, Signed
from collector.tile_files import TileFiles
from wire import tlog
from wire.errors import Refused
from wire.note import Signer

LOG = logging.getLogger("collector.seal")
BATCH = 20_000
AUDITED_ROWS = 200_000
MAX_ROW = 2**63 - 1

Step = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Round:
    """What a round did: leaves that got an index, and the checkpoint that it signed (None: nothing new)."""

    sealed: int
    signed: Signed | None


class Sealer:
    """One sealer for one ledger. `step` is told the name of each step that is done, for tests that stop there.

    `checks` are made before each signature, after the log itself was gone over; each raises Broken. `mark`: where the
    ledger's own database says how far it was signed.
    """

    def __init__(
        self,
        store: SealStore,
        sources: Sequence[LeafSource],
        folder: Path,
        key: Signer,
        origin: str,
        *,
        step: Step = lambda _name: None,
        checks: Sequence[Callable[[], None]] = (),
        audited_rows: int = AUDITED_ROWS,
        mark: SealMark | None = None,
    ) -> None:
        self._store, self._sources, self._folder = store, {source.name: source for source in sources}, folder
        self._key, self._origin, self._step, self._checks, self._mark = key, origin, step, checks, mark
        self._edge: tuple[int, tiles.Edge] | None = None
        self._reader: tuple[int, tiles.ReadTile] | None = None
        sealed = Sealed(self._leaves, self._reading, self._kept_n, lambda shard: self._signer(shard).verifier)
        self._audit = LogAudit(store, sealed, audited_rows)

    def round(self, now_ms: int, *, may_sign: bool = True) -> Round:
        """Seal what was committed. Raises Broken, Unavailable; the next round tries again."""
        self._reader = None
        gen = max(source.generation() for source in self._sources.values())
        shard = self._shard(now_ms, gen)
        self._check_mark(shard)
        self._check_published(shard)
        sealed = self._assign(shard, gen)
        edge = self._tile(shard)
        if not may_sign:
            return Round(sealed, None)
        signed = self._sign(shard, edge, now_ms)
        if not sealed and self._is_over(shard, gen):
            self._begin(shard, gen)
        return Round(sealed, signed)

    def folder(self, shard: Shard) -> Path:
        """Where a shard's public files lie: below the log folder, by the last part of its name."""
        return self._folder / shard.name.rpartition("/")[2]

    # --- shards ---------------------------------------------------------------------------------------------------

    def _shard(self, now_ms: int, gen: int) -> Shard:
        shards = self._store.shards()
        if shards and shards[-1].gen > gen:
            raise Broken(
                f"the ledger is older than its log ({shards[-1].name}): it was put back from a backup;"
                " run dosong-collector restored, which opens a new log that names the lost one"
            )
        if shards and shards[-1].gen == gen:
            return shards[-1]
        if shards:
            return self._begin(shards[-1], gen)
        first = next((row for row in self._waiting(gen, 1)), None)
        year = sealing.year_of(first.received_ms if first else now_ms)
        shard = self._store.open_shard(sealing.shard_name(self._origin, year, gen), year, gen, b"", {})
        self._step("opened")
        return shard

    def _begin(self, before: Shard, gen: int) -> Shard:
        """Open the shard that follows `before`; its first entry is the last checkpoint of all."""
        last = self._last_signed()
        year, bases = before.year, {}
        if gen == before.gen:
            year = min(sealing.year_of(row.received_ms) for row in self._waiting(gen, 1))
        else:
            bases = {source.name: self._restored_n(source) for source in self._sources.values()}
        name = sealing.shard_name(self._origin, year, gen)
        shard = self._store.open_shard(name, year, gen, last.note if last else b"", bases)
        LOG.info("log=new name=%s after=%s", shard.name, before.name)
        self._step("opened")
        return shard

    def _last_signed(self) -> Signed | None:
        """The last checkpoint of all: a log may have been begun and ended before anything in it was signed."""
        found = (self._store.last_checkpoint(shard.n) for shard in reversed(self._store.shards()))
        return next((signed for signed in found if signed is not None), None)

    def _is_over(self, shard: Shard, gen: int) -> bool:
        """True if everything of the shard's year is sealed and something of a later year waits."""
        return any(sealing.year_of(row.received_ms) > shard.year for row in self._waiting(gen, 1))

    # --- indices --------------------------------------------------------------------------------------------------

    def _waiting(self, gen: int, limit: int) -> list[Row]:
        """Rows of each table that have no index yet, at most `limit` of each."""
        found: list[Row] = []
        for source in self._sources.values():
            after = self._sealed_n(source, gen)
            found += [Row(source.name, leaf.n, leaf.leaf, leaf.received_ms) for leaf in source.rows(after, limit)]
        return found

    def _sealed_n(self, source: LeafSource, gen: int) -> int:
        """The last row of a table that is sealed. Raises Broken if the table has lost it."""
        sealed = self._store.last_n(source.name, gen)
        if sealed is None:
            return self._store.base(source.name, gen) or 0
        if source.last_n() < sealed:
            raise Broken(
                f"{source.name} {sealed} of the ledger was sealed and is gone: rows were deleted or an older file was"
                " put back; put back the newest backup, then run dosong-collector restored"
            )
        return sealed

    def _restored_n(self, source: LeafSource) -> int:
        """After a restore: up to which row earlier logs hold the very same bytes at the very same numbers."""
        kept = 0
        while rows := source.rows(kept, BATCH):
            for row in rows:
                if row.n != kept + 1 or self._logged(source.name, row.n) != row.leaf:
                    return kept
                kept = row.n
        return kept

    def _logged(self, source: str, n: int) -> bytes | None:
        """The leaf hash that the newest log with row `n` holds of it; None if none was ever signed over it."""
        place = self._store.place(source, n)
        if place is None:
            return None
        shard, index = place
        size = self._checkpoint_size(shard)
        if index >= size:
            return None
        return tiles.Tree(size, self._reading(shard)).leaf(index)

    def _reading(self, shard: Shard) -> tiles.ReadTile:
        """Read a shard's tiles; the last few are kept, for neighbours are asked for one after the other."""
        if self._reader is None or self._reader[0] != shard.n:
            self._reader = (shard.n, lru_cache(maxsize=16)(TileFiles(self.folder(shard)).read))
        return self._reader[1]

    def _assign(self, shard: Shard, gen: int) -> int:
        rows: list[Row] = []
        for source in self._sources.values():
            after = self._sealed_n(source, gen)
            new = [Row(source.name, leaf.n, leaf.leaf, leaf.received_ms) for leaf in source.rows(after, BATCH)]
            rows += sealing.of_year(new, shard.year)
        if rows:
            self._store.assign(shard.n, sealing.stretches(rows, self._size(shard)))
            self._step("assigned")
        return len(rows)

    def _size(self, shard: Shard) -> int:
        runs = self._store.runs(shard.n, max(0, self._checkpoint_size(shard) - 1))
        return runs[-1].first_index + runs[-1].count if runs else 0

    def _checkpoint_size(self, shard: Shard) -> int:
        last = self._store.last_checkpoint(shard.n)
        return last.size if last else 0

    # --- tiles ----------------------------------------------------------------------------------------------------

    def _tile(self, shard: Shard) -> tiles.Edge:
        """Bring the tiles up to the indices; start from the last checkpoint, whose tiles are known to be on disk."""
        files = TileFiles(self.folder(shard))
        if self._edge is None or self._edge[0] != shard.n:
            self._edge = (shard.n, tiles.edge_at(self._checkpoint_size(shard), files.read))
        edge = self._edge[1]
        for run in self._store.runs(shard.n, edge.size):
            done = edge.size - run.first_index
            for leaves in _batches(self._leaves(run.source, run.first_n + done, run.count - done, shard)):
                edge, new = tiles.grow(edge, [leaf.leaf for leaf in leaves])
                files.write(new)
        self._edge = (shard.n, edge)
        self._step("tiled")
        return edge

    def _leaves(self, source: str, first_n: int, count: int, shard: Shard) -> list[Leaf]:
        """Rows that have an index, their hashes recomputed from what is stored now. Raises Broken."""
        if source == NOTE:
            raw = shard.first_leaf
            return [Leaf(first_n, tlog.leaf_hash(raw), raw, 0)]
        found: list[Leaf] = []
        while len(found) < count:
            more = self._sources[source].rows(first_n + len(found) - 1, min(BATCH, count - len(found)))
            found += more
            if not more:
                break
        wanted = range(first_n, first_n + count)
        for n, leaf in zip(wanted, found, strict=False):
            if leaf.n != n or not leaf.is_intact:
                raise changed(source, n)
        if len(found) < count:
            raise changed(source, first_n + len(found))
        return found

    # --- checkpoints ----------------------------------------------------------------------------------------------

    def _check_mark(self, shard: Shard) -> None:
        """What the ledger says was signed we must remember. Raises Broken, Unavailable."""
        noted = 0 if self._mark is None else self._mark.size(shard.gen, shard.year)
        last = self._store.last_checkpoint(shard.n)
        known = last.size if last else 0
        if noted > known:
            raise Broken(
                f"{noted} entries of {shard.name} were signed, and seal.db knows of {known}: it was lost, or an older"
                " one was put back; put back the newest seal.db and log folder, or, if there are none, run"
                " dosong-collector restored, which opens a new log"
            )

    def _check_published(self, shard: Shard) -> None:
        """What everybody has seen must be among what we remember to have signed. Raises Broken."""
        published = TileFiles(self.folder(shard)).published()
        if published is None:
            return
        try:
            seen = tlog.open_checkpoint(published, self._signer(shard).verifier)
        except Refused as refusal:
            raise Broken(f"{self.folder(shard) / 'checkpoint'} is not ours ({refusal}); put it back") from refusal
        held = self._store.checkpoint(shard.n, seen.size)
        if held is None or held.root != seen.root:
            raise Broken(
                f"checkpoint {seen.size} of {shard.name} was published and seal.db does not know it: an older file was"
                " put back; put back the newest seal.db"
            )

    def _sign(self, shard: Shard, edge: tiles.Edge, now_ms: int) -> Signed | None:
        files, last = TileFiles(self.folder(shard)), self._store.last_checkpoint(shard.n)
        root = tiles.root(edge)
        if last is not None and last.size == edge.size:
            self._publish_again(shard, files, last)
            return None
        if not edge.size:
            return None
        self._audit.waiting(shard, last.size if last else 0)
        self._audit.round()
        for check in self._checks:
            check()
        if last is not None:
            proof = tiles.Tree(edge.size, files.read).consistency(last.size)
            if not tlog.verify_consistency(last.size, edge.size, last.root, root, proof):
                raise Broken(f"the tiles of {shard.name} no longer lead to what was signed; put back the log folder")
        note = tlog.sign_checkpoint(tlog.Checkpoint(shard.name, edge.size, root), self._signer(shard))
        self._step("signed")
        signed = Signed(edge.size, root, now_ms, note)
        self._store.keep(shard.n, signed)
        self._step("persisted")
        self._note(shard, signed)
        files.publish(note)
        self._step("published")
        return signed

    def _publish_again(self, shard: Shard, files: TileFiles, last: Signed) -> None:
        """A stop between persisting and publishing is made good."""
        if files.published() is None or tlog_size(files.published() or b"") < last.size:
            self._note(shard, last)
            files.publish(last.note)

    def _note(self, shard: Shard, signed: Signed) -> None:
        """Tell the ledger before anybody else sees it. Raises Unavailable."""
        if self._mark is not None:
            self._mark.keep(shard.gen, shard.year, signed.size)

    def _signer(self, shard: Shard) -> Signer:
        return Signer.from_seed(shard.name, self._key.seed)

    # --- audit ----------------------------------------------------------------------------------------------------

    def _kept_n(self, shard: Shard, source: str) -> int:
        """Up to which row a log's table is still in the ledger: a restore lost what came after it."""
        if source == NOTE:
            return shard.n
        later = {one.gen for one in self._store.shards() if one.gen > shard.gen}
        return min((self._store.base(source, gen) or 0 for gen in later), default=MAX_ROW)


def _batches(leaves: Sequence[Leaf]) -> list[list[Leaf]]:
    them = iter(leaves)
    found = []
    while batch := list(islice(them, BATCH)):
        found.append(batch)
    return found


def tlog_size(note: bytes) -> int:
    """The size that a checkpoint states, unverified; 0 if it is none."""
    lines = note.split(b"\n", 2)
    return int(lines[1]) if len(lines) > 1 and lines[1].isdigit() else 0
