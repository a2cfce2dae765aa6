"""The deployment's small certificate authority: P-256, one CA, one server, one client certificate a probe.

A client certificate's common name is the probe id, which the broker uses as user name and client id, so that a
probe can only speak as itself. Lifetimes are long because a probe may be dark for months and its clock may be
wrong; the ledger's key registry decides who counts, not the certificate.
Source: facts note 08 §4 (lifetimes, mosquitto 2.0.11); RFC 5280.
"""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from wire.errors import Misconfigured

CA_YEARS = 20
SERVER_YEARS = 2
CLIENT_YEARS = 2


@dataclass(frozen=True, slots=True)
class Issued:
    """A private key and its certificate."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate


def make_ca(name: str, now: datetime) -> Issued:
    """Make a new root for one deployment, valid for 20 years."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(f"{name} CA")
    builder = _builder(subject, subject, key, now, CA_YEARS)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(sign_certificates=True), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    return Issued(key, builder.sign(key, hashes.SHA256()))


def make_server(ca: Issued, hosts: tuple[str, ...], now: datetime) -> Issued:
    """Issue the broker's certificate for `hosts` (names or literal addresses).

    It is valid from the CA's own beginning, so that a probe whose clock is somewhat behind still connects.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    begin = ca.certificate.not_valid_before_utc
    builder = _builder(_name(hosts[0]), ca.certificate.subject, key, begin, SERVER_YEARS, end_from=now)
    builder = builder.add_extension(x509.SubjectAlternativeName([_host(host) for host in hosts]), critical=False)
    return _issue(builder, ca, key, ExtendedKeyUsageOID.SERVER_AUTH)


def make_client(ca: Issued, probe: str, now: datetime) -> Issued:
    """Issue a probe's client certificate; its common name is the probe id."""
    key = ec.generate_private_key(ec.SECP256R1())
    begin = ca.certificate.not_valid_before_utc
    builder = _builder(_name(probe), ca.certificate.subject, key, begin, CLIENT_YEARS, end_from=now)
    return _issue(builder, ca, key, ExtendedKeyUsageOID.CLIENT_AUTH)


def _issue(
    builder: x509.CertificateBuilder, ca: Issued, key: ec.EllipticCurvePrivateKey, usage: x509.ObjectIdentifier
) -> Issued:
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(sign_certificates=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    # Since 3.13 Python verifies strictly: a certificate must name the key that signed it (RFC 5280 §4.2.1.1).
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca.key.public_key())
    builder = builder.add_extension(issuer, critical=False)
    return Issued(key, builder.sign(ca.key, hashes.SHA256()))


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    begin: datetime,
    years: int,
    end_from: datetime | None = None,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after((end_from or begin) + timedelta(days=365 * years))
    )


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


def save(issued: Issued, key_path: Path, certificate_path: Path) -> None:
    """Write key (mode 0600) and certificate. Raises FileExistsError: a key is never overwritten."""
    private = issued.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    handle = os.open(key_path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(private)
    certificate_path.write_bytes(issued.certificate.public_bytes(serialization.Encoding.PEM))


def load(key_path: Path, certificate_path: Path) -> Issued:
    """Read key and certificate back. Raises Misconfigured if one is missing or of another kind."""
    try:
        key = serialization.load_pem_private_key(key_path.read_bytes(), None)
        certificate = x509.load_pem_x509_certificate(certificate_path.read_bytes())
    except (OSError, ValueError) as error:
        raise Misconfigured(f"cannot read {key_path} and {certificate_path}; run: dosong-provision init") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise Misconfigured(f"{key_path} holds no P-256 key")
    return Issued(key, certificate)
