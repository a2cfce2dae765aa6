"""What a signed configuration may change, and when its one remote action is to be carried out. Pure rules.

A configuration has no place for keys, addresses of broker and point's key, or device names: those stay the settings
file's, whatever is signed. A refused one changes nothing. An action is carried out once, within a day of its signature
and before the configuration's own end, and only by a trusted clock: else nobody could say that it is not too late.
Source: design §4 (config), §5 (Schedule, Remote actions); SPEC §6, note `config`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from probe.core.schedule import Month
from wire.notes import Config, ModemConfig
from wire.slots import month_bounds

MOST_REV = 9_999_999
MOST_MONTHS = 24
LEAST_SLOT_MS = 10_000
_SHORTEST_MONTH_MS = 28 * 86_400_000
ACTION_VALID_MS = 86_400_000
KEPT_ACTIONS = 32

Action = Literal["doctor", "test", "modem_restart", "open_door"]


@dataclass(frozen=True, slots=True)
class Standing:
    """What the probe knows when a configuration comes.

    `rev`: the highest that was ever applied, 0 before the first. `floor_ms`: a moment that has certainly passed (UTC):
    now if the clock is trusted, else the last sign of life. `has_names`: the link's own name servers are configured.
    """

    probe: str
    modems: Collection[str]
    rev: int
    floor_ms: int
    has_names: bool


def fault(config: Config, known: Standing) -> str | None:
    """Say in a sentence why an authentic configuration is not applied; None if it is."""
    strangers = sorted(set(config.modems) - set(known.modems))
    most = _SHORTEST_MONTH_MS // LEAST_SLOT_MS
    faults = (
        (config.probe != known.probe, f"it is for {config.probe}"),
        (config.rev > MOST_REV, f"rev {config.rev} is over {MOST_REV}; count on from the last one"),
        (config.rev <= known.rev, f"rev {config.rev} is not above {known.rev}; sign it again with a higher one"),
        (config.expires_ms <= known.floor_ms, "it has expired; sign it again with a later end"),
        (strangers, f"it names {', '.join(strangers)}, which the settings file does not have"),
        (any(modem.slots > most for modem in config.modems.values()), f"over {most} slots a month cannot be run"),
        (len(config.seeds) > MOST_MONTHS, f"it has seeds for more than {MOST_MONTHS} months"),
    )
    return next((why for is_so, why in faults if is_so), None) or _server_fault(config.server, known.has_names)


def _server_fault(server: str | None, has_names: bool) -> str | None:
    """A server that no test could reach would cost every slot: it is refused before."""
    if server is None:
        return None
    try:
        host, _port = server_address(server)
    except ValueError as error:
        return f"server {server[:60]!r}: {error}"
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return None if has_names else f"server {host[:60]!r} is a name, and the settings file has no engine.dns"
    return None


def server_address(server: str) -> tuple[str, int]:
    """Return host and port of `host:port` or of a URL. Raises ValueError for anything else."""
    parts = urlsplit(server if "://" in server else f"http://{server}")
    if parts.scheme != "http" or parts.query or parts.fragment or parts.username is not None:
        raise ValueError("give host:port, or http://host:port/speedtest/upload.php")
    if parts.path not in ("", "/speedtest/upload.php"):
        raise ValueError("its path may only be /speedtest/upload.php")
    if not parts.hostname or ("://" not in server and parts.port is None):
        raise ValueError("give host:port")
    return parts.hostname, parts.port or 80


def months(config: Config, modem: ModemConfig) -> tuple[Month, ...]:
    """Return the months that a configuration covers, for one modem, in order."""
    return tuple(
        Month(*month_bounds(month), modem.slots, bytes.fromhex(seed)) for month, seed in sorted(config.seeds.items())
    )


def is_expired(config: Config, t_ms: int | None) -> bool:
    """Whether a configuration's time is over; never on a clock that is not trusted (`t_ms` None)."""
    return t_ms is not None and t_ms >= config.expires_ms


@dataclass(frozen=True, slots=True)
class Due:
    """An action to be carried out now, or to be told as too late."""

    action: Action
    action_id: str
    is_late: bool


def due_action(config: Config | None, done: Collection[str], t_ms: int | None) -> Due | None:
    """Return the action that is due; None if there is none, it was done, or the clock is not trusted yet."""
    if config is None or config.action is None or config.action_id is None or config.action_id in done or t_ms is None:
        return None
    until_ms = min(config.expires_ms, config.signed_ms + ACTION_VALID_MS)
    return Due(config.action, config.action_id, t_ms >= until_ms)


def kept_actions(done: tuple[str, ...], action_id: str) -> tuple[str, ...]:
    """Return the ids of actions that are known as done once this one is."""
    return (*done, action_id)[-KEPT_ACTIONS:]


def summary(config: Config) -> str:
    """Return what was applied, for the event: at most 128 characters."""
    plans = ", ".join(f"{name} {modem.slots} slots a month" for name, modem in sorted(config.modems.items()))
    covered = f"; seeds {min(config.seeds)} to {max(config.seeds)}" if config.seeds else "; no seeds"
    return f"{plans or 'no modem named'}{covered}"[:128]
