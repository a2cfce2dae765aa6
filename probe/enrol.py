"""Becoming a probe: keys are made here, shown once by a claim, and the claim is wiped. Safe to be cut off anywhere.

Every step leaves a file, whole or not at all, and is skipped when its file is there: claim.toml (our copy), record.key,
tls.key, ca.crt, tls.crt, broker.toml, and identity.toml last, which says that all is done. Running it
again goes on where it stopped, with the same keys; the collector gives the same keys the same answer.
Source: facts note 08 §4; facts note 05 §6.2.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from probe import build, carried
from probe.devices import host, tls_key
from probe.enrol_line import Line
from wire import enrolment, keyfile, notes
from wire.codec import probe_key_name
from wire.enrolment import Claim, ClaimAsk, Granted
from wire.errors import Misconfigured, Refused, Unavailable
from wire.note import Signer

DONE = "identity.toml"
COPY = "claim.toml"
RETRY_S = 5.0
_LOG_KEY = re.compile(r'^# log_vkey = "([^"\n]{1,256})"$', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What a person must know afterwards: the digits to compare, and whether the claim could be wiped everywhere."""

    probe: str
    fingerprint: str
    is_wiped: bool


def enrol(
    claim_file: Path | None,
    folder: Path,
    interface: str | None = None,
    wait_s: float = 0.0,
    *,
    step: Callable[[str], None] = lambda _: None,
) -> Enrolled:
    """Enrol this machine by a claim, into `folder`; go on where an earlier try stopped.

    `wait_s`: how long to try again while the claim is not armed or the door not reached. `step` is called after each
    step, for tests of sudden ends. Raises Refused, Unavailable, Misconfigured.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not (folder / DONE).exists():
        claim = _own_claim(claim_file, folder)
        step("claim")
        signer = _keys(folder, claim, step)
        line = Line(claim.url, claim.root, interface)
        granted = _granted(line, _ask(folder, claim, signer), wait_s)
        step("granted")
        _finish(folder, claim, granted, step)
    elif claim_file is not None:
        _check_same(claim_file, folder)
    wiped = [_wipe(path) for path in (claim_file, folder / COPY) if path is not None and path.exists()]
    step("wiped")
    return Enrolled(*_identity(folder), all(wiped))


def _own_claim(claim_file: Path | None, folder: Path) -> Claim:
    """Read the claim, and keep a copy first: the one on the card may be gone when we go on."""
    copy = folder / COPY
    given = claim_file if claim_file is not None and claim_file.exists() else None
    if given is None and not copy.exists():
        raise Misconfigured(f"{claim_file or copy} is missing; ask the office for the claim file of this probe")
    claim = read_claim(given or copy)
    log_key(given or copy)  # raises now rather than after the claim was used
    if copy.exists() and read_claim(copy).probe != claim.probe:
        raise Misconfigured(
            f"{folder} was begun as {read_claim(copy).probe}, the claim is that of {claim.probe}; empty the folder or"
            " give another --folder"
        )
    if given is not None:
        put(copy, given.read_bytes())
    return claim


def _check_same(claim_file: Path, folder: Path) -> None:
    """A claim of another probe must not be wiped by a machine that is a probe already. Raises Misconfigured."""
    found = _identity(folder)[0]
    with contextlib.suppress(Misconfigured):  # what cannot be read is wiped, as it was meant to be
        other = read_claim(claim_file).probe
        if other != found:
            break_off = f"{folder} holds {found}, the claim is that of {other}; give another --folder"
            raise Refused("wrong_probe", break_off)


def read_claim(path: Path) -> Claim:
    """Read a claim file. Raises Misconfigured."""
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Claim)
    except OSError as error:
        raise Misconfigured(f"cannot read {path}: {error.strerror}; ask the office for the claim file") from error
    except (ValueError, RecursionError) as error:
        raise Misconfigured(
            f"{path} is no claim file or was damaged on the way; ask the office for it again"
        ) from error


def log_key(path: Path) -> str | None:
    """The log's key beside a claim: the comment `# log_vkey = "..."`; None in a claim of an older office.

    A claim of version 1 takes no further key, and older probes must go on reading it (docs/decisions/0050). Raises
    Misconfigured if there is more than one, or one that is not the log's of this claim.
    """
    claim = read_claim(path)
    found = _LOG_KEY.findall(path.read_text(encoding="utf-8"))
    if not found:
        return None
    name = keyfile.read_verifier(found[0], f"{path}: log_vkey").name
    if len(found) > 1 or name != f"{claim.origin}/log":
        raise Misconfigured(f"{path}: log_vkey is not the key of {claim.origin}/log; ask the office for another claim")
    return str(found[0])


def _keys(folder: Path, claim: Claim, step: Callable[[str], None]) -> Signer:
    """Make both keys unless they are there; return the record key."""
    record = folder / "record.key"
    if not record.exists():
        partial = folder / "record.key.partial"
        partial.unlink(missing_ok=True)
        keyfile.write_signer(partial, Signer.generate(probe_key_name(claim.origin, claim.probe)))
        partial.replace(record)
        step("record key")
    if not (folder / "tls.key").exists():
        put(folder / "tls.key", tls_key.make())
        step("tls key")
    return keyfile.read_signer(record)


def _ask(folder: Path, claim: Claim, signer: Signer) -> ClaimAsk:
    key = (folder / "tls.key").read_bytes()
    note = make_note(folder / "tls.key", claim.origin, claim.probe, claim.token, signer)
    return ClaimAsk(token=claim.token, note=note, request=tls_key.request(key, claim.probe))


def make_note(tls_key_file: Path, origin: str, probe: str, token: str, signer: Signer) -> str:
    """The signed note that shows this probe's keys, for a claim's token or a nonce."""
    signed = notes.Enrol(
        v=1,
        signed_ms=time.time_ns() // 1_000_000,
        probe=probe,
        record_key=signer.verifier.vkey,
        tls_key_sha256=tls_key.key_sha256(tls_key_file.read_bytes()),
        token_sha256=enrolment.token_sha256(token),
        model=host.model(),
        fw=build.firmware(),
    )
    return notes.seal(signed, origin, signer).decode()


def _granted(line: Line, ask: ClaimAsk, wait_s: float) -> Granted:
    until_s = time.monotonic() + wait_s
    while True:
        try:
            return line.ask("claim", ask, Granted)
        except Unavailable:
            if time.monotonic() + RETRY_S > until_s:
                raise
            time.sleep(RETRY_S)


def _finish(folder: Path, claim: Claim, granted: Granted, step: Callable[[str], None]) -> None:
    """Write what the probe's settings name, identity.toml last. Raises Refused if the certificate is not ours."""
    certificate = granted.certificate.encode()
    if not tls_key.is_of(certificate, (folder / "tls.key").read_bytes()):
        raise Refused("bad_key", "the certificate that came is not for this probe's key; tell the office")
    put(folder / "ca.crt", claim.root.encode())
    put(folder / "tls.crt", certificate)
    step("certificate")
    if claim.used:
        put(folder / carried.FILE, msgspec.json.encode(claim.used))
    put(folder / "broker.toml", _broker(claim).encode())
    put(folder / DONE, _head(claim, granted.fingerprint, log_key(folder / COPY)).encode())
    step("identity")


