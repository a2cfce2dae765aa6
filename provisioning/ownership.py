"""Who may read and write what of a deployment on its server: one table, put in force by `dosong-provision own`.

Each program runs as a user of its own (systemd/*.sysusers.conf): the issuing key is read by the authority alone, the
collector's keys by the collector, the door of nginx by nginx's master process, which is root. Run as root, after
`init`, after a restore, and whenever in doubt: it says what it changed, and changes nothing the second time.
Source: design §7 (web holds no signing key); systemd/README.md.
"""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from wire.errors import Misconfigured

CA, COLLECTOR, BROKER, ROOT = "dosong-ca", "dosong-collector", "mosquitto", "root"


@dataclass(frozen=True, slots=True)
class Rule:
    """Whose a path is. `pattern`: a glob below the deployment's folder; `mode`: None leaves a file's as it is."""

    pattern: str
    owner: str
    group: str
    mode: int | None
    folder_mode: int | None = None


RULES = (
    Rule("ca", CA, CA, None, 0o700),
    Rule("ca/**/*", CA, CA, None, 0o700),
    # Lists are written by the authority, read by the broker; the folder hands its group on to what is new.
    Rule("broker", CA, BROKER, None, 0o2750),
    Rule("broker/*", CA, BROKER, 0o640),
    Rule("enrol", ROOT, ROOT, None, 0o755),
    Rule("enrol/server.key", ROOT, ROOT, 0o600),
    Rule("collector", COLLECTOR, COLLECTOR, None, 0o711),
    Rule("collector/*", COLLECTOR, COLLECTOR, 0o600),
    Rule("collector/collector.toml", COLLECTOR, COLLECTOR, 0o644),
    Rule("collector/claims", COLLECTOR, COLLECTOR, None, 0o700),
    Rule("collector/claims/*", COLLECTOR, COLLECTOR, 0o600),
    # What the office says of identities is signed by the authority alone, for logins too: the pages hold no such key.
    Rule("collector/registry.key", CA, CA, 0o600),
    # Sticky: the authority enters certificates in registry.db, and can take no other file away.
    Rule("collector/state", COLLECTOR, COLLECTOR, None, 0o3770),
    Rule("collector/state/**/*", COLLECTOR, COLLECTOR, None),
    Rule("collector/state/registry.db*", COLLECTOR, COLLECTOR, 0o660),
    Rule("claims", ROOT, ROOT, None, 0o700),
    Rule("probes", ROOT, ROOT, None, 0o700),
)
"""Later rules win over earlier ones."""
SKIPPED = {"mosquitto.pid", "reload", "collector.sock", "ca.sock"}
"""What a running program made for itself."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one path shall be; `mode` None: as it is."""

    path: Path
    owner: str
    group: str
    mode: int | None


def wanted(root: Path) -> list[Wanted]:
    """What every path of a deployment shall be, by the table; symbolic links are left alone."""
    found: dict[Path, Wanted] = {}
    for rule in RULES:
        for path in _below(root, rule.pattern):
            is_folder = path.is_dir()
            mode = rule.folder_mode if is_folder else rule.mode
            if is_folder and path in found and mode is None:
                continue  # a pattern for files: the folder has a rule of its own
            found[path] = Wanted(path, rule.owner, rule.group, mode)
    return list(found.values())


def _below(root: Path, pattern: str) -> Iterator[Path]:
    for path in sorted(root.glob(pattern)):
        if not path.is_symlink() and path.name not in SKIPPED:
            yield path


def put_in_force(root: Path) -> list[Path]:
    """Give every path its owner and mode; return what was changed. Raises Misconfigured."""
    if os.geteuid() != 0:
        raise Misconfigured("owners can be given by root only; run: sudo dosong-provision own --dir ...")
    if not (root / "deployment.toml").exists():
        raise Misconfigured(f"{root} holds no deployment; run: dosong-provision init --dir {root}")
    rules = wanted(root)
    accounts = _accounts(rules)
    return [one.path for one in rules if _apply(one, accounts)]


def _accounts(rules: list[Wanted]) -> dict[str, tuple[int, int]]:
    """User and group number of every name in use. Raises Misconfigured."""
    found: dict[str, tuple[int, int]] = {}
    for name in {name for one in rules for name in (one.owner, one.group)}:
        try:
            found[name] = pwd.getpwnam(name).pw_uid, grp.getgrnam(name).gr_gid
        except KeyError as error:
            raise Misconfigured(
                f"there is no account {name} on this machine; install mosquitto and the package dosong-collector first"
            ) from error
    return found


def _apply(one: Wanted, accounts: dict[str, tuple[int, int]]) -> bool:
    is_new = False
    found = one.path.lstat()
    owner, group = accounts[one.owner][0], accounts[one.group][1]
    if (found.st_uid, found.st_gid) != (owner, group):
        os.chown(one.path, owner, group, follow_symlinks=False)
        is_new = True
    if one.mode is not None and (one.path.lstat().st_mode & 0o7777) != one.mode:
        one.path.chmod(one.mode)
        is_new = True
    return is_new
