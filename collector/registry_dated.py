"""Shapes of the registry's dated lists: each row holds from `valid_from_ms` on, until a later one of the same key.

`source` says which paper or person said so. Rows are appended, never changed; `LISTS` says where each list lies and
which columns are its key. Future dates are refused where a row says what is so (`FUTURE` names those that may).
Source: design §7, registry; facts note 01 §1 (campaigns), §3 (limits), §4 (units), §7 (SIMs).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta

from collector.registry_rows import Name, Row
from wire.records import Code, LatE7, LonE7, Plmn, ProbeId, UnixMs

Note = Annotated[str, Meta(min_length=1, max_length=200)]
Text = Annotated[str, Meta(min_length=1, max_length=500)]
Amount = Annotated[int, Meta(ge=1, le=1_000_000)]
Bytes = Annotated[int, Meta(ge=1, le=10**14)]
Dong = Annotated[int, Meta(ge=0, le=10**12)]
Level = Literal["country", "province", "commune", "hamlet", "bodies"]
Modem = Literal["m1", "m2", "m3", "m4"]


class DatedRow(Row, frozen=True, kw_only=True):
    """Base of the dated rows."""

    valid_from_ms: UnixMs = 0
    source: Note | None = None


class UnitNameRow(DatedRow, frozen=True, kw_only=True):
    """What a province or commune is called since a day."""

    code: Code
    name: Name


class OldUnitRow(Row, frozen=True, kw_only=True):
    """A province, district or commune before July 2025; `parent` None for a province."""

    code: Code
    name: Name
    parent: Code | None = None


class OldSuccessorRow(Row, frozen=True, kw_only=True):
    """An old province or commune went into a unit of today; `is_main`: most of it did."""

    old: Code
    new: Code
    is_main: bool = True


class HamletEndRow(DatedRow, frozen=True, kw_only=True):
    """A hamlet was merged into another, split, or ended; `successors`: codes with a space between them."""

    hamlet: Code
    how: Literal["merged", "split", "ended", "reopened"]
    successors: Annotated[str, Meta(pattern=r"^([A-Za-z0-9_-]{1,32}( [A-Za-z0-9_-]{1,32}){0,19})?\Z")] = ""


class SurveyRow(DatedRow, frozen=True, kw_only=True):
    """Where a site lies, as found by a receiver, a phone, on a map, or typed; `accuracy_m` None: not told."""

    site: Code
    lat_e7: LatE7
    lon_e7: LonE7
    how: Literal["gnss", "phone", "map", "typed"] = "typed"
    accuracy_m: Annotated[int, Meta(ge=0, le=100_000)] | None = None


class PhotoRow(DatedRow, frozen=True, kw_only=True):
    """A photo of a site; the file is named by its SHA-256."""

    site: Code
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
    size_bytes: Annotated[int, Meta(ge=1, le=20_000_000)]


class AssignmentRow(DatedRow, frozen=True, kw_only=True):
    """A probe stands at a site (None: taken away). The probe may be one that has no key yet: it is planned."""

    probe: ProbeId
    site: Code | None = None


class ReferralRow(DatedRow, frozen=True, kw_only=True):
    """A referral code belongs to a unit (commune or hamlet code; None: to none any more)."""

    code: Code
    unit: Code | None = None


class SimRow(Row, frozen=True, kw_only=True):
    """A SIM by our own code; the ICCID only as its HMAC and last four digits (None leaves them as they are).

    `brand` is the name on the card: other brands use the networks of the three.
    """

    code: Code
    plmn: Plmn
    iccid_hmac: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")] | None = None
    iccid_last4: Annotated[str, Meta(pattern=r"^[0-9]{4}\Z")] | None = None
    brand: Name | None = None


class SimPlanRow(DatedRow, frozen=True, kw_only=True):
    """A SIM's plan: data in a billing period (bytes), the day the period begins, its price. None: not known."""

    sim: Code
    plan: Name | None = None
    cap_bytes: Bytes | None = None
    billing_day: Annotated[int, Meta(ge=1, le=28)] | None = None
    vnd_month: Dong | None = None


class SimModemRow(DatedRow, frozen=True, kw_only=True):
    """A SIM is in a probe's modem (both None: in store)."""

    sim: Code
    probe: ProbeId | None = None
    modem: Modem | None = None


class TariffRow(DatedRow, frozen=True, kw_only=True):
    """A plan that an operator sells: `cap_bytes` in `days` for `vnd`."""

    code: Code
    plmn: Plmn
    name: Name
    cap_bytes: Bytes
    days: Annotated[int, Meta(ge=1, le=730)]
    vnd: Dong
    valid_to_ms: UnixMs | None = None


class CampaignRow(Row, frozen=True, kw_only=True):
    """A campaign: the paper behind it, the one counter that satisfies it, first moment and end (None: open)."""

    code: Code
    name: Annotated[str, Meta(min_length=1, max_length=200)]
    document: Note
    counter: Literal["portal", "ours", "people"] = "portal"
    starts_ms: UnixMs
    ends_ms: UnixMs | None = None


