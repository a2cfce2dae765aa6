"""`dosong-collector seal`: a round of the sealer every minute, and what it last said for the health page.

What was changed behind its back is said once and stays on the health page until it is put right; receiving and
forwarding are other processes and go on.
"""

from __future__ import annotations

import logging
import os
import threading

from collector.failpoint import reached
from collector.health import SealState, StateFile, now_ms
from collector.leaves import SOURCES, LedgerLeaves
from collector.proofs import Prover
from collector.registry import Registry
from collector.registry_identity import Identities
from collector.seal import Round, Sealer
from collector.seal_audit import Broken
from collector.seal_derived import DerivedCheck
from collector.seal_lock import SealLock
from collector.seal_mark import SealMark
from collector.seal_signatures import SignatureAudit
from collector.seal_store import SealStore
from collector.seal_watch import TableWatch
from collector.settings import Settings
from collector.tile_files import TileFiles
from collector.witnessing import Witnessing
from wire.errors import Misconfigured, Unavailable
from wire.keyfile import read_signer
from wire.note import Signer

LOG = logging.getLogger("collector.seal")
BEAT_S = 5.0
RETRY_S = 10.0
Reader = LedgerLeaves | DerivedCheck | TableWatch | SealMark


def log_signer(settings: Settings) -> Signer:
    """Read the log's key. Raises Misconfigured if it is not set, missing, or another key."""
    if settings.log is None:
        raise Misconfigured('[log] is missing in the settings; add [log] with key_file = "log.key"')
    path = settings.path(settings.log.key_file)
    signer = read_signer(path)
    if signer.name != f"{settings.origin}/log":
        raise Misconfigured(
            f"log.key_file {path} holds the key {signer.name}; {settings.origin}/log is needed: name the log.key that"
            " dosong-provision made, or correct origin"
        )
    return signer


class SealService:
    """The sealing process, from start to stop."""

    def __init__(self, settings: Settings, stop: threading.Event) -> None:
        signer = log_signer(settings)
        self._every_s = settings.log.every_s if settings.log else 60
        self._stop = stop
        self._store = SealStore(settings.seal)
        self._only = SealLock(settings.ledger)
        leaves = [LedgerLeaves(settings.ledger, table) for table in SOURCES]
        self._public = signer.verifier
        checks = (DerivedCheck(settings.ledger), TableWatch(self._store, settings.ledger, settings.retention))
        records = LedgerLeaves(settings.ledger)
        mark = SealMark(settings.ledger)
        self._readers: tuple[Reader, ...] = (*leaves, *checks, records, mark)
        self._sealer = Sealer(
            *(self._store, leaves, settings.log_folder, signer, settings.origin),
            step=_reached,
            checks=checks,
            mark=mark,
        )
        self._all = TileFiles(settings.log_folder)
        self._file = StateFile(settings.state, "seal")
        self._witnessing = Witnessing(settings, self._store, self._all)
        self._started_ms = now_ms()
        self._vkeys = b""
        registry, identities = Registry(settings.registry), Identities(settings.registry)
        self._signatures = SignatureAudit(self._store, records, registry, identities, settings.origin)
        self._unsigned = 0
        self._size = 0
        self._signed_ms: int | None = None
        self._error: str | None = None

    def run(self) -> None:
        """Seal until stopped; one last round at the end, so that what is committed is signed."""
        due_s = 0.0
        while not self._stop.is_set():
            if due_s <= 0:
                due_s = self._every_s if self._round() else RETRY_S
            self._say()
            beat_s = min(BEAT_S, due_s) if self._witnessing.is_quiet else min(1.0, due_s)
            self._stop.wait(beat_s)
            due_s -= beat_s
            self._fetch()
        self._round()
        self._witnessing.stop()
        self._say()
        self._store.close()
        self._only.close()

    def _round(self) -> bool:
        """One round; False if it must be tried again soon. `log/checkpoint` is always that of the newest log."""
        try:
            self._only.take()
            self._take(self._sealer.round(now_ms()))
            self._signatures.round(now_ms())
            self._unsigned = len(self._store.unsigned())
        except Unavailable as error:
            if str(error) != self._error:
                LOG.error("%s: %s", "log=broken" if isinstance(error, Broken) else "log=waits", error)  # noqa: TRY400
            self._error = str(error)
            if not isinstance(error, Broken):
                for one in self._readers:  # a server that one connection lost, all have lost: none is to find it later
                    one.close()
            return False
        return True

    def _fetch(self) -> None:
        """Keep what witnesses signed meanwhile; a disk that refuses is told by the next round."""
        try:
            self._witnessing.fetch()
        except Unavailable as error:
            LOG.warning("log=not_witnessed %s", error)

    def _take(self, done: Round) -> None:
        if self._error is not None:
            LOG.warning("log=goes_on")
        self._error = None
        vkeys = "".join(f"{vkey}\n" for vkey in Prover(self._store, self._all.folder).vkeys(self._public)).encode()
        if vkeys != self._vkeys:
            self._all.put("vkeys", vkeys)
            self._vkeys = vkeys
        self._witnessing.leave()
        if done.signed is not None:
            self._all.publish(done.signed.note)
            _reached("told")
            self._size, self._signed_ms = done.signed.size, done.signed.signed_ms
            LOG.info("log=signed size=%d root=%s", done.signed.size, done.signed.root.hex()[:16])

    def _say(self) -> None:
        known = (os.getpid(), now_ms(), self._started_ms, self._size, self._signed_ms, self._error, self._unsigned)
        state = SealState(*known, self._witnessing.count, self._witnessing.error)
        self._file.write(state, now=True)


def _reached(step: str) -> None:
    reached(f"seal.{step}")
