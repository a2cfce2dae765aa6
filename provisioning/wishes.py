"""Carries out what logins asked for: confirming a fingerprint, and signing that a site was accepted.

The web holds no key that signs: it lays a wish into the registry, and `ca serve` looks for them every half second. The
sheet of an acceptance was judged by the web; what is checked here is that the probe exists, is confirmed, and stands at
the site that the sheet names. A wish that cannot be carried out says why, and stays.
Source: design §7 (web holds no signing key); SPEC, notes `acceptance`, `place`, `assignment`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal

from collector.registry import Registry
from collector.registry_identity import Identities, Wish
from provisioning import config, identity, reviews
from provisioning.deployment import Deployment
from provisioning.identity import Desk
from wire import notes, visit
from wire.codec import leaf_hash, leaf_text
from wire.errors import Refused

METHODS: dict[str, Literal["survey", "visit", "map"]] = {"gnss": "survey", "phone": "visit", "typed": "map"}


class Clerk:
    """Looks for wishes and carries them out, each in one transaction with its signed note."""

    def __init__(
        self, where: Deployment, registry: Registry, identities: Identities, now: Callable[[], datetime]
    ) -> None:
        self._where, self._registry, self._identities, self._now = where, registry, identities, now

    def turn(self) -> int:
        """Carry out what waits; return how many. Raises Unavailable, Misconfigured (then they go on waiting)."""
        found = self._identities.wishes()
        for wish in found:
            desk = Desk(self._where, self._registry, self._identities, code_of(wish.actor), self._now())
            try:
                _DEEDS[wish.kind](desk, wish)
            except Refused as error:
                with self._identities.transaction():
                    self._identities.settle(wish.n, desk.now_ms, None, (error.detail or error.reason)[:400])
        return len(found)


def code_of(login: str) -> str:
    """A login's name as a code, as notes carry who acted."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", login)[:32] or "login"


def _confirm(desk: Desk, wish: Wish) -> None:
    """Two transactions, the confirming one first: cut off between them, it is already active and only settled."""
    if desk.entry(wish.probe).state == "quarantine":
        identity.confirm(desk, wish.probe, wish.body)
    elif desk.entry(wish.probe).state != "active":
        raise Refused("unknown_probe", f"{wish.probe} is revoked; there is nothing to confirm")
    with desk.identities.transaction():
        desk.identities.settle(wish.n, desk.now_ms, None)


def _accept(desk: Desk, wish: Wish) -> None:
    sheet: dict[str, Any] = json.loads(wish.body)
    entry = desk.entry(wish.probe)
    if entry.state != "active":
        raise Refused("unknown_probe", f"{wish.probe} is {entry.state}; confirm its fingerprint first")
    if entry.site != sheet["site"]:
        raise Refused(
            "unknown_probe", f"{wish.probe} stands at {entry.site} now, not at {sheet['site']}; accept it there"
        )
    signer, origin = desk.signer(), desk.where.origin
    accepted = notes.seal(_acceptance(desk, wish, sheet), origin, signer)
    placed = _place(desk, sheet)
    with desk.identities.transaction():
        if placed is not None:
            desk.identities.add_note("place", notes.seal(placed, origin, signer), desk.now_ms)
        desk.identities.add_note("acceptance", accepted, desk.now_ms)
        desk.identities.settle(wish.n, desk.now_ms, leaf_text(leaf_hash(accepted)))


def _acceptance(desk: Desk, wish: Wish, sheet: dict[str, Any]) -> notes.Acceptance:
    verdicts = [line["verdict"] for line in sheet["lines"].values()]
    test: dict[str, int] = sheet.get("test") or {}
    return notes.Acceptance(
        v=1,
        signed_ms=desk.now_ms,
        probe=wish.probe,
        site=sheet["site"],
        actor=desk.actor,
        code=visit.normal(sheet["code"]) or sheet["code"],
        checks_ok=verdicts.count("ok"),
        checks_failed=len(verdicts) - verdicts.count("ok"),
        test_seq=test.get("seq"),
        test_epoch=test.get("epoch"),
    )


def _place(desk: Desk, sheet: dict[str, Any]) -> notes.Place | None:
    """Where the site lies as this visit found it; None if nothing was found that was not known before."""
    found, site = sheet.get("position"), desk.registry.site(sheet["site"])
    hamlet = desk.registry.hamlet(site.hamlet) if site else None
    if found is None or site is None or hamlet is None:
        return None
    return notes.Place(
        v=1,
        signed_ms=desk.now_ms,
        site=site.code,
        hamlet=hamlet.code,
        commune=hamlet.commune,
        lat_e7=found["lat_e7"],
        lon_e7=found["lon_e7"],
        radius_mm=1000 * found.get("accuracy_m", 0),
        fixes=1 if found["how"] == "gnss" else 0,
        method=METHODS[found["how"]],
        actor=desk.actor,
    )


def _slots(desk: Desk, wish: Wish) -> None:
    """An approved allotment becomes the probe's next signed configuration, which `receive` publishes."""
    asked: dict[str, int] = json.loads(wish.body)["slots"]
    for modem, slots in sorted(asked.items()):
        config.make(desk.where, desk.registry, wish.probe, config.Wish(modems=(modem,), slots=slots), desk.now)
    with desk.identities.transaction():
        desk.identities.settle(wish.n, desk.now_ms, None)


def _review(desk: Desk, wish: Wish) -> None:
    reviews.sign_due(desk)
    with desk.identities.transaction():
        desk.identities.settle(wish.n, desk.now_ms, None)


_DEEDS: dict[str, Callable[[Desk, Wish], None]] = {
    "confirm": _confirm,
    "acceptance": _accept,
    "slots": _slots,
    "review": _review,
}
