"""The audit of signatures: `receive` proves a contiguous chain by its hashes and one signature; here each is checked.

A record whose own signature fails is named in `seal.db`; it stays where it is, `receive` marks it, it counts no more.
Every record is checked once, in order of arrival, some thousands a round, beside the sealing and never before it.
Source: design §4 (the sealer checks every signature later).
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from collector.core.run import Shape
from collector.keyring import ring
from collector.leaves import Leaf, LeafSource
from collector.registry import Registry
from collector.registry_identity import Identities
from collector.seal_store import SealStore
from collector.verify import checker
from wire import plain
from wire.errors import Refused
from wire.note import DASH

LOG = logging.getLogger("collector.seal")
A_ROUND = 20_000
BATCH = 1000
MAX_KEYS = 20_000
Check = Callable[[bytes], bool]


class SignatureAudit:
    """Checks the records of one ledger from where it stopped."""

    def __init__(
        self, store: SealStore, records: LeafSource, registry: Registry, identities: Identities, origin: str
    ) -> None:
        self._store, self._records, self._registry = store, records, registry
        self._identities, self._origin = identities, origin
        self._checks: dict[bytes, tuple[int, Check | None]] = {}

    def round(self, now_ms: int, most: int = A_ROUND) -> int:
        """Check at most `most` records more; return how many were. Raises Unavailable."""
        gen = self._records.generation()
        at, done = self._store.audited(gen), 0
        while done < most and (leaves := self._records.rows(at, BATCH)):
            bad = [(leaf.n, leaf.leaf) for leaf in leaves if not self._is_signed(leaf)]
            at, done = leaves[-1].n, done + len(leaves)
            self._store.keep_audit(gen, at, bad, now_ms)
            for n, _ in bad:
                LOG.error("record %d bears no good signature of its own; it is kept and counts no more", n)
        return done

    def _is_signed(self, leaf: Leaf) -> bool:
        """Whether a record's own signature is good; a key that the registry no longer lists cannot be asked."""
        line = leaf.raw[leaf.raw.rfind(b"\n\n") + 2 :]
        name = line[len(DASH.encode()) :].partition(b" ")[0]
        check = self._check_of(name)
        return check is None or check(leaf.raw)

    def _check_of(self, name: bytes) -> Check | None:
        version = self._registry.version()
        held = self._checks.get(name)
        if held is None or held[0] != version:
            if len(self._checks) >= MAX_KEYS:
                self._checks.clear()
            self._checks[name] = held = (version, self._make(name.decode("utf-8", "replace")))
        return held[1]

    def _make(self, name: str) -> Check | None:
        entry = self._registry.probe(name.removeprefix(f"{self._origin}/probe/"))
        if entry is None:
            return None
        keys = ring(entry.vkey, self._identities.keys(entry.id)).keys
        shapes = [(Shape.of(self._origin, key), checker(key), key) for _, key in keys]

        def check(raw: bytes) -> bool:
            for shape, is_good, _ in shapes:
                at = shape.cut(raw)
                signature = None if at is None else shape.signature(raw)
                if at is not None and signature is not None:
                    return is_good(raw[: at + 1], signature)
            try:
                named = plain.take(raw).signatures[0].key_id
                for _, _, key in shapes:
                    if key.key_id == named:
                        plain.authenticate(raw, self._origin, key)
            except Refused:
                return False
            return True

        return check