class CampaignQuotaRow(DatedRow, frozen=True, kw_only=True):
    """What a campaign asks of each unit of a level (`unit` None) or of one unit, in each period."""

    campaign: Code
    line: Code
    level: Level
    unit: Code | None = None
    what: Literal["samples", "people"]
    minimum: Amount
    relation: Literal[">=", ">"] = ">="
    period: Literal["day", "week", "month", "campaign"]
    valid_to_ms: UnixMs | None = None


class CampaignReportRow(DatedRow, frozen=True, kw_only=True):
    """A report of a campaign: who reports to whom over which period, and its last moment.

    `due_day` is the day of the month (None: each day, or the campaign's last), `due_minute` the minute of that day;
    "before" is strict, "by" is not.
    """

    campaign: Code
    line: Code
    level: Level
    period: Literal["day", "week", "month", "month_to_date", "campaign"]
    due_day: Annotated[int, Meta(ge=1, le=28)] | None = None
    due_minute: Annotated[int, Meta(ge=0, le=1440)] = 0
    relation: Literal["before", "by"] = "before"
    recipients: Text
    valid_to_ms: UnixMs | None = None


class LimitRow(DatedRow, frozen=True, kw_only=True):
    """A limit of a regulation, a target, a value that an operator declared, or a draft: thousandths of `unit`."""

    code: Code
    name: Annotated[str, Meta(min_length=1, max_length=200)]
    nature: Literal["regulation", "target", "declared", "draft"]
    relation: Literal[">=", ">", "<=", "<"]
    value_x1000: Annotated[int, Meta(ge=-(10**12), le=10**12)]
    unit: Annotated[str, Meta(min_length=1, max_length=20)]
    plmn: Plmn | None = None
    valid_to_ms: UnixMs | None = None


class EnteredCountRow(DatedRow, frozen=True, kw_only=True):
    """A figure that was read elsewhere (Portal) or taken by people, of a unit over [starts_ms, ends_ms).

    `valid_from_ms` is when it was read: a later reading beats it, both stay. Never added to our own samples.
    `people`: who installed; `people_samples`: samples that people say they took (`collector.people`).
    """

    counter: Literal["portal", "people", "people_samples"]
    unit: Code
    starts_ms: UnixMs
    ends_ms: UnixMs
    value: Annotated[int, Meta(ge=0, le=10**9)]


class HolidayRow(DatedRow, frozen=True, kw_only=True):
    """A day on which offices are closed, or (`is_off` False) a weekend day on which they make up for one."""

    day: Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")]
    name: Name
    is_off: bool = True


@dataclass(frozen=True, slots=True)
class Listing:
    """Where a dated list lies: its table, the columns of its key, and the shape of its rows."""

    table: str
    key: tuple[str, ...]
    shape: type[DatedRow]

    @property
    def values(self) -> tuple[str, ...]:
        """The columns that a later row may change."""
        other = {*self.key, "valid_from_ms", "source"}
        return tuple(name for name in self.shape.__struct_fields__ if name not in other)


LISTS: dict[str, Listing] = {
    "unit_names": Listing("unit_name", ("code",), UnitNameRow),
    "hamlet_ends": Listing("hamlet_end", ("hamlet",), HamletEndRow),
    "surveys": Listing("site_survey", ("site",), SurveyRow),
    "photos": Listing("site_photo", ("site",), PhotoRow),
    "assignments": Listing("probe_site", ("probe",), AssignmentRow),
    "referrals": Listing("referral", ("code",), ReferralRow),
    "sim_plans": Listing("sim_plan", ("sim",), SimPlanRow),
    "sim_modems": Listing("sim_modem", ("sim",), SimModemRow),
    "tariffs": Listing("tariff", ("code",), TariffRow),
    "campaign_quotas": Listing("campaign_quota", ("campaign", "line"), CampaignQuotaRow),
    "campaign_reports": Listing("campaign_report", ("campaign", "line"), CampaignReportRow),
    "limits": Listing("limit_value", ("code",), LimitRow),
    "counts": Listing("entered_count", ("counter", "unit", "starts_ms", "ends_ms"), EnteredCountRow),
    "holidays": Listing("holiday", ("day",), HolidayRow),
}
FUTURE = frozenset({"sim_plans", "tariffs", "campaign_quotas", "campaign_reports", "limits"})
"""Lists whose rows may be entered before they hold."""


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the change list: `[from_ms, until_ms)` of what `code` names must be looked at again (None: till now).

    `what`: probe_site and probe (a probe's id), referral (a referral code), site_hamlet and site_position (a site's
    code), hamlet_commune (a hamlet's code), commune_province (a commune's code).
    """

    n: int
    what: str
    code: str
    from_ms: int
    until_ms: int | None
    recorded_ms: int

    @property
    def is_back_dated(self) -> bool:
        """Whether it concerns hours before it was entered."""
        return self.from_ms < self.recorded_ms


@dataclass(frozen=True, slots=True)
class Found:
    """A unit that a search found. `level`: province, commune, hamlet, old; `within`: names of what it lies in.

    For an old unit `became` names what it went into today; `until_ms` is when a hamlet ended, None if it did not.
    """

    level: Literal["province", "commune", "hamlet", "old"]
    code: str
    name: str
    within: str
    became: tuple[tuple[str, str], ...] = ()
    until_ms: int | None = None
