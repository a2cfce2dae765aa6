"""What the pages ask of the other parts: the ledger's and the registry's read side, settings, and facts of health.

The pages import neither sqlite3 nor paho nor influxdb-client: `collector.__main__` hands them these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from collector.core.view_figures import Sample as FigureSample
from collector.core.view_health import Deliveries, HealthFacts
from collector.core.view_probe import ProbeState


class Sample(FigureSample, Protocol):
    """A ledger row. `fault` names what breaks the schema; `not_counted` lists why it is not counted."""

    @property
    def probe(self) -> str: ...  # noqa: D102
    @property
    def epoch(self) -> int: ...  # noqa: D102
    @property
    def seq(self) -> int: ...  # noqa: D102
    @property
    def kind(self) -> str | None: ...  # noqa: D102
    @property
    def raw(self) -> bytes: ...  # noqa: D102
    @property
    def leaf(self) -> bytes: ...  # noqa: D102
    @property
    def fault(self) -> str | None: ...  # noqa: D102
    @property
    def commune(self) -> str | None: ...  # noqa: D102
    @property
    def hamlet(self) -> str | None: ...  # noqa: D102
    @property
    def not_counted(self) -> tuple[str, ...]: ...  # noqa: D102


class HamletCounts(Protocol):
    """Counts of one hamlet's rows in a span of time."""

    @property
    def tests(self) -> int: ...  # noqa: D102
    @property
    def ok(self) -> int: ...  # noqa: D102
    @property
    def counted(self) -> int: ...  # noqa: D102
    @property
    def last_received_ms(self) -> int | None: ...  # noqa: D102


class Refusal(Protocol):
    """One refused delivery, raw bytes kept by the ledger."""

    @property
    def n(self) -> int: ...  # noqa: D102
    @property
    def received_ms(self) -> int: ...  # noqa: D102
    @property
    def topic(self) -> str: ...  # noqa: D102
    @property
    def probe(self) -> str | None: ...  # noqa: D102
    @property
    def reason(self) -> str: ...  # noqa: D102
    @property
    def detail(self) -> str: ...  # noqa: D102
    @property
    def size(self) -> int: ...  # noqa: D102


class Reader(Protocol):
    """Read side of the ledger; each call is one short read transaction."""

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
    ) -> Sequence[Sample]: ...  # noqa: D102

    def sample(self, probe: str, epoch: int, seq: int) -> Sample | None: ...  # noqa: D102
    def last_n(self) -> int: ...  # noqa: D102
    def hamlet_counts(self, since_ms: int, until_ms: int) -> Mapping[str, HamletCounts]: ...  # noqa: D102
    def refusals(self, limit: int) -> Sequence[Refusal]: ...  # noqa: D102
    def deliveries(self) -> Deliveries: ...  # noqa: D102
    def probe_states(self) -> Sequence[ProbeState]: ...  # noqa: D102


class Place(Protocol):
    """A hamlet, commune or province with its code and name."""

    @property
    def code(self) -> str: ...  # noqa: D102
    @property
    def name(self) -> str: ...  # noqa: D102


class MapPlace(Place, Protocol):
    """A place with a point on the map, None where nobody entered one."""

    @property
    def lat_e7(self) -> int | None: ...  # noqa: D102
    @property
    def lon_e7(self) -> int | None: ...  # noqa: D102


class Hamlet(MapPlace, Protocol):
    """A hamlet; `kind` is free text (xóm, thôn, bản, khu ...)."""

    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def commune(self) -> str: ...  # noqa: D102


class Commune(MapPlace, Protocol):
    """A commune of a province."""

    @property
    def province(self) -> str: ...  # noqa: D102


class Site(Place, Protocol):
    """A measuring site in a hamlet."""

    @property
    def hamlet(self) -> str: ...  # noqa: D102


class Probe(Protocol):
    """A registered probe."""

    @property
    def id(self) -> str: ...  # noqa: D102
    @property
    def vkey(self) -> str: ...  # noqa: D102
    @property
    def state(self) -> str: ...  # noqa: D102
    @property
    def site(self) -> str | None: ...  # noqa: D102


class Quota(Protocol):
    """Monthly minimum of a commune and the rule as it is printed."""

    @property
    def minimum(self) -> int: ...  # noqa: D102
    @property
    def rule(self) -> str: ...  # noqa: D102


class User(Protocol):
    """An account. `scope` is the code of a province, commune or hamlet, None for all."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def hash(self) -> str: ...  # noqa: D102
    @property
    def role(self) -> str: ...  # noqa: D102
    @property
    def scope(self) -> str | None: ...  # noqa: D102


class Registry(Protocol):
    """Read side of the registry."""

    def probe(self, id: str) -> Probe | None: ...  # noqa: A002, D102
    def site(self, code: str) -> Site | None: ...  # noqa: D102
    def hamlet(self, code: str) -> Hamlet | None: ...  # noqa: D102
    def commune(self, code: str) -> Commune | None: ...  # noqa: D102
    def province(self, code: str) -> Place | None: ...  # noqa: D102
    def hamlets(self) -> Sequence[Hamlet]: ...  # noqa: D102
    def communes(self) -> Sequence[Commune]: ...  # noqa: D102
    def probes(self) -> Sequence[Probe]: ...  # noqa: D102
    def operators(self) -> Mapping[str, str]: ...  # noqa: D102
    def quota(self, commune: str) -> Quota | None: ...  # noqa: D102
    def user(self, name: str) -> User | None: ...  # noqa: D102


class WebSettings(Protocol):
    """The `[web]` table."""

    @property
    def secret_file(self) -> Path: ...  # noqa: D102
    @property
    def grafana_url(self) -> str: ...  # noqa: D102
    @property
    def language(self) -> str: ...  # noqa: D102


class Settings(Protocol):
    """What the pages read of the collector's settings."""

    @property
    def origin(self) -> str: ...  # noqa: D102
    @property
    def demo(self) -> bool: ...  # noqa: D102
    @property
    def web(self) -> WebSettings: ...  # noqa: D102


HealthSource = Callable[[], HealthFacts]
"""Asked at every look at the health page; None where the pages run without the other programs."""
