"""Checkpoints of a log as its sealer signs them: one key, a name for each year and restore."""

from __future__ import annotations

from hashlib import sha256

from tests.probe.kit import ORIGIN
from wire import tlog
from wire.codec import leaf_text
from wire.note import Signer

SEED = bytes(range(64, 96))
KEY = Signer.from_seed(f"{ORIGIN}/log", SEED).verifier


def root(size: int, story: str = "") -> bytes:
    """A root over `size` leaves; another story, another root."""
    return sha256(f"{size}{story}".encode()).digest()


def root_text(size: int, story: str = "") -> str:
    return leaf_text(root(size, story))


def checkpoint(size: int, story: str = "", *, shard: str = "2026", seed: bytes = SEED, origin: str = ORIGIN) -> bytes:
    signer = Signer.from_seed(f"{origin}/log/{shard}", seed)
    return tlog.sign_checkpoint(tlog.Checkpoint(signer.name, size, root(size, story)), signer)
