"""Would a telephone with Android 7 trust this certificate? The chain as nginx will send it, looked at offline.

Such telephones have a list of roots that is never renewed, do not fetch a missing intermediate, and know RSA and ECDSA
on P-256 surely. Which roots they have stands in data/roots_android7.toml, each with its source.
Source: issue of identities, item 3; facts note 08 §5.
"""

from __future__ import annotations

import tomllib
import warnings
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from importlib import resources
from itertools import pairwise
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from wire.errors import Misconfigured

BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
MIN_RSA_BITS = 2048
SOON = timedelta(days=14)
MOST = 8


@dataclass(frozen=True, slots=True)
class Root:
    """One root that such a telephone has; `since`: the first Android with it."""

    name: str
    sha256: str
    since: str
    basis: str


@dataclass(frozen=True, slots=True)
class Found:
    """What is wrong, and what is well; no fault means that such a telephone would trust it."""

    faults: tuple[str, ...]
    notes: tuple[str, ...]


def roots() -> tuple[Root, ...]:
    """The committed list."""
    text = (resources.files("provisioning") / "data/roots_android7.toml").read_text(encoding="utf-8")
    return tuple(Root(**one) for one in tomllib.loads(text)["root"])


def check(
    pem: bytes,
    name: str,
    now: datetime,
    *,
    key: bytes | None = None,
    own_roots: bytes = b"",
    bundle: bytes | None = None,
) -> Found:
    """Look at a chain, leaf first. `own_roots`: roots that were put on telephones by hand, PEM.

    `bundle`: roots in full, PEM, in which the chain's last issuer is looked up; None: this machine's.
    Raises Misconfigured if `pem` holds no certificate.
    """
    sent = _read(pem, "the certificate")
    leaf, *above = sent
    faults = [*_leaf(leaf, name, now), *_order(sent), *(fault for one in above for fault in _issuer(one, now))]
    if key is not None and not _fits(key, leaf):
        faults.append("the key is not that of the certificate; give the pair that was issued together")
    known = {root.sha256: root for root in roots()}
    own = {_sha256(one) for one in (_read(own_roots, "the roots") if own_roots else [])}
    trusted = known.keys() | own
    anchors = [*sent, *_held(own_roots, trusted), *_held(_bundle() if bundle is None else bundle, trusted)]
    anchor = next((found for one in reversed(sent) for found in _anchors(one, anchors, trusted)), None)
    if anchor is None:
        return Found((*faults, _untrusted(sent[-1])), ())
    return Found(tuple(faults), () if faults else _well(leaf, anchor, known))


def _well(leaf: x509.Certificate, anchor: x509.Certificate, known: dict[str, Root]) -> tuple[str, ...]:
    root = known.get(_sha256(anchor))
    if root is None:
        said = f"root: {anchor.subject.rfc4514_string()}, put on your telephones by hand"
    else:
        said = f"root: {root.name}, on telephones since Android {root.since} ({root.basis})"
    days = f"good until {leaf.not_valid_after_utc:%Y-%m-%d}"
    return said, days


def _untrusted(last: x509.Certificate) -> str:
    return (
        f"no root of Android 7 vouches for {last.issuer.rfc4514_string()!r}; ask the authority for the chain to an"
        " older root, and put all intermediates behind the certificate"
    )


def _leaf(leaf: x509.Certificate, name: str, now: datetime) -> Iterator[str]:
    if not any(_names(one, name) for one in _sans(leaf)):
        yield f"the certificate is not for {name} but for {', '.join(_sans(leaf)) or 'no name'}"
    yield from _dates(leaf, now)
    key = leaf.public_key()
    is_known = isinstance(key, rsa.RSAPublicKey) or (
        isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)
    )
    if not is_known:
        yield "the certificate's key is neither RSA nor ECDSA on P-256, which Android 7.0 needs"
    yield from _strength(leaf)


