"""One step from a lost or broken probe to its successor: out with the old key, and everything that must go on goes on.

The successor has another id (a name is never given to two machines), the same site and with it the same calendar and
quota, the same signed plan, and the used data of the SIM if the SIM stays. The cause stands in the signed revocation,
so that the gap has one.
Source: issue of identities, "replace probe"; design §5 (Budget), §7 (registry).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import msgspec
from msgspec.structs import replace

from provisioning import config, identity, visit
from provisioning.identity import Desk
from provisioning.label import Label
from provisioning.label import svg as label_svg
from wire.enrolment import Used
from wire.errors import Refused, Unavailable


@dataclass(frozen=True, slots=True)
class Replaced:
    """What the office holds afterwards, and whom to call (network and numbers; empty: no network is known)."""

    claim: Path
    label: Path
    hotlines: dict[str, tuple[str, ...]]
    carried: dict[str, Used]
    has_plan: bool


def take_over(desk: Desk, old: str, new: str, cause: str, *, keeps_sim: bool) -> Replaced:
    """Replace probe `old` by `new`. May be done again after it was cut off.

    `keeps_sim`: the SIM goes into the new probe, and what it used counts on. Raises Refused, Unavailable.
    """
    entry = desk.entry(old)
    if new == old or desk.registry.probe(new) is not None:
        raise Refused("unknown_probe", f"{new} is or was a probe; give the new one an id that no other had")
    if entry.site is None:
        raise Refused(
            "unknown_site", f"{old} stands at no site, so there is nothing to take over; make a claim instead"
        )
    carried = used_of(desk, old) if keeps_sim else {}
    # Out first: whatever happens below, the lost one says nothing any more.
    identity.revoke(desk, old, f"replaced by {new}: {cause}"[:128])
    identity.end_assignment(desk, old, entry.site)
    claim = identity.make_claim(desk, new, entry.site, simulated=entry.simulated, used=carried)
    identity.arm(desk, new)
    plan = config.read(desk.where, old)
    if plan is not None:
        fresh = replace(plan, probe=new, rev=1, signed_ms=desk.now_ms, action=None, action_id=None)
        config.lay_down(desk.where, fresh)
    access = visit.prepare(desk.where.probe(new), new, is_claimed=True)
    label = desk.where.root / "claims" / f"{new}.svg"
    label.write_text(label_svg(Label(new, entry.site, access)), encoding="utf-8")
    networks = {modem.plmn for modem in plan.modems.values() if modem.plmn} if plan is not None else set()
    return Replaced(claim, label, hotlines(networks), carried, plan is not None)


def used_of(desk: Desk, probe: str) -> dict[str, Used]:
    """What each SIM of a probe used in its billing period, by its last record in the ledger. Raises Unavailable."""
    settings = desk.where.collector / "collector.toml"
    argv = [sys.executable, "-m", "collector", "used", "--config", str(settings), probe]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        words = (done.stderr.strip().splitlines() or ["no answer"])[-1]
        raise Unavailable(
            f"the used data of {probe} cannot be read from the ledger ({words}); with a new SIM say --new-sim"
        )
    return msgspec.convert(json.loads(done.stdout), dict[str, Used])


def hotlines(networks: set[str]) -> dict[str, tuple[str, ...]]:
    """Names and numbers of networks; all that are known if none is given or found."""
    table = tomllib.loads((resources.files("provisioning") / "hotlines.toml").read_text(encoding="utf-8"))
    chosen = {plmn: row for plmn, row in table.items() if plmn in networks} or table
    return {row["name"]: tuple(row["call"]) for row in chosen.values()}
