"""`dosong-provision plan`: stations, SIMs, gigabytes and đồng of a campaign, before anything is bought."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import click

from provisioning import registry_plan
from provisioning.core.outlay import HAMLETS_A_COMMUNE, Ask, Engine, Outlay, Tariff, lines, outlay
from provisioning.registry_commands import now_ms, open_registry
from wire.errors import Refused

EXAMPLES = """\b
Examples:
  dosong-provision plan --communes 14 --quota 300
  dosong-provision plan --dir /srv/dosong --unit 19 --campaign cv-5691        (a whole province)
  dosong-provision plan --dir /srv/dosong --unit 194 --campaign kh-81        (the former city of Móng Cái)
  dosong-provision plan --dir /srv/dosong --unit 05755 --campaign cv-292     (people, not samples)
  dosong-provision plan --dir /srv/dosong --unit 05755 --operators 3 --vnd-per-sim 120000 --json"""


@click.command("plan", epilog=EXAMPLES)
@click.option("--dir", "root", type=click.Path(path_type=Path, file_okay=False), help="The deployment, for its units.")
@click.option("--unit", "units", multiple=True, help="Province or commune, today's code or one of before July 2025.")
@click.option("--communes", type=click.IntRange(1, 10_000), help="How many communes, without a registry.")
@click.option("--campaign", help="Campaign whose quota is planned for.")
@click.option("--quota", type=click.IntRange(1, 10_000), help="Samples a month of each commune (300).")
@click.option("--stations", type=click.IntRange(1, 200), help="So many stations a commune, beside the other options.")
@click.option("--operators", "modems", type=click.IntRange(1, 4), default=1, show_default=True, help="SIMs a station.")
@click.option("--each-operator", is_flag=True, help="The quota is reached with each operator alone.")
@click.option("--success", type=click.FloatRange(10, 100), default=95.0, show_default=True, help="Percent of tests.")
@click.option("--down", type=click.FloatRange(0.1, 1000), default=40.0, show_default=True, help="Mbit/s expected.")
@click.option("--up", type=click.FloatRange(0.1, 1000), default=15.0, show_default=True, help="Mbit/s expected.")
@click.option("--engine", type=click.Choice(["dosong", "speedtest-cli"]), default="dosong", show_default=True)
@click.option("--vnd-per-sim", type=click.IntRange(0), help="What a SIM costs a month; else the registered tariffs.")
@click.option("--lang", type=click.Choice(["vi", "en"]), default="vi", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def plan(root: Path | None, units: tuple[str, ...], communes: int | None, campaign: str | None, **options: Any) -> None:
    """Say what a campaign needs: stations, SIMs, gigabytes and đồng a month."""
    asked = registry_plan.Asked(options["quota"] or (None if campaign else 300), ())
    prices: list[Tariff] = []
    if root is None:
        if communes is None or units or campaign:
            raise click.UsageError("give --dir with --unit and --campaign, or --communes and --quota without it")
        found = registry_plan.Scope((), HAMLETS_A_COMMUNE * communes, hamlets_known=False)
    else:
        with open_registry(root) as registry:
            if not units:
                raise click.UsageError("give --unit: a province or commune, such as --unit 19 or --unit 05755")
            found = registry_plan.scope(registry, units)
            if campaign is not None:
                of_campaign = registry_plan.asked(registry, campaign)
                asked = registry_plan.Asked(options["quota"] or of_campaign.samples, of_campaign.other)
            prices = registry_plan.tariffs(registry, now_ms())
    answer = _answer(found, communes or len(found.communes), asked, prices, options)
    _print(found, asked, answer, options["lang"], as_json=options["as_json"])


def _answer(
    found: registry_plan.Scope, communes: int, asked: registry_plan.Asked, prices: list[Tariff], options: dict[str, Any]
) -> Outlay | None:
    """None if the campaign asks for nothing that stations can give."""
    if asked.samples is None:
        return None
    engine: Engine = options["engine"]
    ask = Ask(
        communes=communes, hamlets=found.hamlets, hamlets_known=found.hamlets_known, quota=asked.samples,
        success_percent=options["success"], modems=options["modems"], each_operator=options["each_operator"],
        downlink_bps=round(options["down"] * 1e6), uplink_bps=round(options["up"] * 1e6), engine=engine,
    )  # fmt: skip
    try:
        return outlay(ask, prices, options["stations"], options["vnd_per_sim"])
    except ValueError as error:
        raise Refused("no_quota", f"{error}: mend the sites first, or plan for a higher --success") from error


def _print(
    found: registry_plan.Scope,
    asked: registry_plan.Asked,
    answer: Outlay | None,
    language: Literal["vi", "en"],
    *,
    as_json: bool,
) -> None:
    other = [registry_plan.other_line(row, language) for row in asked.other]
    if as_json:
        told = {"communes": found.communes, "outlay": asdict(answer) if answer else None, "besides": other}
        click.echo(json.dumps(told, ensure_ascii=False))
        return
    none = {
        "vi": "Đợt này không giao mẫu đo cho xã: không cần mua trạm để đạt chỉ tiêu.",
        "en": "This campaign asks no samples of communes: no station is needed for its quota.",
    }
    click.echo("\n".join([*(lines(answer, language) if answer else [none[language]]), *other]))
