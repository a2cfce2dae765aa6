"""The deployment's certificates, all P-256: an offline root, an issuing authority, servers, one client a probe.

A probe's common name is its id, which the broker uses as user name and client id, so that a probe can only speak as
itself. Nothing that a request says of names or uses is taken over: only its public key. Lifetimes are long because a
probe may be dark for months and its clock may be wrong; the ledger's key registry decides who counts, not the
certificate. Certificates begin with their issuing authority, so that a clock that is somewhat behind still connects.
Source: facts note 08 §4 (lifetimes, CRL, mosquitto 2.0.11); RFC 5280; RFC 2986 (requests).
"""

from __future__ import annotations

import base64
import ipaddress
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from wire.errors import Misconfigured, Refused

ROOT_YEARS = 20
ISSUING_YEARS = 10
SERVER_YEARS = 2
CLIENT_YEARS = 2
CRL_DAYS = 90
_PEM = serialization.Encoding.PEM
PublicKey = ec.EllipticCurvePublicKey


@dataclass(frozen=True, slots=True)
class Issued:
    """A private key and its certificate."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate


@dataclass(frozen=True, slots=True)
class Facts:
    """What a list shows of a certificate; times are UTC milliseconds, `serial` is hexadecimal."""

    serial: str
    subject: str
    not_before_ms: int
    not_after_ms: int
    key_sha256: str


def make_root(name: str, now: datetime) -> Issued:
    """Make a deployment's root, valid for 20 years. Its key belongs into a safe."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(f"{name} root CA")
    builder = _builder(subject, subject, key.public_key(), (now, now + _years(ROOT_YEARS)))
    return Issued(key, _authority(builder, key, key, 1).sign(key, hashes.SHA256()))


def make_issuing(root: Issued, name: str, now: datetime) -> Issued:
    """Make an authority that issues certificates of servers and probes for 10 years, and no authorities."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(f"{name} issuing CA {now:%Y-%m-%d}")
    builder = _builder(subject, root.certificate.subject, key.public_key(), (now, now + _years(ISSUING_YEARS)))
    builder = _authority(builder, key, root.key, 0)
    return Issued(key, builder.sign(root.key, hashes.SHA256()))


def make_server(ca: Issued, hosts: tuple[str, ...], now: datetime) -> Issued:
    """Issue a server's key and certificate for `hosts` (names or literal addresses)."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(_name(hosts[0][:64]), ca.certificate.subject, key.public_key(), _life(ca, now, SERVER_YEARS))
    builder = builder.add_extension(x509.SubjectAlternativeName([_host(host) for host in hosts]), critical=False)
    return Issued(key, _end_entity(builder, ca, ExtendedKeyUsageOID.SERVER_AUTH))


def make_peer(ca: Issued, host: str, now: datetime) -> Issued:
    """Issue a broker node's certificate for its routes, where each side is client to one and server to another."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(_name(host[:64]), ca.certificate.subject, key.public_key(), _life(ca, now, ISSUING_YEARS))
    builder = builder.add_extension(x509.SubjectAlternativeName([_host(host)]), critical=False)
    return Issued(key, _end_entity(builder, ca, ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH))


def make_client(ca: Issued, probe: str, now: datetime) -> Issued:
    """Make a probe's key and certificate in the office; a probe that enrols makes its own: see `issue_client`."""
    key = ec.generate_private_key(ec.SECP256R1())
    return Issued(key, issue_client(ca, key.public_key(), probe, now))


def issue_client(ca: Issued, public: ec.EllipticCurvePublicKey, probe: str, now: datetime) -> x509.Certificate:
    """Issue the certificate of a probe's own key; its common name is the probe id."""
    builder = _builder(_name(probe), ca.certificate.subject, public, _life(ca, now, CLIENT_YEARS))
    return _end_entity(builder, ca, ExtendedKeyUsageOID.CLIENT_AUTH)


def read_request(pem: bytes) -> ec.EllipticCurvePublicKey:
    """Return the public key of a certificate request whose sender proved to hold it. Raises Refused("bad_key").

    Name and extensions that it asks for are not even read.
    """
    try:
        request = x509.load_pem_x509_csr(pem)
        proved = request.is_signature_valid
        public = request.public_key()
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        raise Refused("bad_key", "not a certificate request in PEM form, or not of a P-256 key") from error
    if not proved:
        raise Refused("bad_key", "the certificate request is not signed by its own key")
    if not isinstance(public, ec.EllipticCurvePublicKey) or not isinstance(public.curve, ec.SECP256R1):
        raise Refused("bad_key", "the certificate request holds no P-256 key")
    return public


def key_sha256(public: ec.EllipticCurvePublicKey) -> str:
    """SHA-256 of a SubjectPublicKeyInfo, base64: `tls_key_sha256` of an enrol note."""
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(sha256(der).digest()).decode()


