"""Would a telephone with Android 7 trust the pages? Each thing that it would not forgive is told in a sentence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from provisioning import chain, pki
from provisioning.pki import Issued
from wire.errors import Misconfigured

NOW = datetime(2026, 11, 22, tzinfo=UTC)
NAME = "dosong.example"
ROOT = pki.make_root("public", NOW - timedelta(days=9))
ISSUING = pki.make_issuing(ROOT, "public", NOW - timedelta(days=9))
LEAF = pki.make_server(ISSUING, (NAME, "*.pages.example"), NOW - timedelta(days=1))
MOZILLA = Path("/usr/share/ca-certificates/mozilla")


def _pem(*made: Issued) -> bytes:
    return pki.pem_of(*(one.certificate for one in made))


def _check(*made: Issued, name: str = NAME, now: datetime = NOW, own: bytes | None = None) -> chain.Found:
    return chain.check(_pem(*made), name, now, own_roots=_pem(ROOT) if own is None else own, bundle=_pem(ROOT))


def test_a_whole_chain_to_a_known_root_is_trusted(tmp_path: Path) -> None:
    assert _check(LEAF, ISSUING).faults == ()
    assert _check(LEAF, ISSUING, ROOT).faults == (), "the root may be sent along"
    assert _check(LEAF, ISSUING, name="a.pages.example").faults == ()
    pki.save(LEAF, tmp_path / "key", tmp_path / "crt")
    key = (tmp_path / "key").read_bytes()
    assert not chain.check(_pem(LEAF, ISSUING), NAME, NOW, key=key, own_roots=_pem(ROOT)).faults


def test_a_root_that_telephones_do_not_have_is_refused_whatever_this_machine_trusts() -> None:
    found = _check(LEAF, ISSUING, own=b"")
    assert len(found.faults) == 1
    assert "no root of Android 7" in found.faults[0]


@pytest.mark.parametrize(
    ("sent", "name", "days", "said"),
    [
        ((LEAF,), NAME, 0, "no root"),
        ((LEAF, ROOT, ISSUING), NAME, 0, "does not vouch"),
        ((LEAF, ISSUING), "other.example", 0, "not for other.example"),
        ((LEAF, ISSUING), "a.b.pages.example", 0, "not for a.b.pages.example"),
        ((LEAF, ISSUING), NAME, 900, "ended on"),
        ((LEAF, ISSUING), NAME, -30, "is good from"),
        ((LEAF, LEAF), NAME, 0, "is no authority"),
    ],
)
def test_what_a_telephone_would_not_forgive(sent: tuple[Issued, ...], name: str, days: int, said: str) -> None:
    found = _check(*sent, name=name, now=NOW + timedelta(days=days))
    assert any(said in fault for fault in found.faults), found


def test_a_key_of_another_certificate_is_told(tmp_path: Path) -> None:
    pki.save(ROOT, tmp_path / "key", tmp_path / "crt")
    found = chain.check(_pem(LEAF, ISSUING), NAME, NOW, key=(tmp_path / "key").read_bytes(), own_roots=_pem(ROOT))
    assert any("key is not that" in fault for fault in found.faults)


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (ec.generate_private_key(ec.SECP384R1()), "neither RSA nor ECDSA on P-256"),
        (rsa.generate_private_key(65537, 1024), "1024 bits"),  # noqa: S505
        (rsa.generate_private_key(65537, 2048), None),
    ],
)
def test_kinds_of_keys(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, said: str | None) -> None:
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)]))
        .issuer_name(ISSUING.certificate.subject)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=90))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .sign(ISSUING.key, hashes.SHA256())
    )
    found = chain.check(pki.pem_of(made, ISSUING.certificate), NAME, NOW, own_roots=_pem(ROOT), bundle=b"")
    assert [said in fault for fault in found.faults] == [True] if said else found.faults == ()


def test_the_list_is_of_roots_that_mozilla_has_and_none_is_younger_than_it_says() -> None:
    listed = {root.sha256: root for root in chain.roots()}
    assert any(root.name == "ISRG Root X1" and root.since == "7.1.1" for root in listed.values())
    held = {
        one.fingerprint(hashes.SHA256()).hex(): one
        for path in sorted(MOZILLA.glob("*.crt"))
        if (one := _quiet(path)) is not None
    }
    if not held:
        pytest.skip("Debian's ca-certificates is not installed")
    for sha256, root in listed.items():
        if sha256 not in held:
            continue  # Mozilla let it go since: telephones have it all the same
        made = held[sha256].not_valid_before_utc
        limit = datetime(2016, 8, 22, tzinfo=UTC) - timedelta(days=6 * 365)
        assert root.basis == "authority" or made < limit, root


def _quiet(path: Path) -> x509.Certificate | None:
    import warnings  # noqa: PLC0415

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an old root with a serial number of zero
        return x509.load_pem_x509_certificate(path.read_bytes())


def test_text_that_is_no_certificate_is_one_sentence() -> None:
    with pytest.raises(Misconfigured, match="PEM"):
        chain.check(b"hello", NAME, NOW)
