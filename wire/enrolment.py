"""What a probe and its collector say to each other at enrolment, renewal and rotation: JSON over HTTPS, version 1.

The signed part is a note (`enrol` or `key`, see `wire.notes`); what stands here is only the envelope. Paths:
/enrol/v1/claim (first keys, by a claim token), /enrol/v1/nonce, /enrol/v1/renew (another certificate, by the record
key), /enrol/v1/rotate (another record key). Every answer that is not 200 is a `Refusal`.
Source: facts note 08 §4; facts note 05 §6.2.
"""

from __future__ import annotations

import base64
import re
from hashlib import sha256
from typing import Annotated, Literal

from msgspec import Meta, Struct

from wire.notes import Vkey
from wire.records import Code, Count, ModemId, ProbeId, UnixMs

PREFIX = "/enrol/v1"
MAX_BODY_BYTES = 32 * 1024
TOKEN_BYTES = 16
FINGERPRINT_DIGITS = 6
TOKEN_PATTERN = r"[0-9a-f]{32}"  # noqa: S105 (the form of one, not one)
NoteText = Annotated[str, Meta(max_length=16 * 1024)]
Pem = Annotated[str, Meta(max_length=16 * 1024)]
TokenText = Annotated[str, Meta(pattern=rf"^{TOKEN_PATTERN}\Z")]
Reason = Literal[
    "bad_request", "bad_key", "claim_unknown", "claim_used", "claim_void", "claim_expired", "claim_not_armed",
    "probe_unknown", "probe_revoked", "nonce_unknown", "too_often", "busy", "unavailable",
]  # fmt: skip
"""Why nothing was issued. `claim_not_armed`, `nonce_unknown`, `too_often`, `busy`, `unavailable`: later may work."""

LATER: frozenset[str] = frozenset({"claim_not_armed", "nonce_unknown", "too_often", "busy", "unavailable"})


class Used(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a SIM used in the billing period that began then (UTC milliseconds): it goes on in another probe."""

    period_ms: UnixMs
    used_bytes: Count


class Claim(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`claim.toml`: what one card is given. `token` is good for one probe, once; nothing here is shared by a fleet."""

    probe: ProbeId
    origin: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9.-]{0,63}\Z")]
    site: Code
    url: Annotated[str, Meta(pattern=r"^https://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?\Z")]
    token: TokenText
    ack_vkey: Vkey
    config_vkey: Vkey
    root: Pem
    broker_host: Annotated[str, Meta(max_length=253)]
    broker_port: Annotated[int, Meta(ge=1, le=65535)]
    simulated: bool = False
    used: dict[ModemId, Used] = {}


class ClaimAsk(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """First keys: the token, the `enrol` note signed by the new record key, a request for the new TLS key."""

    token: TokenText
    note: NoteText
    request: Pem


class RenewAsk(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another certificate: an `enrol` note over a nonce of the server's, signed by the registered record key."""

    nonce: TokenText
    note: NoteText
    request: Pem


class RotateAsk(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another record key: the `key` note, signed by the one before."""

    note: NoteText


class Granted(Struct, frozen=True, kw_only=True):
    """A certificate with the ones above it, PEM, and the six digits that a person compares."""

    certificate: str
    fingerprint: str
    state: Literal["active", "quarantine"]


class Nonce(Struct, frozen=True, kw_only=True):
    """Something to sign, good once and for minutes."""

    nonce: TokenText


class Rotated(Struct, frozen=True, kw_only=True):
    """The next record key is registered: it signs from `epoch` on."""

    epoch: int


class Refusal(Struct, frozen=True, kw_only=True):
    """Nothing was issued, and why."""

    error: Reason
    detail: str = ""


def token_sha256(token: str) -> str:
    """Hash of a token or nonce, base64, as an `enrol` note carries it and the registry keeps it."""
    return base64.b64encode(sha256(token.encode()).digest()).decode()


def fingerprint(origin: str, probe: str, record_key: str, tls_key_sha256: str) -> str:
    """The six digits that the probe shows and the office confirms: over both keys that it made, and its name."""
    text = "\n".join((origin, probe, record_key, tls_key_sha256))
    number = int.from_bytes(sha256(b"dosong fingerprint v1\n" + text.encode()).digest()[:8], "big")
    return f"{number % 10**FINGERPRINT_DIGITS:0{FINGERPRINT_DIGITS}d}"


def plain_fingerprint(text: str) -> str | None:
    """The digits of a fingerprint as it was typed ("123 456"); None if it is none."""
    digits = re.sub(r"[\s.-]", "", text)
    return digits if re.fullmatch(r"[0-9]{6}", digits) else None
