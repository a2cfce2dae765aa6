"""Signed notes other than records and receipts on their way into the ledger, and so into the log.

They come by the local door (`collector.submit`, topic `NOTES`) or stand beside the change that they speak of in the
registry, from where `receive` takes them over. Each is verified by the key that its type asks for: the registry's and
the configuration's from the settings, a probe's from the registry. Nothing of this can come from the broker.
Lines of the audit trail have no signature: they are taken from its table alone, byte for byte.
Source: wire/SPEC.md §6; design §4, §7 (writers).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from collector.audit_trail import AuditTrail
from collector.core import audit
from collector.ledger_port import NoteRow
from collector.registry_identity import Identities
from collector.settings import Settings
from wire import codec, notes
from wire.errors import Refused
from wire.failure import RefusalReason
from wire.keyfile import read_verifier
from wire.note import Verifier, parse_vkey, split

NOTES = "notes"
"""Topic of a submission that holds notes; no topic of the broker's that is subscribed to looks like it."""
LOOK_EVERY_S = 1.0
GROUP = 200
_SUBJECTS = ("probe", "subject", "site", "hamlet", "name", "key_name")


@dataclass(frozen=True, slots=True)
class Waiting:
    """How far notes and lines of the audit trail are in the ledger, by their numbers."""

    note: int
    deed: int


@dataclass(slots=True)
class Statements:
    """Opens notes, and brings those that wait in the registry."""

    origin: str
    identities: Identities
    registry_key: Verifier | None
    config_key: Verifier | None
    trail: AuditTrail | None = None
    _after_n: int = 0
    _after_deed: int = 0
    _due_s: float = field(default=0.0)

    def open(self, raw: bytes, received_ms: int) -> NoteRow:
        """Verify a note by the key that its type asks for.

        Raises Refused: too_big, not_a_note, wrong_domain, unknown_key, bad_signature, not_json, not_canonical, schema.
        """
        if len(raw) > notes.MAX_NOTE_BYTES:
            raise Refused(RefusalReason.TOO_BIG, f"{len(raw)} bytes; a note has at most {notes.MAX_NOTE_BYTES}")
        if self.trail is not None and audit.is_leaf(self.origin, raw):
            return self._deed(self.trail, raw, received_ms)
        kind = self._type(raw)
        lines = split(raw).signatures
        if len(lines) != 1:
            raise Refused(RefusalReason.NOT_A_NOTE, "exactly one signature is expected")
        shape = notes.NOTE_TYPES[kind].shape
        if shape is None:
            raise Refused(RefusalReason.WRONG_DOMAIN, f"a {kind} is no note")
        found = next((v for v in self._keys(kind, raw, lines[0].name) if v.key_id == lines[0].key_id), None)
        if found is None:
            raise Refused(RefusalReason.UNKNOWN_KEY, f"{lines[0].name[:80]} may sign no {kind} here")
        opened = notes.open_note(raw, shape, self.origin, found)
        self._check_own(opened, found)
        subject = next((str(getattr(opened, name)) for name in _SUBJECTS if hasattr(opened, name)), "")
        return NoteRow(codec.leaf_hash(raw), kind, found.name, subject, opened.signed_ms, received_ms, raw)

    def _deed(self, trail: AuditTrail, raw: bytes, received_ms: int) -> NoteRow:
        """A line of the audit trail as it stands there. Raises Refused for any other bytes of that form."""
        n, at_ms, actor = audit.head_of(raw)
        if (n, raw) not in trail.leaves(n - 1, 1):
            raise Refused(RefusalReason.UNKNOWN_KEY, f"line {n} of the audit trail reads otherwise")
        return NoteRow(codec.leaf_hash(raw), audit.TYPE, "", actor, at_ms, received_ms, raw)

    def due(self) -> Iterator[tuple[Waiting, tuple[bytes, ...]]]:
        """Notes and deeds that wait in the registry, in groups, each with what `done` is told. Looks once a second."""
        if time.monotonic() < self._due_s:
            return
        self._due_s = time.monotonic() + LOOK_EVERY_S
        while found := self.identities.notes(self._after_n, GROUP):
            yield Waiting(found[-1].n, self._after_deed), tuple(one.raw for one in found)
        while self.trail is not None and (deeds := self.trail.leaves(self._after_deed, GROUP)):
            yield Waiting(self._after_n, deeds[-1][0]), tuple(raw for _, raw in deeds)

    def done(self, waiting: Waiting) -> None:
        """Everything up to there is in the ledger."""
        self._after_n, self._after_deed = waiting.note, waiting.deed

    def _type(self, raw: bytes) -> str:
        """The type that a note's first line names; one that is a leaf. Raises Refused."""
        first = raw.partition(b"\n")[0].decode("utf-8", "replace")
        for name, row in notes.NOTE_TYPES.items():
            if row.leaf and row.shape is not None and first == codec.domain(self.origin, name):
                return name
        raise Refused(RefusalReason.WRONG_DOMAIN, f"{first[:80]!r} is no note that the log takes")

    def _keys(self, kind: str, raw: bytes, signer: str) -> list[Verifier]:
        """Keys that may have signed a note of this type under this name."""
        fixed = {f"{self.origin}/registry": self.registry_key, f"{self.origin}/config": self.config_key}
        wanted = notes.NOTE_TYPES[kind].signer
        if not wanted.startswith("probe/"):
            key = fixed.get(f"{self.origin}/{wanted}") if signer == f"{self.origin}/{wanted}" else None
            return [] if key is None else [key]
        probe = signer.removeprefix(codec.probe_key_name(self.origin, ""))
        held = [parse_vkey(vkey) for _, vkey in self.identities.keys(probe)]
        return held or ([_shown(raw)] if kind == "enrol" else [])

    def _check_own(self, opened: Any, key: Verifier) -> None:
        """A probe speaks for itself alone. Raises Refused."""
        if isinstance(opened, notes.Enrol | notes.Key) and key.name != codec.probe_key_name(self.origin, opened.probe):
            raise Refused(RefusalReason.WRONG_PROBE, f"a note of {opened.probe}, signed by {key.name}")


def _shown(raw: bytes) -> Verifier:
    """The key that an enrol note shows: of a probe that the registry does not know yet. Raises Refused."""
    try:
        body = msgspec.json.decode(raw.split(b"\n", 2)[1], type=dict[str, Any])
        return parse_vkey(str(body.get("record_key")))
    except (msgspec.DecodeError, IndexError) as error:
        raise Refused(RefusalReason.NOT_JSON, "no object in the note") from error


def statements_of(settings: Settings) -> Statements:
    """What a collector with these settings takes. Raises Misconfigured if a key cannot be read."""

    def key(name: str, text: str | None) -> Verifier | None:
        return None if text is None else read_verifier(text, name)

    return Statements(
        settings.origin,
        Identities(settings.registry),
        key("registry_vkey", settings.registry_vkey),
        key("config_vkey", settings.config_vkey),
        AuditTrail(settings.registry, settings.origin),
    )
