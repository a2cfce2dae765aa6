"""How each probe feels, as points: `fleet`, from the registry, the newest test of each probe and a day of its events.

Tests are read once, in the order of their receipt, and the newest of each probe is kept: a fleet of any size costs what
is new since the last look. Source: `collector.core.measures`; design §1 (which probe is ill, since when, why).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from collector.core.clock import DAY_MS, hour_of
from collector.core.measures import is_silent, measure_line
from collector.core.points import Field
from collector.core.sample import ProbeState, Sample
from collector.ledger import LedgerReader
from collector.registry import Registry
from collector.registry_identity import Identities
from wire.records import EventRecord, TestRecord

PAGE, PAGES = 1_000, 40
"""At most so many tests are read at one look, so that a ledger of years holds nothing up."""
BACK_MS = 3 * DAY_MS
CERTIFICATES_EVERY_MS = 3_600_000
_UNDERVOLTAGE = 1 << 0 | 1 << 16
_RESETS = frozenset(("modem_restart", "usb_reauthorise", "usb_power", "usb_controller", "reboot"))
"""Rungs that make the modem start anew; the gentler ones only reconnect."""
CERT_SOON_DAYS, NEAR_CAP_PPM = 30, 900_000


@dataclass(slots=True)
class _Recent:
    """What a probe's events of the last day say."""

    resets: int = 0
    rung: str | None = None


class FleetLines:
    """Gives the points of `fleet`; remembers the newest test of each probe."""

    def __init__(self, reader: LedgerReader, registry: Registry) -> None:
        self._reader = reader
        self._registry = registry
        self._after_n = 0
        self._tests: dict[str, tuple[int, TestRecord]] = {}
        self._ends: dict[str, int] = {}
        self._ends_due_ms = 0

    def lines(self, at_ms: int) -> Iterator[str]:
        """One point a probe that is not revoked and stands somewhere, at this hour's first moment."""
        self._look(at_ms)
        states = {state.probe: state for state in self._reader.probe_states()}
        events = self._events(at_ms)
        for probe in self._registry.probes():
            place = None if probe.state == "revoked" else self._registry.place(probe.id)
            if place is not None:
                tags = (("province", place.province), ("commune", place.commune), ("hamlet", place.hamlet))
                fields = self._fields(probe.id, states.get(probe.id), events.get(probe.id, _Recent()), at_ms)
                yield measure_line("fleet", (*tags, ("probe", probe.id)), fields, hour_of(at_ms))

    def _look(self, at_ms: int) -> None:
        for _ in range(PAGES):
            samples = self._reader.samples(
                kind="test", since_ms=at_ms - BACK_MS, after_n=self._after_n, limit=PAGE, newest_first=False
            )
            for sample in samples:
                self._keep(sample)
            if len(samples) < PAGE:
                break
        if at_ms >= self._ends_due_ms:
            self._ends = _certificate_ends(self._registry)
            self._ends_due_ms = at_ms + CERTIFICATES_EVERY_MS

    def _keep(self, sample: Sample) -> None:
        self._after_n = sample.n
        if isinstance(sample.record, TestRecord) and sample.t_ms is not None:
            held = self._tests.get(sample.probe)
            if held is None or held[0] <= sample.t_ms:
                self._tests[sample.probe] = (sample.t_ms, sample.record)

    def _events(self, at_ms: int) -> Mapping[str, _Recent]:
        found: dict[str, _Recent] = {}
        since_ms = at_ms - DAY_MS
        for sample in self._reader.samples(kind="event", since_ms=since_ms, limit=20_000, newest_first=False):
            if isinstance(sample.record, EventRecord) and sample.record.event == "recovery":
                recent = found.setdefault(sample.probe, _Recent())
                recent.resets += sample.record.rung in _RESETS
                recent.rung = sample.record.rung or recent.rung
        return found

    def _fields(self, probe: str, state: ProbeState | None, recent: _Recent, at_ms: int) -> dict[str, Field]:
        received = state.last_received_ms if state else None
        fields: dict[str, Field] = {
            "heard": int(received is not None),
            "age_s": None if received is None else max(0, at_ms - received) // 1000,
            "resets": recent.resets,
            "rung": recent.rung or "none",
        }
        if state is not None:
            silent = is_silent(state.status, state.status_ms, received, at_ms)
            fields["silent"] = None if silent is None else int(silent)
            top = -1 if state.max_seq is None else state.max_seq
            fields["missing"] = max(0, top - (-1 if state.upto is None else state.upto))
        if probe in self._ends:
            fields["cert_days"] = (self._ends[probe] - at_ms) // DAY_MS
        fields |= _of_test(self._tests[probe][1]) if probe in self._tests else {}
        return fields | troubles(fields)


def troubles(fields: Mapping[str, Field]) -> dict[str, Field]:
    """Troubles as 0 or 1, so that a board can sum them; None where nothing is known."""
    used, limit, days = fields.get("used_bytes"), fields.get("limit_bytes"), fields.get("cert_days")
    trusted, resets = fields.get("clock_trusted"), fields.get("resets")
    near = int(used * 1_000_000 >= limit * NEAR_CAP_PPM) if isinstance(used, int) and isinstance(limit, int) else None
    return {
        "near_cap": near,
        "cert_soon": int(days < CERT_SOON_DAYS) if isinstance(days, int) else None,
        "clock_untrusted": 1 - trusted if isinstance(trusted, int) else None,
        "was_reset": int(resets > 0) if isinstance(resets, int) else None,
    }


def _of_test(test: TestRecord) -> dict[str, Field]:
    """What the newest test says of its probe."""
    fields: dict[str, Field] = {
        "clock_trusted": int(test.clock == "trusted"),
        "clock_err_ms": test.t_err_ms,
        "fw": test.fw,
    }
    if test.host is not None:
        bits = test.host.throttled_bits
        fields["spool_records"] = test.host.spool_records
        fields["temp_c_x10"] = test.host.cpu_temp_c_x10
        fields["undervoltage"] = None if bits is None else int(bits & _UNDERVOLTAGE != 0)
    if test.budget is not None:
        fields["used_bytes"], fields["limit_bytes"] = test.budget.used_bytes, test.budget.limit_bytes
    return fields


def _certificate_ends(registry: Registry) -> dict[str, int]:
    """When the newest certificate of each probe ends (UTC ms)."""
    identities = Identities(registry.path)
    try:
        ends: dict[str, int] = {}
        for entry in identities.certificates():
            if entry.revoked_ms is None:
                ends[entry.subject] = max(entry.not_after_ms, ends.get(entry.subject, 0))
        return ends
    finally:
        identities.close()