def _issuer(one: x509.Certificate, now: datetime) -> Iterator[str]:
    yield from _dates(one, now)
    yield from _strength(one)
    try:
        is_authority = one.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        is_authority = False
    if not is_authority:
        yield f"{one.subject.rfc4514_string()} is no authority, and has no place behind the certificate"


def _strength(one: x509.Certificate) -> Iterator[str]:
    key = one.public_key()
    who = one.subject.rfc4514_string()
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < MIN_RSA_BITS:
        yield f"{who}: RSA of {key.key_size} bits, at least {MIN_RSA_BITS} are needed"
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        yield f"{who}: a key of a kind that Android 7 does not know"
    if isinstance(one.signature_hash_algorithm, hashes.SHA1 | hashes.MD5) and one.issuer != one.subject:
        yield f"{who}: signed with SHA-1 or MD5, which no telephone believes"


def _dates(one: x509.Certificate, now: datetime) -> Iterator[str]:
    who = one.subject.rfc4514_string()
    if now < one.not_valid_before_utc:
        yield f"{who} is good from {one.not_valid_before_utc:%Y-%m-%d} only; correct this machine's clock?"
    if now > one.not_valid_after_utc:
        yield f"{who} ended on {one.not_valid_after_utc:%Y-%m-%d}; renew it"
    elif now + SOON > one.not_valid_after_utc:
        yield f"{who} ends on {one.not_valid_after_utc:%Y-%m-%d}; renew it now"


def _order(sent: list[x509.Certificate]) -> Iterator[str]:
    for one, above in pairwise(sent):
        if not _signed_by(one, above):
            yield (
                f"{above.subject.rfc4514_string()} does not vouch for the certificate before it;"
                " put each issuer right behind what it issued"
            )


def _anchors(one: x509.Certificate, anchors: list[x509.Certificate], trusted: set[str]) -> Iterator[x509.Certificate]:
    """The certificate itself if it is a trusted root, else trusted roots that signed it."""
    yield from (each for each in anchors if _sha256(each) in trusted and (each == one or _signed_by(one, each)))


def _signed_by(one: x509.Certificate, above: x509.Certificate) -> bool:
    try:
        one.verify_directly_issued_by(above)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _fits(key: bytes, leaf: x509.Certificate) -> bool:
    try:
        held = serialization.load_pem_private_key(key, None)
    except (ValueError, TypeError) as error:
        raise Misconfigured(f"the key cannot be read ({error}); give it as PEM without a password") from error
    form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    return held.public_key().public_bytes(*form) == leaf.public_key().public_bytes(*form)


def _sans(leaf: x509.Certificate) -> list[str]:
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))]


def _names(pattern: str, name: str) -> bool:
    head, _, rest = name.lower().partition(".")
    return pattern.lower() == name.lower() or (bool(head) and pattern.lower() == f"*.{rest}")


def _sha256(one: x509.Certificate) -> str:
    return one.fingerprint(hashes.SHA256()).hex()


def _read(pem: bytes, what: str) -> list[x509.Certificate]:
    try:
        found = x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise Misconfigured(f"{what}: no certificate in PEM form ({error}); give the full chain, leaf first") from error
    if len(found) > MOST:
        raise Misconfigured(
            f"{what}: {len(found)} certificates, at most {MOST}; give the leaf and what stands above it"
        )
    return found


def _held(pem: bytes, wanted: set[str]) -> list[x509.Certificate]:
    """The wanted ones of a bundle; the others are not even read: a bundle may hold what no library likes."""
    parts = [part.split(b"-----END")[0] for part in pem.split(b"-----BEGIN CERTIFICATE-----")[1:]]
    ders = [b64decode(part) for part in parts]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # roots of 2009 have the serial number 0, which is told as a mistake
        return [x509.load_der_x509_certificate(der) for der in ders if sha256(der).hexdigest() in wanted]


def _bundle() -> bytes:
    try:
        return BUNDLE.read_bytes()
    except OSError as error:
        raise Misconfigured(f"{BUNDLE} cannot be read; run: apt-get install ca-certificates") from error
