"""What `/api/v1` answers, as shapes: the JSON is encoded from them and the OpenAPI document is read from them.

Times are an instant in both forms, or null; what is not known is null, never 0. Figures keep the record's own units,
which the names end with. Changing a field here changes the contract of version 1: add, never rename.
"""

from __future__ import annotations

from typing import Annotated, Generic, Literal, TypeVar

from msgspec import Meta, Struct

T = TypeVar("T")
Count = Annotated[int, Meta(ge=0)]


class Out(Struct, frozen=True, kw_only=True):
    """Base of all answers: every field is always there."""


class Instant(Out, frozen=True, kw_only=True):
    """A moment: Unix milliseconds, and the same in ISO 8601 (UTC, milliseconds)."""

    ms: int
    iso: str


class Position(Out, frozen=True, kw_only=True):
    """WGS 84, in units of 1e-7 degrees."""

    lat_e7: int
    lon_e7: int


class Page(Out, Generic[T], frozen=True, kw_only=True):
    """One page of a list. `next` is the cursor of the next page, null at the end; a page may be short before that."""

    items: list[T]
    next: str | None


class StatOut(Out, frozen=True, kw_only=True):
    """Median, mean and 5th percentile of `n` values; `enough` is false below the number that is assessed."""

    n: Count
    enough: bool
    median: float | None
    mean: float | None
    p5: float | None


class ShareOut(Out, frozen=True, kw_only=True):
    """`hits` of `n`, and the share in parts per million (null of nothing)."""

    hits: Count
    n: Count
    enough: bool
    ppm: int | None


class FiguresOut(Out, frozen=True, kw_only=True):
    """The figures of one operator (`plmn` null: all together) over the counted tests of a month."""

    plmn: str | None
    operator: str | None
    tests: Count
    counted: Count
    downlink_bps: StatOut
    uplink_bps: StatOut
    rtt_us: StatOut
    loss_ppm: StatOut
    success: ShareOut


class CountsOut(Out, frozen=True, kw_only=True):
    """Sums over a hamlet's month. tests = ok + partial + failed + skipped; covered to unknown are coverage steps."""

    tests: Count
    ok: Count
    partial: Count
    failed: Count
    skipped: Count
    counted: Count
    invalid_path: Count
    covered: Count
    degraded: Count
    no_service: Count
    unknown: Count


class HamletOut(Out, frozen=True, kw_only=True):
    """A hamlet: how it is served now (`state`, `cause`), and its month so far, as on its page."""

    code: str
    name: str
    kind: str
    label: str
    commune: str
    commune_name: str | None
    province: str | None
    position: Position | None
    state: Literal["good", "weak", "bad", "none"]
    cause: str | None
    last_received: Instant | None
    probes: Count
    month: str
    operators: list[str]
    counts: CountsOut
    figures: FiguresOut


class CoverageSumOut(Out, frozen=True, kw_only=True):
    """Time in each state over the newest coverage windows; `known_ms` leaves unknown out, shares are of it."""

    windows: Count
    total_ms: Count
    known_ms: Count
    by_state_ms: dict[str, int]
    known_ppm: dict[str, int | None]


class HamletDetail(Out, frozen=True, kw_only=True):
    """A hamlet with its figures by operator and its newest coverage."""

    hamlet: HamletOut
    by_operator: list[FiguresOut]
    coverage: CoverageSumOut
    last_n: Count


class IllnessOut(Out, frozen=True, kw_only=True):
    """What is wrong with a probe, since when, and the stage of a failed test."""

    word: str
    since: Instant | None
    stage: str | None


class SiteOut(Out, frozen=True, kw_only=True):
    """Where a probe stands."""

    code: str
    name: str
    position: Position | None


class ProbeOut(Out, frozen=True, kw_only=True):
    """A probe, as on the technician's page. `illness` null: green. `acknowledged`: held without a hole up to here."""

    id: str
    state: Literal["active", "revoked", "quarantine"]
    simulated: bool
    site: SiteOut | None
    hamlet: str | None
    illness: IllnessOut | None
    acknowledged: int | None
    missing: Count
    last_received: Instant | None
    newest_code: str | None


class RecordLinks(Out, frozen=True, kw_only=True):
    """Where the signed bytes and the log's proof lie; null for a record without a readable place."""

    page: str | None
    note: str | None
    proof: str | None


class RecordOut(Out, frozen=True, kw_only=True):
    """One record of the ledger. `metrics` by the names of the contract, raw integers; null if it breaks the form.

    `verdict` is what the other evidence says of it (`/verdicts` lists the rules), null while it was not judged;
    `rules` are the ids of those that apply. `n` numbers records in order of receipt. `began` is null while its clock
    is not known.
    """

    n: Count
    probe: str
    epoch: int | None
    seq: int | None
    kind: str | None
    province: str | None
    commune: str | None
    hamlet: str | None
    began: Instant | None
    received: Instant
    counted: bool
    not_counted: list[str]
    verdict: Literal["proved", "corroborated", "plausible", "claimed", "suspect"] | None
    rules: list[str]
    fault: str | None
    in_chain: bool
    simulated: bool | None
    leaf: str
    code: str
    metrics: dict[str, int | bool | str | None] | None
    links: RecordLinks


class RunOut(Out, frozen=True, kw_only=True):
    """Coverage steps in a row with one state and one cause."""

    state: str
    cause: str | None
    steps: Count
    length_ms: Count
    began: Instant | None


class CoverageOut(Out, frozen=True, kw_only=True):
    """One coverage record as runs of one state. Unknown is never weak coverage."""

    n: Count
    probe: str
    epoch: int | None
    seq: int | None
    hamlet: str | None
    plmn: str | None
    began: Instant | None
    length_ms: Count
    step_ms: Count
    runs: list[RunOut]


class QuotaOut(Out, frozen=True, kw_only=True):
    """A commune's month against its quota, as on the official's sheet. `minimum` null: no quota is set."""

    commune: str
    name: str
    province: str
    province_name: str | None
    month: str
    counted: Count
    minimum: int | None
    rule: str | None
    due: int | None
    ahead: int | None
    missing: int | None
    word: Literal["reached", "on_pace", "behind", "no_quota"]
    tests: Count
    hamlets_with_evidence: Count
    hamlets: Count
    figures: FiguresOut


class CheckpointOut(Out, frozen=True, kw_only=True):
    """The newest checkpoint of one log. `root` and `size` are null before the first; `note` is the signed text."""

    log: str
    year: int
    generation: int
    size: int | None
    root: str | None
    signed: Instant | None
    note: str | None
    checkpoint: str


class LogOut(Out, frozen=True, kw_only=True):
    """The sealed logs, newest first, and where their keys and the offline verifier lie."""

    logs: list[CheckpointOut]
    vkeys: str
    verifier: str
    last_n: Count


class IndexOut(Out, frozen=True, kw_only=True):
    """Who the caller is to this interface, and where everything lies."""

    version: Literal["1"]
    role: str | None
    scope: str | None
    now: Instant
    last_n: Count
    links: dict[str, str]


class Problem(Out, frozen=True, kw_only=True):
    """RFC 9457: what went wrong and what to do. `word` is stable; title and detail follow Accept-Language."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    word: str
    parameter: str | None = None
