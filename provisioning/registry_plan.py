"""From a registry, a campaign and codes of units, today's or old, to what `provisioning.core.outlay` is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from collector.registry import Registry
from collector.registry_dated import CampaignQuotaRow, TariffRow
from provisioning.core.outlay import HAMLETS_A_COMMUNE, Tariff
from wire.errors import Refused


@dataclass(frozen=True, slots=True)
class Scope:
    """The communes that were named, by code, and their hamlets; `hamlets_known` False if none is registered."""

    communes: tuple[str, ...]
    hamlets: int
    hamlets_known: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """What a campaign asks: samples a month of each commune (None: nothing that stations can give), and the rest."""

    samples: int | None
    other: tuple[CampaignQuotaRow, ...]


def scope(registry: Registry, codes: Sequence[str]) -> Scope:
    """The communes of these provinces, communes, or units of before July 2025. Raises Refused for an unknown code."""
    found: dict[str, None] = {}
    for code in codes:
        for commune in _communes(registry, code):
            found[commune] = None
    ended = registry.dated.ended()
    living = [one for one in registry.hamlets() if one.commune in found and one.code not in ended]
    return Scope(tuple(found), len(living) or HAMLETS_A_COMMUNE * len(found), bool(living))


def _communes(registry: Registry, code: str) -> list[str]:
    if registry.commune(code) is not None:
        return [code]
    if registry.province(code) is not None:
        return [one.code for one in registry.communes() if one.province == code]
    inside = [row["code"] for row in registry.dated.dump("old_units") if row.get("parent") == code]
    became = [new for old in (code, *inside) for new, _ in registry.dated.became(old) if registry.commune(new)]
    if not became:
        raise Refused("unknown_unit", f"{code} is no province or commune, old or new; dosong-provision units find")
    return sorted(set(became))


def asked(registry: Registry, campaign: str) -> Asked:
    """A campaign's quotas, stations' share apart. Raises Refused if it is not in the registry."""
    rows = registry.dated.holding(CampaignQuotaRow, campaign=campaign)
    if not rows:
        raise Refused("unknown_campaign", f"campaign {campaign} has no quota in the registry; import it first")
    ours = [row for row in rows if row.level == "commune" and row.what == "samples" and row.period == "month"]
    least = [row.minimum + (1 if row.relation == ">" else 0) for row in ours if row.unit is None]
    return Asked(max(least, default=None), tuple(row for row in rows if row not in ours or row.unit is not None))


def other_line(row: CampaignQuotaRow, language: str) -> str:
    """One quota that stations do not fill, as a sentence."""
    of = {"country": ("cả nước", "country"), "province": ("tỉnh", "province"), "commune": ("xã", "commune"),
          "hamlet": ("thôn", "hamlet"), "bodies": ("khối cơ quan", "departments together")}[row.level]  # fmt: skip
    what = {"samples": ("mẫu", "samples"), "people": ("người", "people")}[row.what]
    each = {"day": ("ngày", "day"), "week": ("tuần", "week"), "month": ("tháng", "month"),
            "campaign": ("đợt", "campaign")}[row.period]  # fmt: skip
    index = 0 if language == "vi" else 1
    said = f"{row.relation} {row.minimum} {what[index]}/{of[index]}/{each[index]}"
    why = ("trạm đo không làm thay được", "stations cannot do this") if row.what == "people" else (
        "nhập từ Portal", "entered from the Portal")  # fmt: skip
    return f"{'Ngoài ra' if index == 0 else 'Besides'}: {said} ({why[index]})"


def tariffs(registry: Registry, at_ms: int) -> list[Tariff]:
    """The price plans that are registered and hold today."""
    return [
        Tariff(row.name, row.plmn, row.cap_bytes, row.days, row.vnd, row.source or "–")
        for row in registry.dated.holding(TariffRow, at_ms)
    ]
