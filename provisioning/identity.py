"""What the office does with identities: claims, arming, confirming, revoking. Each change takes its signed note along.

The registry key that signs here lies in the collector's folder; it says who belongs where and whose key is out, and
can issue no certificate.
Source: facts note 08 §4; facts note 05 §6.2, §6.3; SPEC, notes `enrol`, `revoke`, `assignment`.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from collector.registry import Registry
from collector.registry_identity import ClaimEntry, Identities
from collector.registry_rows import ProbeEntry
from provisioning import authority
from provisioning.deployment import Deployment
from wire import enrolment, keyfile, notes
from wire.enrolment import Claim, Used
from wire.errors import Refused
from wire.note import Signer

CLAIM_DAYS = 90
ARMED_HOURS = 72
DAY_MS, HOUR_MS = 86_400_000, 3_600_000


@dataclass(frozen=True, slots=True)
class Desk:
    """One visit to the office: a deployment, its registry, who acts, and when."""

    where: Deployment
    registry: Registry
    identities: Identities
    actor: str
    now: datetime

    @property
    def now_ms(self) -> int:
        """UTC milliseconds."""
        return int(self.now.timestamp() * 1000)

    def signer(self) -> Signer:
        """The key of registry notes. Raises Misconfigured."""
        return keyfile.read_signer(self.where.collector / "registry.key")

    def entry(self, probe: str) -> ProbeEntry:
        """A probe of the registry. Raises Refused."""
        found = self.registry.probe(probe)
        if found is None:
            raise Refused(
                "unknown_probe", f"probe {probe} is not in the registry; dosong-provision list shows those that are"
            )
        return found


def make_claim(desk: Desk, probe: str, site: str, *, simulated: bool, used: dict[str, Used] | None = None) -> Path:
    """Make a probe's claim file; return its path. A claim of the same probe that nobody used is void from then on.

    `used`: what the SIMs that go into it have used already, by modem.

    Raises Refused if the probe is enrolled, or the site unknown.
    """
    token = secrets.token_hex(enrolment.TOKEN_BYTES)
    expires_ms = desk.now_ms + CLAIM_DAYS * DAY_MS
    entry = ClaimEntry(
        *(enrolment.token_sha256(token), probe, site, simulated, desk.now_ms, expires_ms, desk.actor),
    )
    claim = Claim(
        probe=probe,
        origin=desk.where.origin,
        site=site,
        url=desk.where.enrol_url,
        token=token,
        ack_vkey=desk.where.public_key("ack"),
        config_vkey=desk.where.public_key("config"),
        root=(desk.where.ca / "root.crt").read_text(),
        broker_host=desk.where.host,
        broker_port=desk.where.port,
        simulated=simulated,
        used=used or {},
    )
    path = desk.where.root / "claims" / f"{probe}.toml"
    desk.identities.add_claim(entry)
    text = claim_text(claim, desk.now, desk.where.log_line("# "))
    _write_secret(path, text)
    _lay_head(desk.where.collector / "claims", probe, text.replace(token, "@token@"))
    return path


def _lay_head(folder: Path, probe: str, text: str) -> None:
    """The claim without its token, where the pages find it: they may hand out the file with a token of their own."""
    folder.mkdir(exist_ok=True)
    authority.own_as_folder(folder, 0o700)
    path = folder / f"{probe}.head"
    path.write_text(text, encoding="utf-8")
    authority.own_as_folder(path, 0o600)


def claim_text(claim: Claim, now: datetime, log_line: str) -> str:
    """A claim file: everything that one card needs to know, for one probe, once.

    The log's key stands in a comment: version 1 has no field for it, and older probes read newer claims.
    Source: docs/decisions/0050.
    """
    return f'''\
# The claim of one probe, made {now:%Y-%m-%d}, good for {CLAIM_DAYS} days once: dosong-probe enrol {claim.probe}.toml
# Whoever has this file can become this probe while the claim is armed. It is wiped when it has been used.
probe = "{claim.probe}"
origin = "{claim.origin}"
site = "{claim.site}"
url = "{claim.url}"
token = "{claim.token}"
ack_vkey = "{claim.ack_vkey}"
config_vkey = "{claim.config_vkey}"
{log_line}broker_host = "{claim.broker_host}"
broker_port = {claim.broker_port}
simulated = {str(claim.simulated).lower()}
root = """
{claim.root.strip()}
"""
''' + "".join(
        f"[used.{modem}]\nperiod_ms = {one.period_ms}\nused_bytes = {one.used_bytes}\n"
        for modem, one in sorted(claim.used.items())
    )


def arm(desk: Desk, probe: str) -> ClaimEntry:
    """Let a claim be used for 72 hours from now. Raises Refused if there is none to arm."""
    until_ms = desk.now_ms + ARMED_HOURS * HOUR_MS
    found = desk.identities.arm(probe, until_ms, desk.actor, desk.now_ms)
    if found is None:
        raise Refused(
            "unknown_probe", f"{probe} has no open claim; make one: dosong-provision claim {probe} --site SITE"
        )
    return found


def expected_fingerprint(desk: Desk, probe: str) -> str:
    """The six digits that the enrolled probe shows. Raises Refused if it did not enrol by a claim."""
    for claim in desk.identities.claims(probe):
        if claim.used_ms is not None and claim.record_key and claim.tls_key_sha256:
            return enrolment.fingerprint(desk.where.origin, probe, claim.record_key, claim.tls_key_sha256)
    raise Refused("unknown_probe", f"{probe} has not enrolled yet; on the probe: dosong-probe enrol {probe}.toml")


def confirm(desk: Desk, probe: str, typed: str) -> None:
    """Take a probe out of quarantine: the digits read on site are those of the keys that enrolled.

    Raises Refused if they are not (and says so in the alarms), or the probe is in no quarantine.
    """
    entry = desk.entry(probe)
    if entry.state != "quarantine":
        raise Refused("unknown_probe", f"{probe} is {entry.state}, not in quarantine; there is nothing to confirm")
    if enrolment.plain_fingerprint(typed) != expected_fingerprint(desk, probe):
        desk.identities.raise_alarm("wrong_fingerprint", probe, "", f"{desk.actor} typed other digits", desk.now_ms)
        raise Refused(
            "bad_key",
            f"these are not the digits of the keys that enrolled as {probe}. Look at the probe again"
            f" (dosong-probe fingerprint). If they differ, somebody else enrolled: dosong-provision revoke {probe}",
        )
    note = _assignment(desk, probe, entry.site or "")
    with desk.identities.transaction():
        desk.identities.set_state(probe, "active", desk.now_ms)
        desk.identities.add_note("assignment", note, desk.now_ms)


def revoke(desk: Desk, probe: str, reason: str) -> None:
    """Accept nothing more of a probe: at the ledger from the next commit on, at the broker within minutes."""
    entry = desk.entry(probe)
    if entry.state == "revoked":
        return
    signed = notes.Revoke(
        v=1,
        signed_ms=desk.now_ms,
        key_name=f"{desk.where.origin}/probe/{probe}",
        key=entry.vkey,
        reason=reason,
        actor=desk.actor,
    )
    raw = notes.seal(signed, desk.where.origin, desk.signer())
    with desk.identities.transaction():
        desk.identities.set_state(probe, "revoked", desk.now_ms)
        desk.identities.add_note("revoke", raw, desk.now_ms)


def end_assignment(desk: Desk, probe: str, site: str) -> None:
    """Say for the log that a probe stands at its site no more."""
    used = [one.used_ms for one in desk.identities.claims(probe) if one.used_ms is not None]
    note = _assignment(desk, probe, site, desk.now_ms, min(used, default=0))
    with desk.identities.transaction():
        desk.identities.add_note("assignment", note, desk.now_ms)


def _assignment(desk: Desk, probe: str, site: str, until_ms: int | None = None, from_ms: int | None = None) -> bytes:
    signed = notes.Assignment(
        v=1,
        signed_ms=desk.now_ms,
        relation="probe_site",
        subject=probe,
        target=site,
        valid_from_ms=desk.now_ms if from_ms is None else from_ms,
        valid_until_ms=until_ms,
        actor=desk.actor,
    )
    return notes.seal(signed, desk.where.origin, desk.signer())


def keep_made_here(desk: Desk, probe: str) -> None:
    """Register certificate, key and enrol note of a probe whose keys were made in the office (`add-probe`)."""
    folder = desk.where.probe(probe)
    signer = keyfile.read_signer(folder / "record.key")
    certificate = authority.entry_of((folder / "tls.crt").read_bytes(), "probe", desk.now)
    signed = notes.Enrol(
        v=1,
        signed_ms=desk.now_ms,
        probe=probe,
        record_key=signer.verifier.vkey,
        tls_key_sha256=certificate.key_sha256,
        token_sha256=enrolment.token_sha256(secrets.token_hex(enrolment.TOKEN_BYTES)),
        model="office",
    )
    with desk.identities.transaction():
        desk.identities.add_certificate(certificate)
        desk.identities.add_key(probe, 0, signer.verifier.vkey, desk.now_ms)
        desk.identities.add_note("enrol", notes.seal(signed, desk.where.origin, signer), desk.now_ms)


def _write_secret(path: Path, text: str) -> None:
    """Write a file of mode 0600, in place of one that is there."""
    path.parent.mkdir(exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
