"""Shapes of the registry: the rows of an import document, and the entries that readers get.

Source: design §7, registry; unit codes: facts note 01.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta, Struct

from wire.records import Code, LatE7, LonE7, Plmn, ProbeId, UnixMs

Name = Annotated[str, Meta(min_length=1, max_length=80)]
Source = Annotated[str, Meta(min_length=1, max_length=200)]
Rule = Annotated[str, Meta(min_length=1, max_length=500)]
State = Literal["active", "revoked", "quarantine"]
Role = Literal["technician", "operator", "official", "auditor"]
LoginRole = Literal["technician", "operator", "official", "auditor", "company"]
"""A telecom company logs in, and gets no token: its scope is a network, and the interface's are units."""


class Row(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the rows of an import document."""


class ProvinceRow(Row, frozen=True, kw_only=True):
    """A province or city under the central government."""

    code: Code
    name: Name


class CommuneRow(Row, frozen=True, kw_only=True):
    """A commune or ward; position of its centre, if known."""

    code: Code
    name: Name
    province: Code
    lat_e7: LatE7 | None = None
    lon_e7: LonE7 | None = None
    area_ha: Annotated[int, Meta(ge=0, le=10**8)] | None = None


class HamletRow(Row, frozen=True, kw_only=True):
    """A hamlet (thôn, xóm, bản) or residential group; `kind` is the word it is called by.

    Name, kind and commune hold from `valid_from_ms` on (None: since always for a new hamlet, from now for a change).
    """

    code: Code
    name: Name
    kind: Name
    commune: Code
    lat_e7: LatE7 | None = None
    lon_e7: LonE7 | None = None
    valid_from_ms: UnixMs | None = None
    source: Source | None = None


class SiteRow(Row, frozen=True, kw_only=True):
    """A place where a probe stands, usually the cultural house; position as surveyed, None leaves it as it is.

    It is in `hamlet` from `valid_from_ms` on (None: since always for a new site, from now for a change).
    """

    code: Code
    hamlet: Code
    name: Name
    lat_e7: LatE7 | None = None
    lon_e7: LonE7 | None = None
    valid_from_ms: UnixMs | None = None
    source: Source | None = None


class ProbeRow(Row, frozen=True, kw_only=True):
    """A probe, its record key, and the site where it stands from `valid_from_ms` on (None: no site yet)."""

    id: ProbeId
    vkey: Annotated[str, Meta(max_length=256)]
    state: State = "active"
    revoked_ms: UnixMs | None = None
    site: Code | None = None
    valid_from_ms: UnixMs = 0
    simulated: bool = False


class PointRow(Row, frozen=True, kw_only=True):
    """A measurement point and the key of its receipts; one that is revoked is believed no more from then on."""

    code: Code
    vkey: Annotated[str, Meta(max_length=256)]
    state: Literal["active", "revoked"] = "active"
    revoked_ms: UnixMs | None = None


class OperatorRow(Row, frozen=True, kw_only=True):
    """A mobile network and the name people know it by."""

    plmn: Plmn
    name: Name
    ispeed_name: Name | None = None


class QuotaRow(Row, frozen=True, kw_only=True):
    """Samples that a commune must reach in a month, and the rule as it is printed."""

    commune: Code
    minimum: Annotated[int, Meta(ge=1, le=1_000_000)]
    rule: Rule


class UserRow(Row, frozen=True, kw_only=True):
    """A login: argon2 hash of its password, role, and the unit code it is limited to ("" for all)."""

    name: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]{1,31}\Z")]
    argon2: Annotated[str, Meta(pattern=r"^\$argon2id\$[!-~]{20,200}\Z")]
    role: LoginRole
    scope: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{0,32}\Z")] = ""


@dataclass(frozen=True, slots=True)
class ProbeEntry:
    """A probe as the registry knows it now; `site` is None while it stands nowhere."""

    id: str
    vkey: str
    state: State
    revoked_ms: int | None
    site: str | None
    simulated: bool


@dataclass(frozen=True, slots=True)
class PointEntry:
    """A measurement point as the registry knows it now."""

    code: str
    vkey: str
    state: Literal["active", "revoked"]
    revoked_ms: int | None


@dataclass(frozen=True, slots=True)
class SiteEntry:
    """A site; position None before it was surveyed."""

    code: str
    hamlet: str
    lat_e7: int | None
    lon_e7: int | None
    name: str


@dataclass(frozen=True, slots=True)
class HamletEntry:
    """A hamlet; `kind` is the word it is called by (thôn, xóm, bản, tổ dân phố), `name` the name without it."""

    code: str
    name: str
    kind: str
    commune: str
    lat_e7: int | None
    lon_e7: int | None

    @property
    def label(self) -> str:
        """As people write it: "Xóm Làng Mười"."""
        return f"{self.kind[:1].upper()}{self.kind[1:]} {self.name}"


@dataclass(frozen=True, slots=True)
class CommuneEntry:
    """A commune or ward."""

    code: str
    name: str
    province: str
    lat_e7: int | None
    lon_e7: int | None
    area_ha: int | None = None


@dataclass(frozen=True, slots=True)
class ProvinceEntry:
    """A province or city under the central government."""

    code: str
    name: str


@dataclass(frozen=True, slots=True)
class Quota:
    """Samples that a commune must reach in a month, and the rule as it is printed."""

    minimum: int
    rule: str


@dataclass(frozen=True, slots=True)
class UserEntry:
    """A login; `scope` is "" or the code of the unit that it is limited to. The hash is never shown.

    "board" and "enrolling" are roles of sessions, which no list of logins has (`collector.web.access`).
    """

    name: str
    argon2: str
    role: LoginRole | Literal["board", "enrolling"]
    scope: str

    def __repr__(self) -> str:
        return f"UserEntry({self.name!r}, {self.role!r}, {self.scope!r})"


@dataclass(frozen=True, slots=True)
class Report:
    """What an import changed, by list name."""

    added: dict[str, int]
    changed: dict[str, int]
    unchanged: dict[str, int]


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong with one row of a document, told with all others: `word` is the kind of mistake.

    unknown (names nothing that is registered), future (a date that is not yet), successors (their number does not fit
    how the hamlet ended), own_successor, taken (another SIM has this ICCID).
    """

    listed: str
    row: int
    column: str
    word: str
    value: str
