"""Keeping the broker's lists fresh: who is revoked, and a revocation list that never gets old.

A broker refuses everybody once its revocation list has run out, so it is signed anew every week though it is good for
90 days. Written only when something changed; then the broker is told to read them again.
Source: facts note 08 §2, §4 (SIGHUP, `topic deny`, CRL past nextUpdate: measured on mosquitto 2.0.11).
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from collector.registry_identity import Identities
from provisioning import authority, broker, nats_cluster, pki
from provisioning.authority import Authority
from provisioning.broker import BrokerFiles
from wire.errors import Refused

LOG = logging.getLogger("provisioning.broker")
CRL_AGE = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Upkeep:
    """Brings the broker's lists up to date. `now`: the wall clock."""

    files: BrokerFiles
    ca: Authority
    identities: Identities
    now: Callable[[], datetime]

    def turn(self) -> bool:
        """Write what changed and have the broker read it; say whether anything did. Raises Unavailable, OSError."""
        lists = broker.acl_text(self.identities.revoked_probes()).encode()
        is_new = [self._put(self.files.acl, lists), self._refresh_crl()]
        trusted = self.files.directory / "ca.crt"
        is_new.append(self._put(trusted, self.ca.trusted))
        cluster = self.files.directory.parent / "nats"
        is_new.append(nats_cluster.refresh(cluster, self.identities.live_probes(), self.ca.trusted))
        if any(is_new):
            LOG.info("broker=lists_written reload=%s", reload(self.files))
        return any(is_new)

    def _refresh_crl(self) -> bool:
        revoked = [one for one in self.identities.certificates() if one.revoked_ms is not None]
        wanted = frozenset(one.serial for one in revoked)
        now = self.now()
        with contextlib.suppress(OSError, Refused):
            held = pki.read_crl(self.files.crl.read_bytes(), self.ca.above)
            if held.serials == wanted and held.last_update <= now < held.last_update + CRL_AGE:
                return False
        return self._put(self.files.crl, authority.crl(self.ca, revoked, now))

    def _put(self, path: Path, content: bytes) -> bool:
        with contextlib.suppress(OSError):
            if path.read_bytes() == content:
                return False
        broker.put(path, content)
        return True


def reload(files: BrokerFiles) -> str:
    """Tell the broker to read its lists again; say how: "signal", "file" (a path unit does it), or "not_running"."""
    try:
        pid = int(files.pid.read_text())
        os.kill(pid, 0)  # first: whose process may not be signalled cannot be looked at either (ProtectProc)
        if Path(f"/proc/{pid}/comm").read_text().strip() != "mosquitto":
            return "not_running"
        os.kill(pid, signal.SIGHUP)
    except PermissionError:
        broker.put(files.directory / "reload", b"")
        return "file"
    except (OSError, ValueError):
        return "not_running"
    return "signal"
