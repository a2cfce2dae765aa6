"""Another certificate before the old one ends, or after it: the record key says who asks, so darkness does no harm.

The TLS key stays, so that taking up the new certificate is one rename; the running daemon reads it at its next session.
Source: facts note 08 §4 (rotation, expired but registered).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from probe.devices import tls_key
from probe.enrol import make_note, put
from probe.enrol_line import Line
from probe.settings import Settings
from wire import keyfile
from wire.enrolment import Granted, Nonce, RenewAsk
from wire.errors import Misconfigured, Refused

SPENT_SHARE = 2 / 3
"""A certificate is renewed when this share of its life is over: eight months are left then for trying."""


@dataclass(frozen=True, slots=True)
class Renewed:
    """Whether a new certificate was taken, and until when the one in use is good, UTC milliseconds."""

    is_new: bool
    not_after_ms: int


def line_of(settings: Settings) -> Line:
    """The line to the deployment's door. Raises Misconfigured if the settings do not name it."""
    if settings.enrol_url is None or settings.broker is None:
        raise Misconfigured("enrol_url and [broker] are needed to renew; both stand in what dosong-probe enrol wrote")
    broker = settings.broker
    interface = broker.interface or (broker.ways[0] if broker.ways else None)
    return Line(settings.enrol_url, settings.path(broker.ca_file).read_text(), interface)


def is_due(life: tls_key.Life, now_ms: int) -> bool:
    """Whether a certificate should be renewed at `now_ms` (a clock that is wrong by years renews once too often)."""
    begin = life.not_before_ms
    return not begin <= now_ms < begin + (life.not_after_ms - begin) * SPENT_SHARE


def renew(settings: Settings, now_ms: int, *, is_forced: bool) -> Renewed:
    """Renew if it is due or forced. Raises Refused (revoked, unknown), Unavailable, Misconfigured."""
    line = line_of(settings)
    broker = settings.broker
    if broker is None:
        raise Misconfigured("[broker] is missing in the settings")
    path, key_path = settings.path(broker.cert_file), settings.path(broker.tls_key_file)
    key = key_path.read_bytes()
    if not is_forced:
        life = tls_key.life(path.read_bytes())
        if not is_due(life, now_ms):
            return Renewed(False, life.not_after_ms)
    certificate = _ask(settings, line, key_path, key)
    put(path, certificate)
    return Renewed(True, tls_key.life(certificate).not_after_ms)


def _ask(settings: Settings, line: Line, key_path: Path, key: bytes) -> bytes:
    signer = keyfile.read_signer(settings.path(settings.key_file))
    nonce = line.ask("nonce", None, Nonce).nonce
    note = make_note(key_path, settings.origin, settings.probe, nonce, signer)
    request = tls_key.request(key, settings.probe)
    granted = line.ask("renew", RenewAsk(nonce=nonce, note=note, request=request), Granted)
    certificate = granted.certificate.encode()
    if not tls_key.is_of(certificate, key):
        raise Refused("bad_key", "the certificate that came is not for this probe's key; tell the office")
    return certificate
