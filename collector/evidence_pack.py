"""The evidence pack of a unit and a period: reports, records, proofs, keys, registry extract and verifier in one zip.

The same ledger, registry and checkpoint give the same bytes. Every table in it is made from the records that are in it
by `wire.recount`, and held against the ledger's own counting before it is handed out: a pack that would fail its
verifier is not made. Records of each station go over the period's ends, so that none can be cut off at an edge.
Source: issue "Evidence for officials", 4; decision 0031.
"""

from __future__ import annotations

import base64
import io
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from collector import ledger_notes
from collector.core import count, coverage
from collector.core.audit import TYPE as DEED
from collector.core.clock import HOUR_MS
from collector.core.csv_line import BOM
from collector.core.period import Period
from collector.core.sample import Sample
from collector.ledger import LedgerReader
from collector.pack_registry import extract
from collector.pack_words import readme
from collector.proofs import Prover
from collector.registry import Registry
from collector.seal_store import SealReader
from collector.settings import Settings
from wire import audit, note, onefile, packcheck, recount
from wire.errors import Refused, Unavailable
from wire.keyfile import read_verifier
from wire.records import CoverageRecord, TestRecord

BATCH = 500
BEFORE = 8
"""So many coverage records before the period go along: they say which operator a modem was with at its start."""
_STAMP = (1980, 1, 1, 0, 0, 0)
_SUBJECTS = ("probe", "subject", "site", "hamlet", "target")
Level = str


@dataclass(frozen=True, slots=True)
class Wanted:
    """A unit, a period of whole minutes, and files that go along as they are (name below `report/`, bytes)."""

    unit: str
    period: Period
    reports: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Made:
    """A pack: its bytes, and how much is in it."""

    raw: bytes
    records: int
    headline: Mapping[str, int]


