"""`dosong-provision card`: a card with Raspberry Pi OS becomes a probe that enrols by its claim at the first boot."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import click
import msgspec

from provisioning import card, card_target, deployment, visit
from provisioning.card import SYSTEMS, System, Wishes
from wire.enrolment import Claim
from wire.errors import Misconfigured, Refused

EXAMPLES = """\b
Examples:
  dosong-provision card --claim claims/p-dong-dong.toml --station station.toml /media/office/bootfs
  dosong-provision card --claim claims/p-dong-dong.toml raspios-lite-arm64.img --ssh-key ~/.ssh/id_ed25519.pub
  dosong-provision card --dir /srv/dosong --claim claims/p-dong-dong.toml /media/office/bootfs --page
  dosong-provision card --claim claims/p-dong-dong.toml /media/office/bootfs --dry-run"""
_file = click.Path(path_type=Path, dir_okay=False, exists=True)


@click.command("card", epilog=EXAMPLES)
@click.argument("target", type=click.Path(path_type=Path, exists=True), metavar="CARD")
@click.option("--claim", "claim_file", type=_file, required=True, help="The probe's claim file.")
@click.option("--os", "system", type=click.Choice(SYSTEMS), help="Raspberry Pi OS on the card; else seen by its files.")
@click.option("--hostname", help="Name of the machine (the probe's id).")
@click.option("--timezone", default="Asia/Ho_Chi_Minh", show_default=True)
@click.option("--locale", default="C.UTF-8", show_default=True, help="Language of the system's own messages.")
@click.option("--ssh-key", type=_file, help="Public key that may log in as dosong; without it nobody can.")
@click.option("--page", "has_page", is_flag=True, help="Put the technician's page on it; else Wi-Fi stays off.")
@click.option("--dir", "root", type=click.Path(path_type=Path, file_okay=False), help="The deployment, for --page.")
@click.option("--station", type=_file, help="Settings of this station (modem, measurement point), TOML.")
@click.option("--package", type=_file, help="The program's .deb, so that the first boot needs no download.")
@click.option("--force", is_flag=True, help="Also if the card holds another probe's claim.")
@click.option("--dry-run", is_flag=True, help="Say what would be written, write nothing.")
def card_(
    target: Path, claim_file: Path, system: System | None, has_page: bool, root: Path | None, **rest: Any
) -> None:
    """Prepare a card with Raspberry Pi OS Lite for one probe.

    CARD is the folder where its small partition (bootfs) is mounted, or an image file. The Pi enrols at its first boot
    with a network, and wipes the claim.
    """
    claim = _claim(claim_file)
    wishes = Wishes(
        probe=claim.probe,
        claim=claim_file.read_bytes(),
        hostname=rest["hostname"] or claim.probe,
        timezone=rest["timezone"],
        locale=rest["locale"],
        ssh_key=rest["ssh_key"].read_text(encoding="utf-8").strip() if rest["ssh_key"] else "",
        page=_page(root, claim.probe) if has_page else {},
        station=_toml(rest["station"]) if rest["station"] else None,
        package=rest["package"].read_bytes() if rest["package"] else None,
    )
    found = card_target.find(target)
    held = {name: raw for name in card_target.LOOKED_AT if (raw := found.read(name)) is not None}
    _check_free(held, claim.probe, is_forced=rest["force"])
    chosen = system or card.system_of(held)
    made = card.compose(wishes, chosen, held)
    for name, content in made.items():
        click.echo(f"  {name}: {len(content)} bytes" + (" (changed)" if name in held else ""))
    if rest["dry_run"]:
        click.echo(f"{target}: {chosen}; nothing was written")
        return
    card_target.write_all(found, made)
    if wishes.station is None:
        click.echo(
            "no --station: lay dosong-station.toml beside it, which names the measurement point ([engine] server)"
        )
    click.echo(
        f"{target}: {claim.probe} on {chosen}, written and read back; take the card out properly before you pull it"
    )


def _claim(path: Path) -> Claim:
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Claim)
    except (OSError, ValueError, RecursionError) as error:
        raise Refused(
            "bad_file", f"{path} is no claim file; make one: dosong-provision claim PROBE --site SITE"
        ) from error


def _toml(path: Path) -> bytes:
    raw = path.read_bytes()
    try:
        tomllib.loads(raw.decode())
    except (ValueError, RecursionError) as error:
        raise Misconfigured(f"--station {path} is not TOML: {error}; correct that line") from error
    return raw


def _page(root: Path | None, probe: str) -> dict[str, bytes]:
    if root is None:
        raise Misconfigured("--page needs --dir, the deployment's folder: the page's key is made there")
    folder = deployment.load(root).probe(probe)
    visit.prepare(folder, probe, is_claimed=True)
    return {name: (folder / name).read_bytes() for name in card.PAGE_FILES}


def _check_free(held: dict[str, bytes], probe: str, *, is_forced: bool) -> None:
    """Raise Refused if the card is meant for another probe already: two cards of one probe are found in the field."""
    raw = held.get(card.CLAIM)
    if raw is None or is_forced:
        return
    try:
        other = str(tomllib.loads(raw.decode()).get("probe"))
    except (ValueError, RecursionError):
        other = "somebody"
    if other != probe:
        raise Refused("wrong_probe", f"this card holds the claim of {other} already; take another card, or say --force")


COMMANDS: tuple[Any, ...] = (card_,)
