"""Figures for Prometheus: what the processes last said, what the ledger holds, what the web answered.

Nothing here is measured for its own sake: each figure is read from a state file, the ledger or a file's size at the
moment it is asked for. What is not known has no sample (never 0). A `probe` label exists for probes of the registry
only, so that nobody can fill a monitoring system by inventing names.
Source: issue 5 (operations).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from collector.core.sample import Deliveries, ProbeState
from collector.core.view_health import Fault
from collector.health import Health

BUCKETS_S = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
_FAULTS = (
    "receive", "broker", "ledger", "forward", "influx", "lag", "parked", "seal", "seal_broken", "quiet", "refused",
    "empty",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that is told of one moment; None where it is not known. `sizes`: bytes of the databases by name."""

    health: Health
    faults: Sequence[Fault]
    deliveries: Deliveries | None
    last_n: int | None
    last_commit_ms: int | None
    probes: Sequence[ProbeState]
    sizes: dict[str, int]
    disk_free_bytes: int | None


Sample = tuple[tuple[str, ...], float | None]


def _gauge(name: str, text: str, labels: tuple[str, ...], samples: Iterable[Sample]) -> Iterator[GaugeMetricFamily]:
    """A family of the samples that are known; nothing at all if none is."""
    family = GaugeMetricFamily(f"dosong_{name}", text, labels=labels)
    known = [(at, value) for at, value in samples if value is not None]
    for at, value in known:
        family.add_metric(at, value)
    if known:
        yield family


def _s(t_ms: int | None) -> float | None:
    return None if t_ms is None else t_ms / 1000


def _bit(word: str | None, *, known: bool) -> float | None:
    return float(word is None) if known else None


class _Asked(Collector):
    """The families of one moment."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """Every family that has a sample."""
        yield from _processes(self._facts.health)
        yield from _parts(self._facts.health)
        yield from _ledger(self._facts)
        yield from _fleet(self._facts.probes)


_BESIDE = frozenset({"seal", "judge"})
"""Processes that a deployment may rightly not run here."""


def _processes(health: Health) -> Iterator[GaugeMetricFamily]:
    said = {"receive": health.receive, "forward": health.forward, "seal": health.seal, "judge": health.judge}
    alive = {"receive": health.receive_alive, "forward": health.forward_alive}
    alive |= {"seal": health.seal_alive, "judge": health.judge_alive}
    label = ("process",)
    up = [((name,), float(alive[name])) for name, state in said.items() if state is not None or name not in _BESIDE]
    yield from _gauge("process_up", "1 if the process spoke within the last 15 s", label, up)
    spoke: list[Sample] = [((name,), _s(state.at_ms) if state else None) for name, state in said.items()]
    yield from _gauge("process_said_timestamp_seconds", "when the process last spoke", label, spoke)
    began: list[Sample] = [((name,), _s(state.started_ms) if state else None) for name, state in said.items()]
    yield from _gauge("process_started_timestamp_seconds", "when the process was started", label, began)


def _parts(health: Health) -> Iterator[GaugeMetricFamily]:
    receive, forward, seal = health.receive, health.forward, health.seal
    connected = float(receive.broker_connected) if receive else None
    rows: tuple[tuple[str, str, float | None], ...] = (
        ("broker_connected", "1 while receive has the broker", connected),
        ("ledger_writable", "1 while the ledger takes records",
         _bit(receive.ledger_error if receive else None, known=receive is not None)),
        ("influx_takes_points", "1 while InfluxDB takes points",
         _bit(forward.influx_error if forward else None, known=forward is not None)),
        ("seal_good", "1 while the log can be signed", _bit(seal.error if seal else None, known=seal is not None)),
        ("forward_lag_records", "records that InfluxDB has not yet taken", forward.lag if forward else None),
        ("forward_parked_lines", "lines that InfluxDB will never take", forward.parked if forward else None),
        ("forward_write_timestamp_seconds", "when InfluxDB last took points",
         _s(forward.last_write_ms if forward else None)),
        ("sealed_entries", "entries under the newest checkpoint", seal.size if seal else None),
        ("checkpoint_timestamp_seconds", "when the log was last signed", _s(seal.signed_ms if seal else None)),
    )  # fmt: skip
    for name, text, value in rows:
        yield from _gauge(name, text, (), [((), value)])


def _ledger(facts: Facts) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
    if facts.deliveries is not None:
        total = CounterMetricFamily("dosong_records", "records that ever reached the collector", labels=("result",))
        for name in ("accepted", "duplicate", "refused", "let_go"):
            total.add_metric((name,), getattr(facts.deliveries, name))
        yield total
    yield from _gauge("ledger_last_number", "number of the newest record", (), [((), facts.last_n)])
    yield from _gauge("last_commit_timestamp_seconds", "when the newest record was stored", (),
                      [((), _s(facts.last_commit_ms))])  # fmt: skip
    yield from _gauge("file_bytes", "size of a database with its journal", ("file",),
                      [((name,), size) for name, size in sorted(facts.sizes.items())])  # fmt: skip
    yield from _gauge("disk_free_bytes", "free where the ledger lies", (), [((), facts.disk_free_bytes)])
    here = {fault.word: fault for fault in facts.faults}
    words = [*_FAULTS, *sorted(set(here) - set(_FAULTS))]
    yield from _gauge("fault", "1 while the health page shows this fault", ("word",),
                      [((word,), float(word in here)) for word in words])  # fmt: skip


def _fleet(probes: Sequence[ProbeState]) -> Iterator[GaugeMetricFamily]:
    label = ("probe",)
    rows: tuple[tuple[str, str, list[Sample]], ...] = (
        ("probe_received_timestamp_seconds", "when the probe's newest record came",
         [((p.probe,), _s(p.last_received_ms)) for p in probes]),
        ("probe_records", "records held of the probe", [((p.probe,), float(p.records)) for p in probes]),
        ("probe_missing_records", "numbers below the highest that are not held",
         [((p.probe,), None if p.max_seq is None else float(p.max_seq - (-1 if p.upto is None else p.upto)))
          for p in probes]),
        ("probe_online", "what its status topic says (liveness, never evidence)",
         [((p.probe,), None if p.status is None else float(p.status == "online")) for p in probes]),
    )  # fmt: skip
    for name, text, samples in rows:
        yield from _gauge(name, text, label, samples)


class Requests:
    """What the web answered since it was started, by route of its own table and class of status."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._answers = Counter(
            "dosong_http_requests", "requests answered", ("route", "status"), registry=self.registry
        )
        self._lengths = Histogram(
            "dosong_http_request_seconds", "time to the first byte of an answer", ("route",),
            buckets=BUCKETS_S, registry=self.registry,
        )  # fmt: skip

    def note(self, route: str, status: int, length_s: float) -> None:
        """Count one answer. `route`: an endpoint's name, never an address that somebody made up."""
        self._answers.labels(route, f"{status // 100}xx").inc()
        self._lengths.labels(route).observe(length_s)


def exposition(facts: Facts, requests: Requests, accept: str) -> tuple[bytes, str]:
    """The page that Prometheus reads, in the form that it accepts, and the media type of that form."""
    encode, media = choose_encoder(accept)
    asked = CollectorRegistry()
    asked.register(_Asked(facts))
    if "openmetrics" not in media:
        return encode(asked) + encode(requests.registry), media
    first = encode(asked).removesuffix(b"# EOF\n")
    return first + encode(requests.registry), media
