"""`dosong-provision label` and `notice`: what is printed for a station, its technician and the keeper of its house."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from provisioning import labels, visit
from provisioning.identity import Desk
from provisioning.identity_commands import desk_at, dir_option
from provisioning.label import Label, svg, write_qr
from provisioning.label_words import LANGUAGES, Language
from provisioning.labels import Station
from wire.errors import Misconfigured, Refused
from wire.fold import deceptive

EXAMPLES = """\b
Examples:
  dosong-provision label --dir /srv/dosong --web https://dosong.sokhcn.example --out labels.pdf p-dong-dong p-lang-muoi
  dosong-provision label --dir /srv/dosong --web https://dosong.sokhcn.example --out labels.pdf --waiting
  dosong-provision label --dir /srv/dosong p-dong-dong --out label.svg       # one large label, the Wi-Fi's code alone
  dosong-provision notice --dir /srv/dosong --phone '0203 3 123 456' --out notice.pdf p-dong-dong"""
_out = click.Path(path_type=Path, dir_okay=False)


@click.command("label", epilog=EXAMPLES)
@dir_option
@click.argument("probes", nargs=-1, metavar="PROBE...")
@click.option("--out", type=_out, required=True, help="A sheet of labels (.pdf), or one label (.svg).")
@click.option("--web", envvar="DOSONG_WEB", help="Address of the pages, for the sheet: https://dosong.sokhcn.example")
@click.option("--waiting", is_flag=True, help="All stations whose claim nobody has used yet.")
@click.option("--page/--no-page", "has_page", default=True, help="With the Wi-Fi of the station's own page.")
@click.option("--lang", "language", type=click.Choice(LANGUAGES), default="vi", show_default=True)
@click.option("--qr", type=_out, help="With one label: the QR code alone, .svg, .pdf or .png.")
def label(root: Path, probes: tuple[str, ...], out: Path, qr: Path | None, **options: Any) -> None:
    """Print labels, and make what a station's page and access point need if that is not there yet."""
    with desk_at(root, "office") as desk:
        chosen = _chosen(desk, probes, is_waiting=options["waiting"])
        if out.suffix == ".svg":
            _single(desk, chosen, out, qr)
            return
        if out.suffix != ".pdf" or qr is not None:
            raise Misconfigured(f"{out.name}: a sheet is a .pdf, one label is an .svg (only that one takes --qr)")
        if options["web"] is None:
            raise Misconfigured("--web is needed: the address of the pages, which each label's QR code opens")
        stations = [_station(desk, probe, has_page=options["has_page"]) for probe in chosen]
        drawn = labels.sheet(stations, options["web"], f"{desk.now:%Y-%m-%d}", options["language"], desk.now_ms)
    out.write_bytes(drawn)
    click.echo(f"{out}: {len(stations)} label(s)")


@click.command("notice", epilog=EXAMPLES)
@dir_option
@click.argument("probes", nargs=-1, required=True, metavar="PROBE...")
@click.option("--out", type=_out, required=True, help="The notice, a page a station (.pdf).")
@click.option("--phone", required=True, help="The number that somebody answers.")
@click.option("--office", default="", help="Who answers, such as 'Phòng Văn hóa - Xã hội xã Dân Tiến'.")
@click.option("--lang", "language", type=click.Choice(LANGUAGES), default="vi", show_default=True)
def notice(root: Path, probes: tuple[str, ...], out: Path, phone: str, office: str, language: Language) -> None:
    """Print the notice for the keeper of the house: what it is, leave it on, no personal data, whom to call."""
    if deceptive(office) is not None or len(office) > 120:
        raise Misconfigured("--office: plain text of at most 120 letters")
    with desk_at(root, "office") as desk:
        stations = [_station(desk, probe, has_page=False) for probe in _chosen(desk, probes)]
        out.write_bytes(labels.notice(stations, phone, office, language, desk.now_ms))
    click.echo(f"{out}: {len(stations)} page(s)")


def _chosen(desk: Desk, probes: tuple[str, ...], *, is_waiting: bool = False) -> list[str]:
    """Which stations. Raises Refused for one that the registry does not know."""
    waiting = (
        [c.probe for c in desk.identities.claims() if c.used_ms is None and c.void_ms is None] if is_waiting else []
    )
    chosen = list(dict.fromkeys((*probes, *sorted(waiting))))
    if not chosen:
        raise Refused("unknown_probe", "no station to print; name one, or say --waiting for those that are to enrol")
    unknown = [probe for probe in chosen if _site(desk, probe) is None]
    if unknown:
        raise Refused("unknown_probe", f"{', '.join(unknown)}: no claim and no probe; dosong-provision list shows them")
    return chosen


def _site(desk: Desk, probe: str) -> str | None:
    """The site of a probe, enrolled or still to enrol; "" for one that stands nowhere, None for an unknown one."""
    entry = desk.registry.probe(probe)
    if entry is not None:
        return entry.site or ""
    return next((claim.site for claim in desk.identities.claims(probe)), None)


def _station(desk: Desk, probe: str, *, has_page: bool) -> Station:
    site = desk.registry.site(_site(desk, probe) or "")
    hamlet = desk.registry.hamlet(site.hamlet) if site else None
    commune = desk.registry.commune(hamlet.commune) if hamlet else None
    named = (site.name if site else "", hamlet.label if hamlet else "", commune.name if commune else "")
    access = _access(desk, probe) if has_page else None
    return Station(probe, ", ".join(part for part in named if part), access)


def _access(desk: Desk, probe: str) -> visit.Access:
    return visit.prepare(desk.where.probe(probe), probe, is_claimed=bool(desk.identities.claims(probe)))


def _single(desk: Desk, chosen: list[str], out: Path, qr: Path | None) -> None:
    if len(chosen) != 1:
        raise Misconfigured("an .svg holds one label; for several write a .pdf")
    (probe,) = chosen
    access = _access(desk, probe)
    out.write_text(svg(Label(probe, _site(desk, probe) or "", access)), encoding="utf-8")
    if qr is not None:
        write_qr(access, qr)
    click.echo(f"{out}: Wi-Fi {access.ssid}, page {access.url}")
    click.echo(f"on the card: page.key, page.toml, hostapd.conf, 70-dosong-ap.network from {desk.where.probe(probe)}")


COMMANDS: tuple[Any, ...] = (label, notice)
