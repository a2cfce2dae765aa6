"""Which key a record of a probe must bear: each key signs from its epoch until the next one's.

A spool may still hold records of the time before a rotation when the new key is registered long since; they stay good.
What the old key signs of a later epoch is not, whoever holds it.
Source: wire/SPEC.md §6, note `key`; design §4.
"""

from __future__ import annotations

from dataclasses import dataclass

from wire import plain
from wire.errors import Refused
from wire.failure import RefusalReason
from wire.note import Verifier, parse_vkey


@dataclass(frozen=True, slots=True)
class KeyRing:
    """A probe's record keys and the epoch from which each signs, oldest first; never empty."""

    keys: tuple[tuple[int, Verifier], ...]

    def signer_of(self, raw: bytes) -> Verifier:
        """The key that a record's signature line names; the newest if it names none of them. Raises Refused."""
        if len(self.keys) > 1:
            named = plain.take(raw).signatures[0].key_id
            for _, verifier in self.keys:
                if verifier.key_id == named:
                    return verifier
        return self.keys[-1][1]

    def is_of(self, verifier: Verifier, epoch: int) -> bool:
        """Whether records of this epoch are this key's to sign."""
        due = [key for begin, key in self.keys if begin <= epoch]
        return len(self.keys) == 1 or (bool(due) and due[-1] == verifier)

    def check(self, verifier: Verifier, epoch: int) -> None:
        """Raise Refused("unknown_key") if the record's epoch is not one of this key's."""
        if not self.is_of(verifier, epoch):
            raise Refused(RefusalReason.UNKNOWN_KEY, f"a record of epoch {epoch}, signed by the key of another epoch")


def ring(vkey: str, held: list[tuple[int, str]]) -> KeyRing:
    """The keys of a probe: those of the registry's list, or its one key if it has no list."""
    return KeyRing(tuple((epoch, parse_vkey(text)) for epoch, text in held or [(0, vkey)]))