def make_crl(ca: Issued, revoked: Iterable[tuple[str, datetime]], now: datetime, number: int) -> bytes:
    """Sign the list of revoked serials (hexadecimal, with their times), PEM; good for 90 days."""
    builder = x509.CertificateRevocationListBuilder(
        issuer_name=ca.certificate.subject, last_update=now, next_update=now + timedelta(days=CRL_DAYS)
    )
    builder = builder.add_extension(x509.CRLNumber(number), critical=False)
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca.key.public_key())
    builder = builder.add_extension(issuer, critical=False)
    for serial, at in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(int(serial, 16)).revocation_date(at).build()
        builder = builder.add_revoked_certificate(entry)
    return builder.sign(ca.key, hashes.SHA256()).public_bytes(_PEM)


@dataclass(frozen=True, slots=True)
class Crl:
    """What a revocation list says: its serials (hexadecimal), and until when it may be used."""

    serials: frozenset[str]
    last_update: datetime
    next_update: datetime | None


def read_crl(pem: bytes, issuer: bytes) -> Crl:
    """Read a revocation list and check that the first certificate of `issuer` (PEM) signed it. Raises Refused."""
    try:
        crl = x509.load_pem_x509_crl(pem)
        public = x509.load_pem_x509_certificate(issuer).public_key()
    except ValueError as error:
        raise Refused("bad_key", "not a revocation list in PEM form") from error
    if not isinstance(public, ec.EllipticCurvePublicKey) or not crl.is_signature_valid(public):
        raise Refused("bad_key", "the revocation list is not signed by the issuing authority")
    serials = frozenset(f"{entry.serial_number:x}" for entry in crl)
    return Crl(serials, crl.last_update_utc, crl.next_update_utc)


def facts(pem: bytes) -> Facts:
    """What a list shows of the first certificate of a PEM file. Raises Refused("bad_key")."""
    try:
        found = x509.load_pem_x509_certificate(pem)
        names = found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        public = found.public_key()
    except ValueError as error:
        raise Refused("bad_key", "not a certificate in PEM form") from error
    key = key_sha256(public) if isinstance(public, ec.EllipticCurvePublicKey) else ""
    begin, end = found.not_valid_before_utc.timestamp(), found.not_valid_after_utc.timestamp()
    subject = str(names[0].value) if names else ""
    return Facts(f"{found.serial_number:x}", subject, int(begin * 1000), int(end * 1000), key)


def is_issued_by(pem: bytes, issuer: bytes) -> bool:
    """Whether the first certificate of `pem` was signed by that of `issuer`."""
    try:
        x509.load_pem_x509_certificate(pem).verify_directly_issued_by(x509.load_pem_x509_certificate(issuer))
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def pem_of(*certificates: x509.Certificate) -> bytes:
    """Certificates as PEM, one behind the other: a chain begins with its holder's."""
    return b"".join(one.public_bytes(_PEM) for one in certificates)


def _authority(
    builder: x509.CertificateBuilder,
    key: ec.EllipticCurvePrivateKey,
    issuer: ec.EllipticCurvePrivateKey,
    path_length: int,
) -> x509.CertificateBuilder:
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
    builder = builder.add_extension(_usage(sign_certificates=True), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    named = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key())
    return builder.add_extension(named, critical=False)


def _end_entity(builder: x509.CertificateBuilder, ca: Issued, *usages: x509.ObjectIdentifier) -> x509.Certificate:
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(sign_certificates=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    # Since 3.13 Python verifies strictly: a certificate must name the key that signed it (RFC 5280 §4.2.1.1).
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca.key.public_key())
    return builder.add_extension(issuer, critical=False).sign(ca.key, hashes.SHA256())


def _builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, life: tuple[datetime, datetime]
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(life[0])
        .not_valid_after(life[1])
    )


def _life(ca: Issued, now: datetime, years: int) -> tuple[datetime, datetime]:
    """From the authority's own beginning, and never beyond its end."""
    return ca.certificate.not_valid_before_utc, min(now + _years(years), ca.certificate.not_valid_after_utc)


def _years(years: int) -> timedelta:
    return timedelta(days=365 * years)


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def save(issued: Issued, key_path: Path, certificate_path: Path, *above: x509.Certificate) -> None:
    """Write key (mode 0600) and certificate, those `above` it behind. Raises FileExistsError: no key is overwritten."""
    private = issued.key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    handle = os.open(key_path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(private)
        file.flush()
        os.fsync(file.fileno())
    certificate_path.write_bytes(pem_of(issued.certificate, *above))


def load(key_path: Path, certificate_path: Path) -> Issued:
    """Read key and certificate back. Raises Misconfigured if one is missing, of another kind, or not its mate's."""
    try:
        key = serialization.load_pem_private_key(key_path.read_bytes(), None)
        certificate = x509.load_pem_x509_certificate(certificate_path.read_bytes())
    except (OSError, ValueError) as error:
        raise Misconfigured(f"cannot read {key_path} and {certificate_path}; run: dosong-provision init") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise Misconfigured(f"{key_path} holds no P-256 key")
    if key.public_key() != certificate.public_key():
        raise Misconfigured(f"{key_path} is not the key of {certificate_path}; put the pair back from one backup")
    return Issued(key, certificate)


def split_pem(pem: bytes) -> list[bytes]:
    """The certificates of a PEM file, each alone."""
    end = b"-----END CERTIFICATE-----\n"
    return [part + end for part in pem.split(end) if b"-----BEGIN CERTIFICATE-----" in part]
