"""Signed configurations: a probe's plan for the months ahead, and its one remote action, by one command.

What is not asked for anew stays as it was in the probe's last configuration. The note is laid where the collector's
`receive` finds it, `<dir>/collector/state/config/<probe>.note`, and is published by it, retained. The seeds of all
months come from one secret of the deployment: all probes of a month share a seed, published when the month is over.
Source: design §4 (config), §5 (Schedule, Remote actions); `wire.slots`; decision 0009.
"""

from __future__ import annotations

import hmac
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from msgspec.structs import replace

from collector.registry import Registry
from provisioning.deployment import Deployment
from wire import notes, slots
from wire.errors import Misconfigured, Refused
from wire.keyfile import read_signer
from wire.notes import Config, ModemConfig

MONTHS = 4
"""This month and the three that follow."""
SUCCESS_PERCENT = 95.0
Action = Literal["doctor", "test", "modem_restart", "open_door"]


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for; None leaves it as it was. `quota`: samples a month of the commune that `stations` share."""

    modems: tuple[str, ...] = ("m1",)
    slots: int | None = None
    quota: int | None = None
    success_percent: float = SUCCESS_PERCENT
    stations: int | None = None
    referral: str | None = None
    plmn: str | None = None
    limit_bytes: int | None = None
    test_limit_bytes: int | None = None
    billing_day: int | None = None
    engine: Literal["dosong", "speedtest-cli"] | None = None
    server: str | None = None
    action: Action | None = None


_MODEM_FIELDS = ("plmn", "limit_bytes", "test_limit_bytes", "billing_day", "engine")


def make(where: Deployment, registry: Registry, probe: str, wish: Wish, now: datetime) -> Config:
    """Sign a probe's next configuration and lay it down for publishing. Raises Refused, Misconfigured."""
    last = read(where, probe)
    config = _compose(where, registry, probe, wish, now, last)
    lay_down(where, config)
    return config


def lay_down(where: Deployment, config: Config) -> None:
    """Sign a configuration and put it where `receive` finds it. Raises Refused, Misconfigured."""
    raw = notes.seal(config, where.origin, read_signer(where.collector / "config.key"))
    path = note_path(where, config.probe)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_bytes(raw)
    fresh.replace(path)


def note_path(where: Deployment, probe: str) -> Path:
    """Where a probe's configuration lies for the collector."""
    return where.collector / "state" / "config" / f"{probe}.note"


def read(where: Deployment, probe: str) -> Config | None:
    """Read back what was signed last; None if nothing was. Raises Misconfigured if the file is not ours."""
    path = note_path(where, probe)
    if not path.exists():
        return None
    try:
        verifier = read_signer(where.collector / "config.key").verifier
        return notes.open_note(path.read_bytes(), Config, where.origin, verifier)
    except Refused as error:
        raise Misconfigured(f"{path} is no configuration of this deployment ({error}); move it away") from error


def _compose(
    where: Deployment, registry: Registry, probe: str, wish: Wish, now: datetime, last: Config | None
) -> Config:
    entry = registry.probe(probe)
    if entry is None or entry.state == "revoked":
        raise Refused("unknown_probe", f"probe {probe} is not in the registry, or revoked; dosong-provision list")
    site = registry.site(entry.site or "")
    if site is None:
        raise Refused("unknown_site", f"probe {probe} stands at no site; import its assignment first")
    now_ms = round(now.timestamp() * 1000)
    months = _months(now_ms)
    modems = dict(last.modems) if last is not None else {}
    for name in wish.modems:
        modems[name] = _modem(modems.get(name), wish, lambda: _share(registry, site.hamlet, wish))
    return Config(
        v=1,
        signed_ms=now_ms,
        probe=probe,
        rev=1 if last is None else last.rev + 1,
        expires_ms=slots.month_bounds(months[-1])[1],
        site=site.code,
        referral=wish.referral or _referral(registry, site.hamlet, last),
        lat_e7=site.lat_e7,
        lon_e7=site.lon_e7,
        modems=modems,
        seeds={month: seed(where, month) for month in months},
        server=wish.server or (last.server if last is not None else None),
        action=wish.action,
        action_id=None if wish.action is None else secrets.token_urlsafe(12),
    )


def _months(now_ms: int) -> list[str]:
    months = [slots.month_of(now_ms)]
    while len(months) < MONTHS:
        months.append(slots.next_month(months[-1]))
    return months


