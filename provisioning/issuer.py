"""Who gets a certificate: the decisions behind `ca serve`, over claims, notes and requests. No socket, no clock.

The web that relays these questions is not believed: the token, the note's signature and the request's own signature
are all checked here, and claims are used up here. Every refusal that smells of theft is an alarm.
Source: facts note 08 §4; facts note 05 §6.2; SPEC, notes `enrol` and `key`.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Literal, Protocol, TypeVar

import msgspec

from collector.registry_identity import ClaimEntry, Identities
from collector.registry_rows import ProbeEntry
from provisioning import authority, pki
from provisioning.authority import Authority
from wire import enrolment, notes
from wire.codec import probe_key_name
from wire.enrolment import ClaimAsk, Granted, Nonce, Reason, RenewAsk, RotateAsk, Rotated
from wire.errors import Refused
from wire.note import Verifier, parse_vkey, split

NONCE_S = 600
MOST_NONCES = 10_000
RENEWALS_A_DAY = 6
DAY_MS = 86_400_000
A = TypeVar("A", ClaimAsk, RenewAsk, RotateAsk)
N = TypeVar("N", notes.Enrol, notes.Key)
Answer = Granted | Nonce | Rotated


class Probes(Protocol):
    """What is asked of the registry."""

    def probe(self, probe: str) -> ProbeEntry | None:
        """The probe with this id; None if it is unknown."""
        ...


class Denied(Exception):
    """Nothing is issued, and the word for it."""

    def __init__(self, reason: Reason, detail: str = "", alarm: tuple[str, str] | None = None) -> None:
        """`alarm`: what is wrong and with which probe, if a person should look at it."""
        super().__init__(reason)
        self.reason: Reason = reason
        self.detail, self.alarm = detail, alarm


class Issuer:
    """Answers one question at a time. `now_ms`: the wall clock, UTC milliseconds."""

    def __init__(
        self, origin: str, ca: Authority, identities: Identities, probes: Probes, now_ms: Callable[[], int]
    ) -> None:
        self._origin, self._ca, self._probes = origin, ca, probes
        self._identities, self._now_ms = identities, now_ms
        self._nonces: OrderedDict[str, int] = OrderedDict()

    def answer(self, what: str, body: bytes, address: str) -> Answer:
        """Answer one question as it came over HTTP. Raises Denied; Unavailable if the registry cannot be used."""
        questions: dict[str, Callable[[], Answer]] = {
            "claim": lambda: self._claim(_read(body, ClaimAsk)),
            "renew": lambda: self._renew(_read(body, RenewAsk), address),
            "rotate": lambda: self._rotate(_read(body, RotateAsk)),
            "nonce": self._nonce,
        }
        if what not in questions:
            raise Denied("bad_request", "no such question")
        try:
            return questions[what]()
        except Denied as denied:
            if denied.alarm is not None:
                kind, probe = denied.alarm
                self._identities.raise_alarm(kind, probe, address, denied.detail, self._now_ms())
            raise

    def _claim(self, ask: ClaimAsk) -> Granted:
        """First keys of a probe. Asked again with the same keys it gets the same answer: a probe may crash anywhere."""
        held = self._identities.claim(enrolment.token_sha256(ask.token))
        if held is None:
            raise Denied("claim_unknown", "no claim has this token", ("unknown_claim", ""))
        note, public = self._open_enrol(ask.note, ask.request, held.probe)
        if note.token_sha256 != held.token_sha256:
            raise Denied("bad_request", "the note is not made for this token")
        if held.used_ms is not None:
            return self._again(held, note)
        self._check_open(held)
        now_ms = self._now_ms()
        certificate = pki.issue_client(self._ca.issuing, public, held.probe, _utc(now_ms))
        entry = authority.entry_of(pki.pem_of(certificate), "probe", _utc(now_ms))
        taken = replace(held, record_key=note.record_key, tls_key_sha256=note.tls_key_sha256)
        with self._identities.transaction():
            again = self._identities.claim(held.token_sha256)
            if again is None or again.used_ms is not None or again.void_ms is not None:
                raise Denied("busy", "the claim was just used or made void; ask again")
            self._identities.use_claim(taken, entry, ask.note.encode())
        return Granted(certificate=self._chain(entry.pem), fingerprint=self._digits(note), state="quarantine")

    def _check_open(self, held: ClaimEntry) -> None:
        now_ms = self._now_ms()
        if held.void_ms is not None:
            raise Denied(
                "claim_void", "a newer claim replaced this one, or it was taken back", ("void_claim", held.probe)
            )
        if held.expires_ms <= now_ms:
            raise Denied("claim_expired", "the claim is older than 90 days", ("expired_claim", held.probe))
        if held.armed_until_ms is None or held.armed_until_ms <= now_ms:
            raise Denied("claim_not_armed", "the office has not armed this claim", ("unarmed_claim", held.probe))

    def _again(self, held: ClaimEntry, note: notes.Enrol) -> Granted:
        """The answer that got lost, given once more; other keys for a used token are a stolen or reused claim."""
        if (note.record_key, note.tls_key_sha256) != (held.record_key, held.tls_key_sha256):
            raise Denied("claim_used", "other keys were enrolled with this token", ("claim_reused", held.probe))
        entry = self._registered(held.probe)
        mine = [one for one in self._identities.certificates(held.probe) if one.key_sha256 == note.tls_key_sha256]
        if not mine:
            raise Denied("claim_used", "its certificate is gone; renew instead")
        return self._granted(mine[0].pem, note, entry)

    def _renew(self, ask: RenewAsk, address: str) -> Granted:
        """Another certificate for a registered probe, its old one expired or not: the record key says who asks."""
        self._spend(ask.nonce)
        probe = _named_probe(ask.note, self._origin)
        entry = self._registered(probe)
        note, public = self._open_enrol(ask.note, ask.request, probe)
        if note.record_key != entry.vkey:
            raise Denied("bad_key", "not the registered record key", ("foreign_key", probe))
        if note.token_sha256 != enrolment.token_sha256(ask.nonce):
            raise Denied("bad_request", "the note is not made for this nonce")
        now_ms, before = self._now_ms(), self._identities.certificates(probe)
        if sum(one.issued_ms > now_ms - DAY_MS for one in before) > RENEWALS_A_DAY:
            raise Denied("too_often", f"more than {RENEWALS_A_DAY} certificates in a day", ("renewed_too_often", probe))
        certificate = pki.issue_client(self._ca.issuing, public, probe, _utc(now_ms))
        issued = authority.entry_of(pki.pem_of(certificate), "probe", _utc(now_ms))
        with self._identities.transaction():
            self._identities.add_certificate(issued)
            self._identities.add_note("enrol", ask.note.encode(), now_ms)
        if before and max(one.not_after_ms for one in before) < now_ms:
            self._identities.raise_alarm(
                "renewed_after_expiry", probe, address, "dark for long, or a stolen card", now_ms
            )
        return self._granted(issued.pem, note, entry)

    def _rotate(self, ask: RotateAsk) -> Rotated:
        """Register a probe's next record key, signed by the one before. Asked again, the same answer."""
        probe = _named_probe(ask.note, self._origin)
        entry = self._registered(probe)
        keys = self._identities.keys(probe) or [(0, entry.vkey)]
        if (held := _same(ask.note, self._origin, keys)) is not None:
            return Rotated(epoch=held)
        note = _open(ask.note, notes.Key, self._origin, parse_vkey(entry.vkey), probe)
        _check_name(note.record_key, self._origin, probe)
        if note.probe != probe or note.epoch <= keys[-1][0] or note.record_key in {vkey for _, vkey in keys}:
            raise Denied("bad_request", "a new key begins a later epoch than the one before, and was never used")
        now_ms = self._now_ms()
        with self._identities.transaction():
            if not self._identities.keys(probe):
                self._identities.add_key(probe, 0, entry.vkey, now_ms)
            self._identities.add_key(probe, note.epoch, note.record_key, now_ms)
            self._identities.add_note("key", ask.note.encode(), now_ms)
        return Rotated(epoch=note.epoch)

    def _nonce(self) -> Nonce:
        now_ms = self._now_ms()
        while self._nonces and (len(self._nonces) >= MOST_NONCES or next(iter(self._nonces.values())) <= now_ms):
            self._nonces.popitem(last=False)
        nonce = secrets.token_hex(enrolment.TOKEN_BYTES)
        self._nonces[nonce] = now_ms + NONCE_S * 1000
        return Nonce(nonce=nonce)

    def _spend(self, nonce: str) -> None:
        if self._nonces.pop(nonce, 0) <= self._now_ms():
            raise Denied("nonce_unknown", "the nonce is used, too old, or was never given; ask for another")

    def _registered(self, probe: str) -> ProbeEntry:
        entry = self._probes.probe(probe)
        if entry is None:
            raise Denied("probe_unknown", "no such probe", ("unknown_probe", probe))
        if entry.state == "revoked":
            raise Denied("probe_revoked", "this probe was revoked", ("revoked_probe", probe))
        return entry

    def _open_enrol(self, text: str, request: str, probe: str) -> tuple[notes.Enrol, pki.PublicKey]:
        """Check a note and a request against each other. Raises Denied."""
        try:
            body = text.partition("\n")[2].partition("\n")[0]
            shown = parse_vkey(str(msgspec.json.decode(body)["record_key"]))
            public = pki.read_request(request.encode())
        except (Refused, KeyError, TypeError, ValueError, RecursionError) as error:
            raise Denied("bad_request", str(error)[:200]) from error
        _check_name(shown.vkey, self._origin, probe)
        note = _open(text, notes.Enrol, self._origin, shown, probe)
        if note.probe != probe or note.record_key != shown.vkey:
            raise Denied("bad_request", "the note speaks of another probe", ("wrong_probe", probe))
        if note.tls_key_sha256 != pki.key_sha256(public):
            raise Denied("bad_key", "note and certificate request hold different keys", ("bad_enrolment", probe))
        return note, public

    def _granted(self, pem: str, note: notes.Enrol, entry: ProbeEntry) -> Granted:
        state: Literal["active", "quarantine"] = "active" if entry.state == "active" else "quarantine"
        return Granted(certificate=self._chain(pem), fingerprint=self._digits(note), state=state)

    def _digits(self, note: notes.Enrol) -> str:
        return enrolment.fingerprint(self._origin, note.probe, note.record_key, note.tls_key_sha256)

    def _chain(self, pem: str) -> str:
        return pem + self._ca.above.decode()


