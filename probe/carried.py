"""What a SIM used before it came into this probe: laid down at enrolment, until the spool has its own account.

Source: design §5, Budget (never above it, whichever probe holds the SIM).
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from probe.core.budget import Account
from wire.enrolment import Used

FILE = "used.json"


def account(path: Path, modem: str) -> str | None:
    """The account that a modem's purse begins with, as the spool would hold it; None if nothing was carried over."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=dict[str, Used]).get(modem)
    except (OSError, msgspec.DecodeError):
        return None
    return None if found is None else msgspec.json.encode(Account(found.period_ms, found.used_bytes)).decode()
