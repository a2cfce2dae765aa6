"""Proof files for records: that the log holds them, readable by any C2SP tool and by `dosong-verify`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from collector.core import tiles
from collector.seal_store import SealReader, Shard, Signed
from collector.tile_files import TileFiles
from wire import tlog
from wire.note import Verifier


@dataclass(frozen=True, slots=True)
class Place:
    """Entry `index` of a log, and the checkpoint that holds it."""

    shard: Shard
    index: int
    signed: Signed


class Prover:
    """Answers with proofs from tiles. `folder`: the log's folder. Raises Unavailable while it cannot be read.

    `at`: prove to the newest log's checkpoint over so many leaves (None: to its newest one).
    """

    def __init__(self, store: SealReader, folder: Path, at: int | None = None) -> None:
        self._store, self._folder, self._at = store, folder, at
        self._reading = lru_cache(maxsize=64)(self._read)

    def place(self, n: int, source: str = "record") -> Place | None:
        """Where a row of the ledger stands under the newest checkpoint of its log; None if none holds it yet."""
        place = self._store.place(source, n)
        signed = None if place is None else self._signed(place[0])
        if place is None or signed is None or place[1] >= signed.size:
            return None
        return Place(place[0], place[1], signed)

    def checkpoint(self) -> bytes | None:
        """The newest log's checkpoint that proofs lead to, signed; None before the first."""
        shards = self._store.shards()
        signed = self._signed(shards[-1]) if shards else None
        return None if signed is None else signed.note

    def _signed(self, shard: Shard) -> Signed | None:
        if self._at is None or shard.n != self._store.shards()[-1].n:
            return self._store.last_checkpoint(shard.n)
        return self._store.checkpoint(shard.n, self._at)

    def proof(self, n: int, source: str = "record") -> bytes | None:
        """Return the `.tlog-proof` of a row of the ledger to the newest checkpoint; None if none holds it yet."""
        place = self.place(n, source)
        if place is None:
            return None
        path = self._tree(place.shard, place.signed).inclusion(place.index)
        return tlog.proof_text(tlog.Proof(place.index, path, place.signed.note))

    def consistency(self, old: int) -> tuple[bytes, ...] | None:
        """Return the proof that the newest log's newest checkpoint follows from its first `old` leaves; None if not."""
        shards = self._store.shards()
        signed = self._store.last_checkpoint(shards[-1].n) if shards else None
        if signed is None or not 0 <= old <= signed.size:
            return None
        return self._tree(shards[-1], signed).consistency(old)

    def vkeys(self, key: Verifier) -> list[str]:
        """The public keys of all logs: one key, named after each log."""
        return [Verifier(shard.name, key.public).vkey for shard in self._store.shards()]

    def _tree(self, shard: Shard, signed: Signed) -> tiles.Tree:
        name = shard.name.rpartition("/")[2]
        return tiles.Tree(signed.size, lambda level, index, width: self._reading(name, level, index, width))

    def _read(self, name: str, level: int, index: int, width: int) -> tuple[bytes, ...]:
        return tuple(TileFiles(self._folder / name).read(level, index, width))