def _utc(now_ms: int) -> datetime:
    return datetime.fromtimestamp(now_ms / 1000, UTC)


def _read(body: bytes, shape: type[A]) -> A:
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise Denied("bad_request", str(error)[:200]) from error


def _open(text: str, shape: type[N], origin: str, verifier: Verifier, probe: str) -> N:
    try:
        return notes.open_note(text.encode(), shape, origin, verifier)
    except Refused as error:
        raise Denied("bad_key", f"{error}"[:200], ("bad_enrolment", probe)) from error


def _check_name(vkey: str, origin: str, probe: str) -> None:
    """The key must be named after its probe. Raises Denied."""
    try:
        name = parse_vkey(vkey).name
    except Refused as error:
        raise Denied("bad_key", error.detail) from error
    if name != probe_key_name(origin, probe):
        raise Denied("bad_key", f"a key named {name} is not that of {probe}", ("wrong_probe", probe))


def _named_probe(text: str, origin: str) -> str:
    """The probe that signed a note, as its signature line says; nothing is verified yet. Raises Denied."""
    try:
        lines = split(text.encode()).signatures
    except Refused as error:
        raise Denied("bad_request", error.detail) from error
    prefix = probe_key_name(origin, "")
    if len(lines) != 1 or not lines[0].name.startswith(prefix):
        raise Denied("bad_request", "the note is signed by no probe of this deployment")
    return lines[0].name.removeprefix(prefix)


def _same(text: str, origin: str, keys: Sequence[tuple[int, str]]) -> int | None:
    """The epoch of the key that a `key` note asks for, if just this was registered already; else None."""
    for (_, signer), (epoch, vkey) in pairwise(keys):
        with suppress(Refused):
            note = notes.open_note(text.encode(), notes.Key, origin, parse_vkey(signer))
            if (note.epoch, note.record_key) == (epoch, vkey):
                return epoch
    return None