def _modem(last: ModemConfig | None, wish: Wish, share: Callable[[], int]) -> ModemConfig:
    """One modem's plan: as it was, but for what is asked for; slots by the quota if they were never set."""
    asked: dict[str, Any] = {name: getattr(wish, name) for name in _MODEM_FIELDS if getattr(wish, name) is not None}
    if wish.slots is not None:
        asked["slots"] = wish.slots
    elif last is None or wish.quota is not None or wish.stations is not None:
        asked["slots"] = share()
    return ModemConfig(**asked) if last is None else replace(last, **asked)


def _share(registry: Registry, hamlet: str, wish: Wish) -> int:
    """Return this modem's slots: what the commune's quota needs at 99 %, divided over its stations."""
    found = registry.hamlet(hamlet)
    commune = found.commune if found is not None else ""
    quota = registry.quota(commune)
    minimum = wish.quota or (quota.minimum if quota is not None else None)
    if minimum is None:
        raise Refused("no_quota", f"commune {commune or '?'} has no quota in the registry; give --slots or --quota")
    needed = slots.slots_needed(minimum, round(wish.success_percent * 10_000))
    if needed is None:
        raise Refused("no_quota", f"{wish.success_percent} % of successes never make {minimum} samples; find the fault")
    return slots.divide(needed, wish.stations or max(1, _stations(registry, commune)))[0]


def _stations(registry: Registry, commune: str) -> int:
    """Count the commune's working probes, one modem each."""
    count = 0
    for probe in registry.probes():
        site = registry.site(probe.site or "") if probe.state == "active" else None
        hamlet = registry.hamlet(site.hamlet) if site is not None else None
        count += hamlet is not None and hamlet.commune == commune
    return count


def _referral(registry: Registry, hamlet: str, last: Config | None) -> str:
    """The hamlet's newest code, else its commune's. Raises Refused if there is none."""
    found = registry.hamlet(hamlet)
    for unit in (hamlet, found.commune if found is not None else ""):
        codes = [(since_ms, code) for code, owner, since_ms in registry.referrals() if owner == unit]
        if codes:
            return max(codes)[1]
    if last is not None:
        return last.referral
    raise Refused("no_referral", f"hamlet {hamlet} has no referral code; import one, or give --referral")


def seed(where: Deployment, month: str) -> str:
    """Return a month's seed, 64 hexadecimal digits; the secret is made at the first call."""
    path = where.collector / "schedule.secret"
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        pass
    else:
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_hex(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
    return hmac.digest(bytes.fromhex(path.read_text().strip()), month.encode(), sha256).hex()


def published_seed(where: Deployment, month: str, now: datetime) -> str:
    """Return the seed of a month that is over, for everybody to check its instants. Raises Refused before."""
    if slots.month_bounds(month)[1] > now.timestamp() * 1000:
        raise Refused("too_early", f"{month} is not over: its seed stays secret, or instants could be foreseen")
    return seed(where, month)


def text(config: Config, vnd_per_gb: int | None) -> list[str]:
    """Return what was signed, for a person."""
    until = datetime.fromtimestamp(config.expires_ms / 1000, slots.VIETNAM).date().isoformat()
    lines = [f"{config.probe} rev {config.rev}, in force until {until}, code {config.referral}, site {config.site}"]
    for name, modem in sorted(config.modems.items()):
        known = [(field, getattr(modem, field)) for field in _MODEM_FIELDS if field != "limit_bytes"]
        shown = " ".join(f"{field}={value}" for field, value in known if value is not None)
        lines.append(f"  {name} {modem.slots} slots a month {shown}".rstrip())
        if modem.limit_bytes is not None:
            each = modem.limit_bytes / modem.slots / 1e6
            cost = "" if vnd_per_gb is None else f", {-(-modem.limit_bytes * vnd_per_gb // 10**9):,} đồng"
            lines.append(f"     {modem.limit_bytes / 1e9:.1f} GB a period{cost}: {each:.1f} MB for each slot")
    if config.action is not None:
        lines.append(f"  action {config.action} ({config.action_id}), once, within 24 hours")
    return lines


def from_options(options: dict[str, Any]) -> Wish:
    """Make a wish of the command's options; those that were left out stay as they were."""
    names = {field.name for field in fields(Wish)}
    return Wish(**{name: value for name, value in options.items() if name in names and value not in (None, ())})