class Packer:
    """Makes packs from the read sides of a collector. `at`: the size of the newest log's checkpoint to prove to."""

    def __init__(self, settings: Settings, reader: LedgerReader, registry: Registry, at: int | None = None) -> None:
        self._settings, self._reader, self._registry = settings, reader, registry
        has_log = settings.seal.exists()
        self._prover = Prover(SealReader(settings.seal), settings.log_folder, at) if has_log else None

    def make(self, wanted: Wanted) -> Made:
        """Raises Refused (unknown unit, or a count that does not agree), Unavailable (not sealed yet)."""
        level = self._level(wanted.unit)
        samples = self._samples(level, wanted)
        files = self._files(level, wanted, samples)
        opened = packcheck.open_pack(files)
        self._agrees(opened)
        return Made(zipped(files), len(samples), opened.manifest["headline"])

    def _level(self, unit: str) -> Level:
        registry = self._registry
        for level, held in (
            ("hamlet", registry.hamlet),
            ("commune", registry.commune),
            ("province", registry.province),
        ):
            if held(unit) is not None:
                return level
        raise Refused("unknown_unit", f"{unit!r} is no province, commune or hamlet of the registry; look its code up")

    # --- which records --------------------------------------------------------------------------------------------

    def _samples(self, level: Level, wanted: Wanted) -> list[Sample]:
        """All records of the unit's stations over the period and a little beyond, in the order of their arrival."""
        found = {one.n: one for probe in self._probes(level, wanted) for one in self._of_probe(probe, wanted.period)}
        return [found[n] for n in sorted(found)]

    def _probes(self, level: Level, wanted: Wanted) -> list[str]:
        sql = f"SELECT DISTINCT probe FROM record WHERE {level} = ? AND t_ms >= ? AND t_ms < ? ORDER BY probe"  # noqa: S608
        rows = self._reader.rows(sql, wanted.unit, wanted.period.start_ms - HOUR_MS, wanted.period.end_ms)
        return [str(row[0]) for row in rows]

    def _of_probe(self, probe: str, period: Period) -> Iterator[Sample]:
        """Of each epoch the whole stretch of the chain that the period touches, and one record beyond either end."""
        sql = (
            "SELECT epoch, min(seq), max(seq) FROM record WHERE probe = ? AND t_ms >= ? AND t_ms < ?"
            " AND epoch IS NOT NULL GROUP BY epoch"
        )
        before = self._reader.samples(probe=probe, kind="coverage", until_ms=period.start_ms, limit=BEFORE)
        firsts = {(one.epoch, one.seq) for one in before}
        stretches = {
            row[0]: (row[1], row[2]) for row in self._reader.rows(sql, probe, period.start_ms - HOUR_MS, period.end_ms)
        }
        for epoch, seq in firsts:
            if epoch is not None and seq is not None:
                low, high = stretches.get(epoch, (seq, seq))
                stretches[epoch] = (min(low, seq), max(high, seq))
        for epoch, (low, high) in sorted(stretches.items()):
            yield from self._stretch(probe, epoch, low, high)

    def _stretch(self, probe: str, epoch: int, low: int, high: int) -> Iterator[Sample]:
        """A stretch with a record beyond either end, and what dates the records in it."""
        numbers = "SELECT n FROM record WHERE probe = ? AND epoch = ? AND seq >= ? AND seq <= ? ORDER BY n"
        held = self._reader.many([row[0] for row in self._reader.rows(numbers, probe, epoch, low - 1, high + 1)])
        undated = {s.record.boot for s in held if s.record is not None and s.record.t_ms is None and s.t_ms is not None}
        dating = max((seq for boot in undated if (seq := self._clock_seq(probe, epoch, boot, high))), default=high)
        if dating > high + 1:
            held = self._reader.many([row[0] for row in self._reader.rows(numbers, probe, epoch, low - 1, dating)])
        yield from held

    def _clock_seq(self, probe: str, epoch: int, boot: str, after: int) -> int | None:
        """Where the event stands that set the clock of a boot, if it is further on."""
        rows = self._reader.rows(
            "SELECT n FROM record WHERE probe = ? AND epoch = ? AND seq > ? AND kind = 'event' ORDER BY seq LIMIT 200",
            *(probe, epoch, after),
        )
        for one in self._reader.many([row[0] for row in rows]):
            if one.record is not None and one.record.boot == boot and getattr(one.record, "event", "") == "clock_set":
                return one.seq
        return None

    # --- what is in it --------------------------------------------------------------------------------------------

    def _files(self, level: Level, wanted: Wanted, samples: Sequence[Sample]) -> dict[str, bytes]:
        codes = {s.record.referral for s in samples if isinstance(s.record, TestRecord | CoverageRecord)}
        probes = sorted({one.probe for one in samples})
        known = extract(self._registry, probes, (code for code in codes if code is not None))
        files = {
            packcheck.RECORDS: self._records(samples),
            packcheck.REGISTRY: _json(known),
            packcheck.PROBE_KEYS: _lines(key for probe in probes for key in reversed(self._registry.keys(probe))),
            packcheck.OTHER_KEYS: _lines(self._other_keys()),
            packcheck.RECEIPTS: self._receipts(samples),
            packcheck.NOTES: self._notes(known),
            "dosong-verify.py": onefile.text().encode(),
            "README.txt": readme(wanted.unit, wanted.period, self._settings.origin, self._prover is not None).encode(),
            **{f"report/{name}": raw for name, raw in wanted.reports},
            **self._log_files(),
        }
        manifest = self._manifest(level, wanted, samples)
        return self._with_tables({packcheck.MANIFEST: _json(manifest), **files}, samples, manifest)

    def _with_tables(
        self, files: dict[str, bytes], samples: Sequence[Sample], manifest: dict[str, Any]
    ) -> dict[str, bytes]:
        """Count the records that are in it, write the tables, and close with the manifest."""
        blank = dict.fromkeys((packcheck.SAMPLES, packcheck.FIGURES, packcheck.MINUTES), b"")
        opened = packcheck.open_pack({**files, **blank})
        held = {(one.probe, one.epoch, one.seq): one for one in samples}
        tests = recount.samples(opened.records, opened.known, opened.asked)
        own = [(test, held[test.given.place]) for test in tests if test.is_of_unit]
        own.sort(key=lambda pair: (pair[0].t_ms or 0, pair[1].n))
        states = recount.minutes(opened.records, opened.known, opened.asked)
        figures = recount.figures([(test, one.counted) for test, one in own], states, opened.asked)
        rows = [packcheck.sample_row(test, one.counted, one.not_counted) for test, one in own]
        files[packcheck.SAMPLES] = _table(packcheck.SAMPLE_COLUMNS, rows)
        files[packcheck.FIGURES] = _table(packcheck.FIGURE_COLUMNS, packcheck.figure_rows(figures))
        files[packcheck.MINUTES] = _table(packcheck.MINUTE_COLUMNS, packcheck.minute_rows(states))
        total = recount.Figures()
        for one in figures.values():
            total = total.plus(one)
        manifest["headline"] = {name: getattr(total, name) for name in recount.FIGURES}
        manifest["files"] = [
            {"name": name, "bytes": len(raw), "sha256": sha256(raw).hexdigest()}
            for name, raw in sorted(files.items())
            if name != packcheck.MANIFEST
        ]
        return {**files, packcheck.MANIFEST: _json(manifest)}

    def _manifest(self, level: Level, wanted: Wanted, samples: Sequence[Sample]) -> dict[str, Any]:
        last = {one.probe: max(s.t_ms or 0 for s in samples if s.probe == one.probe) for one in samples}
        newest = max((one.received_ms for one in samples), default=0)
        return {
            "format": packcheck.FORMAT,
            "origin": self._settings.origin,
            "level": level,
            "unit": wanted.unit,
            "start_ms": wanted.period.start_ms,
            "end_ms": wanted.period.end_ms,
            "from": packcheck.moment(wanted.period.start_ms),
            "until": packcheck.moment(wanted.period.end_ms),
            "last_received": packcheck.moment(newest),
            "rules": {"count": count.RULE_VERSION, "coverage": coverage.RULE_ID},
            "open_ends": sorted(probe for probe, t_ms in last.items() if t_ms < wanted.period.end_ms),
            "headline": {},
            "files": [],
        }

    def _records(self, samples: Sequence[Sample]) -> bytes:
        missing, lines = 0, []
        for one in samples:
            row: dict[str, Any] = {"n": one.n, "raw": base64.b64encode(one.raw).decode()}
            if self._prover is not None:
                proof = self._prover.proof(one.n)
                missing += proof is None
                row["proof"] = "" if proof is None else proof.decode()
            if one.kind is None or not one.in_chain:
                row["unread"] = True
            if one.fault is not None:
                row["fault"] = one.fault
            lines.append(json.dumps(row, sort_keys=True))
        if missing:
            raise Unavailable(
                f"{missing} records are not sealed yet; a checkpoint is signed every minute: ask again then"
            )
        return "".join(line + "\n" for line in lines).encode()

    def _receipts(self, samples: Sequence[Sample]) -> bytes:
        """Receipts that the tests name, signed by a measurement point that the registry knows."""
        points = {(key.name, key.key_id) for key in map(note.parse_vkey, self._other_keys())}
        found: dict[bytes, None] = {}
        for one in samples:
            for raw in self._reader.receipt_bytes(one):
                line = note.split(raw).signatures[0]
                if (line.name, line.key_id) in points:
                    found[raw] = None
        return b"".join(self._line(raw, self._row_of("receipt", raw), "receipt") for raw in found)

    def _row_of(self, table: str, raw: bytes) -> int | None:
        rows = self._reader.rows(f"SELECT n FROM {table} WHERE leaf = ?", recount_leaf(raw))  # noqa: S608 (names of ours)
        return rows[0][0] if rows else None

    def _line(self, raw: bytes, n: int | None, source: str) -> bytes:
        row = {"raw": base64.b64encode(raw).decode()}
        proof = None if self._prover is None or n is None else self._prover.proof(n, source)
        if proof is not None:
            row["proof"] = proof.decode()
        return json.dumps(row, sort_keys=True).encode() + b"\n"

    def _notes(self, known: dict[str, Any]) -> bytes:
        """Signed notes that speak of the stations, sites or hamlets in it, by keys that go along."""
        about = set(known["places"]) | set(known["hamlets"]) | set(known["communes"])
        about |= {span["site"] for spans in known["places"].values() for span in spans}
        keys = {(key.name, key.key_id) for key in map(note.parse_vkey, self._other_keys())}
        keys |= {(k.name, k.key_id) for p in known["places"] for k in map(note.parse_vkey, self._registry.keys(p))}
        lines = []
        for n, _, kind, _, raw in ledger_notes.read(self._settings.ledger):
            if kind == DEED:  # a line of the audit trail: not signed, and it names accounts, not stations
                continue
            signed = note.split(raw).signatures[0]
            body = json.loads(raw.split(b"\n", 2)[1])
            is_ours = kind == "rules" or any(body.get(name) in about for name in _SUBJECTS)
            # A configuration holds the seeds of months to come: it stays here.
            if is_ours and kind != "config" and (signed.name, signed.key_id) in keys:
                lines.append(self._line(raw, n, "signed_note"))
        return b"".join(lines)

    def _other_keys(self) -> list[str]:
        origin, registry_vkey = self._settings.origin, self._settings.registry_vkey
        own = [] if registry_vkey is None else [read_verifier(registry_vkey, f"{origin}/registry").vkey]
        return [*own, *(one.vkey for one in self._registry.points())]

    def _log_files(self) -> dict[str, bytes]:
        if self._prover is None:
            return {}
        files = {packcheck.CHECKPOINT: self._prover.checkpoint() or b""}
        for name in ("vkeys", "witnesses"):
            path: Path = self._settings.log_folder / name
            if path.is_file():
                files[packcheck.LOG_KEYS if name == "vkeys" else f"keys/{name}.vkeys"] = path.read_bytes()
        return files

    def _agrees(self, opened: packcheck.Opened) -> None:
        """The pack's own verifier must find nothing. Raises Refused with the first thing that it names."""
        logs = opened.files.get(packcheck.LOG_KEYS, b"").decode().split()
        log_keys = {key.name: key for key in map(note.parse_vkey, logs)}
        keys = audit.read_keys(opened.files[packcheck.PROBE_KEYS].decode().split())
        chains = audit.audit(opened.entries, keys).chains if opened.entries else ()
        found = packcheck.recheck(opened, chains, log_keys).findings
        if found:
            first = found[0]
            raise Refused(
                "not_agreed",
                f"the pack would not verify ({first.where}: {first.reason}: {first.detail}; {len(found)} in all);"
                " if the registry was changed just now, ask again in a minute",
            )


def recount_leaf(raw: bytes) -> bytes:
    """Leaf hash of stored bytes."""
    return sha256(b"\x00" + raw).digest()


def zipped(files: Mapping[str, bytes]) -> bytes:
    """One zip, always the same for the same files: names in order, no times, no owners."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as pack:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _STAMP)
            entry.compress_type, entry.create_system, entry.external_attr = zipfile.ZIP_DEFLATED, 3, 0o644 << 16
            pack.writestr(entry, files[name])
    return out.getvalue()


def _table(columns: Sequence[str], rows: Sequence[Mapping[str, str]]) -> bytes:
    """CSV with bare codes and numbers: none of these columns can hold a formula."""
    lines = [",".join(columns), *(",".join(row[column] for column in columns) for row in rows)]
    return (BOM + "".join(line + "\r\n" for line in lines)).encode()


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True).encode() + b"\n"


def _lines(lines: Iterator[str] | Sequence[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()
