"""From the values that pages show to the shapes that `/api/v1` answers: the same numbers, in another form. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collector.api import shapes
from collector.api.routes import BASE
from collector.core.sample import HamletCounts, Sample
from collector.core.verdict import Judgement
from collector.core.view import iso, short_code
from collector.core.view_figures import Figures, Share, Stat
from collector.core.view_record import metric_values
from collector.core.view_service import CoverageSum, Run, Window
from wire import codec
from wire.records import CoverageRecord

if TYPE_CHECKING:  # the pages' package needs this module while it is being read
    from collector.web.present import CommuneRow, HamletPage, HamletRow, SiteRow


def instant(t_ms: int | None) -> shapes.Instant | None:
    """Both forms of a moment; None of none."""
    if t_ms is None:
        return None
    return shapes.Instant(ms=t_ms, iso=iso(t_ms))


def position(lat_e7: int | None, lon_e7: int | None) -> shapes.Position | None:
    """A position; None unless both are known."""
    return None if lat_e7 is None or lon_e7 is None else shapes.Position(lat_e7=lat_e7, lon_e7=lon_e7)


def stat(one: Stat) -> shapes.StatOut:
    """Summary of some values."""
    return shapes.StatOut(n=one.n, enough=one.enough, median=one.median, mean=one.mean, p5=one.p5)


def share(one: Share) -> shapes.ShareOut:
    """Hits of n."""
    return shapes.ShareOut(hits=one.hits, n=one.n, enough=one.enough, ppm=one.ppm)


def figures(one: Figures, names: dict[str, str]) -> shapes.FiguresOut:
    """Figures of one operator, or of all."""
    return shapes.FiguresOut(
        plmn=one.plmn,
        operator=None if one.plmn is None else names.get(one.plmn),
        tests=one.tests,
        counted=one.counted,
        downlink_bps=stat(one.downlink),
        uplink_bps=stat(one.uplink),
        rtt_us=stat(one.rtt),
        loss_ppm=stat(one.loss),
        success=share(one.success),
    )


def counts(one: HamletCounts) -> shapes.CountsOut:
    """Sums of a hamlet's month."""
    return shapes.CountsOut(**{name: getattr(one, name) for name in shapes.CountsOut.__struct_fields__})


def hamlet(row: HamletRow, month: str, names: dict[str, str]) -> shapes.HamletOut:
    """A hamlet as on the list."""
    entry = row.hamlet
    return shapes.HamletOut(
        code=entry.code,
        name=entry.name,
        kind=entry.kind,
        label=entry.label,
        commune=entry.commune,
        commune_name=row.commune.name if row.commune else None,
        province=row.commune.province if row.commune else None,
        position=position(entry.lat_e7, entry.lon_e7),
        state=row.service.state.value,
        cause=row.service.cause,
        last_received=instant(row.last_ms),
        probes=row.probes,
        month=month,
        operators=list(row.operators),
        counts=counts(row.counts),
        figures=figures(row.figures, names),
    )


def coverage_sum(one: CoverageSum, windows: int) -> shapes.CoverageSumOut:
    """Time by state over the newest windows."""
    shares = {state: one.known_ppm(state) for state in one.by_state_ms if state != "unknown"}
    return shapes.CoverageSumOut(
        windows=windows, total_ms=one.total_ms, known_ms=one.known_ms, by_state_ms=one.by_state_ms, known_ppm=shares
    )


def hamlet_detail(page: HamletPage, month: str, names: dict[str, str]) -> shapes.HamletDetail:
    """A hamlet's page."""
    return shapes.HamletDetail(
        hamlet=hamlet(page.row, month, names),
        by_operator=[figures(one, names) for one in page.operators],
        coverage=coverage_sum(page.coverage, len(page.windows)),
        last_n=page.last_n,
    )


def probe(row: SiteRow) -> shapes.ProbeOut:
    """A probe as on the technician's page."""
    ill, site = row.checkup.illness, row.site
    return shapes.ProbeOut(
        id=row.probe.id,
        state=row.probe.state,
        simulated=row.probe.simulated,
        site=shapes.SiteOut(code=site.code, name=site.name, position=position(site.lat_e7, site.lon_e7))
        if site
        else None,
        hamlet=row.hamlet.code if row.hamlet else None,
        illness=shapes.IllnessOut(word=ill.word, since=instant(ill.since_ms), stage=ill.stage) if ill else None,
        acknowledged=row.checkup.acked,
        missing=row.checkup.missing,
        last_received=instant(row.last_ms),
        newest_code=row.code,
    )


def quota(row: CommuneRow, month: str, names: dict[str, str]) -> shapes.QuotaOut:
    """A commune as on the official's sheet."""
    return shapes.QuotaOut(
        commune=row.commune.code,
        name=row.commune.name,
        province=row.commune.province,
        province_name=row.province.name if row.province else None,
        month=month,
        counted=row.pace.counted,
        minimum=row.pace.minimum,
        rule=row.quota.rule if row.quota else None,
        due=row.pace.due,
        ahead=row.pace.ahead,
        missing=row.pace.missing,
        word=row.pace.word,
        tests=row.tests,
        hamlets_with_evidence=row.evidence,
        hamlets=row.registered,
        figures=figures(row.figures, names),
    )


def record(sample: Sample, judged: Judgement | None, *, sees_positions: bool) -> shapes.RecordOut:
    """A record and the verdict on it; `sees_positions`: whether this caller may see exact positions of it."""
    known = sample.record
    is_placed = sample.epoch is not None and sample.seq is not None and sample.in_chain
    place = f"/{sample.probe}/{sample.epoch}/{sample.seq}" if is_placed else None
    return shapes.RecordOut(
        n=sample.n,
        probe=sample.probe,
        epoch=sample.epoch,
        seq=sample.seq,
        kind=sample.kind,
        province=sample.province or None,
        commune=sample.commune or None,
        hamlet=sample.hamlet or None,
        began=instant(sample.t_ms),
        received=shapes.Instant(ms=sample.received_ms, iso=iso(sample.received_ms)),
        counted=sample.counted,
        not_counted=list(sample.not_counted),
        verdict=None if judged is None else judged.verdict.value,
        rules=[] if judged is None else [hit.rule for hit in judged.hits],
        fault=sample.fault,
        in_chain=sample.in_chain,
        simulated=known.simulated if known else None,
        leaf=codec.leaf_text(sample.leaf),
        code=short_code(sample.leaf),
        metrics=metric_values(known, sample.kind or "", sees_positions) if known else None,
        links=shapes.RecordLinks(
            page=f"/samples{place}" if place else None,
            note=f"{BASE}/records{place}/note" if place else None,
            proof=f"/samples{place}.tlog-proof" if place else None,
        ),
    )


def _run(one: Run) -> shapes.RunOut:
    return shapes.RunOut(
        state=one.state, cause=one.cause, steps=one.steps, length_ms=one.length_ms, began=instant(one.start_ms)
    )


def coverage(sample: Sample, known: CoverageRecord, strip: Window) -> shapes.CoverageOut:
    """A coverage record as runs."""
    return shapes.CoverageOut(
        n=sample.n,
        probe=sample.probe,
        epoch=sample.epoch,
        seq=sample.seq,
        hamlet=sample.hamlet or None,
        plmn=known.plmn,
        began=instant(sample.t_ms),
        length_ms=strip.length_ms,
        step_ms=known.step_ms,
        runs=[_run(one) for one in strip.runs],
    )
