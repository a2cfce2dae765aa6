"""The official's sheet: communes of a month against their quota, read from the rollups alone.

Counts come from the sums by month, medians from the values that the packed days keep, so that a country's sheet costs
what its communes on the page cost, and every figure is the one that boards and the API show. A sample belongs to the
commune that its hamlet was in when it was taken. Source: design §7, rollups and counts; decision 0020.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from collector.core.rollup_view import CommuneQuota, Summary
from collector.core.view import Month
from collector.core.view_figures import Figures, Share, Stat, pace
from collector.registry_rows import HamletEntry
from collector.rollups import Rollups

if TYPE_CHECKING:
    from collector.web.present import CommuneRow, Pages

PAGE_COMMUNES = 100
_NO_STAT = Stat(0, None, None, None)


def communes_in(pages: Pages, scope: str) -> dict[str, list[HamletEntry]]:
    """The communes of a scope by code, each with its hamlets that are."""
    ended = pages.registry.dated.ended()
    found: dict[str, list[HamletEntry]] = {}
    for one in pages.hamlets_in(scope):
        held = found.setdefault(one.commune, [])
        if one.code not in ended:
            held.append(one)
    return dict(sorted(found.items()))


def commune_rows(pages: Pages, scope: str, this: Month, codes: Collection[str] | None = None) -> list[CommuneRow]:
    """Rows of the sheet, by commune code (None: every one of the scope). A scope of one hamlet sees that one only."""
    inside = communes_in(pages, scope)
    chosen = [code for code in inside if codes is None or code in codes]
    rollups = Rollups(pages.reader)
    minimums = {code: found.minimum for code in chosen if (found := pages.registry.quota(code)) is not None}
    at_ms = min(max(pages.now_ms(), this.start_ms), this.end_ms - 1)
    quotas = {one.commune: one for one in rollups.national_quota(minimums, at_ms)} if chosen else {}
    only = scope if pages.registry.hamlet(scope) is not None else None
    rows = (_row(pages, rollups, code, inside[code], quotas, this, only) for code in chosen)
    return [row for row in rows if row is not None]


def _row(
    pages: Pages,
    rollups: Rollups,
    code: str,
    hamlets: Sequence[HamletEntry],
    quotas: Mapping[str, CommuneQuota],
    this: Month,
    only: str | None,
) -> CommuneRow | None:
    from collector.web.present import CommuneRow  # noqa: PLC0415 (present needs this module)

    commune = pages.registry.commune(code)
    if commune is None:
        return None
    found = rollups.dossier(code, this.start_ms, this.end_ms)
    summary = found.whole if only is None else next((one for one in found.hamlets if one.hamlet == only), None)
    counted = summary.counts.counted if summary else 0
    quota = pages.registry.quota(code)
    minimum = quota.minimum if quota else None
    shown = quotas[code].pace if code in quotas and only is None else None
    registered = {one.code for one in hamlets}
    with_sample = {one.hamlet for one in found.hamlets if one.counts.counted}
    return CommuneRow(
        commune=commune,
        province=pages.registry.province(commune.province),
        quota=quota,
        pace=shown or pace(counted, minimum, this.start_ms, this.end_ms, pages.now_ms()),
        tests=summary.counts.tests if summary else 0,
        figures=_figures(summary),
        evidence=len(with_sample & registered),
        registered=len(registered),
    )


def _figures(summary: Summary | None) -> Figures:
    """A summary's figures as pages show them; nothing of none."""
    if summary is None:
        return Figures(None, 0, 0, _NO_STAT, _NO_STAT, _NO_STAT, _NO_STAT, Share(0, 0))
    counts, stats = summary.counts, summary.stats
    return Figures(
        None, counts.tests, counts.counted, stats["downlink_bps"], stats["uplink_bps"], stats["rtt_us_median"],
        stats["loss_ppm"], Share(counts.ok, counts.tests - counts.skipped),
    )  # fmt: skip
