"""The sealer's side of witnesses: leaves them the newest checkpoint, keeps what they signed, and publishes it beneath.

Nothing here waits for anybody: see `collector.witness_client`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from collector.core import tiles
from collector.seal_store import SealReader, SealStore, Shard
from collector.settings import Settings
from collector.tile_files import TileFiles
from collector.witness_client import Asked, Client, Relay
from wire import cosign
from wire.cosign import Witness
from wire.errors import Misconfigured, Refused

LOG = logging.getLogger("collector.witness")


def witnesses_of(settings: Settings) -> list[tuple[str, Witness]]:
    """Address and key of each witness of `[log]`. Raises Misconfigured."""
    found: list[tuple[str, Witness]] = []
    for at, one in enumerate(settings.log.witnesses if settings.log else ()):
        try:
            found.append((one.url, cosign.parse_witness(one.vkey)))
        except Refused as refusal:
            raise Misconfigured(
                f"log.witnesses[{at}].vkey: {refusal.detail}; write the key that the witness's keeper gave you,"
                " name+keyid+base64"
            ) from refusal
    if len({witness.name for _, witness in found}) < len(found):
        raise Misconfigured("log.witnesses: two of them have one name; each witness stands there once")
    return found


class Witnessing:
    """What a sealing process does about its witnesses. Not safe for several threads; its clients have their own."""

    def __init__(self, settings: Settings, store: SealStore, newest: TileFiles) -> None:
        """Raises Misconfigured."""
        self._store, self._newest, self._folder = store, newest, settings.log_folder
        self._reader = SealReader(settings.seal)
        known = witnesses_of(settings)
        clients = [Client(url, witness, self._consistency) for url, witness in known]
        self._relay = Relay(clients) if clients else None
        self._left: tuple[int, int] | None = None
        self._cosigners: set[str] = set()
        self._errors: dict[str, str] = {}
        if known:
            newest.put("witnesses", "".join(f"{witness.vkey}\n" for _, witness in known).encode())

    @property
    def count(self) -> int | None:
        """How many witnesses cosigned the newest checkpoint; None if none is asked."""
        return None if self._relay is None else len(self._cosigners)

    @property
    def error(self) -> str | None:
        """What the first witness in trouble says; None if all are well."""
        return next(iter(self._errors.values()), None)

    @property
    def is_quiet(self) -> bool:
        """Whether no cosignature is awaited."""
        return self._relay is None or self._left is None or bool(self._cosigners)

    def leave(self) -> None:
        """Have the newest log's newest checkpoint cosigned, if it was not left already."""
        shards = self._store.shards()
        signed = self._store.last_checkpoint(shards[-1].n) if self._relay is not None and shards else None
        if self._relay is None or signed is None or (shards[-1].n, signed.size) == self._left:
            return
        self._left = (shards[-1].n, signed.size)
        self._cosigners = set(self._store.cosigners(*self._left))
        self._relay.leave(Asked(*self._left, _plain(signed.note)))

    def fetch(self) -> None:
        """Keep and publish what witnesses signed; say once what stands against them. Raises Unavailable."""
        for told in self._relay.fetch() if self._relay is not None else ():
            if told.cosigned is None:
                if self._errors.get(told.witness) != told.error:
                    LOG.warning("log=not_witnessed %s", told.error)
                self._errors[told.witness] = str(told.error)
                continue
            self._errors.pop(told.witness, None)
            self._store.keep_cosignature(told.asked.shard, told.asked.size, told.cosigned)
            LOG.info("log=witnessed size=%d by=%s", told.asked.size, told.witness)
            if (told.asked.shard, told.asked.size) == self._left:
                self._cosigners.add(told.witness)
                self._publish(told.asked.shard)

    def _publish(self, number: int) -> None:
        shard = next(one for one in self._store.shards() if one.n == number)
        signed = self._store.last_checkpoint(number)
        if signed is not None:
            TileFiles(self._path(shard)).publish(signed.note)
            self._newest.publish(signed.note)

    def stop(self) -> None:
        """Ask nobody any more; what came is kept."""
        if self._relay is not None:
            self._relay.stop()
            self.fetch()
        self._reader.close()

    def _consistency(self, asked: Asked, old: int) -> Sequence[bytes]:
        """Runs in a client's thread, so it has a reader of its own."""
        shard = next(one for one in self._reader.shards() if one.n == asked.shard)
        return tiles.Tree(asked.size, TileFiles(self._path(shard)).read).consistency(old)

    def _path(self, shard: Shard) -> Path:
        return self._folder / shard.name.rpartition("/")[2]


def _plain(published: bytes) -> bytes:
    """A checkpoint without what witnesses added: its text, the empty line, and the log's own line."""
    text, _, lines = published.partition(b"\n\n")
    return text + b"\n\n" + lines.partition(b"\n")[0] + b"\n"
