"""The probe's TLS key and its certificate: made here, never given away; P-256 by the package cryptography.

Source: RFC 2986 (certificate requests); facts note 08 §4 (two keys a probe).
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from hashlib import sha256

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from wire.errors import Misconfigured

_PEM = serialization.Encoding.PEM


@dataclass(frozen=True, slots=True)
class Life:
    """When a certificate begins and ends, UTC milliseconds."""

    not_before_ms: int
    not_after_ms: int


def make() -> bytes:
    """Make a private key, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def request(key: bytes, probe: str) -> str:
    """A certificate request for a private key (PEM), PEM. Raises Misconfigured if it is no such key."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, probe)])
    made = x509.CertificateSigningRequestBuilder().subject_name(name).sign(_private(key), hashes.SHA256())
    return made.public_bytes(_PEM).decode()


def key_sha256(key: bytes) -> str:
    """SHA-256 of the public key (SubjectPublicKeyInfo), base64. Raises Misconfigured as above."""
    return _hash(_private(key).public_key())


def is_of(certificate: bytes, key: bytes) -> bool:
    """Whether the first certificate of a PEM file holds the public half of a private key."""
    try:
        public = x509.load_pem_x509_certificate(certificate).public_key()
    except ValueError:
        return False
    return isinstance(public, ec.EllipticCurvePublicKey) and _hash(public) == key_sha256(key)


def life(certificate: bytes) -> Life:
    """When the first certificate of a PEM file begins and ends. Raises Misconfigured if there is none."""
    try:
        found = x509.load_pem_x509_certificate(certificate)
    except ValueError as error:
        raise Misconfigured("the probe's certificate is damaged; run: dosong-probe renew --force") from error
    begin, end = found.not_valid_before_utc.timestamp(), found.not_valid_after_utc.timestamp()
    return Life(int(begin * 1000), int(end * 1000))


def _private(key: bytes) -> ec.EllipticCurvePrivateKey:
    try:
        found = serialization.load_pem_private_key(key, None)
    except (ValueError, TypeError) as error:
        raise Misconfigured("tls.key is damaged; this probe must be enrolled anew, with a new claim") from error
    if not isinstance(found, ec.EllipticCurvePrivateKey):
        raise Misconfigured("tls.key holds no P-256 key; this probe must be enrolled anew, with a new claim")
    return found


def _hash(public: ec.EllipticCurvePublicKey) -> str:
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(sha256(der).digest()).decode()
