"""The certificate authority on disk, and what it hands out: the one place that opens its keys.

<dir>/ca/root.crt, root.key   the root; its key belongs into a safe and is needed again when issuing.* is renewed
<dir>/ca/issuing.crt, .key    issues certificates and revocation lists; `ca serve` alone should be able to read it
<dir>/ca/old/                 issuing authorities of before: their certificates stay good, and so do their lists
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from collector.registry_identity import CertificateEntry, Purpose
from provisioning import pki
from provisioning.pki import Issued
from wire.errors import Misconfigured


@dataclass(frozen=True, slots=True)
class Authority:
    """The issuing authority in use, those before it, and the root's certificate."""

    folder: Path
    issuing: Issued
    older: tuple[Issued, ...]
    root: bytes

    @property
    def above(self) -> bytes:
        """What a holder sends behind its own certificate, PEM."""
        return pki.pem_of(self.issuing.certificate)

    @property
    def trusted(self) -> bytes:
        """What a server that asks for client certificates trusts, PEM: the root and every issuing authority."""
        return self.root + pki.pem_of(*(one.certificate for one in (self.issuing, *self.older)))


def create(folder: Path, origin: str, root_key: Path | None, now: datetime) -> Authority:
    """Make root and issuing authority; the root's key goes to `root_key` (None: root.key beside the rest).

    Raises Misconfigured if there is one already.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / "root.crt").exists():
        raise Misconfigured(f"{folder} holds an authority already; to renew a part of it: dosong-provision ca renew")
    root = pki.make_root(origin, now)
    try:
        pki.save(root, root_key or folder / "root.key", folder / "root.crt")
    except OSError as error:
        raise Misconfigured(f"cannot write the root's key to {root_key}: {error.strerror}; choose a folder") from error
    pki.save(pki.make_issuing(root, origin, now), folder / "issuing.key", folder / "issuing.crt")
    return load(folder)


def load(folder: Path) -> Authority:
    """Read the authority. Raises Misconfigured."""
    if (folder / "ca.key").exists() and not (folder / "issuing.key").exists():
        raise Misconfigured(
            f"{folder} holds the single authority of an earlier version; make a new deployment in another --dir"
        )
    issuing = pki.load(folder / "issuing.key", folder / "issuing.crt")
    older = tuple(pki.load(path, path.with_suffix(".crt")) for path in sorted((folder / "old").glob("*.key")))
    return Authority(folder, issuing, older, (folder / "root.crt").read_bytes())


def renew_issuing(folder: Path, origin: str, root_key: Path, now: datetime) -> Authority:
    """Make the next issuing authority with the root's key; the one before goes on vouching for what it issued.

    Raises Misconfigured if the key is not the root's.
    """
    root = pki.load(root_key, folder / "root.crt")
    fresh = pki.make_issuing(root, origin, now)
    serial = pki.facts((folder / "issuing.crt").read_bytes()).serial[:12]
    (folder / "old").mkdir(exist_ok=True)
    pki.save(fresh, folder / "next.key", folder / "next.crt")
    for suffix in (".key", ".crt"):
        shutil.copy2(folder / f"issuing{suffix}", folder / "old" / f"{serial}{suffix}")
    # The key last: a pair that does not fit is refused at loading, and doing this again mends it.
    for suffix in (".crt", ".key"):
        (folder / f"next{suffix}").replace(folder / f"issuing{suffix}")
    return load(folder)


def put_server(authority: Authority, folder: Path, hosts: tuple[str, ...], now: datetime) -> CertificateEntry:
    """Make a server's key and certificate in `folder` (server.key, server.crt), in place of those that are there."""
    made = pki.make_server(authority.issuing, hosts, now)
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("next.key", "next.crt"):
        (folder / name).unlink(missing_ok=True)
    pki.save(made, folder / "next.key", folder / "next.crt", authority.issuing.certificate)
    own_as_folder(folder / "next.key", 0o600)
    for suffix in (".crt", ".key"):
        (folder / f"next{suffix}").replace(folder / f"server{suffix}")
    return entry_of((folder / "server.crt").read_bytes(), "server", now)


def crl(authority: Authority, revoked: list[CertificateEntry], now: datetime) -> bytes:
    """The revocation lists of all issuing authorities, PEM, one behind the other.

    Each names every revoked serial: which authority issued it does not matter to who reads the list.
    """
    serials = [(one.serial, datetime.fromtimestamp((one.revoked_ms or 0) / 1000, UTC)) for one in revoked]
    number = int(now.timestamp() * 1000)
    return b"".join(pki.make_crl(one, serials, now, number) for one in (authority.issuing, *authority.older))


def entry_of(pem: bytes, purpose: Purpose, now: datetime) -> CertificateEntry:
    """What the registry keeps of a certificate that was just issued."""
    found = pki.facts(pem)
    at_ms = int(now.timestamp() * 1000)
    alone = pem[: pem.index(b"-----END CERTIFICATE-----")] + b"-----END CERTIFICATE-----\n"
    return CertificateEntry(
        *(found.serial, found.subject, purpose, found.key_sha256, found.not_before_ms, found.not_after_ms),
        *(at_ms, None, alone.decode()),
    )


def own_as_folder(path: Path, mode: int) -> None:
    """Give a file the owner of its folder, if we may: a server must read what root wrote for it."""
    path.chmod(mode)
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.chown(path, owner.st_uid, owner.st_gid)
