"""What the pages ask of the other parts: the read sides of ledger and registry, and facts of health.

The pages import neither sqlite3 nor paho nor influxdb-client: `collector.__main__` hands them these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from collector.core.place import Place
from collector.core.rollup import DayKey, Hour
from collector.core.rollup_view import CommuneTotal
from collector.core.sample import Deliveries, HamletCounts, ProbeState, Refusal, Sample
from collector.core.witness import Direction, Named
from collector.health import Health
from collector.registry_dated import CampaignRow
from collector.registry_identity import Alarm
from collector.registry_rows import (
    CommuneEntry,
    HamletEntry,
    ProbeEntry,
    ProvinceEntry,
    Quota,
    Report,
    SiteEntry,
    Trouble,
    UserEntry,
)

if TYPE_CHECKING:
    from collector.registry_read import Dated


class Reader(Protocol):
    """Read side of the ledger (`collector.ledger.LedgerReader`); each call is one short read transaction."""

    def samples(
        self,
        *,
        hamlet: str | None = None,
        commune: str | None = None,
        probe: str | None = None,
        kind: str | None = None,
        since_ms: int | None = None,
        until_ms: int | None = None,
        after_n: int | None = None,
        limit: int = 100,
        newest_first: bool = True,
    ) -> Sequence[Sample]:
        """Rows that match, at most `limit`; `since_ms`, `until_ms` on when they began, `after_n` on the row number."""
        ...

    def sample(self, probe: str, epoch: int, seq: int) -> Sample | None:
        """The record of that identity; None if there is none."""
        ...

    def receipts(self, sample: Sample) -> Mapping[Direction, Named]:
        """The measurement point's receipts that a record names, by direction."""
        ...

    def last_n(self) -> int:
        """Number of the newest row; 0 for an empty ledger."""
        ...

    def last_redo(self) -> int:
        """Rises when a stored row changed afterwards (dated, found out of chain)."""
        ...

    def hamlet_counts(self, since_ms: int, until_ms: int) -> Mapping[str, HamletCounts]:
        """Sums by hamlet code."""
        ...

    def commune_totals(self, since_ms: int, until_ms: int, /) -> Sequence[CommuneTotal]:
        """Sums by commune and operator."""
        ...

    def rows(self, sql: str, *values: Any) -> list[Any]:
        """Answer one statement (for `collector.rollups`, which owns its statements)."""
        ...

    def hamlet_days(
        self, hamlet: str, commune: str, since_ms: int, until_ms: int, /
    ) -> Sequence[tuple[DayKey, Mapping[int, Hour]]]:
        """A hamlet's hours by operator and local day."""
        ...

    def refusals(self, limit: int) -> Sequence[Refusal]:
        """The newest refusals."""
        ...

    def deliveries(self) -> Deliveries:
        """Counts of all deliveries."""
        ...

    def probe_states(self) -> Sequence[ProbeState]:
        """Every probe that ever sent."""
        ...


class Registry(Protocol):
    """Read side of the registry (`collector.registry.Registry`). None: unknown code."""

    def probe(self, probe: str, /) -> ProbeEntry | None:
        """A probe by its id."""
        ...

    def keys(self, probe: str, /) -> Sequence[str]:
        """Record keys that a probe ever had, as text."""
        ...

    def alarms(self) -> Sequence[Alarm]:
        """What went wrong with identities, newest first."""
        ...

    def place(self, probe: str, at_ms: int | None = None, /) -> Place | None:
        """Where a probe stood at a moment."""
        ...

    def stood_in(self, hamlet: str, /) -> Sequence[str]:
        """Probes that ever stood in a hamlet."""
        ...

    def site(self, code: str, /) -> SiteEntry | None:
        """A site by its code."""
        ...

    def hamlet(self, code: str, /) -> HamletEntry | None:
        """A hamlet by its code."""
        ...

    def commune(self, code: str, /) -> CommuneEntry | None:
        """A commune by its code."""
        ...

    def province(self, code: str, /) -> ProvinceEntry | None:
        """A province by its code."""
        ...

    def hamlets(self) -> Sequence[HamletEntry]:
        """All hamlets."""
        ...

    def communes(self) -> Sequence[CommuneEntry]:
        """All communes."""
        ...

    def probes(self) -> Sequence[ProbeEntry]:
        """All probes."""
        ...

    def campaigns(self) -> Sequence[CampaignRow]:
        """All campaigns."""
        ...

    def operators(self) -> Mapping[str, str]:
        """Operator names by PLMN."""
        ...

    def quota(self, commune: str, /) -> Quota | None:
        """Monthly minimum of a commune."""
        ...

    def referral_unit(self, code: str, at_ms: int | None = None, /) -> str | None:
        """Whose a referral code was at a moment."""
        ...

    def user(self, name: str, /) -> UserEntry | None:
        """A login."""
        ...

    def users(self) -> Sequence[UserEntry]:
        """All logins."""
        ...

    def provinces(self) -> Sequence[ProvinceEntry]:
        """All provinces."""
        ...

    def sites(self) -> Sequence[SiteEntry]:
        """All sites."""
        ...

    def certificate_ends(self) -> Mapping[str, int]:
        """When each probe's newest certificate runs out (UTC ms)."""
        ...

    def still(self) -> AbstractContextManager[None]:
        """Look for changes once, now, and not at every call inside."""
        ...

    def referrals(self) -> Sequence[tuple[str, str, int]]:
        """All referral assignments: code, unit, valid from (UTC ms)."""
        ...

    @property
    def dated(self) -> Dated:
        """The dated lists."""
        ...

    def check(self, document: Mapping[str, Any], now_ms: int | None = None, /) -> tuple[Report, list[Trouble]]:
        """What `load` would change, and every mistake."""
        ...

    def load(self, document: Mapping[str, Any], now_ms: int | None = None, /) -> Report:
        """Append; all of it or nothing."""
        ...


HealthSource = Callable[[], Health]
"""What the processes of the collector last said of themselves; asked at every look at the health page."""