def _head(claim: Claim, fingerprint: str, log_vkey: str | None) -> str:
    log = "" if log_vkey is None else f'log_vkey = "{log_vkey}"\n'
    return f"""\
# Identity of one probe: the head of its probe.toml. The keys beside it were made here and never leave.
# Fingerprint, to be compared by the office: {fingerprint[:3]} {fingerprint[3:]}
probe = "{claim.probe}"
origin = "{claim.origin}"
key_file = "record.key"
ack_vkey = "{claim.ack_vkey}"
config_vkey = "{claim.config_vkey}"
enrol_url = "{claim.url}"
{log}"""


def _broker(claim: Claim) -> str:
    return f"""\
# Where records go: append this to probe.toml, behind all other tables.
[broker]
host = "{claim.broker_host}"
port = {claim.broker_port}
ca_file = "ca.crt"
cert_file = "tls.crt"
tls_key_file = "tls.key"
"""


def _identity(folder: Path) -> tuple[str, str]:
    """Name and fingerprint of an enrolled probe, computed from its own keys. Raises Misconfigured."""
    try:
        found = tomllib.loads((folder / DONE).read_text())
        probe, origin = str(found["probe"]), str(found["origin"])
        key = (folder / "tls.key").read_bytes()
    except (OSError, ValueError, RecursionError, KeyError) as error:
        raise Misconfigured(f"{folder} holds no enrolled probe; run: dosong-probe enrol CLAIMFILE") from error
    vkey = keyfile.read_signer(folder / "record.key").verifier.vkey
    return probe, enrolment.fingerprint(origin, probe, vkey, tls_key.key_sha256(key))


def fingerprint(folder: Path) -> tuple[str, str]:
    """Name and six digits of the probe in `folder`. Raises Misconfigured."""
    return _identity(folder)


def put(path: Path, content: bytes) -> None:
    """Write a file of mode 0600 whole or not at all, on disk when this returns. Raises OSError."""
    partial = path.with_name(f"{path.name}.partial")
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _wipe(path: Path) -> bool:
    """Overwrite and delete a claim; False if it is where we may not (a card that is mounted read-only)."""
    with contextlib.suppress(OSError):
        with path.open("r+b") as file:
            file.write(b"\0" * path.stat().st_size)
            file.flush()
            os.fsync(file.fileno())
        path.unlink()
        return True
    return False
